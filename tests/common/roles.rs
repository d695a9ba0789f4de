//! A second process: this test binary once more, in another role.
//!
//! The test starts a [`Child`], which runs the binary's `child_entry` test with the name of a role
//! in its environment. The two talk in lines: the child's standard input and output. A child dies
//! with the test that started it, however that ends, and its temporary files go with it.
#![allow(dead_code, unreachable_pub)] // each test binary uses its part

use ephapse::Hub;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Longer than anything takes on a loaded machine.
pub const LONG: Duration = Duration::from_secs(60);

const ROLE: &str = "EPHAPSE_TEST_ROLE";
const DIRECTORY: &str = "EPHAPSE_TEST_DIR";
const NAME: &str = "EPHAPSE_TEST_NAME";

/// Starts every line that is meant for the test; the rest is the test harness's.
const MARK: char = '@';

/// Waits until something is so.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "within {LONG:?} not so: {what}");
        // Sleep: the condition is one that nobody announces.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Not a print: those are for tests that capture what is printed, and this is to be seen.
pub fn note(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// A process that this test has started.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    heard: Vec<u8>,
    /// Where the child's temporary files are.
    _scratch: tempfile::TempDir,
}

impl Child {
    /// Starts this binary in a role, in a domain, with a name.
    pub fn start(role: &str, domain: &ephapse::Domain, name: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_entry", "--nocapture"])
            .env(ROLE, role)
            .env(DIRECTORY, domain.path())
            .env(NAME, name)
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, heard: Vec::new(), _scratch: scratch }
    }

    /// Starts this binary in a role that needs no domain of the test's.
    pub fn start_alone(role: &str) -> Self {
        Self::start(role, &ephapse::Domain::at("/nonexistent"), role)
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().cast_signed())
    }

    pub fn signal(&self, signal: Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    /// Kills it, as if it had crashed, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops it (SIGSTOP), and waits until it has stopped.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
        eventually("the process has stopped", || self.state() == 'T');
    }

    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// The letter for its state in `/proc/PID/stat`.
    fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    }

    /// Sends it a line.
    pub fn say(&mut self, line: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that it sends.
    pub fn hear(&mut self) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            while let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                let line = String::from_utf8(line).unwrap();
                // The harness writes "test child_entry ... " without an end of line.
                if let Some((_, line)) = line.trim_end().split_once(MARK) {
                    return line.to_owned();
                }
            }
            assert!(self.more(deadline), "the child ended without a word: {:?}", self.wait());
        }
    }

    /// Waits for the line.
    pub fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line);
    }

    /// Reads more of its output; `false` at its end.
    fn more(&mut self, deadline: Instant) -> bool {
        let stdout = self.process.stdout.as_mut().unwrap();
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap();
        let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut fds, timeout), Ok(1), "the child says nothing for {LONG:?}");
        let mut bytes = [0; 4096];
        let count = stdout.read(&mut bytes).unwrap();
        self.heard.extend_from_slice(&bytes[..count]);
        count > 0
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        drop(self.process.stdin.take());
        let mut status = None;
        eventually("the child ends", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits until it has ended well.
    pub fn succeed(mut self) {
        let status = self.wait();
        assert!(status.success(), "the child ended with {status}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended, and been waited for, already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a child: the role to play. `None` in the test itself.
pub fn role() -> Option<String> {
    let role = std::env::var(ROLE).ok()?;
    die_with_parent();
    Some(role)
}

/// Whoever started this process takes it along.
pub fn die_with_parent() {
    let parent = nix::unistd::getppid();
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    assert_eq!(nix::unistd::getppid(), parent, "the parent died at once");
}

/// In a child: the test's domain.
pub fn domain() -> ephapse::Domain {
    ephapse::Domain::at(std::env::var_os(DIRECTORY).unwrap())
}

/// In a child: the name that the test gave it.
pub fn name() -> String {
    std::env::var(NAME).unwrap()
}

/// In a child: joins the test's domain.
pub fn join(name: &str) -> Hub {
    Hub::builder(name).domain(domain()).connect().unwrap()
}

/// In a child: sends the test a line.
pub fn tell(line: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{MARK}{line}").unwrap();
    stdout.flush().unwrap();
}

/// In a child: the next line from the test; empty when the test is done with it.
pub fn listen() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}
