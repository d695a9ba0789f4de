//! What two looks at the counters say of hubs, links and subjects: totals, rates, and how far
//! readers are behind.
//!
//! The two ends of a link count for themselves and are read one after the other, so a reader can
//! seem to be ahead; it is not behind then.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ephapse::counters::{HubCounters, ProcessState};
use serde::Serialize;

use super::labels::{Label, Ring};
use super::latency::{self, Latency};
use super::sight::Sight;

/// What has been counted so far, and how fast it grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Count {
    pub(crate) total: u64,
    /// Unknown after the first look.
    pub(crate) per_second: Option<f64>,
}

impl Count {
    pub(crate) fn rate(self) -> f64 {
        self.per_second.unwrap_or(0.0)
    }

    /// Both together.
    pub(crate) fn and(self, more: Count) -> Count {
        let per_second = match (self.per_second, more.per_second) {
            (Some(one), Some(other)) => Some(one + other),
            (one, other) => one.or(other),
        };
        Count { total: self.total.wrapping_add(more.total), per_second }
    }
}

/// One hub.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HubRow {
    pub(crate) hub: String,
    pub(crate) id: u64,
    pub(crate) pid: u32,
    pub(crate) links: u64,
    pub(crate) subscriptions: u64,
    pub(crate) sent: Count,
    pub(crate) sent_bytes: Count,
    pub(crate) received: Count,
    pub(crate) received_bytes: Count,
    /// Events over links, by `Link::send` and to `Hub::recv`; they are not among the others.
    pub(crate) direct_sent: Count,
    pub(crate) direct_received: Count,
    pub(crate) missed: Count,
    pub(crate) unwanted: Count,
    pub(crate) full: Count,
    pub(crate) woken: Count,
    pub(crate) overtaken: Count,
    /// Bytes of rings that the slowest of its readings has not read.
    pub(crate) behind_bytes: u64,
}

/// How events go from one hub to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// Directly, by `Link::send`.
    Link,
    /// Published, over the ring beside a link.
    Lane,
    /// Published, over the broadcast of the one who publishes.
    Broadcast,
}

impl Way {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Way::Link => "link",
            Way::Lane => "lane",
            Way::Broadcast => "broadcast",
        }
    }
}

/// What goes from one hub to another one way.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LinkRow {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) way: Way,
    /// Events, for a link; else nobody counts them by receiver.
    pub(crate) sent: Option<Count>,
    pub(crate) sent_bytes: Option<Count>,
    pub(crate) received: Option<Count>,
    /// Bytes of the ring: what the writer has written, and the slowest reader there read.
    pub(crate) written_bytes: Option<Count>,
    pub(crate) read_bytes: Option<Count>,
    pub(crate) behind_events: Option<u64>,
    pub(crate) behind_bytes: Option<u64>,
    /// Stands still, so that what is published goes by broadcast instead.
    pub(crate) suspended: bool,
    pub(crate) latency: Option<Latency>,
}

/// What is published on one subject, by all hubs together.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SubjectRow {
    pub(crate) subject: String,
    pub(crate) publishers: u64,
    pub(crate) sent: Count,
    pub(crate) sent_bytes: Count,
}

/// What one hub publishes on one subject.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Publication {
    pub(crate) hub: String,
    pub(crate) subject: String,
    pub(crate) sent: Count,
    pub(crate) sent_bytes: Count,
}

/// What there is to say of the supervisor.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SupervisorRow {
    pub(crate) pid: u32,
    pub(crate) state: &'static str,
    pub(crate) epoch: u64,
    pub(crate) troubles: usize,
    pub(crate) counters: BTreeMap<String, u64>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Model {
    /// Seconds between the two looks.
    pub(crate) seconds: Option<f64>,
    pub(crate) supervisor: Option<SupervisorRow>,
    pub(crate) hubs: Vec<HubRow>,
    pub(crate) links: Vec<LinkRow>,
    pub(crate) subjects: Vec<SubjectRow>,
    pub(crate) publications: Vec<Publication>,
}

/// The word for what has become of a supervisor's process.
pub(crate) fn state_name(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Running => "running",
        ProcessState::Stopped => "stopped",
        _ => "gone",
    }
}

