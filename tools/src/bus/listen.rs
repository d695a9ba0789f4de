//! Following a subscription until there is enough: the loop of all commands that receive.
//!
//! Who follows is told of each event as it comes, of what was missed, and when nothing more is
//! there for now; only then does the loop sleep.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ephapse::event::subject::Pattern;
use ephapse::{Envelope, Flow, Hub, RecvError, Subscription, SubscriptionOptions, Wait};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::totals::number_of;
use crate::signals::{self, StopFlag};
use crate::ui::format::bytes;
use crate::ui::{OutputClosed, Ui};

/// How long to look for the next event before what has been printed is shown. A stream is then
/// written in large pieces.
const LINGER: Duration = Duration::from_micros(50);

/// How often lost events are told of at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Events in a stream between two looks at the clock.
const LOOK_EVERY: u32 = 64;

/// Who is told what comes.
pub(crate) trait Follow {
    /// An event has come. Says whether that is enough.
    fn event(&mut self, event: &Envelope<'_>) -> Result<bool>;

    /// So many events of a hub have passed unseen, at most.
    fn missed(&mut self, _hub: &str, _missed: u64) -> Result<()> {
        Ok(())
    }

    /// Nothing is there for now, or [`due`](Self::due) has come. Says whether that is enough.
    fn pause(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// When [`pause`](Self::pause) is to be called at the latest.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// What is written to, to notice when nobody reads it any more.
    fn output(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Who follows has enough.
    Enough,
    /// By SIGINT or SIGTERM.
    Interrupted,
    /// No event has come for so long.
    TimedOut(Duration),
    /// Those who published have left.
    PublishersLeft,
}

/// A subscription, and all that ends it.
pub(crate) struct Listener<'a> {
    // Before its hub, which it needs to end in order.
    subscription: Subscription,
    _hub: Hub,
    stop: StopFlag,
    stop_reader: UnixStream,
    /// End when no event has come for so long.
    pub(crate) timeout: Option<Duration>,
    /// End when there was somebody who published, and there is nobody any more.
    pub(crate) until_end: bool,
    /// When the last event came, as far as it matters.
    last: Instant,
    pub(crate) books: Books,
    ui: &'a Ui,
}

impl<'a> Listener<'a> {
    /// Subscribes, and says so.
    pub(crate) fn subscribe(
        hub: Hub,
        patterns: &[Pattern],
        flow: Flow,
        ui: &'a Ui,
    ) -> Result<Listener<'a>> {
        let (stop_reader, stop_writer) = UnixStream::pair().context("cannot make a socket pair")?;
        let stop =
            signals::watch_once(move || drop(stop_writer)).context("cannot watch for signals")?;
        let options = SubscriptionOptions::default().flow(flow).wait(Wait::Spin);
        let patterns = patterns.iter().map(Pattern::as_str);
        let subscription =
            hub.subscribe_with(patterns.clone(), options).context("cannot subscribe")?;
        let what = patterns.collect::<Vec<_>>().join(" ");
        ui.note(format_args!("{} has subscribed to {what}", hub.name()));
        Ok(Listener {
            subscription,
            _hub: hub,
            stop,
            stop_reader,
            timeout: None,
            until_end: false,
            last: Instant::now(),
            books: Books::default(),
            ui,
        })
    }

    /// Goes on until there is enough.
    pub(crate) fn run(&mut self, follow: &mut impl Follow) -> Result<Ended> {
        loop {
            let enough = self.take_all(follow)?;
            if follow.pause()? || enough {
                return Ok(Ended::Enough);
            }
            self.books.tell(self.ui, false);
            if self.stop.is_set() {
                return Ok(Ended::Interrupted);
            }
            if let Some(ended) = self.wait(follow)? {
                return Ok(ended);
            }
        }
    }

    /// Hands over what there is; says whether that is enough.
    fn take_all(&mut self, follow: &mut impl Follow) -> Result<bool> {
        let before = self.books.events;
        let mut until_look = LOOK_EVERY;
        // Short if it has been asked to stop: a stream need never end.
        while !self.stop.is_set() {
            match self.subscription.recv_timeout(LINGER) {
                Ok(Some(event)) => {
                    self.books.count(&event);
                    if follow.event(&event)? {
                        return Ok(true);
                    }
                }
                Ok(None) => break,
                Err(error) => self.books.trouble(error, follow, self.ui)?,
            }
            until_look -= 1;
            if until_look == 0 {
                until_look = LOOK_EVERY;
                if follow.due().is_some_and(|due| Instant::now() >= due) {
                    break;
                }
            }
        }
        if self.books.events > before {
            self.last = Instant::now();
        }
        Ok(false)
    }

    /// Sleeps until something may have come or is due; gives why it is over, if it is.
    fn wait(&mut self, follow: &impl Follow) -> Result<Option<Ended>> {
        if !self.subscription.arm() {
            return Ok(None);
        }
        // Nothing is left to be read, also of those who have left.
        let (now, ever) = (self.subscription.source_count(), self.subscription.sources_ever());
        if self.until_end && now == 0 && ever > 0 {
            return Ok(Some(Ended::PublishersLeft));
        }
        let mut left = follow.due().map(|due| due.saturating_duration_since(Instant::now()));
        if let Some(limit) = self.timeout {
            let rest = limit.saturating_sub(self.last.elapsed());
            if rest.is_zero() {
                return Ok(Some(Ended::TimedOut(limit)));
            }
            left = Some(left.map_or(rest, |left| left.min(rest)));
        }
        // Rounded up, so that the rest is not waited for in a loop.
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut ready = vec![
            PollFd::new(self.subscription.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop_reader.as_fd(), PollFlags::POLLIN),
        ];
        ready.extend(follow.output().map(|output| PollFd::new(output, PollFlags::empty())));
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for events"),
        }
        if ready.get(2).and_then(PollFd::any) == Some(true) {
            return Err(OutputClosed.into());
        }
        Ok(None)
    }
}

/// What has come, and what has not.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) events: u64,
    bytes: u64,
    /// Events that were not seen, at most.
    pub(crate) missed: u64,
    /// What has not been told yet, by hub, and when something was last.
    untold: BTreeMap<Arc<str>, u64>,
    told: Option<Instant>,
    /// A hub's ring was not as it must be.
    pub(crate) corrupt: bool,
}

impl Books {
    #[inline]
    fn count(&mut self, event: &Envelope<'_>) {
        self.events += 1;
        self.bytes += event.bytes().len() as u64;
    }

    #[cold]
    fn trouble(&mut self, error: RecvError, follow: &mut impl Follow, ui: &Ui) -> Result<()> {
        match error {
            RecvError::Lagged { hub, missed } => {
                self.missed += missed;
                follow.missed(&hub, missed)?;
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
    pub(crate) fn tell(&mut self, ui: &Ui, now: bool) {
        if self.untold.is_empty() || !(now || self.told.is_none_or(|t| t.elapsed() >= TELL_EVERY)) {
            return;
        }
        while let Some((hub, missed)) = self.untold.pop_first() {
            let missed = number_of(missed, "event");
            ui.note(format_args!("hub {hub} was faster: up to {missed} missed"));
        }
        self.told = Some(Instant::now());
    }

    /// The sum.
    pub(crate) fn text(&self) -> String {
        let missed = match self.missed {
            0 => String::new(),
            missed => format!(", up to {} missed", number_of(missed, "event")),
        };
        format!("{} ({}){missed}", number_of(self.events, "event"), bytes(self.bytes))
    }
}
