//! `ephapse demo --input`: what comes out is what went in, byte for byte.

mod common;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use common::{Running, ephapse, finish, json, names_in, refused, told};
use nix::sys::signal::Signal;

/// A line far beyond the largest event of the link.
const LONG: usize = 5_000_000;

fn through_files(name: &str, input: &[u8]) {
    let home = tempfile::tempdir().expect("a directory");
    let (from, to) = (home.path().join("from"), home.path().join("to"));
    fs::write(&from, input).expect("the input can be written");
    let arguments = ["demo", "--json", "--input"];
    let output =
        finish(ephapse(arguments).arg(&from).arg("--output").arg(&to).env("TMPDIR", home.path()));
    let result = json(&output);
    assert_eq!(result["ok"], true, "{name}: {result}");
    assert_eq!(result["data"]["bytes"], input.len() as u64, "{name}");
    let lines = input.split_inclusive(|&byte| byte == b'\n').count();
    assert_eq!(result["data"]["lines"], lines as u64, "{name}");
    assert!(fs::read(&to).expect("the output exists") == input, "{name}: the bytes differ");
    let mut names = names_in(home.path());
    names.sort_unstable();
    assert_eq!(names, ["from", "to"], "{name}");
}

#[test]
fn every_kind_of_line_arrives_as_it_was() {
    let every_byte: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let long = vec![b'x'; LONG];
    let long_lines = [&long[..], b"\nshort\n", &long, b"\r\n", &long].concat();
    let edges: Vec<u8> =
        (65_500..65_560).flat_map(|length| [vec![b'y'; length], b"\n".to_vec()].concat()).collect();
    for (name, input) in [
        ("empty", &b""[..]),
        ("one line", b"hello\n"),
        ("no final line feed", b"hello\nworld"),
        ("only a line feed", b"\n"),
        ("many empty lines", &[b'\n'; 5000]),
        ("carriage returns", b"a\r\nb\r\n\r\n\r"),
        ("zeros", b"\0\0\n\0a\0\n\0"),
        ("no UTF-8", b"\xff\xfe\n\xc3\x28\n\xed\xa0\x80"),
        ("every byte", &every_byte),
        ("long lines", &long_lines),
        ("lines around the size of a piece", &edges),
    ] {
        through_files(name, input);
    }
}

#[test]
fn many_lines_from_standard_input_to_standard_output() {
    let home = tempfile::tempdir().expect("a directory");
    let input: Vec<u8> = (0..200_000).flat_map(|n| format!("line {n}\n").into_bytes()).collect();
    let from = home.path().join("from");
    fs::write(&from, &input).expect("the input can be written");
    let mut command = ephapse(["demo", "--input", "-"]);
    let stdin = File::open(&from).expect("it was just written");
    let output = finish(command.stdin(stdin).env("TMPDIR", home.path()));
    assert!(output.status.success(), "{}", told(&output));
    assert!(output.stdout == input, "the bytes differ");
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(summary.contains("200 000 lines"), "{summary}");
}

#[test]
fn a_line_arrives_while_the_input_is_still_open() {
    let home = tempfile::tempdir().expect("a directory");
    let mut command = ephapse(["demo", "--input", "-"]);
    let mut running = Running::start(command.stdin(Stdio::piped()).env("TMPDIR", home.path()));
    let stdin = running.child().stdin.as_mut().expect("a pipe");
    stdin.write_all(b"first\n").expect("it reads");
    let mut stdout = BufReader::new(running.child().stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("it writes");
    if line != "first\n" {
        panic!("{line:?} has come, then {}", told(&running.output()));
    }
    // For a stream an interrupt is an end like any other, also while nothing comes.
    running.signal(Signal::SIGINT);
    let output = running.output();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(names_in(home.path()), [""; 0]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let home = tempfile::tempdir().expect("a directory");
    let mut command = ephapse(["demo", "--input", "/dev/zero"]);
    let mut running = Running::start(command.env("TMPDIR", home.path()));
    drop(running.child().stdout.take());
    let output = running.output();
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(names_in(home.path()), [""; 0]);
}

fn fails(home: &Path, input: &Path, output: &Path) -> String {
    let result = finish(
        ephapse(["demo", "--input"]).arg(input).arg("--output").arg(output).env("TMPDIR", home),
    );
    refused(&result, 1)
}

#[test]
fn a_full_disk_is_an_error() {
    let home = tempfile::tempdir().expect("a directory");
    let error = fails(home.path(), Path::new("/dev/zero"), Path::new("/dev/full"));
    assert!(error.contains("cannot write the output: No space left on device"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(names_in(home.path()), [""; 0]);
}

#[test]
fn files_that_cannot_be_opened_are_named_before_anything_is_started() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("file");
    fs::write(&file, "content").expect("it can be written");
    // Were anything started, making its directory would fail first, and otherwise.
    let nowhere = home.path().join("nowhere");
    let missing = home.path().join("missing");
    for (input, output, text) in [
        (missing.as_path(), file.as_path(), "cannot open the input"),
        (home.path(), &file, "it is a directory"),
        (&file, home.path(), "cannot write the output"),
        (&file, &missing.join("file"), "cannot write the output"),
    ] {
        let error = fails(&nowhere, input, output);
        assert!(error.contains(text), "{error}");
        let named = if text.contains("output") { output } else { input };
        assert!(error.contains(&*named.to_string_lossy()), "{error}");
    }
    assert_eq!(fs::read(&file).expect("it exists"), b"content");
}

#[test]
fn an_existing_output_is_replaced_and_keeps_its_mode() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("file");
    fs::write(&file, "in and out\n").expect("it can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("it is ours");
    let link = home.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let result = finish(
        ephapse(["demo", "--input"]).arg(&file).arg("--output").arg(&link).env("TMPDIR", "/tmp"),
    );
    assert!(result.status.success(), "{}", told(&result));
    assert_eq!(fs::read(&file).expect("it exists"), b"in and out\n");
    let mode = fs::metadata(&file).expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(fs::symlink_metadata(&link).expect("it exists").is_symlink());
}

#[test]
fn an_interrupted_file_is_not_kept() {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("file");
    fs::write(&file, "old").expect("it can be written");
    // So large that no machine reads it to its end, and without a byte on the disk.
    let large = tempfile::tempfile().expect("a file");
    large.set_len(1 << 42).expect("a sparse file");
    let mut command = ephapse(["demo", "--input", "-", "--output"]);
    let running = Running::start(command.arg(&file).stdin(large).env("TMPDIR", home.path()));
    common::wait_until("data flows", || {
        names_in(home.path()).iter().any(|name| {
            name.starts_with(".ephapse-")
                && fs::metadata(home.path().join(name)).is_ok_and(|meta| meta.len() > 1 << 20)
        })
    });
    running.signal(Signal::SIGINT);
    let error = refused(&running.output(), 1);
    assert!(error.contains("interrupted"), "{error}");
    assert_eq!(fs::read(&file).expect("it exists"), b"old");
    assert_eq!(names_in(home.path()), ["file"]);
}
