#[path = "../../../../primitives/attribution/tests/common/mod.rs"]
#[allow(clippy::all, unused_imports)]
pub(crate) mod common;

mod adversary;
mod contribute;
mod create;
mod curate;
mod disputes;
mod invariants;
mod keys;
mod publish;
mod reserve;
