//! One ring that the outbox writes, and the patience that it has with those who read it.

use super::content::Content;
use super::outbox::Item;
use super::routes::Gate;
use crate::event::{Encoder, HEADER_BYTES, Header};
use crate::hub::tally::LaneTally;
use crate::ring::{Kind, RingError, Writer};
use crate::segment::RingMemory;
use crate::send_error::SendError;
use core::sync::atomic::Ordering;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the reader of a lane may stand still, with the lane full, before the broadcast is used.
const LANE_PATIENCE: Duration = Duration::from_micros(500);

/// One ring that we write, and who holds it back.
#[derive(Debug)]
pub(super) struct Outlet {
    pub writer: Writer<RingMemory>,
    /// The slowest reader when there was no room, where it was, and since when.
    pub stall: Option<(u64, u64, Instant)>,
}

/// A ring to one other hub.
#[derive(Debug)]
pub(super) struct Lane {
    pub outlet: Outlet,
    /// Our numbers of the gates, by number of subscription.
    pub gates: BTreeMap<u32, u64>,
    /// Its reader stands still: the broadcast is used until it has caught up.
    pub suspended: bool,
    pub tally: LaneTally,
}

/// Why a record was not written.
pub(super) enum Refused {
    Full,
    TooLong(usize),
    Unserialisable,
    Closed,
}

impl Refused {
    #[cold]
    pub(super) fn error(self, writer: &Writer<RingMemory>, name: &'static str) -> SendError {
        let (max, capacity) = (writer.max_body() - HEADER_BYTES, writer.capacity());
        match self {
            Self::Full => SendError::Full,
            Self::TooLong(body) => {
                SendError::TooLargeToPublish { len: body - HEADER_BYTES, max, capacity }
            }
            Self::Unserialisable => SendError::Unserialisable { name, max },
            Self::Closed => SendError::HubClosed,
        }
    }
}

impl Outlet {
    /// Waits from now on for a reader, and tells it where it begins.
    pub(super) fn admit(&mut self, number: u64, gate: &Gate) {
        let start = match self.writer.add_reader(number, gate.position.clone()) {
            Ok(start) => start,
            // Too many: one more that is not waited for.
            Err(_) => self.writer.position(),
        };
        // SYNC(start): pairs with the acquire in `source::begin`; what lies before was written.
        gate.start.word().store(start, Ordering::Release);
    }

    #[inline(always)]
    pub(super) fn reserve(&mut self, body: usize) -> Result<(), Refused> {
        loop {
            match self.writer.reserve(body) {
                Ok(()) => {
                    return Ok(());
                }
                Err(RingError::Full) => return Err(Refused::Full),
                Err(RingError::TooLarge { .. }) => return Err(Refused::TooLong(body)),
                Err(RingError::Closed) => return Err(Refused::Closed),
                // One reader less to wait for.
                Err(error @ RingError::ReaderLied { .. }) => tracing::warn!(%error, "not believed"),
                Err(RingError::ReaderLeft { .. }) => {}
            }
        }
    }

    /// Puts an event into the ring; gives the bytes of its payload.
    #[inline(always)]
    pub(super) fn put<C: Content>(
        &mut self,
        encoder: &mut Encoder,
        header: Header,
        subject: u32,
        item: &Item<'_, C>,
    ) -> Result<usize, Refused> {
        let start = HEADER_BYTES + item.extension.len();
        let mut payload = item.content.loan(encoder);
        loop {
            // What is to be written may be said to be as long as one likes.
            self.reserve(start.saturating_add(payload))?;
            {
                let mut loan = self.writer.loan_reserved(start + payload);
                if let Some(len) = item.content.fill(encoder, &mut loan[start..]) {
                    loan[HEADER_BYTES..start].copy_from_slice(item.extension);
                    header.write(&mut loan);
                    let kind = if start == HEADER_BYTES { Kind::Plain } else { Kind::Extended };
                    loan.commit(start + len, kind, subject);
                    return Ok(len);
                }
            }
            let max = self.writer.max_body().saturating_sub(start);
            payload = encoder.more(payload, max).ok_or(Refused::Unserialisable)?;
        }
    }

    /// There is no room: notes since when the slowest reader has stood still, and goes on without
    /// it when it has for too long: `true`.
    #[cold]
    pub(super) fn lose_patience(&mut self, patience: Duration) -> bool {
        if !self.stands_still_for(patience) {
            return false;
        }
        self.stall = None;
        let Some(gate) = self.writer.evict_slowest() else { return false };
        tracing::warn!(gate, "a subscription holds us up for too long; it is overtaken");
        true
    }

    #[cold]
    fn stands_still_for(&mut self, patience: Duration) -> bool {
        let Some((reader, position)) = self.writer.slowest_reader() else { return false };
        match self.stall {
            Some((was, at, since)) if was == reader && at == position => {
                since.elapsed() >= patience
            }
            _ => {
                self.stall = Some((reader, position, Instant::now()));
                false
            }
        }
    }
}

impl Lane {
    /// A ring that nobody reads yet.
    pub(super) fn new(writer: Writer<RingMemory>, tally: LaneTally) -> Self {
        let outlet = Outlet { writer, stall: None };
        Self { outlet, gates: BTreeMap::new(), suspended: false, tally }
    }

    fn suspend(&mut self, suspended: bool) {
        self.suspended = suspended;
        self.tally.suspended.set(u64::from(suspended));
    }

    /// Goes back to it, if it is suspended, when its reader has read at least half of it.
    #[cold]
    pub(super) fn try_again(&mut self) {
        let half = self.outlet.writer.max_body();
        let suspended = self.suspended && self.outlet.reserve(half).is_err();
        self.suspend(suspended);
    }

    /// Whether its reader has held us up for so long that another way is taken.
    #[cold]
    pub(super) fn stands_still(&mut self) -> bool {
        let suspended = self.outlet.stands_still_for(LANE_PATIENCE);
        self.suspend(suspended);
        suspended
    }
}
