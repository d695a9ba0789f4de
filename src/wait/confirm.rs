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

use super::ring::ring_certain;
use crate::ring::Position;
use crate::segment::Process;
use crate::sync::{AtomicU64, Ordering, full_fence, global_fence};
use parking_lot::{Condvar, Mutex};
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

/// Something that is to be done soon, but not at once and not by who has noticed it.
pub(crate) trait Chore: Send + Sync {
    /// Does it, if there is something to do; whether there was.
    fn run(&self) -> bool;
}

struct Doorbells {
    /// The process whose thread looks at them.
    served_by: Option<Process>,
    all: Vec<Weak<Sleeper>>,
    chores: Vec<Weak<dyn Chore>>,
}

static DOORBELLS: Mutex<Doorbells> =
    Mutex::new(Doorbells { served_by: None, all: Vec::new(), chores: Vec::new() });
static ARMED: Condvar = Condvar::new();

/// 1 while the thread is parked, or about to be.
static PARKED: AtomicU64 = AtomicU64::new(0);

/// Has the thread look after a doorbell for as long as it lives, and starts the thread if it does
/// not run yet; `false` if there is none to be had.
pub(super) fn watch(sleeper: &Arc<Sleeper>) -> bool {
    let mut doorbells = DOORBELLS.lock();
    let is_served = doorbells.is_served();
    doorbells.all.retain(|known| known.strong_count() > 0);
    doorbells.all.push(Arc::downgrade(sleeper));
    is_served
}

/// Has the thread do a chore for as long as it lives; `false` if there is no thread to be had.
pub(crate) fn take_on(chore: Weak<dyn Chore>) -> bool {
    let mut doorbells = DOORBELLS.lock();
    let is_served = doorbells.is_served();
    doorbells.chores.retain(|known| known.strong_count() > 0);
    doorbells.chores.push(chore);
    is_served
}

impl Doorbells {
    /// Whether there is a thread; starts it if it does not run yet.
    fn is_served(&mut self) -> bool {
        let this = Process::current();
        if self.served_by == Some(this) {
            return true;
        }
        // A forked child has its parent's lists, and not its thread.
        self.all.clear();
        self.chores.clear();
        // Relaxed: the new thread starts with it.
        PARKED.store(0, Ordering::Relaxed);
        let thread = std::thread::Builder::new().name("ephapse-fence".to_owned());
        self.served_by = thread.spawn(serve).is_ok().then_some(this);
        self.served_by.is_some()
    }
}

/// A doorbell has been armed, or there is a chore, and a full fence was executed: the thread must
/// look.
#[inline]
pub(crate) fn armed() {
    // SYNC(park): the fence before this load pairs with the one in `park`: one of the two sides
    // sees what the other has stored. Relaxed: the fences order it.
    if PARKED.load(Ordering::Relaxed) == 1 {
        unpark();
    }
}

#[cold]
fn unpark() {
    let _doorbells = DOORBELLS.lock();
    // Relaxed: read and written under the lock, or before a fence.
    PARKED.store(0, Ordering::Relaxed);
    ARMED.notify_one();
}

fn serve() {
    // Signals are the program's own threads' business; this cannot fail with a full set.
    let _ = nix::sys::signal::SigSet::all().thread_block();
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
            park();
            idle_looks = 0;
        }
        // Sleep: how long a doorbell must have been armed to be worth the fence.
        std::thread::sleep(NAP);
    }
}

/// Whether a doorbell is armed and not confirmed; those that were so at the last look go to `late`.
fn look(late: &mut Vec<(Arc<Sleeper>, u64)>) -> bool {
    // Run without the lock: a chore may take its time.
    let chores = DOORBELLS.lock().chores.clone();
    let mut any = false;
    for chore in chores.iter().filter_map(Weak::upgrade) {
        any |= chore.run();
    }
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

/// Waits until a doorbell is armed, unless one is.
fn park() {
    // Relaxed: the fence orders it.
    PARKED.store(1, Ordering::Relaxed);
    // SYNC(park): pairs with the fence before the look in `armed`.
    full_fence();
    if look(&mut Vec::new()) {
        // Relaxed: a doorbell that still sees the old value takes the lock for nothing.
        return PARKED.store(0, Ordering::Relaxed);
    }
    let mut doorbells = DOORBELLS.lock();
    // Relaxed: changed under the lock.
    ARMED.wait_while(&mut doorbells, |_| PARKED.load(Ordering::Relaxed) == 1);
}
