//! Lies planted in honest worlds, submitted, challenged and proved.

use super::{name, wanted, Row, Tally, LIES, OF_BATCHES};
use crate::{
    mock::*,
    tests::common::{
        plants::{plant_all, plant_numbers, About, Plant},
        watch::{batch_evidence, batch_facts, index_evidence, index_facts, requests},
        world::World,
        Rng,
    },
    BatchStage, Committed, IndexBonds, IndexStage,
};
use frame_support::{
    assert_ok,
    traits::fungible::{Inspect, InspectHold},
};
use openledger_attribution::{
    hash::Hash,
    verdict::{judge_batch, judge_index, BatchEvidence, Guilt, IndexEvidence, Verdict},
    wire::Object,
};
use openledger_protocol::{
    batches::{commitment, disputed},
    disputes::index_commitment,
};
use std::collections::{BTreeMap, BTreeSet};

const SALT: Hash = [5; 32];

/// Every kind of lie about this: those of the dispute table by name, those about numbers by number.
fn plants(of: fn(&About) -> bool) -> Vec<(String, Plant)> {
    let named = plant_all()
        .into_iter()
        .filter(move |(_, about, _, _)| of(about))
        .map(|(name, _, plant, _)| (name.to_owned(), plant));
    let numbers = plant_numbers()
        .into_iter()
        .filter(move |(about, _)| of(about))
        .enumerate()
        .map(|(n, (_, plant))| (format!("number {n}"), plant));
    named.chain(numbers).collect()
}

/// What became of a lie.
enum Fate {
    Caught(Guilt),
    /// Its row has had enough.
    Enough,
    /// The chain itself refused it.
    Refused,
    /// Nothing that can be shown proves it.
    Unproven,
}

/// Lies that only a real signature proves, and a count of one leaf too many (number 12), which nobody can show: they may not be proved here.
const BY_OTHER_MEANS: [&str; 3] = [
    "a voucher nobody signed",
    "a channel of another consumer",
    "number 12",
];

/// Plants lies in worlds until every row has had enough; `tell` says what became of one. Returns those that were caught, and fails if
/// another got away.
fn lie(
    what: &str,
    of: fn(&About) -> bool,
    rows: &[Row],
    of_each: u32,
    make: impl Fn(u64) -> World,
    tell: impl Fn(&World, &str, &dyn Fn(Row) -> bool) -> Fate,
) -> BTreeSet<String> {
    let plants = plants(of);
    let mut tally = Tally::new(rows, of_each);
    // Which rows have caught a kind of lie.
    let mut seen: BTreeMap<String, BTreeSet<Row>> = BTreeMap::new();
    let (mut refused, mut unproven): (u32, BTreeMap<String, u32>) = Default::default();
    tally.fill(what, |seed, tally| {
        let honest = make(seed);
        let mut rng = Rng(seed);
        let mut order: Vec<usize> = (0..plants.len()).collect();
        rng.shuffle(&mut order);
        for at in order {
            let (name, plant) = &plants[at];
            if seen
                .get(name)
                .is_some_and(|rows| !rows.iter().any(|row| tally.wants(*row)))
            {
                continue;
            }
            let mut world = honest.clone();
            if !plant(&mut world, &mut rng) {
                continue;
            }
            let is_new = !seen.contains_key(name);
            match tell(&world, name, &|row| is_new || tally.wants(row)) {
                Fate::Caught(guilt) => {
                    let row = Row::from(guilt);
                    seen.entry(name.clone()).or_default().insert(row);
                    tally.add(row, name.clone());
                }
                Fate::Enough => {}
                Fate::Refused => refused += 1,
                Fate::Unproven => *unproven.entry(name.clone()).or_default() += 1,
            }
        }
    });
    println!("  refused by the chain: {refused}; not proved: {unproven:?}");
    let got_away = unproven
        .keys()
        .find(|name| !BY_OTHER_MEANS.contains(&name.as_str()));
    assert_eq!(got_away, None, "{unproven:?}");
    seen.into_keys().collect()
}

