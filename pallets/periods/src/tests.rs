use crate as pallet_periods;
use crate::*;
use frame_support::{derive_impl, traits::BuildGenesisConfig};

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        Periods: pallet_periods,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
}

impl Config for Test {}

const DEV: PeriodSet = PeriodSet {
    chain_id: 161_299,
    epoch_blocks: 20,
    sessions_per_era: 3,
    bonding_eras: 4,
    slash_defer_eras: 1,
    hour_blocks: 1,
};

fn with_genesis<R>(periods: PeriodSet, test: impl FnOnce() -> R) -> R {
    sp_io::TestExternalities::default().execute_with(|| {
        GenesisConfig::<Test> {
            periods,
            _marker: Default::default(),
        }
        .build();
        test()
    })
}

#[test]
fn readers_should_return_what_genesis_stored() {
    with_genesis(DEV, || {
        assert_eq!(ChainId::<Test>::get(), 161_299);
        assert_eq!(<EpochBlocks<Test> as Get<u64>>::get(), 20);
        assert_eq!(SessionsPerEra::<Test>::get(), 3);
        assert_eq!(BondingEras::<Test>::get(), 4);
        assert_eq!(SlashDeferEras::<Test>::get(), 1);
        assert_eq!(BondingBlocks::<Test>::get(), 4 * 3 * 20);
        assert_eq!(BondingSessions::<Test>::get(), 4 * 3);
        assert_eq!(Hours::<Test, 2>::get(), 2);
        assert_eq!(Days::<Test, 3>::get(), 72);
        Pallet::<Test>::try_state_periods_are_sound().unwrap();
    });
}

#[test]
fn readers_should_fall_back_to_main_when_nothing_is_stored() {
    sp_io::TestExternalities::default().execute_with(|| {
        assert_eq!(ChainId::<Test>::get(), 1612);
        assert_eq!(Days::<Test, 1>::get(), 43_200);
    });
}

#[test]
fn check_should_name_the_impossible_field() {
    PeriodSet::MAIN.check().unwrap();
    DEV.check().unwrap();
    for (bad, field) in [
        (PeriodSet { chain_id: 0, ..DEV }, "chainId"),
        (
            PeriodSet {
                epoch_blocks: 9,
                ..DEV
            },
            "epochBlocks",
        ),
        (
            PeriodSet {
                sessions_per_era: 0,
                ..DEV
            },
            "sessionsPerEra",
        ),
        (
            PeriodSet {
                slash_defer_eras: 4,
                ..DEV
            },
            "slashDeferEras",
        ),
        (
            PeriodSet {
                hour_blocks: 0,
                ..DEV
            },
            "hourBlocks",
        ),
    ] {
        assert!(bad.check().unwrap_err().starts_with(field), "{bad:?}");
    }
}

#[test]
#[should_panic(expected = "epochBlocks must be at least 10")]
fn genesis_should_refuse_impossible_periods() {
    with_genesis(
        PeriodSet {
            epoch_blocks: 1,
            ..DEV
        },
        || (),
    );
}

#[test]
fn genesis_json_should_refuse_unknown_fields() {
    let json = r#"{"chainId":1,"epochBlocks":20,"sessionsPerEra":3,"bondingEras":4,"slashDeferEras":1,"hourBlocks":1,"slotMs":2000}"#;
    let error = serde_json_error(json);
    assert!(error.contains("slotMs"), "{error}");
}

fn serde_json_error(json: &str) -> String {
    serde_json::from_str::<PeriodSet>(json).unwrap_err().to_string()
}
