//! The shapes that go over the wire: how a caller names a block, what it may filter logs by, and the objects it gets
//! back. Names and number formats are Ethereum's: quantities as `0x`-hex without leading zeros, data as `0x`-hex bytes.

use crate::error::CallError;
use pallet_revive::evm::{Bloom, BloomInput, Bytes, Bytes256, TransactionSigned, H160, H256, U256};
use pallet_revive_types::runtime_api::{BlockV1, TransactionSignedV1};
use serde::{de, Deserialize, Deserializer, Serialize};
use serde_json::{json, Map, Value};

/// Most addresses, and most alternatives at one topic position, that one filter may name.
const MAX_ALTERNATIVES: usize = 1_000;
/// Topics a log can have.
pub(crate) const MAX_TOPICS: usize = 4;

/// A block as a caller names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockRef {
    /// `latest`: the newest block whose transactions and logs are indexed.
    Latest,
    /// `pending`: the node's best block, with the clock of now.
    Pending,
    /// `earliest`: genesis.
    Earliest,
    /// `finalized` or `safe`.
    Finalized,
    /// By height.
    Number(u64),
    /// By Ethereum block hash.
    Hash(H256),
}

impl<'de> Deserialize<'de> for BlockRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Eip1898 {
            block_number: Option<String>,
            block_hash: Option<H256>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Text(String),
            Object(Eip1898),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(number) => Ok(Self::Number(number)),
            Raw::Text(text) => Self::parse(&text).map_err(de::Error::custom),
            Raw::Object(Eip1898 {
                block_number: Some(number),
                block_hash: None,
            }) => Self::parse(&number).map_err(de::Error::custom),
            Raw::Object(Eip1898 {
                block_number: None,
                block_hash: Some(hash),
            }) => Ok(Self::Hash(hash)),
            Raw::Object(_) => Err(de::Error::custom("give exactly one of blockNumber and blockHash")),
        }
    }
}

impl BlockRef {
    fn parse(text: &str) -> Result<Self, String> {
        let digits = match text {
            "latest" => return Ok(Self::Latest),
            "pending" => return Ok(Self::Pending),
            "earliest" => return Ok(Self::Earliest),
            "finalized" | "safe" => return Ok(Self::Finalized),
            other => other.strip_prefix("0x"),
        };
        let wrong = || {
            format!(
                "block \"{text}\" is neither a tag (latest, pending, earliest, finalized, safe) nor 0x-hex of a height or \
                 block hash"
            )
        };
        let digits = digits
            .filter(|d| !d.is_empty() && d.is_ascii())
            .ok_or_else(wrong)?;
        if digits.len() == 64 {
            let mut hash = H256::zero();
            for (byte, pair) in hash.0.iter_mut().zip(digits.as_bytes().chunks(2)) {
                let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
                *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
            }
            return Ok(Self::Hash(hash));
        }
        u64::from_str_radix(digits, 16)
            .map(Self::Number)
            .map_err(|_| wrong())
    }
}

/// An integer given as `0x`-hex or as a JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity(pub(crate) u64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u64),
            Text(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Number(number) => Ok(Self(number)),
            Raw::Text(text) => text
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .map(Self)
                .ok_or_else(|| de::Error::custom(format!("\"{text}\" is not a 0x-hex integer of 64 bits"))),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

/// Which logs are wanted, as `eth_getLogs`, `eth_newFilter` and `eth_subscribe` take it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct LogRequest {
    /// First block of the range, inclusive.
    pub(crate) from_block: Option<BlockRef>,
    /// Last block of the range, inclusive.
    pub(crate) to_block: Option<BlockRef>,
    /// One block instead of a range.
    pub(crate) block_hash: Option<H256>,
    address: Option<OneOrMany<H160>>,
    topics: Option<Vec<Option<OneOrMany<Option<H256>>>>>,
}

