//! Vouchers under real keys: sr25519 as wallets sign, ECDSA over EIP-712 as Ethereum wallets sign; and with
//! vectors made by foreign code (`@polkadot/util-crypto` 13 and `ethers` 6.17.0).

mod common;

use common::law;
use k256::ecdsa::{RecoveryId, Signature as EcdsaSignature, SigningKey, VerifyingKey};
use openledger_attribution::{
    hash::{account_of_address, address_of_key, keccak, Account, Hash},
    voucher::{CheckSignature, Signature, Voucher},
    wire::Object,
};
use proptest::prelude::*;
use schnorrkel::{signing_context, ExpansionMode, Keypair, MiniSecretKey, PublicKey};

/// Signature schemes as a native program has them.
struct Native;

impl CheckSignature for Native {
    fn sr25519(&self, signature: &[u8; 64], message: &[u8], key: &Account) -> bool {
        let Ok(key) = PublicKey::from_bytes(key) else {
            return false;
        };
        let Ok(signature) = schnorrkel::Signature::from_bytes(signature) else {
            return false;
        };
        key.verify_simple(b"substrate", message, &signature).is_ok()
    }

    fn ecdsa_recover(&self, signature: &[u8; 65], digest: &Hash) -> Option<[u8; 64]> {
        let id = RecoveryId::from_byte(if signature[64] >= 27 {
            signature[64] - 27
        } else {
            signature[64]
        })?;
        let signature = EcdsaSignature::from_slice(&signature[..64]).ok()?;
        let key = VerifyingKey::recover_from_prehash(digest, &signature, id).ok()?;
        key.to_encoded_point(false).as_bytes()[1..].try_into().ok()
    }
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect();
    bytes.try_into().unwrap()
}

fn sample() -> Voucher {
    Voucher {
        genesis: [0xA1; 32],
        channel: 77,
        accepted: 123_456_789_012_345_678_901_234_567_890,
        previous: [0xB2; 32],
        most: 1_000_000_000_000_000_000,
        expiry: 4_242,
        terms: [0xC3; 32],
    }
}

fn ecdsa(key: &SigningKey, digest: &Hash, base: u8) -> Signature {
    let (signature, id) = key.sign_prehash_recoverable(digest).unwrap();
    let mut bytes = [0; 65];
    bytes[..64].copy_from_slice(&signature.to_bytes());
    bytes[64] = id.to_byte() + base;
    Signature::Ecdsa(bytes)
}

fn address(key: &SigningKey) -> [u8; 20] {
    address_of_key(
        &key.verifying_key().to_encoded_point(false).as_bytes()[1..]
            .try_into()
            .unwrap(),
    )
}

fn sr25519(pair: &Keypair, message: &[u8]) -> Signature {
    Signature::Sr25519(pair.sign(signing_context(b"substrate").bytes(message)).to_bytes())
}

#[test]
fn ethers_signs_the_same_digest() {
    let voucher = sample();
    let digest = unhex("3dc1c1c9a83eed6bc7a52ff76e518bf57c36c419c86e2a190690ba48b15bce79");
    assert_eq!(voucher.eip712_digest(161_299), digest);
    let signature = Signature::Ecdsa(unhex(
        "accb6f0dbcc7a58f32e2f03ebee0d71f1e1fefb230f594d8efc6751c49460885705cb077a17b72e8806b5c4801a3d53ce7e798b18594db2fe073e7872ad3b9ea1c",
    ));
    let consumer = account_of_address(&unhex("19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"));
    assert!(voucher.is_signed(&signature, &consumer, 161_299, &Native));
    assert!(!voucher.is_signed(&signature, &consumer, 1_612, &Native));
}

#[test]
fn polkadot_js_signs_the_same_message() {
    let voucher = sample();
    let message: [u8; 179] = unhex(
        "3c42797465733e4f70656e4c656467657220766f75636865723a01a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1000000000000004d000000018ee90ff6c373e0ee4e3f0ad2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b200000000000000000de0b6b3a76400000000000000001092c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c33c2f42797465733e",
    );
    assert_eq!(voucher.sr25519_message(), message);
    let signature = Signature::Sr25519(unhex(
        "2898456ce388d6c5eeb48fb969d2ebae162fc761ee9701dc4be38710049ee0480886259ba86f4e66aece8bdb8cbe38d39610d17b8666a339c6362020b242308f",
    ));
    let consumer = unhex("a63d1427fd44c2e8876a2d724abc93fee5cff849ca7cdc4a906e381a189c8c04");
    assert!(voucher.is_signed(&signature, &consumer, 161_299, &Native));
}

