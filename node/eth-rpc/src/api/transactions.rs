//! Sending transactions, and finding them again.

use super::{Eth, Inner};
use crate::{
    chain::Refusal,
    error::CallError,
    extract::{decode, transaction_hash},
    types::{transaction_json, BlockRef, Quantity, Receipt},
};
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
};
use pallet_revive::evm::{
    Bytes, GenericTransaction, TransactionSigned, H160, H256, TYPE_EIP1559, TYPE_EIP2930, TYPE_LEGACY, U256,
};
use pallet_revive_types::runtime_api::GenericTransactionV1;
use serde_json::Value;

#[rpc(server)]
pub(crate) trait TransactionsApi {
    /// Sends a signed transaction and returns its hash.
    #[method(name = "eth_sendRawTransaction")]
    async fn send_raw(&self, transaction: Bytes) -> RpcResult<H256>;

    /// Signs a transaction with one of the node's accounts and sends it.
    #[method(name = "eth_sendTransaction")]
    async fn send(&self, transaction: GenericTransactionV1) -> RpcResult<H256>;

    /// Accounts the node signs for: none outside development.
    #[method(name = "eth_accounts")]
    async fn accounts(&self) -> RpcResult<Vec<H160>>;

    /// A mined or pending transaction.
    #[method(name = "eth_getTransactionByHash")]
    async fn by_hash(&self, hash: H256) -> RpcResult<Option<Value>>;

    /// The signed bytes of a mined or pending transaction.
    #[method(name = "eth_getRawTransactionByHash")]
    async fn raw_by_hash(&self, hash: H256) -> RpcResult<Option<Bytes>>;

    /// A transaction by its place in a block.
    #[method(name = "eth_getTransactionByBlockHashAndIndex")]
    async fn by_block_hash(&self, block: H256, index: Quantity) -> RpcResult<Option<Value>>;

    /// A transaction by its place in a block.
    #[method(name = "eth_getTransactionByBlockNumberAndIndex")]
    async fn by_block_number(&self, block: BlockRef, index: Quantity) -> RpcResult<Option<Value>>;

    /// What became of a mined transaction.
    #[method(name = "eth_getTransactionReceipt")]
    async fn receipt(&self, hash: H256) -> RpcResult<Option<Receipt>>;
}

#[async_trait]
impl TransactionsApiServer for Eth {
    async fn send_raw(&self, transaction: Bytes) -> RpcResult<H256> {
        self.submit(transaction.0).await
    }

    async fn send(&self, transaction: GenericTransactionV1) -> RpcResult<H256> {
        let _held = self.signing.lock().await;
        let signed = self.run(move |eth| eth.sign(transaction)).await?;
        self.submit(signed).await
    }

    async fn accounts(&self) -> RpcResult<Vec<H160>> {
        Ok(self
            .inner
            .accounts
            .iter()
            .map(|account| account.address())
            .collect())
    }

    async fn by_hash(&self, hash: H256) -> RpcResult<Option<Value>> {
        self.run(move |eth| {
            if let Some(mined) = eth.index.transaction(hash)? {
                let signed = eth
                    .signed(mined.block.hash, std::slice::from_ref(&mined.transaction))?
                    .pop();
                let place = mined
                    .transaction
                    .place(mined.block.number, mined.block.eth_hash, mined.position);
                return Ok(signed.map(|(signed, from)| transaction_json(signed, hash, from, Some(place))));
            }
            eth.pending(hash)?
                .map(|payload| pending_json(&payload))
                .transpose()
        })
        .await
    }

    async fn raw_by_hash(&self, hash: H256) -> RpcResult<Option<Bytes>> {
        self.run(move |eth| {
            let payload = match eth.index.transaction(hash)? {
                Some(mined) => eth
                    .signed(mined.block.hash, std::slice::from_ref(&mined.transaction))?
                    .pop()
                    .map(|(signed, _)| signed.signed_payload()),
                None => eth.pending(hash)?,
            };
            Ok(payload.map(Bytes))
        })
        .await
    }

    async fn by_block_hash(&self, block: H256, index: Quantity) -> RpcResult<Option<Value>> {
        self.by_block_number(BlockRef::Hash(block), index).await
    }

    async fn by_block_number(&self, block: BlockRef, index: Quantity) -> RpcResult<Option<Value>> {
        self.run(move |eth| {
            let Some(block) = eth.find_block(block)? else {
                return Ok(None);
            };
            let Ok(index) = u32::try_from(index.0) else {
                return Ok(None);
            };
            let Some(mined) = block.transactions.get(index as usize) else {
                return Ok(None);
            };
            let signed = eth.signed(block.hash, std::slice::from_ref(mined))?.pop();
            let place = mined.place(block.number, block.block.hash, index);
            Ok(signed.map(|(signed, from)| transaction_json(signed, mined.hash, from, Some(place))))
        })
        .await
    }

