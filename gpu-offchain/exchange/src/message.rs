//! Messages of bitswap 1.2: <https://specs.ipfs.tech/bitswap-protocol/>.
//!
//! On a stream each comes behind its length. Whoever asks sends a list of wants; whoever answers opens a stream of its
//! own and sends blocks, each with the prefix of its CID, or says that it has one or has it not.

use openledger_content::{
    protobuf::{field, number, varint, Fields, Value},
    Cid, Codec, MAX_BLOCK,
};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/ipfs/bitswap/1.2.0";

/// Bytes of the largest message.
pub(crate) const MAX_MESSAGE: usize = 4 << 20;

/// What is asked about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The block.
    Block,
    /// Whether it is there.
    Have,
}

/// A line of a list of wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Bytes of a CID, of any kind that others use.
    pub(crate) cid: Vec<u8>,
    /// It is wanted no longer.
    pub(crate) cancel: bool,
    pub(crate) kind: Kind,
    /// Not having it is to be said.
    pub(crate) send_dont_have: bool,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) wants: Vec<Entry>,
    /// The wants replace those sent before.
    pub(crate) full: bool,
    /// Blocks, each named by its bytes; none where the prefix is of a kind that is not used here, or the block too large.
    pub(crate) blocks: Vec<(Option<Cid>, Vec<u8>)>,
    /// Bytes of CIDs, and whether their blocks are there.
    pub(crate) presences: Vec<(Vec<u8>, bool)>,
}

/// CID version 1, the codec, SHA-256, 32 bytes.
fn prefix(codec: Codec) -> [u8; 4] {
    let bytes = Cid::with(codec, b"").to_bytes();
    let mut prefix = [0; 4];
    prefix.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
    prefix
}

