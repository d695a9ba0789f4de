//! The thread that makes sleep certain.
//!
//! The heavy fence of a doorbell that is armed reaches nearly every writer; the global fence
//! reaches all (see `sync`), and takes 8 to 16 ms, in which nobody could wake who called it. So one
//! thread for each process executes it for all doorbells that have been armed for some
//! milliseconds, and then rings for each of them that is armed still: its owner looks once more.
//!
//! While doorbells are armed and disarmed the thread looks at them every 2 ms, and a sleeper makes
//! no system call for it, nor sets a timer. When there has been nothing to confirm for some looks
//! it parks, and the next doorbell that is armed wakes it: a process that only sleeps, or only
//! spins, has no timer ticking.

use super::parking::{Parking, start_once};
use super::ring::ring_certain;
use crate::ring::Position;
use crate::segment::Process;
use crate::sync::{AtomicU64, Ordering, global_fence};
use parking_lot::Mutex;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What the thread needs to know of one doorbell.
#[derive(Debug)]
pub(super) struct Sleeper {
    word: Position,
    write_end: OwnedFd,
    /// The last period of sleep for which a global fence was executed.
    confirmed: AtomicU64,
    /// The period at the thread's last look.
    seen: AtomicU64,
}

impl Sleeper {
    pub(super) fn new(word: Position, write_end: OwnedFd) -> Self {
        Self { word, write_end, confirmed: AtomicU64::new(0), seen: AtomicU64::new(0) }
    }

    pub(super) fn write_end(&self) -> BorrowedFd<'_> {
        self.write_end.as_fd()
    }

    pub(super) fn is_confirmed(&self, period: u64) -> bool {
        // SYNC(confirm): pairs with the release in `confirm`.
        self.confirmed.load(Ordering::Acquire) == period
    }

    /// The fence has been executed for `period`: wake the sleeper, unless it is up already.
    pub(super) fn confirm(&self, period: u64) {
        // SYNC(confirm): pairs with the acquire in `is_confirmed`; the fence came before.
        self.confirmed.store(period, Ordering::Release);
        // Relaxed: a sleeper that has just woken up is woken for nothing.
        if self.word.word().load(Ordering::Relaxed) == period {
            ring_certain(&self.write_end);
        }
    }

    /// The period of sleep that is not confirmed, and whether it was there at the last look.
    fn unconfirmed(&self) -> Option<(u64, bool)> {
        // Relaxed: only its own thread changes the word, and `park` has fenced.
        let period = self.word.word().load(Ordering::Relaxed);
        let asleep = !period.is_multiple_of(2) && !self.is_confirmed(period);
        // Relaxed: this thread's own.
        asleep.then(|| (period, self.seen.swap(period, Ordering::Relaxed) == period))
    }
}

/// Between two looks at the doorbells: most sleeps in a conversation are shorter.
const NAP: Duration = Duration::from_millis(2);

/// Looks with nothing to confirm before the thread parks.
const IDLE_LOOKS: u32 = 16;

struct Doorbells {
    /// The process whose thread looks at them.
    served_by: Option<Process>,
    all: Vec<Weak<Sleeper>>,
}

static DOORBELLS: Mutex<Doorbells> = Mutex::new(Doorbells { served_by: None, all: Vec::new() });
static PARKING: Parking = Parking::new();

/// Has the thread look after a doorbell for as long as it lives, and starts the thread if it does
/// not run yet; `false` if there is none to be had.
pub(super) fn watch(sleeper: &Arc<Sleeper>) -> bool {
    let mut doorbells = DOORBELLS.lock();
    let is_served = doorbells.is_served();
    doorbells.all.retain(|known| known.strong_count() > 0);
    doorbells.all.push(Arc::downgrade(sleeper));
    is_served
}

impl Doorbells {
    /// Whether there is a thread; starts it if it does not run yet.
    fn is_served(&mut self) -> bool {
        let started = start_once(&mut self.served_by, "ephapse-fence", &PARKING, serve);
        if started != Some(false) {
            self.all.clear();
        }
        started.is_some()
    }
}

/// A doorbell has been armed, and a full fence was executed: the thread must look.
#[inline]
pub(super) fn armed() {
    PARKING.unpark();
}

fn serve() {
    let mut late = Vec::new();
    let mut idle_looks = 0;
    loop {
        idle_looks = if look(&mut late) { 0 } else { idle_looks + 1 };
        if !late.is_empty() {
            global_fence();
            late.drain(..).for_each(|(sleeper, period): (Arc<Sleeper>, u64)| {
                sleeper.confirm(period);
            });
        } else if idle_looks >= IDLE_LOOKS {
            PARKING.park(|| look(&mut Vec::new()));
            idle_looks = 0;
        }
        // Sleep: how long a doorbell must have been armed to be worth the fence.
        std::thread::sleep(NAP);
    }
}

/// Whether a doorbell is armed and not confirmed; those that were so at the last look go to `late`.
fn look(late: &mut Vec<(Arc<Sleeper>, u64)>) -> bool {
    let mut any = false;
    for sleeper in DOORBELLS.lock().all.iter().filter_map(Weak::upgrade) {
        if let Some((period, is_late)) = sleeper.unconfirmed() {
            any = true;
            if is_late {
                late.push((sleeper, period));
            }
        }
    }
    any
}
