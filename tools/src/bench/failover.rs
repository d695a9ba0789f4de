//! `ephapse bench failover`: how long it takes until events go another way when a link does not
//! serve any more.
//!
//! ```text
//!             link is paused or closed              goes on, or a new link
//!   Links … Links │ Links … (full) … Broadcast …  │  … Links … Links
//!                 ├──────── measured ────┤
//! ```

mod listener;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::value_parser;
use ephapse::event::Timestamp;
use ephapse::{Domain, Error, Hub, Link, Path, Publisher, RefusalCode};
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

pub(super) use self::listener::child;
use super::Role;
use super::company::{Circumstances, Company, Done, LIMIT, Outcome, verdict, wait_until};
use super::events::{Probe, Sample};
use super::output::{ResultArgs, worse};
use super::times::{Spread, TickRate};
use crate::ui::format::nanoseconds;
use crate::ui::{Stream, Ui};

/// The hub of the parent, that of the child, and what it subscribes to.
const PUBLISHER: &str = "publisher";
const LISTENER: &str = "listener";
const SUBJECT: &str = "bench.failover";

/// Events over the link before each change.
const BEFORE: u32 = 200;

/// Between two events: a listener that is awake keeps up.
const GAP: Duration = Duration::from_micros(2);

/// How often a round is tried in which something else came in between.
const TRIES: u32 = 20;

/// Arguments of `bench failover`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Events are published to a process at the other end of a link, one every few microseconds. Then the
process is paused (SIGSTOP), or closes its link; the time is from there to the first event that is
broadcast. Nothing may be lost.

Examples:
  ephapse bench failover
  ephapse bench failover --how close --count 500 --json | jq .ns.p99")]
pub(crate) struct FailoverArgs {
    /// What happens to the link.
    #[arg(long, value_enum, value_name = "HOW", default_value = "pause")]
    how: How,

    /// How many times.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=100_000))]
    count: u32,

    #[command(flatten)]
    output: ResultArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum How {
    /// The process at its other end is paused.
    Pause,
    /// The process at its other end closes it.
    Close,
}

/// What the child is ordered.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// Join and subscribe.
    Prepare,
    /// Take the link that has been opened.
    Accept,
    /// Close it.
    Close,
    /// Say what has come, when so many events should have.
    Finish { count: u64 },
}

/// The child's answer to [`Order::Close`]: the clock just before.
#[derive(Debug, Serialize, Deserialize)]
struct Closed {
    ticks: u64,
}

/// The child's answer to [`Order::Finish`].
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    lost: u64,
}

#[derive(Serialize)]
struct Failover {
    bench: &'static str,
    how: How,
    count: usize,
    lost: u64,
    /// Events that were published.
    events: u64,
    ns: Spread,
    #[serde(flatten)]
    circumstances: Circumstances,
}

/// Measures, and prints what came out.
pub(super) fn run(args: &FailoverArgs, ui: &Ui) -> Result<ExitCode> {
    let start = Timestamp::now();
    let mut company = Company::open(Role::Failover, ui)?;
    let mut course = Course::default();
    let ended = course.measure(&mut company, args, start, ui);
    // What has not been heard of to the end says nothing about losses.
    let is_useful = course.heard && !course.times.is_empty();
    let interrupted = company.close(ended, is_useful)?;
    let outcome = Outcome { interrupted, lost: course.lost };
    let result = Failover {
        bench: "failover",
        how: args.how,
        count: course.times.len(),
        lost: course.lost,
        events: course.events,
        ns: Spread::of(&course.times),
        circumstances: Circumstances::of(&outcome),
    };
    let checked = args.output.tell(&result, ui, || print(&result, ui))?;
    Ok(worse(verdict(result.lost, ui)?, checked))
}

#[derive(Default)]
struct Course {
    times: Vec<u64>,
    events: u64,
    lost: u64,
    heard: bool,
}

impl Course {
    fn measure(
        &mut self,
        company: &mut Company,
        args: &FailoverArgs,
        start: Timestamp,
        ui: &Ui,
    ) -> Result<()> {
        let Done = company.ask(&Order::Prepare)?;
        let hub = Hub::builder(PUBLISHER).domain(Domain::at(company.stage.path())).connect()?;
        let publisher = hub.publisher::<Sample>(SUBJECT)?;
        let mut talk = Talk { company, hub, publisher, link: None, number: 0 };
        talk.wait_for_listener()?;
        let rate = TickRate::since(start);
        let ended = self.rounds(&mut talk, args, rate, ui);
        self.events = talk.number;
        let Heard { lost } = talk.company.finish(&Order::Finish { count: talk.number })?;
        (self.lost, self.heard) = (lost, true);
        ended
    }

    fn rounds(
        &mut self,
        talk: &mut Talk<'_>,
        args: &FailoverArgs,
        rate: TickRate,
        ui: &Ui,
    ) -> Result<()> {
        let mut progress = ui.progress();
        for round in 1..=args.count {
            let ns = talk.round(args.how, rate)?;
            self.times.push(ns);
            progress.set(format_args!("{round} of {}, {}", args.count, nanoseconds(ns)));
        }
        Ok(())
    }
}

