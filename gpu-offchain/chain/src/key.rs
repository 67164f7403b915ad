//! Keys that sign, and the checks of what others signed.

use crate::{Chain, Error, Result, DEV_CHAIN_ID};
use openledger_attribution::voucher::CheckSignature;
use openledger_protocol::{Account, Hash};
use std::{fmt, fs, io::Write, path::Path, str::FromStr};
use subxt_signer::{
    sr25519::{verify, Keypair, PublicKey, Signature},
    SecretUri,
};

/// An sr25519 key.
#[derive(Clone)]
pub struct Key(Keypair);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", crate::ss58(&self.account()))
    }
}

impl Key {
    /// The key in a file of one line: `0x` and 64 hexadecimal digits (a seed), a mnemonic, or a secret URI such as `//Alice`
    /// or `mnemonic//path`. Refuses a file that others may read.
    pub fn load(path: &Path) -> Result<Self> {
        let error = |reason: String| Error::Key {
            what: path.display().to_string(),
            reason,
        };
        check_mode(path).map_err(error)?;
        let text = fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        Self::from_uri(text.trim()).map_err(|e| match e {
            // The URI is the secret: never shown.
            Error::Key { reason, .. } => error(reason),
            other => other,
        })
    }

    /// A new random key, in a file that only its owner may read. Refuses to overwrite.
    pub fn create(path: &Path) -> Result<Self> {
        let error = |reason: String| Error::Key {
            what: path.display().to_string(),
            reason,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| error(e.to_string()))?;
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|e| error(e.to_string()))?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .open(path)
            .map_err(|e| error(format!("{e}; choose another path")))?;
        file.write_all(format!("0x{}\n", hex::encode(seed)).as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|e| error(e.to_string()))?;
        Keypair::from_secret_key(seed)
            .map(Self)
            .map_err(|e| error(e.to_string()))
    }

    /// [`load`](Self::load) if the file is there, else [`create`](Self::create).
    pub fn load_or_create(path: &Path) -> Result<Self> {
        if path.exists() {
            Self::load(path)
        } else {
            Self::create(path)
        }
    }

    /// The well-known development key `//name`, whose secret everybody knows. Only on a development chain.
    pub fn dev(name: &str, chain: &Chain) -> Result<Self> {
        if chain.chain_id() != DEV_CHAIN_ID {
            return Err(Error::Key {
                what: format!("//{name}"),
                reason: format!(
                    "its secret is public and this is chain {}, not the development chain {DEV_CHAIN_ID}: use a key file",
                    chain.chain_id()
                ),
            });
        }
        Self::from_uri(&format!("//{name}"))
    }

    /// The key of a secret URI.
    pub fn from_uri(uri: &str) -> Result<Self> {
        // What went wrong says nothing about the secret itself.
        let error = |_| Error::Key {
            what: "URI".into(),
            reason: "write 0x and 64 hexadecimal digits, a mnemonic, or a URI like //Alice, on one line"
                .into(),
        };
        let uri = SecretUri::from_str(uri).map_err(|e| error(e.to_string()))?;
        Keypair::from_uri(&uri)
            .map(Self)
            .map_err(|e| error(e.to_string()))
    }

    /// The account that this key signs for: its public key.
    pub fn account(&self) -> Account {
        self.0.public_key().0
    }

    /// Signs in the context `substrate`, as transactions, vouchers, receipts and results are signed.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).0
    }

    pub(crate) fn pair(&self) -> &Keypair {
        &self.0
    }
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path)
        .map_err(|e| e.to_string())?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "others may read it (mode {mode:o}): run chmod 600 {}",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_mode(_: &Path) -> Result<(), String> {
    Ok(())
}

/// The signature checks of vouchers and receipts.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignatureChecks;

impl CheckSignature for SignatureChecks {
    fn sr25519(&self, signature: &[u8; 64], message: &[u8], key: &Account) -> bool {
        verify(&Signature(*signature), message, &PublicKey(*key))
    }

    fn ecdsa_recover(&self, signature: &[u8; 65], digest: &Hash) -> Option<[u8; 64]> {
        use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};
        let [rs @ .., v] = signature;
        let recovery =
            RecoveryId::from_byte(if *v >= 27 { v - 27 } else { *v }).filter(|id| !id.is_x_reduced())?;
        let signature = Signature::from_slice(rs).ok()?;
        let key = VerifyingKey::recover_from_prehash(digest, &signature, recovery).ok()?;
        let point = key.to_encoded_point(false);
        point.as_bytes().get(1..)?.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("openledger-key-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        dir
    }

    #[test]
    fn a_created_key_loads_back_and_is_not_overwritten() {
        let dir = scratch("create");
        let path = dir.join("a.key");
        let key = Key::create(&path).unwrap();
        assert_eq!(Key::load(&path).unwrap().account(), key.account());
        assert!(Key::create(&path).is_err());
        let message = b"OpenLedger";
        assert!(SignatureChecks.sr25519(&key.sign(message), message, &key.account()));
        assert!(!SignatureChecks.sr25519(&key.sign(message), b"other", &key.account()));
        fs::remove_dir_all(dir).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = scratch("mode");
        let path = dir.join("a.key");
        Key::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Key::load(&path).unwrap_err().to_string();
        assert!(
            error.contains("mode 640") && error.contains("chmod 600"),
            "{error}"
        );
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn secrets_are_not_shown() {
        let error = Key::from_uri("0x1234not-a-secret").unwrap_err().to_string();
        assert!(!error.contains("1234"), "{error}");
        let alice = Key::from_uri("//Alice").unwrap();
        assert_eq!(
            crate::ss58(&alice.account()),
            "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
        );
        assert_eq!(
            format!("{alice:?}"),
            "Key(5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY)"
        );
    }

    #[test]
    fn an_ethereum_signature_recovers_its_key() {
        use k256::ecdsa::SigningKey;
        let secret = SigningKey::from_slice(&[7; 32]).unwrap();
        let digest = [9; 32];
        let (signature, recovery) = secret.sign_prehash_recoverable(&digest).unwrap();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        for v in [recovery.to_byte(), recovery.to_byte() + 27] {
            bytes[64] = v;
            let key = SignatureChecks.ecdsa_recover(&bytes, &digest).unwrap();
            assert_eq!(
                key,
                secret.verifying_key().to_encoded_point(false).as_bytes()[1..]
            );
        }
        bytes[64] = 4;
        assert!(SignatureChecks.ecdsa_recover(&bytes, &digest).is_none());
    }
}
