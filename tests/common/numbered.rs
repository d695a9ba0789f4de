//! A stream of numbered events on one subject, and who counts them, here or in another process.
//!
//! Of the publisher's hub nothing but the stream is read, and from its first event on: so an
//! event's sequence number says how many were to come before it.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use crate::common::Pose;
use crate::common::pose;
use crate::common::roles::{self, Child, LONG, eventually};
use ephapse::event::RAW_SCHEMA;
use ephapse::{Envelope, Hub, Path, Publisher, RecvError, Subscription, SubscriptionOptions};

pub const SUBJECT: &str = "stream";

/// What has been seen of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    pub seen: u64,
    pub missed: u64,
}

/// What has become of a look at a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    Something,
    /// The last event.
    End,
}

impl Count {
    /// Takes what a subscription has received: the next event, or what accounts for a gap.
    pub fn take(&mut self, received: Result<Option<Envelope<'_>>, RecvError>) -> Seen {
        match received {
            Ok(None) => Seen::Nothing,
            Ok(Some(event)) => {
                let next = self.seen + self.missed;
                assert_eq!(event.sequence(), next + 1, "after {self:?}");
                if event.schema() == RAW_SCHEMA {
                    return Seen::End;
                }
                assert_eq!(event.get::<Pose>().unwrap().stamp_ns, next, "after {self:?}");
                self.seen += 1;
                Seen::Something
            }
            Err(RecvError::Lagged { missed, .. }) => {
                self.missed += missed;
                Seen::Something
            }
            Err(error) => panic!("{error} after {self:?}"),
        }
    }

    /// Reads to the end of the stream.
    pub fn finish(&mut self, subscription: &mut Subscription) {
        loop {
            match self.take(subscription.recv_timeout(LONG)) {
                Seen::Nothing => panic!("nothing comes any more after {self:?}"),
                Seen::Something => {}
                Seen::End => return,
            }
        }
    }
}

/// Publishes the stream.
pub struct Stream {
    pub publisher: Publisher<Pose>,
    pub sent: u64,
}

impl Stream {
    pub fn of(hub: &Hub) -> Self {
        Self { publisher: hub.publisher(SUBJECT).unwrap(), sent: 0 }
    }

    /// Sends one more, to so many.
    pub fn send(&mut self, receivers: u32) -> Path {
        let sent = self.publisher.send(&pose(self.sent)).unwrap();
        assert_eq!(sent.receivers, receivers, "of event {}", self.sent);
        self.sent += 1;
        sent.path
    }

    /// Sends until they go by that way.
    pub fn send_until(&mut self, receivers: u32, path: Path) {
        eventually("events go by another way", || self.send(receivers) == path);
    }

    pub fn end(&mut self) {
        self.publisher.send_bytes(b"").unwrap();
    }
}

/// A process that reads a stream to its end, and says how much of it it has seen.
pub struct Counter(pub Child);

impl Counter {
    /// It has subscribed when this returns.
    pub fn start(domain: &ephapse::Domain, name: &str) -> Self {
        let mut child = Child::start("counter", domain, name);
        child.expect("subscribed");
        Self(child)
    }

    /// Waits until it has seen the end.
    pub fn report(&mut self) -> Count {
        let heard = self.0.hear();
        let (seen, missed) = heard.split_once(' ').unwrap();
        Count { seen: seen.parse().unwrap(), missed: missed.parse().unwrap() }
    }

    /// It has seen so many, and missed nothing.
    #[track_caller]
    pub fn has_seen_all(&mut self, sent: u64) {
        assert_eq!(self.report(), Count { seen: sent, missed: 0 });
    }
}

/// What a [`Counter`] does.
pub fn count() {
    let mut hub = roles::join(&roles::name());
    let options = SubscriptionOptions::default();
    let mut subscription = hub.subscribe_with([SUBJECT], options).unwrap();
    roles::tell("subscribed");
    let mut count = Count::default();
    count.finish(&mut subscription);
    roles::tell(&format!("{} {}", count.seen, count.missed));
    roles::listen();
    // Nothing came over a link itself; its end may have been told.
    let _ = hub.try_recv();
}
