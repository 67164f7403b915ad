//! What the worker asks of a chain, so that tests can stand in for one.

use crate::error::{Error, Result};
use async_trait::async_trait;
use codec::{Decode, DecodeAll};
use openledger_attribution::{fee::Tariff, verdict::Wanted};
use openledger_chain::requested;
use openledger_protocol::{
    batches::{Batch, Index},
    channels::Channel,
    compute::{Job, Worker},
    datanets::{Contribution, Datanet, Version},
    disputes::{Committed, IndexBond},
    inference::Request,
    models::{tariff_of, Base, Generation, Line, Model, Place},
    storage, Account, Hash,
};

use openledger_chain::{datanet_item, item_owner};
pub use openledger_chain::{Block, Head};

/// A chain, and the worker's account on it.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Genesis hash.
    fn genesis(&self) -> Hash;

    /// EIP-155 chain id, for vouchers signed by Ethereum keys.
    fn chain_id(&self) -> u64;

    /// The worker's account, which signs what is submitted.
    fn account(&self) -> Account;

    /// The newest block.
    async fn head(&self, head: Head) -> Result<Block>;

    /// The bytes of a storage key, and the block they were read at.
    async fn bytes(&self, key: &[u8], head: Head) -> Result<(Option<Vec<u8>>, Block)>;

    /// The storage keys that start with `prefix`.
    async fn keys(&self, prefix: &[u8], head: Head) -> Result<Vec<Vec<u8>>>;

    /// Signs with the worker's account, in the context `substrate`.
    fn sign(&self, message: &[u8]) -> [u8; 64];

    /// Submits a call and waits until a best block has it. A call that fails there is an error that names why.
    async fn submit(&self, call: &[u8]) -> Result<Block>;
}

/// A chain client and the key of the worker's account.
pub struct Signer {
    /// The client.
    pub chain: openledger_chain::Chain,
    /// The account's key.
    pub key: openledger_chain::Key,
}

#[async_trait]
impl Ledger for Signer {
    fn genesis(&self) -> Hash {
        self.chain.genesis()
    }

    fn chain_id(&self) -> u64 {
        self.chain.chain_id()
    }

    fn account(&self) -> Account {
        self.key.account()
    }

    async fn head(&self, head: Head) -> Result<Block> {
        Ok(self.chain.head(head).await?)
    }

    async fn bytes(&self, key: &[u8], head: Head) -> Result<(Option<Vec<u8>>, Block)> {
        let read = self.chain.storage_bytes(key, head).await?;
        Ok((read.value, read.block))
    }

    async fn keys(&self, prefix: &[u8], head: Head) -> Result<Vec<Vec<u8>>> {
        Ok(self.chain.keys(prefix, head).await?)
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message)
    }

    async fn submit(&self, call: &[u8]) -> Result<Block> {
        Ok(self.chain.submit(call, &self.key).await?.block)
    }
}

/// A value of the chain and where it was read.
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The block.
    pub block: Block,
    /// The storage key.
    pub key: Vec<u8>,
}

/// Reads and decodes a value.
pub async fn read<T: Decode>(ledger: &dyn Ledger, key: Vec<u8>, head: Head) -> Result<At<Option<T>>> {
    let (bytes, block) = ledger.bytes(&key, head).await?;
    let value = bytes
        .map(|bytes| T::decode_all(&mut bytes.as_slice()))
        .transpose()
        .map_err(|error| {
            Error::Setup(format!(
                "the value at 0x{} is not what this program knows ({error}): the chain was upgraded, update the worker",
                hex::encode(&key)
            ))
        })?;
    Ok(At { value, block, key })
}