impl Model {
    /// Of one look, or of two.
    pub(crate) fn of(sight: &Sight, before: Option<&Sight>) -> Model {
        let mut building = Building::default();
        let seconds = before.map(|before| (sight.at - before.at).as_secs_f64());
        let key = |hub: &HubCounters| (hub.id, hub.pid);
        let known: HashMap<_, _> =
            before.iter().flat_map(|sight| &sight.hubs).map(|hub| (key(hub), hub)).collect();
        for hub in &sight.hubs {
            let earlier = known.get(&key(hub)).copied();
            building.hub(&Change::new(hub, earlier, seconds), earlier);
        }
        let mut model = building.finish();
        model.seconds = seconds;
        model.supervisor = sight.supervisor.as_ref().ok().map(|flight| SupervisorRow {
            pid: flight.pid,
            state: state_name(flight.process),
            epoch: flight.epoch,
            troubles: flight.troubles.len(),
            counters: flight.counters.iter().cloned().collect(),
        });
        model
    }
}

impl Model {
    /// How many links there are, whatever goes over them; each has two ways.
    pub(crate) fn open_links(&self) -> usize {
        let ends = |row: &LinkRow| {
            let (one, other) = (row.from.clone(), row.to.clone());
            if one < other { (one, other) } else { (other, one) }
        };
        let links = self.links.iter().filter(|row| row.way == Way::Link);
        links.map(ends).collect::<BTreeSet<_>>().len()
    }
}

/// A hub's counters now, and before. What has several counters of one label is their sum.
struct Change<'a> {
    hub: &'a HubCounters,
    now: BTreeMap<&'a str, u64>,
    before: BTreeMap<&'a str, u64>,
    seconds: f64,
}

impl<'a> Change<'a> {
    fn new(hub: &'a HubCounters, earlier: Option<&'a HubCounters>, seconds: Option<f64>) -> Self {
        let before = earlier.map(by_label).unwrap_or_default();
        Change { hub, now: by_label(hub), before, seconds: seconds.unwrap_or(0.0) }
    }

    fn count(&self, label: &str) -> Count {
        let total = self.total(label);
        let more = self.before.get(label).map(|before| total.saturating_sub(*before));
        let per_second = more.filter(|_| self.seconds > 0.0).map(|more| more as f64 / self.seconds);
        Count { total, per_second }
    }

    fn total(&self, label: &str) -> u64 {
        self.now.get(label).copied().unwrap_or(0)
    }
}

/// The counters of a hub, each label once.
pub(crate) fn by_label(hub: &HubCounters) -> BTreeMap<&str, u64> {
    let mut sums = BTreeMap::<&str, u64>::new();
    for (label, value) in &hub.counters {
        let sum = sums.entry(label).or_default();
        *sum = sum.wrapping_add(*value);
    }
    sums
}

/// From where, to where, by which way.
type LinkKey = (String, String, Way);

/// What is known of the links until all hubs have been seen.
#[derive(Default)]
struct Building {
    hubs: Vec<HubRow>,
    links: BTreeMap<LinkKey, LinkRow>,
    /// By subject and hub.
    publications: BTreeMap<(String, String), Publication>,
    /// What each hub has written to its broadcast.
    broadcasts: HashMap<String, Count>,
}

impl Building {
    fn hub(&mut self, change: &Change<'_>, earlier: Option<&HubCounters>) {
        let hub = change.hub;
        for label in change.now.keys() {
            let count = change.count(label);
            match Label::parse(label) {
                Label::Subject { subject, what } => {
                    self.publication(&hub.name, subject, what, count);
                }
                Label::Link { peer, what } => self.direct(&hub.name, peer, what, count),
                Label::Lane { peer, what: "position" } => {
                    self.link(&hub.name, peer, Way::Lane).written_bytes = Some(count);
                }
                Label::Lane { peer, .. } => {
                    self.link(&hub.name, peer, Way::Lane).suspended = count.total > 0;
                }
                Label::Reading { peer, ring } => {
                    let way = if ring == Ring::Lane { Way::Lane } else { Way::Broadcast };
                    let read = &mut self.link(peer, &hub.name, way).read_bytes;
                    // The slowest of several subscriptions.
                    *read = Some(read.filter(|known| known.total < count.total).unwrap_or(count));
                }
                Label::Hub("broadcast.position") => {
                    self.broadcasts.insert(hub.name.clone(), count);
                }
                Label::Hub(_) | Label::Subscription { .. } => {}
            }
        }
        for (peer, way, latency) in latency::of(hub, earlier) {
            self.link(&peer, &hub.name, way).latency = Some(latency);
        }
        self.hubs.push(hub_row(change));
    }

