//! SIGINT and SIGTERM as a value that can be asked, or as an action in a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// How often this process has been asked to stop.
#[derive(Clone, Debug)]
pub(crate) struct StopFlag(Arc<AtomicUsize>);

impl StopFlag {
    /// Asked at least once: finish in order.
    pub(crate) fn is_set(&self) -> bool {
        self.count() > 0
    }

    /// Asked more than once: whoever waits has lost patience, so give up what is left.
    pub(crate) fn is_urgent(&self) -> bool {
        self.count() > 1
    }

    fn count(&self) -> usize {
        // A lone counter that publishes no other data.
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts SIGINT and SIGTERM instead of dying from them.
pub(crate) fn watch() -> io::Result<StopFlag> {
    watch_then(&[SIGINT, SIGTERM], || {}, |_| {})
}

/// As [`watch`], and runs `action` at the first signal, in a thread (not in a signal handler).
pub(crate) fn watch_and(action: impl FnOnce() + Send + 'static) -> io::Result<StopFlag> {
    watch_then(&[SIGINT, SIGTERM], action, |_| {})
}

/// As [`watch_and`]; a second signal ends the process as if nobody watched. For commands that can
/// be stuck in a system call, and leave nothing behind wherever they end.
pub(crate) fn watch_once(action: impl FnOnce() + Send + 'static) -> io::Result<StopFlag> {
    watch_then(&[SIGINT, SIGTERM], action, |signal| {
        // Does not return, unless the signal is one that ends nothing.
        let _ = emulate_default_handler(signal);
    })
}

/// For the children of a run, which do not hear SIGINT (see [`shield`]): SIGTERM from the parent
/// runs `action`.
pub(crate) fn watch_parent(action: impl FnOnce() + Send + 'static) -> io::Result<StopFlag> {
    watch_then(&[SIGTERM], action, |_| {})
}

/// Runs `start` so that the processes that it starts never hear SIGINT: Ctrl-C on a terminal
/// reaches the whole process group, but only the parent may decide the order in which its children
/// end. The blocked signal is inherited, so it holds from the child's first instruction on.
pub(crate) fn shield<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let mut interrupt = SigSet::empty();
    interrupt.add(Signal::SIGINT);
    let before = interrupt.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let started = start();
    before.thread_set_mask()?;
    Ok(started)
}

fn watch_then(
    signals: &[i32],
    action: impl FnOnce() + Send + 'static,
    again: impl Fn(i32) + Send + 'static,
) -> io::Result<StopFlag> {
    let mut signals = Signals::new(signals)?;
    let flag = StopFlag(Arc::new(AtomicUsize::new(0)));
    let counted = flag.clone();
    thread::Builder::new().name("signals".into()).spawn(move || {
        let mut action = Some(action);
        for signal in signals.forever() {
            counted.0.fetch_add(1, Ordering::Relaxed);
            match action.take() {
                Some(action) => action(),
                None => again(signal),
            }
        }
    })?;
    Ok(flag)
}
