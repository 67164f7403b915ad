//! What a provider of 5% of the records gains by gaming, on text: the shipped base and corpora, through the content pipeline (one form,
//! families of near-duplicates, units of 256 tokens), a trained adapter, its index, and answers to the held-out prompts.
//!
//! The provider's share of an answer is what the answer pays it of the contributors' part; of GradDot the same of the 64 largest dot
//! products of unprojected gradients; of KNN-Shapley (five nearest by words, a gain where a record answers the prompt's question) that of
//! the positive values. Each draw is another provider; every attack trains the model anew on what the attack makes of the records.
//!
//! "Families" and "held" are what `openledger datanet publish` does: a family trains on its first record alone, and what `review`
//! holds waits for a person. Without them: every record trains, as in the other methods.

#[allow(dead_code, reason = "every program uses what it needs of it")]
mod lab;

use anyhow::{bail, Context, Result};
use clap::Parser;
use lab::{Lab, Row, Settings};
use openledger_attribution::{fee::Mix, hash::Account, record::RecordId};
use openledger_cli::args::{parse_mix, DEFAULT_MIX};
use openledger_content::{version_leaves, Contribution, Record};
use openledger_influence::{
    valuation::{neighbour_values, outliers, record_values, review, words, Likeness, Reviewed},
    Sketcher,
};
use openledger_worker::{
    dataset,
    models::{modules, Base},
};
use std::{collections::BTreeMap, path::PathBuf};

/// Measures what gaming gains.
#[derive(Parser)]
#[command(name = "openledger-bench-gaming")]
struct Args {
    /// Folder of the base model
    #[arg(long)]
    base: PathBuf,
    /// Folder with a .jsonl file a contributor and heldout.jsonl
    #[arg(long)]
    corpora: PathBuf,
    /// Providers to draw
    #[arg(long, default_value_t = 3)]
    draws: u64,
    /// First draw
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Passes over the data
    #[arg(long, default_value_t = 16)]
    epochs: usize,
    /// Prompts to ask, from the first; all by default
    #[arg(long)]
    prompts: Option<usize>,
    /// An attack to measure, as the table names it; several times for several [default: all of them, and how mislabelled records are told]
    #[arg(long)]
    only: Vec<String>,
    /// Weights of influence, verbatim and retrieval in percent
    #[arg(long, default_value = DEFAULT_MIX, value_parser = parse_mix)]
    mix: Mix,
}

/// Who is the provider.
const OWN: Account = [200; 32];
/// One record in this many is the provider's.
const ONE_IN: usize = 20;
/// What is added to a seed for another one.
const OTHER_SEED: u64 = 1_000;
/// Copies beside each record.
const COPIES: usize = 5;
/// Entries of GradDot's list, as many as an index's.
const TOP: usize = 64;
/// Neighbours of KNN-Shapley.
const NEIGHBOURS: usize = 5;

/// A record as somebody wrote it, and which questions it answers.
#[derive(Clone)]
struct Text {
    question: String,
    answer: String,
    topics: Vec<usize>,
}

impl Text {
    fn record(&self) -> Result<Record> {
        Record::new(&format!("{}\n\n{}", self.question, self.answer)).context("an empty record")
    }
}

/// Everybody's records: of the others, each as a contribution, and of the provider.
#[derive(Clone)]
struct World {
    others: Vec<Vec<Text>>,
    own: Vec<Text>,
}

#[derive(serde::Deserialize)]
struct Line {
    prompt: String,
    response: String,
}

#[derive(serde::Deserialize)]
struct HeldOut {
    prompt: String,
    contributor: String,
    answers: Vec<usize>,
}

fn lines<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    Ok(lines.map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Small numbers that are the same everywhere. (splitmix64)
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    fn some(&mut self, of: usize, count: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..of).collect();
        for at in 0..count.min(of) {
            let other = at + self.below(of - at);
            all.swap(at, other);
        }
        all.truncate(count);
        all
    }
}

