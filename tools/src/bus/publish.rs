//! `ephapse pub`: publishes raw bytes.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::value_parser;
use ephapse::event::Extension;
use ephapse::event::RAW_SCHEMA;
use ephapse::limits::{EXTENSION_MAX, RING_CAPACITY_MAX};
use ephapse::{RawEvent, RawPublisher};
use ephapse_schema::EventType;

use super::totals::{Totals, number_of};
use super::{JoinArgs, capacity_for, subject};
use crate::cli::duration;
use crate::pieces::{Pieces, Stoppable};
use crate::schema;
use crate::signals::{self, StopFlag};
use crate::ui::Ui;
use crate::up;

/// Payload of the longest event that can be asked for.
const LONGEST_MAX: usize = RING_CAPACITY_MAX / 2 - EXTENSION_MAX - 64;

/// Between two looks whether enough have subscribed.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How long one sleep lasts at most, so that an interrupt is noticed.
const NAP: Duration = Duration::from_millis(50);

/// Arguments of `pub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A subject is a list of words with dots between them. Whoever has subscribed when an event is
published gets it; nothing is kept for those who come later. A subscription that prints into a slow
pipe holds the events up, so that nothing is lost, but no longer than --patience.

Examples:
  ephapse pub robot.pose '{\"x\": 1.5}'               one event
  ephapse pub tick --rate 10 --count 100            empty events, ten a second
  ephapse pub log.lines - < access.log              every line is an event
  ephapse pub log.lines - --wait-for 1 --json       waits for a subscription, prints a summary
  ephapse pub robot.pose '{\"x\":1,\"y\":2}' --schema robot.Pose     as the type of this name
  ephapse pub robot.stop -H reason:bumper           with metadata")]
pub(crate) struct PubArgs {
    /// What the events are about.
    #[arg(value_name = "SUBJECT", value_parser = subject)]
    subject: String,

    /// The payload; `-` publishes each line of standard input, without its line feed. Nothing is an
    /// empty payload.
    #[arg(value_name = "BODY")]
    body: Option<OsString>,

    /// Of what type the events are: the name or the schema of one that a hub publishes. The payload
    /// is then JSON, and encoded as its layout says.
    #[arg(long, value_name = "TYPE")]
    schema: Option<String>,

    /// How many events [default: 1; with `-`, all lines].
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// So many events a second [default: as fast as it goes].
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,

    /// Metadata to send beside the payload; can be given several times.
    #[arg(short = 'H', long = "header", value_name = "KEY:VALUE", value_parser = header)]
    headers: Vec<(String, String)>,

    /// Wait until so many subscriptions want the events.
    #[arg(long, value_name = "N", default_value_t = 0)]
    wait_for: u32,

    /// How long to wait for them.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    timeout: Duration,

    /// How long a subscription that stands still may hold the events up before it is overtaken.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    patience: Duration,

    /// Bytes of the longest line of standard input.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = longest)]
    longest: usize,

    /// Print a summary as one JSON object on standard output.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    join: JoinArgs,
}

/// Publishes until all has been, or SIGINT or SIGTERM.
pub(crate) fn run(args: PubArgs, ui: &Ui) -> Result<std::process::ExitCode> {
    let PubArgs { subject, body, count, rate, headers, json, .. } = args;
    let (stop_reader, stop_writer) = UnixStream::pair().context("cannot make a socket pair")?;
    let stop =
        signals::watch_once(move || drop(stop_writer)).context("cannot watch for signals")?;
    let lines = body.as_deref().is_some_and(|body| body == "-");
    let longest = if lines { args.longest } else { body.as_ref().map_or(0, |b| b.len()) };
    let domain = up::domain(args.join.dir.clone());
    let ty = args.schema.map(|wanted| schema::find(&wanted, None, &domain)).transpose()?;
    let ty = ty.map(|text| EventType::parse(&text.name, text.version, &text.layout)).transpose()?;
    let patience = args.patience;
    let hub = args
        .join
        .join("pub", |hub| hub.broadcast_capacity(capacity_for(longest)).patience(patience))?;
    if let Some(ty) = &ty {
        hub.describe(ty.name(), ty.version(), &ty.layout().to_string());
    }
    let publisher = hub.raw_publisher(&subject).context("cannot publish")?;
    wait_for([&publisher], args.wait_for, args.timeout, || stop.is_set())?;
    let start = Instant::now();
    let mut sender = Sender {
        publisher,
        ty,
        extension: extension(&headers)?,
        totals: Totals::of(&subject),
        pace: rate.map(|rate| Pace { start, rate }),
        stop,
    };
    let ended = if lines {
        sender.lines(stop_reader, count.unwrap_or(u64::MAX), longest)
    } else {
        let body = body.unwrap_or_default();
        sender.repeat(body.as_bytes(), count.unwrap_or(1))
    };
    sender.totals.duration_s = start.elapsed().as_secs_f64();
    let told = sender.totals.tell(json, ui);
    ended.and(told).map(|()| std::process::ExitCode::SUCCESS)
}

