//! Programs in C that use the library, under AddressSanitizer and UndefinedBehaviorSanitizer, or
//! under valgrind.

mod common;

use common::{Place, checks, run};

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

/// What is not freed because its handle or event was overwritten is still in the table, so the
/// sanitizer finds only what is really lost.
#[test]
fn random_calls_do_no_harm() {
    let place = Place::new();
    let program = place.program("tests/c/fuzz.c", checks());
    let runs = std::env::var("EPHAPSE_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let first = u64::from(std::process::id());
    for seed in first..first + runs {
        let domain = place.domain(&format!("fuzz-{seed}"));
        // The seed is part of the command, which is shown if it fails.
        run(&program, &[&domain, &seed.to_string(), "20000"]);
    }
}
