//! Programs in C that use the library, under AddressSanitizer and UndefinedBehaviorSanitizer, or
//! under valgrind.

mod common;

#[path = "../../tests/common/random.rs"]
#[allow(dead_code)] // shared with the library's own tests
mod random;

use common::header::{check_documented, declared};
use common::{Place, checks, run};
use random::seed_for;
use std::collections::BTreeSet;

#[test]
fn every_function_does_what_the_header_says() {
    let place = Place::new();
    let program = place.program("tests/c/basics.c", checks());
    run(&program, &[&place.domain("domain")]);
}

#[test]
fn a_forked_child_disturbs_nothing() {
    let place = Place::new();
    for (flags, domain) in [(checks(), "checked"), (&[], "at any time")] {
        let program = place.program("tests/c/forks.c", flags);
        run(&program, &[&place.domain(domain)]);
    }
}

#[test]
fn threads_share_nothing_by_accident() {
    let place = Place::new();
    let program = place.program("tests/c/threads.c", checks());
    run(&program, &[&place.domain("domain")]);
}

/// What is not freed because its handle was overwritten is still in the table, so the sanitizer finds
/// only what is really lost.
#[test]
fn random_calls_do_no_harm() {
    let place = Place::new();
    let program = place.program("tests/c/fuzz.c", checks());
    let runs = std::env::var("EPHAPSE_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let first = seed_for("random calls") % (1 << 32);
    let mut called = BTreeSet::new();
    for seed in first..first + runs {
        let (domain, threads) = (place.domain(&format!("fuzz-{seed}")), 1 + seed % 4);
        // The seed is part of the command, which is shown if it fails.
        let args = [&domain[..], &seed.to_string(), "20000", &threads.to_string()];
        let output = String::from_utf8(run(&program, &args).stdout).unwrap();
        let lines: Vec<Vec<_>> = output.lines().map(|line| line.split(' ').collect()).collect();
        called.extend(lines.iter().map(|line| line[0].to_owned()));
        let given = lines.iter().map(|line| (line[1].parse().unwrap(), line[0]));
        check_documented(given.filter(|(number, _)| *number != 0));
    }
    assert_eq!(called, declared(), "each function of the header has its call in fuzz_calls.h");
}
