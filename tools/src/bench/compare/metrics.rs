//! The figures of a result that it has for each round, and its histograms.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use ephapse_plot::{Series, Times};
use serde_json::Value;

/// A figure of each round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Metric {
    /// Such as `one_way_ns_p50`, or `10k_latency_ns_p99`.
    pub(super) name: String,
    /// As with rates; times and ratios of times are the better the less they are.
    pub(super) more_is_better: bool,
}

/// All figures of the rounds of a result, also where it has several runs.
pub(super) fn rounds_of(result: &Value) -> BTreeMap<Metric, Vec<f64>> {
    let is_throughput = result["bench"] == "throughput";
    let mut found = BTreeMap::new();
    for (label, part) in parts(result) {
        let prefix = if label.is_empty() { label } else { format!("{label}_") };
        for round in part["rounds"].as_array().into_iter().flatten() {
            let mut figures = Vec::new();
            collect(round, String::new(), &mut figures);
            for (name, value) in figures {
                let more_is_better = name.ends_with("per_s") || (is_throughput && name == "ratio");
                let name = format!("{prefix}{name}");
                found.entry(Metric { name, more_is_better }).or_insert_with(Vec::new).push(value);
            }
        }
    }
    found
}

/// The histograms of a result, as series whose names begin with `name`.
pub(super) fn histograms(name: &str, result: &Value) -> Result<Vec<Series>> {
    let with = parts(result)
        .into_iter()
        .filter_map(|(label, part)| Some((label, part["histogram"].as_str()?)));
    with.map(|(label, line)| {
        let times = Times::decode(line).with_context(|| format!("the histogram of {name}"))?;
        let name = if label.is_empty() { name.to_owned() } else { format!("{name} {label}") };
        Ok(Series::new(name, times))
    })
    .collect()
}

/// The result itself, or its runs, points or processors, each with a label.
fn parts(result: &Value) -> Vec<(String, &Value)> {
    let lists = ["runs", "points", "cpus"].into_iter();
    let elements = lists.flat_map(|list| result[list].as_array().into_iter().flatten());
    let parts: Vec<(String, &Value)> = elements
        .filter(|element| element.is_object())
        .map(|element| (label(element), element))
        .collect();
    if parts.is_empty() { vec![(String::new(), result)] } else { parts }
}

/// What tells this part from the others.
fn label(part: &Value) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => text.replace('.', "_"),
        other => other.to_string(),
    };
    let fields = [("domain_hubs", "hubs"), ("size", "B"), ("rate", ""), ("cpu", "")];
    let known = fields.iter().filter(|(field, _)| !part[*field].is_null());
    known.map(|(field, unit)| text(&part[*field]) + unit).collect::<Vec<_>>().join("_")
}

fn collect(value: &Value, path: String, figures: &mut Vec<(String, f64)>) {
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            let path = if path.is_empty() { name.clone() } else { format!("{path}_{name}") };
            collect(field, path, figures);
        }
    } else if let Some(number) = value.as_f64() {
        figures.push((path, number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn figures_are_found_in_rounds_and_runs() {
        let latency = json!({"bench": "latency", "rounds": [
            {"ratio_p50": 1.5, "one_way_ns": {"p50": 60.0}},
            {"ratio_p50": 1.7, "one_way_ns": {"p50": 70.0}},
        ]});
        let metric = |name: &str, more_is_better| Metric { name: name.to_owned(), more_is_better };
        let found = rounds_of(&latency);
        assert_eq!(found[&metric("ratio_p50", false)], [1.5, 1.7]);
        assert_eq!(found[&metric("one_way_ns_p50", false)], [60.0, 70.0]);
        let load = json!({"bench": "load", "cpus": [0, 1], "runs": [
            {"rate": "2.5M", "rounds": [{"achieved_per_s": 2.0, "latency_ns": {"p99": 5.0}}]},
        ]});
        let found = rounds_of(&load);
        assert_eq!(found[&metric("2_5M_achieved_per_s", true)], [2.0]);
        assert_eq!(found[&metric("2_5M_latency_ns_p99", false)], [5.0]);
        let throughput = json!({"bench": "throughput", "rounds": [{"ratio": 3.0}]});
        assert_eq!(rounds_of(&throughput)[&metric("ratio", true)], [3.0]);
        assert!(rounds_of(&json!({"bench": "join"})).is_empty());
    }

    #[test]
    fn histograms_become_series() {
        let mut times = Times::new();
        times.record_ns(5.0);
        let line = times.encode().unwrap();
        let one = json!({"histogram": line});
        assert_eq!(histograms("a", &one).unwrap()[0].name, "a");
        let many =
            json!({"points": [{"domain_hubs": 2, "size": 8, "rate": "1k", "histogram": line}]});
        assert_eq!(histograms("a", &many).unwrap()[0].name, "a 2hubs_8B_1k");
        assert!(histograms("a", &json!({"histogram": "?"})).is_err());
        assert!(histograms("a", &json!({})).unwrap().is_empty());
    }
}
