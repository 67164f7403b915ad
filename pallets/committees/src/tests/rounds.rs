//! Quorums, second rounds and referenda.

use crate::{mock::*, CaseStage, Cases, Ending, Error};
use frame_support::{assert_noop, assert_ok};
use frame_system::RawOrigin;
use openledger_attribution::committee::Vote;
use openledger_traits::Committees as _;
use sp_runtime::DispatchError;
use Says::{Missing, Right, Silent, Withholds, Wrong};

fn stage(case: u64) -> CaseStage {
    Cases::<Test>::get(case).unwrap().stage
}

#[test]
fn one_liar_of_five_should_change_nothing_and_lose_its_stake() {
    for (liar, truth, verdict) in [(Wrong(1), Right, Vote::Right), (Right, Wrong(1), Vote::Wrong)] {
        for at in 0..5 {
            test(|| {
                members(9);
                let case = open(private());
                let mut says = vec![truth.clone(); 5];
                says[at] = liar.clone();
                let all = round(case, &says);
                assert_eq!(ending(), Some(Ending::Decided(verdict)));
                for (n, who) in all.iter().enumerate() {
                    let lost = if n == at { STAKE } else { 0 };
                    let earned = if n == at { 0 } else { PRICE };
                    assert_eq!(bond(who), BOND - lost);
                    assert_eq!(Balances::free_balance(who), earned);
                }
            });
        }
    }
}

#[test]
fn one_silent_of_five_should_change_nothing() {
    for silent in [Silent, Withholds] {
        test(|| {
            members(5);
            let case = open(private());
            let all = round(case, &[Right, Right, silent, Right, Right]);
            assert_eq!(ending(), Some(Ending::Decided(Vote::Right)));
            assert_eq!(bond(&all[2]), BOND - SILENCE);
        });
    }
}

#[test]
fn two_liars_should_bring_a_second_round_of_twice_the_size_that_judges_them() {
    test(|| {
        members(20);
        let case = open(private());
        let first = round(case, &[Right, Wrong(1), Right, Wrong(1), Right]);
        assert_eq!(ending(), None);
        assert!(matches!(stage(case), CaseStage::Waiting { .. }));
        assert_noop!(close(case), Error::<Test>::WrongStage);
        assert!(first.iter().all(|who| bond(who) == BOND), "nobody is judged yet");

        let mut says = vec![Right; 10];
        says[0] = Wrong(1);
        says[1] = Wrong(1);
        let second = round(case, &says);
        assert!(second.iter().all(|who| !first.contains(who)), "others sit");
        assert_eq!(ending(), Some(Ending::Decided(Vote::Right)));
        for (who, says) in first.iter().zip([Right, Wrong(1), Right, Wrong(1), Right]) {
            let (lost, paid) = if says == Right { (0, PRICE) } else { (STAKE, 0) };
            assert_eq!((BOND - bond(who), Balances::free_balance(who)), (lost, paid));
        }
        for (who, says) in second.iter().zip(&says) {
            let (lost, paid) = if *says == Right { (0, PRICE) } else { (STAKE, 0) };
            assert_eq!((BOND - bond(who), Balances::free_balance(who)), (lost, paid));
        }
        assert_eq!(Balances::free_balance(PAYER), 1_000 * OPEN - 11 * PRICE);
    });
}

#[test]
fn votes_against_a_claim_should_not_add_up_when_they_say_different_things() {
    test(|| {
        members(20);
        let case = open(private());
        // Five against it, but no four that agree on what is right.
        round(case, &[Wrong(1), Wrong(1), Wrong(1), Wrong(2), Wrong(2)]);
        assert_eq!(ending(), None);
        let mut says = vec![Wrong(2); 10];
        says[9] = Wrong(1);
        round(case, &says);
        assert_eq!(ending(), Some(Ending::Decided(Vote::Wrong)));
        // Whoever computed something else than the quorum loses, though it voted with it.
        let losers = (1..=20).filter(|n| bond(&nth(*n)) == BOND - STAKE).count();
        assert_eq!(losers, 4);
    });
}

#[test]
fn what_was_not_handed_over_should_speak_against_the_accused() {
    test(|| {
        members(5);
        let case = open(private());
        round(case, &vec![Missing(Vote::Wrong); 5]);
        assert_eq!(ending(), Some(Ending::Decided(Vote::Wrong)));
    });
}

