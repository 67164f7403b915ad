//! How the chain's own pallets use each other: one small trait per service, so that each can be tested with a stand-in.
//!
//! A function that fails has changed nothing, or is called inside a dispatch that then changes nothing.

#![cfg_attr(not(feature = "std"), no_std)]
#![deny(missing_docs)]

extern crate alloc;

use alloc::vec::Vec;
use core::marker::PhantomData;
use frame_support::dispatch::DispatchResult;
use openledger_attribution::{
    committee::Claim,
    fee::{Parts, Tariff},
    hash::{Account, Hash},
    index::IndexHeader,
    sketch::Layout,
    tree::Root,
    verdict::{Contribution, IndexOrder, Registry},
    voucher::CheckSignature,
};
use openledger_protocol::{
    channels::ChannelClaim,
    committees::{Ending, Need, Subject},
    compute::{Machine, Outcome, Output, Task},
    inference::Prompt,
    models::{Place, Source},
    staking::Pool,
};
use sp_runtime::DispatchError;

/// Randomness that nobody could know when what it decides was committed.
///
/// What is committed in epoch E is decided by what was drawn for it two epochs later.
pub trait Draws {
    /// The epoch that what is committed now belongs to.
    fn epoch() -> u64;

    /// What is drawn for subject `id` of `domain`, committed in `epoch`; nothing yet before the draw is out, or any more long
    /// after.
    fn drawn(epoch: u64, domain: &[u8], id: u64) -> Option<Hash>;
}

/// What can be owned, sold and listed as an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asset {
    /// A Datanet.
    Datanet(u64),
    /// A model.
    Model(u64),
}

/// Who owns what.
pub trait Ownership<AccountId> {
    /// Makes `who` the owner of a new asset.
    fn mint(asset: Asset, who: &AccountId) -> DispatchResult;

    /// Its owner.
    fn owner(asset: Asset) -> Option<AccountId>;
}

/// Datanets, for those who train on them.
pub trait Datanets {
    /// The records of a published version.
    fn version(datanet: u64, version: u32) -> Option<Root>;

    /// Whether something new may be trained on a version: it is published, and was not proved wrong.
    fn is_usable(datanet: u64, version: u32) -> bool;
}

/// Contributions, for those who judge what is made of them.
pub trait Contributions {
    /// What the chain knows of a contribution, whatever its standing.
    fn contribution(id: u64) -> Option<Contribution>;
}

/// [`Contributions`] as verdicts look them up.
pub struct Known<T>(PhantomData<T>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: Contributions> Registry for Known<T> {
    fn contribution(&self, id: u64) -> Option<Contribution> {
        T::contribution(id)
    }
}

/// A generation that can answer or could, for those who settle its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served<AccountId> {
    /// Who owns the model, if anybody does.
    pub owner: Option<AccountId>,
    /// Hash of the generation's index header.
    pub index: Hash,
    /// What it was trained on.
    pub sources: Vec<Source>,
}

/// Who the lineage part of a generation is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ancestors<AccountId> {
    /// Owners of the ancestors that added accepted data, nearest first, without the root.
    pub nearer: Vec<Option<AccountId>>,
    /// The owner of the root generation.
    pub root_owner: Option<AccountId>,
    /// What the root generation was trained on.
    pub root_sources: Vec<Source>,
}

/// Models, for those who settle their answers.
pub trait Models<AccountId> {
    /// The generation, if it is ready, or was until its index was proved wrong: what it answered before is still settled.
    fn served(model: u64, generation: u32) -> Option<Served<AccountId>>;

    /// What an answer of a generation is charged by now, if it is ready and its owner lets it answer.
    fn tariff(model: u64, generation: u32) -> Option<Tariff>;

    /// What a generation descends from, if it has ancestors.
    fn ancestors(model: u64, generation: u32) -> Option<Ancestors<AccountId>>;

    /// Whether an answer may be charged by this tariff now.
    fn accepts(model: u64, generation: u32, tariff: &Tariff) -> bool;

    /// What the index with this header was ordered to be. What the chain does not know of the order is as the header says.
    fn order(header: &IndexHeader) -> Option<IndexOrder>;

    /// Whether a generation is out of use: a later one is ready, or its model stopped answering long enough ago that nothing
    /// it answered can be charged any more.
    fn is_retired(model: u64, generation: u32) -> bool;

    /// The index of a generation was proved wrong: it answers no more.
    fn void(model: u64, generation: u32, index: &Hash);
}