    async fn receipt(&self, hash: H256) -> RpcResult<Option<Receipt>> {
        self.run(move |eth| {
            let Some(mined) = eth.index.transaction(hash)? else {
                return Ok(None);
            };
            let logs = eth.index.logs_of(mined.block.number, mined.position)?;
            Ok(Some(mined.transaction.receipt(
                mined.block.number,
                mined.block.eth_hash,
                mined.position,
                logs,
            )))
        })
        .await
    }
}

impl Eth {
    /// Checks a signed transaction as far as a good error needs it, and puts it into the pool.
    async fn submit(&self, payload: Vec<u8>) -> RpcResult<H256> {
        let hash = transaction_hash(&payload);
        let (best, extrinsic, payload) = self
            .run(move |eth| {
                eth.check(&payload)?;
                Ok((eth.chain.tips().best_hash, eth.layout()?.wrap(&payload), payload))
            })
            .await?;
        match self.inner.pool.submit(best, extrinsic).await {
            Ok(()) => Ok(hash),
            Err(refusal) => self.run(move |eth| Err(eth.explain(refusal, &payload))).await,
        }
    }
}

impl Inner {
    /// Refuses what could not get in now, in words that say why. The pool would refuse most of it too, in fewer words, and
    /// would then refuse the same bytes for a while even after the cause is gone. What the sender cannot afford it would
    /// take, since such a transaction fails and pays its gas.
    fn check(&self, payload: &[u8]) -> Result<(), CallError> {
        let (signed, from) = decode(payload)?;
        let best = self.chain.tips().best_hash;
        let base = self.chain.gas_price(best)?;
        let offered = most_per_gas(&signed);
        let fields = GenericTransaction::from_signed(signed, base, None);
        let kind = fields.r#type.unwrap_or_default().0;
        if ![TYPE_LEGACY, TYPE_EIP2930, TYPE_EIP1559].contains(&kind) {
            return Err(CallError::server(format!(
                "transaction type not supported: {kind}; this chain takes types 0, 1 and 2"
            )));
        }
        let own = self.chain_id()?;
        match fields.chain_id {
            Some(id) if id == U256::from(own) => {}
            Some(id) => {
                return Err(CallError::server(format!(
                    "invalid chain id for signer: have {id} want {own}"
                )))
            }
            None => {
                return Err(CallError::server(
                    "only replay-protected (EIP-155) transactions allowed over RPC: sign with the chain id",
                ))
            }
        }
        let (nonce, next) = (fields.nonce.unwrap_or_default(), self.chain.nonce(best, from)?);
        if nonce < U256::from(next) {
            return Err(CallError::server(format!(
                "nonce too low: address {from:?}, tx: {nonce} state: {next}"
            )));
        }
        if offered < base {
            return Err(CallError::server(format!(
                "max fee per gas less than block base fee: address {from:?}, maxFeePerGas: {offered}, baseFee: {base}"
            )));
        }
        let cost = fields
            .gas
            .unwrap_or_default()
            .saturating_mul(base)
            .saturating_add(fields.value.unwrap_or_default());
        let balance = self.chain.balance(best, from)?;
        if balance < cost {
            return Err(CallError::server(format!(
                "insufficient funds for gas * price + value: address {from:?} have {balance} want {cost}"
            )));
        }
        Ok(())
    }

    /// The pool's refusal in Ethereum's words.
    fn explain(&self, refusal: Refusal, payload: &[u8]) -> CallError {
        // What has changed since it was checked explains it best.
        if let Err(error) = self.check(payload) {
            return error;
        }
        CallError::server(match refusal {
            Refusal::Known => "already known".into(),
            Refusal::Stale => "nonce too low".into(),
            // The rest of what a payment may lack was checked.
            Refusal::Payment => "intrinsic gas too low: use the limit that eth_estimateGas gives".into(),
            Refusal::Underpriced => {
                "replacement transaction underpriced: this nonce waits in the pool, and prices above the base fee do not \
                 raise a transaction's rank on this chain"
                    .into()
            }
            Refusal::Full => "txpool is full: try again when blocks have made room".into(),
            Refusal::TooLarge => "exceeds block gas limit".into(),
            Refusal::Signature => "invalid sender".into(),
            Refusal::Banned => {
                "the pool found this very transaction invalid or dropped it a short while ago and does not look at it \
                 again yet: change a field (the gas limit, say) and sign again"
                    .into()
            }
            Refusal::Other(words) => words,
        })
    }

