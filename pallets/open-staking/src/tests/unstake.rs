use crate::{mock::*, Error, Event, Pools, Stakers};
use frame_support::{assert_noop, assert_ok, traits::Get};
use openledger_protocol::staking::{MaxLeaving, VIRTUAL_STAKE};

#[test]
fn what_is_asked_back_should_stop_earning_and_wait() {
    test(|| {
        let shares = stake(&alice(), MODEL, 10 * OPEN);
        stake(&bob(), MODEL, 10 * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares));
        System::assert_last_event(
            Event::Unstaked {
                pool: MODEL,
                who: alice(),
                amount: 10 * OPEN,
                shares,
                until: 1 + UNBONDING as u32,
            }
            .into(),
        );
        income(&MODEL, 11 * OPEN);
        blocks(PERIOD);
        let worth = held(&MODEL, &alice());
        assert_eq!((worth.staked, worth.leaving, worth.ready), (0, 0, 10 * OPEN));
        // One part in eleven of the income is that of the virtual shares.
        assert_eq!(held(&MODEL, &bob()).staked, 20 * OPEN);
    });
}

#[test]
fn a_rest_should_be_at_least_the_least_stake() {
    test(|| {
        let shares = stake(&alice(), MODEL, 3 * OPEN);
        assert_noop!(
            unstake(&alice(), MODEL, shares - 1),
            Error::<Test>::LeavesTooLittle
        );
        assert_ok!(unstake(&alice(), MODEL, shares / 3));
        // Slashed below it, all can still go.
        slash(&MODEL, 2 * OPEN);
        assert_noop!(unstake(&alice(), MODEL, 1), Error::<Test>::LeavesTooLittle);
        assert_ok!(unstake(&alice(), MODEL, shares - shares / 3));
    });
}

#[test]
fn nobody_should_get_back_what_it_does_not_hold() {
    test(|| {
        assert_noop!(unstake(&alice(), MODEL, 1), Error::<Test>::NotStaker);
        let shares = stake(&alice(), MODEL, 3 * OPEN);
        assert_noop!(unstake(&alice(), MODEL, shares + 1), Error::<Test>::TooManyShares);
        assert_noop!(unstake(&alice(), MODEL, u128::MAX), Error::<Test>::TooManyShares);
        assert_noop!(unstake(&alice(), MODEL, 0), Error::<Test>::NothingToDo);
        assert_noop!(unstake(&bob(), MODEL, 1), Error::<Test>::NotStaker);
        assert_ok!(unstake(&alice(), MODEL, shares));
        assert_noop!(unstake(&alice(), MODEL, 1), Error::<Test>::NotStaker);
    });
}

#[test]
fn parts_on_their_way_out_should_be_bounded() {
    test(|| {
        let most = <MaxLeaving as Get<u32>>::get();
        let shares = stake(&alice(), MODEL, 100 * OPEN);
        for _ in 0..most {
            assert_ok!(unstake(&alice(), MODEL, shares / 100));
            blocks(1);
        }
        assert_noop!(
            unstake(&alice(), MODEL, shares / 100),
            Error::<Test>::TooManyLeaving
        );
        blocks(UNBONDING);
        assert_eq!(withdraw(&alice(), MODEL), u128::from(most) * OPEN);
        assert_ok!(unstake(&alice(), MODEL, shares / 100));
        assert_eq!(Stakers::<Test>::get(MODEL, alice()).unwrap().leaving.len(), 1);
    });
}

#[test]
fn the_last_to_leave_should_leave_the_price_as_it_was_at_first() {
    test(|| {
        let shares = stake(&alice(), MODEL, OPEN);
        income(&MODEL, 4 * OPEN);
        blocks(PERIOD / 2);
        // A half has streamed, and a half of that belongs to the virtual shares.
        assert_ok!(unstake(&alice(), MODEL, shares));
        let state = Pools::<Test>::get(MODEL).unwrap();
        assert_eq!((state.shares, state.staked, state.leaving), (0, 0, 2 * OPEN));
        assert_eq!((state.virtual_stake, state.stream.rest), (VIRTUAL_STAKE, 0));
        assert_eq!(treasury(), 3 * OPEN);
        assert_eq!(stake(&bob(), MODEL, OPEN), shares);
        assert_eq!(held(&MODEL, &bob()).staked, OPEN);
    });
}
