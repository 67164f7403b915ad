//! What a consumer must never forget: where each channel stands, and the voucher that is under way.
//!
//! A voucher is written down before it is sent. If the program dies in between, the next start finds it and asks the worker what
//! became of it, so a paid answer is never lost and nothing is signed twice for one place in a channel unless the worker never
//! saw the first. Two vouchers for one place cannot both be settled: a batch must start where the channel stands.

use crate::{files, wire, Error, Result};
use openledger_attribution::{
    hash::{Hash, NONE},
    receipt::Receipt,
    voucher::{Signature, Terms, Voucher},
    wire::Object,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Where a channel stands, locked while it is used.
#[derive(Debug)]
pub struct Page {
    path: PathBuf,
    state: State,
    // Held as long as the page: two programs must not sign for one place.
    _lock: File,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    channel: u64,
    accepted: String,
    previous: String,
    pending: Option<PendingJson>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PendingJson {
    voucher: String,
    signature: String,
    terms: String,
    salt: String,
    prompt: String,
    /// Not there in pages of a version that asked single questions only.
    #[serde(default)]
    input_tokens: Option<u32>,
}

/// A voucher that was signed and whose receipt is not here yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The voucher.
    pub voucher: Voucher,
    /// The consumer's signature.
    pub signature: Signature,
    /// What was ordered.
    pub terms: Terms,
    /// The secret that opens the answer's texts.
    pub salt: Hash,
    /// What was asked.
    pub prompt: String,
    /// Tokens of the prompt.
    pub input_tokens: Option<u32>,
}

/// A receipt and the secret that opens its texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Canonical bytes of the receipt.
    pub receipt: String,
    /// The worker's signature.
    pub signature: String,
    /// The secret.
    pub salt: String,
    /// What was asked.
    pub prompt: String,
}

fn page_path(data: &Path, channel: u64) -> PathBuf {
    data.join("channels").join(format!("{channel}.json"))
}

fn receipt_path(data: &Path, hash: &Hash) -> PathBuf {
    data.join("receipts").join(format!("{}.json", hex::encode(hash)))
}

/// A kept receipt, if it is one of this consumer's.
pub fn kept(data: &Path, hash: &Hash) -> Result<Option<Kept>> {
    files::read_json(&receipt_path(data, hash))
}

/// Channels that were used from here.
pub fn channels(data: &Path) -> Vec<u64> {
    let entries = fs::read_dir(data.join("channels"))
        .into_iter()
        .flatten()
        .flatten();
    let mut all: Vec<u64> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
        .collect();
    all.sort_unstable();
    all
}

impl Page {
    /// Opens a channel's page, a new one if there is none. Fails while another program has it open.
    pub fn open(data: &Path, channel: u64) -> Result<Self> {
        let path = page_path(data, channel);
        let parent = data.join("channels");
        fs::create_dir_all(&parent).map_err(|e| Error::file(&parent, e))?;
        let lock_path = path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(|e| Error::file(&lock_path, e))?;
        lock.try_lock().map_err(|_| {
            Error::file(
                &lock_path,
                format!("another program uses channel {channel}: wait for its answer"),
            )
        })?;
        let state = files::read_json(&path)?.unwrap_or(State {
            channel,
            accepted: "0".into(),
            previous: wire::hex_of(NONE),
            pending: None,
        });
        let page = Self {
            path,
            state,
            _lock: lock,
        };
        // A page that does not read must be found before anything is signed.
        page.accepted()?;
        page.previous()?;
        page.pending()?;
        Ok(page)
    }

    fn damaged(&self, reason: impl ToString) -> Error {
        Error::file(
            &self.path,
            format!(
                "{}; it was changed by hand: move it away, the channel's page is rebuilt from the worker",
                reason.to_string()
            ),
        )
    }

    /// Whether nothing was ever asked through the channel from here.
    pub fn is_new(&self) -> bool {
        !self.path.exists()
    }

    /// Cumulative planck of the answers so far.
    pub fn accepted(&self) -> Result<u128> {
        self.state.accepted.parse().map_err(|e| self.damaged(e))
    }

