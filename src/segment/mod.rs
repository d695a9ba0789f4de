//! Sealed shared memory: create, seal, pass, map.
//!
//! # Safety
//!
//! This module owns every mapping. A `Mapping` is a range of addresses that stays mapped until
//! it is dropped, whose size the kernel has promised never to change (the seals), so that no
//! access inside it can fault. Words in it are only ever accessed as atomics; see `ring::Memory`
//! for what is promised of record bodies. (One mapping is of a file with a name, which nothing
//! seals: `flight` says what that means.)
//!
//! # The rule
//!
//! Every byte has one process that may write it. The creator maps the memfd for writing and then
//! seals it against any new writable mapping, any write, and any change of size. Whoever receives
//! the descriptor can map it for reading only, and verifies all of that before it maps.

#![allow(unsafe_code)]

mod counters;
mod cursors;
mod descriptions;
mod file;
mod flight;
mod fork;
pub(crate) mod futex;
mod header;
mod histogram;
mod mapping;
mod ring;
mod table;
mod text;

pub use counters::{Counters, CountersView};
pub use cursors::{Cursors, PeerCursors};
pub use descriptions::Description;
pub use file::SegmentError;
pub use flight::{FlightFile, FlightView, Trouble};
pub use fork::Process;
pub use header::{Feature, SegmentKind};
pub use histogram::{Histogram, Times};
pub use ring::{RingMemory, RingOptions, SharedRing};
pub use table::Counter;
pub use text::Owner;

pub(crate) use counters::{COUNTERS_NAME, counters_bytes};
pub(crate) use text::shorten_path;
