//! The Ethereum JSON-RPC, run inside the node.

use crate::cli::EthParams;
use std::path::Path;

pub(crate) use openledger_eth_rpc::{EthRpcConfig, NodeParts};

/// Directory of the Ethereum index inside the chain's directory.
pub(crate) const DIRECTORY: &str = "eth";

/// The configuration that the flags ask for.
///
/// `chain_directory` holds the chain's database; `development` unlocks the well-known Ethereum accounts.
pub(crate) fn config(params: &EthParams, chain_directory: &Path, development: bool) -> EthRpcConfig {
    EthRpcConfig {
        listen: params.listen(),
        db_dir: chain_directory.join(DIRECTORY),
        cors: match &params.eth_rpc_cors {
            // No origin at all: pages in a browser cannot call.
            None => Some(Vec::new()),
            Some(cors) => cors.clone().into(),
        },
        max_connections: params.eth_rpc_max_connections,
        max_request_size_mb: params.eth_rpc_max_request_size,
        max_response_size_mb: params.eth_rpc_max_response_size,
        max_batch: params.eth_rpc_max_batch,
        rate_limit_per_minute: params.rate_limit(),
        dev_accounts: development,
        pruning: params.eth_rpc_keep_blocks,
        max_log_blocks: params.eth_rpc_max_log_blocks,
        max_logs: params.eth_rpc_max_logs,
        max_filters: params.eth_rpc_max_filters,
        ..Default::default()
    }
}
