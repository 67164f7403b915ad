//! A chain in memory: a preset's genesis and blocks made by hand.

use codec::Encode;
use openledger_runtime::*;
use serde_json::Value;
use sp_consensus_babe::{
    digests::{PreDigest, SecondaryPlainPreDigest},
    BABE_ENGINE_ID,
};
use sp_runtime::{generic, traits::Header as _, Digest, DigestItem};

/// `patch` laid over `base`, key by key.
pub(crate) fn merge(base: &mut Value, patch: Value) {
    match (base, patch) {
        (Value::Object(base), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(base.entry(key).or_insert(Value::Null), value);
            }
        }
        (base, patch) => *base = patch,
    }
}

/// The full genesis JSON of `preset`, with `extra` laid over it.
pub(crate) fn genesis(preset: &str, extra: Value) -> Value {
    let patch = genesis::preset(&preset.into()).expect("a known preset");
    let mut config = serde_json::to_value(RuntimeGenesisConfig::default()).unwrap();
    merge(&mut config, serde_json::from_slice(&patch).unwrap());
    merge(&mut config, extra);
    config
}

/// A chain started from `preset`.
pub(crate) fn chain(preset: &str, extra: Value) -> sp_io::TestExternalities {
    let json = serde_json::to_vec(&genesis(preset, extra)).unwrap();
    let mut ext = sp_io::TestExternalities::default();
    ext.execute_with(|| {
        frame_support::genesis_builder_helper::build_state::<RuntimeGenesisConfig>(json).unwrap()
    });
    ext
}

/// Sum of everything that every account holds, reserved or not.
pub(crate) fn held() -> Balance {
    frame_system::Account::<Runtime>::iter()
        .map(|(_, a)| a.data.free + a.data.reserved)
        .sum()
}

/// The supply is whole and in accounts.
pub(crate) fn assert_supply() {
    assert_eq!(
        Balances::total_issuance(),
        currency::SUPPLY,
        "issuance at block {}",
        System::block_number()
    );
    assert_eq!(
        held(),
        currency::SUPPLY,
        "sum of accounts at block {}",
        System::block_number()
    );
}

/// Begins the next block, authored by validator 0.
pub(crate) fn begin_block() {
    let number = System::block_number() + 1;
    // Genesis has a hash of its own in memory; every later block was made here.
    let parent = if number == 1 {
        System::block_hash(0)
    } else {
        System::parent_hash()
    };
    let slot = u64::from(number) + 1_000;
    let digest = PreDigest::SecondaryPlain(SecondaryPlainPreDigest {
        authority_index: 0,
        slot: slot.into(),
    });
    let header = Header::new(
        number,
        Default::default(),
        Default::default(),
        parent,
        Digest {
            logs: vec![DigestItem::PreRuntime(BABE_ENGINE_ID, digest.encode())],
        },
    );
    Executive::initialize_block(&header);
    let now = pallet_timestamp::Call::set {
        now: slot * SLOT_MILLIS,
    };
    Executive::apply_extrinsic(bare(RuntimeCall::Timestamp(now)))
        .unwrap()
        .unwrap();
}

/// Ends the block that [`begin_block`] began.
pub(crate) fn end_block() {
    let sealed = Executive::finalize_block();
    frame_system::BlockHash::<Runtime>::insert(System::block_number(), sealed.hash());
}

/// Makes the next block with `transactions`, authored by validator 0, and returns their outcomes.
pub(crate) fn next_block(transactions: Vec<UncheckedExtrinsic>) -> Vec<sp_runtime::ApplyExtrinsicResult> {
    begin_block();
    let outcomes = transactions.into_iter().map(Executive::apply_extrinsic).collect();
    end_block();
    outcomes
}

/// Makes empty blocks until `number`, checking the supply after each.
pub(crate) fn run_to(number: BlockNumber) {
    while System::block_number() < number {
        next_block(vec![]);
        assert_supply();
    }
}

/// A transaction without a signer.
pub(crate) fn bare(call: RuntimeCall) -> UncheckedExtrinsic {
    generic::UncheckedExtrinsic::new_bare(call).into()
}

/// `call` signed by `who` with its next nonce.
pub(crate) fn signed(who: sp_keyring::Sr25519Keyring, call: RuntimeCall) -> UncheckedExtrinsic {
    let account = who.to_account_id();
    let extension = extensions::tx_extension(System::account_nonce(&account), 0, generic::Era::Immortal);
    let payload = extensions::SignedPayload::new(call.clone(), extension.clone()).unwrap();
    let signature = payload.using_encoded(|bytes| who.sign(bytes));
    generic::UncheckedExtrinsic::new_signed(call, account.into(), Signature::Sr25519(signature), extension)
        .into()
}
