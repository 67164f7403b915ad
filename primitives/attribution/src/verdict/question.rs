//! What only recomputing can tell: opened here as far as integers go, and then put before a committee.
//!
//! A question is [`Doubt`]ed like evidence: its paths must lead to what is committed, and what the chain can
//! judge by itself is no question. What is left is the [`Claim`] that members compare with.

use super::{AnswerProof, BatchFacts, Doubt, RevealedReceipt};
use crate::{
    attribution::Piece,
    bases::{BasisLeaf, Part, Place},
    batch::{draw_position, PartLeaf, ReceiptLeaf},
    committee::{Chosen, Claim, ClaimedSketch, ClaimedSpectra, Subject},
    hash::{Hash, Tag},
    index::{IndexHeader, IndexLeaf},
    sketch::{Layout, Sketch},
    tree::{Opening, Range},
    voucher::Mode,
    wide::multiply_divide,
    wire::{choices, fields, Object},
};
use alloc::vec::Vec;

/// A question about a batch; its worker answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum BatchQuestion {
    /// Is this the query sketch of the answer?
    Query(AskedQuery),
    /// Are these the records that retrieval gives?
    Ranks(AnswerProof),
    /// Does the model give this answer?
    Output(RevealedReceipt),
}

choices!(BatchQuestion { 0 => Query, 1 => Ranks, 2 => Output });

impl Object for BatchQuestion {
    const TAG: Tag = *b"QUB1";
}

/// An answer's query sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct AskedQuery {
    /// The answer.
    pub answer: AnswerProof,
    /// The index's layout.
    pub layout: Layout,
    /// The sketch.
    pub query: Sketch,
}

fields!(AskedQuery {
    answer,
    layout,
    query
});

/// A question about an index; its builder answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum IndexQuestion {
    /// Is this the sketch of the row?
    Row(AskedRow),
    /// Do these bases and eigenvalues follow from the drawn rows?
    Basis(AskedBasis),
    /// Does training give this adapter?
    Training([u8; 0]),
}

choices!(IndexQuestion { 0 => Row, 1 => Basis, 2 => Training });

impl Object for IndexQuestion {
    const TAG: Tag = *b"QUI1";
}

/// A row of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct AskedRow {
    /// The index's layout.
    pub layout: Layout,
    /// The row.
    pub row: Opening<IndexLeaf>,
}

fields!(AskedRow { layout, row });

/// The bases of one module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct AskedBasis {
    /// The index's layout.
    pub layout: Layout,
    /// The module.
    pub module: u16,
    /// All of its spectrum leaves.
    pub spectra: Range<BasisLeaf>,
}

fields!(AskedBasis {
    layout,
    module,
    spectra
});

fn sketch_claim(header: &IndexHeader, layout: &Layout, sketch: &Sketch) -> Claim {
    Claim::Sketch(ClaimedSketch {
        layout: layout.clone(),
        rules: header.rules,
        sketch: sketch.clone(),
    })
}

fn row_claim(header: &IndexHeader, layout: &Layout, row: &Opening<IndexLeaf>) -> Result<Claim, Doubt> {
    row.verify(&header.rows).ok_or(Doubt::Proof)?;
    let rule = header.rule(layout).ok_or(Doubt::Object)?;
    // Bytes that no gradient gives need no committee.
    rule.check(row.leaf.sketch.view()).map_err(|_| Doubt::Unrelated)?;
    Ok(sketch_claim(header, layout, &row.leaf.sketch))
}

fn query_claim(
    facts: &BatchFacts<'_>,
    answer: &AnswerProof,
    layout: &Layout,
    query: &Sketch,
) -> Result<Claim, Doubt> {
    // A channel without weight moves no money; nobody has to fill it.
    if facts.batch.tariff.mix.influence == 0 {
        return Err(Doubt::Right);
    }
    let rule = facts.index.rule(layout).ok_or(Doubt::Object)?;
    if answer.query(&rule, query)?.is_some() {
        return Err(Doubt::Unrelated);
    }
    Ok(sketch_claim(facts.index, layout, query))
}

fn ranks_claim(facts: &BatchFacts<'_>, answer: &AnswerProof) -> Result<Claim, Doubt> {
    if facts.batch.tariff.mix.retrieval == 0 {
        return Err(Doubt::Right);
    }
    let entries = answer.attribution.retrieved.iter().map(|record| record.entry);
    Ok(Claim::Ranks(entries.collect()))
}

impl BatchQuestion {
    /// The receipt that it is about.
    pub fn receipt(&self) -> &Opening<ReceiptLeaf> {
        match self {
            Self::Query(asked) => &asked.answer.leaf,
            Self::Ranks(answer) => &answer.leaf,
            Self::Output(shown) => &shown.leaf,
        }
    }

