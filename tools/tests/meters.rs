//! `ephapse hz`, `bw`, `delay`, `monitor`, against publishers whose events are known.

mod common;

use common::domain::Domain;
use common::{json, wait_until};
use ephapse::event::Extension;
use ephapse::{Event, Hub, Publisher, SendError, Timestamp};
use nix::sys::signal::Signal;
use rkyv::{Archive, Serialize};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

#[derive(Event, Archive, Serialize)]
struct Bytes;

fn publisher(hub: &Hub, subject: &str, receivers: u32) -> Publisher<Bytes> {
    let publisher = hub.publisher(subject).expect("a publisher");
    wait_until("it is subscribed to", || publisher.receivers() == receivers);
    publisher
}

fn names(object: &Value) -> Vec<&str> {
    let names = object.as_object().expect("an object").keys();
    let mut names: Vec<_> = names.map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The last row, which is the sum.
fn total(rows: &[Value]) -> &Value {
    let total = rows.last().expect("a row");
    assert_eq!(total["report"], "total");
    total
}

const COMMON: [&str; 7] = ["at_s", "events", "missed", "report", "source", "span_s", "subject"];

fn assert_fields(row: &Value, own: &[&str]) {
    let mut expect: Vec<_> = COMMON.iter().chain(own).copied().collect();
    expect.sort_unstable();
    assert_eq!(names(row), expect);
}

#[test]
fn rates() {
    let domain = Domain::new();
    let hz = domain.start("hz r.* -n 100 --every 10ms --json");
    assert!(domain.run("pub r.pose x --count 100 --rate 1000 --name bot").status.success());
    let rows = hz.objects();
    let last = total(&rows);
    let own = ["gap_max_ns", "gap_mean_ns", "gap_min_ns", "gaps", "jitter_ns", "rate_hz"];
    assert_fields(last, &own);
    assert_eq!((&last["subject"], &last["source"]), (&json!("r.pose"), &json!("bot")));
    let numbers = (&last["events"], &last["gaps"], &last["missed"]);
    assert_eq!(numbers, (&json!(100), &json!(99), &json!(0)));
    let number = |name: &str| last[name].as_f64().expect("a number");
    assert!(number("gap_min_ns") <= number("gap_mean_ns"));
    assert!(number("gap_mean_ns") <= number("gap_max_ns"));
    assert!((number("rate_hz") * number("gap_mean_ns") / 1e9 - 1.0).abs() < 1e-3);
    // Each event is in one interval; what came last may be in none that has ended.
    let intervals = rows.iter().filter(|row| row["report"] == "interval");
    let events: u64 = intervals.filter_map(|row| row["events"].as_u64()).sum();
    assert!((1..=100).contains(&events), "{events}");
}

#[test]
fn bandwidth() {
    let domain = Domain::new();
    let bw = domain.start("bw r.> -n 5 --json");
    assert!(domain.run("pub r.a 12345 --count 4 --name one").status.success());
    assert!(domain.run("pub r.b --name two").status.success());
    let rows = bw.objects();
    let totals: Vec<_> = rows.iter().filter(|row| row["report"] == "total").collect();
    let own = ["bytes", "bytes_per_s", "size_max", "size_mean", "size_min"];
    totals.iter().for_each(|row| assert_fields(row, &own));
    let told: Vec<_> = totals
        .iter()
        .map(|row| {
            json!([row["source"], row["subject"], row["events"], row["bytes"], row["size_min"]])
        })
        .collect();
    assert_eq!(told, [json!(["one", "r.a", 4, 20, 5]), json!(["two", "r.b", 1, 0, 0])]);
    let per_s = totals[0]["bytes_per_s"].as_f64().expect("a number");
    let span_s = totals[0]["span_s"].as_f64().expect("a number");
    assert!((per_s * span_s - 20.0).abs() < 1e-6);
}

#[test]
fn delays() {
    let domain = Domain::new();
    let delay = domain.start("delay r.pose -n 50 --json");
    let hub = domain.hub("bot");
    let mut publisher = publisher(&hub, "r.pose", 1);
    assert!((0..50).all(|_| publisher.send_bytes(b"x").is_ok()));
    let rows = delay.objects();
    let last = total(&rows);
    assert_fields(
        last,
        &["delay_max_ns", "delay_min_ns", "delay_p50_ns", "delay_p99_ns", "unstamped"],
    );
    let order = ["delay_min_ns", "delay_p50_ns", "delay_p99_ns", "delay_max_ns"];
    let order = order.map(|name| last[name].as_u64().expect("a number"));
    assert!(order.is_sorted() && order[0] > 0, "{order:?}");
    assert_eq!((&last["events"], &last["unstamped"]), (&json!(50), &json!(0)));
}

#[test]
fn events_without_timestamps() {
    let domain = Domain::new();
    let delay = domain.start("delay r.pose -n 2 --json");
    let place = ephapse::Domain::at(domain.home.path().join("domain"));
    let hub = Hub::builder("bot").domain(place).timestamps(false).connect().expect("a hub");
    let mut publisher = publisher(&hub, "r.pose", 1);
    assert!((0..2).all(|_| publisher.send_bytes(b"").is_ok()));
    let rows = delay.objects();
    let last = total(&rows);
    assert_eq!((&last["unstamped"], &last["delay_p50_ns"]), (&json!(2), &Value::Null));
}

#[test]
fn for_people() {
    let domain = Domain::new();
    let bw = domain.start("bw r.a -n 2");
    assert!(domain.run("pub r.a 123 --count 2 --name bot").status.success());
    let lines = bw.lines();
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let [.., head, row] = &lines[..] else { panic!("{lines:?}") };
    assert!(head.starts_with("total"), "{head}");
    let row = words(row);
    let told: Vec<&str> = row[2..8].iter().map(String::as_str).collect();
    assert_eq!(told, ["r.a", "bot", "2", "0", "6", "B"], "{row:?}");
    // Nothing came, and it ends all the same.
    let (code, out, notes) = domain.start("hz r.a --for 20ms").output();
    assert_eq!((code, out.as_slice(), notes.as_str()), (Some(0), &b""[..], "0 events (0 B)\n"));
}

#[test]
fn all_that_is_known_of_an_event() {
    let domain = Domain::new();
    let objects = domain.start("monitor r.> --json -n 1 --bytes 4");
    let text = domain.start("monitor r.> -n 1 --bytes 4");
    let hub = domain.hub("bot");
    let mut publisher = publisher(&hub, "r.pose", 2);
    let mut extension = Extension::new();
    extension.set_priority(3);
    extension.set_attempts(2);
    extension.set_correlation(7);
    extension.set_deadline(Some(Timestamp::after(Duration::from_secs(1_000))));
    extension.set_reply_subject("answers").expect("short enough");
    extension.add_route(5).expect("short enough");
    extension.add_metadata("k", "v").expect("short enough");
    publisher.send_bytes_with("grün".as_bytes(), &extension).expect("it is sent");
    let event = &objects.objects()[0];
    let fields = "age_ns attempts correlation cut deadline_ns in_place len metadata priority \
                  reply_subject route schema sequence source source_id subject text time_ns \
                  timestamp_ns";
    assert_eq!(names(event).join(" "), fields);
    let expect = [
        ("attempts", json!(2)),
        ("correlation", json!(7)),
        ("cut", json!(true)),
        ("in_place", json!(false)),
        ("len", json!(5)),
        ("metadata", json!({"k": "v"})),
        ("priority", json!(3)),
        ("reply_subject", json!("answers")),
        ("route", json!([5])),
        ("schema", json!("0000000000000000")),
        ("sequence", json!(1)),
        ("source", json!("bot")),
        ("text", json!("grü")),
    ];
    expect.iter().for_each(|(name, value)| assert_eq!(&event[*name], value, "{name}"));
    let lines = text.lines();
    assert!(lines[0].ends_with("Z  r.pose  bot#1  5 B  copied  raw"), "{lines:?}");
    let beside = "    [priority 3] [attempts 2] [correlation 7] [reply to answers] [deadline in ";
    assert!(lines[1].starts_with(beside) && lines[1].ends_with(" s] [route 5] [k=v]"), "{lines:?}");
    assert_eq!(lines[2], "    grü… and 1 more");
}

#[test]
fn what_is_of_interest() {
    let domain = Domain::new();
    let [from, size, schema] =
        ["r.> -n 1 --from two", "r.> -n 1 --size >3", "ephapse.> -n 1 --schema ad18537db2b9985d"]
            .map(|arguments| domain.start(&format!("monitor --json {arguments}")));
    assert!(domain.run("pub r.a 123 --name one --wait-for 2").status.success());
    assert!(domain.run("pub r.a 1234 --name three --wait-for 2").status.success());
    assert!(domain.run("pub r.a x --name two").status.success());
    assert_eq!(from.objects()[0]["source"], "two");
    assert_eq!(size.objects()[0]["text"], "1234");
    let joined = &schema.objects()[0];
    assert_eq!(joined["subject"], "ephapse.hub.joined");
    assert!(joined["fields"]["hub"]["name"].is_string() && joined["hex"].is_string(), "{joined}");
}

#[test]
fn an_interrupt_ends_it_with_the_sum() {
    let domain = Domain::new();
    let mut hz = domain.start("hz r.a --every 1ms --json");
    let hub = domain.hub("bot");
    let mut publisher = publisher(&hub, "r.a", 1);
    assert!((0..3).all(|_| publisher.send_bytes(b"").is_ok()));
    let mut lines = BufReader::new(hz.running.child().stdout.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    assert!(line.contains("\"report\":\"interval\""), "{line}");
    hz.running.signal(Signal::SIGINT);
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    assert!(rest.lines().last().is_some_and(|line| line.contains("\"total\"")), "{rest}");
    assert_eq!(hz.output().0, Some(0));
}

#[test]
fn who_looks_on_never_holds_anybody_up() {
    let domain = Domain::new();
    let commands = ["monitor b.* --json -n 1", "hz b.* --json", "delay b.* --json"];
    let mut stopped: Vec<_> = commands.iter().map(|command| domain.start(command)).collect();
    let hub = domain.hub("bot");
    let mut publisher = publisher(&hub, "b.frame", 3);
    stopped.iter().for_each(|command| command.running.signal(Signal::SIGSTOP));
    // Many times what the ring holds, and there is always room.
    let extension = Extension::new();
    for _ in 0..10_000 {
        match publisher.try_send_bytes_with(&[b'x'; 1_000], &extension) {
            Ok(sent) => assert_eq!(sent.receivers, 3),
            Err(SendError::Full) => panic!("who is stopped has no say"),
            Err(error) => panic!("{error}"),
        }
    }
    stopped.iter().for_each(|command| command.running.signal(Signal::SIGCONT));
    let mut monitor = stopped.remove(0);
    wait_until("it has seen an event", || {
        assert!(publisher.send_bytes(b"x").is_ok());
        monitor.running.child().try_wait().expect("it can be waited for").is_some()
    });
    let monitor = monitor.objects();
    let missed = monitor.iter().find(|line| line["missed"].is_u64()).expect("it was overtaken");
    assert_eq!(missed["source"], "bot");
    // Killed, they leave nothing behind.
    stopped.into_iter().for_each(drop);
    wait_until("only we are left", || {
        json(&domain.run("hubs --json"))["hubs"].as_array().map(Vec::len) == Some(1)
    });
    assert!(publisher.send_bytes(b"x").is_ok_and(|sent| sent.receivers == 0));
}
