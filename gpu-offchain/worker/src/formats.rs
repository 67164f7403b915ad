//! Bytes that workers, contributors and consumers exchange and that no other crate defines.

use crate::error::{Error, Result};
use openledger_attribution::{
    hash::{keccak, Hash},
    record::VersionLeaf,
    text::{text_leaves, TextLeaf},
    tree::{Leaf, Root, Tree},
    wire::{Field, Reader, WireError},
};

const VERSION_LIST: &[u8; 8] = b"OLLEAVES";
const ADAPTER: &[u8; 8] = b"OLADAPTR";
const PARAMETERS: &[u8; 23] = b"OpenLedger parameters 2";
const FORMAT: u8 = 1;

/// The canonical bytes of anything that can stand inside an object.
pub fn wire(value: &impl Field) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.write(&mut bytes);
    bytes
}

/// Reads what [`wire`] wrote, all of it.
pub fn unwire<T: Field>(bytes: &[u8]) -> Result<T> {
    let wrong = |error| Error::Request(format!("these are not the canonical bytes of a value: {error}"));
    let mut reader = Reader::new(bytes);
    let value = T::read(&mut reader).map_err(wrong)?;
    reader.finish().map_err(wrong)?;
    Ok(value)
}

fn open<'a>(magic: &[u8; 8], what: &str, bytes: &'a [u8]) -> Result<&'a [u8]> {
    match bytes.strip_prefix(magic) {
        Some([FORMAT, rest @ ..]) => Ok(rest),
        Some([other, ..]) => Err(Error::Hopeless(format!(
            "{what} has format version {other}, this program reads {FORMAT}: update the worker"
        ))),
        _ => Err(Error::Hopeless(format!(
            "these {} bytes are no {what}: publish the block that {what} is defined as",
            bytes.len()
        ))),
    }
}

/// The block behind `Version.cid`: `OLLEAVES`, version 1, the leaves.
pub fn encode_version_list(leaves: &[VersionLeaf]) -> Vec<u8> {
    let mut bytes = VERSION_LIST.to_vec();
    bytes.push(FORMAT);
    bytes.extend(wire(&leaves.to_vec()));
    bytes
}

/// Reads [`encode_version_list`] and checks it against the version's root on the chain.
pub fn decode_version_list(bytes: &[u8], root: &Root) -> Result<Vec<VersionLeaf>> {
    let leaves: Vec<VersionLeaf> = unwire(open(VERSION_LIST, "a version list", bytes)?)
        .map_err(|error| Error::Hopeless(format!("the version list is damaged: {error}")))?;
    let own = Tree::new(&leaves)
        .map_err(|error| Error::part("version list", error))?
        .root();
    if own != *root {
        return Err(Error::Hopeless(format!(
            "the version list has root 0x{} with {} records, the chain says 0x{} with {}: publish the version again",
            hex::encode(own.top),
            own.count,
            hex::encode(root.top),
            root.count
        )));
    }
    Ok(leaves)
}

/// An adapter's two files as one block: `OLADAPTR`, version 1, each file behind its length as `u32`.
pub fn encode_adapter(config: &[u8], weights: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = ADAPTER.to_vec();
    bytes.push(FORMAT);
    for file in [config, weights] {
        let length = u32::try_from(file.len()).map_err(|_| {
            Error::TooLarge(format!(
                "an adapter file of {} bytes does not fit a block",
                file.len()
            ))
        })?;
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(file);
    }
    Ok(bytes)
}

/// The files of [`encode_adapter`]: `adapter_config.json` and `adapter_model.safetensors`.
pub fn decode_adapter(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let mut reader = Reader::new(open(ADAPTER, "an adapter", bytes)?);
    let mut file = || -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(reader.array().ok()?);
        Some(reader.take(usize::try_from(length).ok()?).ok()?.to_vec())
    };
    let files = file().zip(file());
    files
        .filter(|_| reader.finish().is_ok())
        .ok_or_else(|| Error::Hopeless("the adapter's block is damaged: fetch it again".into()))
}

