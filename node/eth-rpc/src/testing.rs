//! A chain, a pool and a network in memory, for the tests of everything above them.

use crate::{
    accounts,
    api::{Eth, Parts},
    chain::{Chain, Network, Pool, Refusal, Simulation, Tips},
    error::CallError,
    extract::{transaction_hash, EthBlock, EthLog, EthTransaction},
    feed::{Change, Feed},
    follow::Follower,
    index::Index,
    layout::{tests as layouts, Layout},
};
use codec::Encode;
use futures::{stream::BoxStream, StreamExt};
use jsonrpsee::core::async_trait;
use pallet_revive::{
    evm::{
        GenericTransaction, Transaction1559Unsigned, TransactionLegacyUnsigned, TransactionUnsigned, H160,
        H256, U256,
    },
    EthTransactError,
};
use pallet_revive_types::runtime_api::{
    BlockV1, EthTransactInfoV1, GenericTransactionV1, HashesOrTransactionInfosV1, ReceiptGasInfoV1,
    StateOverrideSetV1, TraceV1, TracerTypeV1,
};
use sp_core::{Hasher, KeccakHasher};
use sp_runtime::AccountId32;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::watch;

pub(crate) const CHAIN_ID: u64 = 161_299;
pub(crate) const MAX_LOG_BLOCKS: u32 = 20;
pub(crate) const MAX_LOGS: u32 = 6;
/// Gas that each transaction of the test chain uses.
const GAS_USED: u64 = 21_000;

/// The first development account.
pub(crate) fn sender() -> H160 {
    accounts::development()[0].address()
}

fn sign(unsigned: impl Into<TransactionUnsigned>) -> Vec<u8> {
    accounts::development()[0]
        .sign_transaction(unsigned.into())
        .signed_payload()
}

/// A signed transfer of one wei.
pub(crate) fn transfer(nonce: u32, to: H160) -> Vec<u8> {
    transfer_on(CHAIN_ID, nonce, to)
}

/// As [`transfer`], on another chain.
pub(crate) fn transfer_on(chain: u64, nonce: u32, to: H160) -> Vec<u8> {
    sign(Transaction1559Unsigned {
        chain_id: U256::from(chain),
        nonce: U256::from(nonce),
        to: Some(to),
        gas: U256::from(100_000),
        max_fee_per_gas: U256::from(2_000),
        value: U256::one(),
        ..Default::default()
    })
}

/// A signed contract creation.
pub(crate) fn create(nonce: u32) -> Vec<u8> {
    sign(Transaction1559Unsigned {
        chain_id: U256::from(CHAIN_ID),
        nonce: U256::from(nonce),
        ..Default::default()
    })
}

/// A signed transaction of the oldest type, with or without a chain id.
pub(crate) fn legacy(chain: Option<u64>) -> Vec<u8> {
    sign(TransactionLegacyUnsigned {
        chain_id: chain.map(U256::from),
        gas_price: U256::from(2_000),
        to: Some(H160::zero()),
        ..Default::default()
    })
}

