//! What `top -b`, `metrics`, `dump`, `graph` and `check` say, against what was sent.

mod common;

use std::process::{Output, Stdio};

use common::domain::Domain;
use common::traffic::{BYTES, DIRECT, PUBLISHED, Traffic, UNREAD};
use common::{ephapse, finish, json, refused, told};
use nix::sys::signal::Signal;
use serde_json::Value;

#[test]
fn traffic_child() {
    common::traffic::child();
}

/// The one of a list that has this value at this name.
fn one<'a>(list: &'a Value, name: &str, value: &str) -> &'a Value {
    let found: Vec<&Value> =
        list.as_array().expect("a list").iter().filter(|it| it[name] == value).collect();
    assert_eq!(found.len(), 1, "{name} {value} in {list}");
    found[0]
}

/// The one way from one to another.
fn way<'a>(model: &'a Value, from: &str, to: &str, way: &str) -> &'a Value {
    let all = model["links"].as_array().expect("a list").iter();
    let found: Vec<&Value> =
        all.filter(|it| it["from"] == from && it["to"] == to && it["way"] == way).collect();
    assert_eq!(found.len(), 1, "{from} {to} {way} in {model}");
    found[0]
}

/// The value of the one series of a metric with these labels.
fn series(metrics: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |line: &&str| {
        let labels = labels.iter().map(|(label, value)| format!("{label}=\"{value}\""));
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.into_iter().all(|label| line.contains(&label))
    };
    let found: Vec<&str> = metrics.lines().filter(fits).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?} in {metrics}");
    found[0].rsplit(' ').next().expect("a value").parse().expect("a number")
}

#[test]
fn all_agree_with_what_was_sent() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    for rounds in 1..=2 {
        traffic.round();
        let (events, bytes) = (rounds * PUBLISHED, rounds * PUBLISHED * BYTES);
        let direct = rounds * DIRECT;

        let top = json(&domain.run("top -b -n 1 --interval 0.05 --json"));
        let dump = json(&domain.run("dump --interval 0s"));
        for model in [&top, &dump["traffic"]] {
            let camera = one(&model["hubs"], "hub", "camera");
            assert_eq!(
                (&camera["sent"]["total"], &camera["sent_bytes"]["total"]),
                (&events.into(), &bytes.into())
            );
            let planner = one(&model["hubs"], "hub", "planner");
            assert_eq!(camera["direct_sent"]["total"], direct);
            assert_eq!(planner["direct_received"]["total"], direct);
            for reader in ["planner", "logger"] {
                let hub = one(&model["hubs"], "hub", reader);
                assert_eq!(
                    (&hub["received"]["total"], &hub["received_bytes"]["total"]),
                    (&events.into(), &bytes.into())
                );
                assert_eq!((&hub["missed"]["total"], &hub["behind_bytes"]), (&0.into(), &0.into()));
                let broadcast = way(model, "camera", reader, "broadcast");
                assert_eq!(broadcast["behind_bytes"], 0);
            }
            let link = way(model, "camera", "planner", "link");
            assert_eq!(
                (&link["sent"]["total"], &link["received"]["total"]),
                (&direct.into(), &direct.into())
            );
            assert_eq!(
                (&link["sent_bytes"]["total"], &link["behind_events"]),
                (&(direct * BYTES).into(), &0.into())
            );
            let subject = one(&model["subjects"], "subject", "robot.pose");
            assert_eq!(
                (&subject["sent"]["total"], &subject["sent_bytes"]["total"]),
                (&events.into(), &bytes.into())
            );
            assert_eq!(subject["publishers"], 1);
        }
        let broadcast = way(&dump["traffic"], "camera", "logger", "broadcast");
        assert!(broadcast["latency"]["p99_ns"].as_u64() > Some(0), "{broadcast}");
        let camera = one(&dump["hubs"], "name", "camera");
        assert_eq!(camera["counters"]["subject.robot.pose.sent"], events);
        let planner = one(&dump["hubs"], "name", "planner");
        assert!(
            planner["latencies"]["broadcast.camera.latency"]["count"].as_u64() > Some(0),
            "{planner}"
        );
        assert_eq!(dump["listing"]["links"][0]["acceptor"], "planner");

        metrics_agree(&domain, events, direct);
    }
}

fn metrics_agree(domain: &Domain, events: u64, direct: u64) {
    let metrics = domain.text("metrics --once");
    let whole = |name, labels: &[(&str, &str)]| series(&metrics, name, labels) as u64;
    assert_eq!(whole("ephapse_hub_events_sent_total", &[("hub", "camera")]), events);
    assert_eq!(whole("ephapse_hub_sent_bytes_total", &[("hub", "camera")]), events * BYTES);
    assert_eq!(whole("ephapse_hub_events_received_total", &[("hub", "logger")]), events);
    let subject = [("hub", "camera"), ("subject", "robot.pose")];
    assert_eq!(whole("ephapse_subject_events_sent_total", &subject), events);
    let ends = [("from", "camera"), ("to", "planner")];
    assert_eq!(whole("ephapse_link_events_sent_total", &ends), direct);
    assert_eq!(whole("ephapse_link_events_received_total", &ends), direct);
    assert_eq!(whole("ephapse_supervisor_up", &[]), 1);
    let latency = [ends[0], ends[1], ("way", "broadcast")];
    let samples = whole("ephapse_event_latency_seconds_count", &latency);
    let infinite = [latency[0], latency[1], latency[2], ("le", "+Inf")];
    assert_eq!(whole("ephapse_event_latency_seconds_bucket", &infinite), samples);
    assert!(samples > 0);
}

