//! What can be typed.

use clap::{Args as ClapArgs, Parser, Subcommand};
use openledger_attribution::verdict::Wanted;
use openledger_chain::{parse_account, parse_open};
use openledger_protocol::{
    disputes::Committed,
    models::{Place, Source},
    Account, Hash,
};
use std::path::PathBuf;

/// Contribute records, train models on them, ask and pay, see who is credited for an answer, and check every number.
#[derive(Debug, Parser)]
#[command(name = "openledger", version, propagate_version = true)]
pub struct Args {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Clone, Debug, ClapArgs)]
pub struct Global {
    /// Address of a node
    #[arg(
        long,
        global = true,
        env = "OPENLEDGER_NODE_URL",
        default_value = "ws://127.0.0.1:9944"
    )]
    pub node: String,
    /// Address of a worker's public API
    #[arg(
        long,
        global = true,
        env = "OPENLEDGER_WORKER_URL",
        default_value = "http://127.0.0.1:8700"
    )]
    pub worker: String,
    /// File with the key that signs: 0x and 64 hexadecimal digits, a mnemonic, or a secret URI; mode 600
    #[arg(long, global = true, conflicts_with = "dev_key", env = "OPENLEDGER_KEY")]
    pub key: Option<PathBuf>,
    /// Sign with a well-known development key such as Alice; only on a development chain
    #[arg(long, global = true, value_name = "NAME")]
    pub dev_key: Option<String>,
    /// Folder for what must not be forgotten: channels, receipts, salts [default: ~/.local/share/openledger]
    #[arg(long, global = true, env = "OPENLEDGER_DATA")]
    pub data: Option<PathBuf>,
    /// Print JSON: one object, or one a line where a command goes on
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Key files
    #[command(subcommand)]
    Key(Key),
    /// Send OPEN to an account
    Send(Send),
    /// Datanets: pools of records
    #[command(subcommand)]
    Datanet(Datanet),
    /// Contribute the records of files to a Datanet
    Contribute(Contribute),
    /// Base models
    #[command(subcommand)]
    Base(Base),
    /// Models: fine-tunes that answer
    #[command(subcommand)]
    Model(Model),
    /// Order a generation of a model and follow it until it can answer
    Train(Train),
    /// Payment channels to a worker
    #[command(subcommand)]
    Channel(Channel),
    /// Ask a model, pay by voucher, and see which records shaped the answer
    Chat(Chat),
    /// Serve OpenAI's API on this machine and pay for what its SDKs ask, within limits
    Proxy(Proxy),
    /// What was credited and can be claimed
    #[command(subcommand)]
    Rewards(Rewards),
    /// Recompute a receipt from public data and compare with what was claimed and credited; exit code 1 on a difference
    Explain(Explain),
    /// Recompute every batch on the chain and challenge what is wrong; exit code 1 if something was
    Watch(Watch),
    /// Recompute one batch and challenge what is wrong; exit code 1 if something is
    Dispute(Dispute),
    /// Have a committee recompute what no integer proves; exit code 1 if it finds it wrong
    #[command(subcommand)]
    Question(Question),
    /// Pay the chain to have a worker show a piece of what it committed to; exit code 1 if it withholds it
    Request(Request),
    /// Compare the issuance with the sum of all accounts; exit code 1 if they differ
    Supply(Supply),
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum Key {
    /// Make a new key in a file that only you can read
    New {
        /// The file
        file: PathBuf,
    },
    /// Show the account of the key given with --key or --dev-key
    Show,
}

/// `send`.
#[derive(Debug, ClapArgs)]
pub struct Send {
    /// Account that gets it: SS58, or 0x and 64 hexadecimal digits
    #[arg(value_parser = parse_account)]
    pub to: Account,
    /// How much
    #[arg(value_name = "OPEN", value_parser = parse_open)]
    pub amount: u128,
}

