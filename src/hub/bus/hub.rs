//! What a hub offers of the bus.

use super::content::{Content, Typed};
use super::inbox::Inbox;
use super::news::DomainEvents;
use super::options::{Flow, SubscriptionOptions};
use super::outbox::Item;
use super::publisher::{Publisher, Sent};
use super::source::Peer;
use super::subscription::Subscription;
use crate::error::Error;
use crate::event::schema::schema_id;
use crate::event::subject::{Pattern, check_subject};
use crate::event::{Event, Extension};
use crate::hub::Hub;
use crate::hub::control::NewSubscription;
use crate::limits::{CURSOR_SLOTS, PATTERNS_MAX};
use crate::protocol::{RefusalCode, SubjectInfo};
use crate::segment::{RingMemory, RingOptions};
use crate::wait::Bell;
use rkyv::util::AlignedVec;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::refused(RefusalCode::InvalidSubject, why.to_string())
}

impl Hub {
    /// A publisher of events of one type on one subject. When this returns, all who subscribe to
    /// the subject get what is sent (those that are stopped, when they go on).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] (not a subject, limits), [`Error::Segment`] (the first one makes the
    /// hub's broadcast ring), [`Error::Disconnected`], [`Error::TimedOut`].
    pub fn publisher<T: Event>(&self, subject: &str) -> Result<Publisher<T>, Error> {
        let row = self.row_for(subject)?;
        self.describe_type::<T>();
        let sender = self.sender.clone();
        Ok(Publisher { sender, row, subject: subject.into(), marker: PhantomData })
    }

    /// Subscribes to all subjects that match one of the patterns, whoever publishes on them, now
    /// and later. When this returns, what is published from now on arrives.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] (not a pattern, limits), [`Error::LimitReached`], [`Error::Kernel`] (no
    /// descriptors left), [`Error::Disconnected`], [`Error::TimedOut`].
    pub fn subscribe<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Subscription, Error> {
        self.subscribe_with(patterns, SubscriptionOptions::default())
    }

