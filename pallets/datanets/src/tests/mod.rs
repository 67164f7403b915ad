mod contribute;
mod create;
mod curate;
mod invariants;
mod keys;
mod publish;
mod reserve;
