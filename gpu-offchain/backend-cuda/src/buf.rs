//! Buffers on the device.

use cudarc::driver::CudaSlice;

use crate::error::{Error, Result};
use crate::room::Held;

/// A flat buffer: f32, or weights in bf16 or 8 bits.
pub struct Buf {
    pub(crate) data: Data,
    pub(crate) len: usize,
}

pub(crate) enum Data {
    F32(Held<f32>),
    Bf16(Held<u16>),
    /// Whole numbers from -127 to 127, and the factor of every row.
    Int8(Held<i8>, Held<f32>),
    /// Its allocation failed; whatever reads it fails with that fault.
    None,
}

impl Buf {
    pub(crate) fn f32(slice: Held<f32>, len: usize) -> Self {
        Buf {
            data: Data::F32(slice),
            len,
        }
    }

    pub(crate) fn none(len: usize) -> Self {
        Buf {
            data: Data::None,
            len,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::F32(_) => self.len * 4,
            Data::Bf16(_) => self.len * 2,
            Data::Int8(_, factors) => self.len + factors.len() * 4,
            Data::None => 0,
        }
    }

    /// Its f32 values, at least `least` of them.
    pub(crate) fn floats(&self, what: &'static str, least: usize) -> Result<&CudaSlice<f32>> {
        match &self.data {
            Data::F32(slice) if self.len >= least => Ok(slice),
            Data::F32(_) => Error::shape(
                what,
                format!("a buffer has {} elements, {least} are needed", self.len),
            ),
            Data::Bf16(_) => Error::shape(what, "a buffer of bf16 where this operation takes f32"),
            Data::Int8(..) => Error::shape(what, "a buffer of 8 bits where this operation takes f32"),
            Data::None => Error::shape(what, "a buffer without memory"),
        }
    }

    /// As [`Buf::floats`], to be written to.
    pub(crate) fn floats_mut(&mut self, what: &'static str, least: usize) -> Result<&mut CudaSlice<f32>> {
        self.floats(what, least)?;
        match &mut self.data {
            Data::F32(slice) => Ok(slice),
            _ => Error::shape(what, "a buffer without memory"),
        }
    }
}
