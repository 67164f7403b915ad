//! Sealed content: opens for whom it is meant, whole and in ranges; changed in any bit, it does not.

mod common;

use common::{seed, sentences, text, Rng};
use openledger_content::{
    open_bytes, seal_bytes, Bundle, ContentKey, Identity, Label, Record, SealedHead, SEALED_CHUNK,
    SEALED_HEAD,
};
use std::{fs, os::unix::fs::PermissionsExt};

const LABEL: Label = Label {
    datanet: 7,
    version: 2,
    keeper: [5; 32],
};
const CONTRIBUTOR: [u8; 32] = [1; 32];

#[test]
fn what_is_sealed_opens_whole_and_in_ranges() {
    let mut rng = Rng(seed());
    let key = ContentKey::random().unwrap();
    for size in [
        0,
        1,
        SEALED_CHUNK - 1,
        SEALED_CHUNK,
        SEALED_CHUNK + 1,
        3 * SEALED_CHUNK,
        200_001,
    ] {
        let plain = rng.bytes(size);
        let sealed = seal_bytes(&key, &LABEL, &plain).unwrap();
        assert_ne!(sealed, seal_bytes(&key, &LABEL, &plain).unwrap());
        assert_eq!(open_bytes(&key, &sealed).unwrap(), plain);
        assert!(open_bytes(&ContentKey::random().unwrap(), &sealed).is_err());
        let head = SealedHead::read(&sealed).unwrap();
        assert_eq!(head.len(), size as u64);
        assert_eq!(*head.label(), LABEL);
        assert!(SealedHead::is_sealed(&sealed) && !SealedHead::is_sealed(&plain));
        assert_eq!(
            head.sealed_range(0..size as u64),
            SEALED_HEAD as u64..sealed.len() as u64
        );
        for _ in 0..20 {
            let start = rng.below(size as u64 + 1);
            let end = start + rng.below(size as u64 - start + 1);
            let span = head.sealed_range(start..end);
            let part = &sealed[span.start as usize..span.end as usize];
            let opened = head.open_range(&key, start..end, part).unwrap();
            assert_eq!(opened, plain[start as usize..end as usize]);
        }
        assert!(head
            .open_range(&key, 0..size as u64 + 1, &sealed[SEALED_HEAD..])
            .is_err());
    }
}

#[test]
fn changed_in_any_way_it_does_not_open() {
    let mut rng = Rng(seed());
    let key = ContentKey::random().unwrap();
    let plain = rng.bytes(3 * SEALED_CHUNK + 100);
    let sealed = seal_bytes(&key, &LABEL, &plain).unwrap();
    let chunk = SEALED_CHUNK + 16;
    let refused = |bytes: &[u8]| assert!(open_bytes(&key, bytes).is_err());
    // Every bit of the head, and some of the rest.
    for bit in (0..SEALED_HEAD * 8).chain((0..50).map(|_| rng.below(sealed.len() as u64 * 8) as usize)) {
        let mut bytes = sealed.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused(&bytes);
    }
    refused(&sealed[..sealed.len() - 1]);
    refused(&[&sealed[..], &[0]].concat());
    // Chunks left out, cut off with the size put right, and swapped.
    refused(&[&sealed[..SEALED_HEAD], &sealed[SEALED_HEAD + chunk..]].concat());
    let mut cut = sealed[..SEALED_HEAD + 3 * chunk].to_vec();
    cut[13..21].copy_from_slice(&(3 * SEALED_CHUNK as u64).to_be_bytes());
    refused(&cut);
    let mut swapped = sealed.clone();
    swapped[SEALED_HEAD..SEALED_HEAD + 2 * chunk].rotate_left(chunk);
    refused(&swapped);
    // A chunk of another blob under the same key.
    let other = seal_bytes(&key, &LABEL, &plain).unwrap();
    refused(&[&sealed[..SEALED_HEAD + chunk], &other[SEALED_HEAD + chunk..]].concat());
}

#[test]
fn the_root_of_a_sealed_bundle_is_that_of_its_plaintext() {
    let mut rng = Rng(seed());
    let records = (0..50).map(|_| Record::new(&sentences(&text(&mut rng, 60)).join(" ")).unwrap());
    let bundle = Bundle::new(records.collect()).unwrap();
    let other = Bundle::new(vec![Record::new("another").unwrap()]).unwrap();
    let key = ContentKey::random().unwrap();
    let sealed = bundle.seal(&key, &LABEL, &CONTRIBUTOR).unwrap();
    let words = bundle.records[0].text().as_bytes();
    assert!(!sealed.windows(words.len()).any(|window| window == words));
    let root = bundle.root().unwrap();
    assert_eq!(
        Bundle::unseal(&key, &CONTRIBUTOR, &sealed, &root).unwrap(),
        bundle
    );
    assert!(Bundle::unseal(&key, &[2; 32], &sealed, &root).is_err());
    // Well sealed, but not what the chain names.
    let others = other.seal(&key, &LABEL, &CONTRIBUTOR).unwrap();
    assert!(Bundle::unseal(&key, &CONTRIBUTOR, &others, &root).is_err());
    let own = key.for_contribution(&CONTRIBUTOR, &bundle.root_hash().unwrap());
    let planted = other.seal_under(&own, &LABEL).unwrap();
    assert!(Bundle::unseal(&key, &CONTRIBUTOR, &planted, &root).is_err());
    // Its contributor, who has its key alone, makes the same of it and can open nothing else.
    let by_contributor = bundle.seal_under(&own, &LABEL).unwrap();
    assert_eq!(
        Bundle::unseal(&key, &CONTRIBUTOR, &by_contributor, &root).unwrap(),
        bundle
    );
    assert!(open_bytes(&own, &others).is_err());
}

#[test]
fn keys_reach_their_recipients_alone() {
    let key = ContentKey::random().unwrap();
    let (alice, bob) = (Identity::random().unwrap(), Identity::random().unwrap());
    let sealed = key.wrap(&alice.recipient()).unwrap();
    assert_eq!(alice.unwrap_key(&sealed).unwrap(), key);
    assert!(bob.unwrap_key(&sealed).is_err());
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(alice.unwrap_key(&changed).is_err());
    }
    assert!(alice.unwrap_key(&sealed[1..]).is_err() && alice.unwrap_key(&[]).is_err());
    assert_eq!(format!("{key:?}"), "ContentKey(..)");
}

#[test]
fn key_files_are_for_their_owner() {
    let dir = tempfile::tempdir().unwrap();
    let (path, own) = (dir.path().join("version.key"), dir.path().join("own.key"));
    let key = ContentKey::random().unwrap();
    key.save(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ContentKey::load(&path).unwrap(), key);
    // Never overwritten.
    assert!(ContentKey::random().unwrap().save(&path).is_err());
    assert_eq!(ContentKey::load(&path).unwrap(), key);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = ContentKey::load(&path).unwrap_err().to_string();
    assert!(error.contains("640") && error.contains("chmod 600"), "{error}");

    let identity = Identity::random().unwrap();
    identity.save(&own).unwrap();
    assert_eq!(Identity::load(&own).unwrap().recipient(), identity.recipient());
    fs::write(&own, "short").unwrap();
    assert!(Identity::load(&own).is_err());
}
