//! Whatever people do: a price is held until the trainer has it or its owner has it back.

use crate::{fixture, mock::*, Generations};
use openledger_protocol::models::Stage;
use openledger_traits::OnOutcome;
use proptest::prelude::*;

/// What somebody does.
#[derive(Clone, Debug)]
enum Act {
    Blocks(u8),
    Create,
    Request {
        model: u64,
    },
    Train {
        model: u64,
        generation: u32,
        trainer: usize,
    },
    Index {
        model: u64,
        generation: u32,
        trainer: usize,
        lie: bool,
    },
    Fail {
        job: u64,
    },
    Prices {
        model: u64,
        price: u128,
    },
    Serve {
        model: u64,
        serving: bool,
    },
}

const WORKERS: [AccountId; 3] = [TRAINER, OTHER, GONE];

fn act() -> impl Strategy<Value = Act> {
    let (model, generation, trainer) = (0u64..3, 1u32..5, 0usize..3);
    prop_oneof![
        6 => (1u8..25).prop_map(Act::Blocks),
        1 => Just(Act::Create),
        4 => model.clone().prop_map(|model| Act::Request { model }),
        6 => (model.clone(), generation.clone(), trainer.clone())
            .prop_map(|(model, generation, trainer)| Act::Train { model, generation, trainer }),
        6 => (model.clone(), generation, trainer, any::<bool>())
            .prop_map(|(model, generation, trainer, lie)| Act::Index { model, generation, trainer, lie }),
        2 => (0u64..12).prop_map(|job| Act::Fail { job }),
        1 => (model.clone(), 0u128..100).prop_map(|(model, price)| Act::Prices { model, price }),
        1 => (model, any::<bool>()).prop_map(|(model, serving)| Act::Serve { model, serving }),
    ]
}

/// Does `act`. Refusals are as good as successes here.
fn perform(act: &Act) {
    let exists = |model, generation| Generations::<Test>::contains_key(model, generation);
    let _ = match *act {
        Act::Blocks(count) => {
            (0..count).for_each(|_| block());
            Ok(())
        }
        Act::Create => {
            created();
            Ok(())
        }
        Act::Request { model } => request(model),
        Act::Train {
            model,
            generation,
            trainer,
        } if exists(model, generation) => {
            deliver(model, generation, &WORKERS[trainer], &adapter(fixture::ADAPTER))
        }
        Act::Index {
            model,
            generation,
            trainer,
            lie,
        } if exists(model, generation) && fixture::index::<Test>(model, generation, 2).is_some() => {
            let (mut header, layout) = index(model, generation);
            header.adapter[0] ^= u8::from(lie);
            deliver(model, generation, &WORKERS[trainer], &indexed((header, layout)))
        }
        Act::Fail { job } if job < World::jobs() => {
            Models::failed(job, &World::job(job).0);
            Ok(())
        }
        Act::Prices { model, price } => Models::set_prices(signed(&OWNER), model, price, price),
        Act::Serve { model, serving } => Models::set_serving(signed(&OWNER), model, serving),
        _ => Ok(()),
    };
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_life_should_pay_each_price_once_or_give_it_back(acts in prop::collection::vec(act(), 20..120)) {
        new_test_ext().execute_with(|| {
            let supply = Balances::total_issuance();
            created();
            for act in &acts {
                perform(act);
                Models::do_try_state().unwrap();
                prop_assert_eq!(Balances::total_issuance(), supply);
                let mut paid = [0u128; 2];
                for entry in Generations::<Test>::iter_values() {
                    if let (Stage::Ready { .. }, Some(trainer)) = (entry.stage, entry.trainer) {
                        let place = WORKERS.iter().position(|who| *who == trainer).unwrap();
                        paid[place] += entry.price;
                    }
                }
                prop_assert_eq!(Balances::free_balance(&TRAINER), RICH + paid[0]);
                prop_assert_eq!(Balances::free_balance(&OTHER), RICH + paid[1]);
            }
            Ok(())
        })?;
    }
}

#[test]
fn try_state_should_fail_when_a_price_is_not_held_or_somebody_waits_outside_the_queue() {
    new_test_ext().execute_with(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        Models::do_try_state().unwrap();
        let change = |change: fn(&mut openledger_protocol::models::Generation<AccountId>)| {
            let good = generation(model, number);
            let mut bad = good.clone();
            change(&mut bad);
            Generations::<Test>::insert(model, number, bad);
            let found = Models::do_try_state();
            Generations::<Test>::insert(model, number, good);
            Models::do_try_state().unwrap();
            found
        };
        change(|entry| entry.price += 1).unwrap_err();
        change(|entry| entry.stage = Stage::Training).unwrap_err();
        change(|entry| entry.stage = Stage::Indexing { seed: [1; 32] }).unwrap_err();
        change(|entry| entry.trainer = None).unwrap_err();
        crate::Models::<Test>::mutate(model, |entry| entry.as_mut().unwrap().generations += 1);
        Models::do_try_state().unwrap_err();
    });
}
