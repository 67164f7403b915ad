//! `docs/parameters.md`: every number of the chain's own pallets, read from the runtime under each preset.
//!
//! What a number is for is taken from its doc comment, how it is set from the runtime's configuration, and its value from the
//! runtime itself, so the page cannot say anything else than the code. `make parameters` writes it; here it is compared.

use crate::chain::*;
use frame_support::{traits::Get, weights::Weight};
use openledger_attribution::fee::Split;
use openledger_runtime::{params::*, *};
use pallet_openledger_periods::{PeriodSet, Periods};
use serde_json::json;
use sp_runtime::Perbill;
use std::{collections::BTreeMap, fmt::Write, path::PathBuf};

const PRESETS: [&str; 4] = ["development", "local_testnet", "testnet", "main"];

/// Set to anything, it has the page written instead of compared.
const WRITE: &str = "OPENLEDGER_WRITE_PARAMETERS";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A value as a person reads it.
trait Shown {
    fn shown(&self) -> String;
}

/// Planck as OPEN.
fn open(planck: u128) -> String {
    let text = format!("{}.{:018}", planck / currency::OPEN, planck % currency::OPEN);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Shown for u128 {
    fn shown(&self) -> String {
        open(*self)
    }
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for Perbill {
    fn shown(&self) -> String {
        format!("{} %", self.deconstruct() as f64 / 1e7)
    }
}

impl Shown for Split {
    fn shown(&self) -> String {
        let percent = |part: u16| f64::from(part) / 100.0;
        format!(
            "owner {}, contributors {}, stakers {}, compute {}, lineage {} %; platform {} % on top",
            percent(self.owner),
            percent(self.contributors),
            percent(self.stakers),
            percent(self.compute),
            percent(self.lineage),
            percent(self.platform)
        )
    }
}

/// The values of a pallet's settings under the state at hand, by name.
type Values = Vec<(&'static str, &'static str, String)>;

macro_rules! values {
    ($($folder:literal $pallet:ident { $($kind:ty: $($item:ident),*;)* })*) => {
        fn values() -> Values {
            vec![$($($((
                $folder,
                stringify!($item),
                <<Runtime as $pallet::Config>::$item as Get<$kind>>::get().shown(),
            )),*),*),*]
        }
    };
}

values! {
    "attribution" pallet_openledger_attribution {
        u32: Window, ProvePeriod, Retention, IndexRetention, RevealPeriod, AnswerPeriod, FastTolerance;
        u128: MinCredit, ChallengeDeposit, BatchDeposit, SlashFloor, IndexStake, RevealPrice;
    }
    "channels" pallet_openledger_channels {
        u128: MinDeposit;
        u32: ClosePeriod;
    }
    "committees" pallet_openledger_committees {
        u32: Size, Quorum, CommitPeriod, LongCommitPeriod, RevealPeriod, MaxMembers;
        u128: SeatPrice, SeatStake, Silence;
    }
    "compute" pallet_openledger_compute {
        u128: MinBond, LateSlash;
        u32: UnbondingPeriod, MaxAttempts, MaxWorkers, MaxJobs, BeatPeriod, Silence;
        u64: DeliveryPriority;
    }
    "datanets" pallet_openledger_datanets {
        u128: DatanetDeposit, ReservationDeposit, ContributionDeposit, VersionDeposit, ChallengeDeposit;
        u32: ReservationPeriod, CurationWindow, VersionWindow, ProvePeriod, MaxRecords, MaxRecordBytes;
        Perbill: StakeSlash;
    }
    "inference" pallet_openledger_inference {
        u128: Deposit;
        u32: ShortestTime, LongestTime, Retention;
    }
    "models" pallet_openledger_models {
        Split: Split;
        u128: BaseDeposit, ModelDeposit, LeastPrice;
        u32: PriceHold, ShortestTraining, LongestTraining, IndexTime, MaxAwaiting;
    }
    "open-staking" pallet_openledger_open_staking {
        u128: MinStake;
        u32: IncomePeriod, UnbondingPeriod;
    }
    "rewards" pallet_openledger_rewards {
        u64: NominalEra;
    }
}

/// Settings that are no number anybody tunes: accounts, the chain's id and epoch, weights.
const OTHERS: [&str; 9] = [
    "Treasury",
    "Fallback",
    "ChainId",
    "Epoch",
    "MayBeKnown",
    "OutcomeWeight",
    "HearingWeight",
    "VerdictWeight",
    "Source",
];

/// The settings that a pallet's source declares, each with the first sentence of its doc and its type.
fn declared(folder: &str) -> Vec<(String, String, String)> {
    let path = root().join("pallets").join(folder).join("src/lib.rs");
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut doc, mut found) = (String::new(), Vec::new());
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("/// ") {
            doc = format!("{doc} {text}");
        } else if let Some((name, kind)) = line
            .strip_prefix("type ")
            .and_then(|rest| rest.split_once(": Get<"))
        {
            let kind = kind.trim_end_matches(">;").to_owned();
            found.push((name.to_owned(), plain(doc.trim()), kind));
            doc.clear();
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

/// Without what only rustdoc reads, and in the page's unit of money.
fn plain(doc: &str) -> String {
    let mut doc = doc.to_owned();
    // Where a link leads.
    while let Some((from, to)) = doc
        .find("`](")
        .and_then(|at| Some((at + 2, at + doc[at..].find(')')? + 1)))
    {
        doc.replace_range(from..to, "");
    }
    [
        ("[`", "`"),
        ("`]", "`"),
        ("Config::", ""),
        (", in planck", ""),
        (" In planck.", ""),
        ("Planck ", "OPEN "),
        ("|", "\\|"),
    ]
    .iter()
    .fold(doc, |text, (from, to)| text.replace(from, to))
}

/// How the runtime sets each setting: the right-hand sides of `impl pallet_openledger_X::Config for Runtime`.
fn configured() -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    let folder = root().join("runtime/src/config");
    for entry in std::fs::read_dir(folder).unwrap() {
        let source = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let mut pallet = None;
        for line in source.lines() {
            if let Some(rest) = line.strip_prefix("impl pallet_openledger_") {
                pallet = rest
                    .split_once("::Config for Runtime")
                    .map(|(name, _)| name.replace('_', "-"));
            } else if line == "}" {
                pallet = None;
            }
            let set = line
                .trim()
                .strip_prefix("type ")
                .and_then(|rest| rest.split_once(" = "));
            if let (Some(pallet), Some((name, value))) = (&pallet, set) {
                found.insert(
                    (pallet.clone(), name.to_owned()),
                    value.trim_end_matches(';').to_owned(),
                );
            }
        }
    }
    found
}

/// Who can change a setting that is configured so, and has these values.
fn changed_by(configured: &str, values: &[String]) -> &'static str {
    let governed =
        configured.starts_with("Deposit<") || configured.starts_with("params::") || configured == "FeeSplit";
    match (governed, values.windows(2).all(|pair| pair[0] == pair[1])) {
        (true, _) => "parameters track",
        (false, true) => "runtime upgrade",
        (false, false) => "fixed at genesis",
    }
}

fn unit(kind: &str, name: &str, doc: &str) -> &'static str {
    match kind {
        "u128" => "OPEN",
        "BlockNumberFor<Self>" => "blocks",
        _ if doc.contains("lasts") || doc.starts_with("Milliseconds") => "ms",
        "u32" if doc.starts_with("Blocks") || doc.contains(" blocks") => "blocks",
        _ if name.ends_with("Bytes") => "bytes",
        _ => "",
    }
}

