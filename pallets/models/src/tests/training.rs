//! Ordering a generation, and taking its adapter.

use crate::{fixture, mock::*, AwaitingSeed, Error, Event};
use frame_support::{assert_noop, assert_ok};
use openledger_attribution::index::IndexRules;
use openledger_protocol::{
    compute::Task,
    models::{Recipe, Source, Stage},
};
use openledger_traits::{Asset, OnOutcome};
use sp_runtime::{DispatchError, DispatchResult, TokenError};

#[test]
fn request_should_hold_the_price_and_order_a_training_without_a_seed() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        assert_eq!(number, 1);
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT + PRICE);
        let task = Task::Train {
            model,
            generation: 1,
            seed: [0; 32],
        };
        assert_eq!(World::job(0), (task, None, 101));
        let entry = generation(model, 1);
        assert_eq!(
            (entry.stage, entry.job, entry.deadline),
            (Stage::Training, 0, 101)
        );
        assert_eq!((entry.trainer, entry.adapter), (None, [0; 32]));
        assert_eq!(
            (entry.sources.into_inner(), entry.recipe, entry.rules),
            (sources(), fixture::recipe(), fixture::rules())
        );
        System::assert_last_event(
            Event::TrainingRequested {
                model,
                generation: 1,
                who: OWNER,
                price: PRICE,
                job: 0,
            }
            .into(),
        );
        assert_eq!(requested(model), 2);
    });
}

/// Orders with one thing changed.
fn order(
    sources: Vec<Source>,
    recipe: Recipe,
    rules: IndexRules,
    price: u128,
    deadline: u32,
) -> DispatchResult {
    Models::request_training(
        signed(&OWNER),
        0,
        sources.try_into().unwrap(),
        recipe,
        rules,
        price,
        deadline,
        None,
    )
}

#[test]
fn request_should_be_refused_to_anyone_but_the_owner() {
    scenario(|| {
        let model = created();
        let request = |who: &AccountId, model| {
            let sources = sources().try_into().unwrap();
            let (recipe, rules) = (fixture::recipe(), fixture::rules());
            Models::request_training(signed(who), model, sources, recipe, rules, PRICE, 100, None)
        };
        sources();
        assert_noop!(request(&OWNER, model + 1), Error::<Test>::UnknownModel);
        assert_noop!(request(&OTHER, model), Error::<Test>::NotOwner);
        World::give(Asset::Model(model), &OTHER);
        assert_noop!(request(&OWNER, model), Error::<Test>::NotOwner);
        assert_ok!(request(&OTHER, model));
        World::give(Asset::Model(model), &POOR);
        assert_noop!(request(&POOR, model), TokenError::FundsUnavailable);
    });
}

#[test]
fn request_should_be_refused_when_a_source_is_not_good() {
    scenario(|| {
        created();
        let good = sources();
        let changed = |change: fn(&mut Vec<Source>)| {
            let mut sources = good.clone();
            change(&mut sources);
            order(sources, fixture::recipe(), fixture::rules(), PRICE, 100)
        };
        assert_noop!(changed(Vec::clear), Error::<Test>::NoSources);
        assert_noop!(changed(|s| s[1].weight = 0), Error::<Test>::SourceWithoutWeight);
        assert_noop!(changed(|s| s[1].version = 1), Error::<Test>::UnknownSource);
        assert_noop!(changed(|s| s[0].datanet = 6), Error::<Test>::UnknownSource);
        assert_noop!(
            changed(|s| s.push(Source { weight: 9, ..s[0] })),
            Error::<Test>::SourceTwice
        );
        assert_ok!(changed(|s| s.reverse()));
    });
}

