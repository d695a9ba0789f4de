//! Who watches costs the watched nothing, and leaves nothing behind wherever it is killed.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::domain::Domain;
use common::traffic::Traffic;
use common::{Running, children_of, json, names_in, wait_until};
use nix::sys::signal::Signal;

#[test]
fn traffic_child() {
    common::traffic::child();
}

/// What only looks.
const LOOKING: [&str; 5] = [
    "top -b -n 3 --interval 0.05",
    "metrics --once",
    "dump --no-ask --interval 20ms",
    "graph --interval 20ms",
    "check --no-ask",
];

/// How often each thread of a process has been run, and has made way: a thread that makes a system
/// call, or is woken, is run.
fn runs(process: u32) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs").flatten();
    let task = |path: &Path| {
        let status = fs::read_to_string(path.join("status")).expect("a thread");
        let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
        let times = fs::read_to_string(path.join("schedstat")).expect("a thread");
        format!("{} {times}", switches.collect::<Vec<_>>().join(" "))
    };
    tasks
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), task(&entry.path())))
        .collect()
}

/// Waits until all threads of a process have been asleep for a while: what they do once, some
/// milliseconds after the last event, has been done.
fn asleep(process: u32) -> BTreeMap<String, String> {
    let (mut last, mut since) = (runs(process), Instant::now());
    wait_until("the hubs sleep", || {
        let now = runs(process);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        since.elapsed() > Duration::from_millis(500)
    });
    last
}

/// All counters of all hubs.
fn counters(domain: &Domain) -> serde_json::Value {
    json(&domain.run("stat --json"))["hubs"].clone()
}

#[test]
fn looking_costs_the_hubs_nothing() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let before = (asleep(traffic.id()), counters(&domain));
    for arguments in LOOKING {
        let output = domain.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments}: {}", common::told(&output));
    }
    let served = Running::start(&mut domain.command("metrics --listen 127.0.0.1:0"));
    wait_until("it has looked", || {
        served.id() > 0 && domain.run("metrics --once").status.success()
    });
    drop(served);
    assert_eq!((runs(traffic.id()), counters(&domain)), before);
}

/// Descriptors of a process.
fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").count()
}

#[test]
fn killed_at_any_moment_they_leave_nothing() {
    let domain = Domain::new();
    let mut traffic = Traffic::start(&domain);
    traffic.round();
    let scratch = domain.home.path().join("scratch");
    fs::create_dir(&scratch).expect("a directory");
    let hubs = asleep(traffic.id());
    let names = names_in(&domain.path());
    let held = (descriptors(domain.supervisor().id()), descriptors(traffic.id()));
    let asking = ["dump --interval 0s", "check", "doctor"];
    for arguments in LOOKING.into_iter().chain(asking).chain(["metrics --listen 127.0.0.1:0"]) {
        for delay_us in [0, 300, 1_000, 3_000, 6_000, 10_000, 20_000, 40_000] {
            let mut command: Command = domain.command(arguments);
            command.env("TMPDIR", &scratch).env("HOME", &scratch).current_dir(&scratch);
            let mut tool = Running::start(command.stdin(Stdio::null()));
            // Sleep: the moment is arbitrary.
            std::thread::sleep(Duration::from_micros(delay_us));
            // It may have ended by itself.
            let _ = tool.child().kill();
            tool.wait();
            assert_eq!(children_of(tool.id()), Vec::<u32>::new(), "{arguments}");
        }
    }
    assert_eq!(names_in(&scratch), Vec::<String>::new());
    assert_eq!(names_in(&domain.path()), names);
    wait_until("the supervisor has let go of who has asked", || {
        descriptors(domain.supervisor().id()) == held.0
    });
    assert_eq!(descriptors(traffic.id()), held.1);
    assert_eq!(runs(traffic.id()), hubs, "the hubs were not run");
    domain.supervisor().signal(Signal::SIGCONT);
    traffic.round();
}
