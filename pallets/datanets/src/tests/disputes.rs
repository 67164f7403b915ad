//! Disputes about versions and duplicates.

use super::common::{
    watch::{version_evidence, Grove},
    world::World,
};
use crate::{mock::*, Contributions, Duplicates, Error, VersionBonds, Versions, MAX_CHALLENGES};
use frame_support::{assert_noop, assert_ok, traits::fungible::Inspect};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::RecordLeaf,
    tree::Tree,
    verdict::{Duplicate, Guilt, VersionEvidence},
};
use openledger_protocol::{
    datanets::{Contribution, Curation, Datanet, Standing, Version},
    disputes::{duplicate_commitment, version_commitment, Disputed, VersionBond},
};
use sp_runtime::DispatchResult;

pub(super) const SALT: Hash = [5; 32];
pub(super) const DATANET: u64 = 1;
pub(super) const ABOUT: Disputed = Disputed::Version {
    datanet: DATANET,
    version: 0,
};

/// A chain that has the world's contributions, all accepted, and its first version, published by the Datanet's owner.
pub(super) fn with(world: &World, run: impl FnOnce()) {
    scenario(|| {
        System::set_block_number(2_000);
        crate::NextDatanet::<Test>::put(DATANET + 1);
        crate::Datanets::<Test>::insert(
            DATANET,
            Datanet {
                name: name("world"),
                licence: name("CC0-1.0"),
                curation: Curation::Open,
                creator: OWNER,
                deposit: 0,
                versions: 0,
            },
        );
        Items::give(openledger_traits::Asset::Datanet(DATANET), &OWNER);
        for (id, (known, _)) in &world.chain.0 {
            crate::NextContribution::<Test>::mutate(|next| *next = (*next).max(id + 1));
            Contributions::<Test>::insert(
                id,
                Contribution {
                    datanet: DATANET,
                    contributor: known.contributor.into(),
                    records: known.records,
                    cid: cid(),
                    reserved: known.reserved as u32,
                    since: known.reserved as u32,
                    deposit: 0,
                    standing: Standing::Accepted { weight: 1 },
                },
            );
        }
        // A root that the chain itself refuses is tried elsewhere.
        let records = Tree::new(&world.index.versions[0]).unwrap().root();
        assert_ok!(Datanets::publish(signed(&OWNER), DATANET, None, records, cid()));
        run();
    });
}

pub(super) fn challenge(evidence: &VersionEvidence) {
    let commitment = version_commitment(&BOB.into(), DATANET, 0, &SALT, evidence);
    assert_ok!(Datanets::challenge(signed(&BOB), ABOUT, commitment));
}

pub(super) fn prove(evidence: &VersionEvidence) -> DispatchResult {
    Datanets::prove_version(signed(&BOB), DATANET, 0, SALT, Box::new(evidence.clone()))
}

pub(super) fn total(who: &AccountId) -> u128 {
    Balances::total_balance(who)
}

/// A version that holds a record of `contribution`, with evidence that its registry decides.
fn holds_of(world: &World, contribution: u64) -> VersionEvidence {
    version_evidence(world, 0)
        .into_iter()
        .find(|evidence| {
            matches!(evidence, VersionEvidence::Record(e)
                if e.leaf.leaf.record.contribution == contribution && e.record.is_some())
        })
        .unwrap()
}

#[test]
fn a_version_should_hold_accepted_contributions_only_and_no_duplicates_known_before() {
    let world = World::new(11, false);
    let contribution = world.index.versions[0][0].record.contribution;
    let evidence = holds_of(&world, contribution);
    type Change = fn(u64);
    let cases: [(bool, Change); 4] = [
        (false, |_| ()),
        (true, |id| {
            Contributions::<Test>::mutate(id, |entry| entry.as_mut().unwrap().standing = Standing::Rejected)
        }),
        (true, |id| Duplicates::<Test>::insert(id, 1_999)),
        // Marked only after the version was published.
        (false, |id| Duplicates::<Test>::insert(id, 2_000)),
    ];
    for (guilty, change) in cases {
        with(&world, || {
            change(contribution);
            challenge(&evidence);
            blocks(1);
            assert_ok!(prove(&evidence));
            let void = VersionBonds::<Test>::get(DATANET, 0).unwrap().void;
            assert_eq!(void, guilty.then_some(Guilt::WrongVersionRecord));
        });
    }
}

