//! Takes one block of the chain apart into what Ethereum clients ask for: its Ethereum block, transactions, receipts and
//! logs.

use crate::{
    chain::Chain,
    error::CallError,
    layout::{EthEvent, Layout},
    types::{bloom, Log, Place, Receipt},
};
use codec::{Decode, Encode};
use pallet_revive::{
    create1,
    evm::{Bytes, GenericTransaction, TransactionSigned, H160, H256, U256},
};
use pallet_revive_types::runtime_api::{BlockV1, HashesOrTransactionInfosV1};
use sp_core::{Hasher, KeccakHasher};
use std::collections::HashMap;

/// Everything about one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EthBlock {
    /// Height; the same on both sides.
    pub(crate) number: u32,
    /// The node's hash of the block.
    pub(crate) hash: H256,
    /// The Ethereum block, with transaction hashes.
    pub(crate) block: BlockV1,
    /// In the block's order.
    pub(crate) transactions: Vec<EthTransaction>,
    /// In the block's order; the place in this list is the log's index.
    pub(crate) logs: Vec<EthLog>,
}

/// A mined transaction and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct EthTransaction {
    pub(crate) hash: H256,
    /// Index of the extrinsic that carries it.
    pub(crate) extrinsic: u32,
    pub(crate) from: H160,
    pub(crate) to: Option<H160>,
    /// Address of the contract it created, successfully or not.
    pub(crate) contract: Option<H160>,
    /// EIP-2718 type.
    pub(crate) kind: u8,
    pub(crate) success: bool,
    pub(crate) gas_used: U256,
    pub(crate) cumulative_gas_used: U256,
    pub(crate) effective_gas_price: U256,
}

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EthLog {
    /// Index of its transaction in the block.
    pub(crate) transaction: u32,
    pub(crate) address: H160,
    pub(crate) topics: Vec<H256>,
    pub(crate) data: Vec<u8>,
}

impl EthBlock {
    /// The logs with their places, in order.
    pub(crate) fn placed_logs(&self) -> impl Iterator<Item = Log> + '_ {
        self.logs.iter().enumerate().map(|(index, log)| Log {
            address: log.address,
            topics: log.topics.clone(),
            data: Bytes(log.data.clone()),
            block_number: U256::from(self.number),
            block_hash: self.block.hash,
            transaction_hash: self
                .transactions
                .get(log.transaction as usize)
                .map(|t| t.hash)
                .unwrap_or_default(),
            transaction_index: U256::from(log.transaction),
            log_index: U256::from(index),
            removed: false,
        })
    }

    /// The receipt of the transaction at `index`.
    pub(crate) fn receipt(&self, index: u32) -> Option<Receipt> {
        let transaction = self.transactions.get(index as usize)?;
        let logs: Vec<Log> = self
            .placed_logs()
            .filter(|log| log.transaction_index == U256::from(index))
            .collect();
        Some(transaction.receipt(self.number, self.block.hash, index, logs))
    }
}

impl EthTransaction {
    /// Where it sits in its block.
    pub(crate) fn place(&self, block_number: u32, block_hash: H256, index: u32) -> Place {
        Place {
            block_hash,
            block_number,
            index,
            effective_gas_price: self.effective_gas_price,
        }
    }

    /// Its receipt, given its logs.
    pub(crate) fn receipt(&self, block_number: u32, block_hash: H256, index: u32, logs: Vec<Log>) -> Receipt {
        Receipt {
            transaction_hash: self.hash,
            transaction_index: U256::from(index),
            block_hash,
            block_number: U256::from(block_number),
            from: self.from,
            to: self.to,
            contract_address: self.contract,
            cumulative_gas_used: self.cumulative_gas_used,
            gas_used: self.gas_used,
            effective_gas_price: self.effective_gas_price,
            logs_bloom: bloom(logs.iter().map(|log| (&log.address, &log.topics[..]))),
            logs,
            status: U256::from(u8::from(self.success)),
            r#type: U256::from(self.kind),
        }
    }
}

/// Hash of an Ethereum transaction from its bytes.
pub(crate) fn transaction_hash(payload: &[u8]) -> H256 {
    KeccakHasher::hash(payload)
}

