//! The hub: one participant of a domain.
//!
//! [`Hub`] is what the program's own thread holds: it receives (`receive`), and asks for links.
//! A [`Link`] sends (`link`, `batch`). One control thread for each process talks to the
//! supervisors of all its hubs (`control`); it leaves new links and bad news in a queue without a
//! lock, which the hub looks into when it finds no event.

mod batch;
mod builder;
mod bus;
mod control;
mod ending;
mod link;
mod links;
mod loan;
mod mail;
mod receive;
mod received;
mod state;
mod tally;

pub use batch::Batch;
pub(crate) use builder::Hosted;
pub use builder::{HubBuilder, LinkOptions};
#[cfg(feature = "tokio")]
pub use bus::AsyncSubscription;
pub use bus::{
    Envelope, Flow, Message, Path, Publisher, REPLY_SUBJECT, RawEvent, RawPublisher, Reply,
    RequestError, Sent, Subscription, SubscriptionOptions,
};
pub use control::LinkOffer;
pub use link::Link;
pub use loan::Loan;
pub use receive::{Payloads, RecvError};
pub use received::Received;
pub use state::LinkId;

use crate::error::Error;
use crate::event::PAYLOAD_ALIGN;
use crate::protocol::HubInfo;
use crate::segment::Process;
use crate::wait::{Bell, Sleeps, Step, Wait, Waiter};
use bus::{Asking, Sender};
use control::Control;
use ending::End;
use parking_lot::Mutex;
use receive::{Found, Inlets};
use rkyv::util::AlignedVec;
use state::HubShared;
use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One participant: a name that others find, the links it has, and what arrives over them.
///
/// Belongs to one thread at a time; a process opens as many as it likes. Dropping it closes its
/// links and frees its name.
pub struct Hub {
    shared: Arc<HubShared>,
    process: Process,
    sender: Sender,
    /// Subjects that it publishes on: their numbers and their rows in the outbox.
    publishing: Mutex<HashMap<Arc<str>, usize>>,
    broadcast_capacity: usize,
    asking: Asking,
    control: Control,
    bell: Bell,
    wait: Wait,
    payloads: Payloads,
    inlets: Inlets,
    /// How many inlets will not be written again.
    leaving: usize,
    /// Links that others opened and [`accept`](Self::accept) has not returned yet.
    accepted: VecDeque<Link>,
    copy: AlignedVec<PAYLOAD_ALIGN>,
}

/// Looks at the busiest ring alone, between two looks at everything.
const QUICK_LOOKS: u32 = 16;

