//! Committees: what is claimed is recomputed, what is claimed wrongly is found, and what is drawn of a batch is shown.

use crate::{
    chain::RANDOMNESS,
    world::{World, CHANNEL, GENERATION, MODEL},
};
use codec::DecodeAll;
use openledger_attribution::{
    bases::{BasisLeaf, Spectrum},
    committee::{Chosen, Claim, ClaimedSketch, ClaimedSpectra, Subject, Vote},
    hash::keccak,
    sketch::Sketch,
};
use openledger_content::Identity;
use openledger_model::Message;
use openledger_protocol::{
    committees::{Audit, CaseStage, Handed, Membership},
    compute, storage,
};
use openledger_worker::{
    committee,
    formats::{hex0x, root_hash, Parameters},
};
use std::sync::atomic::Ordering;

/// A world that serves, with an open batch of two answers, the second of two choices. What the chain asks of the batch is answered.
fn with_batch(sample: u16) -> World {
    let world = World::sampling(sample);
    world.until_serving();
    world.chain.window.store(1_000_000, Ordering::Relaxed);
    world.receipt(&world.order("What does the sea do on day 3?", [1; 32]));
    let question = "How is loaf 2 baked?";
    let tokens = world
        .worker
        .base
        .tokenizer
        .chat(&[Message::user(question)])
        .unwrap();
    let parameters = Parameters {
        max_tokens: 16,
        n: 2,
        ..Parameters::default()
    };
    let body = serde_json::json!({
        "model": "almanac",
        "messages": [{ "role": "user", "content": question }],
        "max_tokens": 16,
        "n": 2,
    });
    world.until("the channel", |world| !world.worker.is_busy(CHANNEL));
    world.receipt(&world.order_for(body, &tokens, &parameters, [2; 32]));
    world.until("the batch", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "open"
    });
    world.until("what the chain asks", |world| {
        world.chain.calls(95, 12) == 1 && world.chain.calls(95, 20) == 1
    });
    world
}

/// Makes the worker a member that can be reached where the chain says, and returns the key that it joined with.
fn join(world: &World) -> Identity {
    let account = world.worker.account();
    let path = world.dir.join("data").join(committee::KEY);
    let identity = Identity::random().unwrap();
    identity.save(&path).unwrap();
    let key = identity.recipient().0;
    world
        .chain
        .put(storage::member(account), &Membership { key, since: 1 });
    let mut registered: compute::Worker = world.chain.get(storage::worker(account)).unwrap();
    registered.endpoint = world.url.clone().into_bytes().try_into().unwrap();
    world.chain.put(storage::worker(account), &registered);
    identity
}

fn sketch_claim(world: &World, sketch: Sketch) -> Claim {
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    Claim::Sketch(ClaimedSketch {
        layout: served.index.layout().clone(),
        rules: served.index.header().rules,
        sketch,
    })
}

/// A valid sketch all the same: the first block's lanes change their sign.
fn turned(world: &World, mut sketch: Sketch) -> Sketch {
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let first = served.index.layout().modules[0].lanes() as usize;
    for lane in &mut sketch.lanes[..first] {
        *lane = -*lane;
    }
    sketch
}

/// The sketch behind a receipt of the batch, by its place there.
fn query(world: &World, at: usize) -> Sketch {
    let (_, batch) = world.worker.db.batch_on_chain(0).unwrap().unwrap();
    let receipt = world.worker.db.receipt(&batch.receipts[at].receipt).unwrap();
    receipt.unwrap().query
}

/// The spectra of an index's first module.
fn spectra(leaves: &[BasisLeaf], rows: usize, columns: usize) -> Vec<Spectrum> {
    let own = leaves.iter().skip(rows + columns).take(rows);
    own.map(|leaf| match leaf {
        BasisLeaf::Spectrum(spectrum) => spectrum.clone(),
        BasisLeaf::Vector(_) => panic!("a vector among the eigenvalues"),
    })
    .collect()
}

