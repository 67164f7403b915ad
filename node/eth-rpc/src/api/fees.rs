//! What gas costs. There are no tips: a transaction pays the base fee of its block and nothing above it, whatever it
//! offers.

use super::{Eth, Inner};
use crate::{
    error::CallError,
    types::{BlockRef, Quantity},
};
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
};
use pallet_revive::evm::U256;
use serde::Serialize;

/// Most blocks one answer covers, as in geth.
const MAX_BLOCKS: u64 = 1_024;
/// Most percentiles one question names, as in geth.
const MAX_PERCENTILES: usize = 100;

/// The answer to `eth_feeHistory`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeeHistory {
    oldest_block: U256,
    /// One more than blocks: the last is that of the next block.
    base_fee_per_gas: Vec<U256>,
    gas_used_ratio: Vec<f64>,
    /// Zeros, one for each block and percentile.
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Vec<Vec<U256>>>,
}

#[rpc(server)]
pub(crate) trait FeesApi {
    /// A price with which a transaction gets in, wei per gas.
    #[method(name = "eth_gasPrice")]
    async fn gas_price(&self) -> RpcResult<U256>;

    /// The tip to offer: none.
    #[method(name = "eth_maxPriorityFeePerGas")]
    async fn priority_fee(&self) -> RpcResult<U256>;

    /// Base fees of past blocks.
    #[method(name = "eth_feeHistory")]
    async fn fee_history(
        &self,
        count: Quantity,
        newest: BlockRef,
        percentiles: Option<Vec<f64>>,
    ) -> RpcResult<FeeHistory>;
}

#[async_trait]
impl FeesApiServer for Eth {
    async fn gas_price(&self) -> RpcResult<U256> {
        self.run(|eth| {
            let base = eth
                .chain
                .gas_price(eth.with_state(Some(BlockRef::Pending))?.hash)?;
            // Offering more costs nothing, and an offer below the base fee of the block that comes is refused.
            Ok(base.saturating_add(base / 8))
        })
        .await
    }

    async fn priority_fee(&self) -> RpcResult<U256> {
        Ok(U256::zero())
    }

    async fn fee_history(
        &self,
        count: Quantity,
        newest: BlockRef,
        percentiles: Option<Vec<f64>>,
    ) -> RpcResult<FeeHistory> {
        self.run(move |eth| eth.fee_history(count.0, newest, percentiles.as_deref()))
            .await
    }
}

impl Inner {
    fn fee_history(
        &self,
        count: u64,
        newest: BlockRef,
        percentiles: Option<&[f64]>,
    ) -> Result<FeeHistory, CallError> {
        if let Some(percentiles) = percentiles {
            check_percentiles(percentiles)?;
        }
        if count == 0 {
            return Ok(FeeHistory {
                oldest_block: U256::zero(),
                base_fee_per_gas: vec![],
                gas_used_ratio: vec![],
                reward: None,
            });
        }
        let newest = if newest == BlockRef::Pending {
            BlockRef::Latest
        } else {
            newest
        };
        let newest = self.find(newest)?.ok_or_else(CallError::unknown_block)?;
        let most = count.min(MAX_BLOCKS) as u32;
        let oldest = (u64::from(newest.number) + 1).saturating_sub(u64::from(most)) as u32;
        let mut blocks = self.index.headers(oldest, newest.number)?;
        // Blocks that are not indexed leave a shorter history, which ends where it was asked to.
        let gap = blocks.windows(2).rposition(|pair| pair[0].0 + 1 != pair[1].0);
        blocks.drain(..gap.map_or(0, |at| at + 1));
        if blocks.last().map(|(number, _)| *number) != Some(newest.number) {
            let block = self.load(newest)?.ok_or_else(CallError::unknown_block)?;
            blocks = vec![(newest.number, block.block)];
        }
        let next = match self.index.headers(newest.number + 1, newest.number + 1)?.pop() {
            Some((_, block)) => block.base_fee_per_gas,
            None if self.chain.has_state(newest.hash) => self.chain.gas_price(newest.hash)?,
            None => blocks
                .last()
                .map(|(_, block)| block.base_fee_per_gas)
                .unwrap_or_default(),
        };
        Ok(FeeHistory {
            oldest_block: U256::from(blocks.first().map(|(number, _)| *number).unwrap_or_default()),
            gas_used_ratio: blocks
                .iter()
                .map(|(_, block)| ratio(block.gas_used, block.gas_limit))
                .collect(),
            reward: percentiles.map(|percentiles| vec![vec![U256::zero(); percentiles.len()]; blocks.len()]),
            base_fee_per_gas: blocks
                .into_iter()
                .map(|(_, block)| block.base_fee_per_gas)
                .chain([next])
                .collect(),
        })
    }
}

