//! Challenges: evidence committed to, shown, judged. What a challenge needs is on disk before its deposit is paid, for without salt
//! and evidence the deposit would be lost; whoever is stopped in between goes on at the next start.

use crate::{
    args,
    context::{money, money_json, random, Context},
    explain::stage,
    files,
    wire::{bytes_of_field, field, hex_of},
    Error, Result,
};
use openledger_attribution::{
    hash::Hash,
    verdict::{BatchEvidence, BatchQuestion, Duplicate, IndexEvidence, IndexQuestion, VersionEvidence},
};
use openledger_chain::{ss58, At, Chain, Head, Included, Key, Read};
use openledger_protocol::{
    batches::{commitment, Batch, BatchStage, Challenge},
    calls,
    committees::{index_question_commitment, question_commitment},
    compute,
    datanets::Contribution,
    disputes::{
        duplicate_commitment, index_commitment, version_commitment, Disputed, IndexBond, IndexStage,
        VersionBond,
    },
    storage, Account,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use std::path::PathBuf;

/// What is accused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accused {
    /// A batch, of its worker.
    Batch(u64),
    /// An index, of its builder.
    Index(Hash),
    /// A version of a Datanet, of its publisher.
    Version(u64, u32),
    /// A contribution that holds somebody else's record.
    Contribution(u64),
}

impl std::fmt::Display for Accused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batch(id) => write!(f, "batch {id}"),
            Self::Index(hash) => write!(f, "index {}", hex_of(hash)),
            Self::Version(datanet, version) => write!(f, "version {version} of Datanet {datanet}"),
            Self::Contribution(id) => write!(f, "contribution {id}"),
        }
    }
}

/// What proves it.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// About a batch.
    Batch(Box<BatchEvidence>),
    /// About an index.
    Index(Box<IndexEvidence>),
    /// About a version.
    Version(Box<VersionEvidence>),
    /// About a contribution.
    Duplicate(Box<Duplicate>),
    /// A question about a batch, for a committee.
    OfBatch(Box<BatchQuestion>),
    /// A question about an index, for a committee.
    OfIndex(Box<IndexQuestion>),
}

impl Evidence {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Batch(evidence) => bytes_of_field(&**evidence),
            Self::Index(evidence) => bytes_of_field(&**evidence),
            Self::Version(evidence) => bytes_of_field(&**evidence),
            Self::Duplicate(evidence) => bytes_of_field(&**evidence),
            Self::OfBatch(question) => bytes_of_field(&**question),
            Self::OfIndex(question) => bytes_of_field(&**question),
        }
    }

    /// Whether it proves nothing by itself.
    fn is_question(&self) -> bool {
        matches!(self, Self::OfBatch(_) | Self::OfIndex(_))
    }
}

/// A challenge under way, as it is written down.
#[derive(Serialize, Deserialize)]
struct Kept {
    salt: String,
    evidence: String,
    /// Whether the evidence is a question for a committee.
    #[serde(default)]
    asks: bool,
}

/// Where something accused stands.
pub struct Standing {
    /// In words.
    pub words: String,
    /// Whether it was proved wrong.
    pub condemned: bool,
    /// Of what, by its name.
    pub kind: Option<String>,
    /// The block that this is of.
    pub block: u32,
    /// Whether it can be proved wrong now.
    pub open: bool,
    /// Who answers for it.
    pub who: Account,
    /// Where that was read.
    pub place: String,
}

impl Accused {
    fn name(&self) -> String {
        match self {
            Self::Batch(id) => format!("batch-{id}"),
            Self::Index(hash) => format!("index-{}", hex::encode(hash)),
            Self::Version(datanet, version) => format!("version-{datanet}-{version}"),
            Self::Contribution(id) => format!("contribution-{id}"),
        }
    }

    fn path(&self, context: &Context, chain: &Chain) -> PathBuf {
        context
            .data(&chain.genesis())
            .join("challenges")
            .join(format!("{}.json", self.name()))
    }

    fn disputed(&self) -> Option<Disputed> {
        match *self {
            Self::Version(datanet, version) => Some(Disputed::Version { datanet, version }),
            Self::Contribution(id) => Some(Disputed::Contribution(id)),
            Self::Batch(_) | Self::Index(_) => None,
        }
    }

