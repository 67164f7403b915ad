//! One connection to one node.

use crate::{
    nonce::Nonces,
    read::{hash_of, hex_of},
    Block, Error, Head, Read, Result,
};
use codec::Decode;
use openledger_protocol::{storage, Hash};
use serde::de::DeserializeOwned;
use std::{sync::Arc, time::Duration};
use subxt::{
    backend::LegacyBackend,
    config::{polkadot::PolkadotConfigBuilder, PolkadotConfig},
    OnlineClient,
};
use subxt_rpcs::client::{
    reconnecting_rpc_client::{ExponentialBackoff, RpcClient as Reconnecting},
    rpc_params, RpcClient, RpcParams,
};

/// The EVM chain id of development chains, on which the well-known keys may sign.
pub const DEV_CHAIN_ID: u64 = 161_299;

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a request may take, reconnecting included.
const REQUEST: Duration = Duration::from_secs(30);
/// Largest request and answer: evidence carries whole rows.
const MESSAGE: u32 = 64 * 1024 * 1024;

/// The chain, seen through one node. Clones share the connection and the order of each account's transactions.
#[derive(Clone)]
pub struct Chain {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    url: String,
    rpc: RpcClient,
    pub(crate) client: OnlineClient<PolkadotConfig>,
    genesis: Hash,
    chain_id: u64,
    pub(crate) nonces: Nonces,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Chain({}, genesis 0x{})",
            self.inner.url,
            hex::encode(self.inner.genesis)
        )
    }
}

/// A header as a node writes it.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    number: String,
    pub(crate) parent_hash: String,
}

impl Header {
    pub(crate) fn number(&self) -> Result<u32> {
        u32::from_str_radix(self.number.trim_start_matches("0x"), 16).map_err(|e| Error::Decode {
            what: format!("the block number {}", self.number),
            reason: e.to_string(),
        })
    }
}

impl Chain {
    /// Connects to the node at `url`, such as `ws://127.0.0.1:9944`. Fails within seconds if nobody is there; afterwards the
    /// connection heals itself.
    pub async fn connect(url: &str) -> Result<Self> {
        check_url(url)?;
        let unreachable = |reason: String| Error::Unreachable {
            url: url.into(),
            reason,
        };
        // The reconnecting client would retry the first connection until the time is over; a person wants to know now.
        probe(url).await.map_err(unreachable)?;
        let connecting = Reconnecting::builder()
            .max_request_size(MESSAGE)
            .max_response_size(MESSAGE)
            .retry_policy(ExponentialBackoff::from_millis(50).max_delay(Duration::from_secs(2)))
            .build(url.to_owned());
        let rpc = tokio::time::timeout(CONNECT, connecting)
            .await
            .map_err(|_| unreachable(format!("no answer in {} s", CONNECT.as_secs())))?
            .map_err(|e| unreachable(e.to_string()))?;
        let rpc = RpcClient::new(rpc);
        let genesis: String = request(&rpc, url, "chain_getBlockHash", rpc_params![0u32]).await?;
        let genesis = hash_of("chain_getBlockHash", &genesis)?;
        let config = PolkadotConfigBuilder::new().use_historic_types(false).build();
        let backend = LegacyBackend::builder().build(rpc.clone());
        let client = OnlineClient::from_backend_with_config(config, Arc::new(backend))
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        let key = storage::value("Periods", "Periods");
        let periods: Option<String> =
            request(&rpc, url, "state_getStorage", rpc_params![hex_of(&key)]).await?;
        let chain_id = periods.and_then(|bytes| {
            let bytes = hex::decode(bytes.trim_start_matches("0x")).ok()?;
            u64::decode(&mut bytes.as_slice()).ok()
        });
        let chain_id = chain_id.ok_or_else(|| Error::Address {
            url: url.into(),
            reason: "its chain stores no Periods, so it is no OpenLedger chain".into(),
        })?;
        Ok(Self {
            inner: Arc::new(Inner {
                url: url.into(),
                rpc,
                client,
                genesis,
                chain_id,
                nonces: Nonces::default(),
            }),
        })
    }

    /// [`connect`](Self::connect), and fails if the node runs another chain than the one with this genesis hash.
    pub async fn connect_to(url: &str, genesis: &Hash) -> Result<Self> {
        let chain = Self::connect(url).await?;
        if chain.inner.genesis != *genesis {
            return Err(Error::OtherGenesis {
                url: url.into(),
                expected: *genesis,
                found: chain.inner.genesis,
            });
        }
        Ok(chain)
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        &self.inner.url
    }

    /// Hash of the chain's first block.
    pub fn genesis(&self) -> Hash {
        self.inner.genesis
    }

    /// The chain's EIP-155 id.
    pub fn chain_id(&self) -> u64 {
        self.inner.chain_id
    }

    pub(crate) async fn request<T: DeserializeOwned>(&self, method: &str, params: RpcParams) -> Result<T> {
        request(&self.inner.rpc, &self.inner.url, method, params).await
    }

    pub(crate) fn rpc(&self) -> &RpcClient {
        &self.inner.rpc
    }

    pub(crate) fn unreachable(&self, reason: impl ToString) -> Error {
        Error::Unreachable {
            url: self.inner.url.clone(),
            reason: reason.to_string(),
        }
    }

