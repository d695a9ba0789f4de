//! Both ends of a link with their own books: what was sent, what came, what is missing.

use std::time::Duration;

use anyhow::{Context, Result};
use ephapse::{Event, Link, Received, SendError};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// One-way times are kept to three digits, up to ten minutes; a longer one counts as that.
const DIGITS: u8 = 3;
const LONGEST_NS: u64 = 600 * 1_000_000_000;

/// The sending end.
pub(crate) struct Outgoing {
    link: Link,
    sent: u64,
}

impl Outgoing {
    /// Numbers the events of `link` from zero.
    pub(crate) fn new(link: Link) -> Outgoing {
        Outgoing { link, sent: 0 }
    }

    /// The number of the next event, and how many have been sent.
    pub(crate) fn number(&self) -> u64 {
        self.sent
    }

    /// Sends, and waits for room as long as it takes.
    pub(crate) fn send<T: Event>(&mut self, event: &T) -> Result<()> {
        let sent = self.link.send(event);
        self.settle(sent)
    }

    /// Sends, and waits for room for a limited time.
    pub(crate) fn send_timeout<T: Event>(&mut self, event: &T, timeout: Duration) -> Result<()> {
        let sent = self.link.send_timeout(event, timeout);
        self.settle(sent)
    }

    /// Sends if there is room; says whether there was.
    pub(crate) fn try_send<T: Event>(&mut self, event: &T) -> Result<bool> {
        match self.link.try_send(event) {
            Err(SendError::Full) => Ok(false),
            sent => self.settle(sent).map(|()| true),
        }
    }

    /// The longest payload that the link takes.
    pub(crate) fn max_payload(&self) -> usize {
        self.link.max_payload()
    }

    /// The end's books.
    pub(crate) fn report(&self) -> Sent {
        Sent { to: self.link.peer().to_owned(), events: self.sent }
    }

    fn settle(&mut self, sent: Result<(), SendError>) -> Result<()> {
        sent.with_context(|| {
            format!("cannot send event {} to \"{}\"", self.sent, self.link.peer())
        })?;
        self.sent += 1;
        Ok(())
    }
}

/// The receiving end.
pub(crate) struct Incoming {
    from: String,
    next: u64,
    events: u64,
    lost: u64,
    repeated: u64,
    one_way: Histogram<u64>,
}

impl Incoming {
    /// Expects the events of the hub `from`, counted from zero.
    pub(crate) fn new(from: &str) -> Result<Incoming> {
        let one_way =
            Histogram::new_with_max(LONGEST_NS, DIGITS).context("cannot make a histogram")?;
        Ok(Incoming { from: from.to_owned(), next: 0, events: 0, lost: 0, repeated: 0, one_way })
    }

    /// Notes how long an event was under way. First of all, so that reading it does not count.
    pub(crate) fn time(&mut self, received: &Received<'_>) {
        if let Some(timestamp) = received.timestamp() {
            self.record(timestamp.age_ns());
        }
    }

    fn record(&mut self, age_ns: u64) {
        self.one_way.saturating_record(age_ns);
    }

    /// Notes the number that an event carries.
    pub(crate) fn count(&mut self, number: u64) {
        self.events += 1;
        if number < self.next {
            self.repeated += 1;
        } else {
            self.lost += number - self.next;
            self.next = number + 1;
        }
    }

    /// How many have come.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// The end's books.
    pub(crate) fn report(&self) -> Arrived {
        let at = |quantile| self.one_way.value_at_quantile(quantile);
        Arrived {
            from: self.from.clone(),
            events: self.events,
            lost: self.lost,
            repeated: self.repeated,
            one_way_ns: Percentiles {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: self.one_way.max(),
            },
        }
    }
}

/// What a sender knows at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) events: u64,
}

/// What a receiver knows at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Arrived {
    pub(crate) from: String,
    pub(crate) events: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) one_way_ns: Percentiles,
}

/// One-way times.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_three_digits() -> Result<()> {
        let mut incoming = Incoming::new("a")?;
        for age_ns in [58, 58, 1_234_567, u64::MAX] {
            incoming.record(age_ns);
        }
        let times = incoming.report().one_way_ns;
        assert_eq!(times.p50, 58);
        assert!(times.max.abs_diff(LONGEST_NS) < LONGEST_NS / 1000, "{}", times.max);
        Ok(())
    }

    #[test]
    fn gaps_and_repeats_are_told_apart() -> Result<()> {
        let mut incoming = Incoming::new("a")?;
        for number in [0, 1, 1, 4, 5, 3] {
            incoming.count(number);
        }
        let report = incoming.report();
        assert_eq!((report.events, report.lost, report.repeated), (6, 2, 2));
        Ok(())
    }
}
