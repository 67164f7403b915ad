mod create;
mod indexing;
mod invariants;
mod keys;
mod prices;
mod serve;
mod training;
mod void;
