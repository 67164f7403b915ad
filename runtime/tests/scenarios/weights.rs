//! What must always fit into a block does.

use frame_support::dispatch::{DispatchClass, GetDispatchInfo, Pays};
use openledger_runtime::*;

#[test]
fn equivocation_reports_should_fit_a_block() {
    let limit = config::system::BlockWeights::get()
        .get(DispatchClass::Normal)
        .max_extrinsic
        .expect("ordinary transactions have a limit");
    let validators = 300;
    let backers = <config::consensus::MaxBackers as frame_support::traits::Get<u32>>::get();
    for weight in [
        <() as pallet_babe::WeightInfo>::report_equivocation(validators, backers),
        <() as pallet_grandpa::WeightInfo>::report_equivocation(validators, backers),
    ] {
        assert!(weight.all_lte(limit), "{weight} does not fit {limit}");
    }
}

#[test]
fn a_runtime_upgrade_should_fit_a_block() {
    let limit = config::system::BlockWeights::get()
        .get(DispatchClass::Operational)
        .max_extrinsic
        .unwrap();
    let call = RuntimeCall::System(frame_system::Call::set_code {
        code: vec![0; 3 * 1024 * 1024],
    });
    let info = call.get_dispatch_info();
    assert!(
        info.call_weight
            .all_lte(config::governance::SchedulerWeight::get()),
        "{}",
        info.call_weight
    );
    assert!(info.call_weight.all_lte(limit));
}

#[test]
fn our_own_calls_should_cost_something() {
    let call = RuntimeCall::Rewards(pallet_openledger_rewards::Call::grant {
        to: AccountId::new([1; 32]),
        amount: 1,
    });
    let info = call.get_dispatch_info();
    assert!(info.call_weight.ref_time() > 0);
    assert_eq!(info.pays_fee, Pays::Yes);
}
