//! What must be so after every block, and at the end.

use crate::{chain, episode::Tallies, play::is_own};
use frame_support::{
    dispatch::DispatchClass,
    traits::{GetCallMetadata, PalletsInfoAccess},
};
use openledger_runtime::*;
use sp_runtime::TryRuntimeError;

type TryState = fn() -> Result<(), TryRuntimeError>;

/// The own check of each of our pallets.
const TRY_STATE: &[(&str, TryState)] = &[
    ("Periods", Periods::try_state_periods_are_sound),
    ("Rewards", Rewards::do_try_state),
    ("Draws", Draws::do_try_state),
    ("Datanets", Datanets::do_try_state),
    ("Models", Models::do_try_state),
    ("Compute", Compute::do_try_state),
    ("Channels", Channels::do_try_state),
    ("Attribution", Attribution::do_try_state),
    ("Committees", Committees::do_try_state),
    ("Inference", Inference::do_try_state),
    ("OpenStaking", OpenStaking::do_try_state),
];

/// Pots equal what they owe, holds equal deposits, lists are of what is there: what each pallet promises of itself.
pub(crate) fn try_state() {
    for (name, check) in TRY_STATE {
        if let Err(error) = check() {
            panic!("{name} at block {}: {error:?}", System::block_number());
        }
    }
}

#[test]
fn every_pallet_of_ours_should_be_checked_after_a_block() {
    for info in AllPalletsWithSystem::infos() {
        assert_eq!(
            is_own(info.name),
            TRY_STATE.iter().any(|(name, _)| *name == info.name),
            "{} is ours and has no place in the table, or the other way round",
            info.name
        );
    }
}

/// What is held or reserved of an account it has.
pub(crate) fn holds() {
    for (who, holds) in pallet_balances::Holds::<Runtime>::iter() {
        let sum = holds.iter().map(|hold| hold.amount).sum::<Balance>();
        let data = System::account(&who).data;
        assert!(
            sum <= data.reserved,
            "holds of {who} are {sum}, reserved is {}",
            data.reserved
        );
    }
}

/// The money there was after the block before.
#[derive(Default)]
pub(crate) struct Supply(Option<Balance>);

impl Supply {
    /// The money is all in accounts; there is never more of it, and less only as events say.
    pub(crate) fn check(&mut self) {
        let number = System::block_number();
        let (issued, held) = (Balances::total_issuance(), chain::held());
        assert_eq!(issued, held, "issuance and what accounts hold at block {number}");
        let before = self.0.replace(issued).unwrap_or(currency::SUPPLY);
        assert!(
            issued <= before,
            "issuance rose from {before} to {issued} in block {number}"
        );
        let (mut down, mut up) = (0, 0);
        for record in System::read_events_no_consensus() {
            use pallet_balances::Event::*;
            let RuntimeEvent::Balances(event) = record.event else {
                continue;
            };
            match event {
                Burned { amount, .. }
                | BurnedDebt { amount }
                | Rescinded { amount }
                | DustLost { amount, .. } => down += amount,
                Minted { amount, .. } | MintedCredit { amount } | Issued { amount } => up += amount,
                _ => {}
            }
        }
        assert_eq!(
            before + up,
            issued + down,
            "what came and left in block {number} as its events say, against what was there"
        );
    }
}

/// Neither the block nor what a class may take of it is more than full.
pub(crate) fn block_weight() {
    let (limits, used) = (config::system::BlockWeights::get(), System::block_weight());
    let mandatory = used.get(DispatchClass::Mandatory);
    // pallet-session weighs the end of a session as a whole block, so that nothing else goes into it.
    let is_end_of_session = mandatory.ref_time() >= limits.max_block.ref_time();
    if is_end_of_session {
        assert_eq!(
            used.get(DispatchClass::Normal).ref_time(),
            0,
            "the end of a session leaves room for transactions"
        );
    } else {
        assert!(
            used.total().all_lte(limits.max_block),
            "the block takes {} of {}, {mandatory} of it before its transactions",
            used.total(),
            limits.max_block
        );
    }
    for class in [DispatchClass::Normal, DispatchClass::Operational] {
        if let Some(most) = limits.get(class).max_total {
            assert!(
                used.get(class).all_lte(most),
                "{class:?} takes {} of {most}",
                used.get(class)
            );
        }
    }
}

/// No call of ours touches more keys than its weight pays the database for, nor reads more bytes than it declares.
pub(crate) fn weights(all: &Tallies) {
    let over: Vec<_> = all
        .iter()
        .filter(|((pallet, _), tally)| is_own(pallet) && (tally.used > 1_000 || tally.bytes_over > 0))
        .map(|((pallet, call), tally)| {
            format!(
                "{pallet}.{call}: {} ‰ of its time, {} bytes too many",
                tally.used, tally.bytes_over
            )
        })
        .collect();
    assert!(
        over.is_empty(),
        "the weights of these do not cover what they touch: {over:#?}"
    );
}

/// Calls that random play does not bring to success: each needs a committee of workers that all play their part over thousands
/// of blocks. They are tried with random arguments all the same, and the pallets' own tests bring them to success.
const NOT_PLAYED: &[(&str, &str)] = &[
    ("Attribution", "ask"),
    ("Attribution", "ask_index"),
    ("Attribution", "draw_audit"),
    ("Attribution", "show_audit"),
    ("Attribution", "end_audit"),
    ("Committees", "strike"),
    ("Committees", "seat"),
    ("Committees", "commit"),
    ("Committees", "reveal"),
    ("Committees", "close"),
    ("Committees", "decide"),
];

/// Calls that succeed once in tens of thousands: few batches that settle here have anybody to credit. The pallets' own tests bring them
/// to success as well.
const RARE: &[(&str, &str)] = &[("Attribution", "credit")];
/// Tries from which on they must have succeeded too.
const MANY: u64 = 500_000;

/// Every call of ours that is played succeeded at least once in so many tries.
pub(crate) fn coverage(all: &Tallies, calls: u64) {
    let mut never = Vec::new();
    for pallet in RuntimeCall::get_module_names()
        .iter()
        .filter(|pallet| is_own(pallet))
    {
        let is_never = |call: &&&'static str| all.get(&(*pallet, **call)).is_none_or(|tally| tally.done == 0);
        never.extend(
            RuntimeCall::get_call_names(pallet)
                .iter()
                .filter(|call| !NOT_PLAYED.contains(&(pallet, call)))
                .filter(|call| calls >= MANY || !RARE.contains(&(pallet, call)))
                .filter(is_never)
                .map(|call| format!("{pallet}.{call}")),
        );
    }
    assert!(never.is_empty(), "these calls never succeeded: {never:?}");
}
