//! What hubs say of the types that they publish: read by others without their help, exactly as the
//! type says it, and passed over if it is not true.

mod common;

use common::roles::{self, Child, LONG};
use common::{Domain, Pose, pose};
use ephapse::counters::{self, SchemaText};
use ephapse::event::schema::schema_id;
use ephapse::rkyv::{Archive, Serialize};
use ephapse::segment::{Counters, Owner};
use ephapse::{Event, Hub, RawEvent, Schema};
use std::time::SystemTime;

#[derive(Event, Archive, Serialize)]
#[event(name = "plan.Request", version = 7)]
struct Request {
    goal: [f64; 2],
    notes: Vec<String>,
}

#[derive(Event, Archive, Serialize)]
#[event(name = "plan.Reply")]
struct Reply(u8);

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("publisher") => publisher(),
        Some(other) => panic!("no role {other}"),
    }
}

fn text<T: Event>(hubs: &[&str]) -> SchemaText {
    SchemaText {
        id: T::SCHEMA,
        name: T::NAME.to_owned(),
        version: T::VERSION,
        layout: T::LAYOUT.to_string(),
        hubs: hubs.iter().map(|&hub| hub.to_owned()).collect(),
    }
}

fn schemas(domain: &Domain) -> Vec<SchemaText> {
    counters::schemas(Some(&domain.domain()))
}

fn publisher() {
    let hub = roles::join(&roles::name());
    let _poses = hub.publisher::<Pose>("robot.pose").unwrap();
    let _again = hub.publisher::<Pose>("robot.other").unwrap();
    roles::tell("done");
    roles::listen();
}

#[test]
fn another_process_is_read_also_while_it_is_stopped() {
    let domain = Domain::new();
    let mut child = Child::start("publisher", &domain.domain(), "camera");
    child.expect("done");
    assert_eq!(schemas(&domain), [text::<Pose>(&["camera"])]);
    let hub = domain.hub("base");
    let _poses = hub.publisher::<Pose>("base.pose").unwrap();
    child.stop();
    assert_eq!(schemas(&domain), [text::<Pose>(&["base", "camera"])]);
    child.kill();
    assert_eq!(schemas(&domain), [text::<Pose>(&["base"])]);
    drop(hub);
    assert_eq!(schemas(&domain), []);
}

#[test]
fn whatever_is_published_with_a_type_is_described() {
    let domain = Domain::new();
    let (mut asker, planner) = (domain.hub("asker"), domain.hub("planner"));
    let mut requests = planner.subscribe(["plan.>"]).unwrap();
    let answer = std::thread::spawn(move || {
        let request = requests.recv_timeout(LONG).unwrap().expect("a request");
        planner.reply(&request, &Reply(9)).unwrap();
        planner
    });
    let request = Request { goal: [1.0, 2.0], notes: Vec::new() };
    assert_eq!(asker.request("plan.a", &request, LONG).unwrap().get::<Reply>().unwrap().0, 9);
    let _planner = answer.join().unwrap();
    let expected = [text::<Reply>(&["planner"]), text::<Request>(&["asker"])];
    assert_eq!(schemas(&domain), expected);
    asker.emit_to("planner", "robot.pose", &pose(1)).unwrap();
    assert_eq!(schemas(&domain).len(), 3);
    // Raw events are of a type that the program says, or of none.
    let mut raw = asker.raw_publisher("robot.raw").unwrap();
    assert_eq!(schemas(&domain).len(), 3);
    let schema = asker.describe("robot.Raw", 2, "Raw{x:u8}");
    assert_eq!(schema, schema_id("robot.Raw", 2, "Raw{x:u8}"));
    raw.send(&RawEvent::bytes(schema, &[1])).unwrap();
    let found = schemas(&domain);
    let raw = found.iter().find(|text| text.id == schema).unwrap();
    assert_eq!(
        (raw.name.as_str(), raw.version, raw.layout.as_str()),
        ("robot.Raw", 2, "Raw{x:u8}")
    );
}

fn dropped(hub: &Hub) -> u64 {
    hub.counters().iter().find(|(label, _)| label == "schemas.dropped").unwrap().1
}

#[test]
fn types_without_room_are_counted_and_published_all_the_same() {
    let domain = Domain::new();
    let hub = domain.hub("crowded");
    let layout = format!("Long{{{}:u8}}", "x".repeat(2000));
    for version in 0..40 {
        hub.describe("a.Long", version, &layout);
        hub.describe("a.Long", version, &layout);
    }
    let (found, dropped_before) = (schemas(&domain).len() as u64, dropped(&hub));
    assert!(found > 30 && dropped_before > 0, "{found}");
    assert_eq!(found + dropped_before, 40);
    // A short one still fits; then nothing does.
    let mut poses = hub.publisher::<Pose>("robot.pose").unwrap();
    for version in 0..100 {
        hub.describe("a.Short", version, "Short{x:u8}");
    }
    assert!(dropped(&hub) > dropped_before);
    let mut seen = hub.subscribe(["robot.pose"]).unwrap();
    poses.send(&pose(3)).unwrap();
    let event = seen.recv_timeout(LONG).unwrap().expect("an event");
    assert_eq!(event.get::<Pose>().unwrap().stamp_ns, 3);
}

#[test]
fn what_is_not_true_is_passed_over() {
    let domain = Domain::new();
    let forged = Counters::create(&Owner {
        name: "forged".to_owned(),
        id: 1,
        pid: std::process::id(),
        domain: domain.domain().path().canonicalize().unwrap().to_str().unwrap().to_owned(),
        since: SystemTime::now(),
        started: 0,
    })
    .unwrap();
    let layout = Pose::LAYOUT;
    assert!(forged.describe(Pose::SCHEMA, Pose::NAME, Pose::VERSION + 1, layout.as_str()));
    assert!(forged.describe(5, Pose::NAME, Pose::VERSION, layout.as_str()));
    let named = "a.B\n\x1b[2J";
    assert!(forged.describe(schema_id(named, 1, "B"), named, 1, "B"));
    assert_eq!(schemas(&domain), []);
    assert!(forged.describe(schema_id("a.B", 1, "B"), "a.B", 1, "B"));
    let found = schemas(&domain);
    assert_eq!(
        (found.len(), found[0].name.as_str(), &found[0].hubs[..]),
        (1, "a.B", &["forged".to_owned()][..])
    );
}
