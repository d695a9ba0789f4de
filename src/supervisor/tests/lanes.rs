//! What the two sides of a link say to each other about the second ring between them.

use super::*;
use crate::protocol::LaneSlot;

fn slots(count: u32) -> Vec<LaneSlot> {
    (0..count).map(|number| LaneSlot { subscription: number, slot: number + 100 }).collect()
}

#[test]
fn they_are_passed_on_between_the_two() {
    let scene = Scene::new();
    let (mut a, mut b, mut c) = (scene.join("a"), scene.join("b"), scene.join("c"));
    let link = link(&mut a, &mut b, "b");
    for (from, to) in [(true, false), (false, true)] {
        let (from, to) = if from && !to { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let ring = memory();
        let sent = mark(&ring);
        from.say_with(&ToSupervisor::Lane { link, capacity: 8192 }, vec![ring]);
        let (lane, descriptors) = to.hear_with();
        assert_eq!((lane, marks(&descriptors)), (ToHub::Lane { link, capacity: 8192 }, vec![sent]));
        to.say(&ToSupervisor::LaneReaders { link, slots: slots(3) });
        assert_eq!(from.hear(), ToHub::LaneReaders { link, slots: slots(3) });
        from.say(&ToSupervisor::LaneStarts { link, slots: slots(2) });
        assert_eq!(to.hear(), ToHub::LaneStarts { link, slots: slots(2) });
    }
    // By nobody else, and over no other link.
    for (hub, link) in [(&mut c, link), (&mut a, link + 1), (&mut b, 0)] {
        hub.say_with(&ToSupervisor::Lane { link, capacity: 8192 }, vec![memory()]);
        hub.say(&ToSupervisor::LaneReaders { link, slots: slots(1) });
        hub.say(&ToSupervisor::LaneStarts { link, slots: slots(1) });
        hub.hears_nothing();
    }
    a.hears_nothing();
    b.hears_nothing();
    // Nor when it is over.
    a.say(&ToSupervisor::Close { link, reason: "done".to_owned() });
    let ToHub::Closed { .. } = b.hear() else { panic!() };
    a.say(&ToSupervisor::LaneReaders { link, slots: slots(1) });
    b.say(&ToSupervisor::LaneReaders { link, slots: slots(1) });
    a.hears_nothing();
    b.hears_nothing();
}

#[test]
fn a_link_that_is_only_offered_has_none() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.join("a"), scene.join("b"));
    let terms = Terms { capacity: 4096, position_slot: 1, bell_slot: 2 };
    let offer = ToSupervisor::Link { request: 5, to: "b".to_owned(), terms, wanted: 4096 };
    a.say_with(&offer, vec![memory(), memory(), pipe()]);
    let ToHub::Offer { link, .. } = b.hear() else { panic!() };
    b.say(&ToSupervisor::LaneReaders { link, slots: slots(1) });
    b.hears_nothing();
    a.hears_nothing();
    // The acceptor may say it before the opener has attached.
    b.say_with(&ToSupervisor::Accept { link, terms }, vec![memory(), memory(), pipe()]);
    b.say_with(&ToSupervisor::Lane { link, capacity: 4096 }, vec![memory()]);
    let ToHub::Established { .. } = a.hear() else { panic!() };
    assert_eq!(a.hear(), ToHub::Lane { link, capacity: 4096 });
}

/// Who is sent more than it reads loses the link over which it comes, and nothing else.
#[test]
fn one_that_says_too_much_ends_its_own_link() {
    let scene = Scene::new();
    let (mut a, mut b, mut c) = (scene.join("a"), scene.join("b"), scene.join("c"));
    let flooded = link(&mut a, &mut b, "b");
    let other = link(&mut c, &mut b, "b");
    let mut flood = (0..100).flat_map(|_| {
        for _ in 0..100 {
            a.say(&ToSupervisor::LaneReaders { link: flooded, slots: slots(1) });
        }
        a.all()
    });
    let closed = flood.next();
    let Some(ToHub::Closed { link, gone: false, reason }) = closed else { panic!("{closed:?}") };
    assert_eq!(link, flooded);
    assert!(reason.contains("messages to read; is it stopped?"), "{reason}");
    let heard = b.all();
    let readers = ToHub::LaneReaders { link: flooded, slots: slots(1) };
    let passed_on = heard.iter().take_while(|message| **message == readers).count();
    assert!(passed_on >= 256);
    assert_eq!(heard[passed_on], ToHub::Closed { link: flooded, gone: false, reason });
    assert_eq!(heard.len(), passed_on + 1);
    c.say(&ToSupervisor::LaneReaders { link: other, slots: slots(1) });
    assert_eq!(b.hear(), ToHub::LaneReaders { link: other, slots: slots(1) });
    c.hears_nothing();
}
