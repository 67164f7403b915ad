//! The worker this node is paired with: where it is, the secret shared with it, the key that signs its results.
//!
//! The runtime's off-chain hook does the talking (`pallet-openledger-compute`). All it can read is the node's offchain
//! database and keystore, so this puts both in order before the node starts.

use jsonrpsee::{
    core::RegisterMethodError,
    types::{ErrorObject, ErrorObjectOwned},
    RpcModule,
};
use openledger_protocol::compute::hook::{SECRET_KEY, URL_KEY};
use pallet_openledger_compute::RESULT_KEY;
use sp_core::{
    bytes::from_hex,
    offchain::{OffchainStorage, STORAGE_PREFIX},
    sr25519, Bytes,
};
use sp_keystore::{Keystore, KeystorePtr};
use std::{fs::File, io::Read, path::Path};

/// Fewest bytes of a secret.
const LEAST_SECRET: usize = 16;

/// Most bytes of a secret's file.
const LARGEST_FILE: u64 = 4 * 1024;

/// Error code of `worker_resultKey` when there is no key.
const NO_KEY: i32 = 1;

/// A worker, and what node and worker know each other by. Not `Debug`: the secret is in no log.
pub(crate) struct Pairing {
    /// Where the worker's API is, without a trailing slash.
    url: String,
    secret: Vec<u8>,
}

impl Pairing {
    /// Where the worker is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Pairs with the worker at `url` by the secret in `file`.
    ///
    /// # Errors
    ///
    /// If the URL is none, or the file holds no secret or is open to others.
    pub(crate) fn read(url: &str, file: &Path) -> Result<Self, String> {
        // The SDK writes what the offchain database holds to its log at this level.
        if log::log_enabled!(target: "offchain-worker::storage", log::Level::Debug) {
            return Err(
                "the log filter would write the worker's secret to the log; leave out -loffchain-worker=debug or \
                 trace, or add offchain-worker::storage=info behind it"
                    .into(),
            );
        }
        Ok(Self {
            url: parse_url(url)?,
            secret: read_secret(file)?,
        })
    }
}

/// The URL without its trailing slash.
fn parse_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"))
        .unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '@' | '?' | '#' | '"' | '<' | '>' | '\\');
    if host.is_empty() || host.starts_with('/') || !host.chars().all(is_plain) {
        return Err(format!(
            "--worker {text} is not the URL of a worker; expected http://HOST:PORT, as http://127.0.0.1:8700"
        ));
    }
    Ok(url.into())
}

/// What the file holds: `0x` and hexadecimal digits.
fn read_secret(path: &Path) -> Result<Vec<u8>, String> {
    let name = path.display();
    let mut file = File::open(path).map_err(|error| {
        format!("cannot read the worker's secret at {name} ({error}); `openledger-worker init` writes one")
    })?;
    let kind = file
        .metadata()
        .map_err(|error| format!("cannot look at the worker's secret at {name} ({error})"))?;
    if !kind.is_file() || kind.len() > LARGEST_FILE {
        return Err(format!(
            "the worker's secret at {name} is not a file of at most {LARGEST_FILE} bytes; `openledger-worker init` writes one"
        ));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = kind.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!(
                "the worker's secret at {name} has mode {mode:03o}, so others can read it; run `chmod 600 {name}`, and make \
                 a new secret if anybody else may have seen this one"
            ));
        }
    }
    let mut text = String::new();
    file.read_to_string(&mut text)
        .map_err(|error| format!("cannot read the worker's secret at {name} ({error})"))?;
    // What is wrong is told without what is in the file.
    let expected = || {
        format!(
            "the worker's secret at {name} is not 0x and an even number of hexadecimal digits, at least {}; \
             `openledger-worker init` writes one",
            2 * LEAST_SECRET
        )
    };
    let digits = text.trim().strip_prefix("0x").ok_or_else(expected)?;
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(expected());
    }
    from_hex(digits)
        .ok()
        .filter(|secret| secret.len() >= LEAST_SECRET)
        .ok_or_else(expected)
}

/// Writes the pairing into the node's offchain database, or takes out an old one.
///
/// # Errors
///
/// If there is no such database, or it does not hold what was written.
pub(crate) fn store<S: OffchainStorage>(
    database: Option<S>,
    pairing: Option<&Pairing>,
) -> Result<(), String> {
    let Some(mut database) = database else {
        return match pairing {
            Some(_) => Err("this node has no offchain database, so it cannot be paired with a worker".into()),
            None => Ok(()),
        };
    };
    let values = [
        (URL_KEY, pairing.map(|pairing| pairing.url.as_bytes())),
        (SECRET_KEY, pairing.map(|pairing| pairing.secret.as_slice())),
    ];
    for (key, value) in values {
        let before = database.get(STORAGE_PREFIX, key);
        match value {
            _ if before.as_deref() == value => continue,
            Some(value) => database.set(STORAGE_PREFIX, key, value),
            None => database.remove(STORAGE_PREFIX, key),
        }
        if database.get(STORAGE_PREFIX, key).as_deref() != value {
            return Err(
                "the offchain database does not take the worker's URL and secret; the log before this line says why".into(),
            );
        }
    }
    Ok(())
}

/// The keys in the keystore that sign results, in the order of their bytes.
fn result_keys(keystore: &KeystorePtr) -> Vec<sr25519::Public> {
    let mut keys = keystore.sr25519_public_keys(RESULT_KEY);
    keys.sort_unstable();
    keys
}

