//! Publishing versions.

use crate::{mock::*, Error, Event, Versions};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::{record::VersionLeaf, tree::Root};
use openledger_protocol::datanets::Version;
use openledger_traits::Asset;

#[test]
fn publish_should_add_the_next_version() {
    scenario(|| {
        let datanet = curated();
        let (first, second) = (selection(3), selection(4));
        assert_ok!(Datanets::publish(signed(&OWNER), datanet, None, first, cid()));
        blocks(5);
        assert_ok!(Datanets::publish(signed(&OWNER), datanet, Some(0), second, cid()));
        assert_eq!(
            Versions::<Test>::get(datanet, 1),
            Some(Version {
                parent: Some(0),
                records: second,
                cid: cid(),
                published: 6,
            })
        );
        System::assert_last_event(
            Event::Published {
                datanet,
                version: 1,
                who: OWNER,
                records: second.hash::<VersionLeaf>(),
            }
            .into(),
        );
        let version = <Datanets as openledger_traits::Datanets>::version;
        assert_eq!(version(datanet, 0), Some(first));
        assert_eq!(version(datanet, 1), Some(second));
        assert_eq!(version(datanet, 2), None);
        assert_eq!(version(datanet + 1, 0), None);
    });
}

#[test]
fn publish_should_be_for_whoever_holds_the_item() {
    scenario(|| {
        let datanet = curated();
        assert_noop!(
            Datanets::publish(signed(&CURATOR), datanet, None, selection(1), cid()),
            Error::<Test>::NotOwner
        );
        Items::give(Asset::Datanet(datanet), &ALICE);
        assert_noop!(
            Datanets::publish(signed(&OWNER), datanet, None, selection(1), cid()),
            Error::<Test>::NotOwner
        );
        assert_ok!(Datanets::publish(
            signed(&ALICE),
            datanet,
            None,
            selection(1),
            cid()
        ));
    });
}

#[test]
fn publish_should_be_refused_when_the_parent_is_not_there() {
    scenario(|| {
        let datanet = curated();
        let publish = |parent| Datanets::publish(signed(&OWNER), datanet, parent, selection(1), cid());
        assert_noop!(publish(Some(0)), Error::<Test>::UnknownParent);
        assert_ok!(publish(None));
        assert_noop!(publish(Some(1)), Error::<Test>::UnknownParent);
        assert_ok!(publish(Some(0)));
        assert_ok!(publish(Some(0)));
        assert_noop!(
            Datanets::publish(signed(&OWNER), datanet + 1, None, selection(1), cid()),
            Error::<Test>::UnknownDatanet
        );
    });
}

#[test]
fn publish_should_be_refused_when_no_version_has_the_root() {
    scenario(|| {
        let datanet = curated();
        let good = selection(3);
        for bad in [
            Root::EMPTY,
            Root { count: 0, ..good },
            // Nobody stands for anybody, or more stand than there are.
            Root { sum: 0, ..good },
            Root { sum: 4, ..good },
        ] {
            assert_noop!(
                Datanets::publish(signed(&OWNER), datanet, None, bad, cid()),
                Error::<Test>::ImpossibleRoot
            );
        }
        assert_noop!(
            Datanets::publish(signed(&OWNER), datanet, None, good, Default::default()),
            Error::<Test>::NoCid
        );
        assert_ok!(Datanets::publish(
            signed(&OWNER),
            datanet,
            None,
            Root { sum: 1, ..good },
            cid()
        ));
    });
}
