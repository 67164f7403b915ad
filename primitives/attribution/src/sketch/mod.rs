//! Sketches: what a gradient becomes once floating point ends.
//!
//! A sketch has one block per module of a [`Layout`]: `lanes` signed bytes and one exponent `e`, standing for
//! the numbers `lane · 2^e`. Two sketches of one layout have an exact [`score`](Rule::score).
//!
//! A block is *valid* by its bytes alone: no byte is −128; a zero block carries the floor exponent; any other
//! has an exponent from the floor to the ceiling and a byte of at least 64 in size, because the quantiser
//! takes the least exponent at which the largest lane still fits. Under the floor a gradient is zero. Above
//! the ceiling, [`SPAN`] doublings higher, its lanes are clipped to ±127; no gradient met in practice is so
//! large, but so every pair of valid sketches has a score and every list has a total.

mod agree;
mod projection;
mod score;

pub use agree::Disagreement;
pub use projection::{sign, signs, Side, SIGNS};
pub use score::{dot, Score};

use crate::{
    hash::{Hash, Tag},
    index::IndexRules,
    tree::Leaf,
    wire::{fields, Field, Object, Reader, WireError},
};
use alloc::vec::Vec;
use core::fmt;

/// Most bytes of a row: one per module for the exponents, one per lane.
pub const MAX_ROW_BYTES: u32 = 32 * 1024;

/// The ceiling exponent is this far above the floor: scores stay under 2^117 and a list's total under 2^125.
pub const SPAN: i8 = 44;

/// Largest floor and ceiling exponent.
pub const MAX_EXPONENT: i8 = 63;

/// Smallest floor exponent.
pub const MIN_EXPONENT: i8 = -64;

/// Most entries an index may allow in a list.
pub const MAX_TOP: u16 = 256;

/// `z` is written in hundredths.
pub const Z_UNIT: u16 = 100;

/// A lane's size never exceeds this.
pub const MAX_LANE: i8 = 127;

/// The largest lane of a non-zero block is at least this big.
pub const MIN_PEAK: i8 = 64;

/// What a block of a sketch is the gradient of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Kind {
    /// The A matrix of a LoRA module: rank × projected input.
    LoraA,
    /// The B matrix of a LoRA module: projected output × rank.
    LoraB,
    /// A plain linear layer: projected output × projected input.
    Linear,
}

impl Field for Kind {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::LoraA => 0,
            Self::LoraB => 1,
            Self::Linear => 2,
        });
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::read(from)? {
            0 => Ok(Self::LoraA),
            1 => Ok(Self::LoraB),
            2 => Ok(Self::Linear),
            other => Err(WireError::Choice(other)),
        }
    }
}

/// One module of a layout: a matrix whose lanes are stored row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub struct Module {
    /// What it is the gradient of.
    pub kind: Kind,
    /// Rows of the sketch matrix.
    pub rows: u16,
    /// Columns of the sketch matrix.
    pub columns: u16,
}

fields!(Module { kind, rows, columns });

impl Module {
    /// rows · columns.
    pub fn lanes(&self) -> u32 {
        u32::from(self.rows).saturating_mul(u32::from(self.columns))
    }

    /// Rows of the left and right bases and of the spectrum, in that order: one leaf each in the tree of
    /// bases.
    pub fn basis_leaves(&self) -> u64 {
        u64::from(self.rows)
            .saturating_mul(2)
            .saturating_add(u64::from(self.columns))
    }
}

/// How the bytes of every row and query of an index are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Layout {
    /// keccak of the modules' names, each followed by a line feed, in the order of `modules`.
    pub names: Hash,
    /// The modules; exponents and lanes follow this order.
    pub modules: Vec<Module>,
}

fields!(Layout { names, modules });

impl Object for Layout {
    const TAG: Tag = *b"LAY1";
}

impl Layout {
    /// Lanes of a row.
    pub fn lanes(&self) -> u32 {
        self.modules
            .iter()
            .fold(0, |sum, module| sum.saturating_add(module.lanes()))
    }

