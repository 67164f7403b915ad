//! One device: its streams, kernels, memory and the first fault of every thread.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::ThreadId;

use cudarc::cublas::{sys as blas_sys, CudaBlas};
use cudarc::driver::sys::{self, CUfunction_attribute_enum, CUresult};
use cudarc::driver::{
    result, CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DeviceRepr, DriverError,
    LaunchConfig, PinnedHostSlice, PushKernelArg,
};

use crate::call::{Arg, Call};
use crate::error::{Error, Result};
use crate::kernels;
use crate::room::{Held, Slabs};
use crate::steps::Steps;

/// How products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// cuBLAS and tiled attention: the fastest; bits may change with the batch.
    Fast,
    /// Own kernels in one order: the same bits for any batch size on one architecture.
    Verifiable,
}

/// Which device, and how it works.
#[derive(Debug, Clone)]
pub struct Options {
    /// The device's number.
    pub ordinal: usize,
    /// How products are computed.
    pub mode: Mode,
    /// Lets products of f32 in fast mode round their operands to TF32.
    pub tf32: bool,
    /// Starts steps of decoding as CUDA graphs.
    pub graphs: bool,
    /// Where compiled kernels are kept; `None` for the user's cache folder.
    pub cache: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            ordinal: 0,
            mode: Mode::Fast,
            tf32: false,
            graphs: true,
            cache: None,
        }
    }
}

/// A table on the device.
pub(crate) struct Table {
    at: u64,
    _kept: Option<Arc<Held<u8>>>,
}

impl Table {
    /// As a kernel's argument.
    pub(crate) fn arg(&self) -> Arg {
        Arg::Ptr(self.at)
    }
}

// Uploaded tables that are remembered: a step's row tables serve every layer, adapter tables every step.
const TABLES: usize = 4096;

pub(crate) struct Device {
    pub(crate) ctx: Arc<CudaContext>,
    pub(crate) stream: Arc<CudaStream>,
    pub(crate) options: Options,
    pub(crate) arch: String,
    pub(crate) compiler: String,
    /// With its memory.
    pub(crate) blas: Option<(CudaBlas, CudaSlice<u8>)>,
    functions: HashMap<&'static str, CudaFunction>,
    tables: Mutex<HashMap<Vec<u8>, Arc<Held<u8>>>>,
    faults: Mutex<Faults>,
    /// Copies what comes while others compute.
    side: Arc<CudaStream>,
    /// Page-locked memory that such copies go through, from the first of them on.
    staging: Mutex<Option<PinnedHostSlice<f32>>>,
    /// What lies in [`Device::upload_beside`]'s memory.
    slabs: Mutex<Slabs>,
    /// None if graphs are not wanted.
    pub(crate) steps: Option<Steps>,
}

/// Elements of [`Device::staging`].
const STAGING: usize = 2 << 20;
/// Bytes of cuBLAS's memory, as NVIDIA advises for an H100.
const BLAS_ROOM: usize = 32 << 20;

/// What failed: a refused operation is the affair of the thread that asked for it, a lost device is everybody's.
#[derive(Default)]
struct Faults {
    lost: Option<Error>,
    of: HashMap<ThreadId, Error>,
}

impl Faults {
    fn here(&self) -> Option<&Error> {
        let own = || self.of.get(&std::thread::current().id());
        self.lost.as_ref().or_else(own)
    }

    fn keep(&mut self, error: Error) {
        if error.is_final() {
            self.lost.get_or_insert(error);
        } else {
            self.of.entry(std::thread::current().id()).or_insert(error);
        }
    }
}

