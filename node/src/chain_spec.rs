//! The four chains by name, and chain spec files.
//!
//! A spec here only names a genesis preset; the presets themselves are in the runtime. A chain that has been launched is
//! its raw spec file: the preset of a newer binary carries a newer runtime and so another genesis.

use crate::service::Block;
use codec::{Decode, Encode};
use sc_chain_spec::json_patch;
use sc_service::{ChainType, Properties};
use serde::{de::IgnoredAny, Deserialize, Serialize};
use sp_core::storage::{well_known_keys, Storage};
use sp_genesis_builder::PresetId;
use sp_state_machine::BasicExternalities;
use std::{
    collections::HashMap,
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
};

/// What a spec may carry beside genesis and boot nodes.
#[derive(Default, Clone, Debug, Serialize, Deserialize, sc_chain_spec::ChainSpecExtension)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Extensions {
    /// Blocks that must have a given hash.
    pub(crate) fork_blocks: sc_client_api::ForkBlocks<Block>,
    /// Hashes that must not be imported.
    pub(crate) bad_blocks: sc_client_api::BadBlocks<Block>,
    /// A trusted point for light clients; filled by the RPC `sync_state_genSyncSpec`.
    pub(crate) light_sync_state: sc_sync_state_rpc::LightSyncStateExtension,
}

/// A chain spec of this node.
pub(crate) type ChainSpec = sc_service::GenericChainSpec<Extensions>;

/// What `--chain` understands beside a path.
const NAMES: &str = "dev, local, testnet or main";

/// A chain by its command line name.
struct Named {
    /// What people read.
    title: &'static str,
    /// Directory of the chain under the base path.
    id: &'static str,
    /// Genesis preset of the runtime.
    preset: &'static str,
    /// What the chain is for: decides whether private addresses and well-known keys are accepted.
    chain_type: ChainType,
    /// First part of the network protocols' names.
    protocol: &'static str,
}

fn named(name: &str) -> Option<Named> {
    Some(match name {
        "dev" => Named {
            title: "OpenLedger Development",
            id: "openledger_dev",
            preset: sp_genesis_builder::DEV_RUNTIME_PRESET,
            chain_type: ChainType::Development,
            protocol: "openledger-dev",
        },
        "local" => Named {
            title: "OpenLedger Local",
            id: "openledger_local",
            preset: sp_genesis_builder::LOCAL_TESTNET_RUNTIME_PRESET,
            chain_type: ChainType::Local,
            protocol: "openledger-local",
        },
        "testnet" => Named {
            title: "OpenLedger Testnet",
            id: "openledger_testnet",
            preset: "testnet",
            chain_type: ChainType::Live,
            protocol: "openledger-test",
        },
        "main" => Named {
            title: "OpenLedger",
            id: "openledger",
            preset: "main",
            chain_type: ChainType::Live,
            protocol: "openledger",
        },
        _ => return None,
    })
}

/// Loads what `--chain` names: one of the four chains, or a spec file.
///
/// # Errors
///
/// One line that says what is wrong with `name` and what else could be given.
pub(crate) fn load(name: &str) -> Result<Box<dyn sc_service::ChainSpec>, String> {
    if name.is_empty() {
        return Err(format!(
            "no chain given: use --dev for a chain of your own, or --chain with {NAMES} or the path of a chain spec file"
        ));
    }
    match named(name) {
        Some(chain) => Ok(Box::new(from_preset(&chain)?)),
        None => Ok(Box::new(from_file(Path::new(name))?)),
    }
}

/// The runtime inside this binary.
fn wasm() -> Result<&'static [u8], String> {
    openledger_runtime::WASM_BINARY.ok_or_else(|| {
        "this binary was built without the runtime's wasm (SKIP_WASM_BUILD was set): build it again, or give a chain spec file"
            .into()
    })
}

/// Calls the runtime as it is compiled into this binary.
fn call(method: &str, input: &[u8]) -> Result<Vec<u8>, String> {
    openledger_runtime::apis::api::dispatch(method, input)
        .ok_or_else(|| format!("the runtime has no {method}"))
}

/// The JSON of a genesis preset; of the runtime's defaults for `None`.
fn preset(id: Option<&str>) -> Result<serde_json::Value, String> {
    let answer = BasicExternalities::new_empty()
        .execute_with(|| call("GenesisBuilder_get_preset", &id.map(PresetId::from).encode()))?;
    let json = Option::<Vec<u8>>::decode(&mut &answer[..])
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("the runtime has no preset {id:?}"))?;
    serde_json::from_slice(&json).map_err(|error| format!("preset {id:?} is not JSON: {error}"))
}

/// The genesis state of a chain known by name, `None` for any other.
///
/// Built by the runtime as it is compiled into this binary: the SDK would compile the wasm twice at every start to the same
/// end.
///
/// # Errors
///
/// If the preset is not what the runtime expects, which is a fault of this program.
pub(crate) fn genesis_state(name: &str) -> Result<Option<Storage>, String> {
    let Some(chain) = named(name) else { return Ok(None) };
    let mut config = preset(None)?;
    json_patch::merge(&mut config, preset(Some(chain.preset))?);
    let mut externalities = BasicExternalities::new_empty();
    let answer =
        externalities.execute_with(|| call("GenesisBuilder_build_state", &config.to_string().encode()))?;
    sp_genesis_builder::Result::decode(&mut &answer[..])
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("preset {}: {error}", chain.preset))?;
    let mut storage = externalities.into_storages();
    storage
        .top
        .insert(well_known_keys::CODE.to_vec(), wasm()?.to_vec());
    Ok(Some(storage))
}

