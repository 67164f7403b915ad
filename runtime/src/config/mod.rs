//! What each pallet is told, one file a theme.

pub mod accounts;
pub mod assets;
#[cfg(feature = "runtime-benchmarks")]
pub mod benchmarks;
pub mod consensus;
pub mod emergency;
pub mod evm;
pub mod governance;
pub mod money;
pub mod ownership;
pub mod payable_ai;
pub mod staking;
pub mod supply;
pub mod system;
