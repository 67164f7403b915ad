//! Licensed content: one random key a Datanet version, from which everything of it is encrypted.
//!
//! What is stored and named by its CID is the sealed blob: `OLSEALED`, version (u8, 1), chunk size (u32), bytes of
//! the plaintext (u64), a random prefix (12 bytes), then the [`Label`]: Datanet (u64), version (u32), the account that
//! keeps the key (32 bytes); then for each chunk its ciphertext and a tag of 16 bytes. Chunk
//! `n` is under XChaCha20-Poly1305 with the nonce prefix ‖ n (u32) ‖ 7 zero bytes ‖ 1 if it is the last one, and the
//! head as associated data. Numbers are big-endian. Chunks therefore cannot be moved, left out or taken from
//! another blob, and a range is checked by its chunks alone. Roots stay those of the plaintext: whoever decrypts
//! checks the bundle against the chain as if it had come open.
//!
//! A contribution is sealed under a key of its own that follows from the version's
//! ([`ContentKey::for_contribution`]): its contributor learns no other, and whoever has the version's has all. Which
//! version: the next to be published when the contribution is brought, so that a version's readers need the keys of the
//! versions up to it.
//!
//! A key travels in sealed boxes (X25519, XSalsa20-Poly1305, as libsodium has them), one a recipient.

use crate::{store::sync_folder, Bundle, Error, Result};
use chacha20poly1305::{
    aead::{Aead, KeyInit, Payload},
    Key, XChaCha20Poly1305, XNonce,
};
use openledger_attribution::{
    hash::{keccak, Account, Hash},
    record::RecordLeaf,
    tree::Root,
};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    ops::Range,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};
use zeroize::{Zeroize, Zeroizing};

const MAGIC: &[u8; 9] = b"OLSEALED\x01";

/// Bytes of plaintext in a chunk.
pub const SEALED_CHUNK: usize = 1 << 16;

/// Bytes of the head of a sealed blob.
pub const SEALED_HEAD: usize = 9 + 4 + 8 + 12 + 8 + 4 + 32;

const TAG: usize = 16;

/// The secret of one Datanet version; gone from memory when dropped, and never printed.
#[derive(Clone)]
pub struct ContentKey(Zeroizing<[u8; 32]>);

impl std::fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

impl PartialEq for ContentKey {
    /// In a time that does not depend on where they differ.
    fn eq(&self, other: &Self) -> bool {
        let differ = self
            .0
            .iter()
            .zip(other.0.iter())
            .fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(differ) == 0
    }
}

impl Eq for ContentKey {}

pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| seal(format!("the system gives no random bytes: {error}")))?;
    Ok(bytes)
}

pub(crate) fn seal(what: impl Into<String>) -> Error {
    Error::Sealed(what.into())
}

impl ContentKey {
    /// A new one.
    pub fn random() -> Result<Self> {
        Ok(Self(Zeroizing::new(random()?)))
    }

    /// The key of one contribution under this version's key: of these records, by their contributor.
    pub fn for_contribution(&self, contributor: &Account, records: &Hash) -> Self {
        let parts: [&[u8]; 4] = [
            b"openledger contribution key",
            self.0.as_slice(),
            contributor,
            records,
        ];
        Self(Zeroizing::new(keccak(&parts)))
    }

    /// Writes it to a new file that its owner alone may read.
    ///
    /// Errors: a file is there already, which is never overwritten: it may be the only copy of another key.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_secret(path, &self.0)
    }

    /// Reads it back.
    ///
    /// Errors: others may read or write the file, or it is none.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(Self(read_secret(path)?))
    }

    /// The key in a box that only the recipient opens; who made it does not show.
    pub fn wrap(&self, recipient: &Recipient) -> Result<Vec<u8>> {
        recipient.seal(self.0.as_slice())
    }
}

/// Who a key is given to: an X25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient(pub [u8; 32]);

