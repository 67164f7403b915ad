//! Following the chain, block by block.

use crate::{
    connection::Header,
    read::{hash_of, hex_of},
    Block, Chain, Error, Head, Result,
};
use openledger_protocol::Hash;
use std::{collections::VecDeque, time::Duration};
use subxt_rpcs::client::{rpc_params, RpcSubscription};

/// Blocks remembered to find where a branch left the chain.
const REMEMBERED: usize = 512;
/// No new head for this long: look whether the connection is alive.
const SILENCE: Duration = Duration::from_secs(15);

/// Every block of the best or finalized chain, none skipped. After a reorganisation the best chain goes on with the new
/// branch's blocks from where it left the old one, so heights go back.
pub struct Blocks {
    chain: Chain,
    head: Head,
    heads: Option<RpcSubscription<Header>>,
    /// Newest last.
    given: VecDeque<Block>,
    /// Oldest first.
    pending: VecDeque<Block>,
}

impl Chain {
    /// Follows the chain from its head on: the current head is the first block given.
    pub async fn blocks(&self, head: Head) -> Result<Blocks> {
        let mut blocks = Blocks {
            chain: self.clone(),
            head,
            heads: None,
            given: VecDeque::new(),
            pending: VecDeque::new(),
        };
        blocks.heads = Some(self.subscribe(head).await?);
        blocks.pending.push_back(self.head(head).await?);
        Ok(blocks)
    }

    async fn subscribe(&self, head: Head) -> Result<RpcSubscription<Header>> {
        let (subscribe, unsubscribe) = match head {
            Head::Best => ("chain_subscribeNewHeads", "chain_unsubscribeNewHeads"),
            Head::Finalized => ("chain_subscribeFinalizedHeads", "chain_unsubscribeFinalizedHeads"),
        };
        let subscribing = self.rpc().subscribe(subscribe, rpc_params![], unsubscribe);
        tokio::time::timeout(Duration::from_secs(30), subscribing)
            .await
            .map_err(|_| self.unreachable("no answer in 30 s"))?
            .map_err(|e| self.unreachable(e))
    }

    async fn parent(&self, block: Block) -> Result<Block> {
        let header = self.header(&block.hash).await?;
        let hash: Hash = hash_of("chain_getHeader", &header.parent_hash)?;
        let number = block.number.checked_sub(1).ok_or_else(|| Error::Decode {
            what: format!("the header of {}", hex_of(&block.hash)),
            reason: "the first block has no parent".into(),
        })?;
        Ok(Block { number, hash })
    }
}

impl Blocks {
    /// The next block, once it is there. An error that is transient leaves everything in place: call again.
    pub async fn next(&mut self) -> Result<Block> {
        loop {
            if let Some(block) = self.pending.pop_front() {
                self.given.push_back(block);
                if self.given.len() > REMEMBERED {
                    self.given.pop_front();
                }
                return Ok(block);
            }
            self.wait().await?;
            let head = self.chain.head(self.head).await?;
            self.fill(head).await?;
        }
    }

    /// Waits until there may be a new head.
    async fn wait(&mut self) -> Result<()> {
        let mut heads = match self.heads.take() {
            Some(heads) => heads,
            // The heads that came meanwhile are found by asking.
            None => {
                self.heads = Some(self.chain.subscribe(self.head).await?);
                return Ok(());
            }
        };
        match tokio::time::timeout(SILENCE, heads.next()).await {
            Ok(Some(Ok(_))) | Err(_) => self.heads = Some(heads),
            // The connection was lost: subscribe again.
            Ok(Some(Err(_)) | None) => {}
        }
        Ok(())
    }

    /// Puts everything between the last block given and `head` into `pending`.
    async fn fill(&mut self, head: Block) -> Result<()> {
        let mut branch = VecDeque::new();
        let mut block = head;
        loop {
            if self.given.iter().rev().any(|given| *given == block) {
                break;
            }
            // Further back than what is remembered nobody was told anything.
            if self
                .given
                .front()
                .is_some_and(|first| block.number < first.number)
            {
                break;
            }
            branch.push_front(block);
            if block.number == 0 || self.given.is_empty() {
                break;
            }
            block = self.chain.parent(block).await?;
        }
        self.pending = branch;
        Ok(())
    }
}
