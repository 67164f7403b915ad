//! One line for one error: what was wrong, with which value, and what to do.

use sc_cli::Error;
use std::{panic, time::Duration};

/// Longest line printed, in characters: enough for a path and a remedy, short of a dumped blob.
const MAX_LINE: usize = 600;

/// The line a person reads when a command fails.
pub(crate) fn describe(error: &Error) -> String {
    match error {
        Error::NetworkKeyNotFound(path) => format!(
            "no network key at {}: a validator needs an identity that survives restarts; make one with `openledger-node key \
             generate-node-key --chain CHAIN --base-path PATH` (the same two flags as here), or name a file with --node-key-file",
            path.display()
        ),
        Error::Input(text) => first_line(text),
        Error::Application(inner) => first_line(&inner.to_string()),
        Error::Service(inner) => service(inner),
        Error::Client(inner) => client(inner),
        other => first_line(&other.to_string()),
    }
}

fn client(error: &sp_blockchain::Error) -> String {
    let text = error.to_string();
    // ParityDB's words for the lock file of a database that is open elsewhere.
    if text.contains("Database file is in use") {
        return "the database is in use by another openledger-node; stop that one, or give this one another --base-path".into();
    }
    first_line(&text)
}

fn service(error: &sc_service::Error) -> String {
    match error {
        sc_service::Error::Client(inner) => client(inner),
        // The SDK's words when a task ended that the node cannot run without; it has logged which.
        sc_service::Error::Other(text) if text.starts_with("Essential task failed") => {
            "the node stopped because a task it cannot run without ended; the log lines before this one name it".into()
        }
        sc_service::Error::Other(text) => first_line(text),
        sc_service::Error::Application(inner) => first_line(&inner.to_string()),
        other => first_line(&other.to_string()),
    }
}

/// Waits until the log, which a thread of its own writes every 50 ms, is out: the error is then the last line.
pub(crate) fn after_the_log() {
    if log::max_level() != log::LevelFilter::Off {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// What clap says, without its usage block.
pub(crate) fn usage(text: &str) -> String {
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join(" ");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    format!("{}; see openledger-node --help", cut(said))
}

/// The first line with something in it: what follows in a multi-line error is a dump for whoever wrote the code.
fn first_line(text: &str) -> String {
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or("unknown error");
    cut(line)
}

fn cut(line: &str) -> String {
    if line.chars().count() <= MAX_LINE {
        return line.to_string();
    }
    line.chars().take(MAX_LINE).chain("…".chars()).collect()
}

/// Turns the panics a full disk or a closed pipe ends in into a line and an exit; real faults keep the SDK's report.
///
/// Call it after the SDK has set its own hook.
pub(crate) fn install_panic_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let message = info
            .payload()
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| info.payload().downcast_ref::<&str>().copied())
            .unwrap_or("");
        if let Some(line) = expected_panic(message) {
            if !line.is_empty() {
                eprintln!("Error: {line}");
            }
            std::process::exit(1);
        }
        previous(info);
    }));
}

/// The line for a panic whose cause lies outside this program; empty when nobody is left to read it.
fn expected_panic(message: &str) -> Option<String> {
    if message.starts_with("failed printing to std") {
        return Some(String::new());
    }
    let cause = message.strip_prefix("Critical database error: ")?;
    Some(
        if cause.contains("StorageFull") || cause.contains("No space left") || cause.contains("code: 28") {
            "the disk of the database is full; free some space and start the node again, it goes on from the last block written"
            .into()
        } else {
            cut(&format!(
                "the database failed ({cause}); check the disk, then start the node again"
            ))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_should_be_one_line_with_the_hint() {
        let text = "error: unexpected argument '--foo' found\n\n  tip: a similar argument exists: '--force-authoring'\n\n\
                    Usage: openledger-node [OPTIONS]\n\nFor more information, try '--help'.\n";
        assert_eq!(
            usage(text),
            "unexpected argument '--foo' found tip: a similar argument exists: '--force-authoring'; see openledger-node --help"
        );
    }

    #[test]
    fn describe_should_drop_dumps_and_prefixes() {
        let error = Error::Input("bad config for blob:\n{\n \"a\": 1 }".into());
        assert_eq!(describe(&error), "bad config for blob:");
        let error = Error::Service(sc_service::Error::Other("port 9944 is taken".into()));
        assert_eq!(describe(&error), "port 9944 is taken");
        let long = "x".repeat(MAX_LINE * 2);
        assert_eq!(describe(&Error::Input(long)).chars().count(), MAX_LINE + 1);
    }

    #[test]
    fn a_full_disk_should_be_named() {
        let os = "Critical database error: Io(Os { code: 28, kind: StorageFull, message: \"No space left on device\" })";
        assert!(expected_panic(os).unwrap().contains("is full"));
        assert!(expected_panic("Critical database error: Corruption(\"x\")")
            .unwrap()
            .contains("Corruption"));
        assert_eq!(expected_panic("index out of bounds"), None);
    }
}
