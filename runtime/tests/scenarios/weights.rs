//! What must always fit into a block does.

use frame_support::{
    dispatch::{DispatchClass, GetDispatchInfo},
    weights::Weight,
};
use openledger_runtime::*;
use pallet_openledger_attribution::WeightInfo as _;
use pallet_openledger_datanets::WeightInfo as _;
use std::path::Path;

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

/// Weights that no call takes: other pallets cause this work, and their own benchmarks count it. Measured alone to be known.
const COUNTED_ELSEWHERE: &[(&str, &str)] = &[
    ("open-staking", "income"),
    ("open-staking", "slash"),
    ("open-staking", "freeze"),
    ("open-staking", "thaw"),
];

/// Files of a pallet, by their names.
fn sources(pallet: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(pallet.join("src")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push((name, std::fs::read_to_string(path).unwrap()));
        }
    }
    files
}

#[test]
fn every_call_of_ours_should_have_a_measured_weight_and_every_weight_a_use() {
    let mut wrong = Vec::new();
    let (mut calls, mut weights) = (0, 0);
    let config =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/payable_ai.rs"))
            .unwrap();
    for pallet in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../pallets")).unwrap() {
        let pallet = pallet.unwrap().path();
        let name = pallet.file_name().unwrap().to_string_lossy().into_owned();
        let files = sources(&pallet);
        let of = |wanted: &str| {
            files
                .iter()
                .find(|(file, _)| file == wanted)
                .map(|(_, text)| &text[..])
        };
        for (file, text) in &files {
            // An attribute's own text, up to its end.
            for at in text.split("#[pallet::weight(").skip(1) {
                calls += 1;
                let weight = at.split(")]").next().unwrap();
                if !weight.contains("T::WeightInfo::") {
                    wrong.push(format!(
                        "{name}/{file}: a call weighs {weight}, which nobody measured"
                    ));
                }
            }
        }
        let Some(declared) = of("weights.rs").and_then(|text| text.split("pub trait WeightInfo {").nth(1))
        else {
            continue;
        };
        for function in declared.split("\n}").next().unwrap().split("fn ").skip(1) {
            weights += 1;
            let function = function.split('(').next().unwrap();
            let is_used = COUNTED_ELSEWHERE.contains(&(&name, function))
                || config.contains(&format!("WeightInfo>::{function}("))
                || config.contains(&format!("WeightInfo::{function}("))
                || files.iter().any(|(file, text)| {
                    file != "weights.rs" && text.contains(&format!("WeightInfo::{function}("))
                });
            let is_measured =
                of("benchmarking.rs").is_some_and(|text| text.contains(&format!("fn {function}(")));
            if !is_used || !is_measured {
                wrong.push(format!(
                    "{name}: {function} is used: {is_used}, measured: {is_measured}"
                ));
            }
        }
    }
    assert!(
        calls >= 60 && weights >= 60,
        "{calls} calls and {weights} weights were found"
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

type Judge = <Runtime as pallet_openledger_attribution::Config>::WeightInfo;
type Publish = <Runtime as pallet_openledger_datanets::Config>::WeightInfo;

/// Evidence as long as any that a benchmark makes: sketches and rows of the longest layout.
#[test]
fn the_worst_dispute_should_take_a_quarter_of_a_block_at_most() {
    let limit = config::system::BlockWeights::get().max_block.ref_time() / 4;
    let worst = [
        ("prove", Judge::prove(81_000)),
        ("prove_index", Judge::prove_index(32_700)),
        ("reveal", Judge::reveal(32_700)),
        ("end_request", Judge::end_request()),
        ("prove_version", Publish::prove_version(1_300)),
        ("prove_duplicate", Publish::prove_duplicate(1_300)),
    ];
    for (name, weight) in worst {
        println!(
            "{name:<16} {:>9.3} ms, {:>5.2} % of a block",
            ms(weight),
            25.0 * weight.ref_time() as f64 / limit as f64
        );
        assert!(weight.ref_time() <= limit, "{name} takes {weight}");
    }
}

fn ms(weight: Weight) -> f64 {
    weight.ref_time() as f64 / 1e9
}

/// 1,000 receipts in a batch of 64 channels: submitted, settled, credited in full ranges, and claimed by every contributor,
/// each transaction with what every transaction costs.
#[test]
fn receipts_should_settle_ten_thousand_a_second() {
    use pallet_openledger_rewards::WeightInfo as _;
    const RECEIPTS: u64 = 1_000;
    type Rewards = <Runtime as pallet_openledger_rewards::Config>::WeightInfo;
    let each = config::system::BlockWeights::get()
        .get(DispatchClass::Normal)
        .base_extrinsic;
    println!("contributors  ms of ref_time  receipts a second");
    for contributors in [10u32, 100, 1_000] {
        let mut sum = Judge::submit_batch(64)
            .saturating_add(Judge::settle())
            .saturating_add(each.saturating_mul(2));
        let mut left = contributors;
        while left > 0 {
            let range = left.min(pallet_openledger_attribution::MAX_CREDITS);
            sum = sum.saturating_add(Judge::credit(range)).saturating_add(each);
            left -= range;
        }
        let claims = Rewards::claim()
            .saturating_add(each)
            .saturating_mul(contributors.into());
        sum = sum.saturating_add(claims);
        let rate = RECEIPTS as f64 / (ms(sum) / 1e3);
        println!("{contributors:>12}  {:>14.3}  {rate:>17.0}", ms(sum));
        if contributors == 100 {
            assert!(
                rate >= 10_000.0,
                "{rate} receipts a second with {contributors} contributors"
            );
        }
    }
}
