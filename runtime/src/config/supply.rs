//! Keeps the supply fixed where a pallet of the SDK would mint.
//!
//! pallet-revive mints one existential deposit for every contract account and burns it when the contract is destroyed.
//! [`FixedSupply`] is the native currency with those two replaced: the treasury lends the deposit and gets it back.
//! The gas of a deployment is many times the deposit and mostly goes to the treasury, so it cannot be drained this way.
//! Every other operation is the balances pallet's own.

use crate::{config::governance::TreasuryAccount, AccountId, Balance, Balances, RuntimeHoldReason};
use frame_support::traits::{
    fungible::{self, Balanced, Inspect, InspectHold, Mutate, MutateHold, Unbalanced, UnbalancedHold},
    tokens::{
        DepositConsequence, Fortitude, Precision, Preservation, Provenance, Restriction, WithdrawConsequence,
    },
};
use sp_runtime::{DispatchError, DispatchResult, TokenError};

/// The native currency for a pallet that must not mint: see the module.
pub struct FixedSupply;

type Hold = RuntimeHoldReason;

impl Inspect<AccountId> for FixedSupply {
    type Balance = Balance;
    fn total_issuance() -> Balance {
        <Balances as Inspect<AccountId>>::total_issuance()
    }
    fn active_issuance() -> Balance {
        <Balances as Inspect<AccountId>>::active_issuance()
    }
    fn minimum_balance() -> Balance {
        <Balances as Inspect<AccountId>>::minimum_balance()
    }
    fn total_balance(who: &AccountId) -> Balance {
        <Balances as Inspect<AccountId>>::total_balance(who)
    }
    fn balance(who: &AccountId) -> Balance {
        <Balances as Inspect<AccountId>>::balance(who)
    }
    fn reducible_balance(who: &AccountId, preservation: Preservation, force: Fortitude) -> Balance {
        <Balances as Inspect<AccountId>>::reducible_balance(who, preservation, force)
    }
    fn can_deposit(who: &AccountId, amount: Balance, provenance: Provenance) -> DepositConsequence {
        <Balances as Inspect<AccountId>>::can_deposit(who, amount, provenance)
    }
    fn can_withdraw(who: &AccountId, amount: Balance) -> WithdrawConsequence<Balance> {
        <Balances as Inspect<AccountId>>::can_withdraw(who, amount)
    }
}

impl Unbalanced<AccountId> for FixedSupply {
    fn handle_dust(dust: fungible::Dust<AccountId, Self>) {
        <Balances as Unbalanced<AccountId>>::handle_dust(fungible::Dust(dust.0))
    }
    fn write_balance(who: &AccountId, amount: Balance) -> Result<Option<Balance>, DispatchError> {
        <Balances as Unbalanced<AccountId>>::write_balance(who, amount)
    }
    fn set_total_issuance(amount: Balance) {
        <Balances as Unbalanced<AccountId>>::set_total_issuance(amount)
    }
    fn decrease_balance(
        who: &AccountId,
        amount: Balance,
        precision: Precision,
        preservation: Preservation,
        force: Fortitude,
    ) -> Result<Balance, DispatchError> {
        <Balances as Unbalanced<AccountId>>::decrease_balance(who, amount, precision, preservation, force)
    }
    fn increase_balance(
        who: &AccountId,
        amount: Balance,
        precision: Precision,
    ) -> Result<Balance, DispatchError> {
        <Balances as Unbalanced<AccountId>>::increase_balance(who, amount, precision)
    }
    // The deposit comes out of the treasury, whose balance is inactive already: moving it changes no issuance.
    fn deactivate(_: Balance) {}
    fn reactivate(_: Balance) {}
}

impl Mutate<AccountId> for FixedSupply {
    /// Moves `amount` from the treasury instead of minting it; fails when the treasury cannot give it.
    fn mint_into(who: &AccountId, amount: Balance) -> Result<Balance, DispatchError> {
        <Balances as Mutate<AccountId>>::transfer(
            &TreasuryAccount::get(),
            who,
            amount,
            Preservation::Preserve,
        )
        .map_err(|_| TokenError::FundsUnavailable.into())
    }

