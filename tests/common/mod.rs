//! A domain of its own for each test, and the events that tests send.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

pub mod allocations;
pub mod forbidden;
pub mod roles;
pub mod supervisor;

pub(crate) mod host;
pub(crate) mod page;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod random;
pub(crate) mod scribble;

use ephapse::rkyv::{Archive, Serialize};
use ephapse::{Event, Hub, Stopper, Supervisor};
use std::thread::JoinHandle;

#[derive(Event, Archive, Serialize, Debug, Clone, PartialEq)]
pub struct Pose {
    pub stamp_ns: u64,
    pub position: [f32; 3],
    pub heading: f32,
    pub frame: u64,
}

pub fn pose(i: u64) -> Pose {
    Pose { stamp_ns: i, position: [i as f32, 1.5, -2.0], heading: 0.25, frame: i ^ 0xFFFF }
}

#[derive(Event, Archive, Serialize, Debug)]
pub struct Note {
    pub lines: Vec<String>,
}

/// A supervisor in a thread, in a directory that goes away with it.
pub struct Domain {
    domain: ephapse::Domain,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
    _dir: tempfile::TempDir,
}

impl Domain {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let domain = ephapse::Domain::at(dir.path().join("domain"));
        let supervisor = Supervisor::bind(domain.clone()).unwrap();
        let stopper = supervisor.stopper();
        let thread = std::thread::spawn(move || supervisor.run().unwrap());
        Self { domain, stopper, thread: Some(thread), _dir: dir }
    }

    pub fn domain(&self) -> ephapse::Domain {
        self.domain.clone()
    }

    pub fn hub(&self, name: &str) -> Hub {
        Hub::builder(name).domain(self.domain()).connect().unwrap()
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