fn sentences(text: &str) -> Vec<&str> {
    text.split_inclusive(['.', '!', '?'])
        .map(str::trim)
        .filter(|sentence| !sentence.is_empty())
        .collect()
}

/// Latin letters by Cyrillic ones that look the same.
fn homoglyphs(text: &str) -> String {
    let other = |c| match c {
        'a' => 'а',
        'c' => 'с',
        'e' => 'е',
        'o' => 'о',
        'p' => 'р',
        'x' => 'х',
        'y' => 'у',
        c => c,
    };
    text.chars().map(other).collect()
}

/// A word of the answer by another one of the provider's.
fn other_word(text: &Text, all: &[Text], draws: &mut Draws) -> Text {
    let mut own: Vec<&str> = text.answer.split(' ').collect();
    let pool: Vec<&str> = all.iter().flat_map(|text| text.answer.split(' ')).collect();
    let at = draws.below(own.len());
    own[at] = pool[draws.below(pool.len())];
    Text {
        answer: own.join(" "),
        ..text.clone()
    }
}

/// The provider's records and `times` changed copies of each.
fn copies(world: &World, mut change: impl FnMut(&Text) -> Text) -> World {
    let mut own = world.own.clone();
    for _ in 0..COPIES {
        own.extend(world.own.iter().map(&mut change));
    }
    World {
        own,
        others: world.others.clone(),
    }
}

fn with(world: &World, own: Vec<Text>) -> World {
    World {
        own,
        others: world.others.clone(),
    }
}

/// What the provider does, by name; copies first.
fn attacks(world: &World, draws: &mut Draws) -> Vec<(&'static str, World)> {
    let turned = |text: &Text| {
        let mut all = sentences(&text.answer);
        all.rotate_left(1);
        Text {
            answer: all.join(" "),
            ..text.clone()
        }
    };
    let looked_alike = |text: &Text| Text {
        question: homoglyphs(&text.question),
        answer: homoglyphs(&text.answer),
        ..text.clone()
    };
    let own = &world.own;
    // Each answers the next one's question.
    let wrong = (0..own.len()).map(|n| Text {
        answer: own[(n + 1) % own.len()].answer.clone(),
        ..own[n].clone()
    });
    let joined = own.chunks(2).map(|pair| match pair {
        [a, b] => Text {
            question: a.question.clone(),
            answer: format!("{} {} {}", a.answer, b.question, b.answer),
            topics: [a.topics.clone(), b.topics.clone()].concat(),
        },
        _ => pair[0].clone(),
    });
    let cut = own.iter().flat_map(|text| {
        sentences(&text.answer).into_iter().map(move |sentence| Text {
            answer: sentence.into(),
            ..text.clone()
        })
    });
    vec![
        ("copied five times", copies(world, Text::clone)),
        (
            "a word changed",
            copies(world, |text| other_word(text, own, draws)),
        ),
        ("sentences reordered", copies(world, turned)),
        ("homoglyphs", copies(world, looked_alike)),
        ("mislabelled", with(world, wrong.collect())),
        ("two records in one", with(world, joined.collect())),
        ("cut into sentences", with(world, cut.collect())),
    ]
}

/// Rows of a version, each with its record and which questions it answers.
struct Version {
    rows: Vec<Row>,
    records: Vec<Record>,
    topics: Vec<Vec<usize>>,
}

impl Version {
    /// The version as it is published, or with every record if there are no families.
    fn new(base: &Base, world: &World, families: bool) -> Result<Self> {
        let everybody: Vec<(Account, &Vec<Text>)> = (1u8..)
            .map(|n| [n; 32])
            .zip(&world.others)
            .chain([(OWN, &world.own)])
            .collect();
        let records: Vec<Vec<Record>> = everybody
            .iter()
            .map(|(_, texts)| texts.iter().map(Text::record).collect())
            .collect::<Result<_>>()?;
        let contributions: Vec<Contribution<'_>> = (0u64..)
            .zip(everybody.iter().zip(&records))
            .map(|(id, ((contributor, _), records))| Contribution {
                id,
                contributor: *contributor,
                reserved: id,
                records,
            })
            .collect();
        let mut version = Self {
            rows: vec![],
            records: vec![],
            topics: vec![],
        };
        for leaf in version_leaves(&contributions)? {
            if families && !leaf.is_representative() {
                continue;
            }
            let RecordId { contribution, index } = leaf.record;
            let (whose, at) = (contribution as usize, index as usize);
            version.rows.push(Row {
                record: leaf.record,
                contributor: leaf.contributor,
                content: leaf.content,
                example: dataset::example(&base.tokenizer, records[whose][at].text())?,
            });
            version.records.push(records[whose][at].clone());
            version.topics.push(everybody[whose].1[at].topics.clone());
        }
        Ok(version)
    }

