//! The digest of a runtime's metadata (RFC 78) that hardware wallets check before they sign.

use crate::{state::State, wasm::Wasm};
use codec::{Decode, Encode};
use frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use merkleized_metadata::{generate_metadata_digest, ExtraInfo};
use sp_storage::Storage;
use sp_version::RuntimeVersion;

/// The digest of `wasm`'s metadata with the token's `symbol` and `decimals`.
pub(crate) fn of(wasm: &Wasm, symbol: &str, decimals: u8) -> Result<[u8; 32], String> {
    // Constants are read from the state, so it must be one that a chain could have.
    let state = State::new(Storage::default(), false);
    let version: RuntimeVersion = wasm.call(&state, "Core_version", &[])?;
    let metadata: Option<Vec<u8>> = wasm.call(&state, "Metadata_metadata_at_version", &15u32.encode())?;
    let metadata = metadata.ok_or("the runtime gives no metadata of version 15")?;
    let metadata = RuntimeMetadataPrefixed::decode(&mut &metadata[..])
        .map_err(|error| format!("the runtime's metadata does not decode: {error}"))?
        .1;
    let info = ExtraInfo {
        spec_version: version.spec_version,
        spec_name: version.spec_name.into(),
        base58_prefix: prefix(&metadata)?,
        decimals,
        token_symbol: symbol.into(),
    };
    Ok(generate_metadata_digest(&metadata, info)?.hash())
}

/// `System::SS58Prefix`.
fn prefix(metadata: &RuntimeMetadata) -> Result<u16, String> {
    let RuntimeMetadata::V15(metadata) = metadata else {
        return Err("the runtime's metadata is not of version 15".into());
    };
    let system = metadata.pallets.iter().find(|pallet| pallet.name == "System");
    let constant = system.and_then(|system| system.constants.iter().find(|of| of.name == "SS58Prefix"));
    constant
        .and_then(|constant| u16::decode(&mut &constant.value[..]).ok())
        .ok_or_else(|| "the runtime's metadata has no System::SS58Prefix".into())
}
