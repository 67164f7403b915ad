//! What the RPC asks of the node it lives in: the chain, the transaction pool and the network, each behind a trait so
//! that everything above can be tested without a node.

use crate::{
    error::CallError,
    layout::{Layout, METADATA_VERSION},
};
use futures::{stream::BoxStream, StreamExt};
use hex_literal::hex;
use jsonrpsee::core::async_trait;
use pallet_revive::{
    evm::{H160, H256, U256},
    ContractAccessError, EthTransactError, ReviveApi,
};
use pallet_revive_types::runtime_api::{
    BlockV1, DryRunConfigV1, EthTransactInfoV1, GenericTransactionV1, ReceiptGasInfoV1, StateOverrideSetV1,
    TraceV1, TracerTypeV1, TracingConfigV1,
};
use sc_client_api::{BlockBackend, BlockchainEvents};
use sc_network_sync::SyncingService;
use sc_transaction_pool_api::{
    error::{Error as PoolError, IntoPoolError},
    InPoolTransaction, TransactionPool, TransactionSource,
};
use sp_api::{CallApiAt, Metadata, ProvideRuntimeApi};
use sp_blockchain::HeaderBackend;
use sp_consensus::SyncOracle;
use sp_core::traits::CallContext;
use sp_runtime::{
    generic, traits::BlakeTwo256, transaction_validity::InvalidTransaction, AccountId32, OpaqueExtrinsic,
};
use sp_state_machine::Backend as StateBackend;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Header of the node's blocks.
pub type Header = generic::Header<u32, BlakeTwo256>;
/// Block type of the node: 32-bit numbers, BLAKE2b-256, opaque extrinsics.
pub type Block = generic::Block<Header, OpaqueExtrinsic>;

/// Storage key of `System.Events`.
const EVENTS: [u8; 32] = hex!("26aa394eea5630e07c48ae0c9558cef780d41e5e16056765bc8461851072c9d7");

/// The ends of the chain, as the node knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tips {
    pub(crate) best_number: u32,
    pub(crate) best_hash: H256,
    pub(crate) finalized_number: u32,
    pub(crate) finalized_hash: H256,
}

/// How a call is simulated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Simulation {
    /// Milliseconds since 1970 that the contract sees, when not the block's.
    pub(crate) now: Option<u64>,
    /// Whether the sender must be able to pay for the gas.
    pub(crate) pay_for_gas: bool,
    /// State to change first.
    pub(crate) overrides: Option<StateOverrideSetV1>,
}

/// The chain. Blocks are named by the node's own hash. Calls block and may take as long as a block's execution.
///
/// A runtime call fails with an internal error when the state is gone: ask [`Chain::has_state`] first.
pub(crate) trait Chain: Send + Sync + 'static {
    /// Best and finalised block.
    fn tips(&self) -> Tips;
    /// Hash of the block of the best chain at `number`.
    fn canonical(&self, number: u32) -> Result<Option<H256>, CallError>;
    /// Number and parent of a block.
    fn parent(&self, hash: H256) -> Result<Option<(u32, H256)>, CallError>;
    /// Whether the state after the block can be read.
    fn has_state(&self, hash: H256) -> bool;
    /// The block's extrinsics without length prefixes, `None` when its body was pruned.
    fn body(&self, hash: H256) -> Result<Option<Vec<Vec<u8>>>, CallError>;
    /// The block's encoded events.
    fn events(&self, hash: H256) -> Result<Vec<u8>, CallError>;
    /// How the runtime in the state after `hash`, which executes the block's children, lays its data out.
    fn layout(&self, hash: H256) -> Result<Arc<Layout>, CallError>;
    /// The Ethereum block with the hashes of its transactions.
    fn eth_block(&self, hash: H256) -> Result<BlockV1, CallError>;
    /// Gas used and price of each Ethereum transaction of the block.
    fn receipt_data(&self, hash: H256) -> Result<Vec<ReceiptGasInfoV1>, CallError>;
    /// Balance in wei that can be spent.
    fn balance(&self, hash: H256, address: H160) -> Result<U256, CallError>;
    /// Next nonce.
    fn nonce(&self, hash: H256, address: H160) -> Result<u32, CallError>;
    /// Contract code.
    fn code(&self, hash: H256, address: H160) -> Result<Vec<u8>, CallError>;
    /// A contract's storage slot; `None` if unset or no contract.
    fn storage(&self, hash: H256, address: H160, slot: [u8; 32]) -> Result<Option<Vec<u8>>, CallError>;
    /// Base fee of the block after `hash`, wei per gas.
    fn gas_price(&self, hash: H256) -> Result<U256, CallError>;
    /// The native account behind an address.
    fn account_id(&self, hash: H256, address: H160) -> Result<AccountId32, CallError>;
    /// Executes without keeping anything.
    fn dry_run(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        how: Simulation,
    ) -> Result<Result<EthTransactInfoV1<u128>, EthTransactError>, CallError>;
    /// Smallest gas limit, within 1.5%, with which the dry run succeeds.
    fn estimate(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        how: Simulation,
    ) -> Result<Result<U256, EthTransactError>, CallError>;
    /// Executes the block again up to extrinsic `index` and traces that one.
    fn trace_transaction(
        &self,
        hash: H256,
        index: u32,
        tracer: TracerTypeV1,
    ) -> Result<Option<TraceV1>, CallError>;
    /// Executes the block again and traces every Ethereum transaction: extrinsic index and trace.
    fn trace_block(&self, hash: H256, tracer: TracerTypeV1) -> Result<Vec<(u32, TraceV1)>, CallError>;
    /// Traces a simulated call.
    fn trace_call(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        tracer: TracerTypeV1,
        overrides: Option<StateOverrideSetV1>,
    ) -> Result<Result<TraceV1, EthTransactError>, CallError>;
    /// Fires when best or finalised block may have changed. May miss changes while the node syncs.
    fn changes(&self) -> BoxStream<'static, ()>;
}