/// Work for workers.
pub trait Jobs<AccountId> {
    /// Orders work; a capable worker is drawn by bond, or it is `worker`'s. The result is accepted until `deadline`.
    fn order(task: Task, worker: Option<&AccountId>, deadline: u32) -> Result<u64, DispatchError>;

    /// Orders work from whoever is drawn among the capable that have this kind of machine.
    fn order_on(task: Task, machine: Machine, deadline: u32) -> Result<u64, DispatchError>;
}

/// Answers on the chain, for other pallets. Nothing is called back: who asked looks whether the answer is there.
pub trait Inference<AccountId> {
    /// `who` asks a generation of a model for an answer of at most so many tokens and planck, until block `deadline`. Returns the
    /// request's number.
    fn request(
        who: &AccountId,
        place: Place,
        prompt: Prompt,
        max_tokens: u32,
        most: u128,
        deadline: u32,
    ) -> Result<u64, DispatchError>;

    /// The answer and its hash, once there is one.
    fn answer(request: u64) -> Option<(Hash, Output)>;
}

/// Who ordered work.
pub trait OnOutcome<AccountId> {
    /// A worker delivered. An error refuses the result; the job stays open.
    fn delivered(job: u64, task: &Task, worker: &AccountId, outcome: &Outcome) -> DispatchResult;

    /// Nobody will deliver: no worker is capable, or the deadline has passed.
    fn failed(job: u64, task: &Task);
}

/// Bonds of workers.
pub trait Bonds<AccountId> {
    /// Puts `value` planck of the worker's bond behind work that is not closed yet. Fails if it is no worker or the rest of
    /// its bond is smaller.
    fn open(worker: &AccountId, value: u128) -> DispatchResult;

    /// Takes `value` off again.
    fn close(worker: &AccountId, value: u128);

    /// Takes up to `amount` from the bond: a quarter to `challenger`, the rest (all of it without one) to the treasury.
    /// Returns what was taken.
    fn slash(worker: &AccountId, amount: u128, challenger: Option<&AccountId>) -> u128;

    /// Moves up to `amount` of the bond to `to`: what a worker owes by its own word. Returns what was moved.
    fn pay(worker: &AccountId, amount: u128, to: &AccountId) -> u128;
}

/// Workers that could sit in committees.
pub trait Attesters<AccountId> {
    /// Planck of the worker's bond that were there before block `since` and are not on their way out; nothing if it is no worker,
    /// does not attest, has less than the least bond, or its machine is another than is needed.
    fn bond(worker: &AccountId, need: &Need, since: u32) -> Option<u128>;

    /// Whether it is a worker that attests.
    fn attests(worker: &AccountId) -> bool;

    /// What machine a worker has.
    fn machine(worker: &AccountId) -> Need;
}

/// What a committee is to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearing<AccountId> {
    /// What is asked.
    pub subject: Subject,
    /// What the accused committed to there.
    pub claim: Claim,
    /// Whose claim it is.
    pub accused: AccountId,
    /// Who pays the members, to begin with.
    pub payer: AccountId,
    /// Who else must not sit.
    pub parties: Vec<AccountId>,
    /// Whether members need a machine like the accused's.
    pub is_exact: bool,
    /// What draws the seats, if it is drawn already: then the accused's claim was committed in block `since`, and nobody
    /// disputes it. Without, they are drawn later, and the dispute begins now.
    pub audit: Option<(Hash, u32)>,
}

/// Committees, for those who judge.
pub trait Committees<AccountId> {
    /// Puts something before a committee and holds what its members cost from the payer. Returns the number of the case.
    fn open(hearing: Hearing<AccountId>) -> Result<u64, DispatchError>;

    /// Whether there are enough members for a committee that none of these is on.
    fn are_enough(parties: &[AccountId]) -> bool;
}

/// Who puts things before committees.
pub trait OnVerdict<AccountId> {
    /// A case ended; its members are paid. An error leaves it as it was.
    fn ended(case: u64, subject: &Subject, ending: Ending) -> DispatchResult;
}

/// Registered indexes.
pub trait Indexes {
    /// Registers an index that was delivered, with a part of its builder's bond behind it; fails if its header contradicts
    /// itself, or if the rest of the bond is smaller.
    fn register(header: &IndexHeader, layout: &Layout) -> DispatchResult;
}

/// Payment channels, for those who settle.
pub trait Charge<AccountId> {
    /// Moves what the claim says from its channel to the pot of [`PayOut`] and moves its cursor; fails unless the claim starts at the
    /// cursor, is for `worker`, and carries the consumer's good and unexpired signature.
    fn charge(worker: &AccountId, claim: &ChannelClaim) -> DispatchResult;

