//! The API as clients of all kinds meet it: choices, stop texts, probabilities, texts to be continued, x402, the operator's port,
//! and clients that are slow, gone or hostile.

use crate::{
    chain::hash_of,
    world::{planck, World, CHANNEL, GENERATION, MODEL, TARIFF},
};
use base64::{engine::general_purpose::STANDARD, Engine as _};
use openledger_attribution::{receipt::Receipt, wire::Object};
use openledger_chain::Key;
use openledger_model::Message;
use openledger_worker::{
    attribute::{Attribute, ByInfluence},
    formats::{hex0x, parse_hash, Parameters},
};
use serde_json::{json, Value};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

fn tokens(world: &World, question: &str) -> Vec<u32> {
    world
        .worker
        .base
        .tokenizer
        .chat(&[Message::user(question)])
        .unwrap()
}

fn body(question: &str) -> Value {
    json!({
        "model": "almanac",
        "messages": [{ "role": "user", "content": question }],
        "max_tokens": 12,
        "temperature": 0.9,
    })
}

fn parameters() -> Parameters {
    Parameters {
        max_tokens: 12,
        temperature: 0.9,
        ..Parameters::default()
    }
}

fn events(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(data.last(), Some(&"[DONE]"), "{text}");
    data[..data.len() - 1]
        .iter()
        .map(|one| serde_json::from_str(one).unwrap())
        .collect()
}

#[test]
fn choices_stop_texts_and_probabilities_are_one_paid_answer() {
    let world = World::new();
    world.until_serving();
    let question = "What does the sea do on day 4?";
    let prompt = tokens(&world, question);

    // Three choices with their probabilities.
    let mut asked = body(question);
    (asked["n"], asked["logprobs"], asked["top_logprobs"]) = (3.into(), true.into(), 2.into());
    let three = Parameters { n: 3, ..parameters() };
    let order = world.order_for(asked, &prompt, &three, [1; 32]);
    let (answer, receipt) = world.receipt(&order);
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3);
    let mut counted = 0;
    for (n, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], n);
        let each = choice["logprobs"]["content"].as_array().unwrap();
        counted += each.len() as u64;
        for token in each {
            let top = token["top_logprobs"].as_array().unwrap();
            assert_eq!(top.len(), 2);
            assert!(top[0]["logprob"].as_f64() >= token["logprob"].as_f64());
        }
    }
    assert_eq!(answer["usage"]["completion_tokens"], counted);
    let shown = world.get(&format!("/v1/receipts/{}", hex0x(receipt))).ok().json();
    assert_eq!(shown["output_tokens"], counted);
    assert_eq!(
        planck(&shown["fee"]),
        TARIFF
            .fee(prompt.len() as u32, counted as u32)
            .unwrap()
            .total()
            .unwrap()
    );
    // Attributed is the sum of the choices, each after the prompt.
    let stored = world.worker.db.answer(&hash_of(&order.voucher)).unwrap().unwrap();
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let each = ByInfluence
        .attribute(&served, &prompt, &stored.outputs())
        .unwrap();
    let row = world.worker.db.receipt(&receipt).unwrap().unwrap();
    assert_eq!(
        (each.attribution.hash(), &each.query),
        (row.receipt.attribution, &row.query)
    );
    let joined = ByInfluence
        .attribute(&served, &prompt, &[stored.output.as_slice()])
        .unwrap();
    assert_ne!(joined.query, row.query);

    // The first of the three is what asking for one with the same seed gives; choices differ.
    let alone = world.order_for(body(question), &prompt, &parameters(), [2; 32]);
    let (single, _) = world.receipt(&alone);
    assert_eq!(single["choices"][0]["message"], choices[0]["message"]);
    assert!(choices[1..]
        .iter()
        .any(|choice| choice["message"] != choices[0]["message"]));

    // Again, streamed: the same, with the usage at the end, and nothing more is paid.
    let mut again = order.body.clone();
    (again["stream"], again["stream_options"]) = (true.into(), json!({ "include_usage": true }));
    let streamed = world.ask(&crate::world::Order { body: again, ..order });
    let streamed = events(&streamed.ok().bytes);
    for (n, choice) in choices.iter().enumerate() {
        let own = streamed.iter().filter_map(|event| {
            let choice = &event["choices"][0];
            (choice["index"] == n).then(|| choice["delta"]["content"].as_str())?
        });
        assert_eq!(
            own.collect::<String>(),
            choice["message"]["content"].as_str().unwrap()
        );
        let ends = streamed.iter().filter(|event| {
            event["choices"][0]["index"] == n && event["choices"][0]["finish_reason"].is_string()
        });
        assert_eq!(ends.count(), 1);
    }
    let last = streamed.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &answer["usage"]));

    // A stop text ends the answer before it, and what was computed until it was there is paid.
    let text = single["choices"][0]["message"]["content"].as_str().unwrap();
    let stop = text.chars().rfind(|c| c.is_ascii_graphic()).unwrap().to_string();
    let mut stopped = body(question);
    stopped["stop"] = json!([stop, "never in it"]);
    let wanted = Parameters {
        stop_texts: vec![stop.clone(), "never in it".into()],
        ..parameters()
    };
    let mut texts = wanted.stop_texts.clone();
    texts.sort();
    let wanted = Parameters {
        stop_texts: texts,
        ..wanted
    };
    let order = world.order_for(stopped.clone(), &prompt, &wanted, [3; 32]);
    let (cut, receipt) = world.receipt(&order);
    let shown = cut["choices"][0]["message"]["content"].as_str().unwrap();
    assert_eq!(shown, text.split(&stop).next().unwrap());
    assert_eq!(cut["choices"][0]["finish_reason"], "stop");
    let whole = world.get_with(
        &format!("/v1/receipts/{}", hex0x(receipt)),
        &[("x-openledger-salt", &hex0x([3; 32]))],
    );
    let whole = whole.ok().json()["texts"]["answer"].as_str().unwrap().to_owned();
    assert!(
        whole.starts_with(&format!("{shown}{stop}")) && text.starts_with(&whole),
        "{whole:?}"
    );
    let replayed = world.ask(&order).ok().json();
    assert_eq!(replayed["choices"], cut["choices"]);
    // Another request under the same voucher is none that was paid.
    stopped["stop"] = "never in it".into();
    let other = world.ask(&crate::world::Order {
        body: stopped,
        ..order
    });
    assert_eq!(
        (other.status, other.error().contains("other parameters")),
        (402, true)
    );
}

