//! The development accounts: keys that everybody knows, for chains where OPEN is worth nothing.

use hex_literal::hex;
use pallet_revive::evm::Account;

/// Secret keys of Alith, Baltathar, Charleth, Dorothy and Ethan, the accounts that development and local chains endow.
/// They come from the phrase of Substrate's other development accounts, at m/44'/60'/0'/0/0 to 4.
const KEYS: [[u8; 32]; 5] = [
    hex!("5fb92d6e98884f76de468fa3f6278f8807c48bebc13595d45af5bdc4da702133"),
    hex!("8075991ce870b93a8870eca0c0f91913d12f47948ca0fd25b49c6fa7cdbeee8b"),
    hex!("0b6e18cafb6ed99687ec547bd28139cafdd2bffe70e6b688025de6b445aa5c5b"),
    hex!("39539ab1876910bbf3a223d84a29e28f1cb4e2e456503e7e91ed39b2e7223d68"),
    hex!("7dce9bc8babb68fec1409be38c8e1a52650206a7ed90ff956ae8a6d15eeaaef4"),
];

/// The accounts, in that order.
pub(crate) fn development() -> Vec<Account> {
    KEYS.into_iter().map(Account::from_secret_key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pallet_revive::evm::H160;

    #[test]
    fn keys_should_belong_to_the_endowed_addresses() {
        let expected = [
            hex!("f24ff3a9cf04c71dbc94d0b566f7a27b94566cac"),
            hex!("3cd0a705a2dc65e5b1e1205896baa2be8a07c6e0"),
            hex!("798d4ba9baf0064ec19eb4f0a1a45785ae9d6dfc"),
            hex!("773539d4ac0e786233d90a233654ccee26a613d9"),
            hex!("ff64d3f6efe2317ee2807d223a0bdc4c0c49dfdb"),
        ];
        assert_eq!(
            development().iter().map(|a| a.address()).collect::<Vec<_>>(),
            expected.map(H160)
        );
    }
}
