//! Broken variants, for tests that show that the checks see them. Nothing outside of tests.

#[cfg(test)]
use std::sync::atomic::{AtomicU8, Ordering};

/// Events of a source are taken as they are found, whatever their numbers.
pub(super) const MERGE: u8 = 1;
/// A lane is used before the other side has attached to it.
pub(super) const EARLY_LANE: u8 = 2;
/// One event less is said to be missed than there were.
pub(super) const SAYS_LESS: u8 = 3;

#[cfg(test)]
static BROKEN: AtomicU8 = AtomicU8::new(0);

/// Whether this variant is switched on.
#[cfg(test)]
pub(super) fn is_on(variant: u8) -> bool {
    // Relaxed: switched while nothing else runs.
    BROKEN.load(Ordering::Relaxed) == variant
}

#[cfg(not(test))]
#[inline(always)]
pub(super) fn is_on(_: u8) -> bool {
    false
}

/// Runs something with a variant switched on.
#[cfg(test)]
pub(super) fn with(variant: u8, run: impl FnOnce()) {
    struct Off;
    impl Drop for Off {
        fn drop(&mut self) {
            // Relaxed: as above.
            BROKEN.store(0, Ordering::Relaxed);
        }
    }
    let _off = Off;
    // Relaxed: as above.
    BROKEN.store(variant, Ordering::Relaxed);
    run();
}