    /// Without the records at these positions.
    fn without(&self, held: &[usize]) -> Self {
        let kept = |n: &usize| !held.contains(n);
        let all: Vec<usize> = (0..self.rows.len()).filter(kept).collect();
        Self {
            rows: all.iter().map(|n| self.rows[*n].clone()).collect(),
            records: all.iter().map(|n| self.records[*n].clone()).collect(),
            topics: all.iter().map(|n| self.topics[*n].clone()).collect(),
        }
    }

    fn questions_and_answers(&self) -> Vec<(&str, &str)> {
        self.records.iter().map(Record::question_and_answer).collect()
    }

    /// What `publish` holds of it.
    fn held(&self, influences: &[Option<u128>]) -> Vec<usize> {
        let records: Vec<Reviewed<'_>> = self
            .questions_and_answers()
            .into_iter()
            .zip(&self.rows)
            .zip(influences)
            .map(|(((question, answer), row), self_influence)| Reviewed {
                contributor: row.contributor,
                question,
                answer,
                self_influence: *self_influence,
            })
            .collect();
        review(&records).into_iter().map(|held| held.record).collect()
    }

    /// What tells versions with the same training apart from others.
    fn identity(&self) -> Vec<(Account, [u8; 32])> {
        self.rows
            .iter()
            .map(|row| (row.contributor, row.content))
            .collect()
    }
}

/// Shares, and the self-influence of each record.
type Measured = (Shares, Vec<Option<u128>>);

/// The provider's share by each method.
#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    paid: f64,
    influence: f64,
    dots: f64,
    neighbours: f64,
}

impl Shares {
    fn all(self) -> [f64; 4] {
        [self.paid, self.influence, self.dots, self.neighbours]
    }
}

const METHODS: [&str; 4] = [
    "paid (both channels)",
    "influence alone",
    "GradDot",
    "KNN-Shapley",
];

/// The provider's part of weights, if there are any.
fn part(weights: impl Iterator<Item = (Account, f64)>) -> Option<f64> {
    let (mut own, mut all) = (0.0, 0.0);
    for (who, weight) in weights {
        all += weight;
        if who == OWN {
            own += weight;
        }
    }
    (all > 0.0).then(|| own / all)
}

/// Mean of what is there.
#[derive(Default)]
struct Mean(f64, f64);

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            (self.0, self.1) = (self.0 + value, self.1 + 1.0);
        }
    }

    fn get(&self) -> f64 {
        self.0 / self.1.max(1.0)
    }
}

