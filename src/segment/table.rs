//! A table of labelled counters in memory that one process writes and others may read.
//!
//! A row is two cache lines: a number that changes with its label, the value, the label. Where the
//! number is odd, the label is being changed; who finds the same even number before and after has
//! read a label with its own value. Values change without any of that: a count is one plain load
//! and one plain store. A row may have buckets, which lie behind all rows.

use super::mapping::{Access, Mapping};
use super::text::{FOLDS, OVER, ROWS, USED, decode, shorten, store};
use crate::limits::{COUNTER_LABEL_MAX, HISTOGRAM_BUCKETS, LINE};
use core::sync::atomic::{AtomicU64, Ordering, fence};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Where value and label lie in a row, behind its number.
const VALUE: usize = 8;
const LABEL: usize = 16;

/// Bytes of a row.
const ROW: usize = 2 * LINE;

/// Bytes of a row's buckets.
const BUCKETS: usize = 8 * HISTOGRAM_BUCKETS;

const _: () = assert!(LABEL + COUNTER_LABEL_MAX == ROW && ROWS.is_multiple_of(LINE));
const _: () = assert!(BUCKETS.is_power_of_two() && BUCKETS <= 4096);

/// The row that counts the counters for which there was no row, and the one that they share.
const DROPPED: u32 = 0;
pub(super) const SHARED: u32 = 1;

/// How the labels of rows end that have buckets.
pub(super) const TIMES: &str = ".latency";

/// Rows that were given back are left alone until there are so many of them: a reader that is slow
/// finds them empty for as long as possible.
const QUARANTINE: usize = 64;

/// How often a reader looks again when it has met a change. A writer that was stopped in the
/// middle of one must not stop its readers.
const LOOKS: u32 = 100;

/// Bytes of a table of so many counters, with what stands before it, without buckets.
pub(super) const fn bytes_of(rows: usize) -> usize {
    ROWS + rows * ROW
}

/// The same with buckets, none of which lies in two pages.
pub(super) const fn bytes_with_buckets(rows: usize) -> usize {
    bytes_of(rows).next_multiple_of(BUCKETS) + rows * BUCKETS
}

/// One side's view of a table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) mapping: Arc<Mapping>,
    pub(super) rows: usize,
}

impl Table {
    fn word(&self, row: u32, offset: usize) -> &AtomicU64 {
        self.mapping.word(ROWS + row as usize * ROW + offset)
    }

    /// Gives a row a label, or takes it away; its value is 0 then. Called under the lock.
    fn relabel(&self, row: u32, label: &str) {
        let number = self.word(row, 0);
        // Relaxed: changed under the lock.
        let before = number.load(Ordering::Relaxed);
        number.store(before.wrapping_add(1), Ordering::Relaxed);
        // SYNC(row): pairs with the acquire fence in `read`: who sees what follows sees that the
        // row is being changed. (Another thread's counts are seen after what it was told before:
        // on our processors a store becomes visible to all others at once.)
        fence(Ordering::Release);
        self.word(row, VALUE).store(0, Ordering::Relaxed);
        store(&self.mapping, ROWS + row as usize * ROW + LABEL, COUNTER_LABEL_MAX, label);
        // SYNC(row): pairs with the acquire in `read`.
        number.store(before.wrapping_add(2), Ordering::Release);
    }

    /// One of the buckets of a row, of a table that has some.
    pub(super) fn bucket(&self, row: u32, bucket: usize) -> &AtomicU64 {
        let start = bytes_of(self.rows).next_multiple_of(BUCKETS);
        self.mapping.word(start + row as usize * BUCKETS + 8 * bucket)
    }

    /// A row's label and value, and what else is read of it meanwhile; `None` if it has no label,
    /// or does not stay as it is.
    fn read<T>(&self, row: u32, more: impl Fn() -> T) -> Option<(String, u64, T)> {
        for look in 0..LOOKS {
            // SYNC(row): pairs with the release at the end of `relabel`.
            let before = self.word(row, 0).load(Ordering::Acquire);
            // Relaxed: the fence orders them.
            let value = self.word(row, VALUE).load(Ordering::Relaxed);
            let label: [u64; COUNTER_LABEL_MAX / 8] =
                core::array::from_fn(|at| self.word(row, LABEL + 8 * at).load(Ordering::Relaxed));
            let more = more();
            // SYNC(row): pairs with the release fence in `relabel`.
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.word(row, 0).load(Ordering::Relaxed) == before {
                return Some((decode(label.into_iter())?, value, more));
            }
            pause(look);
        }
        None
    }

