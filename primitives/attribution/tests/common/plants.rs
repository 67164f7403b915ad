//! Lies, one for each row of the dispute table and more: each is planted into an honest world and committed to.

use super::{
    world::{root, stream, Answer, World},
    Rng,
};
use openledger_attribution::{
    batch::{ChannelLeaf, CreditLeaf, PartLeaf},
    hash::NONE,
    list::ListEntry,
    sketch::{Sketch, SketchLeaf},
    wire::Object,
};

/// Plants a lie, or says that this world has no place for it.
pub type Plant = fn(&mut World, &mut Rng) -> bool;

/// Who looks for it.
#[derive(Clone, Copy)]
pub enum About {
    Batch,
    Index,
    Version,
}

pub fn plant_all() -> Vec<(&'static str, About, Plant, &'static [&'static str])> {
    use About::{Batch, Index, Version};
    vec![
        ("a row left out", Batch, leave_row_out, &["RowLeftOut"]),
        ("a list out of order", Batch, swap_list, &["Shape(List(Order))"]),
        ("a row listed twice", Batch, list_twice, &["Shape(List("]),
        (
            "a listed row that is not eligible",
            Batch,
            list_noise,
            &["NotEligible", "Shape(List(Length))"],
        ),
        (
            "a listed row of somebody else",
            Batch,
            rename_row,
            &["WrongContributor"],
        ),
        (
            "a query of bytes no gradient gives",
            Batch,
            break_query,
            &["InvalidQuery"],
        ),
        (
            "a span left out",
            Batch,
            leave_span_out,
            &["SpanMissing", "SpanNotMaximal"],
        ),
        (
            "a span cut short",
            Batch,
            shorten_span,
            &["SpanNotMaximal", "SpanBounds", "Shape(Spans("],
        ),
        (
            "a span's record left out",
            Batch,
            leave_span_record_out,
            &["SpanRecordMissing", "Shape(Spans(Records))"],
        ),
        (
            "a span's record of somebody else",
            Batch,
            rename_span_record,
            &["WrongRecord"],
        ),
        (
            "a retrieved record of somebody else",
            Batch,
            rename_retrieved,
            &["WrongRecord"],
        ),
        (
            "a receipt skipped",
            Batch,
            skip_receipt,
            &["ReceiptsBroken", "WrongCursor", "ChannelMissing"],
        ),
        ("a receipt repeated", Batch, repeat_receipt, &["ReceiptsBroken"]),
        (
            "receipts out of order",
            Batch,
            swap_receipts,
            &["ReceiptsDisordered", "ReceiptsBroken"],
        ),
        ("a voucher that skips a receipt", Batch, unchain, &["NotChained"]),
        ("a voucher nobody signed", Batch, unsign, &["Unsigned"]),
        ("a voucher for another chain", Batch, other_chain, &["OtherChain"]),
        (
            "a receipt of another worker",
            Batch,
            other_worker,
            &["OtherBatch"],
        ),
        (
            "an attribution too early or missing",
            Batch,
            wrong_kind,
            &["WrongKind"],
        ),
        (
            "a channel left out",
            Batch,
            leave_channel_out,
            &["ChannelMissing"],
        ),
        (
            "a channel without receipts",
            Batch,
            add_channel,
            &["ChannelMissing"],
        ),
        (
            "channels out of order",
            Batch,
            swap_channels,
            &["ChannelsDisordered"],
        ),
        (
            "a channel of another consumer",
            Batch,
            rename_channel,
            &["Unsigned"],
        ),
        ("a part left out", Batch, leave_part_out, &["PartMissing"]),
        ("a part for a stranger", Batch, rename_part, &["WrongPart"]),
        ("parts out of order", Batch, swap_parts, &["PartsDisordered"]),
        ("a credit left out", Batch, leave_credit_out, &["CreditMissing"]),
        ("a credit for a stranger", Batch, rename_credit, &["CreditRange"]),
        (
            "credits out of order",
            Batch,
            swap_credits,
            &["CreditsDisordered"],
        ),
        ("a credit below the minimum", Batch, credit_dust, &["CreditShape"]),
        (
            "a draw forfeited for nothing",
            Batch,
            forfeit_free,
            &["WrongForfeit"],
        ),
        (
            "a part of a forfeited draw",
            Batch,
            part_of_forfeit,
            &["PartWithoutSource"],
        ),
        ("rows out of order", Index, swap_rows, &["RowsDisordered"]),
        ("a row of somebody else", Index, rename_index_row, &["WrongRow"]),
        (
            "a row of bytes no gradient gives",
            Index,
            break_row,
            &["InvalidRow"],
        ),
        (
            "a record left out of the corpus",
            Index,
            skip_corpus,
            &["WrongCorpus"],
        ),
        (
            "a record of somebody else in the corpus",
            Index,
            rename_corpus,
            &["WrongCorpus"],
        ),
        ("suffixes out of order", Index, swap_suffixes, &["SuffixOrder"]),
        (
            "a suffix twice and one missing",
            Index,
            repeat_suffix,
            &["SuffixTwice"],
        ),
        ("another seed", Index, other_seed, &["IndexOrder"]),
        (
            "a basis that stretches",
            Index,
            stretch_basis,
            &["NotOrthonormal"],
        ),
        (
            "a basis leaf of another kind",
            Index,
            swap_bases,
            &["InvalidBasis"],
        ),
        (
            "a version out of order",
            Version,
            swap_version,
            &["VersionDisordered"],
        ),
        (
            "a version's record with other content",
            Version,
            other_content,
            &["WrongVersionRecord"],
        ),
        (
            "a version's record of somebody else",
            Version,
            rename_version,
            &["WrongVersionRecord"],
        ),
        (
            "a record that follows a follower",
            Version,
            follow_follower,
            &["WrongRepresentative"],
        ),
        (
            "a record that follows nobody",
            Version,
            follow_nobody,
            &["WrongRepresentative"],
        ),
    ]
}

fn pick(count: usize, rng: &mut Rng) -> Option<usize> {
    (count > 0).then(|| rng.below(count as u64) as usize)
}

/// An answer whose attribution is in the batch and satisfies `wanted`.
fn answer(world: &World, rng: &mut Rng, wanted: impl Fn(&Answer) -> bool) -> Option<usize> {
    let shown = |at: &usize| {
        !world.is_sampled()
            || world
                .ledger
                .answers
                .iter()
                .any(|draw| draw.receipt as usize == *at && !draw.is_forfeited())
    };
    let fitting: Vec<usize> = (0..world.answers.len())
        .filter(shown)
        .filter(|at| wanted(&world.answers[*at]))
        .collect();
    pick(fitting.len(), rng).map(|n| fitting[n])
}

fn with_answer(
    world: &mut World,
    rng: &mut Rng,
    wanted: impl Fn(&Answer) -> bool,
    lie: impl FnOnce(&mut Answer, &mut Rng),
) -> bool {
    let Some(at) = answer(world, rng, wanted) else {
        return false;
    };
    lie(&mut world.answers[at], rng);
    world.recommit_answers(at);
    true
}

fn leave_row_out(world: &mut World, rng: &mut Rng) -> bool {
    world.settled.header.tariff.mix.influence > 0
        && with_answer(
            world,
            rng,
            |a| !a.attribution.list.is_empty(),
            |a, rng| {
                let at = rng.below(a.attribution.list.len() as u64) as usize;
                a.attribution.list.remove(at);
            },
        )
}

fn swap_list(world: &mut World, rng: &mut Rng) -> bool {
    with_answer(
        world,
        rng,
        |a| a.attribution.list.len() > 1,
        |a, rng| {
            let at = rng.below(a.attribution.list.len() as u64 - 1) as usize;
            a.attribution.list.swap(at, at + 1);
        },
    )
}

fn list_twice(world: &mut World, rng: &mut Rng) -> bool {
    with_answer(
        world,
        rng,
        |a| !a.attribution.list.is_empty(),
        |a, rng| {
            let at = rng.below(a.attribution.list.len() as u64) as usize;
            let mut copy = a.attribution.list[at];
            copy.score = 1 + u128::from(rng.below(2)) * (copy.score - 1);
            a.attribution.list.push(copy);
            a.attribution.list.sort_by(|a, b| a.order(b));
        },
    )
}

fn list_noise(world: &mut World, rng: &mut Rng) -> bool {
    let (rule, rows) = (world.rule.clone(), world.index.rows.clone());
    let noise = |answer: &Answer| -> Vec<ListEntry> {
        let score = |row: &openledger_attribution::index::IndexLeaf| {
            rule.evaluate(answer.query.view(), row.sketch.view())
                .filter(|s| s.value > 0 && !s.eligible)
        };
        (0u64..)
            .zip(&rows)
            .filter_map(|(at, row)| {
                let score = score(row)?.value.unsigned_abs();
                Some(ListEntry {
                    row: at,
                    score,
                    contributor: row.contributor,
                })
            })
            .collect()
    };
    with_answer(
        world,
        rng,
        |a| !noise(a).is_empty(),
        |a, rng| {
            let noise = noise(a);
            a.attribution
                .list
                .push(noise[rng.below(noise.len() as u64) as usize]);
            a.attribution.list.sort_by(|a, b| a.order(b));
        },
    )
}

fn rename_row(world: &mut World, rng: &mut Rng) -> bool {
    with_answer(
        world,
        rng,
        |a| !a.attribution.list.is_empty(),
        |a, rng| {
            let at = rng.below(a.attribution.list.len() as u64) as usize;
            a.attribution.list[at].contributor = [0x55; 32];
        },
    )
}

fn break_query(world: &mut World, rng: &mut Rng) -> bool {
    let rule = world.rule.clone();
    with_answer(
        world,
        rng,
        |_| true,
        |a, rng| {
            match rng.below(3) {
                0 => {
                    let at = rng.below(a.query.lanes.len() as u64) as usize;
                    a.query.lanes[at] = -128;
                }
                1 => a
                    .query
                    .lanes
                    .iter_mut()
                    .for_each(|lane| *lane = (*lane).clamp(-63, 63).max(1)),
                _ => a.query.exponents[0] = rule.floor().wrapping_sub(1),
            }
            a.attribution.query = root(&a.query.leaves(&rule).unwrap()).hash::<SketchLeaf>();
        },
    )
}

fn leave_span_out(world: &mut World, rng: &mut Rng) -> bool {
    world.settled.header.tariff.mix.verbatim > 0
        && with_answer(
            world,
            rng,
            |a| !a.attribution.spans.is_empty(),
            |a, rng| {
                let at = rng.below(a.attribution.spans.len() as u64) as usize;
                a.attribution.spans.remove(at);
            },
        )
}

fn shorten_span(world: &mut World, rng: &mut Rng) -> bool {
    world.settled.header.tariff.mix.verbatim > 0
        && with_answer(
            world,
            rng,
            |a| a.attribution.spans.iter().any(|span| span.length() > 1),
            |a, rng| {
                let long = a
                    .attribution
                    .spans
                    .iter_mut()
                    .find(|span| span.length() > 1)
                    .unwrap();
                if rng.chance(50) {
                    long.end -= 1;
                } else {
                    long.start += 1;
                    long.records.iter_mut().for_each(|record| record.position += 1);
                }
            },
        )
}

fn leave_span_record_out(world: &mut World, rng: &mut Rng) -> bool {
    with_answer(
        world,
        rng,
        |a| !a.attribution.spans.is_empty(),
        |a, rng| {
            let at = rng.below(a.attribution.spans.len() as u64) as usize;
            let records = &mut a.attribution.spans[at].records;
            records.remove(rng.below(records.len() as u64) as usize);
        },
    )
}

fn rename_span_record(world: &mut World, rng: &mut Rng) -> bool {
    with_answer(
        world,
        rng,
        |a| !a.attribution.spans.is_empty(),
        |a, _| {
            a.attribution.spans[0].records[0].contributor = [0x55; 32];
        },
    )
}

fn rename_retrieved(world: &mut World, rng: &mut Rng) -> bool {
    with_answer(
        world,
        rng,
        |a| !a.attribution.retrieved.is_empty(),
        |a, _| {
            a.attribution.retrieved[0].contributor = [0x55; 32];
        },
    )
}

fn skip_receipt(world: &mut World, rng: &mut Rng) -> bool {
    if world.is_sampled() || world.answers.len() < 2 {
        return false;
    }
    let at = rng.below(world.answers.len() as u64) as usize;
    if world.answers[at].receipt.fee == 0 {
        return false;
    }
    world.answers.remove(at);
    world.settled.receipts.remove(at);
    world.recommit_batch();
    true
}

fn repeat_receipt(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.answers.len() as u64) as usize;
    let (answer, leaf) = (world.answers[at].clone(), world.settled.receipts[at]);
    world.answers.insert(at, answer);
    world.settled.receipts.insert(at, leaf);
    world
        .ledger
        .answers
        .iter_mut()
        .for_each(|draw| draw.receipt += u64::from(draw.receipt as usize > at));
    world.recommit_batch();
    true
}

