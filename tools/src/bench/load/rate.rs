//! How many events per second: `10k`, `2.5M`, `max`.

use std::str::FromStr;

/// More than any processor sends.
const RATE_MAX: f64 = 1e9;

/// A rate, as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bench) struct Rate {
    /// As it was written.
    pub(in crate::bench) name: String,
    /// Events per second; `None` for as many as go.
    pub(in crate::bench) per_s: Option<f64>,
}

impl Rate {
    /// For people: `10k/s`, `max`.
    pub(in crate::bench) fn label(&self) -> String {
        label(&self.name)
    }
}

/// The same, of its name.
pub(super) fn label(name: &str) -> String {
    if name == "max" { name.to_owned() } else { format!("{name}/s") }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let name = text.trim().to_owned();
        if name == "max" {
            return Ok(Rate { name, per_s: None });
        }
        let units = [("k", 1e3), ("K", 1e3), ("M", 1e6)];
        let split = |(unit, factor): &(&str, f64)| Some((name.strip_suffix(unit)?, *factor));
        let (digits, factor) = units.iter().find_map(split).unwrap_or((&name, 1.0));
        match digits.parse::<f64>() {
            Ok(number) if (1.0..=RATE_MAX).contains(&(number * factor)) => {
                Ok(Rate { per_s: Some(number * factor), name })
            }
            _ => Err(format!(
                "`{text}` is no rate; expected events per second such as 250, 10k, 2.5M, or max"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read() {
        let per_s = |text: &str| text.parse::<Rate>().map(|rate| rate.per_s);
        assert_eq!(per_s("250"), Ok(Some(250.0)));
        assert_eq!(per_s("10k"), Ok(Some(10_000.0)));
        assert_eq!(per_s(" 2.5M"), Ok(Some(2_500_000.0)));
        assert_eq!(per_s("max"), Ok(None));
        for bad in ["", "0", "-1", "10G", "fast", "k", "0.5", "2000M", "NaN", "inf"] {
            assert!(per_s(bad).unwrap_err().contains("such as 250"), "{bad}");
        }
    }
}
