//! Runs a pallet's benchmarks on the wasm and writes its `weights.rs`.
//!
//! Time is the processor's time of the thread, not the time of day.
//!
//! Each component of a benchmark goes in steps from its least to its greatest value while the others are at their greatest;
//! time, keys read and keys written are fitted by least squares over them, what lies outside the quartiles left out
//! (`frame_benchmarking::Analysis`).

use crate::{state::State, wasm::Wasm};
use codec::Encode;
use frame_benchmarking::{
    Analysis, BenchmarkBatch, BenchmarkList, BenchmarkMetadata, BenchmarkParameter, BenchmarkResult,
    BenchmarkSelector,
};
use frame_support::traits::StorageInfo;
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::Path,
    time::Instant,
};

/// Bytes of the hashes beside a path through one layer of the trie.
const LAYER: u32 = 15 * 33;
/// Entries of a map that says no maximum, for the depth of its trie.
const MAP_ENTRIES: u32 = 1_000_000;

/// What is asked for.
pub(crate) struct Order<'a> {
    pub(crate) pallet: &'a str,
    pub(crate) preset: &'a str,
    pub(crate) steps: u32,
    pub(crate) repeat: u32,
}

/// Measures every benchmark of the pallet and gives the file.
pub(crate) fn measure(wasm: &Wasm, order: &Order) -> Result<String, String> {
    let genesis = wasm.genesis(order.preset)?;
    let counting = State::new(genesis.clone(), true);
    let timing = State::new(genesis, false);
    let (list, storage): (Vec<BenchmarkList>, Vec<StorageInfo>) =
        wasm.call(&timing, "Benchmark_benchmark_metadata", &false.encode())?;
    let known: Vec<_> = list
        .iter()
        .map(|list| String::from_utf8_lossy(&list.pallet).into_owned())
        .collect();
    let list = list
        .into_iter()
        .find(|list| list.pallet == order.pallet.as_bytes())
        .ok_or_else(|| {
            format!(
                "the runtime has no benchmarks of {}; it has those of {}",
                order.pallet,
                known.join(", ")
            )
        })?;
    let sizes: HashMap<_, _> = storage.iter().map(|info| (&info.prefix[..], info)).collect();
    let mut measured = Vec::new();
    let mut failed = Vec::new();
    for benchmark in &list.benchmarks {
        let name = String::from_utf8_lossy(&benchmark.name).into_owned();
        let began = Instant::now();
        match one(wasm, order, &list, benchmark, &counting, &timing, &sizes) {
            Ok(of) => {
                eprintln!(
                    "weights: {} {name}: {} µs at least, {:.1} s",
                    order.pallet,
                    of.time.minimum / 1_000,
                    began.elapsed().as_secs_f32()
                );
                measured.push(of);
            }
            Err(error) => {
                eprintln!("weights: {} {name} FAILED: {error}", order.pallet);
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        return Err(format!(
            "{} of {}'s benchmarks failed, so its weights stay as they were: {}",
            failed.len(),
            order.pallet,
            failed.join(", ")
        ));
    }
    Ok(file(order, &measured, &sizes))
}

/// What one benchmark gave.
struct Measured {
    name: String,
    components: Vec<(BenchmarkParameter, u32, u32)>,
    time: Analysis,
    reads: Analysis,
    writes: Analysis,
    proof: Analysis,
    /// Items touched at the greatest components: prefix, keys read, keys written.
    touched: Vec<(Vec<u8>, u32, u32)>,
}

/// Every value of every component that is measured.
fn points(benchmark: &BenchmarkMetadata, steps: u32) -> Vec<Vec<(BenchmarkParameter, u32)>> {
    let all = &benchmark.components;
    if all.is_empty() {
        return vec![Vec::new()];
    }
    let mut points = Vec::new();
    for (name, low, high) in all {
        let mut last = None;
        for step in 0..steps {
            let span = u64::from(high.saturating_sub(*low));
            let value = low.saturating_add((span * u64::from(step) / u64::from(steps - 1)) as u32);
            // A range shorter than the steps is measured at each of its values once.
            if last.replace(value) != Some(value) {
                points.push(
                    all.iter()
                        .map(|(n, _, h)| (*n, if n == name { value } else { *h }))
                        .collect(),
                );
            }
        }
    }
    points
}

fn one(
    wasm: &Wasm,
    order: &Order,
    list: &BenchmarkList,
    benchmark: &BenchmarkMetadata,
    counting: &State,
    timing: &State,
    sizes: &HashMap<&[u8], &StorageInfo>,
) -> Result<Measured, String> {
    let run = |state: &State, point: &Vec<_>, verify: bool, repeat: u32| {
        let args = (
            &list.pallet,
            &list.instance,
            &benchmark.name,
            point,
            verify,
            repeat,
        )
            .encode();
        let batches: Result<Vec<BenchmarkBatch>, String> =
            wasm.call(state, "Benchmark_dispatch_benchmark", &args)?;
        Ok::<_, String>(
            batches?
                .into_iter()
                .flat_map(|batch| batch.results)
                .collect::<Vec<_>>(),
        )
    };
    let (mut times, mut counts) = (Vec::<BenchmarkResult>::new(), Vec::<BenchmarkResult>::new());
    let mut touched = Vec::new();
    for point in points(benchmark, order.steps) {
        let at = |error| format!("with {point:?}: {error}");
        run(timing, &point, true, 1).map_err(at)?;
        let mut counted = run(counting, &point, false, 1).map_err(at)?;
        for result in &mut counted {
            result.proof_size = result.keys.iter().fold(0, |sum: u32, (item, reads, _, _)| {
                sum.saturating_add(proof(sizes.get(&item[..]).copied()).saturating_mul(*reads))
            });
            touched = result
                .keys
                .iter()
                .map(|(item, reads, writes, _)| (item.clone(), *reads, *writes))
                .collect();
        }
        counts.extend(counted);
        times.extend(run(timing, &point, false, order.repeat).map_err(at)?);
    }
    let fit =
        |results: &Vec<_>, of| Analysis::min_squares_iqr(results, of).map_err(|error| error.to_string());
    Ok(Measured {
        name: String::from_utf8_lossy(&benchmark.name).into_owned(),
        components: benchmark.components.clone(),
        time: fit(&times, BenchmarkSelector::ExtrinsicTime)?,
        reads: fit(&counts, BenchmarkSelector::Reads)?,
        writes: fit(&counts, BenchmarkSelector::Writes)?,
        proof: fit(&counts, BenchmarkSelector::ProofSize)?,
        touched,
    })
}

/// Bytes that reading one key of an item adds to a proof, at most.
fn proof(info: Option<&StorageInfo>) -> u32 {
    let entries = info
        .and_then(|info| info.max_values)
        .unwrap_or(MAP_ENTRIES)
        .max(1);
    let layers = entries.ilog2().div_ceil(4);
    layers
        .saturating_mul(LAYER)
        .saturating_add(info.and_then(|info| info.max_size).unwrap_or(0))
}

/// `12_345_678`.
fn underscored(number: u128) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && at % 3 == first {
            out.push('_');
        }
        out.push(digit);
    }
    out
}

