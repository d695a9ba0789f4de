//! `ephapse bench` from outside: what it prints, and how it ends. Nothing here depends on how
//! fast the machine is.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Two processes that spin need both processors of a small machine: one run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The command, whose private domains lie in a directory of this test's own.
struct Bench {
    directory: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    fn new() -> Bench {
        Bench { directory: tempfile::tempdir().unwrap(), _turn: alone() }
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ephapse"));
        command.arg("bench").args(arguments.split_whitespace());
        command.env("TMPDIR", self.directory.path()).env_remove("EPHAPSE_LOG");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &str) -> Output {
        let output = self.command(arguments).output().unwrap();
        self.assert_nothing_left();
        output
    }

    fn assert_nothing_left(&self) {
        let left: Vec<_> = self.directory.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// The result of a run that succeeds, and what every result has.
    fn json(&self, arguments: &str) -> Value {
        let output = self.run(&format!("{arguments} --json"));
        assert!(output.status.success(), "{arguments}: {output:?}");
        assert!(output.stderr.is_empty(), "{arguments}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let result: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(result["interrupted"], false, "{text}");
        assert!(result["machine"]["cpu"].is_string() && result["machine"]["kernel"].is_string());
        result
    }

    /// The same, where two processes send events to one another.
    fn pair(&self, arguments: &str) -> Value {
        let result = self.json(arguments);
        assert_eq!(result["lost"], 0, "{result}");
        assert_eq!(result["cpus"].as_array().unwrap().len(), 2, "{result}");
        result
    }

    fn latency(&self, arguments: &str) -> Value {
        let result = self.pair(&format!("latency --count 600 --rounds 3 {arguments}"));
        assert_eq!(result["bench"], "latency");
        assert_eq!(result["count"], 600);
        assert_eq!(result["rounds"].as_array().unwrap().len(), 3);
        let times =
            ["p50", "p90", "p99", "p999", "max"].map(|key| number(&result["one_way_ns"][key]));
        assert!(times[0] > 0.0 && times.is_sorted(), "{result}");
        let floor = ["p50", "p99"].map(|key| number(&result["floor_ns"][key]));
        assert!(floor[0] > 0.0 && floor.is_sorted(), "{result}");
        assert!(number(&result["ratio_p50"]) > 0.0 && number(&result["ratio_p99"]) > 0.0);
        result
    }

    fn throughput(&self, arguments: &str) -> Value {
        let result = self.pair(&format!("throughput --count 30000 --rounds 2 {arguments}"));
        assert_eq!(result["bench"], "throughput");
        assert_eq!(result["count"], 30_000);
        assert_eq!(result["rounds"].as_array().unwrap().len(), 2);
        let payload = number(&result["payload_bytes"]);
        let (messages, bytes) = (number(&result["messages_per_s"]), number(&result["bytes_per_s"]));
        assert!(messages > 0.0 && (bytes / messages - payload).abs() < 1.0, "{result}");
        assert!(number(&result["rtrb_messages_per_s"]) > 0.0 && number(&result["ratio"]) > 0.0);
        result
    }

    /// A run that is refused as wrong use, with a text that names what is wrong.
    fn refused(&self, arguments: &str, expected: &str) {
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {text}");
        assert!(text.contains(expected), "{arguments}: expected {expected:?} in {text:?}");
        assert!(output.stdout.is_empty());
    }
}

/// Three times in nanoseconds.
fn spread(value: &Value) {
    let times = ["p50", "p99", "max"].map(|key| value[key].as_u64().expect("a time"));
    assert!(times[0] > 0 && times.is_sorted(), "{value}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn latency_spinning() {
    let result = Bench::new().latency("");
    assert_eq!(result["wait"], "spin");
    assert_eq!((&result["payload_bytes"], &result["links"]), (&32.into(), &1.into()));
    assert_eq!((&result["layer"], &result["event"]), (&"hub".into(), &"typed".into()));
    assert_eq!(result["timestamps"], true);
}

#[test]
fn latency_blocking() {
    assert_eq!(Bench::new().latency("--wait block")["wait"], "block");
}

#[test]
fn latency_adaptive() {
    assert_eq!(Bench::new().latency("--wait adaptive")["wait"], "adaptive");
}

#[test]
fn latency_with_idle_links() {
    assert_eq!(Bench::new().latency("--links 3")["links"], 3);
}

#[test]
fn latency_of_the_bare_ring() {
    let result = Bench::new().latency("--layer ring");
    assert_eq!((&result["layer"], &result["payload_bytes"]), (&"ring".into(), &56.into()));
    assert_eq!(result["timestamps"], false);
}

#[test]
fn latency_without_timestamps() {
    assert_eq!(Bench::new().latency("--timestamps off")["timestamps"], false);
}

#[test]
fn latency_of_other_sizes() {
    let bench = Bench::new();
    for (size, kind) in [(8, "typed"), (100, "raw"), (4096, "typed"), (65_536, "typed")] {
        let result = bench.latency(&format!("--size {size}"));
        assert_eq!((&result["payload_bytes"], &result["event"]), (&size.into(), &kind.into()));
    }
}

#[test]
fn latency_by_other_ways() {
    let bench = Bench::new();
    assert_eq!(bench.latency("")["path"], "link");
    for size in [32, 100] {
        let result = bench.latency(&format!("--path broadcast --size {size}"));
        assert_eq!((&result["path"], &result["detours"]), (&"broadcast".into(), &0.into()));
        let result = bench.latency(&format!("--path auto --size {size}"));
        assert_eq!(result["path"], "auto");
        // Both processes answer at once; one that has to wait for its turn may be passed by.
        assert!(result["detours"].as_u64() < Some(600), "{result}");
    }
    assert_eq!(bench.latency("--path broadcast --wait block")["wait"], "block");
    assert_eq!(bench.latency("--path broadcast --hubs 10")["hubs"], 10);
    assert_eq!(bench.latency("--path auto --wait block --timestamps off")["timestamps"], false);
}

#[test]
fn throughput_by_other_ways() {
    let bench = Bench::new();
    assert_eq!(bench.throughput("--path broadcast")["path"], "broadcast");
    assert_eq!(bench.throughput("--path auto")["path"], "auto");
    // Too long for the ring of a link.
    let result = bench.json("throughput --path auto --size 65536 --count 100 --rounds 1");
    assert_eq!((&result["lost"], &result["detours"]), (&0.into(), &110.into()));
}

#[test]
fn fanout() {
    let bench = Bench::new();
    for flow in ["block", "drop-oldest"] {
        let arguments = "--subscribers 5 --count 3000 --rounds 2 --burst 100";
        let result = bench.json(&format!("fanout {arguments} --flow {flow}"));
        assert_eq!((&result["bench"], &result["flow"]), (&"fanout".into(), &flow.into()));
        assert_eq!((&result["subscribers"], &result["count"]), (&5.into(), &3000.into()));
        assert_eq!((&result["lost"], &result["burst"]), (&0.into(), &100.into()));
        let times = [&result["cpu_ns_per_event"], &result["cpu_ns_per_event_one"]].map(number);
        assert!(times.iter().all(|time| *time > 0.0) && number(&result["ratio"]) > 0.0, "{result}");
        assert_eq!(result["rounds"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn failover() {
    let bench = Bench::new();
    for how in ["pause", "close"] {
        let result = bench.json(&format!("failover --count 5 --how {how}"));
        assert_eq!((&result["bench"], &result["how"]), (&"failover".into(), &how.into()));
        assert_eq!((&result["count"], &result["lost"]), (&5.into(), &0.into()));
        spread(&result["ns"]);
    }
}

#[test]
fn reconnect() {
    let result = Bench::new().json("reconnect --hubs 20 --count 3");
    assert_eq!((&result["bench"], &result["hubs"]), (&"reconnect".into(), &20.into()));
    assert_eq!(result["count"], 3);
    spread(&result["ns"]);
}

#[test]
fn join() {
    let result = Bench::new().json("join --hubs 20 --count 10");
    assert_eq!((&result["bench"], &result["hubs"]), (&"join".into(), &20.into()));
    assert_eq!(result["count"], 10);
    ["connect_ns", "discover_ns", "link_ns"].iter().for_each(|step| spread(&result[*step]));
}

#[test]
fn throughput_one_by_one() {
    let result = Bench::new().throughput("");
    assert_eq!((&result["wait"], &result["batch"]), (&"adaptive".into(), &1.into()));
}

#[test]
fn throughput_in_batches() {
    let bench = Bench::new();
    assert_eq!(bench.throughput("--batch 16")["batch"], 16);
    // More at once than the ring holds.
    assert_eq!(bench.throughput("--batch 5000")["batch"], 5000);
}

#[test]
fn throughput_without_timestamps() {
    assert_eq!(Bench::new().throughput("--timestamps off")["timestamps"], false);
}

#[test]
fn throughput_of_other_sizes_and_layers() {
    let bench = Bench::new();
    assert_eq!(bench.throughput("--size 1024")["payload_bytes"], 1024);
    assert_eq!(bench.throughput("--size 100 --batch 7")["event"], "raw");
    assert_eq!(bench.throughput("--layer ring")["layer"], "ring");
    assert_eq!(bench.throughput("--layer ring --batch 16")["batch"], 16);
    assert_eq!(bench.throughput("--wait block --links 2")["wait"], "block");
}

#[test]
fn people_get_a_table() {
    let output = Bench::new().run("latency --count 400 --rounds 2");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{text}");
    assert!(text.contains("floor p50") && text.contains("400 round trips, 0 lost"), "{text}");
    let output = Bench::new().run("throughput --count 400 --rounds 2 --batch 4");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{text}");
    assert!(text.contains("rtrb") && text.contains("400 events, 0 lost"), "{text}");
    for (arguments, expected) in [
        ("fanout --subscribers 2 --count 400 --rounds 2", "400 events, 0 lost"),
        ("failover --count 2", "0 lost"),
        ("reconnect --hubs 2 --count 2", "2 hubs are known"),
        ("join --hubs 2 --count 2", "discover"),
    ] {
        let output = Bench::new().run(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments}: {text}");
        assert!(text.contains(expected), "{arguments}: {text}");
    }
}

#[test]
fn wrong_use_is_refused() {
    let bench = Bench::new();
    bench.refused("latency --size 0", "--size");
    bench.refused("latency --rounds 0", "--rounds");
    bench.refused("latency --count 0", "--count");
    bench.refused("latency --count 3 --rounds 4", "--count 3");
    bench.refused("latency --links 0", "--links");
    bench.refused("latency --links 100000", "--links");
    bench.refused("latency --cpus 0", "--cpus");
    bench.refused("latency --cpus 0,900", "there is no processor 900");
    bench.refused("latency --cpus 0,0", "a processor each");
    bench.refused("latency --batch 2", "--batch");
    bench.refused("latency --layer ring --wait block", "doorbell");
    bench.refused("latency --layer ring --size 32", "56 bytes");
    bench.refused("latency --layer ring --links 2", "--links");
    bench.refused("latency --layer ring --timestamps on", "--timestamps");
    bench.refused("throughput --batch 0", "--batch");
    bench.refused("throughput --path auto --batch 2", "one by one");
    bench.refused("latency --path auto --links 2", "--links");
    bench.refused("latency --path broadcast --layer ring", "--path");
    bench.refused("latency --hubs 3", "--path broadcast");
    bench.refused("fanout --subscribers 0", "--subscribers");
    bench.refused("fanout --burst 5000", "--burst");
    bench.refused("failover --how gently", "--how");
    bench.refused("reconnect --hubs 0", "--hubs");
    bench.refused("join --count 0", "--count");
    bench.refused("", "latency");
}

#[test]
fn an_interrupted_run_tells_what_it_has() {
    let bench = Bench::new();
    let mut command = bench.command("latency --rounds 1000 --count 20000000 --json");
    let mut child = command.env("EPHAPSE_LOG", "ephapse=debug").spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(log.any(|line| line.contains("complete round=2")), "it ended before two rounds");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    let rest: Vec<String> = log.collect();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?} {rest:?}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&result["interrupted"], &result["lost"]), (&true.into(), &0.into()), "{result}");
    let rounds = result["rounds"].as_array().unwrap().len() as u64;
    assert!((2..1000).contains(&rounds), "{result}");
    assert_eq!(result["count"], rounds * 20_000, "{result}");
    bench.assert_nothing_left();
}