/// Takes the block `hash` apart. Needs its state and body, and the state of its parent.
pub(crate) fn extract(chain: &dyn Chain, hash: H256) -> Result<EthBlock, CallError> {
    let (number, parent) = chain.parent(hash)?.ok_or_else(CallError::unknown_block)?;
    let mut block = chain.eth_block(hash)?;
    let hashes = match &block.transactions {
        HashesOrTransactionInfosV1::Hashes(hashes) => hashes.clone(),
        HashesOrTransactionInfosV1::TransactionInfos(infos) => infos.iter().map(|info| info.hash).collect(),
    };
    block.transactions = HashesOrTransactionInfosV1::Hashes(hashes.clone());
    if hashes.is_empty() {
        return Ok(EthBlock {
            number,
            hash,
            block,
            transactions: vec![],
            logs: vec![],
        });
    }

    // The block was executed, and its events written, by the runtime in its parent's state.
    let layout = chain.layout(parent)?;
    let body = chain.body(hash)?.ok_or_else(|| {
        CallError::server(format!(
            "the transactions of block {number} are not on this node (pruned)"
        ))
    })?;
    let positions: HashMap<H256, usize> = hashes.iter().enumerate().map(|(at, hash)| (*hash, at)).collect();
    let mut found: Vec<Option<(u32, &[u8])>> = vec![None; hashes.len()];
    let mut by_extrinsic = HashMap::new();
    for (extrinsic, bytes) in body.iter().enumerate() {
        let Some(payload) = layout.eth_payload(bytes) else {
            continue;
        };
        // A transaction that could not even start has no place in the Ethereum block.
        let Some(&position) = positions.get(&transaction_hash(payload)) else {
            continue;
        };
        found[position] = Some((extrinsic as u32, payload));
        by_extrinsic.insert(extrinsic as u32, position as u32);
    }

    let mut reverted = vec![false; hashes.len()];
    let mut logs = Vec::new();
    for (extrinsic, event) in layout
        .eth_events(&chain.events(hash)?)
        .map_err(CallError::internal)?
    {
        // Contracts may also be called by native transactions, whose logs have no Ethereum transaction to belong to.
        let Some(&position) = by_extrinsic.get(&extrinsic) else {
            continue;
        };
        match event {
            EthEvent::Log {
                address,
                topics,
                data,
            } => logs.push(EthLog {
                transaction: position,
                address,
                topics,
                data,
            }),
            EthEvent::Reverted => reverted[position as usize] = true,
        }
    }

    let gas = chain.receipt_data(hash)?;
    if gas.len() != hashes.len() {
        return Err(CallError::internal(format!(
            "block {number} has {} Ethereum transactions and gas figures of {}",
            hashes.len(),
            gas.len()
        )));
    }
    let mut cumulative = U256::zero();
    let mut transactions = Vec::with_capacity(hashes.len());
    for (position, (hash, gas)) in hashes.into_iter().zip(gas).enumerate() {
        let (extrinsic, payload) = found[position].ok_or_else(|| {
            CallError::internal(format!(
                "block {number} lists the transaction {hash:?} and does not carry it"
            ))
        })?;
        cumulative = cumulative.saturating_add(gas.gas_used);
        let (signed, from) = decode(payload)?;
        let fields = GenericTransaction::from_signed(signed, gas.effective_gas_price, Some(from));
        let contract = match fields.to {
            Some(_) => None,
            None => Some(create1(&from, fields.nonce.unwrap_or_default().low_u64())),
        };
        transactions.push(EthTransaction {
            hash,
            extrinsic,
            from,
            to: fields.to,
            contract,
            kind: fields.r#type.unwrap_or_default().0,
            success: !reverted[position],
            gas_used: gas.gas_used,
            cumulative_gas_used: cumulative,
            effective_gas_price: gas.effective_gas_price,
        });
    }
    Ok(EthBlock {
        number,
        hash,
        block,
        transactions,
        logs,
    })
}

