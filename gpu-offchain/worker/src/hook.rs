//! The paired node's end of the worker: `POST /hook/v1`.
//!
//! Whoever knows the shared secret may assign jobs and read results, nobody else: every request carries an HMAC over its
//! time, a nonce used once, and its body, and every answer one over the request's nonce and its own body.

use crate::error::{Error, Result};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::HashMap;
use std::sync::Mutex;

/// Header with the request's Unix time in seconds.
pub const TIME: &str = "x-openledger-time";
/// Header with the request's nonce.
pub const NONCE: &str = "x-openledger-nonce";
/// Header with the HMAC.
pub const MAC: &str = "x-openledger-mac";

/// Seconds that a request's clock may differ from this machine's.
pub const WINDOW: u64 = 60;

/// Least bytes of a secret.
pub const LEAST_SECRET: usize = 32;

/// Checks requests and signs answers.
pub struct Gate {
    secret: Vec<u8>,
    /// Nonces seen and when they can be forgotten.
    seen: Mutex<HashMap<[u8; 16], u64>>,
}

impl Gate {
    /// A gate for a secret of at least [`LEAST_SECRET`] bytes.
    pub fn new(secret: Vec<u8>) -> Result<Self> {
        if secret.len() < LEAST_SECRET {
            return Err(Error::Setup(format!(
                "the shared secret has {} bytes: give node and worker the same {LEAST_SECRET} or more random bytes",
                secret.len()
            )));
        }
        Ok(Self {
            secret,
            seen: Mutex::new(HashMap::new()),
        })
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // Any length is a key to HMAC.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret)
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        for part in parts {
            mac.update(part);
        }
        mac
    }

    /// Admits a request made at `time` if its HMAC is right, its time near `now` (Unix seconds) and its nonce new.
    pub fn admit(&self, now: u64, time: &str, nonce: &str, mac: &str, body: &[u8]) -> Result<()> {
        // The HMAC first: nobody without the secret learns anything else or fills the list of nonces.
        let refused = || {
            Error::Unauthorized(
                "the request's x-openledger-mac is wrong: node and worker need the same secret file".into(),
            )
        };
        let given = hex::decode(mac).map_err(|_| refused())?;
        let expected = self.mac(&[
            b"request\n",
            time.as_bytes(),
            b"\n",
            nonce.as_bytes(),
            b"\n",
            body,
        ]);
        expected.verify_slice(&given).map_err(|_| refused())?; // in constant time

        let at: u64 = time.parse().map_err(|_| {
            Error::Request(format!("{TIME} is {time:?}: send Unix seconds in decimal digits"))
        })?;
        if at.abs_diff(now) > WINDOW {
            return Err(Error::Unauthorized(format!(
                "the request was made at {at} and it is {now} here: set both machines' clocks, they may differ by {WINDOW} seconds"
            )));
        }
        let nonce: [u8; 16] = hex::decode(nonce)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| Error::Request(format!("{NONCE} is {nonce:?}: send 32 hexadecimal digits")))?;
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        seen.retain(|_, until| *until >= now);
        // A request stays in its window until its time plus the window, by this machine's clock.
        if seen.insert(nonce, at + WINDOW).is_some() {
            return Err(Error::Unauthorized(
                "the request's nonce was used before: make each request anew".into(),
            ));
        }
        Ok(())
    }

    /// The HMAC of an answer.
    pub fn sign_answer(&self, nonce: &str, body: &[u8]) -> String {
        hex::encode(
            self.mac(&[b"answer\n", nonce.as_bytes(), b"\n", body])
                .finalize()
                .into_bytes(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn gate() -> Gate {
        Gate::new(vec![7; 32]).unwrap()
    }

    fn sign(time: &str, nonce: &str, body: &[u8]) -> String {
        hex::encode(
            gate()
                .mac(&[
                    b"request\n",
                    time.as_bytes(),
                    b"\n",
                    nonce.as_bytes(),
                    b"\n",
                    body,
                ])
                .finalize()
                .into_bytes(),
        )
    }

    fn nonce(n: u8) -> String {
        hex::encode([n; 16])
    }

    #[test]
    fn right_request_passes_once() {
        let gate = gate();
        let time = NOW.to_string();
        let mac = sign(&time, &nonce(1), b"body");
        gate.admit(NOW, &time, &nonce(1), &mac, b"body").unwrap();
        let again = gate.admit(NOW, &time, &nonce(1), &mac, b"body").unwrap_err();
        assert!(again.to_string().contains("nonce"), "{again}");
    }

    #[test]
    fn nonce_is_remembered_as_long_as_its_request_is_in_the_window() {
        let gate = gate();
        let time = (NOW + WINDOW).to_string();
        let mac = sign(&time, &nonce(1), b"");
        gate.admit(NOW, &time, &nonce(1), &mac, b"").unwrap();
        for later in [NOW + 1, NOW + WINDOW, NOW + 2 * WINDOW] {
            assert!(gate.admit(later, &time, &nonce(1), &mac, b"").is_err(), "{later}");
        }
        assert!(gate
            .admit(NOW + 2 * WINDOW + 1, &time, &nonce(1), &mac, b"")
            .unwrap_err()
            .to_string()
            .contains("clocks"));
    }

    #[test]
    fn every_part_is_covered() {
        let gate = gate();
        let time = NOW.to_string();
        let mac = sign(&time, &nonce(1), b"body");
        let earlier = (NOW - 1).to_string();
        for (time, nonce, mac, body) in [
            (earlier.as_str(), nonce(1), mac.clone(), b"body".as_slice()),
            (&time, nonce(2), mac.clone(), b"body"),
            (&time, nonce(1), mac.clone(), b"bodY"),
            (&time, nonce(1), mac.replace(['0', '1'], "2"), b"body"),
            (&time, nonce(1), String::new(), b"body"),
            (&time, nonce(1), mac[..62].into(), b"body"),
        ] {
            assert!(matches!(
                gate.admit(NOW, time, &nonce, &mac, body),
                Err(Error::Unauthorized(_))
            ));
        }
    }

    #[test]
    fn clocks_may_differ_by_a_minute() {
        for (at, good) in [
            (NOW - 60, true),
            (NOW + 60, true),
            (NOW - 61, false),
            (NOW + 61, false),
        ] {
            let time = at.to_string();
            let mac = sign(&time, &nonce(1), b"");
            assert_eq!(
                gate().admit(NOW, &time, &nonce(1), &mac, b"").is_ok(),
                good,
                "{at}"
            );
        }
    }

    #[test]
    fn short_secret_is_refused() {
        assert!(Gate::new(vec![1; 31]).is_err());
    }
}