    /// Leaves of the tree of bases.
    pub fn basis_leaves(&self) -> u64 {
        self.modules
            .iter()
            .fold(0, |sum, module| sum.saturating_add(module.basis_leaves()))
    }
}

/// Why a layout with these rules cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutFlaw {
    /// No module, or one with no lane.
    Empty,
    /// A row would have this many bytes, more than [`MAX_ROW_BYTES`].
    TooLarge(u32),
    /// The floor exponent is outside −64…63.
    Floor(i8),
    /// `z` is 0: every row would be eligible.
    Z,
    /// The length of a list is 0 or more than [`MAX_TOP`].
    Top(u16),
    /// The projection keeps no dimension.
    Projection,
}

impl fmt::Display for LayoutFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(
                f,
                "a layout needs at least one module and every module at least one lane"
            ),
            Self::TooLarge(n) => {
                write!(
                    f,
                    "a row of {n} bytes is over {MAX_ROW_BYTES}: use fewer modules or a smaller projection"
                )
            }
            Self::Floor(e) => {
                write!(
                    f,
                    "floor exponent {e} is outside {MIN_EXPONENT}…{MAX_EXPONENT}: choose one inside"
                )
            }
            Self::Z => write!(f, "z is 0, so noise would be paid: choose at least 0.01"),
            Self::Top(k) => write!(
                f,
                "a list of {k} entries is outside 1…{MAX_TOP}: choose one inside"
            ),
            Self::Projection => write!(f, "a projection to 0 dimensions keeps nothing: choose at least 1"),
        }
    }
}

impl core::error::Error for LayoutFlaw {}

/// A borrowed sketch: one exponent per module, all lanes in module order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SketchRef<'a> {
    /// One exponent per module.
    pub exponents: &'a [i8],
    /// The lanes of all modules, one after another.
    pub lanes: &'a [i8],
}

/// An owned sketch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct Sketch {
    /// One exponent per module.
    pub exponents: Vec<i8>,
    /// The lanes of all modules, one after another.
    pub lanes: Vec<i8>,
}

fields!(Sketch { exponents, lanes });

impl Sketch {
    /// Borrows it.
    pub fn view(&self) -> SketchRef<'_> {
        SketchRef {
            exponents: &self.exponents,
            lanes: &self.lanes,
        }
    }

    /// The leaves of its tree, one a module; nothing if its shape is not the rule's.
    pub fn leaves(&self, rule: &Rule) -> Option<Vec<SketchLeaf>> {
        let blocks = rule.blocks(self.view())?;
        Some(
            blocks
                .map(|(exponent, lanes)| SketchLeaf {
                    exponent,
                    lanes: lanes.to_vec(),
                })
                .collect(),
        )
    }
}

/// One block of a query sketch, a leaf of the sketch's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo))]
pub struct SketchLeaf {
    /// The block's exponent.
    pub exponent: i8,
    /// Its lanes.
    pub lanes: Vec<i8>,
}

fields!(SketchLeaf { exponent, lanes });

impl Leaf for SketchLeaf {
    const TAG: Tag = *b"SKT1";

    fn payload(&self, out: &mut Vec<u8>) -> Option<u128> {
        self.write(out);
        Some(0)
    }
}

/// Why the bytes of a block can come from no gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "scale",
    derive(codec::Encode, codec::Decode, codec::DecodeWithMemTracking)
)]
#[cfg_attr(feature = "scale", derive(scale_info::TypeInfo, codec::MaxEncodedLen))]
pub enum Flaw {
    /// Not the layout's number of exponents or lanes.
    Shape,
    /// A byte is −128.
    Byte,
    /// A zero block whose exponent is not the floor.
    ZeroExponent,
    /// An exponent under the floor or over the ceiling.
    Exponent,
    /// The largest byte of a non-zero block is under 64.
    Peak,
}

/// A layout and an index's rules, checked: everything needed to judge and score sketches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    blocks: Vec<u32>,
    lanes: u32,
    floor: i8,
    ceiling: i8,
    z: u16,
    top: u16,
}

