//! Content identifiers: CIDv1, SHA-256, in lower-case base32, of raw bytes (codec 0x55) or of a node that lists the
//! parts of a file (dag-pb, codec 0x70). <https://github.com/multiformats/cid>

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// SHA-256 of 32 bytes, as a multihash begins.
const SHA2_256: [u8; 2] = [0x12, 0x20];

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// Bytes.
    Raw,
    /// A list of parts, see [`Store::ingest`](crate::Store::ingest).
    DagPb,
}

impl Codec {
    const fn code(self) -> u8 {
        match self {
            Self::Raw => 0x55,
            Self::DagPb => 0x70,
        }
    }
}

/// The identifier of a block: nothing else has these bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid {
    codec: Codec,
    digest: [u8; 32],
}

impl Cid {
    /// The identifier of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::with(Codec::Raw, bytes)
    }

    /// The identifier of a block of this kind.
    pub fn with(codec: Codec, bytes: &[u8]) -> Self {
        Self::from_parts(codec, Sha256::digest(bytes).into())
    }

    /// From the SHA-256 of a block of raw bytes.
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self::from_parts(Codec::Raw, digest)
    }

    pub(crate) fn from_parts(codec: Codec, digest: [u8; 32]) -> Self {
        Self { codec, digest }
    }

    /// What the block is.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The SHA-256 of the block.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The 36 bytes of the identifier.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&[1, self.codec.code()], &SHA2_256[..], &self.digest].concat()
    }

    /// An identifier from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        [Codec::Raw, Codec::DagPb]
            .into_iter()
            .find_map(|codec| {
                let digest = bytes.strip_prefix(&[1, codec.code()])?.strip_prefix(&SHA2_256)?;
                Some(Self::from_parts(codec, digest.try_into().ok()?))
            })
            .ok_or_else(|| Error::Cid {
                text: data_encoding::HEXLOWER.encode(bytes.get(..100).unwrap_or(bytes)),
                what: "other identifiers are not used here",
            })
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = data_encoding::BASE32_NOPAD.encode(&self.to_bytes());
        write!(f, "b{}", text.to_ascii_lowercase())
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Cid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let flaw = |what| Error::Cid {
            text: text.chars().take(100).collect(),
            what,
        };
        let digits = text
            .strip_prefix('b')
            .ok_or_else(|| flaw("it does not start with b, for base32"))?;
        if digits.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(flaw("it has capital letters"));
        }
        let bytes = data_encoding::BASE32_NOPAD
            .decode(digits.to_ascii_uppercase().as_bytes())
            .map_err(|_| flaw("it is not base32"))?;
        Self::from_bytes(&bytes).map_err(|_| flaw("other identifiers are not used here"))
    }
}

/// Whether these are the bytes of a block.
///
/// Errors: [`Error::Corrupt`] with the identifier.
pub fn verify(cid: &Cid, bytes: &[u8]) -> Result<()> {
    if Cid::with(cid.codec, bytes) != *cid {
        return Err(Error::Corrupt(*cid));
    }
    Ok(())
}
