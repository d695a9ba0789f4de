//! How many bytes come.

use std::time::Duration;

use serde::Serialize;

use super::{Gauge, Sample};
use crate::ui::format::bytes;

/// The sizes of payloads.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    events: u64,
    bytes: u64,
    min: u64,
    max: u64,
}

/// What they amount to.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    bytes: u64,
    bytes_per_s: f64,
    size_min: Option<u64>,
    size_mean: Option<u64>,
    size_max: Option<u64>,
}

impl Gauge for Size {
    const NAME: &'static str = "bw";
    const COLUMNS: &'static [&'static str] = &["bytes", "a second", "size min", "mean", "max"];
    type Figures = Figures;

    fn add(&mut self, sample: &Sample) {
        let size = sample.bytes as u64;
        self.min = if self.events == 0 { size } else { self.min.min(size) };
        self.max = self.max.max(size);
        self.events += 1;
        self.bytes += size;
    }

    fn figures(&self, span: Duration) -> Figures {
        let some = |size: u64| (self.events > 0).then_some(size);
        let seconds = span.as_secs_f64();
        Figures {
            bytes: self.bytes,
            bytes_per_s: if seconds > 0.0 { self.bytes as f64 / seconds } else { 0.0 },
            size_min: some(self.min),
            size_mean: some(self.bytes / self.events.max(1)),
            size_max: some(self.max),
        }
    }

    fn cells(figures: &Figures) -> Vec<String> {
        let Figures { size_min, size_mean, size_max, .. } = *figures;
        let sizes = [size_min, size_mean, size_max].map(|size| size.map(bytes).unwrap_or_default());
        let sums = [bytes(figures.bytes), format!("{}/s", bytes(figures.bytes_per_s as u64))];
        sums.into_iter().chain(sizes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_add_up() {
        let mut size = Size::default();
        let nothing = size.figures(Duration::from_secs(1));
        assert_eq!((nothing.bytes, nothing.size_min), (0, None));
        for bytes in [100, 0, 500] {
            size.add(&Sample { came_ns: 0, age_ns: None, bytes });
        }
        let figures = size.figures(Duration::from_millis(500));
        let expect = Figures {
            bytes: 600,
            bytes_per_s: 1_200.0,
            size_min: Some(0),
            size_mean: Some(200),
            size_max: Some(500),
        };
        assert_eq!(figures, expect);
        assert_eq!(Size::cells(&figures), ["600 B", "1.17 KiB/s", "0 B", "200 B", "500 B"]);
    }
}
