//! Counters of hubs and supervisors, read without their help: also of those that are stopped, hang,
//! or (a supervisor's) have been killed.
//!
//! Each hub has a segment of counters that only it can write. [`scan`] finds them in `/proc`, among
//! the descriptors of the processes of the same user. A supervisor's are in a file in its domain's
//! directory ([`flight`]), with the last troubles that it has had.
//!
//! | counter of a hub | what it counts |
//! |---|---|
//! | `sent`, `sent.bytes` | events published that somebody wanted; bytes of their payloads |
//! | `sent.links`, `sent.broadcast` | of these, over links, and by broadcast |
//! | `sent.nobody` | events published that nobody wanted: they were not written |
//! | `full` | calls to send that found no room |
//! | `woken` | sleeping subscriptions for which the doorbell was rung |
//! | `overtaken` | subscriptions that held the hub up for too long, and were overtaken |
//! | `broadcast.position` | bytes of the broadcast ring written so far |
//! | `received`, `received.bytes` | events that its subscriptions have received; bytes of payloads |
//! | `missed` | events of publishers that its subscriptions have missed, wanted or not |
//! | `subscriptions`, `links` | those that it has now |
//! | `links.sent`, `links.received` | events sent and received directly over [`Link`](crate::Link)s |
//! | `subject.NAME.sent`, `subject.NAME.sent.bytes` | of `sent`, those on one subject |
//! | `lane.PEER.position`, `lane.PEER.suspended` | bytes of published events written for the hub at the end of a link; whether they go by broadcast because it stands still |
//! | `sub.NUMBER.…` | what one subscription has `received`, `received.bytes` and `missed` |
//! | `sub.NUMBER.PEER.broadcast`, `sub.NUMBER.PEER.lane` | up to where it has read the rings of one hub: its backlog is what that hub's `broadcast.position`, and its `lane.….position` to this one, are ahead |
//! | `link.PEER.sent`, `link.PEER.sent.bytes`, `link.PEER.received` | events sent and received directly over one link, bytes of payloads: the backlog is what the one side has sent and the other has not received |
//! | `counters.dropped` | counters for which there was no room |
//! | `schemas.dropped` | types that it publishes for whose description there was no room ([`schemas`]) |
//!
//! Positions of readers are noted when they find nothing more, and every 128 events. Where there are
//! several of one label (a link that was closed, and the next one), they count together.
//!
//! How long events were on their way is counted, too, by who receives them ([`Histogram`]), if they
//! carry the time at which they were sent: `link.PEER.latency` for those that came over a link,
//! directly or published, `broadcast.PEER.latency` for those by broadcast. It is a sample: every
//! 128th event, which stands for all of them, and each one for which the receiver slept.

use crate::domain::Domain;
use crate::error::Error;
use crate::segment::{
    COUNTERS_NAME, CountersView, FlightView, Owner, SegmentError, counters_bytes, shorten_path,
};
use nix::errno::Errno;
use nix::unistd::Uid;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::SystemTime;

pub use self::schemas::{SchemaText, schemas};
pub use crate::segment::{Histogram, Trouble};

mod schemas;

/// The counters of one hub, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HubCounters {
    /// The hub's name.
    pub name: String,
    /// The domain's number for it.
    pub id: u64,
    /// Its process, as this one sees it.
    pub pid: u32,
    /// Its domain's directory; if it is longer than 256 bytes, a mark and its end.
    pub domain: String,
    /// When the hub joined.
    pub since: SystemTime,
    /// Labels and values.
    pub counters: Vec<(String, u64)>,
    /// Labels, and how long events were on their way.
    pub latencies: BTreeMap<String, Histogram>,
}

impl HubCounters {
    /// What the counters of one label say; `None` if there is none.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<u64> {
        find(&self.counters, label)
    }
}

/// What has become of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProcessState {
    /// It is there.
    Running,
    /// It has been stopped (SIGSTOP, a debugger).
    Stopped,
    /// It has ended, or is one that this process cannot see.
    Gone,
}

