//! What a request is promised: its own adapter, its own tokens, whatever else is going on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use openledger_backend_cpu::Cpu;
use openledger_engine::{
    behind, Completion, DeviceAdapter, Engine, Error, Finish, Model, Net, Params, Request, Sequence,
};
use openledger_model::{Adapter, BaseModel, Example, ModelConfig, Target};
use openledger_trainer::{evaluate, fresh_adapter, fresh_base, LoraConfig};
use serde_json::json;

type B = Cpu<f32>;

fn base() -> BaseModel {
    let config = json!({
        "model_type": "llama", "vocab_size": 61, "hidden_size": 32, "intermediate_size": 56,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 128, "tie_word_embeddings": true, "initializer_range": 0.3
    });
    fresh_base(&ModelConfig::from_json(&config).unwrap(), 1).unwrap()
}

/// An adapter that changes answers, of a rank that is no whole vector.
fn adapter(net: &Net<B>, rank: usize, seed: u64) -> Adapter {
    let lora = LoraConfig {
        rank,
        alpha: 2.0 * rank as f64,
        targets: Target::ALL.to_vec(),
    };
    let mut fresh = fresh_adapter(net, &lora, seed).unwrap();
    for m in &mut fresh.modules {
        m.b = m.a.iter().rev().cycle().take(m.b.len()).copied().collect();
    }
    Adapter::new(fresh.rank, fresh.alpha, fresh.modules, None).unwrap()
}

fn engine() -> (Arc<Net<B>>, Engine<B>) {
    let net = Net::new(B::new(), &base()).unwrap();
    let engine = Engine::new(Arc::clone(&net));
    engine.register("one", &adapter(&net, 3, 1)).unwrap();
    engine.register("two", &adapter(&net, 8, 2)).unwrap();
    (net, engine)
}

fn request(i: usize) -> Request {
    let model = match i % 3 {
        0 => Model::Base,
        1 => Model::Adapter("one".into()),
        _ => Model::Adapter("two".into()),
    };
    let prompt = (0..3 + 7 * i).map(|t| ((t * 31 + i * 17) % 61) as u32).collect();
    let params = Params {
        max_tokens: 12 + i,
        temperature: 0.9,
        top_p: 0.95,
        seed: i as u64,
        stop: vec![],
    };
    Request {
        model,
        prompt,
        params,
    }
}

fn alone(engine: &Engine<B>, request: &Request) -> Completion {
    engine
        .generate(request, &AtomicBool::new(false), &mut |_| {})
        .unwrap()
}

#[test]
fn tokens_should_not_depend_on_the_batch_the_order_of_arrival_or_threads() {
    let (_, engine) = engine();
    let want: Vec<_> = (0..9).map(|i| alone(&engine, &request(i))).collect();
    for (threads, backwards) in [(1, false), (3, true)] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut order: Vec<usize> = (0..9).collect();
            if backwards {
                order.reverse();
            }
            // One more joins at every step.
            let mut running: Vec<(usize, Sequence<B>)> = Vec::new();
            for step in 0..60 {
                if let Some(&i) = order.get(step) {
                    running.push((i, engine.start(&request(i)).unwrap()));
                }
                let mut all: Vec<_> = running.iter_mut().map(|(_, s)| s).collect();
                engine.step(&mut all).unwrap();
            }
            for (i, sequence) in &running {
                assert_eq!(
                    sequence.answer(),
                    want[*i].tokens,
                    "request {i} on {threads} threads"
                );
                assert_eq!(sequence.finish(), Some(Finish::Length));
            }
        });
    }
}

#[test]
fn an_answer_should_be_what_its_parameters_choose_and_another_should_not() {
    let (net, engine) = engine();
    for (i, of) in [(1, adapter(&net, 3, 1)), (2, adapter(&net, 8, 2))] {
        let asked = request(i);
        let loaded = DeviceAdapter::new(&net.backend, net.config(), &of).unwrap();
        let mut answer: Vec<u32> = alone(&engine, &asked).tokens.iter().map(|t| t.id).collect();
        let far = |answer: &[u32], with: Option<&DeviceAdapter<_>>| {
            behind(&net, with, &asked.prompt, answer, &asked.params).unwrap()
        };
        assert!(far(&answer, Some(&loaded)).iter().all(|far| *far == 0.0));
        assert!(far(&[], Some(&loaded)).is_empty());
        // Without the adapter other tokens are chosen.
        assert!(far(&answer, None).iter().any(|far| *far > 0.5));
        answer[5] = (answer[5] + 1) % 61;
        assert!(far(&answer, Some(&loaded))[5] > 0.0);
    }
    let asked = request(0);
    assert!(behind(&net, None, &[], &[1], &asked.params).is_err());
}

