//! Bases and models.

use crate::{fixture, mock::*, Error, Event};
use frame_support::{assert_noop, assert_ok, traits::IntegrityTest};
use openledger_attribution::fee::{Mix, Split};
use openledger_protocol::models::{Base, Model};
use openledger_traits::{Asset, Ownership};
use sp_runtime::{DispatchError, TokenError};

#[test]
fn register_base_should_hold_a_deposit_and_keep_the_hashes() {
    scenario(|| {
        assert_ok!(Models::register_base(
            signed(&OTHER),
            name("small"),
            name("Apache-2.0"),
            fixture::WEIGHTS,
            fixture::TOKENIZER
        ));
        assert_eq!(
            crate::Bases::<Test>::get(0),
            Some(Base {
                registrant: OTHER,
                name: name("small"),
                licence: name("Apache-2.0"),
                weights: fixture::WEIGHTS,
                tokenizer: fixture::TOKENIZER,
                deposit: BASE_DEPOSIT,
            })
        );
        assert_eq!(held(&OTHER), BASE_DEPOSIT);
        System::assert_last_event(Event::BaseRegistered { base: 0, who: OTHER }.into());
    });
}

#[test]
fn register_base_should_be_refused_when_a_name_is_empty_or_money_is_short() {
    scenario(|| {
        let register = |who, called: &str, licence: &str| {
            Models::register_base(signed(who), name(called), name(licence), [1; 32], [2; 32])
        };
        assert_noop!(register(&OTHER, "", "MIT"), Error::<Test>::BadName);
        assert_noop!(register(&OTHER, "a", "\u{7}"), Error::<Test>::BadLicence);
        assert_noop!(register(&POOR, "a", "MIT"), TokenError::FundsUnavailable);
        assert_noop!(
            Models::register_base(RuntimeOrigin::root(), name("a"), name("MIT"), [1; 32], [2; 32]),
            DispatchError::BadOrigin
        );
    });
}

#[test]
fn create_should_make_the_sender_the_owner() {
    scenario(|| {
        assert_eq!(created(), 0);
        assert_eq!(
            crate::Models::<Test>::get(0),
            Some(Model {
                name: name("law"),
                base: 0,
                creator: OWNER,
                deposit: MODEL_DEPOSIT,
                generations: 0,
                tariff: stored(10, 20),
                previous: None,
                serving: true,
            })
        );
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT);
        assert_eq!(World::owner(Asset::Model(0)), Some(OWNER));
        System::assert_last_event(Event::Created { model: 0, who: OWNER }.into());
    });
}

#[test]
fn create_should_be_refused_when_the_tariff_cannot_be_charged() {
    scenario(|| {
        let model = created();
        let create = |price, mix| Models::create(signed(&OWNER), name("b"), 0, price, 20, mix);
        let short = Mix {
            influence: 599_999_999,
            ..mix()
        };
        assert_noop!(create(10, short), Error::<Test>::MixNotWhole);
        assert_noop!(create(u128::MAX, mix()), Error::<Test>::PriceTooHigh);
        // 2³² − 1 tokens at 2⁹⁶ planck are counted in 128 bits, at twice that they are not.
        assert_noop!(create(u128::MAX >> 31, mix()), Error::<Test>::PriceTooHigh);
        assert_ok!(create(u128::MAX >> 32, mix()));
        GovernedSplit::set(&Split {
            owner: 3_999,
            ..SPLIT
        });
        assert_noop!(create(10, mix()), Error::<Test>::SplitNotWhole);
        assert_noop!(
            Models::set_prices(signed(&OWNER), model, 1, 1),
            Error::<Test>::SplitNotWhole
        );
        GovernedSplit::set(&SPLIT);
    });
}

#[test]
fn create_should_change_nothing_when_base_money_or_item_is_missing() {
    scenario(|| {
        created();
        let create = |who, base| Models::create(signed(who), name("b"), base, 10, 20, mix());
        assert_noop!(create(&OWNER, 1), Error::<Test>::UnknownBase);
        assert_noop!(create(&POOR, 0), TokenError::FundsUnavailable);
        assert_noop!(
            Models::create(signed(&OWNER), name(""), 0, 10, 20, mix()),
            Error::<Test>::BadName
        );
        World::refuse("items");
        assert_noop!(create(&OWNER, 0), DispatchError::Other("no item"));
    });
}

#[test]
fn the_settings_should_allow_a_generation() {
    <Models as IntegrityTest>::integrity_test();
}
