//! How numbers are written.

use crate::peer::Wait;

/// Bytes of a message.
pub(crate) fn size(bytes: usize) -> String {
    match bytes {
        1024.. if bytes.is_multiple_of(1024) => format!("{} KiB", bytes / 1024),
        _ => format!("{bytes} B"),
    }
}

/// The unit of latencies of those that wait like this.
pub(crate) fn latency_unit(wait: Wait) -> &'static str {
    match wait {
        Wait::Spin => "ns",
        Wait::Block => "µs",
    }
}

/// A latency in that unit, without it.
pub(crate) fn latency(ns: f64, wait: Wait) -> String {
    match wait {
        Wait::Spin => thousands(ns.round() as u64),
        Wait::Block => match ns / 1e3 {
            us @ ..1000.0 => format!("{us:.1}"),
            us => thousands(us.round() as u64),
        },
    }
}

/// A time with its unit.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.1} µs", ns / 1e3),
        ..1e9 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.1} s", ns / 1e9),
    }
}

/// A power of ten ns, short.
pub(crate) fn decade(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.0} µs", ns / 1e3),
        ..1e9 => format!("{:.0} ms", ns / 1e6),
        _ => format!("{:.0} s", ns / 1e9),
    }
}

/// A power of ten, short.
pub(crate) fn power(number: f64) -> String {
    match number {
        ..1e3 => format!("{number:.0}"),
        ..1e6 => format!("{:.0} k", number / 1e3),
        _ => format!("{:.0} M", number / 1e6),
    }
}

/// Messages in a second.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        ..1e4 => thousands(per_second.round() as u64),
        ..1e6 => format!("{:.0} k", per_second / 1e3),
        ..1e7 => format!("{:.2} M", per_second / 1e6),
        _ => format!("{:.1} M", per_second / 1e6),
    }
}

/// Memory.
pub(crate) fn memory(kib: f64) -> String {
    match kib {
        ..1024.0 => format!("{kib:.0} KiB"),
        _ => format!("{:.1} MiB", kib / 1024.0),
    }
}

/// A multiple.
pub(crate) fn multiple(ratio: f64) -> String {
    match ratio {
        ..10.0 => format!("{ratio:.2}×"),
        ..100.0 => format!("{ratio:.1}×"),
        _ => format!("{}×", thousands(ratio.round() as u64)),
    }
}

/// 1,234,567
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// For HTML and SVG.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([7, 999, 1000, 1234567].map(thousands), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!([64, 1000, 1024, 65536].map(size), ["64 B", "1000 B", "1 KiB", "64 KiB"]);
        assert_eq!([950.0, 1500.0, 2.5e6, 3e9].map(time), ["950 ns", "1.5 µs", "2.5 ms", "3.0 s"]);
        assert_eq!([950.0, 65e3, 2.5e6, 48e6].map(rate), ["950", "65 k", "2.50 M", "48.0 M"]);
        assert_eq!([10.0, 1e4, 1e8, 1e9].map(decade), ["10 ns", "10 µs", "100 ms", "1 s"]);
        assert_eq!([10.0, 1e4, 1e8].map(power), ["10", "10 k", "100 M"]);
        assert_eq!([0.987, 12.34, 1234.0].map(multiple), ["0.99×", "12.3×", "1,234×"]);
        assert_eq!(latency(1234.5, Wait::Spin), "1,235");
        assert_eq!(latency(29_240.0, Wait::Block), "29.2");
        assert_eq!(escaped("<a & \"b\">"), "&lt;a &amp; &quot;b&quot;&gt;");
    }
}
