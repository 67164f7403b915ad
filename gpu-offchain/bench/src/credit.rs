//! Do answers credit whom they should? Fine-tunes an adapter on the shipped contributors' records, asks the held-out prompts, and
//! counts how often the contributor whose records answer a prompt gets the largest part, beside each channel alone and what the
//! words alone say:
//!
//! - bag of words: TF-IDF cosine of the answer with every record, summed by contributor over as many records as a list may have;
//! - nearest neighbour: the contributor of the one record whose character five-grams are nearest to the answer.
//!
//! Every seed is another adapter, index and projection; figures are means over seeds with their standard error.
//!
//! `--tune` chooses how the channels are mixed without the held-out prompts: each contributor says everything three times in
//! other words, in records 0 to 19, 20 to 39 and 40 to 59; a third is left out of training, its prompts are asked, and so for
//! each third.

#[allow(dead_code, reason = "every program uses what it needs of it")]
mod lab;

use anyhow::{bail, Context, Result};
use clap::Parser;
use lab::{Lab, Row, Settings};
use openledger_attribution::{fee::Mix, hash::keccak, record::RecordId};
use openledger_cli::args::{parse_mix, DEFAULT_MIX};
use openledger_influence::valuation::{runs, words, Likeness};
use openledger_worker::models::Base;
use std::{collections::BTreeMap, path::PathBuf};

/// Measures how often the right contributor is credited most.
#[derive(Parser)]
#[command(name = "openledger-bench-credit")]
struct Args {
    /// Folder of the base model
    #[arg(long)]
    base: PathBuf,
    /// Folder with a .jsonl file a contributor and heldout.jsonl
    #[arg(long)]
    corpora: PathBuf,
    /// Adapters to train
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Weights of influence, verbatim and retrieval in percent; what `openledger model create` takes unless told otherwise
    #[arg(long, default_value = DEFAULT_MIX, value_parser = parse_mix)]
    mix: Mix,
    /// Ask what other records say, for every mix, instead of the held-out prompts
    #[arg(long)]
    tune: bool,
    /// First seed
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Prompts to ask, from the first; all by default
    #[arg(long)]
    prompts: Option<usize>,
    /// Passes over the data
    #[arg(long)]
    epochs: Option<usize>,
    /// Rank of the adapter; its alpha is twice that
    #[arg(long)]
    rank: Option<usize>,
    /// Peak learning rate
    #[arg(long)]
    lr: Option<f64>,
    /// How far above noise a row must score, in hundredths of a standard deviation
    #[arg(long)]
    z: Option<u16>,
    /// Damping in parts per billion of the mean eigenvalue
    #[arg(long)]
    rho: Option<u32>,
    /// Dimensions of the projection
    #[arg(long)]
    projection: Option<u16>,
    /// Longest list
    #[arg(long)]
    top: Option<u16>,
    /// The two contributors who share a topic, which is the hard case
    #[arg(long, default_value = "ada-thorn,ben-holloway")]
    pair: String,
    /// Print every answer with its shares
    #[arg(long)]
    verbose: bool,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
}

#[derive(Clone, serde::Deserialize)]
struct Record {
    prompt: String,
    response: String,
}

#[derive(serde::Deserialize)]
struct HeldOut {
    prompt: String,
    contributor: String,
}

fn lines<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .enumerate()
        .map(|(n, line)| {
            serde_json::from_str(line).with_context(|| format!("{} line {}", path.display(), n + 1))
        })
        .collect()
}

/// Right answers per method, of `asked`.
#[derive(Default, Clone)]
struct Tally {
    asked: usize,
    right: BTreeMap<String, usize>,
    /// The same among the pair who share a topic.
    hard_asked: usize,
    hard_right: BTreeMap<String, usize>,
    credited: usize,
}

/// Ways in which each contributor says the same.
const WAYS: usize = 3;

/// A prompt and the number of who should be credited.
type Asked = (String, usize);

/// Influence and the rest verbatim, in percent.
fn mix(influence: u32) -> Mix {
    Mix {
        influence: influence * 10_000_000,
        verbatim: (100 - influence) * 10_000_000,
        retrieval: 0,
    }
}

/// What is compared: mixes of the channels by name, and what looks at words alone.
fn mixes(args: &Args) -> Vec<(String, Mix)> {
    if args.tune {
        return (0..=10)
            .map(|tenth| (format!("{} % verbatim", tenth * 10), mix(100 - tenth * 10)))
            .collect();
    }
    vec![
        ("attribution".into(), args.mix),
        ("influence alone".into(), mix(100)),
        ("verbatim alone".into(), mix(0)),
    ]
}

const WORDS: [&str; 2] = ["bag of words", "nearest neighbour"];