/// A mutex's content, also after a thread died holding it: what the mutexes here hold is whole at any moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Device {
    pub(crate) fn open(options: Options) -> Result<Self> {
        // SAFETY: looks for a library and calls nothing in it.
        if !unsafe { sys::is_culib_present() } {
            return Err(Error::Absent("libcuda"));
        }
        let compiler = kernels::compiler()?;
        let ordinal = options.ordinal;
        let unusable = |e: DriverError| Error::Device {
            ordinal,
            why: format!("{:?}", e.0),
        };
        let ctx = CudaContext::new(ordinal).map_err(unusable)?;
        // SAFETY: everything here runs on one stream, so that no event is needed to order it; copies beside it order themselves.
        unsafe { ctx.disable_event_tracking() };
        let stream = ctx.new_stream().map_err(unusable)?;
        let side = ctx.new_stream().map_err(unusable)?;
        let (major, minor) = ctx.compute_capability().map_err(unusable)?;
        let arch = format!("sm_{major}{minor}");
        if major < 8 {
            let why = format!("it is {arch}, sm_80 is the oldest that works");
            return Err(Error::Device { ordinal, why });
        }
        keep_freed_memory(&ctx);
        let cache = options.cache.clone().or_else(kernels::default_cache);
        let functions = kernels::load(&ctx, &arch, &compiler, cache.as_deref())?;
        // SAFETY: looks for a library and calls nothing in it.
        let has_blas = options.mode == Mode::Fast && unsafe { blas_sys::is_culib_present() };
        let blas = has_blas.then(|| start_blas(&stream)).transpose()?;
        let steps = if options.graphs {
            let captured = ctx.new_stream().map_err(unusable)?;
            let blas = has_blas.then(|| start_blas(&captured)).transpose()?;
            Some(Steps::new(captured, blas))
        } else {
            None
        };
        let device = Device {
            ctx,
            stream,
            options,
            arch,
            compiler,
            blas,
            functions,
            tables: Mutex::default(),
            faults: Mutex::default(),
            side,
            staging: Mutex::default(),
            slabs: Mutex::default(),
            steps,
        };
        // Kernels with tiles beyond what is given unasked.
        for (name, bytes) in crate::ops::LARGE_SHARED {
            let attribute = CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            let set = device.function(name)?.set_attribute(attribute, bytes as i32);
            set.map_err(|e| Error::driver(name, e))?;
        }
        Ok(device)
    }

    fn function(&self, name: &str) -> Result<&CudaFunction> {
        self.functions.get(name).ok_or_else(|| Error::Launch {
            what: name.to_owned(),
            why: "there is no such kernel".into(),
        })
    }

    /// Runs one operation unless one before it failed in this thread; keeps the first fault.
    pub(crate) fn run<T>(&self, failed: impl FnOnce() -> T, op: impl FnOnce() -> Result<T>) -> T {
        if !self.is_well() {
            return failed();
        }
        match op() {
            Ok(value) => value,
            Err(error) => {
                lock(&self.faults).keep(error);
                failed()
            }
        }
    }

    /// The first fault of this thread since it last asked. A lost device stays lost, for every thread.
    pub(crate) fn take_fault(&self) -> Option<Error> {
        self.run(|| (), || self.settle());
        // What still runs may fail too.
        let waited = self.stream.synchronize();
        let mut faults = lock(&self.faults);
        if let Err(error) = waited {
            faults.keep(Error::driver("waiting for the device", error));
        }
        let own = faults.of.remove(&std::thread::current().id());
        faults.lost.clone().or(own)
    }

    /// Why the device is lost, if anybody has met that.
    pub(crate) fn lost(&self) -> Option<Error> {
        lock(&self.faults).lost.clone()
    }

    /// Whether nothing of this thread failed since it last took a fault; waits for nothing.
    pub(crate) fn is_well(&self) -> bool {
        lock(&self.faults).here().is_none()
    }

    /// Memory with anything in it.
    pub(crate) fn alloc<T: DeviceRepr>(&self, len: usize) -> Result<Held<T>> {
        match self.lend(len.max(1))? {
            Some(lent) => Ok(lent),
            None => self.memory_of(len).map(Held::from),
        }
    }

    /// The same, the driver's.
    pub(crate) fn memory_of<T: DeviceRepr>(&self, len: usize) -> Result<CudaSlice<T>> {
        // SAFETY: every caller writes all of it, or clears it, before it is read.
        unsafe { self.stream.alloc(len.max(1)) }.map_err(|e| self.memory(e, len * size_of::<T>()))
    }

    fn memory(&self, error: DriverError, wanted: usize) -> Error {
        if error.0 != CUresult::CUDA_ERROR_OUT_OF_MEMORY {
            return Error::driver("allocating", error);
        }
        let (free, total) = self.ctx.mem_get_info().unwrap_or((0, 0));
        Error::Memory { wanted, free, total }
    }

    /// Host values on the device.
    pub(crate) fn upload<T: DeviceRepr>(&self, host: &[T]) -> Result<Held<T>> {
        let mut slice = self.alloc(host.len())?;
        if !host.is_empty() {
            // The copy is not noted, and memory that comes may be what something noted still reads.
            self.settle()?;
            let copied = self.stream.memcpy_htod(host, &mut *slice);
            copied.map_err(|e| Error::driver("copying to the device", e))?;
        }
        Ok(slice)
    }

    /// Sets memory aside for what [`Device::upload_beside`] brings; it is taken from the driver as it is needed.
    pub(crate) fn set_aside(&self, bytes: usize) {
        lock(&self.slabs).allow(bytes);
    }

    /// The same on a stream of its own, through page-locked memory: what is under way goes on meanwhile, only the caller waits.
    pub(crate) fn upload_beside(&self, hosts: &[&[f32]]) -> Result<Vec<Held<f32>>> {
        let failed = |e: DriverError| Error::driver("copying to the device beside others", e);
        let mut all = Vec::with_capacity(hosts.len());
        for host in hosts {
            let lent = lock(&self.slabs).lend(&self.stream, host.len(), |bytes| self.memory_of(bytes).ok());
            all.push(match lent {
                Some(lent) => lent,
                None => Held::from(self.memory_of(host.len())?),
            });
        }
        // Memory comes and goes in the order of the main stream: the copies wait for what still reads it, and what runs later finds them done.
        self.side.join(&self.stream).map_err(failed)?;
        let mut staging = lock(&self.staging);
        let pinned = match &mut *staging {
            Some(pinned) => pinned,
            // SAFETY: every element is written before it is read.
            none => none.insert(unsafe { self.ctx.alloc_pinned(STAGING) }.map_err(failed)?),
        };
        let copied = self.copy_beside(hosts, &mut all, pinned);
        // Also of copies that failed none may be under way when their memory goes back.
        let waited = self.side.synchronize();
        copied.and(waited).map_err(failed)?;
        Ok(all)
    }

    /// Copies through `pinned`, and waits only where it is full.
    fn copy_beside(
        &self,
        hosts: &[&[f32]],
        all: &mut [Held<f32>],
        pinned: &mut PinnedHostSlice<f32>,
    ) -> std::result::Result<(), DriverError> {
        let mut used = 0;
        for (host, slice) in hosts.iter().zip(all) {
            let mut done = 0;
            while done < host.len() {
                if used == STAGING {
                    self.side.synchronize()?;
                    used = 0;
                }
                let count = (STAGING - used).min(host.len() - done);
                let room = &mut pinned.as_mut_slice()?[used..used + count];
                room.copy_from_slice(&host[done..done + count]);
                let mut to = slice.slice_mut(done..done + count);
                self.side.memcpy_htod(&*room, &mut to)?;
                (used, done) = (used + count, done + count);
            }
        }
        Ok(())
    }

    /// The first `len` values of a slice.
    pub(crate) fn download<T: DeviceRepr + Default + Clone>(
        &self,
        slice: &CudaSlice<T>,
        len: usize,
    ) -> Result<Vec<T>> {
        let mut host = vec![T::default(); len];
        if len > 0 {
            self.settle()?;
            let copied = self.stream.memcpy_dtoh(&slice.slice(..len), &mut host);
            copied.map_err(|e| Error::driver("copying from the device", e))?;
            let done = self.stream.synchronize();
            done.map_err(|e| Error::driver("waiting for the device", e))?;
        }
        Ok(host)
    }

    /// A small table on the device; the same bytes are uploaded once, of a step's own tables once for each operation.
    pub(crate) fn table<T: Copy>(&self, what: &'static str, rows: &[T]) -> Result<Table> {
        // SAFETY: callers pass structures of numbers without padding.
        let bytes = unsafe { std::slice::from_raw_parts(rows.as_ptr().cast::<u8>(), size_of_val(rows)) };
        if let Some(at) = self.place(what, bytes)? {
            return Ok(Table { at, _kept: None });
        }
        let mut tables = lock(&self.tables);
        if tables.len() >= TABLES {
            tables.clear();
        }
        let kept = match tables.get(bytes) {
            Some(table) => table.clone(),
            None => {
                let table = Arc::new(self.upload(bytes)?);
                tables.insert(bytes.to_vec(), table.clone());
                table
            }
        };
        Ok(Table {
            at: self.address(&kept),
            _kept: Some(kept),
        })
    }

    /// Starts a kernel.
    pub(crate) fn launch(
        &self,
        name: &'static str,
        grid: (usize, usize, usize),
        block: u32,
        shared: usize,
        args: &[Arg],
    ) -> Result<()> {
        if grid.0 == 0 || grid.1 == 0 || grid.2 == 0 {
            return Ok(());
        }
        if grid.0 > i32::MAX as usize || grid.1 > 65_535 || grid.2 > 65_535 {
            return Err(Error::Launch {
                what: name.to_owned(),
                why: format!("a grid of {grid:?} is more than the device takes"),
            });
        }
        self.call(Call::Kernel {
            name,
            grid: (grid.0 as u32, grid.1 as u32, grid.2 as u32),
            block,
            shared: shared as u32,
            args: args.to_vec(),
        })
    }

    /// Sets memory to zero.
    pub(crate) fn clear<T>(&self, slice: &CudaSlice<T>) -> Result<()> {
        let at = self.address(slice);
        self.call(Call::Clear {
            at,
            bytes: slice.num_bytes(),
        })
    }

    /// Starts an operation on a stream.
    pub(crate) fn perform(
        &self,
        call: &Call,
        stream: &Arc<CudaStream>,
        blas: Option<&(CudaBlas, CudaSlice<u8>)>,
    ) -> Result<()> {
        match call {
            Call::Kernel {
                name,
                grid,
                block,
                shared,
                args,
            } => {
                let config = LaunchConfig {
                    grid_dim: *grid,
                    block_dim: (*block, 1, 1),
                    shared_mem_bytes: *shared,
                };
                let mut builder = stream.launch_builder(self.function(name)?);
                for arg in args {
                    match arg {
                        Arg::Ptr(x) => builder.arg(x),
                        Arg::Int(x) => builder.arg(x),
                        Arg::Long(x) => builder.arg(x),
                        Arg::Float(x) => builder.arg(x),
                        Arg::Product(x) => builder.arg(x),
                        Arg::Adam(x) => builder.arg(x),
                    };
                }
                // SAFETY: every caller passes the arguments its kernel is declared with, and buffers of the size it checked.
                unsafe { builder.launch(config) }.map_err(|e| Error::driver(name, e))?;
                Ok(())
            }
            Call::Clear { at, bytes } => {
                let failed = |e| Error::driver("clearing", e);
                self.ctx.bind_to_thread().map_err(failed)?;
                // SAFETY: whoever asked passed a slice of this length.
                unsafe { result::memset_d8_async(*at, 0, *bytes, stream.cu_stream()) }.map_err(failed)
            }
            Call::Blas { op, a, b, kind, c } => self.blas_gemm(blas, *op, *a, *b, *kind, *c),
        }
    }

    /// Where a slice lies.
    pub(crate) fn at<T>(&self, slice: &CudaSlice<T>) -> Arg {
        Arg::Ptr(self.address(slice))
    }

    pub(crate) fn address<T>(&self, slice: &CudaSlice<T>) -> u64 {
        slice.device_ptr(&self.stream).0
    }
}

