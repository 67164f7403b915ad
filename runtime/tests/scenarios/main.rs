//! The runtime as a whole: presets become chains, blocks are made, people act.

mod chain;
mod committees;
mod eras;
mod frozen;
mod genesis;
mod parameters;
mod protocol;
mod referenda;
mod stakes;
mod weights;