    /// What it is about, in batch number `batch`.
    pub fn subject(&self, batch: u64) -> Subject {
        match self {
            Self::Query(asked) => Subject::Query {
                batch,
                source: asked.answer.source(),
            },
            Self::Ranks(answer) => Subject::Ranks {
                batch,
                source: answer.source(),
            },
            Self::Output(shown) => Subject::Output {
                batch,
                receipt: shown.leaf.index,
            },
        }
    }

    /// What the batch claims there; `tau` is the chain's tolerance for answers in `fast` mode, in millionths of
    /// a logit.
    pub fn claim(&self, facts: &BatchFacts<'_>, tau: u32) -> Result<Claim, Doubt> {
        if !facts.belong_together() {
            return Err(Doubt::Facts);
        }
        match self {
            Self::Query(asked) => {
                asked.answer.open(facts)?;
                query_claim(facts, &asked.answer, &asked.layout, &asked.query)
            }
            Self::Ranks(answer) => {
                answer.open(facts)?;
                ranks_claim(facts, answer)
            }
            Self::Output(shown) => {
                shown.leaf.verify(&facts.batch.receipts).ok_or(Doubt::Proof)?;
                let receipt = &shown.receipt;
                if receipt.hash() != shown.leaf.leaf.receipt {
                    return Err(Doubt::Object);
                }
                Ok(match receipt.terms.mode {
                    Mode::Verifiable => Claim::Digest(receipt.output),
                    Mode::Fast => Claim::Chosen(Chosen {
                        tokens: receipt.output_tokens,
                        tau,
                    }),
                })
            }
        }
    }

    /// Whether members need a machine like the accused's: the same bits are asked for.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Output(shown) if shown.receipt.terms.mode == Mode::Verifiable)
    }
}

impl IndexQuestion {
    /// What it is about, in the index with this hash.
    pub fn subject(&self, index: Hash) -> Subject {
        match self {
            Self::Row(asked) => Subject::Row {
                index,
                row: asked.row.index,
            },
            Self::Basis(asked) => Subject::Basis {
                index,
                module: asked.module,
            },
            Self::Training([]) => Subject::Training { index },
        }
    }

    /// What the index claims there.
    pub fn claim(&self, header: &IndexHeader) -> Result<Claim, Doubt> {
        match self {
            Self::Row(asked) => row_claim(header, &asked.layout, &asked.row),
            Self::Basis(asked) => asked.claim(header),
            Self::Training([]) => Ok(Claim::Digest(header.adapter)),
        }
    }

    /// Whether members need a machine like the accused's: the same bits are asked for.
    pub fn is_exact(&self) -> bool {
        matches!(self, Self::Training([]))
    }
}

impl AskedBasis {
    fn claim(&self, header: &IndexHeader) -> Result<Claim, Doubt> {
        if self.layout.hash() != header.layout {
            return Err(Doubt::Object);
        }
        let at = usize::from(self.module);
        let module = self.layout.modules.get(at).ok_or(Doubt::Unrelated)?;
        let before = self.layout.modules.iter().take(at);
        let start = before
            .fold(0u64, |sum, module| sum.saturating_add(module.basis_leaves()))
            .saturating_add(u64::from(module.rows))
            .saturating_add(u64::from(module.columns));
        if self.spectra.start != start || self.spectra.leaves.len() != usize::from(module.rows) {
            return Err(Doubt::Unrelated);
        }
        self.spectra.verify(&header.bases).ok_or(Doubt::Proof)?;
        let mut spectra = Vec::new();
        for (row, leaf) in (0u64..).zip(&self.spectra.leaves) {
            let place = Place {
                part: Part::Spectrum,
                module: at,
                row,
                length: usize::from(module.columns),
            };
            match leaf {
                // A leaf that does not fit its place needs no committee.
                BasisLeaf::Spectrum(spectrum) if place.fits(leaf) => spectra.push(spectrum.clone()),
                _ => return Err(Doubt::Unrelated),
            }
        }
        Ok(Claim::Spectra(ClaimedSpectra {
            rho: header.rules.rho,
            spectra,
        }))
    }
}

/// What a worker shows of the row that the chain drew in its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Audit {
    /// The part that covers the drawn planck.
    pub part: Opening<PartLeaf>,
    /// The answer that it is of.
    pub answer: AnswerProof,
    /// What was drawn of the answer.
    pub shown: AuditShown,
}

fields!(Audit {
    part,
    answer,
    shown
});

impl Object for Audit {
    const TAG: Tag = *b"AUD1";
}

/// What is shown beside the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum AuditShown {
    /// The query sketch: a listed row is drawn, and the side of the query.
    Query(AuditedQuery),
    /// The row: a listed row is drawn, and the side of the index.
    Row(AskedRow),
    /// Nothing: a retrieved record or a record of a span is drawn.
    Nothing([u8; 0]),
}

choices!(AuditShown { 0 => Query, 1 => Row, 2 => Nothing });

/// The query sketch of the audited answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct AuditedQuery {
    /// The index's layout.
    pub layout: Layout,
    /// The sketch.
    pub query: Sketch,
}

