//! Balances, and whether they add up.

use crate::{At, Block, Chain, Error, Head, Read, Result};
use codec::{Decode, DecodeAll};
use openledger_protocol::{storage, Account};
use sp_crypto_hashing::blake2_128;

/// What an account has, in planck.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Decode)]
pub struct Balance {
    /// What it can use.
    pub free: u128,
    /// What is held from it.
    pub reserved: u128,
    /// What of `free` it cannot send.
    pub frozen: u128,
}

/// An account of the System pallet.
#[derive(Decode)]
struct AccountInfo {
    _nonce: u32,
    _consumers: u32,
    _providers: u32,
    _sufficients: u32,
    balance: Balance,
    _flags: u128,
}

/// What exists and who has it, at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Supply {
    /// The block.
    pub block: Block,
    /// What was issued, in planck.
    pub issuance: Read<u128>,
    /// Accounts that exist.
    pub accounts: u64,
    /// What they have, free and held, in planck.
    pub total: u128,
}

impl Supply {
    /// Whether nothing was made or lost.
    pub fn holds(&self) -> bool {
        self.issuance.value == self.total
    }
}

impl Chain {
    /// What an account has. One that does not exist has nothing.
    pub async fn balance(&self, who: &Account, at: impl Into<At>) -> Result<Read<Balance>> {
        let mut key = storage::value("System", "Account");
        key.extend(blake2_128(who));
        key.extend(who);
        let info = self.read::<AccountInfo>(key, at).await?;
        Ok(info.map(|info| info.map(|info| info.balance).unwrap_or_default()))
    }

    /// The issuance and the sum over all accounts, both at one block.
    pub async fn supply(&self, at: impl Into<At>) -> Result<Supply> {
        let block = self.resolve(at).await?;
        let issuance = self.read_value("Balances", "TotalIssuance", block).await?;
        let keys = self.keys(&storage::value("System", "Account"), block).await?;
        let mut total = 0u128;
        let mut accounts = 0;
        for (key, value) in self.values(&keys, block).await? {
            let error = |reason: String| Error::Decode {
                what: format!("the account under 0x{}", hex::encode(&key)),
                reason,
            };
            let info = AccountInfo::decode_all(&mut value.as_slice()).map_err(|e| error(e.to_string()))?;
            let own = info.balance.free.checked_add(info.balance.reserved);
            total = own
                .and_then(|own| total.checked_add(own))
                .ok_or_else(|| error("balances pass 2^128 planck".into()))?;
            accounts += 1;
        }
        Ok(Supply {
            block,
            issuance,
            accounts,
            total,
        })
    }

    /// [`supply`](Self::supply) at the best block.
    pub async fn supply_now(&self) -> Result<Supply> {
        self.supply(Head::Best).await
    }
}
