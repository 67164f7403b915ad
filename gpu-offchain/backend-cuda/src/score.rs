//! Exact scores on the device.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use openledger_influence::{Error as ScoreError, LaneMatrix, ScoreBackend};

use crate::call::Arg;
use crate::device::{lock, Device};
use crate::error::{Error, Result};
use crate::ops::long;
use crate::room::Held;
use crate::Cuda;

const NAME: &str = "cuda";
// Matrices that stay on the device, the latest used last.
const KEPT: usize = 4;

/// Scores on the device: matrices stay there as long as there is memory. The integers are the CPU's.
pub struct Scorer {
    device: Arc<Device>,
    kept: Mutex<Vec<(Kept, Arc<Held<i8>>)>>,
}

// What a matrix is known by: its id, and its length as a second look.
type Kept = ([u8; 32], usize);

impl Scorer {
    /// On the device of a backend.
    pub fn new(cuda: &Cuda) -> Self {
        Scorer {
            device: cuda.device().clone(),
            kept: Mutex::default(),
        }
    }

    fn matrix(&self, index: &LaneMatrix<'_>) -> Result<Arc<Held<i8>>> {
        let name: Kept = (index.id, index.lanes.len());
        let mut kept = lock(&self.kept);
        if let Some(at) = kept.iter().position(|(own, _)| *own == name) {
            let own = kept.remove(at);
            let lanes = own.1.clone();
            kept.push(own);
            return Ok(lanes);
        }
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        loop {
            match self.device.upload(index.lanes) {
                Ok(lanes) => {
                    let lanes = Arc::new(lanes);
                    kept.push((name, lanes.clone()));
                    return Ok(lanes);
                }
                Err(Error::Memory { .. }) if !kept.is_empty() => {
                    kept.remove(0);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn sums(&self, index: &LaneMatrix<'_>, rows: Range<usize>, query: &[i8]) -> Result<Vec<i32>> {
        let (width, device) = (index.row_lanes(), &self.device);
        let matrix = self.matrix(index)?;
        let mut parts: Vec<[i32; 2]> = Vec::with_capacity(index.blocks.len());
        let mut from = 0;
        for lanes in index.blocks {
            let part = (i32::try_from(from), i32::try_from(*lanes));
            let (Ok(at), Ok(lanes)) = part else {
                return Error::shape("scoring", format!("a row of {width} lanes is too long"));
            };
            parts.push([at, lanes]);
            from += lanes as usize;
        }
        let (parts_at, query_at) = (device.table("dots", &parts)?, device.upload(query)?);
        let count = rows.len() * parts.len();
        let out = device.alloc::<i32>(count)?;
        let first = device.address(&matrix) + (rows.start * width) as u64;
        let args = [
            Arg::Ptr(first),
            long(width),
            long(rows.len()),
            device.at(&query_at),
            parts_at.arg(),
            device.at(&out),
        ];
        let sixteens = index.blocks.iter().all(|lanes| lanes.is_multiple_of(16));
        let (name, each) = if sixteens { ("dots", 4) } else { ("dots_odd", 8) };
        device.launch(name, (rows.len().div_ceil(each), parts.len(), 1), 256, 0, &args)?;
        device.download(&out, count)
    }
}

impl ScoreBackend for Scorer {
    fn name(&self) -> &'static str {
        NAME
    }

    fn dots(
        &self,
        index: &LaneMatrix<'_>,
        rows: Range<usize>,
        query: &[i8],
        out: &mut [i32],
    ) -> openledger_influence::Result<()> {
        let fail = |what: String| ScoreError::Backend { backend: NAME, what };
        let width = index.row_lanes();
        let fits = rows.start <= rows.end
            && rows
                .end
                .checked_mul(width)
                .is_some_and(|end| end <= index.lanes.len())
            && query.len() == width
            && out.len() == rows.len() * index.blocks.len();
        if !fits {
            return Err(fail(format!(
                "rows {rows:?} of {} lanes with a query of {} and room for {} sums do not fit {} lanes a row",
                index.lanes.len(),
                query.len(),
                out.len(),
                width
            )));
        }
        if out.is_empty() {
            return Ok(());
        }
        let sums = self
            .sums(index, rows, query)
            .map_err(|error| fail(error.to_string()))?;
        out.copy_from_slice(&sums);
        Ok(())
    }
}
