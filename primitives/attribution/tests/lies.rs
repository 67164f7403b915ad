//! Every number of a receipt, an attribution, a batch and an index is lied about, committed to, and caught by
//! the verdict meant for it.

mod common;

use common::{
    lies::Numbers,
    scale, seed,
    watch::{batch_guilt, index_guilt, version_guilt},
    world::{flags, root, stream, World},
    Rng,
};
use openledger_attribution::{
    bases::{spectra_agree, BasisLeaf},
    committee::{flags_agree, tokens_agree},
    record::unpack,
    sketch::Rule,
    tree::{Leaf, Tree},
    verdict::Guilt,
    wire::Object,
};
use std::collections::{BTreeMap, BTreeSet};

/// Worlds in which each lie is planted.
fn rounds() -> usize {
    6 * scale() as usize
}

/// What came of one lie.
enum Fate {
    /// Nobody can commit to it.
    Refused,
    /// A watcher found this, by verdict or by recomputing.
    Found(Vec<String>),
}

fn names(guilt: &[Guilt]) -> Vec<String> {
    guilt.iter().map(|guilt| format!("{guilt:?}")).collect()
}

/// Lies about every number that `numbers` finds in a world, each in as many worlds as [`rounds`] says, and
/// demands that one of the verdicts that `expected` names for it is among those found.
fn campaign<T: Numbers>(
    subject: &str,
    pick: impl Fn(&mut World, &mut Rng) -> Option<usize>,
    get: impl Fn(&mut World, usize) -> &mut T,
    after: impl Fn(&mut World, &World, usize, &str) -> Option<Fate>,
    expected: impl Fn(&str) -> &'static [&'static str],
) {
    let (seed, rounds) = (seed(), rounds());
    let mut planted: BTreeMap<String, usize> = BTreeMap::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for n in 0..40 * rounds as u64 {
        let mut rng = Rng(seed.wrapping_add(n << 20));
        let honest = World::new(rng.next(), n % 2 == 0);
        let mut world = honest.clone();
        let Some(at) = pick(&mut world, &mut rng) else {
            continue;
        };
        let fields: Vec<String> = get(&mut world, at)
            .numbers()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        // Of several numbers of one name (lanes, list entries) one is lied about.
        let mut order: Vec<usize> = (0..fields.len()).collect();
        rng.shuffle(&mut order);
        let mut done = BTreeSet::new();
        for field in order {
            let name = fields[field].clone();
            known.insert(name.clone());
            if !done.insert(name.clone()) || planted.get(&name).copied().unwrap_or(0) >= rounds {
                continue;
            }
            let mut world = honest.clone();
            let number = get(&mut world, at).numbers().into_iter().nth(field).unwrap().1;
            number.lie(&mut rng);
            let found = match after(&mut world, &honest, at, &name) {
                None => continue,
                Some(Fate::Refused) => vec!["Refused".to_string()],
                Some(Fate::Found(found)) => found,
            };
            let wanted = expected(&name);
            assert!(
                found.iter().any(|guilt| wanted.iter().any(|name| guilt.starts_with(name))),
                "with ATTRIBUTION_SEED={seed}: world {n}: a lie about {subject} {name} gave {found:?}, not {wanted:?}"
            );
            *planted.entry(name).or_default() += 1;
        }
        if known
            .iter()
            .all(|name| planted.get(name).copied().unwrap_or(0) >= rounds)
            && n > 20
        {
            break;
        }
    }
    for name in &known {
        let lies = planted.get(name).copied().unwrap_or(0);
        println!("{subject} {name}: {lies} lies, all caught");
        assert!(
            lies * 2 >= rounds,
            "with ATTRIBUTION_SEED={seed}: {subject} {name} was lied about {lies} times only"
        );
    }
    assert!(!known.is_empty());
}

fn some(count: usize, rng: &mut Rng) -> Option<usize> {
    (count > 0).then(|| rng.below(count as u64) as usize)
}