impl Recipient {
    /// Bytes in a box that only the recipient opens; who made it does not show.
    pub fn seal(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let key = crypto_box::PublicKey::from(self.0);
        key.seal(&mut crypto_box::aead::OsRng, bytes)
            .map_err(|_| seal("the box could not be made"))
    }
}

/// An X25519 secret key, which opens boxes; gone from memory when dropped.
pub struct Identity(crypto_box::SecretKey);

impl Identity {
    /// A new one.
    pub fn random() -> Result<Self> {
        let bytes = Zeroizing::new(random()?);
        Ok(Self(crypto_box::SecretKey::from(*bytes)))
    }

    /// Writes it as [`ContentKey::save`] does.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_secret(path, &Zeroizing::new(self.0.to_bytes()))
    }

    /// Reads it back as [`ContentKey::load`] does.
    pub fn load(path: &Path) -> Result<Self> {
        Ok(Self(crypto_box::SecretKey::from(*read_secret(path)?)))
    }

    /// What others put keys into boxes with.
    pub fn recipient(&self) -> Recipient {
        Recipient(*self.0.public_key().as_bytes())
    }

    /// The key in a box.
    pub fn unwrap_key(&self, sealed: &[u8]) -> Result<ContentKey> {
        let bytes = self.open(sealed)?;
        let key = bytes.as_slice().try_into().map_err(|_| other_box())?;
        Ok(ContentKey(Zeroizing::new(key)))
    }

    /// The bytes in a box; gone from memory when dropped.
    pub fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        let bytes = self.0.unseal(sealed).map_err(|_| other_box())?;
        Ok(Zeroizing::new(bytes))
    }
}

fn other_box() -> Error {
    seal("this box is not for this identity, or is damaged: ask the holder for another")
}

/// Writes 32 secret bytes to a new file that its owner alone may read.
///
/// Errors: a file is there already, which is never overwritten.
pub fn write_secret(path: &Path, secret: &[u8; 32]) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(Error::io(path))?;
    let mut text = Zeroizing::new(data_encoding::HEXLOWER.encode(secret));
    text.push('\n');
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(Error::io(path))?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

/// Reads them back.
///
/// Errors: others may read or write the file, or it holds no such secret.
pub fn read_secret(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let about = fs::metadata(path).map_err(Error::io(path))?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(seal(format!(
            "{} may be read by others (mode {mode:o}): chmod 600 it, and think about whether it still is a secret",
            path.display()
        )));
    }
    let flaw = || {
        seal(format!(
            "{} holds no key of 64 hexadecimal digits",
            path.display()
        ))
    };
    let mut text = Zeroizing::new(Vec::with_capacity(80));
    let file = fs::File::open(path).map_err(Error::io(path))?;
    file.take(80).read_to_end(&mut text).map_err(Error::io(path))?;
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    let bytes = Zeroizing::new(data_encoding::HEXLOWER.decode(digits).map_err(|_| flaw())?);
    Ok(Zeroizing::new(bytes.as_slice().try_into().map_err(|_| flaw())?))
}

/// Whose content a sealed blob is, and who can give the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The Datanet.
    pub datanet: u64,
    /// The version whose key it is.
    pub version: u32,
    /// The worker that keeps the key.
    pub keeper: Account,
}

/// The head of a sealed blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedHead {
    bytes: u64,
    prefix: [u8; 12],
    label: Label,
}

