//! What one side of a pair does, for every system in the same way.

use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ephapse::event::Timestamp;
use nix::time::{ClockId, clock_gettime};

use crate::clock::{TickRate, one_way};
use crate::floor::Floor;
use crate::host;
use crate::message::{Kind, Message, Seen, check};
use crate::orders::{Order, Report, Talk, page_in, socket_in};
use crate::page::{Page, Word};
use crate::peer::{Peer, SILENCE, Setup, Side};

/// Part of a phase that is done once before, unmeasured: caches, branch predictors and page
/// tables get used to it, and the other side is awake.
const WARM_UP_PART: u64 = 8;

/// Round trips for which there is room in each millisecond: more than a processor can do.
const TRIPS_PER_MS: u64 = 20_000;

/// Messages of a stream between two looks at the clock.
const CHUNK: u64 = 32;

/// What one side is for.
#[derive(Clone, Debug)]
pub(crate) struct Duty {
    /// What it connects from.
    pub(crate) setup: Setup,
    /// Its processor.
    pub(crate) cpu: usize,
    /// Processors of the threads that the system starts.
    pub(crate) helpers: Vec<usize>,
    /// The number of a question that side A damages, for tests.
    pub(crate) damaged: Option<u64>,
}

/// Serves with `P` until the runner hangs up.
pub(crate) fn serve<P: Peer>(duty: &Duty) -> Result<()> {
    let socket =
        UnixStream::connect(socket_in(&duty.setup.dir)).context("cannot reach the runner")?;
    let mut talk = Talk::new(socket);
    talk.say(&Report::Here { side: duty.setup.side })?;
    let outcome = obey::<P>(duty, &mut talk);
    if let Err(error) = &outcome {
        // Whoever has hung up knows why.
        let _ = talk.say(&Report::Failed { why: format!("{error:#}") });
    }
    outcome
}

fn obey<P: Peer>(duty: &Duty, talk: &mut Talk) -> Result<()> {
    let start = Timestamp::now();
    let page = Page::open(&page_in(&duty.setup.dir))?;
    let mut peer: Option<P> = None;
    let mut numbers = Numbers { next: 1, damaged: duty.damaged };
    while let Some(order) = talk.hear()? {
        let report = match order {
            Order::Connect => {
                host::pin(&duty.helpers)?;
                let before = Instant::now();
                let side = peer.insert(P::connect(&duty.setup)?);
                greet(side, &duty.setup)?;
                let ns = before.elapsed().as_nanos() as u64;
                host::pin(&[duty.cpu])?;
                Report::Connected { ns }
            }
            Order::Floor { wait, ms } => {
                let mut run = Run::new(&page, TickRate::since(start), ms, u64::MAX);
                run.floor(Floor { page: &page, wait }, duty.setup.side)?
            }
            Order::RoundTrips { size, ms, trips } => {
                let peer = peer.as_mut().context("an order before it is connected")?;
                let mut run = Run::new(&page, TickRate::since(start), ms, trips);
                match duty.setup.side {
                    Side::A => run.ping(peer, size, &mut numbers)?,
                    Side::B => run.echo(peer, size, &mut numbers)?,
                }
            }
            Order::Stream { size, ms } => {
                let peer = peer.as_mut().context("an order before it is connected")?;
                let run = Run::new(&page, TickRate::since(start), ms, u64::MAX);
                match duty.setup.side {
                    Side::A => run.send(peer, size, &mut numbers)?,
                    Side::B => run.receive(peer, size, &mut numbers)?,
                }
            }
        };
        host::give_back_memory();
        talk.say(&report)?;
    }
    Ok(())
}

/// The first round trip, with number 0.
fn greet<P: Peer>(peer: &mut P, setup: &Setup) -> Result<()> {
    let (out, back) = match setup.side {
        Side::A => (Kind::Question, Kind::Answer),
        Side::B => (Kind::Answer, Kind::Question),
    };
    let greeting = Message::new(out, 0, true, setup.longest);
    if setup.side == Side::A {
        peer.send(greeting)?;
        peer.flush()?;
    }
    let deadline = Instant::now() + crate::peer::CONNECT_LIMIT;
    let heard = loop {
        match hear_one(peer, back, setup.longest)? {
            Some(heard) => break heard,
            None if Instant::now() < deadline => {}
            None => bail!("the first message has not come"),
        }
    };
    if heard != (Seen { number: 0, last: true, right: true }) {
        bail!("the first message is not what was sent: {heard:?}");
    }
    if setup.side == Side::B {
        peer.send(greeting)?;
        peer.flush()?;
    }
    Ok(())
}