    /// Moves up to `amount` to the treasury instead of burning it.
    fn burn_from(
        who: &AccountId,
        amount: Balance,
        preservation: Preservation,
        precision: Precision,
        force: Fortitude,
    ) -> Result<Balance, DispatchError> {
        let available = Self::reducible_balance(who, preservation, force).min(amount);
        if precision == Precision::Exact && available < amount {
            return Err(TokenError::FundsUnavailable.into());
        }
        <Balances as Mutate<AccountId>>::transfer(who, &TreasuryAccount::get(), available, preservation)
    }

    fn transfer(
        source: &AccountId,
        dest: &AccountId,
        amount: Balance,
        preservation: Preservation,
    ) -> Result<Balance, DispatchError> {
        <Balances as Mutate<AccountId>>::transfer(source, dest, amount, preservation)
    }

    // Only dry runs with balance overrides come here; their state is thrown away.
    fn set_balance(who: &AccountId, amount: Balance) -> Balance {
        <Balances as Mutate<AccountId>>::set_balance(who, amount)
    }
}

impl Balanced<AccountId> for FixedSupply {
    type OnDropDebt = <Balances as Balanced<AccountId>>::OnDropDebt;
    type OnDropCredit = <Balances as Balanced<AccountId>>::OnDropCredit;

    fn done_deposit(who: &AccountId, amount: Balance) {
        <Balances as Balanced<AccountId>>::done_deposit(who, amount)
    }
    fn done_withdraw(who: &AccountId, amount: Balance) {
        <Balances as Balanced<AccountId>>::done_withdraw(who, amount)
    }
    fn done_issue(amount: Balance) {
        <Balances as Balanced<AccountId>>::done_issue(amount)
    }
    fn done_rescind(amount: Balance) {
        <Balances as Balanced<AccountId>>::done_rescind(amount)
    }
}

impl InspectHold<AccountId> for FixedSupply {
    type Reason = Hold;
    fn total_balance_on_hold(who: &AccountId) -> Balance {
        <Balances as InspectHold<AccountId>>::total_balance_on_hold(who)
    }
    fn reducible_total_balance_on_hold(who: &AccountId, force: Fortitude) -> Balance {
        <Balances as InspectHold<AccountId>>::reducible_total_balance_on_hold(who, force)
    }
    fn balance_on_hold(reason: &Hold, who: &AccountId) -> Balance {
        <Balances as InspectHold<AccountId>>::balance_on_hold(reason, who)
    }
    fn hold_available(reason: &Hold, who: &AccountId) -> bool {
        <Balances as InspectHold<AccountId>>::hold_available(reason, who)
    }
}

impl UnbalancedHold<AccountId> for FixedSupply {
    fn set_balance_on_hold(reason: &Hold, who: &AccountId, amount: Balance) -> DispatchResult {
        <Balances as UnbalancedHold<AccountId>>::set_balance_on_hold(reason, who, amount)
    }
}

impl MutateHold<AccountId> for FixedSupply {
    fn hold(reason: &Hold, who: &AccountId, amount: Balance) -> DispatchResult {
        <Balances as MutateHold<AccountId>>::hold(reason, who, amount)
    }
    fn release(
        reason: &Hold,
        who: &AccountId,
        amount: Balance,
        precision: Precision,
    ) -> Result<Balance, DispatchError> {
        <Balances as MutateHold<AccountId>>::release(reason, who, amount, precision)
    }
    fn transfer_on_hold(
        reason: &Hold,
        source: &AccountId,
        dest: &AccountId,
        amount: Balance,
        precision: Precision,
        mode: Restriction,
        force: Fortitude,
    ) -> Result<Balance, DispatchError> {
        <Balances as MutateHold<AccountId>>::transfer_on_hold(
            reason, source, dest, amount, precision, mode, force,
        )
    }
    fn transfer_and_hold(
        reason: &Hold,
        source: &AccountId,
        dest: &AccountId,
        amount: Balance,
        precision: Precision,
        expendability: Preservation,
        force: Fortitude,
    ) -> Result<Balance, DispatchError> {
        <Balances as MutateHold<AccountId>>::transfer_and_hold(
            reason,
            source,
            dest,
            amount,
            precision,
            expendability,
            force,
        )
    }
}
