//! The processes of one run: this same binary, started again in another role.
//!
//! Each child writes JSON lines to its standard output, which its [`Crew`] hears. A child that
//! handles data (a file to send, a file to write) gets that descriptor in the place of its
//! standard input. Children are ended by their own process ids, in bounded time, and die with
//! their parent if it cannot do even that.

mod stage;

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Serialize;

pub(crate) use self::stage::Stage;
use crate::signals::shield;
use crate::ui::Ui;

/// How long a child may take to end after it was asked to, before it is killed. Generous: on a
/// crowded machine a child may wait a second for its turn.
const END_GRACE: Duration = Duration::from_secs(3);

/// How often a wait without a descriptor looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What a child made known.
#[derive(Debug)]
pub(crate) enum Heard {
    /// One line of its standard output, without the line feed.
    Line {
        /// The child's name.
        from: String,
        /// The line.
        text: String,
    },
    /// It has ended.
    Ended {
        /// The child's name.
        from: String,
        /// How.
        status: ExitStatus,
    },
}

/// What a reader thread passes on.
enum Told {
    Line(usize, String),
    Closed(usize),
}

struct Member {
    name: String,
    process: Child,
}

/// The children of this process.
pub(crate) struct Crew {
    program: PathBuf,
    verbosity: Vec<&'static str>,
    members: Vec<Member>,
    waiting: VecDeque<Heard>,
    speak: Sender<Told>,
    hear: Receiver<Told>,
}

