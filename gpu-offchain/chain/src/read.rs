//! Values with the place they were read from.

use crate::{Chain, Error, Result};
use codec::{Decode, DecodeAll};
use openledger_attribution::verdict::Wanted;
use openledger_protocol::{
    disputes::{Committed, Disputed},
    storage, Hash,
};
use std::fmt;
use subxt_rpcs::client::rpc_params;

/// Keys fetched in one request.
const PAGE: u32 = 512;

/// Which end of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// The newest block of the best chain; it may still be replaced.
    Best,
    /// The newest block that can no longer be replaced.
    Finalized,
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its height.
    pub number: u32,
    /// Its hash.
    pub hash: Hash,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.hash;
        write!(f, "{} (0x{})", self.number, hex::encode([a, b, c, d]))
    }
}

/// When to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At an end of the chain.
    Head(Head),
    /// At a block.
    Block(Block),
}

impl From<Head> for At {
    fn from(head: Head) -> Self {
        Self::Head(head)
    }
}

impl From<Block> for At {
    fn from(block: Block) -> Self {
        Self::Block(block)
    }
}

/// A value and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// The block whose state it was read from.
    pub block: Block,
    /// Its full storage key.
    pub key: Vec<u8>,
}

impl<T> Read<T> {
    /// The same place with another value, for a part of what was read.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Read<U> {
        Read {
            value: f(self.value),
            block: self.block,
            key: self.key,
        }
    }

    /// `block 123, key 0x…`: enough for anybody to read it again.
    pub fn place(&self) -> String {
        format!("block {}, key 0x{}", self.block.number, hex::encode(&self.key))
    }
}

impl<T> Read<Option<T>> {
    /// The value, or the error that there is no `what`.
    pub fn found(self, what: impl fmt::Display) -> Result<Read<T>> {
        match self.value {
            Some(value) => Ok(Read {
                value,
                block: self.block,
                key: self.key,
            }),
            None => Err(Error::Missing {
                what: what.to_string(),
                block: self.block,
            }),
        }
    }
}

/// Keys of maps under `Twox64Concat`, which stand readable in the full key.
pub trait MapKey: Sized {
    /// Reads them off what follows the map's prefix.
    fn read(from: &mut &[u8]) -> Option<Self>;
}

macro_rules! map_keys {
    ($($type:ty),*) => {$(
        impl MapKey for $type {
            fn read(from: &mut &[u8]) -> Option<Self> {
                *from = from.get(8..)?;
                Self::decode(from).ok()
            }
        }
    )*};
}

map_keys!(u32, u64, Hash, Committed, Disputed, Wanted);

impl<A: MapKey, B: MapKey> MapKey for (A, B) {
    fn read(from: &mut &[u8]) -> Option<Self> {
        Some((A::read(from)?, B::read(from)?))
    }
}

/// What a request for data is about, off the full key of [`storage::request`].
pub fn requested(key: &[u8]) -> Option<(Committed, Wanted)> {
    let prefix = storage::value("Attribution", "Requests");
    let mut rest = key.strip_prefix(prefix.as_slice())?;
    let read = MapKey::read(&mut rest)?;
    rest.is_empty().then_some(read)
}

impl Chain {
    /// The block that `at` means now.
    pub async fn resolve(&self, at: impl Into<At>) -> Result<Block> {
        match at.into() {
            At::Block(block) => Ok(block),
            At::Head(head) => self.head(head).await,
        }
    }

    /// The raw bytes under a key.
    pub async fn storage_bytes(&self, key: &[u8], at: impl Into<At>) -> Result<Read<Option<Vec<u8>>>> {
        let block = self.resolve(at).await?;
        let bytes: Option<String> = self
            .request("state_getStorage", rpc_params![hex_of(key), hex_of(&block.hash)])
            .await?;
        let value = bytes
            .map(|bytes| bytes_of("state_getStorage", &bytes))
            .transpose()?;
        Ok(Read {
            value,
            block,
            key: key.to_vec(),
        })
    }

    /// The value under a key. Fails if bytes are left over.
    pub async fn read<T: Decode>(&self, key: Vec<u8>, at: impl Into<At>) -> Result<Read<Option<T>>> {
        let read = self.storage_bytes(&key, at).await?;
        let value = read
            .value
            .as_deref()
            .map(|bytes| decode(&key, bytes))
            .transpose()?;
        Ok(Read {
            value,
            block: read.block,
            key,
        })
    }

