//! The presets: what each network starts with. A chain specification only names one.

pub mod allocation;
mod presets;

use alloc::{vec, vec::Vec};
use sp_genesis_builder::PresetId;

/// Chain id (EIP-155) of development networks.
pub const DEVELOPMENT_CHAIN_ID: u64 = 161_299;
/// The test network, with real periods shortened.
pub const TESTNET: &str = "testnet";
/// The main network.
pub const MAIN: &str = "main";

/// Names of the presets, in the order a person meets them.
pub fn names() -> Vec<PresetId> {
    vec![
        PresetId::from(sp_genesis_builder::DEV_RUNTIME_PRESET),
        PresetId::from(sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET),
        PresetId::from(TESTNET),
        PresetId::from(MAIN),
    ]
}

/// The JSON of the preset called `id`.
pub fn preset(id: &PresetId) -> Option<Vec<u8>> {
    let patch = match id.as_ref() {
        sp_genesis_builder::DEV_RUNTIME_PRESET => presets::development(),
        sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET => presets::local(),
        TESTNET => presets::testnet(),
        MAIN => presets::main(),
        _ => return None,
    };
    // A JSON value built here always serialises.
    serde_json::to_vec(&patch).ok()
}
