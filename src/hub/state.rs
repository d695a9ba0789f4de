//! What the threads of one hub share: its own, those that send, and the control thread.

use super::bus::Inbox;
use super::mail::Mailbox;
use super::tally::Tally;
use crate::segment::{Cursors, Process};
use crate::wait::ring;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use parking_lot::Mutex;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

/// The number of a link, the same on both sides; a domain never gives it to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub(crate) u64);

impl LinkId {
    /// The number itself; no other link of the domain has it.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {}", self.0)
    }
}

/// What has become of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LinkState {
    Open = 0,
    /// The other process, or its hub, is gone.
    PeerGone = 1,
    /// One side ended it on purpose, or because the other did not keep to the protocol.
    Closed = 2,
    /// Our own hub was closed.
    HubClosed = 3,
}

/// One link, as all threads of this hub see it.
#[derive(Debug)]
pub(crate) struct LinkShared {
    pub id: LinkId,
    pub peer: Arc<str>,
    /// Whether the peer runs as the same user, so that its payloads may be read in place.
    pub same_user: bool,
    state: AtomicU8,
}

impl LinkShared {
    pub(crate) fn new(id: LinkId, peer: Arc<str>, same_user: bool) -> Self {
        Self { id, peer, same_user, state: AtomicU8::new(LinkState::Open as u8) }
    }

    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        // Relaxed: the flag stands alone; what was committed before is read all the same.
        self.state.load(Ordering::Relaxed) == LinkState::Open as u8
    }

    pub(crate) fn state(&self) -> LinkState {
        match self.state.load(Ordering::Relaxed) {
            0 => LinkState::Open,
            1 => LinkState::PeerGone,
            2 => LinkState::Closed,
            _ => LinkState::HubClosed,
        }
    }

    /// Ends the link for those who send. The first reason stays.
    pub(crate) fn end(&self, state: LinkState) {
        let open = LinkState::Open as u8;
        // Relaxed: as above.
        let _ =
            self.state.compare_exchange(open, state as u8, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// One hub, as all its threads see it.
#[derive(Debug)]
pub(crate) struct HubShared {
    pub name: Arc<str>,
    pub id: u64,
    /// This process's number for it, whatever its domain.
    pub key: u64,
    /// The process that opened it.
    pub process: Process,
    pub cursors: Cursors,
    pub bell_slot: u32,
    /// What the control thread has left for the hub's own thread, and whether there is anything.
    pub mail: Mailbox,
    has_mail: AtomicBool,
    closed: AtomicBool,
    /// Of its subscriptions.
    inboxes: Mutex<Vec<Weak<Inbox>>>,
    /// It has been dropped.
    left: AtomicBool,
    /// To wake the hub's own thread, whoever it is that sleeps on the bell.
    own_bell: OwnedFd,
    /// What peers are given to ring with.
    pub given_bell: OwnedFd,
    pub tally: Tally,
}

impl HubShared {
    pub(crate) fn new(
        name: &str,
        id: u64,
        cursors: Cursors,
        bell_slot: u32,
        [own_bell, given_bell]: [OwnedFd; 2],
        tally: Tally,
    ) -> Self {
        static NEXT_KEY: AtomicU64 = AtomicU64::new(1);
        Self {
            name: name.into(),
            id,
            // Relaxed: only its uniqueness counts.
            key: NEXT_KEY.fetch_add(1, Ordering::Relaxed),
            process: Process::current(),
            cursors,
            bell_slot,
            mail: Mailbox::default(),
            has_mail: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            inboxes: Mutex::default(),
            left: AtomicBool::new(false),
            own_bell,
            given_bell,
            tally,
        }
    }

    /// Tells the hub's thread that there is mail.
    pub(crate) fn announce_mail(&self) {
        // SYNC(mail): pairs with the acquire in `take_mail`; the mail was pushed before.
        self.has_mail.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the hub's thread; always rings, because this is rare.
    pub(crate) fn wake(&self) {
        ring(&self.own_bell);
    }

    #[inline(always)]
    pub(crate) fn has_mail(&self) -> bool {
        // Relaxed: `take_mail` orders.
        self.has_mail.load(Ordering::Relaxed)
    }

    pub(crate) fn take_mail(&self) -> bool {
        // SYNC(mail): pairs with the release in `announce_mail`.
        self.has_mail.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn close(&self) {
        // Relaxed: the pipe wakes who sleeps, and who looks sees it soon.
        self.closed.store(true, Ordering::Relaxed);
        self.wake();
        let inboxes = self.inboxes.lock();
        inboxes.iter().filter_map(Weak::upgrade).for_each(|inbox| inbox.close());
    }

    /// A subscription that ends when the hub is closed; at once if it has been.
    pub(crate) fn add_inbox(&self, inbox: &Arc<Inbox>) {
        let mut inboxes = self.inboxes.lock();
        inboxes.retain(|known| known.strong_count() > 0);
        inboxes.push(Arc::downgrade(inbox));
        if self.is_closed() {
            inbox.close();
        }
    }

    pub(crate) fn leave(&self) {
        // Relaxed: looked at by the thread that stores it.
        self.left.store(true, Ordering::Relaxed);
        self.tally.table.end();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

/// Gives a cursor slot back when the reader that publishes in it is gone.
#[derive(Debug)]
pub(crate) struct SlotGuard {
    pub hub: Arc<HubShared>,
    pub slot: u32,
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        self.hub.cursors.give_back(self.slot);
    }
}

/// The slot that says where a reader of one of our rings begins. The reader may look at it for the
/// first time long after the ring has ended: so the word stays as it is until the reader has left,
/// and for ever if the hub leaves first.
#[derive(Debug)]
pub(crate) struct StartSlot {
    pub hub: Arc<HubShared>,
    pub slot: u32,
}

impl Drop for StartSlot {
    fn drop(&mut self) {
        // Relaxed: as in `leave`.
        if !self.hub.left.load(Ordering::Relaxed) {
            self.hub.cursors.give_back(self.slot);
        }
    }
}