/// A block for the index with `transactions` transactions, each with two logs; `fork` tells blocks of a height apart.
pub(crate) fn sample_block(number: u32, fork: u8, transactions: u8) -> EthBlock {
    let seed =
        |what: &str, index: u32| KeccakHasher::hash(format!("{what} {number} {fork} {index}").as_bytes());
    let hashes: Vec<H256> = (0..transactions.into())
        .map(|index| seed("transaction", index))
        .collect();
    let mut logs = Vec::new();
    for transaction in 0..u32::from(transactions) {
        for log in 0..2u32 {
            let pick = |salt: u32| (number + u32::from(fork) + transaction + log * salt) as u8 % 4;
            logs.push(EthLog {
                transaction,
                address: H160::repeat_byte(pick(1)),
                topics: (0..pick(3))
                    .map(|at| H256::repeat_byte(pick(at.into())))
                    .collect(),
                data: vec![0, 1, 2, 0],
            });
        }
    }
    EthBlock {
        number,
        hash: seed("node", 0),
        block: BlockV1 {
            number: U256::from(number),
            hash: seed("ethereum", 0),
            transactions: HashesOrTransactionInfosV1::Hashes(hashes.clone()),
            ..Default::default()
        },
        transactions: hashes
            .into_iter()
            .enumerate()
            .map(|(index, hash)| EthTransaction {
                hash,
                extrinsic: index as u32 + 1,
                from: H160::repeat_byte(1),
                to: None,
                contract: Some(H160::repeat_byte(2)),
                kind: 2,
                success: index % 2 == 0,
                gas_used: U256::from(GAS_USED),
                cumulative_gas_used: U256::from(GAS_USED * (index as u64 + 1)),
                effective_gas_price: U256::from(1_000),
            })
            .collect(),
        logs,
    }
}

/// A transaction for [`TestChain::add`]: signed bytes, success, logs.
pub(crate) type Transaction = (Vec<u8>, bool, Vec<(H160, Vec<H256>, Vec<u8>)>);

struct TestBlock {
    number: u32,
    parent: H256,
    body: Option<Vec<Vec<u8>>>,
    events: Vec<u8>,
    block: BlockV1,
    gas: Vec<ReceiptGasInfoV1>,
    nonces: HashMap<H160, u32>,
}

struct State {
    blocks: HashMap<H256, TestBlock>,
    /// The best chain by height.
    canonical: Vec<H256>,
    states_from: u32,
    made: u64,
    revert: Option<Vec<u8>>,
    balance: U256,
    gas_price: U256,
}

/// A chain in memory.
pub(crate) struct TestChain {
    state: Mutex<State>,
    layout: Arc<Layout>,
    changed: watch::Sender<u64>,
}

