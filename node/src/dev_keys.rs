//! Keys everybody knows: the SDK's test accounts. They sign blocks on development and local networks; where money is real
//! a node that would author with one must not run.

use sc_service::ChainType;
use sp_core::{
    crypto::{key_types, ByteArray, KeyTypeId, DEV_PHRASE},
    ed25519, sr25519, Pair,
};
use sp_keyring::{Ed25519Keyring, Sr25519Keyring};
use sp_keystore::KeystorePtr;
use std::{collections::HashSet, time::Duration};

/// How often a running validator looks again: a key may be inserted through the RPC.
const CHECK_EVERY: Duration = Duration::from_secs(6);

/// Kinds of session keys, as the runtime's `SessionKeys` has them.
const SESSION_KEY_TYPES: [KeyTypeId; 3] = [
    key_types::BABE,
    key_types::GRANDPA,
    key_types::AUTHORITY_DISCOVERY,
];

/// Whether a chain of this type accepts well-known keys.
pub(crate) fn allowed(chain_type: &ChainType) -> bool {
    matches!(chain_type, ChainType::Development | ChainType::Local)
}

/// The well-known public keys of both kinds, the bare development phrase included.
struct WellKnown(HashSet<Vec<u8>>);

impl WellKnown {
    fn new() -> Self {
        let mut keys: HashSet<Vec<u8>> = Sr25519Keyring::iter()
            .map(|key| key.public().to_raw_vec())
            .chain(Ed25519Keyring::iter().map(|key| key.public().to_raw_vec()))
            .collect();
        // The phrase alone, and the numbered accounts network tools derive from it.
        for path in std::iter::once(String::new()).chain((0..10).map(|index| format!("//{index}"))) {
            let uri = format!("{DEV_PHRASE}{path}");
            keys.extend(
                sr25519::Pair::from_string(&uri, None)
                    .ok()
                    .map(|pair| pair.public().to_raw_vec()),
            );
            keys.extend(
                ed25519::Pair::from_string(&uri, None)
                    .ok()
                    .map(|pair| pair.public().to_raw_vec()),
            );
        }
        Self(keys)
    }

    /// The first session key in `keystore` that everybody knows, with its kind.
    fn find(&self, keystore: &KeystorePtr) -> Option<(KeyTypeId, Vec<u8>)> {
        SESSION_KEY_TYPES.iter().find_map(|kind| {
            // A keystore that cannot be listed cannot sign either.
            let keys = keystore.keys(*kind).unwrap_or_default();
            keys.into_iter()
                .find(|key| self.0.contains(key))
                .map(|key| (*kind, key))
        })
    }
}

/// Fails with a line for the operator if `keystore` holds a well-known session key.
///
/// # Errors
///
/// Names the key, the chain and the remedy.
pub(crate) fn refuse(keystore: &KeystorePtr, chain: &str) -> Result<(), String> {
    match WellKnown::new().find(keystore) {
        None => Ok(()),
        Some((kind, key)) => Err(format!(
            "the keystore holds the well-known {} key 0x{}, which anybody can sign with, so this node will not author on {chain}; \
             delete its file from the keystore directory and make keys of your own with `openledger-node session-keys`",
            String::from_utf8_lossy(&kind.0),
            sp_core::hexdisplay::HexDisplay::from(&key),
        )),
    }
}

/// Keeps looking while the validator runs, and ends (which stops the node) when a well-known key appears.
pub(crate) async fn guard(keystore: KeystorePtr, chain: String) {
    let known = WellKnown::new();
    loop {
        tokio::time::sleep(CHECK_EVERY).await;
        if known.find(&keystore).is_some() {
            if let Err(line) = refuse(&keystore, &chain) {
                log::error!("{line}");
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sp_keystore::testing::MemoryKeystore;

    fn keystore() -> KeystorePtr {
        MemoryKeystore::new().into()
    }

    #[test]
    fn fresh_keys_should_pass() {
        let keystore = keystore();
        for kind in [key_types::BABE, key_types::AUTHORITY_DISCOVERY] {
            keystore.sr25519_generate_new(kind, None).unwrap();
        }
        keystore.ed25519_generate_new(key_types::GRANDPA, None).unwrap();
        assert_eq!(refuse(&keystore, "x"), Ok(()));
    }

    #[test]
    fn each_kind_of_well_known_key_should_be_found() {
        for seed in ["//Alice", "//Ferdie", "//Two", "//3", "//Bob//stash", DEV_PHRASE] {
            let babe = keystore();
            babe.sr25519_generate_new(key_types::BABE, Some(seed)).unwrap();
            assert!(
                refuse(&babe, "x").unwrap_err().contains("well-known babe key"),
                "{seed}"
            );
            let grandpa = keystore();
            grandpa
                .ed25519_generate_new(key_types::GRANDPA, Some(seed))
                .unwrap();
            assert!(refuse(&grandpa, "x").is_err(), "{seed}");
        }
    }

    #[test]
    fn other_kinds_of_key_should_not_matter() {
        let keystore = keystore();
        keystore
            .sr25519_generate_new(key_types::ACCOUNT, Some("//Alice"))
            .unwrap();
        assert_eq!(refuse(&keystore, "x"), Ok(()));
    }
}
