//! The SCALE form carries everything: evidence that crosses a call is judged as it was before.

mod common;

use codec::{Decode, DecodeAll, Encode, MaxEncodedLen};
use common::{law, watch::*, world::World};
use openledger_attribution::{batch::*, index::IndexHeader, receipt::Receipt, verdict::*, voucher::Voucher};
use proptest::prelude::*;
use scale_info::TypeInfo;

fn carried<T: Encode + Decode + PartialEq + std::fmt::Debug + TypeInfo>(
    value: &T,
) -> Result<(), TestCaseError> {
    let bytes = value.encode();
    let read = T::decode_all(&mut &bytes[..]).ok();
    prop_assert_eq!(read.as_ref(), Some(value));
    Ok(())
}

#[test]
fn scale_carries_every_object() {
    law(6, (any::<u64>(), any::<bool>()), |(seed, sampled)| {
        let world = World::new(seed, sampled);
        carried(&world.index.header)?;
        carried(&world.settled.header)?;
        carried(&world.ledger.header)?;
        for answer in &world.answers {
            carried(&answer.receipt)?;
            carried(&answer.attribution)?;
        }
        for evidence in batch_evidence(&world) {
            carried(&evidence)?;
        }
        for evidence in index_evidence(&world) {
            carried(&evidence)?;
        }
        for evidence in version_evidence(&world, 0) {
            carried(&evidence)?;
        }
        for wanted in requests(&world, true) {
            carried(&wanted)?;
            carried(&reveal(&world, &wanted).unwrap())?;
        }
        Ok(())
    });
}

#[test]
fn what_state_keeps_is_bounded() {
    let world = World::new(1, false);
    assert!(world.settled.header.encode().len() <= BatchHeader::max_encoded_len());
    assert!(world.ledger.header.encode().len() <= CreditsHeader::max_encoded_len());
    assert!(world.index.header.encode().len() <= IndexHeader::max_encoded_len());
    assert!(Receipt::max_encoded_len() < 1_024 && Voucher::max_encoded_len() < 256);
    assert!(Verdict::max_encoded_len() < 8 && Wanted::max_encoded_len() < 32);
}
