//! Messages of every kind that have been tampered with: whoever sends them harms only itself.

use super::*;
use crate::protocol::{LaneSlot, encode};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// One message of each kind, with the descriptors that belong to it.
fn messages(edge: Edge, link: u64) -> Vec<(ToSupervisor, Vec<OwnedFd>)> {
    let slots = vec![LaneSlot { subscription: 1, slot: 2 }; 3];
    let patterns = vec!["x.*".to_owned(), ">".to_owned()];
    let (request, subscription, gating, bell_slot) = (1, 1, true, 7);
    let reason = "none".to_owned();
    vec![
        (ToSupervisor::Broadcast { capacity: 4096 }, vec![memory(), memory(), pipe()]),
        (ToSupervisor::Declare { request, subject: "x.y".to_owned(), known: 5 }, vec![]),
        (
            ToSupervisor::Subscribe { request, subscription, patterns, gating, bell_slot },
            vec![memory(), pipe()],
        ),
        (ToSupervisor::Following { edge, position_slot: 1 }, vec![]),
        (ToSupervisor::Listening { edge, start_slot: 1 }, vec![]),
        (ToSupervisor::Unable { edge, reason }, vec![]),
        (ToSupervisor::Lane { link, capacity: 4096 }, vec![memory()]),
        (ToSupervisor::LaneReaders { link, slots: slots.clone() }, vec![]),
        (ToSupervisor::LaneStarts { link, slots }, vec![]),
        (ToSupervisor::Attend { wanted: true }, vec![]),
        (ToSupervisor::Subjects { request, after: "a".to_owned() }, vec![]),
        (ToSupervisor::Unsubscribe { subscription }, vec![]),
    ]
}

/// Changes some bytes behind the preamble.
fn tamper(bytes: &mut [u8], numbers: &mut Numbers) {
    for _ in 0..1 + numbers.below(3) {
        let at = 16 + numbers.below(bytes.len() - 16);
        bytes[at] = match numbers.below(3) {
            0 => bytes[at] ^ 1 << numbers.below(8),
            1 => numbers.next() as u8,
            _ => 0xFF,
        };
    }
}

#[test]
fn others_are_served() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    a.declared("mine");
    b.subscribe(1, 1, &["mine"]);
    let edge = tie(&mut a, &mut b);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    let opened = link(&mut a, &mut b, "b");
    let mut numbers = Numbers(0);
    let kinds = messages(edge, opened).len();
    for round in 0..600 {
        let name = format!("hostile-{round}");
        let mut hostile = scene.join(&name);
        let own = Edge { source: hostile.id, reader: hostile.id, subscription: 1 };
        let bad = numbers.below(kinds);
        let all = messages(if round % 2 == 0 { edge } else { own }, opened);
        for (at, (message, descriptors)) in all.into_iter().enumerate() {
            let mut bytes = encode(&message).unwrap();
            if at == bad {
                tamper(&mut bytes, &mut numbers);
            }
            if hostile.channel.send_bytes(bytes, descriptors).is_err() {
                break; // it has been sent away
            }
        }
        if round % 50 == 0 {
            a.declared("mine");
            b.hears_nothing();
        }
    }
    // The subscription is there, and grows.
    b.subscribe(2, 2, &["mine"]);
    let (second, _) = b.follow(1);
    assert_eq!(second, Edge { subscription: 2, ..edge });
    assert_eq!(a.listen(2).0, second);
    assert_eq!(b.begin(), second);
    assert_eq!(b.hear(), ToHub::Subscribed { request: 2 });
    b.say(&ToSupervisor::Unsubscribe { subscription: 1 });
    assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: false });
}