/// Why the pool refused a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its nonce was used.
    Stale,
    /// The account cannot pay, or offers too little for it.
    Payment,
    /// It asks for more than a block can hold.
    TooLarge,
    /// The signature does not fit.
    Signature,
    /// Another one with this nonce is there and not worth less.
    Underpriced,
    /// It is there already.
    Known,
    /// The pool is full.
    Full,
    /// It was refused or dropped a short while ago.
    Banned,
    /// Anything else, in the pool's words.
    Other(String),
}

/// The transaction pool.
#[async_trait]
pub(crate) trait Pool: Send + Sync + 'static {
    /// Validates an extrinsic (without length prefix) on top of `at` and adds it.
    async fn submit(&self, at: H256, extrinsic: Vec<u8>) -> Result<(), Refusal>;
    /// The tags that transactions ready for the next block provide; a nonce's is `(account, nonce)` encoded.
    fn provided(&self) -> HashSet<Vec<u8>>;
    /// The first ready transaction whose bytes (without length prefix) `wanted` accepts.
    fn find(&self, wanted: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>>;
    /// The bytes of transactions as they become ready.
    fn arrivals(&self) -> BoxStream<'static, Vec<u8>>;
    /// Number of ready and of waiting transactions.
    fn counts(&self) -> (usize, usize);
}

/// The network.
#[async_trait]
pub(crate) trait Network: Send + Sync + 'static {
    /// Whether the node is far behind its peers.
    fn is_syncing(&self) -> bool;
    /// Connected peers.
    fn peers(&self) -> usize;
    /// Highest block that a peer has announced.
    async fn highest(&self) -> Option<u32>;
}

/// [`Chain`] over the node's client.
pub(crate) struct ClientChain<C> {
    client: Arc<C>,
    /// By the runtime's spec version.
    layouts: Mutex<HashMap<u32, Arc<Layout>>>,
}

impl<C> ClientChain<C> {
    pub(crate) fn new(client: Arc<C>) -> Self {
        Self {
            client,
            layouts: Mutex::default(),
        }
    }
}

