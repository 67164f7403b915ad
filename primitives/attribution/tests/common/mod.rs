//! What the tests share: seeds that are printed, a small generator, and a world to lie in.
#![allow(dead_code, unreachable_pub)]

pub mod lies;
pub mod plants;
pub mod watch;
pub mod world;

use openledger_attribution::hash::{keccak, Account, Hash};
use openledger_attribution::voucher::{CheckSignature, Signature};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// The seed of this run, printed: `ATTRIBUTION_SEED` if set, else the clock.
pub fn seed() -> u64 {
    let seed = match std::env::var("ATTRIBUTION_SEED") {
        Ok(text) => text.parse().expect("ATTRIBUTION_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64,
    };
    println!("seed {seed} (again with ATTRIBUTION_SEED={seed})");
    seed
}

/// How many times the usual number of cases to run: `ATTRIBUTION_SCALE`, else 1.
pub fn scale() -> u32 {
    std::env::var("ATTRIBUTION_SCALE").map_or(1, |text| text.parse().expect("ATTRIBUTION_SCALE is a number"))
}

/// Runs a property on `cases` random values of `strategy`, times [`scale`].
pub fn law<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let seed = seed();
    let key = keccak(&[&seed.to_be_bytes()]);
    let config = Config {
        cases: cases * scale(),
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key));
    if let Err(error) = runner.run(&strategy, test) {
        panic!("with ATTRIBUTION_SEED={seed}: {error}");
    }
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn hash(&mut self) -> Hash {
        keccak(&[&self.next().to_be_bytes()])
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// A consumer whose signatures are hashes: cheap enough for many worlds. Real keys are tested in
/// `voucher.rs`.
#[derive(Clone, Copy, Debug)]
pub enum Consumer {
    Substrate(Account),
    Ethereum([u8; 64]),
}

impl Consumer {
    pub fn account(&self) -> Account {
        use openledger_attribution::hash::{account_of_address, address_of_key};
        match self {
            Self::Substrate(account) => *account,
            Self::Ethereum(key) => account_of_address(&address_of_key(key)),
        }
    }

    pub fn sign(&self, voucher: &openledger_attribution::voucher::Voucher, chain_id: u64) -> Signature {
        match self {
            Self::Substrate(key) => {
                let digest = keccak(&[&voucher.sr25519_message(), key]);
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(&digest);
                Signature::Sr25519(signature)
            }
            Self::Ethereum(key) => {
                let digest = keccak(&[&voucher.eip712_digest(chain_id), key]);
                let mut signature = [0; 65];
                signature[..32].copy_from_slice(&digest);
                Signature::Ecdsa(signature)
            }
        }
    }
}

/// Checks the signatures of [`Consumer`]s.
pub struct Keys(pub Vec<Consumer>);

impl CheckSignature for Keys {
    fn sr25519(&self, signature: &[u8; 64], message: &[u8], key: &Account) -> bool {
        signature[..32] == keccak(&[message, key])
    }

    fn ecdsa_recover(&self, signature: &[u8; 65], digest: &Hash) -> Option<[u8; 64]> {
        self.0.iter().find_map(|consumer| match consumer {
            Consumer::Ethereum(key) if signature[..32] == keccak(&[digest, key]) => Some(*key),
            _ => None,
        })
    }
}
