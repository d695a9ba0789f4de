//! When each event of a replay is due, and how well that was kept.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// How long before its time a sleep ends; the rest is waited for awake.
const AWAKE: Duration = Duration::from_micros(200);

/// How long one sleep lasts at most, so that an interrupt is noticed.
const NAP: Duration = Duration::from_millis(50);

/// Digits of lateness that are kept.
const DIGITS: u8 = 3;

/// A clock that can be waited for.
pub(super) trait Clock {
    /// Since some moment.
    fn now(&self) -> Duration;
    fn sleep(&mut self, time: Duration);
    fn spin(&mut self);
}

/// The clock of this host.
#[derive(Debug)]
pub(super) struct HostClock(Instant);

impl HostClock {
    pub(super) fn start() -> HostClock {
        HostClock(Instant::now())
    }
}

impl Clock for HostClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&mut self, time: Duration) {
        thread::sleep(time);
    }

    fn spin(&mut self) {
        hint::spin_loop();
    }
}

/// Keeps the gaps between events.
#[derive(Debug)]
pub(super) struct Pace<C> {
    clock: C,
    /// Times as fast; `None` is as fast as it goes.
    speed: Option<f64>,
    /// When the first was sent, then and now.
    first: Option<(u64, Duration)>,
    late: Histogram<u64>,
}

/// How late events were, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Late {
    pub(super) late_p50_ns: u64,
    pub(super) late_p99_ns: u64,
    pub(super) late_max_ns: u64,
}

impl<C: Clock> Pace<C> {
    pub(super) fn new(clock: C, speed: Option<f64>) -> Pace<C> {
        // It grows with what it is given.
        let late = Histogram::new(DIGITS).expect("a number of digits that it allows");
        Pace { clock, speed, first: None, late }
    }

    /// Waits until an event is due that was sent then. `false` if `stop` says so meanwhile.
    pub(super) fn wait(&mut self, sent_ns: u64, stop: impl Fn() -> bool) -> bool {
        let Some(speed) = self.speed else { return !stop() };
        let (first_ns, start) = *self.first.get_or_insert_with(|| (sent_ns, self.clock.now()));
        // One that was sent before the first, and came after it, is due at once.
        let after = sent_ns.saturating_sub(first_ns) as f64 / 1e9 / speed;
        let due = Duration::try_from_secs_f64(after).unwrap_or(Duration::MAX);
        let due = start.saturating_add(due);
        loop {
            if stop() {
                return false;
            }
            let now = self.clock.now();
            if now >= due {
                let late = u64::try_from((now - due).as_nanos()).unwrap_or(u64::MAX);
                // It refuses nothing when it may grow.
                let _ = self.late.record(late);
                return true;
            }
            match (due - now).checked_sub(AWAKE) {
                Some(rest) if !rest.is_zero() => self.clock.sleep(rest.min(NAP)),
                _ => self.clock.spin(),
            }
        }
    }

    /// How late they were; nothing if no time was to be kept.
    pub(super) fn late(&self) -> Option<Late> {
        (!self.late.is_empty()).then(|| Late {
            late_p50_ns: self.late.value_at_quantile(0.5),
            late_p99_ns: self.late.value_at_quantile(0.99),
            late_max_ns: self.late.max(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sleeps take 100 µs longer than they should, a look 1 µs.
    #[derive(Default)]
    struct Fake {
        now: Duration,
        slept: Duration,
    }

    impl Clock for Fake {
        fn now(&self) -> Duration {
            self.now
        }

        fn sleep(&mut self, time: Duration) {
            assert!(time <= NAP, "{time:?}");
            self.now += time + Duration::from_micros(100);
            self.slept += time;
        }

        fn spin(&mut self) {
            self.now += Duration::from_micros(1);
        }
    }

    fn sent_at(speed: Option<f64>, sent_us: &[u64]) -> (Vec<u64>, Pace<Fake>) {
        let mut pace = Pace::new(Fake::default(), speed);
        let times = sent_us.iter().map(|us| {
            assert!(pace.wait(us * 1_000, || false));
            pace.clock.now.as_micros() as u64
        });
        (times.collect(), pace)
    }

    #[test]
    fn gaps_are_kept() {
        let sent = [5_000, 5_010, 6_000, 5_500, 1_005_000];
        let (times, pace) = sent_at(Some(1.0), &sent);
        assert_eq!(times, [0, 10, 1_000, 1_000, 1_000_000]);
        // Most of it asleep.
        assert!(pace.clock.slept > Duration::from_millis(900), "{:?}", pace.clock.slept);
        let late = pace.late().expect("times were kept");
        assert_eq!((late.late_p50_ns, late.late_max_ns / 1_000), (0, 500), "{late:?}");
    }

    #[test]
    fn faster_slower_and_as_fast_as_it_goes() {
        assert_eq!(sent_at(Some(2.0), &[0, 10_000]).0, [0, 5_000]);
        assert_eq!(sent_at(Some(0.5), &[0, 10_000]).0, [0, 20_000]);
        let (times, pace) = sent_at(None, &[0, 10_000]);
        assert_eq!((times, pace.late()), (vec![0, 0], None));
    }

    #[test]
    fn who_is_late_does_not_wait() {
        let mut pace = Pace::new(Fake::default(), Some(1.0));
        assert!(pace.wait(0, || false));
        pace.clock.now += Duration::from_millis(7);
        assert!(pace.wait(2_000_000, || false));
        assert_eq!(pace.clock.now, Duration::from_millis(7));
        let late = pace.late().expect("times were kept").late_max_ns;
        assert!(late.abs_diff(5_000_000) < 5_000, "{late}");
        assert!(!pace.wait(u64::MAX, || true), "stopped");
    }
}
