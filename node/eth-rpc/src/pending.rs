//! What the transaction pool holds, in Ethereum's terms.

use codec::Encode;
use sp_runtime::AccountId32;
use std::collections::HashSet;

/// The first nonce from `nonce` on that no ready transaction of `account` takes. Native and Ethereum transactions of an
/// account share its nonces, and both provide the same tag: account and nonce, encoded.
pub(crate) fn next_nonce(account: &AccountId32, nonce: u32, provided: &HashSet<Vec<u8>>) -> u32 {
    let taken = |nonce: &u32| provided.contains(&(account, nonce).encode());
    (nonce..u32::MAX).find(|nonce| !taken(nonce)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(of: &[(u8, u32)]) -> HashSet<Vec<u8>> {
        of.iter()
            .map(|(account, nonce)| (AccountId32::new([*account; 32]), *nonce).encode())
            .collect()
    }

    #[test]
    fn nonces_should_count_while_they_follow_each_other() {
        let account = AccountId32::new([1; 32]);
        assert_eq!(next_nonce(&account, 5, &pool(&[])), 5);
        assert_eq!(next_nonce(&account, 5, &pool(&[(1, 5), (1, 6), (1, 7)])), 8);
        assert_eq!(next_nonce(&account, 5, &pool(&[(1, 6), (1, 7)])), 5, "5 is free");
        assert_eq!(next_nonce(&account, 5, &pool(&[(1, 5), (1, 7)])), 6, "6 is free");
    }

    #[test]
    fn nonces_of_others_and_used_ones_should_not_count() {
        let account = AccountId32::new([1; 32]);
        assert_eq!(next_nonce(&account, 5, &pool(&[(2, 5), (2, 6)])), 5);
        assert_eq!(next_nonce(&account, 5, &pool(&[(1, 3), (1, 4)])), 5);
        assert_eq!(next_nonce(&account, u32::MAX, &pool(&[])), u32::MAX);
    }
}
