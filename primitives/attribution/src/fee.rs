//! What an answer costs and how the money is split: the formulas of the economy, on counts and in planck.

use crate::{
    hash::Tag,
    share::{apportion, BILLION},
    wide::multiply_divide,
    wire::{fields, Object},
};
use alloc::vec::Vec;

/// Percentages of a split are written in hundredths of a percent.
pub const BASIS: u16 = 10_000;

/// Prices are per this many tokens.
pub const TOKENS_PER_PRICE: u128 = 1_000;

/// Longest line of ancestors that is paid, the root generation included.
pub const MAX_ANCESTORS: usize = 16;

/// How the compute fee is split, in hundredths of a percent. All but `platform` add up to 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Split {
    /// On top of the compute fee, to the treasury.
    pub platform: u16,
    /// β: the model's owner.
    pub owner: u16,
    /// δ: the contributors.
    pub contributors: u16,
    /// γ: stakers behind the model and the worker, half each.
    pub stakers: u16,
    /// κ: the worker.
    pub compute: u16,
    /// λ: the model's ancestors.
    pub lineage: u16,
}

fields!(Split {
    platform,
    owner,
    contributors,
    stakers,
    compute,
    lineage
});

impl Split {
    /// Whether the parts add up to the whole.
    pub fn is_whole(&self) -> bool {
        let Self {
            platform,
            owner,
            contributors,
            stakers,
            compute,
            lineage,
        } = *self;
        let parts = [owner, contributors, stakers, compute, lineage];
        platform <= BASIS && parts.into_iter().map(u32::from).sum::<u32>() == u32::from(BASIS)
    }

    /// The same split with the part of each missing party moved to the contributors.
    pub fn without(self, missing: Missing) -> Self {
        let mut split = self;
        for (absent, part) in [
            (missing.owner, &mut split.owner),
            (missing.lineage, &mut split.lineage),
        ] {
            if absent {
                split.contributors = split.contributors.saturating_add(*part);
                *part = 0;
            }
        }
        split
    }
}

/// Parties that do not exist for a model. Compute and contributors always do: the fallback stands in for the latter. Whether
/// anybody stakes is not among them: it changes between an answer and its payment, and what a consumer signed must not
/// ([`stakers`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// The model has no owner.
    pub owner: bool,
    /// The generation has no ancestors.
    pub lineage: bool,
}

/// Weights of the three attribution channels in parts per billion, adding up to 10^9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Mix {
    /// What the adapter learned from whom.
    pub influence: u32,
    /// Whose words the answer uses.
    pub verbatim: u32,
    /// Which records the prompt was given.
    pub retrieval: u32,
}

fields!(Mix {
    influence,
    verbatim,
    retrieval
});

impl Mix {
    /// Whether the weights add up to the whole.
    pub fn is_whole(&self) -> bool {
        let Self {
            influence,
            verbatim,
            retrieval,
        } = *self;
        [influence, verbatim, retrieval]
            .into_iter()
            .map(u64::from)
            .sum::<u64>()
            == u64::from(BILLION)
    }
}

/// Prices and policies of one model at one time. Every receipt of a batch has the batch's tariff.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Tariff {
    /// Planck per 1,000 tokens of prompt.
    pub price_in: u128,
    /// Planck per 1,000 tokens of answer.
    pub price_out: u128,
    /// How a fee is split.
    pub split: Split,
    /// How the attribution channels are mixed.
    pub mix: Mix,
}

fields!(Tariff {
    price_in,
    price_out,
    split,
    mix
});

impl Object for Tariff {
    const TAG: Tag = *b"TAR1";
}

/// A fee in planck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// What is split among the parties.
    pub compute: u128,
    /// What the treasury gets on top.
    pub platform: u128,
}

impl Fee {
    /// compute + platform: what the consumer pays.
    pub fn total(&self) -> Option<u128> {
        self.compute.checked_add(self.platform)
    }
}

impl Tariff {
    /// Whether split and mix add up.
    pub fn is_whole(&self) -> bool {
        self.split.is_whole() && self.mix.is_whole()
    }

    /// compute = ⌈(in · R_in + out · R_out) / 1000⌉, platform = ⌊compute · share⌋; nothing if a step or their
    /// sum passes 2^128.
    pub fn fee(&self, input_tokens: u32, output_tokens: u32) -> Option<Fee> {
        let input = u128::from(input_tokens).checked_mul(self.price_in)?;
        let output = u128::from(output_tokens).checked_mul(self.price_out)?;
        let compute = input.checked_add(output)?.div_ceil(TOKENS_PER_PRICE);
        let (platform, _) = multiply_divide(compute, u128::from(self.split.platform), u128::from(BASIS))?;
        let fee = Fee { compute, platform };
        fee.total().map(|_| fee)
    }
}

/// Planck by destination: of one receipt, or added up over a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Parts {
    /// Treasury.
    pub platform: u128,
    /// The model's owner.
    pub owner: u128,
    /// Contributors of records.
    pub contributors: u128,
    /// The contributors' part of receipts that credit nobody: to the Datanets trained on, by weight.
    pub fallback: u128,
    /// Stakers.
    pub stakers: u128,
    /// The worker.
    pub compute: u128,
    /// Ancestors.
    pub lineage: u128,
}

