//! Work in pieces whose cut does not depend on how many threads there are.

use std::{
    ops::Range,
    sync::{
        atomic::{AtomicUsize, Ordering},
        Mutex, PoisonError,
    },
};

/// Cuts `0..length` into pieces of `piece`, the last one shorter.
pub(crate) fn pieces(length: usize, piece: usize) -> Vec<Range<usize>> {
    (0..length)
        .step_by(piece.max(1))
        .map(|start| start..(start + piece.max(1)).min(length))
        .collect()
}

/// Applies `f` to every item on up to `threads` threads; results come in the order of the items. Of several
/// errors the one of the first item is returned.
pub(crate) fn in_order<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    f: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let threads = threads.clamp(1, items.len().max(1));
    if threads == 1 {
        return items.iter().map(f).collect();
    }
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Result<R, E>)>> = Mutex::new(Vec::with_capacity(items.len()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(at) else { break };
                let result = f(item);
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
