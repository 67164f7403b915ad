//! The worker over HTTP, against a chain that keeps the pallets' rules about money in a map.

mod api;
mod chain;
mod cost;
mod doors;
mod jobs;
#[cfg(feature = "kill-points")]
mod kills;
mod licensed;
mod refusals;
mod reveals;
mod seats;
mod whole;
mod world;
