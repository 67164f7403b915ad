//! Calls into a runtime's wasm.

use crate::{state::State, time};
use codec::{Decode, Encode};
use sc_executor::{sp_wasm_interface::ExtendedHostFunctions, WasmExecutor};
use sp_core::{
    offchain::{
        testing::{TestOffchainExt, TestTransactionPoolExt},
        OffchainDbExt, OffchainWorkerExt, TransactionPoolExt,
    },
    traits::{CallContext, ReadRuntimeVersionExt, RuntimeCode, WrappedRuntimeCode},
    Hasher,
};
use sp_externalities::Extensions;
use sp_keystore::{testing::MemoryKeystore, KeystoreExt};
use sp_state_machine::{OverlayedChanges, StateMachine};
use sp_storage::Storage;
use std::path::Path;

type HostFunctions = ExtendedHostFunctions<
    (
        sp_io::SubstrateHostFunctions,
        frame_benchmarking::benchmarking::HostFunctions,
    ),
    time::benchmarking::HostFunctions,
>;

/// A runtime's code with what executes it.
pub(crate) struct Wasm {
    code: Vec<u8>,
    hash: Vec<u8>,
    executor: WasmExecutor<HostFunctions>,
}

impl Wasm {
    /// Reads `path`, compressed or not.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let code =
            std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let hash = sp_core::Blake2Hasher::hash(&code).as_bytes().to_vec();
        Ok(Wasm {
            code,
            hash,
            executor: WasmExecutor::builder().build(),
        })
    }

    /// What `method` answers to `args` on `state`.
    pub(crate) fn call<R: Decode>(&self, state: &State, method: &str, args: &[u8]) -> Result<R, String> {
        self.run(state, &mut OverlayedChanges::default(), method, args)
    }

    fn run<R: Decode>(
        &self,
        state: &State,
        overlay: &mut OverlayedChanges<sp_runtime::traits::BlakeTwo256>,
        method: &str,
        args: &[u8],
    ) -> Result<R, String> {
        let fetcher = WrappedRuntimeCode((&self.code[..]).into());
        let code = RuntimeCode {
            code_fetcher: &fetcher,
            heap_pages: None,
            hash: self.hash.clone(),
        };
        let mut extensions = self.extensions();
        let answer = StateMachine::new(
            state,
            overlay,
            &self.executor,
            method,
            args,
            &mut extensions,
            &code,
            CallContext::Offchain,
        )
        .execute()
        .map_err(|error| format!("{method} failed: {error}"))?;
        R::decode(&mut &answer[..])
            .map_err(|error| format!("{method} answered what is not its type: {error}"))
    }

    /// What a benchmark may use besides the state.
    fn extensions(&self) -> Extensions {
        let mut extensions = Extensions::default();
        let (offchain, _) = TestOffchainExt::new();
        let (pool, _) = TestTransactionPoolExt::new();
        extensions.register(KeystoreExt::new(MemoryKeystore::new()));
        extensions.register(OffchainWorkerExt::new(offchain.clone()));
        extensions.register(OffchainDbExt::new(offchain));
        extensions.register(TransactionPoolExt::new(pool));
        extensions.register(ReadRuntimeVersionExt::new(self.executor.clone()));
        extensions
    }

    /// The genesis that the runtime builds from its preset `name`.
    pub(crate) fn genesis(&self, name: &str) -> Result<Storage, String> {
        let empty = State::new(Storage::default(), false);
        let preset = |id: Option<&str>| -> Result<serde_json::Value, String> {
            let json: Option<Vec<u8>> = self.call(&empty, "GenesisBuilder_get_preset", &id.encode())?;
            let json = json.ok_or_else(|| format!("the runtime has no preset {id:?}"))?;
            serde_json::from_slice(&json).map_err(|error| format!("preset {id:?} is not JSON: {error}"))
        };
        let mut config = preset(None)?;
        merge(&mut config, preset(Some(name))?);
        let json = serde_json::to_vec(&config).map_err(|error| error.to_string())?;
        let mut overlay = OverlayedChanges::default();
        self.run::<Result<(), String>>(&empty, &mut overlay, "GenesisBuilder_build_state", &json.encode())?
            .map_err(|error| format!("the preset {name} is refused: {error}"))?;
        let mut genesis = Storage::default();
        for (key, value) in overlay.changes_mut() {
            if let Some(value) = value.value() {
                genesis.top.insert(key.clone(), value.to_vec());
            }
        }
        Ok(genesis)
    }
}

/// Lays `patch` over `config`, field by field; `null` takes a field away.
fn merge(config: &mut serde_json::Value, patch: serde_json::Value) {
    match (config, patch) {
        (serde_json::Value::Object(config), serde_json::Value::Object(patch)) => {
            for (key, value) in patch {
                if value.is_null() {
                    config.remove(&key);
                } else {
                    merge(config.entry(key).or_insert(serde_json::Value::Null), value);
                }
            }
        }
        (config, patch) => *config = patch,
    }
}