    /// The rows that have been used. Those below are complete.
    pub(super) fn used(&self) -> u32 {
        // SYNC(used): pairs with the release in `Rows::unused`.
        self.mapping.word(USED).load(Ordering::Acquire).min(self.rows as u64) as u32
    }

    /// All labels and values but those of times, in the order of the rows. What has been folded into
    /// something else meanwhile is counted once.
    pub(super) fn read_all(&self) -> Vec<(String, u64)> {
        let folds = self.mapping.word(FOLDS);
        let mut all = Vec::new();
        let row = |row| {
            let (label, value, ()) = self.read(row, || ())?;
            (!is_of_times(&label)).then_some((label, value))
        };
        for look in 0..LOOKS {
            // SYNC(fold): pairs with the release at the end of `Counters::fold`.
            let before = folds.load(Ordering::Acquire);
            all = (0..self.used()).filter_map(row).collect();
            // SYNC(fold): pairs with the release fence in `Counters::fold`.
            fence(Ordering::Acquire);
            // Relaxed: the fence orders it.
            if before.is_multiple_of(2) && folds.load(Ordering::Relaxed) == before {
                break;
            }
            pause(look);
        }
        all
    }

    /// All labels and buckets of times, in the order of the rows.
    pub(super) fn read_times(&self) -> Vec<(String, [u64; HISTOGRAM_BUCKETS])> {
        let times = |row| {
            let (label, _, ()) = self.read(row, || ())?;
            is_of_times(&label).then_some(())?;
            // Relaxed: the fence orders them.
            let bucket = |at| self.bucket(row, at).load(Ordering::Relaxed);
            let (label, _, buckets) = self.read(row, || core::array::from_fn(bucket))?;
            is_of_times(&label).then_some((label, buckets))
        };
        (0..self.used()).filter_map(times).collect()
    }

    /// Whether what is counted here has come to its end.
    pub(super) fn is_over(&self) -> bool {
        // Relaxed: it stands alone.
        self.mapping.word(OVER).load(Ordering::Relaxed) != 0
    }
}

/// Whether a row has buckets. Its label says so.
fn is_of_times(label: &str) -> bool {
    label.ends_with(TIMES)
}

fn pause(look: u32) {
    if look < LOOKS / 2 { std::hint::spin_loop() } else { std::thread::yield_now() }
}

/// The writer's side of a table.
#[derive(Debug)]
pub(super) struct Rows {
    table: Table,
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Free {
    /// All stays as it is, also when its counters are dropped.
    frozen: bool,
    /// Rows that were given back, the oldest first.
    returned: VecDeque<u32>,
    /// The first that was never given out.
    next: u32,
}

impl Rows {
    /// An empty table in a mapping of zeros.
    pub(super) fn new(mapping: Arc<Mapping>, rows: usize) -> Arc<Self> {
        debug_assert!(mapping.access == Access::Write && rows > SHARED as usize);
        let table = Table { mapping, rows };
        let free = Mutex::new(Free { frozen: false, returned: VecDeque::new(), next: SHARED + 1 });
        table.relabel(DROPPED, "counters.dropped");
        // Relaxed: nobody else has seen the table.
        table.mapping.word(USED).store(u64::from(SHARED) + 1, Ordering::Relaxed);
        Arc::new(Self { table, free })
    }

    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    pub(super) fn is_ours(&self) -> bool {
        self.table.mapping.process.is_current()
    }

