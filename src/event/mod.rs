//! Events: what a record on a ring means.
//!
//! ```text
//!  0             8           16          24           32
//!  ┌─────────────┬───────────┬───────────┬────────────┬───────────────┬─────────┐
//!  │ commit word │ sequence  │ schema    │ timestamp  │ [extension]   │ payload │
//!  └─────────────┴───────────┴───────────┴────────────┴───────────────┴─────────┘
//!    tag = subject                         ticks, or 0  if kind is Extended
//! ```
//!
//! All numbers are little-endian. The header is 32 bytes, so an event with a payload of up to 32
//! bytes is one cache line. The payload starts at a multiple of 32 bytes: it is the rkyv archive
//! of a Rust value, or raw bytes.
//!
//! # Safety
//!
//! This module reads headers and payloads that another process wrote. Header fields are numbers
//! of which every value is harmless; payloads are validated before a reference to them is given.

#![allow(unsafe_code)]

pub mod clock;
mod extension;
pub mod lifecycle;
mod payload;
pub mod schema;
pub mod subject;

pub use clock::Timestamp;
pub(crate) use extension::extension_len;
pub use extension::{Extension, ExtensionTooLong, ExtensionView};
pub(crate) use payload::Encoder;
pub use payload::{Archive, EventError, check};
use schema::Schema;

/// Bytes from the start of a record's body to the payload (the commit word is the ring's).
pub(crate) const HEADER_BYTES: usize = 24;

/// The tag of a record that is about no subject.
pub(crate) const NO_SUBJECT: u32 = 0;

/// The alignment of every payload.
pub const PAYLOAD_ALIGN: usize = 32;

/// Where the body of a copied record starts, so that its payload is aligned as in a ring: behind the
/// place of the commit word.
pub(crate) const COPY_START: usize = PAYLOAD_ALIGN - HEADER_BYTES;

/// The schema of an event that is raw bytes.
pub const RAW_SCHEMA: u64 = 0;

/// A type that can be sent as an event. Derive it.
///
/// ```
/// use ephapse::rkyv::{Archive, Serialize};
/// use ephapse::Event;
///
/// #[derive(Event, Archive, Serialize)]
/// struct Pose {
///     stamp_ns: u64,
///     position: [f64; 3],
///     heading: f32,
/// }
/// assert_ne!(Pose::SCHEMA, 0);
/// assert_eq!(Pose::NAME, "Pose");
/// ```
pub trait Event: Schema + Archive {
    /// The name that goes into the schema: the type's own, or `#[event(name = "…")]`.
    const NAME: &'static str;
    /// The version that goes into the schema: 1, or `#[event(version = …)]`.
    const VERSION: u32;
    /// The 64-bit hash of name, version and layout that every event carries.
    const SCHEMA: u64 = {
        let schema = Self::LAYOUT.hash(Self::NAME, Self::VERSION);
        assert!(schema != RAW_SCHEMA, "this schema hashes to 0; change the version");
        schema
    };
}

/// The words of a header.
pub(crate) const SEQUENCE: usize = 0;
pub(crate) const SCHEMA: usize = 1;
pub(crate) const TIMESTAMP: usize = 2;

/// The header of an event, without the commit word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub sequence: u64,
    pub schema: u64,
    /// Ticks of the host's counter; 0 without a timestamp.
    pub timestamp: u64,
}

impl Header {
    /// Writes the header at the start of a loaned body.
    #[inline(always)]
    pub(crate) fn write(self, body: &mut [u8]) {
        let (header, _) = body.split_at_mut(HEADER_BYTES);
        header[0..8].copy_from_slice(&self.sequence.to_le_bytes());
        header[8..16].copy_from_slice(&self.schema.to_le_bytes());
        header[16..24].copy_from_slice(&self.timestamp.to_le_bytes());
    }

    /// Reads one word of the header of a body of at least [`HEADER_BYTES`].
    ///
    /// # Safety
    ///
    /// `body` must point to that many readable bytes, aligned to eight.
    #[inline(always)]
    pub(crate) unsafe fn read_word(body: *const u8, word: usize) -> u64 {
        // SAFETY: inside of the header, by the caller's promise.
        let word = unsafe { body.cast::<u64>().add(word) };
        // SAFETY: readable and aligned; volatile, because it is read once, whatever the other
        // process may do to it, and only the value is used.
        u64::from_le(unsafe { word.read_volatile() })
    }
}