/// The periods that a preset starts a chain with.
fn periods_of(preset: &str) -> PeriodSet {
    serde_json::from_value(genesis(preset, json!({}))["periods"]["periods"].clone()).unwrap()
}

/// Runs on a chain with a preset's periods. Those of public networks have no validators of their own, so they cannot start.
fn under<R>(preset: &str, run: impl FnOnce() -> R) -> R {
    chain("development", json!({})).execute_with(|| {
        Periods::<Runtime>::put(periods_of(preset));
        run()
    })
}

fn row(out: &mut String, cells: &[&str]) {
    writeln!(out, "| {} |", cells.join(" | ")).unwrap();
}

fn head(out: &mut String, cells: &[&str]) {
    row(out, cells);
    row(out, &vec!["---"; cells.len()]);
}

/// What governance can set, with the bounds that its readers keep: found by setting the ends of what can be stored.
fn governed(out: &mut String) {
    use dynamic::{committees, deposits, economy, fees};
    out.push_str(
        "\n## What governance tunes\n\nBy referendum on the parameters track, or by root; `pallet-parameters` stores them and every reader keeps \
         them within the bounds.\n\n",
    );
    head(out, &["Name", "What it is", "Unit", "Value", "Bounds"]);
    under("main", || {
        let set = |parameter: RuntimeParameters| {
            Parameters::set_parameter(RuntimeOrigin::root(), parameter).unwrap();
        };
        macro_rules! amount {
            ($name:literal, $what:literal, $group:ident, $module:ident, $key:ident, $reader:ty) => {{
                let value = <$reader as Get<Balance>>::get();
                let [least, most] = [0, Balance::MAX].map(|end| {
                    set(RuntimeParameters::$group($module::Parameters::$key(
                        $module::$key,
                        Some(end),
                    )));
                    open(<$reader as Get<Balance>>::get())
                });
                set(RuntimeParameters::$group($module::Parameters::$key(
                    $module::$key,
                    None,
                )));
                assert_eq!(<$reader as Get<Balance>>::get(), value);
                let bounds = format!("{least} to {most}");
                row(out, &[$name, $what, "OPEN", &open(value), &bounds]);
            }};
        }
        amount!(
            "`fees.byteFee`",
            "A byte of a transaction.",
            Fees,
            fees,
            ByteFee,
            ByteFee
        );
        let share = AuthorShare::get();
        set(RuntimeParameters::Fees(fees::Parameters::AuthorShare(
            fees::AuthorShare,
            Some(Perbill::one()),
        )));
        let most = AuthorShare::get().shown();
        row(
            out,
            &[
                "`fees.authorShare`",
                "Part of a fee that the block's author gets; the treasury gets the rest.",
                "",
                &share.shown(),
                &format!("0 % to {most}"),
            ],
        );
        amount!(
            "`deposits.perItem`",
            "A storage item of a pallet.",
            Deposits,
            deposits,
            PerItem,
            DepositPerItem
        );
        amount!(
            "`deposits.perByte`",
            "A byte in a pallet's storage.",
            Deposits,
            deposits,
            PerByte,
            DepositPerByte
        );
        amount!(
            "`deposits.evmPerItem`",
            "A code or account entry of a contract.",
            Deposits,
            deposits,
            EvmPerItem,
            EvmDepositPerItem
        );
        amount!(
            "`deposits.evmPerSlot`",
            "A storage slot of a contract.",
            Deposits,
            deposits,
            EvmPerSlot,
            EvmDepositPerSlot
        );
        amount!(
            "`deposits.evmPerByte`",
            "A byte of a contract.",
            Deposits,
            deposits,
            EvmPerByte,
            EvmDepositPerByte
        );
        let split = <Runtime as pallet_openledger_models::Config>::Split::get();
        let broken = Split { owner: 0, ..split };
        set(RuntimeParameters::Economy(economy::Parameters::FeeSplit(
            economy::FeeSplit,
            Some(broken),
        )));
        assert_eq!(
            <Runtime as pallet_openledger_models::Config>::Split::get(),
            DEFAULT_SPLIT
        );
        row(
            out,
            &[
                "`economy.feeSplit`",
                "How the fee of an answer is divided.",
                "",
                &split.shown(),
                "adds up to 100 %, else the value here holds; the platform's at most 100 %",
            ],
        );
        macro_rules! number {
            ($name:literal, $what:literal, $key:ident, $reader:ty) => {{
                let set = |number| {
                    set(RuntimeParameters::Committees(committees::Parameters::$key(
                        committees::$key,
                        number,
                    )));
                };
                let value = <$reader as Get<u32>>::get();
                let [least, most] = [1, u32::MAX].map(|end| {
                    set(Some(end));
                    <$reader as Get<u32>>::get()
                });
                set(None);
                assert_eq!(<$reader as Get<u32>>::get(), value);
                row(
                    out,
                    &[
                        $name,
                        $what,
                        "",
                        &value.to_string(),
                        &format!("{least} to {most}"),
                    ],
                );
            }};
        }
        number!(
            "`committees.size`",
            "Seats of a first round; 0 for the network's own number.",
            Size,
            <Runtime as pallet_openledger_committees::Config>::Size
        );
        number!(
            "`committees.quorum`",
            "Votes that decide it, always more than half; 0 for the network's own number.",
            Quorum,
            <Runtime as pallet_openledger_committees::Config>::Quorum
        );
        amount!(
            "`committees.seatPrice`",
            "What a member on the side that won is paid.",
            Committees,
            committees,
            SeatPrice,
            <Runtime as pallet_openledger_committees::Config>::SeatPrice
        );
        amount!(
            "`committees.seatStake`",
            "What stands behind a seat: what a vote against the verdict costs.",
            Committees,
            committees,
            SeatStake,
            <Runtime as pallet_openledger_committees::Config>::SeatStake
        );
        amount!(
            "`committees.silence`",
            "What silence costs; at most what stands behind the seat.",
            Committees,
            committees,
            Silence,
            <Runtime as pallet_openledger_committees::Config>::Silence
        );
        number!(
            "`committees.fastTolerance`",
            "How far a token of an answer in `fast` mode may be from the best, in millionths of a logit.",
            FastTolerance,
            <Runtime as pallet_openledger_attribution::Config>::FastTolerance
        );
    });
}

