//! A chain with Datanets whose owners are in a plain map.

use crate as pallet_datanets;
use codec::Encode;
use frame_support::{
    assert_ok, derive_impl, parameter_types,
    storage::unhashed,
    traits::{ConstU128, ConstU32, ConstU64},
};
use openledger_attribution::{
    hash::Hash,
    record::{reservation, RecordId, RecordLeaf, VersionLeaf},
    tree::{Root, Tree},
};
use openledger_protocol::{datanets::Curation, staking::Pool, Cid, Name};
use openledger_traits::{Asset, Ownership, Stakes};
use sp_runtime::{AccountId32, BuildStorage, DispatchError, DispatchResult, Perbill};

pub(crate) type AccountId = AccountId32;

pub(crate) const OWNER: AccountId = AccountId32::new([1; 32]);
pub(crate) const CURATOR: AccountId = AccountId32::new([2; 32]);
pub(crate) const ALICE: AccountId = AccountId32::new([3; 32]);
pub(crate) const BOB: AccountId = AccountId32::new([4; 32]);
/// Has nothing.
pub(crate) const POOR: AccountId = AccountId32::new([5; 32]);

pub(crate) const RICH: u128 = 1_000_000;
pub(crate) const DATANET_DEPOSIT: u128 = 700;
pub(crate) const RESERVATION_DEPOSIT: u128 = 30;
pub(crate) const PERIOD: u64 = 10;
pub(crate) const WINDOW: u64 = 20;
pub(crate) const VERSION_WINDOW: u64 = 30;
pub(crate) const CHALLENGE_DEPOSIT: u128 = 60;
pub(crate) const PROVE: u64 = 8;
pub(crate) const TREASURY: AccountId = AccountId32::new([0x7E; 32]);
pub(crate) const MAX_RECORDS: u32 = 8;
pub(crate) const MAX_RECORD_BYTES: u32 = 100;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Balances: pallet_balances,
        Datanets: pallet_datanets,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
    type AccountId = AccountId;
    type Lookup = sp_runtime::traits::IdentityLookup<AccountId>;
    type AccountData = pallet_balances::AccountData<u128>;
}

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type Balance = u128;
    type ExistentialDeposit = ConstU128<10>;
    type AccountStore = System;
    type RuntimeHoldReason = RuntimeHoldReason;
}

/// Owners by the asset's number, in the state: so a refused call takes back what it wrote here too.
pub struct Items;

fn item(asset: Asset) -> Vec<u8> {
    let (kind, id) = match asset {
        Asset::Datanet(id) => (0u8, id),
        Asset::Model(id) => (1, id),
    };
    (b"items", kind, id).encode()
}

impl Items {
    pub(crate) fn give(asset: Asset, who: &AccountId) {
        unhashed::put(&item(asset), who);
    }
}

impl Ownership<AccountId> for Items {
    fn mint(asset: Asset, who: &AccountId) -> DispatchResult {
        if *who == BOB {
            return Err(DispatchError::Other("Bob owns nothing"));
        }
        Self::give(asset, who);
        Ok(())
    }
    fn owner(asset: Asset) -> Option<AccountId> {
        unhashed::get(&item(asset))
    }
}

/// What is staked behind each Datanet, what was taken of it, and how often it is frozen: in the state, as [`Items`].
pub struct Pools;

pub(crate) fn pool(datanet: u64) -> (u128, u128, u32) {
    unhashed::get(&(b"pool", datanet).encode()).unwrap_or_default()
}

fn change(pool: &Pool<AccountId>, by: impl FnOnce(&mut (u128, u128, u32))) {
    let Pool::Datanet(datanet) = pool else {
        panic!("only Datanets are disputed here");
    };
    let mut state = self::pool(*datanet);
    by(&mut state);
    unhashed::put(&(b"pool", *datanet).encode(), &state);
}

pub(crate) fn stake(datanet: u64, amount: u128) {
    change(&Pool::Datanet(datanet), |state| state.0 += amount);
}

impl Stakes<AccountId> for Pools {
    fn pot() -> AccountId {
        unreachable!("Datanets pay no income")
    }
    fn income(_: &Pool<AccountId>, _: u128) -> DispatchResult {
        unreachable!("Datanets pay no income")
    }
    fn slash(pool: &Pool<AccountId>, amount: u128) -> u128 {
        change(pool, |(staked, taken, frozen)| {
            assert!(*frozen > 0, "slashed before it is thawed");
            *staked -= amount;
            *taken += amount;
        });
        amount
    }
    fn has_stakers(pool: &Pool<AccountId>) -> bool {
        Self::total(pool) > 0
    }
    fn total(pool: &Pool<AccountId>) -> u128 {
        match pool {
            Pool::Datanet(datanet) => self::pool(*datanet).0,
            _ => 0,
        }
    }
    fn freeze(pool: &Pool<AccountId>) -> DispatchResult {
        change(pool, |state| state.2 += 1);
        Ok(())
    }
    fn thaw(pool: &Pool<AccountId>) {
        change(pool, |state| {
            state.2 = state.2.checked_sub(1).expect("thawed as often as frozen")
        });
    }
}

