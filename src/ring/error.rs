//! Why a record could not be written.

use thiserror::Error;

/// Why a record could not be written. Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RingError {
    /// A gating reader has not read far enough. Try again when it has.
    #[error("the ring is full: its slowest reader has not made room yet")]
    Full,
    /// The record can never fit.
    #[error(
        "{len} bytes do not fit into a record: this ring of {capacity} bytes takes at most {max}; \
         open the link with a larger capacity"
    )]
    TooLarge {
        /// Bytes asked for.
        len: usize,
        /// Bytes that the longest record of this ring takes.
        max: usize,
        /// Bytes of the ring.
        capacity: usize,
    },
    /// A reader's position cannot be true. It is no longer waited for.
    #[error("reader {id} says that it is at {claimed}, which is not between {low} and {high}")]
    ReaderLied {
        /// The id under which the reader was added.
        id: u64,
        /// What it says.
        claimed: u64,
        /// The last position that was believable.
        low: u64,
        /// The writer's own position.
        high: u64,
    },
    /// A reader has left. It is no longer waited for.
    #[error("reader {id} has left")]
    ReaderLeft {
        /// The id under which the reader was added.
        id: u64,
    },
    /// The ring has been closed by its writer.
    #[error("the ring is closed")]
    Closed,
}
