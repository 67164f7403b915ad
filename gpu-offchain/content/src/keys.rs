//! Asking a keeper for a key of licensed content.

use crate::{
    seal::{random, seal},
    Error, Identity, Label, Recipient, Result,
};
use openledger_attribution::{
    hash::{Account, Hash},
    wire::{Field, Reader, WireError},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Starts the SPDX identifier of a licence that is on no public list: the terms are the owner's.
const OWN_TERMS: &[u8] = b"LicenseRef-";

/// Version of the layout.
const VERSION: u8 = 1;

/// Whether content under a licence, as the chain names it, is encrypted: if its identifier starts `LicenseRef-`,
/// SPDX's form for terms of one's own.
pub fn is_licensed(licence: &[u8]) -> bool {
    licence.starts_with(OWN_TERMS)
}

/// What a key is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To seal one's own contribution, the one with this hash of its root. Anybody gets that key.
    Contribute(Hash),
    /// To read the version: for the Datanet's owner and curators, and for a worker with a job on it.
    Read {
        /// The job.
        job: Option<u64>,
    },
}

/// A request for a key, signed by the account that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRequest {
    /// The chain.
    pub genesis: Hash,
    /// The worker that is asked: no other can use the request.
    pub keeper: Account,
    /// Who asks, and signs.
    pub account: Account,
    /// The Datanet.
    pub datanet: u64,
    /// The version whose key it is about.
    pub version: u32,
    /// What for.
    pub purpose: Purpose,
    /// Whom the answer is sealed to.
    pub recipient: [u8; 32],
    /// Seconds since 1970.
    pub time: u64,
    /// Random, used once.
    pub nonce: [u8; 16],
}

impl KeyRequest {
    /// One made now for the key that a label names, with the identity that opens the answer. `account` signs its
    /// [`message`](Self::message).
    ///
    /// Errors: no random bytes, or a clock that is before 1970.
    pub fn new(genesis: Hash, account: Account, label: &Label, purpose: Purpose) -> Result<(Self, Identity)> {
        let identity = Identity::random()?;
        let time = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| seal("the system's clock is before 1970: set it"))?;
        let request = Self {
            genesis,
            keeper: label.keeper,
            account,
            datanet: label.datanet,
            version: label.version,
            purpose,
            recipient: identity.recipient().0,
            time: time.as_secs(),
            nonce: random()?,
        };
        Ok((request, identity))
    }

    /// Whom the answer is sealed to.
    pub fn recipient(&self) -> Recipient {
        Recipient(self.recipient)
    }

    /// Its bytes: version (u8, 1), the fields in their order, the purpose as 0 ‖ hash or 1 ‖ optional job.
    pub fn encode(&self) -> Vec<u8> {
        let Self {
            genesis,
            keeper,
            account,
            datanet,
            version,
            purpose,
            recipient,
            time,
            nonce,
        } = self;
        let mut out = vec![VERSION];
        genesis.write(&mut out);
        keeper.write(&mut out);
        account.write(&mut out);
        datanet.write(&mut out);
        version.write(&mut out);
        match purpose {
            Purpose::Contribute(records) => {
                out.push(0);
                records.write(&mut out);
            }
            Purpose::Read { job } => {
                out.push(1);
                job.write(&mut out);
            }
        }
        recipient.write(&mut out);
        time.write(&mut out);
        nonce.write(&mut out);
        out
    }

    /// Reads what [`encode`](Self::encode) gives, and nothing else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let read = || -> Result<Self, WireError> {
            let mut from = Reader::new(bytes);
            match u8::read(&mut from)? {
                VERSION => {}
                other => return Err(WireError::Version(other)),
            }
            let request = Self {
                genesis: Field::read(&mut from)?,
                keeper: Field::read(&mut from)?,
                account: Field::read(&mut from)?,
                datanet: Field::read(&mut from)?,
                version: Field::read(&mut from)?,
                purpose: match u8::read(&mut from)? {
                    0 => Purpose::Contribute(Field::read(&mut from)?),
                    1 => Purpose::Read {
                        job: Field::read(&mut from)?,
                    },
                    other => return Err(WireError::Choice(other)),
                },
                recipient: Field::read(&mut from)?,
                time: Field::read(&mut from)?,
                nonce: Field::read(&mut from)?,
            };
            from.finish()?;
            Ok(request)
        };
        read().map_err(|error| Error::Sealed(format!("these bytes are no request for a key: {error}")))
    }

    /// What the account signs: `<Bytes>OpenLedger key request:` ‖ bytes ‖ `</Bytes>`, as wallets wrap raw messages.
    pub fn message(&self) -> Vec<u8> {
        [b"<Bytes>OpenLedger key request:", &self.encode()[..], b"</Bytes>"].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentKey;

    #[test]
    fn requests_read_back_and_nothing_else_does() {
        for purpose in [
            Purpose::Contribute([9; 32]),
            Purpose::Read { job: None },
            Purpose::Read { job: Some(u64::MAX) },
        ] {
            let request = KeyRequest {
                genesis: [1; 32],
                keeper: [2; 32],
                account: [3; 32],
                datanet: 4,
                version: 5,
                purpose,
                recipient: [6; 32],
                time: 7,
                nonce: [8; 16],
            };
            let bytes = request.encode();
            assert_eq!(KeyRequest::decode(&bytes).unwrap(), request);
            for cut in 0..bytes.len() {
                assert!(KeyRequest::decode(&bytes[..cut]).is_err());
            }
            assert!(KeyRequest::decode(&[&bytes[..], &[0]].concat()).is_err());
            let wrong = [&[2], &bytes[1..]].concat();
            assert!(KeyRequest::decode(&wrong)
                .unwrap_err()
                .to_string()
                .contains("no request"));
        }
    }

    #[test]
    fn each_request_is_another_and_its_answer_opens() {
        let label = Label {
            datanet: 4,
            version: 5,
            keeper: [2; 32],
        };
        let purpose = Purpose::Read { job: None };
        let (one, identity) = KeyRequest::new([1; 32], [3; 32], &label, purpose).unwrap();
        let (other, _) = KeyRequest::new([1; 32], [3; 32], &label, purpose).unwrap();
        assert_eq!((one.keeper, one.datanet, one.version), ([2; 32], 4, 5));
        assert!(one.nonce != other.nonce && one.recipient != other.recipient);
        let key = ContentKey::random().unwrap();
        let sealed = key.wrap(&one.recipient()).unwrap();
        assert_eq!(identity.unwrap_key(&sealed).unwrap(), key);
    }

    #[test]
    fn own_terms_are_licensed() {
        assert!(is_licensed(b"LicenseRef-Acme-1"));
        assert!(!is_licensed(b"CC0-1.0") && !is_licensed(b"licenseref-x") && !is_licensed(b""));
    }
}
