//! Hubs that do not answer, or have much to hear at once, are neither asked too much nor given up.

use super::*;
use crate::limits::{SUBSCRIPTIONS_PER_HUB_MAX, UNANSWERED_ASKS_MAX};

#[test]
fn a_hub_is_asked_only_so_much_at_once() {
    let scene = Scene::new();
    let mut reader = scene.join("reader");
    reader.subscribe(1, 1, &[">"]);
    reader.subscribe(2, 2, &["x"]);
    let mut sources: Vec<_> =
        (0..40).map(|number| scene.publisher(&format!("source-{number}"))).collect();
    for source in &mut sources {
        source.declare(1, "x");
        source.hears_nothing();
    }
    let asked = reader.all();
    let follows = asked.iter().filter(|message| matches!(message, ToHub::Follow { .. })).count();
    assert_eq!(follows, UNANSWERED_ASKS_MAX);
    let mut open: Vec<Edge> = Vec::new();
    for message in asked {
        if let ToHub::Follow { edge, .. } = message {
            open.push(edge);
        }
    }
    // For each answer there is one question more, until each has been asked.
    let mut edges = open.len();
    while let Some(edge) = open.pop() {
        reader.say(&ToSupervisor::Following { edge, position_slot: 1 });
        for message in reader.all() {
            let ToHub::Follow { edge, .. } = message else { panic!("{message:?}") };
            open.push(edge);
            edges += 1;
        }
        assert!(open.len() <= UNANSWERED_ASKS_MAX);
    }
    assert_eq!(edges, 2 * sources.len());
}

/// A hub that goes takes a thousand subscriptions along; the one that it read is told of each.
#[test]
fn a_thousand_ends_at_once() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.publisher("a"), scene.join("b"));
    a.declared("x");
    let count = SUBSCRIPTIONS_PER_HUB_MAX as u32;
    for number in 0..count {
        b.subscribe(1, number, &["x"]);
        tie(&mut a, &mut b);
        assert_eq!(b.hear(), ToHub::Subscribed { request: 1 });
    }
    let mut source = scene.join("other");
    let reader = b.id;
    b.say(&ToSupervisor::Leave);
    assert_eq!(b.until_hung_up(), []);
    source.hears_nothing();
    for subscription in 0..count {
        let edge = Edge { source: a.id, reader, subscription };
        assert_eq!(a.hear(), ToHub::EdgeOver { edge, gone: true });
    }
    a.hears_nothing();
}

/// One that subscribes and unsubscribes without end does not fill the queue of a stopped hub.
#[test]
fn a_stopped_hub_is_not_told_of_what_it_has_not_been_asked() {
    let scene = Scene::new();
    let (mut stopped, mut busy) = (scene.publisher("stopped"), scene.join("busy"));
    stopped.declared("x");
    for number in 0..300 {
        busy.subscribe(0, number, &["x"]);
        busy.follow(1);
        busy.say(&ToSupervisor::Unsubscribe { subscription: number });
    }
    busy.hears_nothing();
    let heard = stopped.all();
    assert_eq!(heard.len(), 2 * UNANSWERED_ASKS_MAX);
    for (at, message) in heard.iter().enumerate() {
        match message {
            ToHub::Listen { .. } if at % 2 == 0 => {}
            ToHub::EdgeOver { gone: false, .. } if at % 2 == 1 => {}
            other => panic!("{other:?}"),
        }
    }
}
