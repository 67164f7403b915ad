//! A device that fails: whoever it refuses is told, nobody else notices, and a lost device ends serving with its reason.

mod flaky;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use flaky::{Flaky, POISON, VOCAB};
use openledger_backend_cpu::Cpu;
use openledger_engine::{
    Answer, Backend, Budgets, Either, Engine, Error, Event, FaultKind, Limits, Model, Net, Params, Request,
    Scheduler,
};
use openledger_model::{Adapter, BaseModel, Example, ModelConfig, Target};
use openledger_trainer::{fresh_adapter, fresh_base, train_many, LoraConfig, Run, TrainConfig, TrainEvent};
use serde_json::json;

fn base() -> BaseModel {
    let config = json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": 32, "intermediate_size": 56,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 256, "tie_word_embeddings": true, "initializer_range": 0.3
    });
    fresh_base(&ModelConfig::from_json(&config).unwrap(), 1).unwrap()
}

fn adapter<B: Backend>(net: &Net<B>, seed: u64) -> Adapter {
    let lora = LoraConfig {
        rank: 4,
        alpha: 8.0,
        targets: Target::ALL.to_vec(),
    };
    let mut fresh = fresh_adapter(net, &lora, seed).unwrap();
    for m in &mut fresh.modules {
        m.b = m.a.iter().rev().cycle().take(m.b.len()).copied().collect();
    }
    Adapter::new(fresh.rank, fresh.alpha, fresh.modules, None).unwrap()
}

fn engine<B: Backend>(backend: B) -> Arc<Engine<B>> {
    let net = Net::new(backend, &base()).unwrap();
    let engine = Engine::with_pages(net.clone(), 4096, 8);
    for i in 0..3 {
        engine.register(&format!("a{i}"), &adapter(&net, i)).unwrap();
    }
    Arc::new(engine)
}

/// Twenty requests of all models, none with the poisonous token.
fn request(i: usize) -> Request {
    let model = match i % 4 {
        3 => Model::Base,
        a => Model::Adapter(format!("a{a}")),
    };
    let params = Params {
        max_tokens: 4 + i % 5,
        temperature: 0.7,
        top_p: 0.9,
        seed: i as u64,
        // Nor may an answer contain it.
        stop: vec![POISON],
    };
    Request {
        model,
        prompt: (0..12 + (i * 11) % 40)
            .map(|t| ((t * 31 + i * 17) % 60) as u32)
            .collect(),
        params,
    }
}

type Bits = Vec<(u32, u32)>;

fn wanted() -> Vec<Bits> {
    let engine = engine(Cpu::<f32>::new());
    let alone = |i| {
        engine
            .generate(&request(i), &AtomicBool::new(false), &mut |_| {})
            .unwrap()
    };
    let bits = |i| {
        alone(i)
            .tokens
            .iter()
            .map(|t| (t.id, t.logprob.to_bits()))
            .collect()
    };
    (0..20).map(bits).collect()
}

fn collect(answer: Answer) -> Result<Bits, Error> {
    let mut bits = Vec::new();
    for event in answer {
        match event {
            Event::Token { token, .. } => bits.push((token.id, token.logprob.to_bits())),
            Event::Done { .. } => {}
            Event::Failed(error) => return Err(error),
        }
    }
    Ok(bits)
}

