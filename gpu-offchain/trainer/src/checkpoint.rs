//! The state of a run on disk: everything the steps to come depend on, written whole or not at all.
//!
//! A safetensors file: the adapter's parameters `p.N`, the optimiser's moments `m.N` and `v.N` and, where training may end early, the best
//! parameters `best.N`, all f32; `curve` and `numbers` hold f64 and counts as their bits. Its metadata name the format and the run.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use openledger_attribution::hash::{keccak, Hash};
use openledger_engine::backend::Backend;
use openledger_engine::{DeviceAdapter, Net, Real};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::config::Progress;
use crate::error::{Error, Result};
use crate::grads::{lora_params, Optimizer};

const FORMAT: &str = "openledger-training-1";

/// A run after a step.
pub(crate) struct State {
    pub(crate) step: usize,
    pub(crate) curve: Vec<Progress>,
    pub(crate) loss_before: f64,
    pub(crate) heldout_before: Option<f64>,
    pub(crate) best_loss: f64,
    pub(crate) best_step: usize,
    /// Looks since the best.
    pub(crate) worse: usize,
    /// Whether training ended early.
    pub(crate) ended: bool,
    pub(crate) best: Vec<Vec<f32>>,
    pub(crate) params: Vec<Vec<f32>>,
    pub(crate) m: Vec<Vec<f32>>,
    pub(crate) v: Vec<Vec<f32>>,
}

impl Default for State {
    fn default() -> Self {
        State {
            step: 0,
            curve: Vec::new(),
            loss_before: 0.0,
            heldout_before: None,
            best_loss: f64::INFINITY,
            best_step: 0,
            worse: 0,
            ended: false,
            best: Vec::new(),
            params: Vec::new(),
            m: Vec::new(),
            v: Vec::new(),
        }
    }
}

fn host<B: Backend>(net: &Net<B>, buf: &B::Buf) -> Vec<f32> {
    net.backend.download(buf).into_iter().map(Real::to_f32).collect()
}

pub(crate) fn upload<B: Backend>(net: &Net<B>, values: &[f32]) -> B::Buf {
    let wide: Vec<B::Elem> = values.iter().map(|&v| B::Elem::from_f32(v)).collect();
    net.backend.upload(&wide)
}

