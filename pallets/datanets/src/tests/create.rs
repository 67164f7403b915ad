//! Creating Datanets.

use crate::{mock::*, Error, Event, NextDatanet};
use frame_support::{assert_noop, assert_ok, traits::IntegrityTest};
use openledger_protocol::datanets::{Curation, Datanet};
use openledger_traits::{Asset, Ownership};
use sp_runtime::{DispatchError, TokenError};

#[test]
fn create_should_hold_a_deposit_and_make_the_sender_the_owner() {
    scenario(|| {
        assert_ok!(Datanets::create(
            signed(&OWNER),
            name("law"),
            name("CC0-1.0"),
            Curation::Open
        ));
        assert_eq!(
            crate::Datanets::<Test>::get(0),
            Some(Datanet {
                name: name("law"),
                licence: name("CC0-1.0"),
                curation: Curation::Open,
                creator: OWNER,
                deposit: DATANET_DEPOSIT,
                versions: 0,
            })
        );
        assert_eq!(held(&OWNER), DATANET_DEPOSIT);
        assert_eq!(Items::owner(Asset::Datanet(0)), Some(OWNER));
        System::assert_last_event(
            Event::Created {
                datanet: 0,
                who: OWNER,
            }
            .into(),
        );
        assert_eq!(curated(), 1);
        assert_eq!(held(&OWNER), 2 * DATANET_DEPOSIT);
    });
}

#[test]
fn create_should_be_refused_when_a_name_cannot_be_shown() {
    scenario(|| {
        let good = name("law");
        for bad in [
            name(""),
            vec![0xFF, 0xFE].try_into().unwrap(),
            name("\u{1b}[31m"),
            name("a\nb"),
        ] {
            assert_noop!(
                Datanets::create(signed(&OWNER), bad.clone(), good.clone(), Curation::Open),
                Error::<Test>::BadName
            );
            assert_noop!(
                Datanets::create(signed(&OWNER), good.clone(), bad, Curation::Open),
                Error::<Test>::BadLicence
            );
        }
        assert_ok!(Datanets::create(
            signed(&OWNER),
            name("права"),
            good,
            Curation::Open
        ));
    });
}

#[test]
fn create_should_be_refused_when_curators_are_none_or_named_twice() {
    scenario(|| {
        for bad in [vec![], vec![ALICE, CURATOR, ALICE]] {
            let curation = Curation::Curators(bad.try_into().unwrap());
            assert_noop!(
                Datanets::create(signed(&OWNER), name("law"), name("CC0-1.0"), curation),
                Error::<Test>::BadCurators
            );
        }
        let curation = Curation::Curators(vec![ALICE, CURATOR].try_into().unwrap());
        assert_ok!(Datanets::create(
            signed(&OWNER),
            name("law"),
            name("CC0-1.0"),
            curation
        ));
    });
}

#[test]
fn create_should_change_nothing_when_money_or_the_item_fails() {
    scenario(|| {
        let create = |who| Datanets::create(signed(who), name("law"), name("CC0-1.0"), Curation::Open);
        assert_noop!(create(&POOR), TokenError::FundsUnavailable);
        assert_noop!(create(&BOB), DispatchError::Other("Bob owns nothing"));
        assert_noop!(
            Datanets::create(
                RuntimeOrigin::root(),
                name("law"),
                name("CC0-1.0"),
                Curation::Open
            ),
            DispatchError::BadOrigin
        );
        NextDatanet::<Test>::put(u64::MAX);
        assert_noop!(create(&OWNER), Error::<Test>::NoNumberLeft);
    });
}

#[test]
fn the_settings_should_allow_a_contribution() {
    <Datanets as IntegrityTest>::integrity_test();
}