/// What a supervisor has counted, and its last troubles.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flight {
    /// Its process.
    pub pid: u32,
    /// What has become of it. One that hangs is `Running`.
    pub process: ProcessState,
    /// The number of its run; the one before had one less.
    pub epoch: u64,
    /// When it began.
    pub since: SystemTime,
    /// Labels and values: `hubs`, `links`, `subjects`, `subscriptions` and `edges` (subscriptions
    /// and the hubs that they read) that are there; `joins`, `leaves`, `messages` from hubs,
    /// `refusals`, `faults` (what was wrong with hubs, or with it) so far; `epoch`.
    pub counters: Vec<(String, u64)>,
    /// The last 32 that it has had, oldest first.
    pub troubles: Vec<Trouble>,
}

impl Flight {
    /// What one counter says; `None` if there is none of this label.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<u64> {
        find(&self.counters, label)
    }
}

fn find(counters: &[(String, u64)], label: &str) -> Option<u64> {
    let values = counters.iter().filter(|(known, _)| known == label).map(|(_, value)| *value);
    values.reduce(u64::wrapping_add)
}

/// Those of one label together.
pub(crate) fn by_label(latencies: Vec<(String, Histogram)>) -> BTreeMap<String, Histogram> {
    let mut all = BTreeMap::<_, Histogram>::new();
    for (label, histogram) in latencies {
        all.entry(label).and_modify(|known| *known = known.and(&histogram)).or_insert(histogram);
    }
    all
}

/// The counters of all hubs of this user, or of those in one domain, by name. Nobody is asked;
/// processes that end meanwhile are passed over, and so is whatever is not as it must be.
#[must_use]
pub fn scan(domain: Option<&Domain>) -> Vec<HubCounters> {
    let mut hubs = Vec::new();
    for_each_hub(domain, |pid, view| {
        let Owner { name, id, domain, since, .. } = view.owner().clone();
        let (counters, latencies) = (with_sums(view.rows()), by_label(view.latencies()));
        hubs.push(HubCounters { name, id, pid, domain, since, counters, latencies });
    });
    hubs.sort_by(|a, b| (&a.name, &a.domain, a.id).cmp(&(&b.name, &b.domain, b.id)));
    hubs
}

/// Shows each hub of this user, or of one domain, with its process.
fn for_each_hub(domain: Option<&Domain>, mut show: impl FnMut(u32, &CountersView)) {
    let domain = domain.map(|domain| shorten_path(&domain.text()));
    let uid = Uid::effective().as_raw();
    let mut seen = HashSet::new();
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if !process.metadata().is_ok_and(|process| process.uid() == uid) {
            continue;
        }
        for view in hubs_of(pid, uid, &mut seen) {
            if domain.as_deref().is_none_or(|domain| view.owner().domain == domain) {
                show(pid, &view);
            }
        }
    }
}

/// The hubs of one process, as far as they have not been seen.
fn hubs_of(pid: u32, uid: u32, seen: &mut HashSet<(u64, u64)>) -> Vec<CountersView> {
    let mut hubs = Vec::new();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return hubs };
    let wanted = format!("/memfd:{COUNTERS_NAME} (deleted)");
    for descriptor in descriptors.flatten().map(|entry| entry.path()) {
        if !fs::read_link(&descriptor).is_ok_and(|target| *target == *wanted) {
            continue;
        }
        let Some((view, identity)) = open(&descriptor, uid) else { continue };
        // A child that was forked may hold them longer than the process whose they are.
        let its_own = !view.is_over() && own_number_of(pid) == Some(view.owner().pid);
        if its_own && seen.insert(identity) {
            hubs.push(view);
        }
    }
    hubs
}

/// What is behind another process's descriptor, if it is a segment of counters, and by what to know
/// it again.
fn open(descriptor: &Path, uid: u32) -> Option<(CountersView, (u64, u64))> {
    // It may be something else by now: to open a device, say, could have effects.
    let place = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(descriptor).ok()?;
    let metadata = place.metadata().ok()?;
    let fits = metadata.is_file() && metadata.len() == counters_bytes() as u64;
    if !fits || metadata.uid() != uid {
        return None;
    }
    let file = File::open(format!("/proc/self/fd/{}", place.as_raw_fd())).ok()?;
    let view = CountersView::open(&file.into()).ok()?;
    Some((view, (metadata.dev(), metadata.ino())))
}

