//! The doorbell: its owner's side and its peers' side.

use super::confirm::{self, Sleeper};
use super::ring::{CERTAIN, RING, is_sigpipe_ignored, ring, ring_plainly};
use crate::ring::{Fencing, Position};
use crate::sync::{AtomicU64, Ordering, global_fence, heavy_fence};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::time::TimeSpec;
use nix::unistd::{pipe2, read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a sleep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang, or the deadline has passed: look, and call [`Bell::disarm`].
    Up,
    /// Look once more; if there is still nothing, sleep on.
    LookAgain,
}

/// The reader's side of a doorbell.
#[derive(Debug)]
pub struct Bell {
    word: Position,
    /// Even: awake. Odd: asleep, and each value is one period of sleep.
    period: u64,
    /// The last period of sleep of which it is known that every writer sees it.
    certain: u64,
    /// It was armed, and nothing has been received since.
    slept: bool,
    /// Whether there is a thread that makes sleep certain.
    watched: bool,
    read_end: OwnedFd,
    /// For those who ring. They share what they are given: one of them can make writing to it
    /// block, so we never write to it ourselves.
    given: OwnedFd,
    sleeper: Arc<Sleeper>,
}

impl Bell {
    /// A doorbell whose state peers see in `word`.
    ///
    /// # Errors
    ///
    /// The kernel's: too many open descriptors, or pipes.
    ///
    /// # Panics
    ///
    /// If `word` is another process's.
    pub fn new(word: Position) -> Result<Self, Errno> {
        assert!(word.is_writable(), "a doorbell's state is a word of its owner");
        let (read_end, write_end) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // Whoever is given the write end may open it anew for writing, never for reading.
        fchmod(&write_end, Mode::S_IWUSR | Mode::S_IWGRP | Mode::S_IWOTH)?;
        let given = open_anew(&write_end)?;
        // Relaxed: peers are told of the word later.
        word.word().store(0, Ordering::Relaxed);
        let sleeper = Arc::new(Sleeper::new(word.clone(), write_end));
        let watched = confirm::watch(&sleeper);
        Ok(Self { word, period: 0, certain: 0, slept: false, watched, read_end, given, sleeper })
    }

    /// The descriptor to give to those who may ring.
    #[must_use]
    pub fn given(&self) -> BorrowedFd<'_> {
        self.given.as_fd()
    }

    /// The descriptor for other threads of this process to ring with.
    #[must_use]
    pub fn write_end(&self) -> BorrowedFd<'_> {
        self.sleeper.write_end()
    }

    /// Announces sleep. Look at everything once more before [`sleep`](Self::sleep): what was
    /// committed before this call rings nobody. Costs a membarrier, about 2 µs; nothing if it is
    /// armed already. If it stays armed for more than some milliseconds it rings once by itself:
    /// look once more then.
    pub fn arm(&mut self) {
        if self.is_armed() {
            return;
        }
        self.slept = true;
        // Here and not when waking up, where an event waits for it.
        self.drain();
        self.period += 1;
        // Relaxed: the fence orders it.
        self.word.word().store(self.period, Ordering::Relaxed);
        // SYNC(sleep): pairs with the fence in `Ringer::notify`.
        heavy_fence();
        if self.watched {
            confirm::armed();
        } else {
            // Be deaf for some milliseconds rather than for ever.
            global_fence();
            self.sleeper.confirm(self.period);
        }
    }

    /// Whether [`arm`](Self::arm) was called and [`disarm`](Self::disarm) was not.
    #[inline(always)]
    #[must_use]
    pub fn is_armed(&self) -> bool {
        !self.period.is_multiple_of(2)
    }

    /// Whether [`arm`](Self::arm) was called since [`take_slept`](Self::take_slept).
    #[inline(always)]
    pub(crate) fn has_slept(&self) -> bool {
        self.slept
    }

    /// The same; whatever is received from now on was not slept for.
    #[inline(always)]
    pub(crate) fn take_slept(&mut self) -> bool {
        std::mem::take(&mut self.slept)
    }

    /// Announces that we are awake. The pipe stays readable until the next
    /// [`arm`](Self::arm).
    pub fn disarm(&mut self) {
        if !self.is_armed() {
            return;
        }
        self.period += 1;
        // Relaxed: a writer that still sees the old value rings for nothing.
        self.word.word().store(self.period, Ordering::Relaxed);
    }

    /// Takes the bytes out of the pipe; whether somebody rang, and not only our own thread. Look at
    /// everything afterwards. Who rang will not ring again for this period of sleep, whether there
    /// was anything to find or not: if so, [`disarm`](Self::disarm) before the next sleep.
    pub fn drain(&self) -> bool {
        // A peer that keeps the pipe full only costs itself: what is left is a wake-up for nothing.
        let mut bytes = [0; 512];
        loop {
            match read(&self.read_end, &mut bytes) {
                Err(Errno::EINTR) => {}
                Err(_) => return false,
                Ok(taken) => {
                    return taken == bytes.len() || bytes[..taken].iter().any(|b| *b != CERTAIN);
                }
            }
        }
    }

    /// Sleeps until somebody rings or the deadline has passed; returns at once if somebody rang
    /// since the last [`drain`](Self::drain). Signals do not end it.
    pub fn sleep(&mut self, deadline: Option<Instant>) -> Woken {
        if self.poll(deadline) && self.became_certain() && !self.drain() {
            return Woken::LookAgain;
        }
        Woken::Up
    }

    /// Whether the global fence has been executed for this period, and we have not known it yet.
    fn became_certain(&mut self) -> bool {
        let now = self.certain != self.period && self.sleeper.is_confirmed(self.period);
        if now {
            self.certain = self.period;
        }
        now
    }

    /// Whether the global fence has been executed for this period.
    #[cfg(test)]
    pub(super) fn is_confirmed(&self) -> bool {
        self.sleeper.is_confirmed(self.period)
    }

    /// Waits for the pipe; `false` when the deadline has passed.
    fn poll(&self, deadline: Option<Instant>) -> bool {
        let mut fds = [PollFd::new(self.read_end.as_fd(), PollFlags::POLLIN)];
        loop {
            let timeout = deadline.map(|deadline| {
                TimeSpec::from_duration(deadline.saturating_duration_since(Instant::now()))
            });
            match ppoll(&mut fds, timeout, None) {
                Err(Errno::EINTR) => {}
                Err(Errno::ENOMEM) => std::thread::sleep(Duration::from_millis(1)),
                result => return result != Ok(0),
            }
        }
    }
}

