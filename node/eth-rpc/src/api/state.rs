//! Questions about accounts and contracts, and simulated calls.

use super::{Eth, Inner};
use crate::{chain::Simulation, error::CallError, pending, types::BlockRef};
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
};
use pallet_revive::evm::{Bytes, H160, U256};
use pallet_revive_types::runtime_api::{GenericTransactionV1, StateOverrideSetV1};
use std::time::{SystemTime, UNIX_EPOCH};

/// Part of an estimate that is added on top, in percent. What storage costs in gas moves with the fee multiplier between
/// the estimate and the block that includes the transaction.
const ESTIMATE_MARGIN: u64 = 5;

#[rpc(server)]
pub(crate) trait StateApi {
    /// Wei that `address` can spend.
    #[method(name = "eth_getBalance")]
    async fn balance(&self, address: H160, at: Option<BlockRef>) -> RpcResult<U256>;

    /// Code of the contract at `address`, empty if there is none.
    #[method(name = "eth_getCode")]
    async fn code(&self, address: H160, at: Option<BlockRef>) -> RpcResult<Bytes>;

    /// A word of a contract's storage.
    #[method(name = "eth_getStorageAt")]
    async fn storage(&self, address: H160, slot: U256, at: Option<BlockRef>) -> RpcResult<Bytes>;

    /// Transactions sent from `address`; with `pending` those that wait in the pool count too.
    #[method(name = "eth_getTransactionCount")]
    async fn transaction_count(&self, address: H160, at: Option<BlockRef>) -> RpcResult<U256>;

    /// Executes a call without keeping anything and returns its output.
    #[method(name = "eth_call")]
    async fn call(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        overrides: Option<StateOverrideSetV1>,
    ) -> RpcResult<Bytes>;

    /// A gas limit with which a transaction succeeds.
    #[method(name = "eth_estimateGas")]
    async fn estimate_gas(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        overrides: Option<StateOverrideSetV1>,
    ) -> RpcResult<U256>;
}

#[async_trait]
impl StateApiServer for Eth {
    async fn balance(&self, address: H160, at: Option<BlockRef>) -> RpcResult<U256> {
        self.run(move |eth| eth.chain.balance(eth.with_state(at)?.hash, address))
            .await
    }

    async fn code(&self, address: H160, at: Option<BlockRef>) -> RpcResult<Bytes> {
        self.run(move |eth| eth.chain.code(eth.with_state(at)?.hash, address).map(Bytes))
            .await
    }

    async fn storage(&self, address: H160, slot: U256, at: Option<BlockRef>) -> RpcResult<Bytes> {
        self.run(move |eth| {
            let value = eth
                .chain
                .storage(eth.with_state(at)?.hash, address, slot.to_big_endian())?;
            Ok(Bytes(value.unwrap_or_else(|| vec![0; 32])))
        })
        .await
    }

    async fn transaction_count(&self, address: H160, at: Option<BlockRef>) -> RpcResult<U256> {
        self.run(move |eth| {
            let point = eth.with_state(at)?;
            match point.pending {
                true => eth.next_nonce(address),
                false => eth.chain.nonce(point.hash, address),
            }
            .map(U256::from)
        })
        .await
    }

    async fn call(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        overrides: Option<StateOverrideSetV1>,
    ) -> RpcResult<Bytes> {
        self.run(move |eth| {
            let point = eth.with_state(at)?;
            let (call, priced) = free_if_unpriced(call);
            let how = Simulation {
                now: point.pending.then(now),
                pay_for_gas: priced,
                overrides,
            };
            Ok(Bytes(eth.chain.dry_run(point.hash, call, how)??.data))
        })
        .await
    }

    async fn estimate_gas(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        overrides: Option<StateOverrideSetV1>,
    ) -> RpcResult<U256> {
        self.run(move |eth| eth.estimate(call, at, overrides)).await
    }
}

impl Inner {
    /// A gas limit with which `call` succeeds in the next block.
    pub(super) fn estimate(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        overrides: Option<StateOverrideSetV1>,
    ) -> Result<U256, CallError> {
        // A transaction runs in the next block, not in the last one.
        let point = self.with_state(at.or(Some(BlockRef::Pending)))?;
        let (call, priced) = free_if_unpriced(call);
        let limit = call.gas;
        let how = Simulation {
            now: point.pending.then(now),
            pay_for_gas: priced,
            overrides,
        };
        let least = self.chain.estimate(point.hash, call, how)??;
        Ok(with_margin(least, limit))
    }

    /// The nonce of the next transaction of `address`, behind those that wait in the pool without a gap.
    pub(super) fn next_nonce(&self, address: H160) -> Result<u32, CallError> {
        let best = self.chain.tips().best_hash;
        let account = self.chain.account_id(best, address)?;
        // First the pool, then the state: a transaction that is mined in between is seen in the state.
        let provided = self.pool.provided();
        let best = self.chain.tips().best_hash;
        Ok(pending::next_nonce(
            &account,
            self.chain.nonce(best, address)?,
            &provided,
        ))
    }
}

