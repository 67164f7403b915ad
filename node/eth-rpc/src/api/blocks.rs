//! Blocks, and what is in them.

use super::{Eth, Inner, Point};
use crate::{
    error::CallError,
    extract::EthBlock,
    types::{block_json, transaction_json, BlockRef, Quantity, Receipt},
};
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
};
use pallet_revive::evm::{H256, U256};
use serde_json::Value;

#[rpc(server)]
pub(crate) trait BlocksApi {
    /// Height of the newest block.
    #[method(name = "eth_blockNumber")]
    async fn block_number(&self) -> RpcResult<U256>;

    /// A block, with hashes of its transactions or (`full`) the transactions; null if there is none.
    #[method(name = "eth_getBlockByNumber")]
    async fn block_by_number(&self, at: BlockRef, full: Option<bool>) -> RpcResult<Option<Value>>;

    /// As `eth_getBlockByNumber`, by Ethereum hash.
    #[method(name = "eth_getBlockByHash")]
    async fn block_by_hash(&self, hash: H256, full: Option<bool>) -> RpcResult<Option<Value>>;

    /// Receipts of all transactions of a block.
    #[method(name = "eth_getBlockReceipts")]
    async fn block_receipts(&self, at: BlockRef) -> RpcResult<Option<Vec<Receipt>>>;

    /// Number of transactions in a block.
    #[method(name = "eth_getBlockTransactionCountByNumber")]
    async fn count_by_number(&self, at: BlockRef) -> RpcResult<Option<U256>>;

    /// Number of transactions in a block.
    #[method(name = "eth_getBlockTransactionCountByHash")]
    async fn count_by_hash(&self, hash: H256) -> RpcResult<Option<U256>>;

    /// Number of uncles of a block: none, ever.
    #[method(name = "eth_getUncleCountByBlockNumber")]
    async fn uncles_by_number(&self, at: BlockRef) -> RpcResult<Option<U256>>;

    /// Number of uncles of a block: none, ever.
    #[method(name = "eth_getUncleCountByBlockHash")]
    async fn uncles_by_hash(&self, hash: H256) -> RpcResult<Option<U256>>;

    /// An uncle of a block: null.
    #[method(name = "eth_getUncleByBlockNumberAndIndex")]
    async fn uncle_by_number(&self, at: BlockRef, index: Quantity) -> RpcResult<Option<Value>>;

    /// An uncle of a block: null.
    #[method(name = "eth_getUncleByBlockHashAndIndex")]
    async fn uncle_by_hash(&self, hash: H256, index: Quantity) -> RpcResult<Option<Value>>;
}

#[async_trait]
impl BlocksApiServer for Eth {
    async fn block_number(&self) -> RpcResult<U256> {
        Ok(U256::from(self.inner.latest()?.number))
    }

    async fn block_by_number(&self, at: BlockRef, full: Option<bool>) -> RpcResult<Option<Value>> {
        self.run(move |eth| match eth.find_block(at)? {
            Some(block) => eth.show(&block, full.unwrap_or(false)).map(Some),
            None => Ok(None),
        })
        .await
    }

    async fn block_by_hash(&self, hash: H256, full: Option<bool>) -> RpcResult<Option<Value>> {
        self.block_by_number(BlockRef::Hash(hash), full).await
    }

    async fn block_receipts(&self, at: BlockRef) -> RpcResult<Option<Vec<Receipt>>> {
        self.run(move |eth| {
            Ok(eth.find_block(at)?.map(|block| {
                (0..block.transactions.len() as u32)
                    .filter_map(|index| block.receipt(index))
                    .collect()
            }))
        })
        .await
    }

    async fn count_by_number(&self, at: BlockRef) -> RpcResult<Option<U256>> {
        self.run(move |eth| {
            Ok(eth
                .find_block(at)?
                .map(|block| U256::from(block.transactions.len())))
        })
        .await
    }

    async fn count_by_hash(&self, hash: H256) -> RpcResult<Option<U256>> {
        self.count_by_number(BlockRef::Hash(hash)).await
    }

    async fn uncles_by_number(&self, at: BlockRef) -> RpcResult<Option<U256>> {
        self.run(move |eth| Ok(eth.find(at)?.map(|_| U256::zero()))).await
    }

