//! Continuous batching: whatever is shared, paged, cached, fetched or cancelled, an answer's bits are those it has alone.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{mpsc, Arc, Mutex};

use openledger_backend_cpu::Cpu;
use openledger_engine::{
    Ask, Budgets, Engine, Error, Event, Finish, Limits, Model, Net, Params, Request, Sampling, Scheduler,
    Token,
};
use openledger_model::{Adapter, BaseModel, ModelConfig, Target, Tokenizer};
use openledger_trainer::{fresh_adapter, fresh_base, LoraConfig};
use serde_json::json;

type B = Cpu<f32>;

fn net() -> Arc<Net<B>> {
    net_on(B::new())
}

fn net_on(backend: B) -> Arc<Net<B>> {
    let config = json!({
        "model_type": "llama", "vocab_size": 61, "hidden_size": 32, "intermediate_size": 56,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
        "max_position_embeddings": 256, "tie_word_embeddings": true, "initializer_range": 0.3
    });
    Net::new(
        backend,
        &fresh_base(&ModelConfig::from_json(&config).unwrap(), 1).unwrap(),
    )
    .unwrap()
}

fn adapter(net: &Net<B>, seed: u64) -> Adapter {
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

/// An engine with three adapters and pages of this size.
fn engine(net: &Arc<Net<B>>, page: usize) -> Arc<Engine<B>> {
    let engine = Engine::with_pages(net.clone(), 4096, page);
    for i in 0..3 {
        engine.register(&format!("a{i}"), &adapter(net, i)).unwrap();
    }
    Arc::new(engine)
}

fn request(i: usize) -> Request {
    let model = match i % 4 {
        3 => Model::Base,
        a => Model::Adapter(format!("a{a}")),
    };
    // All begin alike, so that prefixes are shared within an adapter and must not be across.
    let prompt = (0..20 + (i * 13) % 50)
        .map(|t| {
            if t < 17 {
                t as u32
            } else {
                ((t * 31 + i * 17) % 61) as u32
            }
        })
        .collect();
    let params = Params {
        max_tokens: 3 + i % 9,
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

type Bits = Vec<(u32, u32)>;

fn bits(tokens: &[Token]) -> Bits {
    tokens.iter().map(|t| (t.id, t.logprob.to_bits())).collect()
}

fn alone(engine: &Engine<B>, request: &Request) -> Bits {
    let done = engine.generate(request, &AtomicBool::new(false), &mut |_| {});
    bits(&done.unwrap().tokens)
}

/// The tokens of the first answer, why it ended, and what of its prompt was reused.
fn collect(events: impl Iterator<Item = Event>) -> (Bits, Finish, usize) {
    let mut tokens = Vec::new();
    for event in events {
        match event {
            Event::Token { token, .. } => tokens.push(token),
            Event::Done { finish, reused, .. } => return (bits(&tokens), finish, reused),
            Event::Failed(error) => panic!("{error}"),
        }
    }
    panic!("the events ended early")
}

#[test]
fn answers_should_have_the_same_bits_whatever_the_batch_the_pages_and_the_cache() {
    let net = net();
    let plain = engine(&net, 32);
    plain.share_prefixes(false);
    let want: Vec<Bits> = (0..40).map(|i| alone(&plain, &request(i))).collect();
    for (page, share, answers, chunk, backwards) in [
        (32, false, 1, 256, false),
        (1, true, 32, 7, true),
        (8, true, 32, 64, false),
        (13, true, 5, 3, true),
        (64, true, 17, 128, false),
    ] {
        let engine = engine(&net, page);
        engine.share_prefixes(share);
        let limits = Limits {
            answers,
            chunk,
            prompt_tokens: 2 * chunk,
            ..Limits::default()
        };
        let scheduler = Scheduler::start(engine.clone(), None, limits);
        let mut order: Vec<usize> = (0..40).collect();
        if backwards {
            order.reverse();
        }
        let asked: Vec<_> = order
            .iter()
            .map(|&i| (i, scheduler.submit(request(i)).unwrap()))
            .collect();
        let mut reused = 0;
        for (i, answer) in asked {
            let (got, finish, found) = collect(answer);
            assert_eq!(got, want[i], "request {i}, pages of {page}, {answers} together");
            assert_eq!(finish, Finish::Length);
            reused += found;
        }
        // They have the first seventeen tokens in common.
        assert_eq!(reused > 0, share && page <= 16, "pages of {page}");
        assert_eq!(engine.room().0, engine.room().1, "every page is free again");
    }
}

#[test]
fn batches_of_1_to_32_in_any_order_should_give_the_bits_of_one_answer_alone_without_simd() {
    let slow = engine(&net_on(B::scalar()), 16);
    let want: Vec<Bits> = (0..32).map(|i| alone(&slow, &request(i))).collect();
    let engine = engine(&net(), 16);
    for batch in 1..=32 {
        // Another order every time; those that come later join while the first are under way.
        let order: Vec<usize> = (0..batch).map(|i| (i * 13 + batch * 5) % 32).collect();
        let mut running: Vec<(usize, _)> = Vec::new();
        let mut waiting = order.into_iter();
        loop {
            for i in waiting.by_ref().take(1 + batch / 3) {
                running.push((i, engine.start(&request(i)).unwrap()));
            }
            if running.iter().all(|(_, s)| s.finish().is_some()) {
                break;
            }
            engine
                .step(&mut running.iter_mut().map(|(_, s)| s).collect::<Vec<_>>())
                .unwrap();
        }
        assert_eq!(running.len(), batch);
        for (i, sequence) in &running {
            assert_eq!(
                bits(sequence.answer()),
                want[*i],
                "request {i} in a batch of {batch}"
            );
        }
    }
}

#[test]
fn a_prefix_should_be_read_again_under_the_same_adapter_only() {
    let net = net();
    let engine = engine(&net, 8);
    let scheduler = Scheduler::start(engine.clone(), None, Limits::default());
    let mut asked = request(0);
    asked.prompt = (0..41).map(|t| t % 61).collect();
    let (first, _, none) = collect(scheduler.submit(asked.clone()).unwrap());
    let (again, _, all) = collect(scheduler.submit(asked.clone()).unwrap());
    assert_eq!((none, all), (0, 40));
    assert_eq!(first, again);
    for model in [Model::Base, Model::Adapter("a1".into())] {
        asked.model = model;
        assert_eq!(collect(scheduler.submit(asked.clone()).unwrap()).2, 0);
    }
    // The same adapter under another name is another generation.
    engine.register("again", &adapter(&net, 0)).unwrap();
    asked.model = Model::Adapter("again".into());
    let (other, _, found) = collect(scheduler.submit(asked).unwrap());
    assert_eq!((other, found), (first, 0));
}

#[test]
fn further_answers_should_share_the_prompt_and_be_those_of_their_seeds() {
    let net = net();
    let engine = engine(&net, 8);
    let scheduler = Scheduler::start(engine.clone(), None, Limits::default());
    let mut ask = Ask::from(request(5));
    ask.n = 3;
    ask.sampling = Sampling {
        top_k: 7,
        alternatives: 3,
    };
    let mut answers = vec![Vec::new(); 3];
    let mut reused = vec![0; 3];
    for event in scheduler.submit(ask.clone()).unwrap() {
        match event {
            Event::Token {
                choice, token, top, ..
            } => {
                assert_eq!(top.len(), 3);
                assert!(top[0].1 >= top[1].1 && top[1].1 >= top[2].1 && token.logprob <= top[0].1);
                answers[choice].push(token);
            }
            Event::Done {
                choice,
                reused: found,
                ..
            } => reused[choice] = found,
            Event::Failed(error) => panic!("{error}"),
        }
    }
    assert!(reused[1] > 0 && reused[2] > 0, "{reused:?}");
    for (choice, got) in answers.iter().enumerate() {
        let mut own = ask.clone();
        own.n = 1;
        own.request.params.seed += choice as u64;
        assert_eq!(collect(scheduler.submit(own).unwrap()).0, bits(got));
    }
    assert_ne!(bits(&answers[0]), bits(&answers[1]));
}

#[test]
fn a_full_queue_should_say_when_to_come_again_and_hold_nobody_elses_place() {
    let net = net();
    let limits = Limits {
        answers: 1,
        queue: 5,
        queue_each: 2,
        ..Limits::default()
    };
    let scheduler = Scheduler::start(engine(&net, 8), None, limits);
    let by = |asker: &str| {
        let mut ask = Ask::from(request(3));
        ask.request.params.max_tokens = 150;
        ask.asker = asker.into();
        ask
    };
    let mut held = Vec::new();
    let refused = loop {
        match scheduler.submit(by("greedy")) {
            Ok(answer) => held.push(answer),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(
            refused,
            Error::Queue {
                waiting: 2,
                capacity: 2,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.retry_after().unwrap().as_secs() >= 1);
    let modest = scheduler.submit(by("modest")).unwrap();
    drop(held);
    assert_eq!(collect(modest).1, Finish::Length);
    assert_eq!(scheduler.stats().refused, 1);
}

#[test]
fn a_free_place_should_go_to_who_has_fewest() {
    let net = net();
    let limits = Limits {
        answers: 2,
        ..Limits::default()
    };
    let scheduler = Scheduler::start(engine(&net, 8), None, limits);
    let log = Arc::new(Mutex::new(Vec::new()));
    let (send, done) = mpsc::channel();
    for i in 0..7 {
        let mut ask = Ask::from(request(3));
        ask.request.params.max_tokens = 60;
        ask.asker = if i == 6 { "late" } else { "early" }.into();
        let (log, send, name) = (log.clone(), send.clone(), ask.asker.clone());
        let sink = move |event: Event| {
            if let Event::Done { .. } = event {
                log.lock().unwrap().push(name.clone());
                send.send(()).unwrap();
            }
            true
        };
        scheduler.submit_with(ask, Box::new(sink)).unwrap();
    }
    for _ in 0..7 {
        done.recv().unwrap();
    }
    let place = log.lock().unwrap().iter().position(|n| n == "late").unwrap();
    assert!(place <= 3, "six came before, two of them at a time: {place}");
}

#[test]
fn leaving_should_free_the_room_and_disturb_nobody() {
    let net = net();
    let engine = engine(&net, 8);
    let want = alone(&engine, &request(9));
    let scheduler = Scheduler::start(engine.clone(), None, Limits::default());
    let mut long = Ask::from(request(2));
    long.request.params.max_tokens = 200;
    let mut leaving: Vec<_> = (0..4).map(|_| scheduler.submit(long.clone()).unwrap()).collect();
    let staying = scheduler.submit(request(9)).unwrap();
    for answer in &mut leaving {
        assert!(matches!(answer.next(), Some(Event::Token { .. })));
        answer.cancel();
        let last = answer.last();
        assert!(
            matches!(
                last,
                Some(Event::Done {
                    finish: Finish::Cancelled,
                    ..
                })
            ),
            "{last:?}"
        );
    }
    assert_eq!(collect(staying).0, want);
    assert_eq!(engine.room().0, engine.room().1);
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn adapters_should_come_from_disk_when_asked_for_and_leave_when_others_do() {
    let net = net();
    let folder = Folder(std::env::temp_dir().join(format!("openledger-tiers-{}", std::process::id())));
    let reference = engine(&net, 8);
    let engine = Arc::new(Engine::with_pages(net.clone(), 4096, 8));
    let mut size = 0;
    for i in 0..3 {
        let adapter = adapter(&net, i);
        let dir = folder.0.join(format!("{i}"));
        adapter.save(&dir).unwrap();
        engine.register_folder(&format!("a{i}"), adapter.hash(), &dir);
        size = adapter.bytes();
    }
    // Room for one on the device and for two on the host.
    engine.set_budgets(Budgets {
        device: size,
        host: 2 * size,
    });
    let scheduler = Scheduler::start(engine.clone(), None, Limits::default());
    for round in 0..3 {
        for i in [0, 1, 2] {
            let got = collect(scheduler.submit(request(4 * round + i)).unwrap()).0;
            assert_eq!(got, alone(&reference, &request(4 * round + i)));
        }
    }
    let stats = engine.adapter_stats();
    assert_eq!(
        (stats.registered, stats.uploads, stats.reads),
        (3, 9, 9),
        "{stats:?}"
    );
    assert!(stats.host_bytes <= 2 * size && stats.on_device <= 2, "{stats:?}");
    // A pinned one stays.
    engine.pin("a0", true).unwrap();
    for i in [0, 1, 2, 0, 4] {
        collect(scheduler.submit(request(i)).unwrap());
    }
    assert_eq!(engine.adapter_stats().uploads, 9 + 3);

    // Another adapter's files under the name: refused, and only those who ask for it notice.
    adapter(&net, 7).save(&folder.0.join("1")).unwrap();
    collect(scheduler.submit(request(2)).unwrap());
    collect(scheduler.submit(request(6)).unwrap());
    engine.register_folder("gone", [9; 32], &folder.0.join("nowhere"));
    let mut lost = request(0);
    lost.model = Model::Adapter("gone".into());
    let (lost, kept) = (
        scheduler.submit(lost).unwrap(),
        scheduler.submit(request(3)).unwrap(),
    );
    let failed: Vec<Event> = lost.collect();
    assert!(
        matches!(&failed[..], [Event::Failed(e)] if e.to_string().contains("nowhere")),
        "{failed:?}"
    );
    assert_eq!(collect(kept).0, alone(&reference, &request(3)));
}

#[test]
fn a_stop_text_should_cut_the_answer_before_it() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shipped/base");
    let tokenizer = Arc::new(Tokenizer::load(&dir).unwrap());
    let net = Net::new(B::new(), &BaseModel::load(&dir).unwrap()).unwrap();
    let engine = Arc::new(Engine::with_pages(net, 2048, 32));
    let scheduler = Scheduler::start(engine, Some(tokenizer.clone()), Limits::default());
    let mut ask = Ask::from(Request {
        model: Model::Base,
        prompt: tokenizer.encode("Call me Ishmael. Some years ago").unwrap(),
        params: Params {
            max_tokens: 48,
            ..Params::default()
        },
    });
    let text = |ask: &Ask| {
        let (mut all, mut end, mut tokens) = (String::new(), None, 0);
        for event in scheduler.submit(ask.clone()).unwrap() {
            match event {
                Event::Token { text, .. } => {
                    all.push_str(&text);
                    tokens += 1;
                }
                Event::Done { finish, text, .. } => {
                    all.push_str(&text);
                    end = Some(finish);
                }
                Event::Failed(error) => panic!("{error}"),
            }
        }
        (all, end.unwrap(), tokens)
    };
    let (whole, finish, _) = text(&ask);
    assert_eq!((whole.len(), finish), (48, Finish::Length));
    ask.stop = vec!["\u{1F41D}".into(), whole[20..24].into()];
    let at = whole.find(&whole[20..24]).unwrap();
    let (cut, finish, tokens) = text(&ask);
    assert_eq!((cut.as_str(), finish), (&whole[..at], Finish::Stop));
    assert_eq!(
        tokens,
        at + 4,
        "the tokens of the stop text are given, its text is not"
    );
}
