//! A dot plot: a row for each system, a panel for each size, on a log axis.
//!
//! The row of a latency goes from p50 (dot) over p99 (ring) to p99.9 (bar); that of a throughput is
//! one dot. What is ours is blue, what runs in one process is lighter, and a line goes through all
//! rows at the floor.

use std::fmt::Write;

use super::text::escaped;

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Ours,
    Rival,
    InProcess,
}

/// One row: its name, and up to three values in ascending order for each panel.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) values: Vec<Vec<f64>>,
}

/// The whole plot.
#[derive(Clone, Debug)]
pub(super) struct Dots {
    pub(super) title: String,
    pub(super) note: String,
    /// Titles of the panels.
    pub(super) panels: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// Where the line goes through.
    pub(super) floor: Option<f64>,
    /// How a value is written on the axis.
    pub(super) label: fn(f64) -> String,
}

/// Pixels.
const LABELS: f64 = 150.0;
const PANEL: f64 = 205.0;
const GAP: f64 = 18.0;
const TOP: f64 = 86.0;
const ROW: f64 = 24.0;
const BOTTOM: f64 = 34.0;

/// Titles have room.
const NARROWEST: f64 = 820.0;

/// Decades of a panel for whose labels there is room.
const LABELLED: i32 = 4;

/// Decades of an axis, from the power of ten below the least value to the one above the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>) -> Axis {
        let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
        for value in values.filter(|value| *value > 0.0) {
            (least, most) = (least.min(value), most.max(value));
        }
        if least > most {
            return Axis { from: 0, to: 1 };
        }
        let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        Axis { from, to: to.max(from + 1) }
    }

    /// Pixels from the left end of a panel.
    fn place(self, value: f64) -> f64 {
        let part = (value.log10() - f64::from(self.from)) / f64::from(self.to - self.from);
        part.clamp(0.0, 1.0) * PANEL
    }
}

impl Dots {
    /// The file.
    pub(super) fn svg(&self) -> String {
        let width = (LABELS + self.panels.len() as f64 * (PANEL + GAP)).max(NARROWEST);
        let height = TOP + self.rows.len() as f64 * ROW + BOTTOM;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"system-ui, DejaVu Sans, sans-serif\" \
             font-size=\"12\" fill=\"#1e1e1e\">\n<rect width=\"{width}\" height=\"{height}\" \
             fill=\"white\"/>\n<text x=\"8\" y=\"22\" font-size=\"16\">{}</text>\n\
             <text x=\"8\" y=\"42\" fill=\"#5a5a5a\">{}</text>\n",
            escaped(&self.title),
            escaped(&self.note)
        );
        for (index, row) in self.rows.iter().enumerate() {
            let (x, y) = (LABELS - 10.0, middle(index) + 4.0);
            let weight = if row.kind == Kind::Ours { "bold" } else { "normal" };
            line(
                &mut svg,
                &format!(
                    "<text x=\"{x}\" y=\"{y}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>",
                    escaped(&row.name)
                ),
            );
        }
        for panel in 0..self.panels.len() {
            self.panel(&mut svg, panel);
        }
        svg + "</svg>\n"
    }

    fn panel(&self, svg: &mut String, panel: usize) {
        let values = self.rows.iter().flat_map(|row| row.values[panel].iter().copied());
        let axis = Axis::of(values.chain(self.floor));
        let left = LABELS + panel as f64 * (PANEL + GAP);
        let end = TOP + self.rows.len() as f64 * ROW;
        line(svg, &format!("<g transform=\"translate({left} 0)\">"));
        let title = escaped(&self.panels[panel]);
        line(
            svg,
            &format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{title}</text>",
                PANEL / 2.0,
                TOP - 14.0
            ),
        );
        // Labels must not meet.
        let step = (axis.to - axis.from).div_euclid(LABELLED) + 1;
        for decade in axis.from..=axis.to {
            let value = 10f64.powi(decade);
            let x = axis.place(value);
            line(svg, &format!("<path d=\"M{x:.1} {}V{end}\" stroke=\"#dedede\"/>", TOP - 4.0));
            if (decade - axis.from) % step != 0 {
                continue;
            }
            // At the ends, not into the next panel.
            let anchor = match decade {
                first if first == axis.from => "start",
                last if last == axis.to => "end",
                _ => "middle",
            };
            line(
                svg,
                &format!(
                    "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\" font-size=\"10\" \
                 fill=\"#5a5a5a\">{}</text>",
                    end + 16.0,
                    escaped(&(self.label)(value))
                ),
            );
        }
        if let Some(floor) = self.floor {
            let x = axis.place(floor);
            line(
                svg,
                &format!(
                    "<path d=\"M{x:.1} {}V{end}\" stroke=\"#d55e00\" stroke-dasharray=\"4 3\"/>",
                    TOP - 4.0
                ),
            );
        }
        for (index, row) in self.rows.iter().enumerate() {
            marks(svg, axis, middle(index), row, &row.values[panel]);
        }
        line(svg, "</g>");
    }
}

