//! How publishers and subscriptions are brought together.

use super::*;
use crate::limits::{NOTICE_MS, SUBJECTS_PER_PAGE};

const NOTICE: Duration = Duration::from_millis(NOTICE_MS);

#[test]
fn a_subscription_that_comes_after_the_publisher() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.join("a"), scene.join("b"));
    let ring = a.broadcast();
    let id = a.declared("robot.1.pose");
    let bell = b.subscribe(6, 11, &["robot.*.pose"]);
    let edge = Edge { source: a.id, reader: b.id, subscription: 11 };

    let (follow, descriptors) = b.hear_with();
    let ToHub::Follow { edge: of, source, capacity, subjects } = follow else { panic!() };
    assert_eq!((of, source.id, source.name.as_str(), capacity), (edge, a.id, "a", 4096));
    assert_eq!(subjects, [Subject { id, name: "robot.1.pose".to_owned() }]);
    assert_eq!(marks_beside_process(&descriptors), ring);
    a.hears_nothing();
    b.say(&ToSupervisor::Following { edge, position_slot: 21 });

    let (listen, descriptors) = a.hear_with();
    let ToHub::Listen { edge: of, reader, gating, position_slot, bell_slot, subjects } = listen
    else {
        panic!()
    };
    assert_eq!((of, reader.id, reader.name.as_str()), (edge, b.id, "b"));
    assert_eq!((gating, position_slot, bell_slot, subjects), (true, 21, 7, vec![id]));
    assert_eq!(marks_beside_process(&descriptors), bell);
    b.hears_nothing();
    a.say(&ToSupervisor::Listening { edge, start_slot: 31 });
    assert_eq!(b.hear(), ToHub::Begin { edge, start_slot: 31 });
    assert_eq!(b.hear(), ToHub::Subscribed { request: 6 });
    a.hears_nothing();
}

#[test]
fn a_publisher_that_comes_after_the_subscription() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    b.subscribe(6, 11, &["robot.>"]);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 6 });
    a.declare(8, "robot.1");
    let (edge, subjects) = b.follow(21);
    assert_eq!(edge, Edge { source: a.id, reader: b.id, subscription: 11 });
    assert_eq!(a.listen(0), (edge, ids(&subjects)));
    assert_eq!(b.hear(), ToHub::Begin { edge, start_slot: 0 });
    assert_eq!(a.hear(), ToHub::Declared { request: 8, id: subjects[0].id });
    // Once more: all has been done already.
    let before = Instant::now();
    a.declare(9, "robot.1");
    assert_eq!(a.hear(), ToHub::Declared { request: 9, id: subjects[0].id });
    assert!(before.elapsed() < NOTICE, "{:?}", before.elapsed());
    b.hears_nothing();
}

#[test]
fn nobody_waits_long_for_one_that_does_not_answer() {
    let scene = Scene::new();
    let (mut a, mut b, mut c) = (scene.publisher("a"), scene.join("b"), scene.join("c"));
    for silent in [&mut b, &mut c] {
        silent.subscribe(1, 1, &["x"]);
        assert_eq!(silent.hear(), ToHub::Subscribed { request: 1 });
    }
    let before = Instant::now();
    a.declare(8, "x");
    let (edge, _) = b.follow(2);
    assert_eq!(a.listen(3).0, edge);
    assert_eq!(b.begin(), edge);
    // One of two has begun; the other is given its time.
    let ToHub::Declared { request: 8, .. } = a.hear() else { panic!() };
    assert!(before.elapsed() >= NOTICE, "{:?}", before.elapsed());
    assert!(before.elapsed() < 4 * NOTICE, "{:?}", before.elapsed());
    // It begins when it goes on.
    tie(&mut a, &mut c);
    // A source that is silent holds a subscription up as little.
    let before = Instant::now();
    b.subscribe(2, 2, &["*"]);
    b.follow(5);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 2 });
    assert!((NOTICE..4 * NOTICE).contains(&before.elapsed()), "{:?}", before.elapsed());
}

