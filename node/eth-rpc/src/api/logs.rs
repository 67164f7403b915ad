//! Logs and filters.

use super::{Eth, Inner};
use crate::{
    error::CallError,
    feed::{settle, News},
    filters::{not_found, Watched},
    index::Entry,
    server::ClientAddress,
    types::{BlockRef, Log, LogPattern, LogRequest},
};
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
    Extensions,
};
use pallet_revive::evm::U256;
use serde_json::{json, Value};
use std::time::Instant;

#[rpc(server)]
pub(crate) trait LogsApi {
    /// The logs that fit a filter. Refused, never cut, when the range or the answer is larger than this node's limits.
    #[method(name = "eth_getLogs")]
    async fn logs(&self, filter: LogRequest) -> RpcResult<Vec<Log>>;

    /// Installs a filter for logs and returns its id.
    #[method(name = "eth_newFilter", with_extensions)]
    async fn new_log_filter(&self, filter: LogRequest) -> RpcResult<U256>;

    /// Installs a filter for blocks and returns its id.
    #[method(name = "eth_newBlockFilter", with_extensions)]
    async fn new_block_filter(&self) -> RpcResult<U256>;

    /// Installs a filter for transactions that enter the pool and returns its id.
    #[method(name = "eth_newPendingTransactionFilter", with_extensions)]
    async fn new_pending_filter(&self) -> RpcResult<U256>;

    /// What happened since the filter was installed or last polled: logs, block hashes or transaction hashes.
    #[method(name = "eth_getFilterChanges")]
    async fn filter_changes(&self, id: U256) -> RpcResult<Vec<Value>>;

    /// All logs that fit a log filter.
    #[method(name = "eth_getFilterLogs")]
    async fn filter_logs(&self, id: U256) -> RpcResult<Vec<Log>>;

    /// Removes a filter; whether there was one.
    #[method(name = "eth_uninstallFilter")]
    async fn uninstall_filter(&self, id: U256) -> RpcResult<bool>;
}

#[async_trait]
impl LogsApiServer for Eth {
    async fn logs(&self, filter: LogRequest) -> RpcResult<Vec<Log>> {
        self.run(move |eth| eth.logs(&filter)).await
    }

    async fn new_log_filter(&self, extensions: &Extensions, filter: LogRequest) -> RpcResult<U256> {
        let owner = ClientAddress::of(extensions);
        self.run(move |eth| {
            let watched = eth.watch_logs(filter)?;
            eth.filters.install(
                owner,
                watched,
                eth.changes.position(),
                eth.latest()?.number,
                Instant::now(),
            )
        })
        .await
    }

    async fn new_block_filter(&self, extensions: &Extensions) -> RpcResult<U256> {
        let eth = &self.inner;
        let (owner, position) = (ClientAddress::of(extensions), eth.changes.position());
        Ok(eth.filters.install(
            owner,
            Watched::Blocks,
            position,
            eth.latest()?.number,
            Instant::now(),
        )?)
    }

    async fn new_pending_filter(&self, extensions: &Extensions) -> RpcResult<U256> {
        let eth = &self.inner;
        let (owner, position) = (ClientAddress::of(extensions), eth.arrivals.position());
        Ok(eth.filters.install(
            owner,
            Watched::Pending,
            position,
            eth.latest()?.number,
            Instant::now(),
        )?)
    }

    async fn filter_changes(&self, id: U256) -> RpcResult<Vec<Value>> {
        self.run(move |eth| {
            let filter = eth.filters.poll(id, Instant::now())?;
            let told = match &filter.watched {
                Watched::Blocks => {
                    let told = eth.since(filter.position, filter.block)?;
                    told.map(|_, added| Ok(added.iter().map(|entry| json!(entry.eth_hash)).collect()))?
                }
                Watched::Logs {
                    pattern, from, to, ..
                } => {
                    let told = eth.since(filter.position, filter.block)?;
                    told.map(|removed, added| {
                        let in_range = |number: u32| {
                            from.is_none_or(|from| number >= from) && to.is_none_or(|to| number <= to)
                        };
                        let logs = eth.logs_of_changes(pattern, removed, added, in_range)?;
                        Ok(logs.into_iter().map(|log| json!(log)).collect())
                    })?
                }
                Watched::Pending => {
                    let News { items, next, .. } = eth.arrivals.since(filter.position);
                    let hashes = items.iter().map(|hash| json!(hash)).collect();
                    Told {
                        items: hashes,
                        position: next,
                        block: filter.block,
                    }
                }
            };
            eth.filters.advance(id, told.position, told.block);
            Ok(told.items)
        })
        .await
    }

