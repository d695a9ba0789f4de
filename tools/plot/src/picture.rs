//! A picture: title, legend, panels one below another, and a note; as SVG or PNG.

use std::sync::{Arc, OnceLock};

use plotters::drawing::IntoDrawingArea;
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, IntoFont, TextStyle, WHITE, register_font};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, fontdb};

use crate::curves::Kind;
use crate::panel::{Area, mark, stroke};
use crate::style::{FAINT, TEXT, style};
use crate::{Error, Panel, Series, curves};

/// Sizes in pixels, as they are seen.
const WIDTH: i32 = 960;
const PANEL: i32 = 400;
const TITLE: i32 = 44;
const LEGEND_ROW: i32 = 26;
const NOTE_ROW: i32 = 18;
pub(crate) const MARGIN: i32 = 20;

/// A sample of a line in the legend, and what is left between two entries.
const SAMPLE: i32 = 46;
const BETWEEN: i32 = 26;

/// The plotting library knows whole pixels only; so it draws twice as large.
const FINE: i32 = 2;

/// The generic family: browsers choose, and here it is DejaVu Sans.
const FAMILY: &str = "sans-serif";

/// In the coordinates of the plotting library.
pub(crate) fn px(pixels: i32) -> i32 {
    pixels * FINE
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Picture {
    /// On top.
    pub title: String,
    /// At the bottom, small: where and how it was measured.
    pub note: String,
    /// The names of the series, in their order.
    pub legend: Vec<String>,
    /// One below another.
    pub panels: Vec<Panel>,
}

impl Picture {
    /// The percentiles of all series, and below what they were over time, if that is known.
    pub fn of_latency(
        title: impl Into<String>,
        note: impl Into<String>,
        series: &[Series],
    ) -> Picture {
        let kind = Kind { title: "Latency", label: "latency (log scale)" };
        Picture::of_times(kind, title.into(), note.into(), series)
    }

    /// The same of gaps: times in which nothing happened.
    pub fn of_gaps(
        title: impl Into<String>,
        note: impl Into<String>,
        series: &[Series],
    ) -> Picture {
        let kind = Kind { title: "Gaps", label: "length of a gap (log scale)" };
        Picture::of_times(kind, title.into(), note.into(), series)
    }

    fn of_times(kind: Kind, title: String, note: String, series: &[Series]) -> Picture {
        let panels = [Some(curves::percentiles(kind, series)), curves::over_time(kind, series)];
        Picture {
            title,
            note,
            legend: series.iter().map(|one| one.name.clone()).collect(),
            panels: panels.into_iter().flatten().collect(),
        }
    }

    /// As SVG.
    ///
    /// # Errors
    /// When the plotting library refuses.
    pub fn svg(&self) -> Result<String, Error> {
        fonts()?;
        let (rows, notes) = (self.legend_rows(), self.note_rows());
        let above = TITLE + rows.len() as i32 * LEGEND_ROW + 8;
        let panels = self.panels.len() as i32 * PANEL;
        let height = above + panels + notes.len() as i32 * NOTE_ROW + 12;
        let mut text = String::new();
        {
            let size = (px(WIDTH) as u32, px(height) as u32);
            let whole = SVGBackend::with_string(&mut text, size).into_drawing_area();
            whole.fill(&WHITE).map_err(refused)?;
            let title = bold(self.title_size()).color(&TEXT);
            whole.draw_text(&self.title, &title, (px(MARGIN), px(14))).map_err(refused)?;
            draw_legend(&whole, &rows)?;
            let (_, rest) = whole.split_vertically(px(above));
            let (middle, _) = rest.split_vertically(px(panels));
            for (panel, area) in self.panels.iter().zip(middle.split_evenly((self.panels.len(), 1)))
            {
                panel.draw(&area, &whole)?;
            }
            let note = font(12).color(&FAINT);
            for (index, row) in notes.iter().enumerate() {
                let y = above + panels + index as i32 * NOTE_ROW;
                whole.draw_text(row, &note, (px(MARGIN), px(y))).map_err(refused)?;
            }
            whole.present().map_err(refused)?;
        }
        Ok(self.with_true_size(&text, height))
    }

    /// As PNG, two pixels for each of the SVG's.
    ///
    /// # Errors
    /// When the plotting library refuses, or the renderer.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Render(error.to_string());
        let options = usvg::Options { fontdb: render_fonts(), ..usvg::Options::default() };
        let tree = usvg::Tree::from_str(&self.svg()?, &options).map_err(|e| failed(&e))?;
        let size = tree.size().to_int_size();
        let scale = FINE as u32;
        let mut pixels = Pixmap::new(size.width() * scale, size.height() * scale)
            .ok_or_else(|| failed(&"no room for the pixels"))?;
        let larger = Transform::from_scale(scale as f32, scale as f32);
        resvg::render(&tree, larger, &mut pixels.as_mut());
        pixels.encode_png().map_err(|e| failed(&e))
    }

    /// Says how large it is to be seen, and gives it a title for those who cannot see it.
    fn with_true_size(&self, svg: &str, height: i32) -> String {
        let drawn = format!("width=\"{}\" height=\"{}\"", px(WIDTH), px(height));
        let wanted = format!("width=\"{WIDTH}\" height=\"{height}\" role=\"img\"");
        let title = format!("<title>{}</title>", escaped(&self.title));
        let sized = svg.replacen(&drawn, &wanted, 1);
        match sized.find('>') {
            Some(end) => format!("{}{title}{}", &sized[..=end], &sized[end + 1..]),
            None => sized,
        }
    }

    /// The largest size in which the title fits.
    fn title_size(&self) -> i32 {
        let fits = |size: &i32| width_in(bold(*size), &self.title) <= WIDTH - 2 * MARGIN;
        (13..=20).rev().find(fits).unwrap_or(12)
    }

    /// The entries of each row of the legend: number of the series, name, and where it begins.
    fn legend_rows(&self) -> Vec<Vec<(usize, &str, i32)>> {
        let mut rows = vec![Vec::new()];
        let mut x = MARGIN;
        for (number, name) in self.legend.iter().enumerate() {
            let width = SAMPLE + width_of(name, 14) + BETWEEN;
            if x > MARGIN && x + width - BETWEEN > WIDTH - MARGIN {
                rows.push(Vec::new());
                x = MARGIN;
            }
            if let Some(row) = rows.last_mut() {
                row.push((number, name.as_str(), x));
            }
            x += width;
        }
        rows
    }

    /// The note, broken into lines that fit.
    fn note_rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for line in self.note.lines() {
            let mut row = String::new();
            for word in line.split(' ') {
                let longer = if row.is_empty() { word.to_owned() } else { format!("{row} {word}") };
                if !row.is_empty() && width_of(&longer, 12) > WIDTH - 2 * MARGIN {
                    rows.push(std::mem::replace(&mut row, word.to_owned()));
                } else {
                    row = longer;
                }
            }
            rows.push(row);
        }
        rows
    }
}

