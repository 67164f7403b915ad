//! How much may be spent for one answer and in one day, and how much was: on the disk before a voucher leaves.

use crate::{files, Error, Result};
use openledger_attribution::hash::Hash;
use openledger_chain::open;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// What may be spent, in planck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one answer, in the worst case.
    pub answer: u128,
    /// In one day by UTC.
    pub day: u128,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// Days since 1970.
    day: u64,
    /// Planck paid on that day.
    paid: String,
    /// The most that each voucher without a receipt can cost, in planck.
    open: BTreeMap<String, String>,
}

impl State {
    fn paid(&self) -> Option<u128> {
        self.paid.parse().ok()
    }

    fn open(&self) -> Option<u128> {
        self.open
            .values()
            .try_fold(0_u128, |sum, most| sum.checked_add(most.parse().ok()?))
    }

    /// Paid, and what may still have to be.
    fn spent(&self) -> Option<u128> {
        self.paid()?.checked_add(self.open()?)
    }
}

/// What was spent, kept over restarts; one program at a time has it.
#[derive(Debug)]
pub struct Spending {
    path: PathBuf,
    limits: Limits,
    state: Mutex<State>,
    _lock: File,
}

/// Days since 1970 by the machine's clock.
pub fn today() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() / 86_400)
}

impl Spending {
    /// Opens the account of a data folder. Fails while another program has it open.
    pub fn open(data: &Path, limits: Limits) -> Result<Self> {
        std::fs::create_dir_all(data).map_err(|e| Error::file(data, e))?;
        let path = data.join("spending.json");
        let lock_path = path.with_extension("lock");
        let lock = File::create(&lock_path).map_err(|e| Error::file(&lock_path, e))?;
        lock.try_lock().map_err(|_| {
            Error::file(
                &lock_path,
                "another proxy spends from this folder: stop it, or use another --data",
            )
        })?;
        let state: State = files::read_json(&path)?.unwrap_or(State {
            day: 0,
            paid: "0".into(),
            open: BTreeMap::new(),
        });
        if state.spent().is_none() {
            return Err(Error::file(
                &path,
                "its sums cannot be read: it was changed by hand, move it away",
            ));
        }
        Ok(Self {
            path,
            limits,
            state: Mutex::new(state),
            _lock: lock,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, now: &mut State, next: State) -> Result<()> {
        files::write_json(&self.path, &next)?;
        *now = next;
        Ok(())
    }

    /// Whether a voucher that can cost `most` is within the limits.
    pub fn check(&self, most: u128, day: u64) -> Result<()> {
        self.with(&self.lock(), most, day).map(|_| ())
    }

    /// Makes room for a voucher that can cost `most`, on the disk when this returns. Refuses what is above a limit.
    pub fn reserve(&self, voucher: &Hash, most: u128, day: u64) -> Result<()> {
        let mut state = self.lock();
        let mut next = self.with(&state, most, day)?;
        next.open.insert(hex::encode(voucher), most.to_string());
        self.write(&mut state, next)
    }

    /// The state in which so much more may be promised.
    fn with(&self, state: &State, most: u128, day: u64) -> Result<State> {
        let mut next = state.clone();
        if next.day != day {
            (next.day, next.paid) = (day, "0".into());
        }
        if most > self.limits.answer {
            return Err(Error::Limit(format!(
                "this answer can cost {} and {} is the limit for one: ask for fewer tokens, or start the proxy with a higher --most-per-answer",
                open(most),
                open(self.limits.answer)
            )));
        }
        let spent = next.spent().unwrap_or(u128::MAX);
        if spent.checked_add(most).is_none_or(|sum| sum > self.limits.day) {
            return Err(Error::Limit(format!(
                "{} of today's {} are spent or promised and this answer can cost {}: wait until tomorrow (UTC), or start the proxy with a higher --most-per-day",
                open(spent),
                open(self.limits.day),
                open(most)
            )));
        }
        Ok(next)
    }

    /// A voucher's answer cost this much. One that is not known costs nothing here: it was signed by another program.
    pub fn settle(&self, voucher: &Hash, fee: u128) -> Result<()> {
        let mut state = self.lock();
        let mut next = state.clone();
        if next.open.remove(&hex::encode(voucher)).is_none() {
            return Ok(());
        }
        next.paid = next.paid().unwrap_or(u128::MAX).saturating_add(fee).to_string();
        self.write(&mut state, next)
    }

    /// A voucher was never taken.
    pub fn release(&self, voucher: &Hash) -> Result<()> {
        let mut state = self.lock();
        let mut next = state.clone();
        if next.open.remove(&hex::encode(voucher)).is_none() {
            return Ok(());
        }
        self.write(&mut state, next)
    }

    /// Planck spent or promised today, and the limits.
    pub fn today(&self, day: u64) -> (u128, Limits) {
        let state = self.lock();
        let spent = if state.day == day {
            state.spent()
        } else {
            state.open()
        };
        (spent.unwrap_or(u128::MAX), self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { answer: 10, day: 25 };

    #[test]
    fn limits_hold_over_restarts_and_days() {
        let data = tempfile::tempdir().unwrap();
        let open = || Spending::open(data.path(), LIMITS).unwrap();
        let spending = open();
        assert!(spending
            .reserve(&[1; 32], 11, 7)
            .unwrap_err()
            .to_string()
            .contains("for one"));
        spending.reserve(&[1; 32], 10, 7).unwrap();
        spending.reserve(&[2; 32], 10, 7).unwrap();
        let error = spending.reserve(&[3; 32], 6, 7).unwrap_err().to_string();
        assert!(error.contains("most-per-day"), "{error}");
        // Dies: what was promised is still promised.
        drop(spending);
        let spending = open();
        assert_eq!(spending.today(7).0, 20);
        spending.settle(&[1; 32], 4).unwrap();
        spending.settle(&[1; 32], 4).unwrap();
        spending.release(&[2; 32]).unwrap();
        assert_eq!(spending.today(7).0, 4);
        spending.reserve(&[3; 32], 10, 7).unwrap();
        // Another day: what is open goes along, what was paid does not.
        assert_eq!(spending.today(8).0, 10);
        spending.reserve(&[4; 32], 10, 8).unwrap();
        assert_eq!(spending.today(8).0, 20);
    }

    #[test]
    fn one_program_spends_and_a_damaged_account_is_found() {
        let data = tempfile::tempdir().unwrap();
        let first = Spending::open(data.path(), LIMITS).unwrap();
        let error = Spending::open(data.path(), LIMITS).unwrap_err().to_string();
        assert!(error.contains("another proxy"), "{error}");
        drop(first);
        for text in [
            "{",
            r#"{"day":1,"paid":"-1","open":{}}"#,
            r#"{"day":1,"paid":"1","open":{"aa":"x"}}"#,
        ] {
            std::fs::write(data.path().join("spending.json"), text).unwrap();
            let error = Spending::open(data.path(), LIMITS).unwrap_err().to_string();
            assert!(error.contains("by hand"), "{error}");
        }
    }
}
