//! Who is there: connections, names, links, and who waits for what.

use super::bus::Part;
use super::claims::Claim;
use super::door::Visitor;
use super::edges::EdgeState;
use super::flight::{Count, Flight};
use super::hello::EPOCH_SHIFT;
use super::notices::Notices;
use super::subjects::Subjects;
use crate::limits::{CONNECTIONS_PER_UID_MAX, HELLO_DEADLINE_MS, PENDING_CONNECTIONS_PER_UID_MAX};
use crate::protocol::{Channel, ChannelError, Edge, HubInfo, News, RefusalCode, ToHub};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// One connection: a hub, once it has said its name.
#[derive(Debug)]
pub(super) struct Connection {
    /// By which the loop knows it. The hub has the same number, unless it came back with one that
    /// an earlier supervisor gave it.
    pub token: u64,
    pub channel: Channel,
    pub uid: u32,
    pub pid: u32,
    /// The process, to be passed to those who link with it.
    pub process: Option<OwnedFd>,
    /// The hub's name; `None` until it has introduced itself.
    pub name: Option<String>,
    /// When it did, and whether it has been known to an earlier supervisor.
    pub joined: Instant,
    pub resumed: bool,
    pub links: BTreeSet<u64>,
    /// Links that it says it has, and the other side has not said so yet.
    pub claims: BTreeSet<u64>,
    /// Names that it waits for, by request.
    pub waits: HashMap<u32, String>,
    /// Offers of links that it has not answered.
    pub unanswered: usize,
    /// What it publishes and subscribes to.
    pub bus: Part,
    /// It has said that it leaves.
    pub left: bool,
    /// Whether the loop waits for room to send.
    pub watched_for_room: bool,
}

/// How far a link has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Offered; the acceptor has to answer.
    Offered,
    /// Accepted; the opener has to attach.
    Established,
    /// Both have attached.
    Open,
}

/// One link, or what may become one.
#[derive(Debug)]
pub(super) struct Link {
    pub opener: u64,
    pub acceptor: u64,
    /// The opener's request, to be answered.
    pub request: u32,
    pub stage: Stage,
}

impl Link {
    pub(super) fn other(&self, hub: u64) -> u64 {
        if hub == self.opener { self.acceptor } else { self.opener }
    }
}

/// All that the supervisor knows.
#[derive(Debug)]
pub(super) struct Registry {
    /// The number of this run, and when it began.
    pub(super) epoch: u32,
    pub(super) started: Instant,
    /// Hubs of the run before that have not come back.
    pub(super) absent: u64,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) names: HashMap<String, u64>,
    /// The numbers of hubs whose connections have others.
    pub(super) renamed: HashMap<u64, u64>,
    pub(super) links: BTreeMap<u64, Link>,
    /// What hubs say of links, by link and hub, until the other side says the same.
    pub(super) claims: BTreeMap<(u64, u64), Claim>,
    pub(super) subjects: Subjects,
    pub(super) edges: BTreeMap<Edge, EdgeState>,
    pub(super) notices: Notices,
    pub(super) flight: Flight,
    /// Hubs that want to know what happens.
    pub(super) attending: BTreeSet<u64>,
    /// Hubs that wait for a name.
    pub(super) waiting: HashMap<String, Vec<(u64, u32)>>,
    /// What has to have happened by when. Entries stay when it has, and are then passed over.
    pub(super) deadlines: BTreeSet<(Instant, Due)>,
    pub(super) next_id: u64,
    pub(super) next_link: u64,
    changed: Vec<u64>,
    /// Connections that are to end, and why. Ending one can be the end of another.
    doomed: Vec<(u64, String)>,
    /// Connections that have ended, still watched.
    ended: Vec<Connection>,
}

/// Something that has to happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A connection has to introduce itself.
    Hello(u64),
    /// The offer of a link has to be answered.
    Offer(u64),
    /// Those whom a publisher or a subscription waits for have to have taken note.
    Notice(u64),
}

