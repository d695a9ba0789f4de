//! A file of lines through `ephapse pub - | … | ephapse sub --raw`.

mod common;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Stdio;

use common::domain::Domain;
use common::{Running, finish, json, refused, told};

#[test]
fn json_lines_come_out_as_they_went_in() {
    let domain = Domain::new();
    let mut input = String::new();
    for number in 0..200_000u32 {
        let name = "näme".repeat(number as usize % 9);
        writeln!(input, r#"{{"number": {number}, "name": "{name}"}}"#).expect("memory");
    }
    let file = domain.home.path().join("input.jsonl");
    fs::write(&file, &input).expect("it can be written");
    let sub = domain.start("sub log.lines --raw --until-end");
    // What it prints is read only when nothing more can be published: with less patience it would
    // be overtaken.
    let mut publish = domain.command("pub log.lines - --wait-for 1 --json --patience 1h");
    let publish = publish.stdin(File::open(&file).expect("just written"));
    let publish = Running::start(publish);
    let (code, output, notes) = sub.output();
    let totals = json(&publish.output());
    assert_eq!((totals["count"].as_u64(), totals["receivers"].as_u64()), (Some(200_000), Some(1)));
    assert_eq!(code, Some(0), "{notes}");
    assert!(notes.contains("200 000 events") && !notes.contains("missed"), "{notes}");
    assert!(output == input.as_bytes(), "the bytes differ");
}

#[test]
fn who_has_little_patience_goes_on() {
    let domain = Domain::new();
    let mut sub = domain.start("sub a.b --raw --strict --timeout 1s");
    let mut stdout = sub.running.child().stdout.take().expect("a pipe");
    let text = "x".repeat(1_000);
    // Nobody reads what it prints.
    let published = domain.run(&format!("pub a.b {text} --count 2000 --wait-for 1 --patience 1ms"));
    assert!(published.status.success(), "{}", told(&published));
    std::io::copy(&mut stdout, &mut std::io::sink()).expect("a pipe can be read");
    let (code, _, notes) = sub.output();
    assert_eq!(code, Some(1), "strict: {notes}");
    assert!(notes.contains("was faster: up to"), "{notes}");
}

#[test]
fn a_pipeline_of_nothing_ends_too() {
    let domain = Domain::new();
    let sub = domain.start("sub log.lines --raw --until-end");
    let mut publish = domain.command("pub log.lines - --wait-for 1 --json");
    assert_eq!(json(&finish(publish.stdin(Stdio::null())))["count"], 0);
    let (code, output, notes) = sub.output();
    assert_eq!((code, output.len(), notes.as_str()), (Some(0), 0, "0 events (0 B)\n"));
}

#[test]
fn fewer_than_were_wanted() {
    let domain = Domain::new();
    let sub = domain.start("sub a.b --raw --until-end --count 3");
    assert!(domain.run("pub a.b x --count 2 --wait-for 1").status.success());
    let (code, output, notes) = sub.output();
    assert_eq!((code, output.as_slice()), (Some(1), &b"x\nx\n"[..]));
    assert!(notes.contains("2 of 3 events have come, and nobody publishes any more"), "{notes}");
}

#[test]
fn a_line_that_is_too_long_is_named() {
    let domain = Domain::new();
    let file = domain.home.path().join("input");
    fs::write(&file, "12345\n123456\n").expect("it can be written");
    let mut publish = domain.command("pub a.b - --longest 5");
    let output = finish(publish.stdin(File::open(&file).expect("just written")));
    let error = refused(&output, 1);
    assert!(error.contains("line 2 has more than 5 bytes; see --longest"), "{error}");
}
