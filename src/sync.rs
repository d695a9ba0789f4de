//! The one door to atomics and fences.
//!
//! Everything that two threads or two processes share goes through here, so that the ring's and
//! the doorbell's protocols can be compiled against model-checked atomics
//! (`--cfg ephapse_model`) without a change.
//!
//! # The asymmetric fence
//!
//! Going to sleep is a store followed by a load on both sides (reader: *I sleep*, then *is there
//! a record?*; writer: *here is a record*, then *does it sleep?*), and the two must not be
//! reordered on either side. A fence for every event would drain the writer's store buffer each
//! time and cost a stream nearly nine tenths of its speed, so the side that goes to sleep pays for
//! both, with membarrier(2), in two steps:
//!
//! 1. [`heavy_fence`] is `GLOBAL_EXPEDITED`: every running thread of every process that has
//!    registered ([`register_light_fences`]) executes a full barrier before it returns. 1.6 µs for
//!    the sleeper, nothing for the writer, whose [`light_fence`] only holds the compiler.
//! 2. [`global_fence`] is `GLOBAL`, which needs no registration and takes 8 to 16 ms. Whoever
//!    sleeps longer than a few milliseconds has a thread call it, and looks once more after it.
//!
//! The second step is there because the first has a hole (seen on Linux 6.18; the test below
//! counts): a processor that idles on a process's address space at the moment of registration is
//! not told of it, and runs that process without taking part until it has run another one in
//! between. So step 1 makes wake-ups prompt, and step 2 makes them certain.
//!
//! A process that may not register (a seccomp filter) fences for every event itself; a reader
//! that may not call membarrier says so in its cursor segment, and its writers fence for it.

#[cfg(not(ephapse_model))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(ephapse_model)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

pub(crate) use self::asymmetric::*;

#[cfg(not(ephapse_model))]
mod asymmetric {
    use core::sync::atomic::{Ordering, compiler_fence, fence};
    use std::sync::OnceLock;

    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: membarrier takes three integers and touches no memory of ours.
        #[allow(unsafe_code)]
        let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
        result >= 0
    }

    /// Registers this process as one that heavy fences elsewhere reach, and says whether the
    /// kernel agreed. Where it did not (a sandbox), this process must call [`full_fence`] where
    /// [`light_fence`] would have done. A system call the first time, a load afterwards.
    pub(crate) fn register_light_fences() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED))
    }

    /// Between a writer's commit and its look at the doorbell word. Only the compiler is held.
    // SYNC(sleep): pairs with `heavy_fence` between the other side's "I sleep" and its last look.
    #[inline(always)]
    pub(crate) fn light_fence() {
        compiler_fence(Ordering::SeqCst);
    }

    /// In place of [`light_fence`] where one of the two sides cannot use membarrier.
    #[inline]
    pub(crate) fn full_fence() {
        fence(Ordering::SeqCst);
    }

    /// Between the sleeper's announcement and its first look: nearly always enough. Where the
    /// kernel refuses membarrier only this side is ordered; then [`heavy_fences_work`] is false,
    /// and the other side knows.
    // SYNC(sleep): pairs with `light_fence` between the other side's store and its look.
    pub(crate) fn heavy_fence() {
        fence(Ordering::SeqCst);
        membarrier(libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    }

    /// Between the sleeper's announcement and its last look: always enough, and slow.
    // SYNC(sleep): pairs with `light_fence` between the other side's store and its look.
    pub(crate) fn global_fence() {
        fence(Ordering::SeqCst);
        membarrier(libc::MEMBARRIER_CMD_GLOBAL);
    }

    /// Whether both fences reach other processes here; asked once. (`GLOBAL` does not exist with
    /// nohz_full.)
    pub(crate) fn heavy_fences_work() -> bool {
        static WORK: OnceLock<bool> = OnceLock::new();
        *WORK.get_or_init(|| {
            // SAFETY: as in `membarrier`.
            #[allow(unsafe_code)]
            let commands =
                unsafe { libc::syscall(libc::SYS_membarrier, libc::MEMBARRIER_CMD_QUERY, 0, 0) };
            let needed = libc::MEMBARRIER_CMD_GLOBAL | libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED;
            commands >= 0 && commands as libc::c_int & needed == needed
        })
    }
}

/// Under the model a light and a heavy fence are both sequentially consistent ones: together they
/// are what the kernel promises. That it keeps the promise is counted by the test below.
#[cfg(ephapse_model)]
mod asymmetric {
    use loom::sync::atomic::{Ordering, fence};

    pub(crate) fn register_light_fences() -> bool {
        true
    }
    pub(crate) fn light_fence() {
        fence(Ordering::SeqCst);
    }
    pub(crate) fn full_fence() {
        fence(Ordering::SeqCst);
    }
    pub(crate) fn heavy_fence() {
        fence(Ordering::SeqCst);
    }
    pub(crate) fn heavy_fences_work() -> bool {
        true
    }
}

#[cfg(all(test, not(ephapse_model)))]
mod tests {
    use super::*;
    use crossbeam_utils::CachePadded;
    use std::sync::Arc;

    /// The store-buffering litmus test, across two threads: how often neither side saw the
    /// other. The sleeper uses `fence`.
    fn lost(rounds: u64, fence: impl Fn()) -> u64 {
        assert!(register_light_fences(), "membarrier is refused here");
        // [round to start, record, sleeping, what the writer saw, round done]
        let shared: Arc<[CachePadded<AtomicU64>; 5]> = Arc::default();
        let writer = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let [start, record, sleeping, seen, done] = &*shared;
                for round in 1..=rounds {
                    while start.load(Ordering::Acquire) < round {
                        std::hint::spin_loop();
                    }
                    record.store(round, Ordering::Relaxed);
                    light_fence();
                    seen.store(sleeping.load(Ordering::Relaxed), Ordering::Relaxed);
                    done.store(round, Ordering::Release);
                }
            }
        });
        let [start, record, sleeping, seen, done] = &*shared;
        let mut lost = 0;
        for round in 1..=rounds {
            start.store(round, Ordering::Release);
            for _ in 0..round % 97 {
                std::hint::spin_loop();
            }
            sleeping.store(round, Ordering::Relaxed);
            fence();
            let saw = record.load(Ordering::Relaxed);
            while done.load(Ordering::Acquire) < round {
                std::hint::spin_loop();
            }
            lost += u64::from(saw < round && seen.load(Ordering::Relaxed) < round);
        }
        writer.join().unwrap();
        lost
    }

    #[test]
    fn a_global_fence_orders_both_sides() {
        assert!(heavy_fences_work(), "membarrier lacks a command here");
        assert_eq!(lost(200, global_fence), 0);
    }

    /// Not none (see the module's docs), but so few that the slow step is hardly ever needed.
    #[test]
    fn a_heavy_fence_orders_nearly_always() {
        const ROUNDS: u64 = 200_000;
        let lost = lost(ROUNDS, heavy_fence);
        assert!(lost < ROUNDS / 100, "{lost} wake-ups lost in {ROUNDS} rounds");
    }
}
