//! Layout texts: whatever has a meaning is printed again as it was, whatever has none is refused.

mod common;

use ephapse_schema::{EventType, ParseError, Type};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_text_is_printed_as_it_was(text in common::any_layout()) {
        prop_assume!(text.len() <= ephapse::limits::LAYOUT_TEXT_MAX);
        match text.parse::<Type>() {
            Ok(ty) => {
                prop_assert_eq!(ty.to_string(), text.clone());
                prop_assert!(ty.align.is_power_of_two() && ty.size.is_multiple_of(ty.align));
                let described = EventType::parse("a.B", 1, &text).unwrap();
                prop_assert!(!described.rust().is_empty() && described.to_json()["type"].is_object());
            }
            // A unit struct may be inside of another type of this name.
            Err(error) => prop_assert!(matches!(error, ParseError::Recursive { .. }), "{error}"),
        }
    }

    #[test]
    fn what_is_changed_is_refused_or_means_something_else(
        text in common::any_layout(),
        at in any::<prop::sample::Index>(),
        with in prop::sample::select(&["", "(", ")", "{", "}", "[", "]", "<", ">", ",", ";", ":", "=", "0", "9", "x", "é"][..]),
    ) {
        prop_assume!(text.len() < ephapse::limits::LAYOUT_TEXT_MAX);
        let places: Vec<_> = text.char_indices().collect();
        let (from, old) = places[at.index(places.len())];
        let changed = format!("{}{with}{}", &text[..from], &text[from + old.len_utf8()..]);
        if let Ok(ty) = changed.parse::<Type>() {
            prop_assert_eq!(ty.to_string(), changed);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in r"(?s)[a-z{}()\[\]<>,:;= 0-9é]{0,80}") {
        if let Ok(ty) = text.parse::<Type>() {
            prop_assert_eq!(ty.to_string(), text);
        }
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let error = text.parse::<Type>().unwrap_err().to_string();
    assert_eq!(error, expected, "{text}");
}

#[test]
fn refusals_say_what_was_expected() {
    refused("", "expected a type at byte 0 of the layout, found its end");
    refused("Pose{x: f64}", "expected a type at byte 7 of the layout, found ` f64}`");
    refused("Pose{x:f64", "expected , at byte 10 of the layout, found its end");
    refused("[u8;]", "expected a number at byte 4 of the layout, found `]`");
    refused("[u8]", "expected ; at byte 3 of the layout, found `]`");
    refused("[u8;03]", "expected a number at byte 4 of the layout, found `03]`");
    refused("u8 ", "expected the end at byte 2 of the layout, found ` `");
    refused("list<u8>", "expected option, vec or box at byte 0 of the layout, found `list<u8>`");
    refused("enum E{}", "expected a variant at byte 7 of the layout, found `}`");
    refused("enum E{A=256}", "expected a tag below 256 at byte 12 of the layout, found `}`");
    refused("enum E{A=1,B=1}", "`B` occurs twice in the same type");
    refused("P{x:u8,x:u8}", "`x` occurs twice in the same type");
    refused("[u64;1000000000]", "the type is larger than 1073741824 bytes");
    refused("[u64;18446744073709551615]", "the type is larger than 1073741824 bytes");
    refused(
        "Node{next:option<box<Node>>}",
        "`Node` holds itself, which has no layout of a known size",
    );
    refused(
        "Shot{exposure:duration}",
        "nothing is known of `duration` but its name: it was given by hand, with \
         #[event(layout = \"…\")]",
    );
    refused(&"[".repeat(900), "types are nested more than 64 deep");
    refused(
        &format!("{}u8{}", "box<[".repeat(200), "]>".repeat(200)),
        "types are nested more than 64 deep",
    );
    refused(&"x".repeat(2049), "a layout has 2048 bytes at most, this has 2049");
}