/// The next message, where only one can be on its way.
#[inline(always)]
fn hear_one<P: Peer>(peer: &mut P, kind: Kind, size: usize) -> Result<Option<Seen>> {
    let mut seen: Option<Seen> = None;
    peer.receive(size, |bytes| {
        let one = check(bytes, kind, size);
        // A second one cannot be right.
        seen = Some(Seen { right: one.right && seen.is_none(), ..one });
    })?;
    Ok(seen)
}

/// Where the sequence stands; both sides count alike.
struct Numbers {
    next: u64,
    damaged: Option<u64>,
}

impl Numbers {
    #[inline(always)]
    fn take(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// One phase.
struct Run<'a> {
    page: &'a Page,
    rate: TickRate,
    ms: u64,
    trips: u64,
}

impl<'a> Run<'a> {
    fn new(page: &'a Page, rate: TickRate, ms: u64, trips: u64) -> Run<'a> {
        Run { page, rate, ms, trips }
    }

    /// Ticks of the unmeasured part and of the measured one.
    fn parts(&self) -> [u64; 2] {
        let ticks = self.rate.ticks(self.ms);
        [ticks / WARM_UP_PART, ticks]
    }

    /// Room for the samples of a phase, touched before anything is measured.
    fn room(&self) -> Vec<u32> {
        let most = self.ms.saturating_mul(TRIPS_PER_MS).min(self.trips) as usize;
        let mut samples = vec![1; most];
        samples.clear();
        samples
    }

    fn floor(&mut self, floor: Floor<'_>, side: Side) -> Result<Report> {
        let mut samples = self.room();
        for ticks in self.parts() {
            samples.clear();
            match side {
                Side::A => floor.ping(&mut samples, ticks)?,
                Side::B => floor.pong()?,
            }
        }
        self.times(&samples, 0)
    }

    fn ping<P: Peer>(
        &mut self,
        peer: &mut P,
        size: usize,
        numbers: &mut Numbers,
    ) -> Result<Report> {
        let mut samples = self.room();
        let mut wrong = 0;
        for ticks in self.parts() {
            samples.clear();
            wrong += self.trips(peer, size, numbers, &mut samples, ticks)?;
        }
        self.times(&samples, wrong)
    }

    /// Round trips, the end of each being the start of the next. The last one says so.
    fn trips<P: Peer>(
        &self,
        peer: &mut P,
        size: usize,
        numbers: &mut Numbers,
        samples: &mut Vec<u32>,
        ticks: u64,
    ) -> Result<u64> {
        let mut wrong = 0;
        let mut before = Timestamp::now().ticks();
        let deadline = before + ticks;
        loop {
            let last = before >= deadline || samples.len() + 1 >= samples.capacity();
            let number = numbers.take();
            let question = Message::new(Kind::Question, number, last, size);
            peer.send(question.damaged_if(numbers.damaged == Some(number)))?;
            if last {
                peer.flush()?;
            }
            let Some(seen) = hear_one(peer, Kind::Answer, size)? else {
                bail!("no answer to message {number} within {SILENCE:?}");
            };
            wrong += u64::from(seen != Seen { number, last, right: true });
            let after = Timestamp::now().ticks();
            samples.push(u32::try_from(after.wrapping_sub(before)).unwrap_or(u32::MAX));
            before = after;
            if last {
                return Ok(wrong);
            }
        }
    }

    fn times(&self, samples: &[u32], wrong: u64) -> Result<Report> {
        let histogram = one_way(samples, self.rate).encode()?;
        Ok(Report::Times { histogram, wrong })
    }

    /// Answers everything, until the last question of both parts.
    fn echo<P: Peer>(
        &mut self,
        peer: &mut P,
        size: usize,
        numbers: &mut Numbers,
    ) -> Result<Report> {
        let mut wrong = 0;
        for _ in self.parts() {
            loop {
                let Some(seen) = hear_one(peer, Kind::Question, size)? else {
                    bail!("message {} has not come within {SILENCE:?}", numbers.next);
                };
                let number = numbers.take();
                wrong += u64::from(!seen.right || seen.number != number);
                peer.send(Message::new(Kind::Answer, number, seen.last, size))?;
                if seen.last {
                    peer.flush()?;
                    break;
                }
            }
        }
        self.times(&[], wrong)
    }

    fn send<P: Peer>(&self, peer: &mut P, size: usize, numbers: &mut Numbers) -> Result<Report> {
        let mut report = Report::Sent { messages: 0, start_ns: 0 };
        for ticks in self.parts() {
            let (from, start_ns) = (numbers.next, monotonic_ns()?);
            let deadline = Timestamp::now().ticks() + ticks;
            while Timestamp::now().ticks() < deadline {
                for _ in 0..CHUNK {
                    let number = numbers.take();
                    let message = Message::new(Kind::Question, number, false, size);
                    peer.send(message.damaged_if(numbers.damaged == Some(number)))?;
                }
            }
            peer.send(Message::new(Kind::Question, numbers.take(), true, size))?;
            peer.flush()?;
            // SYNC(sent): pairs with the load in `receive`.
            self.page.word(Word::Sent).store(numbers.next, Ordering::Release);
            report = Report::Sent { messages: numbers.next - from, start_ns };
            let patience = Instant::now() + Duration::from_millis(self.ms) + 10 * SILENCE;
            // SYNC(received): pairs with the store in `receive`.
            while self.page.word(Word::Received).load(Ordering::Acquire) != numbers.next {
                if Instant::now() > patience {
                    bail!("the stream has not been received after {:?}", 10 * SILENCE);
                }
                // Nothing tells this side that the other has everything but the page; what it
                // waits for is not measured.
                std::thread::sleep(Duration::from_micros(50));
            }
        }
        Ok(report)
    }

    fn receive<P: Peer>(&self, peer: &mut P, size: usize, numbers: &mut Numbers) -> Result<Report> {
        let mut report = Report::Received { messages: 0, lost: 0, wrong: 0, end_ns: 0 };
        // What goes wrong in the unmeasured part is wrong too.
        let (mut all_lost, mut all_wrong) = (0, 0);
        for _ in self.parts() {
            let from = numbers.next;
            let mut tally = Tally { next: from, ..Tally::default() };
            while !tally.complete {
                let heard = peer.receive(size, |bytes| {
                    tally.see(check(bytes, Kind::Question, size));
                })?;
                // SYNC(sent): pairs with the store in `send`.
                let sent = self.page.word(Word::Sent).load(Ordering::Acquire);
                if !heard && sent > from {
                    tally.give_up(sent);
                }
            }
            numbers.next = tally.next;
            let (messages, end_ns) = (tally.messages, monotonic_ns()?);
            (all_lost, all_wrong) = (all_lost + tally.lost, all_wrong + tally.wrong);
            report = Report::Received { messages, lost: all_lost, wrong: all_wrong, end_ns };
            // SYNC(received): pairs with the load in `send`.
            self.page.word(Word::Received).store(numbers.next, Ordering::Release);
        }
        Ok(report)
    }
}

/// What has been received of a stream.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    /// The number of the next message.
    next: u64,
    messages: u64,
    /// Missing.
    lost: u64,
    /// Damaged, repeated, or of another length.
    wrong: u64,
    complete: bool,
}

impl Tally {
    #[inline(always)]
    fn see(&mut self, seen: Seen) {
        self.messages += 1;
        if !seen.right || seen.number != self.next {
            self.see_another(seen);
        }
        self.next += 1;
        self.complete |= seen.last;
    }

