//! What a committee is asked, what somebody claims of it, and what members compute of it.

use super::{enough_within, lanes_agree, Vote};
use crate::{
    bases::{blocks_agree, Spectrum},
    hash::{Hash, Tag},
    index::IndexRules,
    sketch::{Layout, Rule, Sketch},
    wire::{choices, fields, Field, Object, Reader, WireError},
};
use alloc::vec::Vec;

/// What a committee is asked about. One is before one committee at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Subject {
    /// The sketch of a row of an index.
    Row {
        /// Hash of the index's header.
        index: Hash,
        /// The row.
        row: u64,
    },
    /// The bases and eigenvalues of one module of an index.
    Basis {
        /// Hash of the index's header.
        index: Hash,
        /// The module.
        module: u16,
    },
    /// The adapter that an index is of: whether training on the declared data gives it.
    Training {
        /// Hash of the index's header.
        index: Hash,
    },
    /// The query sketch of an answer.
    Query {
        /// The batch.
        batch: u64,
        /// Position of the receipt; in a sampled batch, number of the draw.
        source: u64,
    },
    /// The records that retrieval showed in an answer's prompt, and their order.
    Ranks {
        /// The batch.
        batch: u64,
        /// As in [`Subject::Query`].
        source: u64,
    },
    /// Whether the model gives this answer to this prompt.
    Output {
        /// The batch.
        batch: u64,
        /// Position of the receipt.
        receipt: u64,
    },
}

impl Subject {
    /// Whether recomputing it needs text that only the accused and its consumer have. The accused hands it to
    /// the members; who got none, or another than was committed to, reveals [`Computed::Missing`], which
    /// speaks against the accused. Everything else is public, and who could not get it abstains.
    pub fn is_private(&self) -> bool {
        match self {
            Self::Row { .. } | Self::Basis { .. } | Self::Training { .. } => false,
            Self::Query { .. } | Self::Ranks { .. } | Self::Output { .. } => true,
        }
    }
}

/// What was committed to, as a committee's members compare with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum Claim {
    /// A sketch: of a row or of a query.
    Sketch(ClaimedSketch),
    /// Eigenvalues of a module, in bases that are to diagonalise.
    Spectra(ClaimedSpectra),
    /// Corpus entries, best first.
    Ranks(Vec<u64>),
    /// A hash that has to come out equal: the root of a salted answer, or an adapter.
    Digest(Hash),
    /// An answer in `fast` mode.
    Chosen(Chosen),
}

/// A committed sketch and what it takes to quantise another one like it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ClaimedSketch {
    /// The index's layout.
    pub layout: Layout,
    /// The index's numbers.
    pub rules: IndexRules,
    /// The sketch, valid by its bytes.
    pub sketch: Sketch,
}

/// Committed eigenvalues of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct ClaimedSpectra {
    /// ρ of the index, in parts per billion.
    pub rho: u32,
    /// One spectrum per row of the module's matrix.
    pub spectra: Vec<Spectrum>,
}

/// An answer in `fast` mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Chosen {
    /// Tokens of the answer.
    pub tokens: u32,
    /// How far a committed token's score, with the seed's noise, may be from the best: millionths of a logit.
    pub tau: u32,
}

/// What a member computed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub enum Computed {
    /// Of a sketch: its lanes at [`Rule::probe_exponents`] of the claimed one, rounded, not clipped (but kept
    /// within 16 bits), block by block.
    Lanes(Vec<i16>),
    /// Of bases.
    Spectra(OwnSpectra),
    /// Corpus entries, best first.
    Ranks(Vec<u64>),
    /// Of an answer in `verifiable` mode, the root hash of the recomputed text under the salts that were handed
    /// over; of a training, the adapter's hash.
    Digest(Hash),
    /// Of an answer in `fast` mode: at how many positions the committed token is within τ.
    Within(u32),
    /// Nothing: what it takes was not to be had, or was not what is committed to.
    Missing([u8; 0]),
}