impl AsFd for Bell {
    /// Readable after somebody rang.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.read_end.as_fd()
    }
}

/// The side of those who ring.
#[derive(Debug)]
pub struct Ringer {
    word: Position,
    pipe: Arc<OwnedFd>,
    fencing: Fencing,
    /// Asked when the link was opened; a program that changes it later must expect the signal.
    sigpipe_ignored: bool,
    /// The period of sleep that we have rung for.
    rung: AtomicU64,
}

impl Ringer {
    /// Rings the doorbell whose state is in `word` and whose write end came as `pipe`.
    ///
    /// # Errors
    ///
    /// The kernel's: the descriptor is not one that can be opened for writing without blocking.
    pub fn new(word: Position, pipe: &OwnedFd, fencing: Fencing) -> Result<Self, Errno> {
        // Ask first what it is: to open a device, say, could have effects.
        fcntl(pipe, FcntlArg::F_GETPIPE_SZ).map_err(|_| Errno::ENOTSUP)?;
        let pipe = Arc::new(open_anew(pipe)?);
        let sigpipe_ignored = is_sigpipe_ignored();
        Ok(Self { word, pipe, fencing, sigpipe_ignored, rung: AtomicU64::new(0) })
    }

    /// After a commit: wakes the reader if it sleeps. No system call if it does not; one for each
    /// period of sleep if it does. Whether it rang.
    #[inline(always)]
    pub fn notify(&self) -> bool {
        // SYNC(sleep): pairs with the heavy fence in `Bell::arm`.
        self.fencing.fence();
        // Relaxed: the fences order it. What we have rung for stands alone: two threads that ring
        // at once ring twice.
        let period = self.word.word().load(Ordering::Relaxed);
        if period.is_multiple_of(2) || period == self.rung.load(Ordering::Relaxed) {
            return false;
        }
        self.ring(period);
        true
    }

    #[cold]
    fn ring(&self, period: u64) {
        // Relaxed: as above.
        self.rung.store(period, Ordering::Relaxed);
        if self.sigpipe_ignored {
            // Whatever comes of it: see there.
            let _ = ring_plainly(&self.pipe, RING);
        } else {
            ring(&self.pipe);
        }
    }

    /// What [`notify`](Self::notify) does between the commit and its look.
    pub(crate) fn fencing(&self) -> Fencing {
        self.fencing
    }

    /// The pipe's write end, which reports an error when the reader is gone.
    #[must_use]
    pub fn pipe(&self) -> &Arc<OwnedFd> {
        &self.pipe
    }
}

/// Another description of a pipe's write end: its non-blocking flag is its own, and cannot be
/// cleared by whoever holds the first.
fn open_anew(pipe: &OwnedFd) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    open(path.as_str(), flags, Mode::empty())
}
