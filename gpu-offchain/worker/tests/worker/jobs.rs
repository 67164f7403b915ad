//! Jobs beside the first training: a question asked on the chain, a training that starts from another's adapter.

use crate::world::{assign, delivered, World, GENERATION, INFER_JOB, MODEL, NEXT_JOB, TARIFF};
use openledger_protocol::{
    compute::{Outcome, Task},
    inference::{Request, Stage},
    models::{self, Generation, Line},
    storage, Account,
};

fn outcome(world: &World, job: u64) -> Outcome {
    world.chain.remove(&delivered(job));
    world.until("the job's outcome", |world| {
        world.chain.get::<Outcome>(delivered(job)).is_some()
    });
    world.chain.get(delivered(job)).unwrap()
}

#[test]
fn questions_on_the_chain_are_answered_and_adapters_trained_on() {
    let world = World::new();
    world.until_serving();
    let account = world.worker.account();

    let ask = |text: &str| {
        let request = Request::<Account> {
            who: [3; 32],
            model: MODEL,
            generation: GENERATION,
            prompt: text.as_bytes().to_vec().try_into().unwrap(),
            max_tokens: 12,
            machine: None,
            tariff: TARIFF,
            fee: 0,
            deposit: 0,
            job: INFER_JOB,
            deadline: 1_000_000,
            stage: Stage::Waiting,
        };
        world.chain.put(storage::inference(5), &request);
        let task = Task::Infer {
            model: MODEL,
            generation: GENERATION,
            request: 5,
        };
        assign(&world.chain, &account, INFER_JOB, task);
        outcome(&world, INFER_JOB)
    };
    let Outcome::Inferred { output } = ask("What does the sea do on day 3?") else {
        panic!("an answer");
    };
    assert!(!output.is_empty() && std::str::from_utf8(&output).is_ok());

    // The same data from the adapter that is there: it begins where that one ended.
    let first: Generation<Account> = world.chain.get(storage::generation(MODEL, GENERATION)).unwrap();
    let next = GENERATION + 1;
    let second = Generation {
        stage: models::Stage::Training,
        ..first.clone()
    };
    world.chain.put(storage::generation(MODEL, next), &second);
    let line = Line::from((MODEL, GENERATION), None, false);
    world.chain.put(storage::line(MODEL, next), &line);
    let task = Task::Train {
        model: MODEL,
        generation: next,
        seed: [8; 32],
    };
    assign(&world.chain, &account, NEXT_JOB, task);
    let Outcome::Trained {
        adapter, loss_before, ..
    } = outcome(&world, NEXT_JOB)
    else {
        panic!("an adapter");
    };
    assert_ne!(adapter, first.adapter);
    assert_eq!(loss_before, first.loss_after);
}
