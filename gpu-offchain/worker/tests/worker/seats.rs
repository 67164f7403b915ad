//! Seats in committees: what is claimed is recomputed, and what is claimed wrongly is found.

use crate::world::{World, GENERATION, MODEL};
use openledger_attribution::{
    bases::{BasisLeaf, Spectrum},
    committee::{Claim, ClaimedSketch, ClaimedSpectra, Subject, Vote},
    sketch::Sketch,
};
use openledger_content::Identity;
use openledger_protocol::{committees::Membership, compute, storage};
use std::sync::atomic::Ordering;

/// The spectra of one module of an index.
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
    let world = World::new();
    world.until_serving();
    world.chain.window.store(1_000_000, Ordering::Relaxed);
    for (n, question) in ["What does the sea do on day 3?", "How is loaf 2 baked?"].into_iter().enumerate() {
        world.receipt(&world.order(question, [n as u8 + 1; 32]));
    }
    world.until("the batch", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "open"
    });

    // The worker is a member, and can be reached where the chain says.
    let account = world.worker.account();
    let identity = Identity::random().unwrap();
    identity.save(&world.dir.join("data").join(openledger_worker::committee::KEY)).unwrap();
    let key = identity.recipient().0;
    world.chain.put(storage::member(account), &Membership { key, since: 1 });
    let mut registered: compute::Worker = world.chain.get(storage::worker(account)).unwrap();
    registered.endpoint = world.url.clone().into_bytes().try_into().unwrap();
    world.chain.put(storage::worker(account), &registered);

    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let (index, hash) = (&served.index, served.index_hash);
    let (layout, rules) = (index.layout().clone(), index.header().rules);
    let sketched = |sketch: Sketch| {
        Claim::Sketch(ClaimedSketch {
            layout: layout.clone(),
            rules,
            sketch,
        })
    };
    // A valid sketch all the same: the first block's lanes change their sign.
    let turned = |mut sketch: Sketch| {
        let first = layout.modules[0].lanes() as usize;
        for lane in &mut sketch.lanes[..first] {
            *lane = -*lane;
        }
        sketch
    };
    let row = index.row(1).unwrap().sketch;
    let receipts = world.worker.db.newest_receipts(2).unwrap();
    let batch = world.worker.db.batch_on_chain(0).unwrap().unwrap().1;
    let at = batch.receipts.iter().position(|leaf| leaf.receipt == receipts[0].0).unwrap() as u64;
    let query = receipts[0].1.query.clone();
    let module = &layout.modules[0];
    let (rows, columns) = (usize::from(module.rows), usize::from(module.columns));
    let own = spectra(index.bases().leaves(), rows, columns);
    let mut other = own.clone();
    for spectrum in &mut other {
        spectrum.exponent += 2;
    }
    let spectral = |spectra| Claim::Spectra(ClaimedSpectra { rho: rules.rho, spectra });
    let of_row = Subject::Row { index: hash, row: 1 };
    let of_basis = Subject::Basis { index: hash, module: 0 };
    let of_query = Subject::Query { batch: 0, source: at };
    let cases = [
        (of_row, sketched(row.clone()), Vote::Right),
        (of_row, sketched(turned(row)), Vote::Wrong),
        (of_query, sketched(query.clone()), Vote::Right),
        (of_query, sketched(turned(query)), Vote::Wrong),
        (of_basis, spectral(own), Vote::Right),
        (of_basis, spectral(other), Vote::Wrong),
    ];
    for (id, (subject, claim, _)) in (0u64..).zip(&cases) {
        world.chain.open_case(id, *subject, claim);
    }
    world.until("every vote", |world| (0..cases.len() as u64).all(|id| world.chain.vote(id).is_some()));
    for (id, (subject, _, expected)) in (0u64..).zip(&cases) {
        assert_eq!(world.chain.vote(id), Some((*expected, false)), "{subject:?}");
    }
    assert_eq!(world.chain.refused(), 0);

    // The texts are for members alone.
    let stranger = world.get(&format!("/v1/committees/2?member=0x{}", "05".repeat(32)));
    assert!([403, 404].contains(&stranger.status), "{}", stranger.status);
    assert!(world.worker.db.seat(0).unwrap().is_none(), "what was revealed is forgotten");
}

#[test]
fn an_accused_that_hands_nothing_over_is_voted_against() {
    let world = World::new();
    world.until_serving();
    world.chain.window.store(1_000_000, Ordering::Relaxed);
    for (n, question) in ["What does the sea do on day 3?", "How is loaf 2 baked?"].into_iter().enumerate() {
        world.receipt(&world.order(question, [n as u8 + 1; 32]));
    }
    world.until("the batch", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "open"
    });
    // No endpoint is registered: there is nobody to ask.
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    let claim = Claim::Sketch(ClaimedSketch {
        layout: served.index.layout().clone(),
        rules: served.index.header().rules,
        sketch: world.worker.db.newest_receipts(1).unwrap()[0].1.query.clone(),
    });
    world.chain.open_case(0, Subject::Query { batch: 0, source: 0 }, &claim);
    let case: openledger_protocol::committees::Case<openledger_protocol::Account> =
        world.chain.get(storage::case(0)).unwrap();
    let until = openledger_protocol::committees::CaseStage::Committing {
        until: world.chain.number() + 60,
    };
    world.chain.put(
        storage::case(0),
        &openledger_protocol::committees::Case { stage: until, ..case },
    );
    world.until("the vote", |world| world.chain.vote(0).is_some());
    assert_eq!(world.chain.vote(0), Some((Vote::Wrong, true)));
}
