//! What payment and attribution cost beside the bare engine, in one run: `make bench-serving`.

use crate::world::World;
use openledger_engine::{Ask, Event, Model, Params, Request};
use openledger_model::Message;
use openledger_worker::formats::Parameters;
use serde_json::{json, Value};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Barrier,
    time::Instant,
};

const TOKENS: u32 = 64;

/// Seconds since a question was asked.
#[derive(Clone, Copy)]
struct Took {
    first: f64,
    last: f64,
    receipt: f64,
}

fn words(n: usize) -> String {
    format!("{n} times the sea rose over the rocks today and {n} times it fell again: how often will it rise tomorrow?")
}

fn prompt(world: &World, n: usize) -> Vec<u32> {
    world
        .worker
        .base
        .tokenizer
        .chat(&[Message::user(words(n))])
        .unwrap()
}

/// The engine alone: the same adapter, prompt and parameters, straight into the scheduler.
fn bare(world: &World, n: usize) -> Took {
    let begun = Instant::now();
    let ask = Ask {
        asker: n.to_string(),
        ..Ask::from(Request {
            model: Model::Adapter(world.worker.serving.list()[0].id()),
            prompt: prompt(world, n),
            params: Params {
                max_tokens: TOKENS as usize,
                temperature: 1.0,
                seed: 11,
                ..Params::default()
            },
        })
    };
    let mut first = None;
    for event in world.worker.scheduler.submit(ask).unwrap() {
        if let Event::Token { .. } = event {
            first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
        }
    }
    let last = begun.elapsed().as_secs_f64();
    Took {
        first: first.unwrap_or(last),
        last,
        receipt: last,
    }
}

/// A question over HTTP, paid by a voucher, until its receipt.
fn paid(world: &World, channel: u64, n: usize) -> Took {
    let tokens = prompt(world, n);
    let wanted = Parameters {
        max_tokens: TOKENS,
        ..Parameters::default()
    };
    let body = json!({
        "model": "almanac", "messages": [{ "role": "user", "content": words(n) }], "max_tokens": TOKENS, "stream": true,
    });
    let order = world.order_on(channel, body, &tokens, &wanted, [n as u8; 32]);
    let body = order.body.to_string();
    let mut head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in world.headers(&order) {
        head += &format!("{name}: {value}\r\n");
    }
    let mut stream = TcpStream::connect(world.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    let begun = Instant::now();
    write!(stream, "{head}\r\n{body}").unwrap();
    let (mut first, mut last, mut voucher) = (None, None, None);
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        let Some(data) = line.strip_prefix("data: ") else {
            continue;
        };
        if data == "[DONE]" {
            last = Some(begun.elapsed().as_secs_f64());
            continue;
        }
        let event: Value = serde_json::from_str(data).unwrap();
        if event["choices"][0]["delta"]["content"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
        {
            first.get_or_insert_with(|| begun.elapsed().as_secs_f64());
        }
        voucher = event["openledger"]["voucher"]
            .as_str()
            .map(str::to_owned)
            .or(voucher);
    }
    let state = world
        .get(&format!("/v1/answers/{}?wait=30", voucher.unwrap()))
        .ok()
        .json();
    assert_eq!(state["state"], "done");
    let last = last.unwrap();
    Took {
        first: first.unwrap_or(last),
        last,
        receipt: begun.elapsed().as_secs_f64(),
    }
}

/// `each` questions one after the other by as many askers as are named; seconds in all, and what each took.
fn round(askers: usize, each: usize, ask: impl Fn(usize, usize) -> Took + Sync) -> (f64, Vec<Took>) {
    let barrier = Barrier::new(askers + 1);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..askers)
            .map(|asker| {
                let (ask, barrier) = (&ask, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    (0..each)
                        .map(|n| ask(asker, asker * each + n))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        barrier.wait();
        let begun = Instant::now();
        let took = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect();
        (begun.elapsed().as_secs_f64(), took)
    })
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Askers of the bare engine and askers who pay, in turns.
fn compare(world: &World, askers: usize, what: &str) {
    let each = if askers == 1 { 6 } else { 3 };
    let (mut alone, mut whole) = (Vec::new(), Vec::new());
    let (mut alone_s, mut whole_s) = (0.0, 0.0);
    // In turns, so that a change of the machine's load meets both.
    for turn in 0..4 {
        let (seconds, took) = round(askers, each, |_, n| bare(world, 1_000 * turn + n));
        alone_s += seconds;
        alone.extend(took);
        let (seconds, took) = round(askers, each, |asker, n| {
            paid(world, 1_000 + asker as u64, 1_000 * turn + 500 + n)
        });
        whole_s += seconds;
        whole.extend(took);
    }
    let of = |all: &[Took], which: fn(&Took) -> f64| median(all.iter().map(which));
    let (first, last) = (of(&alone, |t| t.first), of(&alone, |t| t.last));
    let (paid_first, paid_last) = (of(&whole, |t| t.first), of(&whole, |t| t.last));
    println!(
        "{askers:>2} askers, {what}: first token {:.1} ms bare, {:.1} paid, {:.2}×; last token {:.0} ms bare, {:.0} paid, {:.2}×; \
         receipt {:.0} ms after the last token; {:.1} answers a second bare, {:.1} paid with receipts, {:.2}×",
        first * 1e3,
        paid_first * 1e3,
        paid_first / first,
        last * 1e3,
        paid_last * 1e3,
        paid_last / last,
        of(&whole, |t| t.receipt - t.last) * 1e3,
        alone.len() as f64 / alone_s,
        whole.len() as f64 / whole_s,
        alone_s / whole_s,
    );
}

#[test]
#[ignore = "a measurement: make bench-serving"]
fn payment_and_attribution_beside_the_bare_engine() {
    let base = json!({
        "model_type": "llama", "vocab_size": 264, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 6,
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 32, "max_position_embeddings": 512,
        "rope_theta": 10000.0, "rms_norm_eps": 1e-5, "tie_word_embeddings": true, "initializer_range": 0.05, "eos_token_id": 256,
    });
    // Of batches of 40, four draws: a tenth of the answers is attributed, behind the others.
    for (sample, what, askers) in [
        (0, "all attributed", &[1, 8, 16][..]),
        (4, "a tenth attributed", &[16][..]),
    ] {
        let world = World::on_base(&base, |config| {
            (config.asks_a_minute, config.queue_each) = (0, 64);
            if sample > 0 {
                (config.sample, config.batch_receipts) = (sample, 40);
            }
        });
        world.until_serving();
        for asker in 0..16 {
            world.open_channel(1_000 + asker, &world.consumer.account());
        }
        if sample == 0 {
            println!(
                "base of 6 layers, width 256; prompt {} tokens, answers of {TOKENS}; medians",
                prompt(&world, 10).len()
            );
        }
        for askers in askers {
            compare(&world, *askers, what);
        }
    }
}
