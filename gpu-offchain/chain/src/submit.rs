//! Transactions: numbered, signed, watched until they are in a block.
//!
//! A transaction is valid for [`LIFETIME`] blocks. While it may still be included only the very same bytes are submitted again;
//! they carry one number, so whatever happens to the pool or the connection, the call runs at most once.

use crate::{
    payload::RawCall,
    read::{bytes_of, hash_of, hex_of},
    text::ss58,
    Block, Chain, Error, Head, Included, Key, Result,
};
use openledger_protocol::Hash;
use std::time::{Duration, Instant};
use subxt::{
    config::{polkadot::PolkadotExtrinsicParamsBuilder, PolkadotConfig},
    utils::{AccountId32, H256},
};
use subxt_rpcs::{
    client::{rpc_params, RpcSubscription},
    methods::legacy::TransactionStatus,
};

/// Blocks in which a transaction can be included.
const LIFETIME: u32 = 256;
/// How often one transaction is given to the pool.
const ATTEMPTS: u32 = 4;
/// No news of a transaction for this long: look for it in the blocks.
const SILENCE: Duration = Duration::from_secs(20);
/// How long one is looked for in the blocks that the node's pool does not take again.
const BANNED_PATIENCE: Duration = Duration::from_secs(60);
/// How long a transaction is waited for in all: a chain that makes no blocks includes none.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a node's pool says of a transaction that it dropped not long ago.
const BANNED: i32 = 1012;
/// What it says of one that it has.
const KNOWN: i32 = 1013;

type Statuses = RpcSubscription<TransactionStatus<H256>>;

/// A signed transaction that the pool has.
struct Sent {
    bytes: Vec<u8>,
    hash: Hash,
    account: openledger_protocol::Account,
    nonce: u64,
    /// The block it was made at; included in a later one.
    birth: u32,
    statuses: Option<Statuses>,
    attempts: u32,
    since: Instant,
    /// Since when the pool does not take it again.
    banned: Option<Instant>,
}

/// What became of a transaction that the pool says nothing more about.
enum Fate {
    In(Block, u32),
    Possible,
    Never(&'static str),
}

impl Chain {
    /// Signs and submits a call and returns once it is in a best block and succeeded. Fails with [`Error::Dispatch`] if it
    /// failed there, with [`Error::Refused`] if the node did not take it.
    pub async fn submit(&self, call: &[u8], key: &Key) -> Result<Included> {
        let mut sent = self.send(&[call], key).await?;
        match sent.pop() {
            Some(sent) => self.conclude(sent, Head::Best).await,
            None => Err(no_call()),
        }
    }

    /// [`submit`](Self::submit), returning once the block is final.
    pub async fn submit_final(&self, call: &[u8], key: &Key) -> Result<Included> {
        let mut sent = self.send(&[call], key).await?;
        match sent.pop() {
            Some(sent) => self.conclude(sent, Head::Finalized).await,
            None => Err(no_call()),
        }
    }

    /// Submits several calls at once, numbered in order, and returns when all are in best blocks. At the first that fails
    /// it stops waiting; the others may still succeed.
    pub async fn submit_all(&self, calls: &[Vec<u8>], key: &Key) -> Result<Vec<Included>> {
        let calls: Vec<&[u8]> = calls.iter().map(Vec::as_slice).collect();
        let sent = self.send(&calls, key).await?;
        let account = key.account();
        let mut rest: std::collections::VecDeque<Sent> = sent.into();
        let mut all = Vec::with_capacity(rest.len());
        while let Some(sent) = rest.pop_front() {
            match self.conclude(sent, Head::Best).await {
                Ok(included) => all.push(included),
                Err(e) => {
                    for sent in rest {
                        self.inner.nonces.given_up(&account, sent.nonce);
                    }
                    return Err(e);
                }
            }
        }
        Ok(all)
    }

    /// Numbers, signs and hands to the pool, under the account's lock.
    async fn send(&self, calls: &[&[u8]], key: &Key) -> Result<Vec<Sent>> {
        let account = key.account();
        let lock = self.inner.nonces.lock(&account);
        let _guard = lock.lock().await;
        let head = self.head(Head::Best).await?;
        let node: u64 = self
            .request("system_accountNextIndex", rpc_params![ss58(&account)])
            .await?;
        let first = self.inner.nonces.next(&account, node, head.number);
        let birth = self.birth(head).await?;
        let mut all: Vec<Sent> = Vec::with_capacity(calls.len());
        for (nonce, call) in (first..).zip(calls) {
            let bytes = self.sign(call, key, nonce, birth).await?;
            let mut sent = Sent {
                hash: sp_crypto_hashing::blake2_256(&bytes),
                bytes,
                account,
                nonce,
                birth: birth.number,
                statuses: None,
                attempts: 0,
                since: Instant::now(),
                banned: None,
            };
            self.inner.nonces.start(&account, nonce);
            if let Err(e) = self.give(&mut sent).await {
                self.inner.nonces.given_up(&account, nonce);
                return Err(e);
            }
            all.push(sent);
        }
        Ok(all)
    }