    /// The bytes of a transaction that waits in the pool.
    pub(super) fn pending(&self, hash: H256) -> Result<Option<Vec<u8>>, CallError> {
        let layout = self.layout()?;
        let wanted = |bytes: &[u8]| {
            layout
                .eth_payload(bytes)
                .is_some_and(|payload| transaction_hash(payload) == hash)
        };
        let found = self.pool.find(&wanted);
        Ok(found.and_then(|bytes| layout.eth_payload(&bytes).map(<[u8]>::to_vec)))
    }

    /// Fills in what the caller left out and signs.
    fn sign(&self, mut transaction: GenericTransactionV1) -> Result<Vec<u8>, CallError> {
        let from = transaction
            .from
            .ok_or_else(|| CallError::params("the transaction has no sender: set from"))?;
        let account = self.accounts.iter().find(|account| account.address() == from).ok_or_else(|| {
            CallError::server(format!(
                "unknown account {from:?}: this node signs for {} accounts (eth_accounts); sign in the client and use \
                 eth_sendRawTransaction",
                self.accounts.len()
            ))
        })?;
        if transaction.gas.is_none() {
            transaction.gas = Some(self.estimate(transaction.clone(), None, None)?);
        }
        if transaction.nonce.is_none() {
            transaction.nonce = Some(U256::from(self.next_nonce(from)?));
        }
        transaction.chain_id = Some(U256::from(self.chain_id()?));
        if transaction.gas_price.is_none() {
            if transaction.max_fee_per_gas.is_none() {
                let base = self.chain.gas_price(self.chain.tips().best_hash)?;
                transaction.max_fee_per_gas = Some(base.saturating_mul(U256::from(2)));
            }
            transaction
                .max_priority_fee_per_gas
                .get_or_insert_with(U256::zero);
        }
        let kind = match (transaction.gas_price, &transaction.access_list) {
            (None, _) => TYPE_EIP1559,
            (Some(_), Some(_)) => TYPE_EIP2930,
            (Some(_), None) => TYPE_LEGACY,
        };
        transaction.r#type = Some(kind.into());
        let unsigned = GenericTransaction::from(transaction)
            .try_into_unsigned()
            .map_err(|()| CallError::params("the transaction's fields fit no type this chain takes"))?;
        Ok(account.sign_transaction(unsigned).signed_payload())
    }
}

/// A transaction from the pool as clients see it.
pub(super) fn pending_json(payload: &[u8]) -> Result<Value, CallError> {
    let (signed, from) = decode(payload)?;
    Ok(transaction_json(signed, transaction_hash(payload), from, None))
}

