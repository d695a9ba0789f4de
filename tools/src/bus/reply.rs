//! `ephapse reply`: answers requests with a text, with what a command prints, or with what was
//! asked.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::value_parser;
use ephapse::event::Extension;
use ephapse::event::subject::Pattern;
use ephapse::{Envelope, Error, Hub, RecvError, Subscription};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::totals::number_of;
use super::{JoinArgs, capacity_for};
use crate::signals::{self, StopFlag};
use crate::ui::{Ui, with_causes};

/// Payload of the longest reply.
const LONGEST: usize = 1 << 20;

/// Characters of an error's text that go into the metadata.
const ERROR_CHARACTERS: usize = 256;

/// While a command runs: between two looks whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// How long a command may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(1);

/// Arguments of `reply`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Requests are answered one after another, until Ctrl-C. A command is run by `sh -c`, with the
payload on its standard input, EPHAPSE_SUBJECT and EPHAPSE_SOURCE in its environment. If it fails,
the reply is empty, with metadata `error`. Without --command and --body the payload is sent back.

Examples:
  ephapse reply time.now --command date
  ephapse reply version --body 1.2.3
  ephapse reply 'sum.*' --command 'jq add' --count 10
  ephapse reply echo")]
pub(crate) struct ReplyArgs {
    /// Which requests to answer; can be a pattern.
    #[arg(value_name = "SUBJECT")]
    subject: Pattern,

    /// Answer with what this command prints.
    #[arg(long, value_name = "CMD", conflicts_with = "body")]
    command: Option<String>,

    /// Answer with this text.
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,

    /// End after so many replies.
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,

    #[command(flatten)]
    join: JoinArgs,
}

/// Answers until there are enough, or SIGINT or SIGTERM.
pub(crate) fn run(args: ReplyArgs, ui: &Ui) -> Result<ExitCode> {
    let (stop_reader, stop_writer) = UnixStream::pair().context("cannot make a socket pair")?;
    let stop = signals::watch_and(move || drop(stop_writer)).context("cannot watch for signals")?;
    let longest = LONGEST.max(args.body.as_ref().map_or(0, String::len));
    let hub = args.join.join("reply", |hub| hub.broadcast_capacity(capacity_for(longest)))?;
    let mut requests = hub.subscribe([args.subject.as_str()]).context("cannot subscribe")?;
    ui.note(format_args!("{} answers requests on {}", hub.name(), args.subject));
    let with = match (args.command, args.body) {
        (Some(command), _) => With::Command(command),
        (None, Some(text)) => With::Text(text),
        (None, None) => With::Echo,
    };
    let mut service = Service { hub, with, stop, answered: 0, failed: 0, ui };
    let ended = service.run(&mut requests, &stop_reader, args.count.unwrap_or(u64::MAX));
    let failed = match service.failed {
        0 => String::new(),
        failed => format!(", {} failed", number_of(failed, "command")),
    };
    ui.note(format_args!("{}{failed}", number_of(service.answered, "request")));
    ended.map(|()| ExitCode::SUCCESS)
}

/// What to answer with.
enum With {
    Command(String),
    Text(String),
    Echo,
}

struct Service<'a> {
    hub: Hub,
    with: With,
    stop: StopFlag,
    answered: u64,
    failed: u64,
    ui: &'a Ui,
}

