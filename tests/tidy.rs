//! The project's own rules, checked on its source: what ARCHITECTURE.md promises (the tests that
//! begin with `invariant_`), and how code is laid out and explained.
//!
//! A failure names file and line and says what to do. The last tests show that every rule sees
//! what breaks it.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use rules::Findings;
use source::Project;
use std::path::Path;

/// What breaks something, as `file:line: what to do`.
type Rule = fn(&Project) -> Findings;

/// Fails with all that the rules have found.
fn check(rules: &[Rule]) {
    let project = Project::read(Path::new(env!("CARGO_MANIFEST_DIR")));
    let findings: Findings = rules.iter().flat_map(|rule| rule(&project)).collect();
    assert!(findings.is_empty(), "{} found:\n{}", findings.len(), findings.join("\n"));
}

#[test]
fn invariant_layers() {
    check(&[layers::against_the_layers, ring_knows_files, supervisor_sees_events]);
}

/// The ring works on any memory: no files, no kernel, no serialisation.
fn ring_knows_files(project: &Project) -> Findings {
    let foreign = ["nix", "libc", "rkyv", "std::fs", "std::io", "std::os", "std::process"];
    layers::mentions(project, "ring", &foreign)
}

/// The supervisor introduces hubs to one another and is not on the path of data. It knows subjects
/// and patterns, because it finds out who wants what.
fn supervisor_sees_events(project: &Project) -> Findings {
    let foreign = ["ring", "event", "hub", "RingMemory", "Reader"];
    layers::mentions_except(project, "supervisor", &foreign, &["event::subject"])
}

#[test]
fn invariant_unsafe_islands() {
    check(&[rules::unsafe_elsewhere, rules::unsafe_unexplained]);
}

#[test]
fn invariant_orderings() {
    check(&[rules::orders_without_partner, rules::relaxed_unexplained, atomics_past_the_door]);
}

/// What the model checker covers takes its atomics from `sync`, and so can be compiled with the
/// checker's own.
fn atomics_past_the_door(project: &Project) -> Findings {
    let doors = ["std::sync::atomic", "core::sync::atomic", "loom"];
    ["ring", "wait"].iter().flat_map(|module| layers::mentions(project, module, &doors)).collect()
}

#[test]
fn invariant_no_prints() {
    check(&[rules::prints]);
}

#[test]
fn invariant_sizes() {
    check(&[rules::long_files, rules::long_functions]);
}

#[test]
fn invariants_name_their_checks() {
    check(&[rules::invariants_without_check]);
}

#[test]
fn files_begin_with_their_purpose() {
    check(&[rules::files_without_purpose]);
}

#[test]
fn nothing_is_left_undone() {
    check(&[rules::left_undone]);
}

#[test]
fn nobody_sleeps_without_a_reason() {
    check(&[rules::sleeps]);
}

#[test]
fn dependencies_have_reasons() {
    check(&[rules::dependencies_without_reason]);
}

#[test]
fn the_project_stands_alone() {
    check(&[rules::references_to_elsewhere]);
}

/// What a rule finds in one file of a project that has nothing else.
fn found(rule: impl Fn(&Project) -> Findings, path: &str, text: &str) -> Findings {
    rule(&Project::new(vec![(path.to_owned(), text.to_owned())]))
}

/// The rule finds something in exactly this line of the first text, and nothing in the second.
fn sees(rule: impl Fn(&Project) -> Findings, path: &str, line: usize, bad: &str, good: &str) {
    let findings = found(&rule, path, bad);
    assert!(findings.len() == 1, "{path}: {findings:?} in\n{bad}");
    assert!(findings[0].starts_with(&format!("{path}:{line}:")), "{findings:?}");
    let findings = found(&rule, path, good);
    assert!(findings.is_empty(), "{path}: {findings:?} in\n{good}");
}