/// Takes prices of zero out of a call, which mean that nobody pays; says whether a price is left.
fn free_if_unpriced(mut call: GenericTransactionV1) -> (GenericTransactionV1, bool) {
    let unpriced = |price: &U256| price.is_zero();
    if call.gas_price.as_ref().is_some_and(unpriced) {
        call.gas_price = None;
    }
    if call.max_fee_per_gas.as_ref().is_some_and(unpriced) {
        call.max_fee_per_gas = None;
        call.max_priority_fee_per_gas = None;
    }
    let priced = call.gas_price.is_some() || call.max_fee_per_gas.is_some();
    (call, priced)
}

/// The estimate with its margin, not above the caller's own limit.
fn with_margin(least: U256, limit: Option<U256>) -> U256 {
    let generous = least
        .saturating_add(least / 100 * ESTIMATE_MARGIN)
        .saturating_add(U256::one());
    match limit {
        Some(limit) => generous.min(limit.max(least)),
        None => generous,
    }
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{sender, transfer, TestNode};
    use jsonrpsee::core::RpcResult;

    fn message<T: std::fmt::Debug>(result: RpcResult<T>) -> String {
        result.unwrap_err().message().to_owned()
    }

    #[tokio::test]
    async fn pending_count_should_see_the_pool_and_latest_should_not() {
        let node = TestNode::new();
        node.chain.add(vec![(transfer(0, H160::zero()), true, vec![])]);
        node.sync();
        node.pool.fill(&[(sender(), 1), (sender(), 2), (sender(), 4)]);
        let eth = node.eth();
        let count = |at| eth.transaction_count(sender(), Some(at));
        assert_eq!(count(BlockRef::Latest).await.unwrap(), U256::from(1));
        assert_eq!(
            count(BlockRef::Pending).await.unwrap(),
            U256::from(3),
            "4 is behind a gap"
        );
        assert_eq!(count(BlockRef::Earliest).await.unwrap(), U256::from(0));
        assert_eq!(
            eth.transaction_count(H160::zero(), Some(BlockRef::Pending))
                .await
                .unwrap(),
            U256::zero()
        );
    }

    #[tokio::test]
    async fn questions_about_blocks_that_are_not_there_should_say_so() {
        let node = TestNode::new();
        node.chain.add_empty(3);
        node.sync();
        let eth = node.eth();
        assert_eq!(
            message(eth.balance(H160::zero(), Some(BlockRef::Number(9))).await),
            "header not found"
        );
        assert_eq!(
            message(eth.balance(H160::zero(), Some(BlockRef::Number(1 << 40))).await),
            "header not found"
        );
        node.chain.prune_states_below(2);
        let error = message(eth.balance(H160::zero(), Some(BlockRef::Number(1))).await);
        assert!(error.contains("block 1") && error.contains("archive"), "{error}");
    }

    #[tokio::test]
    async fn a_node_without_any_state_should_say_that_it_syncs() {
        let node = TestNode::new();
        assert!(message(node.eth().balance(H160::zero(), None).await).contains("eth_syncing"));
    }

    #[tokio::test]
    async fn revert_should_come_back_with_code_3_and_data() {
        let node = TestNode::new();
        node.sync();
        node.chain.revert_calls_with(vec![0xaa, 0xbb]);
        let error = node
            .eth()
            .call(GenericTransactionV1::default(), None, None)
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.message()), (3, "execution reverted"));
        assert_eq!(error.data().unwrap().get(), "\"0xaabb\"");
    }

    #[test]
    fn call_without_a_price_should_be_free() {
        let with = |gas_price: Option<u64>, max: Option<u64>| GenericTransactionV1 {
            gas_price: gas_price.map(U256::from),
            max_fee_per_gas: max.map(U256::from),
            max_priority_fee_per_gas: max.map(U256::from),
            ..Default::default()
        };
        assert_eq!(free_if_unpriced(with(Some(0), None)), (with(None, None), false));
        assert_eq!(free_if_unpriced(with(None, Some(0))), (with(None, None), false));
        assert!(free_if_unpriced(with(Some(7), None)).1);
        assert!(free_if_unpriced(with(None, Some(7))).1);
    }

    #[test]
    fn margin_should_keep_an_estimate_within_a_quarter_of_the_least_and_under_the_callers_limit() {
        // The runtime's own search stops within 1.5% above the least that succeeds.
        for least in [21_000u64, 1, 99, 5_000_000, u64::MAX / 3] {
            let searched = U256::from(least) + U256::from(least / 1000 * 15);
            let shown = with_margin(searched, None);
            assert!(shown >= searched);
            if least > 100 {
                assert!(shown * 100 <= U256::from(least) * 125, "{least}");
            }
        }
        assert_eq!(
            with_margin(U256::from(1000), Some(U256::from(1010))),
            U256::from(1010)
        );
        assert_eq!(
            with_margin(U256::from(1000), Some(U256::from(900))),
            U256::from(1000)
        );
    }
}
