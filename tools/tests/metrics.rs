//! `ephapse metrics` over HTTP: what it serves, and who cannot stop it.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use common::domain::Domain;
use common::traffic::{PUBLISHED, Traffic};
use common::{PATIENCE, Running, refused, told};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn traffic_child() {
    common::traffic::child();
}

/// `metrics`, and where it listens.
struct Served {
    running: Running,
    at: SocketAddr,
}

impl Served {
    fn start(domain: &Domain) -> Served {
        let mut running =
            Running::start(&mut domain.command("metrics --listen 127.0.0.1:0 --json"));
        let line: Value = serde_json::from_str(&running.first_line()).expect("JSON");
        assert_eq!(line["pid"], running.id());
        let url = line["listening"].as_str().expect("a URL");
        let at = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics"));
        Served { running, at: at.expect("a URL").parse().expect("an address") }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        stream
    }

    /// Sends this, and returns all that comes.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("text");
        response
    }

    /// The metrics.
    fn get(&self) -> String {
        let response = self.ask("GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
        let (head, body) = response.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("Content-Type: application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        body.to_owned()
    }

    /// Kilobytes of memory.
    fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.id()));
        let status = status.expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.running.id())).expect("it runs").count()
    }
}

/// Checks a text against the rules of OpenMetrics that can be checked without knowing it: families
/// are whole, names fit their types, series are there once, buckets grow.
fn check(text: &str) -> BTreeMap<String, f64> {
    let mut series = BTreeMap::new();
    let mut families = BTreeSet::new();
    let (mut family, mut kind) = (String::new(), String::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert_eq!(lines.next(), None, "the end is the end");
            return series;
        }
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name) = (words.next().expect("a word"), words.next().expect("a name"));
            let says = words.next().expect("what it says");
            match word {
                "HELP" => assert!(families.insert(name.to_owned()), "{name} comes twice"),
                "TYPE" => (family, kind) = (name.to_owned(), says.to_owned()),
                "UNIT" => assert!(name.ends_with(&format!("_{says}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (labelled, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = labelled.split_once('{').unwrap_or((labelled, "}"));
        assert!(labels.ends_with('}') && labels.matches('"').count() % 2 == 0, "{line}");
        let suffix =
            name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} in {family}"));
        let suffixes: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_sum", "_count", "_bucket"],
            _ => panic!("{kind} is no type"),
        };
        assert!(suffixes.contains(&suffix), "{line} is a {kind}");
        let value: f64 = value.parse().expect("a number");
        assert!(value >= 0.0, "{line}");
        assert_eq!(series.insert(labelled.to_owned(), value), None, "{line} comes twice");
    }
    panic!("it has no end");
}

/// The buckets of each histogram never fall, and end with all.
fn check_buckets(text: &str) {
    let mut last: Option<(String, f64)> = None;
    let mut seen = 0;
    for line in text.lines().filter(|line| line.contains("_bucket{le=\"")) {
        let (labels, value) = line.rsplit_once(' ').expect("a value");
        let value: f64 = value.parse().expect("a number");
        let (_, labels) = labels.split_once("\",").expect("more labels");
        if let Some((before, less)) = last.filter(|(before, _)| before == labels) {
            assert!(value >= less, "{before}: {line}");
        }
        last = Some((labels.to_owned(), value));
        seen += 1;
    }
    assert!(seen > 10, "{text}");
}

/// Has the parser of Prometheus's own library for Python read it, if that is wanted.
fn check_by_others(text: &str) {
    if std::env::var_os("EPHAPSE_OPENMETRICS").is_none() {
        return;
    }
    let script = "import sys\n\
                  from prometheus_client.openmetrics.parser import text_string_to_metric_families\n\
                  assert len(list(text_string_to_metric_families(sys.stdin.read()))) > 20";
    let mut python = Command::new("/usr/bin/python3");
    let mut python = Running::start(python.args(["-c", script]).stdin(Stdio::piped()));
    let mut stdin = python.child().stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.output();
    assert!(output.status.success(), "{}\n{text}", told(&output));
}

#[test]
fn what_is_served_is_openmetrics() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    let served = Served::start(&domain);
    for rounds in 1..=2 {
        traffic.round();
        let text = served.get();
        let series = check(&text);
        check_buckets(&text);
        check_by_others(&text);
        assert_eq!(
            series["ephapse_hub_events_sent_total{hub=\"camera\"}"],
            (rounds * PUBLISHED) as f64
        );
    }
    drop(traffic);
    let series = check(&served.get());
    assert!(!series.contains_key("ephapse_hub_events_sent_total{hub=\"camera\"}"));
    served.running.signal(Signal::SIGTERM);
    let mut running = served.running;
    assert_eq!(running.wait().code(), Some(0));
}

