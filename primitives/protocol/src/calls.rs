//! The calls of the chain's own pallets, as bytes: index of the pallet, index of the call, arguments in SCALE.
//!
//! The runtime's tests check each against the runtime's own encoding.

use crate::{
    channels::ChannelClaim,
    compute::{Backend, Delivery, Heartbeat, Machine},
    datanets::Curation,
    disputes::{Committed, Disputed},
    inference::Prompt,
    models::{Place, Recipe, Source},
    staking::Pool,
    Account, Cid, Endpoint, Hash, Name,
};
use alloc::{boxed::Box, vec::Vec};
use codec::Encode;
use openledger_attribution::{
    batch::{BatchHeader, CreditLeaf, CreditsHeader},
    committee::{Computed, Vote},
    fee::Mix,
    index::IndexRules,
    tree::{Range, Root},
    verdict::{
        Audit, BatchEvidence, BatchQuestion, Duplicate, IndexEvidence, IndexQuestion, Reveal,
        VersionEvidence, Wanted,
    },
};

macro_rules! pallets {
    ($($(#[$doc:meta])* $name:ident = $pallet:literal { $($(#[$call_doc:meta])* $index:literal $call:ident ( $($arg:ident: $type:ty),* $(,)? );)* })*) => {$(
        $(#[$doc])*
        pub mod $name {
            use super::*;
            /// Index of the pallet in the runtime.
            pub const PALLET: u8 = $pallet;
            $(
                $(#[$call_doc])*
                // A call of the runtime: its arguments are what they are.
                #[allow(clippy::too_many_arguments)]
                pub fn $call($($arg: $type),*) -> Vec<u8> {
                    #[allow(unused_mut, reason = "some calls have no arguments")]
                    let mut bytes = [PALLET, $index].to_vec();
                    $($arg.encode_to(&mut bytes);)*
                    bytes
                }
            )*
        }
    )*};
}

pallets! {
    /// Money credited and claimed.
    rewards = 13 {
        /// Claims everything credited to the sender.
        1 claim();
        /// Claims for somebody else: the money goes to `who`.
        2 claim_for(who: &Account);
    }
    /// Pools of records.
    datanets = 91 {
        /// Creates a Datanet owned by the sender.
        0 create(name: &Name, licence: &Name, curation: &Curation<Account>);
        /// Reserves a contribution: [`reservation`](openledger_attribution::record::reservation).
        1 reserve(commitment: &Hash);
        /// Contributes what was reserved with this salt.
        2 contribute(datanet: u64, salt: &Hash, records: &Root, cid: &Cid);
        /// A curator accepts.
        3 accept(contribution: u64, weight: u16);
        /// A curator rejects.
        4 reject(contribution: u64);
        /// Anyone accepts for an open Datanet whose window has passed.
        5 mature(contribution: u64);
        /// The owner publishes a version.
        6 publish(datanet: u64, parent: Option<u32>, records: &Root, cid: &Cid);
        /// Anyone removes a reservation that ran out; its deposit goes back.
        7 release(commitment: &Hash);
        /// Commits to evidence about a version or a contribution:
        /// [`version_commitment`](crate::disputes::version_commitment),
        /// [`duplicate_commitment`](crate::disputes::duplicate_commitment).
        8 challenge(about: &Disputed, commitment: &Hash);
        /// Shows the evidence about a version.
        9 prove_version(datanet: u64, version: u32, salt: &Hash, evidence: Box<VersionEvidence>);
        /// Shows the evidence about a contribution.
        10 prove_duplicate(salt: &Hash, evidence: Box<Duplicate>);
        /// Anyone ends a challenge whose evidence never came.
        11 lapse(about: &Disputed, challenger: &Account);
        /// Anyone gives back the deposit of a version that nobody can challenge any more.
        12 free_version(datanet: u64, version: u32);
    }
    /// Bases, models and generations.
    models = 92 {
        /// Registers a base.
        0 register_base(name: &Name, licence: &Name, weights: &Hash, tokenizer: &Hash);
        /// Creates a model owned by the sender.
        1 create(name: &Name, base: u64, price_in: u128, price_out: u128, mix: &Mix);
        /// The owner orders a generation, which starts from the adapter of `parent` or from the base.
        2 request_training(model: u64, sources: &[Source], recipe: &Recipe, rules: &IndexRules, price: u128, deadline: u32, parent: Option<Place>);
        /// The owner changes prices.
        3 set_prices(model: u64, price_in: u128, price_out: u128);
        /// The owner lets it answer, or not.
        4 set_serving(model: u64, serving: bool);
    }
    /// Workers and jobs.
    compute = 93 {
        /// Registers the sender as a worker.
        0 register(bond: u128, result_key: &[u8; 32], receipt_key: &[u8; 32], backend: &Backend, arch: &Name, endpoint: &Endpoint, capabilities: u8);
        /// Adds to the bond.
        1 bond_more(amount: u128);
        /// Starts to take bond out.
        2 unbond(amount: u128);
        /// Takes out what has waited long enough.
        3 withdraw();
        /// Rotates keys.
        4 set_keys(result_key: &[u8; 32], receipt_key: &[u8; 32]);
        /// Delivers a result: a general transaction, submitted by the node's hook.
        5 deliver(delivery: &Delivery, signature: &[u8; 64]);
        /// Changes the endpoint.
        6 set_endpoint(endpoint: &Endpoint);
        /// Says that a worker is there: a general transaction, submitted by the node's hook.
        7 heartbeat(beat: &Heartbeat, signature: &[u8; 64]);
    }
    /// Payment channels.
    channels = 94 {
        /// Opens a channel to a worker.
        0 open(worker: &Account, deposit: u128);
        /// Adds to a channel.
        1 top_up(channel: u64, amount: u128);
        /// Starts to close a channel.
        2 close(channel: u64);
        /// Takes the rest back when its time has come.
        3 finish(channel: u64);
    }
    /// Questions asked on the chain.
    inference = 98 {
        /// Asks a generation of a model.
        0 request_inference(model: u64, generation: u32, prompt: &Prompt, max_tokens: u32, machine: &Option<Machine>, most: u128, deadline: u32);
        /// Removes a request that is answered or failed.
        1 forget(request: u64);
    }
    /// Batches, windows, disputes.
    attribution = 95 {
        /// A worker submits a batch.
        0 submit_batch(header: Box<BatchHeader>, credits: Box<CreditsHeader>, claims: &[ChannelClaim]);
        /// Anyone settles a batch whose window has passed.
        1 settle(batch: u64);
        /// Anyone credits the next contributors of a settled batch.
        2 credit(batch: u64, credits: &Range<CreditLeaf>);
        /// Commits to evidence: [`commitment`](crate::batches::commitment).
        3 challenge(batch: u64, commitment: &Hash);
        /// Shows the evidence.
        4 prove(batch: u64, salt: &Hash, evidence: Box<BatchEvidence>);
        /// Anyone ends a challenge whose evidence never came.
        5 lapse(batch: u64, challenger: &Account);
        /// Anyone removes a finished batch that has been readable long enough.
        6 forget(batch: u64);
        /// Commits to evidence about an index: [`index_commitment`](crate::disputes::index_commitment).
        7 challenge_index(index: &Hash, commitment: &Hash);
        /// Shows the evidence about an index.
        8 prove_index(index: &Hash, salt: &Hash, evidence: Box<IndexEvidence>);
        /// Anyone ends a challenge of an index whose evidence never came.
        9 lapse_index(index: &Hash, challenger: &Account);
        /// Anyone has the chain look whether an index is still in use.
        10 review_index(index: &Hash);
        /// Asks for a piece of what somebody committed to, and pays for it.
        11 request_reveal(source: &Committed, wanted: &Wanted);
        /// Shows what was asked for; its holder is paid.
        12 reveal(source: &Committed, wanted: &Wanted, shown: Box<Reveal>);
        /// Anyone ends a request that nobody answered in time.
        13 end_request(source: &Committed, wanted: &Wanted);
        /// Anyone fixes what is drawn for a sampled batch, once it is out.
        14 draw(batch: u64);
        /// The worker answers the draws of a sampled batch.
        15 answer_draws(batch: u64, credits: Box<CreditsHeader>);
        /// Anyone ends the time for an answer that did not come.
        16 forfeit_draws(batch: u64);
        /// Shows the question that was committed to ([`question_commitment`](crate::committees::question_commitment)) and puts it
        /// before a committee.
        17 ask(batch: u64, salt: &Hash, question: Box<BatchQuestion>);
        /// The same about an index ([`index_question_commitment`](crate::committees::index_question_commitment)).
        18 ask_index(index: &Hash, salt: &Hash, question: Box<IndexQuestion>);
        /// Anyone fixes what is drawn for a batch's audit, once it is out.
        19 draw_audit(batch: u64);
        /// Anyone shows what was drawn for a batch's audit.
        20 show_audit(batch: u64, audit: Box<Audit>);
        /// Anyone ends an audit that was not shown in time.
        21 end_audit(batch: u64);
    }
    /// OPEN behind workers, models, Datanets and agents.
    open_staking = 96 {
        /// Stakes up to `amount` planck for at least `min_shares` shares.
        0 stake(pool: &Pool<Account>, amount: u128, min_shares: u128);
        /// Asks for what shares are worth.
        1 unstake(pool: &Pool<Account>, shares: u128);
        /// Takes what was asked for and has waited long enough.
        2 withdraw(pool: &Pool<Account>);
        /// The same for somebody else: the money goes to `who`.
        3 withdraw_for(pool: &Pool<Account>, who: &Account);
    }
    /// Workers that recompute what others claim.
    committees = 97 {
        /// The sender, a worker, may be drawn from now on. Private text is sealed for `key`.
        0 join(key: &[u8; 32]);
        /// The sender is drawn no more.
        1 leave();
        /// Anyone strikes out a member that is no worker any more.
        2 strike(member: &Account);
        /// Anyone fills the seats of a case, once they are drawn.
        3 seat(case: u64);
        /// A member commits: [`vote_hash`](openledger_attribution::committee::vote_hash).
        4 commit(case: u64, commitment: &Hash);
        /// A member reveals.
        5 reveal(case: u64, vote: Vote, computed: Box<Computed>, salt: &Hash);
        /// Anyone ends a round.
        6 close(case: u64);
        /// A referendum decides a frozen case.
        7 decide(case: u64, vote: Vote);
    }
}

/// OPEN.
pub mod balances {
    use super::*;
    use codec::Compact;

    /// Index of the pallet in the runtime.
    pub const PALLET: u8 = 10;

    /// Sends `amount` planck and keeps the sender's account alive.
    pub fn transfer_keep_alive(to: &Account, amount: u128) -> Vec<u8> {
        // The account is the first case of an address.
        let mut bytes = [PALLET, 3, 0].to_vec();
        to.encode_to(&mut bytes);
        Compact(amount).encode_to(&mut bytes);
        bytes
    }
}
