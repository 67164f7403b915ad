//! Accepting and rejecting.

use crate::{mock::*, Contributions, Error, Event};
use frame_support::{assert_noop, assert_ok};
use openledger_protocol::datanets::Standing;
use sp_runtime::DispatchError;

#[track_caller]
fn assert_decided(contribution: u64, standing: Standing) {
    let entry = Contributions::<Test>::get(contribution).unwrap();
    assert_eq!((entry.standing, entry.deposit), (standing, 0));
    assert_eq!((held(&ALICE), Balances::free_balance(&ALICE)), (0, RICH));
}

#[test]
fn accept_should_weigh_the_contribution_and_give_the_deposit_back() {
    for weight in [1, 10_000] {
        scenario(|| {
            let contribution = contributed(&ALICE, curated(), [0; 32]);
            assert_ok!(Datanets::accept(signed(&CURATOR), contribution, weight));
            assert_decided(contribution, Standing::Accepted { weight });
            System::assert_last_event(
                Event::Accepted {
                    contribution,
                    curator: Some(CURATOR),
                    weight,
                }
                .into(),
            );
        });
    }
}

#[test]
fn reject_should_give_the_deposit_back() {
    scenario(|| {
        let contribution = contributed(&ALICE, curated(), [0; 32]);
        assert_ok!(Datanets::reject(signed(&CURATOR), contribution));
        assert_decided(contribution, Standing::Rejected);
        System::assert_last_event(
            Event::Rejected {
                contribution,
                curator: CURATOR,
            }
            .into(),
        );
    });
}

#[test]
fn mature_should_accept_when_the_window_has_passed() {
    scenario(|| {
        let contribution = contributed(&ALICE, open(), [0; 32]);
        blocks(WINDOW - 1);
        assert_noop!(
            Datanets::mature(signed(&BOB), contribution),
            Error::<Test>::WindowOpen
        );
        blocks(1);
        assert_ok!(Datanets::mature(signed(&BOB), contribution));
        assert_decided(contribution, Standing::Accepted { weight: 10_000 });
        System::assert_last_event(
            Event::Accepted {
                contribution,
                curator: None,
                weight: 10_000,
            }
            .into(),
        );
    });
}

#[test]
fn curators_calls_should_be_refused_to_everyone_else() {
    scenario(|| {
        let curated = contributed(&ALICE, curated(), [0; 32]);
        let open = contributed(&ALICE, open(), [1; 32]);
        blocks(WINDOW);
        // Not even to the owner, and an open Datanet has no curator.
        for (who, contribution) in [(OWNER, curated), (ALICE, curated), (CURATOR, open), (OWNER, open)] {
            assert_noop!(
                Datanets::accept(signed(&who), contribution, 1),
                Error::<Test>::NotCurator
            );
            assert_noop!(
                Datanets::reject(signed(&who), contribution),
                Error::<Test>::NotCurator
            );
        }
        assert_noop!(
            Datanets::mature(signed(&CURATOR), curated),
            Error::<Test>::Curated
        );
        assert_noop!(
            Datanets::mature(RuntimeOrigin::none(), open),
            DispatchError::BadOrigin
        );
    });
}

#[test]
fn decisions_should_be_refused_when_one_was_made() {
    scenario(|| {
        let datanet = curated();
        for first in [true, false] {
            let contribution = contributed(&ALICE, datanet, [u8::from(first); 32]);
            if first {
                assert_ok!(Datanets::accept(signed(&CURATOR), contribution, 5));
            } else {
                assert_ok!(Datanets::reject(signed(&CURATOR), contribution));
            }
            assert_noop!(
                Datanets::accept(signed(&CURATOR), contribution, 6),
                Error::<Test>::AlreadyDecided
            );
            assert_noop!(
                Datanets::reject(signed(&CURATOR), contribution),
                Error::<Test>::AlreadyDecided
            );
        }
        let open = contributed(&ALICE, open(), [9; 32]);
        blocks(WINDOW);
        assert_ok!(Datanets::mature(signed(&BOB), open));
        assert_noop!(
            Datanets::mature(signed(&BOB), open),
            Error::<Test>::AlreadyDecided
        );
    });
}

#[test]
fn accept_should_be_refused_when_weight_or_number_is_out_of_range() {
    scenario(|| {
        let contribution = contributed(&ALICE, curated(), [0; 32]);
        for weight in [0, 10_001, u16::MAX] {
            assert_noop!(
                Datanets::accept(signed(&CURATOR), contribution, weight),
                Error::<Test>::BadWeight
            );
        }
        assert_noop!(
            Datanets::accept(signed(&CURATOR), contribution + 1, 1),
            Error::<Test>::UnknownContribution
        );
        assert_noop!(
            Datanets::reject(signed(&CURATOR), contribution + 1),
            Error::<Test>::UnknownContribution
        );
        assert_noop!(
            Datanets::mature(signed(&CURATOR), contribution + 1),
            Error::<Test>::UnknownContribution
        );
    });
}
