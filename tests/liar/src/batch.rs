//! Lies in the trees of a batch. Whatever is changed is committed to again, so that the headers add up.

use crate::Lie;
use openledger_attribution::{
    batch::{BatchHeader, CreditLeaf, CreditsHeader, Ledger, PartLeaf},
    tree::{Leaf, Root, Tree},
    wire::Object,
};
use openledger_worker::{attribute::Made, db::BatchRow};

/// Changes a settled batch. A batch in which this lie has no place is submitted as it is.
pub(crate) fn commit(lie: Lie, made: Made<'_>) {
    let Made { batch, receipts } = made;
    let own = batch.header.worker;
    match lie {
        Lie::Count => {
            receipts[0].receipt.input_tokens += 1;
            batch.receipts[0].receipt = receipts[0].receipt.hash();
        }
        Lie::Stranger => {
            receipts[0].receipt.worker = [0x55; 32];
            batch.receipts[0].receipt = receipts[0].receipt.hash();
        }
        Lie::Voucher => {
            receipts[0].receipt.voucher.most += 1;
            batch.receipts[0].receipt = receipts[0].receipt.hash();
        }
        // The money stays the same, and where it was before does not.
        Lie::Overlap => batch.receipts[0].cumulative -= 1,
        Lie::Order if receipts.len() > 1 => {
            batch.receipts.swap(0, 1);
            receipts.swap(0, 1);
        }
        Lie::Totals => {
            let last = batch.receipts.len() - 1;
            for totals in [&mut batch.header.totals, &mut batch.receipts[last].running] {
                totals.owner -= 1;
                totals.compute += 1;
            }
        }
        Lie::Part if !batch.parts.is_empty() => {
            batch.parts[0].contributor = own;
            batch.parts.sort_by_key(|part| (part.contributor, part.source));
            batch.credits = credits(&batch.parts, batch.header.minimum);
        }
        Lie::Amount => {
            if let Some((from, to)) = two_parts(&batch.parts) {
                batch.parts[from].amount -= 1;
                batch.parts[to].amount += 1;
                batch.credits = credits(&batch.parts, batch.header.minimum);
            }
        }
        Lie::PartOrder if batch.parts.len() > 1 => batch.parts.swap(0, 1),
        Lie::NoCredit if !batch.credits.is_empty() => {
            batch.credits.remove(0);
        }
        Lie::Credit if !batch.credits.is_empty() => {
            batch.credits[0].contributor = own;
            batch.credits.sort_by_key(|credit| credit.contributor);
        }
        Lie::Skim if !batch.credits.is_empty() => batch.credits[0].amount -= 1,
        Lie::CreditOrder if batch.credits.len() > 1 => batch.credits.swap(0, 1),
        _ => return,
    }
    recommit(batch);
}

/// Changes what draws are answered with.
pub(crate) fn answer_draws(lie: Lie, batch: &BatchHeader, ledger: &mut Ledger) {
    match lie {
        Lie::Draw => ledger.answers[0].receipt = (ledger.answers[0].receipt + 1) % batch.receipts.count,
        Lie::Forfeit => {
            ledger.answers[0].attribution = [0; 32];
            ledger.parts.retain(|part| part.source != 0);
            ledger.credits = credits(&ledger.parts, batch.minimum);
        }
        _ => return,
    }
    ledger.header = CreditsHeader {
        batch: batch.hash(),
        answers: root(&ledger.answers),
        parts: root(&ledger.parts),
        credits: root(&ledger.credits),
    };
}

fn recommit(batch: &mut BatchRow) {
    batch.header.receipts = root(&batch.receipts);
    batch.credits_header = CreditsHeader {
        batch: batch.header.hash(),
        answers: batch.credits_header.answers,
        parts: root(&batch.parts),
        credits: root(&batch.credits),
    };
}

fn root<L: Leaf>(leaves: &[L]) -> Root {
    Tree::new(leaves).map_or(Root::EMPTY, |tree| tree.root())
}

/// Credits that add up the parts as they are.
fn credits(parts: &[PartLeaf], minimum: u128) -> Vec<CreditLeaf> {
    let mut all = Vec::new();
    let mut first = 0u64;
    for own in parts.chunk_by(|a, b| a.contributor == b.contributor) {
        let end = first + own.len() as u64;
        all.push(CreditLeaf {
            contributor: own[0].contributor,
            first,
            end,
            amount: own.iter().map(|part| part.amount).sum(),
        });
        first = end;
    }
    all.retain(|credit| credit.amount >= minimum);
    all
}

/// Parts of different contributors, the first of more than a planck.
fn two_parts(parts: &[PartLeaf]) -> Option<(usize, usize)> {
    let from = parts.iter().position(|part| part.amount > 1)?;
    let to = parts
        .iter()
        .position(|part| part.contributor != parts[from].contributor)?;
    Some((from, to))
}
