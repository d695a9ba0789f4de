//! Waking those of many listeners that the publisher has not looked at.

use super::outbox::{Outbox, SharedOutbox};
use crate::sync::biased::Biased;
use crate::wait::Chore;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// To be asked whether some listeners have not been looked at.
#[derive(Debug, Default)]
pub(super) struct Debt {
    pub owed: AtomicBool,
    /// How often all have been looked at.
    pub paid: AtomicU64,
}

/// Looks at those who were not looked at, if the publisher has not done so itself between two
/// looks: to take the outbox over costs it some microseconds.
pub(crate) struct LateNotices {
    outbox: Weak<Biased<Outbox>>,
    debt: Arc<Debt>,
    /// What was paid at the last look.
    seen: AtomicU64,
}

impl LateNotices {
    pub(crate) fn of(outbox: &SharedOutbox) -> Self {
        let debt = outbox.with(|outbox| Arc::clone(&outbox.debt)).unwrap_or_default();
        Self { outbox: Arc::downgrade(outbox), debt, seen: AtomicU64::new(0) }
    }
}

impl Chore for LateNotices {
    fn run(&self) -> bool {
        // Relaxed: hints; the outbox is exclusive, and what is owed stands there.
        if !self.debt.owed.load(Ordering::Relaxed) {
            return false;
        }
        let paid = self.debt.paid.load(Ordering::Relaxed);
        let is_late = self.seen.swap(paid, Ordering::Relaxed) == paid;
        if let Some(outbox) = self.outbox.upgrade().filter(|_| is_late) {
            outbox.with(Outbox::pay_debts);
        }
        true
    }
}
