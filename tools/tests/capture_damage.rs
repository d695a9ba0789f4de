//! Captures that were killed, cut, changed, or had no room: what is there is read, and what is not is
//! told.

mod common;

use std::fs::{self, File};
use std::process::Command;

use common::domain::{Domain, Subscriber};
use common::{json, refused, told};
use serde_json::{Value, json};

/// Numbers from a seed (xorshift), the same each time.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn a_killed_capture_can_be_read() {
    let domain = Domain::new();
    let input = domain.home.path().join("input");
    let lines: Vec<u8> = (0..60_000).flat_map(|_| [&[b'x'; 199][..], b"\n"].concat()).collect();
    fs::write(&input, lines).expect("it can be written");
    for seed in 1..=8u64 {
        let file = domain.home.path().join(format!("file{seed}"));
        let mut capture = domain.start(&format!("capture {} c.d", file.display()));
        // Up to the size of the whole file.
        let bytes = random(&mut seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)) % 12_000_000;
        let mut publish = domain.command("pub c.d - --wait-for 1");
        publish.stdin(File::open(&input).expect("just written"));
        let mut publish = common::Running::start(&mut publish);
        common::wait_until("so much is written", || {
            fs::metadata(&file).is_ok_and(|file| file.len() >= bytes)
        });
        capture.running.child().kill().expect("it runs");
        assert_eq!(publish.wait().code(), Some(0), "the publisher is not disturbed");
        let told = domain.info(&file);
        let events = told["events"].as_u64().expect("a number");
        let seen = (&told["complete"], &told["damaged_chunks"]);
        assert_eq!(seen, (&json!(false), &json!([])), "seed {seed}, killed at {bytes} bytes");
        assert!(events * 270 + (2 << 20) > bytes, "seed {seed}: {told}");
        if let Some(channel) = told["channels"].get(0) {
            let sequence = (&channel["first_sequence"], &channel["last_sequence"]);
            assert_eq!(sequence, (&json!(1), &json!(events)), "seed {seed}: no gap");
        }
        let replayed = domain.run(&format!("replay {} --speed max --json", file.display()));
        assert_eq!(
            (&json(&replayed)["events"], &json(&replayed)["torn"]),
            (&json!(events), &json!(true))
        );
        let notes = String::from_utf8_lossy(&replayed.stderr).into_owned();
        assert!(notes.contains("was not written to its end"), "{notes}");
    }
}

#[test]
fn a_file_that_was_cut_is_read_up_to_there() {
    let domain = Domain::new();
    let file = domain.captured("file", 30_000);
    let whole = fs::read(&file).expect("it can be read");
    let all = domain.info(&file)["events"].as_u64().expect("a number");
    assert_eq!(all, 30_000);
    let cut = domain.home.path().join("cut");
    let mut most = 0;
    for part in 1..24 {
        let length = whole.len() * part / 24 + part;
        fs::write(&cut, &whole[..length]).expect("it can be written");
        let told = domain.info(&cut);
        let events = told["events"].as_u64().expect("a number");
        assert!(events >= most && events <= all, "{length}: {told}");
        assert_eq!(told["complete"], false, "{length}");
        most = events;
    }
    assert!(most > 20_000, "{most}");
    fs::write(&cut, &whole[..5]).expect("it can be written");
    let error = refused(&domain.run(&format!("replay {} --info", cut.display())), 1);
    assert!(error.contains("is no capture: it does not begin as MCAP files do"), "{error}");
}

#[test]
fn flipped_bits_are_found() {
    let domain = Domain::new();
    let file = domain.captured("file", 300);
    let whole = fs::read(&file).expect("it can be read");
    let damaged = domain.home.path().join("damaged");
    let length = whole.len();
    // Some everywhere, and more at both ends, where each byte means something else.
    let ends = (0..40).chain(length - 80..length);
    let mut seed = 0x1234_5678_9abc_def1u64;
    let some = (0..80).map(|_| random(&mut seed) as usize % length).collect::<Vec<_>>();
    for at in ends.chain(some) {
        let bit = random(&mut seed) % 8;
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&damaged, bytes).expect("it can be written");
        let output = domain.run(&format!("replay {} --info", damaged.display()));
        assert_eq!(output.status.code(), Some(1), "byte {at}, bit {bit}: {}", told(&output));
        let notes = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!notes.is_empty() && !notes.contains("panicked"), "byte {at}, bit {bit}: {notes}");
    }
}

#[test]
fn a_damaged_chunk_is_left_out_and_the_others_are_replayed() {
    let domain = Domain::new();
    let file = domain.captured("file", 30_000);
    let mut bytes = fs::read(&file).expect("it can be read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("it can be written");
    let output = domain.run(&format!("replay {} --speed max --json", file.display()));
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let totals: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(totals["damaged_chunks"], 1);
    let events = totals["events"].as_u64().expect("a number");
    assert!((10_000..30_000).contains(&events), "{totals}");
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(notes.contains("is left out: Chunk CRC failed"), "{notes}");
}

#[test]
fn a_full_disk_is_told_and_what_was_written_can_be_read() {
    let domain = Domain::new();
    let file = domain.home.path().join("file");
    // A limit stands for the disk: what is over it is refused in the same way.
    let ephapse = env!("CARGO_BIN_EXE_ephapse");
    let mut capture = Command::new("sh");
    let script = "trap '' XFSZ; ulimit -f 16384; exec \"$0\" \"$@\"";
    capture.args(["-c", script, ephapse, "capture"]).arg(&file).arg("c.d");
    capture.env("EPHAPSE_DIR", domain.home.path().join("domain"));
    let capture = Subscriber::start(&mut capture);
    let text = "x".repeat(200);
    let published = domain.run(&format!("pub c.d {text} --count 120000 --wait-for 1"));
    assert!(published.status.success(), "{}", told(&published));
    let (code, _, notes) = capture.output();
    assert_eq!(code, Some(1), "{notes}");
    assert!(notes.contains("cannot write") && notes.contains("can be read"), "{notes}");
    assert!(notes.contains("File too large"), "{notes}");
    let told = domain.info(&file);
    let channel = &told["channels"][0];
    assert_eq!((&told["complete"], &told["torn_bytes"]), (&json!(false), &json!(0)));
    assert!(told["events"].as_u64() > Some(1_000), "{told}");
    assert_eq!(
        (&channel["first_sequence"], &channel["last_sequence"]),
        (&json!(1), &told["events"])
    );
}
