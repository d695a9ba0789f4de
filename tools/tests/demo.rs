//! `ephapse demo`: five processes that must find one another, lose nothing, and leave nothing.

mod common;

use std::fs;
use std::path::Path;

use common::{Running, children_of, ephapse, finish, json, names_in, run, told, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The supervisor, the three that send, and the one that follows.
const PROCESSES: usize = 5;

fn demo(home: &Path, arguments: &[&str]) -> std::process::Command {
    let mut command = ephapse(["demo"].iter().chain(arguments));
    command.env("TMPDIR", home);
    command
}

fn check_links(result: &Value) {
    assert_eq!(result["bench"], "demo");
    assert_eq!(result["ok"], true, "{result}");
    let links = result["links"].as_array().expect("links");
    let ends: Vec<_> =
        links.iter().map(|link| (link["from"].as_str(), link["to"].as_str())).collect();
    assert_eq!(
        ends,
        [
            (Some("sensor"), Some("planner")),
            (Some("planner"), Some("actuator")),
            (Some("actuator"), Some("planner"))
        ]
    );
    for link in links {
        assert_eq!(link["lost"], 0, "{link}");
        assert_eq!(link["repeated"], 0, "{link}");
        assert_eq!(link["events"], link["sent"], "{link}");
        let times = ["p50", "p90", "p99", "p999", "max"]
            .map(|name| link["one_way_ns"][name].as_u64().expect("a time"));
        assert!(times.is_sorted() && times[0] > 0, "{link}");
    }
}

fn check_broadcast(result: &Value) {
    let rows = result["broadcast"].as_array().expect("rows");
    let from: Vec<_> = rows.iter().map(|row| row["from"].as_str().expect("a name")).collect();
    assert_eq!(from, ["sensor", "planner", "actuator"]);
    for row in rows {
        assert_eq!(row["to"], "logger", "{row}");
        assert_eq!(row["events"], row["sent"], "{row}");
        for fault in ["lost", "repeated", "out_of_order"] {
            assert_eq!(row[fault], 0, "{row}");
        }
    }
}

/// Starts a demo that would run for long, and waits until all its processes work.
fn start_long(home: &Path) -> (Running, Vec<u32>) {
    let running = Running::start(&mut demo(home, &["--duration", "10m", "--json"]));
    let mut children = Vec::new();
    wait_until("all processes run", || {
        children = children_of(running.id());
        children.len() == PROCESSES && all_are_linked(home)
    });
    (running, children)
}

/// Whether all have joined the domain of the only run in `home`, and three are linked.
fn all_are_linked(home: &Path) -> bool {
    let [directory] = &names_in(home)[..] else {
        return false;
    };
    let domain = home.join(directory);
    let listed = run(["hubs".as_ref(), "--json".as_ref(), "--dir".as_ref(), domain.as_os_str()]);
    let listed = serde_json::from_slice::<Value>(&listed.stdout).unwrap_or_default();
    let hubs = listed["hubs"].as_array().into_iter().flatten();
    hubs.map(|hub| (hub["name"].as_str(), hub["links"].as_u64())).eq([
        (Some("actuator"), Some(1)),
        (Some("logger"), Some(0)),
        (Some("planner"), Some(2)),
        (Some("sensor"), Some(1)),
    ])
}

fn assert_nothing_left(home: &Path, children: &[u32]) {
    let left: Vec<_> =
        children.iter().filter(|id| Path::new(&format!("/proc/{id}")).exists()).collect();
    assert!(left.is_empty(), "processes are left: {left:?}");
    assert_eq!(names_in(home), [""; 0]);
}

#[test]
fn samples_this_host_and_loses_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let output = finish(&mut demo(home.path(), &["--duration", "2s", "--json"]));
    let result = json(&output);
    check_links(&result);
    check_broadcast(&result);
    for link in result["links"].as_array().expect("links") {
        assert!(link["events"].as_u64() >= Some(1000), "{link}");
    }
    for row in result["broadcast"].as_array().expect("rows") {
        assert!(row["events"].as_u64() >= Some(50), "{row}");
    }
    assert!(result["killed"].is_null(), "{result}");
    assert_eq!(names_in(home.path()), [""; 0]);
}