/// The key that signs the worker's results; made if there is none.
///
/// # Errors
///
/// If the keystore cannot keep a new one.
pub(crate) fn result_key(keystore: &KeystorePtr) -> Result<sr25519::Public, String> {
    match result_keys(keystore).first() {
        Some(key) => Ok(*key),
        None => keystore
            .sr25519_generate_new(RESULT_KEY, None)
            .map_err(|error| format!("cannot make a key for the worker's results in the keystore ({error})")),
    }
}

/// `worker_resultKey`: the public key that signs the worker's results, for who registers it.
///
/// # Errors
///
/// None that could come to pass: the method's name is new to an empty module.
pub(crate) fn rpc(keystore: KeystorePtr) -> Result<RpcModule<KeystorePtr>, RegisterMethodError> {
    let mut module = RpcModule::new(keystore);
    module.register_method("worker_resultKey", |_, keystore, _| {
        result_keys(keystore)
            .first()
            .map(|key| Bytes(key.0.to_vec()))
            .ok_or_else(|| -> ErrorObjectOwned {
                ErrorObject::owned(
                    NO_KEY,
                    "the keystore has lost its key of type olwk; restart the node, which makes another, and register that",
                    None::<()>,
                )
            })
    })?;
    Ok(module)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::core::EmptyServerParams;
    use sp_core::offchain::testing::TestPersistentOffchainDB;
    use sp_keystore::testing::MemoryKeystore;
    use std::os::unix::fs::PermissionsExt;

    /// A file with this content and mode, in a directory that lives as long as the first value.
    fn file(content: &str, mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        (directory, path)
    }

    #[test]
    fn a_secret_should_be_read_whole() {
        let digits = "00ff".repeat(16);
        for content in [format!("0x{digits}"), format!("0x{}\n", digits.to_uppercase())] {
            let (_keep, path) = file(&content, 0o600);
            assert_eq!(read_secret(&path).unwrap(), [0, 255].repeat(16));
        }
        let (_keep, path) = file(&format!("0x{}", "7".repeat(32)), 0o400);
        assert_eq!(read_secret(&path).unwrap(), [0x77; 16]);
    }

    #[test]
    fn a_secret_others_can_read_should_be_refused_with_the_remedy() {
        for mode in [0o640, 0o604, 0o660, 0o601] {
            let (_keep, path) = file(&format!("0x{}", "7".repeat(64)), mode);
            let line = read_secret(&path).unwrap_err();
            assert!(
                line.contains("chmod 600") && line.contains(path.to_str().unwrap()),
                "{line}"
            );
        }
    }

    #[test]
    fn what_is_no_secret_should_be_refused_and_not_repeated() {
        let short = format!("0x{}", "7".repeat(30));
        let odd = format!("0x{}", "7".repeat(65));
        for content in [
            "",
            "0x",
            "correct horse battery staple",
            &short,
            &odd,
            &"7".repeat(64),
        ] {
            let (_keep, path) = file(content, 0o600);
            let line = read_secret(&path).unwrap_err();
            assert!(line.contains("openledger-worker init"), "{line}");
            assert!(content.len() < 3 || !line.contains(content), "{line}");
        }
        let (keep, _) = file("", 0o600);
        for path in [keep.path().join("nothing"), keep.path().into()] {
            assert!(read_secret(&path).unwrap_err().contains(path.to_str().unwrap()));
        }
    }

    #[test]
    fn only_plain_urls_should_be_taken() {
        for good in [
            "http://127.0.0.1:8700",
            "https://worker.example/a",
            "http://[::1]:1",
        ] {
            assert_eq!(parse_url(good).unwrap(), good);
            assert_eq!(parse_url(&format!("{good}/")).unwrap(), good);
        }
        for bad in [
            "",
            "127.0.0.1:8700",
            "ws://127.0.0.1:8700",
            "http://",
            "http:///x",
            "http://name:word@host",
            "http://host/?a",
            "http://ho st",
        ] {
            assert!(parse_url(bad).unwrap_err().contains("http://HOST:PORT"), "{bad}");
        }
    }

    #[test]
    fn a_pairing_should_be_stored_and_forgotten() {
        // Clones of it are one database, as with the node's own.
        let database = TestPersistentOffchainDB::new();
        let held = || [URL_KEY, SECRET_KEY].map(|key| OffchainStorage::get(&database, STORAGE_PREFIX, key));
        let pairing = |url: &str| Pairing {
            url: url.into(),
            secret: vec![7; 32],
        };
        store(Some(database.clone()), None).unwrap();
        for url in ["http://a", "http://b"] {
            store(Some(database.clone()), Some(&pairing(url))).unwrap();
            assert_eq!(held(), [Some(url.as_bytes().to_vec()), Some(vec![7; 32])]);
        }
        store(Some(database.clone()), None).unwrap();
        assert_eq!(held(), [None, None]);
        let none = || None::<TestPersistentOffchainDB>;
        assert!(store(none(), Some(&pairing("http://a"))).is_err());
        assert!(store(none(), None).is_ok());
    }

    #[test]
    fn a_result_key_should_be_made_once() {
        let keystore: KeystorePtr = std::sync::Arc::new(MemoryKeystore::new());
        let key = result_key(&keystore).unwrap();
        assert_eq!(result_key(&keystore).unwrap(), key);
        assert_eq!(result_keys(&keystore), [key]);
    }

    #[test]
    fn the_result_key_should_be_told_by_rpc() {
        let keystore: KeystorePtr = std::sync::Arc::new(MemoryKeystore::new());
        let module = rpc(keystore.clone()).unwrap();
        let ask = || {
            futures::executor::block_on(module.call::<_, Bytes>("worker_resultKey", EmptyServerParams::new()))
        };
        assert!(ask().unwrap_err().to_string().contains("olwk"));
        let key = result_key(&keystore).unwrap();
        assert_eq!(ask().unwrap().0, key.0);
    }
}
