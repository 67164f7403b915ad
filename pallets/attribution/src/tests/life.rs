//! Whatever people do, in whatever order: the state adds up after each act, and in the end every planck has gone somewhere.

use super::{
    common::{
        plants::{plant_all, About},
        watch::{batch_evidence, index_evidence, requests, reveal as shown, Grove},
        world::World,
        Rng,
    },
    seeds,
};
use crate::{mock::*, BatchStage, Challenges, Committed, IndexBonds, IndexChallenges, IndexStage, Requests};
use frame_support::{assert_ok, storage::with_storage_layer, traits::fungible::InspectHold};
use openledger_attribution::{
    hash::Hash,
    verdict::{BatchEvidence, IndexEvidence, Wanted},
    wire::Object,
};
use openledger_protocol::{batches::commitment, disputes::index_commitment};
use sp_runtime::{AccountId32, DispatchResult};
use std::collections::BTreeMap;

const SALT: Hash = [5; 32];

struct Life<'a> {
    world: &'a World,
    index: Hash,
    evidence: Vec<BatchEvidence>,
    about_index: Vec<IndexEvidence>,
    wanted: Vec<(Committed, Wanted)>,
    /// What was committed to last, by whom.
    committed: BTreeMap<AccountId32, usize>,
    committed_index: BTreeMap<AccountId32, usize>,
}

const KINDS: u64 = 17;

impl Life<'_> {
    fn act(&mut self, kind: u64, rng: &mut Rng) -> DispatchResult {
        let who = [CHALLENGER, MODEL_OWNER][rng.below(2) as usize].clone();
        let by = Some(who.clone());
        let (of, wanted) = self.wanted[rng.below(self.wanted.len() as u64) as usize];
        // One that was asked for, if there is any.
        let (asked, what) = Requests::<Test>::iter_keys().next().unwrap_or((of, wanted));
        let worker = Some(worker(self.world));
        match kind {
            0 => submit(self.world),
            1 => {
                let at = rng.below(self.evidence.len() as u64) as usize;
                let commitment = commitment(&who.clone().into(), 0, &SALT, &self.evidence[at]);
                Attribution::challenge(by.into(), 0, commitment)?;
                self.committed.insert(who, at);
                Ok(())
            }
            2 | 3 => {
                let at = self.committed.get(&who).copied().unwrap_or(0);
                Attribution::prove(by.into(), 0, SALT, Box::new(self.evidence[at].clone()))
            }
            4 => Attribution::lapse(by.into(), 0, CHALLENGER),
            5 => {
                let at = rng.below(self.about_index.len() as u64) as usize;
                let commitment =
                    index_commitment(&who.clone().into(), &self.index, &SALT, &self.about_index[at]);
                Attribution::challenge_index(by.into(), self.index, commitment)?;
                self.committed_index.insert(who, at);
                Ok(())
            }
            6 => {
                let at = self.committed_index.get(&who).copied().unwrap_or(0);
                Attribution::prove_index(
                    by.into(),
                    self.index,
                    SALT,
                    Box::new(self.about_index[at].clone()),
                )
            }
            7 => Attribution::lapse_index(by.into(), self.index, CHALLENGER),
            8 => Attribution::request_reveal(by.into(), of, wanted),
            9 | 10 => match shown(self.world, &what) {
                Some(shown) => Attribution::reveal(by.into(), asked, what, Box::new(shown)),
                None => Ok(()),
            },
            11 => Attribution::end_request(by.into(), asked, what),
            12 => Attribution::settle(by.into(), 0),
            13 => Attribution::draw(by.into(), 0),
            14 => Attribution::answer_draws(worker.into(), 0, Box::new(self.world.ledger.header)),
            15 => Attribution::forfeit_draws(by.into(), 0),
            _ => {
                outside(|o| o.retired = rng.chance(50));
                Attribution::review_index(by.into(), self.index)
            }
        }
    }

    /// Ends everything that is open.
    fn finish(&self) {
        let by = || Some(CHALLENGER).into();
        advance(3 * EPOCH);
        let _ = with_storage_layer(|| Attribution::draw(by(), 0));
        advance(ANSWER + REVEAL + PROVE + 1);
        let _ = with_storage_layer(|| Attribution::forfeit_draws(by(), 0));
        for (of, wanted) in Requests::<Test>::iter_keys().collect::<Vec<_>>() {
            assert_ok!(Attribution::end_request(by(), of, wanted));
        }
        for (batch, who) in Challenges::<Test>::iter_keys().collect::<Vec<_>>() {
            assert_ok!(Attribution::lapse(by(), batch, who));
        }
        for (index, who) in IndexChallenges::<Test>::iter_keys().collect::<Vec<_>>() {
            assert_ok!(Attribution::lapse_index(by(), index, who));
        }
        advance(WINDOW + 2 * REVEAL + 1);
        let Some(batch) = crate::Batches::<Test>::get(0) else {
            return;
        };
        if batch.stage == BatchStage::Open {
            assert_ok!(Attribution::settle(by(), 0));
        }
        let batch = crate::Batches::<Test>::get(0).unwrap();
        if batch.stage == (BatchStage::Settled { credited: 0 }) && batch.credits.credits.count > 0 {
            let credits = &self.world.ledger.credits;
            let all = Grove::new(credits).range(0, credits.len());
            assert_ok!(Attribution::credit(by(), 0, all));
        }
        advance(RETENTION);
        assert_ok!(Attribution::forget(by(), 0));
    }
}