macro_rules! reads {
    ($($(#[$doc:meta])* $name:ident ( $($arg:ident: $type:ty),* ) -> $value:ty = $what:literal;)*) => {$(
        $(#[$doc])*
        pub async fn $name(ledger: &dyn Ledger, $($arg: $type,)* head: Head) -> Result<$value> {
            read(ledger, storage::$name($($arg),*), head)
                .await?
                .value
                .ok_or_else(|| Error::Missing(format!(concat!("the chain has no ", $what), $($arg = Show(&$arg)),*)))
        }
    )*};
}

struct Show<'a, T>(&'a T);

impl std::fmt::Display for Show<'_, u64> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for Show<'_, u32> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for Show<'_, [u8; 32]> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

reads! {
    /// A model.
    model(id: u64) -> Model<Account> = "model {id}";
    /// A generation.
    generation(model: u64, generation: u32) -> Generation<Account> = "generation {generation} of model {model}";
    /// A base.
    base(id: u64) -> Base<Account> = "base {id}";
    /// A Datanet.
    datanet(id: u64) -> Datanet<Account> = "Datanet {id}";
    /// A contribution.
    contribution(id: u64) -> Contribution<Account> = "contribution {id}";
    /// A version.
    version(datanet: u64, version: u32) -> Version = "version {version} of Datanet {datanet}";
    /// A job.
    job(id: u64) -> Job<Account> = "job {id}";
    /// A channel.
    channel(id: u64) -> Channel<Account> = "channel {id}: open one to this worker's account";
    /// A batch.
    batch(id: u64) -> Batch<Account> = "batch {id}";
    /// A worker.
    worker(account: Account) -> Worker = "worker {account}: register it";
    /// A question asked on the chain.
    inference(id: u64) -> Request<Account> = "request {id} for an answer";
    /// A registered index.
    index(hash: Hash) -> Index = "index {hash}";
    /// What stands behind an index.
    index_bond(hash: Hash) -> IndexBond<Account> = "bond behind index {hash}";
}

/// Who owns a Datanet, none if there is no such one.
pub async fn datanet_owner(ledger: &dyn Ledger, datanet: u64, head: Head) -> Result<Option<Account>> {
    let Some(key) = datanet_item(datanet) else {
        return Ok(None);
    };
    let (value, _) = ledger.bytes(&key, head).await?;
    Ok(value.as_deref().and_then(item_owner))
}

/// The number of the next batch.
pub async fn next_batch(ledger: &dyn Ledger, head: Head) -> Result<u64> {
    Ok(read(ledger, storage::next_batch(), head)
        .await?
        .value
        .unwrap_or(0))
}

/// Requests for data that are not answered, whoever holds it. Each cost who asked money, so there are not many.
pub async fn requests(ledger: &dyn Ledger, head: Head) -> Result<Vec<(Committed, Wanted)>> {
    let keys = ledger
        .keys(&storage::value("Attribution", "Requests"), head)
        .await?;
    Ok(keys.iter().filter_map(|key| requested(key)).collect())
}

/// How many requests for what is committed there are not answered.
pub async fn open_requests(ledger: &dyn Ledger, source: Committed, head: Head) -> Result<u32> {
    let key = storage::entry("Attribution", "OpenRequests", &[&source]);
    Ok(read(ledger, key, head).await?.value.unwrap_or(0))
}

/// Planck credited to an account and not claimed yet.
pub async fn credits(ledger: &dyn Ledger, account: Account, head: Head) -> Result<At<u128>> {
    let At { value, block, key } = read(ledger, storage::credits(account), head).await?;
    Ok(At {
        value: value.unwrap_or(0),
        block,
        key,
    })
}

/// What a generation descends from, if it has ancestors.
pub async fn line(ledger: &dyn Ledger, (model, generation): Place, head: Head) -> Result<Option<Line>> {
    Ok(read(ledger, storage::line(model, generation), head).await?.value)
}

/// What answers of a generation of this model are charged by.
pub async fn tariff(ledger: &dyn Ledger, model: &Model<Account>, place: Place, head: Head) -> Result<Tariff> {
    Ok(tariff_of(
        &model.tariff,
        line(ledger, place, head).await?.as_ref(),
    ))
}
