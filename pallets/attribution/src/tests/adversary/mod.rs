//! Each row of the dispute table against lies and forged challenges, until each has had so many.

mod challenges;
mod lies;
mod recompute;

use super::common::{scale, seed, Rng};
use openledger_attribution::verdict::{BatchEvidence, Guilt, IndexEvidence};
use std::collections::BTreeMap;

/// Lies that each row has to catch, and challenges of honest work that it has to refuse, times `ATTRIBUTION_SCALE`.
const LIES: u32 = 200;
const FORGED: u32 = 2_000;

/// A row of the dispute table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Row {
    /// A wrong score, or bytes that no gradient gives.
    Score,
    /// An eligible row left out.
    LeftOut,
    /// A list, a receipt or a count that breaks its own rules.
    Rules,
    /// Receipts that skip, repeat or overlap.
    Receipts,
    /// Draws, parts and credits.
    Credits,
    /// The rows, records and bases of an index.
    Index,
    /// Spans.
    Spans,
    /// Suffix arrays and their counts.
    Suffixes,
    /// Data withheld.
    Withheld,
    /// What only recomputing shows.
    Recomputed,
}

/// The rows that judge batches by what they say themselves.
const OF_BATCHES: [Row; 6] = [
    Row::Score,
    Row::LeftOut,
    Row::Rules,
    Row::Receipts,
    Row::Credits,
    Row::Spans,
];

impl From<Guilt> for Row {
    fn from(guilt: Guilt) -> Self {
        use Guilt::*;
        match guilt {
            WrongScore | NotEligible | InvalidQuery(_) | InvalidRow(_) => Self::Score,
            RowLeftOut => Self::LeftOut,
            Shape(_) | WrongContributor | WrongRecord | Receipt(_) | Unsigned | OtherChain | Expired
            | OtherBatch | WrongLeaf | WrongKind | WrongCount | Batch(_) => Self::Rules,
            ReceiptsDisordered | ReceiptsBroken | NotChained | WrongCursor | ChannelsDisordered
            | ChannelMissing | WrongTotals => Self::Receipts,
            WrongDraw | WrongForfeit | PartsDisordered | PartWithoutSource | WrongPart | PartMissing
            | CreditsDisordered | CreditShape | CreditRange | CreditSum | CreditMissing => Self::Credits,
            SpanMismatch | SpanBounds | SpanNotMaximal | SpanMissing | SpanInformation
            | SpanRecordMissing => Self::Spans,
            IndexOrder | Index(_) | WrongRow | RowsDisordered | WrongCorpus | InvalidChunk | WrongTokens
            | InvalidBasis | NotOrthonormal => Self::Index,
            InvalidShard | SuffixRange | SuffixTwice | SuffixOrder | TokenCount => Self::Suffixes,
            Withheld => Self::Withheld,
            Recomputed(_) => Self::Recomputed,
            VersionDisordered | WrongVersionRecord | WrongRepresentative | Duplicate => {
                unreachable!("versions and duplicates are judged elsewhere")
            }
        }
    }
}

impl From<&BatchEvidence> for Row {
    fn from(evidence: &BatchEvidence) -> Self {
        use BatchEvidence::*;
        match evidence {
            Score(_) | Query(_) => Self::Score,
            LeftOut(_) => Self::LeftOut,
            Shape(_) | NamedRow(_) | NamedRecord(_) | Receipt(_) | Count(_) | Headers(_) => Self::Rules,
            Receipts(_) | Chain(_) | ChannelEnd(_) | Channels(_) | ChannelMissing(_) | ChannelUnused(_)
            | Totals(_) => Self::Receipts,
            Draw(_) | Forfeit(_) | Parts(_) | Part(_) | PartOfForfeit(_) | PartMissing(_) | Credits(_)
            | CreditShape(_) | CreditRange(_) | CreditSum(_) | CreditMissing(_) => Self::Credits,
            SpanMismatch(_) | SpanBounds(_) | SpanOccurrence(_) | SpanInformation(_) | SpanRecord(_) => {
                Self::Spans
            }
        }
    }
}

impl From<&IndexEvidence> for Row {
    fn from(evidence: &IndexEvidence) -> Self {
        use IndexEvidence::*;
        match evidence {
            RowBytes(_) => Self::Score,
            Header(_) | Row(_) | Rows(_) | RowContributor(_) | Corpus(_) | Chunk(_) | Tokens(_)
            | Basis(_) | BasisPair(_) => Self::Index,
            Shard(_) | SuffixRange(_) | SuffixPair(_) | SuffixGap(_) | TableCount(_) | ShardCount(_) => {
                Self::Suffixes
            }
        }
    }
}

/// How often each row was tried with what, until each that is wanted was tried often enough.
struct Tally {
    wanted: Vec<Row>,
    of_each: u32,
    tried: BTreeMap<Row, BTreeMap<String, u32>>,
}

impl Tally {
    fn new(wanted: &[Row], of_each: u32) -> Self {
        Self {
            wanted: wanted.to_vec(),
            of_each,
            tried: BTreeMap::new(),
        }
    }

    fn of(&self, row: Row) -> u32 {
        self.tried.get(&row).map_or(0, |kinds| kinds.values().sum())
    }

    /// Whether more of this row is wanted.
    fn wants(&self, row: Row) -> bool {
        self.wanted.contains(&row) && self.of(row) < self.of_each
    }

    fn is_full(&self) -> bool {
        self.wanted.iter().all(|row| self.of(*row) >= self.of_each)
    }

    fn add(&mut self, row: Row, kind: impl Into<String>) {
        *self.tried.entry(row).or_default().entry(kind.into()).or_default() += 1;
    }

    /// Seeds of worlds until the tally is full.
    ///
    /// # Panics
    ///
    /// When that takes more worlds than it should.
    fn fill(&mut self, what: &str, mut one: impl FnMut(u64, &mut Self)) {
        let mut rng = Rng(seed());
        let most = 100 + 20 * self.of_each;
        let mut worlds = 0;
        while !self.is_full() {
            assert!(
                worlds < most,
                "{what}: not enough in {worlds} worlds: {:?}",
                self.tried
            );
            worlds += 1;
            one(rng.next(), self);
        }
        println!("{what}, in {worlds} random worlds:");
        for (row, kinds) in &self.tried {
            println!(
                "  {row:?}: {}, of {} kinds: {kinds:?}",
                self.of(*row),
                kinds.len()
            );
        }
    }
}

/// What an object is called whose debug form starts with its name.
fn name(of: &impl core::fmt::Debug) -> String {
    let text = format!("{of:?}");
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    text[..end].to_owned()
}

fn wanted(of_each: u32) -> u32 {
    of_each * scale()
}
