#[path = "../../../../primitives/attribution/tests/common/mod.rs"]
#[allow(clippy::all, unused_imports)]
pub(crate) mod common;

mod adversary;
mod ask;
mod audit;
mod challenge;
mod credit;
mod index;
mod life;
mod payout;
mod reveal;
mod sampled;
mod submit;

use common::world::World;

/// A full batch of random honest answers.
pub(crate) fn honest(seed: u64) -> World {
    World::new(seed, false)
}

/// `count` seeds, times `ATTRIBUTION_SCALE`, from this run's, which is printed.
pub(crate) fn seeds(count: u64) -> impl Iterator<Item = u64> {
    let mut rng = common::Rng(common::seed());
    (0..count * u64::from(common::scale())).map(move |_| rng.next())
}