#[test]
fn nothing_is_lost_while_others_are_killed() {
    let home = tempfile::tempdir().expect("a directory");
    let output = finish(&mut demo(home.path(), &["--kill", "--duration", "4s", "--json"]));
    let result = json(&output);
    check_links(&result);
    check_broadcast(&result);
    let killed = result["killed"].as_array().expect("names");
    for name in ["guest", "supervisor"] {
        assert!(killed.iter().any(|killed| killed == name), "{result}");
    }
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(notes.starts_with("killed: guest\nkilled: supervisor\n"), "{notes}");
    assert_eq!(names_in(home.path()), [""; 0]);
    let output = finish(&mut demo(home.path(), &["--kill", "--duration", "1s"]));
    let error = common::refused(&output, 1);
    assert!(error.contains("--kill needs a --duration of at least 2s"), "{error}");
}

#[test]
fn its_links_are_listed() {
    let home = tempfile::tempdir().expect("a directory");
    let (running, _) = start_long(home.path());
    let domain = home.path().join(&names_in(home.path())[0]);
    let list = |json| {
        let mut command = ephapse(["links"]);
        finish(command.args(json).arg("--dir").arg(&domain))
    };
    let listed = json(&list(Some("--json")));
    assert_eq!(listed["domain"].as_str(), domain.to_str());
    let links = listed["links"].as_array().expect("links");
    let ends: Vec<_> =
        links.iter().map(|link| (link["opener"].as_str(), link["acceptor"].as_str())).collect();
    assert_eq!(ends.len(), 2);
    for pair in [("planner", "actuator"), ("sensor", "planner")] {
        assert!(ends.contains(&(Some(pair.0), Some(pair.1))), "{listed}");
    }
    assert!(links[0]["id"].as_u64() < links[1]["id"].as_u64(), "{listed}");
    let table = String::from_utf8(list(None).stdout).expect("text");
    assert!(table.starts_with("link"), "{table}");
    assert_eq!(table.lines().count(), 3, "{table}");
    running.signal(Signal::SIGINT);
    json(&running.output());
}

#[test]
fn prints_a_table() {
    let home = tempfile::tempdir().expect("a directory");
    let output = finish(&mut demo(home.path(), &["--duration", "200ms"]));
    assert!(output.status.success(), "{}", told(&output));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let head: Vec<_> = text.lines().next().expect("a head").split_whitespace().collect();
    assert_eq!(head, ["from", "to", "events", "lost", "repeated", "p50", "p99", "p99.9", "max"]);
    assert!(text.ends_with("ok: nothing lost, repeated or out of order\n"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn an_interrupt_ends_it_in_order() {
    let home = tempfile::tempdir().expect("a directory");
    let (running, children) = start_long(home.path());
    running.signal(Signal::SIGINT);
    let output = running.output();
    let result = json(&output);
    check_links(&result);
    check_broadcast(&result);
    assert_eq!(result["interrupted"], true);
    assert_nothing_left(home.path(), &children);
}

#[test]
fn a_killed_parent_takes_everything_with_it() {
    let home = tempfile::tempdir().expect("a directory");
    let (mut running, children) = start_long(home.path());
    running.signal(Signal::SIGKILL);
    running.wait();
    wait_until("the processes have gone", || {
        children.iter().all(|id| !children_of(running.id()).contains(id))
    });
    wait_until("the directory has gone", || names_in(home.path()).is_empty());
}

#[test]
fn a_killed_process_is_named() {
    for (role, mark) in [
        ("supervisor", "\0up\0"),
        ("sensor", "\0demo-role\0sensor\0"),
        ("planner", "\0demo-role\0planner\0"),
        ("actuator", "\0demo-role\0actuator\0"),
        ("logger", "\0demo-role\0logger\0"),
    ] {
        let home = tempfile::tempdir().expect("a directory");
        let (running, children) = start_long(home.path());
        let is_role = |id: &&u32| {
            let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&arguments).contains(mark)
        };
        let id = *children.iter().find(is_role).expect("it runs");
        kill(Pid::from_raw(i32::try_from(id).expect("an id")), Signal::SIGKILL).expect("it runs");
        let output = running.output();
        let error = common::refused(&output, 1);
        assert!(error.contains(&format!("the {role} has ended unexpectedly")), "{error}");
        assert!(error.contains("SIGKILL"), "{error}");
        assert_nothing_left(home.path(), &children);
    }
}