#[test]
fn who_could_not_get_what_is_public_should_count_for_nothing() {
    test(|| {
        members(20);
        let case = open(public());
        let all = round(case, &[Right, Right, Right, Right, Missing(Vote::Right)]);
        assert_eq!(ending(), Some(Ending::Decided(Vote::Right)));
        assert_eq!(bond(&all[4]), BOND - SILENCE, "others could");

        let case = open(public());
        let all = round(case, &vec![Missing(Vote::Wrong); 5]);
        assert!(matches!(stage(case), CaseStage::Waiting { .. }));
        round(case, &vec![Missing(Vote::Right); 10]);
        assert!(matches!(stage(case), CaseStage::Frozen { .. }));
        assert_ok!(Committees::decide(RawOrigin::Root.into(), case, Vote::Right));
        assert!(all.iter().filter(|who| bond(who) == BOND).count() >= 4, "nobody could");
    });
}

#[test]
fn no_quorum_twice_should_freeze_until_a_referendum_decides() {
    for (vote, right_lose) in [(Vote::Right, false), (Vote::Wrong, true)] {
        test(|| {
            members(20);
            let case = open(private());
            round(case, &[Right, Right, Right, Wrong(1), Wrong(1)]);
            let half: Vec<_> = (0..10).map(|n| if n < 5 { Right } else { Wrong(1) }).collect();
            let second = round(case, &half);
            assert!(matches!(stage(case), CaseStage::Frozen { .. }));
            assert_noop!(close(case), Error::<Test>::WrongStage);
            assert_noop!(
                Committees::seat(Some(PAYER).into(), case),
                Error::<Test>::WrongStage
            );
            assert_noop!(commit(case, &second[0], &Right), Error::<Test>::WrongStage);
            assert_noop!(
                Committees::decide(Some(PAYER).into(), case, vote),
                DispatchError::BadOrigin
            );
            assert_ok!(Committees::decide(RawOrigin::Root.into(), case, vote));
            assert_eq!(ending(), Some(Ending::Decided(vote)));
            assert_eq!(bond(&second[0]) < BOND, right_lose);
            assert_eq!(bond(&second[9]) < BOND, !right_lose);
            assert_noop!(
                Committees::decide(RawOrigin::Root.into(), case, vote),
                Error::<Test>::NoCase
            );
        });
    }
}

#[test]
fn too_few_for_a_second_round_should_freeze_an_audit_too() {
    test(|| {
        members(14);
        let mut audit = hearing(private());
        audit.audit = Some(([3; 32], System::block_number() as u32));
        let case = Committees::open(audit).unwrap();
        Committees::seat(Some(PAYER).into(), case).unwrap();
        let all = sitting(case);
        for (n, who) in all.iter().enumerate() {
            commit(case, who, if n < 2 { &Wrong(1) } else { &Right }).unwrap();
        }
        for (n, who) in all.iter().enumerate() {
            reveal(case, who, if n < 2 { &Wrong(1) } else { &Right }).unwrap();
        }
        assert_ok!(close(case));
        advance(2 * EPOCH);
        // Nine are left, ten are wanted.
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert!(matches!(stage(case), CaseStage::Frozen { .. }));
        workers(|all| {
            let open: u128 = all.values().map(|worker| worker.open).sum();
            assert_eq!(open, 5 * STAKE, "only the first round sits");
        });
    });
}

#[test]
fn a_committee_of_one_should_decide_alone() {
    test(|| {
        Size::set(&1);
        Quorum::set(&1);
        members(1);
        let case = open(private());
        round(case, &[Right]);
        assert_eq!(ending(), Some(Ending::Decided(Vote::Right)));
        // Its silence brings two others, whom there are not.
        let case = open(private());
        round(case, &[Silent]);
        advance(2 * EPOCH);
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert!(matches!(stage(case), CaseStage::Frozen { .. }));
    });
}

#[test]
fn a_size_or_quorum_that_makes_no_sense_should_be_held_within_bounds() {
    test(|| {
        for (size, quorum, right) in [
            (0, 0, (1, 1)),
            (5, 0, (5, 3)),
            (5, 9, (5, 5)),
            (99, 8, (15, 8)),
            (4, 2, (4, 3)),
        ] {
            Size::set(&size);
            Quorum::set(&quorum);
            assert_eq!(Committees::measure(), right);
        }
    });
}
