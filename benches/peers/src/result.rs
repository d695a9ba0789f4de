//! What a run has found, as it is saved.

use serde::{Deserialize, Serialize};

use crate::clock::Percentiles;
use crate::host::{Machine, Memory};
use crate::peer::Wait;

/// A whole run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// When it began (UTC).
    pub(crate) date: String,
    /// How it was started.
    pub(crate) command: String,
    pub(crate) machine: Machine,
    /// Rounds that are complete.
    pub(crate) rounds: usize,
    /// Seconds of each measurement.
    pub(crate) seconds: f64,
    /// How long all of it took.
    pub(crate) took_s: f64,
    /// Bytes of the messages.
    pub(crate) sizes: Vec<usize>,
    /// What was measured, in the order of tables.
    pub(crate) systems: Vec<SystemInfo>,
    /// What was not, and why.
    pub(crate) absent: Vec<Absent>,
    /// Each pair of each round.
    pub(crate) visits: Vec<Visit>,
}

/// One system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SystemInfo {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) about: String,
    /// Ephapse itself.
    pub(crate) ours: bool,
    /// Threads of one process.
    pub(crate) in_process: bool,
}

/// A row that there is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Absent {
    pub(crate) system: String,
    /// One way to wait; `None`: all.
    pub(crate) wait: Option<Wait>,
    /// In which round it failed, from 1; `None`: it was not tried.
    pub(crate) round: Option<usize>,
    pub(crate) why: String,
}

/// One pair in one round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) system: String,
    pub(crate) wait: Wait,
    /// From 1.
    pub(crate) round: usize,
    /// From processes that are ready to the end of the first round trip.
    pub(crate) connect_ns: u64,
    /// Of the pair, before it connects: what measuring takes.
    pub(crate) before: Memory,
    /// Of the pair, after all sizes.
    pub(crate) memory: Memory,
    /// Of the process that it needs besides, if it needs one.
    pub(crate) daemon: Option<Memory>,
    pub(crate) cells: Vec<Cell>,
}

/// One size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) size: usize,
    /// Between the same two processes, just before.
    pub(crate) floor: Percentiles,
    /// One way.
    pub(crate) latency: Percentiles,
    /// All one-way times, in picoseconds, as an HDR histogram (version 2, deflated, base64).
    pub(crate) histogram: String,
    /// Round trips.
    pub(crate) trips: u64,
    pub(crate) stream: Stream,
    /// Messages, of round trips and stream, that were damaged or came twice.
    pub(crate) wrong: u64,
}

/// Messages one way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    /// Messages that have arrived, by the time from the first send until the last was there.
    pub(crate) per_second: f64,
}
