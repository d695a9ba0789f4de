//! What hubs are told that want to know what happens.

use super::*;
use crate::protocol::{HubInfo, News};

/// The next message is news; gives what, and the names.
#[track_caller]
fn news(hub: &mut Client) -> (&'static str, Vec<String>) {
    let names = |hubs: Vec<HubInfo>| hubs.into_iter().map(|hub| hub.name).collect();
    let ToHub::News(news) = hub.hear() else { panic!("no news") };
    match news {
        News::Joined(hub) => ("joined", names(vec![hub])),
        News::Left(hub) => ("left", names(vec![hub])),
        News::Linked { opener, acceptor, .. } => ("linked", names(vec![opener, acceptor])),
        News::Unlinked { opener, acceptor, .. } => ("unlinked", names(vec![opener, acceptor])),
    }
}

#[test]
fn hubs_and_links_come_and_go() {
    let scene = Scene::new();
    let mut watch = scene.join("watch");
    let _before = scene.join("before");
    watch.say(&ToSupervisor::Attend { wanted: true });
    watch.hears_nothing();
    let (mut a, mut b) = (scene.join("a"), scene.join("b"));
    let mut hears = |what: &str, names: &[&str]| {
        let (said, of) = news(&mut watch);
        assert_eq!(
            (said, of.iter().map(String::as_str).collect::<Vec<_>>()),
            (what, names.to_vec())
        );
    };
    hears("joined", &["a"]);
    hears("joined", &["b"]);
    let first = link(&mut a, &mut b, "b");
    hears("linked", &["a", "b"]);
    b.say(&ToSupervisor::Close { link: first, reason: "done".to_owned() });
    hears("unlinked", &["a", "b"]);
    let ToHub::Closed { .. } = a.hear() else { panic!() };
    link(&mut b, &mut a, "a");
    hears("linked", &["b", "a"]);
    // One that says nothing more of its links takes them along.
    drop(b);
    hears("unlinked", &["b", "a"]);
    hears("left", &["b"]);
    // Connections without a name are nobody's business.
    drop(scene.connect());
    a.say(&ToSupervisor::Leave);
    assert_eq!(a.until_hung_up(), []);
    hears("left", &["a"]);
    watch.hears_nothing();
}

#[test]
fn its_own_links_and_no_more_than_it_wants() {
    let scene = Scene::new();
    let (mut a, mut b) = (scene.join("a"), scene.join("b"));
    for wanted in [true, true, false, true] {
        a.say(&ToSupervisor::Attend { wanted });
    }
    a.hears_nothing();
    let link = link(&mut a, &mut b, "b");
    assert_eq!(news(&mut a).0, "linked");
    a.say(&ToSupervisor::Attend { wanted: false });
    a.say(&ToSupervisor::Close { link, reason: String::new() });
    a.hears_nothing();
    drop(b);
    drop(scene.join("c"));
    a.hears_nothing();
}

#[test]
fn a_link_that_never_opened_is_no_news() {
    let scene = Scene::new();
    let (mut watch, mut a, mut b) = (scene.join("watch"), scene.join("a"), scene.join("b"));
    watch.say(&ToSupervisor::Attend { wanted: true });
    watch.hears_nothing();
    let terms = Terms { capacity: 4096, position_slot: 1, bell_slot: 2 };
    let offer = ToSupervisor::Link { request: 5, to: "b".to_owned(), terms, wanted: 4096 };
    a.say_with(&offer, vec![memory(), memory(), pipe()]);
    let ToHub::Offer { link, .. } = b.hear() else { panic!() };
    let (code, reason) = (RefusalCode::Declined, "no".to_owned());
    b.say(&ToSupervisor::Decline { link, code, reason });
    assert_eq!(a.refused(5).0, RefusalCode::Declined);
    watch.hears_nothing();
}
