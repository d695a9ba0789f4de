//! Coming back: what a hub does when it has lost its supervisor.
//!
//! Its links and all that is published and subscribed go on meanwhile. The next supervisor is told
//! who the hub is and what it holds, and rebuilds its registry from what all of them say.

use super::join::redial;
use super::session::Session;
use crate::domain::Domain;
use crate::hub::builder::{Host, Hosted};
use crate::protocol::{Channel, ToSupervisor};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

/// Between two tries: the first, and the longest while the loss is fresh and afterwards. A third
/// of it is left to chance, so that many hubs do not come at once.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const FRESH_PAUSE: Duration = Duration::from_millis(50);
const LONG_PAUSE: Duration = Duration::from_millis(1000);
const FRESH: Duration = Duration::from_secs(30);

/// How a hub finds its next supervisor.
pub(in crate::hub) struct Resume {
    pub(super) domain: Domain,
    /// How to host one, if we may.
    host: Option<Host>,
    /// The one that we host.
    hosted: Option<Hosted>,
    /// When the last supervisor was lost.
    lost: Option<Instant>,
    next: Option<Instant>,
    pause: Duration,
    /// A supervisor has been found, and has not said yet that we are welcome.
    pub(super) introducing: bool,
}

impl Resume {
    pub(in crate::hub) fn new(domain: Domain, host: Option<Host>, hosted: Option<Hosted>) -> Self {
        let (lost, next, pause) = (None, None, FIRST_PAUSE);
        Self { domain, host, hosted, lost, next, pause, introducing: false }
    }

    /// Where there is nobody, and we may, hosts one. (If another hub does meanwhile, it is found
    /// at the next try.)
    fn try_to_host(&mut self) {
        if let (None, Some(host)) = (&self.hosted, self.host) {
            self.hosted = host(&self.domain).ok();
        }
    }

    /// The supervisor is lost, or the one that was found has turned us away.
    pub(super) fn begin(&mut self) {
        let now = Instant::now();
        self.introducing = false;
        if self.lost.is_none() {
            self.lost = Some(now);
            self.pause = FIRST_PAUSE;
        }
        self.try_later(now);
    }

    /// Found and welcome.
    pub(super) fn end(&mut self) {
        self.lost = None;
        self.next = None;
        self.introducing = false;
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn try_later(&mut self, now: Instant) {
        let fresh = self.lost.is_some_and(|lost| now.duration_since(lost) < FRESH);
        let third = (self.pause.as_micros() as u64 / 3).max(1);
        let chance = RandomState::new().hash_one(self.pause) % third;
        self.next = Some(now + self.pause * 2 / 3 + Duration::from_micros(chance));
        self.pause = (self.pause * 2).min(if fresh { FRESH_PAUSE } else { LONG_PAUSE });
    }
}

impl Session {
    /// Tries to find a supervisor, if it is time.
    pub(super) fn try_to_resume(&mut self, now: Instant) {
        if self.leaving || self.channel.is_some() || self.resume.next.is_none_or(|at| at > now) {
            return;
        }
        let Ok(socket) = redial(&self.resume.domain) else {
            self.resume.try_to_host();
            return self.resume.try_later(now);
        };
        self.channel = Some(Channel::new(socket));
        self.watched_for_room = false;
        self.resume.next = None;
        self.resume.introducing = true;
        let name = self.hub.name.to_string();
        self.say(&ToSupervisor::Hello { name, resume: self.hub.id }, Vec::new());
        self.watch_channel();
    }

    /// The supervisor that was found lets us in.
    pub(super) fn welcome(&mut self, id: u64) {
        if !self.resume.introducing {
            return;
        }
        if id != self.hub.id {
            // Its peers know this hub by its id.
            return self.disconnected("it gave us another id");
        }
        self.resume.end();
        if self.control.finds(&self.resume.domain) {
            tracing::info!(hub = %self.hub.name, "there is a supervisor again");
        } else {
            tracing::debug!(hub = %self.hub.name, "known to a supervisor again");
        }
        self.announce_all();
    }
}
