//! Payloads from hostile programs: any bytes under any layout are decoded or refused, soon, and
//! without much memory.

mod common;

use ephapse_schema::{DecodeError, EventType, VALUES_MAX};
use proptest::prelude::*;
use serde_json::Value;

fn described(text: &str) -> EventType {
    EventType::parse("a.B", 1, text).unwrap()
}

/// Values in a value.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused(
        text in common::any_layout(),
        payload in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(4), Just(0xfc), Just(0xff), any::<u8>()], 0..256),
    ) {
        prop_assume!(text.len() <= ephapse::limits::LAYOUT_TEXT_MAX);
        if let Ok(ty) = EventType::parse("a.B", 1, &text) {
            let size = ty.layout().size;
            let mut payload = payload;
            if ty.layout().is_flat() {
                payload.resize(size, 0);
            }
            if let Ok(value) = ty.decode(&payload) {
                prop_assert!(count(&value) <= 2 * VALUES_MAX);
                prop_assert!(payload.len() >= size);
                if ty.layout().is_flat() {
                    let again = ty.encode(&value).map(|payload| ty.decode(&payload));
                    prop_assert_eq!(again, Ok(Ok(value)), "{}", text);
                }
            }
            // As long as it must be, a flat one is refused only for bytes that no value has.
            let zeros = vec![0; size];
            if ty.layout().is_flat() && !text.contains('=') {
                prop_assert!(ty.decode(&zeros).is_ok(), "{text}");
            }
        }
    }
}

#[test]
fn what_points_to_the_same_again_and_again_ends() {
    // Each of 64 lists has 64 elements, and all lie at the same place.
    let deep = format!("{}u8{}", "vec<".repeat(20), ">".repeat(20));
    let mut payload = Vec::new();
    for _ in 0..64 {
        payload.extend((-(payload.len() as i32)).to_le_bytes());
        payload.extend(64_u32.to_le_bytes());
    }
    let error = described(&deep).decode(&payload).unwrap_err();
    assert_eq!(error, DecodeError::TooMuch { max: VALUES_MAX });
    // The same text a thousand times.
    let mut payload = vec![b'x'; 4096];
    for at in (4096..4096 + 8000_i32).step_by(8) {
        payload.extend((-at).to_le_bytes());
        payload.extend(4096_u32.to_le_bytes());
    }
    payload.extend((-8000_i32).to_le_bytes());
    payload.extend(1000_u32.to_le_bytes());
    let error = described("vec<box<str>>").decode(&payload).unwrap_err();
    assert_eq!(error, DecodeError::TooMuch { max: VALUES_MAX });
    // What has no bytes can be said to be there very often.
    let mut payload = 0_i32.to_le_bytes().to_vec();
    payload.extend(u32::MAX.to_le_bytes());
    for text in ["vec<()>", "box<[[u8;0]]>"] {
        let error = described(text).decode(&payload).unwrap_err();
        assert_eq!(error, DecodeError::TooMuch { max: VALUES_MAX }, "{text}");
    }
    for text in ["[();1000000000]", "[[[();1000];1000];1000]"] {
        let error = described(text).decode(&[]).unwrap_err();
        assert_eq!(error, DecodeError::TooMuch { max: VALUES_MAX }, "{text}");
    }
}

#[test]
fn what_is_outside_or_cannot_be_is_named() {
    let say = |text: &str, payload: &[u8]| described(text).decode(payload).unwrap_err().to_string();
    assert_eq!(say("u32", &[0; 5]), "the type has 4 bytes, the payload has 5");
    assert_eq!(say("string", &[0; 5]), "the type has 8 bytes, the payload has 5");
    assert_eq!(say("bool", &[2]), "0x2 at byte 0 is no bool");
    assert_eq!(say("char", &[0, 0xd8, 0, 0]), "0xd800 at byte 0 is no character");
    assert_eq!(say("(u8,option<u8>)", &[0, 2, 0]), "0x2 at byte 1 is no option");
    assert_eq!(say("enum E{A=1}", &[0]), "0x0 at byte 0 is no variant");
    let outside = |at, what| format!("{what} at {at} lies outside of the 8 bytes of the payload");
    assert_eq!(say("vec<u8>", &[9, 0, 0, 0, 0, 0, 0, 0]), outside(9, "what is pointed to"));
    assert_eq!(say("vec<u8>", &[255; 8]), outside(-1, "what is pointed to"));
    assert_eq!(say("vec<u8>", &[4, 0, 0, 0, 5, 0, 0, 0]), outside(4, "a list"));
    assert_eq!(say("box<str>", &[4, 0, 0, 0, 5, 0, 0, 0]), outside(4, "a text"));
    assert_eq!(say("vec<u16>", &[3, 0, 0, 0, 1, 0, 0, 0]), "byte 3 is not a multiple of 2");
    assert_eq!(say("string", &[0xfe, 0xff, 0, 0, 0, 0, 0, 0]), "the text at byte 0 is not UTF-8");
    assert_eq!(say("vec<u16>", &[0; 9]), "byte 1 is not a multiple of 4");
}