/// The adapter's parameters on the host.
pub(crate) fn params_of<B: Backend>(net: &Net<B>, adapter: &mut DeviceAdapter<B::Buf>) -> Vec<Vec<f32>> {
    lora_params(adapter)
        .into_iter()
        .map(|(p, _)| host(net, p))
        .collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

impl State {
    /// Takes parameters and moments from the device.
    pub(crate) fn take<B: Backend>(
        &mut self,
        net: &Net<B>,
        adapter: &mut DeviceAdapter<B::Buf>,
        optimizer: &Optimizer<B::Buf>,
    ) {
        self.params = params_of(net, adapter);
        self.m = optimizer.m.iter().map(|b| host(net, b)).collect();
        self.v = optimizer.v.iter().map(|b| host(net, b)).collect();
    }

    /// Puts them there.
    pub(crate) fn put<B: Backend>(
        &self,
        net: &Net<B>,
        adapter: &mut DeviceAdapter<B::Buf>,
        optimizer: &mut Optimizer<B::Buf>,
    ) -> Result<()> {
        let params = lora_params(adapter);
        let n = params.len();
        if [self.params.len(), self.m.len(), self.v.len()] != [n; 3] {
            return Err(Error::Data(format!(
                "the checkpoint does not hold {n} parameters"
            )));
        }
        for ((param, _), values) in params.into_iter().zip(&self.params) {
            *param = upload(net, values);
        }
        optimizer.m = self.m.iter().map(|values| upload(net, values)).collect();
        optimizer.v = self.v.iter().map(|values| upload(net, values)).collect();
        Ok(())
    }

    /// Keccak of `OLS1`, the step, and parameters and moments in order, as taken last.
    pub(crate) fn hash(&self) -> Hash {
        let mut all = b"OLS1".to_vec();
        all.extend((self.step as u64).to_le_bytes());
        for values in self.params.iter().chain(&self.m).chain(&self.v) {
            all.extend(bytes(values));
        }
        keccak(&[&all])
    }

    /// Writes the state as taken last beside the file, to the disk, and then in its place.
    pub(crate) fn save(&self, path: &Path, identity: &Hash) -> Result<()> {
        let wrong = |reason: String| Error::Write {
            path: path.to_owned(),
            reason,
        };
        let curve: Vec<u64> = self
            .curve
            .iter()
            .flat_map(|p| {
                [
                    p.step as u64,
                    p.of as u64,
                    p.loss.to_bits(),
                    p.lr.to_bits(),
                    p.tokens as u64,
                ]
            })
            .collect();
        let numbers = [
            self.step as u64,
            self.loss_before.to_bits(),
            u64::from(self.heldout_before.is_some()),
            self.heldout_before.unwrap_or(0.0).to_bits(),
            self.best_loss.to_bits(),
            self.best_step as u64,
            self.worse as u64,
            u64::from(self.ended),
        ];
        let mut tensors = vec![
            ("curve".to_owned(), Dtype::U64, curve.len(), words(&curve)),
            ("numbers".to_owned(), Dtype::U64, numbers.len(), words(&numbers)),
        ];
        for (name, list) in [
            ("p", &self.params),
            ("m", &self.m),
            ("v", &self.v),
            ("best", &self.best),
        ] {
            for (i, values) in list.iter().enumerate() {
                tensors.push((format!("{name}.{i}"), Dtype::F32, values.len(), bytes(values)));
            }
        }
        let views = tensors
            .iter()
            .map(|(name, dtype, len, data)| {
                let view = TensorView::new(*dtype, vec![*len], data).map_err(|e| wrong(e.to_string()))?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<Vec<_>>>()?;
        let about = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("run".to_owned(), hex(identity)),
        ]);
        let file = safetensors::serialize(views, Some(about)).map_err(|e| wrong(e.to_string()))?;
        let beside = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut handle = File::create(&beside)?;
            handle.write_all(&file)?;
            handle.sync_all()?;
            std::fs::rename(&beside, path)?;
            // The new name itself must last as well.
            let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        };
        write().map_err(|e| wrong(e.to_string()))
    }

    /// The state in a file, if there is one; another run's is refused.
    pub(crate) fn load(path: &Path, identity: &Hash) -> Result<Option<Self>> {
        let wrong = |reason: String| Error::Checkpoint {
            path: path.to_owned(),
            reason,
        };
        let data = match std::fs::read(path) {
            Ok(data) => data,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(wrong(e.to_string())),
        };
        let (_, about) = SafeTensors::read_metadata(&data).map_err(|e| wrong(e.to_string()))?;
        let about = about.metadata().clone().unwrap_or_default();
        let get = |key: &str| about.get(key).map_or("", String::as_str);
        if get("format") != FORMAT {
            return Err(wrong(format!(
                "format is {:?}, {FORMAT:?} is understood",
                get("format")
            )));
        }
        if get("run") != hex(identity) {
            return Err(wrong(
                "it is of a run with another base, recipe, start or data, or on another kind of machine"
                    .into(),
            ));
        }
        let file = SafeTensors::deserialize(&data).map_err(|e| wrong(e.to_string()))?;
        let numbers_of = |name: &str| -> Result<Vec<u64>> {
            let view = file.tensor(name).map_err(|e| wrong(e.to_string()))?;
            let chunk = |c: &[u8]| c.iter().rev().fold(0_u64, |n, b| n << 8 | u64::from(*b));
            Ok(view.data().chunks(8).map(chunk).collect())
        };
        let list = |name: &str| -> Vec<Vec<f32>> {
            (0..)
                .map_while(|i| file.tensor(&format!("{name}.{i}")).ok())
                .map(|view| {
                    let one = |c: &[u8]| f32::from_le_bytes([c[0], c[1], c[2], c[3]]);
                    view.data().chunks_exact(4).map(one).collect()
                })
                .collect()
        };
        let numbers = numbers_of("numbers")?;
        let &[step, loss_before, held, heldout_before, best_loss, best_step, worse, ended] = &numbers[..]
        else {
            return Err(wrong(format!("{} numbers, 8 are needed", numbers.len())));
        };
        let curve = numbers_of("curve")?
            .chunks_exact(5)
            .map(|c| Progress {
                step: c[0] as usize,
                of: c[1] as usize,
                loss: f64::from_bits(c[2]),
                lr: f64::from_bits(c[3]),
                tokens: c[4] as usize,
            })
            .collect();
        Ok(Some(State {
            step: step as usize,
            curve,
            loss_before: f64::from_bits(loss_before),
            heldout_before: (held == 1).then(|| f64::from_bits(heldout_before)),
            best_loss: f64::from_bits(best_loss),
            best_step: best_step as usize,
            worse: worse as usize,
            ended: ended == 1,
            best: list("best"),
            params: list("p"),
            m: list("m"),
            v: list("v"),
        }))
    }
}

fn hex(hash: &Hash) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}
