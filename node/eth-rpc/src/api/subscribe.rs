//! Subscriptions over WebSocket: the same news that filters are polled for, pushed.

use super::{logs::Told, transactions::pending_json, Eth, Inner};
use crate::{
    error::CallError,
    feed::News,
    types::{header_json, LogPattern, LogRequest},
};
use jsonrpsee::{
    core::{async_trait, SubscriptionResult},
    proc_macros::rpc,
    PendingSubscriptionSink, SubscriptionMessage,
};
use serde_json::{json, Value};

#[rpc(server)]
pub(crate) trait SubscribeApi {
    /// Pushes `newHeads`, `logs` (with a filter) or `newPendingTransactions` (with `true`: whole ones).
    #[subscription(name = "eth_subscribe" => "eth_subscription", unsubscribe = "eth_unsubscribe", item = Value)]
    async fn subscribe(&self, kind: String, options: Option<Value>) -> SubscriptionResult;
}

/// What is pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Topic {
    Heads,
    Logs(LogPattern),
    Pending { whole: bool },
}

impl Topic {
    fn parse(kind: &str, options: Option<Value>) -> Result<Self, CallError> {
        match kind {
            "newHeads" => Ok(Self::Heads),
            "logs" => {
                let request: LogRequest = match options {
                    None | Some(Value::Null) => LogRequest::default(),
                    Some(options) => serde_json::from_value(options).map_err(|error| {
                        CallError::params(format!("the log filter cannot be read: {error}"))
                    })?,
                };
                Ok(Self::Logs(request.pattern()?))
            }
            "newPendingTransactions" => match options {
                None | Some(Value::Null) => Ok(Self::Pending { whole: false }),
                Some(Value::Bool(whole)) => Ok(Self::Pending { whole }),
                Some(other) => Err(CallError::params(format!(
                    "{other} is neither true (whole transactions) nor false"
                ))),
            },
            other => Err(CallError::params(format!(
                "no subscription named \"{other}\": there are newHeads, logs and newPendingTransactions"
            ))),
        }
    }
}