/// Evidence that proves a lie of this world, and of what. Signatures are left out: this world's are not real ones.
fn proof_of_batch(world: &World) -> Option<(BatchEvidence, Guilt)> {
    batch_evidence(world).into_iter().find_map(|evidence| {
        match judge_batch(&batch_facts(world), &evidence, &world.keys()) {
            Verdict::Guilty(guilt) if guilt != Guilt::Unsigned => Some((evidence, guilt)),
            _ => None,
        }
    })
}

fn proof_of_index(world: &World) -> Option<(IndexEvidence, Guilt)> {
    index_evidence(world)
        .into_iter()
        .find_map(|evidence| match judge_index(&index_facts(world), &evidence) {
            Verdict::Guilty(guilt) => Some((evidence, guilt)),
            Verdict::NotProven(_) => None,
        })
}

/// Submits the world's batch, and answers its draws if it is sampled; whether the chain took it.
fn submitted(world: &World) -> bool {
    if submit(world).is_err() {
        return false;
    }
    if !world.is_sampled() {
        return true;
    }
    advance(2 * EPOCH);
    let header = Box::new(world.ledger.header);
    Attribution::answer_draws(Some(worker(world)).into(), 0, header).is_ok()
}

/// Has a lying batch condemned, and looks where all of its money went.
fn condemn_batch(world: &World, name: &str, wants: &dyn Fn(Row) -> bool) -> Fate {
    let Some((evidence, guilt)) = proof_of_batch(world) else {
        return Fate::Unproven;
    };
    if !wants(Row::from(guilt)) {
        return Fate::Enough;
    }
    let mut fate = Fate::Refused;
    test(world, || {
        // Some lies the chain itself refuses.
        if !submitted(world) {
            return;
        }
        let commitment = commitment(&CHALLENGER.into(), 0, &SALT, &evidence);
        assert_ok!(Attribution::challenge(Some(CHALLENGER).into(), 0, commitment));
        advance(1);
        let shown = Box::new(evidence.clone());
        assert_ok!(Attribution::prove(Some(CHALLENGER).into(), 0, SALT, shown));
        let batch = crate::Batches::<Test>::get(0).unwrap();
        assert_eq!(batch.stage, BatchStage::Condemned { guilt }, "{name}");
        let header = &world.settled.header;
        let receipt = disputed(&evidence);
        let fee = receipt.map_or(header.totals.contributors, |receipt| receipt.fee);
        outside(|o| {
            assert_eq!(o.slashed, loss(world, fee), "{name}");
            assert_eq!(o.slashed_frozen, [true], "{name}: once, and before the thaw");
            assert_eq!((o.escrowed, o.forfeited), (0, 0), "{name}: nothing stays behind");
            let paid: u128 = o.credits.values().sum::<u128>() + o.treasury;
            assert_eq!(paid, header.receipts.sum, "{name}: nothing is made or lost");
            if let Some(receipt) = receipt.filter(|receipt| receipt.fee > 0) {
                let consumer = &o.consumers[&receipt.channel];
                assert!(
                    o.credits[consumer] >= receipt.fee.min(header.receipts.sum),
                    "{name}"
                );
            }
        });
        let held = Balances::total_balance_on_hold(&CHALLENGER);
        assert_eq!(held, 0, "{name}: the deposit came back");
        fate = Fate::Caught(guilt);
    });
    fate
}

/// Half of each row's lies in whole batches.
#[test]
fn every_lie_about_a_whole_batch_should_be_condemned_and_paid_for() {
    let is_batch = |about: &About| matches!(about, About::Batch);
    let make = |seed| World::new(seed, false);
    let of_each = wanted(LIES / 2);
    let caught = lie(
        "lies about whole batches",
        is_batch,
        &OF_BATCHES,
        of_each,
        make,
        condemn_batch,
    );
    for must in [
        "a row left out",
        "a listed row of somebody else",
        "a list out of order",
        "a query of bytes no gradient gives",
    ] {
        assert!(caught.contains(must), "{must} was never tried");
    }
}