fn swap_receipts(world: &mut World, rng: &mut Rng) -> bool {
    if world.answers.len() < 2 {
        return false;
    }
    let at = rng.below(world.answers.len() as u64 - 1) as usize;
    world.answers.swap(at, at + 1);
    world.settled.receipts.swap(at, at + 1);
    world.recommit_batch();
    true
}

fn resign(world: &mut World, at: usize) {
    let answer = &mut world.answers[at];
    answer.receipt.signature = answer.consumer.sign(&answer.receipt.voucher, world.chain_id);
    world.recommit_answers(at + 1);
}

fn unchain(world: &mut World, rng: &mut Rng) -> bool {
    let leaves = &world.settled.receipts;
    let second = (1..leaves.len()).find(|at| leaves[*at].channel == leaves[at - 1].channel);
    let Some(at) = second else { return false };
    world.answers[at].receipt.voucher.previous = rng.hash();
    resign(world, at);
    true
}

fn unsign(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.answers.len() as u64) as usize;
    let other = world
        .keys
        .iter()
        .find(|key| key.account() != world.answers[at].consumer.account())
        .copied();
    let Some(other) = other else { return false };
    world.answers[at].receipt.signature = other.sign(&world.answers[at].receipt.voucher, world.chain_id);
    world.recommit_answers(at + 1);
    true
}