#[test]
fn what_nobody_has_read_is_behind() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let behind = || {
        let top = json(&domain.run("top -b -n 1 --interval 0.05 --json"));
        way(&top, "camera", "planner", "link")["behind_events"].clone()
    };
    assert_eq!(behind(), 0);
    traffic.leave_unread();
    assert_eq!(behind(), UNREAD);
    let metrics = domain.text("metrics --once");
    let ends = [("from", "camera"), ("to", "planner")];
    assert_eq!(series(&metrics, "ephapse_link_events_behind", &ends) as u64, UNREAD);
    traffic.read_all();
    assert_eq!(behind(), 0);
}

#[test]
fn rates_are_those_of_the_interval() {
    let domain = Domain::new();
    let _sub = domain.start("sub robot.> --name seer");
    let mut publisher =
        domain.command("pub robot.pose hello --rate 200 --count 1000000 --name camera");
    let _publisher = common::Running::start(&mut publisher);
    let mut rate = 0.0;
    common::wait_until("there is a rate", || {
        let top = json(&domain.run("top -b -n 1 --interval 0.3 --json"));
        let hubs = top["hubs"].as_array().expect("a list");
        let camera = hubs.iter().find(|hub| hub["hub"] == "camera");
        let seconds = top["seconds"].as_f64().expect("a number");
        assert!(seconds >= 0.3, "{top}");
        rate = camera.and_then(|camera| camera["sent"]["per_second"].as_f64()).unwrap_or(0.0);
        rate > 0.0
    });
    // However slow the machine: it is asked for 200, and catches up with what it was late.
    assert!(rate < 2000.0, "{rate}");
}

/// Its exit code and its line.
fn check(output: &Output) -> (i32, String) {
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    assert_eq!(text.lines().count(), 1, "{}", told(output));
    (output.status.code().expect("it ended by itself"), text.trim_end().to_owned())
}

#[test]
fn a_check_ends_as_monitors_expect() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let checked = |arguments: &str, code: i32, word: &str| {
        let output = domain.run(&format!("check {arguments}"));
        let (ended, line) = check(&output);
        assert_eq!(ended, code, "{arguments}: {line}");
        assert!(line.starts_with(&format!("EPHAPSE {word} - ")), "{arguments}: {line}");
        line
    };
    let line = checked("--timeout 30s", 0, "OK");
    assert!(line.contains(" | ") && line.contains("'missed'=0c;~:0"), "{line}");
    assert!(line.contains(&format!("'received'={}c", 2 * PUBLISHED)), "{line}");
    checked("--no-ask --hub camera --hub planner", 0, "OK");
    checked("--no-ask --warn sent>10", 1, "WARNING");
    let line = checked("--no-ask --warn sent>10 --crit hubs<4", 2, "CRITICAL");
    assert!(line.contains("hubs is 3 (hubs<4); sent is "), "{line}");
    checked("--no-ask --crit received/s>=1k --interval 50ms", 0, "OK");
    checked("--no-ask --warn latency.p99>0ns", 1, "WARNING");
    let line = checked("--no-ask --hub nobody", 2, "CRITICAL");
    assert!(line.contains("the hub nobody is not there"), "{line}");
    let line = checked("--warn nothing>0", 3, "UNKNOWN");
    assert!(line.contains("there are hubs, "), "{line}");
    for wrong in ["check --nothing", "--color never check --nothing", "check --interval soon"] {
        refused(&domain.run(wrong), 3);
    }
    assert_eq!(domain.run("check --help").status.code(), Some(0));
    // Nobody reads the line: the code is the same.
    let mut unread = common::Running::start(&mut domain.command("check --no-ask --crit hubs<4"));
    drop(unread.child().stdout.take());
    assert_eq!(unread.wait().code(), Some(2));
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
    let status = domain.command("check --no-ask").stdout(full).stderr(Stdio::null()).status();
    assert_eq!(status.expect("it runs").code(), Some(3));
}

#[test]
fn without_a_supervisor_that_answers() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    domain.supervisor().signal(Signal::SIGSTOP);
    let (code, line) = check(&domain.run("check --timeout 200ms"));
    assert_eq!(code, 2, "{line}");
    assert!(line.contains("does not answer within 200ms"), "{line}");
    let top = json(&domain.run("top -b -n 1 --interval 0.05 --json"));
    assert_eq!(top["supervisor"]["state"], "stopped");
    assert_eq!(one(&top["hubs"], "hub", "camera")["sent"]["total"], PUBLISHED);
    let metrics = domain.text("metrics --once");
    assert_eq!(series(&metrics, "ephapse_supervisor_up", &[]) as u64, 0);
    let dump = json(&domain.run("dump --interval 0s --timeout 200ms"));
    assert!(dump["listing"]["error"].as_str().expect("why").contains("200ms"), "{dump}");
    assert_eq!(dump["hubs"].as_array().map(Vec::len), Some(3));
    domain.text("graph --interval 0s");
    domain.supervisor().signal(Signal::SIGCONT);

    let nowhere =
        |arguments: &[&str]| finish(ephapse(arguments).env("EPHAPSE_DIR", "/nonexistent/ephapse"));
    let (code, line) = check(&nowhere(&["check"]));
    assert_eq!(code, 2, "{line}");
    let dump = json(&nowhere(&["dump", "--interval", "0s"]));
    assert!(dump["supervisor_error"].is_string() && dump["listing"].is_null(), "{dump}");
    let top = nowhere(&["top", "-n", "1", "--interval", "0.05"]);
    let top = String::from_utf8(top.stdout).expect("text");
    assert!(top.contains("supervisor: none"), "{top}");
}