/// cuBLAS on a stream. It gets its memory from us: what it took for itself could not be part of a graph, and with as much everywhere it
/// chooses the same algorithms everywhere.
fn start_blas(stream: &Arc<CudaStream>) -> Result<(CudaBlas, CudaSlice<u8>)> {
    let failed = |why: String| Error::Launch {
        what: "starting cuBLAS".into(),
        why,
    };
    let blas = CudaBlas::new(stream.clone()).map_err(|e| failed(format!("{:?}", e.0)))?;
    // SAFETY: cuBLAS writes there before it reads.
    let room: CudaSlice<u8> = unsafe { stream.alloc(BLAS_ROOM) }.map_err(|e| failed(format!("{:?}", e.0)))?;
    stream.synchronize().map_err(|e| failed(format!("{:?}", e.0)))?;
    let at = room.device_ptr(stream).0;
    // SAFETY: the handle is whole, and the memory lives as long as it.
    let set =
        unsafe { blas_sys::cublasSetWorkspace_v2(*blas.handle(), at as *mut std::ffi::c_void, BLAS_ROOM) };
    match set {
        blas_sys::cublasStatus_t::CUBLAS_STATUS_SUCCESS => Ok((blas, room)),
        status => Err(failed(format!("{status:?}"))),
    }
}

/// Lets the driver's pool keep memory that is freed: steps take and free the same buffers all the time.
fn keep_freed_memory(ctx: &Arc<CudaContext>) {
    if !ctx.has_async_alloc() {
        return;
    }
    let mut most = u64::MAX;
    // SAFETY: valid handles and a 64-bit value, as this attribute takes. A refusal costs speed and nothing else.
    unsafe {
        let mut pool = std::ptr::null_mut();
        if sys::cuDeviceGetDefaultMemPool(&mut pool, ctx.cu_device()) == CUresult::CUDA_SUCCESS {
            let attribute = sys::CUmemPool_attribute_enum::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            let _ = sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut most).cast());
        }
    }
}
