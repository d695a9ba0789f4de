//! Parent and child together, from the first process to the last.

use std::os::fd::{AsFd, OwnedFd};
use std::process::Stdio;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ephapse::event::Timestamp;
use ephapse_plot::{Interval, Series, Times};

use super::args::{Layer, PathMode, Setup, Via};
use super::bare_side::Own;
use super::control::{Control, Order, Report};
use super::floor::{Floor, spin_until};
use super::halt::{Halt, Stop};
use super::load::{Flight, Schedule};
use super::rival::Load;
use super::shared::{Page, Word, numbers_from_file};
use super::side::PingSide;
use super::times::{TickRate, one_way};
use super::watchdog::Watchdog;
use super::{Role, bus_side, c_side, host, hub_side};
use crate::children::Stage;
use crate::signals;
use crate::ui::Ui;

/// How long the child may take to connect, and to say that a phase is over.
const CHILD_LIMIT: Duration = Duration::from_secs(60);

/// Part of a phase that is done once before, unmeasured: caches, branch predictors and page
/// tables get used to it, and the child is awake.
const WARM_UP_PART: u64 = 10;
const WARM_UP_MAX: u64 = 10_000;

/// A running benchmark. Fields are dropped in this order.
pub(super) struct Session {
    watchdog: Watchdog,
    side: Box<dyn PingSide>,
    page: Page,
    control: Control,
    stage: Stage,
    halt: Halt,
    setup: Setup,
    rate: TickRate,
    /// When it began.
    start: Instant,
    /// The processors that the calling thread could use before.
    allowed: Vec<usize>,
    /// One for each round trip of a phase, in ticks.
    samples: Vec<u64>,
    /// Round trips of the floor so far: what its words hold.
    floor_trips: u64,
    /// Events that were sent one way so far.
    sent: u64,
    /// Schedules so far.
    loads: u64,
}

/// What one phase of events gave.
pub(super) struct Measured<T> {
    /// The result.
    pub(super) result: T,
    /// Events that were missing, repeated or wrong.
    pub(super) lost: u64,
}

impl Session {
    /// Starts the child, connects with it, and binds the calling thread to its processor.
    pub(super) fn open(setup: &Setup, ui: &Ui) -> Result<Session> {
        let (start, began) = (Timestamp::now(), Instant::now());
        let halt = Halt::default();
        signals::watch_and({
            let halt = halt.clone();
            move || halt.stop(Stop::Interrupted)
        })
        .context("cannot watch for signals")?;
        if setup.links > 1 || setup.hubs > 2 {
            // The supervisor and the child inherit it.
            host::raise_descriptor_limit()?;
        }
        let mut stage = Stage::open(ui, "bench")?;
        let (control, childs_end) = Control::pair()?;
        stage.start("echo", ["bench-role", Role::Echo.name()], Stdio::from(childs_end))?;
        let (page, page_file) = Page::create()?;
        let order = |slot| Order::Prepare { setup: *setup, slot };
        let side: Box<dyn PingSide> = match (setup.layer, setup.path) {
            (Layer::Hub, PathMode::Link) if setup.via == Via::C => {
                let joined = c_side::join_ping(stage.path(), setup)?;
                control.send(&order(0), &[page_file.as_fd()])?;
                expect_joined(&control)?;
                joined.ping_side(&halt)?
            }
            (Layer::Hub, PathMode::Link) => {
                let joined = hub_side::join_ping(stage.path(), setup)?;
                control.send(&order(0), &[page_file.as_fd()])?;
                expect_joined(&control)?;
                joined.ping_side(setup, &halt)?
            }
            (Layer::Hub, _) => {
                let joined = bus_side::join_ping(stage.path(), setup)?;
                control.send(&order(0), &[page_file.as_fd()])?;
                expect_joined(&control)?;
                joined.ping_side(setup, &halt)?
            }
            (Layer::Ring, _) => {
                let own = Own::create()?;
                let [ring, cursors] = own.descriptors();
                control.send(&order(own.slot), &[page_file.as_fd(), ring, cursors])?;
                let (slot, descriptors) = expect_joined(&control)?;
                let [ring, cursors] = &descriptors[..] else { bail!("no ring has come") };
                Box::new(own.join(ring, cursors, slot)?)
            }
        };
        match control.receive(CHILD_LIMIT)? {
            (Report::Ready, _) => {}
            (other, _) => bail!("the child says {other:?} instead of being ready"),
        }
        let watchdog = Watchdog::start(&control, halt.clone())?;
        let allowed = host::available_cpus()?;
        host::pin(setup.cpus.0)?;
        Ok(Session {
            allowed,
            watchdog,
            side,
            page,
            control,
            stage,
            halt,
            setup: *setup,
            rate: TickRate::since(start),
            start: began,
            samples: Vec::new(),
            floor_trips: 0,
            sent: 0,
            loads: 0,
        })
    }

