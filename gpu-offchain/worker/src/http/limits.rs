//! How often one address may call and one consumer may ask.

use crate::{
    error::{Error, Result},
    state::{lock, Worker},
};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use openledger_protocol::Account;
use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::Instant,
};

/// Callers that are remembered; beyond them those who have not called for longest start anew.
const MOST: usize = 65_536;

/// The address a request came from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A minute's allowance for each of many callers, given back evenly.
struct Buckets<K> {
    a_minute: f64,
    all: Mutex<HashMap<K, (f64, Instant)>>,
}

impl<K: Eq + Hash + Copy> Buckets<K> {
    fn new(a_minute: u32) -> Self {
        Self {
            a_minute: f64::from(a_minute),
            all: Mutex::default(),
        }
    }

    /// Takes one; if there is none, the seconds until there is.
    fn take(&self, key: K, now: Instant) -> std::result::Result<(), u64> {
        if self.a_minute == 0.0 {
            return Ok(());
        }
        let mut all = lock(&self.all);
        if all.len() >= MOST && !all.contains_key(&key) {
            let full = |(left, then): &(f64, Instant)| self.refilled(*left, *then, now) >= self.a_minute;
            all.retain(|_, bucket| !full(bucket));
            if all.len() >= MOST {
                let oldest = all.iter().min_by_key(|(_, (_, then))| *then).map(|(key, _)| *key);
                if let Some(oldest) = oldest {
                    all.remove(&oldest);
                }
            }
        }
        let (left, then) = all.get(&key).copied().unwrap_or((self.a_minute, now));
        let left = self.refilled(left, then, now);
        if left < 1.0 {
            all.insert(key, (left, now));
            return Err(((1.0 - left) * 60.0 / self.a_minute).ceil().max(1.0) as u64);
        }
        all.insert(key, (left - 1.0, now));
        Ok(())
    }

    fn refilled(&self, left: f64, then: Instant, now: Instant) -> f64 {
        let since = now.saturating_duration_since(then).as_secs_f64();
        (left + since * self.a_minute / 60.0).min(self.a_minute)
    }
}

/// The limits of one worker.
pub struct RateLimits {
    addresses: Buckets<IpAddr>,
    consumers: Buckets<Account>,
    behind_proxy: bool,
}

impl RateLimits {
    /// Calls of an address and questions of a consumer in a minute; 0 for as many as they like. Behind a proxy the caller's address is
    /// the last in `x-forwarded-for`.
    pub(crate) fn new(calls: u32, asks: u32, behind_proxy: bool) -> Self {
        Self {
            addresses: Buckets::new(calls),
            consumers: Buckets::new(asks),
            behind_proxy,
        }
    }

    /// Counts a question of a consumer.
    pub(crate) fn asks(&self, consumer: &Account) -> Result<()> {
        self.consumers.take(*consumer, Instant::now()).map_err(|after| {
            Error::Later(
                format!(
                    "{} questions a minute are answered to one consumer: ask again in {after} s",
                    self.consumers.a_minute
                ),
                after,
            )
        })
    }

    fn calls(&self, peer: IpAddr, headers: &HeaderMap) -> Result<()> {
        let forwarded = headers
            .get_all("x-forwarded-for")
            .iter()
            .next_back()
            .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        let address = match forwarded {
            Some(forwarded) if self.behind_proxy => forwarded,
            // Programs on this machine, and the proxy itself.
            _ if peer.is_loopback() => return Ok(()),
            _ => peer,
        };
        self.addresses
            .take(network(address), Instant::now())
            .map_err(|after| {
                Error::Later(
                    format!(
                        "{} calls a minute are answered to one address: call again in {after} s",
                        self.addresses.a_minute
                    ),
                    after,
                )
            })
    }
}

/// Whoever has one IPv6 address has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        v4 => v4,
    }
}

/// Refuses the calls of an address that calls too often.
pub(super) async fn limit(State(worker): State<Arc<Worker>>, request: Request, next: Next) -> Response {
    if let Some(Peer(peer)) = request.extensions().get::<Peer>().copied() {
        if let Err(error) = worker.limits.calls(peer, request.headers()) {
            return error.into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_allowance_is_spent_and_given_back_evenly_to_each() {
        let buckets = Buckets::new(60);
        let start = Instant::now();
        for _ in 0..60 {
            buckets.take(1, start).unwrap();
        }
        assert_eq!(buckets.take(1, start), Err(1));
        buckets.take(2, start).unwrap();
        let later = start + Duration::from_secs(2);
        buckets.take(1, later).unwrap();
        buckets.take(1, later).unwrap();
        assert_eq!(buckets.take(1, later), Err(1));
        let unlimited = Buckets::new(0);
        assert!((0..1_000).all(|_| unlimited.take(1, start).is_ok()));
    }

    #[test]
    fn many_callers_take_bounded_room_and_none_gets_a_refused_ones_place() {
        let buckets = Buckets::new(1);
        let start = Instant::now();
        for n in 0..MOST as u32 {
            buckets.take(n, start).unwrap();
        }
        buckets.take(u32::MAX, start + Duration::from_millis(1)).unwrap();
        assert_eq!(lock(&buckets.all).len(), MOST);
        assert!(buckets.take(u32::MAX, start + Duration::from_millis(2)).is_err());
    }

    #[test]
    fn addresses_are_counted_by_network_and_loopback_by_what_the_proxy_says() {
        let limits = |proxy| RateLimits::new(1, 0, proxy);
        let said = |text: &'static str| {
            HeaderMap::from_iter([(
                axum::http::HeaderName::from_static("x-forwarded-for"),
                text.parse().unwrap(),
            )])
        };
        let open = limits(false);
        let [a, b]: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        open.calls(a, &HeaderMap::new()).unwrap();
        assert!(open.calls(b, &HeaderMap::new()).is_err());
        // What anybody may write is not believed.
        assert!(open.calls(a, &said("192.0.2.9")).is_err());
        let own: IpAddr = "127.0.0.1".parse().unwrap();
        assert!((0..9).all(|_| open.calls(own, &said("192.0.2.1")).is_ok()));
        let behind = limits(true);
        behind.calls(own, &said("9.9.9.9, 192.0.2.1")).unwrap();
        assert!(behind.calls(own, &said("8.8.8.8, 192.0.2.1")).is_err());
        behind.calls(own, &said("192.0.2.2")).unwrap();
    }
}