#[test]
fn evidence_should_be_shown_in_a_later_block_in_time_by_its_challenger_and_unchanged() {
    let world = World::new(11, false);
    let evidence = version_evidence(&world, 0).remove(0);
    with(&world, || {
        assert_noop!(prove(&evidence), Error::<Test>::NoChallenge);
        challenge(&evidence);
        assert_noop!(prove(&evidence), Error::<Test>::SameBlock);
        assert_noop!(
            Datanets::challenge(signed(&BOB), ABOUT, [1; 32]),
            Error::<Test>::ChallengeExists
        );
        let stolen = version_commitment(&BOB.into(), DATANET, 0, &SALT, &evidence);
        assert_ok!(Datanets::challenge(signed(&ALICE), ABOUT, stolen));
        blocks(1);
        assert_noop!(
            Datanets::prove_version(signed(&ALICE), DATANET, 0, SALT, Box::new(evidence.clone())),
            Error::<Test>::OtherEvidence
        );
        assert_noop!(
            Datanets::lapse(signed(&ALICE), ABOUT, BOB),
            Error::<Test>::TooEarly
        );
        blocks(PROVE);
        assert_noop!(prove(&evidence), Error::<Test>::TooLate);
        assert_ok!(Datanets::lapse(signed(&ALICE), ABOUT, BOB));
        assert_eq!(total(&BOB), RICH - CHALLENGE_DEPOSIT);
        blocks(VERSION_WINDOW);
        assert_noop!(
            Datanets::challenge(signed(&BOB), ABOUT, [1; 32]),
            Error::<Test>::TooLate
        );
        assert_noop!(
            Datanets::free_version(signed(&BOB), DATANET, 0),
            Error::<Test>::TooEarly
        );
        assert_ok!(Datanets::lapse(signed(&BOB), ABOUT, ALICE));
        assert_ok!(Datanets::free_version(signed(&BOB), DATANET, 0));
        assert_noop!(
            Datanets::free_version(signed(&BOB), DATANET, 0),
            Error::<Test>::NothingBehind
        );
        assert_noop!(
            Datanets::challenge(signed(&BOB), ABOUT, [1; 32]),
            Error::<Test>::NothingBehind
        );
    });
}

#[test]
fn a_version_should_have_as_many_challenges_as_it_may_and_no_more() {
    let world = World::new(11, false);
    with(&world, || {
        for n in 0..MAX_CHALLENGES {
            let who = AccountId::new([100 + n as u8; 32]);
            assert_ok!(Balances::transfer_keep_alive(signed(&ALICE), who.clone(), 1_000));
            assert_ok!(Datanets::challenge(signed(&who), ABOUT, [1; 32]));
        }
        assert_noop!(
            Datanets::challenge(signed(&BOB), ABOUT, [1; 32]),
            Error::<Test>::TooManyChallenges
        );
    });
}

/// A contribution of these contents.
pub(super) fn contribute(
    who: &AccountId,
    datanet: u64,
    contents: &[u8],
    reserved: u64,
) -> (u64, Grove<RecordLeaf>) {
    let leaves: Vec<RecordLeaf> = contents
        .iter()
        .map(|content| RecordLeaf {
            content: keccak(&[&[*content]]),
            bytes: 5,
        })
        .collect();
    let records = Grove::new(&leaves);
    let (root, salt) = (records.tree.root(), keccak(&[contents, &reserved.to_be_bytes()]));
    let now = System::block_number();
    System::set_block_number(reserved);
    assert_ok!(Datanets::reserve(
        signed(who),
        commitment(who, datanet, &salt, &root)
    ));
    System::set_block_number(now);
    assert_ok!(Datanets::contribute(signed(who), datanet, salt, root, cid()));
    (crate::NextContribution::<Test>::get() - 1, records)
}

pub(super) fn duplicate(
    first: &(u64, Grove<RecordLeaf>),
    at: usize,
    second: &(u64, Grove<RecordLeaf>),
    copy: usize,
) -> Duplicate {
    Duplicate {
        first: first.0,
        original: first.1.open(at).unwrap(),
        second: second.0,
        copy: second.1.open(copy).unwrap(),
    }
}

/// Challenges and proves; whether the contribution is marked now.
pub(super) fn accuse(who: &AccountId, evidence: &Duplicate) -> bool {
    let about = Disputed::Contribution(evidence.second);
    let commitment = duplicate_commitment(&who.clone().into(), &SALT, evidence);
    assert_ok!(Datanets::challenge(signed(who), about, commitment));
    blocks(1);
    assert_ok!(Datanets::prove_duplicate(
        signed(who),
        SALT,
        Box::new(evidence.clone())
    ));
    Duplicates::<Test>::contains_key(evidence.second)
}