#[test]
fn request_should_be_refused_when_a_number_of_the_recipe_is_out_of_range() {
    type Change = fn(&mut Recipe, u32);
    type Case = (Change, &'static [u32], &'static [u32], Error<Test>);
    let ranges: [Case; 8] = [
        (|r, n| r.rank = n as u16, &[1, 256], &[0, 257], Error::BadRank),
        (
            |r, n| r.alpha = n as u16,
            &[1, 1_024],
            &[0, 1_025],
            Error::BadAlpha,
        ),
        (
            |r, n| r.targets = n as u8,
            &[1, 0x7F],
            &[0, 0x80, 0xFF],
            Error::BadTargets,
        ),
        (
            |r, n| r.learning_rate = n,
            &[1, 100_000_000],
            &[0, 100_000_001],
            Error::BadLearningRate,
        ),
        (
            |r, n| r.epochs = n as u16,
            &[1, 1_000],
            &[0, 1_001],
            Error::BadEpochs,
        ),
        (
            |r, n| r.batch = n as u16,
            &[1, 1_024],
            &[0, 1_025],
            Error::BadBatch,
        ),
        (
            |r, n| r.context = n as u16,
            &[16, 32_768],
            &[0, 15, 32_769],
            Error::BadContext,
        ),
        (
            |r, n| r.held_out = n as u8,
            &[0, 50],
            &[51, 255],
            Error::BadHeldOut,
        ),
    ];
    scenario(|| {
        created();
        sources();
        for (change, good, bad, error) in ranges {
            let with = |n| {
                let mut recipe = fixture::recipe();
                change(&mut recipe, n);
                order(sources(), recipe, fixture::rules(), LEAST_PRICE, 100)
            };
            for n in good {
                assert_ok!(with(*n));
            }
            let refusal = Err(DispatchError::from(error));
            for n in bad {
                assert_eq!(with(*n), refusal, "{n}");
            }
        }
    });
}

#[test]
fn request_should_be_refused_when_no_index_can_have_the_rules() {
    scenario(|| {
        created();
        sources();
        let with = |change: fn(&mut IndexRules)| {
            let mut rules = fixture::rules();
            change(&mut rules);
            order(sources(), fixture::recipe(), rules, LEAST_PRICE, 100)
        };
        assert_noop!(with(|r| r.projection = 0), Error::<Test>::BadProjection);
        assert_noop!(with(|r| r.projection = 32_768), Error::<Test>::BadProjection);
        assert_noop!(with(|r| r.top = 0), Error::<Test>::BadTop);
        assert_noop!(with(|r| r.top = 257), Error::<Test>::BadTop);
        assert_noop!(with(|r| r.z = 0), Error::<Test>::BadZ);
        assert_noop!(with(|r| r.floor = -65), Error::<Test>::BadFloor);
        assert_noop!(with(|r| r.floor = 64), Error::<Test>::BadFloor);
        assert_ok!(with(|r| (r.top, r.z, r.floor) = (256, 1, -64)));
    });
}

#[test]
fn request_should_be_refused_when_price_or_deadline_is_out_of_range() {
    scenario(|| {
        created();
        sources();
        let with = |price, deadline| order(sources(), fixture::recipe(), fixture::rules(), price, deadline);
        let (first, last) = (1 + SHORTEST as u32, 1 + LONGEST as u32);
        assert_noop!(with(LEAST_PRICE - 1, first), Error::<Test>::PriceTooLow);
        assert_noop!(with(PRICE, first - 1), Error::<Test>::DeadlineTooSoon);
        assert_noop!(with(PRICE, 0), Error::<Test>::DeadlineTooSoon);
        assert_noop!(with(PRICE, last + 1), Error::<Test>::DeadlineTooLate);
        assert_noop!(with(RICH, first), TokenError::FundsUnavailable);
        assert_ok!(with(LEAST_PRICE, first));
        assert_ok!(with(LEAST_PRICE, last));
        World::refuse("jobs");
        assert_noop!(with(PRICE, first), DispatchError::Other("no worker"));
    });
}