impl TestChain {
    /// A chain of genesis alone.
    pub(crate) fn new() -> Self {
        let chain = Self {
            state: Mutex::new(State {
                blocks: HashMap::new(),
                canonical: vec![],
                states_from: 0,
                made: 0,
                revert: None,
                balance: U256::zero(),
                gas_price: U256::from(1_000),
            }),
            layout: Arc::new(layouts::layout()),
            changed: watch::Sender::new(0),
        };
        chain.add(vec![]);
        chain
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Puts a block on top of the best chain. All logs come from its first transaction, and its second may fail: that is
    /// what the events of the layout's tests can say.
    pub(crate) fn add(&self, transactions: Vec<Transaction>) -> H256 {
        let mut state = self.state();
        let number = state.canonical.len() as u32;
        state.made += 1;
        let hash = KeccakHasher::hash(&(number, state.made).encode());
        let parent = state.canonical.last().copied().unwrap_or_default();
        let mut nonces = state
            .blocks
            .get(&parent)
            .map(|block| block.nonces.clone())
            .unwrap_or_default();
        let mut body = vec![vec![5, 1, 0]];
        let mut hashes = Vec::new();
        let mut logs = Vec::new();
        let mut failed = false;
        for (index, (payload, success, its_logs)) in transactions.iter().enumerate() {
            body.push(self.layout.wrap(payload));
            hashes.push(transaction_hash(payload));
            let (signed, from) = crate::extract::decode(payload).unwrap();
            let nonce = GenericTransaction::from_signed(signed, U256::zero(), None)
                .nonce
                .unwrap();
            nonces.insert(from, nonce.low_u32() + 1);
            assert!(
                index == 0 || its_logs.is_empty(),
                "only the first transaction of a test block has logs"
            );
            assert!(
                *success == (index != 1),
                "the second transaction of a test block fails and no other"
            );
            logs.extend(its_logs.iter().cloned());
            failed |= !success;
        }
        let events = if logs.is_empty() && !failed {
            vec![0]
        } else {
            layouts::sample_events(&logs)
        };
        let block = BlockV1 {
            number: U256::from(number),
            hash: if number == 0 {
                H256::zero()
            } else {
                KeccakHasher::hash(hash.as_bytes())
            },
            parent_hash: state
                .blocks
                .get(&parent)
                .map(|block| block.block.hash)
                .unwrap_or_default(),
            base_fee_per_gas: U256::from(1_000),
            gas_limit: U256::from(u64::MAX),
            gas_used: U256::from(GAS_USED * hashes.len() as u64),
            transactions: HashesOrTransactionInfosV1::Hashes(hashes.clone()),
            ..Default::default()
        };
        let gas = hashes
            .iter()
            .map(|_| ReceiptGasInfoV1 {
                gas_used: U256::from(GAS_USED),
                effective_gas_price: U256::from(1_000),
            })
            .collect();
        state.blocks.insert(
            hash,
            TestBlock {
                number,
                parent,
                body: Some(body),
                events,
                block,
                gas,
                nonces,
            },
        );
        state.canonical.push(hash);
        let made = state.made;
        drop(state);
        self.changed.send_replace(made);
        hash
    }

    /// Puts empty blocks on top.
    pub(crate) fn add_empty(&self, count: u32) {
        for _ in 0..count {
            self.add(vec![]);
        }
    }

    /// Makes the block at `number` the best one again.
    pub(crate) fn truncate(&self, number: u32) {
        self.state().canonical.truncate(number as usize + 1);
    }

    /// Forgets states of blocks below `number`, genesis included.
    pub(crate) fn prune_states_below(&self, number: u32) {
        self.state().states_from = number;
    }

    pub(crate) fn drop_body(&self, hash: H256) {
        self.state().blocks.get_mut(&hash).unwrap().body = None;
    }

    /// Lets every simulated call revert.
    pub(crate) fn revert_calls_with(&self, data: Vec<u8>) {
        self.state().revert = Some(data);
    }

    pub(crate) fn set_balance(&self, balance: U256) {
        self.state().balance = balance;
    }

    pub(crate) fn set_gas_price(&self, price: U256) {
        self.state().gas_price = price;
    }

    fn with<T>(&self, hash: H256, read: impl FnOnce(&TestBlock) -> T) -> Result<T, CallError> {
        if !self.has_state(hash) {
            return Err(CallError::internal("no state"));
        }
        Ok(read(&self.state().blocks[&hash]))
    }
}

impl Chain for TestChain {
    fn tips(&self) -> Tips {
        let state = self.state();
        let best = state.canonical.len() - 1;
        let finalized = best.saturating_sub(2);
        Tips {
            best_number: best as u32,
            best_hash: state.canonical[best],
            finalized_number: finalized as u32,
            finalized_hash: state.canonical[finalized],
        }
    }

    fn canonical(&self, number: u32) -> Result<Option<H256>, CallError> {
        Ok(self.state().canonical.get(number as usize).copied())
    }

    fn parent(&self, hash: H256) -> Result<Option<(u32, H256)>, CallError> {
        Ok(self
            .state()
            .blocks
            .get(&hash)
            .map(|block| (block.number, block.parent)))
    }

    fn has_state(&self, hash: H256) -> bool {
        let state = self.state();
        state
            .blocks
            .get(&hash)
            .is_some_and(|block| block.number >= state.states_from)
    }

    fn body(&self, hash: H256) -> Result<Option<Vec<Vec<u8>>>, CallError> {
        Ok(self
            .state()
            .blocks
            .get(&hash)
            .and_then(|block| block.body.clone()))
    }

    fn events(&self, hash: H256) -> Result<Vec<u8>, CallError> {
        self.with(hash, |block| block.events.clone())
    }

    fn layout(&self, hash: H256) -> Result<Arc<Layout>, CallError> {
        self.with(hash, |_| self.layout.clone())
    }

    fn eth_block(&self, hash: H256) -> Result<BlockV1, CallError> {
        self.with(hash, |block| block.block.clone())
    }