fn go(_: usize, _: &TrainEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn kind(result: &Result<Bits, Error>) -> Option<FaultKind> {
    match result {
        Err(Error::Device(fault)) => Some(fault.kind),
        _ => None,
    }
}

#[test]
fn a_request_that_the_device_refuses_should_fail_alone() {
    let want = wanted();
    let flaky = Flaky::default();
    let engine = engine(flaky.clone());
    let scheduler = Scheduler::start(engine.clone(), None, Limits::default());
    let ask = |i: usize| {
        let mut request = request(i);
        if i % 7 == 3 {
            // Deep in the prompt, so that it is met while others are under way.
            *request.prompt.last_mut().unwrap() = POISON;
        }
        (i, scheduler.submit(request).unwrap())
    };
    for (i, answer) in (0..20).map(ask).collect::<Vec<_>>() {
        let got = collect(answer);
        if i % 7 == 3 {
            assert_eq!(kind(&got), Some(FaultKind::Operation), "request {i}: {got:?}");
            assert!(got.unwrap_err().to_string().contains("refused"));
        } else {
            assert_eq!(got.unwrap(), want[i], "request {i}");
        }
    }
    assert!(flaky.faults() >= 3);
    assert_eq!(engine.room().0, engine.room().1, "every page is free again");
    assert!(scheduler.lost().is_none());
}

#[test]
fn what_does_not_fit_together_should_be_served_in_parts() {
    let want = wanted();
    for rows in [40, 9, 1] {
        let flaky = Flaky::default();
        let engine = engine(flaky.clone());
        flaky.most_rows(rows);
        let scheduler = Scheduler::start(engine, None, Limits::default());
        let all: Vec<_> = (0..20).map(|i| scheduler.submit(request(i)).unwrap()).collect();
        for (i, answer) in all.into_iter().enumerate() {
            assert_eq!(collect(answer).unwrap(), want[i], "request {i}, {rows} rows fit");
        }
        assert!(flaky.faults() > 0);
    }
}

#[test]
fn an_adapter_that_does_not_fit_should_come_after_others_left_or_fail_its_request_alone() {
    let want = wanted();
    let flaky = Flaky::default();
    let engine = engine(flaky.clone());
    engine.set_budgets(Budgets {
        device: 0,
        ..Budgets::default()
    });
    engine.set_budgets(Budgets::default());
    assert_eq!(engine.adapter_stats().on_device, 0);
    engine
        .generate(&request(0), &AtomicBool::new(false), &mut |_| {})
        .unwrap();
    // One upload fails: the adapter that nobody reads leaves, and the second try succeeds.
    flaky.refuse_uploads(1);
    let scheduler = Scheduler::start(engine.clone(), None, Limits::default());
    assert_eq!(collect(scheduler.submit(request(1)).unwrap()).unwrap(), want[1]);
    assert_eq!(engine.adapter_stats().on_device, 1);
    // All fail: so does whoever needs them, and nobody else. What is pinned does not leave for them.
    engine.pin("a1", true).unwrap();
    flaky.refuse_uploads(usize::MAX);
    let all: Vec<_> = [2, 3, 1, 7]
        .map(|i| (i, scheduler.submit(request(i)).unwrap()))
        .into();
    for (i, answer) in all {
        let got = collect(answer);
        if i == 2 {
            assert_eq!(kind(&got), Some(FaultKind::Memory), "{got:?}");
        } else {
            assert_eq!(got.unwrap(), want[i], "request {i}");
        }
    }
    flaky.refuse_uploads(0);
    assert_eq!(collect(scheduler.submit(request(2)).unwrap()).unwrap(), want[2]);
}

#[test]
fn a_lost_device_should_be_told_to_everybody_and_end_serving() {
    let want = wanted();
    let flaky = Flaky::default();
    let engine = engine(flaky.clone());
    let scheduler = Scheduler::start(
        engine,
        None,
        Limits {
            answers: 6,
            ..Limits::default()
        },
    );
    assert_eq!(collect(scheduler.submit(request(5)).unwrap()).unwrap(), want[5]);
    flaky.lose_after(5);
    let all: Vec<_> = (0..20).map(|i| scheduler.submit(request(i))).collect();
    let mut lost = 0;
    for (i, answer) in all.into_iter().enumerate() {
        match answer.and_then(collect) {
            // What was told before is true.
            Ok(bits) => assert_eq!(bits, want[i]),
            got => {
                assert_eq!(kind(&got), Some(FaultKind::Lost), "request {i}: {got:?}");
                lost += 1;
            }
        }
    }
    assert!(lost >= 14, "{lost}");
    assert_eq!(scheduler.lost().unwrap().kind, FaultKind::Lost);
    let refused = scheduler.submit(request(0)).map(|_| ());
    assert!(
        matches!(&refused, Err(Error::Device(f)) if f.kind == FaultKind::Lost),
        "{refused:?}"
    );
}

#[test]
fn a_fault_should_be_of_the_thread_that_met_it() {
    let want = wanted();
    let flaky = Flaky::default();
    let engine = engine(flaky.clone());
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let poisonous = scope.spawn(|| {
            let mut request = request(0);
            request.prompt[3] = POISON;
            let mut met = 0;
            while !stop.load(Ordering::Relaxed) {
                let got = engine.generate(&request, &AtomicBool::new(false), &mut |_| {});
                assert!(matches!(got, Err(Error::Device(_))));
                met += 1;
            }
            met
        });
        for (i, want) in want.iter().enumerate().take(20) {
            let got = engine
                .generate(&request(i), &AtomicBool::new(false), &mut |_| {})
                .unwrap();
            let bits: Bits = got.tokens.iter().map(|t| (t.id, t.logprob.to_bits())).collect();
            assert_eq!(&bits, want, "request {i}");
        }
        stop.store(true, Ordering::Relaxed);
        assert!(poisonous.join().unwrap() > 0);
    });
}