fn measure(
    base: &Base,
    version: &Version,
    args: &Args,
    asked: &[(String, usize)],
    draw: u64,
) -> Result<Measured> {
    let settings = Settings {
        epochs: args.epochs,
        ..Settings::new(draw)
    };
    let lab = Lab::new(base, &version.rows, &settings)?;
    let only = Mix {
        influence: 1_000_000_000,
        verbatim: 0,
        retrieval: 0,
    };
    let plain = Sketcher::new(modules(&lab.adapter), u16::MAX, &[0; 32])?;
    let gradients = lab.gradients(&plain, &version.rows)?;
    let texts = version.records.iter().map(Record::text);
    let likeness = Likeness::new(texts, words);
    let mut means: [Mean; 4] = Default::default();
    for (question, topic) in asked {
        let answered = lab.ask(question)?;
        for (mean, mix) in means.iter_mut().zip([&args.mix, &only]) {
            let weights = answered
                .attribution
                .weights(mix)
                .context("a misshapen attribution")?;
            mean.add(part(
                weights.into_iter().map(|(who, weight)| (who, weight as f64)),
            ));
        }
        let query = lab.gradient(&plain, &answered.prompt, &answered.output)?;
        let mut dots: Vec<(f64, Account)> = gradients
            .iter()
            .map(|(who, row)| (dot(row.lanes(), query.lanes()), *who))
            .filter(|(dot, _)| *dot > 0.0)
            .collect();
        dots.sort_by(|a, b| b.0.total_cmp(&a.0));
        means[2].add(part(dots.into_iter().take(TOP).map(|(dot, who)| (who, dot))));
        let gains: Vec<f64> = version
            .topics
            .iter()
            .map(|topics| f64::from(u8::from(topics.contains(topic))))
            .collect();
        let nearness = likeness.similarities(question);
        let values = neighbour_values(&nearness, &gains, version.rows.len(), NEIGHBOURS)?;
        let values = version
            .rows
            .iter()
            .zip(values)
            .map(|(row, value)| (row.contributor, value.max(0.0)));
        means[3].add(part(values));
    }
    let [paid, influence, dots, neighbours] = means.map(|mean| mean.get());
    let shares = Shares {
        paid,
        influence,
        dots,
        neighbours,
    };
    Ok((shares, lab.self_influences(&version.rows)?))
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// That a bad one is more suspicious than a good one.
fn auc(suspicion: &[f64], bad: &[bool]) -> f64 {
    let (mut wins, mut pairs) = (0.0, 0.0);
    for (a, _) in suspicion.iter().zip(bad).filter(|(_, bad)| **bad) {
        for (b, _) in suspicion.iter().zip(bad).filter(|(_, bad)| !**bad) {
            pairs += 1.0;
            wins += match a.total_cmp(b) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
        }
    }
    wins / f64::max(pairs, 1.0)
}

fn main() -> Result<()> {
    let args = Args::parse();
    let base = Base::load(&args.base, &Default::default())?;
    let (everything, names) = read(&args)?;
    let mut asked = Vec::new();
    for held in lines::<HeldOut>(&args.corpora.join("heldout.jsonl"))? {
        let who = names.iter().position(|name| *name == held.contributor);
        let who =
            who.with_context(|| format!("heldout.jsonl names `{}`, who has no file", held.contributor))?;
        let first = held
            .answers
            .first()
            .context("a held-out prompt that no record answers")?;
        let text = everything[who]
            .get(*first)
            .context("a held-out prompt of a record that is not there")?;
        asked.push((held.prompt, text.topics[0]));
    }
    asked.truncate(args.prompts.unwrap_or(usize::MAX));

    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let none = World {
        others: vec![],
        own: vec![],
    };
    let names: Vec<&str> = attacks(&none, &mut Draws(0))
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    if let Some(unknown) = args.only.iter().find(|only| !names.contains(&only.as_str())) {
        bail!(
            "there is no attack `{unknown}`: --only takes one of {}",
            names.join(", ")
        );
    }

    // Case -> method -> change against honest, draw by draw; and the shares.
    let mut cases: Vec<(String, Vec<(Shares, Shares)>)> = Vec::new();
    let mut told = Vec::new();
    for draw in args.first..args.first + args.draws {
        let mut draws = Draws(draw);
        let world = provider(&everything, &mut draws);
        let mut known: BTreeMap<Vec<(Account, [u8; 32])>, Measured> = BTreeMap::new();
        let mut run = |version: &Version| -> Result<Measured> {
            // The same records train the same model.
            let identity = version.identity();
            if let Some(found) = known.get(&identity) {
                return Ok(found.clone());
            }
            let found = measure(&base, version, &args, &asked, draw)?;
            known.insert(identity, found.clone());
            Ok(found)
        };
        let mut row = 0;
        let mut note = |name: String, shares: Shares, honest: Shares| {
            if cases.len() == row {
                cases.push((name.clone(), Vec::new()));
            }
            cases[row].1.push((shares, honest));
            row += 1;
            eprintln!(
                "draw {draw}: {name}: {:.3?} beside {:.3?}",
                shares.all(),
                honest.all()
            );
        };
        let honest = Version::new(&base, &world, true)?;
        let loose = Version::new(&base, &world, false)?;
        let (fair, influences) = run(&honest)?;
        note("honest, families".into(), fair, fair);
        // What another order of the same records changes is no attack's doing.
        let (other, _) = measure(&base, &honest, &args, &asked, draw + OTHER_SEED)?;
        note("honest, families, another seed".into(), other, fair);
        let (loosely, _) = run(&loose)?;
        note("honest, no families".into(), loosely, loosely);
        let reviewed = honest.held(&influences);
        eprintln!(
            "draw {draw}: of {} honest records {} are held",
            honest.rows.len(),
            reviewed.len()
        );
        let (fair_held, _) = run(&honest.without(&reviewed))?;
        note("honest, families, held".into(), fair_held, fair);
        for (name, world) in attacks(&world, &mut draws) {
            if !wanted(name) {
                continue;
            }
            let version = Version::new(&base, &world, true)?;
            let (shares, influences) = run(&version)?;
            note(format!("{name}, families"), shares, fair);
            if world.own.len() > 2 * honest_own(&honest) {
                let (shares, _) = run(&Version::new(&base, &world, false)?)?;
                note(format!("{name}, no families"), shares, loosely);
            } else {
                let reviewed = version.held(&influences);
                let own = reviewed
                    .iter()
                    .filter(|n| version.rows[**n].contributor == OWN)
                    .count();
                eprintln!(
                    "draw {draw}: {name}: {} held, {own} of them the provider's",
                    reviewed.len()
                );
                let (shares, _) = run(&version.without(&reviewed))?;
                note(format!("{name}, families, held"), shares, fair_held);
            }
        }
        if args.only.is_empty() {
            told.push(mislabelled(&base, &everything, &args, &mut draws, draw)?);
        }
    }
    print(&args, &cases, &told);
    Ok(())
}

fn honest_own(version: &Version) -> usize {
    version.rows.iter().filter(|row| row.contributor == OWN).count()
}

/// Each contributor's records; what they answer is the same in each third of a file.
fn read(args: &Args) -> Result<(Vec<Vec<Text>>, Vec<String>)> {
    let mut names: Vec<String> = std::fs::read_dir(&args.corpora)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".jsonl").map(String::from))
        .filter(|name| name != "heldout")
        .collect();
    names.sort();
    let mut all = Vec::new();
    let mut topics = 0;
    for name in &names {
        let lines: Vec<Line> = lines(&args.corpora.join(format!("{name}.jsonl")))?;
        let third = (lines.len() / 3).max(1);
        let text = |(n, line): (usize, Line)| Text {
            question: line.prompt,
            answer: line.response,
            topics: vec![topics + n % third],
        };
        all.push(lines.into_iter().enumerate().map(text).collect());
        topics += third;
    }
    Ok((all, names))
}