    /// The block that a transaction is made at. Its hash is signed, so on a fork without that block the signature is wrong: the last
    /// final one, unless finality is so far behind that the transaction's time would soon be over.
    async fn birth(&self, head: Block) -> Result<Block> {
        let last = self.head(Head::Finalized).await?;
        let is_near = head.number.saturating_sub(last.number) < LIFETIME / 2;
        Ok(if is_near { last } else { head })
    }

    async fn sign(&self, call: &[u8], key: &Key, nonce: u64, birth: Block) -> Result<Vec<u8>> {
        let at = self
            .inner
            .client
            .at_block_hash_and_number(H256(birth.hash), birth.number.into())
            .await
            .map_err(|e| self.unreachable(e))?;
        let transactions = at.transactions();
        // Decodes the arguments by the runtime's own types: drift is found before it costs a fee.
        transactions.from_call_data_bytes(call).map_err(|e| Error::Call {
            reason: e.to_string(),
        })?;
        let payload = RawCall::new(call, at.metadata_ref())?;
        let params = PolkadotExtrinsicParamsBuilder::<PolkadotConfig>::new()
            .nonce(nonce)
            .mortal_from_unchecked(LIFETIME.into(), birth.number.into(), H256(birth.hash))
            .build();
        let error = |e: subxt::error::ExtrinsicError| Error::Call {
            reason: e.to_string(),
        };
        let mut signable = transactions
            .create_v4_signable_offline(&payload, params)
            .map_err(error)?;
        let message = signable.signer_payload().map_err(error)?;
        let signature = key.pair().sign(&message);
        let signed = signable
            .sign_with_account_and_signature(&AccountId32(key.account()), &signature.into())
            .map_err(error)?;
        Ok(signed.into_encoded())
    }

    /// Hands the bytes to the pool and starts to watch them.
    async fn give(&self, sent: &mut Sent) -> Result<()> {
        sent.attempts += 1;
        let submitting = self.rpc().subscribe::<TransactionStatus<H256>>(
            "author_submitAndWatchExtrinsic",
            rpc_params![hex_of(&sent.bytes)],
            "author_unwatchExtrinsic",
        );
        let answer = tokio::time::timeout(Duration::from_secs(30), submitting)
            .await
            .map_err(|_| self.unreachable("no answer to author_submitAndWatchExtrinsic in 30 s"))?;
        match answer {
            Ok(statuses) => sent.statuses = Some(statuses),
            Err(e) if e.is_disconnected_will_reconnect() => sent.statuses = None,
            Err(subxt_rpcs::Error::User(e)) => {
                let reason = match &e.data {
                    Some(data) => format!("{} ({})", e.message, data.get().trim_matches('"')),
                    None => e.message.clone(),
                };
                // The pool has these very bytes already, or a block had them, or one that was retracted had them and this node takes
                // them no more for a while, though others' pools may: watched by looking at the blocks. It was not dropped, so this
                // is no attempt.
                let is_banned = sent.attempts > 1 && e.code == BANNED;
                let is_over = sent.attempts > 1 && reason.contains("outdated");
                let known = e.code == KNOWN || is_banned || is_over;
                if is_banned {
                    sent.banned.get_or_insert_with(Instant::now);
                }
                if !known {
                    return Err(Error::Refused {
                        reason,
                        account: ss58(&sent.account),
                    });
                }
                sent.attempts = sent.attempts.saturating_sub(1);
                sent.statuses = None;
            }
            Err(e) => return Err(self.unreachable(e)),
        }
        Ok(())
    }

    /// Waits for the transaction's block and tells what it did there.
    async fn conclude(&self, mut sent: Sent, until: Head) -> Result<Included> {
        let placed = self.wait(&mut sent, until).await;
        match &placed {
            Ok((block, _)) => self
                .inner
                .nonces
                .included(&sent.account, sent.nonce, block.number),
            Err(_) => self.inner.nonces.given_up(&sent.account, sent.nonce),
        }
        let (block, index) = placed?;
        let events = self.outcome(block, index).await?;
        Ok(Included {
            block,
            index,
            hash: sent.hash,
            events,
        })
    }

