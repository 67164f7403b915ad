//! From the seed to an index that fits.

use crate::{fixture, mock::*, AwaitingSeed, Error, Event, SEEDS_PER_BLOCK};
use frame_support::{
    assert_noop, assert_ok,
    traits::{
        fungible::MutateFreeze,
        tokens::{Fortitude, Preservation},
    },
};
use openledger_attribution::{
    hash::keccak,
    index::{index_seed, IndexHeader},
    record::SourceLeaf,
    sketch::Layout,
    tree::{Root, Tree},
    wire::Object,
};
use openledger_protocol::{compute::Task, models::Stage};
use openledger_traits::OnOutcome;
use sp_runtime::DispatchError;

/// The seed that the first generation's adapter gets when it was committed in epoch 0.
fn expected_seed(job: u64) -> [u8; 32] {
    let drawn = keccak(&[&0u64.to_be_bytes(), b"index", &job.to_be_bytes()]);
    index_seed(&fixture::ADAPTER, &drawn)
}

#[test]
fn the_index_should_be_ordered_from_the_trainer_when_its_seed_is_drawn() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        while System::block_number() < 2 * EPOCH - 1 {
            block();
            assert_eq!(generation(model, number).stage, Stage::AwaitingSeed { epoch: 0 });
        }
        block();
        let seed = expected_seed(0);
        assert_eq!(generation(model, number).stage, Stage::Indexing { seed });
        assert!(AwaitingSeed::<Test>::get().is_empty());
        let task = Task::Index {
            model,
            generation: number,
            seed,
        };
        assert_eq!(World::job(1), (task, Some(TRAINER), 101));
        System::assert_last_event(
            Event::IndexOrdered {
                model,
                generation: number,
                seed,
                job: 1,
            }
            .into(),
        );
    });
}

#[test]
fn the_trainer_should_have_time_for_the_index_when_the_seed_is_drawn_late() {
    scenario(|| {
        let model = created();
        let deadline = 1 + SHORTEST as u32;
        sources();
        assert_ok!(Models::request_training(
            signed(&OWNER),
            model,
            sources().try_into().unwrap(),
            fixture::recipe(),
            fixture::rules(),
            PRICE,
            deadline,
            None
        ));
        trained(model, 1);
        run_to_seed(model, 1);
        let later = (2 * EPOCH + INDEX_TIME) as u32;
        assert!(later > deadline);
        assert_eq!((World::job(1).2, generation(model, 1).deadline), (later, later));
    });
}

#[test]
fn one_block_should_order_a_few_indexes_and_the_next_the_rest() {
    scenario(|| {
        let model = created();
        for _ in 0..MAX_AWAITING {
            let number = requested(model);
            trained(model, number);
        }
        System::set_block_number(2 * EPOCH - 1);
        let jobs = World::jobs();
        block();
        assert_eq!(World::jobs() - jobs, u64::from(SEEDS_PER_BLOCK));
        Models::do_try_state().unwrap();
        block();
        assert_eq!(World::jobs() - jobs, u64::from(MAX_AWAITING));
        assert!(AwaitingSeed::<Test>::get().is_empty());
        // Each has its own seed, though they share an adapter.
        assert_eq!(
            generation(model, 1).stage,
            Stage::Indexing {
                seed: expected_seed(0)
            }
        );
        assert_eq!(
            generation(model, 6).stage,
            Stage::Indexing {
                seed: expected_seed(5)
            }
        );
    });
}

#[test]
fn a_seed_should_be_drawn_anew_when_the_first_draw_is_forgotten() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        World::forget_draw(0);
        // The chain stood still for some epochs.
        System::set_block_number(5 * EPOCH);
        block();
        assert_eq!(generation(model, number).stage, Stage::AwaitingSeed { epoch: 5 });
        Models::do_try_state().unwrap();
        run_to_seed(model, number);
        assert_eq!(System::block_number(), 7 * EPOCH);
        let drawn = keccak(&[&5u64.to_be_bytes(), b"index", &0u64.to_be_bytes()]);
        let seed = index_seed(&fixture::ADAPTER, &drawn);
        assert_eq!(generation(model, number).stage, Stage::Indexing { seed });
    });
}

#[test]
fn the_generation_should_fail_when_its_trainer_is_gone() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        assert_ok!(deliver(model, number, &GONE, &adapter(fixture::ADAPTER)));
        run_to_seed(model, number);
        assert_eq!(generation(model, number).stage, Stage::Failed);
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT);
        assert!(AwaitingSeed::<Test>::get().is_empty());
    });
}

#[test]
fn the_generation_should_fail_when_its_index_never_comes() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        run_to_seed(model, number);
        let (task, ..) = World::job(1);
        // The training's job is done and says nothing any more.
        Models::failed(0, &task);
        assert!(matches!(generation(model, number).stage, Stage::Indexing { .. }));
        Models::failed(1, &task);
        assert_eq!(generation(model, number).stage, Stage::Failed);
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT);
    });
}

#[test]
fn indexed_should_register_the_index_and_pay_the_trainer() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        run_to_seed(model, number);
        let (header, layout) = index(model, number);
        assert_ok!(deliver(model, number, &TRAINER, &indexed((header, layout))));
        let index = header.hash();
        assert_eq!(generation(model, number).stage, Stage::Ready { index });
        assert!(World::is_registered(&header));
        assert_eq!(Balances::free_balance(&TRAINER), RICH + PRICE);
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT);
        System::assert_last_event(
            Event::Ready {
                model,
                generation: number,
                index,
                trainer: TRAINER,
                price: PRICE,
            }
            .into(),
        );
    });
}

