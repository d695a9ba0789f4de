//! `ephapse capture` and `replay`: what goes in comes out, whatever happens to the file.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Write as _};
use std::path::Path;

use common::domain::Domain;
use common::{finish, json, refused, told};
use ephapse::event::{Extension, RAW_SCHEMA};
use ephapse::{Event, Hub, RawEvent, Timestamp};
use rkyv::{Archive, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// What is to be the same in two captures: by source, in order.
type Events = BTreeMap<String, Vec<(String, String, Vec<u8>)>>;

/// All events of a file, read by a reader that is not ours; without sequence and time left.
fn events(file: &Path) -> Events {
    let mut all = Events::new();
    let file = BufReader::new(File::open(file).expect("it can be opened"));
    for message in mcap::io::MessageReader::new(file) {
        let message = message.expect("a whole file");
        let channel = &message.channel;
        assert_eq!(channel.message_encoding, "ephapse-1");
        let sequence = message.data[..8].try_into().map(u64::from_le_bytes).expect("eight bytes");
        assert_eq!(message.sequence, sequence as u32);
        assert!(message.publish_time <= message.log_time);
        let source = all.entry(channel.metadata["source"].clone()).or_default();
        let data = [&message.data[16..18], &message.data[24..]].concat();
        source.push((channel.topic.clone(), channel.metadata["schema"].clone(), data));
    }
    all
}

/// Some events of every kind: with and without extension, payload, schema.
fn publish_all_kinds(hub: &Hub, deadline: bool) {
    let mut publishers: Vec<_> = ["k.one", "k.two"]
        .map(|subject| hub.raw_publisher(subject).expect("a publisher"))
        .into_iter()
        .collect();
    for number in 0..200u64 {
        let publisher = &mut publishers[number as usize % 2];
        common::wait_until("it is subscribed to", || publisher.receivers() > 0);
        let payload = vec![number as u8; number as usize * 7 % 5000];
        let schema = if number.is_multiple_of(3) { RAW_SCHEMA } else { 0xfeed };
        let mut extension = Extension::new();
        extension.set_priority(number as u8);
        extension.set_correlation(number);
        extension.add_metadata("name", "välue").expect("short enough");
        extension.set_reply_subject("answers.here").expect("short enough");
        if deadline {
            extension.set_deadline(Some(Timestamp::after(Duration::from_secs(3_600))));
        }
        let event = RawEvent::bytes(schema, &payload);
        let event = if number.is_multiple_of(2) { event.extension(&extension) } else { event };
        publisher.send(&event).expect("it is sent");
    }
}

fn names(object: &Value) -> String {
    let mut names: Vec<_> = object.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    names.join(" ")
}

#[test]
fn what_was_captured_is_replayed_and_captured_again() {
    let domain = Domain::new();
    let [first, second] = ["first", "second"].map(|name| domain.home.path().join(name));
    let capture = domain.start(&format!("capture {} k.* -n 400 --json", first.display()));
    std::thread::scope(|scope| {
        for name in ["cam", "arm"] {
            let hub = domain.hub(name);
            scope.spawn(move || publish_all_kinds(&hub, false));
        }
    });
    let totals = capture.objects().remove(0);
    let fields = "bytes chunks duration_s events file file_bytes interrupted missed";
    assert_eq!(names(&totals), fields);
    assert_eq!((&totals["events"], &totals["missed"]), (&json!(400), &json!(0)));
    let length = fs::metadata(&first).expect("it is there").len();
    assert_eq!(totals["file_bytes"], length);
    let before = events(&first);
    assert_eq!(before.values().map(Vec::len).collect::<Vec<_>>(), [200, 200]);

    let again = domain.start(&format!("capture {} k.* -n 400", second.display()));
    let replay = format!("replay {} --as-sources --wait-for 1 --json --speed 4", first.display());
    let totals = json(&domain.run(&replay));
    assert_eq!((&totals["events"], &totals["subjects"]), (&json!(400), &json!(2)));
    let fields = "bytes capture_missed damaged_chunks duration_s events file interrupted \
                  late_max_ns late_p50_ns late_p99_ns left_out subjects torn";
    assert_eq!(names(&totals), fields);
    assert!(totals["late_p50_ns"].is_u64() && totals["late_max_ns"].is_u64(), "{totals}");
    assert_eq!((&totals["torn"], &totals["damaged_chunks"]), (&json!(false), &json!(0)));
    assert_eq!(again.output().0, Some(0));
    assert!(events(&second) == before, "not the same events");

    let told = domain.info(&second);
    assert_eq!((&told["events"], &told["complete"]), (&json!(400), &json!(true)));
    let fields = "bytes channels complete damaged_chunks duration_s events file file_bytes missed \
                  start torn_bytes";
    assert_eq!(names(&told), fields);
    let channels = told["channels"].as_array().expect("a list");
    let fields = "bytes events first_s first_sequence last_s last_sequence schema source subject";
    assert_eq!(names(&channels[0]), fields);
    let keys: Vec<_> = channels.iter().map(|one| json!([one["subject"], one["source"]])).collect();
    assert!(keys.contains(&json!(["k.one", "cam"])) && keys.contains(&json!(["k.two", "arm"])));
    assert!(channels.iter().any(|one| one["schema"] == "000000000000feed"), "{told}");
}

#[test]
fn deadlines_are_as_far_away_as_they_were() {
    let domain = Domain::new();
    let file = domain.home.path().join("file");
    let capture = domain.start(&format!("capture {} k.* -n 200", file.display()));
    publish_all_kinds(&domain.hub("cam"), true);
    assert_eq!(capture.output().0, Some(0));
    let sub = domain.start("sub k.* --json --count 200");
    let replay = domain.run(&format!("replay {} --speed max --wait-for 1", file.display()));
    assert!(replay.status.success(), "{}", told(&replay));
    let events = sub.objects();
    let left = events.iter().filter_map(|event| {
        let deadline = event["deadline_ns"].as_u64()?;
        Some(Duration::from_nanos(deadline - event["timestamp_ns"].as_u64()?))
    });
    let left: Vec<_> = left.collect();
    assert_eq!(left.len(), 100);
    let (least, most) = (Duration::from_secs(3_500), Duration::from_secs(3_601));
    assert!(left.iter().all(|left| (least..most).contains(left)), "{left:?}");
}

#[test]
fn a_part_of_it_under_another_name() {
    let domain = Domain::new();
    let file = domain.captured("file", 10);
    let replay = |arguments: &str, expected: u64| {
        let command = format!("replay {} --speed max --json {arguments}", file.display());
        let totals = json(&domain.run(&command));
        assert_eq!(totals["events"], expected, "{arguments}: {totals}");
    };
    replay("--subject x.>", 0);
    replay("--subject c.>", 10);
    replay("--from 1h", 0);
    replay("--to 0s", 0);
    replay("--from 0s --to 1h", 10);
    replay("--from 2100-01-01T00:00:00Z", 0);
    let sub = domain.start("sub sim.c.d --json --count 10");
    replay("--map c.>=sim.c.> --mark --wait-for 1", 10);
    let events = sub.objects();
    assert_eq!(events[0]["metadata"], json!({"origin": "bot#1"}));
    assert_eq!(events[9]["metadata"]["origin"], "bot#10");
}

#[derive(Event, Archive, Serialize)]
#[event(name = "robot.Pose", version = 3)]
struct Pose {
    x: f64,
}

#[test]
fn types_are_known_again() {
    let domain = Domain::new();
    let file = domain.home.path().join("file");
    let capture = domain.start(&format!("capture {} k.* -n 2", file.display()));
    let hub = domain.hub("cam");
    let mut poses = hub.publisher::<Pose>("k.pose").expect("a publisher");
    common::wait_until("it is subscribed to", || poses.receivers() == 1);
    assert!([1.5, 2.5].into_iter().all(|x| poses.send(&Pose { x }).is_ok()));
    assert_eq!(capture.output().0, Some(0));
    drop((poses, hub));
    assert_eq!(domain.info(&file)["channels"][0]["type"], "robot.Pose");
    let monitor = domain.start("monitor k.* --json -n 1 --schema robot.Pose");
    // Hubs say what their types are while they are there: the second event is an hour away.
    let replay = format!("replay {} --wait-for 1 --speed 0.000000001 --json", file.display());
    let replay = common::Running::start(&mut domain.command(&replay));
    assert_eq!(monitor.objects()[0]["fields"], json!({"x": 1.5}));
    replay.signal(nix::sys::signal::Signal::SIGINT);
    let totals = json(&replay.output());
    assert_eq!((&totals["events"], &totals["interrupted"]), (&json!(1), &json!(true)));
}

#[test]
fn for_people() {
    let domain = Domain::new();
    let file = domain.captured("file", 10);
    let told = domain.run(&format!("replay {} --info", file.display()));
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["subject", "source", "schema", "events", "bytes", "first", "last"]);
    assert_eq!(lines[1][..7], ["c.d", "bot", "0000000000000000", "10", "1000", "B", "0"]);
    assert!(text.lines().nth(2).is_some_and(|line| line.starts_with("10 events (1000 B) in ")));
    let replayed = domain.run(&format!("replay {} --speed max", file.display()));
    let notes = String::from_utf8_lossy(&replayed.stderr).into_owned();
    assert!(notes.starts_with("10 events (1000 B) on 1 subject, in "), "{notes}");
}