    /// What one end of a link has counted.
    fn direct(&mut self, hub: &str, peer: &str, what: &str, count: Count) {
        match what {
            "sent" => self.link(hub, peer, Way::Link).sent = Some(count),
            "sent.bytes" => self.link(hub, peer, Way::Link).sent_bytes = Some(count),
            _ => self.link(peer, hub, Way::Link).received = Some(count),
        }
    }

    fn link(&mut self, from: &str, to: &str, way: Way) -> &mut LinkRow {
        let key = (from.to_owned(), to.to_owned(), way);
        self.links.entry(key).or_insert_with(|| LinkRow {
            from: from.to_owned(),
            to: to.to_owned(),
            way,
            sent: None,
            sent_bytes: None,
            received: None,
            written_bytes: None,
            read_bytes: None,
            behind_events: None,
            behind_bytes: None,
            suspended: false,
            latency: None,
        })
    }

    fn publication(&mut self, hub: &str, subject: &str, what: &str, count: Count) {
        let key = (subject.to_owned(), hub.to_owned());
        let row = self.publications.entry(key).or_default();
        (row.hub, row.subject) = (hub.to_owned(), subject.to_owned());
        match what {
            "sent" => row.sent = count,
            _ => row.sent_bytes = count,
        }
    }

    /// Puts together what the two ends have said.
    fn finish(self) -> Model {
        let Building { mut hubs, mut links, publications, broadcasts } = self;
        // A subscription has counters for both rings of whom it reads, also if there is but one.
        let used = |count: Option<Count>| count.is_some_and(|count| count.total > 0);
        links.retain(|_, row| {
            row.way != Way::Lane || row.written_bytes.is_some() || used(row.read_bytes)
        });
        for link in links.values_mut() {
            if link.way == Way::Broadcast {
                link.written_bytes = broadcasts.get(&link.from).copied();
            }
            link.behind_events = behind(link.sent, link.received);
            link.behind_bytes = behind(link.written_bytes, link.read_bytes);
            if let Some(hub) = hubs.iter_mut().find(|hub| hub.hub == link.to) {
                hub.behind_bytes = hub.behind_bytes.max(link.behind_bytes.unwrap_or(0));
            }
        }
        let links = links.into_values().collect();
        let publications: Vec<_> = publications.into_values().collect();
        Model { hubs, links, subjects: by_subject(&publications), publications, ..Model::default() }
    }
}

/// Puts together what all hubs publish on a subject; they come in its order.
fn by_subject(publications: &[Publication]) -> Vec<SubjectRow> {
    let mut subjects: Vec<SubjectRow> = Vec::new();
    for one in publications {
        match subjects.last_mut().filter(|last| last.subject == one.subject) {
            Some(row) => {
                row.publishers += 1;
                row.sent = row.sent.and(one.sent);
                row.sent_bytes = row.sent_bytes.and(one.sent_bytes);
            }
            None => subjects.push(SubjectRow {
                subject: one.subject.clone(),
                publishers: 1,
                sent: one.sent,
                sent_bytes: one.sent_bytes,
            }),
        }
    }
    subjects
}

fn behind(written: Option<Count>, read: Option<Count>) -> Option<u64> {
    Some(written?.total.saturating_sub(read?.total))
}

fn hub_row(change: &Change<'_>) -> HubRow {
    let hub = change.hub;
    HubRow {
        hub: hub.name.clone(),
        id: hub.id,
        pid: hub.pid,
        links: change.total("links"),
        subscriptions: change.total("subscriptions"),
        sent: change.count("sent"),
        sent_bytes: change.count("sent.bytes"),
        received: change.count("received"),
        received_bytes: change.count("received.bytes"),
        direct_sent: change.count("links.sent"),
        direct_received: change.count("links.received"),
        missed: change.count("missed"),
        unwanted: change.count("sent.nobody"),
        full: change.count("full"),
        woken: change.count("woken"),
        overtaken: change.count("overtaken"),
        behind_bytes: 0,
    }
}