    async fn filter_logs(&self, id: U256) -> RpcResult<Vec<Log>> {
        self.run(move |eth| match eth.filters.poll(id, Instant::now())?.watched {
            Watched::Logs { request, .. } => eth.logs(&request),
            Watched::Blocks | Watched::Pending => Err(not_found()),
        })
        .await
    }

    async fn uninstall_filter(&self, id: U256) -> RpcResult<bool> {
        Ok(self.inner.filters.uninstall(id))
    }
}

/// What a client is told, and how far that takes it.
pub(super) struct Told<T> {
    pub(super) items: T,
    /// Position in the feed.
    pub(super) position: u64,
    /// Highest block.
    pub(super) block: u32,
}

/// Blocks taken back, with their logs, and blocks that came.
type Blocks = (Vec<Log>, Vec<Entry>);

impl Told<Blocks> {
    /// Makes something else of the blocks.
    pub(super) fn map<T>(
        self,
        make: impl FnOnce(Vec<Log>, &[Entry]) -> Result<T, CallError>,
    ) -> Result<Told<T>, CallError> {
        let (removed, added) = self.items;
        Ok(Told {
            items: make(removed, &added)?,
            position: self.position,
            block: self.block,
        })
    }
}

impl Inner {
    /// What happened to the chain since a client was told up to `position` and `block`: logs of blocks taken back, and
    /// blocks that came.
    pub(super) fn since(&self, position: u64, block: u32) -> Result<Told<Blocks>, CallError> {
        let News { lost, items, next } = self.changes.since(position);
        let (removed, added) = match lost {
            false => settle(items),
            // More happened than is remembered; what is there now is in the index.
            true => {
                let mut added = Vec::new();
                for number in block.saturating_add(1)..=self.latest()?.number {
                    added.extend(self.index.at(number)?);
                }
                (vec![], added)
            }
        };
        let block = match (added.last(), removed.last()) {
            (Some(entry), _) => entry.number,
            (None, Some((entry, _))) => entry.number.saturating_sub(1),
            (None, None) => block,
        };
        let logs = removed
            .iter()
            .flat_map(|(_, logs)| logs.iter().cloned())
            .collect();
        Ok(Told {
            items: (logs, added),
            position: next,
            block,
        })
    }

    /// The logs that fit among those of blocks taken back and blocks that came.
    pub(super) fn logs_of_changes(
        &self,
        pattern: &LogPattern,
        removed: Vec<Log>,
        added: &[Entry],
        in_range: impl Fn(u32) -> bool,
    ) -> Result<Vec<Log>, CallError> {
        let mut logs: Vec<Log> = removed
            .into_iter()
            .filter(|log| pattern.matches(log) && in_range(log.block_number.low_u32()))
            .collect();
        if let (Some(first), Some(last)) = (added.first(), added.last()) {
            let came = self.index.logs(first.number, last.number, pattern, u32::MAX)?;
            logs.extend(came.into_iter().filter(|log| {
                let number = log.block_number.low_u32();
                in_range(number) && added.iter().any(|entry| entry.eth_hash == log.block_hash)
            }));
        }
        Ok(logs)
    }

    /// The filter that an `eth_newFilter` request asks for.
    pub(super) fn watch_logs(&self, request: LogRequest) -> Result<Watched, CallError> {
        if request.block_hash.is_some() {
            return Err(CallError::params(
                "a filter watches blocks to come: use eth_getLogs for blockHash",
            ));
        }
        let pattern = request.pattern()?;
        let number = |at: Option<BlockRef>| -> Result<Option<u32>, CallError> {
            Ok(match at {
                None | Some(BlockRef::Latest | BlockRef::Pending) => None,
                Some(BlockRef::Earliest) => Some(0),
                Some(BlockRef::Number(number)) => Some(u32::try_from(number).unwrap_or(u32::MAX)),
                Some(at @ BlockRef::Finalized) => self.find(at)?.map(|point| point.number),
                Some(BlockRef::Hash(_)) => {
                    return Err(CallError::params("give heights or tags, not hashes, for a range"))
                }
            })
        };
        let (from, to) = (number(request.from_block)?, number(request.to_block)?);
        if let (Some(from), Some(to)) = (from, to) {
            check_order(from, to)?;
        }
        Ok(Watched::Logs {
            request: Box::new(request),
            pattern,
            from,
            to,
        })
    }

