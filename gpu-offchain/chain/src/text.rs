//! How amounts and accounts are written.

use crate::{Error, Result};
use openledger_protocol::Account;
use subxt::utils::AccountId32;

/// Planck of one OPEN.
const OPEN: u128 = 1_000_000_000_000_000_000;
const DECIMALS: usize = 18;

/// An amount in OPEN, exact: `1.5 OPEN`. Zeros at the end of the fraction are left out.
pub fn open(planck: u128) -> String {
    let fraction = format!("{:018}", planck % OPEN);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        format!("{} OPEN", planck / OPEN)
    } else {
        format!("{}.{fraction} OPEN", planck / OPEN)
    }
}

/// Planck of `1.5`, `1.5 OPEN` or `20 planck`. Fails on more than 18 decimals and on signs.
pub fn parse_open(text: &str) -> Result<u128> {
    let wanted = "an amount: write it like `1.5 OPEN` (18 decimals at most) or `20 planck`";
    let error = || Error::Text {
        text: text.into(),
        wanted,
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let trimmed = text.trim();
    if let Some(planck) = trimmed.strip_suffix("planck") {
        let planck = planck.trim();
        return digits(planck)
            .then(|| planck.parse().ok())
            .flatten()
            .ok_or_else(error);
    }
    let number = trimmed.strip_suffix("OPEN").unwrap_or(trimmed).trim();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty()
        || fraction.is_empty()
        || fraction.len() > DECIMALS
        || !digits(whole)
        || !digits(fraction)
    {
        return Err(error());
    }
    let fraction: u128 = format!("{fraction:0<DECIMALS$}").parse().map_err(|_| error())?;
    let whole: u128 = whole.parse().map_err(|_| error())?;
    whole
        .checked_mul(OPEN)
        .and_then(|planck| planck.checked_add(fraction))
        .ok_or_else(error)
}

/// An account as wallets show it: SS58 with prefix 42.
pub fn ss58(account: &Account) -> String {
    AccountId32(*account).to_string()
}

/// The account of an SS58 address or of `0x` and 64 hexadecimal digits.
pub fn parse_account(text: &str) -> Result<Account> {
    let error = || Error::Text {
        text: text.into(),
        wanted: "an account: give its SS58 address or 0x and 64 hexadecimal digits",
    };
    if let Some(digits) = text.strip_prefix("0x") {
        let bytes = hex::decode(digits).map_err(|_| error())?;
        return bytes.try_into().map_err(|_| error());
    }
    text.parse::<AccountId32>()
        .map(|account| account.0)
        .map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_both_ways() {
        for (planck, text) in [
            (0, "0 OPEN"),
            (1, "0.000000000000000001 OPEN"),
            (OPEN, "1 OPEN"),
            (3 * OPEN / 2, "1.5 OPEN"),
            (u128::MAX, "340282366920938463463.374607431768211455 OPEN"),
        ] {
            assert_eq!(open(planck), text);
            assert_eq!(parse_open(text).unwrap(), planck);
        }
        assert_eq!(parse_open("20 planck").unwrap(), 20);
        assert_eq!(parse_open(" 2.50").unwrap(), 5 * OPEN / 2);
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            "-1",
            "+1",
            "1.",
            ".5",
            "1.0000000000000000001",
            "1e3",
            "1 DOT",
            "1.5 planck",
            "planck",
            "340282366920938463463.374607431768211456",
        ] {
            assert!(parse_open(text).is_err(), "{text}");
        }
    }

    #[test]
    fn accounts_read_back() {
        let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
        let account = parse_account(alice).unwrap();
        assert_eq!(ss58(&account), alice);
        assert_eq!(
            parse_account(&format!("0x{}", hex::encode(account))).unwrap(),
            account
        );
        assert!(parse_account("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQZ").is_err());
        assert!(parse_account("0x00").is_err());
    }
}
