//! Who sits.

use crate::{mock::*, CaseStage, Cases, Ending, Error, Event};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::committee::Vote;
use openledger_protocol::committees::Subject;
use openledger_traits::Committees as _;
use std::collections::BTreeMap;

#[test]
fn seats_should_wait_for_a_draw_that_nobody_could_know() {
    test(|| {
        members(9);
        let case = open(private());
        for _ in 0..EPOCH {
            assert_noop!(
                Committees::seat(Some(PAYER).into(), case),
                Error::<Test>::NotDrawn
            );
            advance(1);
        }
        advance(EPOCH);
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert_eq!(sitting(case).len(), 5);
        assert_noop!(
            Committees::seat(Some(PAYER).into(), case),
            Error::<Test>::WrongStage
        );
    });
}

#[test]
fn a_draw_that_was_forgotten_should_be_waited_for_again() {
    test(|| {
        members(9);
        let case = open(private());
        outside(|o| o.forgotten = vec![0]);
        advance(5 * EPOCH);
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert_eq!(
            Cases::<Test>::get(case).unwrap().stage,
            CaseStage::Waiting { epoch: 5 }
        );
        assert_eq!(seat(case).len(), 5);
    });
}

#[test]
fn parties_and_whoever_is_behind_them_should_not_sit() {
    for entropy in 0..40 {
        test(|| {
            outside(|o| o.entropy = entropy);
            members(8);
            join(PAYER, 100 * BOND);
            Committees::join(Some(ACCUSED).into(), [7; 32]).unwrap();
            advance(1);
            // Number 7 is the accused's other name, number 8 a named party.
            outside(|o| o.owners.insert(nth(7), ACCUSED));
            let mut hearing = hearing(private());
            hearing.parties = vec![nth(8)];
            let case = Committees::open(hearing).unwrap();
            for who in seat(case) {
                assert!((1..=6).any(|n| who == nth(n)), "seed {entropy}: {who:?} sits");
            }
        });
    }
}

#[test]
fn an_owner_should_have_one_seat_however_many_workers_it_has() {
    for entropy in 0..40 {
        test(|| {
            outside(|o| o.entropy = entropy);
            members(20);
            for n in 5..=20 {
                outside(|o| o.owners.insert(nth(n), nth(5)));
            }
            let case = open(private());
            let one = seat(case).iter().filter(|who| **who >= nth(5)).count();
            assert_eq!(one, 1, "seed {entropy}");
        });
    }
}

#[test]
fn what_came_after_the_dispute_should_not_count() {
    test(|| {
        members(4);
        let case = open(private());
        // Joins, and bonds up, once the dispute is there.
        join(nth(5), 1_000_000 * BOND);
        advance(2 * EPOCH);
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert!(
            matches!(Cases::<Test>::get(case).unwrap().stage, CaseStage::Frozen { .. }),
            "four are too few, and the fifth came late"
        );
        assert_ok!(Committees::decide(
            frame_system::RawOrigin::Root.into(),
            case,
            Vote::Right
        ));
    });
    test(|| {
        members(5);
        let case = open(private());
        workers(|all| all.get_mut(&nth(3)).unwrap().raised = (System::block_number() as u32, BOND));
        advance(2 * EPOCH);
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert!(matches!(
            Cases::<Test>::get(case).unwrap().stage,
            CaseStage::Frozen { .. }
        ));
    });
}

#[test]
fn a_machine_like_the_accuseds_should_be_asked_for_where_bits_are() {
    test(|| {
        members(12);
        for n in 1..=7 {
            workers(|all| all.get_mut(&nth(n)).unwrap().machine.1 = arch("other"));
        }
        let mut hearing = hearing(private());
        hearing.is_exact = true;
        let case = Committees::open(hearing).unwrap();
        let mut all = seat(case);
        all.sort();
        assert_eq!(all, (8..=12).map(nth).collect::<Vec<_>>());
    });
}

#[test]
fn who_has_no_room_for_the_stake_should_be_passed_over() {
    test(|| {
        members(7);
        for n in 1..=2 {
            workers(|all| all.get_mut(&nth(n)).unwrap().open = BOND);
        }
        let case = open(private());
        let mut all = seat(case);
        all.sort();
        assert_eq!(all, (3..=7).map(nth).collect::<Vec<_>>());
        for n in 1..=2 {
            workers(|all| all.get_mut(&nth(n)).unwrap().open = 0);
        }
    });
}

#[test]
fn too_few_should_freeze_a_dispute_and_end_an_audit() {
    test(|| {
        members(4);
        assert!(!Committees::are_enough(&[]));
        let case = open(private());
        advance(2 * EPOCH);
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        System::assert_last_event(
            Event::<Test>::Frozen {
                case,
                subject: private(),
            }
            .into(),
        );
        workers(|all| assert!(all.values().all(|worker| worker.open == 0)));
        assert_eq!(ending(), None);

        let mut audit = hearing(private());
        audit.audit = Some(([3; 32], System::block_number() as u32));
        let case = Committees::open(audit).unwrap();
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert_eq!(ending(), Some(Ending::Unseated));
        assert!(Cases::<Test>::get(case).is_none());
    });
}

#[test]
fn an_audit_should_be_seated_at_once() {
    test(|| {
        members(6);
        assert!(Committees::are_enough(&[nth(1)]));
        assert!(!Committees::are_enough(&[nth(1), nth(2)]));
        let mut audit = hearing(private());
        audit.audit = Some(([3; 32], System::block_number() as u32));
        let case = Committees::open(audit).unwrap();
        assert_ok!(Committees::seat(Some(PAYER).into(), case));
        assert_eq!(sitting(case).len(), 5);
    });
}

#[test]
fn slow_work_should_have_more_time() {
    test(|| {
        members(5);
        for (subject, blocks) in [
            (private(), COMMIT),
            (public(), LONG),
            (Subject::Row { index: [1; 32], row: 5 }, COMMIT),
        ] {
            let case = open(subject);
            seat(case);
            assert_eq!(
                Cases::<Test>::get(case).unwrap().stage,
                CaseStage::Committing {
                    until: (System::block_number() + blocks) as u32
                }
            );
        }
    });
}

/// Bonds of 1 to 4: over many cases, whose seat it is follows the bond.
#[test]
fn the_first_seat_should_follow_the_bond() {
    let mut first: BTreeMap<u8, u32> = BTreeMap::new();
    test(|| {
        Size::set(&1);
        Quorum::set(&1);
        hire(ACCUSED, BOND);
        for n in 1..=4u8 {
            join(nth(n), u128::from(n) * BOND);
        }
        advance(1);
        for entropy in 0..1_000 {
            outside(|o| o.entropy = entropy);
            let case = open(private());
            let who = seat(case)[0].clone();
            *first.entry(AsRef::<[u8]>::as_ref(&who)[0]).or_default() += 1;
            commit(case, &who, &Says::Right).unwrap();
            reveal(case, &who, &Says::Right).unwrap();
            close(case).unwrap();
        }
    });
    println!("first seats of bonds 1 to 4: {first:?}");
    // Five standard deviations of the most frequent, 400 ± 15.5.
    for (n, count) in first {
        assert!(count.abs_diff(100 * u32::from(n)) < 78, "{n}: {count}");
    }
}
