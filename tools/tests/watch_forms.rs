//! The forms of what `top -b`, `dump`, `graph` and `check` print: names, tables, texts.

mod common;

use common::domain::Domain;
use common::traffic::Traffic;
use common::{json, refused, told};
use serde_json::Value;

#[test]
fn traffic_child() {
    common::traffic::child();
}

/// All names in a document, with dots between them; those below `open` are data.
fn names(value: &Value, path: &str, open: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = format!("{path}.{name}");
                found.push(path.clone());
                if !open.contains(&name.as_str()) {
                    names(value, &path, open, found);
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| names(value, path, open, found)),
        _ => {}
    }
}

fn all_names(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    names(value, "", &["counters"], &mut found);
    found.sort();
    found.dedup();
    found
}

/// The names of the counts of a row.
fn counts(row: &str, names: &[&str]) -> Vec<String> {
    let all = names
        .iter()
        .flat_map(|name| ["", ".per_second", ".total"].map(|part| format!("{row}.{name}{part}")));
    all.collect()
}

fn plain(row: &str, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{row}.{name}")).collect()
}

/// The names in a model.
fn names_of_a_model() -> Vec<String> {
    let mut expected =
        plain("", &["hubs", "links", "publications", "seconds", "subjects", "supervisor"]);
    expected.extend(counts(
        ".hubs",
        &[
            "full",
            "direct_received",
            "direct_sent",
            "missed",
            "overtaken",
            "received",
            "received_bytes",
            "sent",
            "sent_bytes",
            "unwanted",
            "woken",
        ],
    ));
    expected
        .extend(plain(".hubs", &["behind_bytes", "hub", "id", "links", "pid", "subscriptions"]));
    expected.extend(counts(
        ".links",
        &["read_bytes", "received", "sent", "sent_bytes", "written_bytes"],
    ));
    expected.extend(plain(
        ".links",
        &[
            "behind_bytes",
            "behind_events",
            "from",
            "latency",
            "latency.p50_ns",
            "latency.p99_ns",
            "latency.samples",
            "suspended",
            "to",
            "way",
        ],
    ));
    for row in [".publications", ".subjects"] {
        expected.extend(counts(row, &["sent", "sent_bytes"]));
    }
    expected.extend(plain(".publications", &["hub", "subject"]));
    expected.extend(plain(".subjects", &["publishers", "subject"]));
    expected.extend(plain(".supervisor", &["counters", "epoch", "pid", "state", "troubles"]));
    expected.sort();
    expected
}

#[test]
fn names_in_json_stay() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let top = json(&domain.run("top -b -n 1 --interval 0.05 --json"));
    let expected = names_of_a_model();
    // Nothing was on its way during the interval.
    let parts = |name: &&String| !name.starts_with(".links.latency.");
    assert_eq!(all_names(&top), expected.iter().filter(parts).cloned().collect::<Vec<_>>());

    let dump = json(&domain.run("dump --interval 0s"));
    assert_eq!(all_names(&dump["traffic"]), expected);
    let mut names: Vec<&str> =
        dump.as_object().expect("a document").keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "domain",
        "hubs",
        "limits",
        "listing",
        "machine",
        "supervisor",
        "supervisor_error",
        "taken",
        "traffic",
        "version",
    ];
    assert_eq!(names, expected);
    let graph = json(&domain.run("graph --json --interval 10ms"));
    let mut names: Vec<&str> =
        graph.as_object().expect("a document").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["domain", "hubs", "links", "publications", "seconds"]);
    let check = json(&domain.run("check --json"));
    let mut names: Vec<&str> =
        check.as_object().expect("a document").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!((names, &check["state"]), (vec!["figures", "reasons", "state"], &"OK".into()));
}

#[test]
fn plain_tables_are_for_scripts() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let all = domain.text("top -b -n 2 --interval 0.05");
    assert_eq!(all.matches("HUB ").count(), 2, "{all}");
    assert!(!all.contains('\x1b'), "{all}");
    assert_eq!(all.matches(" lane ").count(), 2, "{all}");
    let head = all.lines().next().expect("a line");
    for expected in ["supervisor: running (pid ", "hubs: 3", "links: 1", "subjects: 1"] {
        assert!(head.contains(expected), "{expected} in {head}");
    }
    let one = |arguments: &str| {
        let text = domain.text(&format!("top -n 1 --interval 0.05 {arguments}"));
        let rows: Vec<String> = text
            .lines()
            .skip(3)
            .map(|line| line.split(' ').next().expect("a name").to_owned())
            .collect();
        rows
    };
    assert_eq!(one("--view hubs --sort hub"), ["camera", "logger", "planner"]);
    assert_eq!(one("--view hubs --sort HUB --reverse"), ["planner", "logger", "camera"]);
    assert_eq!(one("--view hubs --sort subs --filter A"), ["planner", "camera"]);
    assert_eq!(one("--view hubs --filter nobody"), Vec::<String>::new());
    let wrong = domain.run("top -n 1 --view hubs --sort P99");
    assert!(refused(&wrong, 1).contains("there are HUB, "), "{}", told(&wrong));
}

