//! The bus: events that are published and subscribed to, by broadcast or over a link.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ephapse::event::Timestamp;
use ephapse::limits::{BROADCAST_CAPACITY_DEFAULT, LANE_CAPACITY};
use ephapse::{Domain, Envelope, Hub, Link, Path as Way, Publisher, RecvError, Subscription};

use super::args::{PathMode, Setup};
use super::events::{BusTraffic, with_traffic};
use super::halt::{Halt, Stop};
use super::load::{Arrivals, Schedule, Sent};
use super::shared::{Page, Word};
use super::side::{EchoSide, PingSide, Tally};
use crate::bus::Bytes;

const PING: &str = "ping";
const ECHO: &str = "echo";

/// What the parent publishes, and the child.
const QUESTIONS: &str = "bench.question";
const ANSWERS: &str = "bench.answer";

/// Behind one of the above: events that only show which way events go.
const TRIAL: &str = ".trial";
const AGAIN: &[u8] = b"again";
const LAST: &[u8] = b"last";

/// How long all that goes before the first event may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// Between two trials.
const TRIAL_PAUSE: Duration = Duration::from_millis(1);

/// A hub of one side.
pub(super) struct Joined {
    hub: Hub,
    path: PathMode,
    /// Hubs in the domain.
    hubs: usize,
    idle: Vec<Hub>,
}

/// The parent's hubs join.
pub(super) fn join_ping(domain: &Path, setup: &Setup) -> Result<Joined> {
    let mut joined = Joined::new(PING, domain, setup)?;
    joined.idle = (2..setup.hubs).map(|number| idle(number, domain)).collect::<Result<_>>()?;
    Ok(joined)
}

/// A hub that could publish what either side wants, and does not.
fn idle(number: u32, domain: &Path) -> Result<Hub> {
    let name = format!("idle-{number}");
    let hub = Hub::builder(&name).domain(Domain::at(domain)).connect();
    let hub = hub.with_context(|| format!("the hub \"{name}\" cannot join"))?;
    for subject in [QUESTIONS, ANSWERS] {
        drop(hub.publisher::<Bytes>(subject)?);
    }
    Ok(hub)
}

/// The child's hub joins.
pub(super) fn join_echo(domain: &Path, setup: &Setup) -> Result<Joined> {
    Joined::new(ECHO, domain, setup)
}

impl Joined {
    fn new(name: &str, domain: &Path, setup: &Setup) -> Result<Joined> {
        let hub = Hub::builder(name).domain(Domain::at(domain)).wait(setup.wait.into());
        let hub = hub.timestamps(setup.timestamps).broadcast_capacity(broadcast_capacity(setup));
        let hub = if setup.path == PathMode::Broadcast { hub.links_for(0) } else { hub };
        let hub = hub.connect().with_context(|| format!("the hub \"{name}\" cannot join"))?;
        Ok(Joined { hub, path: setup.path, hubs: setup.hubs as usize, idle: Vec::new() })
    }

    /// The parent's side, when the child's hub has joined.
    pub(super) fn ping_side(mut self, setup: &Setup, halt: &Halt) -> Result<Box<dyn PingSide>> {
        let link = match setup.path {
            PathMode::Auto => Some(self.hub.link_to(ECHO).context("cannot link to the child")?),
            _ => None,
        };
        // What is too long for the ring of a link is broadcast.
        let capacity = match link {
            Some(_) if setup.record_bytes() <= LANE_CAPACITY / 2 => LANE_CAPACITY,
            _ => broadcast_capacity(setup),
        };
        Ok(with_traffic!(setup.size, traffic => {
            let ends = Ends::settle(self, link, traffic, QUESTIONS, ANSWERS)?;
            let hub = ends.hub.clone();
            halt.closes(move || hub.close());
            Box::new(BusPing { ends, asked: 0, heard: 0, detours: 0, capacity })
        }))
    }