    /// Where a challenge of it by `who` is.
    fn challenge_key(&self, who: Account) -> Vec<u8> {
        match (*self, self.disputed()) {
            (_, Some(about)) => storage::datanet_challenge(about, who),
            (Self::Index(hash), _) => storage::index_challenge(hash, who),
            (Self::Batch(id), _) => storage::challenge(id, who),
            (Self::Version(..) | Self::Contribution(_), None) => Vec::new(),
        }
    }

    fn lapse(&self, who: &Account) -> Vec<u8> {
        match (*self, self.disputed()) {
            (_, Some(about)) => calls::datanets::lapse(&about, who),
            (Self::Index(hash), _) => calls::attribution::lapse_index(&hash, who),
            (Self::Batch(id), _) => calls::attribution::lapse(id, who),
            (Self::Version(..) | Self::Contribution(_), None) => Vec::new(),
        }
    }

    /// Where it stands.
    pub async fn standing(&self, chain: &Chain, at: impl Into<At>) -> Result<Standing> {
        let what = self.to_string();
        Ok(match *self {
            Self::Batch(id) => {
                let read = chain.read::<Batch<Account>>(storage::batch(id), at).await?;
                let read = read.found(&what)?;
                let batch = &read.value;
                Standing {
                    words: stage(batch),
                    condemned: matches!(batch.stage, BatchStage::Condemned { .. }),
                    kind: match batch.stage {
                        BatchStage::Condemned { guilt } => Some(format!("{guilt:?}")),
                        _ => None,
                    },
                    block: read.block.number,
                    open: batch.stage == BatchStage::Open && read.block.number < batch.closes,
                    who: batch.worker,
                    place: read.place(),
                }
            }
            Self::Index(hash) => {
                let read = chain
                    .read::<IndexBond<Account>>(storage::index_bond(hash), at)
                    .await?
                    .found(&what)?;
                let stage = read.value.stage;
                let open = matches!(stage, IndexStage::Standing | IndexStage::Retiring { .. });
                Standing {
                    words: match stage {
                        IndexStage::Void { guilt } => format!("void: {guilt}"),
                        _ if open => "open to challenge".into(),
                        _ => "closed".into(),
                    },
                    condemned: matches!(stage, IndexStage::Void { .. }),
                    kind: match stage {
                        IndexStage::Void { guilt } => Some(format!("{guilt:?}")),
                        _ => None,
                    },
                    block: read.block.number,
                    open,
                    who: read.value.builder,
                    place: read.place(),
                }
            }
            Self::Version(datanet, version) => {
                let key = storage::version_bond(datanet, version);
                let read = chain.read::<VersionBond<Account>>(key, at).await?.found(&what)?;
                let bond = &read.value;
                let open = bond.void.is_none() && bond.deposit > 0 && read.block.number < bond.closes;
                Standing {
                    words: match bond.void {
                        Some(guilt) => format!("void: {guilt}"),
                        None if open => format!("open to challenge until block {}", bond.closes),
                        None => "closed".into(),
                    },
                    condemned: bond.void.is_some(),
                    kind: bond.void.map(|guilt| format!("{guilt:?}")),
                    block: read.block.number,
                    open,
                    who: bond.publisher,
                    place: read.place(),
                }
            }
            Self::Contribution(id) => {
                let block = chain.resolve(at).await?;
                let known = chain
                    .read::<Contribution<Account>>(storage::contribution(id), block)
                    .await?
                    .found(&what)?;
                let proved = chain.read::<u32>(storage::duplicate(id), block).await?;
                Standing {
                    words: match proved.value {
                        Some(since) => format!("a duplicate since block {since}"),
                        None => "open to challenge".into(),
                    },
                    condemned: proved.value.is_some(),
                    kind: proved.value.map(|_| "Duplicate".into()),
                    block: block.number,
                    open: proved.value.is_none(),
                    who: known.value.contributor,
                    place: proved.place(),
                }
            }
        })
    }

    /// Whether a challenge of it was begun from here and not ended.
    pub fn is_begun(&self, context: &Context, chain: &Chain) -> bool {
        self.path(context, chain).exists()
    }

    /// Writes evidence down, commits to it, shows it, and tells the verdict.
    pub async fn accuse(
        &self,
        context: &Context,
        chain: &Chain,
        key: &Key,
        evidence: &Evidence,
    ) -> Result<Value> {
        let kept = Kept {
            salt: hex_of(random()?),
            evidence: hex_of(evidence.bytes()),
            asks: evidence.is_question(),
        };
        files::write_json(&self.path(context, chain), &kept)?;
        self.go_on(context, chain, key).await
    }