/// Takes one record in twenty from those who have them.
fn provider(everything: &[Vec<Text>], draws: &mut Draws) -> World {
    let places: Vec<(usize, usize)> = everything
        .iter()
        .enumerate()
        .flat_map(|(who, texts)| (0..texts.len()).map(move |at| (who, at)))
        .collect();
    let mut taken: Vec<(usize, usize)> = draws
        .some(places.len(), places.len() / ONE_IN)
        .into_iter()
        .map(|n| places[n])
        .collect();
    taken.sort_unstable();
    let others = everything.iter().enumerate().map(|(who, texts)| {
        let left = (0..texts.len()).filter(|at| !taken.contains(&(who, *at)));
        left.map(|at| texts[at].clone()).collect()
    });
    World {
        others: others.collect(),
        own: taken
            .iter()
            .map(|(who, at)| everything[*who][*at].clone())
            .collect(),
    }
}

/// How well each sign tells one record in ten that answers another question: AUC of self-influence, of the value to the others,
/// and of both, by rank.
fn mislabelled(
    base: &Base,
    everything: &[Vec<Text>],
    args: &Args,
    draws: &mut Draws,
    draw: u64,
) -> Result<[f64; 3]> {
    let mut all: Vec<Vec<Text>> = everything.to_vec();
    let places: Vec<(usize, usize)> = all
        .iter()
        .enumerate()
        .flat_map(|(who, texts)| (0..texts.len()).map(move |at| (who, at)))
        .collect();
    let wrong: Vec<(usize, usize)> = draws
        .some(places.len(), places.len() / 10)
        .into_iter()
        .map(|n| places[n])
        .collect();
    let answers: Vec<String> = wrong
        .iter()
        .map(|(who, at)| all[*who][*at].answer.clone())
        .collect();
    for (n, (who, at)) in wrong.iter().enumerate() {
        all[*who][*at].answer = answers[(n + 1) % answers.len()].clone();
    }
    let world = World {
        others: all,
        own: vec![],
    };
    let version = Version::new(base, &world, false)?;
    let bad: Vec<bool> = version
        .rows
        .iter()
        .map(|row| wrong.contains(&(row.record.contribution as usize, row.record.index as usize)))
        .collect();
    let settings = Settings {
        epochs: args.epochs,
        ..Settings::new(draw)
    };
    let lab = Lab::new(base, &version.rows, &settings)?;
    let influences: Vec<f64> = lab
        .self_influences(&version.rows)?
        .into_iter()
        .map(|influence| influence.map_or(0.0, |influence| influence as f64))
        .collect();
    let against: Vec<f64> = record_values(&version.questions_and_answers())
        .into_iter()
        .map(|value| -value)
        .collect();
    let ranks = |values: &[f64]| -> Vec<f64> {
        let below = |value: &f64| values.iter().filter(|other| *other < value).count() as f64;
        values.iter().map(below).collect()
    };
    let both: Vec<f64> = ranks(&influences)
        .iter()
        .zip(ranks(&against))
        .map(|(a, b)| a + b)
        .collect();
    let found = outliers(&lab.self_influences(&version.rows)?, 3.0).len();
    eprintln!("draw {draw}: 10 % mislabelled: {found} outliers of self-influence");
    Ok([auc(&influences, &bad), auc(&against, &bad), auc(&both, &bad)])
}

fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let spread: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (
        mean,
        if n > 1.0 {
            (spread / (n - 1.0) / n).sqrt()
        } else {
            0.0
        },
    )
}

fn print(args: &Args, cases: &[(String, Vec<(Shares, Shares)>)], told: &[[f64; 3]]) {
    println!(
        "| a provider of 5 % of the records, {} draws | {} |",
        args.draws,
        METHODS.join(" | ")
    );
    println!("| --- |{}", " --- |".repeat(METHODS.len()));
    for (name, found) in cases {
        let cell = |method: usize| {
            let (share, _) = mean(&found.iter().map(|(own, _)| own.all()[method]).collect::<Vec<_>>());
            let changes = found
                .iter()
                .map(|(own, honest)| own.all()[method] / honest.all()[method] - 1.0);
            let (change, error) = mean(&changes.collect::<Vec<_>>());
            format!(
                "{:.2} % ({:+.1} ± {:.1} %)",
                share * 100.0,
                change * 100.0,
                error * 100.0
            )
        };
        println!(
            "| {name} | {} |",
            (0..METHODS.len()).map(cell).collect::<Vec<_>>().join(" | ")
        );
    }
    if told.is_empty() {
        return;
    }
    println!("\n| 10 % of the records answer another question: how they are told | AUC |\n| --- | --- |");
    for (n, way) in ["self-influence", "value to the other records", "both, by rank"]
        .iter()
        .enumerate()
    {
        let (auc, error) = mean(&told.iter().map(|all| all[n]).collect::<Vec<_>>());
        println!("| {way} | {auc:.3} ± {error:.3} |");
    }
}
