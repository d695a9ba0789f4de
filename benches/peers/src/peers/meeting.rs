//! Where the two sides of a system meet that connects threads of one process.

use std::sync::{Condvar, Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::peer::{CONNECT_LIMIT, Side};

/// Holds the end of side B until side B fetches it.
pub(crate) struct Meeting<T> {
    end: Mutex<Option<T>>,
    there: Condvar,
}

impl<T> Meeting<T> {
    /// Nobody there yet.
    pub(crate) const fn new() -> Meeting<T> {
        Meeting { end: Mutex::new(None), there: Condvar::new() }
    }

    /// Side A makes both ends, the first being its own; side B waits for the other.
    pub(crate) fn meet(&self, side: Side, make: impl FnOnce() -> (T, T)) -> Result<T> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if side == Side::A {
            let (own, other) = make();
            *end = Some(other);
            self.there.notify_all();
            return Ok(own);
        }
        let waited = self.there.wait_timeout_while(end, CONNECT_LIMIT, |end| end.is_none());
        let (mut end, _) = waited.unwrap_or_else(PoisonError::into_inner);
        end.take().context("the other thread has not connected")
    }
}
