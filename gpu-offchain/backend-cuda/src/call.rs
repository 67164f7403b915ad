//! What the device is asked to do, as values: they are started at once, or noted and started together.

use cudarc::cublas::sys as blas;
use cudarc::driver::DeviceRepr;
use openledger_engine::backend::Gemm;

/// An argument of a kernel.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg {
    Ptr(u64),
    Int(i32),
    Long(i64),
    Float(f32),
    Product(Product),
    Adam(Adam),
}

/// An operation on the device: what to start, where its buffers are.
pub(crate) enum Call {
    Kernel {
        name: &'static str,
        grid: (u32, u32, u32),
        block: u32,
        shared: u32,
        args: Vec<Arg>,
    },
    /// Bytes set to zero.
    Clear { at: u64, bytes: usize },
    /// A product by cuBLAS.
    Blas {
        op: Gemm,
        a: u64,
        b: u64,
        kind: blas::cudaDataType_t,
        c: u64,
    },
}

impl Call {
    /// Everything about it as numbers, so that equal calls are known by equal numbers.
    pub(crate) fn write(&self, out: &mut Vec<u64>) {
        let float = |x: f32| u64::from(x.to_bits());
        match self {
            Call::Kernel {
                name,
                grid,
                block,
                shared,
                args,
            } => {
                out.extend([0, name.as_ptr().addr() as u64, args.len() as u64]);
                out.extend([grid.0, grid.1, grid.2, *block, *shared].map(u64::from));
                for arg in args {
                    match *arg {
                        Arg::Ptr(x) => out.push(x),
                        Arg::Int(x) => out.push(x as u64),
                        Arg::Long(x) => out.push(x as u64),
                        Arg::Float(x) => out.push(float(x)),
                        Arg::Product(x) => {
                            out.extend([x.m, x.n, x.k, x.accumulate].map(|x| x as u64));
                            out.push(float(x.alpha));
                        }
                        Arg::Adam(x) => out.extend(
                            [
                                x.beta1,
                                x.beta2,
                                x.rest1,
                                x.rest2,
                                x.eps,
                                x.grad_scale,
                                x.keep,
                                x.lr,
                                x.correction2,
                            ]
                            .map(float),
                        ),
                    }
                }
            }
            Call::Clear { at, bytes } => out.extend([1, *at, *bytes as u64]),
            Call::Blas { op, a, b, kind, c } => {
                out.extend([2, *a, *b, *c, *kind as u64, op.layout as u64]);
                out.extend([op.m, op.n, op.k].map(|x| x as u64));
                out.extend([op.alpha.to_bits(), u64::from(op.accumulate)]);
            }
        }
    }
}

/// The kernels' `Product`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Product {
    pub(crate) m: i32,
    pub(crate) n: i32,
    pub(crate) k: i32,
    pub(crate) alpha: f32,
    pub(crate) accumulate: i32,
}

/// The kernels' `Adam`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adam {
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) rest1: f32,
    pub(crate) rest2: f32,
    pub(crate) eps: f32,
    pub(crate) grad_scale: f32,
    pub(crate) keep: f32,
    pub(crate) lr: f32,
    pub(crate) correction2: f32,
}

// SAFETY: plain numbers, laid out as in C.
unsafe impl DeviceRepr for Product {}
// SAFETY: as above.
unsafe impl DeviceRepr for Adam {}
