//! One pair of axes with lines in it.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon};
use plotters::prelude::{Cartesian2d, DrawingArea, SVGBackend};
use plotters::style::{Color, ShapeStyle, WHITE};

use crate::axis::Placed;
use crate::picture::{MARGIN, bold, font, px, refused};
use crate::style::{FAINT, GRID, Mark, Style, TEXT, style};
use crate::{Axis, Error};

/// A line, and the marks on it.
#[derive(Clone, Debug, Default)]
pub struct Line {
    /// Which series it belongs to: its place in the legend, and so its looks.
    pub series: usize,
    /// Joined in this order; empty for marks alone.
    pub path: Vec<(f64, f64)>,
    /// Where the mark of the series stands.
    pub marks: Vec<(f64, f64)>,
}

/// A pair of axes with lines in it.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What is to be seen.
    pub title: String,
    /// To the right.
    pub x: Axis,
    /// Upwards.
    pub y: Axis,
    /// What is drawn.
    pub lines: Vec<Line>,
}

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Placed, Placed>>;

impl Panel {
    /// Draws it into `area`, which is a part of `whole`.
    pub(crate) fn draw(&self, area: &Area<'_>, whole: &Area<'_>) -> Result<(), Error> {
        let points = || self.lines.iter().flat_map(|line| line.path.iter().chain(&line.marks));
        let x = self.x.fit(points().map(|point| point.0));
        let y = self.y.fit(points().map(|point| point.1));
        let chart = self.axes(area, x, y)?;
        let at = |&(right, up): &(f64, f64)| {
            chart.backend_coord(&(self.x.place(right), self.y.place(up)))
        };
        for line in &self.lines {
            let path: Vec<(i32, i32)> = line.path.iter().map(at).collect();
            stroke(whole, &thinned(&path), style(line.series))?;
        }
        // Marks lie above all lines.
        for line in &self.lines {
            for point in line.marks.iter().map(at) {
                mark(whole, point, style(line.series))?;
            }
        }
        Ok(())
    }

    fn axes<'a, 'b>(
        &self,
        area: &'a Area<'b>,
        x: Placed,
        y: Placed,
    ) -> Result<Chart<'a, 'b>, Error> {
        let title = bold(15).color(&TEXT);
        area.draw_text(&self.title, &title, (px(MARGIN), px(8))).map_err(refused)?;
        let (columns, rows) = (x.ticks.len(), y.ticks.len());
        let mut chart = ChartBuilder::on(area)
            .margin_left(px(MARGIN))
            .margin_right(px(44))
            .margin_top(px(34))
            .margin_bottom(px(14))
            .x_label_area_size(px(50))
            .y_label_area_size(px(84))
            .build_cartesian_2d(x, y)
            .map_err(refused)?;
        chart
            .configure_mesh()
            .axis_style(ShapeStyle { color: FAINT.to_rgba(), filled: false, stroke_width: 2 })
            .bold_line_style(ShapeStyle { color: GRID.to_rgba(), filled: false, stroke_width: 2 })
            .light_line_style(WHITE.mix(0.0))
            .label_style(font(14).color(&TEXT))
            .axis_desc_style(font(14).color(&TEXT))
            .set_all_tick_mark_size(px(5))
            .x_labels(columns)
            .y_labels(rows)
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .draw()
            .map_err(refused)?;
        Ok(chart)
    }
}

/// Draws a line with its dashes.
pub(crate) fn stroke(area: &Area<'_>, path: &[(i32, i32)], style: Style) -> Result<(), Error> {
    let look = style.color.stroke_width(px(2) as u32);
    for part in dashed(path, style.dashes) {
        area.draw(&PathElement::new(part, look)).map_err(refused)?;
    }
    Ok(())
}

/// Without what nobody sees: points that are less than a pixel from the last one that is kept.
fn thinned(path: &[(i32, i32)]) -> Vec<(i32, i32)> {
    let mut kept: Vec<(i32, i32)> = Vec::new();
    for (index, &(x, y)) in path.iter().enumerate() {
        let is_near =
            kept.last().is_some_and(|last| (x - last.0).abs() + (y - last.1).abs() < px(1));
        if !is_near || index + 1 == path.len() {
            kept.push((x, y));
        }
    }
    kept
}

