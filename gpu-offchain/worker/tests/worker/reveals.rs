//! Requests for data: all that can be asked for is shown, unasked, once each.

use crate::{
    chain::alternating,
    world::{read_wire, World, GENERATION, MODEL},
};
use openledger_attribution::{
    batch::{CreditLeaf, DrawLeaf, ReceiptLeaf},
    tree::Tree,
    verdict::{RevealFacts, Wanted},
    wire::Object,
};
use openledger_protocol::{
    batches::{Batch, Index},
    disputes::{Committed, Request},
    storage, Account,
};
use openledger_worker::{
    attribute::{Attribute, ByInfluence},
    formats::hex0x,
};
use std::sync::atomic::Ordering;

/// Everything that can be asked for about a batch and its index; of long trees the ends and the middle.
fn all_of(batch: &Batch<Account>, index: &Index) -> Vec<(Committed, Wanted)> {
    let mut all = Vec::new();
    let places = |count: u64| {
        let mut places = vec![0, count / 2, count.saturating_sub(1)];
        places.dedup();
        places.into_iter().filter(move |n| *n < count)
    };
    let kinds: [fn(u64) -> Wanted; 16] = [
        Wanted::Receipt,
        Wanted::Attribution,
        Wanted::Draw,
        Wanted::Query,
        Wanted::DrawQuery,
        Wanted::Channel,
        Wanted::Part,
        Wanted::Credit,
        Wanted::Row,
        Wanted::Basis,
        Wanted::Corpus,
        Wanted::Tokens,
        Wanted::Table,
        Wanted::Shard,
        |n| Wanted::Suffixes((n, 0, 2)),
        |n| Wanted::Count((n, 0)),
    ];
    let of_batch = RevealFacts {
        batch: Some(&batch.header),
        credits: Some(&batch.credits),
        ..Default::default()
    };
    let of_index = RevealFacts {
        index: Some(&index.header),
        ..Default::default()
    };
    let sources = [
        (Committed::Batch(0), of_batch),
        (Committed::Index(batch.header.index), of_index),
    ];
    for (source, facts) in sources {
        for kind in kinds {
            // As many as there are, found by asking for ever later ones.
            let count = (0..100_000).take_while(|n| facts.can_ask(&kind(*n))).count() as u64;
            all.extend(places(count).map(|n| (source, kind(n))));
        }
    }
    all
}

#[test]
fn everything_committed_is_shown_to_whoever_asks() {
    let world = World::new();
    world.until_serving();
    // The window stays open until everything was asked for.
    world.chain.window.store(1_000_000, Ordering::Relaxed);
    for (n, question) in ["What does the sea do on day 3?", "How is loaf 2 baked?"]
        .into_iter()
        .enumerate()
    {
        world.receipt(&world.order(question, [n as u8 + 1; 32]));
    }
    world.until("the batch", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "open"
    });
    let batch: Batch<Account> = world.chain.get(storage::batch(0)).unwrap();
    let index: Index = world.chain.get(storage::index(batch.header.index)).unwrap();
    let all = all_of(&batch, &index);
    for kind in [
        "Receipt",
        "Attribution",
        "Query",
        "Channel",
        "Part",
        "Credit",
        "Row",
        "Basis",
        "Corpus",
        "Tokens",
        "Table",
        "Shard",
        "Suffixes",
        "Count",
    ] {
        assert!(
            all.iter()
                .any(|(_, wanted)| format!("{wanted:?}").starts_with(kind)),
            "nothing of kind {kind} is asked for"
        );
    }
    // The chain asks for the first query of every batch by itself.
    world.until("the chain's own request", |world| world.chain.calls(95, 12) == 1);
    for (source, wanted) in &all {
        world.chain.ask(*source, *wanted);
    }
    // Not this worker's: nobody has to answer.
    let strangers = [
        (Committed::Batch(9), Wanted::Receipt(0)),
        (Committed::Index([7; 32]), Wanted::Row(0)),
    ];
    for (source, wanted) in strangers {
        world.chain.ask(source, wanted);
    }
    let is_open = |source, wanted| {
        world
            .chain
            .get::<Request<Account>>(storage::request(source, wanted))
            .is_some()
    };
    world.until("every answer", |_| {
        all.iter().all(|(source, wanted)| !is_open(*source, *wanted))
    });
    assert_eq!(world.chain.calls(95, 12), all.len() + 1, "each is shown once");
    assert!(strangers.iter().all(|(source, wanted)| is_open(*source, *wanted)));
    assert_eq!(world.chain.refused(), 0);
    // Now it passes, and with nothing asked for any more the batch is settled.
    let batch: Batch<Account> = world.chain.get(storage::batch(0)).unwrap();
    world.chain.put(
        storage::batch(0),
        &Batch {
            closes: world.chain.number(),
            ..batch
        },
    );
    world.until("the batch's end", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "credited"
    });
    println!("{} requests answered", all.len());
}