parameter_types! {
    pub const StakeSlash: Perbill = Perbill::from_percent(10);
    pub storage ContributionDeposit: u128 = 50;
    pub storage VersionDeposit: u128 = 400;
    pub const Treasury: AccountId = TREASURY;
}

impl pallet_datanets::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Ownership = Items;
    type Stakes = Pools;
    type StakeSlash = StakeSlash;
    type DatanetDeposit = ConstU128<DATANET_DEPOSIT>;
    type ReservationDeposit = ConstU128<RESERVATION_DEPOSIT>;
    type ContributionDeposit = ContributionDeposit;
    type ReservationPeriod = ConstU64<PERIOD>;
    type CurationWindow = ConstU64<WINDOW>;
    type VersionDeposit = VersionDeposit;
    type VersionWindow = ConstU64<VERSION_WINDOW>;
    type ChallengeDeposit = ConstU128<CHALLENGE_DEPOSIT>;
    type ProvePeriod = ConstU64<PROVE>;
    type Treasury = Treasury;
    type MaxRecords = ConstU32<MAX_RECORDS>;
    type MaxRecordBytes = ConstU32<MAX_RECORD_BYTES>;
    type WeightInfo = ();
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default()
        .build_storage()
        .unwrap();
    pallet_balances::GenesisConfig::<Test> {
        balances: [OWNER, CURATOR, ALICE, BOB].map(|who| (who, RICH)).to_vec(),
        ..Default::default()
    }
    .assimilate_storage(&mut storage)
    .unwrap();
    let mut ext = sp_io::TestExternalities::from(storage);
    ext.execute_with(|| System::set_block_number(1));
    ext
}

/// Runs a scenario and checks the state after it.
pub(crate) fn scenario(test: impl FnOnce()) {
    new_test_ext().execute_with(|| {
        let supply = Balances::total_issuance();
        test();
        assert_eq!(Balances::total_issuance(), supply, "issuance");
        Datanets::do_try_state().unwrap();
    });
}

pub(crate) fn signed(who: &AccountId) -> RuntimeOrigin {
    RuntimeOrigin::signed(who.clone())
}

pub(crate) fn name(text: &str) -> Name {
    text.as_bytes().to_vec().try_into().unwrap()
}

pub(crate) fn cid() -> Cid {
    vec![1, 0x55, 0x12, 0x20].try_into().unwrap()
}

/// A tree of records with these lengths.
pub(crate) fn records(lengths: &[u32]) -> Root {
    Tree::new(&record_leaves(lengths)).unwrap().root()
}

pub(crate) fn record_leaves(lengths: &[u32]) -> Vec<RecordLeaf> {
    lengths
        .iter()
        .zip(0u8..)
        .map(|(bytes, at)| RecordLeaf {
            content: [at; 32],
            bytes: *bytes,
        })
        .collect()
}

/// A tree of `count` records of a version, all of them representatives.
pub(crate) fn selection(count: u32) -> Root {
    Tree::new(&version_leaves(count)).unwrap().root()
}

pub(crate) fn version_leaves(count: u32) -> Vec<VersionLeaf> {
    (0..count)
        .map(|index| {
            let record = RecordId {
                contribution: 0,
                index,
            };
            VersionLeaf {
                record,
                contributor: ALICE.into(),
                content: [7; 32],
                representative: record,
            }
        })
        .collect()
}

/// A Datanet of `OWNER`'s that `CURATOR` curates.
pub(crate) fn curated() -> u64 {
    let curation = Curation::Curators(vec![CURATOR].try_into().unwrap());
    assert_ok!(Datanets::create(
        signed(&OWNER),
        name("law"),
        name("CC0-1.0"),
        curation
    ));
    crate::NextDatanet::<Test>::get() - 1
}

/// A Datanet of `OWNER`'s that nobody curates.
pub(crate) fn open() -> u64 {
    assert_ok!(Datanets::create(
        signed(&OWNER),
        name("law"),
        name("CC0-1.0"),
        Curation::Open
    ));
    crate::NextDatanet::<Test>::get() - 1
}

pub(crate) fn commitment(who: &AccountId, datanet: u64, salt: &Hash, root: &Root) -> Hash {
    reservation(&who.clone().into(), datanet, salt, &root.hash::<RecordLeaf>())
}

/// Reserves and contributes two records.
pub(crate) fn contributed(who: &AccountId, datanet: u64, salt: Hash) -> u64 {
    let root = records(&[10, 20]);
    assert_ok!(Datanets::reserve(
        signed(who),
        commitment(who, datanet, &salt, &root)
    ));
    assert_ok!(Datanets::contribute(signed(who), datanet, salt, root, cid()));
    crate::NextContribution::<Test>::get() - 1
}

pub(crate) fn held(who: &AccountId) -> u128 {
    Balances::reserved_balance(who)
}

pub(crate) fn blocks(count: u64) {
    System::set_block_number(System::block_number() + count);
}