/// `datanet`.
#[derive(Debug, Subcommand)]
pub enum Datanet {
    /// Create a Datanet that you own
    Create {
        /// Its name, at most 64 bytes
        name: String,
        /// SPDX identifier of the licence of its records
        #[arg(long, default_value = "CC0-1.0")]
        licence: String,
        /// Account that decides what is accepted, several times for several; without one everything is accepted in time
        #[arg(long = "curator", value_parser = parse_account)]
        curators: Vec<Account>,
    },
    /// Show a Datanet with its contributions and versions, or all Datanets
    Show {
        /// Its number
        datanet: Option<u64>,
    },
    /// Accept a contribution: as a curator, or for an open Datanet once its window has passed
    Accept {
        /// Number of the contribution
        contribution: u64,
        /// What curators think it is worth, 1 to 10000
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        weight: u16,
    },
    /// Reject a contribution
    Reject {
        /// Number of the contribution
        contribution: u64,
    },
    /// Publish a version: all accepted contributions, with their families of near-duplicates. Records whose answers contradict those to
    /// like questions, or that answer one question again, are held: they are shown, and left out until somebody has looked at them
    Publish(Publish),
}

/// `datanet publish`.
#[derive(Debug, ClapArgs)]
pub struct Publish {
    /// Number of the Datanet
    pub datanet: u64,
    /// Version it grew out of [default: the newest]
    #[arg(long)]
    pub parent: Option<u32>,
    /// Take a held record in after all, as CONTRIBUTION:RECORD; several times for several
    #[arg(long, value_name = "CONTRIBUTION:RECORD", value_parser = parse_record)]
    pub keep: Vec<openledger_attribution::record::RecordId>,
    /// Take in everything that is held
    #[arg(long)]
    pub keep_all: bool,
    /// Index of a generation that has learned these records: those that stand out in it are held too
    #[arg(long, value_parser = parse_hash)]
    pub index: Option<Hash>,
}