/// The parts of a line that are drawn.
fn dashed(path: &[(i32, i32)], dashes: &[f64]) -> Vec<Vec<(i32, i32)>> {
    if dashes.is_empty() {
        return if path.len() > 1 { vec![path.to_vec()] } else { Vec::new() };
    }
    let length = |index: usize| dashes[index % dashes.len()] * f64::from(px(1));
    let (mut index, mut left, mut parts) = (0, length(0), Vec::new());
    let mut part: Vec<(i32, i32)> = path.first().copied().into_iter().collect();
    for ends in path.windows(2) {
        let [from, to] = [ends[0], ends[1]].map(|(x, y)| (f64::from(x), f64::from(y)));
        let whole = (to.0 - from.0).hypot(to.1 - from.1);
        let mut done = 0.0;
        while whole - done > left {
            done += left;
            let share = done / whole;
            let at = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            let at = (at.0.round() as i32, at.1.round() as i32);
            part.push(at);
            // Drawn and left out in turn.
            if index % 2 == 0 {
                parts.push(std::mem::take(&mut part));
            }
            part = vec![at];
            index += 1;
            left = length(index);
        }
        left -= whole - done;
        part.push(ends[1]);
    }
    if index % 2 == 0 && part.len() > 1 {
        parts.push(part);
    }
    parts
}

/// Draws a mark, with a white edge where it is filled.
pub(crate) fn mark(area: &Area<'_>, (x, y): (i32, i32), style: Style) -> Result<(), Error> {
    let full = style.color.filled();
    let edge = WHITE.stroke_width(px(1) as u32);
    let r = px(4);
    let line = style.color.stroke_width(px(2) as u32);
    let polygon = |points: Vec<(i32, i32)>| -> Result<(), Error> {
        let mut outline = points.clone();
        outline.push(points[0]);
        area.draw(&Polygon::new(points, full)).map_err(refused)?;
        area.draw(&PathElement::new(outline, edge)).map_err(refused)
    };
    match style.mark {
        Mark::Circle => {
            area.draw(&Circle::new((x, y), r, full)).map_err(refused)?;
            area.draw(&Circle::new((x, y), r, edge)).map_err(refused)
        }
        Mark::Square => {
            polygon(vec![(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)])
        }
        Mark::Triangle => polygon(vec![(x, y - r - 2), (x + r + 1, y + r), (x - r - 1, y + r)]),
        Mark::Diamond => {
            let r = r + 3;
            polygon(vec![(x, y - r), (x + r, y), (x, y + r), (x - r, y)])
        }
        Mark::Cross => {
            let cross = [[(x - r, y - r), (x + r, y + r)], [(x - r, y + r), (x + r, y - r)]];
            cross.into_iter().try_for_each(|ends| {
                area.draw(&PathElement::new(ends.to_vec(), line)).map_err(refused)
            })
        }
        Mark::Bar => {
            let bar = vec![(x, y - r - 2), (x, y + r + 2)];
            area.draw(&PathElement::new(bar, line)).map_err(refused)
        }
        Mark::Ring => {
            area.draw(&Circle::new((x, y), r, WHITE.filled())).map_err(refused)?;
            area.draw(&Circle::new((x, y), r, line)).map_err(refused)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_their_share_of_a_line() {
        let path: Vec<(i32, i32)> = (0..=1000).step_by(7).map(|x| (x, 0)).collect();
        assert_eq!(dashed(&path, &[]), std::slice::from_ref(&path));
        let parts = dashed(&path, &[10.0, 30.0]);
        let drawn: i32 = parts.iter().map(|part| part[part.len() - 1].0 - part[0].0).sum();
        assert!((drawn - 250).abs() <= 2 * px(10), "{drawn} of 1000");
        assert!(dashed(&[(3, 3)], &[]).is_empty() && dashed(&[], &[4.0, 4.0]).is_empty());
    }
}