    /// Round trips of the floor.
    pub(super) fn floor(&mut self, trips: u64) -> Result<Times> {
        let warm = warm_up(trips);
        let from = self.floor_trips;
        self.begin(warm + trips, &[Order::Floor { from, trips: warm + trips }])?;
        self.floor_trips += warm + trips;
        let floor = Floor::new(&self.page, self.setup.wait);
        let (samples, halt) = (&mut self.samples, &self.halt);
        floor.ping(from, resized(samples, warm), halt)?;
        floor.ping(from + warm, resized(samples, trips), halt)?;
        self.end(1)?;
        let whole = one_way(&self.samples, self.rate, Duration::ZERO, 1);
        Ok(Series::of_intervals("floor", whole).times)
    }

    /// Round trips of events, as intervals since the beginning.
    pub(super) fn round_trips(&mut self, trips: u64) -> Result<Measured<Vec<Interval>>> {
        /// Of one phase: enough to see when something happened.
        const INTERVALS: usize = 10;

        let warm = warm_up(trips);
        self.begin(warm + trips, &[Order::Answer { trips: warm + trips }])?;
        let (samples, halt) = (&mut self.samples, &self.halt);
        let mut lost = self.side.ping(resized(samples, warm), halt)?;
        let begun = self.start.elapsed();
        lost += self.side.ping(resized(samples, trips), halt)?;
        lost += self.end(1)?;
        Ok(Measured { result: one_way(&self.samples, self.rate, begun, INTERVALS), lost })
    }

    /// Events one way; the time from before the first one until the child has the last one.
    pub(super) fn stream(&mut self, count: u64, batch: u32) -> Result<Measured<Duration>> {
        let warm = warm_up(count);
        // Both orders at once: after the warm-up the child goes on without falling asleep.
        let orders = [Order::Receive { count: warm }, Order::Receive { count }];
        self.begin(warm + count, &orders)?;
        self.send(warm, batch)?;
        let start = Instant::now();
        self.send(count, batch)?;
        let took = start.elapsed();
        Ok(Measured { result: took, lost: self.end(2)? })
    }

    fn send(&mut self, count: u64, batch: u32) -> Result<()> {
        self.side.stream(count, batch, &self.halt)?;
        self.sent += count;
        spin_until(self.page.word(Word::Received), self.sent, &self.halt)?;
        Ok(())
    }

    /// Events by a schedule; what became of them.
    pub(super) fn load(&mut self, schedule: &Schedule) -> Result<Measured<Flight>> {
        /// Until the first event: what the child may take for its first look at the ring.
        const LEAD: Duration = Duration::from_millis(2);

        let warm = warm_up(schedule.count);
        let schedule = *schedule;
        let orders = [Order::Receive { count: warm }, Order::ReceiveOnSchedule { schedule }];
        self.begin(warm + schedule.count, &orders)?;
        let planned = self.rate.ns_of(schedule.step.unwrap_or(0.0) * schedule.count as f64);
        self.watchdog.expect_over(warm + schedule.count, Duration::from_nanos(planned as u64));
        self.send(warm, 1)?;
        self.loads += 1;
        spin_until(self.page.word(Word::Ready), self.loads, &self.halt)?;
        let begun = self.start.elapsed() + LEAD;
        let start = Timestamp::now().ticks() + self.rate.ticks(LEAD.as_nanos() as f64) as u64;
        // Release: the child reads it when it has the first event.
        self.page.word(Word::Start).store(start, Ordering::Release);
        let sent = match self.side.send_on_schedule(&schedule, start, &self.halt) {
            Ok(sent) => sent,
            Err(error) => return Err(self.halt.reason().map_or(error, Into::into)),
        };
        self.sent += schedule.count;
        spin_until(self.page.word(Word::Received), self.sent, &self.halt)?;
        let received = Timestamp::now().ticks();
        let first = self.end(1)?;
        let (lost, file) = self.end_with_file()?;
        let ticks = numbers_from_file(file)?;
        let flight = Flight { schedule, start, sent, received, begun, ticks, rate: self.rate };
        Ok(Measured { result: flight, lost: first + lost })
    }