/// `contribute`.
#[derive(Debug, ClapArgs)]
pub struct Contribute {
    /// Number of the Datanet
    pub datanet: u64,
    /// Files with records: .txt (one record), .md (one per section), .jsonl (one per line: "text", or "prompt" and "response"), .csv
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// `base`.
#[derive(Debug, Subcommand)]
pub enum Base {
    /// Register a base model by the hashes of its files
    Register {
        /// Its name
        name: String,
        /// SPDX identifier of its licence
        #[arg(long, default_value = "Apache-2.0")]
        licence: String,
        /// Folder with config.json, safetensors and tokenizer.json
        #[arg(long)]
        dir: PathBuf,
    },
}

/// `model`.
#[derive(Debug, Subcommand)]
pub enum Model {
    /// Create a model that you own
    Create {
        /// Its name
        name: String,
        /// Number of its base
        #[arg(long)]
        base: u64,
        /// Price of 1,000 tokens of prompt
        #[arg(long, value_name = "OPEN", value_parser = parse_open)]
        price_in: u128,
        /// Price of 1,000 tokens of answer
        #[arg(long, value_name = "OPEN", value_parser = parse_open)]
        price_out: u128,
        /// Weights of the channels influence, verbatim and retrieval, in percent
        #[arg(long, default_value = DEFAULT_MIX, value_parser = parse_mix)]
        mix: openledger_attribution::fee::Mix,
    },
    /// Show a model with its generations, or all models
    Show {
        /// Its number or name
        model: Option<String>,
    },
    /// Let a model answer, or not
    Serve {
        /// Its number or name
        model: String,
        /// Stop it
        #[arg(long)]
        stop: bool,
    },
}

/// `train`.
#[derive(Debug, ClapArgs)]
pub struct Train {
    /// Number or name of the model
    pub model: String,
    /// What to train on: Datanet:version:weight, or Datanet:version; several times for several
    #[arg(long = "source", required = true, value_parser = parse_source)]
    pub sources: Vec<Source>,
    /// What the work is worth to you; held until the generation can answer
    #[arg(long, value_name = "OPEN", value_parser = parse_open)]
    pub price: u128,
    /// Start from the adapter of this generation instead of the base: model:generation, both numbers. It has to have the same
    /// base, rank, alpha and targets; its line of ancestors shares in what the new generation earns
    #[arg(long, value_name = "MODEL:GENERATION", value_parser = parse_place)]
    pub parent: Option<Place>,
    /// Blocks until the work must be done
    #[arg(long, default_value_t = 1_800)]
    pub deadline: u32,
    /// Rank of the adapter
    #[arg(long, default_value_t = 16)]
    pub rank: u16,
    /// Scale of the adapter times its rank
    #[arg(long, default_value_t = 32)]
    pub alpha: u16,
    /// Modules with an adapter, of q,k,v,o,gate,up,down
    #[arg(long, default_value = "q,k,v,o,gate,up,down", value_parser = parse_targets)]
    pub targets: u8,
    /// Peak learning rate, in 10^-9
    #[arg(long, default_value_t = 4_000_000)]
    pub learning_rate: u32,
    /// Passes over the data
    #[arg(long, default_value_t = 16)]
    pub epochs: u16,
    /// Examples per step
    #[arg(long, default_value_t = 4)]
    pub batch: u16,
    /// Most tokens of an example
    #[arg(long, default_value_t = 256)]
    pub context: u16,
    /// Percent of the records held out to measure the loss
    #[arg(long, default_value_t = 5)]
    pub held_out: u8,
    /// Index: dimensions that each side of a gradient is projected to; a row has rank × 2 × this bytes a module, 32 KiB at most
    #[arg(long, default_value_t = 28)]
    pub projection: u16,
    /// Index: most rows that an answer is credited to
    #[arg(long, default_value_t = 64)]
    pub top: u16,
    /// Index: damping, in parts per billion of the mean eigenvalue
    #[arg(long, default_value_t = 100_000_000)]
    pub rho: u32,
    /// Index: how far above noise a row must score, in hundredths of a standard deviation
    #[arg(long, default_value_t = 400)]
    pub z: u16,
    /// Index: exponent of two under which a gradient is zero
    #[arg(long, default_value_t = -24, allow_negative_numbers = true)]
    pub floor: i8,
    /// Return once it is ordered
    #[arg(long)]
    pub no_wait: bool,
}

/// `channel`.
#[derive(Debug, Subcommand)]
pub enum Channel {
    /// Open a channel to the worker at --worker and put a deposit in
    Open {
        /// The deposit; what is not spent comes back
        #[arg(value_name = "OPEN", value_parser = parse_open)]
        deposit: u128,
        /// Account of the worker, if its API is not at --worker
        #[arg(long, value_parser = parse_account)]
        to: Option<Account>,
    },
    /// Show a channel, or all of yours
    Show {
        /// Its number
        channel: Option<u64>,
    },
    /// Start to close a channel; once its time has come, take the rest back
    Close {
        /// Its number
        channel: u64,
    },
}

/// `chat`.
#[derive(Debug, ClapArgs)]
pub struct Chat {
    /// Number or name of the model
    pub model: String,
    /// What to ask
    pub prompt: String,
    /// Channel to pay through [default: your newest to the worker]
    #[arg(long)]
    pub channel: Option<u64>,
    /// Generation [default: the newest that can answer]
    #[arg(long)]
    pub generation: Option<u32>,
    /// Most tokens of the answer
    #[arg(long, default_value_t = 128)]
    pub max_tokens: u32,
    /// 0 takes the likeliest token every time
    #[arg(long, default_value_t = 0.0)]
    pub temperature: f32,
    /// Share of the likeliest tokens to choose from
    #[arg(long, default_value_t = 1.0)]
    pub top_p: f32,
    /// Seed of the choice [default: random]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Blocks that the voucher is good for
    #[arg(long, default_value_t = 1_200)]
    pub expiry: u64,
    /// Sources to show with their text
    #[arg(long, default_value_t = 5)]
    pub sources: usize,
}

/// `proxy`.
#[derive(Debug, ClapArgs)]
pub struct Proxy {
    /// Where it listens: loopback only
    #[arg(long, default_value = "127.0.0.1:8702")]
    pub listen: std::net::SocketAddr,
    /// Most that one answer may cost
    #[arg(long, value_name = "OPEN", value_parser = parse_open, default_value = "1")]
    pub most_per_answer: u128,
    /// Most that may be spent in a day (UTC); kept over restarts
    #[arg(long, value_name = "OPEN", value_parser = parse_open, default_value = "10")]
    pub most_per_day: u128,
    /// Channel to pay through, several times for several: as many questions are answered at once [default: all of yours to the worker]
    #[arg(long = "channel")]
    pub channels: Vec<u64>,
    /// Blocks that a voucher is good for
    #[arg(long, default_value_t = 1_200)]
    pub expiry: u64,
}

/// `rewards`.
#[derive(Debug, Subcommand)]
pub enum Rewards {
    /// Show what was credited to an account and not claimed
    Show {
        /// The account [default: yours]
        #[arg(value_parser = parse_account)]
        account: Option<Account>,
    },
    /// Claim everything credited to you
    Claim,
}

/// `explain`.
#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// Hash of the receipt
    #[arg(value_parser = parse_hash)]
    pub receipt: Hash,
}