fn draw_legend(whole: &Area<'_>, rows: &[Vec<(usize, &str, i32)>]) -> Result<(), Error> {
    let text = font(14).color(&TEXT).pos(Pos::new(HPos::Left, VPos::Center));
    for (index, row) in rows.iter().enumerate() {
        let y = TITLE + index as i32 * LEGEND_ROW + LEGEND_ROW / 2;
        for (number, name, x) in row {
            let ends = [(px(*x), px(y)), (px(x + SAMPLE - 8), px(y))];
            stroke(whole, &ends, style(*number))?;
            mark(whole, (px(x + (SAMPLE - 8) / 2), px(y)), style(*number))?;
            whole.draw_text(name, &text, (px(x + SAMPLE), px(y))).map_err(refused)?;
        }
    }
    Ok(())
}

/// The plotting library divides sizes by this.
const HEIGHT_OF_FONT: f64 = 1.24;

/// A font of so many pixels.
pub(crate) fn font(pixels: i32) -> TextStyle<'static> {
    (FAMILY, f64::from(px(pixels)) * HEIGHT_OF_FONT).into_font().into()
}

/// The same, bold.
pub(crate) fn bold(pixels: i32) -> TextStyle<'static> {
    (FAMILY, f64::from(px(pixels)) * HEIGHT_OF_FONT, FontStyle::Bold).into_font().into()
}

fn width_of(text: &str, pixels: i32) -> i32 {
    width_in(font(pixels), text)
}

fn width_in(style: TextStyle<'_>, text: &str) -> i32 {
    style.font.box_size(text).map_or(0, |(width, _)| width as i32 / FINE)
}

/// What the plotting library says when it refuses.
pub(crate) fn refused(error: impl std::fmt::Display) -> Error {
    Error::Draw(error.to_string())
}

/// The fonts with which labels are measured.
fn fonts() -> Result<(), Error> {
    static READY: OnceLock<bool> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    if *ready { Ok(()) } else { Err(Error::Draw("the font cannot be read".to_owned())) }
}

/// The same, with which they are drawn.
fn render_fonts() -> Arc<fontdb::Database> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
}

/// For XML and HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