fn other_chain(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.answers.len() as u64) as usize;
    world.answers[at].receipt.voucher.genesis = rng.hash();
    resign(world, at);
    true
}

fn other_worker(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.answers.len() as u64) as usize;
    world.answers[at].receipt.worker = rng.hash();
    resign(world, at);
    true
}

fn wrong_kind(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.answers.len() as u64) as usize;
    let receipt = &mut world.answers[at].receipt;
    receipt.attribution = if receipt.attribution == NONE {
        rng.hash()
    } else {
        NONE
    };
    world.settled.receipts[at].receipt = world.answers[at].receipt.hash();
    world.recommit_batch();
    true
}

fn leave_channel_out(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.settled.channels.len() as u64) as usize;
    world.settled.channels.remove(at);
    world.recommit_batch();
    true
}

fn add_channel(world: &mut World, rng: &mut Rng) -> bool {
    let consumer = rng.hash();
    world.settled.channels.push(ChannelLeaf {
        channel: 1_000 + rng.below(9),
        consumer,
        from: 5,
        to: 5,
    });
    world.recommit_batch();
    true
}

fn swap_channels(world: &mut World, _: &mut Rng) -> bool {
    if world.settled.channels.len() < 2 {
        return false;
    }
    world.settled.channels.swap(0, 1);
    world.recommit_batch();
    true
}