fn ratio(used: U256, limit: U256) -> f64 {
    let as_float = |value: U256| u128::try_from(value).unwrap_or(u128::MAX) as f64;
    if limit.is_zero() {
        return 0.0;
    }
    as_float(used) / as_float(limit)
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), CallError> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(CallError::params(format!(
            "{} reward percentiles are asked for and at most {MAX_PERCENTILES} are allowed",
            percentiles.len()
        )));
    }
    if let Some(wrong) = percentiles.iter().find(|value| !(0.0..=100.0).contains(*value)) {
        return Err(CallError::params(format!(
            "reward percentile {wrong} is not between 0 and 100"
        )));
    }
    if let Some(pair) = percentiles.windows(2).find(|pair| pair[0] > pair[1]) {
        return Err(CallError::params(format!(
            "reward percentiles must rise, and {} comes before {}",
            pair[0], pair[1]
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn fee_history_should_have_one_more_fee_than_blocks_and_no_tips() {
        let node = TestNode::new();
        node.chain.add_empty(5);
        node.sync();
        let history = node
            .eth()
            .fee_history(Quantity(3), BlockRef::Latest, Some(vec![10.0, 90.0]))
            .await
            .unwrap();
        assert_eq!(history.oldest_block, U256::from(3));
        assert_eq!(history.base_fee_per_gas.len(), 4);
        assert_eq!(history.gas_used_ratio.len(), 3);
        assert_eq!(history.reward, Some(vec![vec![U256::zero(); 2]; 3]));
        let all = node
            .eth()
            .fee_history(Quantity(5_000), BlockRef::Latest, None)
            .await
            .unwrap();
        assert_eq!(
            (all.oldest_block, all.base_fee_per_gas.len(), all.reward),
            (U256::zero(), 7, None)
        );
        let sent = serde_json::to_value(
            node.eth()
                .fee_history(Quantity(0), BlockRef::Latest, None)
                .await
                .unwrap(),
        );
        assert_eq!(sent.unwrap()["baseFeePerGas"], serde_json::json!([]));
    }

    #[tokio::test]
    async fn fee_history_should_start_behind_a_gap_of_the_index() {
        let node = TestNode::new();
        node.sync();
        node.chain.add_empty(10);
        node.chain.prune_states_below(5);
        node.sync();
        let history = node
            .eth()
            .fee_history(Quantity(20), BlockRef::Latest, None)
            .await
            .unwrap();
        assert_eq!(history.oldest_block, U256::from(6));
        assert_eq!(history.gas_used_ratio.len(), 5);
    }

    #[test]
    fn percentiles_should_rise_between_0_and_100() {
        assert!(check_percentiles(&[0.0, 50.0, 50.0, 100.0]).is_ok());
        for wrong in [&[-1.0][..], &[101.0], &[f64::NAN], &[50.0, 20.0], &[1.0; 101]] {
            assert!(check_percentiles(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn ratio_should_be_a_number_for_any_block() {
        assert_eq!(ratio(U256::one(), U256::zero()), 0.0);
        assert_eq!(ratio(U256::from(1), U256::from(2)), 0.5);
        assert!(ratio(U256::MAX, U256::MAX).is_finite());
    }
}
