//! `ephapse stat`, whatever has become of the supervisor.

mod common;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Output;

use common::domain::{Domain, Subscriber};
use common::{Running, ephapse, finish, json, run, told};
use nix::sys::signal::Signal;
use serde_json::Value;

fn up(directory: &Path) -> Running {
    let mut supervisor = Running::start(ephapse(["up", "--json", "--dir"]).arg(directory));
    let line = supervisor.first_line();
    assert!(line.contains("listening"), "{line}");
    supervisor
}

fn stat(directory: &Path, more: &[&str]) -> Output {
    finish(ephapse(["stat", "--dir"]).arg(directory).args(more))
}

fn shown(directory: &Path) -> String {
    let output = stat(directory, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    String::from_utf8(output.stdout).expect("text")
}

fn state(directory: &Path) -> Value {
    json(&stat(directory, &["--json"]))["supervisor"]["state"].clone()
}

#[test]
fn what_hubs_and_supervisor_count() {
    let domain = Domain::new();
    let sub = domain.start("sub robot.* --name seer --raw --count 6");
    json(&domain.run("pub robot.pose here --count 5 --json"));
    let mut all = json(&domain.run("stat --json"));
    common::wait_until("all has arrived", || {
        all = json(&domain.run("stat --json"));
        all["hubs"][0]["counters"]["received"] == 5
    });
    let hubs = all["hubs"].as_array().expect("a list");
    assert_eq!(hubs.len(), 1, "{all}");
    assert_eq!((&hubs[0]["name"], &hubs[0]["pid"]), (&"seer".into(), &sub.running.id().into()));
    let path = domain.home.path().join("domain").canonicalize().expect("it exists");
    assert_eq!(hubs[0]["domain"], path.to_str().expect("text"));
    let counters = &hubs[0]["counters"];
    assert_eq!((&counters["received.bytes"], &counters["missed"]), (&20.into(), &0.into()));
    let supervisor = &all["supervisor"];
    assert_eq!(supervisor["state"], "running");
    let counters = &supervisor["counters"];
    assert_eq!((&counters["hubs"], &counters["joins"]), (&1.into(), &2.into()));
    assert_eq!(supervisor["errors"], Value::Array(vec![]));

    let text = domain.run("stat -v");
    let text = String::from_utf8(text.stdout).expect("text");
    assert!(text.contains(" runs; began ") && text.contains("seer"), "{text}");
    let row = text.lines().find(|line| line.contains(".received.bytes")).expect("a row");
    assert!(row.starts_with("seer  sub.") && row.ends_with("  20"), "{row:?}");
    let everywhere = json(&domain.run("stat --json --everywhere"));
    let found = everywhere["hubs"].as_array().expect("a list");
    assert!(found.iter().any(|hub| hub["id"] == hubs[0]["id"]), "{everywhere}");
    json(&domain.run("pub robot.pose here --json"));
    assert_eq!(sub.lines().len(), 6);
}

#[test]
fn it_is_shown_again_and_again() {
    let domain = Domain::new();
    let mut watch = Running::start(&mut domain.command("stat --json --watch 0.05"));
    let stdout = BufReader::new(watch.child().stdout.take().expect("a pipe"));
    let mut lines = stdout.lines().map(|line| line.expect("text"));
    for _ in 0..3 {
        let line: Value = serde_json::from_str(&lines.next().expect("a line")).expect("JSON");
        assert_eq!(line["supervisor"]["state"], "running");
    }
    watch.signal(Signal::SIGINT);
    assert_eq!(watch.wait().code(), Some(0));
    let mut watch = Running::start(&mut domain.command("stat --watch 100ms"));
    let sub = domain.start("sub robot.* --name seer --count 1");
    let stdout = BufReader::new(watch.child().stdout.take().expect("a pipe"));
    let rates = |line: &String| line.starts_with("seer") && line.ends_with(" 0 /s");
    assert!(stdout.lines().map(|line| line.expect("text")).any(|line| rates(&line)));
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.wait().code(), Some(0));
    json(&domain.run("pub robot.pose here --json"));
    assert_eq!(sub.lines().len(), 1);
}

#[test]
fn without_a_supervisor_that_answers() {
    let home = tempfile::tempdir().expect("a directory");
    let domain = home.path().join("domain");
    assert!(shown(&domain).contains("no supervisor runs in "));
    assert_eq!(state(&domain), Value::Null);
    let mut supervisor = up(&domain);
    let mut sub = ephapse(["sub", "robot.*", "--name", "seer"]);
    let sub = Subscriber::start(sub.env("EPHAPSE_DIR", &domain));
    // What was refused is told.
    let mut second = ephapse(["sub", "robot.*", "--name", "seer"]);
    assert_eq!(finish(second.env("EPHAPSE_DIR", &domain)).status.code(), Some(1));

    supervisor.signal(Signal::SIGSTOP);
    common::wait_until("it is stopped", || state(&domain) == "stopped");
    let text = shown(&domain);
    for expected in [" is stopped; began ", "turned away: the name seer is taken", "\nseer "] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    supervisor.signal(Signal::SIGKILL);
    assert_eq!(supervisor.wait().code(), None);
    assert_eq!(state(&domain), "gone");
    let text = shown(&domain);
    for expected in [" is gone; began ", "turned away: the name seer", "\nseer "] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let all = json(&stat(&domain, &["--json"]));
    assert_eq!(all["supervisor"]["errors"].as_array().map(Vec::len), Some(1));
    assert_eq!(all["hubs"][0]["name"], "seer");
    drop(sub);

    let mut next = up(&domain);
    assert_eq!(state(&domain), "running");
    next.signal(Signal::SIGTERM);
    assert_eq!(next.wait().code(), Some(0));
    assert_eq!(state(&domain), Value::Null);
}

#[test]
fn a_pause_that_is_none_is_refused() {
    for pause in ["0", "-1", "soon", "0.01", "10ms", "nan"] {
        let output = run(["stat", &format!("--watch={pause}")]);
        let error = common::refused(&output, 2);
        assert!(error.contains("--watch"), "{error}");
    }
}