/// Lines with one space where there are several, and what differs from run to run as its name.
fn snapshot(text: &str, domain: &Domain, traffic: &Traffic) -> Vec<String> {
    let numbers = [(traffic.id(), "PID"), (domain.supervisor().id(), "SUPERVISOR")];
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = text.replace(&domain.path().display().to_string(), "DOMAIN");
    let lines = named.lines().map(|line| {
        let line = numbers
            .iter()
            .fold(words(line), |line, (number, name)| line.replace(&number.to_string(), name));
        match line.split_once("run ") {
            Some((before, run)) => {
                format!("{before}run RUN{}", run.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            None => line,
        }
    });
    lines.collect()
}

#[test]
fn texts_stay() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let shown = |arguments: &str| {
        let text = domain.text(arguments);
        snapshot(&text, &domain, &traffic)
    };
    let expected = [
        "supervisor: running (pid SUPERVISOR, run RUN) hubs: 3 links: 1 subjects: 1 in DOMAIN",
        "",
        "HUB SENT/s RECV/s DIRECT/s OUT/s IN/s BEHIND MISSED FULL WOKEN/s OVERTAKEN SUBS LINKS PID",
        "camera 0 0 0 0 B 0 B 0 B 0 0 0 0 0 1 PID",
        "logger 0 0 0 0 B 0 B 0 B 0 0 0 0 1 0 PID",
        "planner 0 0 0 0 B 0 B 0 B 0 0 0 0 1 1 PID",
        "",
        "FROM TO WAY EVENTS/s BYTES/s BEHIND P50 P99",
        "camera planner link 0 0 B 0 ev - -",
        "planner camera link 0 0 B 0 ev - -",
        "camera logger broadcast - 0 B 0 B - -",
        "camera planner broadcast - 0 B 0 B - -",
        "camera planner lane - 0 B 0 B - -",
        "",
        "SUBJECT HUBS SENT/s BYTES/s SENT BYTES",
        "robot.pose 1 0 0 B 1 000 39.1 KiB",
    ];
    assert_eq!(shown("top -b -n 1 --interval 0.05"), expected);
    let expected = [
        "digraph ephapse {",
        "rankdir=LR;",
        "node [shape=box, style=rounded, fontname=\"sans-serif\"];",
        "edge [fontname=\"sans-serif\", fontsize=10];",
        "\"camera\" [label=\"camera\\n↑ 1 300 ↓ 0\"];",
        "\"logger\" [label=\"logger\\n↑ 0 ↓ 1 000\"];",
        "\"planner\" [label=\"planner\\n↑ 0 ↓ 1 300\"];",
        "\"camera\" -> \"logger\" [label=\"\", color=\"#b8860b\", style=dashed, penwidth=1.0];",
        "\"camera\" -> \"planner\" [label=\"\", color=\"#1f5fbf\", penwidth=1.0];",
        "\"camera\" -> \"planner\" [label=\"\", color=\"#1f8f5f\", penwidth=1.0];",
        "\"camera\" -> \"planner\" [label=\"\", color=\"#b8860b\", style=dashed, penwidth=1.0];",
        "\"planner\" -> \"camera\" [label=\"\", color=\"#1f5fbf\", penwidth=1.0];",
        "}",
    ];
    assert_eq!(shown("graph --format dot --interval 0s"), expected);
    let expected = "EPHAPSE OK - 3 hubs, 2 ends of links, 2 subscriptions, 2 000 events received | \
        'behind'=0B 'hubs'=3 'links'=2 'missed'=0c;~:0 'overtaken'=0c;~:0 'received'=2000c \
        'sent'=1000c 'subscriptions'=2";
    assert_eq!(shown("check --no-ask"), [expected]);
}

#[test]
fn a_graph_in_three_forms() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let svg = domain.text("graph --interval 0s");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for expected in ["camera → planner, link", "camera → logger, broadcast", ">planner</text>"]
    {
        assert!(svg.contains(expected), "{expected} in {svg}");
    }
    let dot = domain.text("graph --format dot --interval 0s");
    assert!(dot.starts_with("digraph ") && dot.contains("\"camera\" -> \"logger\" ["), "{dot}");
    let file = domain.home.path().join("plant.dot");
    let written = domain.run(&format!("graph --interval 0s -o {}", file.display()));
    assert_eq!((written.status.code(), written.stdout), (Some(0), vec![]));
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), dot);
    let failed = domain.run("graph --interval 0s -o /nonexistent/plant.svg");
    assert!(refused(&failed, 1).contains("/nonexistent/plant.svg"), "{}", told(&failed));
}
