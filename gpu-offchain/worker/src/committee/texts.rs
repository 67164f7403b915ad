//! What an accused publishes of an answer and hands over: taken only if the chain and the receipt commit to it.

use crate::{
    error::Result,
    formats::{root_hash, unwire, Parameters},
};
use openledger_attribution::{
    batch::{DrawLeaf, ReceiptLeaf},
    hash::{keccak, NONE},
    receipt::Receipt,
    text::{text_leaves, TextLeaf},
    tree::{Leaf, Root, Tree},
    wire::{Field, Object},
};
use openledger_protocol::{batches::Batch, committees::Handed, Account, Hash};

/// The texts behind an answer.
#[derive(Debug, PartialEq)]
pub(super) struct Texts {
    pub(super) prompt: Vec<u32>,
    /// Of all choices, one after the other.
    output: Vec<u32>,
    choices: Vec<usize>,
    pub(super) parameters: Parameters,
    /// Of the answer's chunks.
    salts: Vec<Hash>,
}

impl Texts {
    /// What was handed over, if that is what the receipt commits to and a model with so many tokens and positions can have read and
    /// given it.
    pub(super) fn of(
        handed: &Handed,
        receipt: &Receipt,
        (vocabulary, context): (usize, usize),
    ) -> Option<Self> {
        let terms = &receipt.terms;
        let is_right = root_hash(&handed.prompt).ok()? == terms.prompt
            && root_hash(&handed.output).ok()? == receipt.output
            && keccak(&[&handed.parameters]) == terms.parameters;
        let parameters = Parameters::parse(&handed.parameters).ok().filter(|_| is_right)?;
        let tokens = |chunks: &[TextLeaf]| -> Vec<u32> {
            chunks
                .iter()
                .flat_map(|chunk| chunk.tokens.iter().copied())
                .collect()
        };
        let texts = Self {
            prompt: tokens(&handed.prompt),
            output: tokens(&handed.output),
            choices: handed.choices.iter().map(|tokens| *tokens as usize).collect(),
            parameters,
            salts: handed.output.iter().map(|chunk| chunk.salt).collect(),
        };
        let longest = texts.choices.iter().copied().max()?;
        let all = texts
            .choices
            .iter()
            .try_fold(0usize, |sum, tokens| sum.checked_add(*tokens))?;
        let is_possible = texts.choices.len() == texts.parameters.n as usize
            && longest <= texts.parameters.max_tokens as usize
            && all == texts.output.len()
            && texts.prompt.len().checked_add(longest)? <= context
            && texts
                .prompt
                .iter()
                .chain(&texts.output)
                .all(|token| (*token as usize) < vocabulary);
        is_possible.then_some(texts)
    }

    /// The tokens of each choice.
    pub(super) fn outputs(&self) -> Vec<&[u32]> {
        let mut rest = self.output.as_slice();
        let own = |tokens: &usize| {
            let (own, further) = rest.split_at(*tokens);
            rest = further;
            own
        };
        self.choices.iter().map(own).collect()
    }
}

impl Texts {
    /// Most tokens of a choice.
    pub(super) fn longest(&self) -> usize {
        self.choices.iter().copied().max().unwrap_or(0)
    }

    /// The root hash of other tokens for each choice, under the salts of the committed answer. Each choice counts as far as the committed
    /// one goes: an answer that its consumer did not wait for is the beginning of what the model gives.
    pub(super) fn digest(&self, recomputed: &[Vec<u32>]) -> Result<Hash> {
        let tokens: Vec<u32> = recomputed
            .iter()
            .zip(&self.choices)
            .flat_map(|(own, most)| own.iter().take(*most).copied())
            .collect();
        // Fewer tokens have fewer chunks, never more.
        let salt = |n: u64| {
            let at = usize::try_from(n).ok();
            at.and_then(|at| self.salts.get(at)).copied().unwrap_or(NONE)
        };
        root_hash(&text_leaves(&tokens, salt))
    }
}

/// Which receipt of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// The one at this position.
    Position(u64),
    /// The one behind this source: in a sampled batch a draw, in another a position.
    Source(u64),
}

/// A receipt of a batch, if it is what the chain commits to.
pub(super) fn published(json: &[u8], batch: &Batch<Account>, which: Which) -> Option<Receipt> {
    let json: serde_json::Value = serde_json::from_slice(json).ok()?;
    let bytes = |value: &serde_json::Value| hex::decode(value.as_str()?.strip_prefix("0x")?).ok();
    fn tree<L: Leaf + Field>(bytes: Vec<u8>, root: &Root) -> Option<Vec<L>> {
        let leaves: Vec<L> = unwire(&bytes).ok()?;
        let own = Tree::new(&leaves).ok()?.root();
        (own == *root).then_some(leaves)
    }
    let receipts: Vec<ReceiptLeaf> = tree(bytes(&json["receipts"])?, &batch.header.receipts)?;
    let at = match which {
        Which::Source(source) if batch.header.is_sampled() => {
            let draws: Vec<DrawLeaf> = tree(bytes(&json["draws"])?, &batch.credits.answers)?;
            draws.get(usize::try_from(source).ok()?)?.receipt
        }
        Which::Source(at) | Which::Position(at) => at,
    };
    let at = usize::try_from(at).ok()?;
    let receipt: Receipt = Object::decode(&bytes(&json["answers"][at]["receipt"])?).ok()?;
    (receipts.get(at)?.receipt == receipt.hash()).then_some(receipt)
}

#[cfg(test)]
mod tests;
