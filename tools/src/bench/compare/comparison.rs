//! Whether two lists of figures differ by more than each of them does in itself: their medians, and
//! how much the quotient of these depends on which rounds happened to be measured.

use serde::Serialize;

use crate::bench::times::median;

/// Fewer rounds say nothing about how much rounds differ.
pub(super) const ROUNDS_MIN: usize = 5;

/// Drawings with replacement.
const DRAWINGS: usize = 10_000;

/// What is left out at each end of what they gave: the rest is 95 %.
const TAIL: f64 = 0.025;

/// The same numbers each time.
const SEED: u64 = 20;

/// How one figure of the two compares.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) a: Summary,
    pub(super) b: Summary,
    /// Of the median: 0.1 is ten percent more.
    pub(super) change: f64,
    /// Where the change lies in 95 % of the drawings.
    pub(super) change_low: f64,
    pub(super) change_high: f64,
    /// `lower` or `higher`.
    better: &'static str,
    pub(super) verdict: Verdict,
}

#[derive(Debug, Serialize)]
pub(super) struct Summary {
    rounds: usize,
    pub(super) median: f64,
    /// Half of the rounds are between these.
    quartile_low: f64,
    quartile_high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Better,
    Worse,
    NoDifference,
    TooFewRounds,
}

impl Comparison {
    /// Of the rounds of both.
    pub(super) fn of([a, b]: [&Vec<f64>; 2], more_is_better: bool) -> Comparison {
        let change = |a: &[f64], b: &[f64]| ratio(of_both(a, b));
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut draw = |from: &[f64]| -> Vec<f64> {
            from.iter().map(|_| from[random.usize(..from.len())]).collect()
        };
        let mut drawn: Vec<f64> = (0..DRAWINGS).map(|_| change(&draw(a), &draw(b))).collect();
        drawn.sort_by(f64::total_cmp);
        let (low, high) = (quantile(&drawn, TAIL), quantile(&drawn, 1.0 - TAIL));
        let verdict = match () {
            () if a.len().min(b.len()) < ROUNDS_MIN => Verdict::TooFewRounds,
            () if low > 0.0 && more_is_better => Verdict::Better,
            () if low > 0.0 => Verdict::Worse,
            () if high < 0.0 && more_is_better => Verdict::Worse,
            () if high < 0.0 => Verdict::Better,
            () => Verdict::NoDifference,
        };
        Comparison {
            a: Summary::of(a),
            b: Summary::of(b),
            change: rounded(change(a, b)),
            change_low: rounded(low),
            change_high: rounded(high),
            better: if more_is_better { "higher" } else { "lower" },
            verdict,
        }
    }
}

fn of_both(a: &[f64], b: &[f64]) -> (f64, f64) {
    (median(a.iter().copied()), median(b.iter().copied()))
}

/// By how much the second is more than the first; 0 if both are nothing.
fn ratio((a, b): (f64, f64)) -> f64 {
    match a == b {
        true => 0.0,
        false => b / a.max(f64::MIN_POSITIVE) - 1.0,
    }
}

impl Summary {
    fn of(values: &[f64]) -> Summary {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Summary {
            rounds: sorted.len(),
            median: rounded(median(sorted.iter().copied())),
            quartile_low: rounded(quantile(&sorted, 0.25)),
            quartile_high: rounded(quantile(&sorted, 0.75)),
        }
    }
}

/// Of sorted values, between the two that are nearest.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len().max(1) - 1) as f64;
    let [below, above] = [place.floor(), place.ceil()].map(|at| sorted.get(at as usize).copied());
    let (below, above) = (below.unwrap_or(0.0), above.unwrap_or(0.0));
    below + (above - below) * place.fract()
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(a: &[f64], b: &[f64], more_is_better: bool) -> Verdict {
        Comparison::of([&a.to_vec(), &b.to_vec()], more_is_better).verdict
    }

    #[test]
    fn differences_are_found_where_there_are_some() {
        let a: Vec<f64> = (0..20).map(|n| 100.0 + f64::from(n % 7)).collect();
        let more: Vec<f64> = a.iter().map(|value| value * 1.1).collect();
        let mixed: Vec<f64> = a.iter().rev().map(|value| value + 0.1).collect();
        assert_eq!(verdict(&a, &more, false), Verdict::Worse);
        assert_eq!(verdict(&more, &a, false), Verdict::Better);
        assert_eq!(verdict(&a, &more, true), Verdict::Better);
        assert_eq!(verdict(&more, &a, true), Verdict::Worse);
        assert_eq!(verdict(&a, &mixed, false), Verdict::NoDifference);
        assert_eq!(verdict(&a[..4], &more, false), Verdict::TooFewRounds);
    }

    #[test]
    fn the_change_lies_in_its_range_and_is_that_of_the_medians() {
        let a: Vec<f64> = (0..15).map(|n| 200.0 + f64::from(n)).collect();
        let b: Vec<f64> = (0..15).map(|n| 220.0 + f64::from(n * 3 % 15)).collect();
        let one = Comparison::of([&a, &b], false);
        assert_eq!((one.a.median, one.b.median), (207.0, 227.0));
        assert!((one.change - 20.0 / 207.0).abs() < 1e-3, "{one:?}");
        assert!(one.change_low < one.change && one.change < one.change_high, "{one:?}");
        assert_eq!((one.a.quartile_low, one.a.quartile_high), (203.5, 210.5));
    }
}
