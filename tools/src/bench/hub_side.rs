//! The whole public interface: typed events through hubs and a link.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ephapse::{Domain, Hub, Link, LinkOptions, Received};

use super::args::Setup;
use super::events::{Traffic, with_traffic};
use super::halt::{Halt, Stop};
use super::load::{Arrivals, Schedule, Sent};
use super::shared::{Page, Word};
use super::side::{EchoSide, PingSide, Tally};

const PING: &str = "ping";
const ECHO: &str = "echo";

/// How long the other process may take to open its links.
const LINK_LIMIT: Duration = Duration::from_secs(30);

/// A hub of one side, and the idle ones beside it, which only hold the far end of a link each.
pub(super) struct Joined {
    hub: Hub,
    idle: Vec<Hub>,
}

/// A hub with its link to the other side.
struct Linked {
    hub: Hub,
    link: Link,
    _idle: Vec<(Hub, Link)>,
    _idle_links: Vec<Link>,
}

/// The parent's hubs join.
pub(super) fn join_ping(domain: &Path, setup: &Setup) -> Result<Joined> {
    Joined::new(PING, domain, setup)
}

/// The child's hubs join.
pub(super) fn join_echo(domain: &Path, setup: &Setup) -> Result<Joined> {
    Joined::new(ECHO, domain, setup)
}

impl Joined {
    fn new(name: &str, domain: &Path, setup: &Setup) -> Result<Joined> {
        let join = |name: &str| {
            let hub = Hub::builder(name).domain(Domain::at(domain)).wait(setup.wait.into());
            let hub = hub.timestamps(setup.timestamps).connect();
            hub.with_context(|| format!("the hub \"{name}\" cannot join"))
        };
        let idle = (1..setup.links).map(|index| join(&idle_name(name, index)));
        Ok(Joined { hub: join(name)?, idle: idle.collect::<Result<_>>()? })
    }

    /// The parent's side, when the child's hubs have joined. The link that is measured is opened
    /// last: a reader that goes through its links in order finds it last.
    pub(super) fn ping_side(mut self, setup: &Setup, halt: &Halt) -> Result<Box<dyn PingSide>> {
        let idle_links = open_links(&mut self.hub, ECHO, self.idle.len())?;
        let idle = accept_each(self.idle)?;
        let capacity = capacity_for(setup);
        let options = LinkOptions::default().send_capacity(capacity).receive_capacity(capacity);
        let link = self.hub.link_with(ECHO, options).context("cannot link to the child")?;
        let closer = self.hub.closer();
        halt.closes(move || closer.close());
        let linked = Linked { hub: self.hub, link, _idle: idle, _idle_links: idle_links };
        Ok(with_traffic!(setup.size, traffic => Box::new(HubPing {
            linked,
            traffic,
            asked: 0,
            heard: 0,
        })))
    }

    /// The child's side, at the same time.
    pub(super) fn echo_side(mut self, setup: &Setup) -> Result<Box<dyn EchoSide>> {
        let idle = accept_each(self.idle)?;
        let idle_links = open_links(&mut self.hub, PING, idle.len())?;
        let link = accept(&mut self.hub)?;
        let linked = Linked { hub: self.hub, link, _idle: idle, _idle_links: idle_links };
        Ok(with_traffic!(setup.size, traffic => Box::new(HubEcho { linked, traffic, heard: 0 })))
    }
}

fn idle_name(name: &str, index: u32) -> String {
    format!("{name}-idle-{index}")
}

/// Room for four events at least.
fn capacity_for(setup: &Setup) -> usize {
    setup.room().max(ephapse::limits::RING_CAPACITY_DEFAULT)
}

/// Links with the other side's idle hubs.
fn open_links(hub: &mut Hub, other: &str, count: usize) -> Result<Vec<Link>> {
    (1..=count as u32)
        .map(|index| {
            let name = idle_name(other, index);
            hub.link_to(&name).with_context(|| format!("cannot link to \"{name}\""))
        })
        .collect()
}

/// The link that each idle hub was given by the other side.
fn accept_each(hubs: Vec<Hub>) -> Result<Vec<(Hub, Link)>> {
    hubs.into_iter().map(|mut hub| accept(&mut hub).map(|link| (hub, link))).collect()
}

