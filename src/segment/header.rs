//! The first 64 bytes of every segment, drawn once.
//!
//! ```text
//!  0        8         12      16         24         32       40        64
//!  ┌────────┬─────────┬───────┬──────────┬──────────┬────────┬─────────┐
//!  │ magic  │ version │ kind  │ capacity │ features │ start  │ 0       │
//!  └────────┴─────────┴───────┴──────────┴──────────┴────────┴─────────┘
//! ```
//!
//! All little-endian, written before the segment is sealed and never changed. A receiver reads
//! each field once, checks it, and then trusts only its own copy.

use super::file::SegmentError;
use super::mapping::Mapping;
use core::sync::atomic::Ordering;

/// `EPHAPSE` and a zero, as bytes.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"EPHAPSE\0");

/// Changes whenever a byte of a segment means something else.
pub(super) const LAYOUT_VERSION: u32 = 1;

/// What a segment holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum SegmentKind {
    /// One ring.
    Ring = 1,
    /// The positions and doorbell states of one hub.
    Cursors = 2,
    /// The counters of one hub.
    Counters = 3,
    /// The counters and the troubles of one supervisor.
    Flight = 4,
}

/// Bits that say how the creator works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Feature {
    /// The creator may not call membarrier: whoever looks at its words must fence fully.
    FenceFully = 1,
}

/// The header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: SegmentKind,
    /// Ring: bytes of data. Cursors: slots. Others: counters.
    pub capacity: u64,
    pub features: u64,
    /// Ring: position of the first record.
    pub start: u64,
}

impl Header {
    /// Writes the header into a segment that nobody else has seen yet.
    pub(super) fn write(&self, mapping: &Mapping) {
        let words = [
            MAGIC,
            u64::from(LAYOUT_VERSION) | u64::from(self.kind as u32) << 32,
            self.capacity,
            self.features,
            self.start,
        ];
        for (index, word) in words.into_iter().enumerate() {
            // Relaxed: passing the descriptor orders it.
            mapping.word(index * 8).store(word, Ordering::Relaxed);
        }
    }

    /// Reads and checks a header that another process wrote.
    pub(super) fn read(mapping: &Mapping, expected: SegmentKind) -> Result<Self, SegmentError> {
        // Relaxed: each field is read once; who receives a descriptor has been ordered after the
        // sender's stores, and a sender that goes on writing is caught by what follows.
        let word = |index: usize| mapping.word(index * 8).load(Ordering::Relaxed);
        let magic = word(0);
        if magic != MAGIC {
            return Err(SegmentError::WrongMagic { expected: MAGIC, found: magic });
        }
        let version_and_kind = word(1);
        let (version, kind) = (version_and_kind as u32, (version_and_kind >> 32) as u32);
        if version != LAYOUT_VERSION {
            return Err(SegmentError::WrongVersion { expected: LAYOUT_VERSION, found: version });
        }
        if kind != expected as u32 {
            return Err(SegmentError::WrongKind { expected, found: kind });
        }
        Ok(Self { kind: expected, capacity: word(2), features: word(3), start: word(4) })
    }
}
