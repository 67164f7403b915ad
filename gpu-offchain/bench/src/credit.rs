//! Do answers credit whom they should? Fine-tunes an adapter on the shipped contributors' records, asks the held-out prompts, and
//! counts how often the contributor whose records answer a prompt gets the largest part, beside what the words alone say:
//!
//! - bag of words: TF-IDF cosine of the answer with every record, summed by contributor over as many records as a list may have;
//! - nearest neighbour: the contributor of the one record whose character five-grams are nearest to the answer.
//!
//! Every seed is another adapter, index and projection; figures are means over seeds with their standard error.

mod words;

use anyhow::{bail, Context, Result};
use clap::Parser;
use openledger_attribution::{
    hash::{keccak, NONE},
    index::index_seed,
    record::{RecordId, VersionLeaf},
    verbatim::Verbatim,
};
use openledger_engine::{Model, Params, Request};
use openledger_influence::{
    cpu_backend, default_rules, Index, IndexBuilder, IndexPlan, Source, SourceRecord,
};
use openledger_model::{Example, Message};
use openledger_trainer::{train_lora, FactorModel, LoraConfig, TrainConfig};
use openledger_worker::models::{sketcher, Base};
use std::{collections::BTreeMap, io::Write, ops::ControlFlow, path::PathBuf, sync::atomic::AtomicBool};
use words::{runs, words, TextIndex};

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

#[derive(serde::Deserialize)]
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
    right: BTreeMap<&'static str, usize>,
    /// The same among the pair who share a topic.
    hard_asked: usize,
    hard_right: BTreeMap<&'static str, usize>,
    credited: usize,
}

const METHODS: [&str; 3] = ["attribution", "bag of words", "nearest neighbour"];

fn main() -> Result<()> {
    let args = Args::parse();
    let base = Base::load(&args.base, &openledger_worker::device::Options::default())?;
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
    let mut held_out: Vec<HeldOut> = lines(&args.corpora.join("heldout.jsonl"))?;
    held_out.truncate(args.prompts.unwrap_or(usize::MAX));
    let examples: Vec<Example> = records
        .iter()
        .map(|(_, record)| base.tokenizer.record(&record.prompt, &record.response))
        .collect::<Result<_, _>>()?;
    let texts: Vec<String> = records
        .iter()
        .map(|(_, r)| format!("{} {}", r.prompt, r.response))
        .collect();
    let (bag, near) = (TextIndex::new(&texts, words), TextIndex::new(&texts, runs));
    let pair = hard_pair(&args.pair, &names)?;

    let mut tallies = Vec::new();
    for seed in 0..args.seeds {
        tallies.push(one(
            &args,
            &base,
            &names,
            &records,
            &examples,
            &held_out,
            (&bag, &near),
            pair,
            seed,
        )?);
    }
    report(&args, &names, pair, &tallies)
}

/// The two contributors that `--pair` names.
fn hard_pair(pair: &str, names: &[String]) -> Result<(usize, usize)> {
    let find = |name: &str| names.iter().position(|known| known == name);
    pair.split_once(',')
        .and_then(|(a, b)| Some((find(a)?, find(b)?)))
        .with_context(|| format!("--pair {pair} does not name two of {}", names.join(", ")))
}

