//! Numbers as people read them: times, rates, sizes, counts.

use std::time::Duration;

/// `58 ns`, `29.2 µs`, `1.04 ms`, `3.20 s`.
pub(crate) fn nanoseconds(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => scaled(ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => scaled(ns as f64 / 1e6, "ms"),
        _ => scaled(ns as f64 / 1e9, "s"),
    }
}

/// As [`nanoseconds`], for a [`Duration`].
pub(crate) fn duration(duration: Duration) -> String {
    nanoseconds(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// `812 /s`, `8.41 k/s`, `102 M/s`.
pub(crate) fn rate(per_second: f64) -> String {
    metric(per_second, "/s")
}

/// `812 B`, `64.0 KiB`, `1.00 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    scaled(value, unit)
}

/// `1 234 567`: digits in groups of three.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Decimal prefixes before `unit`.
pub(crate) fn metric(value: f64, unit: &str) -> String {
    match value {
        v if v >= 1e9 => scaled(v / 1e9, &format!("G{unit}")),
        v if v >= 1e6 => scaled(v / 1e6, &format!("M{unit}")),
        v if v >= 1e3 => scaled(v / 1e3, &format!("k{unit}")),
        v => format!("{v:.0} {unit}"),
    }
}

/// Three significant digits, but never fewer than the whole number needs.
fn scaled(value: f64, unit: &str) -> String {
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (ns, text) in [
            (0, "0 ns"),
            (58, "58 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (29_210, "29.2 µs"),
            (999_400, "999 µs"),
            (1_040_000, "1.04 ms"),
            (3_200_000_000, "3.20 s"),
        ] {
            assert_eq!(nanoseconds(ns), text);
        }
    }

    #[test]
    fn rates_and_sizes_and_counts() {
        assert_eq!(rate(812.4), "812 /s");
        assert_eq!(rate(8_412.0), "8.41 k/s");
        assert_eq!(rate(102.3e6), "102 M/s");
        assert_eq!(bytes(812), "812 B");
        assert_eq!(bytes(65_536), "64.0 KiB");
        assert_eq!(bytes(1 << 30), "1.00 GiB");
        assert_eq!(count(7), "7");
        assert_eq!(count(123_456), "123 456");
        assert_eq!(count(1_234_567), "1 234 567");
    }
}
