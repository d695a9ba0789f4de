//! Every bound of the bus, and what is said at it.

use super::*;
use crate::event::subject::{Pattern, SubjectError, check_subject};
use crate::limits::{
    PATTERNS_MAX, PENDING_REQUESTS_PER_HUB_MAX, SUBJECTS_MAX, SUBJECTS_PER_HUB_MAX,
    SUBSCRIPTIONS_PER_HUB_MAX,
};
use crate::protocol::clean_reason;
use crate::supervisor::subjects::Subjects;

fn limit(reason: &str) -> (RefusalCode, String) {
    (RefusalCode::LimitReached, reason.to_owned())
}

#[test]
fn subjects_of_one_hub() {
    let scene = Scene::new();
    let mut a = scene.publisher("a");
    for number in 0..SUBJECTS_PER_HUB_MAX {
        a.declared(&format!("s.{number}"));
    }
    a.declare(5, "one.more");
    assert_eq!(a.refused(5), limit("a hub publishes on 4096 subjects at most"));
    a.declared("s.0"); // it has been declared already
    scene.publisher("b").declared("one.more");
}

#[test]
fn subjects_of_one_domain() {
    let mut subjects = Subjects::new(5);
    for number in 0..SUBJECTS_MAX as u32 {
        let subject = format!("s.{number}");
        let id = subjects.choose(&subject, 0, false).unwrap();
        assert_eq!(id, 5 << 20 | (number + 1));
        subjects.publish(id, &subject);
    }
    assert_eq!(subjects.choose("one.more", 0, false), None);
    assert_eq!(subjects.choose("one.more", 77, true), None);
    let first = 5 << 20 | 1;
    assert_eq!(subjects.choose("s.0", 0, false), Some(first));
    subjects.publish(first, "s.0");
    assert_eq!(subjects.publishers("s.0"), 2);
    subjects.retire(first);
    assert_eq!(subjects.choose("one.more", 0, false), None, "somebody still publishes on it");
    subjects.retire(first);
    assert_eq!((subjects.ids("s.0"), subjects.name(first)), (&[][..], None));
    let next = 5 << 20 | (SUBJECTS_MAX as u32 + 1);
    assert_eq!(subjects.choose("one.more", 0, false), Some(next), "not at once the same number");
}

#[test]
fn numbers_come_again_only_when_all_have_been_given() {
    let mut subjects = Subjects::new(0xF_FFFF);
    let kept = subjects.choose("kept", 0, false).unwrap();
    assert_eq!(kept, 0xFFF0_0001);
    subjects.publish(kept, "kept");
    for number in 2..1 << 20 {
        assert_eq!(subjects.choose("x", 0, false), Some(0xFFF0_0000 | number));
    }
    assert_eq!(subjects.choose("x", 0, false), Some(0xFFF0_0002), "0 and the kept one are not");
}

#[test]
fn subscriptions_of_one_hub() {
    let scene = Scene::new();
    let mut a = scene.join("a");
    for number in 0..SUBSCRIPTIONS_PER_HUB_MAX as u32 {
        a.subscribe(1, number, &["x"]);
        assert_eq!(a.hear(), ToHub::Subscribed { request: 1 });
    }
    a.subscribe(5, 5000, &["x"]);
    assert_eq!(a.refused(5), limit("a hub has 1024 subscriptions at most"));
    a.subscribe(6, 5, &["x"]);
    let reason = "the hub has a subscription of number 5 already".to_owned();
    assert_eq!(a.refused(6), (RefusalCode::Failed, reason));
    a.say(&ToSupervisor::Unsubscribe { subscription: 5 });
    a.subscribe(7, 5000, &["x"]);
    assert_eq!(a.hear(), ToHub::Subscribed { request: 7 });
}

#[test]
fn texts_that_are_no_subjects_and_no_patterns() {
    let scene = Scene::new();
    let mut a = scene.publisher("a");
    let said = |error: SubjectError, text: &str| {
        (RefusalCode::InvalidSubject, clean_reason(&format!("{error} (in {text:?})")))
    };
    for text in ["", "a b", "a.*", &"x".repeat(300), &"x".repeat(5000)] {
        a.declare(5, text);
        assert_eq!(a.refused(5), said(check_subject(text).unwrap_err(), text));
    }
    for text in [">.a", "a..b", "a*"] {
        a.subscribe(6, 1, &["good", text]);
        assert_eq!(a.refused(6), said(Pattern::new(text).unwrap_err(), text));
    }
    a.subscribe(6, 1, &[]);
    let reason = "a subscription has at least one pattern".to_owned();
    assert_eq!(a.refused(6), (RefusalCode::InvalidSubject, reason));
    a.subscribe(6, 1, &vec!["x"; PATTERNS_MAX + 1]);
    let reason = "a subscription has 32 patterns at most, this one has 33";
    assert_eq!(a.refused(6), limit(reason));
    a.subscribe(6, 1, &vec!["x"; PATTERNS_MAX]);
    assert_eq!(a.hear(), ToHub::Subscribed { request: 6 });
}

#[test]
fn answers_for_which_a_hub_waits() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    b.subscribe(1, 1, &[">"]);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    let most = PENDING_REQUESTS_PER_HUB_MAX as u32;
    for number in 1..=most + 1 {
        a.declare(number, &format!("s.{number}"));
    }
    let reason = "a hub waits for 256 publishers and subscriptions at most";
    assert_eq!(a.refused(most + 1), limit(reason));
    for request in 1..=most {
        let ToHub::Declared { request: of, .. } = a.hear() else { panic!() };
        assert_eq!(of, request);
    }
}

#[test]
fn messages_with_other_descriptors() {
    let scene = Scene::new();
    let mut a = scene.join("a");
    let patterns = || vec!["x".to_owned()];
    let subscribe = |request| ToSupervisor::Subscribe {
        request,
        subscription: 1,
        patterns: patterns(),
        gating: true,
        bell_slot: 1,
    };
    let said = "the supervisor has not got the descriptors of a subscription: ";
    for (descriptors, why) in [
        (vec![], "0 descriptors came instead of 2"),
        (vec![memory()], "1 descriptors came instead of 2"),
        (vec![memory(), memory()], "descriptors came that are not a memfd and a pipe"),
        (vec![pipe(), memory()], "descriptors came that are not a memfd and a pipe"),
    ] {
        a.say_with(&subscribe(5), descriptors);
        assert_eq!(a.refused(5), limit(&format!("{said}{why}")));
    }
    a.hears_nothing();
    let declare = || ToSupervisor::Declare { request: 1, subject: "x".to_owned(), known: 0 };
    let edge = Edge { source: 1, reader: 1, subscription: 1 };
    let faults = [
        (declare(), vec![]), // before it has a ring
        (declare(), vec![memory()]),
        (subscribe(0), vec![memory(), memory()]),
        (ToSupervisor::Broadcast { capacity: 4096 }, vec![memory()]),
        (ToSupervisor::Broadcast { capacity: 4096 }, vec![memory(), pipe()]),
        (ToSupervisor::Lane { link: 1, capacity: 4096 }, vec![]),
        (ToSupervisor::Lane { link: 1, capacity: 4096 }, vec![pipe()]),
        (ToSupervisor::Following { edge, position_slot: 1 }, vec![memory()]),
        (ToSupervisor::Unsubscribe { subscription: 1 }, vec![pipe()]),
    ];
    for (message, descriptors) in faults {
        let mut hostile = scene.join("hostile");
        hostile.say_with(&message, descriptors);
        assert_eq!(hostile.until_hung_up(), [], "{message:?}");
    }
    a.hears_nothing();
}
