//! From series to lines: percentiles, and the course of time.

use crate::{Axis, Line, Panel, Scale, Series, Unit};

const LATENCY: Axis =
    Axis { label: "latency (log scale)", scale: Scale::Log, unit: Unit::Nanoseconds };

/// Intervals that a picture has room for.
const COLUMNS: usize = 120;

/// How long which share of all takes at most.
pub(crate) fn percentiles(series: &[Series]) -> Panel {
    let line = |(number, one): (usize, &Series)| {
        let count = one.times.count() as f64;
        let mut seen = 0.0;
        let mut path = Vec::new();
        for (ns, times) in one.times.each_ns() {
            // A step: from the share of those below to the share of those not above.
            path.push((seen / count, ns));
            seen += times as f64;
            path.push((seen / count, ns));
        }
        // 1/(1-1) is infinite: the longest is drawn up to half of one time.
        if let Some(last) = path.last_mut() {
            last.0 = 1.0 - 0.5 / count;
        }
        // Where 1/(1-share) is a power of ten, as far as there are so many.
        let shares = (1..12).map(|nines| 1.0 - 0.1f64.powi(nines));
        let shares = [0.5].into_iter().chain(shares);
        let shares = shares.take_while(|share| (1.0 - share) * count >= 1.0 - 1e-6);
        let marks = shares.map(|share| (share, one.times.quantile_ns(share))).collect();
        Line { series: number, path, marks }
    };
    Panel {
        title: "Latency by percentile".to_owned(),
        x: Axis { label: "percentile", scale: Scale::Percentile, unit: Unit::Plain },
        y: LATENCY,
        lines: series.iter().enumerate().map(line).collect(),
    }
}

/// What was usual, and what was worst, when; `None` if that is not known.
pub(crate) fn over_time(series: &[Series]) -> Option<Panel> {
    if series.iter().all(|one| one.intervals.len() < 2) {
        return None;
    }
    let line = |(number, one): (usize, &Series)| {
        let group = one.intervals.len().div_ceil(COLUMNS).max(1);
        let (mut path, mut marks) = (Vec::new(), Vec::new());
        for part in one.intervals.chunks(group) {
            let [first, .., last] = part else {
                let [only] = part else { continue };
                let middle = (only.start + only.length / 2).as_secs_f64();
                path.push((middle, only.times.quantile_ns(0.5)));
                marks.push((middle, only.times.max_ns()));
                continue;
            };
            let middle = (first.start + (last.start + last.length - first.start) / 2).as_secs_f64();
            let mut times = first.times.clone();
            part[1..].iter().for_each(|interval| times.add(&interval.times));
            path.push((middle, times.quantile_ns(0.5)));
            marks.push((middle, times.max_ns()));
        }
        path.retain(|point| point.1 > 0.0);
        marks.retain(|point| point.1 > 0.0);
        Line { series: number, path, marks }
    };
    Some(Panel {
        title: "Over time: median (line) and worst (marks) of each interval".to_owned(),
        x: Axis { label: "time since the start", scale: Scale::Linear, unit: Unit::Seconds },
        y: LATENCY,
        lines: series.iter().enumerate().map(line).collect(),
    })
}