/// `watch`.
#[derive(Debug, ClapArgs)]
pub struct Watch {
    /// First batch to look at [default: all that can still be challenged]
    #[arg(long)]
    pub from: Option<u64>,
    /// End once this many batches were looked at
    #[arg(long)]
    pub batches: Option<u64>,
    /// Only say what is wrong, challenge nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Part of the answers whose whole list is recomputed, from 0 to 1; everything else is checked of every answer
    #[arg(long, default_value_t = 1.0, value_parser = parse_share)]
    pub share: f64,
    /// What is looked at: batches, indexes, versions, duplicates
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "batches,indexes,versions,duplicates"
    )]
    pub only: Vec<Kind>,
    /// Blocks that data may be missing from what workers publish before the chain is paid to demand it
    #[arg(long, default_value_t = 3)]
    pub patience: u32,
    /// Most pieces of data demanded of one batch or index
    #[arg(long, default_value_t = 4)]
    pub requests: usize,
}

/// What a watcher looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Batches of receipts
    Batches,
    /// Indexes
    Indexes,
    /// Versions of Datanets
    Versions,
    /// Contributions with somebody else's records
    Duplicates,
}

/// `dispute`.
#[derive(Debug, ClapArgs)]
pub struct Dispute {
    /// Number of the batch
    pub batch: u64,
    /// Only say what is wrong, challenge nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `question`.
#[derive(Debug, Subcommand)]
pub enum Question {
    /// Does training on the declared data give the adapter of this generation?
    Training {
        /// The generation, as MODEL:GENERATION
        #[arg(value_name = "MODEL:GENERATION", value_parser = parse_place)]
        place: Place,
    },
    /// Does the model give this answer?
    Output {
        /// Hash of the receipt, in a batch that can still be challenged
        #[arg(value_parser = parse_hash)]
        receipt: Hash,
    },
    /// Is this sketch what the answer's text gives?
    Query {
        /// Hash of the receipt, in a batch that can still be challenged
        #[arg(value_parser = parse_hash)]
        receipt: Hash,
    },
    /// Is this row's sketch what its record gives?
    Row {
        /// Hash of the index
        #[arg(value_parser = parse_hash)]
        index: Hash,
        /// Number of the row
        row: u64,
    },
    /// Do these bases follow from the rows that were drawn for them?
    Basis {
        /// Hash of the index
        #[arg(value_parser = parse_hash)]
        index: Hash,
        /// Number of the module
        module: u16,
    },
}

/// `request`.
#[derive(Debug, ClapArgs)]
pub struct Request {
    /// Whose data: the number of a batch, or the hash of an index
    #[arg(value_parser = parse_committed)]
    pub source: Committed,
    /// What: of a batch receipt, attribution, query, draw, draw-query, channel, part or credit, of an index row, basis, corpus,
    /// tokens, table or shard, each with its position, as query:0; also suffixes:SHARD:FIRST:COUNT and count:SHARD:TOKEN
    #[arg(value_parser = parse_wanted)]
    pub wanted: Wanted,
}

/// `supply`.
#[derive(Debug, ClapArgs)]
pub struct Supply {
    /// Check every block from now on
    #[arg(long)]
    pub follow: bool,
    /// End after this many blocks
    #[arg(long, requires = "follow")]
    pub blocks: Option<u64>,
}

/// 32 bytes in hexadecimal, with or without `0x`.
pub fn parse_hash(text: &str) -> Result<Hash, String> {
    let bytes = hex::decode(text.trim_start_matches("0x"))
        .map_err(|e| format!("{e}; give 0x and 64 hexadecimal digits"))?;
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| format!("{length} bytes are no hash: give 0x and 64 hexadecimal digits"))
}

