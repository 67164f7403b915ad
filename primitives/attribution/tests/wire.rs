//! Canonical bytes: what is written is read back, nothing else is read, equal hashes mean equal objects.

mod common;

use common::{law, watch::*, world::World, Rng};
use openledger_attribution::{
    hash::keccak,
    record::reservation,
    verdict::*,
    wire::{Field, Object, WireError},
};
use proptest::prelude::*;
use std::fmt::Debug;

/// Written and read back; cut, stretched and of another version refused; a changed byte is another object or
/// none.
fn strict<T: Object + PartialEq + Debug + Clone>(object: &T, rng: &mut Rng) -> Result<(), TestCaseError> {
    let bytes = object.encode();
    prop_assert_eq!(T::decode(&bytes), Ok(object.clone()));
    prop_assert_eq!(object.hash(), keccak(&[&[3], &T::TAG, &bytes]));
    for _ in 0..8 {
        let cut = rng.below(bytes.len() as u64) as usize;
        prop_assert!(T::decode(&bytes[..cut]).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    prop_assert_eq!(T::decode(&longer), Err(WireError::Trailing));
    for version in [0, 2, 255] {
        let mut other = bytes.clone();
        other[0] = version;
        prop_assert_eq!(T::decode(&other), Err(WireError::Version(version)));
    }
    for _ in 0..60 {
        let mut other = bytes.clone();
        let at = rng.below(bytes.len() as u64) as usize;
        other[at] ^= 1 << rng.below(8);
        if let Ok(read) = T::decode(&other) {
            prop_assert_ne!(&read, object);
            prop_assert_ne!(read.hash(), object.hash());
            prop_assert_eq!(read.encode(), other);
        }
    }
    Ok(())
}

#[test]
fn objects_have_one_spelling() {
    law(3, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let mut rng = Rng(seed);
        let world = World::new(seed, sampled);
        strict(&world.index.header, &mut rng)?;
        strict(&world.index.layout, &mut rng)?;
        strict(&world.settled.header, &mut rng)?;
        strict(&world.ledger.header, &mut rng)?;
        for answer in &world.answers {
            strict(&answer.receipt, &mut rng)?;
            strict(&answer.receipt.terms, &mut rng)?;
            strict(&answer.receipt.terms.tariff, &mut rng)?;
            strict(&answer.receipt.voucher, &mut rng)?;
            strict(&answer.attribution, &mut rng)?;
        }
        for evidence in batch_evidence(&world).iter().take(400) {
            strict(evidence, &mut rng)?;
        }
        for evidence in index_evidence(&world).iter().take(200) {
            strict(evidence, &mut rng)?;
        }
        for evidence in version_evidence(&world, 0).iter().take(50) {
            strict(evidence, &mut rng)?;
        }
        for wanted in requests(&world, false).into_iter().chain(requests(&world, true)) {
            strict(&reveal(&world, &wanted).unwrap(), &mut rng)?;
        }
        Ok(())
    });
}

#[test]
fn choices_and_flags_have_no_second_spelling() {
    let mut bytes = Vec::new();
    Some(7u16).write(&mut bytes);
    assert_eq!(bytes, [1, 0, 7]);
    let read = |bytes: &[u8]| Option::<u16>::read(&mut openledger_attribution::wire::Reader::new(bytes));
    assert_eq!(read(&[0]), Ok(None));
    assert_eq!(read(&[1, 0, 7]), Ok(Some(7)));
    assert_eq!(read(&[2, 0, 7]), Err(WireError::Choice(2)));
    let flag = |bytes: &[u8]| Flag::read(&mut openledger_attribution::wire::Reader::new(bytes));
    assert_eq!(flag(&[1]), Ok(Flag(true)));
    assert_eq!(flag(&[255]), Err(WireError::Choice(255)));
    // A list that claims four thousand million items costs nothing to refuse.
    let list = Vec::<u64>::read(&mut openledger_attribution::wire::Reader::new(&[0xFF; 12]));
    assert_eq!(list, Err(WireError::Short));
    for error in [
        WireError::Short,
        WireError::Trailing,
        WireError::Version(9),
        WireError::Choice(9),
    ] {
        assert!(error.to_string().contains(": ") && !error.to_string().contains('\n'));
    }
}

#[test]
fn a_reservation_hides_and_binds() {
    let (account, salt, root) = ([1; 32], [2; 32], [3; 32]);
    let own = reservation(&account, 9, &salt, &root);
    assert_eq!(own, keccak(&[&account, &9u64.to_be_bytes(), &salt, &root]));
    assert_ne!(own, reservation(&[4; 32], 9, &salt, &root));
    assert_ne!(own, reservation(&account, 8, &salt, &root));
    assert_ne!(own, reservation(&account, 9, &[4; 32], &root));
    assert_ne!(own, reservation(&account, 9, &salt, &[4; 32]));
}
