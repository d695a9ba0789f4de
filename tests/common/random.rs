//! Random numbers from a seed that is told and can be given.

use std::io::Write;

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// From [`seed_for`] the test.
    pub(crate) fn for_test(test: &str) -> Self {
        Self(seed_for(test))
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(mix(seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.flatten().take(len).collect()
    }
}

/// From `EPHAPSE_SEED`, else from the clock; the seed is written to standard error.
pub(crate) fn seed_for(test: &str) -> u64 {
    let seed = match std::env::var("EPHAPSE_SEED") {
        Ok(seed) => seed.parse().expect("EPHAPSE_SEED is a number"),
        Err(_) => {
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            mix(now.as_nanos() as u64) >> 16
        }
    };
    // Not a print: those are for tests that capture what is printed, and this one must be seen.
    let line = format!("{test}: EPHAPSE_SEED={seed}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    seed
}

/// A number that has nothing to do with its argument.
pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}