    fn receipt_data(&self, hash: H256) -> Result<Vec<ReceiptGasInfoV1>, CallError> {
        self.with(hash, |block| block.gas.clone())
    }

    fn balance(&self, hash: H256, _: H160) -> Result<U256, CallError> {
        let balance = self.state().balance;
        self.with(hash, |_| balance)
    }

    fn nonce(&self, hash: H256, address: H160) -> Result<u32, CallError> {
        self.with(hash, |block| {
            block.nonces.get(&address).copied().unwrap_or_default()
        })
    }

    fn code(&self, hash: H256, _: H160) -> Result<Vec<u8>, CallError> {
        self.with(hash, |_| vec![])
    }

    fn storage(&self, hash: H256, _: H160, _: [u8; 32]) -> Result<Option<Vec<u8>>, CallError> {
        self.with(hash, |_| None)
    }

    fn gas_price(&self, hash: H256) -> Result<U256, CallError> {
        let price = self.state().gas_price;
        self.with(hash, |_| price)
    }

    fn account_id(&self, _: H256, address: H160) -> Result<AccountId32, CallError> {
        Ok(account(address))
    }

    fn dry_run(
        &self,
        hash: H256,
        _: GenericTransactionV1,
        _: Simulation,
    ) -> Result<Result<EthTransactInfoV1<u128>, EthTransactError>, CallError> {
        let revert = self.state().revert.clone();
        self.with(hash, |_| match revert {
            Some(data) => Err(EthTransactError::Data(data)),
            None => Ok(EthTransactInfoV1 {
                data: vec![1],
                ..Default::default()
            }),
        })
    }

    fn estimate(
        &self,
        hash: H256,
        call: GenericTransactionV1,
        how: Simulation,
    ) -> Result<Result<U256, EthTransactError>, CallError> {
        Ok(self.dry_run(hash, call, how)?.map(|_| U256::from(GAS_USED)))
    }

    fn trace_transaction(&self, _: H256, _: u32, _: TracerTypeV1) -> Result<Option<TraceV1>, CallError> {
        Ok(None)
    }

    fn trace_block(&self, _: H256, _: TracerTypeV1) -> Result<Vec<(u32, TraceV1)>, CallError> {
        Ok(vec![])
    }

    fn trace_call(
        &self,
        _: H256,
        _: GenericTransactionV1,
        _: TracerTypeV1,
        _: Option<StateOverrideSetV1>,
    ) -> Result<Result<TraceV1, EthTransactError>, CallError> {
        Ok(Err(EthTransactError::Message("no traces here".into())))
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        futures::stream::unfold(self.changed.subscribe(), |mut changed| async move {
            changed.changed().await.ok()?;
            Some(((), changed))
        })
        .boxed()
    }
}

/// The native account behind an address nobody mapped.
fn account(address: H160) -> AccountId32 {
    let mut bytes = [0xEE; 32];
    bytes[..20].copy_from_slice(address.as_bytes());
    AccountId32::new(bytes)
}

/// A pool that takes everything unless told to refuse.
#[derive(Default)]
pub(crate) struct TestPool {
    ready: Mutex<Vec<(Vec<u8>, Vec<u8>)>>,
    refusal: Mutex<Option<Refusal>>,
}

impl TestPool {
    /// Adds transactions that only have tags.
    pub(crate) fn fill(&self, nonces: &[(H160, u32)]) {
        let tags = nonces
            .iter()
            .map(|(address, nonce)| (vec![], (account(*address), *nonce).encode()));
        self.ready.lock().unwrap().extend(tags);
    }

    pub(crate) fn clear(&self) {
        self.ready.lock().unwrap().clear();
    }

