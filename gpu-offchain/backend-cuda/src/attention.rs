//! Attention: rows over pages or consecutive keys, tiles for long prompts in fast mode, gradients.

use openledger_engine::backend::{Heads, PagedSegment, Segment};

use crate::buf::Buf;
use crate::call::Arg;
use crate::device::{Device, Mode};
use crate::error::{Error, Result};
use crate::ops::{int, long};

// As in kernels/attention.cu and kernels/flash.cu.
const CHUNK: usize = 256;
const WIDEST: usize = 256;
const SIDE: usize = 32;
// Rows of a sequence from which tiles are used, in fast mode.
const MANY: usize = 16;
// The most memory that chunks of rows may take at once.
const PART_BYTES: usize = 256 << 20;

/// Shared memory of the gradients' kernels: four tiles.
pub(crate) const fn tiles_shared(dim: usize) -> usize {
    4 * SIDE * (dim + 4) * 4
}

/// Rows of one sequence and where its keys lie: in the batch's table of pages from `kv_start` on, or in rows of the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// First query row.
    pub q_start: usize,
    /// Number of query rows.
    pub q_len: usize,
    /// First key row, or place of the first page's number.
    pub kv_start: usize,
    /// Number of keys, those of the query rows included.
    pub kv_len: usize,
}

impl From<&Segment> for Place {
    fn from(s: &Segment) -> Self {
        Place {
            q_start: s.q_start,
            q_len: s.q_len,
            kv_start: s.kv_start,
            kv_len: s.kv_len,
        }
    }
}

impl From<&PagedSegment> for Place {
    fn from(s: &PagedSegment) -> Self {
        Place {
            q_start: s.q_start,
            q_len: s.q_len,
            kv_start: s.table_start,
            kv_len: s.kv_len,
        }
    }
}

/// The numbers of pages of `tokens` tokens each; 0 tokens for keys without pages.
#[derive(Clone, Copy)]
pub(crate) struct Pages<'a> {
    pub(crate) tokens: usize,
    pub(crate) table: &'a [u32],
}

/// The width of head that a kernel with tiles is compiled for.
fn tile_width(dim: usize) -> Option<usize> {
    [32, 64, 128].into_iter().find(|width| dim <= *width)
}

fn check(what: &'static str, heads: Heads, widest: usize) -> Result<()> {
    if heads.dim == 0 || !heads.dim.is_multiple_of(4) || heads.dim > widest {
        let dim = heads.dim;
        return Error::shape(
            what,
            format!("heads of {dim} elements; multiples of 4 up to {widest} work"),
        );
    }
    if heads.kv == 0 || !heads.q.is_multiple_of(heads.kv) {
        return Error::shape(
            what,
            format!("{} query heads for {} key heads", heads.q, heads.kv),
        );
    }
    Ok(())
}

fn scale(heads: Heads) -> Arg {
    Arg::Float(1.0 / (heads.dim as f32).sqrt())
}