fn can_build<L: Leaf>(leaves: &[L]) -> bool {
    Tree::new(leaves).is_ok()
}

fn batch_fate(world: &World) -> Option<Fate> {
    Some(Fate::Found(names(&batch_guilt(world))))
}

fn index_fate(world: &World) -> Option<Fate> {
    Some(Fate::Found(names(&index_guilt(world))))
}

#[test]
fn receipts_that_nobody_signed() {
    campaign(
        "receipt",
        |world, rng| some(world.answers.len(), rng),
        |world, at| &mut world.answers[at].receipt,
        |world, _, at, _| {
            world.recommit_answers(at);
            batch_fate(world)
        },
        |name| match name {
            "voucher.channel" | "voucher.accepted" => &["WrongLeaf", "Receipt(Cumulative)"],
            "voucher.most" => &["Receipt(Most)", "Unsigned"],
            "voucher.expiry" => &["Expired", "Unsigned"],
            "input_tokens" | "output_tokens" => &["WrongCount"],
            "fee" => &["Receipt(Fee)"],
            name if name.starts_with("terms.") => &["Receipt(Terms)"],
            _ => &[],
        },
    );
}

#[test]
fn receipts_that_a_colluding_consumer_signed() {
    campaign(
        "signed receipt",
        |world, rng| some(world.answers.len(), rng),
        |world, at| &mut world.answers[at].receipt,
        |world, honest, at, name| {
            let original = honest.answers[at].receipt;
            let answer = &mut world.answers[at];
            let voucher = &mut answer.receipt.voucher;
            // What the two may freely agree on is no lie.
            let agreed = match name {
                "terms.seed" => true,
                "voucher.most" => voucher.most >= original.fee,
                "voucher.expiry" => voucher.expiry >= world.submitted,
                _ => false,
            };
            if agreed {
                return if name == "terms.seed" {
                    Some(Fate::Found(vec!["Agreed".to_string()]))
                } else {
                    None
                };
            }
            voucher.terms = answer.receipt.terms.hash();
            answer.receipt.signature = answer.consumer.sign(&answer.receipt.voucher, world.chain_id);
            world.recommit_answers(at);
            batch_fate(world)
        },
        |name| match name {
            "voucher.channel" | "voucher.accepted" => &["WrongLeaf", "Receipt(Cumulative)"],
            "voucher.most" => &["Receipt(Most)"],
            "voucher.expiry" => &["Expired"],
            "input_tokens" | "output_tokens" => &["WrongCount"],
            "fee" => &["Receipt(Fee)"],
            "terms.model" | "terms.generation" => &["OtherBatch"],
            "terms.seed" => &["Agreed"],
            name if name.starts_with("terms.tariff.") => &["OtherBatch", "Receipt(Tariff)", "Receipt(Fee)"],
            _ => &[],
        },
    );
}

#[test]
fn attributions() {
    campaign(
        "attribution",
        |world, rng| {
            let at = some(world.answers.len(), rng)?;
            let drawn = |leaf: &openledger_attribution::batch::DrawLeaf| {
                leaf.receipt as usize == at && !leaf.is_forfeited()
            };
            (!world.is_sampled() || world.ledger.answers.iter().any(drawn)).then_some(at)
        },
        |world, at| &mut world.answers[at].attribution,
        |world, honest, at, _| {
            if still_true(world, honest, at) {
                return None;
            }
            world.recommit_answers(at);
            batch_fate(world)
        },
        |name| match name {
            "list.row" => &["WrongScore", "Shape(List"],
            "list.score" => &["WrongScore", "Shape(List"],
            "spans.start" | "spans.end" => &[
                "SpanMismatch",
                "SpanBounds",
                "SpanNotMaximal",
                "SpanMissing",
                // A span that stands elsewhere as well has other words' information, and other records.
                "SpanInformation",
                "SpanRecordMissing",
                "WrongRecord",
                "Shape(Spans",
            ],
            "spans.information" => &["SpanInformation", "Shape(Spans"],
            "spans.records.entry" => &["WrongRecord", "Shape(Spans"],
            "spans.records.position" => &["SpanMismatch", "WrongRecord", "Shape(Spans"],
            "spans.records.record.contribution" | "spans.records.record.index" => &["WrongRecord"],
            "retrieved.entry" => &["WrongRecord", "Shape(Retrieved"],
            "retrieved.record.contribution" | "retrieved.record.index" => &["WrongRecord"],
            _ => &[],
        },
    );
}

