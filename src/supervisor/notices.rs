//! Answers that wait until those whom they concern have taken note: a publisher is told that it is
//! known when all who subscribe to its subject follow, a subscription when all who publish listen.

use super::registry::{Due, Registry};
use crate::limits::NOTICE_MS;
use crate::protocol::{Edge, ToHub};
use std::collections::HashMap;
use std::time::{Duration, Instant};

const NOTICE: Duration = Duration::from_millis(NOTICE_MS);

/// Answers that have not been given.
#[derive(Debug, Default)]
pub(super) struct Notices {
    open: HashMap<u64, Notice>,
    last: u64,
}

#[derive(Debug)]
struct Notice {
    hub: u64,
    answer: ToHub,
    /// Edges that have not come so far.
    left: usize,
}

impl Notices {
    /// Whether somebody still waits for it.
    pub(super) fn is_open(&self, notice: u64) -> bool {
        self.open.contains_key(&notice)
    }

    /// Answers for which a hub waits.
    pub(super) fn of(&self, hub: u64) -> usize {
        self.open.values().filter(|notice| notice.hub == hub).count()
    }
}

impl Registry {
    /// Answers a hub when each of these edges has begun for so many subjects or is over, after
    /// [`NOTICE_MS`] at the latest: one that is stopped must not hold others up. After so long in any
    /// case while hubs are on their way back from an earlier supervisor, which may bring more edges.
    pub(super) fn answer_after(&mut self, hub: u64, answer: ToHub, awaited: &[(Edge, usize)]) {
        let notice = self.notices.last + 1;
        let mut left = usize::from(self.absent > 0 && self.started.elapsed() < NOTICE);
        for (edge, until) in awaited {
            left += usize::from(self.wait_for_edge(*edge, *until, notice));
        }
        if left == 0 {
            return self.tell(hub, &answer, Vec::new());
        }
        self.notices.last = notice;
        self.notices.open.insert(notice, Notice { hub, answer, left });
        let deadline = Instant::now() + NOTICE;
        self.deadlines.insert((deadline, Due::Notice(notice)));
    }

    /// One edge less has to be waited for.
    pub(super) fn noticed(&mut self, notice: u64) {
        let Some(open) = self.notices.open.get_mut(&notice) else { return };
        open.left -= 1;
        if open.left == 0 {
            self.answer_now(notice);
        }
    }

    /// Answers, also if not all have taken note: those who have not do so when they go on.
    pub(super) fn answer_now(&mut self, notice: u64) {
        if let Some(Notice { hub, answer, .. }) = self.notices.open.remove(&notice) {
            self.tell(hub, &answer, Vec::new());
        }
    }
}
