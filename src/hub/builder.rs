//! How a hub joins, and how a link is opened.

use super::bus::{Asking, Manners, Outbox, Routes, Sender};
use super::control::{Control, LinkOffer, Resume};
use super::receive::{Inlets, Payloads};
use super::state::HubShared;
use super::tally::Tally;
use super::{Hub, control};
use crate::domain::Domain;
use crate::error::Error;
use crate::limits::{
    ACCEPTED_RING_DEFAULT, BROADCAST_CAPACITY_DEFAULT, FEW_DEFAULT, PATIENCE_DEFAULT_MS,
    RING_CAPACITY_DEFAULT,
};
use crate::protocol::Channel;
use crate::segment::Cursors;
use crate::sync::biased::Biased;
use crate::wait::{Bell, Wait};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// Decides about links that others want to open.
pub(super) type AcceptIf = Box<dyn Fn(&LinkOffer) -> bool + Send>;

/// Options for joining a domain.
pub struct HubBuilder {
    name: String,
    domain: Option<Domain>,
    wait: Wait,
    payloads: Payloads,
    habits: Habits,
    host: Option<Host>,
}

/// Something that is kept for as long as a hub is there: a supervisor that it hosts.
pub(crate) type Hosted = Box<dyn std::any::Any + Send>;

/// Hosts a supervisor for a domain that has none.
pub(crate) type Host = fn(&Domain) -> Result<Hosted, Error>;

/// What a hub does by itself, without its thread.
pub(super) struct Habits {
    pub accept_if: AcceptIf,
    /// Whether its links put timestamps on events.
    pub timestamps: bool,
    /// Bytes of the largest ring that others may make it make or map.
    pub largest_ring: usize,
    /// Bytes of its broadcast ring.
    pub broadcast_capacity: usize,
    /// Hubs that an event is sent to over links at most.
    pub few: usize,
    pub patience: Duration,
}

impl std::fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HubBuilder")
            .field("name", &self.name)
            .field("domain", &self.domain)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

impl HubBuilder {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            domain: None,
            wait: Wait::default(),
            payloads: Payloads::default(),
            habits: Habits {
                accept_if: Box::new(|_| true),
                timestamps: true,
                largest_ring: ACCEPTED_RING_DEFAULT,
                broadcast_capacity: BROADCAST_CAPACITY_DEFAULT,
                few: FEW_DEFAULT,
                patience: Duration::from_millis(PATIENCE_DEFAULT_MS),
            },
            host: None,
        }
    }

    /// Another domain than the environment names.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<Domain>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// How to wait for events: spin for 50 µs and then sleep, unless said otherwise.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Whether the hub's links put timestamps on events: yes unless said otherwise.
    #[must_use]
    pub fn timestamps(mut self, on: bool) -> Self {
        self.habits.timestamps = on;
        self
    }

    /// Whether payloads are read in place: from hubs of the same user unless said otherwise.
    #[must_use]
    pub fn payloads(mut self, payloads: Payloads) -> Self {
        self.payloads = payloads;
        self
    }

    /// Decides which links others may open with this hub: all unless said otherwise. Called on
    /// the process's control thread; it should not take long.
    #[must_use]
    pub fn accept_if(mut self, accept: impl Fn(&LinkOffer) -> bool + Send + 'static) -> Self {
        self.habits.accept_if = Box::new(accept);
        self
    }

    /// Bytes of the largest ring that others may ask this hub to make, or to map: 256 MiB unless
    /// said otherwise. Memory that a hub makes is its own, so others must not decide how much.
    #[must_use]
    pub fn largest_ring(mut self, bytes: usize) -> Self {
        self.habits.largest_ring = bytes;
        self
    }

    /// Bytes of the ring for what the hub publishes to many: a power of two from 4 KiB to 1 GiB;
    /// 256 KiB unless said otherwise. An event can be half as long, less 32 bytes. It is made with
    /// the hub's first publisher.
    #[must_use]
    pub fn broadcast_capacity(mut self, bytes: usize) -> Self {
        self.habits.broadcast_capacity = bytes;
        self
    }

    /// How many hubs an event is sent to over links, one by one, if all who want it have one: 4
    /// unless said otherwise, 0 for none. For more it is broadcast once.
    #[must_use]
    pub fn links_for(mut self, hubs: usize) -> Self {
        self.habits.few = hubs;
        self
    }

    /// How long a subscription that stands still may hold a publisher up before it is overtaken,
    /// and told so: 1 second unless said otherwise.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.habits.patience = patience;
        self
    }

    /// How to host a supervisor; the layer above knows.
    pub(crate) fn hosting(mut self, host: Option<Host>) -> Self {
        self.host = host;
        self
    }

    /// Joins.
    ///
    /// # Errors
    ///
    /// [`Error::NoSupervisor`], [`Error::ForeignDirectory`], [`Error::OpenDirectory`],
    /// [`Error::Refused`], [`Error::Version`], [`Error::Protocol`], [`Error::TimedOut`],
    /// [`Error::Segment`], [`Error::Kernel`] (no descriptors left). Nothing stays behind.
    pub fn connect(self) -> Result<Hub, Error> {
        let domain = self.domain.unwrap_or_else(Domain::from_env);
        crate::event::clock::begin();
        let control = Control::of_this_process()?;
        let (channel, id, hosted) = join_or_host(&domain, &self.name, self.host)?;
        let cursors = Cursors::create().map_err(Error::segment("positions"))?;
        let bell_slot = cursors.take().ok_or(Error::LimitReached { what: "slots", limit: 0 })?;
        let bell = Bell::new(cursors.slot(bell_slot)).map_err(Error::kernel("pipe"))?;
        let clone = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(Error::io("dup"));
        let bells = [clone(bell.write_end())?, clone(bell.given())?];
        let (tally, given) =
            Tally::new(&domain, &self.name, id).map_err(Error::segment("counters"))?;
        let shared = HubShared::new(&self.name, id, cursors, bell_slot, bells, tally);
        let shared = Arc::new(shared);
        let routes = Arc::new(Routes::default());
        let manners = Manners {
            few: self.habits.few,
            patience: self.habits.patience,
            timestamps: self.habits.timestamps,
        };
        let outbox = Arc::new(Biased::new(Outbox::new(Arc::clone(&routes), manners, given)));
        let broadcast_capacity = self.habits.broadcast_capacity;
        control.enter(
            Arc::clone(&shared),
            channel,
            self.habits,
            Resume::new(domain, self.host, hosted),
            (routes, Arc::clone(&outbox)),
        );
        Ok(Hub {
            process: shared.process,
            sender: Sender { hub: Arc::clone(&shared), outbox },
            publishing: Mutex::new(HashMap::new()),
            broadcast_capacity,
            asking: Asking::default(),
            shared,
            control,
            bell,
            wait: self.wait,
            payloads: self.payloads,
            inlets: Inlets::default(),
            leaving: 0,
            accepted: VecDeque::new(),
            copy: rkyv::util::AlignedVec::new(),
        })
    }
}