impl Registry {
    /// What the supervisor of this run knows at first: nothing.
    pub(super) fn new(epoch: u32) -> Self {
        let first = (u64::from(epoch) << EPOCH_SHIFT) + 1;
        Self {
            epoch,
            started: Instant::now(),
            absent: 0,
            connections: BTreeMap::new(),
            names: HashMap::new(),
            renamed: HashMap::new(),
            links: BTreeMap::new(),
            claims: BTreeMap::new(),
            subjects: Subjects::new(epoch),
            edges: BTreeMap::new(),
            notices: Notices::default(),
            flight: Flight::default(),
            attending: BTreeSet::new(),
            waiting: HashMap::new(),
            deadlines: BTreeSet::new(),
            next_id: first,
            next_link: first,
            changed: Vec::new(),
            doomed: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Whether one more connection of this user is within its quota.
    pub(super) fn may_connect(&self, uid: u32) -> bool {
        let of_user = || self.connections.values().filter(|c| c.uid == uid);
        of_user().count() < CONNECTIONS_PER_UID_MAX
            && of_user().filter(|c| c.name.is_none()).count() < PENDING_CONNECTIONS_PER_UID_MAX
    }

    pub(super) fn add(&mut self, visitor: Visitor) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let connection = Connection {
            token: id,
            channel: Channel::new(visitor.socket),
            uid: visitor.uid,
            pid: visitor.pid,
            process: visitor.process,
            name: None,
            joined: Instant::now(),
            resumed: false,
            links: BTreeSet::new(),
            claims: BTreeSet::new(),
            waits: HashMap::new(),
            unanswered: 0,
            bus: Part::default(),
            left: false,
            watched_for_room: false,
        };
        self.connections.insert(id, connection);
        let deadline = Instant::now() + Duration::from_millis(HELLO_DEADLINE_MS);
        self.deadlines.insert((deadline, Due::Hello(id)));
        id
    }

    /// The hub at the other end of a connection.
    pub(super) fn hub_of(&self, token: u64) -> u64 {
        self.renamed.get(&token).copied().unwrap_or(token)
    }

    pub(super) fn connection(&mut self, id: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&id)
    }

    pub(super) fn next_link_id(&mut self) -> u64 {
        let id = self.next_link;
        self.next_link += 1;
        id
    }