/// Whether a changed attribution says nothing false: another place in the same record where the span stands
/// as well, or the same record's entry under another version.
fn still_true(world: &World, honest: &World, at: usize) -> bool {
    let (new, old) = (&world.answers[at].attribution, &honest.answers[at].attribution);
    let corpus = stream(&world.index);
    let output: Vec<u32> = world.answers[at]
        .output
        .iter()
        .flat_map(|leaf| leaf.tokens.clone())
        .collect();
    let mut before = 0u128;
    let starts: Vec<u64> = world
        .index
        .corpus
        .iter()
        .map(|leaf| {
            let (_, start) = unpack(before);
            before += leaf.sum().unwrap();
            start
        })
        .collect();
    for (span, was) in new.spans.iter().zip(&old.spans) {
        for (record, was_record) in span.records.iter().zip(&was.records) {
            if record.position != was_record.position {
                let length = u64::from(was.end - was.start);
                let start = starts[record.entry as usize];
                let tokens = u64::from(world.index.corpus[record.entry as usize].tokens);
                let end = record.position.saturating_add(length);
                let ordered = span.records.is_sorted_by(|a, b| a.position < b.position);
                return record.position >= start
                    && end <= start + tokens
                    && ordered
                    && corpus[record.position as usize..end as usize]
                        == output[was.start as usize..was.end as usize];
            }
        }
    }
    for (record, was) in new.retrieved.iter().zip(&old.retrieved) {
        if record.entry != was.entry {
            return world
                .index
                .corpus
                .get(record.entry as usize)
                .is_some_and(|leaf| leaf.record == was.record && leaf.contributor == was.contributor);
        }
    }
    false
}

#[test]
fn receipt_leaves() {
    campaign(
        "receipt leaf",
        |world, rng| some(world.settled.receipts.len(), rng),
        |world, at| &mut world.settled.receipts[at],
        |world, _, _, _| {
            if !can_build(&world.settled.receipts) {
                return Some(Fate::Refused);
            }
            world.recommit_batch();
            batch_fate(world)
        },
        |name| match name {
            "channel" | "cumulative" => &["WrongLeaf"],
            "fee" => &["WrongLeaf", "Refused"],
            name if name.starts_with("running.") => &["WrongTotals"],
            _ => &[],
        },
    );
}

#[test]
fn channel_leaves() {
    campaign(
        "channel leaf",
        |world, rng| some(world.settled.channels.len(), rng),
        |world, at| &mut world.settled.channels[at],
        |world, _, _, _| {
            if !can_build(&world.settled.channels) {
                return Some(Fate::Refused);
            }
            world.recommit_batch();
            batch_fate(world)
        },
        |name| match name {
            "channel" => &["ChannelMissing", "ChannelsDisordered"],
            "from" | "to" => &["WrongCursor", "Refused"],
            _ => &[],
        },
    );
}

#[test]
fn draws() {
    campaign(
        "draw leaf",
        |world, rng| some(world.ledger.answers.len(), rng),
        |world, at| &mut world.ledger.answers[at],
        |world, _, _, _| {
            if !can_build(&world.ledger.answers) {
                return Some(Fate::Refused);
            }
            world.recommit_credits();
            batch_fate(world)
        },
        |name| match name {
            "receipt" => &["WrongDraw"],
            "forfeit" => &["WrongForfeit", "Refused"],
            _ => &[],
        },
    );
}

