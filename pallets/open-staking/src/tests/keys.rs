//! What clients compute without metadata: storage keys and encoded calls.

use crate::{mock::*, Call, Frozen, Pools, Stakers};
use codec::Encode;
use openledger_protocol::{calls::open_staking as calls, staking::Pool, storage, Account};

#[test]
fn storage_should_be_where_the_protocol_says() {
    let who: Account = alice().into();
    assert_eq!(
        storage::pool(Pool::Worker(who)),
        Pools::<Test>::hashed_key_for(Pool::Worker(alice()))
    );
    assert_eq!(
        storage::pool(Pool::Agent(3)),
        Pools::<Test>::hashed_key_for(Pool::Agent(3))
    );
    assert_eq!(
        storage::staker(Pool::Datanet(4), who),
        Stakers::<Test>::hashed_key_for(Pool::Datanet(4), alice())
    );
    assert_eq!(
        storage::frozen(Pool::Model(5)),
        Frozen::<Test>::hashed_key_for(Pool::Model(5))
    );
}

#[test]
fn calls_should_be_encoded_as_the_protocol_says() {
    let who: Account = bob().into();
    let pairs: [(Call<Test>, Vec<u8>); 4] = [
        (
            Call::stake {
                pool: Pool::Worker(bob()),
                amount: 5,
                min_shares: 6,
            },
            calls::stake(&Pool::Worker(who), 5, 6),
        ),
        (
            Call::unstake {
                pool: Pool::Model(1),
                shares: 7,
            },
            calls::unstake(&Pool::Model(1), 7),
        ),
        (
            Call::withdraw {
                pool: Pool::Datanet(2),
            },
            calls::withdraw(&Pool::Datanet(2)),
        ),
        (
            Call::withdraw_for {
                pool: Pool::Agent(3),
                who: bob(),
            },
            calls::withdraw_for(&Pool::Agent(3), &who),
        ),
    ];
    for (call, bytes) in pairs {
        // The first byte is the pallet's index, which is the runtime's business.
        assert_eq!(call.encode(), bytes[1..], "{call:?}");
    }
}
