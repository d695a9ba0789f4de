//! Which events of a capture are meant, and under which subject they are published.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use ephapse::event::subject::{Pattern, check_subject};

use crate::cli::duration;

/// Which events.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Selection {
    /// Only events on subjects that match this; can be given several times.
    #[arg(long = "subject", value_name = "PATTERN")]
    patterns: Vec<Pattern>,

    /// Only events that came at this time or later: a time since the start of the capture (`90s`),
    /// or one of the clock, in UTC (`2026-01-31T12:00:00Z`).
    #[arg(long, value_name = "TIME", value_parser = Moment::from_str)]
    from: Option<Moment>,

    /// Only events that came before this time.
    #[arg(long, value_name = "TIME", value_parser = Moment::from_str)]
    to: Option<Moment>,
}

/// A time within a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    SinceStart(Duration),
    /// Since 1970.
    At(u64),
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Moment, String> {
        if let Ok(time) = humantime::parse_rfc3339_weak(text) {
            let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            return Ok(Moment::At(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)));
        }
        let expected = "expected a time since the start, such as 90s, or 2026-01-31T12:00:00Z";
        duration(text).map(Moment::SinceStart).map_err(|_| expected.into())
    }
}

/// From a time to another that does not belong to it, both since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from_ns: u64,
    to_ns: u64,
}

impl Selection {
    /// Whether events on this subject are meant.
    pub(super) fn takes(&self, subject: &str) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.matches(subject))
    }

    /// The times that are meant, in a capture that begins then.
    pub(super) fn window(&self, start_ns: u64) -> Window {
        let at = |moment: Moment| match moment {
            Moment::SinceStart(time) => {
                start_ns.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
            }
            Moment::At(ns) => ns,
        };
        Window { from_ns: self.from.map_or(0, at), to_ns: self.to.map_or(u64::MAX, at) }
    }
}

impl Window {
    pub(super) fn holds(self, ns: u64) -> bool {
        (self.from_ns..self.to_ns).contains(&ns)
    }

    /// Whether it holds some moment of these, the last among them.
    pub(super) fn overlaps(self, first_ns: u64, last_ns: u64) -> bool {
        first_ns < self.to_ns && last_ns >= self.from_ns
    }
}

/// `old=new`: two subjects, or two beginnings of subjects, `robot.>=sim.robot.>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rename {
    old: String,
    new: String,
    /// They are beginnings, each with a dot at its end, or empty.
    is_prefix: bool,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Rename, String> {
        let expected = "expected old=new, two subjects or two that end in `>`, such as a.>=b.a.>";
        let (old, new) = text.split_once('=').ok_or(expected)?;
        let parts = [old, new].map(|part| part.strip_suffix('>'));
        let (old, new, is_prefix) = match parts {
            [Some(old), Some(new)] => (old, new, true),
            [None, None] => (old, new, false),
            _ => return Err(expected.into()),
        };
        for part in [old, new] {
            let part = if is_prefix { format!("{part}x") } else { part.to_owned() };
            check_subject(&part).map_err(|error| error.to_string())?;
        }
        Ok(Rename { old: old.to_owned(), new: new.to_owned(), is_prefix })
    }
}

/// The subject to publish on: by the first that fits, else the same.
pub(super) fn renamed(renames: &[Rename], subject: &str) -> String {
    let new = renames.iter().find_map(|rename| {
        if rename.is_prefix {
            subject.strip_prefix(&rename.old).map(|rest| format!("{}{rest}", rename.new))
        } else {
            (subject == rename.old).then(|| rename.new.clone())
        }
    });
    new.unwrap_or_else(|| subject.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let moment = |text: &str| Some(text.parse().expect("a time"));
        let selection = Selection {
            from: moment("2s"),
            to: moment("1970-01-01T00:00:09Z"),
            ..Selection::default()
        };
        let s = 1_000_000_000;
        let window = selection.window(3 * s);
        assert!(!window.holds(5 * s - 1) && window.holds(5 * s));
        assert!(window.holds(9 * s - 1) && !window.holds(9 * s));
        assert!(window.overlaps(0, 5 * s) && window.overlaps(8 * s, 20 * s));
        assert!(!window.overlaps(0, 5 * s - 1) && !window.overlaps(9 * s, 9 * s));
        assert!(Selection::default().window(7).holds(u64::MAX - 1));
        assert!(["soon", "", "12:00"].iter().all(|text| text.parse::<Moment>().is_err()));
    }

    #[test]
    fn renames() {
        let rename = |text: &str| text.parse::<Rename>();
        let renames = ["a.b=x", "a.>=y.a.>", ">=all.>"].map(|text| rename(text).expect("a rename"));
        for (old, new) in [("a.b", "x"), ("a.c.d", "y.a.c.d"), ("b", "all.b")] {
            assert_eq!(renamed(&renames, old), new);
        }
        assert_eq!(renamed(&renames[..1], "b"), "b");
        for text in ["a", "a=", "=a", "a.>=b", "a=b.>", "a.*=b", "a b=c", "a>=b>=c"] {
            assert!(rename(text).is_err(), "{text}");
        }
    }
}
