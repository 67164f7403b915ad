//! An honest object is never found guilty: not by a watcher that tries everything, not by evidence that was
//! tampered with, put together from pieces, or taken from somewhere else.

mod common;

use common::{law, seed, watch::*, world::World, Rng};
use openledger_attribution::{verdict::*, wire::Field};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

#[test]
fn a_watcher_finds_nothing_in_an_honest_world() {
    law(60, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let world = World::new(seed, sampled);
        assert_innocent(&batch_guilt(&world))?;
        assert_innocent(&index_guilt(&world))?;
        assert_innocent(&version_guilt(&world))
    });
}

/// Evidence of every kind about a world, and how to judge it.
struct Court {
    batch: Vec<BatchEvidence>,
    index: Vec<IndexEvidence>,
    version: Vec<VersionEvidence>,
}

impl Court {
    fn of(world: &World) -> Self {
        Self {
            batch: batch_evidence(world),
            index: index_evidence(world),
            version: version_evidence(world, 0),
        }
    }
}

fn judge_of_batch(world: &World) -> impl Fn(&BatchEvidence) -> Verdict + '_ {
    let (facts, keys) = (batch_facts(world), world.keys());
    move |evidence| judge_batch(&facts, evidence, &keys)
}

fn judge_of_index(world: &World) -> impl Fn(&IndexEvidence) -> Verdict + '_ {
    let facts = index_facts(world);
    move |evidence| judge_index(&facts, evidence)
}

fn judge_of_version(world: &World) -> impl Fn(&VersionEvidence) -> Verdict + '_ {
    let facts = VersionFacts {
        records: world.index.sources[0].records,
        registry: &world.chain,
    };
    move |evidence| judge_version(&facts, evidence)
}

/// The case's name, told by its debug form.
fn case(evidence: &impl Debug) -> String {
    let text = format!("{evidence:?}");
    text.split('(').next().unwrap().to_string()
}

/// The watcher's evidence would mean nothing if it failed on its proofs: every case must get as far as
/// "right".
#[test]
fn evidence_about_honest_objects_gets_to_the_point() {
    let seed = seed();
    let mut right: BTreeMap<String, u64> = BTreeMap::new();
    for n in 0..40 {
        let world = World::new(seed.wrapping_add(n << 8), n % 2 == 0);
        let court = Court::of(&world);
        let mut note = |name: String, verdict: Verdict| {
            let count = right.entry(name).or_default();
            *count += u64::from(verdict == Verdict::NotProven(Doubt::Right));
        };
        court
            .batch
            .iter()
            .for_each(|e| note(case(e), judge_of_batch(&world)(e)));
        court
            .index
            .iter()
            .for_each(|e| note(format!("index {}", case(e)), judge_of_index(&world)(e)));
        court
            .version
            .iter()
            .for_each(|e| note(format!("version {}", case(e)), judge_of_version(&world)(e)));
    }
    println!("{right:?}");
    // Gaps for a channel or a representative cannot even be built in an honest world: those cases do not
    // occur.
    assert_eq!(right.len(), 30 + 16 + 3, "with ATTRIBUTION_SEED={seed}");
    let never: Vec<_> = right.iter().filter(|(_, count)| **count == 0).collect();
    assert!(never.is_empty(), "with ATTRIBUTION_SEED={seed}: {never:?}");
}

/// Some evidence of each case, at most `most`.
fn sample<E: Debug + Clone>(evidence: &[E], most: usize, rng: &mut Rng) -> Vec<E> {
    let mut cases: BTreeMap<String, Vec<&E>> = BTreeMap::new();
    for one in evidence {
        cases.entry(case(one)).or_default().push(one);
    }
    let mut picked = Vec::new();
    for all in cases.values_mut() {
        rng.shuffle(all);
        picked.extend(all.iter().take(most).map(|one| (*one).clone()));
    }
    picked
}

fn size(evidence: &impl Field) -> u64 {
    let mut bytes = Vec::new();
    evidence.write(&mut bytes);
    bytes.len() as u64 * 8
}

/// Flips bits of evidence: all of small ones, some of large ones. Returns how many still could be read.
fn flip_bits<E: Field + Debug + Clone>(
    evidence: &[E],
    judge: impl Fn(&E) -> Verdict,
    most: u64,
    rng: &mut Rng,
) -> Result<u64, TestCaseError> {
    let mut read = 0;
    for one in evidence {
        let bits = size(one);
        let places: Vec<u64> = if bits <= most {
            (0..bits).collect()
        } else {
            (0..most).map(|_| rng.below(bits)).collect()
        };
        for bit in places {
            let Some(forged) = flipped(one, bit) else { continue };
            read += 1;
            let verdict = judge(&forged);
            prop_assert!(
                !verdict.is_guilty(),
                "bit {bit} of {} made {verdict:?}",
                case(one)
            );
        }
    }
    Ok(read)
}

