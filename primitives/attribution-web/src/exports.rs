//! The exports, their memory, and the end of the line for panics. WebAssembly has one thread and one memory:
//! addresses come from `ol_alloc`, and the host can harm nobody but itself with wrong ones.

use crate::api::{self, Status};
use alloc::vec::Vec;
use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr, slice,
};
use openledger_attribution::{hash::keccak, sketch::Rule};

const PAGE: usize = 65_536;

/// Hands out memory from the end of the program's data upwards. What a call needed for itself is given back
/// when the call returns; what the host asked for stays until `ol_reset`.
struct Arena {
    next: UnsafeCell<usize>,
}

// SAFETY: this target has one thread.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena {
    next: UnsafeCell::new(0),
};

extern "C" {
    // The linker's name for the first address behind data and stack.
    static __heap_base: u8;
}

impl Arena {
    fn next(&self) -> usize {
        // SAFETY: one thread, and the borrow ends here.
        match unsafe { *self.next.get() } {
            0 => ptr::addr_of!(__heap_base) as usize,
            next => next,
        }
    }

    fn set(&self, next: usize) {
        // SAFETY: as above.
        unsafe { *self.next.get() = next }
    }

    fn take(&self, size: usize, align: usize) -> Option<usize> {
        let start = self.next().checked_next_multiple_of(align)?;
        let end = start.checked_add(size)?;
        let pages = end.div_ceil(PAGE);
        let have = core::arch::wasm32::memory_size::<0>();
        if pages > have && core::arch::wasm32::memory_grow::<0>(pages - have) == usize::MAX {
            return None;
        }
        self.set(end);
        Some(start)
    }
}

// SAFETY: `take` never hands the same bytes out twice unless they were given back, and aligns as asked.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout.size(), layout.align())
            .map_or(ptr::null_mut(), |start| start as *mut u8)
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // Only the newest bytes can be given back at once; the rest waits for the end of the call.
        if start as usize + layout.size() == self.next() {
            self.set(start as usize);
        }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if start as usize + layout.size() == self.next() {
            self.set(start as usize);
            return self
                .take(size, layout.align())
                .map_or(ptr::null_mut(), |start| start as *mut u8);
        }
        let Some(fresh) = self.take(size, layout.align()) else {
            return ptr::null_mut();
        };
        ptr::copy_nonoverlapping(start, fresh as *mut u8, layout.size().min(size));
        fresh as *mut u8
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Rules that `ol_rule` made.
struct Rules(UnsafeCell<Vec<Rule>>);

// SAFETY: this target has one thread.
unsafe impl Sync for Rules {}

static RULES: Rules = Rules(UnsafeCell::new(Vec::new()));

/// Runs a call and gives back what it allocated.
fn call(run: impl FnOnce() -> Result<(), Status>) -> i32 {
    let before = ARENA.next();
    let status = match run() {
        Ok(()) => Status::Good,
        Err(status) => status,
    };
    ARENA.set(before);
    status as i32
}

/// # Safety
/// `start` and `length` are what the host wrote, inside the memory.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    slice::from_raw_parts(start, length)
}

/// # Safety
/// `out` has room for `from`.
unsafe fn put(out: *mut u8, from: &[u8]) {
    ptr::copy_nonoverlapping(from.as_ptr(), out, from.len());
}

/// # Safety
/// `tag` points to four bytes.
unsafe fn tag(tag: *const u8) -> [u8; 4] {
    ptr::read_unaligned(tag.cast())
}

fn rule<'a>(number: i32) -> Result<&'a Rule, Status> {
    // SAFETY: one thread; nothing changes the rules while a call runs.
    let rules = unsafe { &*RULES.0.get() };
    usize::try_from(number)
        .ok()
        .and_then(|number| rules.get(number))
        .ok_or(Status::NoRule)
}

/// The version of this interface.
#[no_mangle]
pub extern "C" fn ol_version() -> u32 {
    api::VERSION
}

/// Room for `length` bytes that stays until `ol_reset`; 0 if there is no memory.
#[no_mangle]
pub extern "C" fn ol_alloc(length: usize) -> usize {
    ARENA.take(length, 16).unwrap_or(0)
}

