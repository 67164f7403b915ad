//! Blocks on request, for developers: `--sealing instant | manual | interval=MILLISECONDS`.
//!
//! The runtime is the one every other chain runs, so a sealed block is a BABE block in full: it claims a slot with a key of
//! the keystore and carries that key's signature. Only the clock differs. The next block takes the first slot after its
//! parent's that the keystore can claim; `instant` and `interval` also never fall behind the wall clock, while `manual`
//! gives every block exactly the next such slot, so that a test sees the same epochs whenever it runs. A chain sealed faster
//! than a block per slot therefore runs ahead of the wall clock.
//!
//! GRANDPA does not vote on a sealed chain: finality comes right after the block (`instant`, `interval`) or with the request
//! (`manual`). A block that is to be final is imported first and made final in a second step, as on a network: who watches a
//! transaction then sees it in a block before it is final.

use crate::service::{BabeImport, Block, Client, Pool, SelectChain};
use futures::{
    channel::{mpsc, oneshot},
    FutureExt, SinkExt, StreamExt,
};
use openledger_runtime::{BlockNumber, Hash, Header};
use sc_client_api::Finalizer;
use sc_consensus::BlockImportParams;
use sc_consensus_babe::{
    authorship, find_pre_digest, BabeIntermediate, BabeLink, CompatibleDigestItem, Epoch, PreDigest,
    INTERMEDIATE_KEY,
};
use sc_consensus_epochs::{descendent_query, ViableEpochDescriptor};
use sc_consensus_manual_seal::{
    run_manual_seal, ConsensusDataProvider, EngineCommand, Error, ManualSealParams,
};
use sc_service::TaskManager;
use sc_transaction_pool_api::TransactionPool;
use sp_api::StorageProof;
use sp_consensus_babe::{AuthorityId, Slot, SlotDuration};
use sp_core::crypto::key_types;
use sp_inherents::InherentData;
use sp_keystore::KeystorePtr;
use sp_runtime::{traits::Header as _, Digest, DigestItem};
use sp_timestamp::{Timestamp, TimestampInherentData};
use std::{
    error::Error as StdError,
    str::FromStr,
    sync::{
        atomic::{AtomicU64, Ordering},
        Arc,
    },
    time::Duration,
};

/// Who decides when a block is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sealing {
    /// BABE, by the clock.
    None,
    /// A block for every transaction that reaches the pool, final at once.
    Instant,
    /// A block when the RPC `engine_createBlock` asks.
    Manual,
    /// A block every so often, final at once.
    Interval(Duration),
}

impl FromStr for Sealing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "instant" => Ok(Self::Instant),
            "manual" => Ok(Self::Manual),
            _ => text
                .strip_prefix("interval=")
                .and_then(|millis| millis.parse().ok())
                .filter(|millis| *millis > 0)
                .map(|millis| Self::Interval(Duration::from_millis(millis)))
                .ok_or_else(|| "expected none, instant, manual or interval=MILLISECONDS".to_string()),
        }
    }
}

/// The newest slot a sealed block has claimed: what block import takes for the present, since the chain may run ahead of
/// the wall clock.
#[derive(Debug)]
pub(crate) struct Clock {
    slot: AtomicU64,
    duration: SlotDuration,
}

impl Clock {
    /// A clock that has seen nothing yet.
    pub(crate) fn new(duration: SlotDuration) -> Arc<Self> {
        Arc::new(Self {
            slot: AtomicU64::new(0),
            duration,
        })
    }

    /// The time block import compares with: the wall clock's, or the newest claimed slot's if that is later.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::current().max(self.start_of(self.slot.load(Ordering::SeqCst).into()))
    }

    fn saw(&self, slot: Slot) {
        self.slot.fetch_max(*slot, Ordering::SeqCst);
    }

    /// A block is stamped with the start of its slot: two blocks are then never closer than the runtime's minimum period.
    fn start_of(&self, slot: Slot) -> Timestamp {
        Timestamp::new((*slot).saturating_mul(self.duration.as_millis()))
    }

    fn slot_of(&self, time: Timestamp) -> Slot {
        Slot::from_timestamp(time, self.duration)
    }
}

/// Slots looked at for one that the keystore can claim: with one of a thousand authorities' keys the chance to find none is
/// below 10⁻⁴.
const SLOTS_TRIED: u64 = 10_000;

type AnyError = Box<dyn StdError + Send + Sync>;