#[test]
fn indexed_should_pay_the_trainer_when_the_requester_has_frozen_everything() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        run_to_seed(model, number);
        // As a vote or a vesting schedule would: also what is held counts as frozen.
        let rest = Balances::free_balance(&OWNER) - 10;
        let spend = <Balances as frame_support::traits::fungible::Mutate<_>>::transfer;
        assert_ok!(spend(&OWNER, &OTHER, rest, Preservation::Preserve));
        assert_ok!(Balances::set_freeze(&FREEZE, &OWNER, RICH));
        let reducible =
            <Balances as frame_support::traits::fungible::InspectHold<_>>::reducible_total_balance_on_hold;
        assert_eq!(reducible(&OWNER, Fortitude::Polite), 0);
        assert_ok!(deliver(model, number, &TRAINER, &indexed(index(model, number))));
        assert_eq!(Balances::free_balance(&TRAINER), RICH + PRICE);
    });
}

#[test]
fn indexed_should_pay_a_requester_that_trained_itself() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        let free = Balances::free_balance(&OWNER);
        assert_ok!(deliver(model, number, &OWNER, &adapter(fixture::ADAPTER)));
        run_to_seed(model, number);
        assert_ok!(deliver(model, number, &OWNER, &indexed(index(model, number))));
        assert_eq!(Balances::free_balance(&OWNER), free + PRICE);
    });
}

#[test]
fn the_sources_root_should_be_that_of_the_tree_of_versions() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        let leaves: Vec<SourceLeaf> = [(8, 3, fixture::root(9, 9)), (7, 0, fixture::root(5, 4))]
            .map(|(datanet, version, records)| SourceLeaf {
                datanet,
                version,
                records,
            })
            .to_vec();
        let (header, _) = index(model, number);
        assert_eq!(header.sources, Tree::new(&leaves).unwrap().root());
        assert_eq!(header.sources.sum, 13);
    });
}

type Lie = fn(&mut IndexHeader, &mut Layout);

#[test]
fn indexed_should_be_refused_when_anything_is_not_what_was_ordered() {
    let lies: [(Lie, Error<Test>); 22] = [
        (|h, _| h.builder = [9; 32], Error::WrongBuilder),
        (|h, _| h.model += 1, Error::WrongGeneration),
        (|h, _| h.generation += 1, Error::WrongGeneration),
        (|h, _| h.base[0] ^= 1, Error::WrongBase),
        (|h, _| h.adapter[31] ^= 1, Error::WrongAdapter),
        (|h, _| h.tokenizer[5] ^= 1, Error::WrongTokenizer),
        (|h, _| h.seed[7] ^= 1, Error::WrongSeed),
        (|h, _| h.rules.top -= 1, Error::WrongRules),
        (|h, _| h.rules.rho += 1, Error::WrongRules),
        (|h, _| h.retrieval = [1; 32], Error::WrongRetrieval),
        (|h, _| h.sources.top[0] ^= 1, Error::WrongSources),
        (|h, _| h.sources.sum -= 1, Error::WrongSources),
        (|h, _| h.layout[0] ^= 1, Error::HeaderLayout),
        (|_, l| l.names[0] ^= 1, Error::HeaderLayout),
        (
            |h, l| {
                l.modules.clear();
                h.layout = l.hash();
            },
            Error::HeaderLayout,
        ),
        (
            |h, l| {
                l.modules = vec![l.modules[0]; 4_097];
                h.layout = l.hash();
            },
            Error::TooManyModules,
        ),
        (|h, _| h.bases.count += 1, Error::HeaderBases),
        (|h, _| h.corpus.count -= 1, Error::HeaderCorpus),
        (|h, _| h.rows.count += 1, Error::HeaderRows),
        (
            |h, _| {
                h.rows = Root {
                    sum: 1,
                    ..Root::EMPTY
                }
            },
            Error::HeaderRoot,
        ),
        (|h, _| h.verbatim.vocabulary = 5, Error::HeaderVerbatim),
        (|h, _| h.verbatim.separator = 1, Error::HeaderVerbatim),
    ];
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        run_to_seed(model, number);
        let job = generation(model, number).job;
        let (task, ..) = World::job(job);
        for (at, (lie, error)) in lies.into_iter().enumerate() {
            let (mut header, mut layout) = index(model, number);
            lie(&mut header, &mut layout);
            assert_eq!(
                deliver(model, number, &TRAINER, &indexed((header, layout))),
                Err(DispatchError::from(error)),
                "lie {at}"
            );
        }
        let good = indexed(index(model, number));
        assert_noop!(deliver_as(job, &task, &OTHER, &good), Error::<Test>::NotTrainer);
        assert_noop!(
            deliver_as(job + 1, &task, &TRAINER, &good),
            Error::<Test>::NotAwaited
        );
        assert_noop!(
            deliver_as(job, &task, &TRAINER, &adapter(fixture::ADAPTER)),
            Error::<Test>::WrongOutcome
        );
        // After all that the job is still open.
        assert_ok!(deliver_as(job, &task, &TRAINER, &good));
        assert_noop!(deliver_as(job, &task, &TRAINER, &good), Error::<Test>::NotAwaited);
    });
}

#[test]
fn indexed_should_pay_nobody_when_the_registry_refuses() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        trained(model, number);
        run_to_seed(model, number);
        World::refuse("indexes");
        assert_noop!(
            deliver(model, number, &TRAINER, &indexed(index(model, number))),
            DispatchError::Other("no index")
        );
        assert_eq!(Balances::free_balance(&TRAINER), RICH);
    });
}
