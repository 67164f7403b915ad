//! Who owns a Datanet or a model: the holder of its item in `pallet-nfts`.

use openledger_protocol::{storage, Account};
use sp_crypto_hashing::blake2_128;

/// The collection of the Datanets, as the runtime numbers it.
const DATANETS: u32 = u32::MAX;

/// The storage key of a Datanet's item, none for a number that no item has. Its value begins with the owner's account.
pub fn datanet_item(datanet: u64) -> Option<Vec<u8>> {
    let item = u32::try_from(datanet).ok()?;
    let mut key = storage::value("Nfts", "Item");
    for part in [DATANETS, item] {
        let part = part.to_le_bytes();
        key.extend(blake2_128(&part));
        key.extend(part);
    }
    Some(key)
}

/// The owner that an item's value begins with.
pub fn item_owner(value: &[u8]) -> Option<Account> {
    value.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_where_the_pallet_keeps_them() {
        let key = datanet_item(1).unwrap();
        // Two hashes of 16 bytes for pallet and map, then twice a hash of 16 bytes with its number.
        assert_eq!(key.len(), 32 + 2 * 20);
        assert_eq!(key[48..52], u32::MAX.to_le_bytes());
        assert_eq!(key[68..], 1u32.to_le_bytes());
        assert_eq!(datanet_item(1 << 32), None);
        assert_eq!(item_owner(&[7; 40]), Some([7; 32]));
        assert_eq!(item_owner(&[7; 31]), None);
    }
}