#[test]
fn names_of_metrics_stay() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let text = domain.run("metrics --once");
    assert_eq!(text.status.code(), Some(0), "{}", told(&text));
    let text = String::from_utf8(text.stdout).expect("text");
    let types: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ephapse_")).collect();
    let expected = [
        "build info",
        "supervisor_up gauge",
        "supervisor_hubs gauge",
        "supervisor_links gauge",
        "supervisor_subjects gauge",
        "supervisor_subscriptions gauge",
        "supervisor_edges gauge",
        "supervisor_epoch gauge",
        "supervisor_joins counter",
        "supervisor_leaves counter",
        "supervisor_messages counter",
        "supervisor_refusals counter",
        "supervisor_faults counter",
        "hub_events_sent counter",
        "hub_sent_bytes counter",
        "hub_events_received counter",
        "hub_received_bytes counter",
        "hub_direct_events_sent counter",
        "hub_direct_events_received counter",
        "hub_events_missed counter",
        "hub_events_unwanted counter",
        "hub_sends_full counter",
        "hub_wakeups counter",
        "hub_overtaken counter",
        "hub_subscriptions gauge",
        "hub_links gauge",
        "hub_behind_bytes gauge",
        "hub_start_time_seconds gauge",
        "hub info",
        "subject_events_sent counter",
        "subject_sent_bytes counter",
        "link_events_sent counter",
        "link_sent_bytes counter",
        "link_events_received counter",
        "link_events_behind gauge",
        "ring_written_bytes counter",
        "ring_read_bytes counter",
        "ring_behind_bytes gauge",
        "lane_suspended gauge",
        "event_latency_seconds histogram",
    ];
    assert_eq!(types, expected);
}

#[test]
fn other_requests_have_their_answers() {
    let domain = Domain::new();
    let served = Served::start(&domain);
    let answers = |request: &str, expected: &str| {
        let response = served.ask(request);
        assert!(response.starts_with(&format!("HTTP/1.1 {expected}")), "{request:?}: {response}");
        response
    };
    let head = answers("HEAD /metrics HTTP/1.1\r\n\r\n", "200");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    answers("GET / HTTP/1.0\r\n\r\n", "200");
    answers("GET /else HTTP/1.1\r\n\r\n", "404");
    answers("DELETE /metrics HTTP/1.1\r\n\r\n", "405");
    answers("POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405");
    answers("\x16\x03\x01 no HTTP\r\n\r\n", "400");
    answers(&format!("GET / HTTP/1.1\r\nA: {}", "x".repeat(8 << 10)), "431");
}

#[test]
fn slow_and_hostile_readers_are_passed_over() {
    let domain = Domain::new();
    let served = Served::start(&domain);
    check(&served.get());
    let (memory, descriptors) = (served.memory(), served.descriptors());
    // More than there are places for: who says nothing, who does not end, who does not read.
    let mut others: Vec<TcpStream> = Vec::new();
    for number in 0..200 {
        let mut stream = served.connect();
        let said: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET /metrics HTTP/1.1\r\nX: ",
            _ => b"GET /metrics HTTP/1.1\r\n\r\n",
        };
        // It may have been passed over already.
        let _ = stream.write_all(said);
        others.push(stream);
        if number % 20 == 0 {
            check(&served.get());
        }
    }
    check(&served.get());
    assert!(served.descriptors() <= descriptors + 16, "{}", served.descriptors());
    // Garbage without end.
    let mut stream = served.connect();
    let garbage = [0xff; 4096];
    let refused = (0..10_000).any(|_| stream.write_all(&garbage).is_err());
    assert!(refused, "forty megabytes were taken");
    check(&served.get());
    let grown = served.memory().saturating_sub(memory);
    assert!(grown < 4096, "{grown} KiB more");
    // The others have been told to go, or are in peace with it: nobody hangs.
    let mut ended = 0;
    for mut stream in others {
        let mut response = Vec::new();
        ended += usize::from(stream.read_to_end(&mut response).is_ok());
    }
    assert!(ended > 0);
    check(&served.get());
}

#[test]
fn it_says_when_it_cannot_listen() {
    let domain = Domain::new();
    let served = Served::start(&domain);
    let error = refused(&domain.run(&format!("metrics --listen {}", served.at)), 1);
    assert!(error.contains(&served.at.to_string()) && error.contains("--listen"), "{error}");
    refused(&domain.run("metrics --listen somewhere"), 2);
    refused(&domain.run("metrics --once --json"), 2);
    let mut noted = Running::start(&mut domain.command("metrics --listen 127.0.0.1:0"));
    let mut line = String::new();
    let stderr = noted.child().stderr.take().expect("a pipe");
    BufReader::new(stderr).read_line(&mut line).expect("text");
    assert!(line.starts_with("ephapse: metrics at http://127.0.0.1:"), "{line}");
}
