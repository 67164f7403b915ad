//! What is not paid, not signed, or not so, is refused with the reason, and costs nothing.

use crate::world::{decode_object, planck, World, CHANNEL, DEPOSIT, TARIFF};
use openledger_attribution::{
    fee::Tariff,
    voucher::{Mode, Signature},
};
use openledger_protocol::{channels::Channel, models::Model, storage, Account};
use openledger_worker::formats::hex0x;
use serde_json::json;

#[test]
fn request_without_voucher_is_told_what_to_pay() {
    let world = World::new();
    world.until_serving();
    let order = world.order("What does the sea do?", [1; 32]);
    let channel = CHANNEL.to_string();
    let reply = world.post(
        "/v1/chat/completions",
        &[("x-openledger-channel", &channel)],
        order.body.to_string().as_bytes(),
    );
    assert_eq!(reply.status, 402);
    let payment = &reply.json()["payment"];
    assert_eq!(decode_object::<Tariff>(&payment["tariff"]), TARIFF);
    assert_eq!(planck(&payment["most"]), order.voucher.most);
    assert_eq!(payment["index"], hex0x(order.terms.index));
    assert_eq!(payment["parameters"], hex0x(order.terms.parameters));
    assert_eq!(payment["worker"], hex0x(world.worker.account()));
    assert_eq!(planck(&payment["channel"]["deposit"]), DEPOSIT);
    let tokens = world
        .post("/v1/tokenize", &[], order.body.to_string().as_bytes())
        .ok()
        .json();
    assert_eq!(
        tokens["tokens"].as_array().unwrap().len() as u64,
        payment["prompt_tokens"].as_u64().unwrap()
    );
}

#[test]
fn wrong_payment_is_refused_with_the_reason() {
    let world = World::new();
    world.until_serving();
    let good = || world.order("How is loaf 4 baked?", [2; 32]);
    let refused = |what: &str, status: u16, say: &str, change: &dyn Fn(&mut crate::world::Order)| {
        let mut order = good();
        change(&mut order);
        let reply = world.ask(&order);
        assert_eq!(reply.status, status, "{what}: {}", reply.error());
        assert!(reply.error().contains(say), "{what}: {}", reply.error());
    };
    refused("chain", 402, "genesis", &|o| o.voucher.genesis = [1; 32]);
    refused("channel", 404, "channel 99", &|o| o.voucher.channel = 99);
    refused("signature", 402, "signature", &|o| {
        o.signature = Some(Signature::Sr25519([1; 64]))
    });
    refused("model", 402, "model", &|o| o.terms.model += 1);
    refused("index", 402, "index", &|o| o.terms.index = [1; 32]);
    refused("tariff", 402, "tariff", &|o| o.terms.tariff.price_out = 0);
    refused("mode", 402, "mode", &|o| o.terms.mode = Mode::Fast);
    refused("prompt", 402, "prompt", &|o| {
        o.body["messages"][0]["content"] = "Something else?".into()
    });
    refused("salt", 402, "prompt", &|o| o.salt = [3; 32]);
    refused("parameters", 402, "parameters", &|o| {
        o.body["temperature"] = 0.75.into()
    });
    refused("seed", 402, "seed", &|o| o.body["seed"] = 12.into());
    refused("accepted", 409, "sign for what follows", &|o| {
        o.voucher.accepted = 1
    });
    refused("previous", 409, "sign for what follows", &|o| {
        o.voucher.previous = [1; 32]
    });
    refused("most", 402, "may cost", &|o| o.voucher.most -= 1);
    refused("deposit", 402, "top it up", &|o| o.voucher.most = DEPOSIT + 1);
    refused("overflow", 402, "top it up", &|o| o.voucher.most = u128::MAX);
    refused("early expiry", 402, "expires", &|o| o.voucher.expiry = 20);
    refused("late expiry", 402, "expires", &|o| o.voucher.expiry = u64::MAX);

    let key = storage::channel(CHANNEL);
    let channel: Channel<Account> = world.chain.get(key.clone()).unwrap();
    world.chain.put(
        key.clone(),
        &Channel {
            closing: Some(world.chain.number() + 100),
            ..channel.clone()
        },
    );
    refused("closing", 402, "closes", &|_| {});
    world.chain.put(key.clone(), &channel);
    let other = Channel {
        worker: [1; 32],
        ..channel.clone()
    };
    let order = good();
    world.chain.put(key.clone(), &other);
    assert!(world.ask(&order).error().contains("pays worker"));
    world.chain.put(key, &channel);

    let key = storage::model(crate::world::MODEL);
    let model: Model<Account> = world.chain.get(key.clone()).unwrap();
    world.chain.put(
        key.clone(),
        &Model {
            serving: false,
            ..model.clone()
        },
    );
    assert_eq!(world.ask(&good()).status, 503);
    world.chain.put(key, &model);

    // Nothing of all that was charged or holds the channel.
    assert!(world.get("/v1/receipts").ok().json()["receipts"]
        .as_array()
        .unwrap()
        .is_empty());
    let state = world.get(&format!("/v1/channels/{CHANNEL}")).ok().json();
    assert_eq!(
        (state["busy"].as_bool(), planck(&state["accepted"])),
        (Some(false), 0)
    );
    world.receipt(&good());
}

