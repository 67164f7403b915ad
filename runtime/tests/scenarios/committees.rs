//! Committees as the runtime puts them together: sizes by network, owners by identity, the track that decides what is frozen.

use crate::chain::*;
use frame_support::traits::Get;
use governance::origins::Origin;
use openledger_attribution::{
    committee::{vote_hash, Claim, Computed, Vote},
    wire::Object,
};
use openledger_protocol::{
    committees::{CaseStage, Subject},
    compute::{capability, Backend},
    Name,
};
use openledger_runtime::*;
use openledger_traits::{Committees as _, Hearing};
use pallet_openledger_committees::{Cases, Config, Error};
use serde_json::json;
use sp_keyring::Sr25519Keyring::{self, Alice, Bob, Charlie, Dave};
use sp_runtime::{traits::Convert, DispatchError};

const CLAIM: [u8; 32] = [0xAD; 32];
const SALT: [u8; 32] = [5; 32];

fn act(who: Sr25519Keyring, call: impl Into<RuntimeCall>) {
    next_block(vec![signed(who, call.into())])[0].unwrap().unwrap();
}

fn register(who: Sr25519Keyring) {
    act(
        who,
        pallet_openledger_compute::Call::register {
            bond: 2_000 * currency::OPEN,
            result_key: [1; 32],
            receipt_key: [2; 32],
            backend: Backend::Cpu,
            arch: Name::truncate_from(b"portable-8".to_vec()),
            endpoint: b"http://127.0.0.1:8700".to_vec().try_into().unwrap(),
            capabilities: capability::ALL,
        },
    );
}

fn open() -> u64 {
    Committees::open(Hearing {
        subject: Subject::Output { batch: 0, receipt: 0 },
        claim: Claim::Digest(CLAIM),
        accused: Bob.to_account_id(),
        payer: Alice.to_account_id(),
        parties: vec![],
        is_exact: true,
        audit: None,
    })
    .unwrap()
}

fn bond(who: Sr25519Keyring) -> Balance {
    pallet_openledger_compute::Workers::<Runtime>::get(who.to_account_id())
        .unwrap()
        .bond
}

fn stage(case: u64) -> Option<CaseStage> {
    Cases::<Runtime>::get(case).map(|case| case.stage)
}

#[test]
fn a_committee_should_have_five_seats_on_networks_and_one_in_development() {
    for (preset, size, quorum) in [("development", 1, 1), ("testnet", 5, 4)] {
        chain(preset, json!({})).execute_with(|| {
            assert_eq!(<Runtime as Config>::Size::get(), size, "{preset}");
            assert_eq!(<Runtime as Config>::Quorum::get(), quorum, "{preset}");
        });
    }
}

#[test]
fn a_committee_of_one_should_be_drawn_answer_and_be_paid() {
    chain("development", json!({})).execute_with(|| {
        register(Bob);
        register(Charlie);
        act(Charlie, pallet_openledger_committees::Call::join { key: [7; 32] });
        // The accused would be drawn, were it no party.
        act(Bob, pallet_openledger_committees::Call::join { key: [8; 32] });
        next_block(vec![]);
        let case = open();
        let epoch = pallet_babe::EpochIndex::<Runtime>::get();
        while pallet_babe::EpochIndex::<Runtime>::get() < epoch + 2 {
            next_block(vec![]);
        }
        let seat = pallet_openledger_committees::Call::seat { case };
        act(Dave, seat);
        let member = Cases::<Runtime>::get(case).unwrap().seats[0].member.clone();
        assert_eq!(member, Charlie.to_account_id());
        let computed = Computed::Digest([1; 32]);
        let commitment = vote_hash(
            Vote::Wrong,
            member.as_ref(),
            &Object::encode(&computed),
            &SALT,
        );
        act(
            Charlie,
            pallet_openledger_committees::Call::commit { case, commitment },
        );
        assert!(matches!(stage(case), Some(CaseStage::Revealing { .. })));
        act(
            Charlie,
            pallet_openledger_committees::Call::reveal {
                case,
                vote: Vote::Wrong,
                computed: Box::new(computed),
                salt: SALT,
            },
        );
        let before = bond(Bob);
        act(Dave, pallet_openledger_committees::Call::close { case });
        assert_eq!(stage(case), None);
        let price = <Runtime as Config>::SeatPrice::get();
        assert_eq!(bond(Bob), before - price, "who lost pays what the member cost");
        assert_eq!(bond(Charlie), 2_000 * currency::OPEN);
        assert_supply();
    });
}

#[test]
fn a_frozen_dispute_should_be_decided_by_its_own_track_alone() {
    chain("development", json!({})).execute_with(|| {
        register(Bob);
        let case = open();
        let epoch = pallet_babe::EpochIndex::<Runtime>::get();
        while pallet_babe::EpochIndex::<Runtime>::get() < epoch + 2 {
            next_block(vec![]);
        }
        // Nobody but the accused is a worker.
        act(Dave, pallet_openledger_committees::Call::seat { case });
        assert!(matches!(stage(case), Some(CaseStage::Frozen { .. })));
        for other in [Origin::Treasurer, Origin::ParametersAdmin, Origin::ReferendumKiller] {
            assert_eq!(
                Committees::decide(other.into(), case, Vote::Right).unwrap_err(),
                DispatchError::BadOrigin
            );
        }
        Committees::decide(Origin::FrozenDisputes.into(), case, Vote::Right).unwrap();
        assert_eq!(stage(case), None);
        assert_eq!(
            Committees::decide(Origin::FrozenDisputes.into(), case, Vote::Right).unwrap_err(),
            Error::<Runtime>::NoCase.into()
        );
        assert_supply();
    });
}

#[test]
fn whoever_registered_a_sub_account_should_be_behind_it() {
    chain("development", json!({})).execute_with(|| {
        let (owner, worker) = (Alice.to_account_id(), Dave.to_account_id());
        assert_eq!(config::payable_ai::Behind::convert(worker.clone()), worker);
        pallet_identity::SuperOf::<Runtime>::insert(&worker, (owner.clone(), pallet_identity::Data::None));
        assert_eq!(config::payable_ai::Behind::convert(worker), owner);
    });
}
