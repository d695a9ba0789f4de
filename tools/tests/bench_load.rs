//! `ephapse bench load`, `sweep` and `intrinsic` from outside: what they print and write, and that
//! they tell the truth about delays that are known. Nothing here depends on how fast the machine
//! is.

mod common;
#[path = "common/results.rs"]
mod results;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::{Running, children_of, ephapse, finish, json, refused, told, wait_until};
use ephapse_plot::Times;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Two processes that spin need both processors of a small machine: one run at a time.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bench(arguments: &str) -> Command {
    ephapse(["bench"].into_iter().chain(arguments.split_whitespace()))
}

fn run(arguments: &str) -> Output {
    finish(&mut bench(arguments))
}

/// A run whose rates may be missed, because the machine may be busy.
fn result(arguments: &str) -> Value {
    let output = run(&format!("{arguments} --json --tolerance 99.9"));
    let result = json(&output);
    assert_eq!((&result["lost"], &result["interrupted"]), (&0.into(), &false.into()), "{result}");
    result
}

fn times(result: &Value) -> Times {
    Times::decode(result["histogram"].as_str().expect("a histogram")).expect("that can be read")
}

#[test]
fn every_event_of_every_rate_is_counted() {
    let _turn = alone();
    for how in ["", "--wait block", "--path broadcast", "--path broadcast --wait block --size 100"]
    {
        let result = result(&format!("load --rate 2k,5k,max --duration 50ms --rounds 2 {how}"));
        let runs = result["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 3, "{result}");
        for (run, (rate, count)) in runs.iter().zip([("2k", 200), ("5k", 500)]) {
            assert_eq!((&run["rate"], &run["count"]), (&rate.into(), &count.into()), "{how}");
            assert_eq!(run["counted_from"], "schedule");
            assert_eq!(times(run).count(), count, "{how}");
            assert_eq!(run["rounds"].as_array().unwrap().len(), 2);
        }
        assert_eq!((&runs[2]["counted_from"], &runs[2]["met"]), (&"send".into(), &true.into()));
        assert!(runs[2]["count"].as_u64() >= Some(2000) && runs[2].get("wanted_per_s").is_none());
    }
}

#[test]
fn results_have_the_fields_that_programs_know() {
    let _turn = alone();
    let load = result("load --rate 2k --duration 20ms --rounds 1");
    results::has_shape(&load, include_str!("bench_results/load.txt"));
    let sweep = result("sweep --rate 2k --sizes 8,100 --duration 20ms --rounds 1");
    results::has_shape(&sweep, include_str!("bench_results/sweep.txt"));
    assert_eq!(sweep["points"].as_array().unwrap().len(), 2);
    let intrinsic = json(&run("intrinsic --duration 20ms --json"));
    results::has_shape(&intrinsic, include_str!("bench_results/intrinsic.txt"));
    let latency = json(&run("latency --count 200 --rounds 2 --json"));
    results::has_shape(&latency, include_str!("bench_results/latency.txt"));
    let throughput = json(&run("throughput --count 2000 --rounds 2 --json"));
    results::has_shape(&throughput, include_str!("bench_results/throughput.txt"));
}

#[test]
fn a_delay_of_the_receiver_is_seen() {
    let _turn = alone();
    for path in ["link", "broadcast"] {
        let arguments = format!("load --rate 200 --duration 500ms --rounds 1 --path {path}");
        let least = |result: &Value| result["runs"][0]["latency_ns"]["min"].as_f64().unwrap();
        let delayed = result(&format!("{arguments} --delay 1ms"));
        assert!(least(&delayed) >= 1e6 * 0.999, "{delayed}");
        // Every one of them.
        assert_eq!(times(&delayed["runs"][0]).count_above_ns(0.998e6), 100, "{delayed}");
        // And without it, at least one of a hundred is quicker.
        let plain = result(&arguments);
        assert!(least(&plain) < 1e6, "{plain}");
    }
}

#[test]
fn a_stall_is_counted_for_every_event_that_it_delayed() {
    const RATE: f64 = 2000.0;
    const STALL: Duration = Duration::from_millis(300);

    let _turn = alone();
    let arguments = "load --rate 2k --duration 2s --rounds 1 --tolerance 99.9 --json";
    let mut command = bench(arguments);
    command.env("EPHAPSE_LOG", "ephapse=debug");
    let mut running = Running::start(&mut command);
    let stderr = running.child().stderr.take().expect("a pipe");
    let mut log = results::Log::of(stderr);
    log.wait_for("the first event is under way");
    let echo = children_of(running.id()).into_iter().find(|id| is_echo(*id)).expect("a receiver");
    let echo = Pid::from_raw(i32::try_from(echo).unwrap());
    kill(echo, Signal::SIGSTOP).expect("it runs");
    wait_until("it stands still", || state(echo) == Some('T'));
    let stopped = Instant::now();
    wait_until("the stall is over", || stopped.elapsed() >= STALL);
    let stall_ns = stopped.elapsed().as_nanos() as f64;
    kill(echo, Signal::SIGCONT).expect("it stands still");
    let output = running.output();
    let result = json(&output);
    assert_eq!(result["lost"], 0, "{result}");
    let times = times(&result["runs"][0]);
    assert_eq!(times.count(), 4000);
    // What was due while it stood still was late by what was left of the stall: so many events
    // more than each part of it, in equal steps.
    assert!(times.max_ns() >= stall_ns * 0.998, "{} of {stall_ns}", times.max_ns());
    for tenth in 0..10 {
        let late_ns = stall_ns * f64::from(tenth) / 10.0;
        let expected = RATE * (stall_ns - late_ns) / 1e9;
        let found = times.count_above_ns(late_ns * 0.998) as f64;
        assert!(found >= expected - 1.0, "{found} of {expected} later than {late_ns} ns");
    }
    // And not more than that: from the longest one on, one for each step of the schedule.
    let (longest, half) = (times.max_ns(), times.max_ns() / 2.0);
    let expected = RATE * (longest - half) / 1e9;
    let found = times.count_above_ns(half) as f64;
    // A busy machine delays some more, but far from all that there are.
    assert!(found <= expected * 4.0 + 20.0, "{found} of {expected} later than {half} ns");
}

fn is_echo(id: u32) -> bool {
    let arguments = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&arguments).contains("bench-role\0echo")
}

