//! From an assigned job to credited contributors, seen from outside.

use crate::{
    chain::{hash_of, MIN_CREDIT},
    world::{
        contributor, decode_object, planck, read_wire, unhex, World, CHANNEL, GENERATION, INDEX_JOB, MODEL,
        TARIFF, TRAIN_JOB,
    },
};
use openledger_attribution::{
    attribution::Attribution,
    batch::{BatchHeader, CreditLeaf, CreditsHeader, ReceiptLeaf},
    index::IndexLeaf,
    receipt::Receipt,
    sketch::Sketch,
    text::TextLeaf,
    tree::{Opening, Tree},
    verdict::AnswerProof,
    voucher::CheckSignature,
};
use openledger_chain::SignatureChecks;
use openledger_influence::{audit, cpu_backend, Index};
use openledger_protocol::{
    batches::{Batch, BatchStage},
    channels::Channel,
    models::Generation,
    storage, Account,
};
use openledger_worker::{
    channels,
    formats::{hex0x, output_leaves, root_hash, unwire},
};
use serde_json::Value;

fn trees(world: &World, id: u64) -> Value {
    world.get(&format!("/v1/batches/{id}")).ok().json()
}

#[test]
fn jobs_answers_and_batches_go_all_the_way() {
    let world = World::new();
    world.until_serving();
    let generation: Generation<Account> = world.chain.get(storage::generation(MODEL, GENERATION)).unwrap();
    assert!(
        generation.loss_before > 0 && generation.loss_after < generation.loss_before,
        "training lowers the held-out loss"
    );
    for (job, task) in [(TRAIN_JOB, "train"), (INDEX_JOB, "index")] {
        let shown = world.get(&format!("/v1/jobs/{job}")).ok().json();
        assert_eq!(
            (shown["state"].as_str(), shown["task"].as_str()),
            (Some("done"), Some(task))
        );
    }
    let curve = world.get(&format!("/v1/jobs/{TRAIN_JOB}/loss.svg")).ok();
    assert!(
        String::from_utf8_lossy(&curve.bytes).contains("<polyline"),
        "training draws its losses"
    );
    assert_eq!(world.get(&format!("/v1/jobs/{INDEX_JOB}/loss.svg")).status, 404);
    let models = world.get("/v1/models").ok().json();
    assert_eq!(models["data"][0]["id"], format!("{MODEL}:{GENERATION}"));

    // Two questions, the second follows the first's receipt.
    let mut paid = 0;
    let mut receipts = Vec::new();
    let mut said: Vec<(Vec<u32>, Attribution)> = Vec::new();
    for (n, question) in ["What does the sea do on day 3?", "How is loaf 2 baked?"]
        .into_iter()
        .enumerate()
    {
        let salt = [n as u8 + 1; 32];
        let order = world.order(question, salt);
        let (answer, hash) = world.receipt(&order);
        let body = world
            .get_with(
                &format!("/v1/receipts/{}", hex0x(hash)),
                &[("x-openledger-salt", &hex0x(salt))],
            )
            .ok()
            .json();
        let receipt: Receipt = decode_object(&body["receipt"]);
        receipt.check().unwrap();
        assert_eq!(hash_of(&receipt), hash);
        let signature = unhex(&body["signature"]).try_into().unwrap();
        assert!(SignatureChecks.sr25519(
            &signature,
            &receipt.signing_message(),
            &world.worker.receipt_key.account()
        ));
        assert_eq!(receipt.voucher.accepted, paid);
        paid += receipt.fee;
        assert_eq!(answer["usage"]["prompt_tokens"], receipt.input_tokens);
        assert_eq!(answer["usage"]["completion_tokens"], receipt.output_tokens);
        assert_eq!(
            Some(receipt.fee),
            TARIFF
                .fee(receipt.input_tokens, receipt.output_tokens)
                .unwrap()
                .total()
        );
        assert!(receipt.output_tokens > 0);

        // The texts are what the receipt commits to, and open with the salt only.
        let output: Vec<TextLeaf> = read_wire(&body["texts"]["output"]);
        assert_eq!(root_hash(&output).unwrap(), receipt.output);
        let tokens: Vec<u32> = output.iter().flat_map(|leaf| leaf.tokens.clone()).collect();
        assert_eq!(output, output_leaves(&tokens, &salt));
        assert_eq!(
            body["texts"]["answer"],
            answer["choices"][0]["message"]["content"]
        );
        said.push((tokens, decode_object(&body["attribution"])));
        let public = world.get(&format!("/v1/receipts/{}", hex0x(hash))).ok().json();
        assert!(public.get("texts").is_none());
        let wrong = world.get_with(
            &format!("/v1/receipts/{}", hex0x(hash)),
            &[("x-openledger-salt", &hex0x([99; 32]))],
        );
        assert_eq!(wrong.status, 403);
        receipts.push(hash);
    }

    // A batch of both, settled and credited.
    world.until("the batch", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "credited"
    });
    assert_eq!(
        world.get("/v1/batches").ok().json()["batches"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let channel: Channel<Account> = world.chain.get(storage::channel(CHANNEL)).unwrap();
    assert_eq!((channel.cursor, channel.last), (paid, receipts[1]));
    assert_eq!([0, 1, 2].map(|call| world.chain.calls(95, call)), [1, 1, 1]);

    let reveal = trees(&world, 0);
    let on_chain: Batch<Account> = world.chain.get(storage::batch(0)).unwrap();
    let header: BatchHeader = decode_object(&reveal["header"]);
    let credits_header: CreditsHeader = decode_object(&reveal["credits_header"]);
    assert_eq!((header, credits_header), (on_chain.header, on_chain.credits));
    let leaves: Vec<ReceiptLeaf> = read_wire(&reveal["receipts"]);
    let tree = Tree::new(&leaves).unwrap();
    assert_eq!(tree.root(), header.receipts);
    let credits: Vec<CreditLeaf> = read_wire(&reveal["credits"]);
    assert_eq!(
        on_chain.stage,
        BatchStage::Settled {
            credited: credits.len() as u64
        }
    );
    for leaf in &credits {
        assert!(leaf.amount >= MIN_CREDIT);
        assert_eq!(
            world.chain.get::<u128>(storage::credits(leaf.contributor)),
            Some(leaf.amount)
        );
    }
    assert!(!credits.is_empty(), "somebody earned something");

    // A watcher with the public index finds nothing wrong, and finds it if a score is changed.
    let folder = world.dir.join("watcher");
    std::fs::create_dir_all(&folder).unwrap();
    let index_url = format!("/v1/indexes/{}", hex0x(header.index));
    let listed = world.get(&index_url).ok().json();
    for file in listed["files"].as_array().unwrap() {
        let name = file["name"].as_str().unwrap();
        let bytes = world.get(&format!("{index_url}/files/{name}")).ok().bytes;
        assert_eq!(bytes.len() as u64, file["bytes"].as_u64().unwrap());
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let index = Index::open(&folder).unwrap();
    index.verify(2).unwrap();
    assert_eq!(hash_of(index.header()), header.index);
    // The same folder has the corpus, and every answer's spans are found again in it.
    let words = channels::open(&folder, index.header()).unwrap().unwrap();
    channels::verify(&words, 2).unwrap();
    for (tokens, attribution) in &said {
        assert_eq!(words.spans(tokens).unwrap(), attribution.spans);
    }
    // What a record says is found in it: here the end of an answer that everybody's training contains.
    let quote = world
        .worker
        .base
        .tokenizer
        .encode("It rises over rock number 0 and falls again.")
        .unwrap();
    let spans = words.spans(&quote).unwrap();
    assert_eq!(
        (spans.len(), spans[0].start, spans[0].end),
        (1, 0, quote.len() as u32)
    );
    assert_eq!(spans[0].records.len(), 1);
    assert_eq!(
        (spans[0].records[0].record.index, spans[0].records[0].contributor),
        (0, contributor(1))
    );
    for (n, shown) in reveal["answers"].as_array().unwrap().iter().enumerate() {
        let mut attribution: Attribution = decode_object(&shown["attribution"]);
        let query: Sketch = read_wire(&shown["query"]);
        let proof = |attribution: &Attribution| AnswerProof {
            leaf: tree.open(n as u64, &leaves[n]).unwrap(),
            receipt: decode_object(&shown["receipt"]),
            attribution: attribution.clone(),
            draw: None,
        };
        assert!(audit(&index, &proof(&attribution), &query, cpu_backend(), 2)
            .unwrap()
            .is_none());
        attribution.list[0].score += 1;
        assert!(audit(&index, &proof(&attribution), &query, cpu_backend(), 2)
            .unwrap()
            .is_some());
    }
    let rows: Vec<Opening<IndexLeaf>> =
        unwire(&world.get(&format!("{index_url}/rows?from=1&count=3")).ok().bytes).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row.verify(&header_rows(&index)).is_some()));

    // What people see adds up to what was credited.
    let mut amounts = std::collections::BTreeMap::<String, u128>::new();
    for receipt in &receipts {
        let shown = world
            .get(&format!("/v1/attributions/{}", hex0x(receipt)))
            .ok()
            .json();
        assert!(shown.get("answer").is_none());
        let shares: u64 = shown["sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|source| source["share"].as_u64().unwrap())
            .sum();
        assert_eq!(shares, 1_000_000_000);
        assert!(shown["sources"][0]["text"].as_str().unwrap().contains('?'));
        // Without the salt nobody is told where in the answer they stand, and the words themselves are the records'.
        for span in shown["spans"].as_array().unwrap() {
            assert!(span.get("characters").is_none());
            let shares = span["records"].as_array().unwrap().iter();
            let sum: u64 = shares.map(|record| record["share"].as_u64().unwrap()).sum();
            assert_eq!(span["share"], sum);
            assert!(!span["text"].as_str().unwrap().is_empty());
        }
        for one in shown["contributors"].as_array().unwrap() {
            *amounts
                .entry(one["contributor"].as_str().unwrap().to_owned())
                .or_default() += planck(&one["amount"]);
        }
        let paid = world.get(&format!("/v1/payouts/{}", hex0x(receipt))).ok().json();
        assert_eq!(paid["batch"]["stage"], "settled");
        assert_eq!(paid["contributors"][0]["credited"], true);
    }
    for leaf in &credits {
        assert_eq!(amounts[&hex0x(leaf.contributor)], leaf.amount);
        assert!([contributor(1), contributor(2)].contains(&leaf.contributor));
    }
}

fn header_rows(index: &Index) -> openledger_attribution::tree::Root {
    index.header().rows
}

#[test]
fn stream_is_the_same_answer_in_pieces_and_is_paid_once() {
    let world = World::new();
    world.until_serving();
    let mut order = world.order("What does the sea do on day 1?", [7; 32]);
    order.body["stream"] = true.into();
    let reply = world.ask(&order).ok();
    assert!(reply.headers["content-type"]
        .to_str()
        .unwrap()
        .starts_with("text/event-stream"));
    let text = String::from_utf8(reply.bytes).unwrap();
    let data: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(data.last(), Some(&"[DONE]"));
    let chunks: Vec<Value> = data[..data.len() - 1]
        .iter()
        .map(|chunk| serde_json::from_str(chunk).unwrap())
        .collect();
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    let last = chunks.last().unwrap();
    assert!(last["usage"]["completion_tokens"].as_u64().unwrap() > 0);
    assert!(["stop", "length"].contains(&last["choices"][0]["finish_reason"].as_str().unwrap()));

    // Again, not streamed: the same text, no second receipt.
    order.body["stream"] = false.into();
    let (again, receipt) = world.receipt(&order);
    assert_eq!(again["choices"][0]["message"]["content"], said.as_str());
    assert_eq!(again["openledger"]["voucher"], last["openledger"]["voucher"]);
    assert_eq!(
        world.get("/v1/receipts").ok().json()["receipts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        world.get("/v1/receipts").ok().json()["receipts"][0]["receipt"],
        hex0x(receipt)
    );

    // The voucher is public once its receipt is; without the salt it opens nothing.
    let thief = crate::world::Order {
        salt: [8; 32],
        ..order
    };
    assert_eq!(world.ask(&thief).status, 403);
}
