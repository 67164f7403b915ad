use crate::{mock::*, Error, Members};
use frame_support::{assert_noop, assert_ok};

#[test]
fn a_worker_that_attests_should_join_change_its_key_and_leave() {
    test(|| {
        assert_noop!(
            Committees::join(Some(nth(1)).into(), [1; 32]),
            Error::<Test>::NotAttester
        );
        hire(nth(1), BOND);
        workers(|all| all.get_mut(&nth(1)).unwrap().attests = false);
        assert_noop!(
            Committees::join(Some(nth(1)).into(), [1; 32]),
            Error::<Test>::NotAttester
        );
        workers(|all| all.get_mut(&nth(1)).unwrap().attests = true);
        assert_ok!(Committees::join(Some(nth(1)).into(), [1; 32]));
        advance(5);
        assert_ok!(Committees::join(Some(nth(1)).into(), [2; 32]));
        let member = Members::<Test>::get(nth(1)).unwrap();
        assert_eq!((member.key, member.since), ([2; 32], 1), "a new key does not make it newer");
        assert_noop!(
            Committees::strike(Some(PAYER).into(), nth(1)),
            Error::<Test>::StillAttester
        );
        assert_ok!(Committees::leave(Some(nth(1)).into()));
        assert_noop!(Committees::leave(Some(nth(1)).into()), Error::<Test>::NotMember);
    });
}

#[test]
fn who_is_no_worker_any_more_should_be_struck_out_by_anyone() {
    test(|| {
        members(1);
        workers(|all| all.remove(&nth(1)));
        assert_ok!(Committees::strike(Some(PAYER).into(), nth(1)));
        assert_eq!(Members::<Test>::count(), 0);
    });
}

#[test]
fn members_should_not_be_more_than_a_draw_may_read() {
    test(|| {
        members(60);
        hire(nth(61), BOND);
        assert_noop!(
            Committees::join(Some(nth(61)).into(), [1; 32]),
            Error::<Test>::TooManyMembers
        );
    });
}

#[test]
fn nobody_should_leave_a_seat() {
    test(|| {
        members(5);
        let case = open(private());
        let who = seat(case)[0].clone();
        assert_noop!(Committees::leave(Some(who.clone()).into()), Error::<Test>::Sits);
        workers(|all| all.get_mut(&who).unwrap().attests = false);
        assert_noop!(Committees::strike(Some(PAYER).into(), who), Error::<Test>::Sits);
    });
}
