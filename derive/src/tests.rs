//! Every refusal by its message, and the shape of what is written. (The crate `ephapse` tests
//! what the output means, in `tests/schema.rs`.)

use proc_macro2::TokenStream;

use crate::expand::{Derive, expand};

fn output_of(derive: Derive, source: &str) -> String {
    let source = source.parse::<TokenStream>().expect("the test's source is Rust");
    expand(derive, source).to_string()
}

/// Checks that deriving on `source` gives as many errors as `expect` has texts, in that order.
#[track_caller]
fn check(derive: Derive, source: &str, expect: &[&str]) {
    let output = output_of(derive, source);
    let errors: Vec<_> = output.split("compile_error").skip(1).collect();
    assert_eq!(errors.len(), expect.len(), "{source}\n{output}");
    for (error, text) in errors.iter().zip(expect) {
        assert!(error.contains(text), "{source}\nexpected {text:?} in {error}");
    }
}

#[test]
fn type_attributes() {
    for (attribute, expect) in [
        ("name = \"a.B\", version = 7, crate = \"a::b\"", None),
        ("name = \"\"", Some("may not be empty")),
        ("name = \"a\\0b\"", Some("control characters")),
        ("name = 5", Some("expected string literal")),
        ("name", Some("expected `=`")),
        ("name = \"a\", name = \"b\"", Some("`name` is given twice")),
        ("version = 1, version = 1", Some("`version` is given twice")),
        ("version = -1", Some("from 0 to 4294967295")),
        ("version = \"2\"", Some("expected integer literal")),
        ("version = 4294967296", Some("from 0 to 4294967295")),
        ("crate = \"a b\"", Some("unexpected token")),
        ("crate = a", Some("expected string literal")),
        ("layout = \"u8\"", Some("unknown key: on a type")),
        ("colour = \"red\"", Some("unknown key: on a type")),
    ] {
        let source = format!("#[event({attribute})] struct A {{ x: u8 }}");
        check(Derive::Event, &source, expect.as_slice());
    }
    check(Derive::Event, "#[event] struct A;", &["expected attribute arguments"]);
    check(Derive::Event, "#[event(version = 2)] #[event(name = \"a\")] struct A;", &[]);
    check(Derive::Event, "#[event(name = \"a\")] #[event(name = \"a\")] struct A;", &["twice"]);
    for key in ["name = \"a\"", "version = 2"] {
        let source = format!("#[event({key})] struct A;");
        check(Derive::Schema, &source, &["only events have a name and a version"]);
    }
}

#[test]
fn field_attributes() {
    for (attributes, expect) in [
        ("#[event(layout = \"u8\")]", None),
        ("#[event(layout = \"u8\", flat)]", None),
        ("#[event(layout = \"\")]", Some("may not be empty")),
        ("#[event(flat)]", Some("add `layout")),
        ("#[event(layout = \"a\", layout = \"b\")]", Some("`layout` is given twice")),
        ("#[event(layout = \"a\", flat, flat)]", Some("`flat` is given twice")),
        ("#[event(name = \"a\")]", Some("unknown key: on a field")),
        ("#[rkyv(with = Map<A, B>)]", Some("`with` changes the archived form")),
        ("#[rkyv(attr(doc = \"x\"), niche = N<A, B>, with = M)]", Some("`with` changes")),
        ("#[rkyv(with = M)] #[event(layout = \"u8\")]", None),
        ("#[rkyv(omit_bounds, niche, attr(allow(dead_code)))]", None),
    ] {
        let expect = expect.as_slice();
        check(Derive::Schema, &format!("struct A {{ {attributes} x: u8 }}"), expect);
        check(Derive::Schema, &format!("struct A(u8, {attributes} u8);"), expect);
        check(Derive::Schema, &format!("enum A {{ B, C({attributes} u8) }}"), expect);
    }
}

#[test]
fn rkyv_attributes_of_the_type() {
    for (attribute, expect) in [
        ("derive(Debug, Clone), compare(PartialEq), crate = a::b, archived = X", None),
        ("crate, resolver = R, archive_bounds(A: B, C: D), bytecheck(verify)", None),
        ("attr(doc = \"x\", expect(missing_docs))", None),
        ("as = B<C, D>", Some("`as` makes another type the archived form")),
        ("derive(Debug), as = B", Some("`as` makes another type the archived form")),
        ("attr(doc = \"x\", repr(align(64)))", Some("`repr` on the archived form")),
    ] {
        check(Derive::Event, &format!("#[rkyv({attribute})] struct A(u8);"), expect.as_slice());
    }
}

#[test]
fn kinds_of_types() {
    check(Derive::Schema, "union A { x: u8, y: i8 }", &["a union does not say"]);
    check(Derive::Event, "union A { x: u8, y: i8 }", &["a union does not say"]);
    for parameters in ["T", "'a", "const N: usize", "T: Copy, const N: usize"] {
        let source = format!("struct A<{parameters}> {{ x: u8 }}");
        check(Derive::Event, &source, &["no generic parameters"]);
        check(Derive::Schema, &source, &[]);
    }
    check(Derive::Schema, "enum A { #[event(layout = \"u8\")] B }", &["not on a variant"]);
}

#[test]
fn all_mistakes_are_shown_at_once() {
    check(
        Derive::Event,
        "#[event(colour = red + blue, version = x)] #[rkyv(as = B)]
         struct A<T> { #[rkyv(with = C)] x: T, #[event(flat)] y: u8 }",
        &["unknown key", "expected integer", "`as` makes", "no generic", "`with`", "add `layout"],
    );
}

#[test]
fn output_names_the_crate_and_merges_texts() {
    let output = output_of(
        Derive::Event,
        "#[event(name = \"a.B\", version = 3, crate = \"x::eph\")]
         enum r#B { C { r#type: u8 }, D = 1 + 1, E(#[event(layout = \"t\")] T) }",
    );
    for part in [
        "impl x :: eph :: Schema for r#B",
        "Layout :: new () . text (\"enum B{C{type:\") . append (& < u8 as x :: eph :: Schema >",
        ". text (\"},D=\") . number ({ const TAG : :: core :: primitive :: u8 = 1 + 1 ;",
        ". text (\",E(t)}\") ;",
        "< u8 as x :: eph :: Schema > :: FLAT && false ;",
        "impl x :: eph :: Event for r#B",
        "NAME : & 'static :: core :: primitive :: str = \"a.B\"",
        "VERSION : :: core :: primitive :: u32 = 3u32",
    ] {
        assert!(output.contains(part), "{part}\nis not in\n{output}");
    }
}