    /// Connections to which something has been sent since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.changed)
    }

    /// Sends, and parts with a hub to which nothing can be sent.
    pub(super) fn tell(&mut self, id: u64, message: &ToHub, descriptors: Vec<OwnedFd>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let result = connection.channel.send(message, descriptors);
        self.changed.push(id);
        match result {
            Ok(()) => {}
            Err(error @ ChannelError::QueueFull) => self.fault(id, error.to_string()),
            Err(error) => self.doom(id, error.to_string()),
        }
    }

    /// Has the loop look whether a connection still has something to send.
    pub(super) fn touch(&mut self, id: u64) {
        self.changed.push(id);
    }

    /// A connection is to end.
    pub(super) fn doom(&mut self, id: u64, why: impl Into<String>) {
        self.doomed.push((id, why.into()));
    }

    /// Ends the connections that are to end, until none is left.
    pub(super) fn settle(&mut self) {
        while let Some((id, why)) = self.doomed.pop() {
            self.remove(id, &why);
        }
        self.take_stock();
    }

    /// Connections that have ended since the last call, to be watched no longer.
    pub(super) fn take_ended(&mut self) -> Vec<Connection> {
        std::mem::take(&mut self.ended)
    }

    /// Tells a hub that its request failed.
    pub(super) fn refuse(&mut self, id: u64, request: u32, code: RefusalCode, reason: String) {
        self.flight.add(Count::Refusals);
        if request == 0 {
            self.flight.note(&format!("turned away: {reason}"));
        }
        self.tell(id, &ToHub::Refused { request, code, reason }, Vec::new());
    }

    /// What others may know of a hub; `None` before it has a name.
    pub(super) fn info(&self, id: u64) -> Option<HubInfo> {
        let connection = self.connections.get(&id)?;
        Some(HubInfo {
            name: connection.name.clone()?,
            id,
            pid: connection.pid,
            uid: connection.uid,
            links: connection.links.len() as u32,
        })
    }

    /// A connection is over, whoever ended it: its name is free, and what was asked of it fails.
    ///
    /// Its peers are told that it is gone only if it said so itself. Otherwise it may be its
    /// connection alone that was lost, and it comes back; if it is the process, they see that
    /// without our help.
    pub(super) fn remove(&mut self, id: u64, why: &str) {
        let links = self.connections.get(&id).map(|c| c.links.clone()).unwrap_or_default();
        let news: Vec<News> = links.iter().filter_map(|link| self.end_of_link(*link)).collect();
        let left = self.info(id);
        let Some(mut connection) = self.connections.remove(&id) else { return };
        let name = connection.name.as_deref().unwrap_or("(unnamed)").to_owned();
        tracing::info!(hub = %name, uid = connection.uid, pid = connection.pid, why, "gone");
        self.renamed.remove(&connection.token);
        self.attending.remove(&id);
        if let Some(name) = &connection.name {
            self.names.remove(name);
            self.flight.add(Count::Leaves);
        }
        for (request, name) in &connection.waits {
            self.forget_wait(id, *request, name);
        }
        for link in std::mem::take(&mut connection.claims) {
            self.claims.remove(&(link, id));
        }
        for link in std::mem::take(&mut connection.links) {
            self.leave_link(link, id, connection.left, &format!("hub {name} is gone"));
        }
        self.part_from_bus(id, &connection.bus, connection.left);
        self.ended.push(connection);
        news.into_iter().chain(left.map(News::Left)).for_each(|news| self.announce(news));
    }

    /// One side of a link has no connection any more.
    fn leave_link(&mut self, id: u64, by: u64, left: bool, reason: &str) {
        let offered = self.links.get(&id).is_some_and(|link| link.stage == Stage::Offered);
        if left || offered {
            return self.end_link(id, by, true, reason);
        }
        if let Some(link) = self.links.remove(&id)
            && let Some(other) = self.connections.get_mut(&link.other(by))
        {
            other.links.remove(&id);
        }
    }

    /// One side of a link is done with it, or gone; the other is told.
    pub(super) fn end_link(&mut self, id: u64, by: u64, gone: bool, reason: &str) {
        let news = self.end_of_link(id);
        let Some(link) = self.links.remove(&id) else { return };
        for side in [link.opener, link.acceptor] {
            if let Some(connection) = self.connections.get_mut(&side) {
                connection.links.remove(&id);
            }
        }
        let other = link.other(by);
        let reason = reason.to_owned();
        match link.stage {
            Stage::Offered if other == link.opener => {
                self.refuse(other, link.request, RefusalCode::HubGone, reason);
            }
            _ => self.tell(other, &ToHub::Closed { link: id, gone, reason }, Vec::new()),
        }
        news.into_iter().for_each(|news| self.announce(news));
    }

    pub(super) fn forget_wait(&mut self, id: u64, request: u32, name: &str) {
        if let Some(waiting) = self.waiting.get_mut(name) {
            waiting.retain(|wait| *wait != (id, request));
            if waiting.is_empty() {
                self.waiting.remove(name);
            }
        }
    }

    /// The next moment at which [`expire`](Self::expire) has something to look at.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Ends what has taken too long.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((deadline, due)) = self.deadlines.first().copied()
            && deadline <= now
        {
            self.deadlines.pop_first();
            match due {
                Due::Hello(id) => {
                    if self.connections.get(&id).is_some_and(|c| c.name.is_none()) {
                        self.fault(id, "did not introduce itself in time".to_owned());
                    }
                }
                Due::Offer(id) => self.expire_offer(id),
                Due::Notice(notice) => self.answer_now(notice),
            }
        }
    }

    /// To the acceptor the link is closed; the opener gets an answer that says why.
    fn expire_offer(&mut self, id: u64) {
        let Some(link) = self.links.get(&id).filter(|link| link.stage == Stage::Offered) else {
            return;
        };
        let (opener, request) = (link.opener, link.request);
        let name = self.info(link.acceptor).map_or_else(String::new, |info| info.name);
        self.end_link(id, opener, false, "the offer was not answered in time");
        let reason = format!("hub {name} did not answer in time; is it stopped?");
        self.refuse(opener, request, RefusalCode::Failed, reason);
    }
}