fn from_preset(chain: &Named) -> Result<ChainSpec, String> {
    Ok(ChainSpec::builder(wasm()?, Extensions::default())
        .with_name(chain.title)
        .with_id(chain.id)
        .with_chain_type(chain.chain_type.clone())
        .with_protocol_id(chain.protocol)
        .with_properties(properties())
        .with_genesis_config_patch(preset(Some(chain.preset))?)
        .build())
}

/// What wallets show amounts and addresses by.
fn properties() -> Properties {
    let mut properties = Properties::new();
    properties.insert("tokenSymbol".into(), "OPEN".into());
    properties.insert("tokenDecimals".into(), 18.into());
    properties.insert("ss58Format".into(), 42.into());
    properties
}

fn from_file(path: &Path) -> Result<ChainSpec, String> {
    let shown = path.display();
    let file = File::open(path).map_err(|error| {
        format!("no chain spec at {shown} ({error}): --chain takes {NAMES} or the path of a chain spec file")
    })?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(format!(
            "{shown} is not a file: --chain takes {NAMES} or the path of a chain spec file"
        ));
    }
    let outline: Outline = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| format!("{shown} is not a chain spec: {error}"))?;
    outline
        .check()
        .map_err(|problem| format!("{shown} cannot start a chain: {problem}"))?;
    ChainSpec::from_json_file(PathBuf::from(path))
        .map_err(|error| format!("{shown} is not a chain spec of this node: {error}"))
}

/// The parts of a spec file without which no block can be made, read first because the SDK finds out late.
#[derive(Deserialize)]
struct Outline {
    genesis: GenesisOutline,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum GenesisOutline {
    Raw(RawOutline),
    RuntimeGenesis(RuntimeOutline),
    StateRootHash(IgnoredAny),
}

#[derive(Deserialize)]
struct RawOutline {
    top: HashMap<String, IgnoredAny>,
}

#[derive(Deserialize)]
struct RuntimeOutline {
    #[serde(default)]
    code: String,
}

/// Where state keeps the runtime: `:code` in hex.
const CODE_KEY: &str = "0x3a636f6465";

impl Outline {
    fn check(&self) -> Result<(), &'static str> {
        match &self.genesis {
            GenesisOutline::Raw(raw) if raw.top.contains_key(CODE_KEY) => Ok(()),
            GenesisOutline::Raw(_) => {
                Err("genesis.raw.top has no runtime (key 0x3a636f6465); export the spec again with --raw")
            }
            GenesisOutline::RuntimeGenesis(genesis) if genesis.code.len() > "0x".len() => Ok(()),
            GenesisOutline::RuntimeGenesis(_) => {
                Err("genesis.runtimeGenesis.code is empty; export the spec again")
            }
            GenesisOutline::StateRootHash(_) => Err(
                "it holds only the genesis state's hash, which serves light clients; \
                                                     export the spec again with --raw",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(name: &str, content: &str) -> String {
        let path = std::env::temp_dir().join(format!("openledger-spec-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        let result = load(path.to_str().unwrap()).map(|_| ()).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        result
    }

    #[test]
    fn each_name_should_load_with_its_own_id_and_protocol() {
        let mut ids = std::collections::HashSet::new();
        for name in ["dev", "local", "testnet", "main"] {
            let spec = load(name).unwrap();
            assert!(
                ids.insert(spec.id().to_string()),
                "{name} shares a directory with another chain"
            );
            assert!(spec.protocol_id().is_some());
            assert_eq!(spec.properties().get("tokenDecimals"), Some(&18.into()));
        }
    }

    #[test]
    fn genesis_should_be_what_the_wasm_makes_of_the_preset() {
        for name in ["dev", "local", "testnet", "main"] {
            let named = genesis_state(name).unwrap().unwrap();
            let spec = load(name).unwrap();
            let built = spec.as_storage_builder().build_storage().unwrap();
            assert!(named.top == built.top, "{name}");
            assert!(named.children_default.is_empty() && built.children_default.is_empty());
        }
        assert!(genesis_state("/a/path").unwrap().is_none());
    }

    #[test]
    fn live_chains_should_be_typed_so() {
        for (name, chain_type) in [
            ("dev", ChainType::Development),
            ("local", ChainType::Local),
            ("testnet", ChainType::Live),
            ("main", ChainType::Live),
        ] {
            assert_eq!(load(name).unwrap().chain_type(), chain_type);
        }
    }

    #[test]
    fn bad_spec_files_should_be_told_apart() {
        assert!(load("").map(|_| ()).unwrap_err().contains("no chain given"));
        assert!(load("/no/such/spec.json")
            .map(|_| ())
            .unwrap_err()
            .contains("no chain spec at"));
        assert!(load("/").map(|_| ()).unwrap_err().contains("not a file"));
        assert!(problem("text", "hello").contains("not a chain spec"));
        assert!(
            problem("empty", r#"{"genesis":{"raw":{"top":{},"childrenDefault":{}}}}"#).contains("no runtime")
        );
        assert!(
            problem("nocode", r#"{"genesis":{"runtimeGenesis":{"patch":{}}}}"#).contains("code is empty")
        );
        assert!(problem("light", r#"{"genesis":{"stateRootHash":"0x00"}}"#)
            .contains("only the genesis state's hash"));
    }

    #[test]
    fn a_spec_should_survive_its_own_json() {
        let spec = load("local").unwrap();
        let json = spec.as_json(true).unwrap();
        let again = ChainSpec::from_json_bytes(json.into_bytes()).unwrap();
        assert_eq!(again.id(), spec.id());
        assert!(again.extensions().light_sync_state.is_none());
    }
}
