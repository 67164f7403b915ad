//! Gradients of a build that is not finished, one after another in a file that outlives a kill.
//!
//! Head, identity of the plan (32 bytes), lanes of a gradient (u32), then per row its lanes (f32,
//! little-endian) and the first eight bytes of their keccak: what was written half is found and dropped.

use super::files::{sync_names, Kind, HEAD};
use crate::{gradient::Gradient, Error, Result};
use openledger_attribution::hash::{keccak, Hash};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

const CHECK: usize = 8;
const START: u64 = (HEAD + 32 + 4) as u64;

/// Rows after which the file is made durable: what a power cut may cost.
const SYNC_EVERY: u64 = 64;

pub(super) struct Spool {
    path: PathBuf,
    file: File,
    lanes: usize,
    rows: u64,
}

impl Spool {
    /// Starts a file, or goes on with the one that is there.
    pub(super) fn open(dir: &Path, identity: &Hash, lanes: usize, most: u64) -> Result<Self> {
        let path = Kind::Spool.path(dir);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io(&path))?;
        let mut start = [0; START as usize];
        start[..HEAD].copy_from_slice(&Kind::Spool.head());
        start[HEAD..HEAD + 32].copy_from_slice(identity);
        start[HEAD + 32..].copy_from_slice(&(lanes as u32).to_be_bytes());

        let mut spool = Self {
            path,
            file,
            lanes,
            rows: 0,
        };
        let mut there = Vec::new();
        Read::by_ref(&mut spool.file)
            .take(START)
            .read_to_end(&mut there)
            .map_err(Error::io(&spool.path))?;
        if there.len() < START as usize {
            // Killed before the first row.
            spool.file.set_len(0).map_err(Error::io(&spool.path))?;
            spool.file.rewind().map_err(Error::io(&spool.path))?;
            spool.file.write_all(&start).map_err(Error::io(&spool.path))?;
            spool.sync()?;
            sync_names(&spool.path)?;
            return Ok(spool);
        }
        Kind::Spool.check(&spool.path, &there)?;
        if there != start {
            return Err(Error::OtherPlan(dir.to_path_buf()));
        }
        let mut buffer = vec![0; spool.row_bytes()];
        while spool.rows < most {
            let at = spool.position(spool.rows);
            if spool.file.read_exact_at(&mut buffer, at).is_err() || !is_whole(&buffer) {
                break;
            }
            spool.rows += 1;
        }
        let end = spool.position(spool.rows);
        spool.file.set_len(end).map_err(Error::io(&spool.path))?;
        spool
            .file
            .seek(SeekFrom::Start(end))
            .map_err(Error::io(&spool.path))?;
        Ok(spool)
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    pub(super) fn push(&mut self, gradient: &Gradient) -> Result<()> {
        let mut bytes = Vec::with_capacity(self.row_bytes());
        for lane in &gradient.lanes {
            bytes.extend_from_slice(&lane.to_le_bytes());
        }
        let check = keccak(&[&bytes]);
        bytes.extend_from_slice(&check[..CHECK]);
        // Positioned, so that a write that failed half is written over by the next.
        let at = self.position(self.rows);
        self.file
            .write_all_at(&bytes, at)
            .map_err(Error::io(&self.path))?;
        self.rows += 1;
        if self.rows.is_multiple_of(SYNC_EVERY) {
            self.sync()?;
        }
        Ok(())
    }

    pub(super) fn read(&self, row: u64) -> Result<Gradient> {
        let mut bytes = vec![0; self.row_bytes()];
        self.file
            .read_exact_at(&mut bytes, self.position(row))
            .map_err(Error::io(&self.path))?;
        if !is_whole(&bytes) {
            return Err(Error::damaged(
                &self.path,
                format!("the gradient of row {row} has changed"),
            ));
        }
        let (lanes, _) = bytes[..self.lanes * 4].as_chunks::<4>();
        Ok(Gradient {
            lanes: lanes.iter().map(|lane| f32::from_le_bytes(*lane)).collect(),
        })
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(Error::io(&self.path))
    }

    fn row_bytes(&self) -> usize {
        self.lanes * 4 + CHECK
    }

    fn position(&self, row: u64) -> u64 {
        START + row * self.row_bytes() as u64
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let (lanes, check) = bytes.split_at(bytes.len() - CHECK);
    keccak(&[lanes])[..CHECK] == *check
}
