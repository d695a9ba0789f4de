//! Counters as their writer and their readers see them, and a recorder's file.

use super::*;
use crate::limits::{COUNTER_LABEL_MAX, FLIGHT_LINE_MAX, FLIGHT_LINES_MAX};
use crate::segment::{FlightFile, FlightView};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn owner() -> Owner {
    Owner {
        name: "camera".to_owned(),
        id: 7 << 32 | 3,
        pid: 4711,
        domain: "/run/plant".to_owned(),
        since: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        started: 99,
    }
}

/// Counters, and the view of somebody else.
fn pair() -> (Counters, CountersView) {
    let counters = Counters::create(&owner()).unwrap();
    let file = counters.as_fd().try_clone_to_owned().unwrap();
    let view = CountersView::open(&file).unwrap();
    (counters, view)
}

fn rows(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect()
}

#[test]
fn what_is_counted_is_seen() {
    let (counters, view) = pair();
    assert_eq!(view.owner(), &owner());
    assert_eq!(view.rows(), rows(&[("counters.dropped", 0)]));
    let (sent, full) = (counters.counter("sent"), counters.counter("full"));
    sent.set(40);
    sent.add(2);
    full.add(1);
    assert_eq!(sent.get(), 42);
    let expected = rows(&[("counters.dropped", 0), ("sent", 42), ("full", 1)]);
    assert_eq!(view.rows(), expected);
    assert_eq!(counters.rows(), expected);
    drop(sent);
    assert_eq!(view.rows(), rows(&[("counters.dropped", 0), ("full", 1)]));
    assert!(!view.is_over());
    counters.end();
    assert!(view.is_over());
}

#[test]
fn labels_have_a_bound_and_may_fill_it() {
    let (counters, view) = pair();
    let whole = "x".repeat(COUNTER_LABEL_MAX);
    let _whole = counters.counter(&whole);
    let _longer = counters.counter(&format!("{whole}y"));
    let labels: Vec<String> = view.rows().into_iter().map(|(label, _)| label).collect();
    assert_eq!(labels[1], whole);
    assert_eq!(labels[2], format!("{}…", &whole[3..]));
}

#[test]
fn counters_without_room_are_counted() {
    let (counters, view) = pair();
    let all: Vec<_> = (0..COUNTERS_MAX).map(|i| counters.counter(&format!("n.{i}"))).collect();
    all.iter().for_each(|counter| counter.set(5));
    // Two rows are the table's own.
    assert_eq!(view.rows()[0], ("counters.dropped".to_owned(), 2));
    assert_eq!(view.rows().len(), COUNTERS_MAX - 1);
    let sum = counters.counter("sum");
    counters.fold(all.last().unwrap(), &sum);
    drop((all, sum));
    assert_eq!(view.rows(), rows(&[("counters.dropped", 3)]));
    // Rows are used again, and begin with 0.
    let _again: Vec<_> = (0..100).map(|i| counters.counter(&format!("m.{i}"))).collect();
    assert_eq!(view.rows().len(), 101);
    assert!(view.rows()[1..].iter().all(|(label, value)| label.starts_with("m.") && *value == 0));
}

/// Looks again and again, while something else goes on.
fn while_looking(view: &CountersView, check: impl Fn(&[(String, u64)]) + Sync, act: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut looks = 0_u32;
            while !done.load(Ordering::Relaxed) || looks < 100 {
                check(&view.rows());
                looks += 1;
            }
        });
        act();
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap();
    });
}

#[test]
fn no_label_is_seen_with_the_value_of_another() {
    let (counters, view) = pair();
    let matches = |rows: &[(String, u64)]| {
        for (label, value) in &rows[1..] {
            let (number, rest) = label.strip_prefix("n.").unwrap().split_once('.').unwrap();
            assert_eq!(rest, "x".repeat(30), "a whole label");
            assert!(*value == 0 || *value == number.parse::<u64>().unwrap(), "{label}: {value}");
        }
    };
    while_looking(&view, matches, || {
        for number in 1..100_000 {
            let counter = counters.counter(&format!("n.{number}.{}", "x".repeat(30)));
            counter.set(number);
        }
    });
}

