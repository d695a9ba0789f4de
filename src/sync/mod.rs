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
//!
//! # The private fence
//!
//! Between threads of one process ([`biased`]) there is a third command, [`private_fence`]:
//! `PRIVATE_EXPEDITED`, with the same light other side. It needs no second step, for it has not
//! the hole. `GLOBAL_EXPEDITED` looks at a flag that each processor keeps of the process that it
//! runs, and that flag can be missing. This one keeps nothing: it looks at what each processor
//! runs *now*, and interrupts those that run a thread of the caller's address space. A processor
//! that idles on that address space runs no thread of it, and executes a full barrier on its way
//! from the one to the other: the scheduler has one before it changes what runs, and one between
//! that and the return to user space. Registration sets two bits of the address space, and the
//! command is refused until they are set; no processor needs to be told of them. (Linux since
//! 4.14, `kernel/sched/membarrier.c`. With a thread that idles while another registers, in 600 new
//! processes, `GLOBAL_EXPEDITED` lost 54 of 1.8 million rounds of the test below, this one none.)
//!
//! Fork copies both bits with the rest of the address space's description, so a child need not
//! register again. Exec clears them, together with the memory that says that we have registered.

#[cfg(not(ephapse_model))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(ephapse_model)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence,
};

pub(crate) mod biased;
pub(crate) mod call;
mod seat;

pub(crate) use self::asymmetric::*;

#[cfg(not(ephapse_model))]
mod asymmetric {
    use core::sync::atomic::{AtomicU8, Ordering, compiler_fence, fence};
    use std::io::Error;
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

    /// Makes [`private_fence`] work in this process, and says whether the kernel agreed. A system
    /// call the first time, a load afterwards.
    pub(crate) fn register_private_fences() -> bool {
        const UNKNOWN: u8 = 0;
        const REFUSED: u8 = 1;
        const REGISTERED: u8 = 2;
        // Not a lock: a child that is forked while another thread asks would wait for it for ever.
        static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
        // SYNC(registered): pairs with the release below, so that our fences come after it.
        let mut answer = ANSWER.load(Ordering::Acquire);
        if answer == UNKNOWN {
            let done = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
            answer = if done { REGISTERED } else { REFUSED };
            // SYNC(registered): pairs with the acquire above.
            ANSWER.store(answer, Ordering::Release);
        }
        answer == REGISTERED
    }

    /// Orders this thread's stores before its later loads, and those of every other thread of
    /// this process that has a [`light_fence`] between its own: always enough. False where the
    /// kernel refuses; then nothing is ordered. A few microseconds.
    // SYNC(bias): pairs with `light_fence` between the other threads' stores and looks.
    pub(crate) fn private_fence() -> bool {
        fence(Ordering::SeqCst);
        while !membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            if Error::last_os_error().raw_os_error() != Some(libc::ENOMEM) {
                return false;
            }
            std::thread::yield_now();
        }
        // The kernel has no barrier where it finds that there is no other thread (any more).
        fence(Ordering::SeqCst);
        true
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
    pub(crate) fn register_private_fences() -> bool {
        true
    }
    pub(crate) fn private_fence() -> bool {
        fence(Ordering::SeqCst);
        true
    }
}

#[cfg(all(test, not(ephapse_model)))]
mod tests {
    use super::*;
    use crossbeam_utils::CachePadded;
    use std::sync::Arc;

    /// Waits for a round. Gives way soon: there may be fewer processors than tests.
    fn reach(word: &AtomicU64, round: u64) {
        let mut looks = 0;
        while word.load(Ordering::Acquire) < round {
            looks += 1;
            if looks % 1000 == 0 {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }

    /// The store-buffering litmus test, across two threads: how often neither side saw the
    /// other. The sleeper uses `fence`.
    fn lost(rounds: u64, fence: impl Fn()) -> u64 {
        assert!(register_light_fences(), "membarrier is refused here");
        assert!(register_private_fences(), "membarrier is refused here");
        // [round to start, record, sleeping, what the writer saw, round done]
        let shared: Arc<[CachePadded<AtomicU64>; 5]> = Arc::default();
        let writer = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                let [start, record, sleeping, seen, done] = &*shared;
                for round in 1..=rounds {
                    reach(start, round);
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
            reach(done, round);
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

    #[test]
    fn a_private_fence_orders_both_sides() {
        assert_eq!(lost(50_000, || assert!(private_fence())), 0);
    }
}
