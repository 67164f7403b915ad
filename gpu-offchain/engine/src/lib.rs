//! The serving core: what a device must do ([`Backend`]), the forward pass over a key and value cache, unmerged adapters, sampling.
//!
//! Nothing here knows a device. An answer's tokens depend on base, adapter, prompt and parameters alone: not on what else is in the
//! batch, in which order requests came, or how many threads there are.

mod adapters;
pub mod backend;
mod either;
mod engine;
mod error;
mod forward;
mod net;
mod pager;
mod real;
pub mod sampler;
mod scheduler;
mod stop;

pub use adapters::{AdapterStats, Budgets};
pub use backend::{Backend, Fault, FaultKind};
pub use either::Either;
pub use engine::{Completion, Engine, Finish, Load, Model, Params, Request, Sampling, Sequence, Token, PAGE};
pub use error::{Error, Result};
pub use forward::{behind, forward, logits, Batch, KvCache};
pub use net::{DeviceAdapter, Layer, Net};
pub use real::Real;
pub use scheduler::{Answer, Ask, Event, Limits, Scheduler, SchedulerStats, Ticket};
