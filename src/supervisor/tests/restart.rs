//! Hubs that come back after their supervisor was restarted.

use super::*;
use crate::limits::RETURN_MS;

const RETURN: Duration = Duration::from_millis(RETURN_MS);

/// What a hub that comes back says of a subject.
fn declare_again(hub: &mut Client, subject: &str, known: u32) -> u32 {
    hub.say(&ToSupervisor::Declare { request: 0, subject: subject.to_owned(), known });
    loop {
        match hub.hear() {
            ToHub::Declared { request: 0, id } => return id,
            ToHub::Listen { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_hub_keeps_its_number_and_its_name() {
    let mut scene = Scene::new();
    let (a, b) = (scene.join("a"), scene.join("b"));
    scene.restart();
    let mut again = scene.resume("a", a.id);
    assert_eq!(again.id, a.id);
    let mut new = scene.join("c");
    assert!(![a.id, b.id].contains(&new.id));
    // Others know it by both.
    new.say(&ToSupervisor::List { request: 3, after: 0 });
    let ToHub::Hubs { hubs, .. } = new.hear() else { panic!() };
    let hubs: Vec<_> = hubs.iter().map(|hub| (hub.id, hub.name.as_str())).collect();
    assert_eq!(hubs, [(a.id, "a"), (new.id, "c")]);
    let opened = link(&mut new, &mut again, "a");
    again.say(&ToSupervisor::Close { link: opened, reason: "done".to_owned() });
    let ToHub::Closed { .. } = new.hear() else { panic!() };
    // Its process is still watched, and its connection: when it has gone, so has its number.
    drop(again);
    let again = loop {
        let mut channel = scene.connect();
        let hello = ToSupervisor::Hello { name: "a".to_owned(), resume: a.id };
        channel.send(&hello, Vec::new()).unwrap();
        match channel.receive_by(Instant::now() + LONG).unwrap().0 {
            ToHub::Welcome { id } => break id,
            ToHub::Refused { code: RefusalCode::NameTaken, .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(again, a.id);
}

#[test]
fn a_number_that_it_cannot_have_had() {
    let scene = Scene::new();
    let a = scene.join("a");
    let next = a.id + 1;
    for (name, claimed) in [
        ("taken", a.id),
        ("to-come", a.id + 50),
        ("too-small", 7),
        ("a-token-of-the-loop", 1),
        ("too-large", u64::MAX),
        ("the-bit-of-processes", 1 << 63 | a.id),
    ] {
        let mut hub = scene.resume(name, claimed);
        assert_ne!(hub.id, claimed, "{name}");
        assert!((next..next + 10).contains(&hub.id), "{name}");
        hub.hears_nothing();
    }
    // An earlier run's, if nobody else has it.
    let earlier = ((a.id >> 32) - 1) << 32 | 5;
    let first = scene.resume("first", earlier);
    assert_eq!(first.id, earlier);
    assert_ne!(scene.resume("second", earlier).id, earlier);
}

#[test]
fn publishers_and_subscriptions_find_one_another_again() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    let id = a.declared("x");
    b.subscribe(1, 1, &["x"]);
    let edge = tie(&mut a, &mut b);
    scene.restart();
    let mut a = scene.resume("a", a.id);
    let ring = a.broadcast();
    assert_eq!(declare_again(&mut a, "x", id), id);
    let mut b = scene.resume("b", b.id);
    let bell = b.subscribe(0, 1, &["x"]);
    let (follow, descriptors) = b.hear_with();
    let ToHub::Follow { edge: of, subjects, .. } = follow else { panic!() };
    assert_eq!(
        (of, subjects, marks_beside_process(&descriptors)),
        (edge, vec![Subject { id, name: "x".to_owned() }], ring.to_vec())
    );
    b.say(&ToSupervisor::Following { edge, position_slot: 3 });
    let (listen, descriptors) = a.hear_with();
    let ToHub::Listen { edge: of, .. } = listen else { panic!() };
    assert_eq!((of, marks_beside_process(&descriptors)), (edge, bell.to_vec()));
    a.say(&ToSupervisor::Listening { edge, start_slot: 4 });
    assert_eq!(b.begin(), edge);
    // Nobody has asked: nobody is answered.
    b.hears_nothing();
}

#[test]
fn a_subject_that_has_two_numbers() {
    let mut scene = Scene::new();
    let mut a = scene.publisher("a");
    let (x, y) = (a.declared("x"), a.declared("y"));
    scene.restart();
    // A new hub does not know that another has had a number for it.
    let mut new = scene.publisher("new");
    let fresh = new.declared("x");
    assert_ne!(fresh, x);
    let mut a = scene.resume("a", a.id);
    a.broadcast();
    assert_eq!(declare_again(&mut a, "x", x), x);
    let mut b = scene.join("b");
    b.subscribe(0, 1, &[">"]);
    let mut followed =
        [b.follow(1), b.follow(1)].map(|(edge, subjects)| (edge.source, ids(&subjects)));
    followed.sort_unstable();
    assert_eq!(followed, [(a.id, vec![x]), (new.id, vec![fresh])]);
    // What comes after has the number that was there first.
    let mut late = scene.publisher("late");
    late.declare(0, "x");
    assert_eq!(late.hear(), ToHub::Declared { request: 0, id: fresh });
    // Its number stands for something else now: it is told another.
    let mut c = scene.resume("c", a.id + 1);
    c.broadcast();
    assert_eq!(declare_again(&mut c, "y", x), declare_again(&mut c, "y", 0));
    assert_ne!(declare_again(&mut c, "y", 0), x);
    assert_eq!(declare_again(&mut a, "y", y), y);
    a.say(&ToSupervisor::Subjects { request: 1, after: String::new() });
    let list = a.all();
    let list = list.iter().find_map(|message| match message {
        ToHub::SubjectList { subjects, .. } => Some(subjects),
        _ => None,
    });
    let list = list.unwrap().iter().map(|s| (s.subject.as_str(), s.publishers, s.subscriptions));
    assert_eq!(list.collect::<Vec<_>>(), [("x", 3, 1), ("y", 2, 1)]);
}

#[test]
fn a_name_belongs_to_the_one_that_had_it() {
    let mut scene = Scene::new();
    let (a, other) = (scene.join("a"), scene.join("other"));
    scene.restart();
    let mut new = scene.join("a");
    let mut again = scene.resume("a", a.id);
    assert_eq!(again.id, a.id);
    let said = new.until_hung_up();
    let [ToHub::Refused { request: 0, code: RefusalCode::NameTaken, reason }] = &said[..] else {
        panic!("{said:?}")
    };
    assert_eq!(
        reason,
        "the name a belongs to a hub that came back after the supervisor was restarted; choose \
         another name"
    );
    // The first of two that come back has it.
    let mut second = Client { channel: scene.connect(), id: 0 };
    second.say(&ToSupervisor::Hello { name: "a".to_owned(), resume: other.id });
    let (code, reason) = second.refused(0);
    assert_eq!(code, RefusalCode::NameTaken);
    assert!(reason.starts_with("the name a is taken by process"), "{reason}");
    again.say(&ToSupervisor::List { request: 1, after: 0 });
    let ToHub::Hubs { hubs, .. } = again.hear() else { panic!() };
    assert_eq!(hubs.len(), 1);
}

#[test]
fn a_name_that_was_free_for_long_enough_is_the_new_hubs() {
    let mut scene = Scene::new();
    let a = scene.join("a");
    scene.restart();
    let early = scene.join("early");
    // Sleep: until those who come back have had their time.
    std::thread::sleep(RETURN + Duration::from_millis(100));
    let mut new = scene.join("a");
    let mut again = Client { channel: scene.connect(), id: 0 };
    again.say(&ToSupervisor::Hello { name: "a".to_owned(), resume: a.id });
    assert_eq!(again.refused(0).0, RefusalCode::NameTaken);
    new.hears_nothing();
    drop(early);
}

/// Others keep what they have with a hub whose connection is lost: it may come back, and whether it
/// is gone they see by themselves.
#[test]
fn a_hub_that_lost_its_connection_is_not_over() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.publisher("b"));
    let (of_a, of_b) = (a.declared("from.a"), b.declared("from.b"));
    a.subscribe(1, 1, &["from.b"]);
    tie(&mut b, &mut a);
    assert_eq!(a.hear(), ToHub::Subscribed { request: 1 });
    b.subscribe(1, 1, &["from.a"]);
    let to_b = tie(&mut a, &mut b);
    let id = b.id;
    drop(b);
    wait_for_hubs(&mut a, 1);
    let mut b = scene.resume("b", id);
    assert_eq!(b.id, id);
    b.broadcast();
    b.subscribe(0, 1, &["from.a"]);
    // They are introduced to one another again, and have not been told of an end in between.
    let (edge, subjects) = b.follow(3);
    assert_eq!((edge, ids(&subjects)), (to_b, vec![of_a]));
    assert_eq!(a.listen(4), (to_b, vec![of_a]));
    assert_eq!(b.begin(), to_b);
    assert_eq!(declare_again(&mut b, "from.b", of_b), of_b);
    assert_eq!(a.follow(5).0.source, id);
}

/// Until the supervisor knows so many.
fn wait_for_hubs(hub: &mut Client, count: usize) {
    loop {
        hub.say(&ToSupervisor::List { request: 3, after: 0 });
        let ToHub::Hubs { hubs, .. } = hub.hear() else { panic!() };
        if hubs.len() == count {
            return;
        }
    }
}

/// What a hub says of a link that it has had before.
fn hold(hub: &mut Client, link: u64, peer: u64, opened: bool) {
    hub.say(&ToSupervisor::Held { link, peer, opened });
}

#[test]
fn links_are_known_again_when_both_sides_say_so() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (scene.join("a"), scene.join("b"));
    let opened = link(&mut a, &mut b, "b");
    scene.restart();
    let (mut a, mut b) = (scene.resume("a", a.id), scene.resume("b", b.id));
    let mut c = scene.join("c");
    // What others say of it, or otherwise, is not believed.
    hold(&mut c, opened, b.id, true);
    hold(&mut c, opened, a.id, false);
    c.hears_nothing();
    hold(&mut a, opened, b.id, true);
    hold(&mut a, opened, b.id, true);
    a.hears_nothing();
    hold(&mut b, opened, a.id, true);
    for hub in [&mut a, &mut b, &mut c] {
        hub.hears_nothing();
    }
    hold(&mut b, opened, a.id, false);
    assert_eq!(b.hear(), ToHub::Opened { link: opened });
    assert_eq!(a.hear(), ToHub::Opened { link: opened });
    // What they say of lanes is passed on, and so is the link's end.
    let slots = Vec::new();
    a.say(&ToSupervisor::LaneStarts { link: opened, slots: slots.clone() });
    assert_eq!(b.hear(), ToHub::LaneStarts { link: opened, slots });
    a.say(&ToSupervisor::Close { link: opened, reason: "done".to_owned() });
    let ToHub::Closed { link: closed, gone: false, .. } = b.hear() else { panic!() };
    assert_eq!(closed, opened);
}

#[test]
fn a_link_that_only_one_side_has_is_none() {
    let mut scene = Scene::new();
    let (mut a, mut b) = (scene.join("a"), scene.join("b"));
    let [first, second] = [(); 2].map(|()| {
        let opened = link(&mut a, &mut b, "b");
        a.say(&ToSupervisor::Close { link: opened, reason: "done".to_owned() });
        let ToHub::Closed { .. } = b.hear() else { panic!() };
        opened
    });
    scene.restart();
    let (mut a, mut b) = (scene.resume("a", a.id), scene.resume("b", b.id));
    // It has ended meanwhile, or whoever said so is gone.
    hold(&mut a, first, b.id, true);
    a.say(&ToSupervisor::Close { link: first, reason: "done".to_owned() });
    hold(&mut a, second, b.id, true);
    // One that this run may still give.
    let next = ((second >> 32) + 1) << 32 | 1;
    hold(&mut a, next, b.id, true);
    a.hears_nothing();
    hold(&mut b, next, a.id, false);
    hold(&mut b, first, a.id, false);
    for hub in [&mut a, &mut b] {
        hub.hears_nothing();
    }
    let of_a = a.id;
    drop(a);
    wait_for_hubs(&mut b, 1);
    hold(&mut b, second, of_a, false);
    b.hears_nothing();
}

#[test]
fn who_asks_while_others_are_on_their_way_back_is_answered_when_they_are_there() {
    let mut scene = Scene::new();
    let mut source = scene.publisher("source");
    let id = source.declared("x");
    scene.restart();
    let mut reader = scene.join("reader");
    reader.subscribe(7, 1, &["x"]);
    // Nobody who publishes is known so far.
    let mut source = scene.resume("source", source.id);
    source.broadcast();
    assert_eq!(declare_again(&mut source, "x", id), id);
    tie(&mut source, &mut reader);
    assert_eq!(reader.hear(), ToHub::Subscribed { request: 7 });
}
