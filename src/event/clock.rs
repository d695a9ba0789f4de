//! Timestamps that are cheap enough to leave on.
//!
//! An event carries the raw count of the processor's invariant counter (TSC on x86-64, CNTVCT on
//! aarch64), which is the same on all cores of a host. Reading it takes about 10 ns; what it means
//! in nanoseconds is worked out by who asks, against CLOCK_MONOTONIC. On a processor without an
//! invariant counter the ticks are nanoseconds of CLOCK_MONOTONIC, at about 25 ns.

use std::sync::OnceLock;
use std::time::Duration;

/// When an event was sent: ticks of the host's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Now.
    #[inline(always)]
    #[must_use]
    pub fn now() -> Self {
        Self(ticks())
    }

    /// So long from now; the latest there is if that is too far away to be counted.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self(ticks().saturating_add(Rate::get().ticks(ns)))
    }

    #[inline(always)]
    pub(crate) fn from_ticks(ticks: u64) -> Option<Self> {
        (ticks != 0).then_some(Self(ticks))
    }

    /// The counter's value.
    #[must_use]
    pub fn ticks(self) -> u64 {
        self.0
    }

    /// Nanoseconds since then; 0 if it lies in the future. About 10 ns; only a first call within
    /// 10 ms of the process's first hub waits until it can know the counter's rate.
    #[must_use]
    pub fn age_ns(self) -> u64 {
        Rate::get().nanoseconds(ticks().saturating_sub(self.0))
    }

    /// As [`age_ns`](Self::age_ns), without waiting: `None` if the counter's rate cannot be known yet.
    pub(crate) fn quick_age_ns(self) -> Option<u64> {
        Some(Rate::quickly()?.nanoseconds(ticks().saturating_sub(self.0)))
    }

    /// Nanoseconds from `earlier` to this; 0 if it is not later. Cost as [`age_ns`](Self::age_ns).
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        Rate::get().nanoseconds(self.0.saturating_sub(earlier.0))
    }

    /// The same moment on CLOCK_MONOTONIC, in nanoseconds, to within a microsecond for every
    /// 100 ms that it lies away.
    #[must_use]
    pub fn monotonic_ns(self) -> u64 {
        let (now, ns) = (Self::now(), monotonic_ns());
        ns.saturating_sub(now.since(self)).saturating_add(self.since(now))
    }
}

/// How fast the counter counts.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Nanoseconds for one tick, times 2^32.
    ns_per_tick_q32: u64,
}

static RATE: OnceLock<Rate> = OnceLock::new();

impl Rate {
    fn get() -> Self {
        *RATE.get_or_init(Self::measure)
    }

    /// If nobody has to wait for it.
    fn quickly() -> Option<Self> {
        if let Some(rate) = RATE.get() {
            return Some(*rate);
        }
        let (_, began) = begin();
        (monotonic_ns().saturating_sub(began) >= BASELINE.as_nanos() as u64).then(Self::get)
    }

    fn nanoseconds(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.ns_per_tick_q32)) >> 32) as u64
    }

    fn ticks(self, nanoseconds: u64) -> u64 {
        let ticks = (u128::from(nanoseconds) << 32) / u128::from(self.ns_per_tick_q32.max(1));
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// What both clocks say now, and what they said when the process began to use them: after ten
    /// milliseconds right to about 10 parts in a million.
    fn measure() -> Self {
        if !has_counter() {
            return Self { ns_per_tick_q32: 1 << 32 };
        }
        let (ticks_before, ns_before) = begin();
        let age = Duration::from_nanos(monotonic_ns().saturating_sub(ns_before));
        std::thread::sleep(BASELINE.saturating_sub(age));
        let (ticks_after, ns_after) = both();
        let ticks = u128::from((ticks_after - ticks_before).max(1));
        let ns = u128::from(ns_after - ns_before);
        Self { ns_per_tick_q32: ((ns << 32) / ticks) as u64 }
    }
}

/// How far apart the two looks are at least.
const BASELINE: Duration = Duration::from_millis(10);

/// Takes the first look, so that nobody has to wait for the second. Called when a hub is opened.
pub(crate) fn begin() -> (u64, u64) {
    static FIRST: OnceLock<(u64, u64)> = OnceLock::new();
    *FIRST.get_or_init(both)
}

/// Both clocks at the same moment: of several tries the one that was not interrupted.
fn both() -> (u64, u64) {
    let tries = (0..8).map(|_| {
        let before = ticks();
        let ns = monotonic_ns();
        let after = ticks();
        (after - before, before + (after - before) / 2, ns)
    });
    let (_, ticks, ns) = tries.min().unwrap_or_default();
    (ticks, ns)
}

fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

#[cfg(target_arch = "x86_64")]
fn has_counter() -> bool {
    use core::arch::x86_64::__cpuid;
    static INVARIANT: OnceLock<bool> = OnceLock::new();
    *INVARIANT.get_or_init(|| {
        const POWER_MANAGEMENT: u32 = 0x8000_0007;
        __cpuid(0x8000_0000).eax >= POWER_MANAGEMENT
            && __cpuid(POWER_MANAGEMENT).edx & (1 << 8) != 0
    })
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ticks() -> u64 {
    if has_counter() {
        // SAFETY: every x86-64 processor has this instruction.
        unsafe { core::arch::x86_64::_rdtsc() }
    } else {
        monotonic_ns()
    }
}

#[cfg(target_arch = "aarch64")]
fn has_counter() -> bool {
    true
}

#[cfg(target_arch = "aarch64")]
#[inline(always)]
fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: reads the virtual counter, which Linux lets user space read.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_agrees_with_the_monotonic_clock() {
        let start = Timestamp::now();
        let ns = monotonic_ns();
        while monotonic_ns() - ns < 20_000_000 {
            std::hint::spin_loop();
        }
        let (age, really) = (start.age_ns(), monotonic_ns() - ns);
        assert!(age.abs_diff(really) < really / 100 + 50_000, "{age} against {really}");
        assert!(start.monotonic_ns().abs_diff(ns) < 500_000);
        let (later, hour) = (Timestamp::after(Duration::from_secs(3600)), 3_600_000_000_000);
        assert!(later.monotonic_ns().abs_diff(monotonic_ns() + hour) < hour / 1000);
    }
}