/// Joins a domain; where it has no supervisor and we may, hosts one first.
fn join_or_host(
    domain: &Domain,
    name: &str,
    host: Option<Host>,
) -> Result<(Channel, u64, Option<Hosted>), Error> {
    let mut hosted = None;
    // Another hub may host one, or cease to, in between.
    for _ in 0..HOSTING_TRIES {
        match (control::join(domain, name), host) {
            (Ok((channel, id)), _) => return Ok((channel, id, hosted)),
            (Err(Error::NoSupervisor { .. }), Some(host)) => match host(domain) {
                Ok(supervisor) => hosted = Some(supervisor),
                Err(Error::SupervisorRunning { .. }) => {
                    // Sleep: it has the lock, and opens its socket any moment.
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error),
            },
            (Err(error), _) => return Err(error),
        }
    }
    control::join(domain, name).map(|(channel, id)| (channel, id, hosted))
}

/// How often a hub tries to join or to host.
const HOSTING_TRIES: u32 = 100;

/// How a link is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOptions {
    pub(super) send_capacity: usize,
    pub(super) receive_capacity: usize,
    pub(super) timeout: Duration,
    pub(super) huge_pages: bool,
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            send_capacity: RING_CAPACITY_DEFAULT,
            receive_capacity: RING_CAPACITY_DEFAULT,
            timeout: Duration::from_secs(5),
            huge_pages: false,
        }
    }
}

impl LinkOptions {
    /// Bytes of the ring to the other side: a power of two from 4 KiB to 1 GiB; 64 KiB unless
    /// said otherwise. An event can be half as long, less 32 bytes.
    #[must_use]
    pub fn send_capacity(mut self, bytes: usize) -> Self {
        self.send_capacity = bytes;
        self
    }

    /// Bytes of the ring from the other side, which makes it; as above.
    #[must_use]
    pub fn receive_capacity(mut self, bytes: usize) -> Self {
        self.receive_capacity = bytes;
        self
    }

    /// How long the other side may take to answer: 5 seconds unless said otherwise, at most 10.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Ask the kernel for huge pages for the ring that this side makes; worth it from a few
    /// megabytes on. Best effort.
    #[must_use]
    pub fn huge_pages(mut self, wanted: bool) -> Self {
        self.huge_pages = wanted;
        self
    }
}
