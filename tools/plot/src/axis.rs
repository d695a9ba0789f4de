//! Axes: which part of a scale is shown, and where it has labels.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// How values are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences, equal distances; from zero.
    Linear,
    /// Equal ratios, equal distances.
    Log,
    /// Shares from 0 to 1 by 1/(1-share): 90 %, 99 %, 99.9 % … at equal distances.
    Percentile,
}

/// What values are, for their labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds: `250 ns`, `1.5 µs`, `20 ms`, `2 s`.
    Nanoseconds,
    /// Seconds: `2 s`, `0.5 s`.
    Seconds,
    /// Bytes: `64 B`, `4 KiB`.
    Bytes,
    /// Per second: `10 k/s`, `1 M/s`.
    PerSecond,
    /// A plain number.
    Plain,
}

/// One axis of a panel.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// What it shows.
    pub label: &'static str,
    /// How values are placed.
    pub scale: Scale,
    /// What they are.
    pub unit: Unit,
}

/// An axis with its range: values in the coordinates of the panel.
pub(crate) struct Placed {
    pub(crate) range: (f64, f64),
    pub(crate) ticks: Vec<(f64, String)>,
}

/// For the plotting library.
impl Ranged for Placed {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let (low, high) = self.range;
        let share = (value - low) / (high - low);
        limit.0 + (f64::from(limit.1 - limit.0) * share).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Labels and thick lines of the grid; there are no thin ones.
        match hint.bold_points() {
            0 => Vec::new(),
            _ => self.ticks.iter().map(|tick| tick.0).collect(),
        }
    }

    fn range(&self) -> Range<f64> {
        self.range.0..self.range.1
    }
}

impl ValueFormatter<f64> for Placed {
    fn format_ext(&self, at: &f64) -> String {
        let mut ticks = self.ticks.iter();
        ticks.find(|tick| (tick.0 - at).abs() < 1e-9).map_or(String::new(), |tick| tick.1.clone())
    }
}

/// Labels that fit.
const TICKS_MAX: usize = 8;

impl Axis {
    /// Where a value is, in the coordinates of the panel.
    pub(crate) fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => value,
            Scale::Log => value.max(f64::MIN_POSITIVE).log10(),
            Scale::Percentile => -(1.0 - value).max(f64::MIN_POSITIVE).log10(),
        }
    }

    /// Range and labels for these values.
    pub(crate) fn fit(&self, values: impl Iterator<Item = f64>) -> Placed {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.map(|value| self.place(value)).filter(|value| value.is_finite()) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        match self.scale {
            Scale::Linear => self.fit_linear(high),
            Scale::Log => self.fit_log(low, high),
            Scale::Percentile => fit_percentiles(high),
        }
    }

    fn fit_linear(&self, high: f64) -> Placed {
        let high = if high > 0.0 { high } else { 1.0 };
        let rough = high / (TICKS_MAX - 1) as f64;
        let decade = 10f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
        let step = steps.into_iter().find(|step| *step >= rough).unwrap_or(steps[3]);
        let count = (high / step + 1e-9).floor() as u32;
        let ticks = (0..=count).map(|index| f64::from(index) * step);
        Placed { range: (0.0, high), ticks: ticks.map(|value| (value, self.text(value))).collect() }
    }

    /// A little room above and below, and as many labels as fit.
    fn fit_log(&self, low: f64, high: f64) -> Placed {
        // At least a fifth of a decade, so that what is constant does not fill the picture.
        let room = ((0.2 - (high - low)) / 2.0).max((high - low) * 0.04);
        let (low, high) = (low - room, high + room);
        let choices = if self.unit == Unit::Bytes { powers_of_two() } else { powers_of_ten() };
        let ticks = choices.into_iter().map(|choice| {
            let placed = choice(low, high);
            placed.into_iter().filter(|at| (low..=high).contains(at)).collect::<Vec<f64>>()
        });
        // The finest that leaves room between its labels.
        let chosen = ticks.filter(|ticks| ticks.len() <= TICKS_MAX).last().unwrap_or_default();
        let label = |at: f64| (at, self.text(10f64.powf(at)));
        Placed { range: (low, high), ticks: chosen.into_iter().map(label).collect() }
    }

    /// A label.
    pub(crate) fn text(&self, value: f64) -> String {
        match self.unit {
            Unit::Nanoseconds => scaled(value, 1e3, &["ns", "µs", "ms", "s"]),
            Unit::Seconds => format!("{} s", plain(value)),
            Unit::Bytes => scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB"]),
            Unit::PerSecond => scaled(value, 1e3, &["/s", "k/s", "M/s", "G/s"]),
            Unit::Plain => plain(value),
        }
    }
}

type Choice = Box<dyn Fn(f64, f64) -> Vec<f64>>;

