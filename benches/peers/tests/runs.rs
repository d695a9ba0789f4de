//! Whole runs: every system delivers what was sent, damage is found, all is written, and nothing
//! stays behind, however a run ends.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long anything may take: builds may go on beside the tests.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Sides keep their processors, so tests go one after another.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn peers(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peers"));
    command.args(arguments);
    command
}

fn output(arguments: &[&str]) -> (Output, String, String) {
    let output = peers(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

#[test]
fn every_system_delivers_a_hundred_round_trips() {
    let _alone = alone();
    let (output, out, err) = output(&["check", "--trips", "100"]);
    assert!(output.status.success(), "{out}{err}");
    for name in ["ephapse-link", "ephapse-broadcast", "seqpacket", "pipe"] {
        for wait in ["spin", "block"] {
            assert!(out.contains(&format!("{name:<18} {wait:<6} ok")), "{name}, {wait}:\n{out}");
        }
    }
    for line in out.lines() {
        assert!(line.ends_with(" ok") || line.contains("not here: "), "{line}");
    }
}

#[test]
fn damage_is_found_by_its_receiver() {
    let _alone = alone();
    for name in ["ephapse-link", "ephapse-broadcast", "seqpacket", "pipe"] {
        let only = ["check", "--only", name, "--sizes", "1024"];
        // In the round trips, and (numbers above) in the stream.
        for number in ["150", "205"] {
            let (output, out, err) = output(&[&only[..], &["--damaged", number]].concat());
            assert_eq!(output.status.code(), Some(1), "{out}{err}");
            assert!(out.contains("1 of") && out.contains("were wrong"), "{out}{err}");
        }
    }
}

#[test]
fn a_run_writes_table_pictures_page_and_results() {
    let _alone = alone();
    let dir = tempfile::tempdir().unwrap();
    let (out_dir, json) = (dir.path().join("runs"), dir.path().join("results.json"));
    let arguments = ["run", "--only", "ephapse-link,pipe,nats", "--rounds", "2"];
    let short = ["--seconds", "0.05", "--sizes", "64,4096"];
    let places = ["--out", out_dir.to_str().unwrap(), "--json", json.to_str().unwrap()];
    let missing = ["--not-built", "nats=no server at all"];
    let (output, out, err) = output(&[&arguments[..], &short, &places, &missing].concat());
    assert!(output.status.success(), "{out}{err}");

    let results: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(results["rounds"], 2);
    for system in ["ephapse-link", "pipe"] {
        for wait in ["spin", "block"] {
            let visits = results["visits"].as_array().unwrap().iter();
            let visits: Vec<_> =
                visits.filter(|visit| visit["system"] == system && visit["wait"] == wait).collect();
            assert_eq!(visits.len(), 2, "{system}, {wait}: {err}");
            for cell in visits.iter().flat_map(|visit| visit["cells"].as_array().unwrap()) {
                let of = |name: &str| cell["latency"][name].as_f64().unwrap();
                assert!(of("p50") > 0.0 && of("p50") <= of("p99") && of("p99") <= of("max"));
                assert!(cell["stream"]["per_second"].as_f64().unwrap() > 0.0);
                assert_eq!(
                    (cell["wrong"].as_u64(), cell["stream"]["lost"].as_u64()),
                    (Some(0), Some(0))
                );
            }
        }
    }
    let mut folders = fs::read_dir(&out_dir).unwrap();
    let folder = folders.next().unwrap().unwrap().path();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (table, page) = (read("table.md"), read("index.html"));
    assert_eq!(out, table);
    for told in ["Where Ephapse is slower", "One-way latency, spinning", "Not measured"] {
        assert!(table.contains(told) && page.contains(told), "{told}\n{table}");
    }
    assert!(page.contains("<svg") && !page.contains("src="), "all of it is inside");
    assert!(read("latency-spin.svg").contains("ephapse-link"));
    assert!(read("curves-block-64-1.svg").contains("<svg"));

    // And again, from the results alone.
    fs::remove_file(folder.join("index.html")).unwrap();
    let (again, _, err) = self::output(&["render", folder.join("results.json").to_str().unwrap()]);
    assert!(again.status.success(), "{err}");
    assert_eq!(read("index.html"), page);
}

#[test]
fn wrong_use_is_explained() {
    let _alone = alone();
    let (one, _, err) = output(&["run", "--only", "carrier-pigeon"]);
    assert_eq!(one.status.code(), Some(1));
    assert!(err.contains("carrier-pigeon") && err.contains("ephapse-link"), "{err}");
    let (two, _, err) = output(&["run", "--sizes", "63"]);
    assert_eq!(two.status.code(), Some(2));
    assert!(err.contains("a multiple of 8"), "{err}");
}

/// A run that goes on until it is ended, and what belongs to it.
struct Running {
    process: Child,
    lines: Lines<BufReader<ChildStderr>>,
    stdout: ChildStdout,
    out: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Whatever has failed, it must not go on.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    fn start() -> Running {
        let out = tempfile::tempdir().unwrap();
        let only = ["run", "--only", "ephapse-broadcast,pipe,iceoryx2,zenoh,aeron"];
        let long = ["--rounds", "1000", "--seconds", "0.02", "--sizes", "64,4096"];
        let mut process = peers(&[&only[..], &long].concat())
            .arg("--out")
            .arg(out.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let stdout = process.stdout.take().unwrap();
        Running { process, lines, stdout, out }
    }

    fn wait_for_line(&mut self, start: &str) {
        let found = self.lines.by_ref().map_while(Result::ok).any(|line| line.starts_with(start));
        assert!(found, "it has ended before it said {start:?}");
    }

    /// Processes that it has started, with their command lines.
    fn children(&self) -> Vec<(u32, Vec<String>)> {
        let id = self.process.id();
        let ids = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let ids = ids.split_whitespace().map(|id| id.parse().unwrap());
        ids.map(|id| (id, command_line(id))).collect()
    }

    /// The folder of the run, which its janitor was told.
    fn dir(&self) -> PathBuf {
        let children = self.children();
        let janitor =
            children.iter().find(|(_, line)| line.get(1).is_some_and(|one| one == "janitor"));
        PathBuf::from(&janitor.unwrap().1[2])
    }

    fn signal(&self, signal: Signal) {
        // Not waited for yet, so the id is still its own.
        kill(Pid::from_raw(self.process.id() as i32), signal).unwrap();
    }
}

fn command_line(id: u32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let parts = bytes.split(|byte| *byte == 0);
    parts.map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        // Sleep: nothing tells of the end of another's child, or of a file.
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// What lies beside the folder of a run and has its name, or is it.
fn left(dir: &Path) -> Vec<PathBuf> {
    let name = dir.file_name().unwrap().to_str().unwrap();
    let entries = fs::read_dir(dir.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(name)).collect()
}

/// Shared memory with names that these processes have mapped.
fn named(children: &[(u32, Vec<String>)]) -> Vec<PathBuf> {
    let maps =
        children.iter().filter_map(|(id, _)| fs::read_to_string(format!("/proc/{id}/maps")).ok());
    maps.flat_map(|maps| {
        let lines =
            maps.lines().filter_map(|line| line.find("/dev/shm/").map(|at| line[at..].into()));
        lines.collect::<Vec<PathBuf>>()
    })
    .collect()
}

#[test]
fn a_killed_run_leaves_nothing() {
    let _alone = alone();
    let (_, list, _) = output(&["list"]);
    for system in ["iceoryx2", "zenoh", "aeron", "ephapse-broadcast", "pipe"] {
        if list.contains(&format!("{system:<18} not ")) {
            continue; // left out of this program
        }
        let mut running = Running::start();
        running.wait_for_line(&format!("round 2 of 1000: {system}"));
        let dir = running.dir();
        // The sides are connected, or about to be.
        eventually("no sides", || running.children().len() >= 3);
        let children = running.children();
        running.signal(Signal::SIGKILL);
        let mapped = named(&children);
        running.process.wait().unwrap();
        for (id, line) in &children {
            eventually(&format!("{line:?} still lives"), || command_line(*id) != *line);
        }
        eventually(&format!("{system} left {:?}", left(&dir)), || left(&dir).is_empty());
        for path in mapped {
            eventually(&format!("{system} left {path:?}"), || !path.exists());
        }
    }
}

#[test]
fn an_interrupted_run_tells_what_it_has_and_leaves_nothing() {
    let _alone = alone();
    let mut running = Running::start();
    running.wait_for_line("round 2 of 1000");
    let (dir, children) = (running.dir(), running.children());
    running.signal(Signal::SIGINT);
    let mut table = String::new();
    running.stdout.read_to_string(&mut table).unwrap();
    let said: Vec<String> = running.lines.by_ref().map_while(Result::ok).collect();
    assert!(running.process.wait().unwrap().success(), "{said:?}");
    assert!(table.contains("ephapse-broadcast") && table.contains("- rounds: 1 of"), "{table}");
    assert!(fs::read_dir(running.out.path()).unwrap().next().is_some(), "results are written");
    // It has waited for its janitor.
    assert_eq!(left(&dir), [] as [PathBuf; 0]);
    for (id, line) in children {
        assert_ne!(command_line(id), line, "still lives");
    }
}