#[test]
fn any_life_should_add_up_and_leave_nothing_behind() {
    let mut done = [0u32; KINDS as usize];
    let (mut submitted, mut condemned, mut void) = (0, 0, 0);
    for seed in seeds(200) {
        let mut rng = Rng(seed);
        let mut world = World::new(seed, rng.chance(50));
        if rng.chance(30) {
            let plants = plant_all();
            let (_, about, plant, _) = &plants[rng.below(plants.len() as u64) as usize];
            // A lie about the index changes its hash, which the batch then has to name.
            if !matches!(about, About::Version) && plant(&mut world, &mut rng) {
                world.settled.header.index = world.index.header.hash();
                world.ledger.header.batch = world.settled.header.hash();
            }
        }
        test(&world, || {
            let index = world.index.header.hash();
            let of = |of_index, of| {
                requests(&world, of_index)
                    .into_iter()
                    .map(move |wanted| (of, wanted))
            };
            let mut life = Life {
                world: &world,
                index,
                evidence: batch_evidence(&world),
                about_index: index_evidence(&world),
                wanted: of(false, Committed::Batch(0))
                    .chain(of(true, Committed::Index(index)))
                    .collect(),
                committed: BTreeMap::new(),
                committed_index: BTreeMap::new(),
            };
            let issued = Balances::total_issuance();
            if rng.chance(90) {
                submitted += u32::from(submit(&world).is_ok());
            }
            for _ in 0..60 {
                let kind = rng.below(KINDS);
                if with_storage_layer(|| life.act(kind, &mut rng)).is_ok() {
                    done[kind as usize] += 1;
                }
                if rng.chance(50) {
                    advance(1 + rng.below(6));
                }
                Attribution::do_try_state().unwrap();
            }
            condemned += u32::from(
                crate::Batches::<Test>::get(0)
                    .is_some_and(|batch| matches!(batch.stage, BatchStage::Condemned { .. })),
            );
            let stage = IndexBonds::<Test>::get(index).unwrap().stage;
            void += u32::from(matches!(stage, IndexStage::Void { .. }));
            life.finish();
            assert_eq!(Balances::total_issuance(), issued);
            for who in [CHALLENGER, MODEL_OWNER] {
                assert_eq!(Balances::total_balance_on_hold(&who), 0);
            }
            outside(|o| {
                assert_eq!(o.escrowed, 0, "something stays in escrow");
                let moved: u128 = world
                    .settled
                    .channels
                    .iter()
                    .map(|leaf| o.cursors[&leaf.channel] - leaf.from)
                    .sum();
                let paid: u128 = o.credits.values().sum::<u128>() + o.treasury;
                assert_eq!(paid, moved + o.forfeited, "something is made or lost");
            });
        });
    }
    println!("acts done, by kind: {done:?}; {submitted} batches, {condemned} condemned, {void} indexes void");
    assert!(submitted > 30 && condemned > 3 && void > 3);
}
