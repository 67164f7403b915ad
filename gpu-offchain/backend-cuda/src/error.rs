//! What can go wrong on a device, in one line each.

use cudarc::driver::{sys::CUresult, DriverError};
use openledger_engine::backend::{Fault, FaultKind};

/// A device that is not there, or an operation that failed on it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A library that CUDA needs is not installed.
    #[error("no CUDA on this machine: {0} was not found; install the NVIDIA driver and CUDA 13, or run on the CPU")]
    Absent(&'static str),
    /// The driver is there, a device it can use is not.
    #[error("no CUDA device {ordinal} that can be used: {why}; run on the CPU")]
    Device {
        /// The number asked for.
        ordinal: usize,
        /// What the driver says.
        why: String,
    },
    /// A kernel did not compile or load.
    #[error("kernels {file}.cu for {arch}: {why}")]
    Kernel {
        /// The source file.
        file: &'static str,
        /// The architecture.
        arch: String,
        /// What the compiler or driver says, its first line.
        why: String,
    },
    /// Not enough memory on the device.
    #[error("out of device memory: {wanted} bytes are wanted, {free} of {total} are free; fewer or shorter sequences, or fewer adapters, need less")]
    Memory {
        /// Bytes asked for.
        wanted: usize,
        /// Bytes free.
        free: usize,
        /// Bytes the device has.
        total: usize,
    },
    /// An operation was refused; the device works on.
    #[error("{what} failed on the device: {why}")]
    Launch {
        /// The operation.
        what: String,
        /// What the driver says.
        why: String,
    },
    /// The device is gone or its memory is in doubt: nothing more runs on it until the process starts anew.
    #[error("the device is lost ({what}: {why}); the worker must be started again")]
    Lost {
        /// The operation that found out.
        what: String,
        /// What the driver says.
        why: String,
    },
    /// Buffers or shapes that an operation cannot work on.
    #[error("{what}: {why}")]
    Shape {
        /// The operation.
        what: &'static str,
        /// What does not fit.
        why: String,
    },
}

impl Error {
    /// Whether the process can go on with the device.
    pub fn is_final(&self) -> bool {
        matches!(self, Error::Lost { .. } | Error::Absent(_) | Error::Device { .. })
    }

    /// As the engine is told.
    pub(crate) fn fault(&self) -> Fault {
        let kind = match self {
            Error::Memory { .. } => FaultKind::Memory,
            _ if self.is_final() => FaultKind::Lost,
            _ => FaultKind::Operation,
        };
        Fault {
            kind,
            what: self.to_string(),
        }
    }

    pub(crate) fn shape<T>(what: &'static str, why: impl Into<String>) -> Result<T> {
        Err(Error::Shape {
            what,
            why: why.into(),
        })
    }

    /// The driver's answer to an operation.
    pub(crate) fn driver(what: &str, error: DriverError) -> Self {
        use CUresult as C;
        let (what, why) = (what.to_owned(), format!("{:?}", error.0));
        match error.0 {
            C::CUDA_ERROR_ILLEGAL_ADDRESS
            | C::CUDA_ERROR_LAUNCH_FAILED
            | C::CUDA_ERROR_LAUNCH_TIMEOUT
            | C::CUDA_ERROR_MISALIGNED_ADDRESS
            | C::CUDA_ERROR_ILLEGAL_INSTRUCTION
            | C::CUDA_ERROR_INVALID_ADDRESS_SPACE
            | C::CUDA_ERROR_INVALID_PC
            | C::CUDA_ERROR_HARDWARE_STACK_ERROR
            | C::CUDA_ERROR_ECC_UNCORRECTABLE
            | C::CUDA_ERROR_ASSERT
            | C::CUDA_ERROR_DEVICE_UNAVAILABLE
            | C::CUDA_ERROR_CONTEXT_IS_DESTROYED
            | C::CUDA_ERROR_DEINITIALIZED
            | C::CUDA_ERROR_UNKNOWN => Error::Lost { what, why },
            _ => Error::Launch { what, why },
        }
    }
}

/// The result of an operation on a device.
pub type Result<T> = std::result::Result<T, Error>;
