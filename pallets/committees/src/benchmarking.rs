//! Benchmarks of every call, each on the largest case that the chain takes.

use crate::{
    pallet::{Answers, Call, Cases, Claims, Config, HoldReason, Members, NextCase, Pallet, SeatsOf},
    BenchmarkHelper, Case, CaseStage, Membership, Progress, Subject,
};
use alloc::{boxed::Box, vec, vec::Vec};
use codec::Encode;
use frame_benchmarking::v2::*;
use frame_support::{
    traits::{
        fungible::{Mutate, MutateHold},
        EnsureOrigin, Get,
    },
    BoundedVec,
};
use frame_system::RawOrigin;
use openledger_attribution::{
    committee::{vote_hash, Claim, ClaimedSketch, Computed, Vote},
    hash::Hash,
    index::IndexRules,
    sketch::{Kind, Layout, Module, Sketch},
    wire::Object,
};
use openledger_protocol::committees::{Need, Seat, MAX_ANSWERS, MAX_SIZE};
use openledger_traits::{Bonds, Committees, Draws, Hearing};

const SALT: Hash = [0x5A; 32];
const SUBJECT: Subject = Subject::Query { batch: 1, source: 1 };

/// A sketch of about so many lanes in as many rows of 64.
fn claim(lanes: u32) -> Claim {
    let rows = u16::try_from(lanes.div_euclid(64)).unwrap_or(u16::MAX).max(1);
    let layout = Layout {
        names: [1; 32],
        modules: vec![Module {
            kind: Kind::LoraA,
            rows,
            columns: 64,
        }],
    };
    let sketch = Sketch {
        exponents: vec![0],
        lanes: vec![100; layout.lanes() as usize],
    };
    Claim::Sketch(ClaimedSketch {
        layout,
        rules: IndexRules {
            projection: 64,
            top: 16,
            rho: 1,
            z: 200,
            floor: -20,
        },
        sketch,
    })
}

/// What a member computed that is not what is claimed: `value` on every lane.
fn other(lanes: u32, value: i16) -> Computed {
    let rows = lanes.div_euclid(64).max(1) as usize;
    Computed::Lanes(vec![value; rows * 64])
}

fn worker<T: Config>(n: u32) -> T::AccountId {
    let who = T::BenchmarkHelper::attester(n);
    Members::<T>::insert(
        &who,
        Membership {
            key: [1; 32],
            since: 0,
        },
    );
    who
}

fn payer<T: Config>() -> T::AccountId {
    let who: T::AccountId = account("payer", 0, 0);
    let amount = T::SeatPrice::get()
        .saturating_mul(1_000)
        .saturating_add(T::SeatStake::get());
    let _ = T::Currency::mint_into(&who, amount);
    who
}

/// A case with every seat of `rounds` rounds of the largest size.
fn case<T: Config>(rounds: u8, stage: CaseStage, lanes: u32, progress: Progress) -> (u64, Vec<T::AccountId>) {
    let id = NextCase::<T>::get();
    NextCase::<T>::put(id + 1);
    let (payer, accused) = (payer::<T>(), T::BenchmarkHelper::attester(1_000_000));
    let seats = if rounds > 1 { 3 * MAX_SIZE } else { MAX_SIZE };
    let mut members = Vec::new();
    let mut list = Vec::new();
    for n in 0..seats {
        let member = worker::<T>(n);
        assert!(T::Bonds::open(&member, T::SeatStake::get()).is_ok());
        SeatsOf::<T>::insert(&member, BoundedVec::truncate_from(vec![id]));
        list.push(Seat {
            member: member.clone(),
            round: u8::from(n >= MAX_SIZE),
            progress,
        });
        members.push(member);
    }
    let held = T::SeatPrice::get().saturating_mul(u128::from(3 * MAX_SIZE));
    assert!(T::Currency::hold(&HoldReason::Seats.into(), &payer, held).is_ok());
    Claims::<T>::insert(id, BoundedVec::truncate_from(Encode::encode(&claim(lanes))));
    for number in 1..=MAX_ANSWERS {
        let kept = other(lanes, 10 * i16::from(number));
        Answers::<T>::insert(id, number, BoundedVec::truncate_from(Encode::encode(&kept)));
    }
    Cases::<T>::insert(
        id,
        Case {
            subject: SUBJECT,
            accused: accused.clone(),
            payer: payer.clone(),
            parties: BoundedVec::truncate_from(vec![accused, payer]),
            need: Need::default(),
            since: 1,
            is_audit: false,
            size: MAX_SIZE,
            quorum: MAX_SIZE,
            round: u8::from(rounds > 1),
            price: T::SeatPrice::get(),
            stake: T::SeatStake::get(),
            silence: T::Silence::get(),
            held,
            answers: MAX_ANSWERS,
            seats: BoundedVec::truncate_from(list),
            stage,
        },
    );
    (id, members)
}

#[benchmarks]
mod benchmarks {
    // A benchmark is named `seat`, and so no variable here.
    use super::*;

