//! Calling a thread that looks at what others say.
//!
//! Some wait and say so, each in a word of its own. Who has something for them does not look at
//! all those words, but makes a call; a thread takes it, and then looks.
//!
//! ```text
//!   who waits                  who has something         thread
//!   word = "asleep"            something = there         call = taken
//!   heavy fence                light fence               full fence
//!   something? no              is the call made?         word "asleep"? wake
//!   sleep                        no: make it,
//!                                full fence, unpark
//! ```
//!
//! Who waits and does not find what has come had fenced before it came, so the other looked at the
//! call after that fence. If it was still made, the thread had not taken it where the other could
//! see that; so the thread looks at the word later still, and finds who waits asleep.

use super::{AtomicBool, Ordering, full_fence};

/// That something has come since the thread last began to look.
#[derive(Debug)]
pub(crate) struct Call(AtomicBool);

impl Call {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// `false` if it stands. Otherwise it is made, and a full fence executed.
    #[inline(always)]
    pub(crate) fn make(&self) -> bool {
        // SYNC(called): if this reads true, the fence in `take` comes after it. Relaxed: the fence
        // before it orders it.
        if self.0.load(Ordering::Relaxed) {
            return false;
        }
        self.make_anew();
        true
    }

    #[cold]
    fn make_anew(&self) {
        // Relaxed: the fence orders it.
        self.0.store(true, Ordering::Relaxed);
        full_fence();
    }

    pub(crate) fn is_made(&self) -> bool {
        // Relaxed: a hint; `take` looks.
        self.0.load(Ordering::Relaxed)
    }

    /// Takes it back before the listeners are looked at; whether it stood.
    pub(crate) fn take(&self) -> bool {
        if !self.is_made() {
            return false;
        }
        // Relaxed: the fence orders it.
        self.0.store(false, Ordering::Relaxed);
        // SYNC(called): pairs with the load in `make`, and the fence before it.
        full_fence();
        true
    }
}

#[cfg(all(test, ephapse_model))]
mod tests {
    use super::*;
    use crate::sync::{AtomicU64, heavy_fence, light_fence};

    /// A listener falls asleep, its publisher sends twice, the thread looks twice, and then for as
    /// long as it is called.
    fn sleep_and_call(fences: bool) {
        let shared = loom::sync::Arc::new((
            [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)],
            Call::new(),
        ));
        let publisher = loom::thread::spawn({
            let shared = loom::sync::Arc::clone(&shared);
            move || {
                let ([sent, ..], call) = &*shared;
                for number in 1..=2 {
                    sent.store(number, Ordering::Release);
                    if fences {
                        light_fence();
                    }
                    call.make();
                }
            }
        });
        let thread = loom::thread::spawn({
            let shared = loom::sync::Arc::clone(&shared);
            move || look(&shared)
        });
        let ([sent, asleep, rung], _) = &*shared;
        asleep.store(1, Ordering::Relaxed);
        heavy_fence();
        let seen = sent.load(Ordering::Acquire);
        publisher.join().unwrap();
        thread.join().unwrap();
        look(&shared);
        let is_up = seen == 2 || rung.load(Ordering::Relaxed) == 1;
        assert!(is_up, "asleep for ever beside an event");
    }

    fn look(([_, asleep, rung], call): &([AtomicU64; 3], Call)) {
        if call.take() && asleep.load(Ordering::Relaxed) == 1 {
            rung.store(1, Ordering::Relaxed);
        }
    }

    fn check(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn model_crowd() {
        check(|| sleep_and_call(true));
    }

    #[test]
    #[should_panic(expected = "asleep for ever")]
    fn broken_crowd_without_the_fence() {
        check(|| sleep_and_call(false));
    }
}