    /// The same with the rival, between this thread and another one on the child's processor.
    pub(super) fn rival(&mut self, count: u64) -> Result<Measured<Duration>> {
        let load = |count| Load {
            count,
            lines: self.setup.record_bytes() / 64,
            capacity_bytes: self.side.capacity_bytes(),
            consumer_cpu: self.setup.cpus.1,
        };
        self.halt.check()?;
        let warm = warm_up(count);
        self.watchdog.expect(warm + count);
        load(warm).run(&self.halt)?;
        let (result, lost) = load(count).run(&self.halt)?;
        self.watchdog.relax();
        Ok(Measured { result, lost })
    }

    /// What is measured.
    pub(super) fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Ticks of the clock.
    pub(super) fn ticks_of(&self, time: Duration) -> f64 {
        self.rate.ticks(time.as_nanos() as f64)
    }

    /// Events of this process that went another way than was asked for.
    pub(super) fn detours(&self) -> u64 {
        self.side.detours()
    }

    /// Why a phase ended before its time, if it did.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.halt.reason()
    }

    /// Ends the child and the supervisor, and removes what the run has made.
    pub(super) fn close(self) -> Result<()> {
        let Session { watchdog, side, control, stage, allowed, .. } = self;
        drop(watchdog);
        drop(control);
        drop(side);
        let closed = stage.close();
        // Another session may follow, whose processes inherit it.
        host::unpin(&allowed)?;
        closed
    }

    fn begin(&mut self, events: u64, orders: &[Order]) -> Result<()> {
        self.halt.check()?;
        // All that is needed is there, and has been touched, before anything is measured.
        let longest = usize::try_from(events).context("too many events for this machine")?;
        if matches!(orders[0], Order::Floor { .. } | Order::Answer { .. })
            && self.samples.capacity() < longest
        {
            self.samples.resize(longest, 1);
            self.samples.fill(1);
        }
        self.watchdog.expect(events);
        orders.iter().try_for_each(|order| self.control.send(order, &[]))
    }

    /// As [`end`](Self::end) of one order, with the file that comes along.
    fn end_with_file(&mut self) -> Result<(u64, OwnedFd)> {
        match self.control.receive(CHILD_LIMIT)? {
            (Report::Done { lost }, files) => {
                let file = files.into_iter().next();
                Ok((lost, file.context("the child has sent nothing that it measured")?))
            }
            (other, _) => bail!("the child says {other:?} instead of being done"),
        }
    }

    /// The phase is over when the child says so, once for each order.
    fn end(&mut self, orders: usize) -> Result<u64> {
        self.watchdog.relax();
        let mut lost = 0;
        for _ in 0..orders {
            match self.control.receive(CHILD_LIMIT)? {
                (Report::Done { lost: more }, _) => lost += more,
                (other, _) => bail!("the child says {other:?} instead of being done"),
            }
        }
        Ok(lost)
    }
}

fn expect_joined(control: &Control) -> Result<(u32, Vec<OwnedFd>)> {
    match control.receive(CHILD_LIMIT)? {
        (Report::Joined { slot }, descriptors) => Ok((slot, descriptors)),
        (other, _) => bail!("the child says {other:?} instead of having joined"),
    }
}

fn warm_up(events: u64) -> u64 {
    (events / WARM_UP_PART).clamp(1, WARM_UP_MAX)
}

/// So many samples, without an allocation: there has been room for more.
fn resized(samples: &mut Vec<u64>, len: u64) -> &mut [u64] {
    samples.resize(len as usize, 1);
    samples
}