/// What a transaction would pay per gas at most, in wei.
fn most_per_gas(signed: &TransactionSigned) -> U256 {
    match signed {
        TransactionSigned::TransactionLegacySigned(tx) => tx.transaction_legacy_unsigned.gas_price,
        TransactionSigned::Transaction2930Signed(tx) => tx.transaction_2930_unsigned.gas_price,
        TransactionSigned::Transaction1559Signed(tx) => tx.transaction_1559_unsigned.max_fee_per_gas,
        TransactionSigned::Transaction4844Signed(tx) => tx.transaction_4844_unsigned.max_fee_per_gas,
        TransactionSigned::Transaction7702Signed(tx) => tx.transaction_7702_unsigned.max_fee_per_gas,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{legacy, sender, transfer, transfer_on, TestNode, CHAIN_ID};
    use jsonrpsee::types::ErrorObjectOwned;

    fn message(error: ErrorObjectOwned) -> String {
        assert_eq!(error.code(), -32000);
        error.message().to_owned()
    }

    #[tokio::test]
    async fn sent_transaction_should_be_pending_then_mined() {
        let node = TestNode::new();
        node.sync();
        node.chain.set_balance(U256::MAX);
        let eth = node.eth();
        let bytes = transfer(0, H160::repeat_byte(1));
        let hash = eth.send_raw(Bytes(bytes.clone())).await.unwrap();
        assert_eq!(hash, transaction_hash(&bytes));
        let shown = eth.by_hash(hash).await.unwrap().unwrap();
        assert_eq!(
            (&shown["blockHash"], &shown["from"]),
            (&Value::Null, &serde_json::json!(sender()))
        );
        assert_eq!(eth.receipt(hash).await.unwrap(), None);
        assert_eq!(eth.raw_by_hash(hash).await.unwrap(), Some(Bytes(bytes.clone())));
        node.pool.clear();
        node.chain.add(vec![(bytes.clone(), true, vec![])]);
        node.sync();
        let shown = eth.by_hash(hash).await.unwrap().unwrap();
        assert_eq!(
            (&shown["blockNumber"], &shown["transactionIndex"]),
            (&"0x1".into(), &"0x0".into())
        );
        assert_eq!(
            eth.by_block_number(BlockRef::Number(1), Quantity(0))
                .await
                .unwrap()
                .unwrap(),
            shown
        );
        assert_eq!(
            eth.by_block_number(BlockRef::Number(1), Quantity(1))
                .await
                .unwrap(),
            None
        );
        assert_eq!(eth.receipt(hash).await.unwrap().unwrap().status, U256::one());
        assert_eq!(eth.raw_by_hash(hash).await.unwrap(), Some(Bytes(bytes)));
    }

    #[tokio::test]
    async fn transactions_that_can_never_get_in_should_be_refused_with_the_reason() {
        let node = TestNode::new();
        node.sync();
        node.chain.set_balance(U256::MAX);
        let eth = node.eth();
        let refused = |bytes: Vec<u8>| {
            let eth = eth.clone();
            async move { message(eth.send_raw(Bytes(bytes)).await.unwrap_err()) }
        };
        let other_chain = refused(transfer_on(1, 0, H160::zero())).await;
        assert!(other_chain.contains("have 1 want 161299"), "{other_chain}");
        assert!(refused(legacy(None)).await.contains("EIP-155"));
        assert!(eth.send_raw(Bytes(legacy(Some(CHAIN_ID)))).await.is_ok());
        assert!(refused(vec![1, 2, 3]).await.contains("cannot be decoded"));
        assert!(refused(vec![]).await.contains("cannot be decoded"));

        let once = transfer(0, H160::zero());
        node.chain.set_gas_price(U256::from(2_001));
        let cheap = refused(once.clone()).await;
        assert!(
            cheap.starts_with("max fee per gas less than block base fee"),
            "{cheap}"
        );
        node.chain.set_gas_price(U256::from(2_000));
        // 100,000 gas and one wei.
        node.chain.set_balance(U256::from(200_000_000));
        let poor = refused(once.clone()).await;
        assert!(
            poor.starts_with("insufficient funds for gas * price + value"),
            "{poor}"
        );
        assert!(poor.contains("have 200000000 want 200000001"), "{poor}");
        node.chain.set_balance(U256::from(200_000_001));
        assert!(eth.send_raw(Bytes(once.clone())).await.is_ok());
        node.pool.clear();
        node.chain.add(vec![(once.clone(), true, vec![])]);
        let again = refused(once).await;
        assert!(
            again.starts_with("nonce too low") && again.ends_with("tx: 0 state: 1"),
            "{again}"
        );
    }

    #[tokio::test]
    async fn refusals_of_the_pool_should_be_told_in_ethereums_words() {
        let node = TestNode::new();
        node.sync();
        let eth = node.eth();
        node.chain.set_balance(U256::MAX);
        for (refusal, words) in [
            (Refusal::Known, "already known"),
            (Refusal::Stale, "nonce too low"),
            (Refusal::Underpriced, "replacement transaction underpriced"),
            (Refusal::Payment, "intrinsic gas too low"),
            (Refusal::TooLarge, "exceeds block gas limit"),
            (Refusal::Full, "txpool is full"),
            (Refusal::Banned, "the pool found this very transaction invalid"),
            (
                Refusal::Other("in the pool's words".into()),
                "in the pool's words",
            ),
        ] {
            node.pool.refuse(refusal);
            let error = message(eth.send_raw(Bytes(transfer(0, H160::zero()))).await.unwrap_err());
            assert!(error.starts_with(words), "{error}");
        }
    }

    #[tokio::test]
    async fn node_should_sign_for_its_development_accounts_only() {
        let node = TestNode::new();
        node.sync();
        node.chain.set_balance(U256::MAX);
        let request = |from| GenericTransactionV1 {
            from,
            to: Some(H160::zero()),
            ..Default::default()
        };
        let eth = node.eth();
        assert_eq!(eth.accounts().await.unwrap(), vec![]);
        let error = message(eth.send(request(Some(sender()))).await.unwrap_err());
        assert!(error.contains("eth_sendRawTransaction"), "{error}");
        let eth = node.eth_with_accounts();
        assert_eq!(eth.accounts().await.unwrap().len(), 5);
        let first = eth.send(request(Some(sender()))).await.unwrap();
        let second = eth.send(request(Some(sender()))).await.unwrap();
        assert_ne!(first, second, "both took the same nonce");
        let shown = eth.by_hash(second).await.unwrap().unwrap();
        assert_eq!(
            (&shown["nonce"], &shown["type"], &shown["chainId"]),
            (&"0x1".into(), &"0x2".into(), &"0x27613".into())
        );
        assert_eq!(eth.send(request(None)).await.unwrap_err().code(), -32602);
    }
}