#[test]
fn a_member_recomputes_rows_bases_and_answers() {
    let world = with_batch(0);
    join(&world);
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let (index, hash) = (&served.index, served.index_hash);
    let module = &index.layout().modules[0];
    let (rows, columns) = (usize::from(module.rows), usize::from(module.columns));
    let rho = index.header().rules.rho;
    let own = spectra(index.bases().leaves(), rows, columns);
    let mut other = own.clone();
    for spectrum in &mut other {
        spectrum.exponent += 2;
    }

    let mut cases = Vec::new();
    // The last row is a unit of a record that has several.
    for row in [1, index.rows() - 1] {
        let (subject, sketch) = (Subject::Row { index: hash, row }, index.row(row).unwrap().sketch);
        cases.push((subject, sketch_claim(&world, sketch.clone()), Vote::Right));
        cases.push((subject, sketch_claim(&world, turned(&world, sketch)), Vote::Wrong));
    }
    for at in [0, 1] {
        let subject = Subject::Query {
            batch: 0,
            source: at as u64,
        };
        let sketch = query(&world, at);
        cases.push((subject, sketch_claim(&world, sketch.clone()), Vote::Right));
        cases.push((subject, sketch_claim(&world, turned(&world, sketch)), Vote::Wrong));
        cases.push((subject, sketch_claim(&world, query(&world, 1 - at)), Vote::Wrong));
    }
    let subject = Subject::Basis {
        index: hash,
        module: 0,
    };
    for (spectra, vote) in [(own, Vote::Right), (other, Vote::Wrong)] {
        cases.push((subject, Claim::Spectra(ClaimedSpectra { rho, spectra }), vote));
    }

    for (id, (subject, claim, _)) in (0u64..).zip(&cases) {
        world.chain.open_case(id, *subject, claim, |_| {});
    }
    world.until("every vote", |world| {
        (0..cases.len() as u64).all(|id| world.chain.vote(id).is_some())
    });
    for (id, (subject, _, expected)) in (0u64..).zip(&cases) {
        assert_eq!(
            world.chain.vote(id),
            Some((*expected, false)),
            "case {id}: {subject:?}"
        );
    }
    assert_eq!(world.chain.refused(), 0);
    world.until("the end of every seat", |world| {
        world.worker.db.seat(0).unwrap().is_none()
    });
}

/// What takes the whole training, or the model itself.
#[test]
fn a_member_repeats_trainings_and_answers() {
    let world = with_batch(0);
    join(&world);
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let training = Subject::Training {
        index: served.index_hash,
    };
    let mut cases = vec![
        (training, Claim::Digest(served.adapter), Vote::Right),
        (training, Claim::Digest([7; 32]), Vote::Wrong),
    ];
    let (_, batch) = world.worker.db.batch_on_chain(0).unwrap().unwrap();
    for (receipt, leaf) in (0u64..).zip(&batch.receipts) {
        let signed = world.worker.db.receipt(&leaf.receipt).unwrap().unwrap().receipt;
        let subject = Subject::Output { batch: 0, receipt };
        cases.push((subject, Claim::Digest(signed.output), Vote::Right));
        cases.push((subject, Claim::Digest([7; 32]), Vote::Wrong));
        // As if the same answer had been given in another mode.
        let chosen = |tokens| Claim::Chosen(Chosen { tokens, tau: 1_000 });
        cases.push((subject, chosen(signed.output_tokens), Vote::Right));
        cases.push((subject, chosen(signed.output_tokens * 2), Vote::Wrong));
        // No index commits to a retrieval, so nothing can have been shown.
        let subject = Subject::Ranks {
            batch: 0,
            source: receipt,
        };
        cases.push((subject, Claim::Ranks(Vec::new()), Vote::Right));
        cases.push((subject, Claim::Ranks(vec![3]), Vote::Wrong));
    }
    for (id, (subject, claim, _)) in (0u64..).zip(&cases) {
        world.chain.open_case(id, *subject, claim, |_| {});
    }
    world.until("every vote", |world| {
        (0..cases.len() as u64).all(|id| world.chain.vote(id).is_some())
    });
    for (id, (subject, claim, expected)) in (0u64..).zip(&cases) {
        assert_eq!(
            world.chain.vote(id),
            Some((*expected, false)),
            "case {id}: {subject:?}, {claim:?}"
        );
    }
    assert_eq!(world.chain.refused(), 0);
}