    /// Goes on with a challenge that was begun. If somebody else was faster, the deposit is taken back.
    pub async fn go_on(&self, context: &Context, chain: &Chain, key: &Key) -> Result<Value> {
        let path = self.path(context, chain);
        let kept: Kept = files::read_json(&path)?
            .ok_or_else(|| Error::file(&path, "there is no challenge of this name"))?;
        let account = key.account();
        let own = self.challenge_key(account);
        let before = self.standing(chain, Head::Best).await?;
        let balance = chain.balance(&account, Head::Best).await?.map(|b| b.free);
        let mine = || chain.read::<Challenge>(own.clone(), Head::Best);
        if !before.open {
            let report = self.give_up(context, chain, key, &before).await?;
            remove(&path)?;
            return Ok(report);
        }
        let damaged = |e: String| Error::file(&path, format!("{e}; move it away and look again"));
        let salt: Hash = args::parse_hash(&kept.salt).map_err(damaged)?;
        let (commitment, prove) = self.calls(&account, &salt, &kept).map_err(damaged)?;
        match mine().await?.value {
            None => {
                let included = chain.submit(&commitment.call, key).await?;
                context.say_included("  challenged", &included);
                self.say_deposit(context, chain, account, &included).await?;
            }
            Some(known) if known.commitment != commitment.hash => {
                return Err(Error::other(format!(
                    "{self} has another challenge of this account, which was not made from here: show its evidence from where \
                     it was made, or wait until it lapses"
                )));
            }
            Some(_) => {}
        }
        let bond_before = bond(chain, &before.who, Head::Best).await?;
        // The transaction can only be in a later block than the one just seen.
        let included = match chain.submit(&prove, key).await {
            Ok(included) => included,
            Err(error) => {
                let now = self.standing(chain, Head::Best).await?;
                if now.open {
                    return Err(error.into());
                }
                let report = self.give_up(context, chain, key, &now).await?;
                remove(&path)?;
                return Ok(report);
            }
        };
        remove(&path)?;
        let after = self.standing(chain, included.block).await?;
        let bond_after = bond(chain, &before.who, included.block).await?;
        let free = chain.balance(&account, included.block).await?.map(|b| b.free);
        if kept.asks {
            context.say_included("  asked", &included);
            return Ok(json!({ "stage": after.words, "asked": included.block.number }));
        }
        context.say_included("  evidence shown", &included);
        context.say(format!("  verdict: {} ({})", after.words, after.place));
        let accused = ss58(&before.who);
        context.say(format!("    bond of {accused} before {}", money(&bond_before)));
        context.say(format!("    bond of {accused} after  {}", money(&bond_after)));
        context.say(format!("    free of the challenger before {}", money(&balance)));
        context.say(format!("    free of the challenger after  {}", money(&free)));
        Ok(json!({
            "stage": after.words,
            "condemned": after.condemned,
            "kind": after.kind,
            "block": included.block.number,
            "accused": hex_of(before.who),
            "bond_before": money_json(&bond_before),
            "bond_after": money_json(&bond_after),
            "challenger_before": money_json(&balance),
            "challenger_after": money_json(&free),
        }))
    }

    async fn say_deposit(
        &self,
        context: &Context,
        chain: &Chain,
        account: Account,
        included: &Included,
    ) -> Result<()> {
        let key = self.challenge_key(account);
        let deposit = chain.read::<Challenge>(key, included.block).await?;
        if let Ok(challenge) = deposit.found("challenge") {
            let deposit = money(&challenge.map(|c| c.deposit));
            context.say(format!("    deposit, held {deposit}"));
        }
        Ok(())
    }

    /// Nothing can be proved any more: takes the deposit back if somebody else proved it.
    async fn give_up(&self, context: &Context, chain: &Chain, key: &Key, now: &Standing) -> Result<Value> {
        let account = key.account();
        let mine = chain
            .read::<Challenge>(self.challenge_key(account), Head::Best)
            .await?;
        if now.condemned && mine.value.is_some() {
            let included = chain.submit(&self.lapse(&account), key).await?;
            context.say_included("  somebody else proved it; the deposit came back", &included);
        }
        context.say(format!("  {self}: {} ({})", now.words, now.place));
        Ok(json!({ "stage": now.words, "condemned": now.condemned, "kind": now.kind, "block": now.block }))
    }

