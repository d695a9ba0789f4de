//! `ephapse schema`, and how events of described types are shown and published.

mod common;

use std::fs;
use std::process::Command;

use common::domain::Domain;
use common::{json, refused, run, told};
use ephapse::{Event, Hub, Publisher, Schema};
use rkyv::{Archive, Serialize};
use serde_json::{Value, json};

#[derive(Event, Archive, Serialize)]
#[event(name = "robot.Pose", version = 2)]
struct Pose {
    stamp_ns: u64,
    position: [f32; 2],
    mode: Option<Mode>,
}

#[derive(Schema, Archive, Serialize)]
#[allow(dead_code, reason = "what is not sent is described all the same")]
enum Mode {
    Idle,
    Run(u32),
}

#[derive(Event, Archive, Serialize)]
#[event(name = "robot.Log")]
struct Log {
    lines: Vec<String>,
}

/// A layout of which a part was given by hand.
#[derive(Event, Archive, Serialize)]
#[event(name = "robot.Shot")]
struct Shot {
    #[event(layout = "duration", flat)]
    exposure: std::time::Duration,
}

fn hub(domain: &Domain, name: &str) -> Hub {
    let domain = ephapse::Domain::at(domain.home.path().join("domain"));
    Hub::builder(name).domain(domain).connect().expect("it joins")
}

/// A hub that publishes events of three types.
fn camera(domain: &Domain) -> (Hub, Publisher<Pose>, Publisher<Log>) {
    let hub = hub(domain, "camera");
    let poses = hub.publisher::<Pose>("robot.pose").expect("it publishes");
    let logs = hub.publisher::<Log>("robot.log").expect("it publishes");
    hub.publisher::<Shot>("robot.shot").expect("it publishes");
    (hub, poses, logs)
}

fn out(output: std::process::Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn what_hubs_publish_is_listed() {
    let domain = Domain::new();
    let nothing = domain.run("schema list");
    assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(0), 0), "{}", told(&nothing));
    let _camera = camera(&domain);
    let other = hub(&domain, "base");
    let _poses = other.publisher::<Pose>("base.pose").expect("it publishes");
    let table = out(domain.run("schema list"));
    let rows: Vec<Vec<_>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    let ids = [Log::SCHEMA, Pose::SCHEMA, Shot::SCHEMA].map(|id| format!("{id:016x}"));
    assert_eq!(rows[1], ["robot.Log", &ids[0], "camera", "1", "8+"]);
    assert_eq!(rows[2], ["robot.Pose", &ids[1], "base", "camera", "2", "32"]);
    assert_eq!(rows[3], ["robot.Shot", &ids[2], "camera", "1", "?"]);
    let all = json(&domain.run("schema list --json"));
    let expected = json!({
        "name": "robot.Pose", "version": 2, "schema": ids[1], "size": 32, "flat": true,
        "layout": Pose::LAYOUT.as_str(), "hubs": ["base", "camera"],
    });
    assert_eq!(all["schemas"][1], expected);
    assert_eq!(
        (&all["schemas"][0]["flat"], &all["schemas"][2]["size"]),
        (&false.into(), &Value::Null)
    );
}

#[test]
fn a_type_is_shown_in_rust_in_c_and_in_json() {
    let domain = Domain::new();
    let _camera = camera(&domain);
    let rust = out(domain.run("schema show robot.Pose"));
    for expected in
        ["enum Mode {\n    Idle,\n    Run(u32),\n}", "struct Pose {", "mode: Option<Mode>,"]
    {
        assert!(rust.contains(expected), "{expected}: {rust}");
    }
    let id = format!("{:016x}", Pose::SCHEMA);
    assert_eq!(out(domain.run(&format!("schema show 0x{id}"))), rust);
    let shown = json(&domain.run(&format!("schema show {id} --json")));
    assert_eq!((&shown["hubs"], &shown["schema"]), (&json!(["camera"]), &id.clone().into()));
    assert_eq!(shown["type"]["fields"][1]["offset"], 8);

    let header = out(domain.run("schema show robot.Pose --c"));
    let given = ["schema", "show", "--c", "--name", "robot.Pose", "--version", "2", "--layout"];
    assert_eq!(out(run(given.into_iter().chain([Pose::LAYOUT.as_str()]))), header);
    let path = domain.home.path().join("pose.h");
    fs::write(&path, &header).expect("it can be written");
    let cc = Command::new("cc").args(["-Wall", "-Werror", "-fsyntax-only"]).arg(&path).output();
    let cc = cc.expect("there is a compiler");
    assert!(cc.status.success(), "{}{header}", told(&cc));

    let error = refused(&domain.run("schema show robot.Log --c"), 1);
    assert!(error.contains("robot.Log.lines is `vec<string>`"), "{error}");
    let error = refused(&domain.run("schema show robot.Shot"), 1);
    assert!(error.contains("Shot{exposure:duration}: nothing is known of `duration`"), "{error}");
    let error = refused(&domain.run("schema show robot.Nothing"), 1);
    assert!(error.contains("publishes a type robot.Nothing; 3 others are listed by"), "{error}");
    let error = refused(&domain.run("schema show robot.Pose --version 1"), 1);
    assert!(error.contains("robot.Pose version 1"), "{error}");
}

