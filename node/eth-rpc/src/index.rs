//! The index: what Ethereum clients ask for by hash, by address and by topic, which the chain itself cannot find, in an
//! SQLite database beside it.
//!
//! It holds blocks of the best chain only and is a function of the chain: whatever it lacks is made again from blocks and
//! state. So it needs no repair. A block is written in one transaction, hence after a crash it is there whole or not at
//! all, and when the node lost the tip of its own database the blocks above are taken out before anything is answered
//! (see [`crate::follow`]). Write-ahead logging with `synchronous = NORMAL` survives a killed process without loss and a
//! power cut without damage.

use crate::{
    error::{CallError, Error},
    extract::{EthBlock, EthLog, EthTransaction},
    types::{Log, LogPattern, MAX_TOPICS},
};
use codec::{Decode, DecodeAll, Encode};
use pallet_revive::evm::{Bytes, H160, H256, U256};
use pallet_revive_types::runtime_api::BlockV1;
use rusqlite::{params, params_from_iter, types::Value, Connection, OptionalExtension, Row};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Version of the schema; another one is refused, never guessed at.
const SCHEMA_VERSION: i64 = 1;
const FILE: &str = "index.sqlite";
/// Read connections that are kept open between calls.
const IDLE_READERS: usize = 8;

const SCHEMA: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE blocks (
        number INTEGER PRIMARY KEY,
        hash BLOB NOT NULL,
        eth_hash BLOB NOT NULL,
        block BLOB NOT NULL
    );
    CREATE INDEX blocks_by_eth_hash ON blocks (eth_hash);
    CREATE TABLE transactions (
        hash BLOB PRIMARY KEY,
        block INTEGER NOT NULL,
        position INTEGER NOT NULL,
        data BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE UNIQUE INDEX transactions_by_place ON transactions (block, position);
    CREATE TABLE logs (
        block INTEGER NOT NULL,
        idx INTEGER NOT NULL,
        position INTEGER NOT NULL,
        address BLOB NOT NULL,
        topic0 BLOB,
        topic1 BLOB,
        topic2 BLOB,
        topic3 BLOB,
        data BLOB NOT NULL,
        PRIMARY KEY (block, idx)
    ) WITHOUT ROWID;
    CREATE INDEX logs_by_address ON logs (address, block);
    CREATE INDEX logs_by_topic ON logs (topic0, block);
";

const LOG_QUERY: &str = "
    SELECT l.block, l.idx, l.position, l.address, l.topic0, l.topic1, l.topic2, l.topic3, l.data, b.eth_hash, t.hash
    FROM logs l
    JOIN blocks b ON b.number = l.block
    JOIN transactions t ON t.block = l.block AND t.position = l.position
";

/// A block's place on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u32,
    /// The node's hash.
    pub(crate) hash: H256,
    pub(crate) eth_hash: H256,
}

/// A transaction with its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mined {
    pub(crate) block: Entry,
    pub(crate) position: u32,
    pub(crate) transaction: EthTransaction,
}

