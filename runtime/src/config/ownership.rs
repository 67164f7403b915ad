//! Datanets and models as items of `pallet-nfts`, so that they are owned, sold and listed with a pallet that exists.

use crate::*;
use frame_support::{dispatch::DispatchResult, ensure, traits::nonfungibles_v2::Mutate, PalletId};
use openledger_traits::{Asset, Ownership};
use pallet_nfts::{CollectionConfig, CollectionSetting, CollectionSettings, ItemConfig, MintSettings};
use sp_runtime::{traits::AccountIdConversion, DispatchError};

/// Owns the collections. It has no key, so nobody but the runtime mints.
pub const REGISTRAR: PalletId = PalletId(*b"op/asset");

/// Collection of the Datanets. Numbers from the top: those that users create count from 0.
pub const DATANETS: u32 = u32::MAX;
/// Collection of the models.
pub const MODELS: u32 = u32::MAX - 1;

/// Where an asset is among the items. Items count in 32 bits.
fn place(asset: Asset) -> Result<(u32, u32), DispatchError> {
    let (collection, id) = match asset {
        Asset::Datanet(id) => (DATANETS, id),
        Asset::Model(id) => (MODELS, id),
    };
    let item =
        u32::try_from(id).map_err(|_| DispatchError::Arithmetic(sp_runtime::ArithmeticError::Overflow))?;
    Ok((collection, item))
}

/// Makes the collection when its first item is made. Whoever creates an asset pays its own deposit to the pallet that keeps
/// it, so items cost none.
fn ensure_collection(collection: u32) -> DispatchResult {
    if Nfts::collection_owner(collection).is_some() {
        return Ok(());
    }
    let registrar: AccountId = REGISTRAR.into_account_truncating();
    Nfts::do_create_collection(
        collection,
        registrar.clone(),
        registrar.clone(),
        CollectionConfig {
            settings: CollectionSettings::from_disabled(CollectionSetting::DepositRequired.into()),
            max_supply: None,
            mint_settings: MintSettings::default(),
        },
        0,
        pallet_nfts::Event::Created {
            collection,
            creator: registrar.clone(),
            owner: registrar,
        },
    )
}

/// Ownership as items.
pub struct Items;

impl Ownership<AccountId> for Items {
    fn mint(asset: Asset, who: &AccountId) -> DispatchResult {
        let (collection, item) = place(asset)?;
        ensure!(
            Nfts::owner(collection, item).is_none(),
            DispatchError::Other("the item exists")
        );
        ensure_collection(collection)?;
        <Nfts as Mutate<AccountId, ItemConfig>>::mint_into(
            &collection,
            &item,
            who,
            &ItemConfig::default(),
            true,
        )
    }

    fn owner(asset: Asset) -> Option<AccountId> {
        let (collection, item) = place(asset).ok()?;
        Nfts::owner(collection, item)
    }
}
