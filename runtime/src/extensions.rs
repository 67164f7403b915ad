//! What a transaction carries beside its call, and how a signed Ethereum transaction becomes one of ours.

use crate::{Address, Balance, Nonce, Runtime, RuntimeCall, Signature};
use pallet_revive::evm::runtime::EthExtra;
use sp_runtime::generic::Era;

/// What every transaction carries and is checked for, in this order.
pub type TxExtension = (
    frame_system::AuthorizeCall<Runtime>,
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckEra<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
    frame_metadata_hash_extension::CheckMetadataHash<Runtime>,
    // After everything that relies on a signed origin: it marks calls that came from an Ethereum signature.
    pallet_revive::evm::tx_extension::SetOrigin<Runtime>,
    // Last, so that it also sees what the others gave back.
    frame_system::WeightReclaim<Runtime>,
);

/// An Ethereum transaction carries no extensions of ours; these are the ones it is run with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EthExtraImpl;

impl EthExtra for EthExtraImpl {
    type Config = Runtime;
    type ExtensionV0 = TxExtension;
    type ExtensionOtherVersions = sp_runtime::traits::InvalidVersion;

    fn get_eth_extension(nonce: u32, tip: Balance) -> Self::ExtensionV0 {
        (
            frame_system::AuthorizeCall::new(),
            frame_system::CheckNonZeroSender::new(),
            frame_system::CheckSpecVersion::new(),
            frame_system::CheckTxVersion::new(),
            frame_system::CheckGenesis::new(),
            frame_system::CheckEra::from(Era::Immortal),
            frame_system::CheckNonce::from(nonce),
            frame_system::CheckWeight::new(),
            pallet_transaction_payment::ChargeTransactionPayment::from(tip),
            frame_metadata_hash_extension::CheckMetadataHash::new(false),
            pallet_revive::evm::tx_extension::SetOrigin::new_from_eth_transaction(),
            frame_system::WeightReclaim::new(),
        )
    }
}

/// A transaction as it travels: native, or an Ethereum one in its wrapper.
pub type UncheckedExtrinsic =
    pallet_revive::evm::runtime::UncheckedExtrinsic<Address, Signature, EthExtraImpl>;
/// What a native account signs.
pub type SignedPayload = sp_runtime::generic::SignedPayload<RuntimeCall, TxExtension>;

/// The extensions of a native transaction signed with `nonce`, `tip` planck and a lifetime.
pub fn tx_extension(nonce: Nonce, tip: Balance, era: Era) -> TxExtension {
    (
        frame_system::AuthorizeCall::new(),
        frame_system::CheckNonZeroSender::new(),
        frame_system::CheckSpecVersion::new(),
        frame_system::CheckTxVersion::new(),
        frame_system::CheckGenesis::new(),
        frame_system::CheckEra::from(era),
        frame_system::CheckNonce::from(nonce),
        frame_system::CheckWeight::new(),
        pallet_transaction_payment::ChargeTransactionPayment::from(tip),
        frame_metadata_hash_extension::CheckMetadataHash::new(false),
        pallet_revive::evm::tx_extension::SetOrigin::default(),
        frame_system::WeightReclaim::new(),
    )
}
