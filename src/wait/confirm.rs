//! The thread that executes global fences for those who sleep.
//!
//! A global fence takes 8 to 16 ms, in which nobody could wake who called it. So one thread for
//! each process calls it for all of its sleepers together, and then rings for each of them that
//! still sleeps.

use super::ring::ring;
use crate::ring::Position;
use crate::segment::Process;
use crate::sync::{AtomicU64, Ordering, global_fence};
use parking_lot::{Condvar, Mutex};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// What the thread needs to know of one doorbell.
#[derive(Debug)]
pub(super) struct Sleeper {
    word: Position,
    write_end: OwnedFd,
    /// The last period of sleep for which a global fence was executed.
    confirmed: AtomicU64,
}

impl Sleeper {
    pub(super) fn new(word: Position, write_end: OwnedFd) -> Self {
        Self { word, write_end, confirmed: AtomicU64::new(0) }
    }

    pub(super) fn write_end(&self) -> BorrowedFd<'_> {
        self.write_end.as_fd()
    }

    pub(super) fn is_confirmed(&self, period: u64) -> bool {
        // SYNC(confirm): pairs with the release in `confirm`.
        self.confirmed.load(Ordering::Acquire) == period
    }

    /// The fence has been executed for `period`: wake the sleeper, unless it is up already.
    fn confirm(&self, period: u64) {
        // SYNC(confirm): pairs with the acquire in `is_confirmed`; the fence came before.
        self.confirmed.store(period, Ordering::Release);
        // Relaxed: a sleeper that has just woken up is woken for nothing.
        if self.word.word().load(Ordering::Relaxed) == period {
            ring(&self.write_end);
        }
    }
}

/// Doorbells for which there is room from the start.
const SLEEPERS: usize = 64;

struct Requests {
    /// The process whose thread serves this queue.
    served_by: Option<Process>,
    waiting: Vec<(Arc<Sleeper>, u64)>,
}

static REQUESTS: Mutex<Requests> = Mutex::new(Requests { served_by: None, waiting: Vec::new() });
static ARRIVED: Condvar = Condvar::new();

/// Starts this process's thread, if it does not run yet; `false` if there is none to be had.
pub(super) fn start() -> bool {
    let this = Process::current();
    let mut requests = REQUESTS.lock();
    if requests.served_by == Some(this) {
        return true;
    }
    // In a forked child the queue may hold what its parent asked for.
    requests.waiting = Vec::with_capacity(SLEEPERS);
    let thread = std::thread::Builder::new().name("ephapse-fence".to_owned());
    let started = thread.spawn(serve).is_ok();
    requests.served_by = started.then_some(this);
    started
}

/// Has the global fence executed, and `sleeper` rung for its `period` of sleep.
pub(super) fn ask(sleeper: &Arc<Sleeper>, period: u64) {
    if !start() {
        // Execute it here, and be deaf for some milliseconds.
        global_fence();
        return sleeper.confirm(period);
    }
    REQUESTS.lock().waiting.push((Arc::clone(sleeper), period));
    ARRIVED.notify_one();
}

fn serve() {
    // Signals are the program's own threads' business; this cannot fail with a full set.
    let _ = nix::sys::signal::SigSet::all().thread_block();
    let mut served = Vec::with_capacity(SLEEPERS);
    loop {
        {
            let mut requests = REQUESTS.lock();
            ARRIVED.wait_while(&mut requests, |requests| requests.waiting.is_empty());
            // Both lists keep their memory: to go to sleep allocates nothing.
            std::mem::swap(&mut requests.waiting, &mut served);
        }
        global_fence();
        for (sleeper, period) in served.drain(..) {
            sleeper.confirm(period);
        }
    }
}
