//! Sleeping at a doorbell, whoever's it is.

use super::bell::{Bell, Woken};
use super::strategy::Waiter;

/// Who has a doorbell, and something to look for.
pub(crate) trait Sleeps {
    /// What it looks for.
    type Found;
    /// What may come in between.
    type Error;

    fn bell(&mut self) -> &mut Bell;

    /// What there is now.
    fn look(&mut self) -> Result<Option<Self::Found>, Self::Error>;

    /// Whether nothing more is waited for.
    fn is_over(&self) -> bool;

    /// Sleeps until something may have come or the deadline has passed, unless there is something.
    #[cold]
    fn sleep(&mut self, waiter: &Waiter) -> Result<Option<Self::Found>, Self::Error> {
        self.bell().arm();
        let found = loop {
            let found = self.look();
            if !matches!(found, Ok(None)) || self.is_over() {
                break found;
            }
            if self.bell().sleep(waiter.deadline()) == Woken::Up {
                break Ok(None);
            }
        };
        self.bell().disarm();
        found
    }
}