#[test]
fn tampered_evidence_convicts_nobody() {
    law(6, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let mut rng = Rng(seed);
        let world = World::new(seed, sampled);
        let court = Court::of(&world);
        let batch = sample(&court.batch, 3, &mut rng);
        let index = sample(&court.index, 3, &mut rng);
        let version = sample(&court.version, 3, &mut rng);
        let mut read = flip_bits(&batch, judge_of_batch(&world), 400, &mut rng)?;
        read += flip_bits(&index, judge_of_index(&world), 400, &mut rng)?;
        read += flip_bits(&version, judge_of_version(&world), 4_000, &mut rng)?;
        prop_assert!(read > 1_000);
        Ok(())
    });
}

#[test]
fn evidence_from_another_world_convicts_nobody() {
    law(30, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let world = World::new(seed, sampled);
        let other = Court::of(&World::new(seed.wrapping_add(1), sampled));
        for evidence in &other.batch {
            // Headers are facts, not evidence.
            prop_assert!(
                !judge_of_batch(&world)(evidence).is_guilty(),
                "{}",
                case(evidence)
            );
        }
        for evidence in &other.index {
            prop_assert!(
                !judge_of_index(&world)(evidence).is_guilty(),
                "{}",
                case(evidence)
            );
        }
        for evidence in &other.version {
            prop_assert!(
                !judge_of_version(&world)(evidence).is_guilty(),
                "{}",
                case(evidence)
            );
        }
        Ok(())
    });
}

/// Puts a piece of evidence together from two of the same case: each field from either.
macro_rules! splice {
    ($a:expr, $b:expr, $rng:ident, $enum:ident { $($case:ident($type:ident { $($field:ident),* })),* $(,)? }) => {
        match ($a, $b) {
            $(($enum::$case(a), $enum::$case(b)) => {
                // Every field is named, so that a new one is spliced as well.
                let $type { $($field: _),* } = a;
                Some($enum::$case($type {
                    $($field: if $rng.chance(50) { a.$field.clone() } else { b.$field.clone() }),*
                }))
            })*
            _ => None,
        }
    };
}

fn splice_batch(a: &BatchEvidence, b: &BatchEvidence, rng: &mut Rng) -> Option<BatchEvidence> {
    splice!(a, b, rng, BatchEvidence {
        Score(WrongScore { answer, entry, layout, query, row }),
        LeftOut(LeftOut { answer, layout, query, row }),
        Query(QueryBlock { answer, layout, root, block }),
        Shape(AnswerProof { leaf, receipt, attribution, draw }),
        NamedRow(NamedRow { answer, entry, row }),
        NamedRecord(NamedRecord { answer, span, record, corpus }),
        Receipt(ReceiptRules { leaf, receipt, channel }),
        Count(TextCount { leaf, receipt, output, root }),
        Receipts(Neighbours { left, right }),
        Chain(ReceiptProof { leaves, receipt }),
        ChannelEnd(ChannelEnd { channel, receipt, last, beyond }),
        Channels(Neighbours { left, right }),
        Totals(RunningTotals { before, leaf, receipt, attribution }),
        Draw(DrawnReceipt { draw, receipt }),
        Parts(Neighbours { left, right }),
        Part(PartOfAnswer { part, answer }),
        PartOfForfeit(PartOfForfeit { part, draw }),
        PartMissing(PartMissing { answer, contributor, gap }),
        Credits(Neighbours { left, right }),
        CreditRange(CreditRange { credit, part }),
        CreditSum(CreditSum { credit, first, last }),
        CreditMissing(CreditMissing { first, last, gap }),
        SpanMismatch(SpanMismatch { answer, span, record, text, corpus }),
        SpanBounds(SpanBounds { answer, span, text, table }),
        SpanOccurrence(SpanOccurrence { answer, start, position, text, corpus, table }),
        SpanInformation(SpanInformation { answer, span, text, table }),
        SpanRecord(SpanRecordMissing { answer, span, position, record, text, corpus }),
    })
}