/// What the kernel says about a process: `T` is stopped.
fn state(id: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit(')').next()?.trim().chars().next()
}

#[test]
fn a_missed_rate_is_a_failure() {
    let _turn = alone();
    // Two nanoseconds for each event: no processor does that.
    let output = run("load --rate 500M --duration 200us --rounds 1");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(out.contains("FAIL: rate missed") && err.contains("FAIL: rate 500M"), "{out}{err}");
}

#[test]
fn conditions_decide_about_the_end() {
    let _turn = alone();
    let code = |check: &str| {
        let output = run(&format!("latency --count 200 --rounds 2 --json --check {check}"));
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(code("lost=0,one_way_ns.p99>0,rounds.*.ratio_p50>0"), (Some(0), String::new()));
    let (end, told) = code("lost=0,count<100");
    assert_eq!(end, Some(1));
    assert!(told.contains("count<100 does not hold: count is 200, off by 100, 100.0 %"), "{told}");
    let (end, told) = code("p42<1");
    assert_eq!(end, Some(2));
    assert!(told.contains("`p42`") && told.contains("ratio_p50"), "{told}");
    let (end, told) = code("lost~0");
    assert_eq!(end, Some(2));
    assert!(told.contains("expected FIELD<NUMBER"), "{told}");
}

#[test]
fn files_are_written_whole() {
    let _turn = alone();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name).display().to_string();
    let files = ["hgrm", "hlog", "svg", "png", "html"];
    let asked: Vec<String> =
        files.iter().map(|kind| format!("--{kind} {}", file(&format!("out.{kind}")))).collect();
    let asked = asked.join(" ");
    let result = result(&format!("load --rate 2k,max --duration 50ms --rounds 2 {asked}"));
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect(name);
    for (index, rate) in ["2k", "max"].into_iter().enumerate() {
        let text = read(&format!("out-{rate}.hgrm"));
        let count = result["runs"][index]["count"].as_u64().unwrap();
        assert!(text.contains(&format!("Total count    = {count:>12}")), "{text}");
    }
    let log = read("out.hlog");
    for part in ["machine: ", "processors: 0", "kernel: ", "versions: ", "command: ", "Tag=max,"] {
        assert!(log.contains(part), "{part} in {log}");
    }
    let (picture, page) = (read("out.svg"), read("out.html"));
    for part in ["2k/s", "max", "99.9", "Over time", "percentile"] {
        assert!(picture.contains(part) && page.contains(part), "{part}");
    }
    assert!(page.contains("<td>2k/s</td>") && page.contains("<dt>command</dt>"), "{page}");
    assert!(std::fs::read(directory.path().join("out.png")).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(common::names_in(directory.path()).len(), 6, "nothing but what was asked for");
}

#[test]
fn a_file_that_cannot_be_written_is_known_before() {
    let begun = Instant::now();
    let output = run("load --rate 1k --duration 1h --svg /nonexistent/out.svg");
    assert!(refused(&output, 1).contains("/nonexistent/out.svg"));
    assert!(refused(&run("latency --png -"), 1).contains("name a file"));
    assert!(begun.elapsed() < Duration::from_secs(3600));
}

#[test]
fn gaps_are_told_for_each_processor() {
    let _turn = alone();
    let result = json(&run("intrinsic --duration 50ms --threshold 2us --json"));
    for cpu in result["cpus"].as_array().unwrap() {
        assert!(cpu["loops"].as_u64() > Some(0) && cpu["loop_ns"].as_f64() > Some(0.0), "{cpu}");
        let share = cpu["lost_share"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&share), "{cpu}");
        assert_eq!(Some(times(cpu).count()), cpu["gaps"].as_u64(), "{cpu}");
        assert!(times(cpu).count() == 0 || times(cpu).min_ns() >= 1998.0, "{cpu}");
    }
}

