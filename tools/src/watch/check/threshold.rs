//! `FIGURE>VALUE`: what somebody wants to be told of.

use anyhow::{Context, Result, bail};

use super::values::{FIGURES, Figure, Unit};

/// Whether a value is beyond a limit.
type Compare = fn(f64, f64) -> bool;

/// Longer ones first, because one begins with another.
const COMPARISONS: [(&str, Compare); 7] = [
    (">=", |value, limit| value >= limit),
    ("<=", |value, limit| value <= limit),
    ("!=", |value, limit| value != limit),
    ("==", |value, limit| value == limit),
    (">", |value, limit| value > limit),
    ("<", |value, limit| value < limit),
    ("=", |value, limit| value == limit),
];

/// What may stand behind a number, and what it stands for.
const SCALES: [(&str, f64); 8] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("B", 1.0),
    ("/s", 1.0),
];

/// One condition.
#[derive(Clone, Debug)]
pub(super) struct Threshold {
    /// As it was given.
    pub(super) text: String,
    /// The figure, with `/s` if it is a rate.
    pub(super) figure: String,
    pub(super) unit: Unit,
    pub(super) sign: &'static str,
    pub(super) limit: f64,
    compare: Compare,
}

impl Threshold {
    pub(super) fn parse(text: &str) -> Result<Threshold> {
        let at = text.find(['>', '<', '=', '!']);
        let at = at.with_context(|| format!("{text:?} is no threshold; expected FIGURE>VALUE"))?;
        let (figure, rest) = (text[..at].trim(), &text[at..]);
        let found = COMPARISONS.iter().find(|(sign, _)| rest.starts_with(sign));
        let Some((sign, compare)) = found else {
            bail!("{text:?} compares with nothing known; expected > >= < <= = or !=")
        };
        let unit = unit_of(figure)?;
        let limit = value(rest[sign.len()..].trim(), unit)
            .with_context(|| format!("{text:?} is no threshold"))?;
        let (text, figure) = (text.to_owned(), figure.to_owned());
        Ok(Threshold { text, figure, unit, sign, limit, compare: *compare })
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (self.compare)(value, self.limit)
    }

    pub(super) fn is_rate(&self) -> bool {
        self.unit == Unit::PerSecond
    }

    /// The limit as a Nagios range, outside of which there is an alert; none where a range cannot
    /// say it.
    pub(super) fn range(&self) -> String {
        let limit = self.limit;
        match self.sign {
            ">" | ">=" => format!("~:{limit}"),
            "<" | "<=" => format!("{limit}:"),
            "!=" => format!("{limit}:{limit}"),
            _ => String::new(),
        }
    }
}

fn unit_of(figure: &str) -> Result<Unit> {
    let (name, rate) = match figure.strip_suffix("/s") {
        Some(name) => (name, true),
        None => (figure, false),
    };
    let known = FIGURES.iter().find(|Figure { name: known, .. }| *known == name);
    match known {
        Some(known) if rate && known.grows => Ok(Unit::PerSecond),
        Some(_) if rate => bail!("{name} does not grow, so there is no {figure}"),
        Some(known) => Ok(known.unit),
        None => {
            let known: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
            bail!("no figure {figure:?}; there are {}", known.join(", "))
        }
    }
}

/// A number, with a scale behind it; a time where one is expected.
fn value(text: &str, unit: Unit) -> Result<f64> {
    if unit == Unit::Seconds {
        let time = humantime::parse_duration(text);
        return Ok(time
            .with_context(|| format!("expected a time such as 200us, not {text:?}"))?
            .as_secs_f64());
    }
    let scaled =
        SCALES.iter().find_map(|(suffix, scale)| Some((text.strip_suffix(suffix)?, scale)));
    let (number, scale) = scaled.map_or((text, 1.0), |(number, scale)| (number.trim(), *scale));
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number * scale),
        _ => bail!("expected a number such as 100, 10k or 1MiB, not {text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_understood() {
        let check = |text: &str, figure: &str, limit: f64, range: &str| {
            let parsed = Threshold::parse(text).expect(text);
            assert_eq!((parsed.figure.as_str(), parsed.limit), (figure, limit), "{text}");
            assert_eq!(parsed.range(), range, "{text}");
        };
        check("missed>0", "missed", 0.0, "~:0");
        check(" hubs < 2 ", "hubs", 2.0, "2:");
        check("behind>=1MiB", "behind", 1_048_576.0, "~:1048576");
        check("sent/s<10k", "sent/s", 10_000.0, "10000:");
        check("latency.p99>200us", "latency.p99", 0.0002, "~:0.0002");
        check("links!=4", "links", 4.0, "4:4");
        check("links==4", "links", 4.0, "");
    }

    #[test]
    fn what_is_not() {
        for text in [
            "",
            "missed",
            "missed>",
            "missed>much",
            ">0",
            "nothing>0",
            "hubs/s>1",
            "missed!0",
            "latency.p99>5",
            "missed>nan",
            "missed>0>1",
        ] {
            assert!(Threshold::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn comparisons_hold() {
        let holds = |text: &str, value| Threshold::parse(text).expect(text).holds(value);
        assert!(holds("hubs>1", 2.0) && !holds("hubs>1", 1.0));
        assert!(holds("hubs>=1", 1.0) && !holds("hubs>=1", 0.0));
        assert!(holds("hubs<=1", 1.0) && !holds("hubs<=1", 2.0));
        assert!(holds("hubs=1", 1.0) && !holds("hubs=1", 2.0));
        assert!(holds("hubs!=1", 2.0) && !holds("hubs!=1", 1.0));
    }
}