    /// Hash of the last receipt, zero before the first.
    pub fn previous(&self) -> Result<Hash> {
        let bytes = wire::bytes_of(&self.state.previous).map_err(|e| self.damaged(e))?;
        bytes
            .try_into()
            .map_err(|_| self.damaged("the last receipt's hash has not 32 bytes"))
    }

    /// The voucher under way.
    pub fn pending(&self) -> Result<Option<Pending>> {
        let Some(json) = &self.state.pending else {
            return Ok(None);
        };
        let damaged = |e: String| self.damaged(e);
        let salt = wire::bytes_of(&json.salt).map_err(damaged)?;
        Ok(Some(Pending {
            voucher: wire::object(&json.voucher).map_err(damaged)?,
            signature: wire::field(&json.signature).map_err(damaged)?,
            terms: wire::object(&json.terms).map_err(damaged)?,
            salt: salt
                .try_into()
                .map_err(|_| self.damaged("the salt has not 32 bytes"))?,
            prompt: json.prompt.clone(),
            input_tokens: json.input_tokens,
        }))
    }

    /// Writes a voucher down. Only then may it be sent.
    pub fn begin(&mut self, pending: &Pending) -> Result<()> {
        let state = State {
            pending: Some(PendingJson {
                voucher: wire::hex_of(pending.voucher.encode()),
                signature: wire::hex_of(wire::bytes_of_field(&pending.signature)),
                terms: wire::hex_of(pending.terms.encode()),
                salt: wire::hex_of(pending.salt),
                prompt: pending.prompt.clone(),
                input_tokens: pending.input_tokens,
            }),
            ..self.state.clone()
        };
        self.write(state)
    }

    /// The voucher's answer came: keeps the receipt, then moves the channel on.
    pub fn finish(&mut self, data: &Path, receipt: &Receipt, signature: &[u8; 64]) -> Result<()> {
        let pending = self
            .pending()?
            .ok_or_else(|| self.damaged("no voucher is under way"))?;
        let cumulative = receipt
            .cumulative()
            .ok_or_else(|| self.damaged("the channel's sum passes 2^128 planck"))?;
        let hash = receipt.hash();
        let kept = Kept {
            receipt: wire::hex_of(receipt.encode()),
            signature: wire::hex_of(signature),
            salt: wire::hex_of(pending.salt),
            prompt: pending.prompt,
        };
        files::write_json(&receipt_path(data, &hash), &kept)?;
        self.write(State {
            channel: self.state.channel,
            accepted: cumulative.to_string(),
            previous: wire::hex_of(hash),
            pending: None,
        })
    }

    /// The worker never saw the voucher.
    pub fn forget(&mut self) -> Result<()> {
        self.write(State {
            pending: None,
            ..self.state.clone()
        })
    }

    /// Takes over where the worker says that the channel stands, for a page that is new here.
    pub fn adopt(&mut self, accepted: u128, previous: Hash) -> Result<()> {
        self.write(State {
            accepted: accepted.to_string(),
            previous: wire::hex_of(previous),
            ..self.state.clone()
        })
    }

