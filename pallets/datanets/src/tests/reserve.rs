//! Reserving, and releasing what ran out.

use crate::{mock::*, Error, Event, Reservations};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::datanets::Reservation;
use sp_runtime::TokenError;

#[test]
fn reserve_should_hold_a_deposit_until_it_runs_out() {
    scenario(|| {
        assert_ok!(Datanets::reserve(signed(&ALICE), [9; 32]));
        let expires = 1 + PERIOD as u32;
        assert_eq!(
            Reservations::<Test>::get([9; 32]),
            Some(Reservation {
                who: ALICE,
                deposit: RESERVATION_DEPOSIT,
                since: 1,
                expires,
            })
        );
        assert_eq!(held(&ALICE), RESERVATION_DEPOSIT);
        System::assert_last_event(
            Event::Reserved {
                commitment: [9; 32],
                who: ALICE,
                expires,
            }
            .into(),
        );
    });
}

#[test]
fn reserve_should_be_refused_when_the_commitment_is_there() {
    scenario(|| {
        assert_ok!(Datanets::reserve(signed(&ALICE), [9; 32]));
        for who in [ALICE, BOB] {
            assert_noop!(
                Datanets::reserve(signed(&who), [9; 32]),
                Error::<Test>::AlreadyReserved
            );
        }
        assert_noop!(
            Datanets::reserve(signed(&POOR), [8; 32]),
            TokenError::FundsUnavailable
        );
    });
}

#[test]
fn release_should_give_the_deposit_back_when_the_reservation_ran_out() {
    scenario(|| {
        assert_ok!(Datanets::reserve(signed(&ALICE), [9; 32]));
        blocks(PERIOD);
        assert_noop!(
            Datanets::release(signed(&ALICE), [9; 32]),
            Error::<Test>::ReservationLive
        );
        blocks(1);
        // Anybody may.
        assert_ok!(Datanets::release(signed(&BOB), [9; 32]));
        assert_eq!((held(&ALICE), Balances::free_balance(&ALICE)), (0, RICH));
        System::assert_last_event(
            Event::Released {
                commitment: [9; 32],
                who: ALICE,
                deposit: RESERVATION_DEPOSIT,
            }
            .into(),
        );
        assert_noop!(
            Datanets::release(signed(&BOB), [9; 32]),
            Error::<Test>::UnknownReservation
        );
    });
}