#[async_trait]
impl SubscribeApiServer for Eth {
    async fn subscribe(
        &self,
        pending: PendingSubscriptionSink,
        kind: String,
        options: Option<Value>,
    ) -> SubscriptionResult {
        let topic = match Topic::parse(&kind, options) {
            Ok(topic) => topic,
            Err(error) => {
                pending.reject(error).await;
                return Ok(());
            }
        };
        let is_pending = matches!(topic, Topic::Pending { .. });
        let mut news = if is_pending {
            self.inner.arrivals.watch()
        } else {
            self.inner.changes.watch()
        };
        let mut position = if is_pending {
            self.inner.arrivals.position()
        } else {
            self.inner.changes.position()
        };
        let mut block = self.inner.head.borrow().map_or(0, |head| head.number);
        let sink = pending.accept().await?;
        loop {
            tokio::select! {
                () = sink.closed() => return Ok(()),
                changed = news.changed() => changed?,
            }
            let topic = topic.clone();
            let told = match self.run(move |eth| eth.push(&topic, position, block)).await {
                Ok(told) => told,
                // Told again with the next news, from the same position.
                Err(error) => {
                    log::warn!(target: "eth-rpc", "A subscriber waits: {error}");
                    continue;
                }
            };
            (position, block) = (told.position, told.block);
            for item in told.items {
                let message = SubscriptionMessage::from_json(&item)?;
                // Waits for a slow reader; what happens meanwhile is read from the feed afterwards.
                if sink.send(message).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

impl Inner {
    /// The messages for a subscriber who was told up to `position` and `block`.
    fn push(&self, topic: &Topic, position: u64, block: u32) -> Result<Told<Vec<Value>>, CallError> {
        match topic {
            Topic::Heads => self.since(position, block)?.map(|_, added| {
                let mut heads = Vec::with_capacity(added.len());
                for entry in added {
                    let stored = self.index.headers(entry.number, entry.number)?.pop();
                    heads.extend(
                        stored
                            .filter(|(_, block)| block.hash == entry.eth_hash)
                            .map(|(_, block)| header_json(&block)),
                    );
                }
                Ok(heads)
            }),
            Topic::Logs(pattern) => self.since(position, block)?.map(|removed, added| {
                let logs = self.logs_of_changes(pattern, removed, added, |_| true)?;
                Ok(logs.into_iter().map(|log| json!(log)).collect())
            }),
            Topic::Pending { whole } => {
                let News { items, next, .. } = self.arrivals.since(position);
                let mut told = Vec::with_capacity(items.len());
                for hash in items {
                    match whole {
                        false => told.push(json!(hash)),
                        // One that left the pool meanwhile is not pending any more.
                        true => told.extend(
                            self.pending(hash)?
                                .map(|payload| pending_json(&payload))
                                .transpose()?,
                        ),
                    }
                }
                Ok(Told {
                    items: told,
                    position: next,
                    block,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::transactions::TransactionsApiServer,
        testing::{transfer, TestNode},
    };
    use pallet_revive::evm::{Bytes, H160, U256};

    #[test]
    fn topics_should_be_read_as_geth_reads_them() {
        assert_eq!(Topic::parse("newHeads", None).unwrap(), Topic::Heads);
        assert_eq!(
            Topic::parse("logs", Some(Value::Null)).unwrap(),
            Topic::Logs(LogPattern::default())
        );
        assert_eq!(
            Topic::parse("newPendingTransactions", Some(json!(true))).unwrap(),
            Topic::Pending { whole: true }
        );
        for (kind, options) in [
            ("newBlocks", None),
            ("logs", Some(json!({"address": "0x12"}))),
            ("newPendingTransactions", Some(json!("yes"))),
        ] {
            let error = jsonrpsee::types::ErrorObjectOwned::from(Topic::parse(kind, options).unwrap_err());
            assert_eq!(error.code(), -32602);
        }
    }

    #[tokio::test]
    async fn heads_and_logs_should_be_pushed_as_blocks_come() {
        let node = TestNode::new();
        node.sync();
        let module = node.eth().module().unwrap();
        let mut heads = module
            .subscribe_unbounded("eth_subscribe", ["newHeads"])
            .await
            .unwrap();
        let mut logs = module
            .subscribe_unbounded("eth_subscribe", ["logs"])
            .await
            .unwrap();
        for nonce in 0..3 {
            let log = (H160::repeat_byte(9), vec![], vec![nonce as u8]);
            node.chain
                .add(vec![(transfer(nonce, H160::zero()), true, vec![log])]);
            node.sync();
        }
        for number in ["0x1", "0x2", "0x3"] {
            let head: Value = heads.next().await.unwrap().unwrap().0;
            assert_eq!(head["number"], number);
            assert!(head["parentHash"].is_string() && head.get("transactions").is_none());
            let log: Value = logs.next().await.unwrap().unwrap().0;
            assert_eq!(
                (&log["blockNumber"], &log["removed"]),
                (&json!(number), &json!(false))
            );
        }
    }

    #[tokio::test]
    async fn pending_transactions_should_be_pushed_by_hash_or_whole() {
        let node = TestNode::new();
        node.sync();
        node.chain.set_balance(U256::MAX);
        let module = node.eth().module().unwrap();
        let mut pushed = module
            .subscribe_unbounded("eth_subscribe", ["newPendingTransactions"])
            .await
            .unwrap();
        let hash = node
            .eth()
            .send_raw(Bytes(transfer(0, H160::zero())))
            .await
            .unwrap();
        let mut whole = module
            .subscribe_unbounded("eth_subscribe", (json!("newPendingTransactions"), true))
            .await
            .unwrap();
        node.arrivals.push(hash);
        assert_eq!(pushed.next::<Value>().await.unwrap().unwrap().0, json!(hash));
        assert_eq!(
            whole.next::<Value>().await.unwrap().unwrap().0["hash"],
            json!(hash)
        );
    }

    #[tokio::test]
    async fn unknown_subscription_should_be_rejected_with_the_names_there_are() {
        let node = TestNode::new();
        node.sync();
        let module = node.eth().module().unwrap();
        let error = module
            .subscribe_unbounded("eth_subscribe", ["syncing"])
            .await
            .unwrap_err();
        assert!(error.to_string().contains("newHeads"), "{error}");
    }
}
