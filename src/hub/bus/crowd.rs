//! Many listeners, and the thread that wakes those of them that sleep.
//!
//! To look at each of many doorbells after each event, and to ring for those that sleep, would make
//! the cost of an event grow with who listens. So the publisher only says that something has come,
//! and one thread for each process looks and rings. A publisher in a stream calls once for each
//! look ([`sync::call`](crate::sync::call)).

use crate::ring::Fencing;
use crate::segment::{Counter, Process};
use crate::sync::call::Call;
use crate::wait::{Parking, Ringer, start_once};
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Listeners to one subject, too many for their publisher to wake them by itself.
#[derive(Debug)]
pub(super) struct Crowd {
    ringers: Vec<Arc<Ringer>>,
    fencing: Fencing,
    /// Something has come since the thread last began to look.
    call: Call,
    woken: Arc<Counter>,
}

/// Between two looks while something comes: as late as a listener is woken that has fallen asleep
/// in a stream.
const NAP: Duration = Duration::from_micros(50);

struct Crowds {
    /// The process whose thread looks at them.
    served_by: Option<Process>,
    all: Vec<Weak<Crowd>>,
}

static CROWDS: Mutex<Crowds> = Mutex::new(Crowds { served_by: None, all: Vec::new() });
static PARKING: Parking = Parking::new();

/// Listeners that their publisher wakes by itself.
pub(super) const FEW: usize = 8;

/// Starts the thread, if so many listeners need it and it does not run yet. Called by the control
/// thread, from which it inherits where it may run: a publisher may be bound to one processor.
pub(in crate::hub) fn summon(listeners: usize) {
    if listeners > FEW {
        CROWDS.lock().is_served();
    }
}

impl Crowds {
    fn is_served(&mut self) -> bool {
        let started = start_once(&mut self.served_by, "ephapse-bells", &PARKING, serve);
        if started != Some(false) {
            self.all.clear();
        }
        started.is_some()
    }
}

impl Crowd {
    /// `None` if there is no thread to be had.
    pub(super) fn of(ringers: Vec<Arc<Ringer>>, woken: Arc<Counter>) -> Option<Arc<Self>> {
        let is_full = ringers.iter().any(|ringer| ringer.fencing() == Fencing::Full);
        let fencing = if is_full { Fencing::Full } else { Fencing::Light };
        let crowd = Arc::new(Self { ringers, fencing, call: Call::new(), woken });
        let mut crowds = CROWDS.lock();
        crowds.all.retain(|known| known.strong_count() > 0);
        crowds.is_served().then(|| crowds.all.push(Arc::downgrade(&crowd)))?;
        Some(crowd)
    }

    /// After a commit: has those woken that sleep. No system call while the thread is awake.
    #[inline(always)]
    pub(super) fn call(&self) {
        // SYNC(sleep): pairs with the heavy fence in `Bell::arm`.
        self.fencing.fence();
        if self.call.make() {
            PARKING.unpark();
        }
    }

    /// Wakes those that sleep, if something has come; whether it had.
    pub(super) fn look(&self) -> bool {
        if !self.call.take() {
            return false;
        }
        let rung = self.ringers.iter().filter(|ringer| ringer.notify()).count();
        self.woken.add_with_others(rung as u64);
        true
    }
}

fn serve() {
    loop {
        if look_at_all() {
            // Sleep: see `NAP`.
            std::thread::sleep(NAP);
        } else {
            PARKING.park(|| CROWDS.lock().called().next().is_some());
        }
    }
}

impl Crowds {
    /// Those for which something has come.
    fn called(&self) -> impl Iterator<Item = Arc<Crowd>> {
        self.all.iter().filter_map(Weak::upgrade).filter(|crowd| crowd.call.is_made())
    }
}

/// Whether there was one for which something had come.
fn look_at_all() -> bool {
    // Rung without the lock: it may take its time.
    let called: Vec<Arc<Crowd>> = CROWDS.lock().called().collect();
    called.iter().filter(|crowd| crowd.look()).count() > 0
}
