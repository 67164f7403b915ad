//! Where models are computed: on this machine's processor, or on a GPU where there is one.

use crate::error::{Error, Result};
use clap::{Args, ValueEnum};
use openledger_attribution::voucher;
use openledger_backend_cpu::Cpu;
use openledger_backend_cuda::{Cuda, Mode, Scorer};
use openledger_engine::{Budgets, Either, Engine, Fault, Net};
use openledger_model::{BaseModel, ModelConfig};
use openledger_protocol::compute;
use std::sync::Arc;

/// What the chain calls processors: all compute the same bits.
const PORTABLE: &str = "portable-8";

/// A processor or a GPU.
pub type Device = Either<Cpu<f32>, Cuda>;

/// Which of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// A GPU that CUDA can use if there is one, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// A GPU; without one the program ends.
    Cuda,
}

/// In which order sums run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// In a fixed one: an answer has the same bits whatever else is computed.
    #[default]
    Verifiable,
    /// In whatever is fastest: an answer's last bits may change with what else is computed.
    Fast,
}

impl From<Order> for voucher::Mode {
    fn from(order: Order) -> Self {
        match order {
            Order::Verifiable => Self::Verifiable,
            Order::Fast => Self::Fast,
        }
    }
}

/// A mode's name in the public API.
pub(crate) fn named(mode: voucher::Mode) -> &'static str {
    match mode {
        voucher::Mode::Verifiable => "verifiable",
        voucher::Mode::Fast => "fast",
    }
}

/// Which device it is.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct Place {
    /// Where models are computed.
    #[arg(long, value_enum, default_value_t)]
    pub backend: Backend,
    /// Number of the GPU.
    #[arg(long, default_value_t = 0)]
    pub device: usize,
    /// Start a GPU's steps one operation after another, not as CUDA graphs
    #[arg(long)]
    pub no_graphs: bool,
}

/// What the person who runs the program decides about it.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// Which it is.
    #[command(flatten)]
    pub place: Place,
    /// Most bytes of the device's memory for weights, adapters, keys and values [default: nine tenths of a GPU's free memory; of the
    /// machine's, what sixteen long answers and 2 GiB of adapters need].
    #[arg(long, value_name = "BYTES")]
    pub device_memory: Option<u64>,
    /// In which order sums run. Only in a fixed one does a worker take trainings and answers to recompute to the bit.
    #[arg(long, value_enum, default_value_t)]
    pub mode: Order,
}

impl Place {
    /// What the chain knows this machine as: workers of one kind compute the same bits.
    pub fn machine(&self) -> Result<(compute::Backend, String)> {
        Ok(match self.open(Order::Verifiable)? {
            Device::Left(_) => (compute::Backend::Cpu, PORTABLE.into()),
            Device::Right(cuda) => (compute::Backend::Cuda, cuda.machine()),
        })
    }

    /// Opens the device. Where a GPU was only hoped for, says in one line why it is the processor.
    pub fn open(&self, mode: Order) -> Result<Device> {
        if self.backend != Backend::Cpu {
            let options = openledger_backend_cuda::Options {
                ordinal: self.device,
                mode: match mode {
                    Order::Verifiable => Mode::Verifiable,
                    Order::Fast => Mode::Fast,
                },
                graphs: !self.no_graphs,
                ..Default::default()
            };
            match Cuda::open(options) {
                Ok(cuda) => {
                    let about = cuda.about();
                    tracing::info!(device = about.name, arch = about.arch, "computing on a GPU");
                    return Ok(Device::Right(cuda));
                }
                Err(error) if self.backend == Backend::Cuda => {
                    return Err(Error::Setup(format!("--backend cuda: {error}")));
                }
                Err(error) => tracing::info!("computing on the CPU: {error}"),
            }
        }
        Ok(Device::Left(match mode {
            Order::Verifiable => Cpu::new(),
            Order::Fast => Cpu::fast(),
        }))
    }
}

impl Options {
    /// Loads a model onto the device, with an engine that keeps within its memory.
    pub fn load(&self, model: &BaseModel) -> Result<Engine<Device>> {
        use openledger_engine::Backend as _;
        let device = self.place.open(self.mode)?;
        let memory = match (&device, self.device_memory) {
            (_, Some(bytes)) => Some(bytes),
            (Device::Right(cuda), None) => Some(cuda.about().memory.1 as u64 / 10 * 9),
            (Device::Left(_), None) => None,
        };
        let room = Room::plan(memory, &model.config)?;
        let engine = Engine::with_capacity(Net::new(device, model)?, room.tokens);
        engine.net().check()?;
        engine.set_budgets(Budgets {
            device: room.adapters,
            ..Budgets::default()
        });
        engine.net().backend.set_aside(room.adapters);
        Ok(engine)
    }
}

/// How a device's memory is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    /// Tokens whose keys and values are kept.
    tokens: usize,
    /// Bytes of adapters.
    adapters: usize,
}