/// The moment when a time-out ends; `None`, for ever, if it is too far away to be counted.
fn after(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Ends a hub's waiting from any thread.
#[derive(Debug, Clone)]
pub struct Closer(Arc<HubShared>);

impl Closer {
    /// Makes [`Hub::recv`], [`Hub::accept`] and [`Subscription::recv`] of the hub's subscriptions
    /// return `None`, now and from now on. Idempotent.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Hub {
    /// Joins the domain that the environment names, as `name`: 1 to 64 letters, digits, `.`, `_`
    /// and `-`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSupervisor`], [`Error::Refused`] (the name is taken or not possible),
    /// [`Error::Version`], and what [`HubBuilder::connect`] says.
    pub fn connect(name: &str) -> Result<Self, Error> {
        Self::builder(name).connect()
    }

    /// Joins with options.
    #[must_use]
    pub fn builder(name: &str) -> HubBuilder {
        HubBuilder::new(name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The domain's number for it; never given to another hub.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// All hubs of the domain, this one among them, in the order in which they joined.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`], [`Error::TimedOut`].
    pub fn hubs(&self) -> Result<Vec<HubInfo>, Error> {
        self.usable()?;
        self.control.list(self.shared.key)
    }

    /// Waits until a hub of that name is there; returns at once if it is.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Refused`] if no hub can have the name;
    /// [`Error::Disconnected`].
    pub fn wait_for(&self, name: &str, timeout: Duration) -> Result<HubInfo, Error> {
        self.usable()?;
        self.control.wait_for(self.shared.key, name, timeout)
    }

    /// The next event of any link, if there is one. No system call, no lock, no allocation.
    ///
    /// # Errors
    ///
    /// [`RecvError`], each once; the hub goes on with its other links.
    #[inline(always)]
    pub fn try_recv(&mut self) -> Result<Option<Received<'_>>, RecvError> {
        if let Some(len) = self.next_at_once() {
            return Ok(Some(Received::in_place(self.inlets.current(), len, 0)));
        }
        self.try_recv_slowly()
    }

    #[inline(never)]
    fn try_recv_slowly(&mut self) -> Result<Option<Received<'_>>, RecvError> {
        if !self.process.is_current() {
            return Err(RecvError::Forked);
        }
        let rang = self.bell.is_armed() && self.bell.drain();
        let found = self.find();
        if rang || !matches!(found, Ok(None)) {
            self.bell.disarm();
        }
        match found? {
            Some(found) => self.receive(found).map(Some),
            None => Ok(None),
        }
    }

    /// As [`try_recv`](Self::try_recv), waiting until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    #[inline(always)]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Received<'_>>, RecvError> {
        if let Some(len) = self.next_at_once() {
            return Ok(Some(Received::in_place(self.inlets.current(), len, 0)));
        }
        self.recv_by(after(timeout))
    }

    /// As [`try_recv`](Self::try_recv), waiting for as long as it takes. `None` only when the hub
    /// has been closed by its [`Closer`]; what has arrived can then still be taken with
    /// [`try_recv`](Self::try_recv).
    ///
    /// # Errors
    ///
    /// As [`try_recv`](Self::try_recv).
    #[inline(always)]
    pub fn recv(&mut self) -> Result<Option<Received<'_>>, RecvError> {
        if let Some(len) = self.next_at_once() {
            return Ok(Some(Received::in_place(self.inlets.current(), len, 0)));
        }
        self.recv_by(None)
    }

    /// The hot path: the next event of the busiest link, if nothing stands in the way.
    #[inline(always)]
    fn next_at_once(&mut self) -> Option<usize> {
        // What was slept for is looked at more closely.
        if self.bell.has_slept() || !self.process.is_current() {
            return None;
        }
        self.inlets.next_of_current()
    }

    /// As [`next_at_once`](Self::next_at_once), for some looks: an answer mostly comes over the
    /// link that was used last, and everything else that there is to look at takes longer than it.
    #[inline(always)]
    fn next_in_a_moment(&mut self) -> Option<usize> {
        (0..QUICK_LOOKS).find_map(|_| self.next_at_once())
    }

    fn recv_by(&mut self, by: Option<Instant>) -> Result<Option<Received<'_>>, RecvError> {
        if !self.process.is_current() {
            return Err(RecvError::Forked);
        }
        self.bell.disarm();
        let mut waiter = Waiter::new(self.wait, by);
        loop {
            if let Some(len) = self.next_in_a_moment() {
                return Ok(Some(Received::in_place(self.inlets.current(), len, 0)));
            }
            if self.shared.is_closed() {
                return Ok(None);
            }
            if let Some(found) = self.find()? {
                return self.receive(found).map(Some);
            }
            if self.inlets.take_caught_up() {
                waiter.pause();
            }
            match waiter.step() {
                Step::Look => {}
                Step::TimedOut => return Ok(None),
                Step::Sleep => {
                    if let Some(found) = self.sleep(&waiter)? {
                        return self.receive(found).map(Some);
                    }
                    waiter.woke();
                }
            }
        }
    }

    /// Before waiting for the hub's descriptor with poll, epoll or an async runtime: `true` means
    /// that there is nothing to receive, and that the descriptor becomes readable when there is
    /// (and once more some milliseconds later, for nothing); `false` that there may be something
    /// now. Call [`try_recv`](Self::try_recv) when the descriptor is readable, until it gives
    /// `None`, and then this again. Costs about 2 µs when events have arrived in between.
    pub fn arm(&mut self) -> bool {
        if !self.process.is_current() {
            return false; // and `try_recv` says why
        }
        self.bell.arm();
        let nothing = !self.shared.has_mail()
            && self.accepted.is_empty()
            && !self.shared.is_closed()
            && self.leaving == 0
            && matches!(self.inlets.find(), Ok(None));
        if nothing {
            self.inlets.publish();
        } else {
            self.bell.disarm();
        }
        nothing
    }

    /// How [`recv`](Self::recv) and [`recv_timeout`](Self::recv_timeout) wait.
    pub fn set_wait(&mut self, wait: Wait) {
        self.wait = wait;
    }

    /// Something to end [`recv`](Self::recv) with, from another thread.
    #[must_use]
    pub fn closer(&self) -> Closer {
        Closer(Arc::clone(&self.shared))
    }

    /// Whether its [`Closer`] has been used: nothing that waits will wait again.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// How many links it reads.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.inlets.len()
    }

    fn usable(&self) -> Result<(), Error> {
        if self.process.is_current() { Ok(()) } else { Err(Error::Forked) }
    }

    /// Where the next record is.
    #[inline(always)]
    fn find(&mut self) -> Result<Option<Found>, RecvError> {
        if !self.process.is_current() {
            return Err(RecvError::Forked);
        }
        if self.inlets.is_turn_over() {
            self.between_turns()?;
        }
        match self.inlets.find() {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => self.nothing(),
            Err((index, error)) => Err(self.ended(index, error)),
        }
    }

    /// The event that was found.
    fn receive(&mut self, (index, commit): Found) -> Result<Received<'_>, RecvError> {
        let Some(extension) = self.inlets.get_mut(index).extension_of(commit) else {
            let why = format!("a record of {} bytes that is no event: {commit:?}", commit.len);
            return Err(self.remove(index, End::Corrupt(why)));
        };
        let slept = self.bell.take_slept();
        let inlet = self.inlets.get_mut(index);
        let received = if inlet.in_place {
            Received::in_place(inlet, commit.len, extension)
        } else {
            Received::copied(inlet, commit.len, extension, &mut self.copy)
        };
        Ok(received.looked_at(slept))
    }
}

impl Sleeps for Hub {
    type Found = Found;
    type Error = RecvError;

    fn bell(&mut self) -> &mut Bell {
        &mut self.bell
    }

    fn look(&mut self) -> Result<Option<Found>, RecvError> {
        self.find()
    }

    fn is_over(&self) -> bool {
        self.shared.is_closed()
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("name", &self.shared.name).finish_non_exhaustive()
    }
}

impl AsFd for Hub {
    /// Its doorbell; see [`arm`](Hub::arm).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if self.process.is_current() {
            self.accepted.clear();
            self.sender.outbox.with(|outbox| outbox.close());
            self.control.leave(self.shared.key);
        }
    }
}
