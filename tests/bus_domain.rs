//! What hubs can know of their domain: who comes and goes, links, subjects.

mod common;

use common::roles::eventually;
use common::{Domain, Pose};
use ephapse::{Envelope, Subscription};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(10);

fn next(subscription: &mut Subscription) -> Envelope<'_> {
    subscription.recv_timeout(LONG).unwrap().expect("an event")
}

#[test]
fn what_happens_in_the_domain_is_an_event() {
    use ephapse::event::lifecycle::{HubJoined, HubLeft, LinkClosed, LinkEstablished};
    let domain = Domain::new();
    let watcher = domain.hub("watcher");
    let mut events = watcher.subscribe(["ephapse.>"]).unwrap();
    let mut hubs = watcher.subscribe(["ephapse.hub.*"]).unwrap();
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let link = a.link_to("b").unwrap();
    assert!(a.unlink("b").unwrap());
    drop((link, b));
    for name in ["a", "b"] {
        for subscription in [&mut events, &mut hubs] {
            let event = next(subscription);
            assert_eq!((event.subject(), event.source()), ("ephapse.hub.joined", "supervisor"));
            assert_eq!(event.get::<HubJoined>().unwrap().hub.name, name);
        }
    }
    let event = next(&mut events);
    assert_eq!(event.get::<LinkEstablished>().unwrap().acceptor.name, "b");
    drop(event);
    let event = next(&mut events);
    assert_eq!(event.get::<LinkClosed>().unwrap().opener.name, "a");
    drop(event);
    for subscription in [&mut events, &mut hubs] {
        let event = next(subscription);
        assert_eq!(event.get::<HubLeft>().unwrap().hub.name, "b");
    }
}

#[test]
fn who_does_not_look_for_long_is_told_how_much_has_happened_since() {
    const LIVES: u64 = 600;
    let domain = Domain::new();
    let watcher = domain.hub("watcher");
    let mut events = watcher.subscribe(["ephapse.hub.*"]).unwrap();
    for life in 0..LIVES {
        drop(domain.hub(&format!("mayfly-{life}")));
    }
    let _last = domain.hub("last");
    let all = 2 * LIVES + 1;
    let kept = ephapse::limits::DOMAIN_EVENTS_MAX as u64;
    // What the supervisor says comes in order.
    watcher.wait_for("last", LONG).unwrap();
    let error = events.recv_timeout(LONG).map(drop).unwrap_err();
    let expected =
        format!("hub supervisor was faster: up to {} of its events have been missed", all - kept);
    assert_eq!(error.to_string(), expected);
    for number in all - kept + 1..=all {
        assert_eq!(next(&mut events).sequence(), number);
    }
    assert!(events.try_recv().unwrap().is_none());
}

#[test]
fn links_and_subjects_are_listed() {
    let domain = Domain::new();
    let (mut a, b) = (domain.hub("a"), domain.hub("b"));
    let _seen = b.subscribe(["robot.>"]).unwrap();
    let _poses = a.publisher::<Pose>("robot.pose").unwrap();
    let link = a.link_to("b").unwrap();
    let links = b.links().unwrap();
    assert_eq!((links.len(), links[0].opener.as_str(), links[0].acceptor.as_str()), (1, "a", "b"));
    assert_eq!(link.id().to_string(), format!("link {}", links[0].id));
    let subjects = a.subjects().unwrap();
    assert_eq!((subjects.len(), subjects[0].subject.as_str()), (1, "robot.pose"));
    assert_eq!((subjects[0].publishers, subjects[0].subscriptions), (1, 1));
    assert!(a.unlink("b").unwrap() && !a.unlink("b").unwrap());
    eventually("the link is gone", || b.links().unwrap().is_empty());
}