#[test]
fn what_only_a_supervisor_may_say_is_left_out() {
    let domain = Domain::new();
    let file = domain.home.path().join("file");
    let capture = domain.start(&format!("capture {} ephapse.> -n 2", file.display()));
    assert!(domain.run("pub a.b --name bot").status.success());
    assert_eq!(capture.output().0, Some(0));
    let replayed = domain.run(&format!("replay {} --speed max --json", file.display()));
    let totals = json(&replayed);
    assert_eq!((&totals["events"], &totals["left_out"]), (&json!(0), &json!(2)));
    let notes = String::from_utf8_lossy(&replayed.stderr).into_owned();
    assert!(notes.contains("events on ephapse.hub.joined are left out; see --map"), "{notes}");
}

#[test]
fn what_was_missed_stands_in_the_file() {
    let domain = Domain::new();
    let file = domain.home.path().join("file");
    let capture =
        domain.start(&format!("capture {} c.d --drop-oldest --json --strict", file.display()));
    let hub = domain.hub("bot");
    let mut publisher = hub.raw_publisher("c.d").expect("a publisher");
    common::wait_until("it is subscribed to", || publisher.receivers() == 1);
    capture.running.signal(nix::sys::signal::Signal::SIGSTOP);
    let event = RawEvent::bytes(RAW_SCHEMA, &[b'x'; 1_000]);
    assert!((0..5_000).all(|_| publisher.try_send(&event).is_ok()), "nobody waits");
    capture.running.signal(nix::sys::signal::Signal::SIGCONT);
    common::wait_until("something is written", || {
        assert!(publisher.try_send(&event).is_ok(), "nobody waits");
        fs::metadata(&file).is_ok_and(|file| file.len() > 1_000)
    });
    capture.running.signal(nix::sys::signal::Signal::SIGINT);
    let (code, out, notes) = capture.output();
    assert_eq!(code, Some(1), "strict: {notes}");
    let totals: Value = serde_json::from_slice(&out).expect("JSON");
    let told = domain.info(&file);
    assert!(told["missed"].as_u64() > Some(0), "{told}");
    assert_eq!((&told["missed"], &told["events"]), (&totals["missed"], &totals["events"]));
    assert_eq!(totals["interrupted"], true);
}

#[test]
fn a_file_is_not_written_over_by_accident() {
    let domain = Domain::new();
    let file = domain.home.path().join("file");
    File::create(&file).and_then(|mut file| file.write_all(b"mine")).expect("a file");
    let error = refused(&domain.run(&format!("capture {} a.b", file.display())), 1);
    assert!(error.contains("is there already; see --overwrite"), "{error}");
    assert_eq!(fs::read(&file).expect("a file"), b"mine");
    let capture = domain.start(&format!("capture {} a.b --for 1ms --overwrite", file.display()));
    assert_eq!(capture.output().0, Some(0));
    assert_eq!(domain.info(&file)["events"], 0);
    let error = refused(&finish(&mut domain.command("replay /nonexistent")), 1);
    assert!(error.contains("cannot read /nonexistent"), "{error}");
}