    /// A counter with this label; if there is no row left, one that counts for nobody.
    pub(super) fn counter(self: &Arc<Self>, label: &str) -> Counter {
        let mut free = self.free.lock();
        let row = self.unused(&mut free).unwrap_or(SHARED);
        if row == SHARED {
            let dropped = self.table.word(DROPPED, VALUE);
            // Relaxed: changed under the lock.
            dropped.store(dropped.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            self.table.relabel(row, &shorten(label, COUNTER_LABEL_MAX));
        }
        drop(free);
        let word = core::ptr::from_ref(self.table.word(row, VALUE));
        Counter { word, row, rows: Arc::clone(self) }
    }

    fn unused(&self, free: &mut Free) -> Option<u32> {
        if (free.next as usize) < self.table.rows && free.returned.len() < QUARANTINE {
            free.next += 1;
            // SYNC(used): pairs with the acquire in `Table::read_all`. (Until it has its label the
            // row is empty.)
            self.table.mapping.word(USED).store(u64::from(free.next), Ordering::Release);
            return Some(free.next - 1);
        }
        free.returned.pop_front()
    }

    /// Adds one counter to another, and leaves 0 in it.
    pub(super) fn fold(&self, from: &Counter, into: &Counter) {
        if from.row == SHARED || !self.is_ours() {
            return;
        }
        let _free = self.free.lock();
        let folds = self.table.mapping.word(FOLDS);
        // Relaxed: changed under the lock.
        let before = folds.load(Ordering::Relaxed);
        folds.store(before.wrapping_add(1), Ordering::Relaxed);
        // SYNC(fold): pairs with the acquire fence in `Table::read_all`.
        fence(Ordering::Release);
        into.add(from.get());
        from.set(0);
        // SYNC(fold): pairs with the acquire in `Table::read_all`.
        folds.store(before.wrapping_add(2), Ordering::Release);
    }

    /// From now on rows keep their labels and values, also when their counters are dropped.
    pub(super) fn freeze(&self) {
        self.free.lock().frozen = true;
    }

    /// What is counted here has come to its end; others need not look any more.
    pub(super) fn end(&self) {
        if self.is_ours() {
            // Relaxed: it stands alone.
            self.table.mapping.word(OVER).store(1, Ordering::Relaxed);
        }
    }
}

/// One counter: a pointer to its value. Dropping it takes its label out of the table.
///
/// Counts are exact if one thread at a time counts; two at once lose some, and nothing else. Not to
/// be used in a forked child of the process that made it, where the memory is not there.
///
/// Invariant: `word` is the value of row `row` of `rows`.
pub struct Counter {
    word: *const AtomicU64,
    pub(super) row: u32,
    pub(super) rows: Arc<Rows>,
}

// SAFETY: the word is an atomic in memory that `rows` keeps mapped; the pointer never changes.
unsafe impl Send for Counter {}
// SAFETY: as above; all access is through `&AtomicU64`.
unsafe impl Sync for Counter {}

impl Counter {
    #[inline(always)]
    fn word(&self) -> &AtomicU64 {
        // SAFETY: mapped for as long as `rows` lives, and aligned; all access is atomic.
        unsafe { &*self.word }
    }

    /// Counts so many more, and gives what it says then. A load and a store, about a nanosecond.
    #[inline(always)]
    pub fn add(&self, more: u64) -> u64 {
        // Relaxed: whoever reads it learns a number, and nothing else.
        let now = self.word().load(Ordering::Relaxed).wrapping_add(more);
        self.word().store(now, Ordering::Relaxed);
        now
    }

    /// The same, where other threads count, too, and all do it in this way.
    pub(crate) fn add_with_others(&self, more: u64) {
        // Relaxed: as above.
        self.word().fetch_add(more, Ordering::Relaxed);
    }

    /// Says how many there are. A store.
    #[inline(always)]
    pub fn set(&self, value: u64) {
        // Relaxed: as above.
        self.word().store(value, Ordering::Relaxed);
    }

    /// What it says.
    #[must_use]
    pub fn get(&self) -> u64 {
        // Relaxed: as above.
        self.word().load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its value, which is not there in a forked child.
        f.debug_tuple("Counter").field(&self.row).finish()
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        if self.row == SHARED || !self.rows.is_ours() {
            return;
        }
        let mut free = self.rows.free.lock();
        if !free.frozen {
            self.rows.table.relabel(self.row, "");
            free.returned.push_back(self.row);
        }
    }
}
