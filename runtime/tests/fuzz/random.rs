//! Random numbers, and random values of any type that the runtime describes.

use codec::{Compact, Encode};
use scale_info::{form::PortableForm, PortableRegistry, TypeDef, TypeDefPrimitive};

/// SplitMix64: the same numbers for the same seed everywhere.
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
    /// `true` so many times in a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.below(from.len() as u64) as usize])
    }
    pub(crate) fn hash(&mut self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        hash
    }
}

/// What values are made of, so that they now and then fit the state.
#[derive(Default)]
pub(crate) struct Stock {
    pub(crate) accounts: Vec<[u8; 32]>,
    /// Hashes that mean something on the chain, newest last.
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) block: u32,
}

/// How deep calls inside calls go.
const DEPTH: u32 = 24;

/// Appends a random value of type `id` to `out`; `None` where the type nests too deep or has no value.
pub(crate) fn value(
    rng: &mut Rng,
    types: &PortableRegistry,
    stock: &Stock,
    id: u32,
    depth: u32,
    out: &mut Vec<u8>,
) -> Option<()> {
    if depth > DEPTH {
        return None;
    }
    let ty = types.resolve(id)?;
    // Accounts and hashes are arrays like any other, told apart by their names.
    match ty.path.ident().as_deref() {
        Some("AccountId32") => {
            let who = if rng.chance(95) {
                *rng.pick(&stock.accounts)?
            } else {
                rng.hash()
            };
            out.extend(who);
            return Some(());
        }
        Some("MultiAddress") => {
            out.push(0);
            out.extend(rng.pick(&stock.accounts)?);
            return Some(());
        }
        Some("H256") => {
            out.extend(hash(rng, stock));
            return Some(());
        }
        _ => {}
    }
    let fields = |rng: &mut Rng, out: &mut Vec<u8>, fields: &[scale_info::Field<PortableForm>]| {
        fields
            .iter()
            .try_for_each(|field| value(rng, types, stock, field.ty.id, depth + 1, out))
    };
    match &ty.type_def {
        TypeDef::Composite(of) => fields(rng, out, &of.fields)?,
        TypeDef::Variant(of) => {
            let variant = rng.pick(&of.variants)?;
            out.push(variant.index);
            fields(rng, out, &variant.fields)?;
        }
        TypeDef::Sequence(of) => {
            let length = [0, 1, 1, 2, 3, 5][rng.below(6) as usize];
            Compact(length as u32).encode_to(out);
            for _ in 0..length {
                value(rng, types, stock, of.type_param.id, depth + 1, out)?;
            }
        }
        TypeDef::Array(of) => {
            let is_byte = matches!(
                types.resolve(of.type_param.id)?.type_def,
                TypeDef::Primitive(TypeDefPrimitive::U8)
            );
            if is_byte && of.len == 32 {
                out.extend(hash(rng, stock));
            } else {
                for _ in 0..of.len {
                    value(rng, types, stock, of.type_param.id, depth + 1, out)?;
                }
            }
        }
        TypeDef::Tuple(of) => {
            for field in &of.fields {
                value(rng, types, stock, field.id, depth + 1, out)?;
            }
        }
        TypeDef::Primitive(of) => primitive(rng, stock, of, out),
        TypeDef::Compact(of) => compact(rng, types, stock, of.type_param.id, out)?,
        TypeDef::BitSequence(_) => Compact(0u32).encode_to(out),
    }
    Some(())
}

fn hash(rng: &mut Rng, stock: &Stock) -> [u8; 32] {
    if rng.chance(80) {
        if let Some(hash) = rng.pick(&stock.hashes) {
            return *hash;
        }
    }
    rng.hash()
}

/// Planck: nothing, dust, the sizes of fees, deposits and bonds, everything.
pub(crate) fn amount(rng: &mut Rng) -> u128 {
    const OPEN: u128 = 1_000_000_000_000_000_000;
    let unit = [
        1,
        OPEN / 1_000_000,
        OPEN / 1_000,
        OPEN,
        1_000 * OPEN,
        1_000_000 * OPEN,
    ][rng.below(6) as usize];
    match rng.below(20) {
        0 => 0,
        1 => u128::MAX,
        2 => (u128::from(rng.next()) << 64) | u128::from(rng.next()),
        _ => unit.saturating_mul(1 + u128::from(rng.below(20))),
    }
}

/// An identifier as a rule, a height now and then, sometimes an extreme.
fn small(rng: &mut Rng, stock: &Stock) -> u64 {
    match rng.below(20) {
        0 => rng.next(),
        1 => u64::MAX,
        2..=5 => u64::from(stock.block).saturating_add(rng.below(100)),
        6..=8 => rng.below(10_000),
        _ => rng.below(12),
    }
}

fn primitive(rng: &mut Rng, stock: &Stock, of: &TypeDefPrimitive, out: &mut Vec<u8>) {
    match of {
        TypeDefPrimitive::Bool => out.push(rng.below(2) as u8),
        TypeDefPrimitive::U8 | TypeDefPrimitive::I8 => out.push(rng.next() as u8),
        TypeDefPrimitive::U16 | TypeDefPrimitive::I16 => (small(rng, stock) as u16).encode_to(out),
        TypeDefPrimitive::U32 | TypeDefPrimitive::I32 | TypeDefPrimitive::Char => {
            (small(rng, stock) as u32).encode_to(out)
        }
        TypeDefPrimitive::U64 | TypeDefPrimitive::I64 => small(rng, stock).encode_to(out),
        TypeDefPrimitive::U128 | TypeDefPrimitive::I128 => amount(rng).encode_to(out),
        TypeDefPrimitive::U256 | TypeDefPrimitive::I256 => {
            amount(rng).encode_to(out);
            0u128.encode_to(out);
        }
        TypeDefPrimitive::Str => "a".encode_to(out),
    }
}

fn compact(rng: &mut Rng, types: &PortableRegistry, stock: &Stock, id: u32, out: &mut Vec<u8>) -> Option<()> {
    match &types.resolve(id)?.type_def {
        TypeDef::Primitive(TypeDefPrimitive::U128) => Compact(amount(rng)).encode_to(out),
        TypeDef::Primitive(TypeDefPrimitive::U64) => Compact(small(rng, stock)).encode_to(out),
        TypeDef::Primitive(TypeDefPrimitive::U32) => Compact(small(rng, stock) as u32).encode_to(out),
        TypeDef::Primitive(TypeDefPrimitive::U16) => Compact(small(rng, stock) as u16).encode_to(out),
        TypeDef::Primitive(TypeDefPrimitive::U8) => Compact(rng.next() as u8).encode_to(out),
        // A newtype of a number, as a ratio is.
        TypeDef::Composite(of) => compact(rng, types, stock, of.fields.first()?.ty.id, out)?,
        TypeDef::Tuple(of) if of.fields.is_empty() => {}
        _ => return None,
    }
    Some(())
}