impl Device {
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn attention(
        &self,
        heads: Heads,
        pages: Pages<'_>,
        places: &[Place],
        q: &Buf,
        k: &Buf,
        v: &Buf,
        out: &mut Buf,
        lse: &mut Buf,
    ) -> Result<()> {
        let what = "attention";
        check(what, heads, WIDEST)?;
        let rows = places.iter().map(|p| p.q_start + p.q_len).max().unwrap_or(0);
        let width = heads.kv * heads.dim;
        let tokens = k.len.min(v.len) / width;
        for p in places {
            let end = if pages.tokens == 0 {
                p.kv_start + p.kv_len <= tokens
            } else {
                let used = pages
                    .table
                    .get(p.kv_start..p.kv_start + p.kv_len.div_ceil(pages.tokens));
                used.is_some_and(|used| {
                    used.iter()
                        .all(|page| (*page as usize + 1) * pages.tokens <= tokens)
                })
            };
            if !end || p.q_len > p.kv_len {
                return Error::shape(what, format!("{p:?} in a cache of {tokens} tokens"));
            }
        }
        let buffers = [
            self.at(q.floats(what, rows * heads.q * heads.dim)?),
            self.at(k.floats(what, 0)?),
            self.at(v.floats(what, 0)?),
            self.at(out.floats_mut(what, rows * heads.q * heads.dim)?),
            self.at(lse.floats_mut(what, rows * heads.q)?),
        ];
        let table = self.table("pages", pages.table)?;
        let tile = tile_width(heads.dim).filter(|_| self.options.mode == Mode::Fast);
        let (many, few): (Vec<Place>, Vec<Place>) = places
            .iter()
            .filter(|p| p.q_len > 0)
            .partition(|p| tile.is_some() && p.q_len >= MANY);
        if let Some(width) = tile {
            let tiles = tiles(&many);
            let tiles_at = self.table("tiles", &tiles)?;
            let name = ["flash_32", "flash_64", "flash_128"][width.ilog2() as usize - 5];
            let mut args = vec![tiles_at.arg(), table.arg()];
            args.extend([
                int(pages.tokens)?,
                int(heads.q)?,
                int(heads.kv)?,
                int(heads.dim)?,
                scale(heads),
            ]);
            args.extend(buffers);
            self.launch(name, (tiles.len(), heads.q, 1), 128, 0, &args)?;
        }
        let rows: Vec<[i32; 3]> = few
            .iter()
            .flat_map(|p| {
                let before = p.kv_len - p.q_len;
                (0..p.q_len)
                    .map(move |i| [(p.q_start + i) as i32, p.kv_start as i32, (before + i + 1) as i32])
            })
            .collect();
        let chunks = rows
            .iter()
            .map(|row| (row[2] as usize).div_ceil(CHUNK))
            .max()
            .unwrap_or(1);
        let each = heads.q * chunks * (heads.dim + 4) * 4;
        let group = heads.q / heads.kv;
        let (name, g) = match group {
            1 => ("attend_1", 1),
            2 => ("attend_2", 2),
            3 | 4 => ("attend_4", 4),
            _ => ("attend_8", 8),
        };
        for rows in rows.chunks((PART_BYTES / each).max(1)) {
            let rows_at = self.table("rows", rows)?;
            let part = self.alloc::<f32>(if chunks > 1 { rows.len() * each / 4 } else { 1 })?;
            let mut args = vec![rows_at.arg(), table.arg()];
            args.extend([
                int(pages.tokens)?,
                int(heads.q)?,
                int(heads.kv)?,
                int(heads.dim)?,
                scale(heads),
            ]);
            args.extend(buffers);
            args.push(self.at(&part));
            let grid = (rows.len(), heads.kv * group.div_ceil(g), chunks);
            self.launch(name, grid, 128, 0, &args)?;
            if chunks > 1 {
                let args = [
                    rows_at.arg(),
                    int(heads.q)?,
                    int(heads.dim)?,
                    int(chunks)?,
                    self.at(&part),
                    buffers[3],
                    buffers[4],
                ];
                self.launch("attend_join", (rows.len(), heads.q, 1), 128, 0, &args)?;
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn attention_backward(
        &self,
        heads: Heads,
        segments: &[Segment],
        q: &Buf,
        k: &Buf,
        v: &Buf,
        out: &Buf,
        lse: &Buf,
        dout: &Buf,
        dq: &mut Buf,
        dk: &mut Buf,
        dv: &mut Buf,
    ) -> Result<()> {
        let what = "attention_backward";
        let Some(width) = tile_width(heads.dim) else {
            return Error::shape(what, format!("heads of {} elements; up to 128 work", heads.dim));
        };
        check(what, heads, width)?;
        let places: Vec<Place> = segments.iter().filter(|s| s.q_len > 0).map(Place::from).collect();
        let rows = places.iter().map(|p| p.q_start + p.q_len).max().unwrap_or(0);
        let keys = places.iter().map(|p| p.kv_start + p.kv_len).max().unwrap_or(0);
        let (wide, narrow) = (rows * heads.q * heads.dim, keys * heads.kv * heads.dim);
        let mean = self.alloc::<f32>(rows * heads.q)?;
        let dout = self.at(dout.floats(what, wide)?);
        let args = [
            dout,
            self.at(out.floats(what, wide)?),
            long(rows * heads.q),
            int(heads.dim)?,
            self.at(&mean),
        ];
        self.launch("flash_mean", ((rows * heads.q).div_ceil(8), 1, 1), 256, 0, &args)?;
        let shape = [int(heads.q)?, int(heads.kv)?, int(heads.dim)?, scale(heads)];
        let saved = [
            self.at(q.floats(what, wide)?),
            self.at(k.floats(what, narrow)?),
            self.at(v.floats(what, narrow)?),
            self.at(lse.floats(what, rows * heads.q)?),
            self.at(&mean),
            dout,
        ];
        // What no sequence covers is zero.
        for grad in [&mut *dq, &mut *dk, &mut *dv] {
            self.clear(grad.floats_mut(what, 0)?)?;
        }
        let at = width.ilog2() as usize - 5;
        let tiles = tiles(&places);
        let tiles_at = self.table("tiles", &tiles)?;
        let mut args = vec![tiles_at.arg()];
        args.extend(shape);
        args.extend(saved);
        args.push(self.at(dq.floats_mut(what, wide)?));
        let name = ["flash_queries_32", "flash_queries_64", "flash_queries_128"][at];
        self.launch(name, (tiles.len(), heads.q, 1), 128, tiles_shared(width), &args)?;
        let parts: Vec<[i32; 6]> = places
            .iter()
            .flat_map(|p| {
                (0..p.kv_len).step_by(SIDE).map(move |key| {
                    [
                        key,
                        SIDE.min(p.kv_len - key),
                        p.q_start,
                        p.q_len,
                        p.kv_start,
                        p.kv_len,
                    ]
                    .map(|x| x as i32)
                })
            })
            .collect();
        let parts_at = self.table("parts", &parts)?;
        let mut args = vec![parts_at.arg()];
        args.extend(shape);
        args.extend(saved);
        args.extend([
            self.at(dk.floats_mut(what, narrow)?),
            self.at(dv.floats_mut(what, narrow)?),
        ]);
        let name = ["flash_keys_32", "flash_keys_64", "flash_keys_128"][at];
        self.launch(name, (parts.len(), heads.kv, 1), 128, tiles_shared(width), &args)
    }
}

/// Tiles of query rows: row, rows, first key, keys the first row sees.
fn tiles(places: &[Place]) -> Vec<[i32; 4]> {
    places
        .iter()
        .flat_map(|p| {
            let before = p.kv_len - p.q_len;
            (0..p.q_len).step_by(SIDE).map(move |i| {
                [p.q_start + i, SIDE.min(p.q_len - i), p.kv_start, before + i + 1].map(|x| x as i32)
            })
        })
        .collect()
}
