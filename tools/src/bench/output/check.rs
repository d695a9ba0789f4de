//! Conditions on the fields of a result, for machines that watch over it.

use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::str::FromStr;

use anyhow::{Result, bail};
use serde_json::Value;

/// Fields that are named when one is unknown: more would hide them all.
const NAMED_MAX: usize = 60;

/// All that must hold.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::bench) struct Checks(Vec<Check>);

#[derive(Clone, Debug, PartialEq)]
struct Check {
    /// Names from the outermost object to the field; `*` for each element of a list.
    path: Vec<String>,
    relation: Relation,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    Unequal,
}

/// As they are written; those of two characters first.
const RELATIONS: [(&str, Relation); 7] = [
    ("<=", Relation::LessOrEqual),
    (">=", Relation::GreaterOrEqual),
    ("!=", Relation::Unequal),
    ("==", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::Greater),
    ("=", Relation::Equal),
];

/// What may follow a number, and what it stands for: times are in nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("k", 1e3),
    ("M", 1e6),
    ("%", 1e-2),
];

impl Relation {
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Relation::Less => value < limit,
            Relation::LessOrEqual => value <= limit,
            Relation::Greater => value > limit,
            Relation::GreaterOrEqual => value >= limit,
            Relation::Equal => value == limit,
            Relation::Unequal => value != limit,
        }
    }
}

impl FromStr for Checks {
    type Err = String;

    fn from_str(text: &str) -> Result<Checks, String> {
        text.split(',').map(check).collect::<Result<_, _>>().map(Checks)
    }
}

fn check(text: &str) -> Result<Check, String> {
    let expected = || format!("`{text}` is no condition; expected FIELD<NUMBER, or <= > >= = !=");
    let at = text.find(['<', '>', '=', '!']).ok_or_else(expected)?;
    let (field, rest) = text.split_at(at);
    let (sign, relation) =
        *RELATIONS.iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(expected)?;
    let limit = number(rest[sign.len()..].trim()).ok_or_else(expected)?;
    let path: Vec<String> = field.trim().split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(expected());
    }
    Ok(Check { path, relation, limit })
}

fn number(text: &str) -> Option<f64> {
    if let Ok(truth) = text.parse::<bool>() {
        return Some(f64::from(u8::from(truth)));
    }
    let split = |(unit, factor): &(&str, f64)| Some((text.strip_suffix(unit)?.trim(), *factor));
    let (digits, factor) = UNITS.iter().find_map(split).unwrap_or((text, 1.0));
    let number = digits.parse::<f64>().ok()? * factor;
    number.is_finite().then_some(number)
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = RELATIONS.iter().find(|(_, relation)| *relation == self.relation);
        write!(f, "{}{}{}", self.path.join("."), sign.map_or("", |sign| sign.0), self.limit)
    }
}

impl Checks {
    /// What does not hold, and by how much.
    ///
    /// # Errors
    /// When the result has no such field; names those that it has.
    pub(in crate::bench) fn failures(&self, result: &Value) -> Result<Vec<String>> {
        let mut failures = Vec::new();
        for check in &self.0 {
            let mut found = Vec::new();
            find(result, &check.path, String::new(), &mut found);
            if found.is_empty() {
                let path = check.path.join(".");
                bail!("--check: no number is called `{path}` here; there are {}", fields(result));
            }
            for (path, value) in found {
                if !check.relation.holds(value, check.limit) {
                    failures.push(check.failure(&path, value));
                }
            }
        }
        Ok(failures)
    }
}

impl Check {
    fn failure(&self, path: &str, value: f64) -> String {
        let away = (value - self.limit).abs();
        let share = match self.limit {
            0.0 => String::new(),
            limit => format!(", {:.1} %", 100.0 * away / limit.abs()),
        };
        format!("{self} does not hold: {path} is {value}, off by {}{share}", short(away))
    }
}

/// Without digits that only come from subtracting.
fn short(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// The numbers, or truths, that a path leads to.
fn find(value: &Value, path: &[String], so_far: String, found: &mut Vec<(String, f64)>) {
    let Some((name, rest)) = path.split_first() else {
        found.extend(as_number(value).map(|number| (so_far, number)));
        return;
    };
    let below = |name: &str| match so_far.as_str() {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Array(elements) if name == "*" => {
            for (index, element) in elements.iter().enumerate() {
                find(element, rest, below(&index.to_string()), found);
            }
        }
        Value::Array(elements) => {
            if let Some(element) = name.parse().ok().and_then(|index: usize| elements.get(index)) {
                find(element, rest, below(name), found);
            }
        }
        Value::Object(fields) => {
            if let Some(field) = fields.get(name) {
                find(field, rest, below(name), found);
            }
        }
        _ => {}
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        other => other.as_f64(),
    }
}

/// All that a condition could name.
fn fields(result: &Value) -> String {
    let mut names = BTreeSet::new();
    collect(result, String::new(), &mut names);
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut text = names.into_iter().take(NAMED_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

fn collect(value: &Value, path: String, names: &mut BTreeSet<String>) {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, field)| collect(field, below(name), names));
        }
        Value::Array(elements) => {
            elements.iter().for_each(|element| collect(element, below("*"), names));
        }
        other if as_number(other).is_some() => {
            names.insert(path);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn failures(checks: &str) -> Vec<String> {
        let result = json!({
            "bench": "load", "lost": 0, "ratio_p50": 1.25, "met": true,
            "runs": [{"latency_ns": {"p99": 900.0}}, {"latency_ns": {"p99": 52_000.0}}],
        });
        checks
            .parse::<Checks>()
            .unwrap()
            .failures(&result)
            .unwrap_or_else(|error| vec![error.to_string()])
    }

    #[test]
    fn what_holds_is_silent() {
        for holds in [
            "lost=0",
            "ratio_p50<1.5",
            "ratio_p50<=1.25,ratio_p50>=1.25,ratio_p50!=2,ratio_p50>120%",
            "met=true",
            "runs.*.latency_ns.p99<1ms",
            "runs.1.latency_ns.p99 > 50us",
            "runs.0.latency_ns.p99==900ns",
        ] {
            assert_eq!(failures(holds), [""; 0], "{holds}");
        }
    }

    #[test]
    fn what_does_not_hold_is_told_with_the_distance() {
        assert_eq!(
            failures("lost>0,ratio_p50<1,met=false"),
            [
                "lost>0 does not hold: lost is 0, off by 0",
                "ratio_p50<1 does not hold: ratio_p50 is 1.25, off by 0.25, 25.0 %",
                "met==0 does not hold: met is 1, off by 1",
            ]
        );
        assert_eq!(
            failures("runs.*.latency_ns.p99<1us"),
            ["runs.*.latency_ns.p99<1000 does not hold: runs.1.latency_ns.p99 is 52000, off by \
              51000, 5100.0 %"]
        );
    }

    #[test]
    fn unknown_fields_are_refused_with_those_that_there_are() {
        for unknown in ["p99<1", "runs.7.latency_ns.p99<1", "bench=1", "runs<1", "lost.x=0"] {
            let told = failures(unknown).join("");
            assert!(
                told.contains("there are lost, met, ratio_p50, runs.*.latency_ns.p99"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for bad in
            ["", "lost", "lost=", "=0", "lost=many", "lost~0", "lost=0,", "a..b=1", "p<1h", "p<inf"]
        {
            assert!(bad.parse::<Checks>().unwrap_err().contains("expected FIELD<NUMBER"), "{bad}");
        }
    }
}
