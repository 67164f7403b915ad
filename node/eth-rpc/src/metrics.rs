//! What the node's Prometheus endpoint tells about the Ethereum RPC.

use substrate_prometheus_endpoint::{
    register, Counter, CounterVec, Gauge, Opts, PrometheusError, Registry, U64,
};

/// The metrics.
#[derive(Clone)]
pub(crate) struct Metrics {
    /// Highest indexed block.
    pub(crate) head: Gauge<U64>,
    /// Lowest block that was filled in behind.
    pub(crate) tail: Gauge<U64>,
    /// Blocks taken back by reorganisations.
    pub(crate) reorganised: Counter<U64>,
    /// Calls answered, by outcome: `ok`, `error` or `limited`.
    pub(crate) calls: CounterVec<U64>,
}

impl Metrics {
    /// Registers them; a name can be registered once.
    pub(crate) fn register(registry: &Registry) -> Result<Self, PrometheusError> {
        Ok(Self {
            head: register(
                Gauge::new(
                    "openledger_eth_rpc_indexed_block",
                    "Highest block in the Ethereum index",
                )?,
                registry,
            )?,
            tail: register(
                Gauge::new(
                    "openledger_eth_rpc_filled_block",
                    "Lowest block filled in behind by the Ethereum index",
                )?,
                registry,
            )?,
            reorganised: register(
                Counter::new(
                    "openledger_eth_rpc_reorganised_blocks",
                    "Blocks that left the best chain and the Ethereum index",
                )?,
                registry,
            )?,
            calls: register(
                CounterVec::new(
                    Opts::new(
                        "openledger_eth_rpc_calls",
                        "Calls to the Ethereum JSON-RPC by outcome",
                    ),
                    &["outcome"],
                )?,
                registry,
            )?,
        })
    }
}