/// The middle of a row.
fn middle(index: usize) -> f64 {
    TOP + (index as f64 + 0.5) * ROW
}

fn marks(svg: &mut String, axis: Axis, y: f64, row: &Row, values: &[f64]) {
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return;
    };
    let color = match row.kind {
        Kind::Ours => "#0072b2",
        Kind::Rival => "#404040",
        Kind::InProcess => "#a0a0a0",
    };
    let (from, to) = (axis.place(first), axis.place(last));
    line(
        svg,
        &format!("<path d=\"M{from:.1} {y}H{to:.1}\" stroke=\"{color}\" stroke-width=\"1.5\"/>"),
    );
    for (number, &value) in values.iter().enumerate() {
        let x = axis.place(value);
        line(
            svg,
            &match number {
                0 => format!("<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"4.5\" fill=\"{color}\"/>"),
                1 => format!(
                    "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"3.5\" fill=\"white\" stroke=\"{color}\" \
                 stroke-width=\"1.5\"/>"
                ),
                _ => format!(
                    "<path d=\"M{x:.1} {}v10\" stroke=\"{color}\" stroke-width=\"2\"/>",
                    y - 5.0
                ),
            },
        );
    }
}

fn line(svg: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(svg, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_reach_from_below_the_least_to_above_the_greatest() {
        assert_eq!(Axis::of([35.0, 4100.0].into_iter()), Axis { from: 1, to: 4 });
        assert_eq!(Axis::of([100.0].into_iter()), Axis { from: 2, to: 3 });
        assert_eq!(Axis::of(std::iter::empty()), Axis { from: 0, to: 1 });
        let axis = Axis { from: 1, to: 3 };
        assert_eq!([10.0, 100.0, 1000.0].map(|value| axis.place(value)), [0.0, PANEL / 2.0, PANEL]);
    }

    #[test]
    fn every_row_has_its_marks_in_every_panel() {
        let row = |name: &str, kind| Row {
            name: name.to_owned(),
            kind,
            values: vec![vec![40.0, 90.0, 200.0], vec![50.0]],
        };
        let dots = Dots {
            title: "a < b".to_owned(),
            note: String::new(),
            panels: vec!["64 B".to_owned(), "1 KiB".to_owned()],
            rows: vec![row("ours", Kind::Ours), row("other", Kind::Rival)],
            floor: Some(35.0),
            label: |value| value.to_string(),
        };
        let svg = dots.svg();
        assert_eq!(svg.matches("<circle").count(), 6, "two, two, one, one\n{svg}");
        assert_eq!(svg.matches("stroke-dasharray").count(), 2, "a floor in each panel");
        assert!(svg.contains("a &lt; b") && svg.contains(">other</text>"));
    }
}