    async fn wait(&self, sent: &mut Sent, until: Head) -> Result<(Block, u32)> {
        loop {
            if let Some(hash) = self.watch(sent, until).await {
                let number = self.header(&hash).await?.number()?;
                let block = Block { number, hash };
                if let Some(index) = self.position(block, &sent.bytes).await? {
                    return Ok((block, index));
                }
            }
            // The pool says no more: it dropped the transaction, or the connection was lost.
            sent.statuses = None;
            match self.fate(sent).await? {
                Fate::In(block, index) if until == Head::Best || self.is_final(block).await? => {
                    return Ok((block, index))
                }
                Fate::In(..) if sent.since.elapsed() > PATIENCE => {
                    return Err(Error::NotIncluded {
                        hash: sent.hash,
                        reason: format!("its block was not final after {} s", PATIENCE.as_secs()),
                    })
                }
                Fate::In(..) => tokio::time::sleep(Duration::from_millis(500)).await,
                Fate::Possible if sent.since.elapsed() > PATIENCE => {
                    return Err(Error::NotIncluded {
                        hash: sent.hash,
                        reason: format!("none of the blocks of {} s took it", PATIENCE.as_secs()),
                    })
                }
                Fate::Possible if sent.banned.is_some_and(|since| since.elapsed() > BANNED_PATIENCE) => {
                    return Err(Error::NotIncluded {
                        hash: sent.hash,
                        reason: "the node’s pool had it, dropped it and does not take it again for a while"
                            .into(),
                    })
                }
                Fate::Possible if sent.attempts < ATTEMPTS => {
                    self.give(sent).await?;
                    if sent.statuses.is_none() {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
                Fate::Possible => {
                    return Err(Error::NotIncluded {
                        hash: sent.hash,
                        reason: format!("the pool dropped it {ATTEMPTS} times"),
                    })
                }
                Fate::Never(reason) => {
                    return Err(Error::NotIncluded {
                        hash: sent.hash,
                        reason: reason.into(),
                    })
                }
            }
        }
    }

    /// The block that the pool says it is in, or nothing if the pool says no more.
    async fn watch(&self, sent: &mut Sent, until: Head) -> Option<Hash> {
        let statuses = sent.statuses.as_mut()?;
        loop {
            let status = match tokio::time::timeout(SILENCE, statuses.next()).await {
                Ok(status) => status?.ok()?,
                Err(_) => return None,
            };
            match (status, until) {
                (TransactionStatus::InBlock(hash), Head::Best) => return Some(hash.0),
                (TransactionStatus::Finalized(hash), _) => return Some(hash.0),
                (
                    TransactionStatus::Usurped(_)
                    | TransactionStatus::Dropped
                    | TransactionStatus::Invalid
                    | TransactionStatus::FinalityTimeout(_),
                    _,
                ) => return None,
                (
                    TransactionStatus::InBlock(_)
                    | TransactionStatus::Future
                    | TransactionStatus::Ready
                    | TransactionStatus::Broadcast(_)
                    | TransactionStatus::Retracted(_),
                    _,
                ) => {}
            }
        }
    }

    /// Looks for the transaction in the blocks it may be in.
    async fn fate(&self, sent: &mut Sent) -> Result<Fate> {
        let head = self.head(Head::Best).await?;
        let last = sent.birth.saturating_add(LIFETIME);
        for number in sent.birth.saturating_add(1)..=head.number.min(last) {
            let Some(block) = self.block(number).await? else {
                break;
            };
            if let Some(index) = self.position(block, &sent.bytes).await? {
                return Ok(Fate::In(block, index));
            }
        }
        if head.number < sent.birth {
            return Ok(Fate::Never("the node's chain is shorter than when it was made"));
        }
        if head.number > last {
            return Ok(Fate::Never("its time is over"));
        }
        let next = self.count(&sent.account, head).await?;
        if next > sent.nonce {
            return Ok(Fate::Never("another transaction of the account took its place"));
        }
        Ok(Fate::Possible)
    }

    /// The account's transactions included up to a block.
    async fn count(&self, account: &openledger_protocol::Account, block: Block) -> Result<u64> {
        let mut key = openledger_protocol::storage::value("System", "Account");
        key.extend(sp_crypto_hashing::blake2_128(account));
        key.extend(account);
        let info = self.storage_bytes(&key, block).await?;
        let nonce = info.value.and_then(|bytes| bytes.first_chunk().copied());
        Ok(nonce.map_or(0, u32::from_le_bytes).into())
    }

    /// Where in a block these bytes are.
    async fn position(&self, block: Block, bytes: &[u8]) -> Result<Option<u32>> {
        let all = self.extrinsics(block).await?;
        Ok((0..)
            .zip(all)
            .find(|(_, extrinsic)| extrinsic == bytes)
            .map(|(index, _)| index))
    }

    /// The extrinsics of a block, in order, as they stand in it.
    pub async fn extrinsics(&self, block: Block) -> Result<Vec<Vec<u8>>> {
        #[derive(serde::Deserialize)]
        struct Signed {
            block: Body,
        }
        #[derive(serde::Deserialize)]
        struct Body {
            extrinsics: Vec<String>,
        }
        let method = "chain_getBlock";
        let body: Option<Signed> = self.request(method, rpc_params![hex_of(&block.hash)]).await?;
        let all = body.map(|body| body.block.extrinsics).unwrap_or_default();
        all.iter().map(|extrinsic| bytes_of(method, extrinsic)).collect()
    }

    /// The hash of the block at a height, for those who only need that.
    pub async fn block_hash(&self, number: u32) -> Result<Option<Hash>> {
        let hash: Option<String> = self.request("chain_getBlockHash", rpc_params![number]).await?;
        hash.map(|hash| hash_of("chain_getBlockHash", &hash)).transpose()
    }
}

fn no_call() -> Error {
    Error::Call {
        reason: "there is no call to submit".into(),
    }
}