/// Forgets all allocations and rules.
#[no_mangle]
pub extern "C" fn ol_reset() {
    // SAFETY: one thread; the rules are dropped before their memory is reused.
    unsafe { *RULES.0.get() = Vec::new() };
    ARENA.set(0);
}

/// Hashes bytes.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_keccak(start: *const u8, length: usize, out: *mut u8) -> i32 {
    call(|| {
        put(out, &keccak(&[bytes(start, length)]));
        Ok(())
    })
}

/// Makes a rule and returns its number, or a negative status.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_rule(layout: *const u8, length: usize, rules: *const u8) -> i32 {
    // Not within `call`: the rule stays.
    match api::rule(bytes(layout, length), bytes(rules, api::RULES)) {
        Ok(rule) => {
            let all = &mut *RULES.0.get();
            all.push(rule);
            all.len() as i32 - 1
        }
        Err(status) => status as i32,
    }
}

/// # Safety
/// `start` points to a sketch of the rule.
unsafe fn sketch<'a>(rule: &Rule, start: *const u8) -> &'a [i8] {
    slice::from_raw_parts(start.cast(), api::sketch_bytes(rule))
}

/// The exact score of two sketches.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_score(number: i32, query: *const u8, row: *const u8, out: *mut u8) -> i32 {
    call(|| {
        let rule = rule(number)?;
        put(
            out,
            &api::score(rule, sketch(rule, query), sketch(rule, row))?.to_le_bytes(),
        );
        Ok(())
    })
}

/// The exact score of two valid sketches, and whether the row is eligible.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_evaluate(number: i32, query: *const u8, row: *const u8, out: *mut u8) -> i32 {
    call(|| {
        let rule = rule(number)?;
        let (score, eligible) = api::evaluate(rule, sketch(rule, query), sketch(rule, row))?;
        put(out, &score.to_le_bytes());
        put(out.add(16), &[u8::from(eligible)]);
        Ok(())
    })
}

/// Reads an object and hashes it.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_hash(kind: *const u8, start: *const u8, length: usize, out: *mut u8) -> i32 {
    call(|| {
        put(out, &api::hash(tag(kind), bytes(start, length))?);
        Ok(())
    })
}

/// What a receipt shows by itself.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_check_receipt(start: *const u8, length: usize) -> i32 {
    call(|| api::check_receipt(bytes(start, length)))
}

/// Shares of weights.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_shares(weights: *const u8, count: usize, out: *mut u8) -> i32 {
    call(|| {
        let length = count.checked_mul(16).ok_or(Status::Unreadable)?;
        for (at, share) in api::shares_of(bytes(weights, length))?.into_iter().enumerate() {
            put(out.add(at * 4), &share.to_le_bytes());
        }
        Ok(())
    })
}

/// Who gets how much: writes the number of contributors to `count` and 48 bytes for each to `out`, which has
/// room for `room` of them.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_amounts(
    attribution: *const u8,
    length: usize,
    mix: *const u8,
    amount: *const u8,
    out: *mut u8,
    room: usize,
    count: *mut u8,
) -> i32 {
    call(|| {
        let amount = u128::from_le_bytes(ptr::read_unaligned(amount.cast()));
        let amounts = api::amounts(bytes(attribution, length), bytes(mix, 12), amount)?;
        put(count, &(amounts.len() as u32).to_le_bytes());
        if amounts.len() > room {
            return Err(Status::NoRoom);
        }
        for (at, (account, amount)) in amounts.into_iter().enumerate() {
            put(out.add(at * 48), &account);
            put(out.add(at * 48 + 32), &amount.to_le_bytes());
        }
        Ok(())
    })
}

/// Whether a root commits to a leaf; the sum of all leaves before it.
///
/// # Safety
/// See the crate's documentation for the lengths.
#[no_mangle]
pub unsafe extern "C" fn ol_verify(
    kind: *const u8,
    root: *const u8,
    opening: *const u8,
    length: usize,
    out: *mut u8,
) -> i32 {
    call(|| {
        let before = api::verify(tag(kind), bytes(root, api::ROOT), bytes(opening, length))?;
        put(out, &before.to_le_bytes());
        Ok(())
    })
}