/// From coarse to fine: each third decade, each decade, its thirds …
fn powers_of_ten() -> Vec<Choice> {
    let sets: [&'static [f64]; 5] =
        [&[1.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0], &FIFTHS, &TENTHS];
    let wide = [3, 2].map(|step| -> Choice {
        Box::new(move |low, high| {
            let decades = (low.floor() as i32..=high.ceil() as i32).filter(|at| at % step == 0);
            decades.map(f64::from).collect()
        })
    });
    let fine = sets.map(|set| -> Choice {
        Box::new(move |low, high| {
            let decades = low.floor() as i32..=high.ceil() as i32;
            decades
                .flat_map(|decade| set.iter().map(move |step| f64::from(decade) + step.log10()))
                .collect()
        })
    });
    wide.into_iter().chain(fine).collect()
}

/// 1.0, 1.2, 1.4 … for ranges of less than a decade.
static FIFTHS: [f64; 16] =
    [1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0];

/// 1.0, 1.1, 1.2 … for ranges of a fraction of a decade.
static TENTHS: [f64; 38] = [
    1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.2, 2.4, 2.6, 2.8, 3.0, 3.2, 3.4, 3.6,
    3.8, 4.0, 4.25, 4.5, 4.75, 5.0, 5.25, 5.5, 5.75, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.25, 9.5,
    9.75,
];

fn powers_of_two() -> Vec<Choice> {
    let steps = [4, 2, 1].map(|step| -> Choice {
        Box::new(move |low, high| {
            let bits = |at: f64| at / 2f64.log10();
            let powers = bits(low).floor() as i32..=bits(high).ceil() as i32;
            powers.filter(|at| at % step == 0).map(|at| f64::from(at) * 2f64.log10()).collect()
        })
    });
    steps.into_iter().collect()
}

fn fit_percentiles(high: f64) -> Placed {
    let high = high.clamp(1.0, 12.0);
    let mut ticks = vec![(0.0, "0".to_owned()), (0.5f64.log10().abs(), "50".to_owned())];
    for nines in 1..=high.floor() as usize {
        let text = match nines {
            1 => "90".to_owned(),
            2 => "99".to_owned(),
            more => format!("99.{}", "9".repeat(more - 2)),
        };
        ticks.push((nines as f64, text));
    }
    Placed { range: (0.0, high), ticks }
}

/// With the largest unit of which there is at least one.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let (mut value, mut index) = (value, 0);
    // What is a rounding error below the next unit belongs to it.
    while value >= step * (1.0 - 1e-9) && index + 1 < units.len() {
        value /= step;
        index += 1;
    }
    format!("{} {}", plain(value), units[index])
}

/// Three digits, without zeros at the end.
fn plain(value: f64) -> String {
    let decimals = if value == 0.0 { 0 } else { (2 - value.abs().log10().floor() as i32).max(0) };
    let text = format!("{value:.*}", decimals as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, unit: Unit, values: &[f64]) -> Vec<String> {
        let placed = Axis { label: "", scale, unit }.fit(values.iter().copied());
        placed.ticks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn labels_fit_the_range() {
        let ns = |values: &[f64]| labels(Scale::Log, Unit::Nanoseconds, values);
        assert_eq!(ns(&[50.0, 2e6]), ["100 ns", "1 µs", "10 µs", "100 µs", "1 ms"]);
        assert_eq!(
            ns(&[80.0, 900.0]),
            ["100 ns", "150 ns", "200 ns", "300 ns", "400 ns", "500 ns", "700 ns"]
        );
        let bytes = labels(Scale::Log, Unit::Bytes, &[8.0, 65536.0]);
        assert_eq!(bytes, ["16 B", "64 B", "256 B", "1 KiB", "4 KiB", "16 KiB", "64 KiB"]);
        let seconds = labels(Scale::Linear, Unit::Seconds, &[2.0]);
        assert_eq!(seconds, ["0 s", "0.5 s", "1 s", "1.5 s", "2 s"]);
        let shares = labels(Scale::Percentile, Unit::Plain, &[0.9995]);
        assert_eq!(shares, ["0", "50", "90", "99", "99.9"]);
    }

    #[test]
    fn every_range_has_labels() {
        for low in 0..60 {
            for span in 0..60 {
                let low = 10f64.powf(f64::from(low) / 6.0);
                let high = low * 10f64.powf(f64::from(span) / 6.0);
                let found = labels(Scale::Log, Unit::Nanoseconds, &[low, high]);
                assert!((2..=9).contains(&found.len()), "{low} to {high}: {found:?}");
                let found = labels(Scale::Linear, Unit::Plain, &[high]);
                assert!((2..=9).contains(&found.len()), "{high}: {found:?}");
            }
        }
    }

    #[test]
    fn nothing_to_show_is_an_empty_picture_with_axes() {
        for scale in [Scale::Linear, Scale::Log, Scale::Percentile] {
            assert!(!labels(scale, Unit::Plain, &[]).is_empty());
        }
    }
}
