//! `ephapse sub`: prints events.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::value_parser;
use ephapse::event::subject::Pattern;
use ephapse::limits::PATTERNS_MAX;
use ephapse::{Envelope, Flow, RecvError, Subscription, SubscriptionOptions, Wait};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::JoinArgs;
use super::show::Form;
use super::totals::number_of;
use crate::cli::duration;
use crate::schema::Known;
use crate::signals::{self, StopFlag};
use crate::ui::format::bytes;
use crate::ui::{Data, OutputClosed, Ui};
use crate::up;

/// How long to look for the next event before what has been printed is shown. A stream is then
/// written in large pieces.
const LINGER: Duration = Duration::from_micros(50);

/// How often lost events are told of at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Arguments of `sub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
In a pattern `*` stands for one word, and `>` at its end for all that follow. The domain's own
events are on ephapse.hub.joined, ephapse.hub.left, ephapse.link.established, ephapse.link.closed.

Examples:
  ephapse sub robot.pose 'camera.*.frame'          what is published, until Ctrl-C
  ephapse sub 'ephapse.>' --since-start            who comes and goes, and when
  ephapse sub log.lines --raw > copy.log           payloads, a line each
  ephapse sub '>' --json | jq .subject             an object for each event
  ephapse sub robot.stop --count 1 --timeout 10s   waits for one event; fails without it")]
pub(crate) struct SubArgs {
    /// What to receive.
    #[arg(value_name = "PATTERN", required = true, num_args = 1..=PATTERNS_MAX)]
    patterns: Vec<Pattern>,

    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Print payloads alone, each with a line feed behind it.
    #[arg(long, conflicts_with = "json")]
    raw: bool,

    /// Print a JSON object for each event, on a line. A payload is `text`, or `hex` if it is none, and
    /// also `fields` if it is of a type that a hub describes.
    #[arg(long)]
    json: bool,

    /// Print how long after the start of this command each event came: seconds before the line, or
    /// `since_start_ns`.
    #[arg(long, conflicts_with = "raw")]
    since_start: bool,

    /// Do not hold publishers up: rather lose the oldest events.
    #[arg(long)]
    drop_oldest: bool,

    /// Fail if an event was lost.
    #[arg(long)]
    strict: bool,

    /// End when no event has come for so long; that is a failure if there should be --count of
    /// them.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,

    #[command(flatten)]
    join: JoinArgs,
}

/// Prints until there is enough, or SIGINT or SIGTERM.
pub(crate) fn run(args: SubArgs, ui: &Ui) -> Result<ExitCode> {
    let start = args.since_start.then(Instant::now);
    let (stop_reader, stop_writer) = UnixStream::pair().context("cannot make a socket pair")?;
    let stop =
        signals::watch_once(move || drop(stop_writer)).context("cannot watch for signals")?;
    let known = Known::new(up::domain(args.join.dir.clone()));
    let hub = args.join.join("sub", |hub| hub)?;
    let flow = if args.drop_oldest { Flow::DropOldest } else { Flow::Block };
    let options = SubscriptionOptions::default().flow(flow).wait(Wait::Spin);
    let patterns = args.patterns.iter().map(Pattern::as_str);
    let subscription = hub.subscribe_with(patterns.clone(), options).context("cannot subscribe")?;
    let what = patterns.collect::<Vec<_>>().join(" ");
    ui.note(format_args!("{} has subscribed to {what}", hub.name()));
    let mut printer = Printer {
        subscription,
        form: Form::of(args.raw, args.json),
        known,
        start,
        data: Data::open()?,
        wanted: args.count.unwrap_or(u64::MAX),
        timeout: args.timeout,
        last: Instant::now(),
        stop,
        stop_reader,
        books: Books::default(),
        ui,
    };
    let ended = printer.run();
    let Printer { mut books, data, .. } = printer;
    // Dropped before the summary, which comes after all that it is about.
    drop(data);
    books.tell(ui, true);
    if !ended.as_ref().is_err_and(|error| error.is::<OutputClosed>()) {
        ui.note(books.text());
    }
    if let (Ended::TimedOut(limit), Some(wanted)) = (ended?, args.count) {
        bail!("{} of {wanted} events have come, and none for {limit:?}", books.events);
    }
    let failed = books.corrupt || (args.strict && books.missed > 0);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Enough,
    Interrupted,
    /// No event has come for so long.
    TimedOut(Duration),
}