fn file(order: &Order, measured: &[Measured], sizes: &HashMap<&[u8], &StorageInfo>) -> String {
    let mut out = String::new();
    header(&mut out, order);
    out.push_str("/// What the pallet's work costs.\npub trait WeightInfo {\n");
    for of in measured {
        let ranges: Vec<_> = of
            .components
            .iter()
            .map(|(name, low, high)| format!("`{name}` from {low} to {high}"))
            .collect();
        let ranges = if ranges.is_empty() {
            String::new()
        } else {
            format!(", {}", ranges.join(", "))
        };
        let _ = writeln!(out, "    /// The benchmark `{}`{ranges}.", of.name);
        let _ = writeln!(out, "    fn {}({}) -> Weight;", of.name, parameters(of));
    }
    out.push_str("}\n\n/// [`WeightInfo`] in terms of the chain's database costs.\npub struct SubstrateWeight<T>(PhantomData<T>);\n\n");
    for of in measured {
        body(&mut out, of, sizes);
    }
    for (start, db) in [
        (
            "impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T>",
            "T::DbWeight::get()",
        ),
        ("\nimpl WeightInfo for ()", "RocksDbWeight::get()"),
    ] {
        let _ = writeln!(out, "{start} {{");
        for of in measured {
            let names: String = of
                .components
                .iter()
                .map(|(name, ..)| format!(", {name}"))
                .collect();
            let _ = writeln!(
                out,
                "    fn {}({}) -> Weight {{\n        {}({db}{names})\n    }}",
                of.name,
                parameters(of),
                of.name
            );
        }
        out.push_str("}\n");
    }
    out
}

