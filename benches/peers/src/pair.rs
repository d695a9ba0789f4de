//! The processes of one pair: started, pinned by themselves, given orders, ended.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{self, Machine, Memory};
use crate::interrupt::Interrupt;
use crate::janitor::Run;
use crate::orders::{Order, Report, Talk, page_in, socket_in};
use crate::page::Page;
use crate::peer::{CONNECT_LIMIT, Side, System, Wait};

/// How long a process may take to end after it was asked to, before it is killed.
const END_GRACE: Duration = Duration::from_secs(2);

/// What an order may take beyond the time that it is about.
const ORDER_SLACK: Duration = Duration::from_secs(15);

/// How often a wait without a descriptor looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Which process a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Side A.
    A,
    /// Side B.
    B,
    /// Both sides, as threads.
    Both,
    /// What the system needs besides.
    Daemon,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::A => "a",
            Role::B => "b",
            Role::Both => "both",
            Role::Daemon => "daemon",
        }
    }
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cast<'a> {
    pub(crate) system: &'a System,
    pub(crate) wait: Wait,
    pub(crate) longest: usize,
    pub(crate) machine: &'a Machine,
    pub(crate) damaged: Option<u64>,
}

/// Both sides, and what they need. Dropping it ends them and removes what they have made.
pub(crate) struct Pair<'a> {
    interrupt: &'a Interrupt,
    dir: PathBuf,
    members: Vec<Member>,
    /// Side A's, then side B's.
    talks: Vec<Talk>,
}

struct Member {
    role: Role,
    process: Child,
    /// What it wrote on standard error.
    said: PathBuf,
}

impl<'a> Pair<'a> {
    /// Starts the processes, and waits until both sides are there.
    pub(crate) fn start(cast: Cast<'_>, run: &Run, interrupt: &'a Interrupt) -> Result<Pair<'a>> {
        let dir = run.dir().join("pair");
        fs::create_dir(&dir).with_context(|| format!("cannot make {dir:?}"))?;
        let (members, talks) = (Vec::new(), Vec::new());
        let mut pair = Pair { interrupt, dir, members, talks };
        Page::create(&page_in(&pair.dir))?;
        let listener = UnixListener::bind(socket_in(&pair.dir)).context("cannot make a socket")?;
        if cast.system.daemon.is_some() {
            pair.spawn(Role::Daemon, cast)?;
        }
        let sides: &[Role] =
            if cast.system.in_process { &[Role::Both] } else { &[Role::A, Role::B] };
        for &role in sides {
            pair.spawn(role, cast)?;
        }
        let mut there = [None, None];
        while there.iter().any(Option::is_none) {
            let members = &mut pair.members;
            let check = || members.iter_mut().try_for_each(Member::still_lives);
            interrupt.wait_readable(&[listener.as_fd()], CONNECT_LIMIT, check)?;
            let (socket, _) = listener.accept().context("cannot hear a side")?;
            let mut talk = Talk::new(socket);
            let Some(Report::Here { side }) = talk.hear()? else {
                bail!("a side does not say which it is");
            };
            there[usize::from(side == Side::B)] = Some(talk);
        }
        pair.talks.extend(there.into_iter().flatten());
        Ok(pair)
    }

    fn spawn(&mut self, role: Role, cast: Cast<'_>) -> Result<()> {
        let program = std::env::current_exe().context("cannot find the path of this program")?;
        let said = self.dir.join(format!("{}.stderr", role.name()));
        let stderr = File::create(&said).with_context(|| format!("cannot make {said:?}"))?;
        let list = |cpus: &[usize]| cpus.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
        let mut command = Command::new(program);
        command
            .args(["serve", "--role", role.name(), "--system", cast.system.name])
            .args(["--wait", cast.wait.name(), "--longest", &cast.longest.to_string()])
            .args(["--cpus", &list(&cast.machine.pinned)])
            .args(["--helpers", &list(&cast.machine.helpers)])
            .args(["--parent", &std::process::id().to_string()])
            .arg("--dir")
            .arg(&self.dir);
        if let Some(number) = cast.damaged {
            command.args(["--damaged", &number.to_string()]);
        }
        let process = command
            // Whatever makes files of its own makes them here.
            .env("TMPDIR", &self.dir)
            .stdin(Stdio::null())
            .stdout(stderr.try_clone().context("cannot share a file")?)
            .stderr(stderr)
            // Only the runner decides what Ctrl-C on a terminal means.
            .process_group(0)
            .spawn()
            .context("cannot start a process")?;
        self.members.push(Member { role, process, said });
        Ok(())
    }

    /// Gives both sides an order that is about so much time, and hears what they report: side A's
    /// first.
    pub(crate) fn order(&mut self, order: Order, time: Duration) -> Result<[Report; 2]> {
        for talk in &mut self.talks {
            talk.say(&order)?;
        }
        let limit = ORDER_SLACK + 2 * time;
        let deadline = Instant::now() + limit;
        let mut reports = [None, None];
        while let Some(missing) = reports.iter().position(Option::is_none) {
            let waiting: Vec<usize> =
                (missing..2).filter(|&side| reports[side].is_none()).collect();
            let sockets: Vec<_> =
                waiting.iter().map(|&side| self.talks[side].socket().as_fd()).collect();
            let members = &mut self.members;
            let check = || members.iter_mut().try_for_each(Member::still_lives);
            let left = deadline.saturating_duration_since(Instant::now());
            let index = self
                .interrupt
                .wait_readable(&sockets, left, check)
                .with_context(|| format!("{order:?}"))?;
            let side = waiting[index];
            reports[side] = match self.talks[side].hear()? {
                Some(Report::Failed { why }) => bail!("side {}: {why}", ["A", "B"][side]),
                Some(report) => Some(report),
                None => {
                    self.members.iter_mut().try_for_each(Member::still_lives)?;
                    bail!("side {} has hung up", ["A", "B"][side])
                }
            };
        }
        let [Some(a), Some(b)] = reports else { bail!("a report is missing") };
        Ok([a, b])
    }

    /// Connects the sides; nanoseconds that it took side A, up to the first answer.
    pub(crate) fn connect(&mut self) -> Result<u64> {
        let reports = self.order(Order::Connect, CONNECT_LIMIT)?;
        let [Report::Connected { ns }, Report::Connected { .. }] = reports else {
            bail!("the sides say {reports:?} instead of being connected");
        };
        Ok(ns)
    }

    /// What both sides hold, and what the process besides them holds.
    pub(crate) fn memory(&self) -> (Memory, Option<Memory>) {
        let ids = |daemon: bool| {
            let members = self.members.iter();
            members
                .filter(move |member| (member.role == Role::Daemon) == daemon)
                .map(|member| member.process.id())
        };
        let daemon = ids(true).next().map(|id| Memory::of([id]));
        (Memory::of(ids(false)), daemon)
    }
}

