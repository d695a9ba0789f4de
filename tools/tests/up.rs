//! `ephapse up` and `ephapse hubs`.

mod common;

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use common::{Running, ephapse, json, refused, run, told};
use nix::sys::signal::Signal;
use serde_json::Value;

fn up(directory: &Path) -> Running {
    let mut supervisor =
        Running::start(ephapse(["up", "--json", "--dir"]).arg(directory).env("TMPDIR", "/tmp"));
    let line = supervisor.first_line();
    let ready: Value = serde_json::from_str(&line)
        .unwrap_or_else(|_| panic!("not ready: {line:?}, {}", supervisor.wait()));
    assert_eq!(ready["pid"], supervisor.id());
    let listening = Path::new(ready["listening"].as_str().expect("a path"));
    assert_eq!(listening, directory);
    supervisor
}

fn sockets_in(directory: &Path) -> Vec<String> {
    let is_socket =
        |name: &String| fs::metadata(directory.join(name)).is_ok_and(|m| m.file_type().is_socket());
    common::names_in(directory).into_iter().filter(is_socket).collect()
}

#[test]
fn stops_cleanly_and_leaves_no_socket() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let home = tempfile::tempdir().expect("a directory");
        let domain = home.path().join("domain");
        let mut supervisor = up(&domain);
        assert_eq!(sockets_in(&domain).len(), 1);
        let mode = fs::metadata(&domain).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        supervisor.signal(signal);
        assert_eq!(supervisor.wait().code(), Some(0));
        // So that the next one gives its hubs and subjects other numbers.
        assert_eq!(common::names_in(&domain), ["supervisor.epoch"]);
    }
}

#[test]
fn says_where_it_listens() {
    let home = tempfile::tempdir().expect("a directory");
    let domain = home.path().join("domain");
    let supervisor = Running::start(ephapse(["up"]).env("EPHAPSE_DIR", &domain));
    common::wait_until("the supervisor listens", || {
        domain.exists() && !sockets_in(&domain).is_empty()
    });
    // The socket is there before the signals are watched: ask only one that answers.
    common::wait_until("the supervisor answers", || {
        run(["hubs".as_ref(), "--dir".as_ref(), domain.as_os_str()]).status.success()
    });
    supervisor.signal(Signal::SIGTERM);
    let output = supervisor.output();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(output.stdout.is_empty(), "{}", told(&output));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&*domain.to_string_lossy()), "{told}");
}

#[test]
fn a_second_one_is_refused() {
    let home = tempfile::tempdir().expect("a directory");
    let domain = home.path().join("domain");
    let mut first = up(&domain);
    let second = run(["up".as_ref(), "--dir".as_ref(), domain.as_os_str()]);
    let error = refused(&second, 1);
    assert!(error.starts_with("ephapse: error: "), "{error}");
    assert!(error.contains("supervisor"), "{error}");
    assert!(error.contains(&*domain.to_string_lossy()), "{error}");
    // The first one has not been disturbed.
    let hubs =
        json(&run(["hubs".as_ref(), "--json".as_ref(), "--dir".as_ref(), domain.as_os_str()]));
    assert_eq!(hubs["hubs"], Value::Array(vec![]));
    first.signal(Signal::SIGTERM);
    assert_eq!(first.wait().code(), Some(0));
}

#[test]
fn a_stale_socket_is_taken_over() {
    let home = tempfile::tempdir().expect("a directory");
    let domain = home.path().join("domain");
    let mut killed = up(&domain);
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.wait().code(), None);
    assert_eq!(sockets_in(&domain).len(), 1, "a killed supervisor leaves its socket");
    let mut second = up(&domain);
    second.signal(Signal::SIGTERM);
    assert_eq!(second.wait().code(), Some(0));
}

#[test]
fn hubs_without_a_supervisor_is_an_error() {
    let home = tempfile::tempdir().expect("a directory");
    let domain = home.path().join("domain");
    let error = refused(&run(["hubs".as_ref(), "--dir".as_ref(), domain.as_os_str()]), 1);
    assert!(error.contains(&*domain.to_string_lossy()), "{error}");
}