/// The index.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Index {
    /// Opens the index in `dir`, making both if need be, for the chain that starts with `genesis`.
    pub(crate) fn open(dir: &Path, genesis: H256) -> Result<Self, Error> {
        let fail = |problem: String| Error::Index {
            dir: dir.to_owned(),
            problem,
        };
        std::fs::create_dir_all(dir).map_err(|error| fail(error.to_string()))?;
        let path = dir.join(FILE);
        let mut writer = connect(&path).map_err(|error| fail(error.to_string()))?;
        let stored = prepare(&mut writer, genesis).map_err(fail)?;
        if stored != genesis {
            return Err(Error::OtherChain {
                dir: dir.to_owned(),
                stored,
                node: genesis,
            });
        }
        Ok(Self {
            path,
            writer: Mutex::new(writer),
            readers: Mutex::default(),
        })
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, CallError> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path)?,
        };
        // One transaction, so that several statements see one state of the index.
        let result = (|| {
            let snapshot = connection.unchecked_transaction()?;
            let result = query(&snapshot)?;
            snapshot.finish()?;
            Ok(result)
        })();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    fn write(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), CallError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        change(&transaction)?;
        Ok(transaction.commit()?)
    }

    /// The highest block.
    pub(crate) fn head(&self) -> Result<Option<Entry>, CallError> {
        self.entry("ORDER BY number DESC LIMIT 1", [])
    }

    /// The lowest block.
    pub(crate) fn tail(&self) -> Result<Option<Entry>, CallError> {
        self.entry("ORDER BY number LIMIT 1", [])
    }

    /// The highest block below `number`.
    pub(crate) fn below(&self, number: u32) -> Result<Option<Entry>, CallError> {
        self.entry("WHERE number < ? ORDER BY number DESC LIMIT 1", [number])
    }

    /// The block at `number`.
    pub(crate) fn at(&self, number: u32) -> Result<Option<Entry>, CallError> {
        self.entry("WHERE number = ?", [number])
    }

    /// The block with an Ethereum hash.
    pub(crate) fn by_eth_hash(&self, eth_hash: H256) -> Result<Option<Entry>, CallError> {
        self.entry("WHERE eth_hash = ?", [eth_hash.as_bytes()])
    }

    fn entry(&self, which: &str, parameters: impl rusqlite::Params) -> Result<Option<Entry>, CallError> {
        self.read(|db| {
            first(
                db,
                &format!("SELECT number, hash, eth_hash FROM blocks {which}"),
                parameters,
                |row| entry(row, 0),
            )
        })
    }

    /// The Ethereum blocks, with transaction hashes, of those blocks from `from` to `to` that are indexed, in order.
    pub(crate) fn headers(&self, from: u32, to: u32) -> Result<Vec<(u32, BlockV1)>, CallError> {
        self.read(|db| {
            let query = "SELECT number, block FROM blocks WHERE number BETWEEN ? AND ? ORDER BY number";
            all(db, query, [from, to], |row| Ok((row.get(0)?, unpack(row, 1)?)))
        })
    }

    /// The block at `number` with everything in it.
    pub(crate) fn block(&self, number: u32) -> Result<Option<EthBlock>, CallError> {
        self.read(|db| {
            let found = first(db, "SELECT hash, block FROM blocks WHERE number = ?", [number], |row| {
                Ok((hash(row, 0)?, unpack::<BlockV1>(row, 1)?))
            })?;
            let Some((hash, block)) = found else { return Ok(None) };
            let query = "SELECT data FROM transactions WHERE block = ? ORDER BY position";
            let transactions = all(db, query, [number], |row| unpack(row, 0))?;
            let query =
                "SELECT position, address, topic0, topic1, topic2, topic3, data FROM logs WHERE block = ? ORDER BY idx";
            let logs = all(db, query, [number], |row| {
                Ok(EthLog {
                    transaction: row.get(0)?,
                    address: H160(row.get(1)?),
                    topics: topics(row, 2)?,
                    data: row.get(6)?,
                })
            })?;
            Ok(Some(EthBlock { number, hash, block, transactions, logs }))
        })
    }

    /// The transaction with this hash.
    pub(crate) fn transaction(&self, transaction: H256) -> Result<Option<Mined>, CallError> {
        self.read(|db| {
            let query = "SELECT b.number, b.hash, b.eth_hash, t.position, t.data
                 FROM transactions t JOIN blocks b ON b.number = t.block WHERE t.hash = ?";
            first(db, query, [transaction.as_bytes()], |row| {
                Ok(Mined {
                    block: entry(row, 0)?,
                    position: row.get(3)?,
                    transaction: unpack(row, 4)?,
                })
            })
        })
    }

    /// The logs of one transaction.
    pub(crate) fn logs_of(&self, block: u32, position: u32) -> Result<Vec<Log>, CallError> {
        self.read(|db| {
            let query = format!("{LOG_QUERY} WHERE l.block = ? AND l.position = ? ORDER BY l.idx");
            all(db, &query, [block, position], log)
        })
    }

    /// The logs from block `from` to block `to` that fit, in order, at most `limit` of them. Blocks that are not indexed
    /// have none: see [`Index::logs_of_range`].
    pub(crate) fn logs(
        &self,
        from: u32,
        to: u32,
        wanted: &LogPattern,
        limit: u32,
    ) -> Result<Vec<Log>, CallError> {
        self.read(|db| find_logs(db, from, to, wanted, limit))
    }

    /// As [`Index::logs`] if every block of the range is indexed, otherwise the first that is not.
    pub(crate) fn logs_of_range(
        &self,
        from: u32,
        to: u32,
        wanted: &LogPattern,
        limit: u32,
    ) -> Result<Result<Vec<Log>, u32>, CallError> {
        self.read(|db| match find_missing(db, from, to)? {
            None => find_logs(db, from, to, wanted, limit).map(Ok),
            Some(missing) => Ok(Err(missing)),
        })
    }

    /// The first block from `from` to `to` that is not indexed.
    #[cfg(test)]
    pub(crate) fn first_missing(&self, from: u32, to: u32) -> Result<Option<u32>, CallError> {
        self.read(|db| find_missing(db, from, to))
    }

    /// Adds a block, in place of another at that height.
    pub(crate) fn insert(&self, block: &EthBlock) -> Result<(), CallError> {
        self.write(|db| {
            remove(db, "=", block.number)?;
            db.prepare_cached("INSERT INTO blocks (number, hash, eth_hash, block) VALUES (?, ?, ?, ?)")?
                .execute(params![
                    block.number,
                    block.hash.as_bytes(),
                    block.block.hash.as_bytes(),
                    squeeze(&block.block.encode())
                ])?;
            let mut add = db.prepare_cached(
                "INSERT OR REPLACE INTO transactions (hash, block, position, data) VALUES (?, ?, ?, ?)",
            )?;
            for (position, transaction) in block.transactions.iter().enumerate() {
                add.execute(params![
                    transaction.hash.as_bytes(),
                    block.number,
                    position as u32,
                    squeeze(&transaction.encode())
                ])?;
            }
            let mut add = db.prepare_cached(
                "INSERT INTO logs (block, idx, position, address, topic0, topic1, topic2, topic3, data)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?;
            for (index, log) in block.logs.iter().enumerate() {
                let topic = |at: usize| log.topics.get(at).map(|topic| topic.as_bytes());
                add.execute(params![
                    block.number,
                    index as u32,
                    log.transaction,
                    log.address.as_bytes(),
                    topic(0),
                    topic(1),
                    topic(2),
                    topic(3),
                    log.data
                ])?;
            }
            Ok(())
        })
    }

    /// Takes out the blocks above `keep`, all of them for `None`.
    pub(crate) fn rewind(&self, keep: Option<u32>) -> Result<(), CallError> {
        self.write(|db| match keep {
            Some(number) => remove(db, ">", number),
            None => remove(db, ">=", 0),
        })
    }

    /// Takes out the blocks below `number`.
    pub(crate) fn prune(&self, number: u32) -> Result<(), CallError> {
        self.write(|db| remove(db, "<", number))
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Makes the tables in a new database, checks the version of an old one, and returns its genesis hash.
fn prepare(connection: &mut Connection, genesis: H256) -> Result<H256, String> {
    let fail = |error: rusqlite::Error| error.to_string();
    let transaction = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(fail)?;
    let version: i64 = transaction
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(fail)?;
    if version == 0 {
        transaction.execute_batch(SCHEMA).map_err(fail)?;
        transaction
            .execute(
                "INSERT INTO meta (key, value) VALUES ('genesis', ?)",
                [genesis.as_bytes()],
            )
            .map_err(fail)?;
        transaction
            .pragma_update(None, "user_version", SCHEMA_VERSION)
            .map_err(fail)?;
    } else if version != SCHEMA_VERSION {
        return Err(format!(
            "it has format version {version} and this node reads version {SCHEMA_VERSION}"
        ));
    }
    let stored = transaction
        .query_row("SELECT value FROM meta WHERE key = 'genesis'", [], |row| {
            hash(row, 0)
        })
        .map_err(fail)?;
    transaction.commit().map_err(fail)?;
    Ok(stored)
}

fn first<T>(
    db: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = db.prepare_cached(query)?;
    statement.query_row(parameters, read).optional()
}

fn all<T>(
    db: &Connection,
    query: &str,
    parameters: impl rusqlite::Params,
    read: impl FnMut(&Row) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    let mut statement = db.prepare_cached(query)?;
    let rows = statement.query_map(parameters, read)?;
    rows.collect()
}

fn find_missing(db: &Connection, from: u32, to: u32) -> rusqlite::Result<Option<u32>> {
    let wanted = i64::from(to) + 1 - i64::from(from);
    let count = "SELECT COUNT(*) FROM blocks WHERE number BETWEEN ? AND ?";
    if first(db, count, [from, to], |row| row.get::<_, i64>(0))? == Some(wanted) {
        return Ok(None);
    }
    let query = "SELECT number FROM blocks WHERE number BETWEEN ? AND ? ORDER BY number";
    let present = all(db, query, [from, to], |row| row.get::<_, u32>(0))?;
    let mut present = present.into_iter();
    Ok((from..=to).find(|expected| present.next() != Some(*expected)))
}

fn find_logs(
    db: &Connection,
    from: u32,
    to: u32,
    wanted: &LogPattern,
    limit: u32,
) -> rusqlite::Result<Vec<Log>> {
    let mut query = format!("{LOG_QUERY} WHERE l.block BETWEEN ? AND ?");
    let mut parameters = vec![Value::from(from), Value::from(to)];
    let mut one_of = |query: &mut String, column: &str, alternatives: Vec<Value>| {
        let marks = vec!["?"; alternatives.len()].join(", ");
        parameters.extend(alternatives);
        *query += &format!(" AND {column} IN ({marks})");
    };
    if !wanted.addresses.is_empty() {
        let addresses = wanted
            .addresses
            .iter()
            .map(|address| Value::from(address.as_bytes().to_vec()));
        one_of(&mut query, "l.address", addresses.collect());
    }
    for (position, alternatives) in wanted.topics.iter().enumerate().take(MAX_TOPICS) {
        let column = format!("l.topic{position}");
        match alternatives.is_empty() {
            true => query += &format!(" AND {column} IS NOT NULL"),
            false => {
                let topics = alternatives
                    .iter()
                    .map(|topic| Value::from(topic.as_bytes().to_vec()));
                one_of(&mut query, &column, topics.collect());
            }
        }
    }
    query += " ORDER BY l.block, l.idx LIMIT ?";
    parameters.push(Value::from(limit));
    all(db, &query, params_from_iter(parameters), log)
}

fn remove(db: &Connection, compare: &str, number: u32) -> rusqlite::Result<()> {
    for (table, column) in [("logs", "block"), ("transactions", "block"), ("blocks", "number")] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE {column} {compare} ?"))?
            .execute([number])?;
    }
    Ok(())
}

fn hash(row: &Row, column: usize) -> rusqlite::Result<H256> {
    row.get(column).map(H256)
}

fn entry(row: &Row, first: usize) -> rusqlite::Result<Entry> {
    Ok(Entry {
        number: row.get(first)?,
        hash: hash(row, first + 1)?,
        eth_hash: hash(row, first + 2)?,
    })
}

fn topics(row: &Row, first: usize) -> rusqlite::Result<Vec<H256>> {
    let mut topics = Vec::new();
    for column in first..first + MAX_TOPICS {
        match row.get::<_, Option<[u8; 32]>>(column)? {
            Some(topic) => topics.push(H256(topic)),
            None => break,
        }
    }
    Ok(topics)
}

fn log(row: &Row) -> rusqlite::Result<Log> {
    Ok(Log {
        address: H160(row.get(3)?),
        topics: topics(row, 4)?,
        data: Bytes(row.get(8)?),
        block_number: U256::from(row.get::<_, u32>(0)?),
        block_hash: hash(row, 9)?,
        transaction_hash: hash(row, 10)?,
        transaction_index: U256::from(row.get::<_, u32>(2)?),
        log_index: U256::from(row.get::<_, u32>(1)?),
        removed: false,
    })
}

fn unpack<T: Decode>(row: &Row, column: usize) -> rusqlite::Result<T> {
    let broken = |what: String| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, what.into())
    };
    let bytes: Vec<u8> = row.get(column)?;
    let encoded = expand(&bytes).ok_or_else(|| broken("a stored value is cut short".into()))?;
    T::decode_all(&mut &encoded[..]).map_err(|error| broken(error.to_string()))
}

