//! The two halves of a link, and how they are put together.

use super::session::{Pending, Session, Watched};
use super::watch::Subject;
use super::{Answer, LinkOffer};
use crate::error::Error;
use crate::event::Encoder;
use crate::hub::link::Link;
use crate::hub::mail::Mail;
use crate::hub::receive::Inlet;
use crate::hub::state::{HubShared, LinkId, LinkShared, SlotGuard};
use crate::protocol::{HubInfo, RefusalCode, Terms, ToSupervisor};
use crate::ring::{Reader, Writer};
use crate::segment::{PeerCursors, RingMemory, RingOptions, SharedRing};
use crate::wait::Ringer;
use nix::unistd::Uid;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A link that this hub wants to open.
pub(super) struct Outgoing {
    pub(super) to: String,
    pub(super) half: OwnHalf,
    pub(super) wanted: u64,
    pub(super) answer: Answer<Link>,
}

/// What this side brings to a link.
pub(super) struct OwnHalf {
    pub(super) writer: Writer<RingMemory>,
    /// Where we publish how far we have read.
    pub(super) slot: SlotGuard,
    pub(super) terms: Terms,
    /// Ring, cursors, doorbell: what the other side gets.
    pub(super) descriptors: Vec<OwnedFd>,
}

impl OwnHalf {
    fn new(
        hub: &Arc<HubShared>,
        writer: Writer<RingMemory>,
        ring: SharedRing,
    ) -> Result<Self, Error> {
        let limit = crate::limits::CURSOR_SLOTS;
        let slot = hub.cursors.take().ok_or(Error::LimitReached { what: "read rings", limit })?;
        let slot = SlotGuard { hub: Arc::clone(hub), slot };
        let terms = Terms {
            capacity: ring.capacity as u64,
            position_slot: slot.slot,
            bell_slot: hub.bell_slot,
        };
        let clone = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(Error::io("dup"));
        let descriptors =
            vec![ring.file, clone(hub.cursors.as_fd())?, clone(hub.given_bell.as_fd())?];
        Ok(Self { writer, slot, terms, descriptors })
    }
}

impl Outgoing {
    pub(super) fn new(
        hub: &Arc<HubShared>,
        to: &str,
        writer: Writer<RingMemory>,
        ring: SharedRing,
        wanted: usize,
        answer: Answer<Link>,
    ) -> Result<Self, Error> {
        let half = OwnHalf::new(hub, writer, ring)?;
        Ok(Self { to: to.to_owned(), half, wanted: wanted as u64, answer })
    }
}

/// Whether the other side made the ring that it was asked for, and not a larger one.
fn check_capacity(terms: &Terms, wanted: u64) -> Result<(), Error> {
    if terms.capacity == wanted {
        return Ok(());
    }
    let reason = format!(
        "the other hub made a ring of {} bytes where {wanted} were asked for",
        terms.capacity
    );
    Err(Error::refused(RefusalCode::Failed, reason))
}

impl Session {
    /// Another hub wants a link.
    pub(super) fn offered(
        &mut self,
        link: LinkId,
        from: HubInfo,
        terms: Terms,
        wanted: u64,
        descriptors: Vec<OwnedFd>,
    ) {
        match self.try_accept(link, from, terms, wanted, descriptors) {
            Ok((terms, descriptors)) => {
                self.say(&ToSupervisor::Accept { link: link.0, terms }, descriptors);
            }
            Err((code, reason)) => {
                self.say(&ToSupervisor::Decline { link: link.0, code, reason }, Vec::new());
            }
        }
    }

    fn try_accept(
        &mut self,
        link: LinkId,
        from: HubInfo,
        terms: Terms,
        wanted: u64,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Terms, Vec<OwnedFd>), (RefusalCode, String)> {
        let name = Arc::clone(&self.hub.name);
        let failed = |error: Error| (RefusalCode::Failed, format!("hub {name}: {error}"));
        let offer = LinkOffer { from, receive_capacity: terms.capacity, send_capacity: wanted };
        // A panic of the program's must not end the thread that serves all hubs.
        let wants = catch_unwind(AssertUnwindSafe(|| (self.accept_if)(&offer)));
        if !wants.unwrap_or(false) {
            return Err((RefusalCode::Declined, format!("hub {name} does not want this link")));
        }
        if terms.capacity.max(wanted) > self.largest_ring {
            let reason = format!(
                "hub {name} accepts rings of at most {} bytes, not {}; see \
                 HubBuilder::largest_ring",
                self.largest_ring,
                terms.capacity.max(wanted)
            );
            return Err((RefusalCode::LimitReached, reason));
        }
        self.has_room_for_mail().map_err(&failed)?;
        let capacity = usize::try_from(wanted).unwrap_or(usize::MAX);
        let options = RingOptions { capacity, ..RingOptions::default() };
        let (writer, ring) = RingMemory::create(options)
            .map_err(Error::segment("the ring that it writes"))
            .map_err(&failed)?;
        let mut half = OwnHalf::new(&self.hub, writer, ring).map_err(&failed)?;
        let descriptors_of_half = std::mem::take(&mut half.descriptors);
        let own_terms = half.terms;
        let (inlet, new) =
            self.attach((link, false), &offer.from, terms, half, descriptors).map_err(&failed)?;
        self.opening.insert(link, (Box::new(inlet), Box::new(new)));
        Ok((own_terms, descriptors_of_half))
    }

