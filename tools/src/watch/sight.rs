//! One look at a domain's counters, or two. Nobody is asked for it.

use std::thread;
use std::time::{Duration, Instant};

use ephapse::counters::{self, Flight, HubCounters};
use ephapse::{Domain, Error};

use super::model::Model;

/// What there is to see at one moment.
pub(crate) struct Sight {
    pub(crate) at: Instant,
    pub(crate) hubs: Vec<HubCounters>,
    pub(crate) supervisor: Result<Flight, Error>,
}

impl Sight {
    /// Looks at a domain.
    pub(crate) fn new(domain: &Domain) -> Sight {
        Sight::of(domain, Some(domain))
    }

    /// Looks at the hubs of all domains of this user, and at the supervisor of one.
    pub(crate) fn everywhere(domain: &Domain) -> Sight {
        Sight::of(domain, None)
    }

    fn of(domain: &Domain, hubs: Option<&Domain>) -> Sight {
        Sight {
            at: Instant::now(),
            hubs: counters::scan(hubs),
            supervisor: counters::flight(domain),
        }
    }

    /// Looks twice, so long apart; once if that is no time.
    pub(crate) fn pair(domain: &Domain, interval: Duration) -> Sights {
        let first = Sight::new(domain);
        if interval.is_zero() {
            return Sights { before: None, now: first };
        }
        thread::sleep(interval);
        Sights { before: Some(first), now: Sight::new(domain) }
    }
}

/// Two looks, or one.
pub(crate) struct Sights {
    before: Option<Sight>,
    pub(crate) now: Sight,
}

impl Sights {
    /// What they say.
    pub(crate) fn model(&self) -> Model {
        Model::of(&self.now, self.before.as_ref())
    }
}
