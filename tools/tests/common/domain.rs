//! A domain with a supervisor, and commands in it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::JoinHandle;

use ephapse::Hub;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{Running, ephapse, finish, json, told};

/// A domain with a supervisor.
pub(crate) struct Domain {
    supervisor: Running,
    pub(crate) home: tempfile::TempDir,
}

impl Domain {
    pub(crate) fn new() -> Domain {
        let home = tempfile::tempdir().expect("a directory");
        let mut up = ephapse(["up", "--json", "--dir"]);
        let mut supervisor = Running::start(up.arg(home.path().join("domain")));
        let line = supervisor.first_line();
        assert!(line.contains("listening"), "{line}");
        Domain { supervisor, home }
    }

    /// Its directory.
    pub(crate) fn path(&self) -> PathBuf {
        self.home.path().join("domain")
    }

    /// Its supervisor.
    pub(crate) fn supervisor(&self) -> &Running {
        &self.supervisor
    }

    /// A command in this domain; its arguments are divided at spaces.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = ephapse(arguments.split(' '));
        command.env("EPHAPSE_DIR", self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        finish(&mut self.command(arguments))
    }

    /// A hub of this process.
    pub(crate) fn hub(&self, name: &str) -> Hub {
        let domain = ephapse::Domain::at(self.home.path().join("domain"));
        Hub::builder(name).domain(domain).connect().expect("a hub")
    }

    /// A capture of so many events on `c.d` by the hub `bot`, each of 100 bytes.
    pub(crate) fn captured(&self, name: &str, count: usize) -> PathBuf {
        let file = self.home.path().join(name);
        let capture = self.start(&format!("capture {} c.d --until-end", file.display()));
        let text = "x".repeat(100);
        let publish = format!("pub c.d {text} --count {count} --wait-for 1 --name bot");
        let published = self.run(&publish);
        assert!(published.status.success(), "{}", told(&published));
        assert_eq!(capture.output().0, Some(0));
        file
    }

    /// What is in a capture, if nothing in it was changed.
    pub(crate) fn info(&self, file: &Path) -> Value {
        json(&self.run(&format!("replay {} --info --json", file.display())))
    }

    /// What a command prints that succeeds.
    pub(crate) fn text(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        String::from_utf8(output.stdout).expect("text")
    }

    /// One that subscribes, when it has.
    pub(crate) fn start(&self, arguments: &str) -> Subscriber {
        Subscriber::start(&mut self.command(arguments))
    }
}

impl Drop for Domain {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.supervisor.signal(Signal::SIGTERM);
        assert_eq!(self.supervisor.wait().code(), Some(0));
    }
}

/// `sub` or `reply`.
pub(crate) struct Subscriber {
    pub(crate) running: Running,
    notes: JoinHandle<String>,
}

impl Subscriber {
    pub(crate) fn start(command: &mut Command) -> Subscriber {
        let mut running = Running::start(command);
        let mut stderr = BufReader::new(running.child().stderr.take().expect("a pipe"));
        let mut first = String::new();
        stderr.read_line(&mut first).expect("a note");
        let ready = first.contains("has subscribed to") || first.contains("answers requests on");
        assert!(ready, "{first}");
        let notes = std::thread::spawn(move || {
            let mut all = String::new();
            stderr.read_to_string(&mut all).expect("notes are text");
            all
        });
        Subscriber { running, notes }
    }

    /// Its end: code, standard output, and what it has noted after the first line.
    pub(crate) fn output(self) -> (Option<i32>, Vec<u8>, String) {
        let Subscriber { running, notes } = self;
        let output = running.output();
        (output.status.code(), output.stdout, notes.join().expect("it reads"))
    }

    /// The same, if it succeeds; what it has printed as lines.
    pub(crate) fn lines(self) -> Vec<String> {
        let (code, stdout, notes) = self.output();
        assert_eq!(code, Some(0), "{notes}");
        let text = String::from_utf8(stdout).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn objects(self) -> Vec<Value> {
        let lines = self.lines();
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}