fn rename_channel(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.settled.channels.len() as u64) as usize;
    world.settled.channels[at].consumer = rng.hash();
    world.recommit_batch();
    true
}

fn with_parts(world: &mut World, rng: &mut Rng, least: usize, lie: fn(&mut Vec<PartLeaf>, usize)) -> bool {
    let Some(at) = pick((world.ledger.parts.len() + 1).saturating_sub(least), rng) else {
        return false;
    };
    lie(&mut world.ledger.parts, at);
    world.recommit_credits();
    true
}

fn leave_part_out(world: &mut World, rng: &mut Rng) -> bool {
    with_parts(world, rng, 1, |parts, at| {
        parts.remove(at);
    })
}

fn rename_part(world: &mut World, rng: &mut Rng) -> bool {
    with_parts(world, rng, 1, |parts, at| parts[at].contributor = [0x55; 32])
}

fn swap_parts(world: &mut World, rng: &mut Rng) -> bool {
    with_parts(world, rng, 2, |parts, at| parts.swap(at, at + 1))
}

fn with_credits(
    world: &mut World,
    rng: &mut Rng,
    least: usize,
    lie: fn(&mut Vec<CreditLeaf>, usize),
) -> bool {
    let Some(at) = pick((world.ledger.credits.len() + 1).saturating_sub(least), rng) else {
        return false;
    };
    lie(&mut world.ledger.credits, at);
    world.recommit_credits();
    true
}

