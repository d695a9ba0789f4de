//! Random layouts.

#![allow(dead_code, reason = "each test uses its own part")]

use proptest::prelude::*;

/// Names that are new in their type.
fn named(parts: Vec<String>, separator: &str) -> Vec<String> {
    let name = |at: usize| ["x", "class", "größe", "tag", "gräße", "some", "value"][at % 7];
    let all = parts.into_iter().enumerate();
    all.map(|(at, part)| format!("{}{}{separator}{part}", name(at), at / 7)).collect()
}

fn fields(parts: Vec<String>, style: u8) -> String {
    match style % 3 {
        0 => format!("{{{}}}", named(parts, ":").join(",")),
        1 => format!("({})", parts.join(",")),
        _ => String::new(),
    }
}

fn scalar() -> impl Strategy<Value = String> {
    const NAMES: [&str; 14] = [
        "bool", "char", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128",
        "f32", "f64",
    ];
    prop::sample::select(&NAMES[..]).prop_map(str::to_owned)
}

/// A struct, an enum, a tuple, an array or an option of such parts.
fn composed(part: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let name = || prop::sample::select(&["Pose", "Twist", "Side", "Ünit"][..]);
    let several = || prop::collection::vec(part.clone(), 0..5);
    let tuple = several().prop_map(|parts| match &parts[..] {
        [] => "()".to_owned(),
        [one] => format!("({one},)"),
        more => format!("({})", more.join(",")),
    });
    let array = (part.clone(), 0..4_usize).prop_map(|(part, len)| format!("[{part};{len}]"));
    let option = part.clone().prop_map(|part| format!("option<{part}>"));
    let variant = (several(), any::<u8>()).prop_map(|(parts, style)| fields(parts, style));
    let structure = (name(), several(), any::<u8>())
        .prop_map(|(name, parts, style)| format!("{name}{}", fields(parts, style)));
    let enumeration = (name(), prop::collection::vec(variant, 1..4), any::<bool>()).prop_map(
        |(name, variants, tags)| {
            let one = |(at, fields): (usize, String)| {
                let tag = if tags { format!("={}", at * 3 + 2) } else { String::new() };
                format!("{}{fields}{tag}", ["Idle", "Run", "Go"][at])
            };
            let all: Vec<_> = variants.into_iter().enumerate().map(one).collect();
            format!("enum {name}{{{}}}", all.join(","))
        },
    );
    prop_oneof![2 => structure, 2 => enumeration, 1 => tuple, 1 => array, 1 => option].boxed()
}

/// A layout without pointers. What is called the same may be something else inside.
pub(crate) fn flat() -> BoxedStrategy<String> {
    scalar()
        .boxed()
        .prop_recursive(3, 24, 5, |inner| composed(prop_oneof![2 => scalar(), 1 => inner].boxed()))
        .boxed()
}

/// A layout with pointers, too.
pub(crate) fn any_layout() -> BoxedStrategy<String> {
    let leaf = prop_oneof![3 => scalar(), 1 => Just("string".to_owned()), 1 => Just("box<str>".to_owned())];
    leaf.boxed()
        .prop_recursive(4, 32, 5, |inner| {
            let pointer = (inner.clone(), 0..3_usize).prop_map(|(of, which)| {
                [format!("vec<{of}>"), format!("box<{of}>"), format!("box<[{of}]>")][which].clone()
            });
            prop_oneof![2 => composed(inner), 1 => pointer]
        })
        .boxed()
}