#[test]
fn of_a_sampled_batch_what_is_drawn_is_attributed_and_shown() {
    const DRAWS: u16 = 5;
    let world = World::sampling(DRAWS);
    world.until_serving();
    world.chain.window.store(1_000_000, Ordering::Relaxed);
    for (n, question) in ["What does the sea do on day 3?", "How is loaf 2 baked?"]
        .into_iter()
        .enumerate()
    {
        let (_, receipt) = world.receipt(&world.order(question, [n as u8 + 1; 32]));
        let shown = world.get(&format!("/v1/receipts/{}", hex0x(receipt))).ok().json();
        assert!(
            shown["attribution"].is_null(),
            "nothing is computed before the draw"
        );
        let shown = world
            .get(&format!("/v1/attributions/{}", hex0x(receipt)))
            .ok()
            .json();
        assert_eq!(
            (&shown["deferred"], &shown["sources"]),
            (&true.into(), &serde_json::json!([]))
        );
    }
    world.until("the answered draws", |world| world.chain.calls(95, 15) == 1);

    // The draws are those that the chain's randomness picks, each with what the answer's own gradient gives.
    let batch: Batch<Account> = world.chain.get(storage::batch(0)).unwrap();
    let trees = world.get("/v1/batches/0").ok().json();
    let receipts: Vec<ReceiptLeaf> = read_wire(&trees["receipts"]);
    let draws: Vec<DrawLeaf> = read_wire(&trees["draws"]);
    assert_eq!((batch.header.draws, draws.len()), (DRAWS, usize::from(DRAWS)));
    let tree = Tree::new(&receipts).unwrap();
    let randomness = alternating(&batch.header);
    for (n, draw) in (0u16..).zip(&draws) {
        let place = batch.header.draw(&randomness, n);
        let before = tree.prefix(draw.receipt).unwrap();
        let fee = receipts[draw.receipt as usize].fee;
        assert!(
            (before..before + fee).contains(&place),
            "draw {n} is of another receipt"
        );
        let row = world
            .worker
            .db
            .receipt(&receipts[draw.receipt as usize].receipt)
            .unwrap()
            .unwrap();
        assert!(row.is_attributed() && row.receipt.is_deferred());
        assert_eq!((draw.attribution, draw.forfeit), (row.attribution.hash(), 0));
        let answer = world
            .worker
            .db
            .answer(&row.receipt.voucher.hash())
            .unwrap()
            .unwrap();
        let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
        let again = ByInfluence
            .attribute(&served, &answer.prompt, &[&answer.output])
            .unwrap();
        assert_eq!((again.attribution, again.query), (row.attribution, row.query));
    }

    // Everything that can be asked for of such a batch is shown.
    world.until("the chain's own request", |world| world.chain.calls(95, 12) == 1);
    let index: Index = world.chain.get(storage::index(batch.header.index)).unwrap();
    let all: Vec<_> = all_of(&batch, &index)
        .into_iter()
        .filter(|(source, _)| matches!(source, Committed::Batch(_)))
        .collect();
    for kind in ["Receipt", "Draw(", "DrawQuery", "Channel", "Part", "Credit"] {
        assert!(
            all.iter()
                .any(|(_, wanted)| format!("{wanted:?}").starts_with(kind)),
            "{kind}"
        );
    }
    for (source, wanted) in &all {
        world.chain.ask(*source, *wanted);
    }
    world.until("every answer", |world| world.chain.calls(95, 12) == all.len() + 1);
    assert_eq!(world.chain.refused(), 0);

    // And its contributors are credited what the draws carry.
    world.chain.put(
        storage::batch(0),
        &Batch {
            closes: world.chain.number(),
            ..batch.clone()
        },
    );
    world.until("the batch's end", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "credited"
    });
    let credits: Vec<CreditLeaf> = read_wire(&trees["credits"]);
    assert_eq!(
        credits.iter().map(|leaf| leaf.amount).sum::<u128>(),
        batch.credits.credits.sum
    );
    for leaf in credits {
        assert_eq!(
            world.chain.get::<u128>(storage::credits(leaf.contributor)),
            Some(leaf.amount)
        );
    }
}
