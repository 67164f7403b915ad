//! How many calls one client address may make.

use std::{
    collections::HashMap,
    net::IpAddr,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Addresses remembered before those that have been quiet are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// A bucket of calls for each address: full with a minute's worth, refilled evenly.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_minute: NonZeroU32,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    calls: f64,
    at: Instant,
}

impl RateLimiter {
    pub(crate) fn new(per_minute: NonZeroU32) -> Self {
        Self {
            per_minute,
            buckets: Mutex::default(),
        }
    }

    /// Calls a minute.
    pub(crate) fn per_minute(&self) -> u32 {
        self.per_minute.get()
    }

    /// Takes a call out of the address's bucket, or says how long it takes until there is one.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let full = f64::from(self.per_minute.get());
        let per_second = full / 60.0;
        let refilled = |bucket: &Bucket| {
            (bucket.calls + now.duration_since(bucket.at).as_secs_f64() * per_second).min(full)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_ADDRESSES {
            buckets.retain(|_, bucket| refilled(bucket) < full);
        }
        let bucket = buckets.entry(address).or_insert(Bucket { calls: full, at: now });
        let calls = refilled(bucket);
        let allowed = calls >= 1.0;
        *bucket = Bucket {
            calls: if allowed { calls - 1.0 } else { calls },
            at: now,
        };
        match allowed {
            true => Ok(()),
            false => Err(Duration::from_secs_f64((1.0 - calls) / per_second)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

    #[test]
    fn address_should_get_its_minutes_worth_and_then_wait() {
        let limiter = RateLimiter::new(NonZeroU32::new(60).unwrap());
        let start = Instant::now();
        assert!((0..60).all(|_| limiter.take(A, start).is_ok()));
        let wait = limiter.take(A, start).unwrap_err();
        assert!(
            wait <= Duration::from_secs(1) && wait > Duration::from_millis(900),
            "{wait:?}"
        );
        assert!(
            limiter.take(B, start).is_ok(),
            "another address pays for the first"
        );
        assert!(limiter.take(A, start + Duration::from_millis(1_001)).is_ok());
        assert!(limiter.take(A, start + Duration::from_millis(1_002)).is_err());
    }

    #[test]
    fn quiet_addresses_should_be_forgotten_and_busy_ones_kept() {
        let limiter = RateLimiter::new(NonZeroU32::new(2).unwrap());
        let start = Instant::now();
        for number in 0..MAX_ADDRESSES as u32 {
            let _ = limiter.take(IpAddr::V4(Ipv4Addr::from(number)), start);
        }
        let later = start + Duration::from_secs(3_600);
        assert!(limiter.take(A, later).is_ok());
        assert!(limiter.buckets.lock().unwrap().len() < 10);
        assert!(limiter.take(A, later).is_ok());
        assert!(limiter.take(A, later).is_err());
    }
}
