//! Commitments and what is revealed of them.

use crate::{mock::*, CaseStage, Cases, Error, Progress};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::committee::{Computed, Vote};

fn progress(case: u64, who: &AccountId) -> Progress {
    let case = Cases::<Test>::get(case).unwrap();
    case.seats.iter().find(|seat| seat.member == *who).unwrap().progress
}

#[test]
fn only_members_with_a_seat_should_commit_and_once() {
    test(|| {
        members(6);
        let case = open(private());
        assert_noop!(commit(case, &nth(1), &Says::Right), Error::<Test>::WrongStage);
        assert_noop!(commit(case + 1, &nth(1), &Says::Right), Error::<Test>::NoCase);
        let all = seat(case);
        let out = (1..=6).map(nth).find(|who| !all.contains(who)).unwrap();
        assert_noop!(commit(case, &out, &Says::Right), Error::<Test>::NotSeated);
        assert_ok!(commit(case, &all[0], &Says::Right));
        assert_noop!(commit(case, &all[0], &Says::Wrong(1)), Error::<Test>::CommittedAlready);
        assert_noop!(reveal(case, &all[0], &Says::Right), Error::<Test>::WrongStage);
        advance(COMMIT + 1);
        assert_noop!(commit(case, &all[1], &Says::Right), Error::<Test>::TooLate);
    });
}

#[test]
fn a_copied_commitment_should_be_worth_nothing() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        // A lazy member copies what another committed to, and later what it revealed.
        let copied = commitment(&all[0], &Says::Right);
        for who in &all[1..4] {
            assert_ok!(commit(case, who, &Says::Right));
        }
        assert_ok!(Committees::commit(Some(all[0].clone()).into(), case, copied));
        assert_ok!(Committees::commit(Some(all[4].clone()).into(), case, copied));
        assert_ok!(reveal(case, &all[0], &Says::Right));
        let (vote, computed) = Says::Right.vote();
        for salt in [salt(&all[0]), salt(&all[4])] {
            assert_noop!(
                Committees::reveal(
                    Some(all[4].clone()).into(),
                    case,
                    vote,
                    Box::new(computed.clone()),
                    salt
                ),
                Error::<Test>::OtherCommitment
            );
        }
        for who in &all[1..4] {
            assert_ok!(reveal(case, who, &Says::Right));
        }
        advance(REVEAL + 1);
        assert_ok!(close(case));
        assert_eq!(bond(&all[4]), BOND - SILENCE);
        assert_eq!(bond(&all[0]), BOND);
    });
}

#[test]
fn another_vote_other_numbers_or_another_salt_should_not_be_revealed() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        for who in &all {
            assert_ok!(commit(case, who, &Says::Wrong(1)));
        }
        let by = || Some(all[0].clone()).into();
        let (vote, computed) = Says::Wrong(1).vote();
        let good = salt(&all[0]);
        for (vote, computed, salt) in [
            (Vote::Right, computed.clone(), good),
            (vote, Computed::Digest([2; 32]), good),
            (vote, computed.clone(), [0; 32]),
        ] {
            assert_noop!(
                Committees::reveal(by(), case, vote, Box::new(computed), salt),
                Error::<Test>::OtherCommitment
            );
        }
        assert_ok!(reveal(case, &all[0], &Says::Wrong(1)));
        assert_noop!(
            reveal(case, &all[0], &Says::Wrong(1)),
            Error::<Test>::NothingToReveal
        );
    });
}

#[test]
fn revealing_late_should_be_refused_and_count_as_silence() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        for who in &all {
            assert_ok!(commit(case, who, &Says::Right));
        }
        for who in &all[..4] {
            assert_ok!(reveal(case, who, &Says::Right));
        }
        assert_noop!(close(case), Error::<Test>::TooEarly);
        advance(REVEAL + 1);
        assert_noop!(reveal(case, &all[4], &Says::Right), Error::<Test>::TooLate);
        assert_ok!(close(case));
        assert_eq!(bond(&all[4]), BOND - SILENCE);
    });
}

#[test]
fn a_vote_should_be_what_the_numbers_say() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        let says = [
            Says::Right,
            Says::Wrong(1),
            Says::Contradicts,
            Says::Missing(Vote::Wrong),
            Says::Missing(Vote::Right),
        ];
        for (who, says) in all.iter().zip(&says) {
            assert_ok!(commit(case, who, says));
        }
        for (who, says) in all.iter().zip(&says) {
            assert_ok!(reveal(case, who, says));
        }
        let expected = [
            Progress::Revealed(0),
            Progress::Revealed(1),
            Progress::Outside,
            Progress::Revealed(2),
            Progress::Outside,
        ];
        for (who, expected) in all.iter().zip(expected) {
            assert_eq!(progress(case, who), expected);
        }
    });
}

#[test]
fn a_fourth_other_answer_should_not_be_kept() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        for (n, who) in all.iter().enumerate() {
            assert_ok!(commit(case, who, &Says::Wrong(n as u8)));
        }
        for (n, who) in all.iter().enumerate() {
            assert_ok!(reveal(case, who, &Says::Wrong(n as u8)));
        }
        assert_eq!(progress(case, &all[2]), Progress::Revealed(3));
        assert_eq!(progress(case, &all[3]), Progress::Outside);
        assert_ok!(close(case));
        assert!(matches!(
            Cases::<Test>::get(case).unwrap().stage,
            CaseStage::Waiting { .. }
        ));
    });
}

#[test]
fn an_answer_of_another_kind_should_be_outside() {
    test(|| {
        members(5);
        let case = open(private());
        let all = seat(case);
        let other = Computed::Ranks(vec![1]);
        let hash = openledger_attribution::committee::vote_hash(
            Vote::Wrong,
            all[0].as_ref(),
            &openledger_attribution::wire::Object::encode(&other),
            &[1; 32],
        );
        assert_ok!(Committees::commit(Some(all[0].clone()).into(), case, hash));
        for who in &all[1..] {
            assert_ok!(commit(case, who, &Says::Right));
        }
        assert_ok!(Committees::reveal(
            Some(all[0].clone()).into(),
            case,
            Vote::Wrong,
            Box::new(other),
            [1; 32]
        ));
        assert_eq!(progress(case, &all[0]), Progress::Outside);
    });
}
