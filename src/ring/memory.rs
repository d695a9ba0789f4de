//! What the ring needs of the memory that it lies in.

use super::gate::Position;
use super::layout::HeaderWord;
use crate::sync::AtomicU64;

/// Memory for one ring: a header and a data region that repeats itself once.
///
/// Ring code formats and attaches to anything that implements this: a sealed segment in
/// production, the heap in tests and under the model checker.
///
/// # Safety
///
/// An implementation promises, for as long as it lives:
///
/// 1. `capacity` never changes and is a power of two of at least 256.
/// 2. `header_word` and `word` give atomics that are valid, eight-byte aligned, and accessed by
///    nothing but atomics while they are in use as words.
/// 3. `record(p, len)` and `record_mut(p, len)` give pointers to `len` bytes, 64-byte aligned
///    less 8, for every `p` that is a multiple of 64 and every `len` up to half of the capacity,
///    and they show the same bytes as position `p + capacity` would.
/// 4. `record_mut` is called by one writer only.
pub unsafe trait Memory {
    /// Bytes of data.
    fn capacity(&self) -> usize;

    /// One of the writer's words in the header.
    fn header_word(&self, word: HeaderWord) -> &AtomicU64;

    /// The commit word at a position, which is a multiple of 64.
    fn word(&self, position: u64) -> &AtomicU64;

    /// `len` body bytes of the record at `position`, to be read.
    fn record(&self, position: u64, len: usize) -> *const u8;

    /// `len` body bytes of the record at `position`, to be written.
    fn record_mut(&mut self, position: u64, len: usize) -> *mut u8;

    /// The writer has filled `len` body bytes of the record at `position`. Nothing on memory that
    /// is really shared; the heap copies its staging area.
    #[inline(always)]
    fn filled(&mut self, _position: u64, _len: usize) {}

    /// Whether the writer's side may be formatted in it.
    fn is_writable(&self) -> bool;

    /// Wakes the writer, which sleeps on a reader's position. Nothing where nobody sleeps.
    fn wake_writer(&self, _position: &Position) {}

    /// Fetches the line at `position` into the cache, to be read soon. A hint.
    #[inline(always)]
    fn prefetch_read(&self, _position: u64) {}

    /// Fetches the line at `position` into the cache, to be written soon. A hint.
    #[inline(always)]
    fn prefetch_write(&self, _position: u64) {}

    /// Copies body bytes out while the writer may be overwriting them. Eight bytes at a time with
    /// relaxed atomic loads; `to.len()` may be anything up to half of the capacity.
    fn copy_out(&self, position: u64, to: &mut [u8]);
}
