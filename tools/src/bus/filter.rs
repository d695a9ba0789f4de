//! Which events are of interest: by source, size and schema.

use std::fmt;

use ephapse::Envelope;
use ephapse::event::RAW_SCHEMA;

use crate::schema::Known;

/// All that is given must hold.
#[derive(Debug, clap::Args)]
pub(super) struct FilterArgs {
    /// Only events of this hub; can be given several times.
    #[arg(long, value_name = "HUB")]
    from: Vec<String>,

    /// Only payloads of such a size: `>1k`, `<=64KiB`, `=0`; can be given several times.
    #[arg(long, value_name = "CONDITION", value_parser = condition)]
    size: Vec<Condition>,

    /// Only events of this type: the name of one that a hub describes, a schema of 16 digits, or
    /// `raw`; can be given several times.
    #[arg(long, value_name = "TYPE", value_parser = wanted)]
    schema: Vec<Wanted>,
}

impl FilterArgs {
    /// Whether an event is of interest.
    pub(super) fn takes(&self, event: &Envelope<'_>, known: &mut Known) -> bool {
        let mut is_schema = |wanted: &Wanted| match wanted {
            Wanted::Schema(schema) => *schema == event.schema(),
            Wanted::Name(name) => {
                known.type_of(event.schema()).is_some_and(|known| known.name() == name)
            }
        };
        (self.from.is_empty() || self.from.iter().any(|hub| hub == event.source()))
            && (self.schema.is_empty() || self.schema.iter().any(&mut is_schema))
            && self.size.iter().all(|condition| condition.holds(event.bytes().len() as u64))
    }
}

/// What a size must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    relation: Relation,
    bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Condition {
    fn holds(self, bytes: u64) -> bool {
        match self.relation {
            Relation::Less => bytes < self.bytes,
            Relation::LessOrEqual => bytes <= self.bytes,
            Relation::Equal => bytes == self.bytes,
            Relation::GreaterOrEqual => bytes >= self.bytes,
            Relation::Greater => bytes > self.bytes,
        }
    }
}

/// Longer signs before those that they begin with.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::LessOrEqual),
    (">=", Relation::GreaterOrEqual),
    ("<", Relation::Less),
    (">", Relation::Greater),
    ("=", Relation::Equal),
];

/// Of 1000 and of 1024.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("B", 1),
];

fn condition(text: &str) -> Result<Condition, String> {
    let parsed = RELATIONS.iter().find_map(|(sign, relation)| {
        let size = text.trim().strip_prefix(sign)?.trim_start();
        let unit = UNITS.iter().find_map(|(name, unit)| Some((size.strip_suffix(name)?, *unit)));
        let (number, unit) = unit.unwrap_or((size, 1));
        let bytes = number.trim_end().parse::<u64>().ok()?.checked_mul(unit)?;
        Some(Condition { relation: *relation, bytes })
    });
    parsed.ok_or_else(|| {
        "expected <, <=, =, >= or > and a number of bytes, such as '>1k' or '<=64KiB'".into()
    })
}

/// A type of events.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Schema(u64),
    Name(String),
}

fn wanted(text: &str) -> Result<Wanted, String> {
    match u64::from_str_radix(text, 16) {
        _ if text == "raw" => Ok(Wanted::Schema(RAW_SCHEMA)),
        Ok(schema) if text.len() == 16 => Ok(Wanted::Schema(schema)),
        _ if text.is_empty() => Err("expected a name, 16 hexadecimal digits, or `raw`".into()),
        _ => Ok(Wanted::Name(text.to_owned())),
    }
}

/// A schema as people see it.
pub(super) struct SchemaName(pub(super) u64);

impl fmt::Display for SchemaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            RAW_SCHEMA => f.write_str("raw"),
            schema => write!(f, "schema {schema:016x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions() {
        let holds = |text, bytes| condition(text).expect("a condition").holds(bytes);
        for (text, least, most) in [
            (">1k", 1_001, u64::MAX),
            (">=1k", 1_000, u64::MAX),
            ("<1KiB", 0, 1_023),
            ("<= 2 MB", 0, 2_000_000),
            ("=7", 7, 7),
        ] {
            assert!(holds(text, least) && holds(text, most), "{text}");
            assert!(least == 0 || !holds(text, least - 1), "{text}");
            assert!(most == u64::MAX || !holds(text, most + 1), "{text}");
        }
        for text in ["", "1k", ">", ">x", "> -1", ">1.5k", "<99999999999G", "==3"] {
            assert!(condition(text).is_err(), "{text}");
        }
    }

    #[test]
    fn schemas() {
        assert_eq!(wanted("raw"), Ok(Wanted::Schema(RAW_SCHEMA)));
        assert_eq!(wanted("00000000000000ff"), Ok(Wanted::Schema(255)));
        assert_eq!(wanted("ff"), Ok(Wanted::Name("ff".into())));
        assert!(wanted("").is_err());
        assert_eq!(SchemaName(255).to_string(), "schema 00000000000000ff");
    }
}