/// What a member computed of a module's bases.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct OwnSpectra {
    /// Whether both covariances, rotated into the committed bases, pass
    /// [`diagonal`](crate::bases::diagonal).
    pub diagonal: bool,
    /// The eigenvalues, one spectrum per row of the module's matrix.
    pub spectra: Vec<Spectrum>,
}

fields!(ClaimedSketch {
    layout,
    rules,
    sketch
});
fields!(ClaimedSpectra { rho, spectra });
fields!(Chosen { tokens, tau });

impl Field for OwnSpectra {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { diagonal, spectra } = self;
        out.push(u8::from(*diagonal));
        spectra.write(out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let diagonal = match u8::read(from)? {
            0 => false,
            1 => true,
            other => return Err(WireError::Choice(other)),
        };
        let spectra = Field::read(from)?;
        Ok(Self { diagonal, spectra })
    }
}

choices!(Claim { 0 => Sketch, 1 => Spectra, 2 => Ranks, 3 => Digest, 4 => Chosen });
choices!(Computed { 0 => Lanes, 1 => Spectra, 2 => Ranks, 3 => Digest, 4 => Within, 5 => Missing });

impl Object for Claim {
    const TAG: Tag = *b"CLM1";
}

impl Object for Computed {
    const TAG: Tag = *b"CMP1";
}

impl Claim {
    /// What a member that computed this has to say of the claim. Nothing if it is no answer to it: another
    /// kind, another shape, or [`Computed::Missing`].
    pub fn vote(&self, computed: &Computed) -> Option<Vote> {
        let agrees = match (self, computed) {
            (Self::Sketch(claim), Computed::Lanes(lanes)) => {
                let rule = Rule::new(&claim.layout, &claim.rules).ok()?;
                let fits = lanes.len() == claim.sketch.lanes.len();
                let lanes: Vec<i32> = lanes.iter().map(|lane| i32::from(*lane)).collect();
                fits.then(|| rule.agrees(claim.sketch.view(), &lanes).is_ok())?
            }
            (Self::Spectra(claim), Computed::Spectra(own)) => {
                let fits = claim.spectra.len() == own.spectra.len()
                    && claim
                        .spectra
                        .iter()
                        .zip(&own.spectra)
                        .all(|(a, b)| a.values.len() == b.values.len());
                fits.then(|| own.diagonal && blocks_agree(&claim.spectra, &own.spectra, claim.rho))?
            }
            (Self::Ranks(claim), Computed::Ranks(own)) => claim == own,
            (Self::Digest(claim), Computed::Digest(own)) => claim == own,
            (Self::Chosen(claim), Computed::Within(within)) => (*within <= claim.tokens)
                .then(|| enough_within(u64::from(*within), u64::from(claim.tokens)))?,
            _ => return None,
        };
        Some(if agrees { Vote::Right } else { Vote::Wrong })
    }

    /// Whether two members that both say the claim is wrong computed the same.
    pub fn alike(&self, one: &Computed, other: &Computed) -> bool {
        match (self, one, other) {
            (Self::Sketch(_), Computed::Lanes(one), Computed::Lanes(other)) => {
                let wide = |lanes: &[i16]| -> Vec<i32> { lanes.iter().map(|lane| i32::from(*lane)).collect() };
                lanes_agree(&wide(one), &wide(other)).is_ok()
            }
            (Self::Spectra(claim), Computed::Spectra(one), Computed::Spectra(other)) => {
                one.diagonal == other.diagonal && blocks_agree(&one.spectra, &other.spectra, claim.rho)
            }
            // What is 99.5% of all may be off by the rest.
            (Self::Chosen(claim), Computed::Within(one), Computed::Within(other)) => {
                one.abs_diff(*other) <= claim.tokens.div_euclid(200).max(1)
            }
            _ => one == other,
        }
    }
}
