//! The worker over HTTP, against a chain that keeps the pallets' rules about money in a map.

mod chain;
mod doors;
#[cfg(feature = "kill-points")]
mod kills;
mod refusals;
mod reveals;
mod seats;
mod whole;
mod world;
