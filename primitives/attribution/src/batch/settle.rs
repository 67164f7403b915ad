//! Making a batch out of receipts: what an honest worker commits to.

use super::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, PartLeaf, ReceiptLeaf};
use crate::{
    attribution::Attribution,
    fee::Parts,
    hash::{Account, NONE},
    receipt::{Receipt, ReceiptFlaw},
    tree::{BuildError, Root, Tree},
    wire::Object,
};
use alloc::vec::Vec;
use core::fmt;

/// Why receipts cannot be settled together. Positions count the receipts as they were passed, draws from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleError {
    /// This receipt is of another worker, model, generation, index or tariff.
    Other(usize),
    /// This receipt falls by itself.
    Flaw(usize, ReceiptFlaw),
    /// This receipt does not start where its channel stands.
    Cursor(usize),
    /// This receipt's attribution is missing, is another one, or is not well shaped.
    Attribution(usize),
    /// Parts or draws for a batch of the other kind.
    Kind,
    /// A sum passes 2^128.
    Sum,
    /// A tree cannot be built.
    Tree(BuildError),
}

impl fmt::Display for SettleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(n) => write!(
                f,
                "receipt {n} has another worker, model, index or tariff: batch it apart"
            ),
            Self::Flaw(n, flaw) => write!(f, "receipt {n} breaks a rule ({flaw:?}): leave it out"),
            Self::Cursor(n) => {
                write!(
                    f,
                    "receipt {n} does not start where its channel stands: add the receipts before it"
                )
            }
            Self::Attribution(n) => write!(
                f,
                "the attribution of receipt {n} is missing or wrong: attribute it again"
            ),
            Self::Kind => write!(
                f,
                "full batches have no draws and sampled ones nothing else: settle it the other way"
            ),
            Self::Sum => write!(f, "the amounts pass 2^128 planck: split the batch"),
            Self::Tree(error) => write!(f, "{error}"),
        }
    }
}

impl core::error::Error for SettleError {}

/// A batch's leaves and header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// What state keeps.
    pub header: BatchHeader,
    /// Leaves of the tree of channels.
    pub channels: Vec<ChannelLeaf>,
    /// Leaves of the tree of receipts.
    pub receipts: Vec<ReceiptLeaf>,
    /// For each receipt leaf, which of the receipts passed it is.
    pub order: Vec<usize>,
}

/// Who is paid: the leaves and the header of a batch's credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// What state keeps.
    pub header: CreditsHeader,
    /// Leaves of the tree of answers, none in a full batch.
    pub answers: Vec<DrawLeaf>,
    /// Leaves of the tree of parts.
    pub parts: Vec<PartLeaf>,
    /// Leaves of the tree of credits.
    pub credits: Vec<CreditLeaf>,
}

/// Settles receipts into one batch.
///
/// `order` is a header with what all receipts share: worker, model, generation, index, tariff, draws and
/// minimum; its roots and totals are computed. `cursors` are the channels with their consumers and cursors in
/// `from`. `answers` are the receipts in any order (those of one channel that cost nothing in theirs), each
/// with its attribution unless the batch is sampled. A full batch comes with its credits.
pub fn settle(
    order: &BatchHeader,
    cursors: &[ChannelLeaf],
    answers: &[(Receipt, Option<Attribution>)],
) -> Result<(Settled, Option<Ledger>), SettleError> {
    let mut sequence: Vec<(u64, u128, u128, usize)> = Vec::with_capacity(answers.len());
    for (n, (receipt, _)) in answers.iter().enumerate() {
        check(order, n, receipt)?;
        let cumulative = receipt.cumulative().ok_or(SettleError::Sum)?;
        sequence.push((receipt.voucher.channel, receipt.voucher.accepted, cumulative, n));
    }
    sequence.sort_unstable();

    let mut channels: Vec<ChannelLeaf> = Vec::new();
    let mut leaves = Vec::with_capacity(answers.len());
    let mut parts = Vec::new();
    let mut running = Parts::default();
    for (position, (channel, accepted, cumulative, n)) in (0u64..).zip(&sequence) {
        let Some((receipt, attribution)) = answers.get(*n) else {
            continue;
        };
        match channels.last_mut().filter(|last| last.channel == *channel) {
            Some(last) if last.to == *accepted => last.to = *cumulative,
            Some(_) => return Err(SettleError::Cursor(*n)),
            None => {
                let cursor = cursors
                    .iter()
                    .find(|cursor| cursor.channel == *channel && cursor.from == *accepted);
                let cursor = *cursor.ok_or(SettleError::Cursor(*n))?;
                channels.push(ChannelLeaf {
                    to: *cumulative,
                    ..cursor
                });
            }
        }
        let (own, amounts) = divide(order, *n, receipt, attribution.as_ref())?;
        running = running.plus(own).ok_or(SettleError::Sum)?;
        for (contributor, amount) in amounts {
            parts.push(PartLeaf {
                contributor,
                source: position,
                amount,
            });
        }
        let (channel, cumulative) = (*channel, *cumulative);
        leaves.push(ReceiptLeaf {
            channel,
            cumulative,
            fee: receipt.fee,
            receipt: receipt.hash(),
            running,
        });
    }

    let header = BatchHeader {
        channels: root(&channels)?,
        receipts: root(&leaves)?,
        totals: running,
        ..*order
    };
    let order = sequence.into_iter().map(|(_, _, _, n)| n).collect();
    let settled = Settled {
        header,
        channels,
        receipts: leaves,
        order,
    };
    let ledger = if header.is_sampled() {
        None
    } else {
        Some(credit(&header, Vec::new(), parts)?)
    };
    Ok((settled, ledger))
}