#[test]
fn texts_are_continued_and_models_are_found() {
    let world = World::new();
    world.until_serving();
    let prompt = world.worker.base.tokenizer.text_prompt("The sea").unwrap();
    let asked = json!({
        "model": "almanac", "prompt": "The sea", "max_tokens": 8, "temperature": 0, "logprobs": 2, "stream_options": null,
    });
    let wanted = Parameters {
        max_tokens: 8,
        temperature: 0.0,
        ..Parameters::default()
    };
    let unpaid = world.post("/v1/completions", &[], asked.to_string().as_bytes());
    assert_eq!(unpaid.status, 402);
    assert_eq!(unpaid.json()["payment"]["prompt_tokens"], prompt.len());
    assert_eq!(unpaid.json()["payment"]["parameters"], hex0x(wanted.hash()));
    let told = world
        .post("/v1/tokenize", &[], br#"{"prompt":"The sea"}"#)
        .ok()
        .json();
    assert_eq!(told["tokens"], json!(prompt));

    let order = world.order_for(asked.clone(), &prompt, &wanted, [1; 32]);
    let answer = world.ask_at("/v1/completions", &order).ok().json();
    assert_eq!(answer["object"], "text_completion");
    let choice = &answer["choices"][0];
    let said = choice["text"].as_str().unwrap();
    let told = choice["logprobs"]["tokens"].as_array().unwrap();
    assert_eq!(
        told.len() as u64,
        answer["usage"]["completion_tokens"].as_u64().unwrap()
    );
    assert_eq!(choice["logprobs"]["text_offset"][0], 0);
    // By tokens and streamed: the same text.
    world.until("the channel", |world| !world.worker.is_busy(CHANNEL));
    let mut by_tokens = asked;
    (by_tokens["prompt"], by_tokens["stream"]) = (json!(prompt), true.into());
    let order = world.order_for(by_tokens, &prompt, &wanted, [2; 32]);
    let streamed = events(&world.ask_at("/v1/completions", &order).ok().bytes);
    let text: String = streamed
        .iter()
        .filter_map(|event| event["choices"][0]["text"].as_str())
        .collect();
    assert_eq!(text, said);

    let id = format!("{MODEL}:{GENERATION}");
    for name in [id.as_str(), "almanac"] {
        let model = world.get(&format!("/v1/models/{name}")).ok().json();
        assert_eq!(
            (&model["id"], &model["generation"]),
            (&json!(id), &json!(GENERATION))
        );
        assert_eq!(model["parent"], hex0x(world.worker.base.hash));
    }
    assert_eq!(world.get("/v1/models/base").status, 404);
    for (bad, say) in [
        (json!({ "model": "almanac", "prompt": [] }), "no token"),
        (
            json!({ "model": "almanac", "prompt": [99_999] }),
            "none of the model's",
        ),
        (
            json!({ "model": "almanac", "prompt": ["a", "b"] }),
            "ask once for each",
        ),
        (json!({ "model": "almanac", "prompt": "a", "echo": true }), "echo"),
        (
            json!({ "model": "almanac", "prompt": "a", "suffix": "b" }),
            "suffix",
        ),
        (
            json!({ "model": "almanac", "prompt": "a", "best_of": 2 }),
            "best_of",
        ),
    ] {
        let reply = world.post("/v1/completions", &[], bad.to_string().as_bytes());
        assert_eq!(
            (reply.status, reply.error().contains(say)),
            (400, true),
            "{}",
            reply.error()
        );
    }
}

#[test]
fn x402_carries_the_same_voucher() {
    let world = World::new();
    world.until_serving();
    let order = world.order("How is loaf 3 baked?", [5; 32]);
    let unpaid = world.post("/v1/chat/completions", &[], order.body.to_string().as_bytes());
    let required = STANDARD
        .decode(unpaid.headers["payment-required"].as_bytes())
        .unwrap();
    let required: Value = serde_json::from_slice(&required).unwrap();
    assert_eq!(
        (&required["x402Version"], &required["accepts"][0]["scheme"]),
        (&json!(2), &json!("upto"))
    );
    assert_eq!(planck(&required["accepts"][0]["amount"]), order.voucher.most);
    assert_eq!(required["accepts"][0]["extra"], unpaid.json()["payment"]);

    let [voucher, terms, salt] = world.headers(&order).map(|(_, value)| value);
    let pay = |payload: Value, version: u32| {
        let sent = json!({ "x402Version": version, "accepted": required["accepts"][0], "payload": payload });
        let value = STANDARD.encode(sent.to_string());
        world.post(
            "/v1/chat/completions",
            &[("payment-signature", &value)],
            order.body.to_string().as_bytes(),
        )
    };
    let payload = json!({ "voucher": voucher, "terms": terms, "salt": salt });
    assert_eq!(pay(payload.clone(), 1).status, 400);
    assert_eq!(pay(json!({ "voucher": voucher }), 2).status, 400);
    let paid = pay(payload.clone(), 2).ok();
    let settled = STANDARD
        .decode(paid.headers["payment-response"].as_bytes())
        .unwrap();
    let settled: Value = serde_json::from_slice(&settled).unwrap();
    assert_eq!(settled["success"], true);
    assert_eq!(settled["transaction"], paid.json()["openledger"]["voucher"]);
    // By the other headers the same answer, once.
    let again = world.ask(&order).ok().json();
    assert_eq!(again["choices"], paid.json()["choices"]);
}

#[test]
fn operators_port_needs_its_key_and_stays_in_its_folder() {
    let world = World::new();
    world.until_serving();
    let key = world.admin_key();
    let key = Some(key.as_str());
    for (method, path) in [
        ("GET", "/v1/adapters"),
        ("POST", "/v1/adapters"),
        ("DELETE", "/v1/adapters/x"),
    ] {
        for wrong in [None, Some("Bearer 00"), Some("nonsense")] {
            assert_eq!(world.operator(method, path, wrong, None).status, 401);
        }
    }
    let metrics = world.operator("GET", "/metrics", None, None).ok();
    let metrics = String::from_utf8(metrics.bytes).unwrap();
    assert!(
        metrics.contains("openledger_queue_waiting 0") && metrics.contains("openledger_generations 1"),
        "{metrics}"
    );
    assert_eq!(
        world.get("/metrics").status,
        404,
        "the public port has no metrics"
    );
    assert_eq!(world.get("/v1/adapters").status, 404);

    // An adapter of one's own: the trained one under another name.
    let own = world.dir.join("data/own");
    std::fs::create_dir_all(own.join("mine")).unwrap();
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let from = world.worker.config.adapter_dir(&served.adapter);
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(from.join(file), own.join("mine").join(file)).unwrap();
    }
    std::os::unix::fs::symlink(&from, own.join("away")).unwrap();
    std::fs::create_dir_all(own.join("empty")).unwrap();
    for (load, status) in [
        (json!({ "name": "mine", "folder": "../adapters" }), 400),
        (json!({ "name": "mine", "folder": "away" }), 400),
        (json!({ "name": "mine", "folder": "empty" }), 400),
        (json!({ "name": "mine", "folder": "" }), 400),
        (json!({ "name": "3:1", "folder": "mine" }), 400),
        (json!({ "name": "mine", "folder": "nowhere" }), 404),
        (json!({ "model": 9, "generation": 1 }), 404),
        (json!({ "name": "mine" }), 400),
    ] {
        assert_eq!(
            world.operator("POST", "/v1/adapters", key, Some(&load)).status,
            status,
            "{load}"
        );
    }
    let ask = json!({ "model": "mine", "messages": [{ "role": "user", "content": "Hi" }], "max_tokens": 6, "seed": 3 });
    let chat = |body: &Value| world.operator("POST", "/v1/chat/completions", key, Some(body));
    assert_eq!(
        chat(&ask).status,
        404,
        "the base does not answer for an adapter that is not there"
    );
    let load = json!({ "name": "mine", "folder": "mine", "pinned": true });
    world.operator("POST", "/v1/adapters", key, Some(&load)).ok();
    let answer = chat(&ask).ok().json();
    assert_eq!(chat(&ask).ok().json()["choices"], answer["choices"]);
    let mut streamed = ask.clone();
    streamed["stream"] = true.into();
    let text: String = events(&chat(&streamed).ok().bytes)
        .iter()
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(text, answer["choices"][0]["message"]["content"].as_str().unwrap());
    // It answers nobody else.
    assert_eq!(
        world
            .post("/v1/chat/completions", &[], ask.to_string().as_bytes())
            .status,
        404
    );
    world.operator("DELETE", "/v1/adapters/mine", key, None).ok();
    assert_eq!(chat(&ask).status, 404);

    // A generation out of service and back.
    let order = world.order("What does the sea do?", [1; 32]);
    let id = format!("{MODEL}:{GENERATION}");
    world
        .operator("DELETE", &format!("/v1/adapters/{id}"), key, None)
        .ok();
    assert_eq!(
        world
            .operator("DELETE", &format!("/v1/adapters/{id}"), key, None)
            .status,
        404
    );
    assert_eq!(world.ask(&order).status, 404);
    assert_eq!(world.get("/v1/models").ok().json()["data"], json!([]));
    let back = json!({ "model": MODEL, "generation": GENERATION });
    world.operator("POST", "/v1/adapters", key, Some(&back)).ok();
    world.receipt(&order);
}