    #[benchmark]
    fn join() {
        let who = T::BenchmarkHelper::attester(0);
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()), [1; 32]);
        assert!(Members::<T>::contains_key(who));
    }

    #[benchmark]
    fn leave() {
        let who = worker::<T>(0);
        #[extrinsic_call]
        _(RawOrigin::Signed(who.clone()));
        assert!(!Members::<T>::contains_key(who));
    }

    #[benchmark]
    fn strike() {
        let gone: T::AccountId = account("gone", 0, 0);
        Members::<T>::insert(
            &gone,
            Membership {
                key: [1; 32],
                since: 0,
            },
        );
        #[extrinsic_call]
        _(RawOrigin::Signed(payer::<T>()), gone.clone());
        assert!(!Members::<T>::contains_key(gone));
    }

    #[benchmark]
    fn seat(n: Linear<{ 3 * MAX_SIZE + 1 }, { T::MaxMembers::get() }>) {
        // With the case come those of the first round and the accused.
        for at in MAX_SIZE..n - 1 {
            worker::<T>(at);
        }
        let epoch = T::Draws::epoch();
        T::BenchmarkHelper::draw(epoch);
        let (id, _) = case::<T>(1, CaseStage::Waiting { epoch }, 64, Progress::Outside);
        Cases::<T>::mutate(id, |case| {
            if let Some(case) = case {
                case.since = u32::MAX;
                case.round = 1;
            }
        });
        #[extrinsic_call]
        _(RawOrigin::Signed(payer::<T>()), id);
        assert!(matches!(
            Cases::<T>::get(id).map(|case| case.stage),
            Some(CaseStage::Committing { .. })
        ));
    }

    #[benchmark]
    fn commit() {
        let until = u32::MAX;
        let (id, members) = case::<T>(
            1,
            CaseStage::Committing { until },
            64,
            Progress::Committed([1; 32]),
        );
        Cases::<T>::mutate(id, |case| {
            if let Some(one) = case.as_mut().and_then(|case| case.seats.last_mut()) {
                one.progress = Progress::Seated;
            }
        });
        let last = members.last().cloned().unwrap();
        #[extrinsic_call]
        _(RawOrigin::Signed(last), id, [2; 32]);
        assert!(matches!(
            Cases::<T>::get(id).map(|case| case.stage),
            Some(CaseStage::Revealing { .. })
        ));
    }

    #[benchmark]
    fn reveal(b: Linear<128, { 64 * 1024 }>) {
        // Two bytes a lane; it agrees with nothing that is kept.
        let lanes = b / 2;
        let until = u32::MAX;
        let (id, members) = case::<T>(
            1,
            CaseStage::Revealing { until },
            lanes,
            Progress::Committed([1; 32]),
        );
        let member = members.first().cloned().unwrap();
        let computed = other(lanes, -50);
        let hash = vote_hash(
            Vote::Wrong,
            &member.clone().into(),
            &Object::encode(&computed),
            &SALT,
        );
        Cases::<T>::mutate(id, |case| {
            if let Some(one) = case.as_mut().and_then(|case| case.seats.iter_mut().next()) {
                one.progress = Progress::Committed(hash);
            }
        });
        #[extrinsic_call]
        _(
            RawOrigin::Signed(member),
            id,
            Vote::Wrong,
            Box::new(computed),
            SALT,
        );
        assert_eq!(
            Cases::<T>::get(id).and_then(|case| case.seats.first().map(|one| one.progress)),
            Some(Progress::Outside)
        );
    }

    #[benchmark]
    fn close() {
        let (id, _) = case::<T>(2, CaseStage::Revealing { until: 0 }, 64, Progress::Revealed(1));
        Cases::<T>::mutate(id, |case| {
            if let Some(case) = case {
                // The first round said otherwise, and is slashed.
                for one in case.seats.iter_mut().filter(|one| one.round == 0) {
                    one.progress = Progress::Revealed(0);
                }
            }
        });
        #[extrinsic_call]
        _(RawOrigin::Signed(payer::<T>()), id);
        assert!(!Cases::<T>::contains_key(id));
    }

    #[benchmark]
    fn decide() -> Result<(), BenchmarkError> {
        let (id, _) = case::<T>(2, CaseStage::Frozen { since: 0 }, 64, Progress::Revealed(1));
        let origin = T::DecideOrigin::try_successful_origin().map_err(|_| BenchmarkError::Weightless)?;
        #[extrinsic_call]
        _(origin as T::RuntimeOrigin, id, Vote::Wrong);
        assert!(!Cases::<T>::contains_key(id));
        Ok(())
    }

    #[benchmark]
    fn open() {
        let (payer, accused) = (payer::<T>(), T::BenchmarkHelper::attester(0));
        let hearing = Hearing {
            subject: SUBJECT,
            claim: claim(32 * 1024),
            accused,
            payer,
            parties: Vec::new(),
            is_exact: true,
            audit: None,
        };
        let opened;
        #[block]
        {
            opened = <Pallet<T> as Committees<T::AccountId>>::open(hearing);
        }
        assert!(opened.is_ok());
    }
}