struct Printer<'a> {
    subscription: Subscription,
    form: Form,
    known: Known,
    /// When it began, if that is of interest.
    start: Option<Instant>,
    data: Data,
    wanted: u64,
    timeout: Option<Duration>,
    /// When the last event came, as far as it matters.
    last: Instant,
    stop: StopFlag,
    stop_reader: UnixStream,
    books: Books,
    ui: &'a Ui,
}

impl Printer<'_> {
    fn run(&mut self) -> Result<Ended> {
        loop {
            if self.take_all()? {
                self.data.flush()?;
                return Ok(Ended::Enough);
            }
            self.data.flush()?;
            self.books.tell(self.ui, false);
            if self.stop.is_set() {
                return Ok(Ended::Interrupted);
            }
            if let Some(limit) = self.wait()? {
                return Ok(Ended::TimedOut(limit));
            }
        }
    }

    /// Prints what there is; says whether that is enough.
    fn take_all(&mut self) -> Result<bool> {
        let before = self.books.events;
        // Short if it has been asked to stop: a stream need never end.
        while !self.stop.is_set() {
            match self.subscription.recv_timeout(LINGER) {
                Ok(Some(event)) => {
                    let Printer { form, known, start, data, books, .. } = self;
                    let since_start = start.map(|start| start.elapsed());
                    books.count(&event);
                    data.put(|out| form.write(&event, known, since_start, out))?;
                    drop(event);
                    if self.books.events >= self.wanted {
                        return Ok(true);
                    }
                }
                Ok(None) => break,
                Err(error) => self.books.trouble(error, self.ui)?,
            }
        }
        if self.books.events > before {
            self.last = Instant::now();
        }
        Ok(false)
    }

    /// Sleeps until something may have come; if that takes too long, how long.
    fn wait(&mut self) -> Result<Option<Duration>> {
        if !self.subscription.arm() {
            return Ok(None);
        }
        let mut timeout = PollTimeout::NONE;
        if let Some(limit) = self.timeout {
            let left = limit.saturating_sub(self.last.elapsed());
            if left.is_zero() {
                return Ok(Some(limit));
            }
            // Rounded up, so that the rest is not waited for in a loop.
            let left = left + Duration::from_millis(1);
            timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        }
        let mut ready = [
            PollFd::new(self.subscription.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop_reader.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.data.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for events"),
        }
        if ready[2].any() == Some(true) {
            return Err(OutputClosed.into());
        }
        Ok(None)
    }
}

/// What has come, and what has not.
#[derive(Debug, Default)]
struct Books {
    events: u64,
    bytes: u64,
    /// Events that were not seen, at most.
    missed: u64,
    /// What has not been told yet, by hub, and when something was last.
    untold: BTreeMap<Arc<str>, u64>,
    told: Option<Instant>,
    /// A hub's ring was not as it must be.
    corrupt: bool,
}

impl Books {
    #[inline]
    fn count(&mut self, event: &Envelope<'_>) {
        self.events += 1;
        self.bytes += event.bytes().len() as u64;
    }

    #[cold]
    fn trouble(&mut self, error: RecvError, ui: &Ui) -> Result<()> {
        match error {
            RecvError::Lagged { hub, missed } => {
                self.missed += missed;
                *self.untold.entry(hub).or_default() += missed;
                self.tell(ui, false);
            }
            RecvError::SourceCorrupt { .. } => {
                self.corrupt = true;
                ui.error(&error.into());
            }
            error => return Err(error).context("cannot receive"),
        }
        Ok(())
    }

    /// Says what was missed, if that was not said just before.
    fn tell(&mut self, ui: &Ui, now: bool) {
        if self.untold.is_empty() || !(now || self.told.is_none_or(|t| t.elapsed() >= TELL_EVERY)) {
            return;
        }
        while let Some((hub, missed)) = self.untold.pop_first() {
            let missed = number_of(missed, "event");
            ui.note(format_args!("hub {hub} was faster: up to {missed} missed"));
        }
        self.told = Some(Instant::now());
    }

    fn text(&self) -> String {
        let missed = match self.missed {
            0 => String::new(),
            missed => format!(", up to {} missed", number_of(missed, "event")),
        };
        format!("{} ({}){missed}", number_of(self.events, "event"), bytes(self.bytes))
    }
}
