//! Whatever people do, nothing is minted or lost, and what is open is bonded.

use crate::{bonds, mock::*, Jobs, Workers};
use frame_support::assert_ok;
use openledger_protocol::compute::JobStage;
use openledger_traits::Bonds;
use proptest::prelude::*;

/// What somebody does.
#[derive(Clone, Debug)]
enum Act {
    Blocks(u8),
    Register(u8, u128),
    BondMore(u8, u128),
    Unbond(u8, u128),
    Withdraw(u8),
    Order(bool, Option<u8>, u32),
    Deliver(u8),
    Open(u8, u128),
    Close(u8),
    Slash(u8, u128, Option<u8>),
    NextEpoch,
}

fn act() -> impl Strategy<Value = Act> {
    let who = || 1u8..=8;
    let amount = || {
        prop_oneof![
            Just(0u128),
            1u128..3_000,
            Just(MIN_BOND),
            Just(u128::MAX),
            1_000u128..2_000_000
        ]
    };
    prop_oneof![
        4 => (1u8..12).prop_map(Act::Blocks),
        3 => (who(), amount()).prop_map(|(n, bond)| Act::Register(n, bond)),
        1 => (who(), amount()).prop_map(|(n, more)| Act::BondMore(n, more)),
        2 => (who(), amount()).prop_map(|(n, less)| Act::Unbond(n, less)),
        2 => who().prop_map(Act::Withdraw),
        6 => (any::<bool>(), prop::option::of(who()), 0u32..60).prop_map(|(train, n, time)| Act::Order(train, n, time)),
        4 => any::<u8>().prop_map(Act::Deliver),
        3 => (who(), amount()).prop_map(|(n, value)| Act::Open(n, value)),
        2 => any::<u8>().prop_map(Act::Close),
        2 => (who(), amount(), prop::option::of(1u8..60)).prop_map(|(n, value, by)| Act::Slash(n, value, by)),
        2 => Just(Act::NextEpoch),
    ]
}

/// Does `act`; refusals are as good as successes here. `opened` is what [`Bonds::open`] was asked for and not closed.
fn perform(act: &Act, opened: &mut Vec<(u8, u128)>) {
    let before = supply();
    let by = |n: u8| RuntimeOrigin::signed(account(n));
    match *act {
        Act::Blocks(n) => (0..n).for_each(|_| step()),
        Act::Register(n, bond) => _ = register(n, bond),
        Act::BondMore(n, more) => _ = Compute::bond_more(by(n), more),
        Act::Unbond(n, less) => _ = Compute::unbond(by(n), less),
        Act::Withdraw(n) => _ = Compute::withdraw(by(n)),
        Act::Order(is_train, n, time) => {
            let task = if is_train { train() } else { index() };
            _ = try_order(task, n, System::block_number() + time);
        }
        Act::Deliver(nth) => {
            let jobs: Vec<_> = Jobs::<Test>::iter().collect();
            if let Some((id, job)) = jobs.get(usize::from(nth) % jobs.len().max(1)) {
                if let JobStage::Assigned { worker, .. } = &job.stage {
                    let n = (1..=8).find(|n| account(*n) == *worker).unwrap();
                    Refuses::set(nth > 200);
                    _ = apply(signed(n, delivery(n, *id, job.attempt)));
                }
            }
        }
        Act::Open(n, value) => {
            if <Compute as Bonds<_>>::open(&account(n), value).is_ok() {
                opened.push((n, value));
            }
        }
        Act::Close(nth) => {
            if !opened.is_empty() {
                let (n, value) = opened.swap_remove(usize::from(nth) % opened.len());
                <Compute as Bonds<_>>::close(&account(n), value);
            }
        }
        Act::Slash(n, value, challenger) => {
            let bond = Workers::<Test>::get(account(n)).map_or(0, |worker| worker.bond);
            let taken = <Compute as Bonds<_>>::slash(&account(n), value, challenger.map(account).as_ref());
            assert_eq!(taken, value.min(bond));
        }
        Act::NextEpoch => {
            draw(Epoch::get() as u8);
            Epoch::mutate(|epoch| *epoch += 1);
        }
    }
    assert_eq!(supply(), before, "{act:?}");
    Compute::do_try_state().unwrap();
    // What was opened and not closed is open, beside what stands behind jobs.
    for (who, worker) in Workers::<Test>::iter() {
        let asked: u128 = opened
            .iter()
            .filter(|(n, _)| account(*n) == who)
            .map(|(_, value)| value)
            .sum();
        let staked: u128 = Jobs::<Test>::iter()
            .filter(|(_, job)| matches!(&job.stage, JobStage::Assigned { worker, .. } if *worker == who))
            .map(|(id, _)| crate::JobTerms::<Test>::get(id).unwrap().stake)
            .sum();
        assert_eq!(worker.open, asked + staked, "{act:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn any_life_should_keep_the_supply_and_every_bond(acts in prop::collection::vec(act(), 10..80)) {
        new_test_ext().execute_with(|| {
            let mut opened = Vec::new();
            for act in &acts {
                perform(act, &mut opened);
            }
            // Everything ends: jobs, open work, bonds.
            run_to(System::block_number() + 150);
            assert_eq!(Jobs::<Test>::iter().count(), 0);
            for (n, value) in opened {
                <Compute as Bonds<_>>::close(&account(n), value);
            }
            for (who, _) in Workers::<Test>::iter().collect::<Vec<_>>() {
                let origin = || RuntimeOrigin::signed(who.clone());
                // Late jobs may have left less than the least bond; all of it can still go.
                _ = Compute::withdraw(origin());
                if let Some(worker) = Workers::<Test>::get(&who) {
                    assert_eq!(worker.open, 0);
                    assert_ok!(Compute::unbond(origin(), bonds::room(&worker)));
                    run_to(System::block_number() + UNBONDING);
                    assert_ok!(Compute::withdraw(origin()));
                }
            }
            assert_eq!(Workers::<Test>::count(), 0);
        });
    }
}

#[test]
fn the_pallet_should_be_configured_soundly() {
    use frame_support::traits::IntegrityTest;
    <Compute as IntegrityTest>::integrity_test();
}
