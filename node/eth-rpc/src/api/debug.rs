//! Traces: transactions executed again, and calls simulated, with a record of what they did.

use super::{Eth, Inner};
use crate::{error::CallError, types::BlockRef};
use jsonrpsee::{
    core::{async_trait, RpcResult},
    proc_macros::rpc,
};
use pallet_revive::evm::H256;
use pallet_revive_types::runtime_api::{GenericTransactionV1, StateOverrideSetV1, TraceV1, TracerTypeV1};
use serde_json::{json, Value};

#[rpc(server)]
pub(crate) trait DebugApi {
    /// Traces a mined transaction.
    #[method(name = "debug_traceTransaction")]
    async fn trace_transaction(&self, hash: H256, options: Option<Value>) -> RpcResult<TraceV1>;

    /// Traces every transaction of a block.
    #[method(name = "debug_traceBlockByNumber")]
    async fn trace_block_by_number(&self, at: BlockRef, options: Option<Value>) -> RpcResult<Vec<Value>>;

    /// Traces every transaction of a block.
    #[method(name = "debug_traceBlockByHash")]
    async fn trace_block_by_hash(&self, hash: H256, options: Option<Value>) -> RpcResult<Vec<Value>>;

    /// Traces a simulated call.
    #[method(name = "debug_traceCall")]
    async fn trace_call(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        options: Option<Value>,
    ) -> RpcResult<TraceV1>;
}

#[async_trait]
impl DebugApiServer for Eth {
    async fn trace_transaction(&self, hash: H256, options: Option<Value>) -> RpcResult<TraceV1> {
        self.run(move |eth| {
            let tracer = tracer(options.as_ref())?;
            let mined = eth
                .index
                .transaction(hash)?
                .ok_or_else(|| CallError::server("transaction not found"))?;
            eth.can_execute(mined.block.number, mined.block.hash)?;
            eth.chain
                .trace_transaction(mined.block.hash, mined.transaction.extrinsic, tracer)?
                .ok_or_else(no_trace)
        })
        .await
    }

    async fn trace_block_by_number(&self, at: BlockRef, options: Option<Value>) -> RpcResult<Vec<Value>> {
        self.run(move |eth| {
            let tracer = tracer(options.as_ref())?;
            let block = eth.find_block(at)?.ok_or_else(CallError::unknown_block)?;
            if block.transactions.is_empty() {
                return Ok(vec![]);
            }
            eth.can_execute(block.number, block.hash)?;
            let mut traces = eth.chain.trace_block(block.hash, tracer)?;
            Ok(block
                .transactions
                .iter()
                .map(|transaction| {
                    let trace = traces
                        .iter()
                        .position(|(extrinsic, _)| *extrinsic == transaction.extrinsic);
                    match trace.map(|at| traces.swap_remove(at).1) {
                        Some(trace) => json!({ "txHash": transaction.hash, "result": trace }),
                        None => json!({ "txHash": transaction.hash, "error": NO_TRACE }),
                    }
                })
                .collect())
        })
        .await
    }

    async fn trace_block_by_hash(&self, hash: H256, options: Option<Value>) -> RpcResult<Vec<Value>> {
        self.trace_block_by_number(BlockRef::Hash(hash), options).await
    }

    async fn trace_call(
        &self,
        call: GenericTransactionV1,
        at: Option<BlockRef>,
        options: Option<Value>,
    ) -> RpcResult<TraceV1> {
        self.run(move |eth| {
            let tracer = tracer(options.as_ref())?;
            let overrides = options
                .as_ref()
                .and_then(|options| options.get("stateOverrides"))
                .cloned();
            let overrides: Option<StateOverrideSetV1> = overrides
                .map(serde_json::from_value)
                .transpose()
                .map_err(|error| CallError::params(format!("stateOverrides cannot be read: {error}")))?;
            Ok(eth
                .chain
                .trace_call(eth.with_state(at)?.hash, call, tracer, overrides)??)
        })
        .await
    }
}

