//! JSON-RPC methods beside those every SDK node has (system, chain, state, author, offchain, chainHead, archive).

use crate::{
    sealing::Command,
    service::{Backend, Block, Client, Pool, SelectChain},
    worker,
};
use futures::channel::mpsc;
use jsonrpsee::RpcModule;
use openledger_runtime::{BlockNumber, Hash};
use pallet_transaction_payment_rpc::{TransactionPayment, TransactionPaymentApiServer};
use sc_consensus_babe::BabeWorkerHandle;
use sc_consensus_babe_rpc::{Babe, BabeApiServer};
use sc_consensus_grandpa::{
    FinalityProofProvider, GrandpaJustificationStream, SharedAuthoritySet, SharedVoterState,
};
use sc_consensus_grandpa_rpc::{Grandpa, GrandpaApiServer};
use sc_consensus_manual_seal::rpc::{ManualSeal, ManualSealApiServer};
use sc_rpc::{
    dev::{Dev, DevApiServer},
    SubscriptionTaskExecutor,
};
use sc_service::ChainSpec;
use sc_sync_state_rpc::{SyncState, SyncStateApiServer};
use sp_keystore::KeystorePtr;
use std::{error::Error, sync::Arc};
use substrate_frame_rpc_system::{System, SystemApiServer};

/// What the methods need.
pub(crate) struct Parts {
    /// The node's client.
    pub(crate) client: Arc<Client>,
    /// The node's transaction pool.
    pub(crate) pool: Arc<Pool>,
    /// Picks the best block.
    pub(crate) select_chain: SelectChain,
    /// Exported by `sync_state_genSyncSpec`.
    pub(crate) chain_spec: Box<dyn ChainSpec>,
    /// Tells `babe_epochAuthorship` whose slots to list, and `worker_resultKey` its key.
    pub(crate) keystore: KeystorePtr,
    /// Answers questions about BABE's epochs.
    pub(crate) babe_worker: BabeWorkerHandle<Block>,
    /// GRANDPA's running rounds.
    pub(crate) voter_state: SharedVoterState,
    /// GRANDPA's authorities.
    pub(crate) authority_set: SharedAuthoritySet<Hash, BlockNumber>,
    /// GRANDPA's justifications as they come.
    pub(crate) justifications: GrandpaJustificationStream<Block>,
    /// Proves finality of old blocks.
    pub(crate) finality_proofs: Arc<FinalityProofProvider<Backend, Block>>,
    /// Where `engine_createBlock` sends its requests; only with `--sealing manual`.
    pub(crate) requests: Option<mpsc::Sender<Command>>,
    /// Whether this node is paired with a worker, which brings `worker_resultKey`.
    pub(crate) paired: bool,
    /// Whether this is the development chain, which gets `dev_getBlockStats`.
    pub(crate) development: bool,
    /// Runs subscriptions.
    pub(crate) executor: SubscriptionTaskExecutor,
}

/// The methods as one module.
///
/// # Errors
///
/// If two methods have one name, or the chain spec has no room for a sync state: both are faults of this program.
pub(crate) fn module(parts: Parts) -> Result<RpcModule<()>, Box<dyn Error + Send + Sync>> {
    let Parts {
        client,
        pool,
        select_chain,
        chain_spec,
        keystore,
        babe_worker,
        voter_state,
        authority_set,
        justifications,
        finality_proofs,
        requests,
        paired,
        development,
        executor,
    } = parts;
    let mut module = RpcModule::new(());
    if paired {
        module.merge(worker::rpc(keystore.clone())?)?;
    }
    module.merge(System::<Pool, Client, Block>::new(client.clone(), pool).into_rpc())?;
    module.merge(TransactionPayment::<Client, Block>::new(client.clone()).into_rpc())?;
    module.merge(Babe::new(client.clone(), babe_worker.clone(), keystore, select_chain).into_rpc())?;
    module.merge(
        Grandpa::new(
            executor,
            authority_set.clone(),
            voter_state,
            justifications,
            finality_proofs,
        )
        .into_rpc(),
    )?;
    module.merge(SyncState::new(chain_spec, client.clone(), authority_set, babe_worker)?.into_rpc())?;
    if let Some(requests) = requests {
        module.merge(ManualSeal::<Hash>::new(requests).into_rpc())?;
    }
    if development {
        module.merge(Dev::<Block, Client>::new(client).into_rpc())?;
    }
    Ok(module)
}
