//! Who holds the 1,000,000,000 OPEN at the start of the main network, and when they may move it.

use crate::{currency::OPEN, AccountId, Balance, BlockNumber, DAY};
use alloc::{vec, vec::Vec};

/// Blocks in a month: a twelfth of 365.25 days.
pub const MONTH: BlockNumber = DAY / 48 * 1_461;

/// Community and ecosystem, all of it: pot, vested part and treasury.
pub const COMMUNITY: Balance = 617_100_000 * OPEN;
/// Of which: pays validators' eras and grants voted by referendum, and nothing else.
pub const EMISSION_POT: Balance = 250_000_000 * OPEN;
/// Of which: programmes for contributors and builders, vested.
pub const COMMUNITY_VESTED: Balance = 267_100_000 * OPEN;
/// Of which: in the treasury from the first block.
pub const COMMUNITY_TREASURY: Balance = 100_000_000 * OPEN;
/// Investors, vested after a cliff.
pub const INVESTORS: Balance = 182_900_000 * OPEN;
/// Team, vested after a cliff.
pub const TEAM: Balance = 150_000_000 * OPEN;
/// Liquidity: free, for exchanges and bridges.
pub const LIQUIDITY: Balance = 50_000_000 * OPEN;

/// Months before team and investors may move anything.
pub const CLIFF_MONTHS: u32 = 12;
/// Months over which their OPEN is then released, block by block.
pub const RELEASE_MONTHS: u32 = 36;
/// Months over which the community's vested part is released.
pub const COMMUNITY_MONTHS: u32 = 48;

/// One holding of the main network.
pub struct Holding {
    /// Who holds it: a placeholder that the launch file replaces (chain-specs/README.md).
    pub account: AccountId,
    /// Planck.
    pub amount: Balance,
    /// First block of the release and its length in blocks; none when free.
    pub vesting: Option<(BlockNumber, BlockNumber)>,
}

/// An account nobody has a key for: the name itself, padded. A specification that still holds one must not be launched,
/// and the script that makes specifications refuses to.
pub fn placeholder(name: &str) -> AccountId {
    let mut bytes = [b'-'; 32];
    let text = b"openledger:";
    for (slot, byte) in bytes.iter_mut().zip(text.iter().chain(name.as_bytes())) {
        *slot = *byte;
    }
    bytes.into()
}

/// The holdings of the main network beside the emission pot and the treasury.
pub fn holdings() -> Vec<Holding> {
    let after_cliff = Some((CLIFF_MONTHS * MONTH, RELEASE_MONTHS * MONTH));
    vec![
        Holding {
            account: placeholder("community"),
            amount: COMMUNITY_VESTED,
            vesting: Some((0, COMMUNITY_MONTHS * MONTH)),
        },
        Holding {
            account: placeholder("investors"),
            amount: INVESTORS,
            vesting: after_cliff,
        },
        Holding {
            account: placeholder("team"),
            amount: TEAM,
            vesting: after_cliff,
        },
        Holding {
            account: placeholder("liquidity"),
            amount: LIQUIDITY,
            vesting: None,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::currency::SUPPLY;

    #[test]
    fn allocation_should_add_up_to_the_supply() {
        assert_eq!(EMISSION_POT + COMMUNITY_VESTED + COMMUNITY_TREASURY, COMMUNITY);
        assert_eq!(COMMUNITY + INVESTORS + TEAM + LIQUIDITY, SUPPLY);
        let held: Balance = holdings().iter().map(|h| h.amount).sum();
        assert_eq!(held + EMISSION_POT + COMMUNITY_TREASURY, SUPPLY);
    }

    #[test]
    fn a_month_should_be_a_twelfth_of_a_year() {
        // 365.25 days of 43,200 blocks.
        assert_eq!(MONTH * 12, 15_778_800);
    }

    #[test]
    fn placeholders_should_say_what_they_are() {
        let account = placeholder("team");
        assert!(<AccountId as AsRef<[u8]>>::as_ref(&account).starts_with(b"openledger:team-"));
    }
}
