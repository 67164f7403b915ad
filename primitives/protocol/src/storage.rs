//! Where the pallets' values are: full storage keys.
//!
//! A key is twox-128 of the pallet's name, twox-128 of the item's name and, in a map, each key behind its twox-64: so a
//! client needs no metadata to read a value, and can show a person exactly where an amount came from.

use crate::{staking::Pool, Account, Hash};
use alloc::vec::Vec;
use codec::Encode;
use core::hash::Hasher;

/// twox of 64·`N` bits: xxHash64 with seeds 0, 1, …, little-endian.
fn twox<const N: usize>(bytes: &[u8]) -> Vec<u8> {
    (0..N as u64)
        .flat_map(|seed| {
            let mut hasher = twox_hash::XxHash64::with_seed(seed);
            hasher.write(bytes);
            hasher.finish().to_le_bytes()
        })
        .collect()
}

/// The key of a value, and the prefix of a map.
pub fn value(pallet: &str, item: &str) -> Vec<u8> {
    [twox::<2>(pallet.as_bytes()), twox::<2>(item.as_bytes())].concat()
}

/// The key of a map's entry, under hashers `Twox64Concat`.
pub fn entry(pallet: &str, item: &str, keys: &[&dyn EncodedKey]) -> Vec<u8> {
    let mut full = value(pallet, item);
    for key in keys {
        let bytes = key.bytes();
        full.extend(twox::<1>(&bytes));
        full.extend(bytes);
    }
    full
}

/// A key of a map.
pub trait EncodedKey {
    /// Its SCALE bytes.
    fn bytes(&self) -> Vec<u8>;
}

impl<T: Encode> EncodedKey for T {
    fn bytes(&self) -> Vec<u8> {
        self.encode()
    }
}

macro_rules! items {
    ($($(#[$doc:meta])* $name:ident ( $($key:ident: $type:ty),* ) = $pallet:literal $item:literal;)*) => {$(
        $(#[$doc])*
        pub fn $name($($key: $type),*) -> Vec<u8> {
            entry($pallet, $item, &[$(&$key),*])
        }
    )*};
}

items! {
    /// `u64`: the next Datanet.
    next_datanet() = "Datanets" "NextDatanet";
    /// [`Datanet`](crate::datanets::Datanet).
    datanet(id: u64) = "Datanets" "Datanets";
    /// [`Reservation`](crate::datanets::Reservation).
    reservation(commitment: Hash) = "Datanets" "Reservations";
    /// `u64`: the next contribution.
    next_contribution() = "Datanets" "NextContribution";
    /// [`Contribution`](crate::datanets::Contribution).
    contribution(id: u64) = "Datanets" "Contributions";
    /// [`Version`](crate::datanets::Version).
    version(datanet: u64, version: u32) = "Datanets" "Versions";

    /// `u64`: the next base.
    next_base() = "Models" "NextBase";
    /// [`Base`](crate::models::Base).
    base(id: u64) = "Models" "Bases";
    /// `u64`: the next model.
    next_model() = "Models" "NextModel";
    /// [`Model`](crate::models::Model).
    model(id: u64) = "Models" "Models";
    /// [`Generation`](crate::models::Generation).
    generation(model: u64, generation: u32) = "Models" "Generations";
    /// [`Line`](crate::models::Line), of a generation that has ancestors.
    line(model: u64, generation: u32) = "Models" "Lines";

    /// [`Worker`](crate::compute::Worker).
    worker(account: Account) = "Compute" "Workers";
    /// [`Job`](crate::compute::Job).
    job(id: u64) = "Compute" "Jobs";

    /// `u64`: the next request for an answer on the chain.
    next_inference() = "Inference" "NextRequest";
    /// [`Request`](crate::inference::Request) for an answer on the chain.
    inference(id: u64) = "Inference" "Requests";

    /// `u64`: the next channel.
    next_channel() = "Channels" "NextChannel";
    /// [`Channel`](crate::channels::Channel).
    channel(id: u64) = "Channels" "Channels";

    /// [`Index`](crate::batches::Index), by the hash of its header.
    index(hash: Hash) = "Attribution" "Indexes";
    /// `u64`: the next batch.
    next_batch() = "Attribution" "NextBatch";
    /// [`Batch`](crate::batches::Batch).
    batch(id: u64) = "Attribution" "Batches";
    /// [`Challenge`](crate::batches::Challenge).
    challenge(batch: u64, challenger: Account) = "Attribution" "Challenges";

    /// [`IndexBond`](crate::disputes::IndexBond), by the hash of the index's header.
    index_bond(hash: Hash) = "Attribution" "IndexBonds";
    /// [`Challenge`](crate::batches::Challenge) of an index.
    index_challenge(index: Hash, challenger: Account) = "Attribution" "IndexChallenges";
    /// [`Request`](crate::disputes::Request).
    request(source: crate::disputes::Committed, wanted: openledger_attribution::verdict::Wanted) = "Attribution" "Requests";
    /// [`Sample`](crate::disputes::Sample) of a sampled batch.
    sample(batch: u64) = "Attribution" "Samples";

    /// [`Audit`](crate::committees::Audit) of a batch that has one.
    audit(batch: u64) = "Attribution" "Audits";
    /// [`Question`](crate::committees::Question) that a case is of.
    question(case: u64) = "Attribution" "Questions";
    /// `u64`: the case that something is before.
    asked(subject: crate::committees::Subject) = "Attribution" "Asked";

    /// [`Membership`](crate::committees::Membership) of a worker.
    member(account: Account) = "Committees" "Members";
    /// `Vec<u64>`: the cases that a worker sits in.
    seats_of(account: Account) = "Committees" "SeatsOf";
    /// `u64`: the next case.
    next_case() = "Committees" "NextCase";
    /// [`Case`](crate::committees::Case).
    case(id: u64) = "Committees" "Cases";
    /// `Vec<u8>`: SCALE of the [`Claim`](openledger_attribution::committee::Claim) of a case.
    claim(case: u64) = "Committees" "Claims";
    /// `Vec<u8>`: SCALE of a [`Computed`](openledger_attribution::committee::Computed), by case and number from 1.
    answer(case: u64, number: u8) = "Committees" "Answers";

    /// [`VersionBond`](crate::disputes::VersionBond).
    version_bond(datanet: u64, version: u32) = "Datanets" "VersionBonds";
    /// `u32`: the block in which a contribution was proved to hold somebody else's record.
    duplicate(contribution: u64) = "Datanets" "Duplicates";
    /// [`Challenge`](crate::batches::Challenge) of a version or contribution.
    datanet_challenge(about: crate::disputes::Disputed, challenger: Account) = "Datanets" "Challenges";

    /// [`PoolState`](crate::staking::PoolState).
    pool(pool: Pool<Account>) = "OpenStaking" "Pools";
    /// [`Staker`](crate::staking::Staker).
    staker(pool: Pool<Account>, account: Account) = "OpenStaking" "Stakers";
    /// `u32`: open disputes, of a pool that has some.
    frozen(pool: Pool<Account>) = "OpenStaking" "Frozen";

    /// `u128` planck credited and not claimed.
    credits(account: Account) = "Rewards" "Credits";
}
