//! What every system must be able to do to be measured, and how it is described.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::message::Message;

/// After so long without a message a receiver says that there is none. Generous: on a crowded
/// machine a process may wait a second for its turn.
pub(crate) const SILENCE: Duration = Duration::from_secs(3);

/// How long the other side may take to be there.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Looks between two looks at the clock: about a tenth of a millisecond for the fastest.
const LOOKS: u32 = 1 << 14;

/// How long a side that connects waits before it tries again.
const TRY_AGAIN: Duration = Duration::from_micros(200);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Side {
    /// Asks, and sends.
    A,
    /// Answers, and receives.
    B,
}

/// How a side waits.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Wait {
    /// It looks again and again, and keeps its processor.
    Spin,
    /// It sleeps in the kernel until it is woken.
    Block,
}

impl Wait {
    /// As it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Wait::Spin => "spin",
            Wait::Block => "block",
        }
    }
}

/// What a connection is made from; the same for both sides, but for `side`.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// A folder of this pair alone, for sockets, files and names.
    pub(crate) dir: PathBuf,
    /// Who connects.
    pub(crate) side: Side,
    /// How it is to wait.
    pub(crate) wait: Wait,
    /// Bytes of the longest message.
    pub(crate) longest: usize,
}

/// One side of a connection.
pub(crate) trait Peer: Sized {
    /// Connects with the other side, which connects at the same time.
    fn connect(setup: &Setup) -> Result<Self>;

    /// Sends a message: has it written where the system wants it, and waits for room.
    fn send(&mut self, message: Message) -> Result<()>;

    /// Waits for messages, which should have `len` bytes each, and has at least one of them read,
    /// where the system shows it; more if the system hands out several at once. False if there was
    /// none for [`SILENCE`].
    fn receive(&mut self, len: usize, read: impl FnMut(&[u8])) -> Result<bool>;

    /// Has all that was sent leave, if the system holds something back.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A way to wait that a system has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// The way.
    pub(crate) wait: Wait,
    /// Threads and processes besides the two sides without which no message arrives: to spin,
    /// each needs a processor that nobody else keeps.
    pub(crate) helpers: usize,
}

/// Both ways, without helpers.
pub(crate) const BOTH: &[Mode] =
    &[Mode { wait: Wait::Spin, helpers: 0 }, Mode { wait: Wait::Block, helpers: 0 }];

/// One that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System {
    /// How it is called here.
    pub(crate) name: &'static str,
    /// How it was set up, in a few words.
    pub(crate) about: &'static str,
    /// Ephapse itself, of which the others are rivals.
    pub(crate) ours: bool,
    /// Two threads of one process instead of two processes.
    pub(crate) in_process: bool,
    /// How it can wait.
    pub(crate) modes: &'static [Mode],
    /// Which version runs here.
    pub(crate) version: fn() -> Result<String>,
    /// What runs one side; `None` if it was left out of this program.
    pub(crate) serve: Option<Serve>,
    /// What runs in a third process before the sides connect, if anything has to.
    pub(crate) daemon: Option<fn(&Path) -> Result<()>>,
}

/// Serves one side of a pair until it is told that it is over.
pub(crate) type Serve = fn(&crate::serve::Duty) -> Result<()>;

/// Tries until it succeeds, without a pause in between, as the floor does; `None` after
/// [`SILENCE`].
#[inline(always)]
pub(crate) fn spin_until<T>(mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let mut deadline = None;
    loop {
        for _ in 0..LOOKS {
            if let Some(found) = attempt()? {
                return Ok(Some(found));
            }
        }
        let now = Instant::now();
        if now >= *deadline.get_or_insert(now + SILENCE) {
            return Ok(None);
        }
    }
}

/// As [`spin_until`], for receiving: true when something has come.
#[inline(always)]
pub(crate) fn spin_to_hear(mut attempt: impl FnMut() -> Result<bool>) -> Result<bool> {
    Ok(spin_until(|| Ok(attempt()?.then_some(())))?.is_some())
}

/// As [`spin_until`], for sending, which goes on for ever: who measures ends it from outside.
#[inline(always)]
pub(crate) fn spin_for_room(mut attempt: impl FnMut() -> Result<bool>) -> Result<()> {
    while !attempt()? {}
    Ok(())
}

/// Tries to connect until the other side is there.
pub(crate) fn patiently<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + CONNECT_LIMIT;
    loop {
        match attempt() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(TRY_AGAIN),
            outcome => return outcome,
        }
    }
}
