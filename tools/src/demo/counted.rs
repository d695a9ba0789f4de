//! Both ends of a link with their own books: what was sent, what came, what is missing.

use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use ephapse::{Event, Link, SendError, Timestamp};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::beside::Beside;

/// One-way times are kept to three digits, up to ten minutes; a longer one counts as that.
const DIGITS: u8 = 3;
const LONGEST_NS: u64 = 600 * 1_000_000_000;

/// The sending end.
pub(crate) struct Outgoing {
    link: Link,
    sent: u64,
    beside: Beside,
}

impl Outgoing {
    /// Numbers the events of `link` from zero, and publishes notes of them.
    pub(crate) fn new(link: Link, beside: Beside) -> Outgoing {
        Outgoing { link, sent: 0, beside }
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

    /// Nothing more will be sent: says so to who follows; the end's books.
    pub(crate) fn close(mut self) -> Result<Sent> {
        self.beside.end(self.sent)?;
        let (to, published) = (self.link.peer().to_owned(), self.beside.published());
        Ok(Sent { to, events: self.sent, published })
    }

    fn settle(&mut self, sent: Result<(), SendError>) -> Result<()> {
        sent.with_context(|| {
            format!("cannot send event {} to \"{}\"", self.sent, self.link.peer())
        })?;
        self.sent += 1;
        self.beside.follow(self.sent - 1)
    }
}

/// The receiving end.
pub(crate) struct Incoming {
    from: String,
    next: u64,
    events: u64,
    /// Numbers that have been passed over.
    missing: Vec<Range<u64>>,
    repeated: u64,
    out_of_order: u64,
    one_way: Histogram<u64>,
}

impl Incoming {
    /// Expects the events of the hub `from`, counted from zero.
    pub(crate) fn new(from: &str) -> Result<Incoming> {
        let one_way =
            Histogram::new_with_max(LONGEST_NS, DIGITS).context("cannot make a histogram")?;
        let (from, missing) = (from.to_owned(), Vec::new());
        Ok(Incoming { from, next: 0, events: 0, missing, repeated: 0, out_of_order: 0, one_way })
    }

    /// Notes how long an event was under way. First of all, so that reading it does not count.
    pub(crate) fn time(&mut self, sent: Option<Timestamp>) {
        if let Some(timestamp) = sent {
            self.record(timestamp.age_ns());
        }
    }

    fn record(&mut self, age_ns: u64) {
        self.one_way.saturating_record(age_ns);
    }

    /// Notes the number that an event carries.
    pub(crate) fn count(&mut self, number: u64) {
        self.events += 1;
        if number >= self.next {
            if number > self.next {
                self.missing.push(self.next..number);
            }
            self.next = number.saturating_add(1);
            return;
        }
        match self.missing.iter().position(|gap| gap.contains(&number)) {
            None => self.repeated += 1,
            Some(index) => {
                self.out_of_order += 1;
                let gap = self.missing.swap_remove(index);
                let rest = [gap.start..number, number + 1..gap.end];
                self.missing.extend(rest.into_iter().filter(|gap| !gap.is_empty()));
            }
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
            lost: self.missing.iter().map(|gap| gap.end - gap.start).sum(),
            repeated: self.repeated,
            out_of_order: self.out_of_order,
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
    /// Notes of them, beside the link.
    pub(crate) published: u64,
}

/// What a receiver knows at the end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Arrived {
    pub(crate) from: String,
    pub(crate) events: u64,
    pub(crate) lost: u64,
    pub(crate) repeated: u64,
    pub(crate) out_of_order: u64,
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
    fn gaps_repeats_and_disorder_are_told_apart() -> Result<()> {
        let mut incoming = Incoming::new("a")?;
        for number in [0, 1, 1, 6, 7, 3, 3, 5] {
            incoming.count(number);
        }
        let report = incoming.report();
        assert_eq!((report.events, report.lost), (8, 2));
        assert_eq!((report.repeated, report.out_of_order), (2, 2));
        Ok(())
    }
}
