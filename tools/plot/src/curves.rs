//! From series to lines: percentiles, and the course of time.

use crate::{Axis, Interval, Line, Panel, Scale, Series, Times, Unit};

/// Marks side by side that a picture has room for.
const COLUMNS: f64 = 90.0;

/// What the times are of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// At the beginning of a title.
    pub(crate) title: &'static str,
    /// Beside the axis.
    pub(crate) label: &'static str,
}

impl Kind {
    fn axis(self) -> Axis {
        Axis { label: self.label, scale: Scale::Log, unit: Unit::Nanoseconds }
    }
}

/// How long which share of all takes at most.
pub(crate) fn percentiles(kind: Kind, series: &[Series]) -> Panel {
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
        title: format!("{} by percentile", kind.title),
        x: Axis { label: "percentile", scale: Scale::Percentile, unit: Unit::Plain },
        y: kind.axis(),
        lines: series.iter().enumerate().map(line).collect(),
    }
}

/// What was usual, and what was worst, when; `None` if that is not known.
pub(crate) fn over_time(kind: Kind, series: &[Series]) -> Option<Panel> {
    if series.iter().all(|one| one.intervals.len() < 2) {
        return None;
    }
    let ends = series.iter().flat_map(|one| &one.intervals).map(|part| part.start + part.length);
    let column = ends.max().unwrap_or_default().as_secs_f64() / COLUMNS;
    let lines = series.iter().enumerate().flat_map(|(number, one)| course(number, one, column));
    let lines = lines.collect();
    Some(Panel {
        title: "Over time: median (line) and worst (marks) of each interval".to_owned(),
        x: Axis { label: "time since the start", scale: Scale::Linear, unit: Unit::Seconds },
        y: kind.axis(),
        lines,
    })
}

/// The lines of one series, one for each time without a pause, with a point for each column.
fn course(number: usize, series: &Series, column: f64) -> Vec<Line> {
    let middle = |part: &Interval| (part.start + part.length / 2).as_secs_f64();
    let place = |part: &Interval| (middle(part) / column) as i64;
    let mut lines = Vec::new();
    let mut ended = None;
    for parts in series.intervals.chunk_by(|one, next| place(one) == place(next)) {
        let (Some(first), Some(last)) = (parts.first(), parts.last()) else { continue };
        // A pause is longer than a column, and than what is measured after it.
        let is_pause =
            |end: f64| first.start.as_secs_f64() - end > column.max(first.length.as_secs_f64());
        if ended.is_none_or(is_pause) {
            lines.push(Line { series: number, path: Vec::new(), marks: Vec::new() });
        }
        ended = Some(end_of(last));
        let mut times = Times::new();
        parts.iter().for_each(|part| times.add(&part.times));
        let at = (middle(first) + middle(last)) / 2.0;
        if let (1.., Some(line)) = (times.count(), lines.last_mut()) {
            line.path.push((at, times.quantile_ns(0.5)));
            line.marks.push((at, times.max_ns()));
        }
    }
    lines
}

fn end_of(part: &Interval) -> f64 {
    (part.start + part.length).as_secs_f64()
}