impl Inner {
    /// Whether the block can be executed again, which needs the state before it.
    fn can_execute(&self, number: u32, hash: H256) -> Result<(), CallError> {
        let (_, parent) = self.chain.parent(hash)?.ok_or_else(CallError::unknown_block)?;
        match number > 0 && self.chain.has_state(parent) {
            true => Ok(()),
            false => Err(CallError::pruned(number.saturating_sub(1))),
        }
    }
}

const NO_TRACE: &str =
    "no trace was recorded: opcode traces are off on this chain; set tracer to callTracer or prestateTracer";

fn no_trace() -> CallError {
    CallError::server(NO_TRACE)
}

/// The tracer that the options ask for, in geth's form: `tracer` and `tracerConfig`, or the opcode tracer's own options.
fn tracer(options: Option<&Value>) -> Result<TracerTypeV1, CallError> {
    let wrong =
        |error: serde_json::Error| CallError::params(format!("the tracer's options cannot be read: {error}"));
    let Some(options) = options.filter(|options| !options.is_null()) else {
        return Ok(TracerTypeV1::default());
    };
    match options.get("tracer") {
        None | Some(Value::Null) => {
            let options = serde_json::from_value(options.clone()).map_err(wrong)?;
            Ok(TracerTypeV1::ExecutionTracer(Some(options)))
        }
        Some(Value::String(name)) if ["callTracer", "prestateTracer"].contains(&&name[..]) => {
            let mut chosen = json!({ "tracer": name });
            if let Some(config) = options.get("tracerConfig").filter(|config| !config.is_null()) {
                chosen["tracerConfig"] = config.clone();
            }
            serde_json::from_value(chosen).map_err(wrong)
        }
        Some(other) => Err(CallError::params(format!(
            "tracer {other} is not known: there are callTracer and prestateTracer"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pallet_revive_types::runtime_api::{
        CallTracerConfigV1, ExecutionTracerConfigV1, PrestateTracerConfigV1,
    };

    fn parse(options: Value) -> Result<TracerTypeV1, CallError> {
        tracer(Some(&options))
    }

    #[test]
    fn tracer_should_be_read_as_geth_writes_it() {
        assert_eq!(tracer(None).unwrap(), TracerTypeV1::default());
        assert_eq!(
            parse(json!({ "tracer": "callTracer" })).unwrap(),
            TracerTypeV1::CallTracer(None)
        );
        assert_eq!(
            parse(json!({ "tracer": "callTracer", "timeout": "10s", "tracerConfig": { "withLogs": false } }))
                .unwrap(),
            TracerTypeV1::CallTracer(Some(CallTracerConfigV1 {
                with_logs: false,
                only_top_call: false
            }))
        );
        assert_eq!(
            parse(json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } })).unwrap(),
            TracerTypeV1::PrestateTracer(Some(PrestateTracerConfigV1 {
                diff_mode: true,
                ..Default::default()
            }))
        );
        assert_eq!(
            parse(json!({ "tracer": null, "enableMemory": true })).unwrap(),
            TracerTypeV1::ExecutionTracer(Some(ExecutionTracerConfigV1 {
                enable_memory: true,
                ..Default::default()
            }))
        );
    }

    #[test]
    fn unknown_tracer_should_be_refused_by_name() {
        for wrong in [
            json!({ "tracer": "4byteTracer" }),
            json!({ "tracer": 5 }),
            json!({ "limit": "many" }),
        ] {
            let error = jsonrpsee::types::ErrorObjectOwned::from(parse(wrong).unwrap_err());
            assert_eq!(error.code(), -32602);
        }
        let error =
            jsonrpsee::types::ErrorObjectOwned::from(parse(json!({ "tracer": "4byteTracer" })).unwrap_err());
        assert!(error.message().contains("4byteTracer") && error.message().contains("callTracer"));
    }
}