impl Drop for Pair<'_> {
    fn drop(&mut self) {
        // The sides end when nobody is there to give them orders; what they need, after them.
        self.talks.clear();
        let deadline = Instant::now() + END_GRACE;
        for member in self.members.iter_mut().rev() {
            if member.role == Role::Daemon {
                member.ask_to_end();
            }
            member.end_by(deadline);
        }
        // The janitor removes what is still there.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Member {
    /// # Errors
    /// When it has ended; with the last that it said.
    fn still_lives(&mut self) -> Result<()> {
        let ended = self.process.try_wait().context("cannot ask for a process")?;
        let Some(status) = ended else { return Ok(()) };
        let text = fs::read(&self.said).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("");
        ensure!(!last.is_empty(), "{} has ended ({status})", self.role.name());
        bail!("{} has ended ({status}): {last}", self.role.name())
    }

    fn ask_to_end(&mut self) {
        // Not waited for yet, so the id is still its own.
        if let (Ok(None), Ok(id)) = (self.process.try_wait(), i32::try_from(self.process.id())) {
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
    }

    fn end_by(&mut self, deadline: Instant) {
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            // Nothing tells of the end of a process but asking.
            std::thread::sleep(LOOK_AGAIN);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a child: have the kernel end this process when its parent ends.
pub(crate) fn die_with_parent(parent: u32) -> Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this to its parent")?;
    // The parent may have ended before the call above: then nobody would send the signal.
    ensure!(std::os::unix::process::parent_id() == parent, "the runner has ended");
    Ok(())
}

/// In a child: what it was started for.
pub(crate) fn serve(
    system: &System,
    role: Role,
    duty: impl Fn(Side) -> crate::serve::Duty,
    dir: &Path,
) -> Result<()> {
    let run = system.serve.context("this system was left out of this program")?;
    match role {
        Role::A => run(&duty(Side::A)),
        Role::B => run(&duty(Side::B)),
        Role::Daemon => {
            let daemon = system.daemon.context("this system needs no third process")?;
            host::pin(&duty(Side::A).helpers)?;
            daemon(dir)
        }
        Role::Both => {
            let other = duty(Side::B);
            let thread = std::thread::spawn(move || run(&other));
            run(&duty(Side::A))?;
            thread.join().ok().context("side B has panicked")?
        }
    }
}
