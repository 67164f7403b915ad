//! The whole runtime under random transactions: whole blocks with their hooks, most transactions with a plan, some with
//! arguments of the right types and no plan at all. After every block the chain's promises are checked.
//!
//! `FUZZ_CALLS` says how many (20,000), in episodes of `FUZZ_EPISODE` (4,000) that each begin at genesis, on `FUZZ_THREADS`
//! threads (1). The seed is printed; with `FUZZ_SEED` the same happens again. `FUZZ_BYTES=1` also measures what calls leave in
//! the state.

mod answers;
#[allow(dead_code)]
#[path = "../scenarios/chain.rs"]
mod chain;
mod checks;
mod counting;
mod episode;
mod growth;
mod money;
mod play;
mod random;
mod records;

use episode::{Tallies, Tally};
use std::{
    hash::{BuildHasher, Hasher},
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex,
    },
};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number; leave it out or give one"))
    })
}

/// A seed that differs from run to run.
fn fresh() -> u64 {
    std::hash::RandomState::new().build_hasher().finish() >> 1
}

fn print(tallies: &Tallies) {
    println!(
        "{:<44}   done refused invalid | reads writes  db ‰ | µs of weight, at most | bytes left",
        "call"
    );
    for ((pallet, call), tally) in tallies {
        let Tally {
            done,
            refused,
            invalid,
            reads,
            writes,
            used,
            bytes,
            declared,
            ..
        } = tally;
        let name = format!("{pallet}.{call}");
        let bytes = bytes.map_or(String::new(), |(least, most)| format!("{least} to {most}"));
        let heaviest = declared.ref_time() / 1_000_000;
        println!(
            "{name:<44} {done:>6} {refused:>7} {invalid:>7} | {reads:>5} {writes:>6} {used:>5} | {heaviest:>21} | {bytes}"
        );
    }
}

#[test]
fn the_chains_promises_should_hold_whatever_is_sent() {
    let (calls, length) = (
        setting("FUZZ_CALLS", 20_000),
        setting("FUZZ_EPISODE", 4_000).max(1),
    );
    let first = setting("FUZZ_SEED", fresh());
    println!("FUZZ_SEED={first}");
    let mut rng = random::Rng(first);
    // The seed of an episode alone brings it back: the first has the one that is printed.
    let lengths = (0..calls.div_ceil(length)).map(|n| length.min(calls - n * length));
    let episodes: Vec<_> = lengths
        .enumerate()
        .map(|(n, calls)| (if n == 0 { first } else { rng.next() >> 1 }, calls))
        .collect();
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Tallies::new()));
    std::thread::scope(|scope| {
        for _ in 0..setting("FUZZ_THREADS", 1) {
            scope.spawn(|| {
                while let Some((seed, calls)) = episodes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let tallies = episode::run(*seed, *calls);
                    let mut all = all.lock().expect("no thread died with it");
                    tallies
                        .into_iter()
                        .for_each(|(place, of)| all.entry(place).or_default().merge(of));
                }
            });
        }
    });
    let all = all.into_inner().expect("no thread died with it");
    print(&all);
    checks::weights(&all);
    // Fewer may miss some by chance.
    if calls >= 20_000 {
        checks::coverage(&all, calls);
    }
}