/// How an answer is sampled and when it ends: what a voucher commits to beside the prompt and the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Most tokens of each choice.
    pub max_tokens: u32,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Share of the probability that is sampled from.
    pub top_p: f32,
    /// Choices: answers to the same prompt. Choice i is sampled with the seed plus i.
    pub n: u32,
    /// Tokens that end a choice beside the model's own; ascending, distinct.
    pub stop: Vec<u32>,
    /// Texts that end a choice and are not shown; ascending by their bytes, distinct.
    pub stop_texts: Vec<String>,
}

impl Default for Parameters {
    /// OpenAI's, with 128 tokens.
    fn default() -> Self {
        Self {
            max_tokens: 128,
            temperature: 1.0,
            top_p: 1.0,
            n: 1,
            stop: Vec::new(),
            stop_texts: Vec::new(),
        }
    }
}

impl Parameters {
    /// What `Terms.parameters` is: keccak of `OpenLedger parameters 2` and the fields in order: numbers big-endian, the two shares as
    /// IEEE 754 single, lists and texts behind their length as `u32`.
    pub fn hash(&self) -> Hash {
        keccak(&[&self.bytes()])
    }

    /// What is hashed.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = PARAMETERS.to_vec();
        self.max_tokens.write(&mut bytes);
        self.temperature.to_bits().write(&mut bytes);
        self.top_p.to_bits().write(&mut bytes);
        self.n.write(&mut bytes);
        self.stop.write(&mut bytes);
        let length = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        length(self.stop_texts.len()).write(&mut bytes);
        for text in &self.stop_texts {
            length(text.len()).write(&mut bytes);
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Reads [`bytes`](Self::bytes), all of them.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = || Error::Request("these are not the bytes of sampling parameters".into());
        let rest = bytes.strip_prefix(PARAMETERS).ok_or_else(wrong)?;
        let mut reader = Reader::new(rest);
        let read = |reader: &mut Reader<'_>| -> std::result::Result<Self, WireError> {
            let max_tokens = u32::read(reader)?;
            let temperature = f32::from_bits(u32::read(reader)?);
            let top_p = f32::from_bits(u32::read(reader)?);
            let (n, stop) = (u32::read(reader)?, Field::read(reader)?);
            let mut stop_texts = Vec::new();
            for _ in 0..u32::read(reader)? {
                let text: Vec<u8> = Field::read(reader)?;
                stop_texts.push(String::from_utf8(text).map_err(|_| WireError::Choice(0))?);
            }
            Ok(Self {
                max_tokens,
                temperature,
                top_p,
                n,
                stop,
                stop_texts,
            })
        };
        let parameters = read(&mut reader).map_err(|_| wrong())?;
        reader.finish().map_err(|_| wrong())?;
        Ok(parameters)
    }

    /// Most tokens of all choices together, in which the worst case is counted.
    pub fn most_tokens(&self) -> Option<u32> {
        self.max_tokens.checked_mul(self.n)
    }

    /// A choice's text up to where a stop text begins.
    pub fn cut<'a>(&self, text: &'a str) -> &'a str {
        let end = self
            .stop_texts
            .iter()
            .filter_map(|stop| text.find(stop.as_str()))
            .min();
        end.and_then(|end| text.get(..end)).unwrap_or(text)
    }
}

/// The salted leaves of a prompt. Chunk `n` has the salt keccak(`prompt` ‖ salt ‖ n).
pub fn prompt_leaves(tokens: &[u32], salt: &Hash) -> Vec<TextLeaf> {
    leaves(b"prompt", tokens, salt)
}

/// The salted leaves of an answer, under another salt than the prompt's.
pub fn output_leaves(tokens: &[u32], salt: &Hash) -> Vec<TextLeaf> {
    leaves(b"output", tokens, salt)
}

fn leaves(purpose: &[u8], tokens: &[u32], salt: &Hash) -> Vec<TextLeaf> {
    text_leaves(tokens, |n| keccak(&[purpose, salt, &n.to_be_bytes()]))
}

/// The root hash of a tree of these leaves.
pub fn root_hash<L: Leaf>(leaves: &[L]) -> Result<Hash> {
    Ok(Tree::new(leaves)
        .map_err(|error| Error::part("tree", error))?
        .root()
        .hash::<L>())
}