/// The number that a process has for itself, in its own namespace.
fn own_number_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers?.split_ascii_whitespace().next_back()?.parse().ok()
}

/// Adds what each subscription and each link has counted to what those have that are over.
pub(crate) fn with_sums(mut counters: Vec<(String, u64)>) -> Vec<(String, u64)> {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (label, value) in &counters {
        let subscription = label.strip_prefix("sub.").and_then(|rest| rest.split_once('.'));
        match subscription {
            Some((_, what)) => sums.push((what, *value)),
            None if !label.starts_with("link.") => {}
            None if label.ends_with(".sent") => sums.push(("links.sent", *value)),
            None if label.ends_with(".received") => sums.push(("links.received", *value)),
            None => {}
        }
    }
    let sums: Vec<(usize, u64)> = sums
        .into_iter()
        .filter_map(|(sum, value)| {
            Some((counters.iter().position(|(label, _)| label == sum)?, value))
        })
        .collect();
    for (at, value) in sums {
        counters[at].1 = counters[at].1.wrapping_add(value);
    }
    counters
}

/// What the supervisor of a domain has counted: the one that runs, or the last one if it was
/// killed, or left hubs that may come to the next one.
///
/// # Errors
///
/// [`Error::NoSupervisor`] if the last one was stopped properly and no hub was left, or there was none;
/// [`Error::ForeignDirectory`], [`Error::OpenDirectory`]; [`Error::Segment`].
pub fn flight(domain: &Domain) -> Result<Flight, Error> {
    domain.check()?;
    let view = FlightView::open(&domain.flight()).map_err(|error| match error {
        SegmentError::Kernel { source: Errno::ENOENT, .. } => {
            Error::NoSupervisor { path: domain.socket() }
        }
        error => Error::segment("the supervisor's counters")(error),
    })?;
    let owner = view.owner();
    Ok(Flight {
        pid: owner.pid,
        process: state_of(owner.pid, owner.started),
        epoch: owner.id,
        since: owner.since,
        counters: view.rows(),
        troubles: view.lines(),
    })
}

/// What has become of a process that began at this moment.
fn state_of(pid: u32, started: u64) -> ProcessState {
    match began(pid) {
        Some((state, at)) if at == started => match state {
            'Z' | 'X' | 'x' => ProcessState::Gone,
            'T' | 't' => ProcessState::Stopped,
            _ => ProcessState::Running,
        },
        // Another one has its number.
        _ => ProcessState::Gone,
    }
}

/// A process's state, and when it began, in the kernel's words.
pub(crate) fn began(pid: u32) -> Option<(char, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Its name comes before, in brackets, and may contain anything.
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_and_what_is_there_are_summed_up() {
        let row = |label: &str, value| (label.to_owned(), value);
        let counters = vec![
            row("received", 10),
            row("received.bytes", 100),
            row("missed", 0),
            row("links.sent", 7),
            row("sub.1.received", 1),
            row("sub.1.received.bytes", 20),
            row("sub.17.missed", 3),
            row("link.a.b.sent", 5),
            row("sub.1.unknown", 9),
            row("lane.a.position", 64),
        ];
        let sums: Vec<u64> = with_sums(counters).into_iter().map(|(_, value)| value).collect();
        assert_eq!(sums, [11, 120, 3, 12, 1, 20, 3, 5, 9, 64]);
    }

    #[test]
    fn this_process_has_begun_and_runs() {
        let pid = std::process::id();
        let (_, started) = began(pid).unwrap();
        assert_eq!(state_of(pid, started), ProcessState::Running);
        assert_eq!(state_of(pid, started + 1), ProcessState::Gone);
        assert_eq!(own_number_of(pid), Some(pid));
    }
}