fields!(Parts {
    platform,
    owner,
    contributors,
    fallback,
    stakers,
    compute,
    lineage
});

impl Parts {
    /// Splits one receipt's fee by largest remainder in the order β, δ, γ, κ, λ. `credited` tells whether its
    /// contributors' part goes to contributors or takes the fallback. Nothing if the split is not whole.
    pub fn of(fee: Fee, split: &Split, credited: bool) -> Option<Self> {
        if !split.is_whole() {
            return None;
        }
        let weights = [
            split.owner,
            split.contributors,
            split.stakers,
            split.compute,
            split.lineage,
        ];
        let parts = apportion(fee.compute, &weights.map(u128::from))?;
        let [owner, share, stakers, compute, lineage] = <[u128; 5]>::try_from(parts).ok()?;
        let (contributors, fallback) = if credited { (share, 0) } else { (0, share) };
        Some(Self {
            platform: fee.platform,
            owner,
            contributors,
            fallback,
            stakers,
            compute,
            lineage,
        })
    }

    /// Field by field, nothing if a sum passes 2^128.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.each(other, u128::checked_add)
    }

    /// Field by field, nothing if one would be negative.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.each(other, u128::checked_sub)
    }

    /// All fields added up.
    pub fn total(&self) -> Option<u128> {
        let Self {
            platform,
            owner,
            contributors,
            fallback,
            stakers,
            compute,
            lineage,
        } = *self;
        [platform, owner, contributors, fallback, stakers, compute, lineage]
            .into_iter()
            .try_fold(0u128, u128::checked_add)
    }

    fn each(self, other: Self, step: impl Fn(u128, u128) -> Option<u128>) -> Option<Self> {
        Some(Self {
            platform: step(self.platform, other.platform)?,
            owner: step(self.owner, other.owner)?,
            contributors: step(self.contributors, other.contributors)?,
            fallback: step(self.fallback, other.fallback)?,
            stakers: step(self.stakers, other.stakers)?,
            compute: step(self.compute, other.compute)?,
            lineage: step(self.lineage, other.lineage)?,
        })
    }
}

/// An amount cut in two halves, the first getting the odd planck: owner and Datanets of a root generation,
/// the model's pool and the worker's.
pub fn halves(amount: u128) -> (u128, u128) {
    let second = amount >> 1;
    (amount.saturating_sub(second), second)
}

/// Where the stakers' part goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stakers {
    /// To those behind the model.
    pub model: u128,
    /// To those behind the worker.
    pub worker: u128,
    /// Nobody's: it takes the way of contributors' parts that nobody is credited for, the fallback.
    pub missing: u128,
}

/// Divides the stakers' part: half to the model's pool, half to the worker's, as long as anybody stakes there when it is paid.
pub fn stakers(amount: u128, behind_model: bool, behind_worker: bool) -> Stakers {
    let (of_model, of_worker) = halves(amount);
    let model = if behind_model { of_model } else { 0 };
    let worker = if behind_worker { of_worker } else { 0 };
    Stakers {
        model,
        worker,
        missing: amount.saturating_sub(model).saturating_sub(worker),
    }
}

/// What each ancestor gets of `amount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Position in the list that was passed, and planck: ancestors nearer than the root that are paid,
    /// nearest first.
    pub nearer: Vec<(usize, u128)>,
    /// The owner of the root generation.
    pub root_owner: u128,
    /// The Datanets of the root generation.
    pub root_datanets: u128,
}

/// Divides the lineage part. `added_data` has one flag per ancestor between the model and its root, nearest
/// first, without the root: whether it added accepted data.
///
/// Half goes to the root generation, its owner and Datanets equally. The rest goes to those that added data,
/// each getting twice what the next one further away gets (largest remainder, the nearer first); if there is
/// none, it goes to the root as well. Of more than [`MAX_ANCESTORS`] (the root counted) the furthest but the
/// root are dropped: they are the middle of the line.
pub fn lineage(amount: u128, added_data: &[bool]) -> Option<Lineage> {
    let paid: Vec<usize> = added_data
        .iter()
        .enumerate()
        .filter_map(|(position, added)| added.then_some(position))
        .take(MAX_ANCESTORS.saturating_sub(1))
        .collect();
    let (mut root, rest) = halves(amount);
    let mut nearer = Vec::new();
    if paid.is_empty() {
        root = amount;
    } else {
        let weights: Vec<u128> = (0u32..)
            .zip(&paid)
            .map(|(distance, _)| (1u128 << MAX_ANCESTORS).checked_shr(distance).unwrap_or(0))
            .collect();
        nearer = paid.into_iter().zip(apportion(rest, &weights)?).collect();
    }
    let (root_owner, root_datanets) = halves(root);
    Some(Lineage {
        nearer,
        root_owner,
        root_datanets,
    })
}