impl LogRequest {
    /// The part that says what a log must look like, checked against the limits on alternatives.
    pub(crate) fn pattern(&self) -> Result<LogPattern, CallError> {
        let addresses = match self.address.clone() {
            None => vec![],
            Some(OneOrMany::One(address)) => vec![address],
            Some(OneOrMany::Many(addresses)) => addresses,
        };
        if addresses.len() > MAX_ALTERNATIVES {
            return Err(CallError::limit(format!(
                "the filter names {} addresses and at most {MAX_ALTERNATIVES} are allowed: split it",
                addresses.len()
            )));
        }
        let given = self.topics.as_deref().unwrap_or_default();
        if given.len() > MAX_TOPICS {
            return Err(CallError::params(format!(
                "the filter has {} topic positions, and a log has at most {MAX_TOPICS}",
                given.len()
            )));
        }
        let mut topics = Vec::with_capacity(given.len());
        for position in given {
            let alternatives = match position {
                None => vec![],
                Some(OneOrMany::One(topic)) => topic.iter().copied().collect(),
                // One null among the alternatives accepts anything.
                Some(OneOrMany::Many(many)) => many
                    .iter()
                    .copied()
                    .collect::<Option<Vec<_>>>()
                    .unwrap_or_default(),
            };
            if alternatives.len() > MAX_ALTERNATIVES {
                return Err(CallError::limit(format!(
                    "a topic position names {} alternatives and at most {MAX_ALTERNATIVES} are allowed: split the filter",
                    alternatives.len()
                )));
            }
            topics.push(alternatives);
        }
        Ok(LogPattern { addresses, topics })
    }
}

/// What a log must look like to be wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPattern {
    /// Emitters; empty means any.
    pub(crate) addresses: Vec<H160>,
    /// Alternatives by position; an empty position takes any topic, but there must be one.
    pub(crate) topics: Vec<Vec<H256>>,
}

impl LogPattern {
    /// Whether `log` is wanted.
    pub(crate) fn matches(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= log.topics.len()
            && self
                .topics
                .iter()
                .zip(&log.topics)
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }
}

/// A log with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Log {
    pub(crate) address: H160,
    pub(crate) topics: Vec<H256>,
    pub(crate) data: Bytes,
    pub(crate) block_number: U256,
    pub(crate) block_hash: H256,
    pub(crate) transaction_hash: H256,
    pub(crate) transaction_index: U256,
    /// Place among all logs of the block, from 0.
    pub(crate) log_index: U256,
    /// Whether a reorganisation took the log back.
    pub(crate) removed: bool,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Receipt {
    pub(crate) transaction_hash: H256,
    pub(crate) transaction_index: U256,
    pub(crate) block_hash: H256,
    pub(crate) block_number: U256,
    pub(crate) from: H160,
    pub(crate) to: Option<H160>,
    pub(crate) contract_address: Option<H160>,
    pub(crate) cumulative_gas_used: U256,
    pub(crate) gas_used: U256,
    pub(crate) effective_gas_price: U256,
    pub(crate) logs: Vec<Log>,
    pub(crate) logs_bloom: Bytes256,
    /// 1 for success, 0 for a reverted or failed one.
    pub(crate) status: U256,
    pub(crate) r#type: U256,
}

/// Where a mined transaction sits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) block_hash: H256,
    pub(crate) block_number: u32,
    pub(crate) index: u32,
    /// What was paid per gas, in wei.
    pub(crate) effective_gas_price: U256,
}