#[test]
fn parts() {
    campaign(
        "part leaf",
        |world, rng| some(world.ledger.parts.len(), rng),
        |world, at| &mut world.ledger.parts[at],
        |world, _, _, _| {
            if !can_build(&world.ledger.parts) {
                return Some(Fate::Refused);
            }
            world.recommit_credits();
            batch_fate(world)
        },
        |name| match name {
            "source" => &["WrongPart", "PartWithoutSource", "PartMissing", "PartsDisordered"],
            "amount" => &["WrongPart", "Refused"],
            _ => &[],
        },
    );
}

#[test]
fn credits() {
    campaign(
        "credit leaf",
        |world, rng| some(world.ledger.credits.len(), rng),
        |world, at| &mut world.ledger.credits[at],
        |world, _, _, _| {
            if !can_build(&world.ledger.credits) {
                return Some(Fate::Refused);
            }
            world.recommit_credits();
            batch_fate(world)
        },
        |name| match name {
            "first" | "end" => &["CreditRange", "CreditShape"],
            "amount" => &["CreditSum", "Refused"],
            _ => &[],
        },
    );
}

#[test]
fn batch_headers() {
    campaign(
        "batch header",
        |_, _| Some(0),
        |world, _| &mut world.settled.header,
        |world, _, _, _| {
            world.ledger.header.batch = world.settled.header.hash();
            batch_fate(world)
        },
        |name| match name {
            "model" | "generation" => &["OtherBatch"],
            "draws" => &["Batch(Draws)", "WrongKind"],
            "minimum" => &["Batch(Minimum)"],
            "channels.count" | "receipts.count" => &["Withheld", "Batch(Root)"],
            "channels.sum" | "receipts.sum" => &["Batch(Sums)", "Batch(Empty)"],
            name if name.starts_with("tariff.") => &["OtherBatch", "Batch(Tariff)"],
            name if name.starts_with("totals.") => &["WrongTotals"],
            _ => &[],
        },
    );
}

#[test]
fn credits_headers() {
    campaign(
        "credits header",
        |_, _| Some(0),
        |world, _| &mut world.ledger.header,
        |world, _, _, _| batch_fate(world),
        |name| match name {
            "answers.count" | "answers.sum" => &["Batch(Root)", "Batch(Draws)", "Batch(Credits)", "Withheld"],
            "parts.count" | "parts.sum" => &["Batch(Root)", "Batch(Credits)", "Withheld", "CreditShape"],
            "credits.count" | "credits.sum" => &["Batch(Root)", "Batch(Credits)", "Withheld"],
            _ => &[],
        },
    );
}

#[test]
fn index_headers() {
    campaign(
        "index header",
        |_, _| Some(0),
        |world, _| &mut world.index.header,
        |world, _, _, _| index_fate(world),
        |name| match name {
            "model" | "generation" => &["IndexOrder"],
            name if name.starts_with("rules.") || name.starts_with("sources.") => &["IndexOrder"],
            "verbatim.vocabulary" | "verbatim.separator" => &["IndexOrder"],
            "bases.count" | "bases.sum" => &["Index(Bases)", "Index(Root)"],
            "corpus.count" => &["Index(Corpus)", "Index(Root)"],
            "corpus.sum" => &["Index(Rows)", "Index(Verbatim)"],
            "rows.count" | "rows.sum" => &["Index(Rows)", "Index(Root)"],
            "verbatim.tokens.count" | "verbatim.table.count" => &["Index(Verbatim)", "Index(Root)"],
            "verbatim.shards.count" => &["Withheld", "Index(Root)"],
            name if name.starts_with("verbatim.") => &["Index(Verbatim)", "Index(Root)"],
            _ => &[],
        },
    );
}

