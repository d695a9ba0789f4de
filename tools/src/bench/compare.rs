//! `ephapse bench compare`: whether two results differ by more than their rounds differ among
//! themselves.

mod comparison;
mod metrics;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use ephapse_plot::Table as PageTable;
use serde::Serialize;
use serde_json::Value;

use self::comparison::{Comparison, ROUNDS_MIN, Verdict};
use self::metrics::{Metric, histograms, rounds_of};
use super::output::{FileArgs, ResultArgs, Story};
use crate::ui::{Stream, Table, Ui};

/// Arguments of `bench compare`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
The rounds of each result are drawn again and again, with replacement, and the medians of what was
drawn are divided: B by A. Where 95 % of these ratios are on one side of 1, the difference is more
than the rounds differ among themselves. Ratios to the floor hold also when the machine has changed
its speed between the two; times do not.

Examples:
  ephapse bench latency --rounds 20 --json > a.json; …; ephapse bench latency --rounds 20 --json > b.json
  ephapse bench compare a.json b.json
  ephapse bench compare a.json b.json --json --check 'metrics.ratio_p50.change<5%'
  ephapse bench compare a.json b.json --svg both.svg")]
pub(crate) struct CompareArgs {
    /// A result of `--json`: what was.
    #[arg(value_name = "A.json")]
    a: PathBuf,

    /// Another one of the same benchmark: what is.
    #[arg(value_name = "B.json")]
    b: PathBuf,

    #[command(flatten)]
    output: ResultArgs,

    #[command(flatten)]
    files: FileArgs,
}

#[derive(Serialize)]
struct Compared {
    bench: &'static str,
    /// Which benchmark the two are of.
    of: String,
    a: Source,
    b: Source,
    /// What was not the same for both.
    differences: Vec<String>,
    metrics: BTreeMap<String, Comparison>,
    /// In words.
    verdict: String,
}

#[derive(Serialize)]
struct Source {
    file: String,
    command: Value,
    time: Value,
}

/// Compares, and prints what came out.
pub(super) fn run(args: &CompareArgs, ui: &Ui) -> Result<ExitCode> {
    let [a, b] = [read(&args.a)?, read(&args.b)?];
    let of = a["bench"].as_str().unwrap_or_default().to_owned();
    ensure!(
        a["bench"] == b["bench"],
        "{} is of bench {}, {} of bench {}: expected two results of the same benchmark",
        args.a.display(),
        a["bench"],
        args.b.display(),
        b["bench"]
    );
    let [rounds_a, rounds_b] = [rounds_of(&a), rounds_of(&b)];
    let names: Vec<&Metric> = rounds_a.keys().filter(|name| rounds_b.contains_key(*name)).collect();
    if names.is_empty() {
        bail!("the two results have no rounds in common: nothing can be compared");
    }
    let series = [(&args.a, &a), (&args.b, &b)]
        .into_iter()
        .map(|(path, value)| histograms(&name_of(path), value))
        .collect::<Result<Vec<_>>>()?
        .concat();
    let named: Vec<String> = series.iter().map(|one| one.name.clone()).collect();
    let files = args.files.open(&named)?;
    let compare = |metric: &&Metric| {
        let values = [&rounds_a[*metric], &rounds_b[*metric]];
        (metric.name.clone(), Comparison::of(values, metric.more_is_better))
    };
    let metrics: BTreeMap<String, Comparison> = names.iter().map(compare).collect();
    let source = |path: &Path, value: &Value| Source {
        file: path.display().to_string(),
        command: value["command"].clone(),
        time: value["time"].clone(),
    };
    let result = Compared {
        bench: "compare",
        of,
        a: source(&args.a, &a),
        b: source(&args.b, &b),
        differences: differences(&a, &b),
        verdict: in_words(&metrics),
        metrics,
    };
    let code = args.output.tell(&result, ui, || print(&result, ui))?;
    files.write(&Story {
        title: format!("{} and {}", name_of(&args.a), name_of(&args.b)),
        series,
        picture: None,
        table: PageTable {
            head: HEAD.map(str::to_owned).to_vec(),
            rows: result.metrics.iter().map(row).collect(),
        },
        facts: vec![
            ("A".to_owned(), format!("{} {}", result.a.time, result.a.command)),
            ("B".to_owned(), format!("{} {}", result.b.time, result.b.command)),
            ("verdict".to_owned(), result.verdict.clone()),
        ],
        start: SystemTime::now(),
    })?;
    Ok(code)
}

fn read(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let value: Value = serde_json::from_str(&text)
        .with_context(|| format!("{} is no result of `bench … --json`", path.display()))?;
    ensure!(value["bench"].is_string(), "{} is no result of `bench … --json`", path.display());
    Ok(value)
}

