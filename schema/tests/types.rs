//! Real types: what is said of them is compared with what rustc and rkyv make of them.

#![allow(dead_code, reason = "most fields are only laid out")]

use core::mem::{align_of, offset_of, size_of};
use ephapse::{Event, Schema};
use ephapse_schema::{EventType, Fields, Kind, Type};
use rkyv::rancor::Failure;
use rkyv::{Archive, Serialize};

#[derive(Event, Archive, Serialize, serde::Serialize, Clone, Copy)]
struct Flat {
    kind: u8,
    stamp_ns: u64,
    flags: u16,
    values: [f32; 3],
    wide: (i8, i64),
    big: u128,
    small: i128,
    letter: char,
    on: bool,
    limit: Option<u16>,
    no_limit: Option<(u8, f64)>,
    mode: Mode,
    modes: [Mode; 2],
    side: Side,
    unit: (),
    tick: Tick,
    wrapped: Wrapped,
    pair: Pair,
    empty: Empty,
    nothing: [u8; 0],
    grid: [[i16; 2]; 3],
}

#[derive(Schema, Archive, Serialize, serde::Serialize, Clone, Copy)]
enum Mode {
    Idle,
    Run(u32),
    Pair(u8, i64),
    Go { x: u8, r#type: u64 },
    Odd(Option<Side>),
}

#[derive(Schema, Archive, Serialize, serde::Serialize, Clone, Copy)]
enum Side {
    Buy = 3,
    Sell,
    Hold = 200,
}

#[derive(Schema, Archive, Serialize, serde::Serialize, Clone, Copy)]
struct Tick;

#[derive(Schema, Archive, Serialize, serde::Serialize, Clone, Copy)]
struct Wrapped(u16);

#[derive(Schema, Archive, Serialize, serde::Serialize, Clone, Copy)]
struct Pair(u8, u16);

#[derive(Schema, Archive, Serialize, serde::Serialize, Clone, Copy)]
struct Empty {}

fn flat() -> Flat {
    Flat {
        kind: 255,
        stamp_ns: u64::MAX,
        flags: 513,
        values: [0.1, -1.5e30, f32::NAN],
        wide: (-128, i64::MIN),
        big: 1 << 40,
        small: -(1 << 40),
        letter: '🦀',
        on: true,
        limit: Some(9),
        no_limit: None,
        mode: Mode::Go { x: 7, r#type: 8 },
        modes: [Mode::Idle, Mode::Pair(1, -2)],
        side: Side::Sell,
        unit: (),
        tick: Tick,
        wrapped: Wrapped(1),
        pair: Pair(2, 3),
        empty: Empty {},
        nothing: [],
        grid: [[1, 2], [3, -4], [i16::MIN, i16::MAX]],
    }
}

fn fields(ty: &Type) -> Vec<(&str, usize)> {
    match &ty.kind {
        Kind::Struct(_, Fields::Named(fields)) => {
            fields.iter().map(|field| (field.name.as_str(), field.offset)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn places_are_those_of_the_archived_type() {
    macro_rules! offsets {
        ($($field:ident)*) => { vec![$((stringify!($field), offset_of!(ArchivedFlat, $field))),*] };
    }
    let described = EventType::of::<Flat>().unwrap();
    assert_eq!(described.id(), Flat::SCHEMA);
    assert_eq!((described.name(), described.version()), ("Flat", 1));
    let expected = offsets! {
        kind stamp_ns flags values wide big small letter on limit no_limit mode modes side unit
        tick wrapped pair empty nothing grid
    };
    assert_eq!(fields(described.layout()), expected);
}

#[test]
fn sizes_are_those_of_the_archived_types() {
    fn check<T: Schema + Archive>() {
        let ty: Type = T::LAYOUT.as_str().parse().unwrap();
        let archived = (size_of::<T::Archived>(), align_of::<T::Archived>(), T::FLAT);
        assert_eq!((ty.size, ty.align, ty.is_flat()), archived, "{}", T::LAYOUT);
        assert_eq!(ty.to_string(), T::LAYOUT.as_str());
    }
    check::<Flat>();
    check::<Mode>();
    check::<Side>();
    check::<Tick>();
    check::<Empty>();
    check::<Pair>();
    check::<Nested>();
    check::<Command>();
    check::<()>();
    check::<(u8,)>();
    check::<(u8, u128, u8)>();
    check::<[u64; 0]>();
    check::<Option<u128>>();
    check::<Option<()>>();
    check::<Option<[u64; 0]>>();
    check::<Option<Option<Option<u8>>>>();
    check::<Option<Box<u8>>>();
    check::<[(u8, u16); 5]>();
    check::<String>();
    check::<Vec<u128>>();
    check::<Box<u128>>();
    check::<Box<str>>();
    check::<Box<[Mode]>>();
    check::<(u8, Box<[[Mode; 2]]>, Vec<String>, Option<String>)>();
}

#[derive(Event, Archive, Serialize, serde::Serialize)]
struct Nested {
    short: String,
    eight: String,
    long: String,
    none: String,
    lines: Vec<String>,
    no_lines: Vec<String>,
    next: Option<Box<Part>>,
    nobody: Option<Box<Part>>,
    parts: Vec<Part>,
    grid: Box<[[u16; 2]]>,
    commands: Vec<Command>,
    units: Vec<()>,
    wide: Vec<u128>,
    boxed: Box<Option<u64>>,
}

#[derive(Schema, Archive, Serialize, serde::Serialize)]
struct Part {
    name: String,
    bytes: Vec<u8>,
    choice: (Mode, Option<Box<str>>),
}

#[derive(Event, Archive, Serialize, serde::Serialize)]
enum Command {
    Stop,
    Say(String),
    Move { to: Vec<[f64; 2]>, mode: Mode },
    Many(Vec<Option<Part>>, i8),
}

fn part(name: &str) -> Part {
    let choice = (Mode::Run(5), Some("a text of more than eight bytes".into()));
    Part { name: name.to_owned(), bytes: (0..200).collect(), choice }
}

fn nested() -> Nested {
    Nested {
        short: "äh".to_owned(),
        eight: "12345678".to_owned(),
        long: "x".repeat(300),
        none: String::new(),
        lines: (0..40).map(|len| "ß".repeat(len * 7)).collect(),
        no_lines: Vec::new(),
        next: Some(Box::new(part("next"))),
        nobody: None,
        parts: vec![part(""), part("another part")],
        grid: Box::new([[1, 2], [3, 4], [5, 6]]),
        commands: vec![
            Command::Stop,
            Command::Say("\"quoted\"\n".repeat(9)),
            Command::Move {
                to: vec![[0.1, -2.0], [f64::MAX, f64::MIN_POSITIVE]],
                mode: Mode::Idle,
            },
            Command::Many(vec![None, Some(part("deep"))], -1),
        ],
        units: vec![(); 100],
        wide: vec![0, u128::from(u64::MAX)],
        boxed: Box::new(Some(77)),
    }
}

/// What a program that has the type would write.
fn as_serde<T: serde::Serialize>(value: &T) -> serde_json::Value {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

#[test]
fn payloads_are_decoded_as_serde_writes_them() {
    let payload = rkyv::to_bytes::<Failure>(&flat()).unwrap();
    let decoded = EventType::of::<Flat>().unwrap().decode(&payload).unwrap();
    assert_eq!(decoded, as_serde(&flat()));
    assert_eq!(decoded.to_string(), serde_json::to_string(&flat()).unwrap(), "in the same order");
    let payload = rkyv::to_bytes::<Failure>(&nested()).unwrap();
    let decoded = EventType::of::<Nested>().unwrap().decode(&payload).unwrap();
    assert_eq!(decoded, as_serde(&nested()));
    let nested_type = EventType::of::<Nested>().unwrap();
    let error = nested_type.encode(&decoded).unwrap_err().to_string();
    assert!(error.ends_with("expected a flat type, and string points to something"), "{error}");
    let command = EventType::of::<Command>().unwrap();
    for value in nested().commands {
        let payload = rkyv::to_bytes::<Failure>(&value).unwrap();
        assert_eq!(command.decode(&payload).unwrap(), as_serde(&value));
    }
}

#[test]
fn what_serde_writes_is_encoded_as_rkyv_archives_it() {
    let flat_type = EventType::of::<Flat>().unwrap();
    let mut original = flat();
    original.values[2] = 7.25; // a NaN may have other bits
    let payload = rkyv::to_bytes::<Failure>(&original).unwrap();
    assert_eq!(flat_type.encode(&as_serde(&original)).unwrap(), payload.to_vec());
}

#[test]
fn what_is_no_value_is_named() {
    let text = "P{x:u8,y:i16,z:(u8,option<bool>),m:enum M{A,B(u8),C{c:char}},u:u128}";
    let ty = EventType::parse("a.P", 1, text).unwrap();
    let good = r#"{"x":255,"y":-32768,"z":[0,null],"m":"A","u":"340282366920938463463374607431768211455"}"#;
    let say = |from: &str, to: &str| {
        let json = good.replace(from, to);
        assert_ne!(json, good);
        ty.encode(&serde_json::from_str(&json).unwrap()).map(drop).unwrap_err().to_string()
    };
    let decoded = ty.decode(&ty.encode(&serde_json::from_str(good).unwrap()).unwrap()).unwrap();
    assert_eq!(decoded.to_string(), good);
    assert_eq!(say("255", "256"), "a.P.x is 256; expected u8");
    assert_eq!(say("255", "-1"), "a.P.x is -1; expected u8");
    assert_eq!(say("255", "1.5"), "a.P.x is 1.5; expected u8");
    assert_eq!(say("-32768", "-32769"), "a.P.y is -32769; expected i16");
    assert_eq!(say(r#""x":255,"#, ""), "a.P.x is missing; expected u8");
    assert_eq!(say(r#""x""#, r#""X":1,"x""#), "a.P.X is 1; expected only x, y, z, m, u");
    assert_eq!(say("[0,null]", "[0]"), "a.P.z is [0]; expected a list of 2");
    assert_eq!(say("null", "3"), "a.P.z[1] is 3; expected bool");
    assert_eq!(say(r#""A""#, r#""D""#), r#"a.P.m is "D"; expected one of A, B, C"#);
    assert_eq!(say(r#""A""#, r#"{"C":{"c":"ab"}}"#), r#"a.P.m.C.c is "ab"; expected char"#);
    assert_eq!(say(r#""A""#, r#"{"A":1}"#), "a.P.m.A is 1; expected null");
    assert_eq!(
        say("211455", "211456"),
        r#"a.P.u is "340282366920938463463374607431768211456"; expected u128"#
    );
}

#[test]
fn wide_numbers_are_text() {
    let wide = EventType::parse("Wide", 1, "Wide(u128,i128)").unwrap();
    let mut payload = [0xff; 32];
    payload[31] = 0x80;
    let text =
        r#"["340282366920938463463374607431768211455","-168811955464684315858783496655603761153"]"#;
    let expected = text.replace("-168811955464684315858783496655603761153", &{
        let mut bytes = [0xff; 16];
        bytes[15] = 0x80;
        i128::from_le_bytes(bytes).to_string()
    });
    assert_eq!(wide.decode(&payload).unwrap().to_string(), expected);
}

#[test]
fn it_is_told_as_rust_and_as_json() {
    let text = "Order{id:u64,side:enum Side{Buy=1,Sell},legs:vec<Leg{venue:string,price:(i64,u8)}>,\
                note:option<box<str>>,spare:[Leg{venue:string,price:(i64,u8)};2]}";
    let order = EventType::parse("shop.Order", 3, text).unwrap();
    let rust = "\
enum Side {
    Buy = 1,
    Sell,
}

struct Leg {
    venue: String,
    price: (i64, u8),
}

// schema SCHEMA, 80 bytes and what they point to
#[event(name = \"shop.Order\", version = 3)]
struct Order {
    id: u64,
    side: Side,
    legs: Vec<Leg>,
    note: Option<Box<str>>,
    spare: [Leg; 2],
}";
    assert_eq!(order.rust(), rust.replace("SCHEMA", &format!("{:#018x}", order.id())));
    let json = order.to_json();
    assert_eq!((&json["name"], &json["version"]), (&"shop.Order".into(), &3.into()));
    assert_eq!((&json["flat"], &json["layout"]), (&false.into(), &text.into()));
    let fields = json["type"]["fields"].as_array().unwrap();
    assert_eq!(fields[1]["name"], "side");
    assert_eq!(fields[1]["type"]["variants"][1]["tag"], 2);
    assert_eq!(fields[2]["offset"], 12);
    assert_eq!(fields[2]["type"]["of"]["fields"][1]["type"]["fields"][1]["offset"], 8);
}
