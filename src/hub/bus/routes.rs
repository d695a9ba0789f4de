//! What the control thread knows of those who listen, for the sending side to take account of.
//!
//! State, not a queue: a hub that never sends collects nothing, however many come and go.

use crate::hub::state::{LinkId, StartSlot};
use crate::protocol::Edge;
use crate::ring::{LEFT, Position, Writer};
use crate::segment::RingMemory;
use crate::wait::Ringer;
use core::sync::atomic::{AtomicU64, Ordering};
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A gating reader of one of our rings.
#[derive(Debug)]
pub(crate) struct Gate {
    /// How far it has read: a word of its own.
    pub position: Position,
    /// Where it begins: a word of ours.
    pub start: Position,
    pub slot: StartSlot,
}

impl Gate {
    /// Whether its reader has stopped reading, and so will not ask any more where to begin.
    pub(crate) fn has_left(&self) -> bool {
        // Relaxed: nothing follows from it for what was written.
        self.position.word().load(Ordering::Relaxed) == LEFT
    }
}

/// A subscription of some hub that wants what this hub publishes.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its hub's name.
    pub name: Arc<str>,
    /// `None` if nobody waits for it.
    pub gate: Option<Gate>,
    /// Taken by the sending side.
    pub ringer: Option<Ringer>,
    /// What it wants.
    pub subjects: Vec<u32>,
}

impl Listener {
    /// The slot that says where it begins; 0 if it begins where it likes.
    pub(crate) fn start_slot(&self) -> u32 {
        self.gate.as_ref().map_or(0, |gate| gate.slot.slot)
    }
}

/// A ring to one other hub, at the end of a link.
#[derive(Debug)]
pub(crate) struct LaneOut {
    pub link: LinkId,
    /// Taken by the sending side.
    pub writer: Option<Writer<RingMemory>>,
    /// By number of subscription.
    pub readers: BTreeMap<u32, Gate>,
    /// Those of subscriptions that do not know yet where to look.
    pub candidates: BTreeMap<u32, Gate>,
}

/// All who listen to one hub, and how they are reached.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub listeners: BTreeMap<Edge, Listener>,
    /// By the other hub's id.
    pub lanes: BTreeMap<u64, LaneOut>,
}

#[derive(Debug, Default)]
pub(crate) struct Routes {
    version: AtomicU64,
    audience: Mutex<Audience>,
}

impl Routes {
    /// Changes with everything that happens here. One load.
    #[inline(always)]
    pub(crate) fn version(&self) -> u64 {
        // Relaxed: who sees a change takes the lock, which orders.
        self.version.load(Ordering::Relaxed)
    }

    /// For the control thread: what is changed is seen before the next event is sent.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Audience) -> R) -> R {
        let mut audience = self.audience.lock();
        let result = change(&mut audience);
        // Relaxed: changed under the lock; see `version`.
        self.version.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// For the control thread: what there is. Costs the sending side nothing.
    pub(crate) fn ask<R>(&self, question: impl FnOnce(&Audience) -> R) -> R {
        question(&self.audience.lock())
    }

    /// For the sending side, with the version that it sees.
    pub(crate) fn look(&self) -> (MutexGuard<'_, Audience>, u64) {
        let audience = self.audience.lock();
        let version = self.version();
        (audience, version)
    }
}

#[cfg(test)]
mod tests {
    use crate::Domain;
    use crate::hub::Hub;

    fn version(hub: &Hub) -> u64 {
        hub.sender.outbox.with(|outbox| outbox.routes.version()).unwrap()
    }

    /// What changes nothing for who sends does not have it look again.
    #[test]
    fn links_with_those_who_do_not_listen_are_no_change() {
        let dir = tempfile::tempdir().unwrap();
        let domain = Domain::at(dir.path().join("domain"));
        let hub = |name| Hub::builder(name).domain(domain.clone()).embedded_supervisor(true);
        let mut publisher = hub("publisher").connect().unwrap();
        let others = ["other", "listener"].map(|name| hub(name).connect().unwrap());
        publisher.row_for("x").unwrap();
        let before = version(&publisher);
        let listens = others[1].subscribe(["x"]).unwrap();
        let listened = version(&publisher);
        assert_eq!(listened, before + 1);
        for _ in 0..3 {
            drop(publisher.link_to("other").unwrap());
            assert!(publisher.unlink("other").unwrap());
        }
        assert_eq!(version(&publisher), listened);
        let _link = publisher.link_to("listener").unwrap();
        assert!(version(&publisher) > listened, "a lane is offered");
        drop(listens);
    }
}