fn name_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Conditions that are not the same.
fn differences(a: &Value, b: &Value) -> Vec<String> {
    let conditions = [
        "/machine/cpu",
        "/machine/kernel",
        "/versions/build",
        "/versions/rustc",
        "/placement/relation",
        "/placement/governor",
        "/cpus",
        "/wait",
        "/payload_bytes",
        "/links",
        "/hubs",
        "/path",
        "/batch",
        "/timestamps",
        "/interrupted",
    ];
    let differ = |path: &&str| {
        let [a, b] = [a.pointer(path), b.pointer(path)];
        // Of lists of results only some are plain conditions.
        let is_plain =
            |value: Option<&Value>| !value.is_some_and(|value| value.to_string().contains('{'));
        a != b && is_plain(a) && is_plain(b)
    };
    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    let line = |path: &str| {
        let name = path[1..].replace('/', ".");
        format!("{name}: {} and {}", text(a.pointer(path)), text(b.pointer(path)))
    };
    conditions.into_iter().filter(differ).map(line).collect()
}

fn in_words(metrics: &BTreeMap<String, Comparison>) -> String {
    let of = |verdict: Verdict, reference: bool| -> Vec<&str> {
        let names = metrics.iter().filter(|(_, one)| one.verdict == verdict);
        names
            .map(|(name, _)| name.as_str())
            .filter(|name| is_reference(name) == reference)
            .collect()
    };
    let (worse, better) = (of(Verdict::Worse, false), of(Verdict::Better, false));
    if !of(Verdict::TooFewRounds, false).is_empty() {
        return format!("too few rounds to tell: {ROUNDS_MIN} of each are needed (--rounds)");
    }
    let machine = [of(Verdict::Worse, true), of(Verdict::Better, true)].concat();
    let machine = match &machine[..] {
        [] => String::new(),
        names => format!("; the machine itself has changed ({}): trust ratios", names.join(", ")),
    };
    let events = match (&worse[..], &better[..]) {
        ([], []) => "no difference that these rounds show".to_owned(),
        (worse, []) => format!("B is worse: {}", worse.join(", ")),
        ([], better) => format!("B is better: {}", better.join(", ")),
        (worse, better) => {
            format!("B is worse: {}; and better: {}", worse.join(", "), better.join(", "))
        }
    };
    events + &machine
}

/// Whether a figure is of what was measured beside: it tells about the machine.
fn is_reference(name: &str) -> bool {
    name.starts_with("floor_") || name.starts_with("rtrb_")
}

const HEAD: [&str; 6] = ["figure", "A", "B", "change", "95 % of drawings", "verdict"];

fn row((name, one): (&String, &Comparison)) -> Vec<String> {
    let percent = |share: f64| format!("{:+.1} %", share * 100.0);
    let verdict = match one.verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::NoDifference => "no difference",
        Verdict::TooFewRounds => "too few rounds",
    };
    let range = format!("{} to {}", percent(one.change_low), percent(one.change_high));
    let medians = [one.a.median, one.b.median].map(|value| value.to_string());
    let [a, b] = medians;
    vec![name.clone(), a, b, percent(one.change), range, verdict.to_owned()]
}

fn print(result: &Compared, ui: &Ui) -> Result<()> {
    let (a, b) = (&result.a.file, &result.b.file);
    ui.line(Stream::Out, format_args!("medians of the rounds of {a} (A) and {b} (B)"))?;
    let mut table = Table::new(HEAD, 1);
    result.metrics.iter().for_each(|metric| table.row(row(metric)));
    ui.table(Stream::Out, table)?;
    for difference in &result.differences {
        ui.line(Stream::Out, format_args!("not the same: {difference}"))?;
    }
    ui.line(Stream::Out, ui.strong(Stream::Out, &result.verdict))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_in_words() {
        let of = |list: &[(&str, f64)]| {
            let a: Vec<f64> = (0..9).map(|n| 100.0 + f64::from(n % 3)).collect();
            let compared = list.iter().map(|(name, factor)| {
                let b = a.iter().map(|value| value * factor).collect();
                ((*name).to_owned(), Comparison::of([&a, &b], false))
            });
            in_words(&compared.collect())
        };
        assert_eq!(of(&[("p50", 1.0)]), "no difference that these rounds show");
        assert_eq!(of(&[("p50", 2.0), ("p99", 1.0)]), "B is worse: p50");
        assert_eq!(
            of(&[("p50", 1.0), ("floor_ns_p50", 2.0)]),
            "no difference that these rounds show; the machine itself has changed (floor_ns_p50): \
             trust ratios"
        );
        assert_eq!(of(&[("p50", 2.0), ("p99", 0.5)]), "B is worse: p50; and better: p99");
    }
}