#[test]
fn one_of_several_versions_is_named() {
    let domain = Domain::new();
    let hub = hub(&domain, "camera");
    hub.describe("robot.Pose", 1, "Pose{x:u8}");
    hub.describe("robot.Pose", 2, "Pose{x:u16}");
    let error = refused(&domain.run("schema show robot.Pose"), 1);
    assert!(
        error.contains("there are several robot.Pose") && error.contains("version 2 ("),
        "{error}"
    );
    assert!(out(domain.run("schema show robot.Pose --version 2")).contains("x: u16,"));
}

#[test]
fn a_schema_is_computed() {
    let id = format!("{:016x}\n", Pose::SCHEMA);
    let named = ["schema", "hash", "--name", "robot.Pose", "--version", "2"];
    let layout = Pose::LAYOUT;
    assert_eq!(out(run(named.into_iter().chain(["--layout", layout.as_str()]))), id);
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), format!("{layout}\n")).expect("it can be written");
    let path = file.path().to_str().expect("text");
    assert_eq!(out(run(named.into_iter().chain([path]))), id);
    let shown = json(&run(named.into_iter().chain([path, "--json"])));
    assert_eq!((&shown["schema"], &shown["layout"]), (&id.trim().into(), &layout.as_str().into()));
    refused(&run(named), 2);
    let error = refused(&run(named.into_iter().chain(["/nonexistent"])), 1);
    assert!(error.contains("cannot read the layout from /nonexistent"), "{error}");
}

#[test]
fn subscribers_see_the_fields_of_what_is_described() {
    let domain = Domain::new();
    let (camera, mut poses, mut logs) = camera(&domain);
    let sub = domain.start("sub robot.> --json --count 3");
    let person = domain.start("sub robot.> --count 3");
    let pose = Pose { stamp_ns: 7, position: [0.1, -2.0], mode: Some(Mode::Run(5)) };
    poses.send(&pose).expect("it is sent");
    logs.send(&Log { lines: vec!["a line of some length".into()] }).expect("it is sent");
    poses.send_bytes(b"bytes").expect("it is sent");
    let objects = sub.objects();
    let expected = json!({"stamp_ns": 7, "position": [0.1, -2.0], "mode": {"Run": 5}});
    assert_eq!(objects[0]["fields"], expected);
    assert_eq!(objects[0]["schema"], format!("{:016x}", Pose::SCHEMA));
    assert_eq!(objects[0]["len"], 32);
    assert_eq!(objects[1]["fields"], json!({"lines": ["a line of some length"]}));
    assert_eq!((&objects[2]["fields"], &objects[2]["text"]), (&Value::Null, &"bytes".into()));
    let lines = person.lines();
    let fields = r#"{"stamp_ns":7,"position":[0.1,-2.0],"mode":{"Run":5}}"#;
    assert!(
        lines[0].starts_with("robot.pose  camera#1  32  ") && lines[0].ends_with(fields),
        "{lines:?}"
    );
    assert!(lines[2].ends_with("  bytes"), "{lines:?}");
    drop(camera);
}

#[test]
fn json_is_published_as_a_type() {
    let domain = Domain::new();
    let (camera, ..) = camera(&domain);
    let mut seen = camera.subscribe(["robot.pose"]).expect("it subscribes");
    let publish = |body: &str| {
        let mut command = domain.command("pub robot.pose --json --schema robot.Pose");
        common::finish(command.arg(body))
    };
    json(&publish(r#"{"stamp_ns":9,"position":[1,2.5],"mode":null}"#));
    let event = seen.recv_timeout(common::PATIENCE).expect("it works").expect("an event");
    let pose = event.get::<Pose>().expect("a pose");
    assert_eq!((pose.stamp_ns.to_native(), pose.position[1].to_native()), (9, 2.5));
    assert!(pose.mode.is_none());
    let error = String::from_utf8(publish(r#"{"stamp_ns":-1}"#).stderr).expect("text");
    assert!(
        error.contains("it is no robot.Pose: robot.Pose.stamp_ns is -1; expected u64"),
        "{error}"
    );
    let bytes = json(&domain.run("pub robot.pose plain --json"));
    assert_eq!(bytes["bytes"], 5);
}
