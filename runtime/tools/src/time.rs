//! The clock that benchmarks read: processor time of this thread, so that what else the machine does is not measured.

// What the macro makes is public and, outside a runtime, not called.
#![allow(unreachable_pub, dead_code)]

use sp_runtime_interface::{pass_by::AllocateAndReturnPointer, runtime_interface};

/// Nanoseconds that this thread has computed.
fn nanoseconds() -> u128 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of this stack frame.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "this system has no clock of a thread's time");
    let [seconds, rest] = [time.tv_sec, time.tv_nsec].map(|part| u128::try_from(part).unwrap_or(0));
    seconds * 1_000_000_000 + rest
}

/// Stands in for the function of the same name that frame-benchmarking provides, which tells the time of day.
#[runtime_interface]
pub trait Benchmarking {
    /// Nanoseconds, as u128 in little-endian bytes.
    fn current_time() -> AllocateAndReturnPointer<[u8; 16], 16> {
        nanoseconds().to_le_bytes()
    }
}
