//! How the runner and the sides talk between phases: lines of JSON over a Unix socket.
//!
//! Nothing goes over it while something is measured.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::peer::{Side, Wait};

/// The socket, in the folder of the pair.
pub(crate) fn socket_in(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// The shared page, in the folder of the pair.
pub(crate) fn page_in(dir: &Path) -> PathBuf {
    dir.join("page")
}

/// What the runner has a side do. Both sides get the same orders.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Connect, and make one round trip.
    Connect,
    /// Round trips of the floor.
    Floor { wait: Wait, ms: u64 },
    /// Round trips of messages, until the time is over or there have been `trips`.
    RoundTrips { size: usize, ms: u64, trips: u64 },
    /// Messages one way.
    Stream { size: usize, ms: u64 },
}

/// What a side tells the runner.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Report {
    /// The side is there and awaits orders.
    Here { side: Side },
    /// It is connected; how long that took, up to the end of the first round trip.
    Connected { ns: u64 },
    /// Round trips, as a histogram of one-way times; empty from side B.
    Times { histogram: String, wrong: u64 },
    /// A stream has been sent.
    Sent { messages: u64, start_ns: u64 },
    /// A stream has been received.
    Received { messages: u64, lost: u64, wrong: u64, end_ns: u64 },
    /// It cannot go on.
    Failed { why: String },
}

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Talk {
    reader: BufReader<UnixStream>,
}

impl Talk {
    /// Over this socket.
    pub(crate) fn new(socket: UnixStream) -> Talk {
        Talk { reader: BufReader::new(socket) }
    }

    /// The socket, for polling. Messages come one at a time, so none hides in a buffer.
    pub(crate) fn socket(&self) -> &UnixStream {
        self.reader.get_ref()
    }

    /// Says something.
    pub(crate) fn say(&mut self, what: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what).context("cannot write a message")?;
        line.push(b'\n');
        self.reader.get_mut().write_all(&line).context("the other process hears no more")
    }

    /// Hears the next message; `None` when the other end has hung up.
    pub(crate) fn hear<M: DeserializeOwned>(&mut self) -> Result<Option<M>> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error).context("cannot hear the other process"),
            Ok(_) => serde_json::from_str(&line).map(Some).context("an unexpected message"),
        }
    }
}
