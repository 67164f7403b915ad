//! The worker over HTTP, against a chain that keeps the pallets' rules about money in a map.

mod api;
mod chain;
mod cost;
mod doors;
#[cfg(feature = "kill-points")]
mod kills;
mod licensed;
mod refusals;
mod reveals;
mod whole;
mod world;
