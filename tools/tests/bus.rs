//! `ephapse pub`, `sub` and `subjects`, as processes that find one another.

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use common::domain::Domain;
use common::{Running, finish, json, refused, told, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Lines of every kind: empty, long, without meaning as text, with every byte but the line feed.
fn lines(count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for number in 0..count {
        match number % 7 {
            0 => {}
            1 => all.extend_from_slice(b"\xff\xfe\0\xc3\x28\r"),
            2 => all.extend((0..=255u8).filter(|byte| *byte != b'\n').take(number % 256)),
            3 if number.is_multiple_of(1000) => all.resize(all.len() + 70_000, b'x'),
            _ => write!(all, "{{\"number\": {number}}}").expect("memory can be written"),
        }
        all.push(b'\n');
    }
    all
}

#[test]
fn lines_arrive_as_they_were() {
    let domain = Domain::new();
    let input = lines(100_000);
    let (from, to) = (domain.home.path().join("from"), domain.home.path().join("to"));
    fs::write(&from, &input).expect("the input can be written");
    for extra in ["", " -H trace:17"] {
        let mut sub = domain.command("sub log.lines --raw --count 100000");
        let out = File::create(&to).expect("a file");
        let mut sub = sub.stdout(out).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut publish = domain.command(&format!("pub log.lines - --wait-for 1 --json{extra}"));
        let published = finish(publish.stdin(File::open(&from).expect("it was just written")));
        let totals = json(&published);
        let mut notes = String::new();
        let stderr = sub.stderr.as_mut().expect("a pipe");
        stderr.read_to_string(&mut notes).expect("notes are text");
        assert_eq!(sub.wait().expect("it ends").code(), Some(0), "{notes}");
        assert!(notes.contains("100 000 events") && !notes.contains("missed"), "{notes}");
        assert!(fs::read(&to).expect("the output exists") == input, "the bytes differ");
        let bytes = input.len() - 100_000;
        assert_eq!((&totals["count"], &totals["bytes"]), (&json!(100_000), &json!(bytes)));
        assert_eq!((&totals["receivers"], &totals["deliveries"]), (&json!(1), &json!(100_000)));
        let paths = json!({"links": 0, "broadcast": 100_000, "nobody": 0});
        assert_eq!((&totals["paths"], &totals["interrupted"]), (&paths, &json!(false)));
    }
}

#[test]
fn events_in_json() {
    let domain = Domain::new();
    let sub = domain.start("sub robot.* --json --count 3");
    let told = json(&domain.run("pub robot.pose near -H a:1 -H b:2 -H a:3 --name bot --json"));
    assert_eq!(told["receivers"], 1);
    let mut command = domain.command("pub robot.raw - --name cam");
    let mut publish = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = publish.child().stdin.take().expect("a pipe");
    stdin.write_all(b"\xff\0\n\n").expect("it reads");
    drop(stdin);
    assert_eq!(publish.wait().code(), Some(0));
    let events = sub.objects();
    let first = &events[0];
    assert_eq!(first["subject"], "robot.pose");
    assert_eq!((&first["source"], &first["sequence"]), (&json!("bot"), &json!(1)));
    assert!(first["source_id"].is_u64() && first["timestamp_ns"].as_u64() > Some(0), "{first}");
    assert!(first["age_ns"].is_u64(), "{first}");
    assert_eq!(first["schema"], "0000000000000000");
    assert_eq!((&first["len"], &first["text"]), (&json!(4), &json!("near")));
    assert_eq!(first["metadata"], json!({"a": ["1", "3"], "b": "2"}));
    let (second, third) = (&events[1], &events[2]);
    assert_eq!((&second["source"], &second["hex"]), (&json!("cam"), &json!("ff00")));
    assert!(second["text"].is_null() && second["metadata"].is_null(), "{second}");
    assert_eq!((&third["sequence"], &third["text"]), (&json!(2), &json!("")));
}

#[test]
fn events_for_people() {
    let domain = Domain::new();
    let sub = domain.start("sub > --count 3");
    assert!(domain.run("pub a.b hello -H k:v --name one").status.success());
    assert!(domain.run("pub a.c --count 2 --name two").status.success());
    assert_eq!(sub.lines(), ["a.b  one#1  5  [k=v]  hello", "a.c  two#1  0  ", "a.c  two#2  0  "]);
}

#[test]
fn how_long_after_the_start_events_came() {
    let domain = Domain::new();
    let objects = domain.start("sub a.* --count 2 --json --since-start");
    let text = domain.start("sub a.* --count 2 --since-start");
    assert!(domain.run("pub a.b --count 2 --wait-for 2").status.success());
    let times: Vec<_> = objects.objects().iter().map(|o| o["since_start_ns"].as_u64()).collect();
    assert!(times[0] > Some(0) && times[0] < times[1], "{times:?}");
    let lines = text.lines();
    let seconds = lines.iter().map(|line| {
        let (seconds, rest) = line.trim_start().split_once("  ").expect("two columns");
        assert!(rest.starts_with("a.b  "), "{line}");
        seconds.parse().expect("a number")
    });
    let seconds: Vec<f64> = seconds.collect();
    assert!(seconds[0] > 0.0 && seconds[0] <= seconds[1], "{lines:?}");
}

#[test]
fn who_comes_and_goes() {
    let domain = Domain::new();
    let objects = domain.start("sub ephapse.> --json --count 2");
    assert!(domain.run("pub a.b --name bot").status.success());
    let events = objects.objects();
    let subjects: Vec<_> = events.iter().map(|event| event["subject"].as_str()).collect();
    assert_eq!(subjects, [Some("ephapse.hub.joined"), Some("ephapse.hub.left")]);
    for event in &events {
        assert_eq!(
            (&event["source"], &event["hub"]["name"]),
            (&json!("supervisor"), &json!("bot"))
        );
        assert!(event["hub"]["pid"].as_u64() > Some(0), "{event}");
        assert!(event["len"].is_null() && event["hex"].is_null(), "{event}");
    }
    let text = domain.start("sub ephapse.hub.* --count 2");
    assert!(domain.run("pub a.b --name bot").status.success());
    let lines = text.lines();
    assert!(lines[0].starts_with("ephapse.hub.joined  supervisor#1  "), "{lines:?}");
    assert!(lines[1].starts_with("ephapse.hub.left  supervisor#2  "), "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("  bot (id ")), "{lines:?}");
}

#[test]
fn what_does_not_come_in_time() {
    let domain = Domain::new();
    let error = refused(&domain.run("pub a.b x --wait-for 2 --timeout 20ms"), 1);
    assert!(error.contains("2 subscriptions of a.b did not come within 20ms, only 0"), "{error}");
    let (code, _, notes) = domain.start("sub a.b --timeout 50ms").output();
    assert_eq!((code, notes.as_str()), (Some(0), "0 events (0 B)\n"));
    let (code, _, notes) = domain.start("sub a.b --timeout 50ms --count 3").output();
    assert_eq!(code, Some(1));
    assert!(notes.contains("0 of 3 events have come, and none for 50ms"), "{notes}");
}

#[test]
fn what_was_missed_is_told() {
    let domain = Domain::new();
    let mut sub = domain.start("sub a.b --raw --drop-oldest --strict --timeout 1s");
    let mut stdout = sub.running.child().stdout.take().expect("a pipe");
    let input = [&[b'x'; 199][..], b"\n"].concat().repeat(50_000);
    let file = domain.home.path().join("input");
    fs::write(&file, input).expect("it can be written");
    let stdin = File::open(&file).expect("it was just written");
    // Nobody reads what it prints, so that it stands still.
    let mut publish = domain.command("pub a.b - --longest 200 --json");
    let totals = json(&finish(publish.stdin(stdin)));
    assert_eq!(totals["count"], 50_000);
    let mut seen = Vec::new();
    stdout.read_to_end(&mut seen).expect("a pipe can be read");
    let (code, _, notes) = sub.output();
    assert_eq!(code, Some(1), "{notes}");
    assert!(notes.contains("was faster: up to"), "{notes}");
    assert!(seen.len() / 200 < 50_000 && seen.len().is_multiple_of(200), "{}", seen.len());
}

#[test]
fn an_interrupt_ends_it_with_a_summary() {
    let domain = Domain::new();
    let mut sub = domain.start("sub a.b");
    let mut command = domain.command("pub a.b - --json");
    let mut publish = Running::start(command.stdin(Stdio::piped()));
    let stdin = publish.child().stdin.as_mut().expect("a pipe");
    stdin.write_all(b"first\nsecond\nhalf of").expect("it reads");
    // Printed although more may come, and although nobody has asked for a flush.
    let mut stdout = BufReader::new(sub.running.child().stdout.take().expect("a pipe"));
    for expected in ["  first\n", "  second\n"] {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        assert!(line.ends_with(expected), "{line}");
    }
    publish.signal(Signal::SIGINT);
    let totals = json(&publish.output());
    assert_eq!((&totals["count"], &totals["interrupted"]), (&json!(2), &json!(true)));
    sub.running.signal(Signal::SIGINT);
    let (code, _, notes) = sub.output();
    assert_eq!((code, notes.as_str()), (Some(0), "2 events (11 B)\n"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let domain = Domain::new();
    let mut sub = domain.start("sub a.b");
    drop(sub.running.child().stdout.take());
    // It notices without an event.
    let (code, _, notes) = sub.output();
    assert_eq!((code, notes.as_str()), (Some(0), ""));
}

#[test]
fn a_second_interrupt_does_not_wait() {
    let domain = Domain::new();
    let mut sub = domain.start("sub a.b --raw");
    // Kept open and not read, so that it is stuck.
    let _stdout = sub.running.child().stdout.take().expect("a pipe");
    let input = [&[b'x'; 999][..], b"\n"].concat().repeat(1000);
    let file = domain.home.path().join("input");
    fs::write(&file, input).expect("it can be written");
    let stdin = File::open(&file).expect("it was just written");
    assert!(finish(domain.command("pub a.b -").stdin(stdin)).status.success());
    sub.running.signal(Signal::SIGINT);
    // One that comes before the other has been taken is the same one.
    wait_until("it has ended", || {
        let ended = sub.running.child().try_wait().expect("it can be waited for");
        if ended.is_none() {
            sub.running.signal(Signal::SIGINT);
        }
        ended.is_some()
    });
    assert_eq!(sub.output().0, None, "ended by the signal");
}

#[test]
fn subjects_are_listed() {
    let domain = Domain::new();
    let none = domain.run("subjects");
    assert!(none.status.success() && none.stdout.is_empty(), "{}", told(&none));
    let _sub = domain.start("sub robot.>");
    let mut command = domain.command("pub robot.pose -");
    let _publish = Running::start(command.stdin(Stdio::piped()));
    let mut listed = Value::Null;
    wait_until("the subject is there", || {
        listed = json(&domain.run("subjects --json"));
        listed["subjects"] != json!([])
    });
    let subject = &listed["subjects"][0];
    assert_eq!(subject["subject"], "robot.pose");
    assert_eq!((&subject["publishers"], &subject["subscriptions"]), (&json!(1), &json!(1)));
    let table = String::from_utf8(domain.run("subjects").stdout).expect("text");
    assert!(table.starts_with("subject"), "{table}");
    assert!(table.lines().nth(1).is_some_and(|line| line.starts_with("robot.pose")), "{table}");
}

#[test]
fn quiet_means_quiet_and_paced_means_paced() {
    let domain = Domain::new();
    let start = std::time::Instant::now();
    let output = domain.run("pub -q a.b x --count 5 --rate 100");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", told(&output));
    assert!(start.elapsed() >= std::time::Duration::from_millis(40), "{:?}", start.elapsed());
    let error = refused(&domain.run("pub a.b x --name not/a/name"), 1);
    assert!(error.contains("cannot join the domain"), "{error}");
}