impl Service<'_> {
    fn run(
        &mut self,
        requests: &mut Subscription,
        stop_reader: &UnixStream,
        count: u64,
    ) -> Result<()> {
        while self.answered < count && !self.stop.is_set() {
            let idle = match requests.try_recv() {
                Ok(Some(request)) => self.serve(&request).map(|()| false)?,
                Ok(None) => true,
                Err(error @ (RecvError::Lagged { .. } | RecvError::SourceCorrupt { .. })) => {
                    self.ui.note(error);
                    false
                }
                Err(error) => return Err(error).context("cannot receive"),
            };
            if idle {
                wait(requests, stop_reader)?;
            }
        }
        Ok(())
    }

    fn serve(&mut self, request: &Envelope<'_>) -> Result<()> {
        if request.reply_subject().is_none() {
            let (subject, source) = (request.subject(), request.source());
            self.ui.note(format_args!("{source} expects no reply to what is on {subject}"));
            return Ok(());
        }
        let mut extension = Extension::new();
        let answer = match &self.with {
            With::Text(text) => text.as_bytes().to_vec(),
            With::Echo => request.bytes().to_vec(),
            With::Command(command) => match run_command(command, request, &self.stop) {
                Ok(output) => output,
                Err(error) => {
                    if self.stop.is_set() {
                        return Ok(());
                    }
                    self.failed += 1;
                    self.excuse(&error, &mut extension);
                    Vec::new()
                }
            },
        };
        self.answered += 1;
        match self.hub.reply_bytes(request, &answer, extension) {
            Ok(sent) if sent.receivers == 0 => {
                self.ui.note(format_args!("{} no longer waits for its reply", request.source()));
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(Error::Send(error)) => {
                // It is told at least that there is no answer.
                let (error, mut extension) = (error.into(), Extension::new());
                self.excuse(&error, &mut extension);
                self.hub.reply_bytes(request, &[], extension).context("cannot reply")?;
                Ok(())
            }
            Err(error) => Err(error).context("cannot reply"),
        }
    }

    /// Says that there is no answer and why: here, and to the one who asked.
    fn excuse(&self, error: &anyhow::Error, extension: &mut Extension) {
        let text = with_causes(error);
        self.ui.note(&text);
        let text: String = text.chars().take(ERROR_CHARACTERS).collect();
        // Short enough.
        let _ = extension.add_metadata("error", &text);
    }
}

fn wait(requests: &mut Subscription, stop: &UnixStream) -> Result<()> {
    if !requests.arm() {
        return Ok(());
    }
    let mut ready = [
        PollFd::new(requests.as_fd(), PollFlags::POLLIN),
        PollFd::new(stop.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut ready, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno).context("cannot wait for requests"),
    }
}

/// What the command prints, if it succeeds. It has a process group of its own, so that all of it
/// can be ended, and Ctrl-C does not end it before this process knows.
fn run_command(command: &str, request: &Envelope<'_>, stop: &StopFlag) -> Result<Vec<u8>> {
    let mut process = Command::new("sh")
        .args([OsStr::new("-c"), OsStr::new(command)])
        .env("EPHAPSE_SUBJECT", request.subject())
        .env("EPHAPSE_SOURCE", request.source())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("cannot start sh")?;
    let (stdin, stdout) = (process.stdin.take(), process.stdout.take());
    let payload = request.bytes().to_vec();
    // It need not read what it is given.
    thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&payload)));
    let read = thread::spawn(move || {
        let mut output = Vec::new();
        // One byte more than is allowed is enough to see that it is too much.
        let longest = LONGEST as u64 + 1;
        stdout.map(|stdout| stdout.take(longest).read_to_end(&mut output)).transpose()?;
        std::io::Result::Ok(output)
    });
    await_end(&mut process, || read.is_finished(), stop)
        .with_context(|| format!("the command {command:?} has failed"))?;
    let output = read.join().map_err(|_| anyhow!("reading has failed"))?;
    let output = output.context("cannot read what the command prints")?;
    if output.len() > LONGEST {
        bail!("the command {command:?} prints more than {LONGEST} bytes");
    }
    Ok(output)
}

/// Waits for the end of a command and of what it prints, which others may have inherited. Ends all
/// of it when this process is asked to stop.
fn await_end(process: &mut Child, is_read: impl Fn() -> bool, stop: &StopFlag) -> Result<()> {
    let group = i32::try_from(process.id()).map(Pid::from_raw).context("a strange process id")?;
    let mut asked: Option<Instant> = None;
    loop {
        let status = process.try_wait().context("cannot wait for it")?;
        if let (Some(status), true) = (status, is_read()) {
            return if status.success() { Ok(()) } else { Err(anyhow!("{status}")) };
        }
        // The group keeps its number while there is a process in it: one that we have not waited
        // for, or one that still holds the output.
        match asked {
            None if stop.is_set() => {
                let _ = killpg(group, Signal::SIGTERM);
                asked = Some(Instant::now());
            }
            Some(at) if at.elapsed() >= 2 * GRACE => bail!("it does not end"),
            Some(at) if at.elapsed() >= GRACE => drop(killpg(group, Signal::SIGKILL)),
            _ => {}
        }
        thread::sleep(LOOK_AGAIN);
    }
}
