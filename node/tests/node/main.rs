//! The real binary, run as people run it: what it says when something is wrong, and that nothing is damaged by it.

mod harness;

mod errors;
mod keys;
mod lifecycle;
mod rpc;
mod sealing;
mod sync;
mod worker;
