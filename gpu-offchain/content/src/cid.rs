//! Content identifiers: CIDv1, raw bytes (codec 0x55), SHA-256, in lower-case base32.
//! <https://github.com/multiformats/cid>

use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::{fmt, str::FromStr};

/// Version 1, raw, SHA-256 of 32 bytes.
const PREFIX: [u8; 4] = [0x01, 0x55, 0x12, 0x20];

/// The identifier of a block: nothing else has these bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid([u8; 32]);

impl Cid {
    /// The identifier of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// From the SHA-256 of a block.
    pub fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The SHA-256 of the block.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 36 bytes of the identifier.
    pub fn to_bytes(&self) -> Vec<u8> {
        [&PREFIX[..], &self.0].concat()
    }

    /// An identifier from its bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let digest = bytes
            .strip_prefix(&PREFIX)
            .and_then(|digest| digest.try_into().ok());
        digest.map(Self).ok_or_else(|| Error::Cid {
            text: data_encoding::HEXLOWER.encode(bytes),
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
    if Cid::of(bytes) != *cid {
        return Err(Error::Corrupt(*cid));
    }
    Ok(())
}
