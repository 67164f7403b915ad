//! What clients compute without metadata: storage keys and encoded calls.

use crate::{fixture, mock::*, Call};
use codec::Encode;
use openledger_protocol::{calls::models as calls, storage};

#[test]
fn storage_should_be_where_the_protocol_says() {
    assert_eq!(
        storage::next_base(),
        crate::NextBase::<Test>::hashed_key().to_vec()
    );
    assert_eq!(storage::base(7), crate::Bases::<Test>::hashed_key_for(7));
    assert_eq!(
        storage::next_model(),
        crate::NextModel::<Test>::hashed_key().to_vec()
    );
    assert_eq!(storage::model(8), crate::Models::<Test>::hashed_key_for(8));
    assert_eq!(
        storage::generation(8, 2),
        crate::Generations::<Test>::hashed_key_for(8, 2)
    );
}

#[test]
fn calls_should_be_encoded_as_the_protocol_says() {
    scenario(|| {
        let (recipe, rules) = (fixture::recipe(), fixture::rules());
        let pairs: [(Call<Test>, Vec<u8>); 5] = [
            (
                Call::register_base {
                    name: name("small"),
                    licence: name("MIT"),
                    weights: [1; 32],
                    tokenizer: [2; 32],
                },
                calls::register_base(&name("small"), &name("MIT"), &[1; 32], &[2; 32]),
            ),
            (
                Call::create {
                    name: name("law"),
                    base: 1,
                    price_in: 2,
                    price_out: 3,
                    mix: mix(),
                },
                calls::create(&name("law"), 1, 2, 3, &mix()),
            ),
            (
                Call::request_training {
                    model: 1,
                    sources: sources().try_into().unwrap(),
                    recipe,
                    rules,
                    price: 5,
                    deadline: 6,
                    parent: Some((7, 8)),
                },
                calls::request_training(1, &sources(), &recipe, &rules, 5, 6, Some((7, 8))),
            ),
            (
                Call::set_prices {
                    model: 1,
                    price_in: 2,
                    price_out: 3,
                },
                calls::set_prices(1, 2, 3),
            ),
            (
                Call::set_serving {
                    model: 1,
                    serving: true,
                },
                calls::set_serving(1, true),
            ),
        ];
        for (call, bytes) in pairs {
            // The first byte is the pallet's index, which is the runtime's business.
            assert_eq!(call.encode(), bytes[1..], "{call:?}");
        }
    });
}
