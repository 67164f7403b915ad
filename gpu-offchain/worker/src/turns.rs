//! Who computes first: answers, then what shaped them.

use crate::models::Base;
use openledger_engine::Load;
use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        Arc,
    },
    time::{Duration, Instant},
};

/// Longest that attribution stands still at a time while prompts are read, and while answers are given. It comes to that point
/// once a module.
const BEHIND_PROMPTS: Duration = Duration::from_millis(25);
const BEHIND_ANSWERS: Duration = Duration::from_millis(1);

/// Answers that wait for a receipt from which on attribution stands still for nobody.
const BEHIND_NOBODY: usize = 9;

/// An answer that waits for its receipt, until it is dropped.
pub struct Due(Arc<AtomicUsize>);

impl Due {
    /// One more.
    pub fn new(base: &Base) -> Self {
        base.due.fetch_add(1, Ordering::Relaxed);
        Self(base.due.clone())
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What attribution does at every module: it stands still for those who wait for an answer, and not for long, since those who have
/// theirs wait for a receipt.
pub(crate) fn behind_answers(base: &Base) -> Arc<dyn Fn() + Send + Sync> {
    let (engine, due) = (base.engine.clone(), base.due.clone());
    Arc::new(move || {
        if due.load(Ordering::Relaxed) >= BEHIND_NOBODY {
            return;
        }
        let begun = Instant::now();
        loop {
            let most = match engine.load() {
                Load::Idle => return,
                Load::Answering => BEHIND_ANSWERS,
                Load::Reading => BEHIND_PROMPTS,
            };
            if begun.elapsed() >= most {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    })
}
