//! Events between the processes of one Linux host, at the speed of a cache line.
//!
//! An *ephapse* is a place where two nerve fibres touch and pass an impulse directly. Here each
//! process opens a [`Hub`] and publishes and subscribes by subject. Events travel as [rkyv]
//! archives in rings of sealed shared memory, without a lock or a system call.
//!
//! ```text
//!    hub "camera"                                   hub "planner"
//!  ┌──────────────┐   link: a ring each way      ┌───────────────┐
//!  │ Publisher  ──┼──▶ only camera can write ────▶ Subscription  │
//!  │              │   broadcast: all can read    │               │
//!  │            ──┼──▶ only camera can write ────▶   (and others)│
//!  └──────┬───────┘                              └──────┬────────┘
//!         └────────▶ supervisor: who is there ◀─────────┘
//!                    (never sees an event)
//! ```
//!
//! An event goes over links while those who want it are few and linked, otherwise once over the
//! broadcast ring of its hub; a change of the way loses, repeats and reorders nothing. Two hubs that
//! need no subjects send over a [`Link`] itself.
//!
//! # Example
//!
//! ```
//! use ephapse::{Domain, Event, Hub, Supervisor};
//! use rkyv::{Archive, Serialize};
//!
//! #[derive(Event, Archive, Serialize)]
//! struct Pose {
//!     stamp_ns: u64,
//!     position: [f64; 3],
//!     heading: f32,
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let domain = Domain::at(dir.path().join("domain"));
//! // Usually `ephapse up` runs in a process of its own, and `Hub::connect("camera")` finds it.
//! let supervisor = Supervisor::bind(domain.clone())?;
//! let stopper = supervisor.stopper();
//! let thread = std::thread::spawn(move || supervisor.run());
//!
//! let mut camera = Hub::builder("camera").domain(domain.clone()).connect()?; // one process
//! let mut planner = Hub::builder("planner").domain(domain).connect()?; // another
//!
//! let mut seen = planner.subscribe(["robot.>"])?;
//! let mut poses = camera.publisher::<Pose>("robot.pose")?;
//! poses.send(&Pose { stamp_ns: 1, position: [0.0, 1.0, 2.0], heading: 0.5 })?;
//!
//! if let Some(event) = seen.recv()? {
//!     let pose = event.get::<Pose>()?; // &ArchivedPose
//!     assert_eq!((event.source(), event.subject()), ("camera", "robot.pose"));
//!     assert_eq!(pose.position[1].to_native(), 1.0);
//! }
//!
//! let mut link = camera.link_to("planner")?; // from here on: one cache line away
//! link.send(&Pose { stamp_ns: 2, position: [0.0; 3], heading: 0.5 })?; // to this hub alone
//! assert_eq!(planner.recv()?.unwrap().from(), "camera");
//! # drop((link, poses, seen));
//! # stopper.stop();
//! # thread.join().unwrap()?;
//! # Ok(())
//! # }
//! ```
//!
//! A crate that derives [`Event`] also depends on `rkyv`, with the features that this crate uses
//! (see [`rkyv`](mod@rkyv) and the README), because rkyv's own derives name it.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | hub | one participant: a name, what it publishes and subscribes to, its links |
//! | supervisor | the small process that hubs find over a Unix socket |
//! | domain | one supervisor and its hubs: a directory with a socket |
//! | ring | a sequence of records in shared memory with one writer and any number of readers |
//! | reader | something with a position in a ring: *gating* (the writer waits) or *lossy* |
//! | link | a pair of rings between two hubs, one each way |
//! | broadcast ring | the ring that a hub owns and all others read |
//! | subject | what an event is about: tokens split by dots; `*` and `>` in subscriptions |
//! | segment | a sealed piece of shared memory |
//! | event | a record on a ring: header and payload |
//! | schema | 64-bit hash of a payload type's name, version and layout |
//! | position / offset | a byte count that grows for ever / a place inside the ring |
//! | doorbell | what wakes a sleeping reader |
//!
//! # What is promised
//!
//! - **Nothing is lost** on a link or by a subscription that blocks, nothing is repeated, and the
//!   order of each source is kept, for as long as both sides live; what a process had committed
//!   before it died is still read. Loss is never silent: [`RecvError::Lagged`].
//! - **Every byte of shared memory has one process that may write it**, and the kernel enforces
//!   that: a hub that crashes, runs wild or is hostile cannot damage another's data.
//! - **Death is seen at once**, and leaves nothing behind to clean up: no file, no mapping, no
//!   descriptor. A pause is not a death.
//! - **The hot path** ([`Link::try_send`], [`Hub::try_recv`]) makes no system call while the other
//!   side is awake, takes no lock, and allocates nothing.
//!
//! # What is not
//!
//! - Processes of one user are not walled off from each other (they could attach debuggers):
//!   payloads from the same user are validated and read in place. Payloads of other users are
//!   copied before they are validated; [`Payloads::Copied`] does so for everybody.
//! - A hub, a link, a publisher, a subscription belong to one thread at a time, each to its own. Do not send from a signal handler. After
//!   fork, the child gets errors and may open hubs of its own; events and loans that were held
//!   across the fork must not be touched there.
//! - Timestamps of different hosts are not comparable, and there is no order across senders.
//!
//! # Modules in reading order
//!
//! [`limits`], `sync` (the one door to atomics), [`segment`], [`mod@ring`], [`wait`], [`event`],
//! `protocol`, [`counters`], `hub`, `supervisor`. ARCHITECTURE.md has the map.
//!
//! [rkyv]: https://docs.rs/rkyv

#![deny(unsafe_code)]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("ephapse needs Linux on x86-64 or aarch64: it rests on memfd seals and SEQPACKET");

// What the derive macros write names this crate from outside.
extern crate self as ephapse;

pub mod limits;
mod sync;
#[cfg(not(ephapse_model))]
pub mod segment;
pub mod ring;
#[cfg(not(ephapse_model))]
pub mod wait;
#[cfg(not(ephapse_model))]
pub mod event;
#[cfg(not(ephapse_model))]
mod protocol;
#[cfg(not(ephapse_model))]
mod domain;
#[cfg(not(ephapse_model))]
mod send_error;
#[cfg(not(ephapse_model))]
mod error;
#[cfg(not(ephapse_model))]
pub mod counters;
#[cfg(not(ephapse_model))]
mod hub;
#[cfg(not(ephapse_model))]
mod supervisor;
#[cfg(not(ephapse_model))]
mod embedded;
#[cfg(ephapse_fuzz)]
#[doc(hidden)]
pub mod fuzzing;

pub use ephapse_derive::{Event, Schema};
pub use rkyv;

#[cfg(all(feature = "tokio", not(ephapse_model)))]
pub use hub::AsyncSubscription;
#[cfg(not(ephapse_model))]
pub use {
    domain::Domain,
    embedded::SupervisorThread,
    error::Error,
    event::{Event, EventError, Timestamp, schema::Schema},
    hub::{
        Batch, Closer, Envelope, Flow, Hub, HubBuilder, Link, LinkId, LinkOffer, LinkOptions, Loan,
        Message, Path, Payloads, Publisher, REPLY_SUBJECT, RawEvent, RawPublisher, Received,
        RecvError, Reply, RequestError, Sent, Subscription, SubscriptionOptions,
    },
    protocol::{HubInfo, LinkInfo, ProtocolError, RefusalCode, SubjectInfo},
    send_error::SendError,
    supervisor::{Stopper, Supervisor},
    wait::Wait,
};