    /// As [`subscribe`](Self::subscribe), with options.
    ///
    /// # Errors
    ///
    /// As [`subscribe`](Self::subscribe).
    pub fn subscribe_with<P: AsRef<str>>(
        &self,
        patterns: impl IntoIterator<Item = P>,
        options: SubscriptionOptions,
    ) -> Result<Subscription, Error> {
        self.usable()?;
        let patterns = patterns.into_iter().map(|p| Pattern::new(p.as_ref()).map_err(invalid));
        let patterns = patterns.collect::<Result<Vec<Pattern>, Error>>()?;
        if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
            let count = patterns.len();
            return Err(invalid(format!(
                "a subscription has 1 to {PATTERNS_MAX} patterns, not {count}"
            )));
        }
        let cursors = &self.shared.cursors;
        let limit = CURSOR_SLOTS;
        let bell_slot =
            cursors.take().ok_or(Error::LimitReached { what: "doorbells and rings", limit })?;
        let bell = Bell::new(cursors.slot(bell_slot)).map_err(Error::kernel("pipe"))?;
        let clone = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(Error::io("dup"));
        let inbox = Arc::new(Inbox::new(clone(bell.write_end())?));
        self.shared.add_inbox(&inbox);
        let number = self.control.next_number();
        let new = NewSubscription {
            number,
            patterns,
            gating: options.flow == Flow::Block,
            bell_slot,
            bell: clone(bell.given())?,
            inbox: Arc::clone(&inbox),
        };
        // From here on it ends properly when it is dropped.
        let subscription = Subscription {
            hub: Arc::clone(&self.shared),
            control: self.control.clone(),
            number,
            inbox,
            bell,
            bell_slot,
            wait: options.wait.unwrap_or(self.wait),
            payloads: self.payloads,
            sources: Vec::new(),
            sources_ever: 0,
            supervisor: Arc::new(Peer { id: 0, name: "supervisor".into(), same_user: true }),
            current: 0,
            turn: 0,
            copy: AlignedVec::new(),
            tally: self.shared.tally.subscription(number),
            domain_events: DomainEvents::default(),
            last_domain_event: 0,
            pending: None,
        };
        self.control.subscribe(self.shared.key, new)?;
        Ok(subscription)
    }

    /// Sends an event to one hub, if it has subscribed to the subject, waiting for room. The
    /// first time on a subject this asks the supervisor; later it is as [`Publisher::send`].
    ///
    /// # Errors
    ///
    /// As [`publisher`](Self::publisher); [`Error::Refused`] with
    /// [`UnknownHub`](RefusalCode::UnknownHub) if there is no such hub; [`Error::Send`].
    pub fn emit_to<T: Event>(&self, hub: &str, subject: &str, event: &T) -> Result<Sent, Error> {
        self.describe_type::<T>();
        self.emit_content_to(hub, subject, &Typed(event), Extension::new())
    }

    /// Says in memory that tools can read what events of a schema are (see
    /// [`counters::schemas`](crate::counters::schemas)), once; gives the schema. Publishers of a type do
    /// it by themselves; this is for events of which a program knows no more than that.
    ///
    /// Nothing happens if there is no more room, but that `schemas.dropped` is counted; nor in a
    /// forked child.
    pub fn describe(&self, name: &str, version: u32, layout: &str) -> u64 {
        let id = schema_id(name, version, layout);
        self.shared.tally.describe(id, name, version, layout);
        id
    }

    /// Whether [`describe`](Self::describe) has nothing to do any more for a schema. A lock and a look,
    /// while `describe` computes the schema of what it is given each time. True in a forked child.
    #[must_use]
    pub fn has_described(&self, schema: u64) -> bool {
        self.shared.tally.table.has_described(schema)
    }

    /// As [`describe`](Self::describe), of a type. A lock and a look if it has been said.
    pub(super) fn describe_type<T: Event>(&self) {
        let layout = const { &T::LAYOUT };
        self.shared.tally.describe(T::SCHEMA, T::NAME, T::VERSION, layout.as_str());
    }

    pub(super) fn emit_content_to<C: Content>(
        &self,
        hub: &str,
        subject: &str,
        content: &C,
        mut extension: Extension,
    ) -> Result<Sent, Error> {
        let row = self.row_for(subject)?;
        let to = match self.sender.outbox.with(|outbox| outbox.listener_called(hub)).flatten() {
            Some(id) => id,
            None => self.id_of(hub)?,
        };
        extension.set_destination(to);
        self.emit(row, content, &extension, to)
    }

    /// All subjects of the domain on which somebody publishes, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`], [`Error::TimedOut`].
    pub fn subjects(&self) -> Result<Vec<SubjectInfo>, Error> {
        self.usable()?;
        self.control.subjects(self.shared.key)
    }

    pub(super) fn emit<C: Content>(
        &self,
        row: usize,
        content: &C,
        extension: &Extension,
        to: u64,
    ) -> Result<Sent, Error> {
        let item = Item { content, extension: extension.bytes(), to };
        self.sender.send(row, &item, None).map_err(Error::Send)
    }

    /// The id of a hub of which we know only its name.
    fn id_of(&self, name: &str) -> Result<u64, Error> {
        let hubs = self.hubs()?;
        let found = hubs.iter().find(|hub| hub.name == name).map(|hub| hub.id);
        found.ok_or_else(|| {
            Error::refused(RefusalCode::UnknownHub, format!("there is no hub {name:?}"))
        })
    }

    /// The outbox's row for a subject, which is made known when it is new.
    pub(super) fn row_for(&self, subject: &str) -> Result<usize, Error> {
        self.usable()?;
        if let Some(row) = self.publishing.lock().get(subject) {
            return Ok(*row);
        }
        check_subject(subject).map_err(invalid)?;
        self.make_broadcast()?;
        let id = self.control.declare(self.shared.key, subject)?;
        let route = self.sender.outbox.with(|outbox| outbox.route_for(id, subject));
        let row = route.ok_or(Error::Closed)?;
        self.publishing.lock().insert(subject.into(), row);
        Ok(row)
    }

    /// Makes the broadcast ring, if there is none yet.
    fn make_broadcast(&self) -> Result<(), Error> {
        let outbox = &self.sender.outbox;
        if outbox.with(|outbox| outbox.has_broadcast()).unwrap_or(true) {
            return Ok(());
        }
        let options = RingOptions { capacity: self.broadcast_capacity, ..RingOptions::default() };
        let (writer, ring) =
            RingMemory::create(options).map_err(Error::segment("the broadcast ring"))?;
        self.control.broadcast(self.shared.key, ring.file, ring.capacity as u64);
        outbox.with(|outbox| outbox.set_broadcast(writer));
        Ok(())
    }
}
