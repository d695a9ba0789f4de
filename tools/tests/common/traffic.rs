//! Hubs in a process of their own that send exactly what a test says: this test binary once more,
//! in its test `traffic_child`, which calls [`child`].
//!
//! `camera` publishes on `robot.pose`, `planner` and `logger` subscribe; `camera` also sends over a
//! link to `planner`.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Command, Stdio};
use std::time::Duration;

use ephapse::{Event, Hub, Link, Publisher, Subscription, SubscriptionOptions, Wait};
use rkyv::{Archive, Serialize};

use super::{PATIENCE, Running, domain::Domain};

const VARIABLE: &str = "EPHAPSE_TEST_TRAFFIC";

/// Starts the lines that are meant for the test.
const MARK: char = '@';

/// Events that one round publishes, and sends over the link.
pub(crate) const PUBLISHED: u64 = 1000;
pub(crate) const DIRECT: u64 = 300;

/// Bytes of each payload.
pub(crate) const BYTES: u64 = 40;

/// Events that [`Traffic::leave_unread`] sends over the link.
pub(crate) const UNREAD: u64 = 7;

#[derive(Event, Archive, Serialize)]
struct Frame {
    bytes: [u8; BYTES as usize],
}

/// That process, as the test sees it. It ends with this.
pub(crate) struct Traffic {
    running: Running,
    said: BufReader<ChildStdout>,
}

impl Traffic {
    /// Starts it in a domain: its hubs have joined, and are linked.
    pub(crate) fn start(domain: &Domain) -> Traffic {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "traffic_child", "--nocapture"]).env(VARIABLE, domain.path());
        let mut running = Running::start(command.stdin(Stdio::piped()));
        let said = BufReader::new(running.child().stdout.take().expect("a pipe"));
        let mut traffic = Traffic { running, said };
        traffic.hear("ready");
        traffic
    }

    pub(crate) fn id(&self) -> u32 {
        self.running.id()
    }

    /// One round; when this returns, all has been received.
    pub(crate) fn round(&mut self) {
        self.say("round", "done");
    }

    /// Sends [`UNREAD`] events over the link that nobody receives for now.
    pub(crate) fn leave_unread(&mut self) {
        self.say("unread", "left");
    }

    /// Receives them.
    pub(crate) fn read_all(&mut self) {
        self.say("read", "read");
    }

    fn say(&mut self, line: &str, answer: &str) {
        let stdin = self.running.child().stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("it listens");
        self.hear(answer);
    }

    fn hear(&mut self, expected: &str) {
        let mut line = String::new();
        loop {
            line.clear();
            let count = self.said.read_line(&mut line).expect("text");
            assert!(count > 0, "it ended without saying {expected:?}");
            // The harness writes "test traffic_child ... " without an end of line.
            if let Some((_, said)) = line.trim_end().split_once(MARK) {
                assert_eq!(said, expected);
                return;
            }
        }
    }
}

/// What `traffic_child` does: nothing in the test itself.
pub(crate) fn child() {
    let Some(directory) = std::env::var_os(VARIABLE) else { return };
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).expect("it is known");
    let join = |name: &str| {
        let builder = Hub::builder(name).domain(ephapse::Domain::at(&directory));
        builder.connect().expect("it joins")
    };
    let (mut camera, planner, logger) = (join("camera"), join("planner"), join("logger"));
    let wait = SubscriptionOptions::default().wait(Wait::Block);
    let mut hubs = Hubs {
        poses: camera.publisher("robot.pose").expect("it publishes"),
        seen: planner.subscribe_with(["robot.>"], wait).expect("it subscribes"),
        logged: logger.subscribe_with(["robot.pose"], wait).expect("it subscribes"),
        link: camera.link_to("planner").expect("a link"),
        planner,
    };
    // Until both ends know of each other.
    while hubs.poses.receivers() < 2 {
        std::thread::yield_now();
    }
    tell("ready");
    for line in std::io::stdin().lines() {
        match line.expect("text").as_str() {
            "round" => hubs.round(),
            "unread" => {
                (0..UNREAD).for_each(|_| hubs.send());
                tell("left");
            }
            "read" => {
                hubs.receive(UNREAD);
                tell("read");
            }
            other => panic!("{other:?} is no order"),
        }
    }
}

fn tell(line: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{MARK}{line}").expect("the test listens");
    stdout.flush().expect("the test listens");
}

struct Hubs {
    planner: Hub,
    poses: Publisher<Frame>,
    seen: Subscription,
    logged: Subscription,
    link: Link,
}

/// Far less than either ring holds.
const AT_ONCE: u64 = 100;

impl Hubs {
    fn round(&mut self) {
        for _ in 0..PUBLISHED / AT_ONCE {
            for _ in 0..AT_ONCE {
                self.poses.send(&frame()).expect("there is room");
            }
            for reader in [&mut self.seen, &mut self.logged] {
                for _ in 0..AT_ONCE {
                    reader.recv_timeout(PATIENCE).expect("no fault").expect("an event");
                }
            }
        }
        for _ in 0..DIRECT / AT_ONCE {
            (0..AT_ONCE).for_each(|_| self.send());
            self.receive(AT_ONCE);
        }
        // They note how far they are when they find nothing more.
        for reader in [&mut self.seen, &mut self.logged] {
            assert!(reader.recv_timeout(Duration::ZERO).expect("no fault").is_none());
        }
        tell("done");
    }

    fn send(&mut self) {
        self.link.send(&frame()).expect("there is room");
    }

    fn receive(&mut self, count: u64) {
        for _ in 0..count {
            self.planner.recv_timeout(PATIENCE).expect("no fault").expect("an event");
        }
    }
}

fn frame() -> Frame {
    Frame { bytes: [7; BYTES as usize] }
}
