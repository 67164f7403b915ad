//! What clients compute without metadata: storage keys and encoded calls.

use crate::{mock::*, Call};
use codec::Encode;
use openledger_protocol::{calls::datanets as calls, datanets::Curation, storage};

#[test]
fn storage_should_be_where_the_protocol_says() {
    assert_eq!(
        storage::next_datanet(),
        crate::NextDatanet::<Test>::hashed_key().to_vec()
    );
    assert_eq!(storage::datanet(7), crate::Datanets::<Test>::hashed_key_for(7));
    assert_eq!(
        storage::reservation([3; 32]),
        crate::Reservations::<Test>::hashed_key_for([3; 32])
    );
    assert_eq!(
        storage::next_contribution(),
        crate::NextContribution::<Test>::hashed_key().to_vec()
    );
    assert_eq!(
        storage::contribution(8),
        crate::Contributions::<Test>::hashed_key_for(8)
    );
    assert_eq!(
        storage::version(8, 2),
        crate::Versions::<Test>::hashed_key_for(8, 2)
    );
}

#[test]
fn calls_should_be_encoded_as_the_protocol_says() {
    let root = records(&[1, 2]);
    let curation = |list: Vec<[u8; 32]>| Curation::Curators(list.try_into().unwrap());
    let pairs: [(Call<Test>, Vec<u8>); 8] = [
        (
            Call::create {
                name: name("law"),
                licence: name("CC0-1.0"),
                curation: Curation::Curators(vec![ALICE].try_into().unwrap()),
            },
            calls::create(&name("law"), &name("CC0-1.0"), &curation(vec![ALICE.into()])),
        ),
        (Call::reserve { commitment: [1; 32] }, calls::reserve(&[1; 32])),
        (
            Call::contribute {
                datanet: 1,
                salt: [2; 32],
                records: root,
                cid: cid(),
            },
            calls::contribute(1, &[2; 32], &root, &cid()),
        ),
        (
            Call::accept {
                contribution: 3,
                weight: 9_999,
            },
            calls::accept(3, 9_999),
        ),
        (Call::reject { contribution: 3 }, calls::reject(3)),
        (Call::mature { contribution: 3 }, calls::mature(3)),
        (
            Call::publish {
                datanet: 1,
                parent: Some(2),
                records: root,
                cid: cid(),
            },
            calls::publish(1, Some(2), &root, &cid()),
        ),
        (Call::release { commitment: [1; 32] }, calls::release(&[1; 32])),
    ];
    for (call, bytes) in pairs {
        // The first byte is the pallet's index, which is the runtime's business.
        assert_eq!(call.encode(), bytes[1..], "{call:?}");
    }
}
