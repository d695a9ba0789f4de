//! Errors of and with supervisors: none, two, dead ones.

use crate::common::roles::{self, Child, LONG, eventually};
use crate::common::{Domain, pose};
use crate::directories::directory;
use crate::text;
use ephapse::{Error, Hub, Supervisor};

/// Serves the test's domain until it is killed.
pub(crate) fn supervisor() {
    let supervisor = Supervisor::bind(roles::domain()).unwrap();
    roles::tell("serving");
    supervisor.run().unwrap();
}

#[test]
fn none_is_running() {
    let dir = directory(0o700);
    let absent = ephapse::Domain::at(dir.path().join("absent"));
    // The temporary directory itself: there, ours alone, and nobody listens.
    let silent = ephapse::Domain::at(dir.path());
    // A socket whose supervisor is dead.
    let left = ephapse::Domain::at(dir.path().join("left"));
    let mut child = Child::start("supervisor", &left, "");
    child.expect("serving");
    child.kill();
    assert!(left.socket().exists());
    for domain in [absent, silent, left] {
        let error = Hub::builder("a").domain(domain.clone()).connect().unwrap_err();
        assert!(matches!(error, Error::NoSupervisor { .. }), "{error}");
        let socket = domain.socket();
        assert_eq!(
            error.to_string(),
            format!("no supervisor listens on {}; start one with `ephapse up`", socket.display())
        );
    }
}

#[test]
fn one_is_running_already() {
    let domain = Domain::new();
    let error = Supervisor::bind(domain.domain()).unwrap_err();
    assert!(matches!(error, Error::SupervisorRunning { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "a supervisor is running already in {} (pid {}); stop it, or choose another \
             directory with EPHAPSE_DIR",
            domain.domain().path().display(),
            std::process::id()
        )
    );
    domain.hub("a"); // the first one goes on
}

#[test]
fn another_process_serves_the_domain() {
    let dir = directory(0o700);
    let domain = ephapse::Domain::at(dir.path());
    let mut child = Child::start("supervisor", &domain, "");
    child.expect("serving");
    let said = text(Supervisor::bind(domain.clone()));
    assert!(said.contains(&format!("(pid {})", child.pid())), "{said}");
    child.kill();
    let supervisor = Supervisor::bind(domain).expect("the domain is free when it has died");
    drop(supervisor);
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(left, ["supervisor.epoch"], "no other file stays behind");
}

#[test]
fn the_socket_of_a_dead_one_is_taken_over() {
    let dir = directory(0o700);
    let domain = ephapse::Domain::at(dir.path());
    let mut child = Child::start("supervisor", &domain, "");
    child.expect("serving");
    let join = |name: &str| Hub::builder(name).domain(domain.clone()).connect();
    let orphan = join("orphan").unwrap();
    child.kill();
    assert!(domain.socket().exists(), "a killed supervisor leaves its socket");
    let mut second = Child::start("supervisor", &domain, "");
    second.expect("serving");
    let _other = join("other").unwrap();
    let names = || orphan.hubs().map(|hubs| hubs.into_iter().map(|hub| hub.name).collect());
    eventually("the orphan is known to the new one", || {
        names().is_ok_and(|mut names: Vec<String>| {
            names.sort();
            names == ["orphan", "other"]
        })
    });
    second.kill();
}

#[test]
fn it_goes_while_hubs_are_connected() {
    let dir = directory(0o700);
    let domain = ephapse::Domain::at(dir.path());
    let mut child = Child::start("supervisor", &domain, "");
    child.expect("serving");
    let join = |name: &str| Hub::builder(name).domain(domain.clone()).connect().unwrap();
    let (mut a, mut b) = (join("a"), join("b"));
    let mut to_b = a.link_to("b").unwrap();
    let mut to_a = b.accept_timeout(LONG).unwrap().expect("the link that a opened");
    child.kill();
    for i in 0..10_000 {
        to_b.send(&pose(i)).unwrap();
        assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), i);
        to_a.send(&pose(i)).unwrap();
        assert_eq!(a.recv_timeout(LONG).unwrap().unwrap().sequence(), i);
    }
    let lost = |error: Error| {
        assert!(matches!(error, Error::Disconnected { .. }), "{error}");
        error.to_string()
    };
    let said = "the connection to the supervisor is lost: ";
    assert!(lost(a.hubs().unwrap_err()).starts_with(said));
    assert!(lost(a.wait_for("c", LONG).unwrap_err()).starts_with(said));
    assert!(lost(a.link_to("c").unwrap_err()).starts_with(said));
    // The end of the link is still noticed.
    let link = to_b.id();
    drop(to_b);
    assert_eq!(text(b.recv_timeout(LONG)), format!("hub a has closed {link}"));
    drop(a);
    eventually("b knows that a is gone", || !to_a.is_open());
}

#[test]
fn a_request_is_waiting_when_it_goes() {
    let dir = directory(0o700);
    let domain = ephapse::Domain::at(dir.path());
    let mut child = Child::start("supervisor", &domain, "");
    child.expect("serving");
    let a = Hub::builder("a").domain(domain).connect().unwrap();
    let waiter = std::thread::spawn(move || text(a.wait_for("nobody", LONG)));
    child.kill();
    assert!(waiter.join().unwrap().starts_with("the connection to the supervisor is lost: "));
}