#[test]
fn trained_should_commit_to_the_adapter_and_wait_for_a_seed() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        System::set_block_number(EPOCH + 3);
        assert_eq!(generation(model, number).seed, [0; 32]);
        // `compute` puts the seed into the task when it assigns the job.
        let drawn = Task::Train {
            model,
            generation: number,
            seed: [4; 32],
        };
        assert_ok!(deliver_as(0, &drawn, &TRAINER, &adapter(fixture::ADAPTER)));
        let entry = generation(model, number);
        assert_eq!(entry.stage, Stage::AwaitingSeed { epoch: 1 });
        assert_eq!(entry.seed, [4; 32]);
        assert_eq!(
            (entry.trainer, entry.adapter, entry.loss_before, entry.loss_after),
            (Some(TRAINER), fixture::ADAPTER, 2_500_000, 1_800_000)
        );
        assert_eq!(entry.adapter_cid.into_inner(), [1, 0x55]);
        assert_eq!(AwaitingSeed::<Test>::get().into_inner(), [(model, number)]);
        // Nobody is paid yet.
        assert_eq!(Balances::free_balance(&TRAINER), RICH);
        System::assert_last_event(
            Event::Trained {
                model,
                generation: number,
                trainer: TRAINER,
                adapter: fixture::ADAPTER,
                epoch: 1,
            }
            .into(),
        );
    });
}

#[test]
fn trained_should_be_refused_when_it_was_not_ordered() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        let (task, ..) = World::job(0);
        let good = adapter(fixture::ADAPTER);
        let mut other = task;
        if let Task::Train { generation, .. } = &mut other {
            *generation += 1;
        }
        for (job, task, outcome, error) in [
            (1, task, &good, Error::<Test>::NotAwaited),
            (0, other, &good, Error::NotAwaited),
            (0, task, &adapter([0; 32]), Error::NoAdapter),
        ] {
            assert_noop!(deliver_as(job, &task, &TRAINER, outcome), error);
        }
        trained(model, number);
        assert_noop!(deliver_as(0, &task, &TRAINER, &good), Error::<Test>::NotAwaited);
        // Not of this kind.
        let index = indexed(index(model, number));
        assert_noop!(
            deliver_as(0, &task, &TRAINER, &index),
            Error::<Test>::WrongOutcome
        );
    });
}

#[test]
fn trained_should_be_refused_when_too_many_wait() {
    scenario(|| {
        let model = created();
        for _ in 0..MAX_AWAITING {
            let number = requested(model);
            trained(model, number);
        }
        let number = requested(model);
        assert_noop!(
            deliver(model, number, &TRAINER, &adapter(fixture::ADAPTER)),
            Error::<Test>::TooManyAwaiting
        );
        // The job stays open, and there is room again when some have their seed.
        run_to_seed(model, 1);
        trained(model, number);
    });
}

#[test]
fn failed_should_give_the_price_back_once() {
    scenario(|| {
        let model = created();
        let number = requested(model);
        let (task, ..) = World::job(0);
        // Of another job: nothing happens.
        Models::failed(7, &task);
        assert_eq!(generation(model, number).stage, Stage::Training);
        Models::failed(0, &task);
        assert_eq!(generation(model, number).stage, Stage::Failed);
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT);
        System::assert_last_event(
            Event::Failed {
                model,
                generation: number,
                who: OWNER,
                price: PRICE,
            }
            .into(),
        );
        Models::failed(0, &task);
        assert_eq!(held(&OWNER), BASE_DEPOSIT + MODEL_DEPOSIT);
        assert_noop!(
            deliver_as(0, &task, &TRAINER, &adapter(fixture::ADAPTER)),
            Error::<Test>::NotAwaited
        );
        // A job that is done cannot fail any more.
        let number = requested(model);
        let (task, ..) = World::job(1);
        trained(model, number);
        Models::failed(1, &task);
        assert_eq!(generation(model, number).stage, Stage::AwaitingSeed { epoch: 0 });
    });
}