fn splice_index(a: &IndexEvidence, b: &IndexEvidence, rng: &mut Rng) -> Option<IndexEvidence> {
    splice!(a, b, rng, IndexEvidence {
        Row(RowPlace { row, corpus }),
        Rows(Neighbours { left, right }),
        RowBytes(RowBytes { row, layout }),
        Corpus(CorpusRecord { source, record, corpus }),
        Tokens(RecordTokens { record, corpus }),
        Shard(ShardShape { shard, record }),
        SuffixRange(SuffixEntry { shard, entry }),
        SuffixPair(SuffixPair { shard, left, right, left_tokens, right_tokens }),
        SuffixGap(SuffixGap { shard, position, length, tokens, before, after }),
        TableCount(TableCount { entry, shards, counts }),
        ShardCount(ShardCount { shard, count, entry, tokens }),
        Basis(BasisShape { leaf, layout }),
        BasisPair(BasisPair { one, other, layout }),
    })
}

fn splice_version(a: &VersionEvidence, b: &VersionEvidence, rng: &mut Rng) -> Option<VersionEvidence> {
    splice!(a, b, rng, VersionEvidence {
        Order(Neighbours { left, right }),
        Record(VersionRecord { leaf, record }),
        Representative(Representative { leaf, representative }),
    })
}

/// Evidence by case.
fn by_case<E: Debug>(evidence: &[E]) -> Vec<Vec<&E>> {
    let mut cases: BTreeMap<String, Vec<&E>> = BTreeMap::new();
    for one in evidence {
        cases.entry(case(one)).or_default().push(one);
    }
    cases.into_values().collect()
}

fn splice_all<E: Debug>(
    evidence: &[E],
    splice: impl Fn(&E, &E, &mut Rng) -> Option<E>,
    judge: impl Fn(&E) -> Verdict,
    times: u64,
    rng: &mut Rng,
) -> Result<BTreeSet<String>, TestCaseError> {
    let mut done = BTreeSet::new();
    for same in by_case(evidence) {
        for _ in 0..times {
            let (a, b) = (
                rng.below(same.len() as u64) as usize,
                rng.below(same.len() as u64) as usize,
            );
            let Some(forged) = splice(same[a], same[b], rng) else {
                break;
            };
            let verdict = judge(&forged);
            prop_assert!(
                !verdict.is_guilty(),
                "{} put together gave {verdict:?}",
                case(&forged)
            );
            done.insert(case(&forged));
        }
    }
    Ok(done)
}

#[test]
fn evidence_put_together_convicts_nobody() {
    law(20, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let mut rng = Rng(seed);
        let world = World::new(seed, sampled);
        let court = Court::of(&world);
        splice_all(&court.batch, splice_batch, judge_of_batch(&world), 100, &mut rng)?;
        splice_all(&court.index, splice_index, judge_of_index(&world), 100, &mut rng)?;
        splice_all(
            &court.version,
            splice_version,
            judge_of_version(&world),
            100,
            &mut rng,
        )?;
        Ok(())
    });
}

/// Whatever facts and evidence say, a judge returns: nothing here may panic.
#[test]
fn judges_never_panic_on_tampered_objects() {
    law(6, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let mut rng = Rng(seed);
        let honest = World::new(seed, sampled);
        let court = Court::of(&honest);
        let batch = sample(&court.batch, 2, &mut rng);
        let index = sample(&court.index, 2, &mut rng);
        for _ in 0..60 {
            let mut world = honest.clone();
            // Headers are trusted, so whatever stands in them must be borne.
            let mut bits = |size: u64| rng.below(size);
            world.settled.header =
                flipped(&honest.settled.header, bits(size(&honest.settled.header))).unwrap();
            world.ledger.header = flipped(&honest.ledger.header, bits(size(&honest.ledger.header))).unwrap();
            if let Some(header) = flipped(&honest.index.header, bits(size(&honest.index.header))) {
                world.index.header = header;
            }
            // Facts that do not belong together would end every judgement at once.
            world.settled.header.index = openledger_attribution::wire::Object::hash(&world.index.header);
            world.ledger.header.batch = openledger_attribution::wire::Object::hash(&world.settled.header);
            batch.iter().for_each(|evidence| {
                assert!(judge_of_batch(&world)(evidence) != Verdict::Guilty(Guilt::Withheld))
            });
            index.iter().for_each(|evidence| {
                assert!(judge_of_index(&world)(evidence) != Verdict::Guilty(Guilt::Withheld))
            });
        }
        Ok(())
    });
}