/// A number of a set of periods.
type Field = fn(&PeriodSet) -> u64;

fn periods(out: &mut String) {
    out.push_str(
        "\n## What genesis fixes\n\nA governance hour and day are so many blocks; every period below that is stated in hours or days follows \
         from it. Nobody changes these later.\n\n",
    );
    head(out, &["Name", "development", "local", "testnet", "main"]);
    let sets = PRESETS.map(periods_of);
    let fields: [(&str, Field); 6] = [
        ("`chainId`", |set| set.chain_id),
        ("`epochBlocks`", |set| set.epoch_blocks.into()),
        ("`sessionsPerEra`", |set| set.sessions_per_era.into()),
        ("`bondingEras`", |set| set.bonding_eras.into()),
        ("`slashDeferEras`", |set| set.slash_defer_eras.into()),
        ("`hourBlocks`", |set| set.hour_blocks.into()),
    ];
    for (name, field) in fields {
        let values = sets.map(|set| field(&set).to_string());
        row(out, &[name, &values[0], &values[1], &values[2], &values[3]]);
    }
}

fn page() -> String {
    let mut out = String::from(
        "# Parameters\n\nEvery number that governs the chain's own pallets, as the runtime has it. Written by `make parameters`, checked by the \
         runtime's tests; edit the runtime, not this page. Why they are what they are: `docs/decisions`.\n",
    );
    governed(&mut out);
    periods(&mut out);
    let by_preset = PRESETS.map(|preset| under(preset, values));
    let configured = configured();
    let mut folders: Vec<&str> = by_preset[0].iter().map(|(folder, ..)| *folder).collect();
    folders.dedup();
    let mut missing = Vec::new();
    for folder in folders {
        writeln!(out, "\n## {folder}\n").unwrap();
        head(
            &mut out,
            &[
                "Name",
                "What it is",
                "Unit",
                "development",
                "local",
                "testnet",
                "main",
                "Changed by",
            ],
        );
        for (name, doc, kind) in declared(folder) {
            if OTHERS.contains(&name.as_str()) {
                continue;
            }
            let own: Vec<String> = by_preset
                .iter()
                .filter_map(|values| {
                    let found = values
                        .iter()
                        .find(|(of, known, _)| *of == folder && *known == name);
                    found.map(|(.., value)| value.clone())
                })
                .collect();
            if own.len() != PRESETS.len() {
                missing.push(format!("{folder}: {name}"));
                continue;
            }
            let how = configured
                .get(&(folder.to_owned(), name.clone()))
                .unwrap_or_else(|| panic!("{folder}: {name} is not set in runtime/src/config"));
            let who = changed_by(how, &own);
            let unit = unit(&kind, &name, &doc);
            let name = format!("`{name}`");
            row(
                &mut out,
                &[&name, &doc, unit, &own[0], &own[1], &own[2], &own[3], who],
            );
        }
    }
    assert!(
        missing.is_empty(),
        "settings that this test does not list; add each to `values!` in {}: {missing:?}",
        file!()
    );
    out
}

#[test]
fn the_page_of_parameters_should_say_what_the_runtime_has() {
    let path = root().join("docs/parameters.md");
    let page = page();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/parameters.md is not what the runtime has: run `make parameters` and commit what it changed"
    );
}

#[test]
fn a_worker_that_beats_should_be_drawn_under_every_preset() {
    for preset in PRESETS {
        under(preset, || {
            type C = Runtime;
            let period = <C as pallet_openledger_compute::Config>::BeatPeriod::get();
            let silence = <C as pallet_openledger_compute::Config>::Silence::get();
            let slack = silence - period;
            assert!(
                slack > pallet_openledger_compute::beats::LONGEVITY,
                "{preset}: {period} and {silence}"
            );
            // What two outcomes cost is within a block's reach.
            let weight: Weight = <C as pallet_openledger_compute::Config>::OutcomeWeight::get();
            assert!(weight.ref_time() < config::system::BlockWeights::get().max_block.ref_time() / 4);
        });
    }
}