    fn write(&mut self, state: State) -> Result<()> {
        files::write_json(&self.path, &state)?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openledger_attribution::{
        fee::{Mix, Split, Tariff},
        voucher::Mode,
    };

    fn pending(accepted: u128, previous: Hash) -> Pending {
        let terms = Terms {
            model: 1,
            generation: 1,
            index: [2; 32],
            tariff: Tariff {
                price_in: 1_000,
                price_out: 2_000,
                split: Split {
                    platform: 500,
                    owner: 3_000,
                    contributors: 4_000,
                    stakers: 0,
                    compute: 3_000,
                    lineage: 0,
                },
                mix: Mix {
                    influence: 1_000_000_000,
                    verbatim: 0,
                    retrieval: 0,
                },
            },
            mode: Mode::Verifiable,
            prompt: [3; 32],
            parameters: [4; 32],
            seed: 5,
        };
        Pending {
            voucher: Voucher {
                genesis: [1; 32],
                channel: 7,
                accepted,
                previous,
                most: 1_000_000,
                expiry: 100,
                terms: terms.hash(),
            },
            signature: Signature::Sr25519([6; 64]),
            terms,
            salt: [8; 32],
            prompt: "Who?".into(),
            input_tokens: Some(9),
        }
    }

    fn receipt(pending: &Pending) -> Receipt {
        let fee = pending.terms.tariff.fee(10, 20).unwrap().total().unwrap();
        Receipt {
            worker: [9; 32],
            voucher: pending.voucher,
            signature: pending.signature,
            terms: pending.terms,
            input_tokens: 10,
            output_tokens: 20,
            fee,
            output: [1; 32],
            attribution: [2; 32],
        }
    }

    #[test]
    fn a_voucher_survives_a_death_between_writing_and_sending() {
        let data = tempfile::tempdir().unwrap();
        let first = pending(0, NONE);
        let mut page = Page::open(data.path(), 7).unwrap();
        assert!(page.is_new());
        page.begin(&first).unwrap();
        // Dies here: nothing was sent. The next program finds the very same voucher.
        drop(page);
        let mut page = Page::open(data.path(), 7).unwrap();
        assert_eq!(page.pending().unwrap(), Some(first.clone()));
        assert_eq!((page.accepted().unwrap(), page.previous().unwrap()), (0, NONE));

        let receipt = receipt(&first);
        page.finish(data.path(), &receipt, &[3; 64]).unwrap();
        drop(page);
        let page = Page::open(data.path(), 7).unwrap();
        assert_eq!(page.pending().unwrap(), None);
        assert_eq!(page.accepted().unwrap(), receipt.fee);
        assert_eq!(page.previous().unwrap(), receipt.hash());
        let kept = kept(data.path(), &receipt.hash()).unwrap().unwrap();
        assert_eq!(kept.receipt, wire::hex_of(receipt.encode()));
        assert_eq!(channels(data.path()), [7]);
    }

    #[test]
    fn a_death_while_writing_leaves_the_page_before() {
        let data = tempfile::tempdir().unwrap();
        let mut page = Page::open(data.path(), 7).unwrap();
        page.begin(&pending(0, NONE)).unwrap();
        page.finish(data.path(), &receipt(&pending(0, NONE)), &[0; 64])
            .unwrap();
        let (accepted, previous) = (page.accepted().unwrap(), page.previous().unwrap());
        drop(page);
        // What a killed write leaves behind: half of the next page, under the temporary name.
        let half = b"{\"channel\":7,\"accepted\":\"99";
        fs::write(page_path(data.path(), 7).with_extension("new"), half).unwrap();
        let mut page = Page::open(data.path(), 7).unwrap();
        assert_eq!(
            (page.accepted().unwrap(), page.previous().unwrap()),
            (accepted, previous)
        );
        page.begin(&pending(accepted, previous)).unwrap();
        assert!(page.pending().unwrap().is_some());
    }

    #[test]
    fn two_programs_cannot_sign_for_one_place() {
        let data = tempfile::tempdir().unwrap();
        let page = Page::open(data.path(), 7).unwrap();
        let error = Page::open(data.path(), 7).unwrap_err().to_string();
        assert!(error.contains("another program uses channel 7"), "{error}");
        Page::open(data.path(), 8).unwrap();
        drop(page);
        Page::open(data.path(), 7).unwrap();
    }

    #[test]
    fn a_damaged_page_is_found_before_anything_is_signed() {
        let data = tempfile::tempdir().unwrap();
        for text in [
            "{",
            "{\"channel\":7,\"accepted\":\"-1\",\"previous\":\"0x00\",\"pending\":null}",
            "{\"channel\":7,\"accepted\":\"1\",\"previous\":\"0x00\",\"pending\":null}",
        ] {
            let path = page_path(data.path(), 7);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            let error = Page::open(data.path(), 7).unwrap_err().to_string();
            assert!(error.contains("by hand"), "{error}");
        }
    }
}
