//! Work in pieces whose cut does not depend on how many threads there are.

use std::sync::{
    atomic::{AtomicUsize, Ordering},
    Mutex, PoisonError,
};

/// Applies `f` to every number below `count` on up to `threads` threads; results come in order. Of several
/// errors the first in order is returned.
pub(crate) fn in_order<R: Send, E: Send>(
    count: usize,
    threads: usize,
    f: impl Fn(usize) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.clamp(1, count.max(1));
    if threads == 1 {
        return (0..count).map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= count {
                    break;
                }
                let result = f(at);
                found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((at, result));
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, result)| result).collect()
}

/// Threads to use where the caller does not care: those of the machine.
pub fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