fn leave_credit_out(world: &mut World, rng: &mut Rng) -> bool {
    with_credits(world, rng, 1, |credits, at| {
        credits.remove(at);
    })
}

fn rename_credit(world: &mut World, rng: &mut Rng) -> bool {
    with_credits(world, rng, 1, |credits, at| credits[at].contributor = [0x55; 32])
}

fn swap_credits(world: &mut World, rng: &mut Rng) -> bool {
    with_credits(world, rng, 2, |credits, at| credits.swap(at, at + 1))
}

fn credit_dust(world: &mut World, rng: &mut Rng) -> bool {
    if world.ledger.parts.is_empty() || world.minimum < 2 {
        return false;
    }
    let at = rng.below(world.ledger.parts.len() as u64);
    let part = world.ledger.parts[at as usize];
    if part.amount >= world.minimum {
        return false;
    }
    let credit = CreditLeaf {
        contributor: part.contributor,
        first: at,
        end: at + 1,
        amount: part.amount,
    };
    world.ledger.credits = vec![credit];
    world.recommit_credits();
    true
}

fn forfeit_free(world: &mut World, _: &mut Rng) -> bool {
    let carried = world
        .settled
        .header
        .draw_amount(0)
        .is_some_and(|amount| amount > 0);
    let open = world.ledger.answers.iter_mut().find(|draw| !draw.is_forfeited());
    let Some(draw) = open.filter(|_| carried) else {
        return false;
    };
    draw.attribution = NONE;
    world.recommit_credits();
    true
}

fn part_of_forfeit(world: &mut World, _: &mut Rng) -> bool {
    let forfeited = world.ledger.answers.iter().position(|draw| draw.is_forfeited());
    let Some(draw) = forfeited else { return false };
    world.ledger.parts.push(PartLeaf {
        contributor: [0xFE; 32],
        source: draw as u64,
        amount: 1,
    });
    world.recommit_credits();
    true
}

fn swap_rows(world: &mut World, rng: &mut Rng) -> bool {
    if world.index.rows.len() < 2 {
        return false;
    }
    let at = rng.below(world.index.rows.len() as u64 - 1) as usize;
    world.index.rows.swap(at, at + 1);
    world.recommit_index();
    true
}

fn rename_index_row(world: &mut World, rng: &mut Rng) -> bool {
    let Some(at) = pick(world.index.rows.len(), rng) else {
        return false;
    };
    world.index.rows[at].contributor = [0x55; 32];
    world.recommit_index();
    true
}

fn break_row(world: &mut World, rng: &mut Rng) -> bool {
    let Some(at) = pick(world.index.rows.len(), rng) else {
        return false;
    };
    let sketch = &mut world.index.rows[at].sketch;
    match rng.below(4) {
        0 => sketch.lanes[0] = -128,
        1 => sketch.lanes.push(1),
        2 => sketch.exponents[0] = 64,
        _ => {
            *sketch = Sketch {
                exponents: sketch.exponents.clone(),
                lanes: vec![1; sketch.lanes.len()],
            }
        }
    }
    world.recommit_index();
    true
}