    /// The child's side, at the same time.
    pub(super) fn echo_side(mut self, setup: &Setup) -> Result<Box<dyn EchoSide>> {
        let link = match setup.path {
            PathMode::Auto => {
                let link = self.hub.accept_timeout(SETTLE_LIMIT)?;
                Some(link.with_context(|| format!("nobody has linked to us in {SETTLE_LIMIT:?}"))?)
            }
            _ => None,
        };
        Ok(with_traffic!(setup.size, traffic => {
            let ends = Ends::settle(self, link, traffic, ANSWERS, QUESTIONS)?;
            Box::new(BusEcho { ends, heard: 0 })
        }))
    }
}

/// Room for four events at least.
fn broadcast_capacity(setup: &Setup) -> usize {
    setup.room().max(BROADCAST_CAPACITY_DEFAULT)
}

/// A hub that can be dropped by whoever ends a wait: nothing else ends that of a subscription.
#[derive(Clone)]
struct SharedHub(Arc<Mutex<Option<Hub>>>);

impl SharedHub {
    fn close(&self) {
        let hub = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(hub);
    }
}

/// What one side publishes with and receives with.
struct Ends<T: BusTraffic> {
    traffic: T,
    publisher: Publisher<T::Event>,
    subscription: Subscription,
    /// The way that events are to go.
    way: Way,
    /// The number, among all that the other hub publishes, of its first event that counts.
    first: u64,
    _link: Option<Link>,
    _idle: Vec<Hub>,
    hub: SharedHub,
}

impl<T: BusTraffic> Ends<T> {
    /// Both sides at the same time: publish, subscribe, and wait until events go the wanted way.
    fn settle(
        Joined { hub, path, hubs, idle }: Joined,
        link: Option<Link>,
        traffic: T,
        out: &str,
        back: &str,
    ) -> Result<Ends<T>> {
        let deadline = Instant::now() + SETTLE_LIMIT;
        let way = if path == PathMode::Auto { Way::Links } else { Way::Broadcast };
        let mut subscription = hub.subscribe([back, &format!("{back}{TRIAL}")])?;
        let publisher = hub.publisher(out)?;
        let mut trial = hub.publisher::<Bytes>(&format!("{out}{TRIAL}"))?;
        // The other side's one subscription gets both, so that they go the same way.
        while trial.send_bytes(AGAIN)?.path != way || publisher.receivers() != 1 {
            ensure!(Instant::now() < deadline, "events of {out} do not go over {way:?}");
            thread::sleep(TRIAL_PAUSE);
        }
        trial.send_bytes(LAST)?;
        let first = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(event) = subscription.recv_timeout(left)? else {
                bail!("no {back} have come for {SETTLE_LIMIT:?}");
            };
            if event.bytes() == LAST {
                break event.sequence() + 1;
            }
        };
        while subscription.source_count() + 1 < hubs {
            ensure!(Instant::now() < deadline, "not all of {hubs} hubs are followed");
            ensure!(subscription.try_recv()?.is_none(), "an event before its time");
            thread::sleep(TRIAL_PAUSE);
        }
        let hub = SharedHub(Arc::new(Mutex::new(Some(hub))));
        let (_link, _idle) = (link, idle);
        Ok(Ends { traffic, publisher, subscription, way, first, _link, _idle, hub })
    }
}

impl<T: BusTraffic> Drop for Ends<T> {
    fn drop(&mut self) {
        self.hub.close();
    }
}

struct BusPing<T: BusTraffic> {
    ends: Ends<T>,
    /// Questions that were sent: the number of the next one.
    asked: u64,
    /// Answers that have come: the number of the next one.
    heard: u64,
    detours: u64,
    capacity: usize,
}

impl<T: BusTraffic> PingSide for BusPing<T> {
    fn ping(&mut self, samples: &mut [u64], halt: &Halt) -> Result<u64> {
        let Ends { traffic, publisher, subscription, way, first, .. } = &mut self.ends;
        let mut tally = Tally { next: self.heard, lost: 0 };
        let mut before = Timestamp::now().ticks();
        for sample in samples {
            let sent = traffic.ask(publisher, self.asked)?;
            self.detours += u64::from(sent.path != *way);
            let Some(event) = subscription.recv()? else {
                bail!(halt.reason().unwrap_or(Stop::Stalled));
            };
            let sequence = event.sequence().wrapping_sub(*first);
            tally.see(sequence, traffic.is_answer(&event, self.asked));
            drop(event);
            self.asked += 1;
            let after = Timestamp::now().ticks();
            *sample = after.wrapping_sub(before);
            before = after;
        }
        self.heard = tally.next;
        Ok(tally.lost)
    }

