use crate::{mock::*, Error, Held, Pools};
use frame_support::{assert_noop, assert_ok};
use openledger_traits::Stakes;

#[test]
fn income_should_stream_evenly_to_all_shares() {
    test(|| {
        stake(&alice(), MODEL, 3 * OPEN);
        stake(&bob(), MODEL, 6 * OPEN);
        income(&MODEL, 70 * OPEN);
        for block in 0..=PERIOD {
            // Three, six and one tenth, the last that of the virtual shares.
            let due = u128::from(block) * OPEN / 10;
            assert_eq!(held(&MODEL, &alice()).staked, 3 * OPEN + 3 * due, "block {block}");
            assert_eq!(held(&MODEL, &bob()).staked, 6 * OPEN + 6 * due, "block {block}");
            blocks(1);
        }
        assert_eq!(OpenStaking::total(&MODEL), 79 * OPEN);
    });
}

#[test]
fn income_should_arrive_the_same_however_often_the_pool_is_touched() {
    test(|| {
        let quiet = openledger_protocol::staking::Pool::Model(8);
        for pool in [&MODEL, &quiet] {
            stake(&alice(), pool.clone(), 1_234_567 * OPEN / 1_000);
            income(pool, 1_000_003);
        }
        // Whatever else is done pays out what has streamed.
        for _ in 0..PERIOD {
            blocks(1);
            slash(&MODEL, 1);
        }
        let (touched, quiet) = (held(&MODEL, &alice()).staked, held(&quiet, &alice()).staked);
        // One planck was slashed each time, and less than one more rounded away.
        let lost = quiet - touched;
        let times = u128::from(PERIOD);
        assert!((times - 1..=2 * times).contains(&lost), "{lost}");
    });
}

#[test]
fn income_without_stakers_should_go_to_the_treasury() {
    test(|| {
        income(&MODEL, OPEN);
        assert_eq!((treasury(), Held::<Test>::get()), (OPEN, 0));
        assert!(!OpenStaking::has_stakers(&MODEL));
        let shares = stake(&alice(), MODEL, OPEN);
        assert!(OpenStaking::has_stakers(&MODEL));
        assert_ok!(unstake(&alice(), MODEL, shares));
        // Who leaves earns no more, even while there is nobody else.
        assert!(!OpenStaking::has_stakers(&MODEL));
        income(&MODEL, OPEN);
        assert_eq!(treasury(), 2 * OPEN);
        assert_eq!(OpenStaking::total(&MODEL), OPEN);
    });
}

#[test]
fn income_that_is_not_there_should_be_refused() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        assert_noop!(OpenStaking::income(&MODEL, 1), Error::<Test>::Ledger);
        assert_noop!(OpenStaking::income(&MODEL, u128::MAX), Error::<Test>::Ledger);
        assert_ok!(OpenStaking::income(&MODEL, 0));
        let none = openledger_protocol::staking::Pool::Agent(1);
        assert_noop!(OpenStaking::income(&none, 1), Error::<Test>::Ledger);
    });
}

#[test]
fn nobody_should_hold_income_up_with_small_payments() {
    test(|| {
        stake(&alice(), MODEL, OPEN);
        income(&MODEL, 70 * OPEN);
        blocks(PERIOD / 2);
        let end = Pools::<Test>::get(MODEL).unwrap().stream.end;
        income(&MODEL, 1);
        assert!(Pools::<Test>::get(MODEL).unwrap().stream.end <= end + 1);
    });
}