#[test]
fn the_later_of_two_contributions_with_one_record_should_lose_its_deposit_and_be_rejected() {
    scenario(|| {
        let (datanet, other) = (curated(), open());
        // The copy came in first, and was reserved later.
        blocks(9);
        let copy = contribute(&ALICE, datanet, &[1, 2, 3], 6);
        let original = contribute(&BOB, other, &[9, 2], 5);
        let alice = total(&ALICE);
        let evidence = duplicate(&original, 1, &copy, 1);
        assert!(accuse(&CURATOR, &evidence));
        assert_eq!(
            Contributions::<Test>::get(copy.0).unwrap().standing,
            Standing::Rejected
        );
        assert_eq!(alice - total(&ALICE), 50);
        assert_eq!(total(&CURATOR), RICH + 12);
        assert_eq!(total(&TREASURY), 38);
        assert_noop!(
            Datanets::accept(signed(&CURATOR), copy.0, 1),
            Error::<Test>::AlreadyDecided
        );
        assert_noop!(
            Datanets::challenge(signed(&BOB), Disputed::Contribution(copy.0), [1; 32]),
            Error::<Test>::AlreadyProved
        );
    });
}

#[test]
fn an_accepted_duplicate_should_be_marked_and_the_original_never() {
    scenario(|| {
        let datanet = curated();
        let original = contribute(&BOB, datanet, &[1, 2], 1);
        let copy = contribute(&ALICE, datanet, &[2, 7], 1);
        assert_ok!(Datanets::accept(signed(&CURATOR), copy.0, 5));
        // Reserved in the same block: whose contribution came first is first.
        assert!(!accuse(&OWNER, &duplicate(&copy, 0, &original, 1)));
        assert!(
            !accuse(&OWNER, &duplicate(&original, 0, &copy, 0)),
            "other contents"
        );
        assert!(accuse(&OWNER, &duplicate(&original, 1, &copy, 0)));
        assert_eq!(
            Contributions::<Test>::get(copy.0).unwrap().standing,
            Standing::Accepted { weight: 5 }
        );
        assert_eq!(total(&ALICE), RICH, "its deposit had gone back");
        assert_eq!(total(&OWNER), RICH - 2 * CHALLENGE_DEPOSIT);
    });
}

#[test]
fn a_record_twice_in_one_contribution_should_be_a_duplicate() {
    scenario(|| {
        let datanet = curated();
        let twice = contribute(&ALICE, datanet, &[1, 2, 1], 1);
        assert!(!accuse(&BOB, &duplicate(&twice, 2, &twice, 0)));
        assert!(!accuse(&BOB, &duplicate(&twice, 0, &twice, 0)));
        assert!(accuse(&BOB, &duplicate(&twice, 0, &twice, 2)));
    });
}

#[test]
fn who_was_rejected_should_be_free_to_try_again_and_nobody_else_with_the_same() {
    scenario(|| {
        let datanet = curated();
        let first = contribute(&ALICE, datanet, &[1], 1);
        assert_ok!(Datanets::reject(signed(&CURATOR), first.0));
        blocks(5);
        let again = contribute(&ALICE, datanet, &[1], 3);
        let thief = contribute(&BOB, datanet, &[1], 4);
        assert!(!accuse(&OWNER, &duplicate(&first, 0, &again, 0)));
        assert!(accuse(&OWNER, &duplicate(&first, 0, &thief, 0)));
    });
}

#[test]
fn who_accuses_itself_should_lose_money() {
    scenario(|| {
        let datanet = curated();
        contribute(&BOB, datanet, &[1], 1);
        let original = contribute(&BOB, datanet, &[2], 1);
        blocks(3);
        let copy = contribute(&ALICE, datanet, &[2], 2);
        let before = total(&ALICE);
        assert!(accuse(&ALICE, &duplicate(&original, 0, &copy, 0)));
        assert_eq!(before - total(&ALICE), 50);
    });
}

#[test]
fn publish_should_hold_a_deposit_until_the_version_can_be_challenged_no_more() {
    scenario(|| {
        let datanet = curated();
        assert_ok!(Datanets::publish(
            signed(&OWNER),
            datanet,
            None,
            selection(3),
            cid()
        ));
        assert_eq!(
            VersionBonds::<Test>::get(datanet, 0),
            Some(VersionBond {
                publisher: OWNER,
                deposit: 400,
                closes: 1 + VERSION_WINDOW as u32,
                void: None,
            })
        );
        assert!(matches!(
            Versions::<Test>::get(datanet, 0),
            Some(Version { published: 1, .. })
        ));
        assert_eq!(held(&OWNER), DATANET_DEPOSIT + 400);
        let free = || Datanets::free_version(signed(&ALICE), datanet, 0);
        assert_noop!(free(), Error::<Test>::TooEarly);
        blocks(VERSION_WINDOW);
        assert_ok!(free());
        assert_eq!(held(&OWNER), DATANET_DEPOSIT);
        assert_noop!(
            Datanets::free_version(signed(&ALICE), datanet, 1),
            Error::<Test>::UnknownVersion
        );
    });
}
