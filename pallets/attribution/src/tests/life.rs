//! Whatever people do, in whatever order: the state adds up after each act, and in the end every planck has gone somewhere.

use super::{
    common::{
        plants::{plant_all, About},
        watch::{
            audit, batch_evidence, batch_questions, index_evidence, index_questions, requests, reveal as shown, Grove,
        },
        world::World,
        Rng,
    },
    seeds,
};
use crate::{
    mock::*, Audit, Audits, BatchStage, Challenges, Committed, IndexBonds, IndexChallenges, IndexStage, Questions,
    Requests,
};
use frame_support::{assert_ok, storage::with_storage_layer, traits::fungible::InspectHold};
use openledger_attribution::{
    committee::Vote,
    hash::Hash,
    verdict::{BatchEvidence, BatchQuestion, IndexEvidence, IndexQuestion, Wanted},
    wire::Object,
};
use openledger_protocol::{
    batches::commitment,
    committees::{index_question_commitment, question_commitment, Ending},
    disputes::index_commitment,
};
use openledger_traits::OnVerdict;
use sp_runtime::{AccountId32, DispatchResult};
use std::collections::BTreeMap;

const SALT: Hash = [5; 32];

struct Life<'a> {
    world: &'a World,
    index: Hash,
    evidence: Vec<BatchEvidence>,
    about_index: Vec<IndexEvidence>,
    wanted: Vec<(Committed, Wanted)>,
    questions: Vec<BatchQuestion>,
    index_questions: Vec<IndexQuestion>,
    /// What was committed to last, by whom.
    committed: BTreeMap<AccountId32, usize>,
    committed_index: BTreeMap<AccountId32, usize>,
}

const KINDS: u64 = 23;

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
            16 => {
                outside(|o| o.retired = rng.chance(50));
                Attribution::review_index(by.into(), self.index)
            }
            17 => {
                let question = &self.questions[rng.below(self.questions.len() as u64) as usize];
                let commitment = question_commitment(&who.clone().into(), 0, &SALT, question);
                Attribution::challenge(by.clone().into(), 0, commitment)?;
                advance(1);
                Attribution::ask(by.into(), 0, SALT, Box::new(question.clone()))
            }
            18 => {
                let question = &self.index_questions[rng.below(self.index_questions.len() as u64) as usize];
                let commitment =
                    index_question_commitment(&who.clone().into(), &self.index, &SALT, question);
                Attribution::challenge_index(by.clone().into(), self.index, commitment)?;
                advance(1);
                Attribution::ask_index(by.into(), self.index, SALT, Box::new(question.clone()))
            }
            19 => Attribution::draw_audit(by.into(), 0),
            20 => match audit(self.world, &self.world.randomness) {
                Some(proof) => Attribution::show_audit(by.into(), 0, Box::new(proof)),
                None => Ok(()),
            },
            21 => Attribution::end_audit(by.into(), 0),
            _ => {
                let ending = match rng.below(6) {
                    0 => Ending::Decided(Vote::Wrong),
                    1 => Ending::Unseated,
                    _ => Ending::Decided(Vote::Right),
                };
                end_case(ending)
            }
        }
    }

    /// Brings every case and the audit to an end.
    fn finish_cases(&self) {
        let by = || Some(CHALLENGER).into();
        for _ in 0..2 {
            let _ = with_storage_layer(|| Attribution::draw_audit(by(), 0));
            advance(2 * EPOCH + REVEAL);
            let _ = with_storage_layer(|| Attribution::end_audit(by(), 0));
        }
        while Questions::<Test>::iter().next().is_some() {
            end_case(Ending::Decided(Vote::Right)).unwrap();
        }
        assert!(matches!(Audits::<Test>::get(0), None | Some(Audit::Done)));
    }

    /// Ends everything that is open.
    fn finish(&self) {
        let by = || Some(CHALLENGER).into();
        advance(3 * EPOCH);
        let _ = with_storage_layer(|| Attribution::draw(by(), 0));
        advance(ANSWER + REVEAL + PROVE + 1);
        let _ = with_storage_layer(|| Attribution::forfeit_draws(by(), 0));
        self.finish_cases();
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

/// Some case ends.
fn end_case(ending: Ending) -> DispatchResult {
    match Questions::<Test>::iter().next() {
        Some((case, question)) => {
            <Attribution as OnVerdict<AccountId32>>::ended(case, &question.subject, ending)
        }
        None => Ok(()),
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
                questions: batch_questions(&world),
                index_questions: index_questions(&world),
                committed: BTreeMap::new(),
                committed_index: BTreeMap::new(),
            };
            let issued = Balances::total_issuance();
            outside(|o| o.are_enough = rng.chance(60));
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