    fn stream(&mut self, count: u64, _: u32, halt: &Halt) -> Result<()> {
        /// Events between two looks whether to go on.
        const CHUNK: u64 = 1 << 12;

        let Ends { traffic, publisher, way, .. } = &mut self.ends;
        let end = self.asked + count;
        while self.asked < end {
            halt.check()?;
            let chunk_end = end.min(self.asked + CHUNK);
            while self.asked < chunk_end {
                let sent = traffic.ask(publisher, self.asked)?;
                self.detours += u64::from(sent.path != *way);
                self.asked += 1;
            }
        }
        Ok(())
    }

    fn send_on_schedule(&mut self, schedule: &Schedule, start: u64, halt: &Halt) -> Result<Sent> {
        let Ends { traffic, publisher, way, .. } = &mut self.ends;
        schedule.send(start, halt, || {
            let sent = traffic.ask(publisher, self.asked)?;
            self.detours += u64::from(sent.path != *way);
            self.asked += 1;
            Ok(())
        })
    }

    fn capacity_bytes(&self) -> usize {
        self.capacity
    }

    fn detours(&self) -> u64 {
        self.detours
    }
}

struct BusEcho<T: BusTraffic> {
    ends: Ends<T>,
    /// Questions that have come: the number of the next one.
    heard: u64,
}

impl<T: BusTraffic> EchoSide for BusEcho<T> {
    fn echo(&mut self, trips: u64) -> Result<u64> {
        let Ends { traffic, publisher, subscription, first, .. } = &mut self.ends;
        let mut tally = Tally { next: self.heard, lost: 0 };
        for _ in 0..trips {
            let Some(event) = subscription.recv()? else { bail!("the hub was closed") };
            let sequence = event.sequence().wrapping_sub(*first);
            tally.see(sequence, traffic.answer(publisher, &event, tally.next)?);
        }
        self.heard = tally.next;
        Ok(tally.lost)
    }

    fn receive(&mut self, count: u64, page: &Page) -> Result<u64> {
        let end = self.heard + count;
        let lost = self.hear(end, |_, _| {})?;
        page.word(Word::Received).store(end, Ordering::Release);
        Ok(lost)
    }

    fn receive_on_schedule(&mut self, arrivals: &mut Arrivals<'_>) -> Result<u64> {
        let (first, end) = (self.heard, self.heard + arrivals.schedule.count);
        let lost = self.hear(end, |sequence, event| {
            arrivals.note(sequence.wrapping_sub(first), || event.timestamp());
        })?;
        arrivals.page.word(Word::Received).store(end, Ordering::Release);
        Ok(lost)
    }
}

impl<T: BusTraffic> BusEcho<T> {
    /// Receives until the event before the number `end`, and shows each one as soon as it is there.
    /// Returns how many were missing, repeated or wrong.
    #[inline(always)]
    fn hear(&mut self, end: u64, mut seen: impl FnMut(u64, &Envelope<'_>)) -> Result<u64> {
        let Ends { traffic, subscription, first, .. } = &mut self.ends;
        let mut tally = Tally { next: self.heard, lost: 0 };
        while tally.next < end {
            let event = match subscription.recv() {
                Ok(Some(event)) => event,
                Ok(None) => bail!("the hub was closed"),
                // What was missed shows in the number of the next event.
                Err(RecvError::Lagged { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let sequence = event.sequence().wrapping_sub(*first);
            seen(sequence, &event);
            tally.see(sequence, traffic.is_question(&event, sequence));
        }
        self.heard = tally.next;
        Ok(tally.lost)
    }
}
