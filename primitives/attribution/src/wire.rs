//! The canonical bytes of every object: big-endian, fixed width, strict.
//!
//! Numbers are big-endian, accounts and hashes are 32 bytes, a list is its length as a `u32` and then its
//! items, an optional value is `00` or `01` and the value, a choice is the number of its case (one byte) and
//! that case. An [`Object`] starts with one version byte. Reading refuses another version, bytes left over
//! and every value that has more than one spelling, so two equal objects have equal bytes and the other way
//! round.

use crate::hash::{keccak, Hash, Tag, OBJECT};
use alloc::{boxed::Box, vec::Vec};
use core::fmt;

/// Why bytes are not the canonical form of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The bytes end before the object does.
    Short,
    /// Bytes follow the object.
    Trailing,
    /// The version byte is not one this code knows.
    Version(u8),
    /// A choice or flag has a number that stands for nothing.
    Choice(u8),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(f, "the bytes end before the object does: fetch it again"),
            Self::Trailing => write!(f, "bytes follow the object: pass exactly one object"),
            Self::Version(v) => write!(
                f,
                "format version {v} is unknown here: update the program that reads it"
            ),
            Self::Choice(v) => write!(f, "{v} names no case of this choice: the object is damaged"),
        }
    }
}

impl core::error::Error for WireError {}

/// What is left of the bytes being read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.0 = tail;
        Ok(*head)
    }

    /// Fails unless everything was read.
    pub fn finish(self) -> Result<(), WireError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(WireError::Trailing)
        }
    }
}

/// Anything that can stand inside an object.
pub trait Field: Sized {
    /// Appends the canonical bytes.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads one value.
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError>;
}

/// An object with a version byte and an identity.
pub trait Object: Field {
    /// Goes into the object's hash.
    const TAG: Tag;

    /// The version this code writes, and the only one it reads.
    const VERSION: u8 = 1;

    /// Version byte, then the fields.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.push(Self::VERSION);
        self.write(&mut out);
        out
    }

    /// The object whose canonical bytes are `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let [version] = reader.array()?;
        if version != Self::VERSION {
            return Err(WireError::Version(version));
        }
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// keccak(03 ‖ tag ‖ canonical bytes).
    fn hash(&self) -> Hash {
        keccak(&[&[OBJECT], &Self::TAG, &self.encode()])
    }
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Field for $t {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
                Ok(Self::from_be_bytes(from.array()?))
            }
        }
    )*};
}

number!(u8, u16, u32, u64, u128, i8, i16);

impl<const N: usize> Field for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        from.array()
    }
}

impl<T: Field> Field for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        // A list that does not fit a u32 cannot exist in memory beside its items on any supported machine;
        // a saturated length would be refused on reading.
        u32::try_from(self.len()).unwrap_or(u32::MAX).write(out);
        for item in self {
            item.write(out);
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        let length = u32::read(from)?;
        // Not reserved ahead: the length is a claim, the bytes behind it may not be there.
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(T::read(from)?);
        }
        Ok(items)
    }
}

impl<T: Field> Field for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.write(out);
            }
        }
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        match u8::read(from)? {
            0 => Ok(None),
            1 => Ok(Some(T::read(from)?)),
            other => Err(WireError::Choice(other)),
        }
    }
}

impl<T: Field> Field for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        T::write(self, out);
    }
    fn read(from: &mut Reader<'_>) -> Result<Self, WireError> {
        T::read(from).map(Box::new)
    }
}

/// Writes and reads a struct field by field, in the order named here. A field left out does not compile.
macro_rules! fields {
    ($name:ident $(<$generic:ident>)? { $($field:ident),* $(,)? }) => {
        impl $(<$generic: $crate::wire::Field>)? $crate::wire::Field for $name $(<$generic>)? {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::wire::Field::write($field, out);)*
            }
            fn read(
                from: &mut $crate::wire::Reader<'_>,
            ) -> core::result::Result<Self, $crate::wire::WireError> {
                $(let $field = $crate::wire::Field::read(from)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Writes and reads a choice whose cases carry one value each, numbered as named here.
macro_rules! choices {
    ($name:ident { $($number:literal => $case:ident),* $(,)? }) => {
        impl $crate::wire::Field for $name {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $(Self::$case(value) => {
                        out.push($number);
                        $crate::wire::Field::write(value, out);
                    })*
                }
            }
            fn read(
                from: &mut $crate::wire::Reader<'_>,
            ) -> core::result::Result<Self, $crate::wire::WireError> {
                match <u8 as $crate::wire::Field>::read(from)? {
                    $($number => Ok(Self::$case($crate::wire::Field::read(from)?)),)*
                    other => Err($crate::wire::WireError::Choice(other)),
                }
            }
        }
    };
}

pub(crate) use {choices, fields};
