//! Schemas: the layout texts and hashes are part of the wire format, so they are pinned here, and
//! every change to a type must change its hash.

#![allow(dead_code, reason = "most types are only described, never built")]

use core::mem::{align_of, offset_of, size_of};

use ephapse::event::schema::schema_id;
use ephapse::{Event, Schema};
use rkyv::{Archive, Serialize, rancor};

#[derive(Event, Archive, Serialize)]
struct Pose {
    stamp_ns: u64,
    position: [f64; 3],
    heading: f32,
}

#[derive(Event, Archive, Serialize)]
struct Tick;

#[derive(Schema, Archive, Serialize, Clone, Copy)]
enum Side {
    Buy = 1,
    Sell = 1 + 1,
}

#[derive(Schema, Archive, Serialize)]
struct Leg {
    venue: String,
    price: (i64, u8),
}

#[derive(Event, Archive, Serialize)]
struct Order {
    id: u64,
    side: Side,
    legs: Vec<Leg>,
    note: Option<Box<str>>,
}

#[derive(Event, Archive, Serialize)]
#[rkyv(derive(Debug))]
enum Mode {
    Idle,
    Run(u32),
    Go { x: u8, r#type: u64 },
}

const POSE_TEXT: &str = "Pose{stamp_ns:u64,position:[f64;3],heading:f32}";

#[test]
fn hashes_are_pinned() {
    #[derive(Event, Archive, Serialize)]
    #[event(name = "robot.Pose", version = 2)]
    struct Named {
        x: u8,
    }

    assert_eq!((Pose::NAME, Pose::VERSION), ("Pose", 1));
    assert_eq!((Named::NAME, Named::VERSION), ("robot.Pose", 2));
    assert_eq!(Named::SCHEMA, schema_id("robot.Pose", 2, "Named{x:u8}"));
    // From a separate implementation. They may only change together with the format tag.
    assert_eq!(Pose::SCHEMA, 0x4b65_1f9a_93c8_36da);
    assert_eq!(schema_id("robot.Pose", 2, POSE_TEXT), 0xa7ec_b0b9_8910_51bd);
    assert_eq!(Tick::SCHEMA, 0xbe71_b809_3553_45c2);
    assert_eq!(Order::SCHEMA, 0xe60b_0077_7ae6_fb7c);
}

#[test]
fn layout_texts_are_pinned() {
    #[derive(Schema)]
    struct P;
    #[derive(Schema)]
    struct Empty {}
    #[derive(Schema)]
    struct Pair(u8, u8);

    #[track_caller]
    fn check<T: Schema>(expect: &str) {
        assert_eq!(T::LAYOUT.as_str(), expect);
    }
    check::<Pose>(POSE_TEXT);
    check::<Mode>("enum Mode{Idle,Run(u32),Go{x:u8,type:u64}}");
    check::<Order>(
        "Order{id:u64,side:enum Side{Buy=1,Sell=2},legs:vec<Leg{venue:string,price:(i64,u8)}>,\
         note:option<box<str>>}",
    );
    check::<P>("P");
    check::<Empty>("Empty{}");
    check::<Pair>("Pair(u8,u8)");
    check::<((), (u8,), (u8, Option<u16>))>("((),(u8,),(u8,option<u16>))");
    check::<Box<[[Pair; 2]]>>("box<[[Pair(u8,u8);2]]>");
    check::<[bool; 0]>("[bool;0]");
    check::<(bool, char, f32, f64)>("(bool,char,f32,f64)");
    check::<(u8, u16, u32, u64, u128)>("(u8,u16,u32,u64,u128)");
    check::<(i8, i16, i32, i64, i128)>("(i8,i16,i32,i64,i128)");
    check::<(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, i8)>(
        "(u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,i8)",
    );
}

/// The hash of the type that `source` declares under the name `Pose`.
macro_rules! schema_of {
    ($($source:tt)*) => {{
        #[derive(Event, Archive, Serialize)]
        $($source)*
        Pose::SCHEMA
    }};
}

#[test]
fn every_change_to_a_type_changes_its_hash() {
    mod deep {
        use super::*;
        #[derive(Schema, Archive, Serialize)]
        pub(crate) struct Grain(pub u32);
        #[derive(Schema, Archive, Serialize)]
        pub(crate) struct Part {
            pub grain: [Grain; 2],
        }
    }
    mod deep_changed {
        use super::*;
        #[derive(Schema, Archive, Serialize)]
        pub(crate) struct Grain(pub i32);
        #[derive(Schema, Archive, Serialize)]
        pub(crate) struct Part {
            pub grain: [Grain; 2],
        }
    }
    let mut hashes = [
        schema_of! { struct Pose { x: u16, y: u16 } },
        schema_of! { struct Pose { x: u16, z: u16 } }, // another field name
        schema_of! { struct Pose { x: u16, y: i16 } }, // another type
        schema_of! { struct Pose { y: u16, x: u16 } }, // another order
        schema_of! { struct Pose { x: u16, y: u16, z: u16 } }, // one more
        schema_of! { struct Pose { x: u16 } },         // one less
        schema_of! { struct Pose(u16, u16); },         // without names
        schema_of! { #[event(version = 2)] struct Pose { x: u16, y: u16 } },
        schema_of! { #[event(name = "pose")] struct Pose { x: u16, y: u16 } },
        schema_of! { struct Pose { x: [u16; 2], y: u16 } },
        schema_of! { struct Pose { x: [u16; 3], y: u16 } }, // another length
        schema_of! { struct Pose { x: Option<u16>, y: u16 } },
        schema_of! { struct Pose { part: Option<deep::Part> } },
        schema_of! { struct Pose { part: Option<deep_changed::Part> } }, // two levels down
        schema_of! { enum Pose { A, B } },
        schema_of! { enum Pose { B, A } },
        schema_of! { enum Pose { A, B = 5 } },
        schema_of! { enum Pose { A, B = 6 } },
        schema_of! { enum Pose { A, B(u8) } },
        schema_of! { enum Pose { A, B { x: u8 } } },
    ];
    assert_eq!(hashes[0], schema_of! { struct Pose { x: u16, y: u16 } }, "same source, same hash");
    hashes.sort_unstable();
    assert!(hashes.windows(2).all(|pair| pair[0] != pair[1]), "two of these are one: {hashes:x?}");
}

#[test]
fn flat_types_hold_no_pointers() {
    #[derive(Schema)]
    enum Flat {
        A,
        B(Side, [Option<u8>; 4]),
    }
    #[derive(Schema)]
    enum NotFlat {
        A(u8),
        B { x: u8, text: String },
    }

    for (flat, expect) in [
        (<(bool, char, u8, u16, u32, u64, u128)>::FLAT, true),
        (<(i8, i16, i32, i64, i128, f32, f64, ())>::FLAT, true),
        (<(u8,)>::FLAT, true),
        (<(Vec<u8>,)>::FLAT, false),
        (<(u8, u8, String)>::FLAT, false),
        (<[u8; 3]>::FLAT, true),
        (<[String; 3]>::FLAT, false),
        (Option::<u8>::FLAT, true),
        (Option::<String>::FLAT, false),
        (String::FLAT, false),
        (Vec::<u8>::FLAT, false),
        (Box::<u8>::FLAT, false),
        (Box::<str>::FLAT, false),
        (Box::<[u8]>::FLAT, false),
        (Pose::FLAT, true),
        (Tick::FLAT, true),
        (Mode::FLAT, true),
        (Order::FLAT, false),
        (Leg::FLAT, false),
        (Flat::FLAT, true),
        (NotFlat::FLAT, false),
    ] {
        assert_eq!(flat, expect);
    }
}

#[test]
fn generic_schemas_are_spelled_by_their_fields() {
    #[derive(Schema)]
    struct Stamped<T, const N: usize = 2>
    where
        T: Clone,
    {
        stamp_ns: u64,
        values: [T; N],
    }
    #[derive(Schema)]
    struct Borrowed<'a> {
        #[event(layout = "string")]
        text: &'a str,
    }

    assert_eq!(Stamped::<u8>::LAYOUT.as_str(), "Stamped{stamp_ns:u64,values:[u8;2]}");
    assert_eq!(Stamped::<String, 1>::LAYOUT.as_str(), "Stamped{stamp_ns:u64,values:[string;1]}");
    assert_eq!((Stamped::<u8>::FLAT, Stamped::<String, 1>::FLAT), (true, false));
    assert_eq!(Borrowed::LAYOUT.as_str(), "Borrowed{text:string}");
}

#[test]
fn a_given_text_stands_for_the_field() {
    #[derive(Event, Archive, Serialize)]
    struct Shot {
        #[event(layout = "box<u64>")]
        #[rkyv(with = rkyv::with::AsBox)]
        boxed: u64,
        #[event(layout = "duration", flat)]
        exposure: core::time::Duration,
    }
    #[derive(Schema)]
    struct FlatShot {
        #[event(layout = "duration", flat)]
        exposure: core::time::Duration,
    }
    #[derive(Schema)]
    struct Node {
        value: u8,
        #[event(layout = "option<box<Node>>")] // a type that holds itself
        next: Option<Box<Node>>,
    }

    assert_eq!(Shot::LAYOUT.as_str(), "Shot{boxed:box<u64>,exposure:duration}");
    // A given text is not taken for flat unless it says so.
    assert_eq!((Shot::FLAT, FlatShot::FLAT, Node::FLAT), (false, true, false));
    assert_eq!(Node::LAYOUT.as_str(), "Node{value:u8,next:option<box<Node>>}");
}

#[test]
fn the_crate_may_stand_elsewhere() {
    mod bus {
        pub(crate) mod inner {
            pub(crate) use ::ephapse as eph;
        }
    }
    #[derive(Event, Archive, Serialize)]
    #[event(crate = "bus::inner::eph")]
    struct Far(u8);

    assert_eq!(Far::SCHEMA, schema_id("Far", 1, "Far(u8)"));
}

/// A flat archived struct has the bytes of the C struct with the same fields, and an archived enum
/// those of a tag byte followed by the variant's fields. C programs rely on it.
#[test]
fn archived_types_are_laid_out_as_in_c() {
    #[derive(Event, Archive, Serialize)]
    struct Sample {
        kind: u8,
        stamp_ns: u64,
        flags: u16,
        values: [f32; 3],
        wide: (i8, i64),
        last: bool,
    }
    #[repr(C)]
    struct WideInC(i8, i64);
    #[repr(C)]
    struct InC {
        kind: u8,
        stamp_ns: u64,
        flags: u16,
        values: [f32; 3],
        wide: WideInC,
        last: bool,
    }
    #[repr(C)]
    struct GoInC {
        tag: u8,
        x: u8,
        kind: u64,
    }

    const { assert!(Sample::FLAT && Mode::FLAT) }
    assert_eq!(
        [
            offset_of!(ArchivedSample, kind),
            offset_of!(ArchivedSample, stamp_ns),
            offset_of!(ArchivedSample, flags),
            offset_of!(ArchivedSample, values),
            offset_of!(ArchivedSample, wide),
            offset_of!(ArchivedSample, last),
        ],
        [0, 8, 16, 20, 32, 48],
    );
    assert_eq!(offset_of!(InC, wide), 32);
    assert_eq!(offset_of!(InC, last), 48);
    assert_eq!(size_of::<ArchivedSample>(), size_of::<InC>());
    assert_eq!(align_of::<ArchivedSample>(), align_of::<InC>());

    let go = rkyv::to_bytes::<rancor::Error>(&Mode::Go { x: 7, r#type: 0x0102 }).unwrap();
    assert_eq!(go.len(), size_of::<GoInC>());
    assert_eq!((go[offset_of!(GoInC, tag)], go[offset_of!(GoInC, x)]), (2, 7));
    assert_eq!(go[offset_of!(GoInC, kind)..][..8], 0x0102_u64.to_le_bytes());

    let side = rkyv::to_bytes::<rancor::Error>(&Side::Sell).unwrap();
    assert_eq!(side[..], [2], "the tag is the number in the source");
    let option = rkyv::to_bytes::<rancor::Error>(&Some(9_u32)).unwrap();
    assert_eq!((option.len(), option[0], option[4]), (8, 1, 9));
}

#[test]
fn derive_refuses_what_it_cannot_describe() {
    trybuild::TestCases::new().compile_fail("tests/derive/*.rs");
}
