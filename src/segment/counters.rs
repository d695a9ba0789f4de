//! The counters of one hub: a segment that the hub writes and whoever gets hold of the descriptor
//! can read, without the hub's help and while it stands still.

use super::descriptions::{self, Description, Descriptions};
use super::file::{self, SegmentError};
use super::header::{Header, SegmentKind};
use super::histogram::{Histogram, Times};
use super::mapping::{Access, Mapping, page_size};
use super::table::{Counter, Rows, Table, bytes_with_buckets};
use super::text::Owner;
use crate::limits::{COUNTERS_MAX, DESCRIPTIONS_BYTES};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The memfd's name, by which it is found.
pub(crate) const COUNTERS_NAME: &str = "ephapse-counters";

/// Where what is said of types begins.
const DESCRIPTIONS: usize = bytes_with_buckets(COUNTERS_MAX);

/// Bytes of the segment, of which as many pages exist as are used.
pub(crate) fn counters_bytes() -> usize {
    (DESCRIPTIONS + DESCRIPTIONS_BYTES).next_multiple_of(page_size())
}

/// The counters of this hub.
#[derive(Debug, Clone)]
pub struct Counters {
    rows: Arc<Rows>,
    descriptions: Arc<Descriptions>,
    file: Arc<OwnedFd>,
}

impl Counters {
    /// Creates and seals the segment. It can be found until this and its clones are dropped.
    ///
    /// # Errors
    ///
    /// [`SegmentError::Kernel`]; nothing stays behind.
    pub fn create(owner: &Owner) -> Result<Self, SegmentError> {
        let bytes = counters_bytes();
        let file = file::create(COUNTERS_NAME, bytes, false)?;
        let mapping = Mapping::new(&file, bytes, bytes, Access::Write)?;
        owner.write(&mapping);
        let (kind, capacity) = (SegmentKind::Counters, COUNTERS_MAX as u64);
        Header { kind, capacity, features: 0, start: 0 }.write(&mapping);
        // It can be found before it is sealed; who finds it then passes it over.
        file::seal(&file, bytes)?;
        let mapping = Arc::new(mapping);
        let descriptions = Arc::new(Descriptions::new(Arc::clone(&mapping), DESCRIPTIONS));
        Ok(Self { rows: Rows::new(mapping, COUNTERS_MAX), descriptions, file: Arc::new(file) })
    }

    /// A counter that begins with 0, labelled with at most 112 bytes of text. When there is no room
    /// for more it counts for nobody, and `counters.dropped` says how many such there have been.
    #[must_use]
    pub fn counter(&self, label: &str) -> Counter {
        self.rows.counter(label)
    }

    /// A histogram of times, in the same way, with `.latency` behind its label.
    #[must_use]
    pub fn times(&self, label: &str) -> Times {
        Times::new(&self.rows, label)
    }

    /// Adds one counter to another, and leaves 0 in it: who sums both up sees the same as before.
    pub fn fold(&self, from: &Counter, into: &Counter) {
        self.rows.fold(from, into);
    }

    /// Whether that has been said of a schema, or there was no room for it.
    #[must_use]
    pub fn has_described(&self, id: u64) -> bool {
        self.descriptions.has(id)
    }

    /// Says what events of a schema are, unless that has been said; whether there was room for it.
    /// Without room it is `false` once for each schema.
    #[must_use]
    pub fn describe(&self, id: u64, name: &str, version: u32, layout: &str) -> bool {
        self.descriptions.add(id, name, version, layout)
    }

    /// The hub has left: its counters are of no more interest.
    pub fn end(&self) {
        self.rows.end();
    }

    /// All labels and values, in the order in which they were made or took the place of others.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        self.rows.table().read_all()
    }

    /// All labels and histograms of times.
    #[must_use]
    pub fn latencies(&self) -> Vec<(String, Histogram)> {
        latencies(self.rows.table())
    }
}

impl AsFd for Counters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The counters of another hub, which only that hub can write.
#[derive(Debug)]
pub struct CountersView {
    table: Table,
    owner: Owner,
}

impl CountersView {
    /// Maps the counters of another hub, after verifying seals, size and header.
    ///
    /// # Errors
    ///
    /// [`SegmentError`]; nothing stays mapped.
    pub fn open(file: &OwnedFd) -> Result<Self, SegmentError> {
        let bytes = counters_bytes();
        file::verify(file, bytes, false)?;
        let mapping = Mapping::new(file, bytes, bytes, Access::Read)?;
        let header = Header::read(&mapping, SegmentKind::Counters)?;
        if header.capacity != COUNTERS_MAX as u64 {
            let (found, min, max) = (header.capacity, COUNTERS_MAX, COUNTERS_MAX);
            return Err(SegmentError::WrongCapacity { found, min, max });
        }
        let owner = Owner::read(&mapping)?;
        Ok(Self { table: Table { mapping: Arc::new(mapping), rows: COUNTERS_MAX }, owner })
    }

    /// Whose they are, as it says itself.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether the hub has left, and only what it published with is still there.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.table.is_over()
    }

    /// What it says of the types that it publishes; nothing of it has been checked.
    #[must_use]
    pub fn descriptions(&self) -> Vec<Description> {
        descriptions::read(&self.table.mapping, DESCRIPTIONS)
    }

    /// All labels and values. A row that is being changed by a hub that was stopped at that moment
    /// is left out.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, u64)> {
        self.table.read_all()
    }

    /// All labels and histograms of times, as far as they stay as they are.
    #[must_use]
    pub fn latencies(&self) -> Vec<(String, Histogram)> {
        latencies(&self.table)
    }
}

fn latencies(table: &Table) -> Vec<(String, Histogram)> {
    let all = table.read_times().into_iter();
    all.map(|(label, counts)| (label, Histogram::of(counts))).collect()
}

#[cfg(test)]
mod tests;
