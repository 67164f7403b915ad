//! The node and its network.

use super::Eth;
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
};
use pallet_revive::evm::{Bytes, H256, U256};
use serde_json::{json, Value};
use sp_core::{Hasher, KeccakHasher};

/// Blocks the index may lag behind the node before it counts as syncing.
const LAG: u32 = 16;

#[rpc(server)]
pub(crate) trait NetApi {
    /// EIP-155 chain id.
    #[method(name = "eth_chainId")]
    async fn chain_id(&self) -> RpcResult<U256>;

    /// The chain id in decimal.
    #[method(name = "net_version")]
    async fn version(&self) -> RpcResult<String>;

    /// Whether the node takes part in the network.
    #[method(name = "net_listening")]
    async fn listening(&self) -> RpcResult<bool>;

    /// Connected peers.
    #[method(name = "net_peerCount")]
    async fn peer_count(&self) -> RpcResult<U256>;

    /// False, or how far the node is.
    #[method(name = "eth_syncing")]
    async fn syncing(&self) -> RpcResult<Value>;

    /// Name and version of the node.
    #[method(name = "web3_clientVersion")]
    async fn client_version(&self) -> RpcResult<String>;

    /// Keccak-256.
    #[method(name = "web3_sha3")]
    async fn sha3(&self, data: Bytes) -> RpcResult<H256>;

    /// Transactions in the pool: ready ones and ones that wait for another.
    #[method(name = "txpool_status")]
    async fn pool_status(&self) -> RpcResult<Value>;
}

#[async_trait]
impl NetApiServer for Eth {
    async fn chain_id(&self) -> RpcResult<U256> {
        self.run(|eth| eth.chain_id().map(U256::from)).await
    }

    async fn version(&self) -> RpcResult<String> {
        self.run(|eth| eth.chain_id().map(|id| id.to_string())).await
    }

    async fn listening(&self) -> RpcResult<bool> {
        Ok(true)
    }

    async fn peer_count(&self) -> RpcResult<U256> {
        Ok(U256::from(self.inner.network.peers()))
    }

    async fn syncing(&self) -> RpcResult<Value> {
        let best = self.inner.chain.tips().best_number;
        let indexed = self.inner.head.borrow().map(|head| head.number);
        let lags = indexed.is_none_or(|indexed| indexed.saturating_add(LAG) < best);
        if !lags && !self.inner.network.is_syncing() {
            return Ok(Value::Bool(false));
        }
        let highest = self.inner.network.highest().await.unwrap_or(best).max(best);
        Ok(json!({
            "startingBlock": U256::zero(),
            "currentBlock": U256::from(indexed.unwrap_or_default()),
            "highestBlock": U256::from(highest),
        }))
    }

    async fn client_version(&self) -> RpcResult<String> {
        Ok(self.inner.client_version.clone())
    }

    async fn sha3(&self, data: Bytes) -> RpcResult<H256> {
        Ok(KeccakHasher::hash(&data.0))
    }

    async fn pool_status(&self) -> RpcResult<Value> {
        let (ready, waiting) = self.inner.pool.counts();
        Ok(json!({ "pending": U256::from(ready), "queued": U256::from(waiting) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TestNode, CHAIN_ID};

    #[tokio::test]
    async fn node_should_name_itself_and_its_chain() {
        let node = TestNode::new();
        node.sync();
        let eth = node.eth();
        assert_eq!(NetApiServer::chain_id(&eth).await.unwrap(), U256::from(CHAIN_ID));
        assert_eq!(eth.version().await.unwrap(), CHAIN_ID.to_string());
        assert!(eth
            .client_version()
            .await
            .unwrap()
            .starts_with("openledger-node/"));
        // Keccak-256 of nothing.
        let empty = eth.sha3(Bytes(vec![])).await.unwrap();
        assert!(format!("{empty:?}").starts_with("0xc5d2460186f7233c"));
    }

    #[tokio::test]
    async fn syncing_should_be_false_or_tell_how_far_the_index_is() {
        let node = TestNode::new();
        node.sync();
        let eth = node.eth();
        assert_eq!(eth.syncing().await.unwrap(), json!(false));
        node.chain.add_empty(LAG);
        assert_eq!(eth.syncing().await.unwrap(), json!(false));
        node.chain.add(vec![]);
        assert_eq!(
            eth.syncing().await.unwrap()["highestBlock"],
            json!(U256::from(LAG + 1))
        );
        node.sync();
        assert_eq!(eth.syncing().await.unwrap(), json!(false));
        node.network.set_syncing(500);
        assert_eq!(
            eth.syncing().await.unwrap()["highestBlock"],
            json!(U256::from(500))
        );
        assert_eq!(
            eth.syncing().await.unwrap()["currentBlock"],
            json!(U256::from(LAG + 1))
        );
    }
}
