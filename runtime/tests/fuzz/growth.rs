//! How much state things leave, and whether what every block does grows with what there is.

use crate::{chain, counting, counting::Counting, episode, play::is_own, setting};
use frame_support::{
    traits::{OnFinalize, OnIdle, StorageInfo, StorageInfoTrait},
    weights::Weight,
};
use openledger_runtime::*;

/// Maps that hooks may read in full: the pallets bound them, and the hooks' weights count what is read.
const BOUNDED: &[(&str, &str)] = &[
    ("Compute", "Workers"),
    ("Compute", "Jobs"),
    ("Compute", "JobTerms"),
];

/// What our pallets keep, item by item.
fn own_items() -> impl Iterator<Item = StorageInfo> {
    let infos = AllPalletsWithSystem::storage_info().into_iter();
    infos.filter(|info| is_own(&String::from_utf8_lossy(&info.pallet_name)))
}

/// Bytes of keys and values that stay in the state: all but what every block writes anew.
pub(crate) fn bytes() -> u64 {
    let passing = sp_io::hashing::twox_128(b"System");
    let account = frame_support::storage::storage_prefix(b"System", b"Account");
    let (mut sum, mut key) = (0, Vec::new());
    while let Some(next) = sp_io::storage::next_key(&key) {
        if !next.starts_with(&passing) || next.starts_with(&account) {
            let length = sp_io::storage::get(&next).map_or(0, |value| value.len());
            sum += (next.len() + length) as u64;
        }
        key = next;
    }
    sum
}

/// What a block without transactions does with so many copies of every entry in `entries`: keys read and written, bytes read,
/// weight.
fn empty_block(entries: &[(Vec<u8>, Vec<u8>)], copies: u64) -> (u64, u64, u64, Weight) {
    let mut state = chain::chain("development", serde_json::json!({}));
    state.execute_with(|| chain::next_block(vec![]));
    state.commit_all().expect("a state in memory takes every change");
    let mut inner = state.ext();
    sp_externalities::set_and_run_with_externalities(&mut Counting(&mut inner), || {
        for (item, value) in entries {
            for n in 0..copies {
                // Two hashes long, as a double map's key; nobody looks these up.
                let own = sp_io::hashing::blake2_256(&n.to_le_bytes());
                sp_io::storage::set(&[&item[..], &own, &own].concat(), value);
            }
        }
        counting::start();
        chain::begin_block();
        let (number, weight) = (System::block_number(), System::block_weight().total());
        AllPalletsWithSystem::on_idle(number, MAXIMUM_BLOCK_WEIGHT);
        AllPalletsWithSystem::on_finalize(number);
        let touched = counting::stop();
        let (reads, writes) = touched.counts(|_| true);
        (reads, writes, touched.bytes, weight)
    })
}

/// `FUZZ_COPIES` says how many at most (1,000).
#[test]
fn hooks_should_do_the_same_whatever_there_is() {
    // One real entry of every map that an episode filled.
    let mut entries = Vec::new();
    let mut names = Vec::new();
    episode::run_and_then(7, 1_500, |_| {
        for info in own_items().filter(|info| info.max_values.is_none()) {
            let is = |(pallet, item): &(&str, &str)| {
                pallet.as_bytes() == info.pallet_name && item.as_bytes() == info.storage_name
            };
            let first = sp_io::storage::next_key(&info.prefix).filter(|key| key.starts_with(&info.prefix));
            if let Some(value) = first
                .and_then(|key| sp_io::storage::get(&key))
                .filter(|_| !BOUNDED.iter().any(is))
            {
                names.push(format!(
                    "{}.{}",
                    String::from_utf8_lossy(&info.pallet_name),
                    String::from_utf8_lossy(&info.storage_name)
                ));
                entries.push((info.prefix.clone(), value.to_vec()));
            }
        }
    });
    println!("{} maps: {}", names.len(), names.join(", "));
    assert!(names.len() > 12, "an episode fills most maps");
    println!(
        "{:>10} {:>7} {:>7} {:>8}  weight",
        "of each", "reads", "writes", "bytes"
    );
    let none = empty_block(&entries, 0);
    for copies in [0, 10, 1_000, setting("FUZZ_COPIES", 1_000)] {
        let block = empty_block(&entries, copies);
        println!(
            "{copies:>10} {:>7} {:>7} {:>8}  {}",
            block.0, block.1, block.2, block.3
        );
        assert_eq!(
            block, none,
            "an empty block with {copies} of everything, against one with nothing"
        );
    }
}

#[test]
fn every_bounded_map_should_exist() {
    // Some bounds are read from the state.
    chain::chain("development", serde_json::json!({})).execute_with(|| {
        for (pallet, item) in BOUNDED {
            let exists = own_items()
                .any(|info| info.pallet_name == pallet.as_bytes() && info.storage_name == item.as_bytes());
            assert!(exists, "{pallet}.{item}");
        }
    });
}
