//! What the processes send. Every event carries its sender's own number, so that receivers
//! can tell what is lost or repeated without trusting the runtime that is being shown.

use ephapse::{Event, Schema};
use rkyv::{Archive, Serialize};

/// Time that one processor has spent since the host started, in ticks of 1/100 s.
#[derive(Debug, Event, Archive, Serialize)]
pub(crate) struct CpuSample {
    pub(crate) number: u64,
    pub(crate) cpu: u32,
    pub(crate) user: u64,
    pub(crate) nice: u64,
    pub(crate) system: u64,
    pub(crate) idle: u64,
    pub(crate) iowait: u64,
}

/// The host's memory.
#[derive(Debug, Event, Archive, Serialize)]
pub(crate) struct MemorySample {
    pub(crate) number: u64,
    pub(crate) total_bytes: u64,
    pub(crate) available_bytes: u64,
}

/// How many tasks are runnable, on average.
#[derive(Debug, Event, Archive, Serialize)]
pub(crate) struct LoadSample {
    pub(crate) number: u64,
    pub(crate) one_minute: f32,
    pub(crate) five_minutes: f32,
    pub(crate) fifteen_minutes: f32,
    pub(crate) cpus: u32,
}

/// What one process has used since it started.
#[derive(Debug, Event, Archive, Serialize)]
pub(crate) struct ProcessSample {
    pub(crate) number: u64,
    pub(crate) at_ns: u64,
    pub(crate) pid: u32,
    pub(crate) cpu_ticks: u64,
    /// As the kernel has it: at most 15 bytes, then zeros.
    pub(crate) name: [u8; 16],
}

/// A line of the input, or a part of one that is too long for a single event.
#[derive(Debug, Event, Archive, Serialize)]
pub(crate) struct Line {
    pub(crate) number: u64,
    /// The line's last part; its line feed, if it has one, is among the bytes.
    pub(crate) ends: bool,
    pub(crate) bytes: Vec<u8>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Schema, Archive, Serialize)]
pub(crate) enum Action {
    Throttle,
    Hold,
    Boost,
}

/// On what grounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Schema, Archive, Serialize)]
pub(crate) enum Reason {
    Cpu,
    Memory,
    Load,
    Process,
}

/// The planner's answer to a sample.
#[derive(Clone, Copy, Debug, Event, Archive, Serialize)]
pub(crate) struct Decision {
    pub(crate) number: u64,
    pub(crate) action: Action,
    pub(crate) reason: Reason,
    /// The processor or the process that is meant; zero where the host as a whole is.
    pub(crate) subject: u32,
    /// The share that was just measured, and its moving average.
    pub(crate) value: f32,
    pub(crate) average: f32,
}

/// All events up to `handled` have been carried out.
#[derive(Clone, Copy, Debug, Event, Archive, Serialize)]
pub(crate) struct Ack {
    pub(crate) number: u64,
    pub(crate) handled: u64,
    /// The end has been reached, and the output is complete.
    pub(crate) last: bool,
}

/// Published beside the links: event `event` was sent over the sender's link.
#[derive(Clone, Copy, Debug, Event, Archive, Serialize)]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) event: u64,
    /// The sender is done, after so many events.
    pub(crate) last: bool,
}

/// Nothing more will come; `count` events came before this one.
#[derive(Clone, Copy, Debug, Event, Archive, Serialize)]
pub(crate) struct End {
    pub(crate) number: u64,
    pub(crate) count: u64,
}