fn header(out: &mut String, order: &Order) {
    let short = order
        .pallet
        .trim_start_matches("pallet_openledger_")
        .replace('_', "-");
    let _ = writeln!(
        out,
        "//! Weights of `{}`. Measured on the wasm; written by `make weights PALLETS={short}`.\n//!\n//! Machine: {}. Steps {}, \
         repeats {}. Database costs come on top, as the runtime counts them.\n",
        order.pallet.replace('_', "-"),
        machine(),
        order.steps,
        order.repeat
    );
    out.push_str("#![cfg_attr(rustfmt, rustfmt_skip)]\n#![allow(unused_variables, clippy::identity_op)]\n\n");
    out.push_str(
        "use core::marker::PhantomData;\nuse frame_support::{\n    traits::Get,\n    weights::{constants::RocksDbWeight, \
         RuntimeDbWeight, Weight},\n};\n\n",
    );
}

/// The processor, with how many of it, and the memory.
fn machine() -> String {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map_or("unknown".to_string(), |(_, value)| value.trim().to_string())
    };
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let gigabytes = memory
        .split(' ')
        .next()
        .and_then(|kb| kb.parse::<u64>().ok())
        .unwrap_or(0)
        >> 20;
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    format!(
        "{} × {cores}, {gigabytes} GiB",
        field(&read("/proc/cpuinfo"), "model name")
    )
}

fn parameters(of: &Measured) -> String {
    let own: Vec<_> = of
        .components
        .iter()
        .map(|(name, ..)| format!("{name}: u32"))
        .collect();
    own.join(", ")
}

/// A slope for each component that has one.
fn slopes(analysis: &Analysis) -> Vec<(&str, u128, u128)> {
    let errors = analysis.errors.clone().unwrap_or_default();
    let slopes = analysis.names.iter().zip(&analysis.slopes).enumerate();
    slopes
        .filter(|(_, (_, slope))| **slope > 0)
        .map(|(at, (name, slope))| (&name[..], *slope, errors.get(at).copied().unwrap_or(0)))
        .collect()
}

fn body(out: &mut String, of: &Measured, sizes: &HashMap<&[u8], &StorageInfo>) {
    // The same item of maps whose keys are counted apart is one line.
    let mut items = BTreeMap::<String, (u32, u32)>::new();
    for (prefix, reads, writes) in &of.touched {
        let name = sizes.get(&prefix[..]).map_or_else(
            || match std::str::from_utf8(prefix) {
                Ok(text) => format!("`{text}`"),
                Err(_) => format!("0x{}", hex::encode(prefix)),
            },
            |info| {
                let (pallet, item) = (&info.pallet_name, &info.storage_name);
                format!(
                    "{}::{}",
                    String::from_utf8_lossy(pallet),
                    String::from_utf8_lossy(item)
                )
            },
        );
        let item = items.entry(name).or_default();
        item.0 += reads;
        item.1 += writes;
    }
    for (name, (reads, writes)) in &items {
        let _ = writeln!(out, "// {name}: read {reads}, written {writes}");
    }
    let _ = writeln!(out, "// At least {} µs.", of.time.minimum / 1_000);
    let own = parameters(of);
    let _ = writeln!(
        out,
        "fn {}(db: RuntimeDbWeight{}{own}) -> Weight {{",
        of.name,
        if own.is_empty() { "" } else { ", " }
    );
    let _ = writeln!(
        out,
        "    Weight::from_parts({}, {})",
        underscored(of.time.base),
        of.proof.base
    );
    for (name, slope, error) in slopes(&of.time) {
        let slope = underscored(slope);
        let _ = writeln!(out, "        // ± {}", underscored(error));
        let _ = writeln!(
            out,
            "        .saturating_add(Weight::from_parts({slope}, 0).saturating_mul({name}.into()))"
        );
    }
    for (what, analysis) in [("reads", &of.reads), ("writes", &of.writes)] {
        if analysis.base > 0 {
            let _ = writeln!(out, "        .saturating_add(db.{what}({}))", analysis.base);
        }
        for (name, slope, _) in slopes(analysis) {
            let _ = writeln!(
                out,
                "        .saturating_add(db.{what}({slope}_u64.saturating_mul({name}.into())))"
            );
        }
    }
    for (name, slope, _) in slopes(&of.proof) {
        let _ = writeln!(
            out,
            "        .saturating_add(Weight::from_parts(0, {slope}).saturating_mul({name}.into()))"
        );
    }
    out.push_str("}\n\n");
}

/// Writes `text` to `path`, whole or not at all.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), String> {
    let new = path.with_extension("rs.new");
    std::fs::write(&new, text)
        .and_then(|()| std::fs::rename(&new, path))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
