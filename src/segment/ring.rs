//! A segment that holds one ring.

use super::file::{self, SegmentError};
use super::header::{Header, SegmentKind};
use super::mapping::{Access, Mapping, page_size};
use crate::limits::{LINE, RING_CAPACITY_DEFAULT, RING_CAPACITY_MAX, RING_CAPACITY_MIN};
use crate::ring::layout::{COMMIT_BYTES, HeaderWord, capacity_is_valid, max_body};
use crate::ring::{Memory, Position, Writer};
use core::sync::atomic::{AtomicU64, Ordering};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// How a ring is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingOptions {
    /// Bytes of data: a power of two from 4 KiB to 1 GiB, and a multiple of the page size.
    pub capacity: usize,
    /// Ask the kernel for huge pages; it may not have any.
    pub huge_pages: bool,
    /// Where the first record starts: any multiple of 64.
    pub start: u64,
}

impl Default for RingOptions {
    fn default() -> Self {
        Self { capacity: RING_CAPACITY_DEFAULT, huge_pages: false, start: 0 }
    }
}

/// A sealed ring segment: the descriptor to pass on, and what its receiver needs to know.
#[derive(Debug)]
pub struct SharedRing {
    /// Pass this; receivers can only read.
    pub file: OwnedFd,
    /// Bytes of data.
    pub capacity: usize,
    /// Whether the kernel gave huge pages, where they were asked for.
    pub huge_pages: bool,
}

/// The mapping of a ring segment, as the ring code sees it.
///
/// Invariant 1: `header` points to a page and `data` to twice `capacity` bytes behind it, both
/// inside of `mapping`; the second `capacity` bytes of data are the first ones mapped again.
/// Invariant 2: `mask` is `capacity - 1`, and `capacity` is valid.
/// Invariant 3: at most one `RingMemory` in all processes has a writable mapping: the creator's,
/// which is not `Clone`.
#[derive(Debug)]
pub struct RingMemory {
    header: *mut u8,
    data: *mut u8,
    mask: usize,
    start: u64,
    mapping: Arc<Mapping>,
}

// SAFETY: pointers into a mapping that is `Send` and kept alive.
unsafe impl Send for RingMemory {}

fn segment_bytes(capacity: usize) -> usize {
    page_size() + capacity
}

fn check_capacity(capacity: u64) -> Result<usize, SegmentError> {
    let bytes = usize::try_from(capacity).unwrap_or(usize::MAX);
    if capacity_is_valid(bytes) && bytes.is_multiple_of(page_size()) {
        return Ok(bytes);
    }
    let min = RING_CAPACITY_MIN.max(page_size());
    Err(SegmentError::WrongCapacity { found: capacity, min, max: RING_CAPACITY_MAX })
}

impl RingMemory {
    /// Creates a segment, formats an empty ring in it, and seals it. All of its memory is
    /// allocated and mapped now.
    ///
    /// # Errors
    ///
    /// [`SegmentError`]: the capacity is not possible, or the kernel has no memory, descriptors
    /// or address space left. Nothing stays behind.
    pub fn create(options: RingOptions) -> Result<(Writer<Self>, SharedRing), SegmentError> {
        let capacity = check_capacity(options.capacity as u64)?;
        let bytes = segment_bytes(capacity);
        let file = file::create("ephapse-ring", bytes, true)?;
        let mapping = Mapping::new(&file, bytes, page_size(), Access::Write)?;
        let start = options.start & !(LINE as u64 - 1);
        let features = super::cursors::own_features();
        Header { kind: SegmentKind::Ring, capacity: capacity as u64, features, start }
            .write(&mapping);
        mapping.populate();
        let huge_pages = options.huge_pages && mapping.collapse();
        if huge_pages {
            mapping.populate();
        }
        let writer = Writer::format(Self::over(Arc::new(mapping), capacity, start), start);
        file::seal(&file, bytes)?;
        Ok((writer, SharedRing { file, capacity, huge_pages }))
    }

    /// Whether a ring can have so many bytes.
    ///
    /// # Errors
    ///
    /// [`SegmentError::WrongCapacity`].
    pub fn check(capacity: usize) -> Result<(), SegmentError> {
        check_capacity(capacity as u64).map(drop)
    }

    /// Maps a segment that another process made, for reading, after verifying its seals, its size
    /// and its header. `capacity` is what the other process declared.
    ///
    /// # Errors
    ///
    /// [`SegmentError`] says what was expected and what came. Nothing stays mapped.
    pub fn open(file: &OwnedFd, capacity: u64) -> Result<Self, SegmentError> {
        let capacity = check_capacity(capacity)?;
        let bytes = segment_bytes(capacity);
        file::verify(file, bytes, true)?;
        let mapping = Mapping::new(file, bytes, page_size(), Access::Read)?;
        let header = Header::read(&mapping, SegmentKind::Ring)?;
        let start_is_possible = header.start.is_multiple_of(LINE as u64) && header.start < 1 << 63;
        if header.capacity != capacity as u64 || !start_is_possible {
            let (min, max) = (capacity, capacity);
            return Err(SegmentError::WrongCapacity { found: header.capacity, min, max });
        }
        mapping.populate();
        Ok(Self::over(Arc::new(mapping), capacity, header.start))
    }