/// Answers the draws of a sampled batch: for each draw the position of the drawn receipt, and its attribution
/// if it can be given.
pub fn settle_draws(
    header: &BatchHeader,
    draws: &[(u64, Option<Attribution>)],
) -> Result<Ledger, SettleError> {
    if !header.is_sampled() || draws.len() != usize::from(header.draws) {
        return Err(SettleError::Kind);
    }
    let mut answers = Vec::with_capacity(draws.len());
    let mut parts = Vec::new();
    for ((draw, n), (receipt, attribution)) in (0u64..).zip(0usize..).zip(draws) {
        let carried = header.draw_amount(draw).ok_or(SettleError::Kind)?;
        let Some(attribution) = attribution else {
            answers.push(DrawLeaf {
                receipt: *receipt,
                attribution: NONE,
                forfeit: carried,
            });
            continue;
        };
        let amounts = attribution
            .amounts(&header.tariff.mix, carried)
            .ok_or(SettleError::Attribution(n))?;
        for (contributor, amount) in amounts {
            parts.push(PartLeaf {
                contributor,
                source: draw,
                amount,
            });
        }
        answers.push(DrawLeaf {
            receipt: *receipt,
            attribution: attribution.hash(),
            forfeit: 0,
        });
    }
    credit(header, answers, parts)
}

fn check(order: &BatchHeader, n: usize, receipt: &Receipt) -> Result<(), SettleError> {
    let terms = &receipt.terms;
    let same = receipt.worker == order.worker
        && terms.model == order.model
        && terms.generation == order.generation
        && terms.index == order.index
        && terms.tariff == order.tariff;
    if !same {
        return Err(SettleError::Other(n));
    }
    receipt.check().map_err(|flaw| SettleError::Flaw(n, flaw))
}

/// A receipt's money by destination and, in a full batch, by contributor.
fn divide(
    order: &BatchHeader,
    n: usize,
    receipt: &Receipt,
    attribution: Option<&Attribution>,
) -> Result<(Parts, Vec<(Account, u128)>), SettleError> {
    let wrong = SettleError::Attribution(n);
    if order.is_sampled() {
        if !receipt.is_deferred() {
            return Err(wrong);
        }
        return Ok((receipt.parts(true).ok_or(SettleError::Sum)?, Vec::new()));
    }
    let attribution = attribution
        .filter(|own| own.hash() == receipt.attribution)
        .ok_or(wrong)?;
    let mix = &order.tariff.mix;
    let credited = attribution.credits_anyone(mix).ok_or(wrong)?;
    let own = receipt.parts(credited).ok_or(SettleError::Sum)?;
    let amounts = attribution.amounts(mix, own.contributors).ok_or(wrong)?;
    Ok((own, amounts))
}

/// Sorts parts and adds up the credits.
fn credit(batch: &BatchHeader, answers: Vec<DrawLeaf>, parts: Vec<PartLeaf>) -> Result<Ledger, SettleError> {
    let mut parts = parts;
    parts.sort_unstable_by_key(|part| (part.contributor, part.source));
    let mut credits: Vec<CreditLeaf> = Vec::new();
    for (position, part) in (0u64..).zip(&parts) {
        let end = position.checked_add(1).ok_or(SettleError::Sum)?;
        match credits
            .last_mut()
            .filter(|last| last.contributor == part.contributor)
        {
            Some(last) => {
                last.amount = last.amount.checked_add(part.amount).ok_or(SettleError::Sum)?;
                last.end = end;
            }
            None => credits.push(CreditLeaf {
                contributor: part.contributor,
                first: position,
                end,
                amount: part.amount,
            }),
        }
    }
    credits.retain(|credit| credit.amount >= batch.minimum);
    let header = CreditsHeader {
        batch: batch.hash(),
        answers: root(&answers)?,
        parts: root(&parts)?,
        credits: root(&credits)?,
    };
    Ok(Ledger {
        header,
        answers,
        parts,
        credits,
    })
}

fn root<L: crate::tree::Leaf>(leaves: &[L]) -> Result<Root, SettleError> {
    Ok(Tree::new(leaves).map_err(SettleError::Tree)?.root())
}
