//! Named points at which a test stops the program as `kill -9` would. Compiled only for tests.

/// Ends the process, without unwinding or flushing anything, if `OPENLEDGER_WORKER_EXIT_AT` is `name`.
pub(crate) fn point(name: &str) {
    if std::env::var("OPENLEDGER_WORKER_EXIT_AT").as_deref() == Ok(name) {
        eprintln!("openledger-worker: stopped at the kill point {name:?}");
        std::process::abort();
    }
}