    /// The logs that fit.
    pub(super) fn logs(&self, request: &LogRequest) -> Result<Vec<Log>, CallError> {
        let pattern = request.pattern()?;
        let mut attempts = 3;
        loop {
            let Some((from, to)) = self.range(request)? else {
                return Ok(vec![]);
            };
            match self
                .index
                .logs_of_range(from, to, &pattern, self.max_logs.saturating_add(1))?
            {
                Ok(logs) => return self.limited(logs, from),
                // A reorganisation took the tip away under our feet.
                Err(missing) if missing > self.latest()?.number && attempts > 0 => attempts -= 1,
                Err(missing) => return Err(self.not_indexed(missing)?),
            }
        }
    }

    /// The logs, unless they are more than this node gives at once.
    fn limited(&self, logs: Vec<Log>, from: u32) -> Result<Vec<Log>, CallError> {
        let Some(first_too_many) = logs.get(self.max_logs as usize) else {
            return Ok(logs);
        };
        let fits = first_too_many
            .block_number
            .low_u32()
            .checked_sub(1)
            .filter(|last| *last >= from);
        let remedy = match fits {
            Some(last) => format!("narrow the filter, or ask for blocks {from:#x} to {last:#x} first"),
            None => "narrow the filter by address or topics".into(),
        };
        Err(CallError::limit(format!(
            "the query matches more than {} logs, which is this node's limit: {remedy}",
            self.max_logs
        )))
    }

    /// Why a block is not in the index.
    fn not_indexed(&self, missing: u32) -> Result<CallError, CallError> {
        let start = self.index.tail()?.map_or(0, |tail| tail.number);
        Ok(CallError::server(if missing < start {
            format!(
                "block {missing} is not in this node's Ethereum index, which starts at block {start}: older blocks are still \
                 being read, or their state was pruned; ask a node that runs with --state-pruning archive"
            )
        } else {
            format!(
                "block {missing} is not in this node's Ethereum index: its state was not on this node when it was due; ask \
                 another node"
            )
        }))
    }

    /// First and last block of a request, `None` if it lies wholly in the future.
    fn range(&self, request: &LogRequest) -> Result<Option<(u32, u32)>, CallError> {
        if let Some(hash) = request.block_hash {
            if request.from_block.is_some() || request.to_block.is_some() {
                return Err(CallError::params(
                    "give either blockHash or fromBlock and toBlock, not both",
                ));
            }
            let entry = self.index.by_eth_hash(hash)?;
            let number = entry
                .ok_or_else(|| CallError::server(format!("unknown block {hash:?}")))?
                .number;
            return Ok(Some((number, number)));
        }
        let latest = self.latest()?.number;
        let number = |at: Option<BlockRef>| -> Result<u32, CallError> {
            Ok(match at.unwrap_or(BlockRef::Latest) {
                BlockRef::Number(number) => u32::try_from(number).unwrap_or(u32::MAX),
                BlockRef::Earliest => 0,
                BlockRef::Latest | BlockRef::Pending => latest,
                at @ BlockRef::Finalized => self.find(at)?.map_or(latest, |point| point.number),
                BlockRef::Hash(_) => {
                    return Err(CallError::params("give heights or tags, not hashes, for a range"))
                }
            })
        };
        let (from, to) = (number(request.from_block)?, number(request.to_block)?);
        check_order(from, to)?;
        if from > latest {
            return Ok(None);
        }
        let to = to.min(latest);
        let span = u64::from(to - from) + 1;
        if span > u64::from(self.max_log_blocks) {
            return Err(CallError::limit(format!(
                "blocks {from:#x} to {to:#x} are {span} and at most {} are allowed in one query: ask for fewer at a time",
                self.max_log_blocks
            )));
        }
        Ok(Some((from, to)))
    }
}

