//! A ring's memory on the heap, exactly as long as it must be: AddressSanitizer sees every access
//! outside of it, which it does not for a mapping.
//!
//! # Safety
//!
//! All words are atomics and live as long as the handle. The second half of the data is a copy
//! that nobody keeps up to date, which is of no matter to a reader of hostile memory.

use ephapse::ring::Memory;
use ephapse::ring::layout::{COMMIT_BYTES, HeaderWord};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A cache line, so that records are aligned as in a segment.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; 8]);

/// A handle; clone it for each reader.
#[derive(Clone)]
pub struct HeapRing {
    header: Arc<[Line; 4]>,
    data: Arc<[Line]>,
}

impl HeapRing {
    /// Zeroes for a ring of `capacity` bytes, a power of two.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity.is_power_of_two() && capacity >= 4096);
        let data = (0..2 * capacity / 64).map(|_| Line::default()).collect();
        Self { header: Arc::default(), data }
    }
}

// SAFETY: 1. the data never changes its length, which comes from a power of two. 2. words are
// atomics of the two slices, indexed with bounds checks. 3. a body of up to half of the capacity
// that starts in the first half of the data ends in the second. 4. there is no writer.
unsafe impl Memory for HeapRing {
    fn capacity(&self) -> usize {
        self.data.len() * 64 / 2
    }

    fn header_word(&self, word: HeaderWord) -> &AtomicU64 {
        &self.header[word as usize / 64].0[0]
    }

    fn word(&self, position: u64) -> &AtomicU64 {
        &self.data[(position as usize & (self.capacity() - 1)) / 64].0[0]
    }

    fn record(&self, position: u64, _len: usize) -> *const u8 {
        let offset = position as usize & (self.capacity() - 1);
        self.data.as_ptr().cast::<u8>().wrapping_add(offset + COMMIT_BYTES)
    }

    fn record_mut(&mut self, position: u64, len: usize) -> *mut u8 {
        self.record(position, len).cast_mut()
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn copy_out(&self, position: u64, to: &mut [u8]) {
        let from = self.record(position, to.len()).cast::<AtomicU64>();
        for (index, chunk) in to.chunks_mut(8).enumerate() {
            // SAFETY: by the contract of `copy_out` the body lies in the data; if the caller does
            // not keep to it, AddressSanitizer says so, which is what this type is for.
            let word = unsafe { &*from.wrapping_add(index) };
            chunk.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..chunk.len()]);
        }
    }
}