/// The publisher and the one that it talks to.
struct Talk<'a> {
    company: &'a mut Company,
    hub: Hub,
    publisher: Publisher<Sample>,
    link: Option<Link>,
    /// The next event's.
    number: u64,
}

impl Talk<'_> {
    fn wait_for_listener(&self) -> Result<()> {
        let publisher = &self.publisher;
        wait_until("it listens", &self.company.halt, || Ok(publisher.receivers() == 1))
    }

    /// One event; which way it went, and when.
    fn publish(&mut self) -> Result<(Path, u64)> {
        let sent = self.publisher.send(&Sample::question(self.number))?;
        let at = Timestamp::now().ticks();
        if sent.receivers != 1 {
            bail!("an event has gone to {} subscriptions", sent.receivers);
        }
        self.number += 1;
        let start = Instant::now();
        while start.elapsed() < GAP {
            std::hint::spin_loop();
        }
        Ok((sent.path, at))
    }

    /// Publishes until so many events in a row have gone over the link.
    fn settle(&mut self) -> Result<()> {
        self.open_link()?;
        let deadline = Instant::now() + LIMIT;
        let mut in_a_row = 0;
        while in_a_row < BEFORE {
            in_a_row = if self.publish()?.0 == Path::Links { in_a_row + 1 } else { 0 };
            if in_a_row == 0 {
                self.company.halt.check()?;
                if Instant::now() >= deadline {
                    bail!("events have not gone over the link for {LIMIT:?}");
                }
                // Whoever has to catch up may need this processor.
                std::thread::sleep(Duration::from_micros(100));
            }
        }
        Ok(())
    }

    /// Opens the link, if there is none.
    fn open_link(&mut self) -> Result<()> {
        if self.link.is_some() {
            return Ok(());
        }
        let (hub, link) = (&mut self.hub, &mut self.link);
        wait_until("the link is open", &self.company.halt, || {
            // The end of the last one is there to be received.
            while !matches!(hub.try_recv(), Ok(None)) {}
            match hub.link_to(LISTENER) {
                Ok(opened) => {
                    *link = Some(opened);
                    Ok(true)
                }
                Err(Error::Refused { code: RefusalCode::AlreadyLinked, .. }) => Ok(false),
                Err(error) => Err(error).context("cannot link to the child"),
            }
        })?;
        let Done = self.company.ask(&Order::Accept)?;
        Ok(())
    }

    fn round(&mut self, how: How, rate: TickRate) -> Result<u64> {
        for _ in 0..TRIES {
            self.company.halt.check()?;
            self.settle()?;
            let (from, to) = match how {
                How::Pause => self.pause()?,
                How::Close => self.close()?,
            };
            // The link may have been too slow before it was closed.
            if to > from {
                return Ok(rate.ns_between(from, to));
            }
        }
        bail!("events go another way before the link is closed, {TRIES} times in a row")
    }

    /// When the pause began, and when the first event was broadcast.
    fn pause(&mut self) -> Result<(u64, u64)> {
        let from = Timestamp::now().ticks();
        self.company.stage.crew.signal(Role::Failover.name(), Signal::SIGSTOP);
        let broadcast = self.publish_until_broadcast();
        // Whatever has come of it: nobody else lets it go on.
        self.company.stage.crew.signal(Role::Failover.name(), Signal::SIGCONT);
        Ok((from, broadcast?))
    }

    fn publish_until_broadcast(&mut self) -> Result<u64> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let (Path::Broadcast, at) = self.publish()? {
                return Ok(at);
            }
            self.company.halt.check()?;
            if Instant::now() >= deadline {
                bail!("no event has been broadcast for {LIMIT:?}");
            }
        }
    }

    /// When the link was closed, and when the first event was broadcast after which none went over
    /// the link.
    fn close(&mut self) -> Result<(u64, u64)> {
        self.company.order(&Order::Close)?;
        let deadline = Instant::now() + LIMIT;
        let mut since = None;
        loop {
            match self.publish()? {
                (Path::Broadcast, at) => since = since.or(Some(at)),
                _ => since = None,
            }
            if let (Some(to), true) = (since, self.company.has_answered()?) {
                let Closed { ticks } = self.company.answer()?;
                self.link = None;
                return Ok((ticks, to));
            }
            // Not to be interrupted: the child's answer would come in the place of another.
            if Instant::now() >= deadline {
                bail!("no event has been broadcast for {LIMIT:?}");
            }
        }
    }
}

fn print(result: &Failover, ui: &Ui) -> Result<()> {
    let [p50, p99, max] = [result.ns.p50, result.ns.p99, result.ns.max].map(nanoseconds);
    let what = match result.how {
        How::Pause => "the process at the other end is paused",
        How::Close => "the other end is closed",
    };
    let (count, lost, text) = (result.count, result.lost, result.circumstances.text());
    let p50 = ui.strong(Stream::Out, &p50);
    ui.line(
        Stream::Out,
        format_args!(
            "events are broadcast {p50} after {what} (median of {count}; p99 {p99}, max {max}), \
             {lost} lost\n{text}"
        ),
    )
}