    /// The other hub has accepted: attach, and tell it.
    pub(super) fn established(
        &mut self,
        request: u32,
        link: LinkId,
        with: &HubInfo,
        terms: Terms,
        descriptors: Vec<OwnedFd>,
    ) {
        let Some(Pending::Link(answer, half, wanted)) = self.pending.remove(&request) else {
            // Whoever asked has given up.
            let reason = "the opener no longer waits".to_owned();
            return self.say(&ToSupervisor::Close { link: link.0, reason }, Vec::new());
        };
        let attached = self
            .has_room_for_mail()
            .and_then(|()| check_capacity(&terms, wanted))
            .and_then(|()| self.attach((link, true), with, terms, half, descriptors));
        match attached {
            Ok((inlet, new)) => {
                self.post(Mail::Inlet(Box::new(inlet)));
                self.say(&ToSupervisor::Attached { link: link.0 }, Vec::new());
                self.link_known(link);
                // If nobody waits any more, the link is dropped here, which ends its stream.
                let _ = answer.send(Ok(new));
            }
            Err(error) => {
                let reason = error.to_string();
                self.say(&ToSupervisor::Close { link: link.0, reason }, Vec::new());
                let _ = answer.send(Err(error));
            }
        }
    }

    /// The opener of a link that we accepted has attached.
    pub(super) fn opened(&mut self, link: LinkId) {
        if let Some((inlet, new)) = self.opening.remove(&link) {
            self.post(Mail::Inlet(inlet));
            self.post(Mail::Accepted(new));
        }
    }

    /// Maps what the other side sent, and puts both halves together, of a link that we `opened` or
    /// did not.
    fn attach(
        &mut self,
        (id, opened): (LinkId, bool),
        peer: &HubInfo,
        terms: Terms,
        half: OwnHalf,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Inlet, Link), Error> {
        let theirs = |what: &str| Error::segment(format!("{what} of hub {}", peer.name));
        let ([ring, cursors, pipe], process) = self.unpack(descriptors)?;
        let memory = RingMemory::open(&ring, terms.capacity).map_err(theirs("the ring"))?;
        let cursors = PeerCursors::open(&cursors).map_err(theirs("the positions"))?;
        let position = cursors.slot(terms.position_slot).map_err(theirs("the position"))?;
        let bell = cursors.slot(terms.bell_slot).map_err(theirs("the doorbell"))?;
        let fencing = cursors.fencing();
        let ringer =
            Ringer::new(bell, &pipe, fencing).map_err(Error::kernel("open of a doorbell"))?;
        let subject = Subject::Link(self.hub.key, id);
        let bell = self.watch_bell(ringer.pipe(), subject)?;
        let mut writer = half.writer;
        if writer.add_reader(peer.id, position).is_err() {
            return Err(Error::LimitReached { what: "readers", limit: 1 });
        }
        let start = memory.start();
        let reader = Reader::attach(memory, self.hub.cursors.slot(half.slot.slot), start, fencing);
        let same_user = peer.uid == Uid::effective().as_raw();
        let shared = Arc::new(LinkShared::new(id, peer.name.as_str().into(), same_user));
        let inlet = Inlet {
            reader,
            shared: Arc::clone(&shared),
            tally: self.hub.tally.inlet(&peer.name),
            _slot: half.slot,
            in_place: false, // for the hub to decide
            empty_at: start,
            leaving: None,
            last: u64::MAX,
        };
        let watched = Watched {
            shared: Arc::clone(&shared),
            peer: peer.id,
            opened,
            known: false,
            _bell: bell,
            process,
            stream_ended: false,
            reading_ended: false,
        };
        self.links.insert(id, watched);
        self.count_links();
        let link = Link {
            writer,
            ringer,
            encoder: Encoder::default(),
            next: 0,
            tally: self.hub.tally.link(&peer.name),
            timestamps: self.timestamps,
            process: self.hub.process,
            shared,
            hub: Arc::clone(&self.hub),
            control: self.control.clone(),
        };
        Ok((inlet, link))
    }
}
