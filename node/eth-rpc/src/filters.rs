//! Filters that clients install and poll. Kept in memory as in any Ethereum node: a restart forgets them, and so does
//! the node when a filter is not polled for five minutes.

use crate::{
    error::CallError,
    types::{LogPattern, LogRequest},
};
use pallet_revive::evm::U256;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long a filter lives without being polled.
pub(crate) const EXPIRY: Duration = Duration::from_secs(5 * 60);
/// Filters kept for all clients together.
const MAX_TOTAL: usize = 10_000;

/// What a filter watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// New blocks.
    Blocks,
    /// Transactions that enter the pool.
    Pending,
    /// Logs that fit a pattern in blocks from `from` to `to`, and the request as it came.
    Logs {
        request: Box<LogRequest>,
        pattern: LogPattern,
        from: Option<u32>,
        to: Option<u32>,
    },
}

/// An installed filter.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) watched: Watched,
    /// Position in the feed up to which the client was told.
    pub(crate) position: u64,
    /// Highest block the client was told about, to go on from when the feed has dropped what came after it.
    pub(crate) block: u32,
    owner: Option<IpAddr>,
    polled: Instant,
}

/// The filters of all clients.
#[derive(Debug)]
pub(crate) struct Filters {
    by_id: Mutex<HashMap<u128, Filter>>,
    /// Filters one client address may keep.
    limit: usize,
}

impl Filters {
    /// No filters yet; each client address may keep `limit`.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            by_id: Mutex::default(),
            limit: limit as usize,
        }
    }

    /// Installs a filter and returns its id.
    pub(crate) fn install(
        &self,
        owner: Option<IpAddr>,
        watched: Watched,
        position: u64,
        block: u32,
        now: Instant,
    ) -> Result<U256, CallError> {
        let mut filters = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|_, filter| now.duration_since(filter.polled) < EXPIRY);
        let owned = filters.values().filter(|filter| filter.owner == owner).count();
        if owned >= self.limit || filters.len() >= MAX_TOTAL {
            let (have, most) = if owned >= self.limit {
                (owned, self.limit)
            } else {
                (filters.len(), MAX_TOTAL)
            };
            return Err(CallError::limit(format!(
                "{have} filters are installed and at most {most} are allowed: remove some with eth_uninstallFilter, or \
                 let them expire by not polling them for {} minutes",
                EXPIRY.as_secs() / 60
            )));
        }
        // Random, so that no client can guess and remove another's.
        let mut id: u128 = rand::random();
        while id == 0 || filters.contains_key(&id) {
            id = rand::random();
        }
        filters.insert(
            id,
            Filter {
                watched,
                position,
                block,
                owner,
                polled: now,
            },
        );
        Ok(U256::from(id))
    }

    /// The filter, which counts as polled now.
    pub(crate) fn poll(&self, id: U256, now: Instant) -> Result<Filter, CallError> {
        let mut filters = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        filters.retain(|_, filter| now.duration_since(filter.polled) < EXPIRY);
        let filter = u128::try_from(id)
            .ok()
            .and_then(|id| filters.get_mut(&id))
            .ok_or_else(not_found)?;
        filter.polled = now;
        Ok(filter.clone())
    }

    /// Notes how far the client was told.
    pub(crate) fn advance(&self, id: U256, position: u64, block: u32) {
        let mut filters = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(filter) = u128::try_from(id).ok().and_then(|id| filters.get_mut(&id)) {
            filter.position = filter.position.max(position);
            filter.block = block;
        }
    }

    /// Removes a filter; whether there was one.
    pub(crate) fn uninstall(&self, id: U256) -> bool {
        let mut filters = self.by_id.lock().unwrap_or_else(PoisonError::into_inner);
        u128::try_from(id).is_ok_and(|id| filters.remove(&id).is_some())
    }
}

/// The error for a filter that is not there, in geth's words.
pub(crate) fn not_found() -> CallError {
    CallError::server("filter not found")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::types::ErrorObjectOwned;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
    const OTHER: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    #[test]
    fn id_should_go_over_the_wire_as_a_hex_quantity() {
        let filters = Filters::new(5);
        let id = filters
            .install(CLIENT, Watched::Blocks, 0, 0, Instant::now())
            .unwrap();
        let sent = serde_json::to_string(&id).unwrap();
        assert!(sent.starts_with("\"0x") && sent.len() <= 2 + 2 + 32, "{sent}");
        assert_eq!(serde_json::from_str::<U256>(&sent).unwrap(), id);
        assert!(filters.poll(id, Instant::now()).is_ok());
    }

    #[test]
    fn filter_should_expire_when_not_polled_and_live_while_it_is() {
        let filters = Filters::new(5);
        let start = Instant::now();
        let idle = filters.install(CLIENT, Watched::Blocks, 0, 0, start).unwrap();
        let busy = filters.install(CLIENT, Watched::Pending, 0, 0, start).unwrap();
        for minute in 1..=10 {
            assert!(filters
                .poll(busy, start + Duration::from_secs(60 * minute))
                .is_ok());
        }
        let error = filters.poll(idle, start + Duration::from_secs(600)).unwrap_err();
        assert_eq!(ErrorObjectOwned::from(error).message(), "filter not found");
        assert!(!filters.uninstall(idle));
    }

    #[test]
    fn limit_should_be_per_client_name_itself_and_free_up() {
        let filters = Filters::new(2);
        let now = Instant::now();
        let first = filters.install(CLIENT, Watched::Blocks, 0, 0, now).unwrap();
        filters.install(CLIENT, Watched::Blocks, 0, 0, now).unwrap();
        let error = ErrorObjectOwned::from(filters.install(CLIENT, Watched::Blocks, 0, 0, now).unwrap_err());
        assert_eq!(error.code(), crate::error::LIMIT_EXCEEDED);
        assert!(error.message().contains("at most 2") && error.message().contains("eth_uninstallFilter"));
        assert!(filters.install(OTHER, Watched::Blocks, 0, 0, now).is_ok());
        assert!(filters.uninstall(first));
        assert!(filters.install(CLIENT, Watched::Blocks, 0, 0, now).is_ok());
        assert!(
            filters
                .install(CLIENT, Watched::Blocks, 0, 0, now + EXPIRY)
                .is_ok(),
            "expired ones still count"
        );
    }

    #[test]
    fn position_should_only_go_forward() {
        let filters = Filters::new(2);
        let now = Instant::now();
        let id = filters.install(CLIENT, Watched::Blocks, 3, 1, now).unwrap();
        filters.advance(id, 9, 2);
        filters.advance(id, 5, 2);
        assert_eq!(filters.poll(id, now).unwrap().position, 9);
        filters.advance(U256::MAX, 1, 1);
        assert!(filters.poll(U256::MAX, now).is_err());
    }
}