#[test]
fn layouts() {
    campaign(
        "layout",
        |_, _| Some(0),
        |world, _| &mut world.index.layout,
        |world, _, _, _| {
            world.index.header.layout = world.index.layout.hash();
            index_fate(world)
        },
        |_| &["Index(", "InvalidRow(Shape)", "InvalidBasis"],
    );
}

#[test]
fn rows() {
    campaign(
        "row",
        |world, rng| some(world.index.rows.len(), rng),
        |world, at| &mut world.index.rows[at],
        |world, honest, at, _| {
            world.recommit_index();
            let mut found = names(&index_guilt(world));
            if !recomputed_agrees(&world.rule, world, honest, at) {
                found.push("Committee".to_string());
            } else if only_one_lane_by_one(world, honest, at) {
                // Within the tolerance that rounding needs.
                return None;
            }
            Some(Fate::Found(found))
        },
        |name| match name {
            "source" | "record.contribution" | "record.index" | "unit" => &["WrongRow"],
            "sketch.exponents" | "sketch.lanes" => &["InvalidRow", "Committee"],
            _ => &[],
        },
    );
}

/// What a committee member who recomputes a row finds: the honest row's numbers, rounded at the probe
/// exponents.
fn recomputed_agrees(rule: &Rule, world: &World, honest: &World, at: usize) -> bool {
    let committed = world.index.rows[at].sketch.view();
    let truth = &honest.index.rows[at].sketch;
    let Some(probes) = rule.probe_exponents(committed) else {
        return false;
    };
    let blocks = rule.blocks(truth.view()).unwrap();
    let recomputed: Vec<i32> = blocks
        .zip(probes)
        .flat_map(|((exponent, lanes), probe)| {
            lanes.iter().map(move |lane| at_exponent(*lane, exponent, probe))
        })
        .collect();
    rule.agrees(committed, &recomputed).is_ok()
}

/// lane · 2^exponent in units of 2^probe, rounded, half away from zero.
fn at_exponent(lane: i8, exponent: i8, probe: i8) -> i32 {
    let by = i32::from(exponent) - i32::from(probe);
    let wide = i128::from(lane);
    let value = if by >= 0 {
        wide << by.min(100)
    } else if by < -20 {
        0
    } else {
        let unit = 1i128 << -by;
        (wide.abs() * 2 + unit) / (2 * unit) * wide.signum()
    };
    value.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32
}

fn only_one_lane_by_one(world: &World, honest: &World, at: usize) -> bool {
    let (new, old) = (&world.index.rows[at].sketch, &honest.index.rows[at].sketch);
    let off: Vec<u8> = new
        .lanes
        .iter()
        .zip(&old.lanes)
        .map(|(a, b)| a.abs_diff(*b))
        .filter(|off| *off > 0)
        .collect();
    new.exponents == old.exponents && off == [1]
}

#[test]
fn corpus_entries() {
    campaign(
        "corpus entry",
        |world, rng| some(world.index.corpus.len(), rng),
        |world, at| &mut world.index.corpus[at],
        |world, _, _, _| {
            world.recommit_index();
            index_fate(world)
        },
        |name| match name {
            "source" | "record.contribution" | "record.index" => &["WrongCorpus"],
            "tokens" => &["WrongTokens", "Index(Rows)", "Index(Verbatim)"],
            _ => &[],
        },
    );
}

#[test]
fn chunks_of_tokens() {
    campaign(
        "chunk",
        |world, rng| some(world.index.tokens.len(), rng),
        |world, at| &mut world.index.tokens[at],
        |world, honest, _, _| {
            world.recommit_index();
            let mut found = names(&index_guilt(world));
            if !tokens_agree(&stream(&world.index), &stream(&honest.index)) {
                found.push("Committee".to_string());
            }
            Some(Fate::Found(found))
        },
        |_| &["InvalidChunk", "WrongTokens", "SuffixOrder", "TokenCount"],
    );
}

