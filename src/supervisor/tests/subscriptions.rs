//! Patterns, the ends of subscriptions and hubs, and the list of subjects.

use super::*;
use crate::limits::SUBJECTS_PER_PAGE;
use crate::protocol::SubjectInfo;

#[test]
fn patterns_choose() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    for subject in ["robot.1.pose", "robot.1.arm.pose", "robot.2.pose", "camera", "robot"] {
        a.declared(subject);
    }
    let cases: [(&[&str], &[&str]); 5] = [
        (&["robot.*.pose"], &["robot.1.pose", "robot.2.pose"]),
        (&["camera", "robot"], &["camera", "robot"]),
        (&["robot.1.>"], &["robot.1.pose", "robot.1.arm.pose"]),
        (
            &["robot.2.*", "robot.>", "*.2.pose"],
            &["robot.1.pose", "robot.1.arm.pose", "robot.2.pose"],
        ),
        (&["nothing.>"], &[]),
    ];
    for (number, (patterns, wanted)) in cases.into_iter().enumerate() {
        b.subscribe(1, number as u32, patterns);
        if !wanted.is_empty() {
            let (_, subjects) = b.follow(1);
            let names: Vec<_> = subjects.iter().map(|subject| subject.name.as_str()).collect();
            assert_eq!(names, wanted, "{patterns:?}");
            a.listen(1);
            b.begin();
        }
        assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    }
}

#[test]
fn the_end_of_a_subscription() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    a.declared("x");
    b.subscribe(1, 1, &["x"]);
    let edge = tie(&mut a, &mut b);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    b.say(&ToSupervisor::Unsubscribe { subscription: 1 });
    assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: false });
    b.hears_nothing();
    // Nothing more comes of it.
    b.say(&ToSupervisor::Unsubscribe { subscription: 1 });
    a.declared("x");
    b.hears_nothing();
    // One of which the source has not heard ends without a word.
    b.subscribe(2, 2, &["x"]);
    let ToHub::Follow { .. } = b.hear() else { panic!() };
    b.say(&ToSupervisor::Unsubscribe { subscription: 2 });
    assert_eq!(b.hear(), ToHub::Subscribed { request: 2 });
    a.hears_nothing();
}

#[test]
fn hubs_that_leave() {
    let scene = Scene::new();
    for _ in 0..2 {
        let (mut a, mut b) = (scene.publisher("a"), scene.publisher("b"));
        a.declared("from.a");
        b.declared("from.b");
        a.subscribe(1, 1, &["from.b"]);
        let to_a = tie(&mut b, &mut a);
        assert_eq!(a.hear(), ToHub::Subscribed { request: 1 });
        b.subscribe(1, 1, &["from.a"]);
        let to_b = tie(&mut a, &mut b);
        assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
        b.leave();
        let mut over = [a.hear(), a.hear()];
        over.sort_by_key(|message| *message != ToHub::EdgeOver { edge: to_b, gone: true });
        let gone = |edge| ToHub::EdgeOver { edge, gone: true };
        assert_eq!(over, [gone(to_b), gone(to_a)]);
        a.hears_nothing();
        // Its subjects have gone with it.
        a.say(&ToSupervisor::Subjects { request: 3, after: String::new() });
        let ToHub::SubjectList { subjects, more: false, .. } = a.hear() else { panic!() };
        assert_eq!(subjects.len(), 1);
        assert_eq!(subjects[0].subject, "from.a");
        a.say(&ToSupervisor::Leave);
        assert_eq!(a.until_hung_up(), []);
    }
}

#[test]
fn one_subject_has_one_number() {
    let scene = Scene::new();
    let (mut a, mut b, mut c) = (scene.publisher("a"), scene.publisher("b"), scene.publisher("c"));
    let id = a.declared("x");
    assert_ne!(id, 0);
    assert_eq!(a.declared("x"), id);
    assert_eq!(b.declared("x"), id);
    assert_ne!(b.declared("y"), id);
    // Only one that came back may bring a number along.
    c.say(&ToSupervisor::Declare { request: 1, subject: "z".to_owned(), known: 77 });
    let ToHub::Declared { id: fresh, .. } = c.hear() else { panic!() };
    assert!(![0, 77, id].contains(&fresh));
    c.say(&ToSupervisor::Declare { request: 1, subject: "x".to_owned(), known: fresh });
    assert_eq!(c.hear(), ToHub::Declared { request: 1, id });
}

#[test]
fn the_list_of_subjects_comes_in_pages() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.publisher("b"));
    for number in 0..2 * SUBJECTS_PER_PAGE {
        a.declared(&format!("s.{number:03}"));
    }
    let id = b.declared("s.000");
    for (number, patterns) in [&["s.*", "s.>"][..], &["s.000"], &["t.*"]].into_iter().enumerate() {
        b.subscribe(0, number as u32, patterns);
    }
    let mut page = |after: &str| {
        b.say(&ToSupervisor::Subjects { request: 4, after: after.to_owned() });
        loop {
            match b.hear() {
                ToHub::SubjectList { request: 4, subjects, more } => return (subjects, more),
                ToHub::Follow { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let (first, more) = page("");
    assert_eq!((first.len(), more), (SUBJECTS_PER_PAGE, true));
    let subject = "s.000".to_owned();
    assert_eq!(first[0], SubjectInfo { subject, id, publishers: 2, subscriptions: 2 });
    let (publishers, subscriptions) = (first[1].publishers, first[1].subscriptions);
    assert_eq!((&*first[1].subject, publishers, subscriptions), ("s.001", 1, 1));
    let (second, more) = page(&first[SUBJECTS_PER_PAGE - 1].subject);
    assert_eq!((second.len(), more), (SUBJECTS_PER_PAGE, false));
    assert_eq!(second[0].subject, format!("s.{SUBJECTS_PER_PAGE:03}"));
    assert_eq!(page("s.079"), (vec![], false));
    assert_eq!(page("s.0785").0.len(), 1);
    assert_eq!(page("\u{10FFFF}"), (vec![], false));
}