#[test]
fn keccak_is_ethereums() {
    let empty = unhex("c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    assert_eq!(keccak(&[]), empty);
    assert_eq!(keccak(&[b"a", b"", b"bc"]), keccak(&[b"abc"]));
}

/// Every way to change one field of a voucher. The pattern names all fields.
fn changed(voucher: &Voucher) -> Vec<Voucher> {
    let Voucher {
        genesis,
        channel,
        accepted,
        previous,
        most,
        expiry,
        terms,
    } = *voucher;
    let flip = |mut hash: Hash| {
        hash[7] ^= 1;
        hash
    };
    vec![
        Voucher {
            genesis: flip(genesis),
            ..*voucher
        },
        Voucher {
            channel: channel ^ 1,
            ..*voucher
        },
        Voucher {
            accepted: accepted ^ 1,
            ..*voucher
        },
        Voucher {
            previous: flip(previous),
            ..*voucher
        },
        Voucher {
            most: most ^ 1,
            ..*voucher
        },
        Voucher {
            expiry: expiry ^ 1,
            ..*voucher
        },
        Voucher {
            terms: flip(terms),
            ..*voucher
        },
    ]
}

#[test]
fn a_signature_is_for_one_voucher_one_chain_one_consumer() {
    let fields = (
        any::<[u8; 32]>(),
        any::<u64>(),
        any::<u128>(),
        any::<[u8; 32]>(),
        any::<u128>(),
        any::<u64>(),
        any::<[u8; 32]>(),
    );
    law(
        12,
        (fields, any::<[u8; 32]>(), any::<u64>()),
        |(fields, secret, chain_id)| {
            let (genesis, channel, accepted, previous, most, expiry, terms) = fields;
            let voucher = Voucher {
                genesis,
                channel,
                accepted,
                previous,
                most,
                expiry,
                terms,
            };
            let pair = MiniSecretKey::from_bytes(&secret)
                .unwrap()
                .expand_to_keypair(ExpansionMode::Ed25519);
            let Ok(key) = SigningKey::from_slice(&secret) else {
                return Ok(());
            };
            let consumers = [pair.public.to_bytes(), account_of_address(&address(&key))];
            let signatures = [
                sr25519(&pair, &voucher.sr25519_message()),
                ecdsa(&key, &voucher.eip712_digest(chain_id), 27),
            ];
            for n in 0..2 {
                prop_assert!(voucher.is_signed(&signatures[n], &consumers[n], chain_id, &Native));
                prop_assert!(!voucher.is_signed(&signatures[n], &consumers[1 - n], chain_id, &Native));
                for other in changed(&voucher) {
                    prop_assert!(!other.is_signed(&signatures[n], &consumers[n], chain_id, &Native));
                    prop_assert!(other.hash() != voucher.hash());
                }
                for bit in (0..512).step_by(37) {
                    let forged = match signatures[n] {
                        Signature::Sr25519(mut bytes) => {
                            bytes[bit / 8] ^= 1 << (bit % 8);
                            Signature::Sr25519(bytes)
                        }
                        Signature::Ecdsa(mut bytes) => {
                            bytes[bit / 8] ^= 1 << (bit % 8);
                            Signature::Ecdsa(bytes)
                        }
                    };
                    prop_assert!(!voucher.is_signed(&forged, &consumers[n], chain_id, &Native));
                }
            }
            let low_v = ecdsa(&key, &voucher.eip712_digest(chain_id), 0);
            prop_assert!(voucher.is_signed(&low_v, &consumers[1], chain_id, &Native));
            prop_assert!(!voucher.is_signed(
                &signatures[1],
                &consumers[1],
                chain_id.wrapping_add(1),
                &Native
            ));
            // The bare bytes, as a transaction would be signed, are no voucher.
            prop_assert!(!voucher.is_signed(
                &sr25519(&pair, &voucher.encode()),
                &consumers[0],
                chain_id,
                &Native
            ));
            Ok(())
        },
    );
}
