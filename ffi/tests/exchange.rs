//! C and C, C and Rust, Python and Rust exchange events, of which every byte is looked at: over
//! links and over the bus.

mod common;

use common::{Place, root, succeed};
use ephapse::{Domain, Event, Hub, Supervisor, SupervisorThread};
use rkyv::{Archive, Serialize};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[derive(Event, Archive, Serialize)]
#[event(name = "exchange.Sample", version = 3)]
struct Sample {
    number: u64,
    words: [u64; 3],
}

fn sample(number: u64) -> Sample {
    let first = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Sample { number, words: [first, !number, first ^ number << 7] }
}

fn check(sample: &ArchivedSample, number: u64) {
    let expected = self::sample(number);
    assert_eq!(sample.number, expected.number);
    assert!(sample.words.iter().zip(expected.words).all(|(found, word)| *found == word));
}

/// How many events; `EPHAPSE_EVENTS` says otherwise.
fn count(usual: u64) -> u64 {
    std::env::var("EPHAPSE_EVENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

const MILLION: u64 = 1_000_000;

/// A place with a domain and its supervisor.
struct Meeting {
    place: Place,
    domain: Domain,
    _supervisor: SupervisorThread,
}

impl Meeting {
    fn new() -> Self {
        let place = Place::new();
        let domain = Domain::at(place.domain("domain"));
        let supervisor = Supervisor::bind(domain.clone()).unwrap().spawn().unwrap();
        Self { place, domain, _supervisor: supervisor }
    }

    fn hub(&self, name: &str) -> Hub {
        Hub::builder(name).domain(self.domain.clone()).connect().unwrap()
    }

    fn start(&self, command: &mut Command, args: &[&str]) -> Started {
        let command = command.arg(self.domain.path()).args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Started(Some(command.spawn().unwrap()))
    }

    fn c(&self, role: &str, way: &str, count: u64) -> Started {
        let program = self.place.program("tests/c/exchange.c", &["-O2"]);
        self.start(&mut Command::new(program), &[role, way, &count.to_string()])
    }

    fn python(&self, role: &str, count: u64) -> Started {
        let mut python = Command::new("python3");
        python.arg("-B").arg(root().join("tests/python/exchange.py"));
        python.env("EPHAPSE_LIBRARY", self.place.path().join("libephapse.so"));
        self.start(&mut python, &[role, &count.to_string()])
    }

    fn send(&self, way: &str, count: u64) {
        let mut hub = self.hub("sender");
        hub.wait_for("receiver", LONG).unwrap();
        if way == "link" {
            let mut link = hub.link_to("receiver").unwrap();
            (0..count).for_each(|number| link.send(&sample(number)).unwrap());
            return;
        }
        let mut publisher = hub.publisher::<Sample>("exchange.samples").unwrap();
        while publisher.receivers() == 0 {
            std::thread::yield_now();
        }
        (0..count)
            .for_each(|number| assert_eq!(publisher.send(&sample(number)).unwrap().receivers, 1));
    }

    fn receive(&self, mut hub: Hub, way: &str, count: u64) {
        if way == "link" {
            for number in 0..count {
                let event = hub.recv_timeout(LONG).unwrap().expect("an event");
                check(event.get::<Sample>().unwrap(), number);
            }
            return;
        }
        let mut subscription = hub.subscribe(["exchange.>"]).unwrap();
        for number in 0..count {
            let event = subscription.recv_timeout(LONG).unwrap().expect("an event");
            check(event.get::<Sample>().unwrap(), number);
        }
    }
}

/// A program that must succeed; ended if the test ends before.
struct Started(Option<Child>);

impl Started {
    fn succeed(mut self) {
        let output = self.0.take().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{}: {said}", output.status);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn c_and_c() {
    for way in ["link", "bus"] {
        let meeting = Meeting::new();
        let receiver = meeting.c("receive", way, count(MILLION));
        meeting.c("send", way, count(MILLION)).succeed();
        receiver.succeed();
    }
}

#[test]
fn rust_and_c() {
    for way in ["link", "bus"] {
        let meeting = Meeting::new();
        let receiver = meeting.c("receive", way, count(MILLION));
        meeting.send(way, count(MILLION));
        receiver.succeed();
    }
}

#[test]
fn c_and_rust() {
    for way in ["link", "bus"] {
        let meeting = Meeting::new();
        let hub = meeting.hub("receiver");
        let sender = meeting.c("send", way, count(MILLION));
        meeting.receive(hub, way, count(MILLION));
        sender.succeed();
    }
}

#[test]
fn python_and_rust() {
    let meeting = Meeting::new();
    let receiver = meeting.python("receive", count(MILLION / 10));
    meeting.send("bus", count(MILLION / 10));
    receiver.succeed();
}

#[test]
fn rust_and_python() {
    let meeting = Meeting::new();
    let hub = meeting.hub("receiver");
    let sender = meeting.python("send", count(MILLION / 10));
    meeting.receive(hub, "bus", count(MILLION / 10));
    sender.succeed();
}

#[test]
fn a_wrong_schema_is_refused_by_rust() {
    #[derive(Event, Archive, Serialize)]
    #[event(name = "exchange.Sample", version = 4)]
    struct Later {
        number: u64,
        words: [u64; 3],
    }
    let _ = Later { number: 0, words: [0; 3] };
    let meeting = Meeting::new();
    let mut hub = meeting.hub("receiver");
    let sender = meeting.c("send", "link", 1);
    let event = hub.recv_timeout(LONG).unwrap().expect("an event");
    let error = event.get::<Later>().map(drop).unwrap_err();
    assert!(error.to_string().contains("expected exchange.Sample version 4"), "{error}");
    drop(event);
    sender.succeed();
}

#[test]
fn examples_build_and_run() {
    let place = Place::new();
    for (name, args, said) in [
        ("hello", &[][..], "robot.pose from camera: 1.5 1.0 2.0"),
        ("epoll", &[], "command.stop: number 14"),
        ("request", &[], "the sum of 1 to 10 is 55, says adder"),
        ("frames", &[], "200 frames of 1 MiB, 0 wrong words"),
        ("pingpong", &["200"], "ns one way"),
    ] {
        let program = place.program(&format!("examples/{name}.c"), &common::SANITIZED);
        let mut command = Command::new(program);
        let output = succeed(command.args(args).env("EPHAPSE_DIR", place.domain(name)));
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(output.contains(said), "{name}: {output}");
    }
}
