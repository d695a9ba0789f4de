//! What each message does.

use super::bus::Wish;
use super::descriptors::check_descriptors;
use super::flight::Count;
use super::registry::{Due, Link, Registry, Stage};
use crate::limits::{
    HUBS_PER_PAGE, LINK_DEADLINE_MS, LINKS_MAX, LINKS_PER_HUB_MAX, LINKS_PER_PAGE,
    PENDING_REQUESTS_PER_HUB_MAX, UNANSWERED_OFFERS_MAX,
};
use crate::protocol::{
    LinkInfo, RefusalCode, Terms, ToHub, ToSupervisor, check_name, clean_reason,
};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What a hub did that no hub of ours does; it is disconnected.
pub(super) type Fault = String;

impl Registry {
    /// Does what a message asks.
    ///
    /// # Errors
    ///
    /// The sender does not keep to the protocol and is to be disconnected.
    pub(super) fn handle(
        &mut self,
        from: u64,
        message: ToSupervisor,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Fault> {
        self.flight.add(Count::Messages);
        let named = self.connections.get(&from).is_some_and(|c| c.name.is_some());
        if named == matches!(message, ToSupervisor::Hello { .. }) {
            return Err("introduces itself twice, or not at all".to_owned());
        }
        let descriptors = match check_descriptors(&message, descriptors) {
            Ok(descriptors) => descriptors,
            Err(fault) => return self.without_descriptors(from, &message, fault),
        };
        match message {
            ToSupervisor::Hello { name, resume } => self.hello(from, name, resume),
            ToSupervisor::List { request, after } => self.list(from, request, after),
            ToSupervisor::WaitFor { request, name } => {
                let waits = self.connections.get(&from).map(|c| &c.waits);
                if waits.is_some_and(|waits| waits.contains_key(&request)) {
                    return Err(format!("uses the number {request} for two requests"));
                }
                self.wait_for(from, request, name);
            }
            ToSupervisor::Cancel { request } => self.cancel(from, request),
            ToSupervisor::Link { request, to, terms, wanted } => {
                self.offer(from, request, &to, terms, wanted, descriptors);
            }
            ToSupervisor::Accept { link, terms } => self.accept(from, link, terms, descriptors),
            ToSupervisor::Decline { link, code, reason } => {
                self.decline(from, link, code, clean_reason(&reason));
            }
            ToSupervisor::Attached { link } => self.attached(from, link),
            ToSupervisor::Held { link, peer, opened } => self.held(from, link, peer, opened),
            ToSupervisor::Close { link, reason } => {
                if self.is_party(from, link) {
                    self.end_link(link, from, false, &clean_reason(&reason));
                }
                self.no_longer_held(from, link);
            }
            ToSupervisor::Leave => self.leave(from),
            ToSupervisor::Attend { wanted } => self.attend(from, wanted),
            other => return self.handle_for_bus(from, other, descriptors),
        }
        Ok(())
    }

    /// Does what a message asks that is about publishing and subscribing.
    fn handle_for_bus(
        &mut self,
        from: u64,
        message: ToSupervisor,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), Fault> {
        match message {
            ToSupervisor::Broadcast { capacity } => self.broadcast(from, capacity, descriptors),
            ToSupervisor::Declare { request, subject, known } => {
                return self.declare(from, request, &subject, known);
            }
            ToSupervisor::Subscribe { request, subscription, patterns, gating, bell_slot } => {
                let wish = Wish { request, subscription, patterns, gating, bell_slot };
                self.subscribe(from, wish, descriptors);
            }
            ToSupervisor::Unsubscribe { subscription } => self.unsubscribe(from, subscription),
            ToSupervisor::Following { edge, position_slot } => {
                self.following(from, edge, position_slot);
            }
            ToSupervisor::Listening { edge, start_slot } => self.listening(from, edge, start_slot),
            ToSupervisor::Unable { edge, reason } => {
                self.unable(from, edge, &clean_reason(&reason));
            }
            ToSupervisor::Subjects { request, after } => self.list_subjects(from, request, &after),
            ToSupervisor::Links { request, after } => self.list_links(from, request, after),
            ToSupervisor::Lane { link, capacity } => {
                self.pass_on(from, link, &ToHub::Lane { link, capacity }, descriptors);
            }
            ToSupervisor::LaneReaders { link, slots } => {
                self.pass_on(from, link, &ToHub::LaneReaders { link, slots }, descriptors);
            }
            ToSupervisor::LaneStarts { link, slots } => {
                self.pass_on(from, link, &ToHub::LaneStarts { link, slots }, descriptors);
            }
            ToSupervisor::LaneReady { link, slots } => {
                self.pass_on(from, link, &ToHub::LaneReady { link, slots }, descriptors);
            }
            // `handle` has taken all others.
            _ => {}
        }
        Ok(())
    }

    /// A message whose descriptors did not arrive, because this process can have no more.
    fn without_descriptors(
        &mut self,
        from: u64,
        message: &ToSupervisor,
        fault: Fault,
    ) -> Result<(), Fault> {
        let what = if matches!(message, ToSupervisor::Subscribe { .. }) {
            "a subscription"
        } else {
            "a link"
        };
        let reason = format!("the supervisor has not got the descriptors of {what}: {fault}");
        match message {
            ToSupervisor::Link { request, .. }
            | ToSupervisor::Subscribe { request: request @ 1.., .. } => {
                self.refuse(from, *request, RefusalCode::LimitReached, reason);
                Ok(())
            }
            ToSupervisor::Accept { link, .. } if self.is_party(from, *link) => {
                self.answered(from);
                self.end_link(*link, from, false, &reason);
                // It waits for the opener to attach, which will not happen.
                self.tell(from, &ToHub::Closed { link: *link, gone: false, reason }, Vec::new());
                Ok(())
            }
            _ => Err(fault),
        }
    }

    fn leave(&mut self, from: u64) {
        if let Some(connection) = self.connections.get_mut(&from) {
            connection.left = true;
        }
        self.doom(from, "left");
    }

    /// One offer less that a hub has to answer.
    fn answered(&mut self, hub: u64) {
        if let Some(connection) = self.connections.get_mut(&hub) {
            connection.unanswered = connection.unanswered.saturating_sub(1);
        }
    }

    pub(super) fn is_party(&self, hub: u64, link: u64) -> bool {
        self.links.get(&link).is_some_and(|l| l.opener == hub || l.acceptor == hub)
    }

    pub(super) fn present(&mut self, to: u64, request: u32, hub: u64) {
        if let Some(hub) = self.info(hub) {
            self.tell(to, &ToHub::Present { request, hub }, Vec::new());
        }
    }

    fn list(&mut self, from: u64, request: u32, after: u64) {
        let mut ids = self.connections.range(after.saturating_add(1)..).map(|(id, _)| *id);
        let hubs: Vec<_> =
            ids.by_ref().filter_map(|id| self.info(id)).take(HUBS_PER_PAGE).collect();
        let more = hubs.len() == HUBS_PER_PAGE;
        self.tell(from, &ToHub::Hubs { request, hubs, more }, Vec::new());
    }

    fn list_links(&mut self, from: u64, request: u32, after: u64) {
        let name = |hub| self.info(hub).map_or_else(String::new, |info| info.name);
        let mut rest = self.links.range(after.saturating_add(1)..);
        let open = rest.by_ref().filter(|(_, link)| link.stage != Stage::Offered);
        let links: Vec<_> = open
            .take(LINKS_PER_PAGE)
            .map(|(id, link)| LinkInfo {
                id: *id,
                opener: name(link.opener),
                acceptor: name(link.acceptor),
            })
            .collect();
        let more = links.len() == LINKS_PER_PAGE;
        self.tell(from, &ToHub::LinkList { request, links, more }, Vec::new());
    }

    fn wait_for(&mut self, from: u64, request: u32, name: String) {
        if let Some(id) = self.names.get(&name) {
            return self.present(from, request, *id);
        }
        if let Err(reason) = check_name(&name) {
            return self.refuse(from, request, RefusalCode::InvalidName, reason);
        }
        let Some(connection) = self.connections.get_mut(&from) else { return };
        if connection.waits.len() >= PENDING_REQUESTS_PER_HUB_MAX {
            let reason = format!("a hub can wait for {PENDING_REQUESTS_PER_HUB_MAX} names at once");
            return self.refuse(from, request, RefusalCode::LimitReached, reason);
        }
        connection.waits.insert(request, name.clone());
        self.waiting.entry(name).or_default().push((from, request));
    }

    fn cancel(&mut self, from: u64, request: u32) {
        let Some(connection) = self.connections.get_mut(&from) else { return };
        if let Some(name) = connection.waits.remove(&request) {
            return self.forget_wait(from, request, &name);
        }
        let offer = connection.links.iter().copied().find(|id| {
            self.links.get(id).is_some_and(|link| {
                link.opener == from && link.request == request && link.stage == Stage::Offered
            })
        });
        if let Some(id) = offer {
            self.end_link(id, from, false, "the opener no longer waits");
        }
    }

    /// Passes one hub's offer of a link to the other.
    fn offer(
        &mut self,
        from: u64,
        request: u32,
        to: &str,
        terms: Terms,
        wanted: u64,
        mut descriptors: Vec<OwnedFd>,
    ) {
        let acceptor = match self.may_link(from, to) {
            Ok(acceptor) => acceptor,
            Err((code, reason)) => return self.refuse(from, request, code, reason),
        };
        let Some(info) = self.info(from) else { return };
        let link = self.next_link_id();
        let deadline = Instant::now() + Duration::from_millis(LINK_DEADLINE_MS);
        let stage = Stage::Offered;
        self.links.insert(link, Link { opener: from, acceptor, request, stage });
        self.deadlines.insert((deadline, Due::Offer(link)));
        for side in [from, acceptor] {
            if let Some(connection) = self.connections.get_mut(&side) {
                connection.links.insert(link);
                connection.unanswered += usize::from(side == acceptor);
            }
        }
        descriptors.extend(self.process_of(from));
        self.tell(acceptor, &ToHub::Offer { link, from: info, terms, wanted }, descriptors);
    }

    fn may_link(&self, from: u64, to: &str) -> Result<u64, (RefusalCode, String)> {
        let Some(&acceptor) = self.names.get(to) else {
            let mut known: Vec<&str> = self.names.keys().map(String::as_str).collect();
            known.sort_unstable();
            known.truncate(8);
            let reason = format!("there is no hub {to:?}; known are: {}", known.join(", "));
            return Err((RefusalCode::UnknownHub, clean_reason(&reason)));
        };
        if acceptor == from {
            return Err((RefusalCode::SameHub, "a hub cannot link to itself".to_owned()));
        }
        let links_of = |id: u64| self.connections.get(&id).map_or(0, |c| c.links.len());
        let mut own = self.connections.get(&from).into_iter().flat_map(|c| &c.links);
        let linked =
            own.any(|link| self.links.get(link).is_some_and(|link| link.other(from) == acceptor));
        if linked {
            let reason = format!("there is a link with {to} already, or one is being opened");
            return Err((RefusalCode::AlreadyLinked, reason));
        }
        let unanswered = self.connections.get(&acceptor).map_or(0, |c| c.unanswered);
        if unanswered >= UNANSWERED_OFFERS_MAX {
            let reason = format!("hub {to} has {unanswered} offers to answer; is it stopped?");
            return Err((RefusalCode::LimitReached, reason));
        }
        if links_of(from) >= LINKS_PER_HUB_MAX
            || links_of(acceptor) >= LINKS_PER_HUB_MAX
            || self.links.len() >= LINKS_MAX
        {
            let reason = format!(
                "no more links: a hub has at most {LINKS_PER_HUB_MAX}, a domain {LINKS_MAX}"
            );
            return Err((RefusalCode::LimitReached, reason));
        }
        Ok(acceptor)
    }

    /// A descriptor of a hub's process, for its peer to watch. The peer can do without.
    fn process_of(&self, id: u64) -> Option<OwnedFd> {
        self.connections.get(&id)?.process.as_ref()?.try_clone().ok()
    }

    fn accept(&mut self, from: u64, id: u64, terms: Terms, mut descriptors: Vec<OwnedFd>) {
        self.answered(from);
        let Some(link) = self.links.get_mut(&id) else {
            // It ended while the answer was on its way.
            let reason = "the offer is no longer valid".to_owned();
            return self.tell(from, &ToHub::Closed { link: id, gone: false, reason }, Vec::new());
        };
        if link.acceptor != from || link.stage != Stage::Offered {
            return;
        }
        link.stage = Stage::Established;
        let (opener, request) = (link.opener, link.request);
        let Some(with) = self.info(from) else { return };
        descriptors.extend(self.process_of(from));
        self.tell(opener, &ToHub::Established { request, link: id, with, terms }, descriptors);
    }

    fn decline(&mut self, from: u64, id: u64, code: RefusalCode, reason: String) {
        self.answered(from);
        let offered = self
            .links
            .get(&id)
            .is_some_and(|link| link.acceptor == from && link.stage == Stage::Offered);
        if !offered {
            return;
        }
        let Some(link) = self.links.remove(&id) else { return };
        for side in [link.opener, link.acceptor] {
            if let Some(connection) = self.connections.get_mut(&side) {
                connection.links.remove(&id);
            }
        }
        self.refuse(link.opener, link.request, code, reason);
    }

    fn attached(&mut self, from: u64, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.opener == from && link.stage == Stage::Established {
            link.stage = Stage::Open;
            let acceptor = link.acceptor;
            self.tell(acceptor, &ToHub::Opened { link: id }, Vec::new());
            self.announce_link(id);
        }
    }
}