#[test]
fn channel_has_one_answer_at_a_time() {
    let world = World::new();
    world.until_serving();
    let claim = world.worker.claim(CHANNEL).unwrap();
    let order = world.order("What does the sea do?", [1; 32]);
    let reply = world.ask(&order);
    assert_eq!(
        (reply.status, reply.error().contains("without a receipt")),
        (409, true)
    );
    drop(claim);
    world.receipt(&order);
}

#[test]
fn request_that_cannot_be_served_says_why() {
    let world = World::new();
    world.until_serving();
    let ask = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut body = json!({ "model": "almanac", "messages": [{ "role": "user", "content": "Hi" }] });
        change(&mut body);
        world.post("/v1/chat/completions", &[], body.to_string().as_bytes())
    };
    assert_eq!(ask(&|_| {}).status, 402);
    assert_eq!(
        ask(&|b| b["messages"][0]["content"] = json!([{ "type": "text", "text": "Hi" }])).status,
        402
    );
    type Change = dyn Fn(&mut serde_json::Value);
    let cases: [(&Change, u16, &str); 18] = [
        (&|b| b["model"] = "base".into(), 404, "does not serve"),
        (&|b| b["model"] = "3:2".into(), 404, "does not serve"),
        (&|b| b["messages"] = json!([]), 400, "no message"),
        (&|b| b["messages"][0]["role"] = "tool".into(), 400, "role"),
        (&|b| b["stop"] = json!(["", "."]), 400, "of 1 to"),
        (
            &|b| {
                b["stop"] = json!(["x", "x", "y"]
                    .iter()
                    .map(|s| s.repeat(9))
                    .chain((0..16).map(|n| n.to_string()))
                    .collect::<Vec<_>>())
            },
            400,
            "at most 16",
        ),
        (&|b| b["stop"] = json!(7), 400, "cannot be read"),
        (&|b| b["n"] = 0.into(), 400, "n is 0"),
        (&|b| b["n"] = 1_000.into(), 400, "choices"),
        (&|b| b["top_logprobs"] = 2.into(), 400, "set logprobs"),
        (
            &|b| (b["logprobs"], b["top_logprobs"]) = (true.into(), 21.into()),
            400,
            "at most 20",
        ),
        (&|b| b["tools"] = json!([{ "type": "function" }]), 400, "tools"),
        (&|b| b["frequency_penalty"] = 0.5.into(), 400, "penalty"),
        (&|b| b["logit_bias"] = json!({ "1": 100 }), 400, "logit_bias"),
        (
            &|b| b["response_format"] = json!({ "type": "json_object" }),
            400,
            "ask for text",
        ),
        (&|b| b["max_tokens"] = 5_000.into(), 400, "room for"),
        (&|b| b["temperature"] = 3.into(), 400, "temperature"),
        (&|b| b["stop_token_ids"] = json!([9_999]), 400, "stop token"),
    ];
    for (change, status, say) in cases {
        let reply = ask(change);
        assert_eq!(reply.status, status, "{}", reply.error());
        assert!(reply.error().contains(say), "{}", reply.error());
    }
    assert_eq!(world.post("/v1/chat/completions", &[], b"{").status, 400);
    let headers = [
        ("x-openledger-voucher", "AAAA"),
        ("x-openledger-terms", ""),
        ("x-openledger-salt", "0x"),
    ];
    let body = json!({ "model": "almanac", "messages": [{ "role": "user", "content": "Hi" }] }).to_string();
    assert_eq!(
        world
            .post("/v1/chat/completions", &headers, body.as_bytes())
            .status,
        400
    );
}
