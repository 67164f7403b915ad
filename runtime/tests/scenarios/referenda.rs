//! A referendum from preimage to enactment, on the parameters track.

use crate::chain::*;
use codec::Encode;
use frame_support::traits::{schedule::DispatchTime, Bounded, Get};
use openledger_runtime::{params::*, *};
use pallet_conviction_voting::{AccountVote, Conviction, Vote};
use serde_json::json;
use sp_keyring::Sr25519Keyring::{Alice, Bob, Charlie, Dave};
use sp_runtime::traits::{BlakeTwo256, Hash};

#[test]
fn a_referendum_should_change_a_parameter() {
    chain("development", json!({})).execute_with(|| {
        let wanted = 7 * currency::GIGA;
        let call = RuntimeCall::Parameters(pallet_parameters::Call::set_parameter {
            key_value: RuntimeParameters::Fees(dynamic::fees::Parameters::ByteFee(
                dynamic::fees::ByteFee,
                Some(wanted),
            )),
        });
        let bytes = call.encode();
        let hash = BlakeTwo256::hash(&bytes);
        let note = pallet_preimage::Call::note_preimage { bytes: bytes.clone() };
        let submit = pallet_referenda::Call::submit {
            proposal_origin: Box::new(governance::origins::Origin::ParametersAdmin.into()),
            proposal: Bounded::Lookup {
                hash,
                len: bytes.len() as u32,
            },
            enactment_moment: DispatchTime::After(1),
        };
        let deposit = pallet_referenda::Call::place_decision_deposit { index: 0 };
        for (who, call) in [
            (Bob, RuntimeCall::Preimage(note)),
            (Bob, submit.into()),
            (Charlie, deposit.into()),
        ] {
            next_block(vec![signed(who, call)])[0].unwrap().unwrap();
        }
        for who in [Alice, Bob, Charlie, Dave] {
            let vote = pallet_conviction_voting::Call::vote {
                poll_index: 0,
                vote: AccountVote::Standard {
                    vote: Vote {
                        aye: true,
                        conviction: Conviction::Locked1x,
                    },
                    balance: 90_000_000 * currency::OPEN,
                },
            };
            next_block(vec![signed(who, RuntimeCall::ConvictionVoting(vote))])[0]
                .unwrap()
                .unwrap();
        }
        let start = System::block_number();
        while ByteFee::get() != wanted {
            assert!(
                System::block_number() < start + 200,
                "not enacted within 200 blocks"
            );
            next_block(vec![]);
            assert_supply();
        }
        // Deposits come back.
        next_block(vec![signed(
            Charlie,
            pallet_referenda::Call::refund_decision_deposit { index: 0 }.into(),
        )])[0]
            .unwrap()
            .unwrap();
        assert_supply();
    });
}

#[test]
fn a_parameter_should_stay_within_its_bounds() {
    chain("development", json!({})).execute_with(|| {
        let set = |value| {
            Parameters::set_parameter(
                RuntimeOrigin::root(),
                RuntimeParameters::Fees(dynamic::fees::Parameters::ByteFee(
                    dynamic::fees::ByteFee,
                    Some(value),
                )),
            )
            .unwrap()
        };
        set(0);
        assert_eq!(ByteFee::get(), currency::GIGA);
        set(Balance::MAX);
        assert_eq!(ByteFee::get(), 100_000 * currency::GIGA);
    });
}

#[test]
fn nobody_should_change_a_parameter_alone() {
    chain("development", json!({})).execute_with(|| {
        let call = RuntimeCall::Parameters(pallet_parameters::Call::set_parameter {
            key_value: RuntimeParameters::Fees(dynamic::fees::Parameters::ByteFee(
                dynamic::fees::ByteFee,
                Some(1),
            )),
        });
        assert!(next_block(vec![signed(Alice, call)])[0].unwrap().is_err());
    });
}