fn skip_corpus(world: &mut World, rng: &mut Rng) -> bool {
    let last = world.index.corpus.len() - 1;
    if last == 0 {
        return false;
    }
    let at = rng.below(last as u64) as usize;
    world.index.corpus.remove(at);
    world.recommit_index();
    true
}

fn rename_corpus(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.index.corpus.len() as u64) as usize;
    world.index.corpus[at].contributor = [0x55; 32];
    world.recommit_index();
    true
}

fn swap_suffixes(world: &mut World, rng: &mut Rng) -> bool {
    let suffixes = &mut world.index.suffixes[0];
    if suffixes.len() < 2 {
        return false;
    }
    // Two whose first tokens differ, so that the order cannot be a tie.
    let all: Vec<u32> = world
        .index
        .tokens
        .iter()
        .flat_map(|leaf| leaf.tokens.clone())
        .collect();
    let first = |at: usize| all[suffixes[at].position as usize];
    let places: Vec<usize> = (0..suffixes.len() - 1)
        .filter(|at| first(*at) != first(at + 1))
        .collect();
    let Some(n) = pick(places.len(), rng) else {
        return false;
    };
    suffixes.swap(places[n], places[n] + 1);
    world.recommit_index();
    true
}

pub fn repeat_suffix(world: &mut World, rng: &mut Rng) -> bool {
    let suffixes = &mut world.index.suffixes[0];
    if suffixes.len() < 2 {
        return false;
    }
    let at = rng.below(suffixes.len() as u64 - 1) as usize;
    suffixes[at] = suffixes[at + 1];
    world.recommit_index();
    true
}

fn other_seed(world: &mut World, rng: &mut Rng) -> bool {
    let header = &mut world.index.header;
    match rng.below(6) {
        0 => header.seed = rng.hash(),
        1 => header.builder = rng.hash(),
        2 => header.base = rng.hash(),
        3 => header.adapter = rng.hash(),
        4 => header.tokenizer = rng.hash(),
        _ => header.retrieval = rng.hash(),
    }
    true
}

fn stretch_basis(world: &mut World, _: &mut Rng) -> bool {
    use openledger_attribution::bases::BasisLeaf;
    let BasisLeaf::Vector(entries) = &mut world.index.bases[0] else {
        return false;
    };
    entries[0] = 16_000;
    world.recommit_index();
    true
}

fn swap_bases(world: &mut World, _: &mut Rng) -> bool {
    let last = world.index.bases.len() - 1;
    world.index.bases.swap(0, last);
    world.recommit_index();
    true
}

fn with_version(world: &mut World, lie: impl FnOnce(&mut World) -> bool) -> bool {
    let planted = lie(world);
    world.index.sources[0].records = root(&world.index.versions[0]);
    planted
}

fn swap_version(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.index.versions[0].len() as u64 - 1) as usize;
    with_version(world, |world| {
        world.index.versions[0].swap(at, at + 1);
        true
    })
}

fn other_content(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.index.versions[0].len() as u64) as usize;
    with_version(world, |world| {
        world.index.versions[0][at].content = [9; 32];
        true
    })
}

fn rename_version(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.index.versions[0].len() as u64) as usize;
    with_version(world, |world| {
        world.index.versions[0][at].contributor = [0x55; 32];
        true
    })
}

fn follow_follower(world: &mut World, _: &mut Rng) -> bool {
    with_version(world, |world| {
        let leaves = &mut world.index.versions[0];
        let Some(follower) = leaves
            .iter()
            .find(|leaf| !leaf.is_representative())
            .map(|leaf| leaf.record)
        else {
            return false;
        };
        let Some(other) = leaves.iter_mut().find(|leaf| leaf.record != follower) else {
            return false;
        };
        other.representative = follower;
        true
    })
}

