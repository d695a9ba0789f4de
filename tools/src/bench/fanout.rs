//! `ephapse bench fanout`: what an event costs its publisher, by number of subscriptions.
//!
//! ```text
//!   one │ many │ one │ many │ one …        ratio of a round: many ÷ mean of the ones around it
//! ```
//!
//! The publisher sends in bursts, and sleeps after each until all subscriptions have had it, so
//! that it never waits for room. What it measures is its own thread's processor time, from before
//! a burst until after it.

mod listeners;

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::value_parser;
use ephapse::{Domain, Hub, Path, Publisher};
use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub(super) use self::listeners::child;
use super::Role;
use super::company::{Circumstances, Company, Done, LIMIT, Outcome, verdict, wait_until};
use super::events::{Probe, Sample};
use super::host;
use super::output::{ResultArgs, worse};
use super::report::ratio;
use super::shared::{Page, Word};
use super::times::median;
use crate::ui::format::count;
use crate::ui::{Stream, Table, Ui};

/// What is published.
const SUBJECT: &str = "bench.fanout";

/// How long the publisher sleeps at most before it looks whether to go on.
const NAP: Duration = Duration::from_millis(200);

/// The longest burst: half of what the usual broadcast ring holds.
const BURST_MAX: i64 = 2048;

/// Arguments of `bench fanout`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each subscription has a hub and a thread of its own, and sleeps while there is nothing: an event
that comes after a pause has to wake them all.

Examples:
  ephapse bench fanout --subscribers 50
  ephapse bench fanout --flow drop-oldest --json | jq .ratio
  ephapse bench fanout --burst 1                   when every event finds all of them asleep")]
pub(crate) struct FanoutArgs {
    /// Subscriptions, compared with one.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=1000))]
    subscribers: u32,

    /// How many events, all rounds together.
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = value_parser!(u64).range(1..=1_000_000_000))]
    count: u64,

    /// Events between two waits for all subscriptions.
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = value_parser!(u32).range(1..=BURST_MAX))]
    burst: u32,

    /// What happens when the publisher is faster than a subscription.
    #[arg(long, value_enum, value_name = "FLOW", default_value = "block")]
    flow: FlowMode,

    /// Rounds of measuring, alternating with one subscription.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,

    #[command(flatten)]
    output: ResultArgs,
}

/// See [`ephapse::Flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FlowMode {
    /// The publisher waits.
    Block,
    /// The oldest events are lost.
    DropOldest,
}

/// What the child is ordered.
#[derive(Debug, Serialize, Deserialize)]
enum Order {
    /// So many hubs join, off this processor. The shared page comes with it.
    Prepare { hubs: u32, publisher_cpu: usize },
    /// So many of them subscribe, and receive so many events.
    Listen { subscribers: u32, flow: FlowMode, count: u64, burst: u64 },
}

/// What the child says when a round is over.
#[derive(Debug, Serialize, Deserialize)]
struct Heard {
    /// Events that were missing, repeated or wrong, over all subscriptions.
    lost: u64,
}

#[derive(Serialize)]
struct Fanout {
    bench: &'static str,
    subscribers: u32,
    flow: FlowMode,
    burst: u32,
    /// Events that were published to the many.
    count: u64,
    lost: u64,
    /// Medians of the rounds.
    cpu_ns_per_event: f64,
    cpu_ns_per_event_one: f64,
    ratio: f64,
    rounds: Vec<Round>,
    #[serde(flatten)]
    circumstances: Circumstances,
}

#[derive(Serialize)]
struct Round {
    cpu_ns_per_event: f64,
    /// Mean of the runs before and after.
    cpu_ns_per_event_one: f64,
    ratio: f64,
}

/// What has been measured so far, in nanoseconds: one, many, one, many, one …
#[derive(Default)]
struct Course {
    ones: Vec<f64>,
    rounds: Vec<f64>,
    lost: u64,
}

/// Measures, and prints what came out.
pub(super) fn run(args: &FanoutArgs, cpus: &[usize], ui: &Ui) -> Result<ExitCode> {
    let mut company = Company::open(Role::Fanout, ui)?;
    let mut course = Course::default();
    let ended = course.measure(&mut company, args, cpus, ui);
    let interrupted = company.close(ended, !course.rounds.is_empty())?;
    let result = course.result(args, interrupted);
    let checked = args.output.tell(&result, ui, || print(&result, ui))?;
    Ok(worse(verdict(result.lost, ui)?, checked))
}

impl Course {
    fn measure(
        &mut self,
        company: &mut Company,
        args: &FanoutArgs,
        cpus: &[usize],
        ui: &Ui,
    ) -> Result<()> {
        let mut progress = ui.progress();
        progress.set("waiting for the hubs");
        let publisher_cpu = *cpus.first().context("no processor")?;
        let (page, page_file) = Page::create()?;
        prepare(company, args.subscribers, publisher_cpu, &page_file)?;
        let hub = Hub::builder("publisher").domain(Domain::at(company.stage.path())).connect()?;
        let publisher = hub.publisher::<Sample>(SUBJECT)?;
        let mut stream = Publishing { company, publisher, page, args };
        // Only now, so that the threads of the hub may run elsewhere.
        host::pin(publisher_cpu)?;
        let (one, _) = stream.run(1)?;
        self.ones.push(one);
        for round in 1..=args.rounds {
            let (many, lost) = stream.run(args.subscribers)?;
            let (one, lost_by_one) = stream.run(1)?;
            // Only now: a round without the one after it does not count.
            self.lost += lost + lost_by_one;
            self.rounds.push(many);
            self.ones.push(one);
            tracing::debug!(round, "complete");
            progress.set(format_args!("round {round} of {}, {many:.1} ns", args.rounds));
        }
        Ok(())
    }