fn main() -> Result<()> {
    let args = Args::parse();
    let base = Base::load(&args.base, &Default::default())?;
    let mut names: Vec<String> = std::fs::read_dir(&args.corpora)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".jsonl").map(String::from))
        .filter(|name| name != "heldout")
        .collect();
    names.sort();
    if names.len() < 2 {
        bail!(
            "{} has {} contributors' .jsonl files: at least 2 are needed",
            args.corpora.display(),
            names.len()
        );
    }
    let mut records = Vec::new();
    for (number, name) in names.iter().enumerate() {
        for record in lines::<Record>(&args.corpora.join(format!("{name}.jsonl")))? {
            records.push((number, record));
        }
    }
    let pair = hard_pair(&args.pair, &names)?;
    let mut tallies = Vec::new();
    for seed in args.first..args.first + args.seeds {
        let mut tally = Tally::default();
        if args.tune {
            for way in 0..WAYS {
                let (left_out, kept) = divided(&records, names.len(), way);
                let asked = left_out.into_iter().map(|(who, record)| (record.prompt, who));
                one(
                    &args,
                    &base,
                    &names,
                    &kept,
                    asked.collect(),
                    pair,
                    seed,
                    &mut tally,
                )?;
            }
        } else {
            let asked = held_out(&args, &names)?;
            one(&args, &base, &names, &records, asked, pair, seed, &mut tally)?;
        }
        tallies.push(tally);
    }
    report(&args, &names, pair, &tallies)
}

/// The held-out prompts.
fn held_out(args: &Args, names: &[String]) -> Result<Vec<Asked>> {
    let held_out: Vec<HeldOut> = lines(&args.corpora.join("heldout.jsonl"))?;
    let number = |held: HeldOut| {
        let who = names.iter().position(|name| *name == held.contributor);
        let who = who.with_context(|| {
            format!(
                "heldout.jsonl names `{}`, who has no .jsonl file",
                held.contributor
            )
        })?;
        Ok((held.prompt, who))
    };
    held_out.into_iter().map(number).collect()
}

/// A record and whose it is.
type Owned = (usize, Record);

/// Divides each contributor's records: those that say it in this way, and the others.
fn divided(records: &[(usize, Record)], contributors: usize, way: usize) -> (Vec<Owned>, Vec<Owned>) {
    let (mut left_out, mut kept) = (Vec::new(), Vec::new());
    for contributor in 0..contributors {
        let own: Vec<&(usize, Record)> = records.iter().filter(|(who, _)| *who == contributor).collect();
        for (at, record) in own.iter().enumerate() {
            let to = if at * WAYS / own.len() == way {
                &mut left_out
            } else {
                &mut kept
            };
            to.push((*record).clone());
        }
    }
    (left_out, kept)
}

/// The two contributors that `--pair` names.
fn hard_pair(pair: &str, names: &[String]) -> Result<(usize, usize)> {
    let find = |name: &str| names.iter().position(|known| known == name);
    pair.split_once(',')
        .and_then(|(a, b)| Some((find(a)?, find(b)?)))
        .with_context(|| format!("--pair {pair} does not name two of {}", names.join(", ")))
}

/// Records as a version has them, each contributor's in a contribution.
fn rows(base: &Base, records: &[(usize, Record)]) -> Result<Vec<Row>> {
    let mut next = BTreeMap::new();
    let row = |(n, (who, record)): (usize, &(usize, Record))| {
        let index = next.entry(*who).and_modify(|at| *at += 1).or_insert(0u32);
        Ok(Row {
            record: RecordId {
                contribution: *who as u64,
                index: *index,
            },
            contributor: [*who as u8 + 1; 32],
            content: keccak(&[&(n as u64).to_be_bytes(), record.response.as_bytes()]),
            example: base.tokenizer.record(&record.prompt, &record.response)?,
        })
    };
    records.iter().enumerate().map(row).collect()
}