impl Message {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The message behind its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body =
            Vec::with_capacity(64 + self.blocks.iter().map(|(_, data)| data.len() + 32).sum::<usize>());
        if self.full || !self.wants.is_empty() {
            let mut list = Vec::new();
            for want in &self.wants {
                let mut entry = Vec::with_capacity(48);
                field(1, &want.cid, &mut entry);
                number(2, 1, &mut entry);
                number(3, want.cancel.into(), &mut entry);
                number(4, u64::from(want.kind == Kind::Have), &mut entry);
                number(5, want.send_dont_have.into(), &mut entry);
                field(1, &entry, &mut list);
            }
            number(2, self.full.into(), &mut list);
            field(1, &list, &mut body);
        }
        for (cid, data) in &self.blocks {
            let prefix = prefix(cid.map_or(Codec::Raw, |cid| cid.codec()));
            // As `field` would, without a copy of the data.
            let mut head = Vec::with_capacity(16);
            field(1, &prefix, &mut head);
            head.push(2 << 3 | 2);
            varint(data.len() as u64, &mut head);
            body.push(3 << 3 | 2);
            varint((head.len() + data.len()) as u64, &mut body);
            body.extend_from_slice(&head);
            body.extend_from_slice(data);
        }
        for (cid, has) in &self.presences {
            let mut presence = Vec::with_capacity(48);
            field(1, cid, &mut presence);
            number(2, u64::from(!has), &mut presence);
            field(4, &presence, &mut body);
        }
        let mut out = Vec::with_capacity(body.len() + 8);
        varint(body.len() as u64, &mut out);
        out.append(&mut body);
        out
    }

    /// Reads a message without its length, none if it is no such message. Names the blocks, which takes hashing them.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut message = Self::default();
        let mut fields = Fields(bytes);
        while !fields.0.is_empty() {
            match fields.next()? {
                (1, Value::Bytes(list)) => {
                    let mut list = Fields(list);
                    while !list.0.is_empty() {
                        match list.next()? {
                            (1, Value::Bytes(entry)) => message.wants.push(Self::entry(entry)?),
                            (2, Value::Number(full)) => message.full = full != 0,
                            _ => {}
                        }
                    }
                }
                (3, Value::Bytes(block)) => {
                    let (mut kind, mut data) = (&[][..], &[][..]);
                    let mut block = Fields(block);
                    while !block.0.is_empty() {
                        match block.next()? {
                            (1, Value::Bytes(bytes)) => kind = bytes,
                            (2, Value::Bytes(bytes)) => data = bytes,
                            _ => {}
                        }
                    }
                    let codec = [Codec::Raw, Codec::DagPb]
                        .into_iter()
                        .find(|codec| prefix(*codec) == kind && data.len() <= MAX_BLOCK);
                    let cid = codec.map(|codec| Cid::with(codec, data));
                    message.blocks.push((cid, data.to_vec()));
                }
                (4, Value::Bytes(presence)) => {
                    let (mut cid, mut lacks) = (&[][..], 0);
                    let mut presence = Fields(presence);
                    while !presence.0.is_empty() {
                        match presence.next()? {
                            (1, Value::Bytes(bytes)) => cid = bytes,
                            (2, Value::Number(kind)) => lacks = kind,
                            _ => {}
                        }
                    }
                    message.presences.push((cid.to_vec(), lacks == 0));
                }
                // Blocks without a prefix, as version 1.0 had them, and how much is to come.
                _ => {}
            }
        }
        Some(message)
    }

    fn entry(bytes: &[u8]) -> Option<Entry> {
        let mut entry = Entry {
            cid: Vec::new(),
            cancel: false,
            kind: Kind::Block,
            send_dont_have: false,
        };
        let mut fields = Fields(bytes);
        while !fields.0.is_empty() {
            match fields.next()? {
                (1, Value::Bytes(cid)) => entry.cid = cid.to_vec(),
                (3, Value::Number(cancel)) => entry.cancel = cancel != 0,
                (4, Value::Number(kind)) => entry.kind = if kind == 1 { Kind::Have } else { Kind::Block },
                (5, Value::Number(send)) => entry.send_dont_have = send != 0,
                _ => {}
            }
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_read_back() {
        let leaf = b"a leaf".to_vec();
        let message = Message {
            wants: vec![
                Entry {
                    cid: Cid::of(b"x").to_bytes(),
                    cancel: false,
                    kind: Kind::Have,
                    send_dont_have: true,
                },
                Entry {
                    cid: vec![1; 40],
                    cancel: true,
                    kind: Kind::Block,
                    send_dont_have: false,
                },
            ],
            full: true,
            blocks: vec![
                (Some(Cid::of(&leaf)), leaf.clone()),
                (Some(Cid::with(Codec::DagPb, &leaf)), leaf),
            ],
            presences: vec![(Cid::of(b"y").to_bytes(), true), (vec![9; 36], false)],
        };
        let bytes = message.encode();
        let mut length = Fields(&bytes);
        assert_eq!(length.varint().unwrap() as usize, length.0.len());
        assert_eq!(Message::decode(length.0).unwrap(), message);
        assert!(!message.is_empty());
        assert!(Message::decode(b"").unwrap().is_empty());
    }

    /// As go-bitswap writes a want of one block: <https://specs.ipfs.tech/bitswap-protocol/#wire-format>.
    #[test]
    fn bytes_are_those_of_the_specification() {
        let cid = Cid::of(b"hello").to_bytes();
        let message = Message {
            wants: vec![Entry {
                cid: cid.clone(),
                cancel: false,
                kind: Kind::Block,
                send_dont_have: true,
            }],
            ..Message::default()
        };
        let mut expected = vec![0x34, 0x0A, 0x32, 0x0A, 0x2E, 0x0A, 0x24];
        expected.extend(cid);
        expected.extend([0x10, 1, 0x18, 0, 0x20, 0, 0x28, 1, 0x10, 0]);
        assert_eq!(message.encode(), expected);
    }

    #[test]
    fn bytes_that_are_no_message_are_refused_without_a_panic() {
        let message = Message {
            wants: vec![Entry {
                cid: vec![7; 36],
                cancel: false,
                kind: Kind::Have,
                send_dont_have: true,
            }],
            full: false,
            blocks: vec![(Some(Cid::of(b"z")), b"z".to_vec())],
            presences: vec![(vec![9; 36], false)],
        };
        let bytes = message.encode();
        for cut in 1..bytes.len() - 1 {
            // Cut at a border between fields it may still be one, but never the same.
            assert_ne!(Message::decode(&bytes[1..cut]).as_ref(), Some(&message));
        }
        for at in 1..bytes.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut changed = bytes[1..].to_vec();
                changed[at - 1] ^= flip;
                let _ = Message::decode(&changed);
            }
        }
        assert_eq!(Message::decode(&[0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F]), None);
    }

    #[test]
    fn a_block_of_another_kind_or_too_large_has_no_name() {
        let identity = [1, 0x55, 0, 1];
        for (kind, data) in [(identity, 1), (prefix(Codec::Raw), MAX_BLOCK + 1)] {
            let data = vec![b'q'; data];
            let mut block = Vec::new();
            field(1, &kind, &mut block);
            field(2, &data, &mut block);
            let mut body = Vec::new();
            field(3, &block, &mut body);
            assert_eq!(Message::decode(&body).unwrap().blocks, vec![(None, data)]);
        }
    }
}