fields!(AuditedQuery { layout, query });

/// What an audit is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audited {
    /// The query sketch of the answer; the batch's worker answers for it.
    Query(Claim),
    /// A row; the index's builder answers for it.
    Row(u64, Claim),
    /// Retrieved records; the batch's worker answers for them.
    Ranks(Claim),
    /// A span: every number of it is judged on the chain.
    Span,
}

impl Audited {
    /// What members compare with.
    pub fn claim(self) -> Option<Claim> {
        match self {
            Self::Query(claim) | Self::Row(_, claim) | Self::Ranks(claim) => Some(claim),
            Self::Span => None,
        }
    }
}

/// Which planck of the parts is drawn, and which side of a listed row.
///
/// The planck is below the parts' sum, so a part is drawn in proportion to its amount; of the part the piece
/// is drawn by the same planck, in proportion to what it weighs. Every listed row is met from both sides: its own
/// sketch or the query's, either half of the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditDraw {
    /// The planck.
    pub position: u128,
    /// Whether the index's side is drawn.
    pub of_row: bool,
}

impl AuditDraw {
    /// What `randomness` draws of a batch. Nothing without credits, or if they attribute nothing.
    pub fn new(facts: &BatchFacts<'_>, randomness: &Hash) -> Option<Self> {
        let sum = facts.credits?.parts.sum;
        if sum == 0 {
            return None;
        }
        let batch = facts.batch.hash();
        Some(Self {
            position: draw_position(randomness, b"audt", &batch, 0, sum),
            of_row: draw_position(randomness, b"side", &batch, 0, 2) == 1,
        })
    }
}

impl Audit {
    /// What is to be recomputed, if this shows what was drawn.
    pub fn judge(&self, facts: &BatchFacts<'_>, draw: &AuditDraw) -> Result<Audited, Doubt> {
        if !facts.belong_together() {
            return Err(Doubt::Facts);
        }
        let piece = self.piece(facts, draw)?;
        match (piece, &self.shown) {
            (Piece::Listed(_), AuditShown::Query(shown)) if !draw.of_row => {
                query_claim(facts, &self.answer, &shown.layout, &shown.query).map(Audited::Query)
            }
            (Piece::Listed(at), AuditShown::Row(shown)) if draw.of_row => {
                let entry = self.answer.attribution.list.get(at).ok_or(Doubt::Unrelated)?;
                if shown.row.index != entry.row {
                    return Err(Doubt::Unrelated);
                }
                let claim = row_claim(facts.index, &shown.layout, &shown.row)?;
                Ok(Audited::Row(entry.row, claim))
            }
            (Piece::Retrieved, AuditShown::Nothing([])) => {
                ranks_claim(facts, &self.answer).map(Audited::Ranks)
            }
            (Piece::Span, AuditShown::Nothing([])) => Ok(Audited::Span),
            _ => Err(Doubt::Incomplete),
        }
    }

    /// The piece of the answer that the drawn planck falls on.
    pub fn piece(&self, facts: &BatchFacts<'_>, draw: &AuditDraw) -> Result<Piece, Doubt> {
        let before = self
            .part
            .verify(&facts.credits()?.parts)
            .ok_or(Doubt::Proof)?;
        let part = &self.part.leaf;
        let offset = draw
            .position
            .checked_sub(before)
            .filter(|offset| *offset < part.amount)
            .ok_or(Doubt::Unrelated)?;
        self.answer.open(facts)?;
        if self.answer.source() != part.source {
            return Err(Doubt::Unrelated);
        }
        let pieces = self
            .answer
            .attribution
            .pieces(&facts.batch.tariff.mix, &part.contributor)
            .ok_or(Doubt::Unrelated)?;
        let weight = pieces
            .iter()
            .fold(0u128, |sum, (_, weight)| sum.saturating_add(*weight));
        // Below the weight, since the offset is below the amount.
        let (target, _) = multiply_divide(offset, weight, part.amount).ok_or(Doubt::Unrelated)?;
        let mut end = 0u128;
        pieces
            .into_iter()
            .find(|(_, weight)| {
                end = end.saturating_add(*weight);
                target < end
            })
            .map(|(piece, _)| piece)
            .ok_or(Doubt::Unrelated)
    }

    /// The receipt that it is about.
    pub fn receipt(&self) -> &Opening<ReceiptLeaf> {
        &self.answer.leaf
    }

    /// What a committee is asked about, if it is; in batch number `batch` of the index with this hash.
    pub fn subject(&self, audited: &Audited, batch: u64, index: Hash) -> Option<Subject> {
        let source = self.answer.source();
        match audited {
            Audited::Query(_) => Some(Subject::Query { batch, source }),
            Audited::Ranks(_) => Some(Subject::Ranks { batch, source }),
            Audited::Row(row, _) => Some(Subject::Row { index, row: *row }),
            Audited::Span => None,
        }
    }
}