/// `0x` and lower-case hexadecimal digits.
pub fn hex0x(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

/// Reads 32 bytes in hexadecimal, with or without `0x`.
pub fn parse_hash(text: &str) -> Result<Hash> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::Request(format!("{text:?} is no hash: give 0x and 64 hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openledger_attribution::record::RecordId;

    fn leaf(contribution: u64) -> VersionLeaf {
        let record = RecordId {
            contribution,
            index: 0,
        };
        VersionLeaf {
            record,
            contributor: [1; 32],
            content: [2; 32],
            representative: record,
        }
    }

    #[test]
    fn version_list_reads_back_and_another_is_refused() {
        let leaves = vec![leaf(1), leaf(2)];
        let root = Tree::new(&leaves).unwrap().root();
        let bytes = encode_version_list(&leaves);
        assert_eq!(decode_version_list(&bytes, &root).unwrap(), leaves);
        let other = encode_version_list(&[leaf(1)]);
        assert!(decode_version_list(&other, &root)
            .unwrap_err()
            .to_string()
            .contains("the chain says"));
        for end in 0..bytes.len() {
            assert!(decode_version_list(&bytes[..end], &root).is_err(), "{end}");
        }
        let mut newer = bytes.clone();
        newer[8] = 2;
        assert!(decode_version_list(&newer, &root)
            .unwrap_err()
            .to_string()
            .contains("version 2"));
    }

    #[test]
    fn adapter_reads_back_and_is_strict() {
        let bytes = encode_adapter(b"{}", b"weights").unwrap();
        assert_eq!(
            decode_adapter(&bytes).unwrap(),
            (b"{}".to_vec(), b"weights".to_vec())
        );
        for end in 0..bytes.len() {
            assert!(decode_adapter(&bytes[..end]).is_err(), "{end}");
        }
        assert!(decode_adapter(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn every_parameter_is_in_the_hash() {
        let base = Parameters {
            max_tokens: 1,
            temperature: 0.5,
            top_p: 0.9,
            stop: vec![3],
            ..Parameters::default()
        };
        let texts = |texts: &[&str]| Parameters {
            stop_texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            ..base.clone()
        };
        let others = [
            Parameters {
                max_tokens: 2,
                ..base.clone()
            },
            Parameters {
                temperature: 0.25,
                ..base.clone()
            },
            Parameters {
                top_p: 0.8,
                ..base.clone()
            },
            Parameters { n: 2, ..base.clone() },
            Parameters {
                stop: vec![3, 4],
                ..base.clone()
            },
            texts(&["a"]),
            texts(&["a", "b"]),
            texts(&["ab"]),
        ];
        let mut seen = std::collections::BTreeSet::from([base.hash()]);
        for other in others {
            assert!(seen.insert(other.hash()), "{other:?}");
        }
        assert_eq!(texts(&["b", "ab"]).cut("xxabc"), "xx");
    }

    /// The same bytes as in the command line's `texts::tests` and tests/sdk: what is signed there is accepted here.
    #[test]
    fn parameters_are_the_bytes_that_the_api_defines() {
        let parameters = Parameters {
            max_tokens: 128,
            temperature: 1.0,
            top_p: 0.5,
            n: 2,
            stop: vec![7],
            stop_texts: vec!["END".into()],
        };
        let mut bytes = b"OpenLedger parameters 2".to_vec();
        bytes.extend([0, 0, 0, 128, 0x3f, 0x80, 0, 0, 0x3f, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 3]);
        bytes.extend(b"END");
        assert_eq!(parameters.hash(), keccak(&[&bytes]));
        assert_eq!(Parameters::parse(&bytes).unwrap(), parameters);
        for end in 0..bytes.len() {
            assert!(Parameters::parse(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Parameters::parse(&[bytes, vec![0]].concat()).is_err());
    }

    #[test]
    fn prompt_and_output_have_different_salts() {
        let salt = [9; 32];
        assert_ne!(
            root_hash(&prompt_leaves(&[1, 2], &salt)).unwrap(),
            root_hash(&output_leaves(&[1, 2], &salt)).unwrap()
        );
    }
}