/// Claims slots and signs blocks with the keys of the keystore.
#[derive(Clone)]
struct Author {
    client: Arc<Client>,
    keystore: KeystorePtr,
    link: BabeLink<Block>,
    clock: Arc<Clock>,
    /// Whether slots keep up with the wall clock.
    follow: bool,
}

impl Author {
    /// The epoch a child of `parent` in `slot` belongs to.
    fn epoch(
        &self,
        parent: &Header,
        slot: Slot,
    ) -> Result<(ViableEpochDescriptor<Hash, BlockNumber, Epoch>, Epoch), String> {
        let changes = self.link.epoch_changes().shared_data();
        let descriptor = changes
            .epoch_descriptor_for_child_of(
                descendent_query(&*self.client),
                &parent.hash(),
                *parent.number(),
                slot,
            )
            .map_err(|error| format!("cannot find the epoch of slot {}: {error}", *slot))?
            .ok_or_else(|| format!("slot {} belongs to no epoch", *slot))?;
        let epoch = changes
            .viable_epoch(&descriptor, |start| Epoch::genesis(self.link.config(), start))
            .ok_or_else(|| format!("the epoch of slot {} is gone", *slot))?
            .as_ref()
            .clone();
        Ok((descriptor, epoch))
    }

    fn claim(&self, parent: &Header, slot: Slot) -> Result<Option<(PreDigest, AuthorityId)>, String> {
        let (_, epoch) = self.epoch(parent, slot)?;
        Ok(authorship::claim_slot(slot, &epoch, &self.keystore))
    }

    /// The first slot after the parent's that the keystore can claim.
    fn next_slot(&self, parent: &Header) -> Result<Slot, String> {
        let after_parent = find_pre_digest::<Block>(parent)
            .map_err(|error| error.to_string())?
            .slot()
            + 1;
        let wall = self.clock.slot_of(Timestamp::current());
        // The first block fixes where slots start; from then on `manual` counts.
        let from = if self.follow || *parent.number() == 0 {
            after_parent.max(wall)
        } else {
            after_parent
        };
        let first = *from;
        for slot in (first..first.saturating_add(SLOTS_TRIED)).map(Slot::from) {
            if self.claim(parent, slot)?.is_some() {
                return Ok(slot);
            }
        }
        Err(format!(
            "no key in the keystore may author any of the {SLOTS_TRIED} slots from {first}; is one of this chain's validators' \
             keys in it?"
        ))
    }

    fn slot_in(&self, inherents: &InherentData) -> Result<Slot, Error> {
        let time = inherents
            .timestamp_inherent_data()?
            .ok_or_else(|| Error::StringError("the block has no timestamp".into()))?;
        Ok(self.clock.slot_of(time))
    }

    /// Chooses the slot of a child of `parent` and the time it is stamped with.
    ///
    /// The timestamp is the only datum on purpose: manual seal takes a block for empty when it has as many extrinsics as
    /// there are data, and the runtime has one inherent.
    async fn inherents(self, parent: Hash) -> Result<sp_timestamp::InherentDataProvider, AnyError> {
        let header = self
            .client
            .header(parent)?
            .ok_or_else(|| format!("block {parent:?} is not known"))?;
        let slot = self.next_slot(&header)?;
        self.clock.saw(slot);
        Ok(sp_timestamp::InherentDataProvider::new(self.clock.start_of(slot)))
    }
}

impl ConsensusDataProvider<Block> for Author {
    fn create_digest(&self, parent: &Header, inherents: &InherentData) -> Result<Digest, Error> {
        let slot = self.slot_in(inherents)?;
        let (claim, _) = self
            .claim(parent, slot)?
            .ok_or_else(|| Error::StringError(format!("slot {} can no longer be claimed", *slot)))?;
        Ok(Digest {
            logs: vec![<DigestItem as CompatibleDigestItem>::babe_pre_digest(claim)],
        })
    }