    /// The full keys under a prefix, sorted.
    pub async fn keys(&self, prefix: &[u8], at: impl Into<At>) -> Result<Vec<Vec<u8>>> {
        let block = self.resolve(at).await?;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        loop {
            let last = keys.last().map(|key| hex_of(key));
            let page: Vec<String> = self
                .request(
                    "state_getKeysPaged",
                    rpc_params![hex_of(prefix), PAGE, last, hex_of(&block.hash)],
                )
                .await?;
            let full = page.len() == PAGE as usize;
            for key in &page {
                keys.push(bytes_of("state_getKeysPaged", key)?);
            }
            if !full {
                return Ok(keys);
            }
        }
    }

    /// The raw values under these keys at one block, those that are there.
    pub(crate) async fn values(&self, keys: &[Vec<u8>], block: Block) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        #[derive(serde::Deserialize)]
        struct ChangeSet {
            changes: Vec<(String, Option<String>)>,
        }
        let method = "state_queryStorageAt";
        let mut values = Vec::with_capacity(keys.len());
        for page in keys.chunks(PAGE as usize) {
            let page: Vec<String> = page.iter().map(|key| hex_of(key)).collect();
            let sets: Vec<ChangeSet> = self
                .request(method, rpc_params![page, hex_of(&block.hash)])
                .await?;
            for (key, value) in sets.into_iter().flat_map(|set| set.changes) {
                if let Some(value) = value {
                    values.push((bytes_of(method, &key)?, bytes_of(method, &value)?));
                }
            }
        }
        Ok(values)
    }

    /// A whole map whose keys stand behind their twox-64, sorted by these keys.
    pub async fn entries<K: MapKey + Ord, T: Decode>(
        &self,
        pallet: &str,
        item: &str,
        at: impl Into<At>,
    ) -> Result<Vec<(K, Read<T>)>> {
        let block = self.resolve(at).await?;
        let prefix = storage::value(pallet, item);
        let keys = self.keys(&prefix, block).await?;
        let mut entries = Vec::with_capacity(keys.len());
        for (key, value) in self.values(&keys, block).await? {
            let mut rest = key.get(prefix.len()..).unwrap_or_default();
            let id = K::read(&mut rest)
                .filter(|_| rest.is_empty())
                .ok_or_else(|| Error::Decode {
                    what: format!("the key {} of {pallet}.{item}", hex_of(&key)),
                    reason: "it has another shape".into(),
                })?;
            let value = decode(&key, &value)?;
            entries.push((id, Read { value, block, key }));
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }
}

fn decode<T: Decode>(key: &[u8], mut bytes: &[u8]) -> Result<T> {
    T::decode_all(&mut bytes).map_err(|e| Error::Decode {
        what: format!("the value under {}", hex_of(key)),
        reason: e.to_string(),
    })
}

/// `0x` and hexadecimal digits.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// The bytes of what a node wrote as `0x…`.
pub(crate) fn bytes_of(method: &str, text: &str) -> Result<Vec<u8>> {
    hex::decode(text.trim_start_matches("0x")).map_err(|e| Error::Decode {
        what: format!("the answer to {method}"),
        reason: e.to_string(),
    })
}

/// The hash that a node wrote as `0x…`.
pub(crate) fn hash_of(method: &str, text: &str) -> Result<Hash> {
    bytes_of(method, text)?.try_into().map_err(|_| Error::Decode {
        what: format!("the answer to {method}"),
        reason: format!("{text} is no hash"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_off_the_full_key() {
        let prefix = storage::value("Datanets", "Versions");
        let key = storage::version(7, 3);
        let mut rest = &key[prefix.len()..];
        assert_eq!(<(u64, u32)>::read(&mut rest), Some((7, 3)));
        assert!(rest.is_empty());
        let mut short = &key[prefix.len()..key.len() - 1];
        assert_eq!(<(u64, u32)>::read(&mut short), None);

        let asked = (Committed::Index([3; 32]), Wanted::Suffixes((1, 70_000, 9)));
        let key = storage::request(asked.0, asked.1);
        assert_eq!(requested(&key), Some(asked));
        assert_eq!(requested(&key[..key.len() - 1]), None);
        assert_eq!(requested(&storage::sample(1)), None);
    }

    #[test]
    fn left_over_bytes_are_refused() {
        assert_eq!(decode::<u32>(&[1], &[1, 0, 0, 0]).unwrap(), 1);
        let error = decode::<u32>(&[1], &[1, 0, 0, 0, 0]).unwrap_err().to_string();
        assert!(error.contains("0x01"), "{error}");
    }
}