    fn calls(&self, who: &Account, salt: &Hash, kept: &Kept) -> Result<(Commitment, Vec<u8>), String> {
        let evidence = kept.evidence.as_str();
        Ok(match *self {
            Self::Batch(id) if kept.asks => {
                let question: BatchQuestion = field(evidence)?;
                let hash = question_commitment(who, id, salt, &question);
                let call = calls::attribution::challenge(id, &hash);
                let ask = calls::attribution::ask(id, salt, Box::new(question));
                (Commitment { hash, call }, ask)
            }
            Self::Index(index) if kept.asks => {
                let question: IndexQuestion = field(evidence)?;
                let hash = index_question_commitment(who, &index, salt, &question);
                let call = calls::attribution::challenge_index(&index, &hash);
                let ask = calls::attribution::ask_index(&index, salt, Box::new(question));
                (Commitment { hash, call }, ask)
            }
            Self::Batch(id) => {
                let evidence: BatchEvidence = field(evidence)?;
                let hash = commitment(who, id, salt, &evidence);
                let call = calls::attribution::challenge(id, &hash);
                let prove = calls::attribution::prove(id, salt, Box::new(evidence));
                (Commitment { hash, call }, prove)
            }
            Self::Index(index) => {
                let evidence: IndexEvidence = field(evidence)?;
                let hash = index_commitment(who, &index, salt, &evidence);
                let call = calls::attribution::challenge_index(&index, &hash);
                let prove = calls::attribution::prove_index(&index, salt, Box::new(evidence));
                (Commitment { hash, call }, prove)
            }
            Self::Version(datanet, version) => {
                let evidence: VersionEvidence = field(evidence)?;
                let hash = version_commitment(who, datanet, version, salt, &evidence);
                let about = Disputed::Version { datanet, version };
                let call = calls::datanets::challenge(&about, &hash);
                let prove = calls::datanets::prove_version(datanet, version, salt, Box::new(evidence));
                (Commitment { hash, call }, prove)
            }
            Self::Contribution(id) => {
                let evidence: Duplicate = field(evidence)?;
                let hash = duplicate_commitment(who, salt, &evidence);
                let call = calls::datanets::challenge(&Disputed::Contribution(id), &hash);
                let prove = calls::datanets::prove_duplicate(salt, Box::new(evidence));
                (Commitment { hash, call }, prove)
            }
        })
    }
}

struct Commitment {
    hash: Hash,
    call: Vec<u8>,
}

/// Challenges that were begun from here and not ended.
pub fn begun(context: &Context, chain: &Chain) -> Vec<Accused> {
    let folder = context.data(&chain.genesis()).join("challenges");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut all: Vec<Accused> = entries
        .filter_map(|entry| named(entry.file_name().to_str()?.strip_suffix(".json")?))
        .collect();
    all.sort_unstable();
    all
}

fn named(name: &str) -> Option<Accused> {
    let (kind, rest) = name.split_once('-')?;
    Some(match kind {
        "batch" => Accused::Batch(rest.parse().ok()?),
        "index" => Accused::Index(args::parse_hash(rest).ok()?),
        "version" => {
            let (datanet, version) = rest.split_once('-')?;
            Accused::Version(datanet.parse().ok()?, version.parse().ok()?)
        }
        "contribution" => Accused::Contribution(rest.parse().ok()?),
        _ => return None,
    })
}

fn remove(path: &std::path::Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|e| Error::file(path, e))
}

async fn bond(chain: &Chain, worker: &Account, at: impl Into<At>) -> Result<Read<u128>> {
    let read = chain
        .read::<compute::Worker>(storage::worker(*worker), at)
        .await?;
    Ok(read.map(|worker| worker.map_or(0, |worker| worker.bond)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_is_found_again() {
        for accused in [
            Accused::Batch(7),
            Accused::Index([3; 32]),
            Accused::Version(1, 2),
            Accused::Contribution(9),
        ] {
            let name = accused.name();
            assert_eq!(named(&name), Some(accused), "{name}");
        }
        for name in ["batch", "batch-x", "index-07", "version-1", "other-1"] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