/// `datanet:version:weight` or `datanet:version`.
pub fn parse_source(text: &str) -> Result<Source, String> {
    let error = || format!("`{text}` is no source: write Datanet:version:weight, like 0:1:100");
    let mut parts = text.split(':');
    let datanet = parts.next().and_then(|n| n.parse().ok()).ok_or_else(error)?;
    let version = parts.next().and_then(|n| n.parse().ok()).ok_or_else(error)?;
    let weight = parts
        .next()
        .map_or(Some(1), |n| n.parse().ok())
        .filter(|weight| *weight > 0);
    match (weight, parts.next()) {
        (Some(weight), None) => Ok(Source {
            datanet,
            version,
            weight,
        }),
        _ => Err(error()),
    }
}

/// A number from 0 to 1.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no share: write a number from 0 to 1, like 0.1"))
}

/// The number of a batch, or the hash of an index.
pub fn parse_committed(text: &str) -> Result<Committed, String> {
    if let Ok(batch) = text.parse() {
        return Ok(Committed::Batch(batch));
    }
    parse_hash(text)
        .map(Committed::Index)
        .map_err(|e| format!("`{text}` is neither the number of a batch nor the hash of an index ({e})"))
}

/// `kind:position`, the kinds being those of [`Wanted`].
pub fn parse_wanted(text: &str) -> Result<Wanted, String> {
    let error = || {
        format!(
            "`{text}` is nothing that can be asked for: write receipt:0, attribution:0, query:0, draw:0, draw-query:0, channel:0, \
             part:0, credit:0, row:0, basis:0, corpus:0, tokens:0, table:0, shard:0, suffixes:SHARD:FIRST:COUNT or count:SHARD:TOKEN"
        )
    };
    let (kind, places) = text.split_once(':').ok_or_else(error)?;
    let places: Vec<u64> = places
        .split(':')
        .map(|place| place.parse().map_err(|_| error()))
        .collect::<Result<_, _>>()?;
    Ok(match (kind, places.as_slice()) {
        ("receipt", [n]) => Wanted::Receipt(*n),
        ("attribution", [n]) => Wanted::Attribution(*n),
        ("query", [n]) => Wanted::Query(*n),
        ("draw", [n]) => Wanted::Draw(*n),
        ("draw-query", [n]) => Wanted::DrawQuery(*n),
        ("channel", [n]) => Wanted::Channel(*n),
        ("part", [n]) => Wanted::Part(*n),
        ("credit", [n]) => Wanted::Credit(*n),
        ("row", [n]) => Wanted::Row(*n),
        ("basis", [n]) => Wanted::Basis(*n),
        ("corpus", [n]) => Wanted::Corpus(*n),
        ("tokens", [n]) => Wanted::Tokens(*n),
        ("table", [n]) => Wanted::Table(*n),
        ("shard", [n]) => Wanted::Shard(*n),
        ("suffixes", [shard, first, count]) => {
            Wanted::Suffixes((*shard, *first, u16::try_from(*count).map_err(|_| error())?))
        }
        ("count", [shard, token]) => Wanted::Count((*shard, *token)),
        _ => return Err(error()),
    })
}

/// `model:generation`.
pub fn parse_place(text: &str) -> Result<Place, String> {
    text.split_once(':')
        .and_then(|(model, generation)| Some((model.parse().ok()?, generation.parse().ok()?)))
        .ok_or_else(|| format!("`{text}` is no generation: write model:generation as numbers, like 0:1"))
}

/// Names of modules as the bits of a recipe.
pub fn parse_targets(text: &str) -> Result<u8, String> {
    const NAMES: [&str; 7] = ["q", "k", "v", "o", "gate", "up", "down"];
    let mut bits = 0;
    for name in text.split(',').map(str::trim) {
        let bit = NAMES
            .iter()
            .position(|known| *known == name)
            .ok_or_else(|| format!("`{name}` is no module: choose of {}", NAMES.join(",")))?;
        bits |= 1 << bit;
    }
    Ok(bits)
}

/// How a model mixes influence, verbatim and retrieval unless told otherwise. Quoted words are found and shown, and weigh nothing until
/// `openledger-bench-credit --tune` has said how much they should.
pub const DEFAULT_MIX: &str = "100,0,0";