    /// Refuses the next transaction.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }
}

#[async_trait]
impl Pool for TestPool {
    async fn submit(&self, _: H256, extrinsic: Vec<u8>) -> Result<(), Refusal> {
        if let Some(refusal) = self.refusal.lock().unwrap().take() {
            return Err(refusal);
        }
        let payload = layouts::layout().eth_payload(&extrinsic).unwrap().to_vec();
        let (signed, from) = crate::extract::decode(&payload).unwrap();
        let nonce = GenericTransaction::from_signed(signed, U256::zero(), None)
            .nonce
            .unwrap()
            .low_u32();
        self.ready
            .lock()
            .unwrap()
            .push((extrinsic, (account(from), nonce).encode()));
        Ok(())
    }

    fn provided(&self) -> HashSet<Vec<u8>> {
        self.ready
            .lock()
            .unwrap()
            .iter()
            .map(|(_, tag)| tag.clone())
            .collect()
    }

    fn find(&self, wanted: &dyn Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        self.ready
            .lock()
            .unwrap()
            .iter()
            .map(|(bytes, _)| bytes.clone())
            .find(|bytes| wanted(bytes))
    }

    fn arrivals(&self) -> BoxStream<'static, Vec<u8>> {
        futures::stream::pending().boxed()
    }

    fn counts(&self) -> (usize, usize) {
        (self.ready.lock().unwrap().len(), 0)
    }
}

/// A network without peers.
#[derive(Default)]
pub(crate) struct TestNetwork {
    syncing_to: Mutex<Option<u32>>,
}

impl TestNetwork {
    pub(crate) fn set_syncing(&self, highest: u32) {
        *self.syncing_to.lock().unwrap() = Some(highest);
    }
}

#[async_trait]
impl Network for TestNetwork {
    fn is_syncing(&self) -> bool {
        self.syncing_to.lock().unwrap().is_some()
    }

    fn peers(&self) -> usize {
        0
    }

    async fn highest(&self) -> Option<u32> {
        *self.syncing_to.lock().unwrap()
    }
}

/// All of it, with an index.
pub(crate) struct TestNode {
    pub(crate) chain: Arc<TestChain>,
    pub(crate) pool: Arc<TestPool>,
    pub(crate) network: Arc<TestNetwork>,
    pub(crate) index: Arc<Index>,
    pub(crate) arrivals: Arc<Feed<H256>>,
    pub(crate) follower: Follower,
    changes: Arc<Feed<Change>>,
    _dir: tempfile::TempDir,
}

impl TestNode {
    /// A node that has not indexed anything yet. Its feed remembers 32 changes.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let index = Arc::new(Index::open(dir.path(), H256::zero()).unwrap());
        let chain = Arc::new(TestChain::new());
        let changes = Arc::new(Feed::new(32));
        let follower = Follower::new(chain.clone(), index.clone(), changes.clone(), None, None);
        Self {
            chain,
            pool: Arc::default(),
            network: Arc::default(),
            index,
            arrivals: Arc::new(Feed::new(32)),
            follower,
            changes,
            _dir: dir,
        }
    }

    /// Indexes everything up to the best block.
    pub(crate) fn sync(&self) {
        self.follower.catch_up();
    }

    /// The methods.
    pub(crate) fn eth(&self) -> Eth {
        self.make(false)
    }

    /// The methods of a node that signs for the development accounts.
    pub(crate) fn eth_with_accounts(&self) -> Eth {
        self.make(true)
    }

    fn make(&self, with_accounts: bool) -> Eth {
        Eth::new(Parts {
            chain: self.chain.clone(),
            pool: self.pool.clone(),
            network: self.network.clone(),
            index: self.index.clone(),
            changes: self.changes.clone(),
            arrivals: self.arrivals.clone(),
            head: self.follower.head(),
            accounts: if with_accounts {
                accounts::development()
            } else {
                vec![]
            },
            max_log_blocks: MAX_LOG_BLOCKS,
            max_logs: MAX_LOGS,
            max_filters: 10,
            client_version: "openledger-node/v0.0.0-test".into(),
        })
    }
}