/// Waits until so many subscriptions want the events of each.
pub(crate) fn wait_for<'a>(
    publishers: impl IntoIterator<Item = &'a RawPublisher>,
    wanted: u32,
    timeout: Duration,
    stop: impl Fn() -> bool,
) -> Result<()> {
    let start = Instant::now();
    for publisher in publishers {
        loop {
            let receivers = publisher.receivers();
            if receivers >= wanted || stop() {
                break;
            }
            if start.elapsed() >= timeout {
                let subject = publisher.subject();
                let wanted = number_of(wanted.into(), "subscription");
                bail!("{wanted} of {subject} did not come within {timeout:?}, only {receivers}");
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
    Ok(())
}

/// What is published, and how.
struct Sender {
    publisher: RawPublisher,
    /// Of what type the events are, if not raw bytes.
    ty: Option<EventType>,
    extension: Option<Extension>,
    totals: Totals,
    pace: Option<Pace>,
    stop: StopFlag,
}

impl Sender {
    /// The same event again and again.
    fn repeat(&mut self, body: &[u8], count: u64) -> Result<()> {
        for _ in 0..count {
            if !self.send(body)? {
                break;
            }
        }
        Ok(())
    }

    /// The lines of standard input. The same buffer for all of them.
    fn lines(&mut self, stop: UnixStream, count: u64, longest: usize) -> Result<()> {
        let input = io::stdin().as_fd().try_clone_to_owned().context("there is no input")?;
        // With the line feed.
        let mut pieces = Pieces::new(Stoppable::new(File::from(input), stop), longest + 1);
        let mut line = Vec::new();
        while self.totals.count < count {
            let Some(ends) = pieces.next(&mut line).context("cannot read standard input")? else {
                self.totals.interrupted = self.stop.is_set();
                break;
            };
            let number = self.totals.count + 1;
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if self.stop.is_set() {
                // The rest of the line has not been read.
                self.totals.interrupted = true;
                break;
            } else if !ends || line.len() > longest {
                bail!("line {number} has more than {longest} bytes; see --longest");
            }
            if !self.send(&line).with_context(|| format!("cannot publish line {number}"))? {
                break;
            }
        }
        Ok(())
    }

    /// Sends one event when its time has come; `false` if an interrupt comes first.
    #[inline]
    fn send(&mut self, payload: &[u8]) -> Result<bool> {
        if let Some(pace) = &self.pace {
            pace.wait(self.totals.count, &self.stop);
        }
        if self.stop.is_set() {
            self.totals.interrupted = true;
            return Ok(false);
        }
        let encoded = self.ty.as_ref().map(|ty| encode(ty, payload)).transpose()?;
        let payload = encoded.as_deref().unwrap_or(payload);
        let event = RawEvent::bytes(self.ty.as_ref().map_or(RAW_SCHEMA, EventType::id), payload);
        let event = match &self.extension {
            None => event,
            Some(extension) => event.extension(extension),
        };
        self.totals.add(payload.len(), self.publisher.send(&event)?);
        Ok(true)
    }
}

/// The payload that JSON is for a type.
fn encode(ty: &EventType, json: &[u8]) -> Result<Vec<u8>> {
    let value = serde_json::from_slice(json).context("the payload is not JSON")?;
    ty.encode(&value).with_context(|| format!("it is no {}", ty.name()))
}

/// So many events a second.
struct Pace {
    start: Instant,
    rate: f64,
}

impl Pace {
    /// Until the time of the event with this number, counted from 0. A late one does not wait, so
    /// that the rate is kept on average.
    fn wait(&self, number: u64, stop: &StopFlag) {
        let due = Duration::try_from_secs_f64(number as f64 / self.rate).unwrap_or(Duration::MAX);
        loop {
            let left = due.saturating_sub(self.start.elapsed());
            if left.is_zero() || stop.is_set() {
                return;
            }
            thread::sleep(left.min(NAP));
        }
    }
}

fn extension(headers: &[(String, String)]) -> Result<Option<Extension>> {
    if headers.is_empty() {
        return Ok(None);
    }
    let mut extension = Extension::new();
    for (name, value) in headers {
        extension.add_metadata(name, value).context("too much metadata")?;
    }
    Ok(Some(extension))
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("expected events a second, such as 10 or 0.5".into()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.len() <= 255 => {
            Ok((name.to_owned(), value.trim_start().to_owned()))
        }
        _ => Err("expected a name of 1 to 255 bytes, a colon and a value".into()),
    }
}

fn longest(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (1..=LONGEST_MAX).contains(&bytes) => Ok(bytes),
        _ => Err(format!("expected 1 to {LONGEST_MAX} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_rates() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(header("trace:17"), pair("trace", "17"));
        assert_eq!(header("url: http://x"), pair("url", "http://x"));
        assert_eq!(header("empty:"), pair("empty", ""));
        assert!(header("none").is_err() && header(":x").is_err());
        assert_eq!(rate("0.5"), Ok(0.5));
        assert!(["0", "-1", "inf", "nan", "x"].iter().all(|text| rate(text).is_err()));
    }
}