fn follow_nobody(world: &mut World, rng: &mut Rng) -> bool {
    let at = rng.below(world.index.versions[0].len() as u64) as usize;
    with_version(world, |world| {
        world.index.versions[0][at].representative.index = 1_000 + at as u32;
        true
    })
}

/// One place further on in the corpus. A span of one token again and again may stand there too: then it is no lie.
fn move_span_record(world: &mut World, rng: &mut Rng) -> bool {
    let corpus = stream(&world.index);
    with_answer(
        world,
        rng,
        |a| {
            a.attribution.spans.first().is_some_and(|span| {
                let output: Vec<u32> = a.output.iter().flat_map(|leaf| leaf.tokens.clone()).collect();
                let said = &output[span.start as usize..span.end as usize];
                let from = span.records[0].position as usize + 1;
                corpus.get(from..from + said.len()) != Some(said)
            })
        },
        |a, _| a.attribution.spans[0].records[0].position += 1,
    )
}

/// Lies about numbers, for the kinds of guilt that only they reach.
pub fn plant_numbers() -> Vec<(About, Plant)> {
    use About::{Batch, Index};
    vec![
        (Batch, |world, rng| {
            with_answer(
                world,
                rng,
                |a| !a.attribution.list.is_empty(),
                |a, _| {
                    let last = a.attribution.list.len() - 1;
                    a.attribution.list[last].score += 1;
                },
            )
        }),
        (Batch, |world, rng| {
            with_answer(
                world,
                rng,
                |a| !a.attribution.spans.is_empty(),
                |a, _| {
                    a.attribution.spans[0].information += 1;
                },
            )
        }),
        (Batch, move_span_record),
        (Batch, |world, rng| {
            with_answer(
                world,
                rng,
                |a| !a.attribution.spans.is_empty(),
                |a, _| {
                    a.attribution.spans[0].start += 1;
                },
            )
        }),
        (Batch, |world, _| {
            world.answers[0].receipt.fee += 1;
            world.recommit_answers(0);
            true
        }),
        (Batch, |world, _| {
            world.answers[0].receipt.input_tokens += 1;
            world.recommit_answers(0);
            true
        }),
        (Batch, |world, _| {
            world.answers[0].receipt.voucher.expiry = 1;
            resign(world, 0);
            true
        }),
        (Batch, |world, _| {
            world.settled.receipts[0].cumulative += 1;
            world.recommit_batch();
            true
        }),
        (Batch, |world, _| {
            world.settled.receipts[0].running.compute += 1;
            world.recommit_batch();
            true
        }),
        (Batch, |world, _| {
            world.settled.channels[0].to += 1;
            world.recommit_batch();
            true
        }),
        (Batch, |world, _| {
            let Some(draw) = world.ledger.answers.first_mut() else {
                return false;
            };
            draw.receipt += 1;
            world.recommit_credits();
            true
        }),
        (Batch, |world, _| {
            let Some(credit) = world.ledger.credits.first_mut() else {
                return false;
            };
            credit.amount += 1;
            world.recommit_credits();
            true
        }),
        (Batch, |world, _| {
            world.settled.header.receipts.count += 1;
            world.ledger.header.batch = world.settled.header.hash();
            true
        }),
        (Index, |world, _| {
            world.index.header.rows.count += 1;
            true
        }),
        (Index, |world, _| {
            world.index.suffixes[0][0].position = u64::MAX;
            world.recommit_index();
            true
        }),
        (Index, |world, _| {
            world.index.counts[0][0].count += 1;
            world.recommit_index();
            true
        }),
        (Index, |world, _| {
            world.index.table[0].count += 1;
            world.recommit_index();
            true
        }),
        (Index, |world, _| {
            let tokens = &mut world.index.tokens[0].tokens;
            tokens[0] = if tokens[0] == 14 { 0 } else { 14 };
            world.recommit_index();
            true
        }),
        (Index, |world, _| {
            world.index.tokens[0].tokens[0] = 99;
            world.recommit_index();
            true
        }),
    ]
}