fn check_order(from: u32, to: u32) -> Result<(), CallError> {
    match from <= to {
        true => Ok(()),
        false => Err(CallError::params(format!(
            "fromBlock {from:#x} comes after toBlock {to:#x}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        error::LIMIT_EXCEEDED,
        testing::{transfer, TestNode, MAX_LOGS, MAX_LOG_BLOCKS},
    };
    use pallet_revive::evm::{H160, H256};

    const EMITTER: H160 = H160([9; 20]);

    /// Adds a block with `count` logs.
    fn add_logs(node: &TestNode, nonce: u32, count: usize) {
        let log = (EMITTER, vec![H256::repeat_byte(nonce as u8)], vec![]);
        node.chain
            .add(vec![(transfer(nonce, H160::zero()), true, vec![log; count])]);
    }

    fn request(text: &str) -> LogRequest {
        serde_json::from_str(text).unwrap()
    }

    fn none() -> Extensions {
        Extensions::new()
    }

    #[tokio::test]
    async fn logs_should_come_in_order_with_their_places() {
        let node = TestNode::new();
        (0..4).for_each(|nonce| add_logs(&node, nonce, 2));
        node.sync();
        let eth = node.eth();
        let logs = LogsApiServer::logs(&eth, request(r#"{"fromBlock":"0x2","toBlock":"0x3"}"#))
            .await
            .unwrap();
        let places: Vec<_> = logs
            .iter()
            .map(|log| (log.block_number.low_u32(), log.log_index.low_u32()))
            .collect();
        assert_eq!(places, [(2, 0), (2, 1), (3, 0), (3, 1)]);
        let by_hash = format!(r#"{{"blockHash":"{:?}"}}"#, logs[0].block_hash);
        assert_eq!(
            LogsApiServer::logs(&eth, request(&by_hash)).await.unwrap(),
            logs[..2]
        );
        assert_eq!(
            LogsApiServer::logs(&eth, request("{}")).await.unwrap().len(),
            2,
            "latest only by default"
        );
        assert_eq!(
            LogsApiServer::logs(&eth, request(r#"{"fromBlock":"0x9","toBlock":"0x9"}"#))
                .await
                .unwrap(),
            vec![]
        );
    }

    #[tokio::test]
    async fn too_large_a_query_should_be_refused_with_limit_and_remedy() {
        let node = TestNode::new();
        (0..5).for_each(|nonce| add_logs(&node, nonce, MAX_LOGS as usize / 2));
        node.chain.add_empty(MAX_LOG_BLOCKS);
        node.sync();
        let eth = node.eth();
        let error = LogsApiServer::logs(&eth, request(r#"{"fromBlock":"0x0"}"#))
            .await
            .unwrap_err();
        assert_eq!(error.code(), LIMIT_EXCEEDED);
        assert!(
            error.message().contains(&format!("at most {MAX_LOG_BLOCKS}")),
            "{}",
            error.message()
        );
        let error = LogsApiServer::logs(&eth, request(r#"{"fromBlock":"0x1","toBlock":"0x5"}"#))
            .await
            .unwrap_err();
        assert_eq!(error.code(), LIMIT_EXCEEDED);
        assert!(
            error.message().contains(&format!("more than {MAX_LOGS} logs")),
            "{}",
            error.message()
        );
        assert!(
            error.message().contains("blocks 0x1 to 0x2 first"),
            "{}",
            error.message()
        );
        // What the error advises works, and is exactly at the limit.
        let advised = LogsApiServer::logs(&eth, request(r#"{"fromBlock":"0x1","toBlock":"0x2"}"#))
            .await
            .unwrap();
        assert_eq!(advised.len(), MAX_LOGS as usize);
    }

    #[tokio::test]
    async fn ranges_that_make_no_sense_should_be_refused() {
        let node = TestNode::new();
        add_logs(&node, 0, 1);
        node.sync();
        let hash = node.index.at(1).unwrap().unwrap().eth_hash;
        for (text, code) in [
            (r#"{"fromBlock":"0x1","toBlock":"0x0"}"#.to_owned(), -32602),
            (format!(r#"{{"blockHash":"{hash:?}","fromBlock":"0x0"}}"#), -32602),
            (format!(r#"{{"fromBlock":"{hash:?}"}}"#), -32602),
            (format!(r#"{{"blockHash":"{:?}"}}"#, H256::repeat_byte(3)), -32000),
        ] {
            let error = LogsApiServer::logs(&node.eth(), request(&text))
                .await
                .unwrap_err();
            assert_eq!(error.code(), code, "{text}: {}", error.message());
        }
    }

    #[tokio::test]
    async fn logs_of_blocks_that_are_not_indexed_should_be_refused_not_left_out() {
        let node = TestNode::new();
        node.sync();
        (0..8).for_each(|nonce| add_logs(&node, nonce, 1));
        node.chain.prune_states_below(4);
        node.sync();
        let error = LogsApiServer::logs(&node.eth(), request(r#"{"fromBlock":"0x0"}"#))
            .await
            .unwrap_err();
        assert!(error.message().contains("block 1 is not"), "{}", error.message());
        assert_eq!(
            LogsApiServer::logs(&node.eth(), request(r#"{"fromBlock":"0x5"}"#))
                .await
                .unwrap()
                .len(),
            4
        );
    }

    #[tokio::test]
    async fn log_filter_should_tell_new_logs_once_and_removed_ones_after_a_reorganisation() {
        let node = TestNode::new();
        add_logs(&node, 0, 1);
        node.sync();
        let eth = node.eth();
        let id = eth
            .new_log_filter(&none(), request(&format!(r#"{{"address":"{EMITTER:?}"}}"#)))
            .await
            .unwrap();
        assert_eq!(eth.filter_changes(id).await.unwrap(), Vec::<Value>::new());
        add_logs(&node, 1, 2);
        node.sync();
        let first = eth.filter_changes(id).await.unwrap();
        assert_eq!(first.len(), 2);
        assert_eq!(
            (&first[0]["removed"], &first[0]["blockNumber"]),
            (&json!(false), &json!("0x2"))
        );
        assert_eq!(eth.filter_changes(id).await.unwrap(), Vec::<Value>::new());
        node.chain.truncate(1);
        node.chain.add(vec![]);
        add_logs(&node, 1, 1);
        node.sync();
        let second = eth.filter_changes(id).await.unwrap();
        let shape: Vec<_> = second
            .iter()
            .map(|log| (log["removed"].clone(), log["blockNumber"].clone()))
            .collect();
        assert_eq!(
            shape,
            [
                (json!(true), json!("0x2")),
                (json!(true), json!("0x2")),
                (json!(false), json!("0x3"))
            ]
        );
        assert_eq!(second[0]["blockHash"], first[0]["blockHash"]);
        // All logs of the filter's range, which is the latest block.
        assert_eq!(eth.filter_logs(id).await.unwrap().len(), 1);
        assert!(eth.uninstall_filter(id).await.unwrap());
        assert_eq!(
            eth.filter_changes(id).await.unwrap_err().message(),
            "filter not found"
        );
        assert!(!eth.uninstall_filter(id).await.unwrap());
    }

    #[tokio::test]
    async fn log_filter_should_keep_to_its_range_and_pattern() {
        let node = TestNode::new();
        node.sync();
        let eth = node.eth();
        let id = eth
            .new_log_filter(&none(), request(r#"{"fromBlock":"0x2","toBlock":"0x3"}"#))
            .await
            .unwrap();
        let other = format!(r#"{{"topics":["{:?}"]}}"#, H256::repeat_byte(0xcc));
        let never = eth.new_log_filter(&none(), request(&other)).await.unwrap();
        (0..5).for_each(|nonce| add_logs(&node, nonce, 1));
        node.sync();
        let numbers: Vec<_> = eth
            .filter_changes(id)
            .await
            .unwrap()
            .into_iter()
            .map(|log| log["blockNumber"].clone())
            .collect();
        assert_eq!(numbers, [json!("0x2"), json!("0x3")]);
        assert_eq!(eth.filter_changes(never).await.unwrap(), Vec::<Value>::new());
    }

    #[tokio::test]
    async fn block_filter_should_tell_each_block_once_even_after_much_has_happened() {
        let node = TestNode::new();
        node.sync();
        let eth = node.eth();
        let id = eth.new_block_filter(&none()).await.unwrap();
        // More than the feed of the test node remembers.
        node.chain.add_empty(50);
        node.sync();
        let told = eth.filter_changes(id).await.unwrap();
        assert_eq!(told.len(), 50);
        assert_eq!(told[49], json!(node.index.at(50).unwrap().unwrap().eth_hash));
        node.chain.add(vec![]);
        node.sync();
        assert_eq!(eth.filter_changes(id).await.unwrap().len(), 1);
        assert!(eth.filter_logs(id).await.is_err(), "a block filter has no logs");
    }

    #[tokio::test]
    async fn pending_filter_should_tell_hashes_of_arrivals() {
        let node = TestNode::new();
        node.sync();
        let eth = node.eth();
        let id = eth.new_pending_filter(&none()).await.unwrap();
        node.arrivals.push(H256::repeat_byte(4));
        assert_eq!(
            eth.filter_changes(id).await.unwrap(),
            [json!(H256::repeat_byte(4))]
        );
        assert_eq!(eth.filter_changes(id).await.unwrap(), Vec::<Value>::new());
    }
}