/// A signed transaction as `eth_getTransactionByHash` shows it; without a `place` it is a pending one.
pub(crate) fn transaction_json(
    signed: TransactionSigned,
    hash: H256,
    from: H160,
    place: Option<Place>,
) -> Value {
    let mut object = match serde_json::to_value(TransactionSignedV1::from(signed)) {
        Ok(Value::Object(object)) => object,
        // The type is a struct of strings and cannot serialise to anything else.
        _ => Map::new(),
    };
    object.insert("hash".into(), json!(hash));
    object.insert("from".into(), json!(from));
    match place {
        Some(place) => {
            object.insert("blockHash".into(), json!(place.block_hash));
            object.insert("blockNumber".into(), json!(U256::from(place.block_number)));
            object.insert("transactionIndex".into(), json!(U256::from(place.index)));
            object.insert("gasPrice".into(), json!(place.effective_gas_price));
        }
        None => {
            for field in ["blockHash", "blockNumber", "transactionIndex"] {
                object.insert(field.into(), Value::Null);
            }
            if let Some(most) = object.get("maxFeePerGas").cloned() {
                object.insert("gasPrice".into(), most);
            }
        }
    }
    if let (None, Some(parity)) = (object.get("v"), object.get("yParity").cloned()) {
        object.insert("v".into(), parity);
    }
    Value::Object(object)
}

/// A block as `eth_getBlockBy*` shows it, with `transactions` in place of the hashes when given.
pub(crate) fn block_json(block: &BlockV1, transactions: Option<Vec<Value>>) -> Value {
    let mut value = json!(block);
    if let (Some(object), Some(transactions)) = (value.as_object_mut(), transactions) {
        object.insert("transactions".into(), Value::Array(transactions));
    }
    value
}

/// A block header as the `newHeads` subscription shows it.
pub(crate) fn header_json(block: &BlockV1) -> Value {
    let mut value = json!(block);
    if let Some(object) = value.as_object_mut() {
        for field in ["transactions", "uncles", "withdrawals", "size", "totalDifficulty"] {
            object.remove(field);
        }
    }
    value
}

