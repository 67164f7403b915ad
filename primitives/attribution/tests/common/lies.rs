//! Every number that can be lied about. The patterns name every field, so a new one does not compile until it
//! is listed.

use super::Rng;
use openledger_attribution::{
    attribution::{Attribution, Retrieved},
    bases::{BasisLeaf, Spectrum},
    batch::{BatchHeader, ChannelLeaf, CreditLeaf, CreditsHeader, DrawLeaf, PartLeaf, ReceiptLeaf},
    fee::{Mix, Parts, Split, Tariff},
    index::{IndexHeader, IndexLeaf, IndexRules},
    list::ListEntry,
    receipt::Receipt,
    record::{CorpusLeaf, RecordId, SourceLeaf, VersionLeaf},
    sketch::{Layout, Module, Sketch},
    text::TokenLeaf,
    tree::Root,
    verbatim::{CountLeaf, ShardLeaf, Span, SpanRecord, SuffixLeaf, TableLeaf, Verbatim},
    voucher::{Terms, Voucher},
};

/// A number inside an object.
pub enum Number<'a> {
    U8(&'a mut u8),
    U16(&'a mut u16),
    U32(&'a mut u32),
    U64(&'a mut u64),
    U128(&'a mut u128),
    I8(&'a mut i8),
    I16(&'a mut i16),
}

macro_rules! changed {
    ($rng:ident, $number:ident, $type:ty) => {{
        let old = *$number;
        while *$number == old {
            *$number = match $rng.below(5) {
                0 => old.wrapping_add(1),
                1 => old.wrapping_sub(1),
                2 => old.wrapping_add($rng.below(100) as $type),
                3 => 0,
                _ => $rng.next() as $type,
            };
        }
    }};
}

impl Number<'_> {
    /// Changes it: by one, by some, to nothing, to anything.
    pub fn lie(self, rng: &mut Rng) {
        match self {
            Self::U8(n) => changed!(rng, n, u8),
            Self::U16(n) => changed!(rng, n, u16),
            Self::U32(n) => changed!(rng, n, u32),
            Self::U64(n) => changed!(rng, n, u64),
            Self::U128(n) => changed!(rng, n, u128),
            Self::I8(n) => changed!(rng, n, i8),
            Self::I16(n) => changed!(rng, n, i16),
        }
    }
}

pub type Named<'a> = (String, Number<'a>);

/// An object's numbers, by name.
pub trait Numbers {
    fn numbers(&mut self) -> Vec<Named<'_>>;
}

/// Number by its type.
pub trait AsNumber {
    fn as_number(&mut self) -> Number<'_>;
}

macro_rules! as_number {
    ($($type:ty => $case:ident),*) => {$(
        impl AsNumber for $type {
            fn as_number(&mut self) -> Number<'_> { Number::$case(self) }
        }
        impl Numbers for $type {
            fn numbers(&mut self) -> Vec<Named<'_>> { vec![(String::new(), self.as_number())] }
        }
    )*};
}

as_number!(u8 => U8, u16 => U16, u32 => U32, u64 => U64, u128 => U128, i8 => I8, i16 => I16);

impl<T: Numbers> Numbers for Vec<T> {
    fn numbers(&mut self) -> Vec<Named<'_>> {
        self.iter_mut().flat_map(|item| item.numbers()).collect()
    }
}

/// `numbers: …` are numbers or hold some, `others: …` are hashes, accounts, kinds and signatures.
macro_rules! numbers {
    ($name:ident { $($number:ident),* } others { $($other:ident),* }) => {
        impl Numbers for $name {
            fn numbers(&mut self) -> Vec<Named<'_>> {
                let Self { $($number,)* $($other: _,)* } = self;
                let mut all = Vec::new();
                $(for (name, number) in $number.numbers() {
                    let dot = if name.is_empty() { "" } else { "." };
                    all.push((format!("{}{dot}{name}", stringify!($number)), number));
                })*
                all
            }
        }
    };
}

numbers!(Voucher { channel, accepted, most, expiry } others { genesis, previous, terms });
numbers!(Split { platform, owner, contributors, stakers, compute, lineage } others {});
numbers!(Mix { influence, verbatim, retrieval } others {});
numbers!(Tariff { price_in, price_out, split, mix } others {});
numbers!(Terms { model, generation, tariff, seed } others { index, mode, prompt, parameters });
numbers!(Receipt { voucher, terms, input_tokens, output_tokens, fee } others { worker, signature, output, attribution });

numbers!(RecordId { contribution, index } others {});
numbers!(ListEntry { row, score } others { contributor });
numbers!(SpanRecord { entry, record, position } others { contributor });
numbers!(Span { start, end, information, records } others {});
numbers!(Retrieved { entry, record } others { contributor });
numbers!(Attribution { list, spans, retrieved } others { query });

numbers!(Root { count, sum } others { top });
numbers!(Parts { platform, owner, contributors, fallback, stakers, compute, lineage } others {});
numbers!(ChannelLeaf { channel, from, to } others { consumer });
numbers!(ReceiptLeaf { channel, cumulative, fee, running } others { receipt });
numbers!(DrawLeaf { receipt, forfeit } others { attribution });
numbers!(PartLeaf { source, amount } others { contributor });
numbers!(CreditLeaf { first, end, amount } others { contributor });
numbers!(BatchHeader { model, generation, tariff, draws, minimum, channels, receipts, totals } others { worker, index });
numbers!(CreditsHeader { answers, parts, credits } others { batch });

numbers!(IndexRules { projection, top, rho, z, floor } others {});
numbers!(Verbatim { vocabulary, separator, tokens, shards, table } others {});
numbers!(IndexHeader { model, generation, rules, bases, sources, corpus, rows, verbatim } others {
    builder, base, adapter, tokenizer, seed, layout, retrieval
});
numbers!(Module { rows, columns } others { kind });
numbers!(Layout { modules } others { names });
numbers!(Sketch { exponents, lanes } others {});
numbers!(IndexLeaf { source, record, unit, sketch } others { contributor });
numbers!(SourceLeaf { datanet, version, records } others {});
numbers!(VersionLeaf { record } others { contributor, content, representative });
numbers!(CorpusLeaf { source, record, tokens } others { contributor, content });
numbers!(TokenLeaf { tokens } others {});
numbers!(TableLeaf { flags, count } others {});
numbers!(ShardLeaf { from, to, suffixes, counts } others {});
numbers!(SuffixLeaf { position } others {});
numbers!(CountLeaf { count } others {});
numbers!(Spectrum { exponent, values } others {});

impl Numbers for BasisLeaf {
    fn numbers(&mut self) -> Vec<Named<'_>> {
        let (case, inner) = match self {
            Self::Vector(entries) => ("vector", entries.numbers()),
            Self::Spectrum(spectrum) => ("spectrum", spectrum.numbers()),
        };
        inner
            .into_iter()
            .map(|(name, number)| (format!("{case}.{name}"), number))
            .collect()
    }
}
