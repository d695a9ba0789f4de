//! A ring's memory on the heap: for tests, and for the model checker, whose atomics cannot lie in
//! plain bytes. Every eight bytes are one atomic word; bodies pass through a staging area of the
//! handle's own, so stale words show up as wrong bodies.

use super::gate::Position;
use super::layout::HeaderWord;
use super::memory::Memory;
use crate::sync::{AtomicU64, Ordering};
use std::cell::UnsafeCell;
use std::sync::Arc;

/// One line's worth of bytes before the staged body, of which the last eight stand for the
/// commit word: the body is aligned as it would be in a ring.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[allow(dead_code)] [u8; 64]);

struct Words {
    header: [AtomicU64; 3],
    writer_woken: AtomicU64,
    data: Vec<AtomicU64>,
}

/// A handle on a heap ring; clone it for each writer and reader.
pub(crate) struct HeapMemory {
    words: Arc<Words>,
    staging: UnsafeCell<Vec<Line>>,
}

impl std::fmt::Debug for HeapMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HeapMemory({} bytes)", self.capacity())
    }
}

// SAFETY: the staging area belongs to this handle, which is used by one thread at a time.
unsafe impl Send for HeapMemory {}

impl HeapMemory {
    pub(crate) fn new(capacity: usize) -> Self {
        assert!(capacity.is_power_of_two() && capacity >= 256);
        let data = (0..capacity / 8).map(|_| AtomicU64::new(0)).collect();
        let header = Default::default();
        let words = Words { header, writer_woken: AtomicU64::new(0), data };
        Self { words: Arc::new(words), staging: staging(capacity) }
    }

    pub(crate) fn share(&self) -> Self {
        Self { words: Arc::clone(&self.words), staging: staging(self.capacity()) }
    }

    /// Whether a reader has called for the writer.
    #[cfg(ephapse_model)]
    pub(crate) fn writer_was_woken(&self) -> bool {
        self.words.writer_woken.load(Ordering::Relaxed) == 1
    }

    fn index(&self, position: u64) -> usize {
        (position as usize & (self.capacity() - 1)) / 8
    }

    /// The atomic words that hold the body at `position`.
    fn body_words(&self, position: u64, len: usize) -> impl Iterator<Item = &AtomicU64> {
        let first = self.index(position) + 1;
        (0..len.div_ceil(8)).map(move |i| &self.words.data[(first + i) % self.words.data.len()])
    }

    fn staged(&self) -> *mut u8 {
        // SAFETY: one thread uses this handle; no reference to the staging area is kept.
        let lines = unsafe { &mut *self.staging.get() };
        lines.as_mut_ptr().cast::<u8>().wrapping_add(8)
    }
}

fn staging(capacity: usize) -> UnsafeCell<Vec<Line>> {
    UnsafeCell::new(vec![Line([0xA5; 64]); capacity / 64])
}

// SAFETY: capacity is fixed and checked; all words are atomics; the staging area is as long as
// the ring, aligned, and given to the one writer that holds this handle.
unsafe impl Memory for HeapMemory {
    fn capacity(&self) -> usize {
        self.words.data.len() * 8
    }

    fn header_word(&self, word: HeaderWord) -> &AtomicU64 {
        &self.words.header[word as usize / 64 - 1]
    }

    fn word(&self, position: u64) -> &AtomicU64 {
        &self.words.data[self.index(position)]
    }

    fn record(&self, position: u64, len: usize) -> *const u8 {
        let to = self.staged();
        // SAFETY: the staging area is as long as the ring, and `len` at most half of that.
        let bytes = unsafe { std::slice::from_raw_parts_mut(to, len) };
        self.copy_out(position, bytes);
        to
    }

    fn record_mut(&mut self, _position: u64, _len: usize) -> *mut u8 {
        self.staged()
    }

    fn filled(&mut self, position: u64, len: usize) {
        // SAFETY: as in `record`.
        let bytes = unsafe { std::slice::from_raw_parts(self.staged(), len) };
        for (word, chunk) in self.body_words(position, len).zip(bytes.chunks(8)) {
            let mut value = [0; 8];
            value[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(value), Ordering::Relaxed);
        }
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn wake_writer(&self, _position: &Position) {
        self.words.writer_woken.store(1, Ordering::Relaxed);
    }

    fn copy_out(&self, position: u64, to: &mut [u8]) {
        let len = to.len();
        for (word, chunk) in self.body_words(position, len).zip(to.chunks_mut(8)) {
            let value = word.load(Ordering::Relaxed).to_le_bytes();
            chunk.copy_from_slice(&value[..chunk.len()]);
        }
    }
}