#[test]
fn rules_of_layers_see_what_breaks_them() {
    let layers = layers::against_the_layers;
    let test = "#[cfg(test)]\nmod tests {\n    use crate::hub::Hub;\n}\n";
    sees(layers, "src/ring/a.rs", 2, "use crate::sync;\nuse crate::segment::Mapping;\n", test);
    let group = "use crate::{\n    limits::{self, LINE},\n    hub::Hub,\n};\n";
    sees(layers, "src/wait/mod.rs", 1, group, "use crate::{limits, ring::Kind};\n");
    sees(layers, "src/ring/a.rs", 1, "use super::super::hub::Hub;\n", "use super::writer::Loan;\n");
    sees(layers, "src/event/mod.rs", 1, "type A = ephapse::Hub;\n", "// crate::hub\n");
    assert_eq!(found(layers, "src/new.rs", "").len(), 1, "a module without a place");
    sees(ring_knows_files, "src/ring/a.rs", 1, "use nix::fcntl;\n", "let s = \"nix::fcntl\";\n");
    let subjects = "use crate::event::subject::Pattern;\nepoll_event\n";
    let events = "use crate::event::{subject, Header};\n";
    sees(supervisor_sees_events, "src/supervisor/a.rs", 1, "crate::event::A\n", subjects);
    sees(supervisor_sees_events, "src/supervisor/a.rs", 1, events, subjects);
    let door = atomics_past_the_door;
    sees(door, "src/ring/a.rs", 1, "use core::sync::atomic::fence;\n", "use crate::sync::fence;\n");
}

#[test]
fn rules_of_explanation_see_what_breaks_them() {
    let plain = "fn f() {\n    unsafe { g() }\n}\n";
    sees(rules::unsafe_elsewhere, "src/hub/a.rs", 2, plain, "#![deny(unsafe_code)] // unsafe\n");
    let explained = "fn f() {\n    // SAFETY: g is harmless.\n    unsafe { g() }\n}\n";
    sees(rules::unsafe_unexplained, "src/ring/a.rs", 2, plain, explained);
    let paired =
        "// SYNC(a): pairs with b\nx(Ordering::Release);\n// SYNC(a)\ny(Ordering::Acquire);\n";
    let sync = rules::orders_without_partner;
    sees(sync, "src/a.rs", 1, "// SYNC(a)\nx(Ordering::Release);\n", paired);
    sees(sync, "src/a.rs", 1, "x(Ordering::AcqRel);\n", "let s = r#\"Ordering::AcqRel\"#;\n");
    let relaxed = "fn f() {\n    x(Ordering::Relaxed);\n}\n";
    let reason = format!("// Relaxed: alone.\n{relaxed}");
    sees(rules::relaxed_unexplained, "src/a.rs", 2, relaxed, &reason);
    sees(rules::files_without_purpose, "src/a.rs", 1, "fn f() {}\n", "//! A.\nfn f() {}\n");
    let reasons = "[dependencies]\n# For b.\na = \"1\"\n";
    let dependencies = rules::dependencies_without_reason;
    sees(dependencies, "Cargo.toml", 2, "[dependencies]\na = \"1\"\n", reasons);
}

#[test]
fn other_rules_see_what_breaks_them() {
    let lines = |count| "//!\n".repeat(count);
    let (long, full) = (lines(rules::FILE_LINES_MAX + 1), lines(rules::FILE_LINES_MAX));
    sees(rules::long_files, "a.rs", rules::FILE_LINES_MAX + 1, &long, &full);
    let function = |count| format!("\nfn f(a: [u8; 2]) {{\n{}}}\n", "    '{';\n".repeat(count));
    let (long, full) = (function(69), function(68));
    sees(rules::long_functions, "a.rs", 2, &long, &full);
    sees(rules::prints, "src/a.rs", 1, "println!();\n", "// println!();\n");
    sees(rules::left_undone, "a.rs", 1, concat!("to", "do!();\n"), "/* todo!() */\n");
    let sleep = "thread::sleep(d);\n";
    let excused = format!("// Sleep: between two looks.\n{sleep}");
    sees(rules::sleeps, "tests/a.rs", 1, sleep, &excused);
    let elsewhere = rules::references_to_elsewhere;
    for bad in [concat!("/wo", "rk/x"), concat!("see sha", "red/y"), concat!("is", "sue 3")] {
        sees(elsewhere, "a.md", 1, bad, "{x:#018x} unshared/z, issues, # 3 things");
    }
    sees(elsewhere, "a.md", 1, concat!("as in ", "#4"), "## 4. Four");
    let named = |check: &str| format!("\n**Architecture Invariant:** none\n(`{check}`).\n");
    let check = "#[test]\nfn invariant_a() {}\n".to_owned();
    let rule = |project: &Project| {
        let mut all: Vec<_> =
            project.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        all.push(("tests/tidy.rs".to_owned(), check.clone()));
        rules::invariants_without_check(&Project::new(all))
    };
    let (bad, good) = (named("invariant_b"), named("invariant_a"));
    sees(rule, "ARCHITECTURE.md", 2, &bad, &good);
}
