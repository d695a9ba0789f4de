//! What a source passes over, and when.

use super::*;
use crate::hub::bus::inbox::News;
use crate::protocol::Subject;
use crate::ring::Writer;
use crate::segment::RingOptions;

const HUB: u64 = 7;

fn subject(id: u32) -> Vec<Subject> {
    vec![Subject { id, name: format!("subject.{id}") }]
}

fn send(writer: &mut Writer<RingMemory>, tag: u32, sequence: u64) {
    let mut loan = writer.loan(HEADER_BYTES).unwrap();
    loan[..8].copy_from_slice(&sequence.to_le_bytes());
    loan.commit(HEADER_BYTES, Kind::Plain, tag);
}

/// A source that publishes on subject 1, its ring, and the inbox of a subscription.
fn source() -> (Writer<RingMemory>, Source, Inbox) {
    let (writer, ring) = RingMemory::create(RingOptions::default()).unwrap();
    let memory = RingMemory::open(&ring.file, ring.capacity as u64).unwrap();
    let peer = Arc::new(Peer { id: 3, name: "peer".into(), same_user: true });
    let port = Port::Open(Follower::lossy(memory, None), None);
    let (_, bell) = nix::unistd::pipe().unwrap();
    (writer, Source::new(peer, Filter::new(HUB, subject(1)), port), Inbox::new(bell))
}

fn found(look: Result<Look, Trouble>) -> Option<u32> {
    match look {
        Ok(Look::Found(found)) => Some(found.commit.tag),
        Ok(_) => None,
        Err(trouble) => panic!("{trouble:?}"),
    }
}

#[test]
fn what_is_not_wanted_is_passed_over() {
    let (mut writer, mut source, inbox) = source();
    send(&mut writer, 2, 1);
    send(&mut writer, 1, 2);
    assert_eq!(found(source.look(&inbox)), Some(1));
}

#[test]
fn what_the_news_may_be_about_is_not_passed_over() {
    let (mut writer, mut source, inbox) = source();
    // The control thread says that the source publishes on subject 2 before the source is told that
    // somebody wants it; the subscription has looked for news just before.
    inbox.post(News::Subjects(3, subject(2)));
    send(&mut writer, 2, 1);
    send(&mut writer, 1, 2);
    assert_eq!(found(source.look(&inbox)), None);
    let (news, _) = inbox.take();
    for news in news {
        let News::Subjects(3, subjects) = news else { panic!("{news:?}") };
        source.filter.add(subjects);
    }
    assert_eq!(found(source.look(&inbox)), Some(2));
}

#[test]
fn a_number_that_comes_again_has_its_new_meaning() {
    let mut filter = Filter::new(HUB, subject(1));
    filter.add(vec![Subject { id: 1, name: "another".into() }]);
    filter.add(subject(0));
    assert_eq!(filter.names().collect::<Vec<_>>(), ["subject.0", "another"]);
}