impl Rule {
    /// Checks a layout and the rules of an index.
    pub fn new(layout: &Layout, rules: &IndexRules) -> Result<Self, LayoutFlaw> {
        let blocks: Vec<u32> = layout.modules.iter().map(Module::lanes).collect();
        if blocks.is_empty() || blocks.contains(&0) {
            return Err(LayoutFlaw::Empty);
        }
        let lanes = layout.lanes();
        let bytes = lanes.saturating_add(u32::try_from(blocks.len()).unwrap_or(u32::MAX));
        if bytes > MAX_ROW_BYTES {
            return Err(LayoutFlaw::TooLarge(bytes));
        }
        if !(MIN_EXPONENT..=MAX_EXPONENT).contains(&rules.floor) {
            return Err(LayoutFlaw::Floor(rules.floor));
        }
        if rules.z == 0 {
            return Err(LayoutFlaw::Z);
        }
        if rules.top == 0 || rules.top > MAX_TOP {
            return Err(LayoutFlaw::Top(rules.top));
        }
        if rules.projection == 0 {
            return Err(LayoutFlaw::Projection);
        }
        let ceiling = rules.floor.saturating_add(SPAN).min(MAX_EXPONENT);
        Ok(Self {
            blocks,
            lanes,
            floor: rules.floor,
            ceiling,
            z: rules.z,
            top: rules.top,
        })
    }

    /// Lanes of each module.
    pub fn block_lanes(&self) -> &[u32] {
        &self.blocks
    }

    /// Lanes of a sketch.
    pub fn lanes(&self) -> u32 {
        self.lanes
    }

    /// The least exponent of a non-zero block, and the exponent of every zero block.
    pub fn floor(&self) -> i8 {
        self.floor
    }

    /// The largest exponent of a block.
    pub fn ceiling(&self) -> i8 {
        self.ceiling
    }

    /// Entries a list may have.
    pub fn top(&self) -> usize {
        usize::from(self.top)
    }

    /// The eligibility bound z, in hundredths.
    pub fn z(&self) -> u16 {
        self.z
    }

    /// The sketch's blocks as (exponent, lanes), or nothing if its shape is not the layout's.
    pub fn blocks<'a>(&'a self, sketch: SketchRef<'a>) -> Option<impl Iterator<Item = (i8, &'a [i8])> + 'a> {
        let fits = sketch.exponents.len() == self.blocks.len()
            && u32::try_from(sketch.lanes.len()).is_ok_and(|lanes| lanes == self.lanes);
        fits.then(|| {
            let mut rest = sketch.lanes;
            sketch
                .exponents
                .iter()
                .zip(&self.blocks)
                .map(move |(exponent, lanes)| {
                    // The lengths add up to the slice's, so every split succeeds.
                    let at = usize::try_from(*lanes).unwrap_or(usize::MAX);
                    let (head, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
                    rest = tail;
                    (*exponent, head)
                })
        })
    }

    /// Whether one block could come from a gradient.
    pub fn check_block(&self, exponent: i8, lanes: &[i8]) -> Result<(), Flaw> {
        let peak = lanes.iter().fold(0u8, |peak, lane| peak.max(lane.unsigned_abs()));
        if peak > MAX_LANE.unsigned_abs() {
            return Err(Flaw::Byte);
        }
        if peak == 0 {
            return if exponent == self.floor {
                Ok(())
            } else {
                Err(Flaw::ZeroExponent)
            };
        }
        if !(self.floor..=self.ceiling).contains(&exponent) {
            return Err(Flaw::Exponent);
        }
        if peak < MIN_PEAK.unsigned_abs() {
            return Err(Flaw::Peak);
        }
        Ok(())
    }

    /// Whether every block of a sketch could come from a gradient.
    pub fn check(&self, sketch: SketchRef<'_>) -> Result<(), Flaw> {
        for (exponent, lanes) in self.blocks(sketch).ok_or(Flaw::Shape)? {
            self.check_block(exponent, lanes)?;
        }
        Ok(())
    }
}