    /// Who pays through a channel.
    fn consumer(channel: u64) -> Option<AccountId>;
}

/// The pot that fees wait in.
pub trait PayOut<AccountId> {
    /// The pot's account.
    fn pot() -> AccountId;

    /// `amount` planck came into the pot for an object that is not settled yet.
    fn escrowed(amount: u128) -> DispatchResult;

    /// Promises `amount` of the escrowed planck to `who`, to be claimed.
    fn credit(who: &AccountId, amount: u128) -> DispatchResult;

    /// Pays `amount` of the escrowed planck to the treasury.
    fn to_treasury(amount: u128) -> DispatchResult;

    /// Moves `amount` of the escrowed planck into another pallet's pot, which exists.
    fn move_to(pot: &AccountId, amount: u128) -> DispatchResult;
}

/// What was earned with one model, in escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Earned<'a, AccountId> {
    /// The model.
    pub model: u64,
    /// Its generation.
    pub generation: u32,
    /// Who answered.
    pub worker: &'a AccountId,
    /// Planck by destination.
    pub parts: &'a Parts,
    /// Planck of the contributors' part that stay in escrow, to be credited one by one.
    pub kept: u128,
}

/// What was paid out of escrow, in planck. Together with what was kept it is all there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    /// To the treasury.
    pub platform: u128,
    /// To the model's owner.
    pub owner: u128,
    /// To the worker.
    pub compute: u128,
    /// To the pools behind the model and the worker.
    pub stakers: u128,
    /// To the generation's ancestors.
    pub lineage: u128,
    /// To the Datanets trained on, by weight, with every part that had no recipient.
    pub fallback: u128,
}

/// Dividing what answers earned among everybody but the contributors.
pub trait Settle<AccountId> {
    /// Pays what was earned. A part without recipient takes the fallback; nothing is made or lost.
    fn pay(earned: &Earned<'_, AccountId>) -> Result<Paid, DispatchError>;
}

/// OPEN staked behind workers, models, Datanets and agents, for those who pay stakers and punish them.
///
/// A dispute goes: [`Stakes::freeze`] when it opens, [`Stakes::slash`] if it is lost, [`Stakes::thaw`] when it ends, in this
/// order, so that between the first and the last nothing slashable comes in or leaves. Whoever freezes a pool thaws it exactly
/// once. Each of these looks at one pool, however many stake in it.
pub trait Stakes<AccountId> {
    /// The account that all stakes are in.
    fn pot() -> AccountId;

    /// `amount` planck came into the pot for the pool's stakers, who get them bit by bit over a period. Without stakers they go
    /// to the treasury. Fails, as a caller's error, if they are not in the pot.
    fn income(pool: &Pool<AccountId>, amount: u128) -> DispatchResult;

    /// Takes up to `amount` from what is staked in the pool and what was asked back and is still there, in proportion, and gives
    /// it to the treasury. Returns what was taken. Nobody's reward comes out of it: a challenger's is in the worker's bond.
    fn slash(pool: &Pool<AccountId>, amount: u128) -> u128;

    /// Whether anybody earns in the pool.
    fn has_stakers(pool: &Pool<AccountId>) -> bool;

    /// Planck that a slash could take.
    fn total(pool: &Pool<AccountId>) -> u128;

    /// From now on nobody stakes in the pool or withdraws from it, until it was thawed as often as it was frozen. Stake can be
    /// asked back meanwhile: it waits, and can be slashed. The pool need not have stakers.
    fn freeze(pool: &Pool<AccountId>) -> DispatchResult;

    /// Takes one freeze back.
    fn thaw(pool: &Pool<AccountId>);
}

/// Signatures checked by the host.
#[derive(Clone, Copy, Debug)]
pub struct HostKeys;

impl CheckSignature for HostKeys {
    fn sr25519(&self, signature: &[u8; 64], message: &[u8], key: &Account) -> bool {
        sp_io::crypto::sr25519_verify(
            &sp_core::sr25519::Signature::from_raw(*signature),
            message,
            &sp_core::sr25519::Public::from_raw(*key),
        )
    }

    fn ecdsa_recover(&self, signature: &[u8; 65], digest: &Hash) -> Option<[u8; 64]> {
        sp_io::crypto::secp256k1_ecdsa_recover(signature, digest).ok()
    }
}
