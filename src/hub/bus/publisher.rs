//! Publishing: events of one type on one subject.

use super::content::{Content, Typed};
use super::outbox::{Item, SharedOutbox};
use super::raw::RawEvent;
use crate::event::{Event, Extension, RAW_SCHEMA};
use crate::hub::state::HubShared;
use crate::ring::RoomWait;
use crate::segment::futex;
use crate::send_error::SendError;
use crossbeam_utils::Backoff;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Which way an event went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Path {
    /// Nobody wants it, and nothing was written.
    Nobody,
    /// Over the links with those who want it.
    Links,
    /// Over the hub's broadcast ring.
    Broadcast,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Which way it went.
    pub path: Path,
    /// Subscriptions that it is for.
    pub receivers: u32,
}

/// How long who waits for room sleeps at first, and at most, before it looks by itself: whether the
/// way is to be changed is decided within a millisecond.
const ROOM_NAPS: [Duration; 2] = [Duration::from_micros(125), Duration::from_millis(1)];

/// What all that sends needs of its hub.
#[derive(Clone)]
pub(crate) struct Sender {
    pub hub: Arc<HubShared>,
    pub outbox: SharedOutbox,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sender({})", self.hub.name)
    }
}

impl Sender {
    /// Sends, if there is room.
    #[inline]
    pub(super) fn try_send<C: Content>(
        &self,
        row: usize,
        item: &Item<'_, C>,
    ) -> Result<Sent, SendError> {
        if !self.hub.process.is_current() {
            return Err(SendError::Forked);
        }
        self.outbox.with(|outbox| outbox.publish(row, item)).unwrap_or(Err(SendError::Busy))
    }

    fn try_again<C: Content>(&self, row: usize, item: &Item<'_, C>) -> Result<Sent, SendError> {
        if !self.hub.process.is_current() {
            return Err(SendError::Forked);
        }
        self.outbox.with(|outbox| outbox.publish_again(row, item)).unwrap_or(Err(SendError::Busy))
    }

    /// Subscriptions that want events of a row now.
    pub(super) fn receivers(&self, row: usize) -> u32 {
        if !self.hub.process.is_current() {
            return 0; // and `send` says why
        }
        self.outbox.with(|outbox| outbox.receivers(row, 0)).unwrap_or(0)
    }

    /// Sends, waiting for room.
    #[inline]
    pub(super) fn send<C: Content>(
        &self,
        row: usize,
        item: &Item<'_, C>,
        by: Option<Instant>,
    ) -> Result<Sent, SendError> {
        match self.try_send(row, item) {
            Err(SendError::Full) => self.send_slowly(row, item, by),
            result => result,
        }
    }

    #[cold]
    fn send_slowly<C: Content>(
        &self,
        row: usize,
        item: &Item<'_, C>,
        by: Option<Instant>,
    ) -> Result<Sent, SendError> {
        let backoff = Backoff::new();
        let [mut nap, longest] = ROOM_NAPS;
        loop {
            match self.try_again(row, item) {
                Err(SendError::Full) if by.is_some_and(|by| Instant::now() >= by) => {
                    return Err(SendError::Full);
                }
                Err(SendError::Full) => {}
                result => return result,
            }
            if !backoff.is_completed() {
                backoff.snooze();
                continue;
            }
            let wait = self.outbox.with(|outbox| outbox.announce_wait(row, item.to));
            if let Some(RoomWait::Sleep(reader, seen)) = wait {
                // The outbox is free for others meanwhile.
                futex::sleep(&reader, seen, nap);
                nap = longest.min(nap * 2);
            }
            self.outbox.with(|outbox| outbox.end_wait());
        }
    }
}

/// Sends events of one type on one subject. Belongs to one thread at a time, which need not be
/// its hub's; all publishers of a hub take turns, which costs a few microseconds when it is
/// another thread's turn. Dropping it changes nothing for those who have subscribed.
#[derive(Debug)]
pub struct Publisher<T> {
    pub(super) sender: Sender,
    pub(super) row: usize,
    pub(super) subject: Arc<str>,
    pub(super) marker: PhantomData<fn(&T)>,
}

impl<T> Publisher<T> {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Subscriptions that want its events now. None after fork, in the child.
    #[must_use]
    pub fn receivers(&self) -> u32 {
        self.sender.receivers(self.row)
    }

    /// Sends raw bytes as an event of schema [`RAW_SCHEMA`], waiting for room for as long as it
    /// takes.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<Sent, SendError> {
        self.send_raw(&RawEvent::bytes(RAW_SCHEMA, bytes), None)
    }

    /// As [`send_bytes`](Self::send_bytes), with an extension.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_bytes_with(
        &mut self,
        bytes: &[u8],
        extension: &Extension,
    ) -> Result<Sent, SendError> {
        self.send_raw(&RawEvent::bytes(RAW_SCHEMA, bytes).extension(extension), None)
    }

    /// As [`send_bytes_with`](Self::send_bytes_with), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn send_bytes_timeout_with(
        &mut self,
        bytes: &[u8],
        extension: &Extension,
        timeout: Duration,
    ) -> Result<Sent, SendError> {
        let event = RawEvent::bytes(RAW_SCHEMA, bytes).extension(extension);
        self.send_raw(&event, crate::hub::after(timeout))
    }

    fn send_raw(&self, event: &RawEvent<'_>, by: Option<Instant>) -> Result<Sent, SendError> {
        self.sender.send(self.row, &event.for_all(), by)
    }

    /// As [`send_bytes_with`](Self::send_bytes_with), without waiting.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn try_send_bytes_with(
        &mut self,
        bytes: &[u8],
        extension: &Extension,
    ) -> Result<Sent, SendError> {
        let event = RawEvent::bytes(RAW_SCHEMA, bytes).extension(extension);
        self.sender.try_send(self.row, &event.for_all())
    }
}

impl<T: Event> Publisher<T> {
    /// Sends an event to all who subscribe to its subject. No system call unless one of them
    /// sleeps, no lock, no allocation; a few nanoseconds when nobody does.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nobody sees anything of it then. `Full` means now, not for ever: one of
    /// them has not read far enough.
    #[inline]
    pub fn try_send(&mut self, event: &T) -> Result<Sent, SendError> {
        let content = Typed(event);
        self.sender.try_send(self.row, &Item { content: &content, extension: &[], to: 0 })
    }

    /// As [`try_send`](Self::try_send), waiting for room until `timeout` has passed.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send).
    pub fn send_timeout(&mut self, event: &T, timeout: Duration) -> Result<Sent, SendError> {
        let by = crate::hub::after(timeout);
        let content = Typed(event);
        self.sender.send(self.row, &Item { content: &content, extension: &[], to: 0 }, by)
    }

    /// As [`try_send`](Self::try_send), waiting for room for as long as it takes. A subscription
    /// that stands still is overtaken after a while ([`HubBuilder::patience`]), so that it takes no
    /// longer than that.
    ///
    /// # Errors
    ///
    /// As [`try_send`](Self::try_send), never `Full`.
    ///
    /// [`HubBuilder::patience`]: crate::HubBuilder::patience
    #[inline]
    pub fn send(&mut self, event: &T) -> Result<Sent, SendError> {
        let content = Typed(event);
        self.sender.send(self.row, &Item { content: &content, extension: &[], to: 0 }, None)
    }

    /// As [`send`](Self::send), with an extension.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_with(&mut self, event: &T, extension: &Extension) -> Result<Sent, SendError> {
        let content = Typed(event);
        let item = Item { content: &content, extension: extension.bytes(), to: 0 };
        self.sender.send(self.row, &item, None)
    }
}
