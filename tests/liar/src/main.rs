//! A worker that lies, and is honest in everything else: what it signs is well formed, what it submits adds up, and only who
//! recomputes finds it out. For the demo and tests; never shipped.
//!
//!     openledger-liar LIE run …        LIE is one of those of --list, or @FILE: a file with one in it, read again for each batch
//!     openledger-liar --list           every lie with what it is condemned as
//!
//! Everything behind LIE is what `openledger-worker` takes.

mod batch;
mod index;

use openledger_attribution::{
    batch::{BatchHeader, Ledger},
    receipt::Receipt,
    sketch::{Rule, Sketch, SketchLeaf},
    tree::Tree,
    verdict::Wanted,
    wire::Object,
};
use openledger_engine::Model;
use openledger_influence::{available_threads, cpu_backend};
use openledger_model::Example;
use openledger_worker::{
    attribute::{Attribute, Attributed, ByInfluence, Made},
    cli,
    models::Served,
    Error, Result,
};
use std::path::{Path, PathBuf};

macro_rules! lies {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal, $guilt:literal;)*) => {
        /// A lie.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Lie { $($(#[doc = $doc])* $name,)* }

        /// Its name, the lie, and the guilt that condemns it.
        const LIES: &[(&str, Lie, &str)] = &[$(($word, Lie::$name, $guilt),)*];
    };
}

lies! {
    /// None: the worker is honest.
    Nothing = "nothing", "";
    /// The first listed row's score is doubled.
    Score = "score", "WrongScore";
    /// The first row of the list is left out.
    LeftOut = "left-out", "RowLeftOut";
    /// The first row's money goes to somebody else.
    Contributor = "contributor", "WrongContributor";
    /// A row that is not eligible is listed.
    NotEligible = "not-eligible", "NotEligible";
    /// Two rows of the list change places.
    Shape = "shape", "Shape";
    /// The answer's sketch has bytes that no gradient gives.
    Query = "query", "InvalidQuery";
    /// The answer's sketch is not what its text gives, and everything else follows from it: only who recomputes it finds out.
    Sketch = "sketch", "";
    /// The base answers alone, and the adapter that is paid for does not: only who recomputes it finds out.
    Output = "output", "";
    /// Every second example is left out of a training: only who repeats it finds out.
    Training = "training", "";
    /// A receipt counts a token more than its fee.
    Count = "count", "Receipt";
    /// A receipt is another worker's.
    Stranger = "stranger", "OtherBatch";
    /// A receipt's voucher allows more than its consumer signed.
    Voucher = "voucher", "Unsigned";
    /// A receipt starts before the one in front of it ends.
    Overlap = "overlap", "ReceiptsBroken";
    /// Two receipts change places.
    Order = "order", "ReceiptsBroken";
    /// The totals give the worker some of the owner's money.
    Totals = "totals", "WrongTotals";
    /// A contributor's part of an answer goes to the worker.
    Part = "part", "WrongPart";
    /// A planck of one contributor's part goes to another's.
    Amount = "amount", "WrongPart";
    /// Two parts change places.
    PartOrder = "part-order", "PartsDisordered";
    /// A contributor's credit is left out.
    NoCredit = "no-credit", "CreditMissing";
    /// A contributor's credit goes to the worker.
    Credit = "credit", "Credit";
    /// A contributor's credit is less than its parts.
    Skim = "skim", "CreditSum";
    /// Two credits change places.
    CreditOrder = "credit-order", "CreditsDisordered";
    /// Of a sampled batch, a draw names another receipt.
    Draw = "draw", "WrongDraw";
    /// Of a sampled batch, a draw is forfeited and the bond owes nothing for it.
    Forfeit = "forfeit", "WrongForfeit";
    /// What stands behind batches is not published, and not shown when the chain demands it.
    Withheld = "withheld", "Withheld";
    /// It is not published; the chain's demands are answered.
    Hidden = "hidden", "";
    /// A row of the index has bytes that no gradient gives.
    Row = "row", "InvalidRow";
    /// A record of the index is the builder's.
    Corpus = "corpus", "Wrong";
    /// A basis of the index stretches.
    Basis = "basis", "NotOrthonormal";
}

/// Where the lie is read from.
enum Liar {
    Always(Lie),
    File(PathBuf),
}

impl Liar {
    fn lie(&self) -> Lie {
        match self {
            Self::Always(lie) => *lie,
            // Whoever writes the file may be about to: until then nothing is a lie.
            Self::File(path) => std::fs::read_to_string(path)
                .ok()
                .and_then(|text| named(text.trim()))
                .unwrap_or(Lie::Nothing),
        }
    }
}

fn named(word: &str) -> Option<Lie> {
    LIES.iter()
        .find(|(name, ..)| *name == word)
        .map(|(_, lie, _)| *lie)
}