impl Crew {
    /// Nobody yet. Children are as talkative as this process.
    pub(crate) fn new(ui: &Ui) -> Result<Crew> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let flag = if ui.verbosity() < 0 { "-q" } else { "-v" };
        let verbosity = vec![flag; usize::from(ui.verbosity().unsigned_abs())];
        let (speak, hear) = mpsc::channel();
        let (members, waiting) = (Vec::new(), VecDeque::new());
        Ok(Crew { program, verbosity, members, waiting, speak, hear })
    }

    /// Starts a child; `data` becomes its standard input. Call this from the main thread: the
    /// kernel ends the child when the *thread* that started it ends.
    pub(crate) fn start<A: AsRef<OsStr>>(
        &mut self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        data: Stdio,
    ) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.verbosity)
            .arg("--child-of")
            .arg(std::process::id().to_string())
            .args(arguments)
            .stdin(data)
            .stdout(Stdio::piped());
        let mut process = shield(|| command.spawn())
            .flatten()
            .with_context(|| format!("cannot start the process \"{name}\""))?;
        let stdout = process.stdout.take();
        let index = self.members.len();
        tracing::debug!(name, pid = process.id(), "started");
        // From here on the child is ended whatever fails.
        self.members.push(Member { name: name.to_owned(), process });
        let stdout = stdout.with_context(|| format!("\"{name}\" has no standard output"))?;
        let speak = self.speak.clone();
        thread::Builder::new()
            .name(format!("hear {name}"))
            .spawn(move || relay(index, stdout, &speak))
            .context("cannot start a thread")?;
        Ok(())
    }

    /// The next thing that any child makes known; `None` when the time is over.
    pub(crate) fn hear(&mut self, timeout: Duration) -> Result<Option<Heard>> {
        if let Some(heard) = self.waiting.pop_front() {
            return Ok(Some(heard));
        }
        self.hear_new(timeout)
    }

    /// Waits for the next line of one child; what others say meanwhile is kept for [`hear`].
    ///
    /// # Errors
    /// When that child ends first, or says nothing for `timeout`.
    ///
    /// [`hear`]: Crew::hear
    pub(crate) fn wait_line(&mut self, name: &str, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.hear_new(left)? {
                Some(Heard::Line { from, text }) if from == name => return Ok(text),
                Some(Heard::Ended { from, status }) if from == name => {
                    bail!("the process \"{name}\" has ended too early ({status})")
                }
                Some(other) => self.waiting.push_back(other),
                None => bail!("the process \"{name}\" has said nothing for {timeout:?}"),
            }
        }
    }

    /// Asks one child to finish (SIGTERM). One that has ended already is no error.
    pub(crate) fn ask_to_stop(&mut self, name: &str) {
        for member in self.members.iter_mut().filter(|member| member.name == name) {
            member.signal(Signal::SIGTERM);
        }
    }

    /// Sends a signal to one child, if it still runs.
    pub(crate) fn signal(&mut self, name: &str, signal: Signal) {
        if let Some(member) = self.member(name) {
            member.signal(signal);
        }
    }

    /// Kills one child, and waits until that is known, so that another can have its name.
    pub(crate) fn kill(&mut self, name: &str) -> Result<()> {
        self.signal(name, Signal::SIGKILL);
        let deadline = Instant::now() + END_GRACE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.hear_new(left)? {
                Some(Heard::Ended { from, .. }) if from == name => return Ok(()),
                Some(other) => self.waiting.push_back(other),
                None => bail!("the process \"{name}\" has been killed, and does not end"),
            }
        }
    }

    /// Ends all that still run: at once, because they may wait for one another, except for the one
    /// that was started first, which serves the others and is ended after them.
    pub(crate) fn end_all(&mut self) {
        let Some((first, others)) = self.members.split_first_mut() else {
            return;
        };
        for member in &mut *others {
            member.signal(Signal::SIGTERM);
        }
        for member in others {
            // Also one that has ended is waited for.
            let _ = member.finish();
        }
        first.end();
    }

    /// As [`end_all`](Crew::end_all), for one child; says how it ended.
    pub(crate) fn end(&mut self, name: &str) -> Option<ExitStatus> {
        self.member(name)?.end()
    }

    /// The one that was given the name last.
    fn member(&mut self, name: &str) -> Option<&mut Member> {
        self.members.iter_mut().rev().find(|member| member.name == name)
    }

    fn hear_new(&mut self, timeout: Duration) -> Result<Option<Heard>> {
        match self.hear.recv_timeout(timeout) {
            Ok(Told::Line(index, text)) => {
                Ok(Some(Heard::Line { from: self.members[index].name.clone(), text }))
            }
            Ok(Told::Closed(index)) => {
                let member = &mut self.members[index];
                let from = member.name.clone();
                let status =
                    member.finish().with_context(|| format!("cannot wait for \"{from}\""))?;
                tracing::debug!(name = from, %status, "ended");
                Ok(Some(Heard::Ended { from, status }))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.end_all();
    }
}

impl Member {
    /// A signal to a child that has not been waited for, whose id is therefore still its own.
    fn signal(&mut self, signal: Signal) {
        if let (Ok(None), Ok(id)) = (self.process.try_wait(), i32::try_from(self.process.id())) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }

    /// Asks it to end, and kills it if it does not.
    fn end(&mut self) -> Option<ExitStatus> {
        self.signal(Signal::SIGTERM);
        self.finish().ok()
    }

    /// Waits until it has ended, and kills it if that takes too long.
    fn finish(&mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + END_GRACE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(LOOK_AGAIN);
        }
        tracing::warn!(name = self.name, "does not end, is killed");
        self.process.kill()?;
        self.process.wait()
    }
}

fn relay(index: usize, stdout: ChildStdout, speak: &Sender<Told>) {
    let mut reader = BufReader::new(stdout);
    let mut text = String::new();
    loop {
        text.clear();
        match reader.read_line(&mut text) {
            Ok(1..) => {
                if speak.send(Told::Line(index, text.trim_end().to_owned())).is_err() {
                    return;
                }
            }
            Ok(0) | Err(_) => break,
        }
    }
    let _ = speak.send(Told::Closed(index));
}

/// In a child: have the kernel end this process when its parent ends.
///
/// # Errors
/// When the parent has ended already.
pub(crate) fn die_with_parent(parent: u32, signal: Signal) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(signal).context("cannot tie this process to its parent")?;
    // The parent may have ended before the call above: then nobody would send the signal.
    if parent_id() != parent {
        bail!("the process {parent}, which started this one, has ended");
    }
    Ok(())
}

/// In a child: tells the parent something, as one line of JSON.
pub(crate) fn tell_parent(report: &impl Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(report).context("cannot write a report as JSON")?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).context("the parent process hears no more")
}
