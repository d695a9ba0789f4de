//! Whether the machine stood still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(5);

/// Looks every few milliseconds how long ago it looked before, for as long as it lives.
pub(crate) struct Clock {
    longest: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let (longest, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (seen, stops) = (Arc::clone(&longest), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !stops.load(Ordering::SeqCst) {
                let before = Instant::now();
                // Sleep: how long it takes is what is looked at.
                std::thread::sleep(TICK);
                seen.fetch_max(before.elapsed().as_millis() as u64, Ordering::SeqCst);
            }
        });
        Self { longest, over, thread: Some(thread) }
    }

    /// The longest time between two looks so far.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_millis(self.longest.load(Ordering::SeqCst))
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