    fn over(mapping: Arc<Mapping>, capacity: usize, start: u64) -> Self {
        let header = mapping.base().as_ptr();
        // SAFETY: the mapping is a page and twice `capacity` long.
        let data = unsafe { header.add(page_size()) };
        Self { header, data, mask: capacity - 1, start, mapping }
    }

    /// The same memory for another reader.
    ///
    /// # Panics
    ///
    /// If it is the writer's.
    #[must_use]
    pub fn view(&self) -> Self {
        assert!(self.mapping.access == Access::Read, "a ring has one writer");
        Self::over(Arc::clone(&self.mapping), self.mask + 1, self.start)
    }

    /// Where the first record starts, as the header says.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.start
    }

    #[inline(always)]
    fn at(&self, position: u64) -> *mut u8 {
        let offset = position as usize & self.mask;
        // SAFETY: `offset` is below `capacity` (2), so this is inside of the mapping (1).
        unsafe { self.data.add(offset) }
    }
}

// SAFETY: 1. the mask is fixed and the capacity was checked. 2. words lie in the mapping, at
// multiples of 64 (or 8 in the header page), and are accessed as atomics only. 3. bodies of up to
// half of the capacity that start below `capacity` end below twice the capacity, and the second
// half shows the first again. 4. `record_mut` needs `&mut` on the creator's only instance.
unsafe impl Memory for RingMemory {
    #[inline(always)]
    fn capacity(&self) -> usize {
        self.mask + 1
    }

    #[inline(always)]
    fn header_word(&self, word: HeaderWord) -> &AtomicU64 {
        // SAFETY: header words lie in the header page.
        let word = unsafe { self.header.add(word as usize) };
        // SAFETY: mapped for as long as `self` lives, aligned, atomic access only.
        unsafe { &*word.cast::<AtomicU64>() }
    }

    #[inline(always)]
    fn word(&self, position: u64) -> &AtomicU64 {
        let offset = position as usize & (self.mask & !(LINE - 1));
        // SAFETY: below `capacity` (2), so inside of the mapping (1).
        let word = unsafe { self.data.add(offset) };
        // SAFETY: inside of the mapping, 64-byte aligned, atomic access only.
        unsafe { &*word.cast::<AtomicU64>() }
    }

    #[inline(always)]
    fn record(&self, position: u64, len: usize) -> *const u8 {
        debug_assert!(len <= max_body(self.capacity()));
        // SAFETY: eight bytes further is still inside of the mapping.
        unsafe { self.at(position).add(COMMIT_BYTES) }
    }

    #[inline(always)]
    fn record_mut(&mut self, position: u64, len: usize) -> *mut u8 {
        debug_assert!(len <= max_body(self.capacity()));
        // SAFETY: eight bytes further is still inside of the mapping.
        unsafe { self.at(position).add(COMMIT_BYTES) }
    }

    #[inline(always)]
    fn prefetch_read(&self, position: u64) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint on an address inside of the mapping.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(self.at(position).cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = position;
    }

    #[inline(always)]
    fn prefetch_write(&self, position: u64) {
        #[cfg(target_arch = "x86_64")]
        // In assembly, because the intrinsic is a prefetch for reading unless the compiler is told
        // of a processor that has this one; older processors take it for no operation.
        // SAFETY: a hint on an address inside of the mapping.
        unsafe {
            core::arch::asm!(
                "prefetchw [{}]",
                in(reg) self.at(position),
                options(nostack, preserves_flags)
            );
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = position;
    }

    fn is_writable(&self) -> bool {
        self.mapping.access == Access::Write
    }

    fn wake_writer(&self, position: &Position) {
        super::futex::wake(position);
    }

    fn copy_out(&self, position: u64, to: &mut [u8]) {
        assert!(to.len() <= max_body(self.capacity()), "longer than any record");
        let from = self.record(position, to.len());
        copy_words(from, to);
    }
}

/// Copies by relaxed atomic words: the other process may be writing.
fn copy_words(from: *const u8, to: &mut [u8]) {
    let words = from.cast::<AtomicU64>();
    let mut chunks = to.chunks_exact_mut(8);
    let mut index = 0;
    for chunk in &mut chunks {
        // SAFETY: word `index` lies in the body that the caller has checked.
        let word = unsafe { words.add(index) };
        // SAFETY: mapped and aligned (bodies start at multiples of 8); atomic access.
        let value = unsafe { &*word }.load(Ordering::Relaxed);
        chunk.copy_from_slice(&value.to_ne_bytes());
        index += 1;
    }
    let rest = chunks.into_remainder();
    if !rest.is_empty() {
        // SAFETY: records fill whole lines, so the word that holds the last bytes is in the ring.
        let word = unsafe { words.add(index) };
        // SAFETY: as above.
        let value = unsafe { &*word }.load(Ordering::Relaxed);
        rest.copy_from_slice(&value.to_ne_bytes()[..rest.len()]);
    }
}