impl Room {
    /// Weights and a step's own buffers first; of the rest a quarter for adapters, and keys and values for as many tokens as are of use.
    fn plan(memory: Option<u64>, config: &ModelConfig) -> Result<Self> {
        // Rows of a step: the scheduler's prompt tokens and a generous number of answers.
        const ROWS: u64 = 512;
        const NUMBER: u64 = 4;
        let longest = config.max_position_embeddings;
        let useful = (16 * longest).min(65_536).max(longest.min(8_192));
        let Some(memory) = memory else {
            return Ok(Room {
                tokens: useful,
                adapters: Budgets::default().device,
            });
        };
        let wide = |n: usize| n as u64;
        let weights = NUMBER * wide(config.parameters());
        let row = 4 * wide(config.hidden_size)
            + 2 * wide(config.q_dim())
            + 2 * wide(config.kv_dim())
            + 3 * wide(config.intermediate_size)
            + wide(config.vocab_size);
        let scratch = NUMBER * ROWS * row;
        let token = NUMBER * 2 * wide(config.num_layers) * wide(config.kv_dim());
        let least = weights + scratch + (token * wide(longest)).div_ceil(3) * 4;
        if memory < least {
            return Err(Error::Setup(format!(
                "{memory} bytes of device memory do not hold this model: its weights take {weights}, a step {scratch}, and one answer of \
                 full length {}; give --device-memory at least {least}, or serve a smaller model",
                token * wide(longest)
            )));
        }
        let rest = memory - weights - scratch;
        let tokens = (rest / 4 * 3 / token).min(wide(useful));
        Ok(Room {
            tokens: tokens as usize,
            adapters: usize::try_from(rest - tokens * token).unwrap_or(usize::MAX),
        })
    }
}

/// What computes scores on a GPU; on the processor [`cpu_backend`](openledger_influence::cpu_backend) does.
pub fn scorer(device: &Device) -> Option<Arc<Scorer>> {
    match device {
        Device::Left(_) => None,
        Device::Right(cuda) => Some(Arc::new(Scorer::new(cuda))),
    }
}

/// Resolves with the reason once the device is lost.
pub async fn lost(net: Arc<Net<Device>>) -> Fault {
    use openledger_engine::Backend as _;
    loop {
        if let Some(fault) = net.backend.lost() {
            return fault;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config() -> ModelConfig {
        let config = json!({
            "model_type": "llama", "vocab_size": 32_000, "hidden_size": 768, "intermediate_size": 2_048,
            "num_hidden_layers": 12, "num_attention_heads": 12, "num_key_value_heads": 12,
            "max_position_embeddings": 1_024, "tie_word_embeddings": false
        });
        ModelConfig::from_json(&config).unwrap()
    }

    #[test]
    fn memory_that_is_not_given_should_be_planned_as_before() {
        let room = Room::plan(None, &config()).unwrap();
        assert_eq!(room.tokens, 16 * 1_024);
        assert_eq!(room.adapters, Budgets::default().device);
    }

    #[test]
    fn weights_cache_and_adapters_should_fit_the_memory_given() {
        let config = config();
        let (weights, token) = (4 * config.parameters() as u64, 2 * 12 * 768 * 4_u64);
        for memory in [1_u64 << 30, 3 << 30, 80 << 30] {
            let room = Room::plan(Some(memory), &config).unwrap();
            let taken = weights + room.tokens as u64 * token + room.adapters as u64;
            assert!(taken < memory, "{room:?} takes {taken} of {memory}");
            assert!(taken > memory / 10 * 8, "{room:?} leaves much of {memory}");
            assert!((1_024..=16 * 1_024).contains(&room.tokens), "{room:?}");
        }
    }

    #[test]
    fn too_little_memory_should_be_refused_with_what_is_needed() {
        let error = Room::plan(Some(100 << 20), &config()).unwrap_err().to_string();
        let least: u64 = error
            .split("at least ")
            .nth(1)
            .and_then(|rest| rest.split(',').next())
            .and_then(|number| number.parse().ok())
            .unwrap();
        assert!(Room::plan(Some(least - 1), &config()).is_err());
        assert!(Room::plan(Some(least), &config()).unwrap().tokens >= 1_024);
    }

    #[test]
    fn a_gpu_that_is_not_there_should_be_one_line_and_the_cpu_or_an_error() {
        let wanted = |backend| Place {
            backend,
            device: 1_000,
            ..Place::default()
        };
        assert!(matches!(
            wanted(Backend::Auto).open(Order::Verifiable),
            Ok(Device::Left(_))
        ));
        assert!(matches!(
            wanted(Backend::Cpu).open(Order::Verifiable),
            Ok(Device::Left(_))
        ));
        let Err(error) = wanted(Backend::Cuda).open(Order::Verifiable) else {
            panic!("there is a GPU of number 1,000");
        };
        let line = error.to_string();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(line.contains("--backend cuda") && line.contains("CUDA"), "{line}");
    }

    #[test]
    fn fast_and_verifiable_should_have_names_of_their_own() {
        use openledger_engine::Backend as _;
        let arch = |mode| {
            let place = Place {
                backend: Backend::Cpu,
                ..Place::default()
            };
            assert_eq!(
                place.machine().unwrap(),
                (compute::Backend::Cpu, "portable-8".into())
            );
            place.open(mode).unwrap().arch()
        };
        assert_eq!(arch(Order::Verifiable), "cpu-lanes8-f32");
        assert_eq!(arch(Order::Fast), "cpu-fast-f32");
    }
}