    async fn uncles_by_hash(&self, hash: H256) -> RpcResult<Option<U256>> {
        self.uncles_by_number(BlockRef::Hash(hash)).await
    }

    async fn uncle_by_number(&self, _at: BlockRef, _index: Quantity) -> RpcResult<Option<Value>> {
        Ok(None)
    }

    async fn uncle_by_hash(&self, _hash: H256, _index: Quantity) -> RpcResult<Option<Value>> {
        Ok(None)
    }
}

impl Inner {
    /// The block a caller means, with everything in it. What will be `pending` is not known before it is made, so that
    /// name stands for the latest block here.
    pub(super) fn find_block(&self, at: BlockRef) -> Result<Option<EthBlock>, CallError> {
        let at = if at == BlockRef::Pending {
            BlockRef::Latest
        } else {
            at
        };
        match self.find(at)? {
            Some(Point { number, hash, .. }) => self.load(Point {
                number,
                hash,
                pending: false,
            }),
            None => Ok(None),
        }
    }

    /// The block as clients see it.
    pub(super) fn show(&self, block: &EthBlock, full: bool) -> Result<Value, CallError> {
        if !full {
            return Ok(block_json(&block.block, None));
        }
        let signed = self.signed(block.hash, &block.transactions)?;
        let transactions =
            signed
                .into_iter()
                .zip(&block.transactions)
                .enumerate()
                .map(|(index, (signed, mined))| {
                    let (signed, from) = signed;
                    transaction_json(
                        signed,
                        mined.hash,
                        from,
                        Some(mined.place(block.number, block.block.hash, index as u32)),
                    )
                });
        Ok(block_json(&block.block, Some(transactions.collect())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{transfer, TestNode};
    use pallet_revive::evm::H160;

    #[tokio::test]
    async fn block_should_show_hashes_or_whole_transactions() {
        let node = TestNode::new();
        node.chain
            .add(vec![(transfer(0, H160::repeat_byte(3)), true, vec![])]);
        node.sync();
        let eth = node.eth();
        let short = eth
            .block_by_number(BlockRef::Number(1), Some(false))
            .await
            .unwrap()
            .unwrap();
        let full = eth
            .block_by_number(BlockRef::Latest, Some(true))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(short["number"], "0x1");
        assert_eq!(short["transactions"][0], full["transactions"][0]["hash"]);
        assert_eq!(full["transactions"][0]["transactionIndex"], "0x0");
        assert_eq!(full["transactions"][0]["blockHash"], full["hash"]);
        assert_eq!(
            full["transactions"][0]["to"],
            format!("{:?}", H160::repeat_byte(3))
        );
        let hash: H256 = serde_json::from_value(full["hash"].clone()).unwrap();
        assert_eq!(eth.block_by_hash(hash, Some(true)).await.unwrap().unwrap(), full);
        assert_eq!(
            eth.block_by_hash(H256::repeat_byte(0xee), None).await.unwrap(),
            None
        );
        assert_eq!(
            eth.block_by_number(BlockRef::Number(2), None).await.unwrap(),
            None
        );
        assert_eq!(eth.count_by_hash(hash).await.unwrap(), Some(U256::one()));
        assert_eq!(
            eth.block_receipts(BlockRef::Hash(hash))
                .await
                .unwrap()
                .unwrap()
                .len(),
            1
        );
    }

    #[tokio::test]
    async fn block_that_is_not_indexed_should_be_read_from_its_state() {
        let node = TestNode::new();
        for nonce in 0..3 {
            node.chain
                .add(vec![(transfer(nonce, H160::zero()), true, vec![])]);
        }
        // Only the tip is indexed so far.
        node.follower.start().unwrap();
        let block = node
            .eth()
            .block_by_number(BlockRef::Number(2), Some(true))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(block["transactions"].as_array().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn block_number_should_be_that_of_the_newest_indexed_block() {
        let node = TestNode::new();
        node.sync();
        node.chain.add(vec![]);
        assert_eq!(node.eth().block_number().await.unwrap(), U256::zero());
        node.sync();
        assert_eq!(node.eth().block_number().await.unwrap(), U256::one());
    }
}
