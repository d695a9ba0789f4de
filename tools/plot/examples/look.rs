//! Draws pictures of made-up numbers, to look at: `cargo run -p ephapse-plot --example look DIR`.

use std::path::PathBuf;
use std::time::Duration;

use ephapse_plot::{Axis, Interval, Line, Panel, Picture, Scale, Series, Times, Unit};

/// Numbers without a pattern, the same each time.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Mostly as long as `usual` nanoseconds, now and then much longer.
fn series(name: &str, usual: f64, tail: f64, seed: u64) -> Series {
    let mut noise = Noise(seed);
    let intervals = (0..50).map(|index| {
        let mut times = Times::new();
        for _ in 0..20_000 {
            let far = (1.0 - noise.next()).powf(-tail);
            times.record_ns(usual * (0.9 + 0.2 * noise.next()) * far);
        }
        let length = Duration::from_millis(100);
        Interval { start: length * index, length, times }
    });
    Series::of_intervals(name, intervals.collect())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("say into which directory")?);
    let note = "Intel(R) Xeon(R) Processor, processors 0 and 1 (different cores of one package, one \
                L3 cache, floor 61.0 ns one way), governor unknown, Linux 6.1.0; ephapse 0.1.0 \
                (release, rustc 1.95.0), 2026-01-01T00:00:00Z\n\
                ephapse bench load --rate 10k,100k,1M,max --path broadcast";
    let all = [
        series("10k/s", 120.0, 0.45, 1),
        series("100k/s", 100.0, 0.5, 2),
        series("1M/s", 95.0, 0.62, 3),
        series("max (14.2 M/s)", 4000.0, 0.1, 4),
    ];
    let many: Vec<Series> = (0..7)
        .map(|n| series(&format!("series number {n}"), 60.0 * 1.7f64.powi(n), 0.3, n as u64 + 9))
        .collect();
    let line = |series: usize, factor: f64| {
        let points = (3..17).map(|bits| 2f64.powi(bits));
        let points = points.map(|size| (size, factor * (90.0 + size / 12.0)));
        let points: Vec<_> = points.collect();
        Line { series, path: points.clone(), marks: points }
    };
    let sizes = Panel {
        title: "Latency by size of event, 99 of 100".into(),
        x: Axis { label: "payload", scale: Scale::Log, unit: Unit::Bytes },
        y: Axis { label: "latency, p99", scale: Scale::Log, unit: Unit::Nanoseconds },
        lines: vec![line(0, 1.0), line(1, 1.4), line(2, 3.0)],
    };
    let sweep = Picture {
        title: "How size and rate change the latency of a link".into(),
        note: note.into(),
        legend: ["10k/s", "100k/s", "1M/s"].map(String::from).to_vec(),
        panels: vec![sizes],
    };
    let title = "One-way latency, 32-byte events, broadcast, spinning";
    for (name, picture) in [
        ("four", Picture::of_latency(title, note, &all)),
        ("one", Picture::of_latency(title, note, &all[..1])),
        ("seven", Picture::of_latency(title, note, &many)),
        ("sweep", sweep),
    ] {
        std::fs::write(directory.join(format!("{name}.svg")), picture.svg()?)?;
        std::fs::write(directory.join(format!("{name}.png")), picture.png()?)?;
    }
    Ok(())
}