/// Of a sampled batch a source is the number of a draw.
#[test]
fn a_member_recomputes_drawn_answers() {
    let world = with_batch(3);
    join(&world);
    let (number, _) = world.worker.db.batch_on_chain(0).unwrap().unwrap();
    let draws = world.worker.db.draws(number).unwrap();
    for (id, draw) in (0u64..).zip(&draws) {
        let sketch = query(&world, draw.receipt as usize);
        let subject = Subject::Query { batch: 0, source: id };
        world
            .chain
            .open_case(id, subject, &sketch_claim(&world, sketch), |_| {});
    }
    world.until("every vote", |world| {
        (0..draws.len() as u64).all(|id| world.chain.vote(id).is_some())
    });
    for id in 0..draws.len() as u64 {
        assert_eq!(world.chain.vote(id), Some((Vote::Right, false)), "draw {id}");
    }
    assert_eq!(world.chain.refused(), 0);
}

#[test]
fn an_accused_that_hands_nothing_over_is_voted_against() {
    let world = with_batch(0);
    let identity = Identity::random().unwrap();
    identity
        .save(&world.dir.join("data").join(committee::KEY))
        .unwrap();
    // No endpoint is registered: there is nobody to ask.
    let subject = Subject::Query { batch: 0, source: 0 };
    let claim = sketch_claim(&world, query(&world, 0));
    world.chain.open_case(0, subject, &claim, |case| {
        case.stage = CaseStage::Committing {
            until: world.chain.number() + 1_000,
        };
    });
    // It has time to try.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(world.chain.vote(0), None);
    world.chain.advance(998);
    world.wait("the vote", |world| world.chain.vote(0).is_some());
    assert_eq!(world.chain.vote(0), Some((Vote::Wrong, true)));
    assert_eq!(world.chain.refused(), 0);
}

