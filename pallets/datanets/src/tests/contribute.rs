//! Contributing what was reserved.

use crate::{mock::*, Contributions, Error, Event, Reservations};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::tree::Root;
use openledger_protocol::datanets::{Contribution, Standing};

const SALT: [u8; 32] = [77; 32];

#[test]
fn contribute_should_turn_the_reservation_into_a_contribution() {
    scenario(|| {
        let datanet = curated();
        let root = records(&[10, 20, 30]);
        let commitment = commitment(&ALICE, datanet, &SALT, &root);
        assert_ok!(Datanets::reserve(signed(&ALICE), commitment));
        blocks(PERIOD);
        assert_ok!(Datanets::contribute(signed(&ALICE), datanet, SALT, root, cid()));
        assert_eq!(
            Contributions::<Test>::get(0),
            Some(Contribution {
                datanet,
                contributor: ALICE,
                records: root,
                cid: cid(),
                reserved: 1,
                since: 1 + PERIOD as u32,
                deposit: 50,
                standing: Standing::Pending,
            })
        );
        assert!(!Reservations::<Test>::contains_key(commitment));
        assert_eq!(held(&ALICE), 50);
        System::assert_last_event(
            Event::Contributed {
                contribution: 0,
                datanet,
                who: ALICE,
                records: 3,
                bytes: 60,
            }
            .into(),
        );
        // A reservation is good for one contribution.
        assert_noop!(
            Datanets::contribute(signed(&ALICE), datanet, SALT, root, cid()),
            Error::<Test>::NotReserved
        );
    });
}

#[test]
fn contribute_should_move_the_deposit_when_the_two_differ() {
    for deposit in [0, RESERVATION_DEPOSIT - 1, RESERVATION_DEPOSIT, 500] {
        scenario(|| {
            ContributionDeposit::set(&deposit);
            let datanet = open();
            contributed(&ALICE, datanet, SALT);
            assert_eq!(held(&ALICE), deposit);
        });
    }
}

#[test]
fn contribute_should_be_refused_when_anything_else_was_reserved() {
    scenario(|| {
        let (datanet, other) = (curated(), open());
        let root = records(&[10, 20]);
        assert_ok!(Datanets::reserve(
            signed(&ALICE),
            commitment(&ALICE, datanet, &SALT, &root)
        ));
        for (who, datanet, salt, root) in [
            (BOB, datanet, SALT, root),
            (ALICE, other, SALT, root),
            (ALICE, datanet, [78; 32], root),
            (ALICE, datanet, SALT, records(&[10, 21])),
            (ALICE, datanet, SALT, records(&[10])),
        ] {
            assert_noop!(
                Datanets::contribute(signed(&who), datanet, salt, root, cid()),
                Error::<Test>::NotReserved
            );
        }
        assert_noop!(
            Datanets::contribute(signed(&ALICE), 2, SALT, root, cid()),
            Error::<Test>::UnknownDatanet
        );
    });
}

#[test]
fn contribute_should_be_refused_when_somebody_made_the_reservation_first() {
    scenario(|| {
        let datanet = curated();
        let root = records(&[10, 20]);
        // Bob saw Alice's commitment before it was in a block. It does him no good, and she takes another salt.
        let commitment = commitment(&ALICE, datanet, &SALT, &root);
        assert_ok!(Datanets::reserve(signed(&BOB), commitment));
        assert_noop!(
            Datanets::contribute(signed(&ALICE), datanet, SALT, root, cid()),
            Error::<Test>::ReservedByAnother
        );
        assert_noop!(
            Datanets::contribute(signed(&BOB), datanet, SALT, root, cid()),
            Error::<Test>::NotReserved
        );
        assert_eq!(contributed(&ALICE, datanet, [78; 32]), 0);
    });
}

#[test]
fn contribute_should_be_refused_when_the_reservation_ran_out() {
    scenario(|| {
        let datanet = curated();
        let root = records(&[10, 20]);
        assert_ok!(Datanets::reserve(
            signed(&ALICE),
            commitment(&ALICE, datanet, &SALT, &root)
        ));
        blocks(PERIOD + 1);
        assert_noop!(
            Datanets::contribute(signed(&ALICE), datanet, SALT, root, cid()),
            Error::<Test>::ReservationExpired
        );
    });
}

#[test]
fn contribute_should_be_refused_when_no_tree_of_records_has_the_root() {
    scenario(|| {
        let datanet = curated();
        let full = vec![MAX_RECORD_BYTES; MAX_RECORDS as usize];
        for (root, error) in [
            (Root::EMPTY, Error::<Test>::ImpossibleRoot),
            (
                Root {
                    count: 0,
                    sum: 1,
                    top: [1; 32],
                },
                Error::ImpossibleRoot,
            ),
            // A record without a byte.
            (records(&[0]), Error::ImpossibleRoot),
            (records(&vec![1; MAX_RECORDS as usize + 1]), Error::TooManyRecords),
            (records(&[MAX_RECORD_BYTES + 1]), Error::RecordsTooLong),
            (
                Root {
                    count: 1,
                    sum: u128::MAX,
                    top: [1; 32],
                },
                Error::RecordsTooLong,
            ),
        ] {
            assert_ok!(Datanets::reserve(
                signed(&ALICE),
                commitment(&ALICE, datanet, &SALT, &root)
            ));
            assert_noop!(
                Datanets::contribute(signed(&ALICE), datanet, SALT, root, cid()),
                error
            );
        }
        let root = records(&full);
        assert_ok!(Datanets::reserve(
            signed(&ALICE),
            commitment(&ALICE, datanet, &SALT, &root)
        ));
        assert_noop!(
            Datanets::contribute(signed(&ALICE), datanet, SALT, root, Default::default()),
            Error::<Test>::NoCid
        );
        assert_ok!(Datanets::contribute(signed(&ALICE), datanet, SALT, root, cid()));
    });
}
