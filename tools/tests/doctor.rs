//! `ephapse doctor`, on what is well and what is not.

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use common::domain::Domain;
use common::{ephapse, finish, told};
use nix::sys::signal::Signal;
use serde_json::Value;

fn doctor(directory: &Path, more: &[&str]) -> Output {
    finish(ephapse(["doctor", "--dir"]).arg(directory).args(more))
}

/// Its exit code, and what it has found about something.
fn found(directory: &Path, what: &str) -> (i32, Value) {
    let output = doctor(directory, &["--json", "--timeout", "300ms"]);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", told(&output)));
    let findings = report["findings"].as_array().expect("a list");
    let found = findings.iter().find(|finding| finding["what"] == what).cloned();
    let problems = findings.iter().any(|finding| finding["state"] == "problem");
    assert_eq!(report["state"] == "problem", problems, "{report}");
    (output.status.code().expect("it ended by itself"), found.unwrap_or(Value::Null))
}

/// It is a problem, and the advice says this.
fn is_problem(directory: &Path, what: &str, seen: &str, advice: &str) {
    let (code, finding) = found(directory, what);
    assert_eq!((code, &finding["state"]), (1, &"problem".into()), "{finding}");
    let says =
        |name: &str, part: &str| finding[name].as_str().is_some_and(|text| text.contains(part));
    assert!(says("seen", seen) && says("advice", advice), "{finding}");
}

#[test]
fn all_is_well() {
    let domain = Domain::new();
    let output = doctor(&domain.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let text = String::from_utf8(output.stdout).expect("text");
    for expected in [
        "kernel ",
        "sealed memory ",
        "membarrier ",
        "pidfd ",
        "descriptors ",
        "directory ",
        "supervisor ",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with("ok       ") && line.contains(expected)),
            "{expected}: {text}"
        );
    }
    assert!(text.contains("answers within "), "{text}");
    assert!(text.ends_with("warnings\n") && text.contains("\n0 problems, "), "{text}");
    let quiet = doctor(&domain.path(), &["-q"]);
    assert!(!String::from_utf8(quiet.stdout).expect("text").contains("ok  "));
    let report: Value =
        serde_json::from_slice(&doctor(&domain.path(), &["--json"]).stdout).expect("JSON");
    let mut names: Vec<&str> =
        report["findings"][0].as_object().expect("a finding").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["advice", "seen", "state", "what"]);
}

#[test]
fn a_supervisor_that_does_not_answer() {
    let domain = Domain::new();
    let path = domain.path();
    let id = domain.supervisor().id();
    domain.supervisor().signal(Signal::SIGSTOP);
    is_problem(&path, "supervisor", "is stopped", &format!("kill -CONT {id}"));
    domain.supervisor().signal(Signal::SIGCONT);
    assert_eq!(found(&path, "supervisor").1["state"], "ok");
}

#[test]
fn a_supervisor_that_was_killed() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("domain");
    let (code, finding) = found(&path, "directory");
    assert_eq!((code, &finding["state"]), (0, &"ok".into()), "{finding}");
    assert_eq!(found(&path, "supervisor").1["state"], "warning");
    let mut up = common::Running::start(ephapse(["up", "--json", "--dir"]).arg(&path));
    up.first_line();
    up.signal(Signal::SIGKILL);
    up.wait();
    is_problem(&path, "supervisor", "is gone", "ephapse up");
    let (_, finding) = found(&path, "socket");
    assert_eq!(finding["state"], "warning", "{finding}");
    assert!(finding["seen"].as_str().expect("text").contains("killed"), "{finding}");
}

#[test]
fn directories_that_will_not_do() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join("domain");
    fs::create_dir(&path).expect("a directory");
    for (mode, seen) in [(0o755, "mode 755: others could"), (0o500, "mode 500: no supervisor")] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        is_problem(&path, "directory", seen, "chmod 700");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("it is ours");
    assert_eq!(found(&path, "directory").1["state"], "ok");
    fs::write(path.join("supervisor.sock"), "").expect("a file");
    is_problem(&path, "socket", "is no socket", "rm ");
    let file = home.path().join("file");
    fs::write(&file, "").expect("a file");
    is_problem(&file, "directory", "is no directory", "--dir");
    is_problem(
        &home.path().join("x".repeat(120)),
        "socket path",
        "bytes, and the kernel takes 107",
        "shorter",
    );
    is_problem(&file.join("domain"), "directory", "Not a directory", "EPHAPSE_DIR");
}
