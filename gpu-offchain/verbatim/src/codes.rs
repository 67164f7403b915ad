//! Tokens as they are stored: numbered densely in the order of their ids, in one, two or four bytes.
//!
//! A text of bytes uses fewer than 256 of the 257 ids that bytes and separator have, so it takes one byte a
//! token; and since codes are in the order of ids, suffixes are in the same order.

/// A stored token.
pub(crate) trait Code: Copy + Ord + Send + Sync + bytemuck::Pod + 'static {
    /// Codes that fit into a search key of 64 bits.
    const PER_KEY: usize;
    /// Bits of a code.
    const BITS: u32;

    fn of(code: u32) -> Self;
    fn wide(self) -> u32;
}

macro_rules! code {
    ($($type:ty),*) => {$(
        impl Code for $type {
            const PER_KEY: usize = 8 / size_of::<$type>();
            const BITS: u32 = <$type>::BITS;

            fn of(code: u32) -> Self {
                code as $type
            }
            fn wide(self) -> u32 {
                u32::from(self)
            }
        }
    )*};
}

code!(u8, u16, u32);

/// Bytes that a stored token takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    One,
    Two,
    Four,
}

impl Width {
    pub(crate) fn bytes(self) -> u64 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// Which token ids occur, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Codes {
    ids: Vec<u32>,
    /// By id: its code plus one, 0 if it does not occur.
    by_id: Vec<u32>,
}

impl Codes {
    /// From sorted ids.
    pub(crate) fn new(ids: Vec<u32>) -> Option<Self> {
        if !ids.is_sorted_by(|a, b| a < b) {
            return None;
        }
        let mut by_id = vec![0; ids.last().map_or(0, |last| *last as usize + 1)];
        for (code, id) in (1u32..).zip(&ids) {
            *by_id.get_mut(*id as usize)? = code;
        }
        Some(Self { ids, by_id })
    }

    pub(crate) fn width(&self) -> Width {
        match self.ids.len() {
            0..=256 => Width::One,
            257..=65_536 => Width::Two,
            _ => Width::Four,
        }
    }

    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    pub(crate) fn code(&self, id: u32) -> Option<u32> {
        self.by_id.get(id as usize)?.checked_sub(1)
    }

    pub(crate) fn id(&self, code: u32) -> Option<u32> {
        self.ids.get(code as usize).copied()
    }
}

/// Runs `$body` with `$type` standing for the stored type of `$width`.
macro_rules! by_width {
    ($width:expr, $type:ident => $body:expr) => {
        match $width {
            $crate::codes::Width::One => {
                type $type = u8;
                $body
            }
            $crate::codes::Width::Two => {
                type $type = u16;
                $body
            }
            $crate::codes::Width::Four => {
                type $type = u32;
                $body
            }
        }
    };
}

pub(crate) use by_width;
