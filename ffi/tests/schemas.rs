//! Programs in C whose structs were printed from the layouts of Rust types: each byte arrives, another
//! version is refused by both sides, and what C publishes is described.

mod common;

use common::{Place, SANITIZED, run};
use ephapse::event::EventError;
use ephapse::{Domain, Event, Hub, Schema, Supervisor, counters};
use ephapse_schema::EventType;
use rkyv::rend::char_le;
use rkyv::{Archive, Serialize};
use std::path::PathBuf;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

#[derive(Event, Archive, Serialize)]
#[event(name = "robot.State", version = 2)]
struct State {
    number: u64,
    on: bool,
    class: char,
    position: [f64; 3],
    limit: Option<u16>,
    pair: (i8, i64),
    mode: Mode,
    sides: [Side; 2],
    wide: u128,
}

#[derive(Schema, Archive, Serialize)]
enum Mode {
    Idle,
    Run(u32),
    Go { x: u8, to: [f32; 2] },
}

#[derive(Schema, Archive, Serialize, Debug, PartialEq)]
#[rkyv(compare(PartialEq))]
enum Side {
    Buy = 3,
    Sell,
}

/// The same, a version later.
#[derive(Event, Archive, Serialize)]
#[event(name = "robot.State", version = 3)]
struct Later {
    number: u64,
}

fn state(number: u64) -> State {
    State {
        number,
        on: number % 2 == 1,
        class: 'ß',
        position: [number as f64 * 0.5, -1.0, 1e300],
        limit: number.is_multiple_of(3).then_some(number as u16),
        pair: (-7, -(number as i64) << 33),
        mode: match number % 3 {
            0 => Mode::Idle,
            1 => Mode::Run(number as u32),
            _ => Mode::Go { x: 9, to: [0.5, number as f32] },
        },
        sides: [Side::Sell, Side::Buy],
        wide: u128::from(number) << 64 | 5,
    }
}

/// What must have come from C.
fn check(state: &ArchivedState, number: u64) {
    let expected = self::state(number);
    assert_eq!(state.number, expected.number);
    assert_eq!((state.on, state.class), (expected.on, char_le::from_native(expected.class)));
    assert_eq!(state.position.map(|x| x.to_native()), expected.position);
    assert_eq!(state.limit.as_ref().map(|x| x.to_native()), expected.limit);
    assert_eq!((state.pair.0, state.pair.1.to_native()), expected.pair);
    match (&state.mode, expected.mode) {
        (ArchivedMode::Idle, Mode::Idle) => {}
        (ArchivedMode::Run(x), Mode::Run(y)) => assert_eq!(*x, y),
        (ArchivedMode::Go { x, to }, Mode::Go { x: y, to: z }) => {
            assert_eq!((*x, to.map(|x| x.to_native())), (y, z));
        }
        _ => panic!("another variant of number {number}"),
    }
    assert_eq!((state.sides == expected.sides, state.wide.to_native()), (true, expected.wide));
}

/// A domain, and the program with the header that was printed.
fn meeting() -> (Place, Domain, PathBuf) {
    let place = Place::new();
    let header = EventType::of::<State>().unwrap().c_header().unwrap();
    std::fs::write(place.path().join("robot_state.h"), header).unwrap();
    let include = format!("-I{}", place.path().display());
    let flags: Vec<&str> = SANITIZED.into_iter().chain([include.as_str()]).collect();
    let program = place.program("tests/c/schemas.c", &flags);
    let domain = Domain::at(place.domain("domain"));
    (place, domain, program)
}

fn hub(domain: &Domain, name: &str) -> Hub {
    Hub::builder(name).domain(domain.clone()).connect().unwrap()
}

#[test]
fn structs_that_were_printed_arrive_in_rust() {
    let (_place, domain, program) = meeting();
    let _supervisor = Supervisor::bind(domain.clone()).unwrap().spawn().unwrap();
    let base = hub(&domain, "base");
    let mut states = base.subscribe(["robot.state"]).unwrap();
    let directory = domain.path().display().to_string();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| run(&program, &[&directory, "send"]));
        for number in 0..100 {
            let event = states.recv_timeout(LONG).unwrap().expect("an event");
            check(event.get::<State>().unwrap(), number);
            let error = event.get::<Later>().map(drop).unwrap_err();
            assert!(matches!(error, EventError::WrongSchema { version: 3, .. }), "{error}");
            if number == 0 {
                described(&domain);
            }
        }
        // It ends when it is told that all has been looked at.
        let mut done = base.publisher::<Later>("robot.done").unwrap();
        done.send(&Later { number: 0 }).unwrap();
        sender.join().unwrap();
    });
}

/// What the program in C says of what it publishes.
fn described(domain: &Domain) {
    let found = counters::schemas(Some(domain));
    let text = found.iter().find(|text| text.id == State::SCHEMA).expect("a description");
    assert_eq!((text.name.as_str(), text.version), ("robot.State", 2));
    assert_eq!(
        (text.layout.as_str(), &text.hubs[..]),
        (State::LAYOUT.as_str(), &["c".to_owned()][..])
    );
    assert_eq!(found.len(), 1, "what is computed and not published is not described: {found:?}");
}

#[test]
fn values_from_rust_arrive_in_structs_that_were_printed() {
    let (_place, domain, program) = meeting();
    let _supervisor = Supervisor::bind(domain.clone()).unwrap().spawn().unwrap();
    let base = hub(&domain, "base");
    let mut states = base.publisher::<State>("robot.state").unwrap();
    let directory = domain.path().display().to_string();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| run(&program, &[&directory, "receive"]));
        while states.receivers() == 0 && !receiver.is_finished() {
            std::thread::yield_now();
        }
        for number in 0..100 {
            states.send(&state(number)).unwrap();
        }
        // Of another version: the program in C refuses it.
        let mut later = base.publisher::<Later>("robot.state").unwrap();
        later.send(&Later { number: 100 }).unwrap();
        receiver.join().unwrap();
    });
}
