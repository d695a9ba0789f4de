//! A thread that sleeps while there is nothing for it to do, and those who have something.

use crate::segment::Process;
use crate::sync::{AtomicU64, Ordering, full_fence};
use parking_lot::{Condvar, Mutex};

/// Where one thread parks.
pub(crate) struct Parking {
    /// 1 while the thread is parked, or about to be.
    parked: AtomicU64,
    lock: Mutex<()>,
    unparked: Condvar,
}

impl Parking {
    pub(crate) const fn new() -> Self {
        Self { parked: AtomicU64::new(0), lock: Mutex::new(()), unparked: Condvar::new() }
    }

    /// There is something to do, and a full fence was executed since it can be found: the thread
    /// must look.
    #[inline]
    pub(crate) fn unpark(&self) {
        // SYNC(park): the fence before this load pairs with the one in `park`: one of the two sides
        // sees what the other has stored. Relaxed: the fences order it.
        if self.parked.load(Ordering::Relaxed) == 1 {
            self.unpark_slowly();
        }
    }

    #[cold]
    fn unpark_slowly(&self) {
        let _lock = self.lock.lock();
        // Relaxed: read and written under the lock, or before a fence.
        self.parked.store(0, Ordering::Relaxed);
        self.unparked.notify_one();
    }

    /// Waits for [`unpark`](Self::unpark), unless `look` finds something to do.
    pub(crate) fn park(&self, look: impl FnOnce() -> bool) {
        // Relaxed: the fence orders it.
        self.parked.store(1, Ordering::Relaxed);
        // SYNC(park): pairs with the fence before the look in `unpark`.
        full_fence();
        if look() {
            // Relaxed: who still sees the old value takes the lock for nothing.
            return self.parked.store(0, Ordering::Relaxed);
        }
        let mut lock = self.lock.lock();
        // Relaxed: changed under the lock.
        self.unparked.wait_while(&mut lock, |()| self.parked.load(Ordering::Relaxed) == 1);
    }
}

/// Starts `serve` in a thread of this process, unless it has one already: `served_by` says whose
/// it has. `None` if there is none to be had, otherwise whether it is new, as in a forked child,
/// which has its parent's memory and not its threads.
pub(crate) fn start_once(
    served_by: &mut Option<Process>,
    name: &str,
    parking: &Parking,
    serve: fn(),
) -> Option<bool> {
    let this = Process::current();
    if *served_by == Some(this) {
        return Some(false);
    }
    // Relaxed: the new thread starts with it.
    parking.parked.store(0, Ordering::Relaxed);
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Signals are the program's own threads' business; this cannot fail with a full set.
        let _ = nix::sys::signal::SigSet::all().thread_block();
        serve();
    });
    *served_by = thread.is_ok().then_some(this);
    served_by.map(|_| true)
}