#[allow(clippy::too_many_arguments)]
fn one(
    args: &Args,
    base: &Base,
    names: &[String],
    records: &[(usize, Record)],
    examples: &[Example],
    held_out: &[HeldOut],
    (bag, near): (&TextIndex, &TextIndex),
    pair: (usize, usize),
    seed: u64,
) -> Result<Tally> {
    // What `openledger train` orders unless told otherwise.
    let mut lora = LoraConfig::default();
    if let Some(rank) = args.rank {
        (lora.rank, lora.alpha) = (rank, 2.0 * rank as f64);
    }
    let tokens: usize = examples.iter().map(|example| example.tokens.len()).sum();
    let mut config = TrainConfig {
        seed,
        epochs: 16,
        batch_tokens: (4 * tokens).div_ceil(examples.len()),
        ..TrainConfig::default()
    };
    config.epochs = args.epochs.unwrap_or(config.epochs);
    config.lr = args.lr.unwrap_or(config.lr);
    let trained = train_lora(&base.net, examples, &[], &lora, &config, &mut |progress| {
        if !args.json && (progress.step % 10 == 0 || progress.step == progress.of) {
            eprint!(
                "\rseed {seed}: step {} of {}, loss {:.3}   ",
                progress.step, progress.of, progress.loss
            );
            let _ = std::io::stderr().flush();
        }
        ControlFlow::Continue(())
    })?;

    let mut rules = default_rules();
    rules.z = args.z.unwrap_or(rules.z);
    rules.rho = args.rho.unwrap_or(rules.rho);
    rules.projection = args.projection.unwrap_or(28);
    rules.top = args.top.unwrap_or(rules.top);
    let adapter = trained.adapter;
    let hash = adapter.hash();
    let projection_seed = index_seed(&hash, &keccak(&[b"bench", &seed.to_be_bytes()]));
    let sketcher = sketcher(&adapter, &rules, &projection_seed)?;
    let account = |number: usize| [number as u8 + 1; 32];
    let mut at = BTreeMap::new();
    let source_records = records
        .iter()
        .zip(examples)
        .enumerate()
        .map(|(n, ((number, record), example))| {
            let index = *at.entry(*number).and_modify(|at| *at += 1).or_insert(0u32);
            let id = RecordId {
                contribution: *number as u64,
                index,
            };
            SourceRecord {
                leaf: VersionLeaf {
                    record: id,
                    contributor: account(*number),
                    content: keccak(&[&(n as u64).to_be_bytes(), record.response.as_bytes()]),
                    representative: id,
                },
                tokens: example.tokens.len() as u32,
            }
        })
        .collect();
    let plan = IndexPlan {
        builder: [9; 32],
        model: 0,
        generation: 1,
        base: base.hash,
        adapter: hash,
        tokenizer: base.tokenizer.hash(),
        seed: projection_seed,
        rules,
        sources: vec![Source {
            datanet: 0,
            version: 0,
            records: source_records,
        }],
        verbatim: Verbatim::NONE,
        retrieval: NONE,
    };
    let factors = FactorModel::new(base.net.clone(), &adapter)?;
    let dir = tempfile::tempdir()?;
    let mut builder = IndexBuilder::open(dir.path(), &plan, &sketcher)?;
    while let Some(unit) = builder.next_unit() {
        let example = &examples[unit.entry as usize];
        if unit.unit > 0 {
            bail!(
                "record {} has more than one unit: this bench is for short records",
                unit.entry
            );
        }
        let mut gradient = sketcher.start();
        for (position, module) in factors.factors(example)?.modules.iter().enumerate() {
            gradient.add(position, &module.x, &module.delta)?;
        }
        builder.push(&gradient.finish())?;
    }
    let index: Index = builder.finish(2)?;

    base.engine.register("bench", &adapter)?;
    let mut tally = Tally::default();
    for held in held_out {
        let Some(right) = names.iter().position(|name| *name == held.contributor) else {
            bail!(
                "heldout.jsonl names `{}`, who has no .jsonl file",
                held.contributor
            );
        };
        let prompt = base.tokenizer.chat(&[Message {
            role: "user".into(),
            content: held.prompt.clone(),
        }])?;
        let params = Params {
            max_tokens: 128,
            temperature: 0.0,
            ..Params::default()
        };
        let request = Request {
            model: Model::Adapter("bench".into()),
            prompt: prompt.clone(),
            params,
        };
        let completion = base
            .engine
            .generate(&request, &AtomicBool::new(false), &mut |_| ())?;
        let output: Vec<u32> = completion.tokens.iter().map(|token| token.id).collect();
        let answer = base.tokenizer.decode(&output)?;

        let mut gradient = sketcher.start();
        if !output.is_empty() {
            for (position, module) in factors
                .factors(&Example::answer(&prompt, &output))?
                .modules
                .iter()
                .enumerate()
            {
                gradient.add(position, &module.x, &module.delta)?;
            }
        }
        let query = index.query(&gradient.finish())?;
        let attribution = index.attribute(&query, cpu_backend(), 2)?;
        let mut parts = vec![0.0; names.len()];
        for (entry, share) in attribution
            .list
            .iter()
            .zip(attribution.list_shares().unwrap_or_default())
        {
            parts[usize::from(entry.contributor[0]) - 1] += f64::from(share) / 1e9;
        }
        let mut similar: Vec<(f64, usize)> = bag
            .similarities(&answer)
            .into_iter()
            .zip(records)
            .map(|(similarity, (number, _))| (similarity, *number))
            .collect();
        similar.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut sums = vec![0.0; names.len()];
        for (similarity, number) in similar.into_iter().take(usize::from(rules.top)) {
            sums[number] += similarity;
        }
        let nearest = near
            .similarities(&answer)
            .into_iter()
            .zip(records)
            .map(|(s, (number, _))| (s, *number));
        let nearest = nearest
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(s, _)| *s > 0.0)
            .map(|(_, n)| n);

        let verdicts = [most(&parts), most(&sums), nearest].map(|who| who == Some(right));
        let hard = right == pair.0 || right == pair.1;
        tally.asked += 1;
        tally.hard_asked += usize::from(hard);
        tally.credited += usize::from(!attribution.list.is_empty());
        for (method, is_right) in METHODS.into_iter().zip(verdicts) {
            *tally.right.entry(method).or_default() += usize::from(is_right);
            *tally.hard_right.entry(method).or_default() += usize::from(is_right && hard);
        }
        if args.verbose {
            let shares: Vec<String> = names
                .iter()
                .zip(&parts)
                .map(|(n, p)| format!("{n} {:.0}%", p * 100.0))
                .collect();
            println!(
                "{} [{}] {:?} {}\n    {answer}",
                held.prompt,
                held.contributor,
                verdicts,
                shares.join(", ")
            );
        }
    }
    base.engine.unregister("bench");
    Ok(tally)
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
    let rows: Vec<_> = METHODS
        .into_iter()
        .map(|method| {
            let all = rate(&|t| t.right.get(method).copied().unwrap_or(0), &|t| t.asked);
            let hard = rate(&|t| t.hard_right.get(method).copied().unwrap_or(0), &|t| {
                t.hard_asked
            });
            (method, all, hard)
        })
        .collect();
    let asked = tallies.first().map_or(0, |t| t.asked);
    if args.json {
        let methods: BTreeMap<&str, _> = rows
            .iter()
            .map(|(method, all, hard)| (*method, serde_json::json!({ "all": all.0, "all_error": all.1, "hard": hard.0, "hard_error": hard.1 })))
            .collect();
        println!(
            "{}",
            serde_json::json!({ "prompts": asked, "seeds": tallies.len(), "credited": credited, "methods": methods })
        );
        return Ok(());
    }
    eprintln!();
    println!("{asked} held-out prompts, {} seeds; the right contributor gets the largest part, in percent of the prompts", tallies.len());
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