#[allow(deprecated)] // The unversioned calls have the same types and are served by every version of the runtime.
impl<C> Chain for ClientChain<C>
where
    C: ProvideRuntimeApi<Block>
        + CallApiAt<Block>
        + HeaderBackend<Block>
        + BlockBackend<Block>
        + BlockchainEvents<Block>
        + Send
        + Sync
        + 'static,
    C::Api: Metadata<Block> + ReviveApi<Block, AccountId32, u128, u32, u32, u64>,
{
    fn tips(&self) -> Tips {
        let info = self.client.info();
        Tips {
            best_number: info.best_number,
            best_hash: info.best_hash,
            finalized_number: info.finalized_number,
            finalized_hash: info.finalized_hash,
        }
    }

    fn canonical(&self, number: u32) -> Result<Option<H256>, CallError> {
        self.client.hash(number).map_err(CallError::internal)
    }

    fn parent(&self, hash: H256) -> Result<Option<(u32, H256)>, CallError> {
        let header = self.client.header(hash).map_err(CallError::internal)?;
        Ok(header.map(|header| (header.number, header.parent_hash)))
    }

    fn has_state(&self, hash: H256) -> bool {
        self.client.state_at(hash).is_ok()
    }

    fn body(&self, hash: H256) -> Result<Option<Vec<Vec<u8>>>, CallError> {
        let body = self.client.block_body(hash).map_err(CallError::internal)?;
        Ok(body.map(|extrinsics| {
            extrinsics
                .iter()
                .map(|extrinsic| extrinsic.inner().to_vec())
                .collect()
        }))
    }

    fn events(&self, hash: H256) -> Result<Vec<u8>, CallError> {
        let state = self.client.state_at(hash).map_err(CallError::internal)?;
        let events = state
            .storage(&EVENTS)
            .map_err(|error| CallError::internal(format!("{error:?}")))?;
        // No value means an empty list, whose encoding is its length of zero.
        Ok(events.unwrap_or_else(|| vec![0]))
    }

    fn layout(&self, hash: H256) -> Result<Arc<Layout>, CallError> {
        let version = self
            .client
            .runtime_version_at(hash, CallContext::Offchain)
            .map_err(CallError::internal)?
            .spec_version;
        if let Some(layout) = self
            .layouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&version)
        {
            return Ok(layout.clone());
        }
        let metadata = self
            .client
            .runtime_api()
            .metadata_at_version(hash, METADATA_VERSION)
            .map_err(CallError::internal)?
            .ok_or_else(|| {
                CallError::internal(format!("the runtime has no metadata version {METADATA_VERSION}"))
            })?;
        let layout = Arc::new(Layout::from_metadata(&metadata).map_err(CallError::internal)?);
        self.layouts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(version, layout.clone());
        Ok(layout)
    }

    fn eth_block(&self, hash: H256) -> Result<BlockV1, CallError> {
        self.client
            .runtime_api()
            .eth_block(hash)
            .map_err(CallError::internal)
    }

    fn receipt_data(&self, hash: H256) -> Result<Vec<ReceiptGasInfoV1>, CallError> {
        self.client
            .runtime_api()
            .eth_receipt_data(hash)
            .map_err(CallError::internal)
    }

    fn balance(&self, hash: H256, address: H160) -> Result<U256, CallError> {
        self.client
            .runtime_api()
            .balance(hash, address)
            .map_err(CallError::internal)
    }

    fn nonce(&self, hash: H256, address: H160) -> Result<u32, CallError> {
        self.client
            .runtime_api()
            .nonce(hash, address)
            .map_err(CallError::internal)
    }

    fn code(&self, hash: H256, address: H160) -> Result<Vec<u8>, CallError> {
        self.client
            .runtime_api()
            .code(hash, address)
            .map_err(CallError::internal)
    }

    fn storage(&self, hash: H256, address: H160, slot: [u8; 32]) -> Result<Option<Vec<u8>>, CallError> {
        match self
            .client
            .runtime_api()
            .get_storage(hash, address, slot)
            .map_err(CallError::internal)?
        {
            Ok(value) => Ok(value),
            Err(ContractAccessError::DoesntExist) => Ok(None),
            Err(error) => Err(CallError::internal(format!(
                "storage of {address:?} cannot be read: {error:?}"
            ))),
        }
    }

    fn gas_price(&self, hash: H256) -> Result<U256, CallError> {
        self.client
            .runtime_api()
            .gas_price(hash)
            .map_err(CallError::internal)
    }

    fn account_id(&self, hash: H256, address: H160) -> Result<AccountId32, CallError> {
        self.client
            .runtime_api()
            .account_id(hash, address)
            .map_err(CallError::internal)
    }

    fn dry_run(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        how: Simulation,
    ) -> Result<Result<EthTransactInfoV1<u128>, EthTransactError>, CallError> {
        let config = DryRunConfigV1 {
            timestamp_override: how.now,
            perform_balance_checks: Some(how.pay_for_gas),
            state_overrides: how.overrides,
        };
        self.client
            .runtime_api()
            .eth_transact_with_config(hash, call, config)
            .map_err(CallError::internal)
    }

    fn estimate(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        how: Simulation,
    ) -> Result<Result<U256, EthTransactError>, CallError> {
        let config = DryRunConfigV1 {
            timestamp_override: how.now,
            perform_balance_checks: Some(how.pay_for_gas),
            state_overrides: how.overrides,
        };
        self.client
            .runtime_api()
            .eth_estimate_gas(hash, call, config)
            .map_err(CallError::internal)
    }

    fn trace_transaction(
        &self,
        hash: H256,
        index: u32,
        tracer: TracerTypeV1,
    ) -> Result<Option<TraceV1>, CallError> {
        let block = self.full_block(hash)?;
        let parent = block.header.parent_hash;
        self.client
            .runtime_api()
            .trace_tx(parent, block, index, tracer)
            .map_err(CallError::internal)
    }

    fn trace_block(&self, hash: H256, tracer: TracerTypeV1) -> Result<Vec<(u32, TraceV1)>, CallError> {
        let block = self.full_block(hash)?;
        let parent = block.header.parent_hash;
        self.client
            .runtime_api()
            .trace_block(parent, block, tracer)
            .map_err(CallError::internal)
    }

    fn trace_call(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        tracer: TracerTypeV1,
        overrides: Option<StateOverrideSetV1>,
    ) -> Result<Result<TraceV1, EthTransactError>, CallError> {
        let config = TracingConfigV1 {
            state_overrides: overrides,
        };
        self.client
            .runtime_api()
            .trace_call_with_config(hash, call, tracer, config)
            .map_err(CallError::internal)
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        let imported = self.client.import_notification_stream().map(drop);
        let finalized = self.client.finality_notification_stream().map(drop);
        futures::stream::select(imported, finalized).boxed()
    }
}