#[test]
fn nobody_waits_for_an_edge_that_is_over() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    b.subscribe(1, 1, &["x"]);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    let before = Instant::now();
    a.declare(8, "x");
    let ToHub::Follow { edge, .. } = b.hear() else { panic!() };
    b.say(&ToSupervisor::Unable { edge, reason: "no memory".to_owned() });
    let ToHub::Declared { request: 8, .. } = a.hear() else { panic!() };
    assert!(before.elapsed() < NOTICE, "{:?}", before.elapsed());
    // To say it again is another chance, for both.
    let before = Instant::now();
    a.declare(9, "x");
    let (edge, _) = b.follow(2);
    let ToHub::Listen { .. } = a.hear() else { panic!() };
    a.say(&ToSupervisor::Unable { edge, reason: "no slots".to_owned() });
    let ToHub::Declared { request: 9, .. } = a.hear() else { panic!() };
    assert_eq!(b.hear(), ToHub::EdgeOver { edge, gone: false });
    assert!(before.elapsed() < NOTICE, "{:?}", before.elapsed());
    // Another subscription, whose hub goes.
    let before = Instant::now();
    b.subscribe(2, 2, &["x"]);
    let (edge, _) = b.follow(2);
    let ToHub::Listen { .. } = a.hear() else { panic!() };
    a.declare(10, "x");
    b.leave();
    // Of the first subscription, which has had one more chance too, it has not been told.
    assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: true });
    let ToHub::Declared { request: 10, .. } = a.hear() else { panic!() };
    assert!(before.elapsed() < NOTICE, "{:?}", before.elapsed());
}

#[test]
fn more_subjects_on_an_edge() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    let first = a.declared("s.0");
    a.declared("other");
    b.subscribe(1, 1, &["s.*"]);
    let ToHub::Follow { edge, subjects, .. } = b.hear() else { panic!() };
    assert_eq!(ids(&subjects), [first]);
    // While the first is under way, the others wait.
    for number in 1..=2 * SUBJECTS_PER_PAGE as u32 {
        a.declare(number, &format!("s.{number}"));
    }
    a.hears_nothing();
    b.hears_nothing();
    b.say(&ToSupervisor::Following { edge, position_slot: 5 });
    assert_eq!(a.listen(6), (edge, vec![first]));
    assert_eq!(b.begin(), edge);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    let mut answered = Vec::new();
    for page in 0..2 {
        let (of, subjects) = b.follow(5);
        assert_eq!((of, subjects.len()), (edge, SUBJECTS_PER_PAGE));
        assert_eq!(subjects[0].name, format!("s.{}", 1 + page * SUBJECTS_PER_PAGE));
        assert_eq!(a.listen(6), (edge, ids(&subjects)));
        assert_eq!(b.begin(), edge);
        for subject in &subjects {
            let ToHub::Declared { request, id } = a.hear() else { panic!() };
            assert_eq!(subject, &Subject { id, name: format!("s.{request}") });
            answered.push(request);
        }
    }
    assert_eq!(answered, (1..=2 * SUBJECTS_PER_PAGE as u32).collect::<Vec<_>>());
    a.hears_nothing();
    b.hears_nothing();
}

#[test]
fn many_subjects_of_a_new_edge_come_in_pages() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    let mut declared: Vec<_> = (0..100).map(|number| a.declared(&format!("s.{number}"))).collect();
    declared.sort_unstable();
    b.subscribe(1, 1, &[">"]);
    let mut seen = Vec::new();
    while seen.len() < declared.len() {
        let (_, subjects) = b.follow(5);
        assert!(subjects.len() <= SUBJECTS_PER_PAGE);
        seen.extend(a.listen(6).1);
        b.begin();
    }
    assert_eq!(seen, declared);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
}

#[test]
fn a_hub_that_reads_itself() {
    let scene = Scene::new();
    let mut a = scene.publisher("a");
    a.declared("x");
    a.subscribe(1, 1, &["x"]);
    let (edge, _) = a.follow(2);
    assert_eq!(edge, Edge { source: a.id, reader: a.id, subscription: 1 });
    assert_eq!(a.listen(3).0, edge);
    assert_eq!(a.hear(), ToHub::Begin { edge, start_slot: 3 });
    assert_eq!(a.hear(), ToHub::Subscribed { request: 1 });
    a.say(&ToSupervisor::Unsubscribe { subscription: 1 });
    assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: false });
    a.hears_nothing();
}