#[test]
fn decoding_should_give_the_bits_of_reading_the_whole_text_at_once() {
    let (_, engine) = engine();
    for i in 0..3 {
        let whole = alone(&engine, &request(i));
        for at in 0..whole.tokens.len() {
            let mut again = request(i);
            again.prompt.extend(whole.tokens[..at].iter().map(|t| t.id));
            again.params.max_tokens = 1;
            let got = alone(&engine, &again).tokens[0];
            assert_eq!(
                (got.id, got.logprob.to_bits()),
                (whole.tokens[at].id, whole.tokens[at].logprob.to_bits())
            );
        }
    }
}

#[test]
fn probabilities_should_be_those_training_computes() {
    let (net, engine) = engine();
    let request = request(1);
    let completion = alone(&engine, &request);
    let output: Vec<u32> = completion.tokens.iter().map(|t| t.id).collect();
    let sum: f64 = completion.tokens.iter().map(|t| f64::from(t.logprob)).sum();
    let example = Example::answer(&request.prompt, &output);
    let loss = evaluate(&net, Some(&adapter(&net, 3, 1)), &[example]).unwrap();
    assert_eq!(loss.tokens, output.len());
    assert!(
        (loss.loss * loss.tokens as f64 + sum).abs() < 1e-4 * sum.abs(),
        "{loss:?} and {sum}"
    );
}

#[test]
fn an_unknown_adapter_should_be_refused_and_never_become_the_base() {
    let (_, engine) = engine();
    let mut asked = request(0);
    for model in [Model::Adapter("three".into()), Model::AdapterHash([7; 32])] {
        asked.model = model;
        let result = engine.generate(&asked, &AtomicBool::new(false), &mut |_| {});
        assert!(matches!(result, Err(Error::UnknownAdapter(_))), "{result:?}");
    }
    assert!(engine.unregister("one"));
    assert!(!engine.unregister("one"));
    asked.model = Model::Adapter("one".into());
    assert!(engine.start(&asked).is_err());
}

#[test]
fn an_adapter_should_be_found_by_hash_and_change_the_answer() {
    let (net, engine) = engine();
    let mut asked = request(1);
    let named = alone(&engine, &asked);
    asked.model = Model::AdapterHash(adapter(&net, 3, 1).hash());
    assert_eq!(alone(&engine, &asked), named);
    asked.model = Model::Base;
    assert_ne!(alone(&engine, &asked).tokens, named.tokens);
}

#[test]
fn an_adapter_for_another_shape_should_be_refused() {
    let (net, engine) = engine();
    let mut other = adapter(&net, 3, 1);
    other.modules[0].layer = 5;
    assert!(matches!(
        engine.register("x", &other),
        Err(Error::Mismatch { .. })
    ));
    let mut other = adapter(&net, 3, 1);
    other.modules[0].d_in = 16;
    assert!(matches!(
        engine.register("x", &other),
        Err(Error::Mismatch { .. })
    ));
}

#[test]
fn answers_should_end_at_stop_tokens_and_when_cancelled() {
    let (_, engine) = engine();
    let mut asked = request(2);
    let whole = alone(&engine, &asked);
    asked.params.stop = vec![whole.tokens[4].id];
    let first = whole
        .tokens
        .iter()
        .position(|t| t.id == whole.tokens[4].id)
        .unwrap();
    let stopped = alone(&engine, &asked);
    assert_eq!(
        (stopped.finish, stopped.tokens.as_slice()),
        (Finish::Stop, &whole.tokens[..first])
    );

    let cancel = AtomicBool::new(false);
    let mut given = 0;
    let cancelled = engine
        .generate(&request(2), &cancel, &mut |t| {
            given += 1;
            cancel.store(t.index == 2, Ordering::Relaxed);
        })
        .unwrap();
    assert_eq!(
        (cancelled.finish, cancelled.tokens.len(), given),
        (Finish::Cancelled, 3, 3)
    );
}

#[test]
fn a_full_cache_should_say_so_and_have_room_again() {
    let (net, _) = engine();
    let engine = Engine::with_capacity(net, 40);
    let mut asked = request(0);
    asked.params.max_tokens = 20;
    let held = engine.start(&asked).unwrap();
    let again = engine.start(&asked);
    assert!(matches!(
        again,
        Err(Error::Busy {
            wanted: 23,
            free: 17,
            capacity: 40
        })
    ));
    drop(held);
    engine.start(&asked).unwrap();
}

#[test]
fn requests_that_cannot_be_served_should_say_why() {
    let (_, engine) = engine();
    type Spoil = fn(&mut Request);
    let bad: [(&str, Spoil); 6] = [
        ("empty", |r| r.prompt.clear()),
        ("vocabulary", |r| r.prompt.push(61)),
        ("reads 128", |r| r.prompt = vec![0; 128]),
        ("temperature", |r| r.params.temperature = f32::NAN),
        ("top_p", |r| r.params.top_p = 0.0),
        ("max_tokens", |r| r.params.max_tokens = 0),
    ];
    for (word, spoil) in bad {
        let mut asked = request(0);
        spoil(&mut asked);
        let error = engine
            .start(&asked)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(error.contains(word), "{error:?} should speak of {word}");
    }
}
