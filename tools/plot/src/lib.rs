//! Measured times, told to people and programs.
//!
//! A [`Series`] is a name with [`Times`] (a histogram, and its parts over time). Of one or several
//! series a [`Picture`] is made, as SVG or PNG; a [`Page`] with pictures, a table and facts, in one
//! HTML file; a text for plotters of histograms ([`hgrm`]); and a log of intervals ([`hlog`]).
//!
//! ```
//! use ephapse_plot::{Picture, Series, Times};
//!
//! let mut times = Times::new();
//! for ns in [80.0, 82.5, 95.0, 1200.0] {
//!     times.record_ns(ns);
//! }
//! let series = [Series::new("link", times)];
//! let picture = Picture::of_latency("One way, 32 bytes", "Linux 6.1, cores 0 and 1", &series);
//! assert!(picture.svg()?.starts_with("<svg"));
//! assert!(picture.png()?.starts_with(b"\x89PNG"));
//! # Ok::<(), ephapse_plot::Error>(())
//! ```
//!
//! Reading order: `times`, `series` (what is told); `axis`, `style`, `panel`, `curves`, `picture`
//! (how it is drawn); `page`, `hgrm`, `hlog` (other forms).

#![deny(unsafe_code)]

mod axis;
mod curves;
pub mod hgrm;
pub mod hlog;
mod page;
mod panel;
mod picture;
mod series;
mod style;
mod times;

pub use axis::{Axis, Scale, Unit};
pub use page::{Page, Table};
pub use panel::{Line, Panel};
pub use picture::Picture;
pub use series::{Interval, Series};
pub use times::{QUANTILES, Times};

/// Why something could not be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plotting library refuses.
    #[error("cannot draw: {0}")]
    Draw(String),
    /// The picture cannot be turned into pixels.
    #[error("cannot render a PNG: {0}")]
    Render(String),
    /// A histogram cannot be written or read.
    #[error("cannot encode a histogram: {0}")]
    Histogram(String),
}
