//! Every error of the header is brought about and seen from C: by wrong use, by other processes that
//! die, decline or run wild, and by the kernel.

mod common;

#[path = "../../tests/common"]
#[allow(dead_code)] // shared with the library's own tests
mod others {
    pub(crate) mod host;
    pub(crate) mod process;
}

use common::header::{check_documented, errors};
use common::{Place, checks, run};
use ephapse::{Domain, Hub, Supervisor};
use others::process::{Child, Wire, enter};
use std::collections::BTreeSet;

#[test]
fn child_entry() {
    enter(|_, wire| die_when_asked(wire));
}

/// A hub whose process ends when another hub wants a link with it.
fn die_when_asked(wire: &Wire) {
    let domain = Domain::at(wire.receive().unwrap());
    let hub = Hub::builder("dying").domain(domain).accept_if(|_| std::process::exit(0));
    let _hub = hub.connect().unwrap();
    wire.send("ready");
    wire.receive();
}

/// Runs what others bring about, beside the hubs that do.
fn run_with_others(place: &Place) {
    let program = place.program("tests/c/faults.c", checks());
    let path = place.domain("others");
    let domain = Domain::at(&path);
    let _supervisor = Supervisor::bind(domain.clone()).unwrap().spawn().unwrap();
    let unwilling = Hub::builder("unwilling").domain(domain).accept_if(|_| false);
    let _unwilling = unwilling.connect().unwrap();
    let dying = Child::spawn("dying");
    dying.wire.send(&path);
    dying.wire.expect("ready");
    run(&program, &[&path]);
}

/// What no caller can bring about: the library would have to be wrong. That a panic becomes this
/// number is tested where it does.
const FAULT_OF_THE_LIBRARY: &str = "EPH_EINTERNAL";

#[test]
fn every_error_is_brought_about_and_told_by_its_number() {
    let place = Place::new();
    run(&place.program("tests/c/errors.c", checks()), &[&place.domain("domain")]);
    run_with_others(&place);
    let noted = place.noted();
    check_documented(noted.iter().map(|(number, function)| (*number, &function[..])));
    let seen: BTreeSet<_> = noted.into_iter().map(|(number, _)| number).collect();
    let mut expected = errors();
    assert!(expected.len() > 30 && expected.remove(FAULT_OF_THE_LIBRARY).is_some());
    expected.retain(|_, number| !seen.contains(number));
    assert!(expected.is_empty(), "not brought about: {expected:?}");
}
