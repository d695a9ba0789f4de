//! How series are told apart: by colour, by dashes and by marks, so that each alone suffices.

use plotters::style::RGBColor;

/// The shape of a mark.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Bar,
    Ring,
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) color: RGBColor,
    /// Pixels drawn and left out in turn; nothing for a line without gaps.
    pub(crate) dashes: &'static [f64],
    pub(crate) mark: Mark,
}

/// The palette of Okabe and Ito, in an order in which neighbours differ in grey too. Its yellow is
/// too light on paper.
const STYLES: [Style; 7] = [
    Style { color: RGBColor(0, 114, 178), dashes: &[], mark: Mark::Circle },
    Style { color: RGBColor(230, 159, 0), dashes: &[10.0, 4.0], mark: Mark::Square },
    Style { color: RGBColor(0, 0, 0), dashes: &[2.0, 3.0], mark: Mark::Triangle },
    Style { color: RGBColor(213, 94, 0), dashes: &[12.0, 3.0, 2.0, 3.0], mark: Mark::Diamond },
    Style { color: RGBColor(86, 180, 233), dashes: &[18.0, 5.0], mark: Mark::Cross },
    Style { color: RGBColor(0, 158, 115), dashes: &[5.0, 5.0], mark: Mark::Bar },
    Style {
        color: RGBColor(204, 121, 167),
        dashes: &[8.0, 3.0, 2.0, 3.0, 2.0, 3.0],
        mark: Mark::Ring,
    },
];

/// The style of the series with this number; after the last one it begins again.
pub(crate) fn style(number: usize) -> Style {
    STYLES[number % STYLES.len()]
}

pub(crate) const TEXT: RGBColor = RGBColor(30, 30, 30);
pub(crate) const FAINT: RGBColor = RGBColor(90, 90, 90);
pub(crate) const GRID: RGBColor = RGBColor(222, 222, 222);