#[test]
fn what_cannot_be_recomputed_accuses_nobody() {
    let world = with_batch(0);
    join(&world);
    // Without its key it can open nothing that is handed to it.
    std::fs::remove_file(world.dir.join("data").join(committee::KEY)).unwrap();
    // The chain knows no such index.
    let training = Subject::Training { index: [9; 32] };
    let output = Subject::Output { batch: 0, receipt: 0 };
    for (id, subject) in [(0, training), (1, output)] {
        world
            .chain
            .open_case(id, subject, &Claim::Digest([7; 32]), |case| {
                case.stage = CaseStage::Committing {
                    until: world.chain.number() + 1_000,
                };
            });
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    world.chain.advance(998);
    // What is public it abstains from. An answer is private: to say that nothing was handed over would be a lie.
    world.wait("the abstention", |world| world.chain.vote(0).is_some());
    assert_eq!(world.chain.vote(0), Some((Vote::Right, true)));
    // And when the time is over it closes the round, as anybody may.
    world.until("the end", |world| world.chain.calls(97, 6) == 1);
    assert_eq!((world.chain.vote(1), world.chain.calls(97, 4)), (None, 1));
    assert_eq!(world.chain.refused(), 0);
}

#[test]
fn texts_are_handed_to_members_with_a_seat_and_to_nobody_else() {
    let world = with_batch(0);
    let identity = join(&world);
    let (subject, claim) = (
        Subject::Query { batch: 0, source: 0 },
        sketch_claim(&world, query(&world, 0)),
    );
    // Nobody answers these: their seats are drawn once more, and that is never out.
    let waits = CaseStage::Waiting { epoch: u64::MAX };
    world
        .chain
        .open_case(0, subject, &claim, |case| case.stage = waits);
    world.chain.open_case(1, subject, &claim, |case| {
        (case.stage, case.accused) = (waits, [9; 32]);
    });
    let row = Subject::Row {
        index: [3; 32],
        row: 0,
    };
    world.chain.open_case(2, row, &claim, |case| case.stage = waits);
    let own = hex0x(world.worker.account());
    let stranger = [5; 32];
    let key = Identity::random().unwrap().recipient().0;
    world
        .chain
        .put(storage::member(stranger), &Membership { key, since: 1 });

    let sealed = world.get(&format!("/v1/committees/0/{own}")).ok().bytes;
    let opened = identity.open(&sealed).unwrap();
    let handed = Handed::decode_all(&mut opened.as_slice()).unwrap();
    let (_, batch) = world.worker.db.batch_on_chain(0).unwrap().unwrap();
    let receipt = world
        .worker
        .db
        .receipt(&batch.receipts[0].receipt)
        .unwrap()
        .unwrap()
        .receipt;
    assert_eq!(root_hash(&handed.prompt).unwrap(), receipt.terms.prompt);
    assert_eq!(root_hash(&handed.output).unwrap(), receipt.output);
    assert_eq!(keccak(&[&handed.parameters]), receipt.terms.parameters);
    assert_eq!(
        handed.choices.len(),
        Parameters::parse(&handed.parameters).unwrap().n as usize
    );
    assert_eq!(handed.choices.iter().sum::<u32>(), receipt.output_tokens);

    assert!(
        Identity::random().unwrap().open(&sealed).is_err(),
        "another's key"
    );
    for (path, status) in [
        (format!("/v1/committees/0/{}", hex0x(stranger)), 403),
        // Somebody else is accused; it is about nothing private; there is no such case; it is no account.
        (format!("/v1/committees/1/{own}"), 404),
        (format!("/v1/committees/2/{own}"), 404),
        (format!("/v1/committees/7/{own}"), 404),
        ("/v1/committees/0/me".into(), 400),
    ] {
        assert_eq!(world.get(&path).status, status, "{path}");
    }
    world.chain.remove(&storage::member(world.worker.account()));
    assert_eq!(
        world.get(&format!("/v1/committees/0/{own}")).status,
        403,
        "who left"
    );
}

/// Draws of every kind, each shown from what is stored and accepted by the same code as the chain's.
fn shows_whatever_is_drawn(sample: u16) {
    let world = with_batch(sample);
    assert_eq!(world.chain.calls(95, 19), 1);
    let (mut rows, mut queries, mut spans) = (0, 0, 0);
    for n in 0..16 {
        let before = world.chain.calls(95, 20);
        let randomness = keccak(&[&RANDOMNESS, &[n]]);
        let until = world.chain.number() + 10_000;
        world
            .chain
            .put(storage::audit(0), &Audit::Drawn { randomness, until });
        world.until("the audit", |world| world.chain.calls(95, 20) == before + 1);
        match world.chain.shown_of(0) {
            Some(Subject::Row { .. }) => rows += 1,
            Some(Subject::Query { batch: 0, .. }) => queries += 1,
            // A span, which the chain judges whole.
            None => spans += 1,
            other => panic!("{other:?} is no question that an audit puts"),
        }
    }
    println!("{rows} rows, {queries} queries, {spans} spans");
    assert!(rows > 0 && queries > 0);
    assert_eq!(world.chain.refused(), 0);
}

#[test]
fn whatever_is_drawn_of_a_batch_is_shown() {
    shows_whatever_is_drawn(0);
}

#[test]
fn whatever_is_drawn_of_a_sampled_batch_is_shown() {
    shows_whatever_is_drawn(3);
}