impl SealedHead {
    /// Reads it from the beginning of a blob.
    pub fn read(blob: &[u8]) -> Result<Self> {
        let flaw = |what: &str| {
            seal(format!(
                "these bytes are no sealed content: {what}; fetch it again"
            ))
        };
        let rest = blob.strip_prefix(MAGIC).ok_or_else(|| {
            flaw("they do not start as it does, or with another version than this program reads")
        })?;
        let (chunk, rest) = rest.split_first_chunk::<4>().ok_or_else(|| flaw("too short"))?;
        let (bytes, rest) = rest.split_first_chunk::<8>().ok_or_else(|| flaw("too short"))?;
        let (prefix, rest) = rest.split_first_chunk::<12>().ok_or_else(|| flaw("too short"))?;
        let (datanet, rest) = rest.split_first_chunk::<8>().ok_or_else(|| flaw("too short"))?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| flaw("too short"))?;
        let (keeper, _) = rest.split_first_chunk::<32>().ok_or_else(|| flaw("too short"))?;
        if u32::from_be_bytes(*chunk) as usize != SEALED_CHUNK {
            return Err(flaw("their chunks are of another size"));
        }
        let bytes = u64::from_be_bytes(*bytes);
        if bytes.div_ceil(SEALED_CHUNK as u64) > u64::from(u32::MAX) {
            return Err(flaw("more chunks than there are numbers"));
        }
        Ok(Self {
            bytes,
            prefix: *prefix,
            label: Label {
                datanet: u64::from_be_bytes(*datanet),
                version: u32::from_be_bytes(*version),
                keeper: *keeper,
            },
        })
    }

    /// Whether a blob starts as a sealed one does.
    pub fn is_sealed(blob: &[u8]) -> bool {
        blob.starts_with(MAGIC)
    }

    /// Whose it is.
    pub fn label(&self) -> &Label {
        &self.label
    }

    fn write(&self) -> Vec<u8> {
        let chunk = (SEALED_CHUNK as u32).to_be_bytes();
        let Label {
            datanet,
            version,
            keeper,
        } = &self.label;
        let parts: [&[u8]; 7] = [
            MAGIC,
            &chunk,
            &self.bytes.to_be_bytes(),
            &self.prefix,
            &datanet.to_be_bytes(),
            &version.to_be_bytes(),
            keeper,
        ];
        parts.concat()
    }

    /// Bytes of the plaintext.
    pub fn len(&self) -> u64 {
        self.bytes
    }

    /// Whether the plaintext has none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Number of chunks; an empty plaintext has an empty one, so that it too is checked.
    fn chunks(&self) -> u64 {
        self.bytes.div_ceil(SEALED_CHUNK as u64).max(1)
    }

    fn nonce(&self, chunk: u64) -> XNonce {
        let mut nonce = [0; 24];
        let (prefix, rest) = nonce.split_at_mut(12);
        prefix.copy_from_slice(&self.prefix);
        // At most u32::MAX chunks.
        rest[..4].copy_from_slice(&(chunk as u32).to_be_bytes());
        rest[11] = u8::from(chunk + 1 == self.chunks());
        nonce.into()
    }

    /// The bytes of the blob that hold this range of the plaintext.
    pub fn sealed_range(&self, range: Range<u64>) -> Range<u64> {
        let first = range.start / SEALED_CHUNK as u64;
        let mut end = range
            .end
            .div_ceil(SEALED_CHUNK as u64)
            .clamp(first, self.chunks().max(first));
        if self.is_empty() {
            // The chunk that says so.
            end = end.max(1);
        }
        let place = |chunk: u64| SEALED_HEAD as u64 + chunk * (SEALED_CHUNK + TAG) as u64;
        let whole = SEALED_HEAD as u64 + self.bytes + self.chunks() * TAG as u64;
        place(first).min(whole)..place(end).min(whole)
    }

    /// A range of the plaintext, from the bytes at [`sealed_range`](Self::sealed_range).
    ///
    /// Errors: another key, changed bytes, a range that the plaintext does not have.
    pub fn open_range(&self, key: &ContentKey, range: Range<u64>, sealed: &[u8]) -> Result<Vec<u8>> {
        if range.start > range.end || range.end > self.bytes {
            return Err(seal(format!(
                "bytes {} to {} of a plaintext of {}",
                range.start, range.end, self.bytes
            )));
        }
        let span = self.sealed_range(range.clone());
        if sealed.len() as u64 != span.end - span.start {
            return Err(seal(format!(
                "{} bytes where {} hold the range: fetch it again",
                sealed.len(),
                span.end - span.start
            )));
        }
        let first = range.start / SEALED_CHUNK as u64;
        let mut plain = self.open(key, first, sealed)?;
        // Inside of what was decrypted, whose size is a usize.
        let skip = (range.start - first * SEALED_CHUNK as u64) as usize;
        plain.drain(..skip.min(plain.len()));
        plain.truncate((range.end - range.start) as usize);
        Ok(plain)
    }

    fn open(&self, key: &ContentKey, first: u64, sealed: &[u8]) -> Result<Vec<u8>> {
        let cipher = XChaCha20Poly1305::new(Key::from_slice(key.0.as_slice()));
        let head = self.write();
        let mut plain = Vec::with_capacity(sealed.len());
        for (chunk, bytes) in (first..).zip(sealed.chunks(SEALED_CHUNK + TAG)) {
            let payload = Payload {
                msg: bytes,
                aad: &head,
            };
            let mut opened = cipher.decrypt(&self.nonce(chunk), payload).map_err(|_| {
                seal(format!(
                    "chunk {chunk} does not open: it was changed, or the key is another version's"
                ))
            })?;
            plain.extend_from_slice(&opened);
            opened.zeroize();
        }
        Ok(plain)
    }
}

