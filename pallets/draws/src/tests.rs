use crate::{self as pallet_draws, *};
use frame_support::{
    derive_impl, parameter_types,
    traits::{BuildGenesisConfig, Hooks},
};
use sp_runtime::BuildStorage;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system,
        DrawsPallet: pallet_draws,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = frame_system::mocking::MockBlock<Test>;
}

parameter_types! {
    pub storage Epoch: u64 = 0;
    pub storage MayBeKnown: bool = false;
}

/// Another value in every epoch, as BABE's is.
pub struct OfEpoch;
impl Randomness<sp_core::H256, u64> for OfEpoch {
    fn random(subject: &[u8]) -> (sp_core::H256, u64) {
        let mut bytes = keccak(&[subject]);
        bytes[..8].copy_from_slice(&Epoch::get().to_be_bytes());
        (bytes.into(), 0)
    }
}

impl Config for Test {
    type Epoch = Epoch;
    type Source = OfEpoch;
    type MayBeKnown = MayBeKnown;
    type WeightInfo = ();
}

fn enter(epoch: u64) {
    Epoch::set(&epoch);
    DrawsPallet::on_initialize(1);
    DrawsPallet::do_try_state().unwrap();
}

pub(crate) fn new_test_ext() -> sp_io::TestExternalities {
    RuntimeGenesisConfig::default().build_storage().unwrap().into()
}

fn test(run: impl FnOnce()) {
    new_test_ext().execute_with(run);
}

#[test]
fn a_draw_should_be_out_two_epochs_after_its_commitment_and_not_before() {
    test(|| {
        enter(7);
        assert_eq!(DrawsPallet::drawn(7, b"job", 1), None);
        enter(8);
        assert_eq!(DrawsPallet::drawn(7, b"job", 1), None);
        enter(9);
        assert!(DrawsPallet::drawn(7, b"job", 1).is_some());
    });
}

#[test]
fn a_draw_should_not_depend_on_when_it_is_asked_for() {
    test(|| {
        (7..=9).for_each(enter);
        let first = DrawsPallet::drawn(7, b"job", 1);
        (10..=20).for_each(enter);
        assert_eq!(DrawsPallet::drawn(7, b"job", 1), first);
    });
}

#[test]
fn draws_should_differ_by_epoch_domain_and_subject() {
    test(|| {
        (7..=10).for_each(enter);
        let all = [
            DrawsPallet::drawn(7, b"job", 1),
            DrawsPallet::drawn(8, b"job", 1),
            DrawsPallet::drawn(7, b"seed", 1),
            DrawsPallet::drawn(7, b"job", 2),
        ];
        for (n, one) in all.iter().enumerate() {
            assert!(one.is_some());
            assert!(all[n + 1..].iter().all(|other| other != one));
        }
    });
}

#[test]
fn a_draw_should_come_when_the_chain_stood_still_for_epochs() {
    test(|| {
        enter(7);
        enter(8);
        // What was committed in 7 and 8 waits for 9 and 10, which had no block.
        enter(1_000);
        assert!(DrawsPallet::drawn(7, b"job", 1).is_some());
        assert!(DrawsPallet::drawn(8, b"job", 1).is_some());
        assert_eq!(DrawsPallet::drawn(1_000, b"job", 1), None);
        assert!(Drawn::<Test>::iter().count() <= 5);
    });
}

#[test]
fn draws_should_be_removed_when_they_are_old() {
    test(|| {
        (0..KEPT + 50).for_each(enter);
        assert_eq!(Drawn::<Test>::iter().count() as u64, KEPT);
        assert_eq!(DrawsPallet::drawn(0, b"job", 1), None);
        assert!(DrawsPallet::drawn(KEPT + 47, b"job", 1).is_some());
    });
}

#[test]
fn draws_should_be_the_same_in_every_run_when_they_are_known() {
    test(|| {
        Known::<Test>::put(true);
        MayBeKnown::set(&true);
        enter(7);
        assert_eq!(DrawsPallet::drawn(7, b"job", 1), None);
        (8..=10).for_each(enter);
        let first = DrawsPallet::drawn(7, b"job", 1);
        assert!(first.is_some());
        assert_eq!(DrawsPallet::drawn(8, b"job", 1), first);
        assert_ne!(DrawsPallet::drawn(7, b"job", 2), first);
    });
}

#[test]
#[should_panic(expected = "for development chains only")]
fn known_draws_should_be_refused_where_money_is_real() {
    test(|| {
        GenesisConfig::<Test> {
            known: true,
            _marker: Default::default(),
        }
        .build()
    });
}
