//! How a hub joins, and how a link is opened.

use super::control::{Control, LinkOffer};
use super::receive::{Inlets, Payloads};
use super::state::HubShared;
use super::{Hub, control};
use crate::domain::Domain;
use crate::error::Error;
use crate::limits::{ACCEPTED_RING_DEFAULT, RING_CAPACITY_DEFAULT};
use crate::segment::Cursors;
use crate::wait::{Bell, Wait};
use std::collections::VecDeque;
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
}

/// What a hub does by itself, without its thread.
pub(super) struct Habits {
    pub accept_if: AcceptIf,
    /// Whether its links put timestamps on events.
    pub timestamps: bool,
    /// Bytes of the largest ring that others may make it make or map.
    pub largest_ring: usize,
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
            },
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
        let (channel, id) = control::join(&domain, &self.name)?;
        let cursors = Cursors::create().map_err(Error::segment("positions"))?;
        let bell_slot = cursors.take().ok_or(Error::LimitReached { what: "slots", limit: 0 })?;
        let bell = Bell::new(cursors.slot(bell_slot)).map_err(Error::kernel("pipe"))?;
        let clone = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(Error::io("dup"));
        let bells = [clone(bell.write_end())?, clone(bell.given())?];
        let shared = Arc::new(HubShared::new(&self.name, id, cursors, bell_slot, bells));
        let mail = control.enter(Arc::clone(&shared), channel, self.habits);
        Ok(Hub {
            process: shared.process,
            shared,
            control,
            mail,
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