    fn result(&self, args: &FanoutArgs, interrupted: bool) -> Fanout {
        let rounds: Vec<Round> = self
            .ones
            .windows(2)
            .zip(&self.rounds)
            .map(|(ones, many)| {
                let one = ones.iter().sum::<f64>() / ones.len() as f64;
                let [cpu_ns_per_event, cpu_ns_per_event_one] = [*many, one].map(tenth);
                Round { cpu_ns_per_event, cpu_ns_per_event_one, ratio: ratio(many / one) }
            })
            .collect();
        let outcome = Outcome { interrupted, lost: self.lost };
        Fanout {
            bench: "fanout",
            subscribers: args.subscribers,
            flow: args.flow,
            burst: args.burst,
            count: self.rounds.len() as u64 * per_round(args),
            lost: self.lost,
            cpu_ns_per_event: tenth(median(self.rounds.iter().copied())),
            cpu_ns_per_event_one: tenth(median(self.ones.iter().copied())),
            ratio: ratio(median(rounds.iter().map(|round| round.ratio))),
            rounds,
            circumstances: Circumstances::of(&outcome),
        }
    }
}

fn prepare(company: &Company, hubs: u32, publisher_cpu: usize, page: &OwnedFd) -> Result<()> {
    let order = Order::Prepare { hubs, publisher_cpu };
    company.control().send(&order, &[page.as_fd()])?;
    let Done = company.answer()?;
    Ok(())
}

/// At least one.
fn per_round(args: &FanoutArgs) -> u64 {
    (args.count / u64::from(args.rounds)).max(1)
}

/// To a tenth of a nanosecond.
fn tenth(ns: f64) -> f64 {
    (ns * 10.0).round() / 10.0
}

/// Publishes.
struct Publishing<'a> {
    company: &'a Company,
    publisher: Publisher<Sample>,
    page: Page,
    args: &'a FanoutArgs,
}

impl Publishing<'_> {
    /// One round with so many subscriptions: processor time of an event, and events lost.
    fn run(&mut self, subscribers: u32) -> Result<(f64, u64)> {
        let (count, burst) = (per_round(self.args), u64::from(self.args.burst));
        let order = Order::Listen { subscribers, flow: self.args.flow, count, burst };
        let halt = &self.company.halt;
        self.page.word(Word::Received).store(0, std::sync::atomic::Ordering::SeqCst);
        let Done = self.company.ask(&order)?;
        wait_until("all have subscribed", halt, || Ok(self.publisher.receivers() == subscribers))?;
        let mut took = Duration::ZERO;
        let mut number = 0;
        while number < count {
            halt.check()?;
            let end = count.min(number + burst);
            let before = cpu_time()?;
            while number < end {
                let sent = self.publisher.send(&Sample::question(number))?;
                if sent.path != Path::Broadcast || sent.receivers != subscribers {
                    bail!("an event for {subscribers} subscriptions went so: {sent:?}");
                }
                number += 1;
            }
            took += cpu_time()? - before;
            self.wait_for(number)?;
        }
        let Heard { lost } = self.company.answer()?;
        wait_until("nobody listens any more", halt, || Ok(self.publisher.receivers() == 0))?;
        Ok((took.as_nanos() as f64 / count as f64, lost))
    }

    /// Until all subscriptions have had so many events.
    fn wait_for(&self, number: u64) -> Result<()> {
        use std::sync::atomic::Ordering;

        let deadline = Instant::now() + LIMIT;
        loop {
            let seen = self.page.word(Word::Received).load(Ordering::Acquire);
            if seen >= number {
                return Ok(());
            }
            self.company.halt.check()?;
            if Instant::now() >= deadline {
                bail!("a subscription has not had event {number} for {LIMIT:?}");
            }
            self.page.futex_wait(Word::Received, seen, NAP);
        }
    }
}

/// Of the calling thread.
fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("cannot read a clock")?;
    Ok(time.into())
}

fn print(result: &Fanout, ui: &Ui) -> Result<()> {
    let many = format!("with {}", result.subscribers);
    let mut table = Table::new(["round", "with 1", &many, "ratio"], 1);
    for (index, round) in result.rounds.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            format!("{:.1} ns", round.cpu_ns_per_event_one),
            format!("{:.1} ns", round.cpu_ns_per_event),
            format!("{:.2}", round.ratio),
        ]);
    }
    let (burst, text) = (result.burst, result.circumstances.text());
    ui.line(
        Stream::Out,
        format_args!("processor time of the publisher per event, in bursts of {burst}, {text}"),
    )?;
    ui.table(Stream::Out, table)?;
    let ratio = ui.strong(Stream::Out, &format!("{:.2}", result.ratio));
    let (events, lost) = (count(result.count), result.lost);
    let subscribers = result.subscribers;
    ui.line(
        Stream::Out,
        format_args!(
            "{subscribers} subscriptions cost {ratio} times what one costs (median of rounds); \
             {events} events, {lost} lost"
        ),
    )
}