/// The bloom filter of a list of logs, as receipts carry it.
pub(crate) fn bloom<'a>(logs: impl Iterator<Item = (&'a H160, &'a [H256])>) -> Bytes256 {
    let mut bloom = Bloom::default();
    for (address, topics) in logs {
        bloom.accrue(BloomInput::Raw(&address.0));
        topics
            .iter()
            .for_each(|topic| bloom.accrue(BloomInput::Raw(&topic.0)));
    }
    Bytes256(bloom.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_ref(text: &str) -> Result<BlockRef, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn block_ref_should_take_every_form_clients_send() {
        let hash = H256::repeat_byte(0xab);
        assert_eq!(block_ref(r#""latest""#).unwrap(), BlockRef::Latest);
        assert_eq!(block_ref(r#""safe""#).unwrap(), BlockRef::Finalized);
        assert_eq!(block_ref(r#""0x1f""#).unwrap(), BlockRef::Number(31));
        assert_eq!(block_ref("31").unwrap(), BlockRef::Number(31));
        assert_eq!(block_ref(&format!("\"{hash:?}\"")).unwrap(), BlockRef::Hash(hash));
        assert_eq!(
            block_ref(r#"{"blockNumber":"0x2"}"#).unwrap(),
            BlockRef::Number(2)
        );
        assert_eq!(
            block_ref(&format!(r#"{{"blockHash":"{hash:?}","requireCanonical":true}}"#)).unwrap(),
            BlockRef::Hash(hash)
        );
    }

    #[test]
    fn block_ref_should_refuse_what_it_cannot_read_and_say_so() {
        for wrong in [
            r#""newest""#,
            r#""0x""#,
            r#""0xzz""#,
            r#""0x1ffffffffffffffff""#,
            r#""12""#,
            "{}",
            "-1",
            "null",
        ] {
            assert!(block_ref(wrong).is_err(), "{wrong} was accepted");
        }
        assert!(block_ref(r#""newest""#)
            .unwrap_err()
            .to_string()
            .contains("newest"));
    }

    fn log(address: u8, topics: &[u8]) -> Log {
        Log {
            address: H160::repeat_byte(address),
            topics: topics.iter().map(|t| H256::repeat_byte(*t)).collect(),
            data: Bytes(vec![]),
            block_number: U256::from(7),
            block_hash: H256::zero(),
            transaction_hash: H256::zero(),
            transaction_index: U256::zero(),
            log_index: U256::zero(),
            removed: false,
        }
    }

    fn pattern(text: &str) -> LogPattern {
        serde_json::from_str::<LogRequest>(text)
            .unwrap()
            .pattern()
            .unwrap()
    }

    #[test]
    fn pattern_should_treat_addresses_as_alternatives_and_topics_by_position() {
        let one = "0x1111111111111111111111111111111111111111";
        let t2 = format!("{:?}", H256::repeat_byte(2));
        let t3 = format!("{:?}", H256::repeat_byte(3));
        assert!(pattern("{}").matches(&log(9, &[])));
        let by_address = pattern(&format!(r#"{{"address":["{one}"]}}"#));
        assert!(by_address.matches(&log(0x11, &[])));
        assert!(!by_address.matches(&log(0x12, &[])));
        let by_topic = pattern(&format!(r#"{{"topics":[null,["{t2}","{t3}"]]}}"#));
        assert!(by_topic.matches(&log(0, &[9, 3])));
        assert!(by_topic.matches(&log(0, &[9, 2, 9])));
        assert!(!by_topic.matches(&log(0, &[9, 9])));
        assert!(
            !by_topic.matches(&log(0, &[2])),
            "a position that is not there matched"
        );
        let any_second = pattern(&format!(r#"{{"topics":["{t2}",[null,"{t3}"]]}}"#));
        assert!(any_second.matches(&log(0, &[2, 8])));
        assert!(!any_second.matches(&log(0, &[2])));
    }

    #[test]
    fn pattern_should_refuse_more_than_a_log_can_have() {
        let request: LogRequest = serde_json::from_str(r#"{"topics":[null,null,null,null,null]}"#).unwrap();
        assert!(request.pattern().is_err());
        let many = vec![H160::zero(); MAX_ALTERNATIVES + 1];
        let request: LogRequest = serde_json::from_value(json!({ "address": many })).unwrap();
        let error = jsonrpsee::types::ErrorObjectOwned::from(request.pattern().unwrap_err());
        assert_eq!(error.code(), crate::error::LIMIT_EXCEEDED);
        assert!(error.message().contains("1001") && error.message().contains("1000"));
    }

    #[test]
    fn bloom_should_hold_every_address_and_topic() {
        assert_eq!(bloom(std::iter::empty()), Bytes256([0; 256]));
        let (address, topic) = (H160::repeat_byte(1), H256::repeat_byte(2));
        let both = Bloom::from(bloom(std::iter::once((&address, &[topic][..]))).0);
        assert!(both.contains_input(BloomInput::Raw(&address.0)));
        assert!(both.contains_input(BloomInput::Raw(&topic.0)));
        assert!(!both.contains_input(BloomInput::Raw(b"something else")));
    }

    #[test]
    fn pending_transaction_should_have_null_place_and_the_most_it_would_pay() {
        use pallet_revive::evm::{Transaction1559Unsigned, TransactionUnsigned};
        let unsigned = Transaction1559Unsigned {
            chain_id: U256::from(161_299),
            max_fee_per_gas: U256::from(70),
            ..Default::default()
        };
        let signed = TransactionUnsigned::from(unsigned).with_signature([1; 65]);
        let shown = transaction_json(signed.clone(), H256::repeat_byte(5), H160::repeat_byte(6), None);
        assert_eq!(shown["blockHash"], Value::Null);
        assert_eq!(shown["transactionIndex"], Value::Null);
        assert_eq!(shown["gasPrice"], "0x46");
        assert_eq!(shown["type"], "0x2");
        assert_eq!(shown["v"], shown["yParity"]);
        let place = Place {
            block_hash: H256::repeat_byte(9),
            block_number: 16,
            index: 0,
            effective_gas_price: U256::one(),
        };
        let shown = transaction_json(signed, H256::repeat_byte(5), H160::repeat_byte(6), Some(place));
        assert_eq!(shown["blockNumber"], "0x10");
        assert_eq!(shown["transactionIndex"], "0x0");
        assert_eq!(shown["gasPrice"], "0x1");
    }
}
