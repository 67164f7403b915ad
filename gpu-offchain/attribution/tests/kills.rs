//! A build that is killed at any moment goes on where it was and ends with the same bits.
//!
//! The builder is this test's own program, run as a child and killed (SIGKILL on unix) after a random number
//! of its rows, or somewhere in its finish. What comes out never depends on when that was.

mod common;

use common::{unit_gradient, Rng, World};
use openledger_influence::{Index, IndexBuilder};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const FILES: [&str; 7] = [
    "index.bin",
    "sources.bin",
    "corpus.bin",
    "bases.bin",
    "exponents.bin",
    "lanes.bin",
    "leaves.bin",
];

/// Where the child builds; without it there is nothing to do.
const DIR: &str = "INFLUENCE_KILLS_DIR";

fn files(dir: &Path) -> Vec<Vec<u8>> {
    FILES
        .iter()
        .map(|name| fs::read(dir.join(name)).unwrap())
        .collect()
}

#[test]
fn child_that_builds() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let world = World::new();
    let say = |what: &str| {
        // Unlike println! this is not captured by the test's harness.
        writeln!(std::io::stderr(), "at {what}").unwrap();
    };
    let mut builder = IndexBuilder::open(Path::new(&dir), &world.plan, &world.sketcher).unwrap();
    say("open");
    while let Some(unit) = builder.next_unit() {
        builder
            .push(&unit_gradient(&world.sketcher, world.seed, &unit))
            .unwrap();
        say("row");
    }
    say("finish");
    builder.finish(2).unwrap();
    say("end");
}

#[test]
fn a_killed_build_goes_on_and_ends_with_the_same_bits() {
    if std::env::var(DIR).is_ok() {
        return;
    }
    let world = World::new();
    world.build();
    let expected = files(world.dir.path());
    let mut rng = Rng(world.seed ^ 0x6B69_6C6C);
    let rows = world.plan.rows();
    let mut kills = 0;
    for _ in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let mut least = 0;
        // So often it is killed at most; what is left then is built in peace.
        for _ in 0..5 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "child_that_builds", "--nocapture"])
                .env(DIR, dir.path())
                .env("INFLUENCE_SEED", world.seed.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // So many steps it may make: sometimes some rows, sometimes into the finish and a little beyond.
            let steps = 1 + rng.below(rows / 2 + 4);
            let spins = rng.below(3_000_000);
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut is_at_end = false;
            let mut seen = 0;
            while seen < steps {
                let Some(Ok(line)) = lines.next() else { break };
                seen += u64::from(line.starts_with("at "));
                is_at_end = line == "at end";
                if line == "at finish" {
                    for n in 0..spins {
                        std::hint::black_box(n);
                    }
                    break;
                }
            }
            let _ = child.kill();
            // What it still said before it died.
            is_at_end |= lines.map_while(Result::ok).any(|line| line == "at end");
            let status = child.wait().unwrap();
            if is_at_end || Index::exists(dir.path()) {
                break;
            }
            assert!(!status.success(), "it ended by itself without an index");
            kills += 1;
            let builder = IndexBuilder::open(dir.path(), &world.plan, &world.sketcher).unwrap();
            // Rows that were there once stay there: the spool outlives its writer.
            assert!(
                builder.done() >= least,
                "{} rows of {least} are left",
                builder.done()
            );
            least = builder.done();
        }
        let mut builder = IndexBuilder::open(dir.path(), &world.plan, &world.sketcher).unwrap();
        common::push_all(&mut builder, &world.sketcher, world.seed);
        builder.finish(1).unwrap();
        assert!(files(dir.path()) == expected, "other bits after kills");
    }
    println!("{kills} kills");
    assert!(kills >= 3, "only {kills} kills: the test tests nothing");
}