/// Writes runs of zero bytes as a zero and their length. An empty block is mostly zeros: 256 bytes of bloom and a dozen
/// small integers of 32 bytes.
fn squeeze(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 2);
    let mut rest = bytes;
    while let Some((&first, tail)) = rest.split_first() {
        if first != 0 {
            out.push(first);
            rest = tail;
            continue;
        }
        let run = rest.iter().take(255).take_while(|byte| **byte == 0).count();
        out.extend([0, run as u8]);
        rest = &rest[run..];
    }
    out
}

/// Undoes [`squeeze`].
fn expand(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            0 => out.resize(out.len() + usize::from(*rest.next()?), 0),
            other => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::sample_block;
    use rand::{rngs::StdRng, Rng, SeedableRng};

    const GENESIS: H256 = H256([7; 32]);

    fn index() -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(dir.path(), GENESIS).unwrap();
        (dir, index)
    }

    #[test]
    fn block_should_come_back_as_it_went_in() {
        let (_dir, index) = index();
        let block = sample_block(5, 0, 3);
        index.insert(&block).unwrap();
        assert_eq!(index.block(5).unwrap(), Some(block.clone()));
        assert_eq!(index.by_eth_hash(block.block.hash).unwrap().unwrap().number, 5);
        let mined = index.transaction(block.transactions[2].hash).unwrap().unwrap();
        assert_eq!((mined.position, &mined.transaction), (2, &block.transactions[2]));
        assert_eq!(
            mined.block,
            Entry {
                number: 5,
                hash: block.hash,
                eth_hash: block.block.hash
            }
        );
        let placed: Vec<Log> = block.placed_logs().collect();
        assert_eq!(index.logs(0, 10, &LogPattern::default(), 100).unwrap(), placed);
        assert_eq!(
            index.logs_of(5, 1).unwrap(),
            placed
                .iter()
                .filter(|l| l.transaction_index == U256::one())
                .cloned()
                .collect::<Vec<_>>()
        );
        assert_eq!(index.transaction(H256::zero()).unwrap(), None);
    }

    #[test]
    fn inserting_twice_should_change_nothing() {
        let (_dir, index) = index();
        let block = sample_block(1, 0, 2);
        index.insert(&block).unwrap();
        index.insert(&block).unwrap();
        assert_eq!(index.block(1).unwrap(), Some(block));
    }

    #[test]
    fn rewind_should_leave_nothing_of_the_blocks_above() {
        let (_dir, index) = index();
        for number in 0..6 {
            index.insert(&sample_block(number, 0, 2)).unwrap();
        }
        let gone = sample_block(4, 0, 2);
        index.rewind(Some(3)).unwrap();
        assert_eq!(index.head().unwrap().unwrap().number, 3);
        assert_eq!(index.transaction(gone.transactions[0].hash).unwrap(), None);
        assert_eq!(index.by_eth_hash(gone.block.hash).unwrap(), None);
        assert_eq!(index.logs(4, 9, &LogPattern::default(), 9).unwrap(), vec![]);
        // A transaction that was mined in the lost block may be mined again in its successor.
        let mut again = sample_block(4, 1, 2);
        again.transactions[1].hash = gone.transactions[0].hash;
        index.insert(&again).unwrap();
        assert_eq!(
            index
                .transaction(gone.transactions[0].hash)
                .unwrap()
                .unwrap()
                .position,
            1
        );
        index.rewind(None).unwrap();
        assert_eq!(index.head().unwrap(), None);
    }

    #[test]
    fn prune_should_keep_the_newest() {
        let (_dir, index) = index();
        (0..6).for_each(|number| index.insert(&sample_block(number, 0, 1)).unwrap());
        index.prune(4).unwrap();
        assert_eq!(index.tail().unwrap().unwrap().number, 4);
        assert_eq!(index.first_missing(3, 5).unwrap(), Some(3));
        assert_eq!(index.first_missing(4, 5).unwrap(), None);
    }

    #[test]
    fn first_missing_should_name_the_gap() {
        let (_dir, index) = index();
        [0, 1, 2, 5, 6]
            .iter()
            .for_each(|number| index.insert(&sample_block(*number, 0, 0)).unwrap());
        assert_eq!(index.first_missing(0, 2).unwrap(), None);
        assert_eq!(index.first_missing(0, 6).unwrap(), Some(3));
        assert_eq!(index.first_missing(5, 8).unwrap(), Some(7));
        assert_eq!(index.first_missing(9, 9).unwrap(), Some(9));
        assert_eq!(index.below(5).unwrap().unwrap().number, 2);
    }

    #[test]
    fn logs_should_be_those_the_pattern_matches_and_no_more_than_the_limit() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let (_dir, index) = index();
        let blocks: Vec<_> = (0..20)
            .map(|number| sample_block(number, random.gen(), random.gen_range(0..4)))
            .collect();
        blocks.iter().for_each(|block| index.insert(block).unwrap());
        let all: Vec<Log> = blocks.iter().flat_map(|block| block.placed_logs()).collect();
        for _ in 0..200 {
            let mut some = |most: usize| -> Vec<u8> {
                (0..random.gen_range(0..=most))
                    .map(|_| random.gen_range(0..4))
                    .collect()
            };
            let pattern = LogPattern {
                addresses: some(2).into_iter().map(H160::repeat_byte).collect(),
                topics: some(3)
                    .into_iter()
                    .map(|_| some(2).into_iter().map(H256::repeat_byte).collect())
                    .collect(),
            };
            let (from, to) = (random.gen_range(0..20), random.gen_range(0..20));
            let limit = random.gen_range(1..30);
            let expected: Vec<Log> = all
                .iter()
                .filter(|log| {
                    (U256::from(from)..=U256::from(to)).contains(&log.block_number) && pattern.matches(log)
                })
                .take(limit as usize)
                .cloned()
                .collect();
            assert_eq!(
                index.logs(from, to, &pattern, limit).unwrap(),
                expected,
                "{pattern:?} {from}..{to}"
            );
        }
    }

    #[test]
    fn an_index_of_another_chain_should_be_refused_and_left_alone() {
        let (dir, index) = index();
        index.insert(&sample_block(0, 0, 1)).unwrap();
        drop(index);
        let error = Index::open(dir.path(), H256::repeat_byte(8)).unwrap_err();
        assert!(
            matches!(error, Error::OtherChain { stored, .. } if stored == GENESIS),
            "{error}"
        );
        assert_eq!(
            Index::open(dir.path(), GENESIS)
                .unwrap()
                .head()
                .unwrap()
                .unwrap()
                .number,
            0
        );
    }

    #[test]
    fn an_index_that_is_none_or_of_another_version_should_be_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), vec![0x55; 4096]).unwrap();
        let error = Index::open(dir.path(), GENESIS).unwrap_err().to_string();
        assert!(
            error.contains(&dir.path().display().to_string()) && !error.contains('\n'),
            "{error}"
        );
        let (dir, index) = index();
        index
            .writer
            .lock()
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        drop(index);
        assert!(Index::open(dir.path(), GENESIS)
            .unwrap_err()
            .to_string()
            .contains("version 99"));
    }

    #[test]
    fn what_was_committed_should_outlive_a_process_that_never_closed_it() {
        let (dir, index) = index();
        index.insert(&sample_block(0, 0, 2)).unwrap();
        // What kill -9 leaves: the files as they are while the database is open, with the log not yet merged.
        let copy = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        let again = Index::open(copy.path(), GENESIS).unwrap();
        assert_eq!(again.block(0).unwrap(), Some(sample_block(0, 0, 2)));
    }

    #[test]
    fn squeeze_should_be_undone_by_expand() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..500 {
            let length = random.gen_range(0..900);
            let bytes: Vec<u8> = (0..length)
                .map(|_| if random.gen_bool(0.8) { 0 } else { random.gen() })
                .collect();
            assert_eq!(expand(&squeeze(&bytes)), Some(bytes));
        }
        assert_eq!(expand(&[1, 0]), None);
    }
}