/// And half in sampled ones: in their receipts, their draws, or what they give.
#[test]
fn every_lie_about_a_sampled_batch_should_be_condemned_and_paid_for() {
    let is_batch = |about: &About| matches!(about, About::Batch);
    let make = |seed| World::new(seed, true);
    let of_each = wanted(LIES / 2);
    let caught = lie(
        "lies about sampled batches",
        is_batch,
        &OF_BATCHES,
        of_each,
        make,
        condemn_batch,
    );
    for must in [
        "a draw forfeited for nothing",
        "a row left out",
        "a part left out",
        "a credit left out",
    ] {
        assert!(caught.contains(must), "{must} was never caught");
    }
}

#[test]
fn every_lie_about_an_index_should_void_it_and_cost_its_builder() {
    let is_index = |about: &About| matches!(about, About::Index);
    let make = |seed| World::new(seed, false);
    let rows = [Row::Score, Row::Index, Row::Suffixes];
    let caught = lie(
        "lies about indexes",
        is_index,
        &rows,
        wanted(LIES),
        make,
        |world, name, wants| {
            let Some((evidence, guilt)) = proof_of_index(world) else {
                return Fate::Unproven;
            };
            if !wants(Row::from(guilt)) {
                return Fate::Enough;
            }
            test(world, || {
                let index = world.index.header.hash();
                let commitment = index_commitment(&CHALLENGER.into(), &index, &SALT, &evidence);
                assert_ok!(Attribution::challenge_index(
                    Some(CHALLENGER).into(),
                    index,
                    commitment
                ));
                advance(1);
                let shown = Box::new(evidence.clone());
                assert_ok!(Attribution::prove_index(
                    Some(CHALLENGER).into(),
                    index,
                    SALT,
                    shown
                ));
                let bond = IndexBonds::<Test>::get(index).unwrap();
                assert_eq!(bond.stage, IndexStage::Void { guilt }, "{name}");
                outside(|o| {
                    assert_eq!(o.slashed, STAKE, "{name}");
                    assert_eq!(o.slashed_frozen, [true], "{name}: once, and before the thaw");
                    assert_eq!(o.open, 0, "{name}: nothing stands behind it any more");
                    let header = &world.index.header;
                    assert_eq!(o.voided, [(header.model, header.generation, index)], "{name}");
                });
                let held = Balances::total_balance_on_hold(&CHALLENGER);
                assert_eq!(held, 0, "{name}: the deposit came back");
            });
            Fate::Caught(guilt)
        },
    );
    assert_eq!(
        caught.len(),
        plants(is_index).len(),
        "some lie was never caught: {caught:?}"
    );
}

#[test]
fn everything_withheld_should_condemn_its_holder_and_the_price_go_back() {
    let mut tally = Tally::new(&[Row::Withheld], wanted(LIES));
    tally.fill("data withheld", |seed, tally| {
        let mut rng = Rng(seed);
        let world = World::new(seed, rng.chance(40));
        let index = world.index.header.hash();
        for (of, of_index) in [(Committed::Batch(0), false), (Committed::Index(index), true)] {
            let all = requests(&world, of_index);
            if all.is_empty() {
                continue;
            }
            let wanted = all[rng.below(all.len() as u64) as usize];
            test(&world, || {
                assert!(submitted(&world));
                assert_ok!(Attribution::request_reveal(Some(CHALLENGER).into(), of, wanted));
                advance(REVEAL + 1);
                assert_ok!(Attribution::end_request(Some(MODEL_OWNER).into(), of, wanted));
                let guilt = Guilt::Withheld;
                let loss = if of_index {
                    let bond = IndexBonds::<Test>::get(index).unwrap();
                    assert_eq!(bond.stage, IndexStage::Void { guilt }, "{wanted:?}");
                    STAKE
                } else {
                    let batch = crate::Batches::<Test>::get(0).unwrap();
                    assert_eq!(batch.stage, BatchStage::Condemned { guilt }, "{wanted:?}");
                    loss(&world, world.settled.header.totals.contributors)
                };
                assert_eq!(outside(|o| o.slashed), loss, "{wanted:?}");
                assert_eq!(Balances::total_balance(&CHALLENGER), 1_000 * OPEN, "{wanted:?}");
                assert_eq!(Balances::total_balance_on_hold(&CHALLENGER), 0, "{wanted:?}");
            });
            tally.add(Row::Withheld, name(&wanted));
        }
    });
}