#[test]
fn history_goes_on_until_it_is_interrupted() {
    let _turn = alone();
    let mut command = bench("latency --history --interval 50ms");
    let mut running = Running::start(&mut command);
    let mut log = results::Log::of(running.child().stdout.take().expect("a pipe"));
    log.wait_for("round trips");
    (0..3).for_each(|_| log.wait_for(" s  "));
    running.signal(Signal::SIGINT);
    let rest = log.rest();
    assert_eq!(running.wait().code(), Some(0));
    assert!(rest.contains("times the floor at p50") && rest.contains("0 lost"), "{rest}");
}

#[test]
fn wrong_use_is_refused() {
    for (arguments, expected) in [
        ("load --rate fast", "such as 250, 10k"),
        ("load --rate 10k,10k", "2 times"),
        ("load --rate 100M --duration 10s", "shorten --duration"),
        ("load --rate max --timestamps off", "timestamps"),
        ("load --count 5", "--duration"),
        ("load --layer ring", "--layer"),
        ("load --tolerance 200", "0 to 100"),
        ("load --cpus 0,0 --wait block", "alone"),
        ("sweep --size 8", "--sizes"),
        ("sweep --hubs 3", "--domain-hubs"),
        ("sweep --domain-hubs 3", "--path broadcast"),
        ("intrinsic --cpus 900", "no processor 900"),
        ("latency --history --count 5", "--count"),
        ("latency --interval 1s", "--history"),
        ("compare one.json", "B.json"),
    ] {
        let told = refused(&run(arguments), 2);
        assert!(told.contains(expected), "{arguments}: expected {expected:?} in {told}");
    }
}

#[test]
fn comparisons_are_those_of_the_rounds() {
    let at =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench_results").join(name);
    let compare = |a: &str, b: &str, more: &[&str]| {
        let mut command = ephapse(["bench", "compare"]);
        finish(command.arg(at(a)).arg(at(b)).args(more).stderr(Stdio::piped()))
    };
    let same = compare("before.json", "before.json", &[]);
    let text = String::from_utf8_lossy(&same.stdout).into_owned();
    assert!(
        same.status.success() && text.contains("no difference that these rounds show"),
        "{text}"
    );
    let output = compare("before.json", "after.json", &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // The first line names files by where they are.
    let (_, rest) = text.split_once('\n').expect("lines");
    assert_eq!(rest, include_str!("bench_results/compare.txt"), "{text}");
    let result = json(&compare("before.json", "after.json", &["--json"]));
    let metric = &result["metrics"]["ratio_p50"];
    assert_eq!((&metric["verdict"], &metric["better"]), (&"worse".into(), &"lower".into()));
    let failed = compare("before.json", "after.json", &["--check", "metrics.ratio_p50.change<10%"]);
    assert_eq!(failed.status.code(), Some(1), "{}", told(&failed));
    let other = compare("before.json", "compare.txt", &[]);
    assert!(refused(&other, 1).contains("is no result of `bench … --json`"));
}