    #[cold]
    fn see_another(&mut self, seen: Seen) {
        if seen.right && seen.number > self.next {
            self.lost += seen.number - self.next;
            self.next = seen.number;
        } else {
            self.wrong += 1;
        }
    }

    /// Nothing more comes of messages up to this number.
    fn give_up(&mut self, end: u64) {
        self.lost += end.saturating_sub(self.next);
        self.next = end.max(self.next);
        self.complete = true;
    }
}

fn monotonic_ns() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).context("cannot read the clock")?;
    Ok(Duration::from(now).as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_repeated_or_damaged_is_counted() {
        let right = |number| Seen { number, last: false, right: true };
        let mut tally = Tally { next: 5, ..Tally::default() };
        [right(5), right(8)].into_iter().for_each(|seen| tally.see(seen)); // 6 and 7 are missing
        assert_eq!((tally.next, tally.lost, tally.wrong), (9, 2, 0));
        tally.see(right(8)); // again, in the place of 9
        tally.see(Seen { right: false, ..right(10) }); // the right number with wrong contents
        assert_eq!((tally.next, tally.lost, tally.wrong), (11, 2, 2));
        tally.give_up(13);
        let expected = Tally { next: 13, messages: 4, lost: 4, wrong: 2, complete: true };
        assert_eq!(tally, expected);
    }
}