#[test]
fn training_should_take_smaller_passes_where_memory_is_short_and_fail_clearly_where_it_is_not_enough() {
    let flaky = Flaky::default();
    let net = Net::new(flaky.clone(), &base()).unwrap();
    let words = |n: usize, salt: usize| (0..n).map(|t| ((t * 7 + salt * 13) % 59) as u32).collect();
    let data: Vec<Vec<Example>> = (0..4)
        .map(|salt| (0..3).map(|i| Example::whole(words(20 + i, salt + i))).collect())
        .collect();
    let starts: Vec<Adapter> = (0..4).map(|seed| adapter(&net, seed)).collect();
    let config = TrainConfig {
        epochs: 2,
        batch_tokens: 30,
        ..TrainConfig::default()
    };
    let runs: Vec<Run> = data
        .iter()
        .zip(&starts)
        .map(|(train, start)| Run {
            train,
            heldout: &[],
            start,
            config: &config,
            checkpoint: None,
        })
        .collect();
    let roomy = train_many(&net, &runs, usize::MAX, &mut go);
    assert_eq!(flaky.faults(), 0);
    // Looking at the loss takes all of a run's examples at once: 63 rows.
    flaky.most_rows(70);
    let tight = train_many(&net, &runs, usize::MAX, &mut go);
    assert!(flaky.faults() > 0);
    for (tight, roomy) in tight.iter().zip(&roomy) {
        assert_eq!(tight.as_ref().unwrap(), roomy.as_ref().unwrap());
    }
    flaky.most_rows(10);
    for result in train_many(&net, &runs, usize::MAX, &mut go) {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("out of memory"), "{error}");
    }
}

#[test]
fn a_backend_chosen_at_run_time_should_give_the_bits_of_the_one_chosen() {
    type Chosen = Either<Cpu<f32>, Flaky>;
    let want = wanted();
    for backend in [Chosen::Left(Cpu::new()), Chosen::Right(Flaky::default())] {
        let engine = engine(backend);
        for (i, want) in want.iter().enumerate().take(8) {
            let got = engine
                .generate(&request(i), &AtomicBool::new(false), &mut |_| {})
                .unwrap();
            let bits: Bits = got.tokens.iter().map(|t| (t.id, t.logprob.to_bits())).collect();
            assert_eq!(&bits, want, "request {i} on {}", engine.net().backend.arch());
        }
    }
    let flaky = Flaky::default();
    let engine = engine(Chosen::Right(flaky.clone()));
    flaky.lose_after(1);
    let got = engine.generate(&request(3), &AtomicBool::new(false), &mut |_| {});
    assert!(matches!(got, Err(Error::Device(f)) if f.kind == FaultKind::Lost));
    assert!(engine.net().check().is_err(), "a lost device stays lost");
}