#[allow(clippy::too_many_arguments)]
fn one(
    args: &Args,
    base: &Base,
    names: &[String],
    records: &[(usize, Record)],
    mut asked: Vec<Asked>,
    pair: (usize, usize),
    seed: u64,
    tally: &mut Tally,
) -> Result<()> {
    asked.truncate(args.prompts.unwrap_or(usize::MAX));
    let texts: Vec<String> = records
        .iter()
        .map(|(_, r)| format!("{} {}", r.prompt, r.response))
        .collect();
    let all = || texts.iter().map(String::as_str);
    let (bag, near) = (Likeness::new(all(), words), Likeness::new(all(), runs));
    let mut settings = Settings::new(seed);
    if let Some(rank) = args.rank {
        (settings.lora.rank, settings.lora.alpha) = (rank, 2.0 * rank as f64);
    }
    settings.quiet = args.json;
    settings.epochs = args.epochs.unwrap_or(settings.epochs);
    settings.lr = args.lr;
    let rules = &mut settings.rules;
    rules.z = args.z.unwrap_or(rules.z);
    rules.rho = args.rho.unwrap_or(rules.rho);
    rules.projection = args.projection.unwrap_or(rules.projection);
    rules.top = args.top.unwrap_or(rules.top);
    let top = usize::from(rules.top);
    let lab = Lab::new(base, &rows(base, records)?, &settings)?;

    let mixes = mixes(args);
    for (question, right) in asked {
        let answered = lab.ask(&question)?;
        let (answer, attribution) = (&answered.text, &answered.attribution);
        let parts = |mix: &Mix| -> Result<Vec<f64>> {
            let mut parts = vec![0.0; names.len()];
            let weights = attribution
                .weights(mix)
                .context("an attribution that is not well shaped")?;
            let total = weights
                .iter()
                .map(|(_, weight)| *weight as f64)
                .sum::<f64>()
                .max(1.0);
            for (who, weight) in weights {
                parts[usize::from(who[0]) - 1] += weight as f64 / total;
            }
            Ok(parts)
        };
        let mut similar: Vec<(f64, usize)> = bag
            .similarities(answer)
            .into_iter()
            .zip(records)
            .map(|(similarity, (number, _))| (similarity, *number))
            .collect();
        similar.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut sums = vec![0.0; names.len()];
        for (similarity, number) in similar.into_iter().take(top) {
            sums[number] += similarity;
        }
        let nearest = near
            .similarities(answer)
            .into_iter()
            .zip(records)
            .map(|(s, (number, _))| (s, *number));
        let nearest = nearest
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(s, _)| *s > 0.0)
            .map(|(_, n)| n);

        let mut verdicts = Vec::new();
        for (name, mix) in &mixes {
            verdicts.push((name.clone(), most(&parts(mix)?) == Some(right)));
        }
        verdicts.push((WORDS[0].into(), most(&sums) == Some(right)));
        verdicts.push((WORDS[1].into(), nearest == Some(right)));
        let hard = right == pair.0 || right == pair.1;
        tally.asked += 1;
        tally.hard_asked += usize::from(hard);
        tally.credited += usize::from(attribution.credits_anyone(&mixes[0].1) == Some(true));
        for (method, is_right) in &verdicts {
            *tally.right.entry(method.clone()).or_default() += usize::from(*is_right);
            *tally.hard_right.entry(method.clone()).or_default() += usize::from(*is_right && hard);
        }
        if args.verbose {
            let shares: Vec<String> = names
                .iter()
                .zip(parts(&mixes[0].1)?)
                .map(|(n, p)| format!("{n} {:.0}%", p * 100.0))
                .collect();
            println!(
                "{} [{}] {:?} {}\n    {answer}",
                question,
                names[right],
                verdicts,
                shares.join(", ")
            );
        }
    }
    Ok(())
}

/// Who has the largest positive part.
fn most(parts: &[f64]) -> Option<usize> {
    let best = parts.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    (*best.1 > 0.0).then_some(best.0)
}

/// Mean and its standard error, in percent.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (
        mean,
        if n > 1.0 {
            (spread / (n - 1.0) / n).sqrt()
        } else {
            0.0
        },
    )
}

fn report(args: &Args, names: &[String], pair: (usize, usize), tallies: &[Tally]) -> Result<()> {
    let rate = |right: &dyn Fn(&Tally) -> usize, asked: &dyn Fn(&Tally) -> usize| {
        let rates: Vec<f64> = tallies
            .iter()
            .map(|t| 100.0 * right(t) as f64 / asked(t).max(1) as f64)
            .collect();
        mean(&rates)
    };
    let (credited, _) = rate(&|t| t.credited, &|t| t.asked);
    let methods = mixes(args).into_iter().map(|(name, _)| name);
    let rows: Vec<_> = methods
        .chain(WORDS.map(String::from))
        .map(|method| {
            let all = rate(&|t| t.right.get(&method).copied().unwrap_or(0), &|t| t.asked);
            let hard = rate(&|t| t.hard_right.get(&method).copied().unwrap_or(0), &|t| {
                t.hard_asked
            });
            (method, all, hard)
        })
        .collect();
    let asked = tallies.first().map_or(0, |t| t.asked);
    if args.json {
        let methods: BTreeMap<String, _> = rows
            .iter()
            .map(|(method, all, hard)| (method.clone(), serde_json::json!({ "all": all.0, "all_error": all.1, "hard": hard.0, "hard_error": hard.1 })))
            .collect();
        println!(
            "{}",
            serde_json::json!({ "prompts": asked, "seeds": tallies.len(), "credited": credited, "methods": methods })
        );
        return Ok(());
    }
    eprintln!();
    let kind = if args.tune {
        "prompts of records left out"
    } else {
        "held-out prompts"
    };
    println!(
        "{asked} {kind}, {} seeds; the right contributor gets the largest part, in percent of the prompts",
        tallies.len()
    );
    println!(
        "{:<20} {:>14} {:>34}",
        "",
        "all",
        format!("{} or {}", names[pair.0], names[pair.1])
    );
    for (method, all, hard) in rows {
        println!(
            "{method:<20} {:>7.1} ± {:>4.1} {:>27.1} ± {:>4.1}",
            all.0, all.1, hard.0, hard.1
        );
    }
    println!("answers that credit anyone: {credited:.1} %");
    Ok(())
}