/// A record by its contribution and its position there.
pub fn parse_record(text: &str) -> Result<openledger_attribution::record::RecordId, String> {
    let error = || format!("`{text}` is no record: write contribution and position, like 3:17");
    let (contribution, index) = text.split_once(':').ok_or_else(error)?;
    Ok(openledger_attribution::record::RecordId {
        contribution: contribution.parse().map_err(|_| error())?,
        index: index.parse().map_err(|_| error())?,
    })
}

/// Three whole percentages that add up to 100.
pub fn parse_mix(text: &str) -> Result<openledger_attribution::fee::Mix, String> {
    let error = || format!("`{text}` is no mix: write three percentages that add up to 100, like 80,20,0");
    let percent: Vec<u32> = text
        .split(',')
        .map(|part| part.trim().parse().map_err(|_| error()))
        .collect::<Result<_, _>>()?;
    match percent.as_slice() {
        [a, b, c] if *a <= 100 && *b <= 100 && *c <= 100 && a + b + c == 100 => {
            Ok(openledger_attribution::fee::Mix {
                influence: a * 10_000_000,
                verbatim: b * 10_000_000,
                retrieval: c * 10_000_000,
            })
        }
        _ => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn sources_are_read_and_wrong_ones_refused() {
        let source = parse_source("3:1:40").unwrap();
        assert_eq!((source.datanet, source.version, source.weight), (3, 1, 40));
        assert_eq!(parse_source("3:1").unwrap().weight, 1);
        for text in ["", "3", "3:1:0", "3:1:1:1", "a:1", "3:-1", "3:1:"] {
            let error = parse_source(text).unwrap_err();
            assert!(error.contains("0:1:100"), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read() {
        assert_eq!(parse_wanted("draw-query:3").unwrap(), Wanted::DrawQuery(3));
        assert_eq!(
            parse_wanted("suffixes:1:70:9").unwrap(),
            Wanted::Suffixes((1, 70, 9))
        );
        for text in [
            "",
            "row",
            "row:",
            "row:-1",
            "row:1:2",
            "suffixes:1:2",
            "suffixes:1:2:70000",
            "record:0",
        ] {
            assert!(parse_wanted(text).unwrap_err().contains("query:0"), "{text}");
        }
        assert_eq!(parse_committed("7").unwrap(), Committed::Batch(7));
        assert_eq!(
            parse_committed(&"07".repeat(32)).unwrap(),
            Committed::Index([7; 32])
        );
        assert!(parse_committed("seven").unwrap_err().contains("batch"));
    }

    #[test]
    fn generations_are_two_numbers() {
        assert_eq!(parse_place("3:1"), Ok((3, 1)));
        for text in ["", "3", "3:", "a:1", "3:-1", "3:1:1"] {
            assert!(parse_place(text).unwrap_err().contains("0:1"), "{text}");
        }
    }

    #[test]
    fn mixes_add_up() {
        assert!(parse_mix("80,15,5").unwrap().is_whole());
        for text in ["80,15", "80,15,6", "101,0,0", "x,0,0", "50,50,0,0"] {
            assert!(parse_mix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modules_are_bits() {
        assert_eq!(parse_targets("q,k,v,o,gate,up,down").unwrap(), 0x7f);
        assert_eq!(parse_targets("q, v").unwrap(), 0b101);
        assert!(parse_targets("w").unwrap_err().contains("gate"));
    }

    #[test]
    fn hashes_are_read() {
        assert_eq!(parse_hash(&format!("0x{}", "07".repeat(32))).unwrap(), [7; 32]);
        assert!(parse_hash("0x07").unwrap_err().contains("64"));
    }

    #[test]
    fn global_flags_stand_anywhere() {
        let args =
            Args::try_parse_from(["openledger", "rewards", "claim", "--dev-key", "Alice", "--json"]).unwrap();
        assert!(args.global.json);
        assert_eq!(args.global.dev_key.as_deref(), Some("Alice"));
        assert!(
            Args::try_parse_from(["openledger", "--key", "a", "--dev-key", "b", "rewards", "claim"]).is_err()
        );
    }
}
