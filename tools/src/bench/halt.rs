//! Why a round ends before its time.

use std::fmt::{self, Display};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stop {
    /// Somebody asked for it: SIGINT or SIGTERM.
    Interrupted = 1,
    /// Far too little happened for far too long.
    Stalled = 2,
    /// The other process has ended.
    PeerEnded = 3,
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stop::Interrupted => "interrupted before the first round was complete",
            Stop::Stalled => "no progress: an event has been lost, or the processors are not free",
            Stop::PeerEnded => "the other process of the benchmark has ended",
        })
    }
}

impl std::error::Error for Stop {}

/// Ends what is being measured, from any thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Halt(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// 0, or a [`Stop`].
    reason: AtomicU8,
    /// Ends the wait of the hub that measures.
    closer: OnceLock<Closer>,
}

struct Closer(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closer")
    }
}

impl Halt {
    /// What ends a wait while something is measured.
    pub(crate) fn closes(&self, close: impl Fn() + Send + Sync + 'static) {
        let closer = self.0.closer.get_or_init(|| Closer(Box::new(close)));
        if self.reason().is_some() {
            closer.0();
        }
    }

    /// Ends it. The first reason counts.
    pub(crate) fn stop(&self, why: Stop) {
        // SeqCst: either this sees the closer, or `closes` sees the reason.
        let (expected, failed) = (Ordering::SeqCst, Ordering::SeqCst);
        let _ = self.0.reason.compare_exchange(0, why as u8, expected, failed);
        if let Some(closer) = self.0.closer.get() {
            closer.0();
        }
    }

    /// Why it was ended, if it was.
    #[inline]
    pub(crate) fn reason(&self) -> Option<Stop> {
        match self.0.reason.load(Ordering::SeqCst) {
            0 => None,
            1 => Some(Stop::Interrupted),
            2 => Some(Stop::Stalled),
            _ => Some(Stop::PeerEnded),
        }
    }

    /// As an error.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.reason().map_or(Ok(()), Err)
    }
}