fn accept(hub: &mut Hub) -> Result<Link> {
    match hub.accept_timeout(LINK_LIMIT)? {
        Some(link) => Ok(link),
        None => bail!("nobody has linked to \"{}\" for {LINK_LIMIT:?}", hub.name()),
    }
}

struct HubPing<T> {
    linked: Linked,
    traffic: T,
    /// Questions that were sent: the number of the next one.
    asked: u64,
    /// Answers that have come: the number of the next one.
    heard: u64,
}

impl<T: Traffic> PingSide for HubPing<T> {
    fn ping(&mut self, samples: &mut [u64], halt: &Halt) -> Result<u64> {
        use ephapse::event::Timestamp;

        let Linked { hub, link, .. } = &mut self.linked;
        let mut tally = Tally { next: self.heard, lost: 0 };
        let mut before = Timestamp::now().ticks();
        for sample in samples {
            self.traffic.ask(link, self.asked)?;
            let Some(event) = hub.recv()? else {
                bail!(halt.reason().unwrap_or(Stop::Stalled));
            };
            let sequence = event.sequence();
            tally.see(sequence, self.traffic.is_answer(&event, self.asked));
            drop(event);
            self.asked += 1;
            let after = Timestamp::now().ticks();
            *sample = after.wrapping_sub(before);
            before = after;
        }
        self.heard = tally.next;
        Ok(tally.lost)
    }

    fn stream(&mut self, count: u64, batch: u32, halt: &Halt) -> Result<()> {
        /// Events between two looks whether to go on.
        const CHUNK: u64 = 1 << 12;

        let link = &mut self.linked.link;
        let end = self.asked + count;
        while self.asked < end {
            halt.check()?;
            let chunk_end = end.min(self.asked + CHUNK.max(u64::from(batch)));
            if batch == 1 {
                while self.asked < chunk_end {
                    self.traffic.ask(link, self.asked)?;
                    self.asked += 1;
                }
                continue;
            }
            while self.asked < chunk_end {
                let batch_end = chunk_end.min(self.asked + u64::from(batch));
                let mut batch = link.batch();
                while self.asked < batch_end {
                    self.traffic.add(&mut batch, self.asked)?;
                    self.asked += 1;
                }
                batch.commit();
            }
        }
        Ok(())
    }

    fn send_on_schedule(&mut self, schedule: &Schedule, start: u64, halt: &Halt) -> Result<Sent> {
        schedule.send(start, halt, || {
            self.traffic.ask(&mut self.linked.link, self.asked)?;
            self.asked += 1;
            Ok(())
        })
    }

    fn capacity_bytes(&self) -> usize {
        self.linked.link.capacity()
    }
}

struct HubEcho<T> {
    linked: Linked,
    traffic: T,
    /// Questions that have come: the number of the next one.
    heard: u64,
}

impl<T: Traffic> EchoSide for HubEcho<T> {
    fn echo(&mut self, trips: u64) -> Result<u64> {
        let Linked { hub, link, .. } = &mut self.linked;
        let mut tally = Tally { next: self.heard, lost: 0 };
        for _ in 0..trips {
            let Some(event) = hub.recv()? else { bail!("the hub was closed") };
            let sequence = event.sequence();
            tally.see(sequence, self.traffic.answer(link, &event, tally.next)?);
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

impl<T: Traffic> HubEcho<T> {
    /// Receives until the event before the number `end`, and shows each one as soon as it is there.
    /// Returns how many were missing, repeated or wrong.
    #[inline(always)]
    fn hear(&mut self, end: u64, mut seen: impl FnMut(u64, &Received<'_>)) -> Result<u64> {
        let hub = &mut self.linked.hub;
        let mut tally = Tally { next: self.heard, lost: 0 };
        while tally.next < end {
            let Some(event) = hub.recv()? else { bail!("the hub was closed") };
            let sequence = event.sequence();
            seen(sequence, &event);
            tally.see(sequence, self.traffic.is_question(&event, sequence));
        }
        self.heard = tally.next;
        Ok(tally.lost)
    }
}