    fn append_block_import(
        &self,
        parent: &Header,
        params: &mut BlockImportParams<Block>,
        inherents: &InherentData,
        _proof: StorageProof,
    ) -> Result<(), Error> {
        let slot = self.slot_in(inherents)?;
        let (epoch_descriptor, epoch) = self.epoch(parent, slot)?;
        let claim = find_pre_digest::<Block>(&params.header).map_err(|error| error.to_string())?;
        let (author, _) = epoch
            .authorities
            .get(claim.authority_index() as usize)
            .ok_or_else(|| Error::StringError("the author is not in the epoch".into()))?;
        let signature = self
            .keystore
            .sr25519_sign(key_types::BABE, author.as_ref(), params.header.hash().as_ref())
            .map_err(|error| Error::StringError(format!("cannot sign the block: {error}")))?
            .ok_or_else(|| Error::StringError("the author's key left the keystore".into()))?;
        params
            .post_digests
            .push(<DigestItem as CompatibleDigestItem>::babe_seal(signature.into()));
        params.insert_intermediate(INTERMEDIATE_KEY, BabeIntermediate::<Block> { epoch_descriptor });
        Ok(())
    }
}

/// A request for a block.
pub(crate) type Command = EngineCommand<Hash>;

/// What the sealing task is made of.
pub(crate) struct Parts<'a> {
    /// How to seal; not [`Sealing::None`].
    pub(crate) sealing: Sealing,
    /// Where requests come from: the RPC's end and this task's.
    pub(crate) commands: (mpsc::Sender<Command>, mpsc::Receiver<Command>),
    /// Shared with block import.
    pub(crate) clock: Arc<Clock>,
    /// The node's client.
    pub(crate) client: Arc<Client>,
    /// The node's keystore.
    pub(crate) keystore: KeystorePtr,
    /// The node's transaction pool.
    pub(crate) pool: Arc<Pool>,
    /// BABE's import, with no GRANDPA behind it.
    pub(crate) block_import: BabeImport,
    /// BABE's epochs.
    pub(crate) link: BabeLink<Block>,
    /// Picks the block to build on.
    pub(crate) select_chain: SelectChain,
    /// Where block building reports times.
    pub(crate) prometheus: Option<&'a substrate_prometheus_endpoint::Registry>,
}

/// Starts sealing.
pub(crate) fn start(parts: Parts<'_>, task_manager: &TaskManager) {
    let Parts {
        sealing,
        commands: (sender, receiver),
        clock,
        client,
        keystore,
        pool,
        block_import,
        link,
        select_chain,
        prometheus,
    } = parts;
    let author = Author {
        client: client.clone(),
        keystore,
        link,
        clock,
        follow: sealing != Sealing::Manual,
    };
    let env = sc_basic_authorship::ProposerFactory::new(
        task_manager.spawn_handle(),
        client.clone(),
        pool.clone(),
        prometheus,
        None,
    );
    let for_inherents = author.clone();
    let (to_sealer, from_requests) = mpsc::channel(0);
    let requests = in_two_steps(client.clone(), receiver, to_sealer);
    let sealer = run_manual_seal(ManualSealParams {
        block_import,
        env,
        client,
        pool: pool.clone(),
        commands_stream: from_requests,
        select_chain,
        consensus_data_provider: Some(Box::new(author)),
        create_inherent_data_providers: move |parent: Hash, ()| for_inherents.clone().inherents(parent),
    });
    let tasks = task_manager.spawn_essential_handle();
    tasks.spawn_blocking("sealing", Some("block-authoring"), sealer);
    tasks.spawn_blocking("sealing-requests", Some("block-authoring"), requests);
    match sealing {
        Sealing::None | Sealing::Manual => {}
        Sealing::Instant => {
            tasks.spawn(
                "seal-instantly",
                Some("block-authoring"),
                seal_instantly(pool, sender),
            );
        }
        Sealing::Interval(period) => {
            tasks.spawn(
                "seal-by-interval",
                Some("block-authoring"),
                seal_by_interval(period, sender),
            );
        }
    }
}

/// Passes requests on to the sealer, but makes a block final itself once it is imported: in one step with the import, watchers
/// would hear of its finality before its existence, and BABE look in vain for its header when it tidies up.
async fn in_two_steps(
    client: Arc<Client>,
    mut requests: mpsc::Receiver<Command>,
    mut sealer: mpsc::Sender<Command>,
) {
    while let Some(request) = requests.next().await {
        let Command::SealNewBlock {
            create_empty,
            finalize: true,
            parent_hash,
            sender,
        } = request
        else {
            if sealer.send(request).await.is_err() {
                return;
            }
            continue;
        };
        let (own, answer) = oneshot::channel();
        let import = Command::SealNewBlock {
            create_empty,
            finalize: false,
            parent_hash,
            sender: Some(own),
        };
        if sealer.send(import).await.is_err() {
            return;
        }
        let Ok(sealed) = answer.await else { return };
        let sealed = sealed.and_then(|block| {
            client.finalize_block(block.hash, None, true)?;
            Ok(block)
        });
        // Nobody may be left to hear it.
        let _ = sender.map(|sender| sender.send(sealed));
    }
}

