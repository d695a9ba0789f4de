//! Programs in C that use the library, under AddressSanitizer and UndefinedBehaviorSanitizer.

mod common;

use common::{Place, SANITIZED, run};

#[test]
fn every_function_does_what_the_header_says() {
    let place = Place::new();
    let program = place.program("tests/c/basics.c", &SANITIZED);
    run(&program, &[&place.domain("domain")]);
}
