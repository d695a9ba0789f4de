//! What the tests of the command share: running it, waiting for conditions, looking at what is
//! left behind.

#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod domain;
pub(crate) mod terminal;
pub(crate) mod traffic;

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Far longer than anything takes; a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The command, without anything of the caller's environment that could change what it does.
pub(crate) fn ephapse<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ephapse"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["EPHAPSE_DIR", "EPHAPSE_COLOR", "EPHAPSE_LOG", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the command to its end.
pub(crate) fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    finish(&mut ephapse(arguments))
}

/// Runs `command` to its end.
pub(crate) fn finish(command: &mut Command) -> Output {
    command.output().expect("the command can be run")
}

/// Standard output as JSON; fails unless it is exactly one line and the command has succeeded.
pub(crate) fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", told(output));
    let text = std::str::from_utf8(&output.stdout).expect("JSON is text");
    assert_eq!(text.lines().count(), 1, "one line of JSON is expected: {text}");
    serde_json::from_str(text).expect("standard output is JSON")
}

/// All that a command has said, for the message of a failed assertion.
pub(crate) fn told(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| {
        let end = bytes.len().min(2000);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    });
    format!("{}\nstdout: {out}\nstderr: {err}", output.status)
}

/// Asserts that the command has failed with `code`, and returns what it said about it.
pub(crate) fn refused(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", told(output));
    assert!(output.stdout.is_empty(), "nothing on standard output: {}", told(output));
    String::from_utf8(output.stderr.clone()).expect("errors are text")
}

/// A command that runs beside the test, and ends with it.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, with a standard output that can be read.
    pub(crate) fn start(command: &mut Command) -> Running {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        Running(child.expect("the command can be started"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The first line of its standard output.
    pub(crate) fn first_line(&mut self) -> String {
        let mut line = String::new();
        let stdout = self.0.stdout.take().expect("it is read once");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        line
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.0.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it still runs");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the command has ended", || {
            status = self.0.try_wait().expect("it can be waited for");
            status.is_some()
        });
        status.expect("just seen")
    }

    /// Waits for its end, and returns all that it has said. Its standard input, if it is a pipe,
    /// stays open.
    pub(crate) fn output(mut self) -> Output {
        let (stdout, stderr) = (self.0.stdout.take(), self.0.stderr.take());
        let out = std::thread::spawn(move || read_all(stdout));
        let err = std::thread::spawn(move || read_all(stderr));
        let status = self.wait();
        let join = |thread: std::thread::JoinHandle<Vec<u8>>| thread.join().expect("it reads");
        Output { status, stdout: join(out), stderr: join(err) }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_all(stream: Option<impl std::io::Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).expect("a pipe can be read");
    }
    bytes
}

/// Looks again and again until `condition` holds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        // Sleep: between two looks at the condition.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that `parent` has started as parts of its run.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let wanted = format!("--child-of\0{parent}\0");
    let processes = fs::read_dir("/proc").expect("/proc can be listed").flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| {
        // A process that has ended but was not waited for has no arguments any more.
        let arguments = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(&wanted)
    })
    .collect()
}

/// The names in a directory.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be listed");
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
