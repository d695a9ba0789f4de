//! The bytes of a ring, drawn once.
//!
//! ```text
//! header page                                  data, mapped twice in a row
//! ┌──────────────────────────────┐             ┌─────────────┬─────────────┐
//! │   0  segment header (64 B)   │             │ 0 … capacity│ 0 … capacity│
//! │  64  claim                   │             └─────────────┴─────────────┘
//! │ 128  boundary                │
//! │ 192  room wanted             │             record, at a multiple of 64
//! └──────────────────────────────┘             ┌────────┬──────────────────┐
//!                                              │ commit │ body             │
//! commit word                                  └────────┴──────────────────┘
//! ┌───────────────┬──────────┬─────────────────────┐
//! │ tag 63 … 32   │ kind 31…29│ body length 28 … 0 │
//! └───────────────┴──────────┴─────────────────────┘
//! ```

use crate::limits::{LINE, RING_CAPACITY_MAX, RING_CAPACITY_MIN};

/// Bytes of the commit word, which starts every record.
pub const COMMIT_BYTES: usize = 8;

/// Where in the header page the writer's words are, each in a cache line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum HeaderWord {
    /// Everything below this position may be being written.
    Claim = 64,
    /// A position at which a record starts or will start, at most a chunk behind the writer.
    Boundary = 128,
    /// The reader's position that a waiting writer needs; 0 while it does not wait.
    RoomWanted = 192,
}

/// What a record is. Zero is kept for "no record yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The plain kind of the layer above.
    Plain = 1,
    /// The layer above put an extension before its payload.
    Extended = 2,
    /// The writer will write nothing more.
    Closed = 7,
}

/// The commit word, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitWord {
    /// Bytes of the body.
    pub len: usize,
    /// What the record is.
    pub kind: Kind,
    /// A word for the layer above.
    pub tag: u32,
}

const LEN_BITS: u32 = 29;
const LEN_MASK: u64 = (1 << LEN_BITS) - 1;

impl CommitWord {
    /// The eight bytes. `len` must be below 2^29, which [`max_body`] ensures for every ring.
    #[inline(always)]
    #[must_use]
    pub const fn pack(self) -> u64 {
        debug_assert!((self.len as u64) <= LEN_MASK);
        self.len as u64 | (self.kind as u64) << LEN_BITS | (self.tag as u64) << 32
    }

    /// The parts of a word that is not zero, or `None` for a kind that does not exist. The length
    /// is not yet checked against a ring.
    #[inline(always)]
    #[must_use]
    pub const fn unpack(word: u64) -> Option<Self> {
        let kind = match (word >> LEN_BITS) & 7 {
            1 => Kind::Plain,
            2 => Kind::Extended,
            7 => Kind::Closed,
            _ => return None,
        };
        Some(Self { len: (word & LEN_MASK) as usize, kind, tag: (word >> 32) as u32 })
    }
}

/// The length of a plain record whose body has `min` to `max` bytes; `None` for any other word.
/// One comparison: the kind and the least length are subtracted together.
#[inline(always)]
#[must_use]
pub(crate) const fn plain_len(word: u64, min: usize, max: usize) -> Option<usize> {
    let least = (Kind::Plain as u32) << LEN_BITS | min as u32;
    let more = (word as u32).wrapping_sub(least);
    if more <= (max - min) as u32 { Some(more as usize + min) } else { None }
}

/// Bytes from the start of a record with a body of `len` bytes to the start of the next.
#[inline(always)]
#[must_use]
pub const fn stride(len: usize) -> u64 {
    ((COMMIT_BYTES + len + (LINE - 1)) & !(LINE - 1)) as u64
}

/// The longest body in a ring of `capacity` bytes: a record fills at most half of the ring, so
/// that writer and reader can be at work at once.
#[inline(always)]
#[must_use]
pub const fn max_body(capacity: usize) -> usize {
    capacity / 2 - COMMIT_BYTES
}

/// Whether a ring may have this capacity.
#[must_use]
pub const fn capacity_is_valid(capacity: usize) -> bool {
    capacity.is_power_of_two() && RING_CAPACITY_MIN <= capacity && capacity <= RING_CAPACITY_MAX
}

const _: () = {
    assert!(max_body(RING_CAPACITY_MAX) as u64 <= LEN_MASK);
    assert!(stride(0) == 64 && stride(56) == 64 && stride(57) == 128);
    assert!(stride(max_body(4096)) == 2048);
};