    pub(crate) async fn header(&self, hash: &Hash) -> Result<Header> {
        let header: Option<Header> = self.request("chain_getHeader", rpc_params![hex_of(hash)]).await?;
        header.ok_or_else(|| Error::Node {
            method: "chain_getHeader".into(),
            reason: format!("it has no block {}: wait until it has caught up", hex_of(hash)),
        })
    }

    /// The newest block of the best chain or of its final part.
    pub async fn head(&self, head: Head) -> Result<Block> {
        let hash: String = match head {
            Head::Best => self.request("chain_getBlockHash", rpc_params![]).await?,
            Head::Finalized => self.request("chain_getFinalizedHead", rpc_params![]).await?,
        };
        let hash = hash_of("the head of the chain", &hash)?;
        let number = self.header(&hash).await?.number()?;
        Ok(Block { number, hash })
    }

    /// The block of the best chain at this height, once there is one.
    pub async fn block(&self, number: u32) -> Result<Option<Block>> {
        let hash: Option<String> = self.request("chain_getBlockHash", rpc_params![number]).await?;
        hash.map(|hash| {
            Ok(Block {
                number,
                hash: hash_of("chain_getBlockHash", &hash)?,
            })
        })
        .transpose()
    }

    /// Whether a block can no longer be replaced.
    pub async fn is_final(&self, block: Block) -> Result<bool> {
        let head = self.head(Head::Finalized).await?;
        Ok(head.number >= block.number && self.block(block.number).await? == Some(block))
    }

    /// Puts a key into the node's keystore. The node must allow unsafe requests (`--rpc-methods unsafe`, or a local one).
    pub async fn insert_key(&self, key_type: &str, uri: &str, public: &[u8; 32]) -> Result<()> {
        self.request("author_insertKey", rpc_params![key_type, uri, hex_of(public)])
            .await
    }

    /// Writes into the node's persistent offchain storage, where its hook looks for the worker's address and secret. The node
    /// must allow unsafe requests.
    pub async fn set_offchain(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.request(
            "offchain_localStorageSet",
            rpc_params!["PERSISTENT", hex_of(key), hex_of(value)],
        )
        .await
    }

    /// A value of the node's persistent offchain storage. The node must allow unsafe requests.
    pub async fn offchain(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let method = "offchain_localStorageGet";
        let value: Option<String> = self
            .request(method, rpc_params!["PERSISTENT", hex_of(key)])
            .await?;
        value
            .map(|value| crate::read::bytes_of(method, &value))
            .transpose()
    }

    /// A value that its pallet stores from genesis on.
    pub async fn read_value<T: Decode>(
        &self,
        pallet: &str,
        item: &str,
        at: impl Into<crate::At>,
    ) -> Result<Read<T>> {
        self.read(storage::value(pallet, item), at)
            .await?
            .found(format_args!("value {pallet}.{item}"))
    }
}

fn check_url(url: &str) -> Result<()> {
    if url.starts_with("ws://") || url.starts_with("wss://") {
        return Ok(());
    }
    Err(Error::Address {
        url: url.into(),
        reason: "it starts with neither ws:// nor wss://".into(),
    })
}

/// Whether somebody listens there.
async fn probe(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("ws", url));
    let authority = rest.split('/').next().unwrap_or(rest);
    let address = match authority.rsplit_once(':') {
        Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => authority.to_owned(),
        _ if scheme == "wss" => format!("{authority}:443"),
        _ => format!("{authority}:80"),
    };
    match tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(&address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("no answer in {} s", CONNECT.as_secs())),
    }
}

/// One request. A connection that is lost meanwhile is waited for: all our requests may be sent again.
async fn request<T: DeserializeOwned>(
    rpc: &RpcClient,
    url: &str,
    method: &str,
    params: RpcParams,
) -> Result<T> {
    let params = params.build();
    let attempts = async {
        loop {
            match rpc.request_raw(method, params.clone()).await {
                Err(e) if e.is_disconnected_will_reconnect() => {
                    tokio::time::sleep(Duration::from_millis(100)).await
                }
                other => return other,
            }
        }
    };
    let answer = tokio::time::timeout(REQUEST, attempts)
        .await
        .map_err(|_| Error::Unreachable {
            url: url.into(),
            reason: format!("no answer to {method} in {} s", REQUEST.as_secs()),
        })?;
    let answer = answer.map_err(|e| match e {
        subxt_rpcs::Error::User(e) => Error::Node {
            method: method.into(),
            reason: match &e.data {
                Some(data) => format!("{} ({})", e.message, data.get().trim_matches('"')),
                None => e.message,
            },
        },
        e => Error::Unreachable {
            url: url.into(),
            reason: e.to_string(),
        },
    })?;
    serde_json::from_str(answer.get()).map_err(|e| Error::Decode {
        what: format!("the answer to {method}"),
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_there_is_said_with_the_address() {
        let error = Chain::connect("ws://127.0.0.1:1").await.unwrap_err();
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(
            text.contains("ws://127.0.0.1:1") && text.contains("start one"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn an_address_of_another_kind_is_refused() {
        let error = Chain::connect("http://127.0.0.1:9944")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("ws://127.0.0.1:9944"), "{error}");
    }
}
