//! Memory that is set aside once and lent in regions: what comes and goes with every step or adapter asks the driver for nothing, and what
//! is asked for in the same order again lies where it lay before.

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex};

use cudarc::driver::{CudaSlice, CudaStream, DevicePtr};

use crate::device::lock;

/// Regions of a length, the free ones by their start.
#[derive(Debug)]
struct Regions {
    free: BTreeMap<usize, usize>,
    len: usize,
}

impl Regions {
    fn new(len: usize) -> Self {
        let free = if len > 0 {
            BTreeMap::from([(0, len)])
        } else {
            BTreeMap::new()
        };
        Regions { free, len }
    }

    /// The start of the first free region that is long enough.
    fn take(&mut self, len: usize) -> Option<usize> {
        let (&start, &room) = self.free.iter().find(|(_, room)| **room >= len)?;
        self.free.remove(&start);
        if room > len {
            self.free.insert(start + len, room - len);
        }
        Some(start)
    }

    /// Takes a region back and joins it with its free neighbours.
    fn give(&mut self, mut start: usize, mut len: usize) {
        if let Some(after) = self.free.remove(&(start + len)) {
            len += after;
        }
        if let Some((&before, &room)) = self.free.range(..start).next_back() {
            if before + room == start {
                (start, len) = (before, len + room);
            }
        }
        self.free.insert(start, len);
    }

    fn is_whole(&self) -> bool {
        self.free.get(&0) == Some(&self.len) || self.len == 0
    }
}

/// One piece of memory, lent in whole pages.
pub(crate) struct Room {
    memory: CudaSlice<u8>,
    page: usize,
    regions: Mutex<Regions>,
}

impl Room {
    pub(crate) fn new(memory: CudaSlice<u8>, page: usize) -> Arc<Self> {
        let regions = Mutex::new(Regions::new(memory.len() / page * page));
        Arc::new(Room {
            memory,
            page,
            regions,
        })
    }

    /// Memory for `len` elements with anything in it, if there is some.
    pub(crate) fn lend<T>(self: &Arc<Self>, stream: &Arc<CudaStream>, len: usize) -> Option<Held<T>> {
        let bytes = len
            .max(1)
            .checked_mul(size_of::<T>())?
            .next_multiple_of(self.page);
        let start = lock(&self.regions).take(bytes)?;
        let at = self.memory.device_ptr(stream).0 + start as u64;
        Some(Held {
            // SAFETY: the region lies within this room's memory and is nobody else's until it is given back; `Held` never frees it.
            slice: ManuallyDrop::new(unsafe { stream.upgrade_device_ptr(at, len) }),
            home: Some((self.clone(), start, bytes)),
        })
    }

    /// Bytes.
    pub(crate) fn len(&self) -> usize {
        self.memory.len()
    }

    /// Whether nothing is lent.
    pub(crate) fn is_whole(&self) -> bool {
        lock(&self.regions).is_whole()
    }
}

/// A piece of device memory: the driver's, or lent by a room.
pub(crate) struct Held<T> {
    slice: ManuallyDrop<CudaSlice<T>>,
    home: Option<(Arc<Room>, usize, usize)>,
}

impl<T> From<CudaSlice<T>> for Held<T> {
    fn from(slice: CudaSlice<T>) -> Self {
        Held {
            slice: ManuallyDrop::new(slice),
            home: None,
        }
    }
}

impl<T> Deref for Held<T> {
    type Target = CudaSlice<T>;

    fn deref(&self) -> &CudaSlice<T> {
        &self.slice
    }
}

impl<T> DerefMut for Held<T> {
    fn deref_mut(&mut self) -> &mut CudaSlice<T> {
        &mut self.slice
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: taken once, and not touched afterwards.
        let slice = unsafe { ManuallyDrop::take(&mut self.slice) };
        match self.home.take() {
            None => drop(slice),
            Some((room, start, bytes)) => {
                slice.leak();
                lock(&room.regions).give(start, bytes);
            }
        }
    }
}

/// Rooms of one size, as many as are needed up to a limit.
#[derive(Default)]
pub(crate) struct Slabs {
    most: usize,
    rooms: Vec<Arc<Room>>,
}

/// Bytes of a slab: some adapters of a model of a billion parameters, many of a small one.
const SLAB: usize = 64 << 20;
/// Bytes of a slab's page: the least matrix of an adapter takes one.
const PAGE: usize = 4 << 10;

impl Slabs {
    /// Sets how much they may take; what they have already stays.
    pub(crate) fn allow(&mut self, bytes: usize) {
        self.most = bytes;
    }

    /// Memory for `len` elements; `make` makes another slab. Nothing if the limit or the device's memory is reached, or for what is longer
    /// than a slab.
    pub(crate) fn lend<T>(
        &mut self,
        stream: &Arc<CudaStream>,
        len: usize,
        make: impl FnOnce(usize) -> Option<CudaSlice<u8>>,
    ) -> Option<Held<T>> {
        if let Some(held) = self.rooms.iter().find_map(|room| room.lend(stream, len)) {
            return Some(held);
        }
        let taken: usize = self.rooms.iter().map(|room| room.len()).sum();
        let size = SLAB.min(self.most.saturating_sub(taken));
        if len.checked_mul(size_of::<T>())? > size {
            return None;
        }
        let room = Room::new(make(size)?, PAGE);
        self.rooms.push(room.clone());
        room.lend(stream, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_should_never_overlap_and_join_again() {
        let mut state = 1_u64;
        let mut below = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        let mut regions = Regions::new(1_000);
        let mut lent: Vec<(usize, usize)> = Vec::new();
        for _ in 0..10_000 {
            if below(2) == 0 {
                let len = 1 + below(200) as usize;
                match regions.take(len) {
                    Some(start) => {
                        assert!(start + len <= 1_000);
                        assert!(lent.iter().all(|(s, l)| start + len <= *s || s + l <= start));
                        lent.push((start, len));
                    }
                    // Free regions that touch are one, so none is long enough.
                    None => {
                        let mut sorted = lent.clone();
                        sorted.sort_unstable();
                        sorted.push((1_000, 0));
                        let mut end = 0;
                        for (start, own) in sorted {
                            assert!(start - end < len);
                            end = start + own;
                        }
                    }
                }
            } else if !lent.is_empty() {
                let (start, len) = lent.swap_remove(below(lent.len() as u64) as usize);
                regions.give(start, len);
            }
            assert_eq!(regions.is_whole(), lent.is_empty());
        }
    }

    #[test]
    fn the_same_order_should_find_the_same_places() {
        let places = |regions: &mut Regions| {
            let first = regions.take(10).unwrap();
            let second = regions.take(20).unwrap();
            regions.give(first, 10);
            let third = regions.take(5).unwrap();
            regions.give(second, 20);
            regions.give(third, 5);
            (first, second, third)
        };
        let mut regions = Regions::new(64);
        assert_eq!(places(&mut regions), places(&mut regions));
    }
}
