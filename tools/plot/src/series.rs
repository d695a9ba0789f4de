//! What is told: times with a name.

use std::time::Duration;

use crate::Times;

/// The times of one part of a run.
#[derive(Clone, Debug)]
pub struct Interval {
    /// From the beginning of the run.
    pub start: Duration,
    /// How long it was.
    pub length: Duration,
    /// What was measured in it.
    pub times: Times,
}

/// Times that are told together, under a name.
#[derive(Clone, Debug)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// All of them.
    pub times: Times,
    /// The same, one after another; empty if that is not known.
    pub intervals: Vec<Interval>,
}

impl Series {
    /// Without intervals.
    pub fn new(name: impl Into<String>, times: Times) -> Series {
        Series { name: name.into(), times, intervals: Vec::new() }
    }

    /// From its intervals.
    pub fn of_intervals(name: impl Into<String>, intervals: Vec<Interval>) -> Series {
        let mut times = Times::new();
        intervals.iter().for_each(|interval| times.add(&interval.times));
        Series { name: name.into(), times, intervals }
    }
}
