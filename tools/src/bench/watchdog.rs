//! Sees to it that nothing is waited for in vain: a thread that sleeps while all goes well.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::control::Control;
use super::halt::{Halt, Stop};

/// What a phase may take, apart from its events.
const PHASE_LIMIT: Duration = Duration::from_secs(20);

/// What one event may take on average: a hundred wake-ups, or half a time slice.
const EVENT_LIMIT: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, Debug)]
enum Watch {
    Nothing,
    Until(Instant),
    Over,
}

#[derive(Debug)]
struct Shared {
    watch: Mutex<Watch>,
    changed: EventFd,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches the other end of `control` from now on. Start it before pinning: it must not share
    /// the processor of those who measure.
    pub(crate) fn start(control: &Control, halt: Halt) -> Result<Watchdog> {
        let changed = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .context("cannot make an eventfd")?;
        let shared = Arc::new(Shared { watch: Mutex::new(Watch::Nothing), changed });
        let socket = control.as_fd().try_clone_to_owned().context("cannot copy a descriptor")?;
        let thread = thread::Builder::new()
            .name("watchdog".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.run(&socket, &halt)
            })
            .context("cannot start a thread")?;
        Ok(Watchdog { shared, thread: Some(thread) })
    }

    /// A phase of so many events begins.
    pub(crate) fn expect(&self, events: u64) {
        self.expect_over(events, Duration::ZERO);
    }

    /// The same, of events that are not sent as fast as it goes, but over so long a time.
    pub(crate) fn expect_over(&self, events: u64, time: Duration) {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        self.shared.set(Watch::Until(Instant::now() + PHASE_LIMIT + EVENT_LIMIT * events + time));
    }

    /// The phase is over.
    pub(crate) fn relax(&self) {
        self.shared.set(Watch::Nothing);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.set(Watch::Over);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn set(&self, watch: Watch) {
        *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
        // It can only fail when it has been rung 2^64 times.
        let _ = self.changed.write(1);
    }

    fn run(&self, socket: &OwnedFd, halt: &Halt) {
        loop {
            let watch = *self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            let timeout = match watch {
                Watch::Over => return,
                Watch::Nothing => PollTimeout::NONE,
                Watch::Until(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return halt.stop(Stop::Stalled);
                    }
                    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
                }
            };
            // The socket is asked for nothing: only its end is reported.
            let mut polled = [
                PollFd::new(self.changed.as_fd(), PollFlags::POLLIN),
                PollFd::new(socket.as_fd(), PollFlags::empty()),
            ];
            let _ = poll(&mut polled, timeout);
            if polled[1].any() == Some(true) {
                return halt.stop(Stop::PeerEnded);
            }
            // Nothing there after a time-out.
            let _ = self.changed.read();
        }
    }
}