/// Asks for one final block and waits for it. `Ok(false)` when there was nothing to put into it.
async fn seal(commands: &mut mpsc::Sender<Command>, create_empty: bool) -> Result<bool, Error> {
    let (sender, answer) = oneshot::channel();
    commands
        .send(Command::SealNewBlock {
            create_empty,
            finalize: true,
            parent_hash: None,
            sender: Some(sender),
        })
        .await?;
    match answer.await? {
        Ok(block) => {
            log::debug!(target: "sealing", "sealed {:?}", block.hash);
            Ok(true)
        }
        Err(Error::EmptyTransactionPool) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Tries again this often while the pool says it has transactions but no block takes them: right after a block the pool has
/// yet to hear of it.
const RETRIES: u32 = 10;
/// Pause between such tries.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Makes blocks as long as there are transactions ready, whenever one reaches the pool.
async fn seal_instantly(pool: Arc<Pool>, mut commands: mpsc::Sender<Command>) {
    let mut imported = pool.import_notification_stream();
    while imported.next().await.is_some() {
        // Several may have come while a block was made; the next takes them all.
        while imported.next().now_or_never().flatten().is_some() {}
        let mut tries = 0;
        while pool.status().ready > 0 && tries < 2 * RETRIES {
            // The block that ends a session has no room for transactions; an empty one has to come before they can.
            match seal(&mut commands, tries >= RETRIES).await {
                Ok(true) if tries < RETRIES => tries = 0,
                Ok(true) => tries += 1,
                Ok(false) => {
                    tries += 1;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => {
                    log::warn!(target: "sealing", "no block: {error}");
                    tries += 1;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}

/// Makes a block every `period`, empty or not.
async fn seal_by_interval(period: Duration, mut commands: mpsc::Sender<Command>) {
    let mut ticks = tokio::time::interval(period);
    // After a long block the next comes a period later, not at once.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = seal(&mut commands, true).await {
            log::warn!(target: "sealing", "no block: {error}");
        }
    }
}

/// Fails if GRANDPA's authorities fell behind the chain's while it was sealed without votes: no vote would be valid.
///
/// `voter_set` is what this node's GRANDPA would vote as, `chain_set` what the chain says at its last final block.
///
/// # Errors
///
/// Says how to go on.
pub(crate) fn can_vote(voter_set: u64, chain_set: u64) -> Result<(), String> {
    if voter_set >= chain_set {
        return Ok(());
    }
    Err(format!(
        "this chain was made with --sealing and its validators changed {} times without votes, so GRANDPA cannot go on from it; \
         start with --sealing instant, manual or interval, or delete the chain with `openledger-node purge-chain`",
        chain_set - voter_set
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_should_parse() {
        assert_eq!("none".parse(), Ok(Sealing::None));
        assert_eq!("instant".parse(), Ok(Sealing::Instant));
        assert_eq!("manual".parse(), Ok(Sealing::Manual));
        assert_eq!(
            "interval=250".parse(),
            Ok(Sealing::Interval(Duration::from_millis(250)))
        );
        for bad in [
            "",
            "Instant",
            "interval",
            "interval=",
            "interval=0",
            "interval=-1",
            "interval=2s",
        ] {
            assert!(bad.parse::<Sealing>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_clock_should_follow_blocks_ahead_of_the_wall() {
        let clock = Clock::new(SlotDuration::from_millis(2_000));
        let wall = clock.slot_of(Timestamp::current());
        assert!(clock.slot_of(clock.now()) >= wall);
        let ahead = wall + 1_000;
        clock.saw(ahead);
        assert_eq!(clock.slot_of(clock.now()), ahead);
        clock.saw(wall);
        assert_eq!(
            clock.slot_of(clock.now()),
            ahead,
            "an older block does not turn it back"
        );
    }

    #[test]
    fn a_voter_behind_the_chain_should_be_refused() {
        assert_eq!(can_vote(0, 0), Ok(()));
        assert_eq!(can_vote(3, 2), Ok(()));
        assert!(can_vote(0, 2).unwrap_err().contains("2 times"));
    }
}