/// Encrypts a blob. Twice the same gives two different ones.
pub fn seal_bytes(key: &ContentKey, label: &Label, plain: &[u8]) -> Result<Vec<u8>> {
    let head = SealedHead {
        bytes: plain.len() as u64,
        prefix: random()?,
        label: *label,
    };
    let aad = head.write();
    // Refuses what has too many chunks.
    SealedHead::read(&aad)?;
    let cipher = XChaCha20Poly1305::new(Key::from_slice(key.0.as_slice()));
    let mut out = Vec::with_capacity(aad.len() + plain.len() + head.chunks() as usize * TAG);
    out.extend_from_slice(&aad);
    let mut chunks = plain.chunks(SEALED_CHUNK);
    for chunk in 0..head.chunks() {
        let payload = Payload {
            msg: chunks.next().unwrap_or_default(),
            aad: &aad,
        };
        let sealed = cipher.encrypt(&head.nonce(chunk), payload);
        out.extend(sealed.map_err(|_| seal("a chunk could not be encrypted"))?);
    }
    Ok(out)
}

/// Decrypts a whole blob.
pub fn open_bytes(key: &ContentKey, blob: &[u8]) -> Result<Vec<u8>> {
    let head = SealedHead::read(blob)?;
    head.open_range(key, 0..head.bytes, blob.get(SEALED_HEAD..).unwrap_or_default())
}

impl Bundle {
    /// The contribution's blob, encrypted under its own key of the version's.
    pub fn seal(&self, version: &ContentKey, label: &Label, contributor: &Account) -> Result<Vec<u8>> {
        self.seal_under(&version.for_contribution(contributor, &self.root_hash()?), label)
    }

    /// The same by the contributor, who was given the contribution's own key.
    pub fn seal_under(&self, own: &ContentKey, label: &Label) -> Result<Vec<u8>> {
        let plain = Zeroizing::new(self.encode());
        seal_bytes(own, label, &plain)
    }

    /// The contribution in an encrypted blob, opened with its version's key and checked against its root on the chain.
    pub fn unseal(version: &ContentKey, contributor: &Account, blob: &[u8], expected: &Root) -> Result<Self> {
        let own = version.for_contribution(contributor, &expected.hash::<RecordLeaf>());
        let plain = Zeroizing::new(open_bytes(&own, blob)?);
        let bundle = Self::decode(&plain)?;
        bundle.verify(expected)?;
        Ok(bundle)
    }
}