/// Decodes a transaction's bytes and recovers who signed it.
pub(crate) fn decode(payload: &[u8]) -> Result<(TransactionSigned, H160), CallError> {
    let signed = TransactionSigned::decode(payload)
        .map_err(|error| CallError::server(format!("the transaction cannot be decoded: {error}")))?;
    let from = signed
        .recover_eth_address()
        .map_err(|()| CallError::server("invalid sender: no key fits the transaction's signature"))?;
    Ok((signed, from))
}

/// The signed bytes of a transaction from the body of its block, `None` when `layout` does not fit the body.
pub(crate) fn payload<'a>(
    layout: &Layout,
    body: &'a [Vec<u8>],
    transaction: &EthTransaction,
) -> Option<&'a [u8]> {
    body.get(transaction.extrinsic as usize)
        .and_then(|bytes| layout.eth_payload(bytes))
        .filter(|payload| transaction_hash(payload) == transaction.hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{transfer, TestChain};

    #[test]
    fn extract_should_number_transactions_and_logs_as_ethereum_does() {
        let chain = TestChain::new();
        let first = transfer(0, H160::repeat_byte(1));
        let second = transfer(1, H160::repeat_byte(2));
        let topic = H256::repeat_byte(7);
        let hash = chain.add(vec![
            (
                first.clone(),
                true,
                vec![(H160::repeat_byte(9), vec![topic], vec![1])],
            ),
            (second.clone(), false, vec![]),
        ]);
        let block = extract(&chain, hash).unwrap();
        assert_eq!(block.number, 1);
        // The block starts with an inherent, so the extrinsic index is one ahead of the Ethereum index.
        assert_eq!(block.transactions[0].extrinsic, 1);
        assert_eq!(block.transactions[0].hash, transaction_hash(&first));
        assert_eq!(block.transactions[1].hash, transaction_hash(&second));
        assert!(block.transactions[0].success && !block.transactions[1].success);
        let receipt = block.receipt(0).unwrap();
        assert_eq!(receipt.status, U256::one());
        assert_eq!(receipt.logs.len(), 1);
        assert_eq!(receipt.logs[0].log_index, U256::zero());
        assert_eq!(receipt.logs[0].transaction_hash, transaction_hash(&first));
        assert_eq!(receipt.logs[0].block_hash, block.block.hash);
        assert_ne!(receipt.logs_bloom.0, [0; 256]);
        let second = block.receipt(1).unwrap();
        assert_eq!(second.status, U256::zero());
        assert_eq!(second.transaction_index, U256::one());
        assert_eq!(second.cumulative_gas_used, receipt.gas_used + second.gas_used);
        assert_eq!(second.logs_bloom.0, [0; 256]);
        assert!(block.receipt(2).is_none());
    }

    #[test]
    fn extract_should_give_the_address_of_a_created_contract() {
        use crate::testing::{create, sender};
        let chain = TestChain::new();
        let hash = chain.add(vec![(create(5), true, vec![])]);
        let block = extract(&chain, hash).unwrap();
        assert_eq!(block.transactions[0].from, sender());
        assert_eq!(block.transactions[0].to, None);
        assert_eq!(block.transactions[0].contract, Some(create1(&sender(), 5)));
    }

    #[test]
    fn payload_should_come_back_only_when_its_hash_fits() {
        let chain = TestChain::new();
        let bytes = transfer(0, H160::repeat_byte(1));
        let hash = chain.add(vec![(bytes.clone(), true, vec![])]);
        let mut transaction = extract(&chain, hash).unwrap().transactions.remove(0);
        let (layout, body) = (chain.layout(hash).unwrap(), chain.body(hash).unwrap().unwrap());
        assert_eq!(payload(&layout, &body, &transaction), Some(&bytes[..]));
        transaction.extrinsic = 0;
        assert_eq!(payload(&layout, &body, &transaction), None);
    }

    #[test]
    fn extract_should_fail_when_the_body_does_not_carry_what_the_block_lists() {
        let chain = TestChain::new();
        let hash = chain.add(vec![(transfer(0, H160::repeat_byte(1)), true, vec![])]);
        chain.drop_body(hash);
        assert!(extract(&chain, hash).is_err());
    }
}
