//! Payloads from a hostile hub: any bytes under any schema, and archives of real values with some
//! bytes changed. What is accepted can be read in every field.
#![no_main]

use ephapse::event::{EventError, PAYLOAD_ALIGN, check};
use ephapse::{Event, Schema};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rkyv::rancor::Failure;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Serialize};
use std::hint::black_box;

#[derive(Debug, Arbitrary, Event, Archive, Serialize)]
struct Flat {
    stamp_ns: u64,
    position: [f32; 3],
    mode: Mode,
    letter: char,
    on: bool,
    limit: Option<u16>,
}

#[derive(Debug, Arbitrary, Schema, Archive, Serialize)]
enum Mode {
    Idle,
    Run(u32),
    Go { x: i8, y: i16 },
}

#[derive(Debug, Arbitrary, Event, Archive, Serialize)]
struct Nested {
    lines: Vec<String>,
    next: Option<Box<Part>>,
    parts: Vec<Part>,
    grid: Box<[[u16; 2]]>,
}

#[derive(Debug, Arbitrary, Schema, Archive, Serialize)]
struct Part {
    name: String,
    bytes: Vec<u8>,
    choice: (Mode, Option<Box<str>>),
}

#[derive(Debug, Arbitrary, Event, Archive, Serialize)]
enum Command {
    Stop,
    Say(String),
    Move { to: Vec<[f64; 2]>, mode: Mode },
    Many(Vec<Option<Part>>),
}

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// The schema is the right one unless given.
    Bytes {
        schema: Option<u64>,
        payload: &'a [u8],
    },
    /// Bytes that are changed: from which end, how far, by what.
    Flat {
        value: Flat,
        changes: Vec<(u16, u8)>,
        cut: u8,
    },
    Nested {
        value: Nested,
        changes: Vec<(u16, u8)>,
        cut: u8,
    },
    Command {
        value: Command,
        changes: Vec<(u16, u8)>,
        cut: u8,
    },
}

fuzz_target!(|input: Input| {
    match input {
        Input::Bytes { schema, payload } => {
            let mut aligned = AlignedVec::<PAYLOAD_ALIGN>::new();
            aligned.extend_from_slice(payload);
            look::<Flat>(schema, &aligned, flat);
            look::<Nested>(schema, &aligned, nested);
            look::<Command>(schema, &aligned, command);
            // A slice that is not aligned as payloads are is refused, not misread.
            look::<Nested>(schema, aligned.get(1..).unwrap_or(&[]), nested);
        }
        Input::Flat { value, changes, cut } => {
            let archive = rkyv::to_bytes::<Failure>(&value).expect("a value");
            look_at_archive::<Flat>(&archive, &changes, cut, flat);
        }
        Input::Nested { value, changes, cut } => {
            let archive = rkyv::to_bytes::<Failure>(&value).expect("a value");
            look_at_archive::<Nested>(&archive, &changes, cut, nested);
        }
        Input::Command { value, changes, cut } => {
            let archive = rkyv::to_bytes::<Failure>(&value).expect("a value");
            look_at_archive::<Command>(&archive, &changes, cut, command);
        }
    }
});

fn look_at_archive<T: Event>(
    archive: &[u8],
    changes: &[(u16, u8)],
    cut: u8,
    touch: fn(&T::Archived),
) {
    let mut payload = AlignedVec::<PAYLOAD_ALIGN>::new();
    payload.extend_from_slice(archive);
    assert!(check::<T>(T::SCHEMA, &payload).is_ok(), "an honest payload is refused");
    for (place, by) in changes {
        if let Some(place) = usize::from(*place).checked_rem(payload.len()) {
            let place = payload.len() - 1 - place;
            payload[place] ^= by;
        }
    }
    look::<T>(None, &payload, touch);
    let end = payload.len().saturating_sub(cut.into());
    look::<T>(None, &payload[..end], touch);
}

fn look<T: Event>(schema: Option<u64>, payload: &[u8], touch: fn(&T::Archived)) {
    match check::<T>(schema.unwrap_or(T::SCHEMA), payload) {
        Ok(value) => {
            assert!(schema.is_none_or(|schema| schema == T::SCHEMA));
            touch(value);
        }
        Err(EventError::WrongSchema { found, .. }) => assert_eq!(schema, Some(found)),
        Err(error @ EventError::Invalid { .. }) => assert!(!error.to_string().is_empty()),
    }
}

fn flat(value: &ArchivedFlat) {
    black_box((value.stamp_ns.to_native(), value.position.map(|x| x.to_native())));
    black_box((char::from(value.letter), value.on, value.limit.as_ref().map(|x| x.to_native())));
    mode(&value.mode);
}

fn mode(value: &ArchivedMode) {
    match value {
        ArchivedMode::Idle => {}
        ArchivedMode::Run(x) => drop(black_box(x.to_native())),
        ArchivedMode::Go { x, y } => drop(black_box((*x, y.to_native()))),
    }
}

fn text(value: &str) {
    assert!(black_box(std::str::from_utf8(value.as_bytes())).is_ok(), "not a text");
    black_box(value.chars().map(u64::from).sum::<u64>());
}

fn part(value: &ArchivedPart) {
    text(&value.name);
    black_box(value.bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>());
    mode(&value.choice.0);
    value.choice.1.iter().for_each(|name| text(name));
}

fn nested(value: &ArchivedNested) {
    value.lines.iter().for_each(|line| text(line));
    value.next.iter().for_each(|next| part(next));
    value.parts.iter().for_each(part);
    black_box(value.grid.iter().flatten().map(|x| u64::from(x.to_native())).sum::<u64>());
}

fn command(value: &ArchivedCommand) {
    match value {
        ArchivedCommand::Stop => {}
        ArchivedCommand::Say(words) => text(words),
        ArchivedCommand::Move { to, mode: how } => {
            black_box(to.iter().flatten().map(|x| x.to_native()).sum::<f64>());
            mode(how);
        }
        ArchivedCommand::Many(all) => all.iter().flat_map(|x| x.as_ref()).for_each(part),
    }
}