#[test]
fn table_entries() {
    campaign(
        "table entry",
        |world, rng| some(world.index.table.len(), rng),
        |world, at| &mut world.index.table[at],
        |world, _, at, _| {
            if !can_build(&world.index.table) {
                return Some(Fate::Refused);
            }
            world.recommit_index();
            let mut found = names(&index_guilt(world));
            if !flags_agree(&world.index.table[at], flags(at as u32)) {
                found.push("Committee".to_string());
            }
            Some(Fate::Found(found))
        },
        |name| match name {
            "flags" => &["Committee", "Refused"],
            "count" => &["TokenCount"],
            _ => &[],
        },
    );
}

#[test]
fn shards() {
    campaign(
        "shard",
        |world, rng| some(world.index.shards.len(), rng),
        |world, at| &mut world.index.shards[at],
        |world, _, _, _| {
            if !can_build(&world.index.shards) {
                return Some(Fate::Refused);
            }
            world.index.header.verbatim.shards = root(&world.index.shards);
            index_fate(world)
        },
        |_| &["InvalidShard", "Refused"],
    );
}

#[test]
fn suffixes() {
    campaign(
        "suffix entry",
        |world, rng| some(world.index.suffixes[0].len(), rng),
        |world, at| &mut world.index.suffixes[0][at],
        |world, _, _, _| {
            world.recommit_index();
            index_fate(world)
        },
        |_| &["SuffixRange", "SuffixTwice"],
    );
}

#[test]
fn shard_counts() {
    campaign(
        "shard count",
        |world, rng| some(world.index.counts[0].len(), rng),
        |world, at| &mut world.index.counts[0][at],
        |world, _, _, _| {
            world.recommit_index();
            index_fate(world)
        },
        |_| &["InvalidShard", "TokenCount"],
    );
}

#[test]
fn sources() {
    campaign(
        "source",
        |world, rng| some(world.index.sources.len(), rng),
        |world, at| &mut world.index.sources[at],
        |world, _, _, _| {
            if !can_build(&world.index.sources) {
                return Some(Fate::Refused);
            }
            world.index.header.sources = root(&world.index.sources);
            index_fate(world)
        },
        |name| match name {
            // The tree of sources adds these up: beside such a sum as overflows, nobody can commit to it.
            "records.sum" => &["IndexOrder", "Refused"],
            _ => &["IndexOrder"],
        },
    );
}

#[test]
fn version_records() {
    campaign(
        "version record",
        |world, rng| some(world.index.versions[0].len(), rng),
        |world, at| &mut world.index.versions[0][at],
        |world, _, _, _| {
            world.index.sources[0].records = root(&world.index.versions[0]);
            Some(Fate::Found(names(&version_guilt(world))))
        },
        |_| &["WrongVersionRecord", "VersionDisordered"],
    );
}

#[test]
fn bases() {
    campaign(
        "basis",
        |world, rng| some(world.index.bases.len(), rng),
        |world, at| &mut world.index.bases[at],
        |world, honest, at, _| {
            world.recommit_index();
            let mut found = names(&index_guilt(world));
            let within = match (&world.index.bases[at], &honest.index.bases[at]) {
                (BasisLeaf::Spectrum(new), BasisLeaf::Spectrum(old)) => {
                    if spectra_agree(new, old) {
                        true
                    } else {
                        found.push("Committee".to_string());
                        false
                    }
                }
                // A few units of the last place are rounding.
                (BasisLeaf::Vector(new), BasisLeaf::Vector(old)) => {
                    new.iter().zip(old).all(|(a, b)| a.abs_diff(*b) <= 16)
                }
                _ => false,
            };
            (!within).then_some(Fate::Found(found))
        },
        |name| match name {
            "vector." | "vector" => &["NotOrthonormal"],
            _ => &["Committee", "InvalidBasis"],
        },
    );
}
