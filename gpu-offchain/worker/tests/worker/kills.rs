//! Killed at any named point and started again, the worker ends where it would have ended.
//!
//! Each life is a process of its own (this test program, asked for the ignored test `child`): the worker, its node and its
//! consumer. The chain lives in a file, as a real one would outlive the worker.

use crate::{
    chain::FakeChain,
    world::{World, CHANNEL, GENERATION, MODEL},
};
use openledger_attribution::committee::{Claim, ClaimedSketch, Subject, Vote};
use openledger_chain::Key;
use openledger_protocol::{
    batches::Batch, channels::Channel, committees::Case, models::Generation, storage, Account, Hash,
};
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

const WORLD: &str = "OPENLEDGER_TEST_WORLD";
const EXIT_AT: &str = "OPENLEDGER_WORKER_EXIT_AT";

/// Draws of a life's batches.
const SAMPLE: &str = "OPENLEDGER_TEST_SAMPLE";

const POINTS: [&str; 24] = [
    "job-stored",
    "adapter-trained",
    "adapter-saved",
    "outcome-computed",
    "outcome-stored",
    "corpus-sorted",
    "index-half",
    "index-saved",
    "seat-computed",
    "seat-committed",
    "seat-revealed",
    "answer-generated",
    "answer-stored",
    "answer-attributed",
    "receipt-stored",
    "batch-prepared",
    "batch-submitted",
    "batch-noted",
    "reveal-built",
    "reveal-submitted",
    "audit-drawn",
    "audit-shown",
    "batch-settled",
    "batch-credited",
];

/// Where only a worker that samples comes past.
const SAMPLING: [&str; 3] = ["batch-drawn", "draws-attributed", "draws-answered"];

fn sample() -> u16 {
    std::env::var(SAMPLE).map_or(0, |text| text.parse().unwrap())
}

/// One life. Everything it does, it does only if an earlier life has not.
#[test]
#[ignore = "run by the other tests of this module"]
fn child() {
    let dir = PathBuf::from(std::env::var_os(WORLD).unwrap());
    let world = World::open(&dir, true, sample());
    world.bring_blocks();
    world.until_serving();
    sit(&world);
    for (n, question) in ["What does the sea do on day 2?", "How is loaf 1 baked?"]
        .into_iter()
        .enumerate()
    {
        world.until("the channel", |world| !world.worker.is_busy(CHANNEL));
        let receipts = world.get("/v1/receipts").ok().json()["receipts"]
            .as_array()
            .unwrap()
            .len();
        if receipts <= n {
            world.receipt(&world.order(question, [n as u8 + 1; 32]));
        }
    }
    world.until("the batch", |world| {
        world.get("/v1/batches").ok().json()["batches"][0]["state"] == "credited"
    });
}

/// A seat in a committee that asks about a row.
fn sit(world: &World) {
    let (chain, row) = (&world.chain, 0);
    let served = world.worker.serving.get(MODEL, GENERATION).unwrap();
    if chain.vote(0).is_none() && chain.get::<Case<Account>>(storage::case(0)).is_none() {
        let claim = Claim::Sketch(ClaimedSketch {
            layout: served.index.layout().clone(),
            rules: served.index.header().rules,
            sketch: served.index.row(row).unwrap().sketch,
        });
        let index = served.index_hash;
        chain.open_case(0, Subject::Row { index, row }, &claim, |_| {});
    }
    world.until("the vote", |world| world.chain.vote(0).is_some());
}

fn live(dir: &Path, exit_at: Option<&str>, sample: u16) -> (ExitStatus, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["kills::child", "--exact", "--ignored", "--nocapture"])
        .env(WORLD, dir)
        .env(SAMPLE, sample.to_string())
        .env_remove(EXIT_AT);
    if let Some(point) = exit_at {
        command.env(EXIT_AT, point);
    }
    let output = command.output().unwrap();
    (
        output.status,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// What must be the same however often the worker was killed: all but the consumer's signatures, which are random.
#[derive(Debug, PartialEq)]
struct End {
    adapter: Hash,
    stage: String,
    cursor: u128,
    batches: u64,
    batch: String,
    credits: Vec<Option<u128>>,
    calls: [usize; 10],
    vote: Option<(Vote, bool)>,
}

fn end(dir: &Path) -> End {
    let account = Key::from_uri("//Worker").unwrap().account();
    let chain = FakeChain::new(account, Some(dir.join("chain")));
    let generation: Generation<Account> = chain.get(storage::generation(MODEL, GENERATION)).unwrap();
    let channel: Channel<Account> = chain.get(storage::channel(CHANNEL)).unwrap();
    let batch: Batch<Account> = chain.get(storage::batch(0)).unwrap();
    End {
        adapter: generation.adapter,
        stage: format!("{:?}", generation.stage),
        cursor: channel.cursor,
        batches: chain.get(storage::next_batch()).unwrap(),
        batch: format!(
            "{} receipts, {:?}, parts {:?}, credits {:?}, {:?}",
            batch.header.receipts.count,
            batch.header.totals,
            batch.credits.parts,
            batch.credits.credits,
            batch.stage
        ),
        credits: [1, 2].map(|n| chain.get(storage::credits([n; 32]))).to_vec(),
        calls: [
            (95, 0),
            (95, 1),
            (95, 2),
            (95, 12),
            (95, 14),
            (95, 15),
            (95, 19),
            (95, 20),
            (97, 4),
            (97, 5),
        ]
        .map(|(pallet, call)| chain.calls(pallet, call)),
        vote: chain.vote(0),
    }
}

fn new_dir(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("openledger-worker-kills-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

/// Lives undisturbed, then once for each point with a kill there, and compares the ends.
fn killed_at(points: &[&str], sample: u16, calls: [usize; 10]) {
    let undisturbed = new_dir(&format!("undisturbed-{sample}"));
    let (status, log) = live(&undisturbed, None, sample);
    assert!(status.success(), "{log}");
    let expected = end(&undisturbed);
    assert_eq!((expected.batches, expected.calls), (1, calls));
    assert_eq!(expected.vote, Some((Vote::Right, false)));
    assert!(expected.cursor > 0 && expected.credits.iter().flatten().sum::<u128>() > 0);

    for point in points {
        let dir = new_dir(point);
        let (status, log) = live(&dir, Some(point), sample);
        assert!(!status.success(), "{point} was never reached");
        assert!(
            log.contains(&format!("stopped at the kill point {point:?}")),
            "{point}: {log}"
        );
        let (status, log) = live(&dir, None, sample);
        assert!(status.success(), "after {point}: {log}");
        assert_eq!(end(&dir), expected, "after {point}");
        println!("killed at {point}: the same end");
        std::fs::remove_dir_all(&dir).unwrap();
    }
    std::fs::remove_dir_all(&undisturbed).unwrap();
}

#[test]
fn killed_anywhere_it_ends_the_same() {
    killed_at(&POINTS, 0, [1, 1, 1, 1, 0, 0, 1, 1, 1, 1]);
}

#[test]
fn killed_between_the_draws_it_ends_the_same() {
    killed_at(&SAMPLING, 3, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
}