#[test]
fn answers_of_those_whom_it_does_not_concern() {
    let scene = Scene::new();
    let (mut a, mut b, mut c) = (scene.publisher("a"), scene.join("b"), scene.join("c"));
    a.declared("x");
    b.subscribe(1, 1, &["x"]);
    let ToHub::Follow { edge, .. } = b.hear() else { panic!() };
    let following = ToSupervisor::Following { edge, position_slot: 66 };
    let listening = ToSupervisor::Listening { edge, start_slot: 66 };
    let unable = ToSupervisor::Unable { edge, reason: "no".to_owned() };
    for message in [&following, &listening, &unable] {
        c.say(message);
    }
    a.say(&following);
    a.say(&listening); // it has not been asked
    b.say(&listening);
    for hub in [&mut c, &mut a, &mut b] {
        hub.hears_nothing();
    }
    b.say(&ToSupervisor::Following { edge, position_slot: 5 });
    let ToHub::Listen { position_slot: 5, .. } = a.hear() else { panic!() };
    c.say(&listening);
    b.say(&listening);
    b.say(&following); // again
    a.say(&following); // asked something else
    for hub in [&mut c, &mut b, &mut a] {
        hub.hears_nothing();
    }
    a.say(&ToSupervisor::Listening { edge, start_slot: 6 });
    assert_eq!(b.hear(), ToHub::Begin { edge, start_slot: 6 });
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    // Edges that do not exist.
    let nowhere = Edge { source: a.id, reader: b.id, subscription: 99 };
    a.say(&ToSupervisor::Listening { edge: nowhere, start_slot: 6 });
    b.say(&ToSupervisor::Following { edge: nowhere, position_slot: 6 });
    a.say(&ToSupervisor::Unable { edge: nowhere, reason: String::new() });
    for hub in [&mut a, &mut b] {
        hub.hears_nothing();
    }
}

/// The answer to a question about an edge that is over is not one about an edge that came after
/// it under the same name.
#[test]
fn answers_that_come_too_late() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    a.declared("x");
    b.subscribe(1, 1, &["x"]);
    b.follow(5);
    let ToHub::Listen { edge, position_slot: 5, .. } = a.hear() else { panic!() };
    let id = b.id;
    b.leave();
    assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: true });
    let mut b = scene.resume("b", id);
    assert_eq!(b.id, id);
    b.subscribe(0, 1, &["x"]);
    assert_eq!(b.follow(7).0, edge);
    let ToHub::Listen { position_slot: 7, .. } = a.hear() else { panic!() };
    a.say(&ToSupervisor::Listening { edge, start_slot: 1000 });
    a.hears_nothing();
    b.hears_nothing();
    a.say(&ToSupervisor::Listening { edge, start_slot: 2000 });
    assert_eq!(b.hear(), ToHub::Begin { edge, start_slot: 2000 });
    late_readers(&mut a, &mut b, edge);
    late_refusals(&scene, &mut a, b);
}

fn late_readers(a: &mut Client, b: &mut Client, edge: Edge) {
    b.say(&ToSupervisor::Unsubscribe { subscription: 1 });
    assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: false });
    b.subscribe(0, 1, &["x"]);
    let ToHub::Follow { .. } = b.hear() else { panic!() };
    b.subscribe(0, 1, &["*"]);
    assert_eq!(b.hear(), ToHub::EdgeOver { edge, gone: false });
    let ToHub::Follow { .. } = b.hear() else { panic!() };
    b.say(&ToSupervisor::Following { edge, position_slot: 8 });
    b.hears_nothing();
    a.hears_nothing();
    b.say(&ToSupervisor::Following { edge, position_slot: 9 });
    assert_eq!(a.listen(10).0, edge);
    assert_eq!(b.begin(), edge);
}

/// What could not be done for an edge that is over says nothing of the next one.
fn late_refusals(scene: &Scene, a: &mut Client, mut b: Client) {
    b.subscribe(0, 2, &["x"]);
    b.follow(5);
    let ToHub::Listen { edge, .. } = a.hear() else { panic!() };
    let id = b.id;
    b.leave();
    for subscription in 1..=2 {
        let edge = Edge { subscription, ..edge };
        assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: true });
    }
    let mut b = scene.resume("b", id);
    b.subscribe(0, 2, &["x"]);
    b.follow(6);
    let ToHub::Listen { position_slot: 6, .. } = a.hear() else { panic!() };
    a.say(&ToSupervisor::Unable { edge, reason: "of the first".to_owned() });
    a.say(&ToSupervisor::Listening { edge, start_slot: 3000 });
    assert_eq!(b.hear(), ToHub::Begin { edge, start_slot: 3000 });
    a.hears_nothing();
}
