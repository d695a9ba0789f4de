//! Many times, of which only a histogram is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::Error;

/// An hour, in picoseconds: whatever takes longer counts as that.
const LONGEST_PS: u64 = 3_600_000_000_000_000;

/// Three digits.
const DIGITS: u8 = 3;

const PS_PER_NS: f64 = 1e3;

/// The quantiles that summaries tell of, with their usual names.
pub const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
    ("p99.999", 0.99999),
];

/// A histogram of times, from a picosecond to an hour, exact to three digits.
#[derive(Clone, Debug)]
pub struct Times {
    histogram: Histogram<u64>,
}

impl Default for Times {
    fn default() -> Times {
        Times::new()
    }
}

impl PartialEq for Times {
    fn eq(&self, other: &Times) -> bool {
        self.histogram == other.histogram
    }
}

impl Times {
    /// None yet. Grows with the longest time that is recorded.
    pub fn new() -> Times {
        let mut histogram =
            Histogram::new_with_bounds(1, 2_000_000, DIGITS).expect("sound bounds and digits");
        histogram.auto(true);
        Times { histogram }
    }

    /// Records a time in picoseconds.
    pub fn record_ps(&mut self, ps: u64) {
        self.record_many_ps(ps, 1);
    }

    /// Records the same time in picoseconds `count` times.
    pub fn record_many_ps(&mut self, ps: u64, count: u64) {
        let ps = ps.clamp(1, LONGEST_PS);
        self.histogram.record_n(ps, count).expect("it grows as far as that");
    }

    /// Records a time in nanoseconds.
    pub fn record_ns(&mut self, ns: f64) {
        self.record_ps((ns * PS_PER_NS) as u64);
    }

    /// Adds all of the others'.
    pub fn add(&mut self, others: &Times) {
        self.histogram.add(&others.histogram).expect("it grows as far as the other");
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Nanoseconds that this share of all, 0 to 1, do not exceed; 0 of none.
    pub fn quantile_ns(&self, quantile: f64) -> f64 {
        to_ns(self.histogram.value_at_quantile(quantile).min(self.histogram.max()))
    }

    /// The shortest, in nanoseconds; 0 of none.
    pub fn min_ns(&self) -> f64 {
        if self.count() == 0 { 0.0 } else { to_ns(self.histogram.min()) }
    }

    /// The longest, in nanoseconds; 0 of none.
    pub fn max_ns(&self) -> f64 {
        to_ns(self.histogram.max())
    }

    /// The mean, in nanoseconds; 0 of none.
    pub fn mean_ns(&self) -> f64 {
        to_ns(self.histogram.mean().round() as u64)
    }

    /// How many are longer than this.
    pub fn count_above_ns(&self, ns: f64) -> u64 {
        let ps = (ns * PS_PER_NS) as u64;
        self.count() - self.histogram.count_between(0, ps.min(LONGEST_PS))
    }

    /// Each time that occurs, in nanoseconds, with how often, in ascending order.
    pub fn each_ns(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let found = self.histogram.iter_recorded();
        found.map(|value| (exact_ns(value.value_iterated_to()), value.count_at_value()))
    }

    /// In nanoseconds, as other programs expect it: what is shorter than one counts as one.
    pub(crate) fn in_ns(&self) -> Histogram<u64> {
        let mut ns = Histogram::new(DIGITS).expect("sound digits");
        for value in self.histogram.iter_recorded() {
            let rounded = exact_ns(value.value_iterated_to().min(self.histogram.max())).round();
            ns.record_n((rounded as u64).max(1), value.count_at_value())
                .expect("it grows as far as an hour");
        }
        ns
    }

    pub(crate) fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }

    /// On one line: HdrHistogram V2, compressed, base64, of picoseconds.
    ///
    /// # Errors
    /// When the histogram cannot be written.
    pub fn encode(&self) -> Result<String, Error> {
        let mut bytes = Vec::new();
        let written = V2DeflateSerializer::new().serialize(&self.histogram, &mut bytes);
        written.map_err(|error| Error::Histogram(error.to_string()))?;
        Ok(STANDARD.encode(bytes))
    }

    /// From the line that [`encode`](Times::encode) wrote.
    ///
    /// # Errors
    /// When it is no such line.
    pub fn decode(line: &str) -> Result<Times, Error> {
        let bytes = STANDARD.decode(line).map_err(|error| Error::Histogram(error.to_string()))?;
        let read = Deserializer::new().deserialize(&mut &bytes[..]);
        let mut histogram = read.map_err(|error| Error::Histogram(error.to_string()))?;
        histogram.auto(true);
        Ok(Times { histogram })
    }
}

/// To a tenth of a nanosecond, which is what the clock can tell.
fn to_ns(ps: u64) -> f64 {
    (ps as f64 / 100.0).round() / 10.0
}

pub(crate) fn exact_ns(ps: u64) -> f64 {
    ps as f64 / PS_PER_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_to(last: u32) -> Times {
        let mut times = Times::new();
        (1..=last).for_each(|ns| times.record_ns(f64::from(ns)));
        times
    }

    #[test]
    fn quantiles_are_exact_to_three_digits() {
        let times = one_to(100_000);
        for (name, quantile) in QUANTILES {
            let (found, expected) = (times.quantile_ns(quantile), quantile * 1e5);
            assert!((found / expected - 1.0).abs() < 0.002, "{name}: {found}, not {expected}");
        }
        assert_eq!((times.count(), times.min_ns()), (100_000, 1.0));
        assert!((times.max_ns() / 1e5 - 1.0).abs() < 0.001, "{}", times.max_ns());
        let above = times.count_above_ns(50_000.0) as f64;
        assert!((above / 5e4 - 1.0).abs() < 0.002, "{above}");
    }

    #[test]
    fn nothing_is_zero_and_too_long_is_an_hour() {
        let mut times = Times::new();
        assert_eq!((times.min_ns(), times.quantile_ns(0.5), times.max_ns()), (0.0, 0.0, 0.0));
        times.record_ps(u64::MAX);
        assert!((times.max_ns() / 3.6e12 - 1.0).abs() < 0.001, "{}", times.max_ns());
    }

    #[test]
    fn a_line_of_text_keeps_all() {
        let mut times = one_to(3000);
        let mut read = Times::decode(&times.encode().unwrap()).unwrap();
        assert!(read == times);
        // And can be added to.
        times.record_ns(5e9);
        read.add(&times);
        assert_eq!(read.count(), 6001);
        assert!(Times::decode("bm90aGluZw==").is_err() && Times::decode("?").is_err());
    }
}