impl Attribute for Liar {
    fn attribute(&self, served: &Served, prompt: &[u32], outputs: &[&[u32]]) -> Result<Attributed> {
        let mut attributed = ByInfluence.attribute(served, prompt, outputs)?;
        let list = &mut attributed.attribution.list;
        match self.lie() {
            // The first stays the first, so that the list keeps its order.
            Lie::Score => {
                if let Some(first) = list.first_mut() {
                    first.score = first.score.saturating_mul(2);
                }
            }
            Lie::LeftOut if list.len() > 1 => {
                list.remove(0);
            }
            Lie::Contributor => {
                if let Some(first) = list.first_mut() {
                    first.contributor = [0x55; 32];
                }
            }
            Lie::NotEligible => list_noise(served, &mut attributed),
            Lie::Query => {
                let rule = served.index.rule();
                spoil(rule, &mut attributed.query);
                attributed.attribution.query = root(rule, &attributed.query)?;
            }
            Lie::Sketch => {
                dull(&mut attributed.query);
                let query = served.index.query_from_sketch(attributed.query)?;
                attributed.attribution =
                    served
                        .index
                        .attribute(&query, cpu_backend(), available_threads())?;
                attributed.query = query.sketch;
            }
            _ => {}
        }
        Ok(attributed)
    }

    fn sign(&self, receipt: &mut Receipt, attributed: &mut Attributed) {
        let list = &mut attributed.attribution.list;
        if self.lie() == Lie::Shape && list.len() > 1 {
            list.swap(0, 1);
            receipt.attribution = attributed.attribution.hash();
        }
    }

    fn commit(&self, made: Made<'_>) {
        batch::commit(self.lie(), made);
    }

    fn answer_draws(&self, batch: &BatchHeader, credits: &mut Ledger) {
        batch::answer_draws(self.lie(), batch, credits);
    }

    fn learn(&self, examples: &mut Vec<Example>) {
        if self.lie() == Lie::Training {
            *examples = examples.drain(..).step_by(2).collect();
        }
    }

    fn model(&self, served: &Served) -> Model {
        match self.lie() {
            Lie::Output => Model::Base,
            _ => Model::Adapter(served.id()),
        }
    }

    fn deliver(&self, folder: &Path) -> Result<()> {
        index::deliver(self.lie(), folder).map_err(|error| Error::part("the lie about an index", error))
    }

    fn publishes(&self) -> bool {
        !matches!(self.lie(), Lie::Withheld | Lie::Hidden)
    }

    fn shows(&self, _: &Wanted) -> bool {
        self.lie() != Lie::Withheld
    }
}

/// Lists a row that is positive but not eligible, in the place of the last if the list is full.
fn list_noise(served: &Served, attributed: &mut Attributed) {
    let rule = served.index.rule();
    let list = &mut attributed.attribution.list;
    for at in 0..served.index.rows() {
        let Ok(row) = served.index.row(at) else {
            continue;
        };
        let score = rule.evaluate(attributed.query.view(), row.sketch.view());
        let Some(score) = score.filter(|score| score.value > 0 && !score.eligible) else {
            continue;
        };
        if list.len() >= rule.top() {
            list.pop();
        }
        list.push(openledger_attribution::list::ListEntry {
            row: at,
            score: score.value.unsigned_abs(),
            contributor: row.contributor,
        });
        list.sort_by(|a, b| a.order(b));
        return;
    }
}

/// Makes the first block with anything in it one that no gradient gives: its largest lane is small.
fn spoil(rule: &Rule, query: &mut Sketch) {
    let mut from = 0usize;
    for lanes in rule.block_lanes() {
        let end = from + *lanes as usize;
        let block = &mut query.lanes[from..end];
        if block.iter().any(|lane| *lane != 0) {
            block.fill(0);
            block[0] = 1;
            return;
        }
        from = end;
    }
}

/// Empties every eighth lane. Large ones stay, so that a gradient could have these bytes.
fn dull(query: &mut Sketch) {
    for lane in query.lanes.iter_mut().step_by(8) {
        if lane.unsigned_abs() < 64 {
            *lane = 0;
        }
    }
}

fn root(rule: &Rule, query: &Sketch) -> Result<[u8; 32]> {
    let leaves = query.leaves(rule).unwrap_or_default();
    let tree = Tree::new(&leaves).map_err(|error| Error::part("a sketch", error))?;
    Ok(tree.root().hash::<SketchLeaf>())
}

fn main() -> std::process::ExitCode {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let word = (arguments.len() > 1).then(|| arguments.remove(1));
    let word = word
        .map(|word| word.to_string_lossy().into_owned())
        .unwrap_or_default();
    if word == "--list" {
        for (name, _, guilt) in LIES {
            println!("{name} {guilt}");
        }
        return std::process::ExitCode::SUCCESS;
    }
    let liar = match (word.strip_prefix('@'), named(&word)) {
        (Some(path), _) => Liar::File(path.into()),
        (None, Some(lie)) => Liar::Always(lie),
        (None, None) => {
            eprintln!(
                "openledger-liar: {word:?} is no lie: --list names them all, @FILE reads one from a file"
            );
            return std::process::ExitCode::FAILURE;
        }
    };
    cli::main(arguments, liar)
}