#[test]
fn what_is_folded_is_counted_once() {
    let (counters, view) = pair();
    let sum = counters.counter("sum");
    sum.set(1000);
    let parts: Vec<_> = (0..10).map(|i| counters.counter(&format!("part.{i}"))).collect();
    let whole = |rows: &[(String, u64)]| {
        assert_eq!(rows.iter().map(|(_, value)| value).sum::<u64>(), 1000);
    };
    while_looking(&view, whole, || {
        for round in 0..2_000 {
            // There and back, and not so often that a reader never finds rest.
            let part = &parts[round % 10];
            for (from, into) in [(&sum, part), (part, &sum)] {
                counters.fold(from, into);
                (0..2_000).for_each(|_| std::hint::spin_loop());
            }
        }
    });
    assert_eq!(sum.get(), 1000);
}

#[test]
fn a_recorder_is_read_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("supervisor.flight");
    let before = SystemTime::now() - Duration::from_millis(1);
    let mut file = FlightFile::create(&path, &owner()).unwrap();
    let view = FlightView::open(&path).unwrap();
    assert_eq!(view.owner(), &owner());
    let joins = file.counter("joins");
    joins.add(3);
    assert_eq!(view.rows(), rows(&[("counters.dropped", 0), ("joins", 3)]));
    assert_eq!(view.lines(), []);
    for count in 1..=FLIGHT_LINES_MAX + 5 {
        file.note(&format!("trouble {count}"));
        let lines = view.lines();
        assert_eq!(lines.len(), count.min(FLIGHT_LINES_MAX));
        assert_eq!(lines.last().unwrap().text, format!("trouble {count}"));
    }
    let lines = view.lines();
    assert_eq!(lines[0].text, "trouble 6");
    assert!(lines.iter().all(|line| line.at >= before && line.at <= SystemTime::now()));
    file.note(&format!("a\nb\x1b[2J{}", "é".repeat(FLIGHT_LINE_MAX)));
    let last = view.lines().pop().unwrap().text;
    assert!(last.starts_with("a b [2Jé") && last.ends_with('…'), "{last}");
    assert!((FLIGHT_LINE_MAX - 1..=FLIGHT_LINE_MAX).contains(&last.len()));
}

#[test]
fn a_recorder_stays_only_if_it_is_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("supervisor.flight");
    let names = || std::fs::read_dir(directory.path()).unwrap().count();
    let file = FlightFile::create(&path, &owner()).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!((mode & 0o7777, names()), (0o600, 1));
    drop(file);
    assert_eq!(names(), 0);
    let mut file = FlightFile::create(&path, &owner()).unwrap();
    file.note("the last one");
    file.keep();
    drop(file);
    let old = FlightView::open(&path).unwrap();
    // The next one takes its place, and who looks at the old one goes on seeing it.
    let file = FlightFile::create(&path, &Owner { id: 8, ..owner() }).unwrap();
    let new = FlightView::open(&path).unwrap();
    assert_eq!((old.owner().id, new.owner().id), (owner().id, 8));
    assert_eq!(old.lines()[0].text, "the last one");
    assert_eq!(new.lines(), []);
    let panicked = std::thread::spawn(move || {
        let _file = file;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    assert_eq!(names(), 1);
    assert!(FlightFile::create(&directory.path().join("no/where"), &owner()).is_err());
}

#[test]
fn a_file_that_is_no_recorder_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("supervisor.flight");
    let refused = |expected: &str| {
        let error = FlightView::open(&path).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused("open of a segment");
    drop(FlightFile::create(&path, &owner()).map(|mut file| file.keep()));
    let whole = std::fs::read(&path).unwrap();
    let write = |bytes: &[u8], mode| {
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write(&whole, 0o600);
    assert!(FlightView::open(&path).is_ok());
    write(&whole, 0o660);
    refused("it is not this user's alone");
    write(&whole[..whole.len() - 1], 0o600);
    refused("bytes where");
    for (at, expected) in [(0, "starts with"), (8, "layout version"), (12, "of kind")] {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        write(&changed, 0o600);
        refused(expected);
    }
    for (at, len) in [(128, 64), (192, 256)] {
        let mut changed = whole.clone();
        changed[at..at + len].fill(0xff);
        write(&changed, 0o600);
        refused("its owner is not named");
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    refused("open of a segment");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("it is not a file");
}
