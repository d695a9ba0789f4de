//! The ring: a sequence of records in shared memory with one writer and any number of readers.
//!
//! # Safety
//!
//! This module dereferences memory that other processes write. What it relies on is the contract
//! of [`Memory`]; what it promises is that no value read from that memory, whatever it is, leads
//! to an access outside of it.
//!
//! # The protocol
//!
//! A record starts at a multiple of 64 bytes with its **commit word**: length of the body, kind,
//! and a tag for the layer above, all in eight bytes. Zero means *not yet*.
//!
//! ```text
//!   position p                                   position p + stride
//!   ┌────────────┬──────────────────────────┬────┬────────────┬─────
//!   │ commit word│ body (length bytes)      │ …  │ 0          │ old bytes
//!   └────────────┴──────────────────────────┴────┴────────────┴─────
//!         ▲ stored last, with release              ▲ zeroed first
//! ```
//!
//! The writer zeroes the word *after* the record, fills the record, then stores its commit word.
//! A reader polls the commit word at its own position: the one cache line that brings the signal
//! brings a small event with it. Whatever the reader finds at its position is therefore either
//! zero or a committed record: a writer that dies in between leaves nothing half-visible.
//!
//! - The data region is mapped twice in a row, so a body never wraps.
//! - **Gating** readers publish their position in a word of their own, which the writer can only
//!   read; the writer keeps the lowest of them and looks again when it runs out.
//! - **Lossy** readers are not waited for. Before the writer writes, it has announced in the
//!   ring's header how far it may go (`claim`); what is read counts only if the claim, looked at
//!   afterwards, has not come within its reach.
//! - A [`Reader`] is gating and reads in place. A [`Follower`] copies records out and is either; as
//!   it always looks at the claim, the writer can give up a gating one that is too slow.
//! - A ring that is closed ends with a record of a kind of its own. There is always room for it:
//!   the word at the writer's position is never in use by anything else.
//!
//! The idea of the commit word in the record is Aeron's; of the announced intent, Aeron's
//! broadcast transmitter's; of the cached limit, the Disruptor's; the double mapping is an old
//! trick of audio ring buffers. Zeroing ahead and a claim in chunks are what makes them one ring
//! with both kinds of readers.

#![allow(unsafe_code)]

mod batch;
mod error;
mod follower;
mod gate;
#[cfg(any(test, ephapse_model))]
pub(crate) mod heap;
pub mod layout;
mod loan;
mod memory;
#[cfg(all(test, ephapse_model))]
mod model;
mod progress;
mod reader;
mod room;
#[cfg(all(test, not(ephapse_model)))]
mod tests;
mod writer;

pub use batch::{Batch, BatchLoan};
pub use error::RingError;
pub use follower::{FollowError, Follower};
pub use gate::{JOINING, LEFT, Position, RoomWait};
pub use layout::{CommitWord, Kind};
pub use loan::Loan;
pub use memory::Memory;
pub use progress::Fencing;
pub use reader::{Reader, Record, RecordError};
pub use writer::Writer;
