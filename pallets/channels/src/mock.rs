//! A chain with consumers that sign by sr25519 and by an Ethereum key, and a pot that counts.

use crate as pallet_channels;
use frame_support::{derive_impl, parameter_types, traits::fungible::Inspect};
use openledger_attribution::{
    batch::ChannelLeaf,
    hash::{Account, Hash},
    voucher::{Signature, Voucher},
};
use openledger_protocol::channels::ChannelClaim;
use openledger_traits::PayOut;
use sp_core::{crypto::Pair, ecdsa, sr25519};
use sp_runtime::{AccountId32, BuildStorage, DispatchResult};

pub(crate) const OPEN: u128 = 1_000_000_000_000_000_000;
pub(crate) const CHAIN: u64 = 161_299;
pub(crate) const CLOSE: u64 = 20;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Channels: pallet_channels,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
    type AccountId = AccountId32;
    type Lookup = sp_runtime::traits::IdentityLookup<AccountId32>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u128;
    type ExistentialDeposit = frame_support::traits::ConstU128<1_000>;
    type AccountStore = System;
}

parameter_types! {
    pub const ChainId: u64 = CHAIN;
    pub const MinDeposit: u128 = OPEN;
    pub const ClosePeriod: u64 = CLOSE;
    pub storage Escrowed: u128 = 0;
}

pub struct Pot;
impl PayOut<AccountId32> for Pot {
    fn pot() -> AccountId32 {
        [0xF0; 32].into()
    }
    fn escrowed(amount: u128) -> DispatchResult {
        Escrowed::set(&(Escrowed::get() + amount));
        assert_eq!(
            Balances::total_balance(&Self::pot()),
            Escrowed::get() + 1_000,
            "the money is there when it is announced"
        );
        Ok(())
    }
    fn credit(_: &AccountId32, _: u128) -> DispatchResult {
        unreachable!("channels credit nobody")
    }
    fn to_treasury(_: u128) -> DispatchResult {
        unreachable!("channels pay nobody")
    }
    fn move_to(_: &AccountId32, _: u128) -> DispatchResult {
        unreachable!("channels pay nobody")
    }
}

impl pallet_channels::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type PayOut = Pot;
    type ChainId = ChainId;
    type MinDeposit = MinDeposit;
    type ClosePeriod = ClosePeriod;
    type WeightInfo = ();
}

pub(crate) fn consumer_key() -> sr25519::Pair {
    sr25519::Pair::from_seed(&[1; 32])
}
pub(crate) fn consumer() -> AccountId32 {
    consumer_key().public().into()
}
pub(crate) fn ethereum_key() -> ecdsa::Pair {
    ecdsa::Pair::from_seed(&[2; 32])
}
pub(crate) fn ethereum() -> AccountId32 {
    let digest = [9; 32];
    let signature = ethereum_key().sign_prehashed(&digest);
    let key = sp_io::crypto::secp256k1_ecdsa_recover(&signature.0, &digest)
        .ok()
        .expect("its own signature");
    openledger_attribution::hash::account_of_address(&openledger_attribution::hash::address_of_key(&key))
        .into()
}
pub(crate) fn worker() -> AccountId32 {
    [7; 32].into()
}

pub(crate) fn genesis() -> Hash {
    System::block_hash(0).0
}

/// A voucher on channel 0 that allows cumulative `accepted` to `accepted + most`, until block 100.
pub(crate) fn voucher(accepted: u128, most: u128) -> Voucher {
    Voucher {
        genesis: genesis(),
        channel: 0,
        accepted,
        previous: [0; 32],
        most,
        expiry: 100,
        terms: [4; 32],
    }
}

pub(crate) fn sr25519_signed(voucher: &Voucher) -> Signature {
    Signature::Sr25519(consumer_key().sign(&voucher.sr25519_message()).0)
}

/// The claim of `from..to` on channel 0 by the sr25519 consumer's newest voucher.
pub(crate) fn claim(from: u128, to: u128, voucher: Voucher) -> ChannelClaim {
    let signature = sr25519_signed(&voucher);
    ChannelClaim {
        leaf: ChannelLeaf {
            channel: 0,
            consumer: Account::from(consumer()),
            from,
            to,
        },
        voucher,
        signature,
        receipt: [8; 32],
    }
}

/// Runs with the two consumers rich and the pot alive, and checks the state afterwards.
pub(crate) fn test(run: impl FnOnce()) {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    let balances = sp_io::TestExternalities::new_empty().execute_with(|| {
        vec![
            (consumer(), 1_000 * OPEN),
            (ethereum(), 1_000 * OPEN),
            (Pot::pot(), 1_000),
        ]
    });
    pallet_balances::GenesisConfig::<Test> {
        balances,
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    sp_io::TestExternalities::from(storage).execute_with(|| {
        System::set_block_number(1);
        run();
        Channels::do_try_state().unwrap();
    });
}