impl<C: BlockBackend<Block>> ClientChain<C> {
    fn full_block(&self, hash: H256) -> Result<Block, CallError> {
        let block = self.client.block(hash).map_err(CallError::internal)?;
        Ok(block
            .ok_or_else(|| CallError::server("the block's transactions are not on this node (pruned)"))?
            .block)
    }
}

/// [`Pool`] over the node's transaction pool.
pub(crate) struct NodePool<P>(pub(crate) Arc<P>);

#[async_trait]
impl<P> Pool for NodePool<P>
where
    P: TransactionPool<Block = Block, Hash = H256> + 'static,
{
    async fn submit(&self, at: H256, extrinsic: Vec<u8>) -> Result<(), Refusal> {
        let extrinsic = OpaqueExtrinsic::from_blob(extrinsic);
        match self
            .0
            .submit_one(at, TransactionSource::External, extrinsic)
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => Err(match error.into_pool_error() {
                Ok(error) => refusal(error),
                Err(error) => Refusal::Other(error.to_string()),
            }),
        }
    }

    fn provided(&self) -> HashSet<Vec<u8>> {
        self.0
            .ready()
            .flat_map(|transaction| transaction.provides().to_vec())
            .collect()
    }

    fn find(&self, wanted: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        self.0
            .ready()
            .find(|transaction| wanted(transaction.data().inner()))
            .map(|transaction| transaction.data().inner().to_vec())
    }

    fn arrivals(&self) -> BoxStream<'static, Vec<u8>> {
        let pool = self.0.clone();
        self.0
            .import_notification_stream()
            .filter_map(move |hash| {
                let transaction = pool.ready_transaction(&hash);
                std::future::ready(transaction.map(|transaction| transaction.data().inner().to_vec()))
            })
            .boxed()
    }

    fn counts(&self) -> (usize, usize) {
        let status = self.0.status();
        (status.ready, status.future)
    }
}

fn refusal(error: PoolError) -> Refusal {
    match error {
        PoolError::InvalidTransaction(invalid) => match invalid {
            InvalidTransaction::Stale => Refusal::Stale,
            InvalidTransaction::Payment => Refusal::Payment,
            InvalidTransaction::ExhaustsResources => Refusal::TooLarge,
            InvalidTransaction::BadProof | InvalidTransaction::BadSigner => Refusal::Signature,
            other => Refusal::Other(format!("the runtime refuses the transaction: {other:?}")),
        },
        PoolError::AlreadyImported(_) => Refusal::Known,
        PoolError::TooLowPriority { .. } => Refusal::Underpriced,
        PoolError::ImmediatelyDropped => Refusal::Full,
        PoolError::TemporarilyBanned => Refusal::Banned,
        other => Refusal::Other(other.to_string()),
    }
}

#[async_trait]
impl Network for SyncingService<Block> {
    fn is_syncing(&self) -> bool {
        self.is_major_syncing()
    }

    fn peers(&self) -> usize {
        self.num_connected_peers()
    }

    async fn highest(&self) -> Option<u32> {
        self.status().await.ok()?.best_seen_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_key_should_be_that_of_system_events() {
        assert_eq!(EVENTS[..16], sp_io::hashing::twox_128(b"System"));
        assert_eq!(EVENTS[16..], sp_io::hashing::twox_128(b"Events"));
    }

    #[test]
    fn refusals_should_keep_what_clients_tell_apart() {
        use sc_transaction_pool_api::error::Error;
        assert_eq!(
            refusal(Error::InvalidTransaction(InvalidTransaction::Stale)),
            Refusal::Stale
        );
        assert_eq!(
            refusal(Error::InvalidTransaction(InvalidTransaction::Payment)),
            Refusal::Payment
        );
        assert_eq!(
            refusal(Error::TooLowPriority { old: 1, new: 1 }),
            Refusal::Underpriced
        );
        assert_eq!(refusal(Error::AlreadyImported(Box::new(()))), Refusal::Known);
        assert_eq!(refusal(Error::TemporarilyBanned), Refusal::Banned);
        assert!(matches!(refusal(Error::CycleDetected), Refusal::Other(_)));
    }
}