/// Sends a request by hand and leaves the connection to the caller.
fn raw(world: &World, order: &crate::world::Order) -> TcpStream {
    let mut stream = TcpStream::connect(world.url.strip_prefix("http://").unwrap()).unwrap();
    let body = order.body.to_string();
    let mut head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in world.headers(order) {
        head += &format!("{name}: {value}\r\n");
    }
    write!(stream, "{head}\r\n{body}").unwrap();
    stream
}

#[test]
fn slow_cancelled_and_hostile_clients_harm_nobody() {
    let world = World::new();
    world.until_serving();
    let question = "What does the sea do on day 5?";
    let prompt = tokens(&world, question);
    let expected = {
        let order = world.order_for(body(question), &prompt, &parameters(), [9; 32]);
        world.receipt(&order).0["choices"].clone()
    };

    // Connections that send nothing, half a head, half a body, or what is no HTTP.
    let address = world.url.strip_prefix("http://").unwrap();
    let open = |text: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    let idle: Vec<TcpStream> = (0..100)
        .map(|n| match n % 4 {
            0 => open(""),
            1 => open("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a"),
            2 => open("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{\"mod"),
            _ => open("\u{16}\u{3}\u{1} no HTTP at all\r\n\r\n"),
        })
        .collect();
    let answer_of = |mut stream: TcpStream| {
        let mut text = String::new();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.read_to_string(&mut text);
        text
    };
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let refused = answer_of(open(&format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n")));
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    let long = "x".repeat(200_000);
    let refused = answer_of(open(&format!(
        "GET /health HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"
    )));
    assert!(refused.starts_with("HTTP/1.1 431"), "{refused}");
    let large = vec![b' '; (1 << 20) + 1];
    assert_eq!(world.post("/v1/chat/completions", &[], &large).status, 413);
    let deep = format!("{{\"model\":{}", "[".repeat(100_000));
    assert_eq!(
        world.post("/v1/chat/completions", &[], deep.as_bytes()).status,
        400
    );

    // Consumers who read nothing of a long stream, and who leave in the middle of one.
    let other = Key::from_uri("//Consumer").unwrap();
    let mut leaving = Vec::new();
    for n in 0..6_u8 {
        let channel = 100 + u64::from(n);
        world.open_channel(channel, &other.account());
        let mut long = body(question);
        (long["max_tokens"], long["stream"]) = (300.into(), true.into());
        let wanted = Parameters {
            max_tokens: 300,
            ..parameters()
        };
        let order = world.order_on(channel, long, &prompt, &wanted, [n; 32]);
        let mut stream = raw(&world, &order);
        if n % 2 == 0 {
            // Waits for the first event, then leaves.
            let mut some = [0; 400];
            stream.read_exact(&mut some).unwrap();
            drop(stream);
        } else {
            leaving.push(stream);
        }
    }
    // The channel whose next answer is asked for beside all of this gets the same words as before.
    let order = world.order_for(body(question), &prompt, &parameters(), [10; 32]);
    let (answer, _) = world.receipt(&order);
    assert_eq!(answer["choices"], expected);
    drop(idle);

    // Each of them ends with a receipt for what was made, or with nothing owed and the channel free.
    let begun = Instant::now();
    for n in 0..6 {
        let channel = 100 + n;
        while world.worker.is_busy(channel) {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "channel {channel} is held"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    let receipts = world.get("/v1/receipts?limit=100").ok().json();
    for receipt in receipts["receipts"].as_array().unwrap() {
        let hash = parse_hash(receipt["receipt"].as_str().unwrap()).unwrap();
        let row = world.worker.db.receipt(&hash).unwrap().unwrap();
        let stored: Receipt = row.receipt;
        stored.check().unwrap();
        let answer = world.worker.db.answer(&stored.voucher.hash()).unwrap().unwrap();
        assert_eq!(answer.output.len() as u32, stored.output_tokens);
    }
    let stats = world.worker.scheduler.stats();
    assert_eq!((stats.running, stats.waiting), (0, 0));
    let (room, capacity) = world.worker.base.engine.room();
    assert_eq!(room, capacity, "every page was given back");
    drop(leaving);
}

#[test]
fn a_consumer_has_its_share_of_the_queue_and_is_told_when_to_come_again() {
    let world = World::with(|config| {
        (config.parallel, config.queue, config.queue_each) = (1, 8, 2);
        config.asks_a_minute = 40;
    });
    world.until_serving();
    let question = "How is loaf 1 baked?";
    let prompt = tokens(&world, question);
    let wanted = Parameters {
        max_tokens: 200,
        ..parameters()
    };
    let mut long = body(question);
    (long["max_tokens"], long["stream"]) = (200.into(), true.into());
    let consumer = Key::from_uri("//Consumer").unwrap();
    let mut streams = Vec::new();
    let mut refused = 0;
    for n in 0..12_u64 {
        world.open_channel(200 + n, &consumer.account());
        let order = world.order_on(200 + n, long.clone(), &prompt, &wanted, [n as u8; 32]);
        let mut stream = raw(&world, &order);
        let mut head = [0; 64];
        stream.read_exact(&mut head).unwrap();
        if head.starts_with(b"HTTP/1.1 429") {
            let mut rest = String::new();
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read_to_string(&mut rest);
            let whole = format!("{}{rest}", String::from_utf8_lossy(&head));
            assert!(whole.contains("retry-after: "), "{whole}");
            refused += 1;
        } else {
            streams.push(stream);
        }
    }
    assert!(refused > 0, "a greedy consumer is told to come again");
    assert_eq!(world.worker.scheduler.stats().refused, refused);
    // A refusal leaves the channel free.
    drop(streams);
    world.until("the channels", |world| {
        (200..212).all(|channel| !world.worker.is_busy(channel))
    });
    // And beyond so many a minute it is refused before anything is queued.
    let statuses: Vec<u16> = (0..60_u64)
        .map(|n| {
            let order = world.order_for(body(question), &prompt, &parameters(), [n as u8 + 100; 32]);
            let reply = world.ask(&order);
            if reply.status == 200 {
                world.until("the channel", |world| !world.worker.is_busy(CHANNEL));
            } else {
                assert_eq!(reply.status, 429);
                let after: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=60).contains(&after));
            }
            reply.status
        })
        .take_while(|status| *status == 200)
        .collect();
    assert!(statuses.len() < 60, "no limit was met");
}
