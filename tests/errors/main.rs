//! What goes wrong, and what is said about it: each text names what was expected, what was found,
//! and what can be done.

#[path = "../common/mod.rs"]
mod common;
mod directories;
mod peers;
mod supervisors;
mod versions;

use common::roles::{self, LONG};
use common::{Domain, Note, Pose, pose};
use ephapse::rkyv::{Archive, Serialize};
use ephapse::{
    Error, Event, EventError, Hub, Link, LinkOptions, RecvError, RefusalCode, SendError, limits,
};
use std::time::Duration;

#[test]
fn child_entry() {
    match roles::role().as_deref() {
        None => {}
        Some("peer") => peers::peer(),
        Some("supervisor") => supervisors::supervisor(),
        Some(other) => panic!("no role {other}"),
    }
}

/// The text of what went wrong.
#[track_caller]
fn text<T, E: std::error::Error>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => panic!("it went well"),
        Err(error) => error.to_string(),
    }
}

/// What was refused, and the text.
#[track_caller]
fn refusal<T>(result: Result<T, Error>) -> (RefusalCode, String) {
    match result {
        Ok(_) => panic!("it went well"),
        Err(Error::Refused { code, reason }) => (code, reason),
        Err(error) => panic!("not a refusal: {error}"),
    }
}

/// Two hubs and their link, seen from both sides.
fn linked(domain: &Domain, options: LinkOptions) -> (Hub, Link, Hub, Link) {
    let (mut a, mut b) = (domain.hub("a"), domain.hub("b"));
    let to_b = a.link_with("b", options).unwrap();
    let to_a = b.accept_timeout(LONG).unwrap().expect("the link that a opened");
    (a, to_b, b, to_a)
}

#[derive(Event, Archive, Serialize)]
struct Wide {
    bytes: [u8; 5000],
}

#[test]
fn an_event_of_another_schema() {
    let domain = Domain::new();
    let (_a, mut to_b, mut b, _to_a) = linked(&domain, LinkOptions::default());
    to_b.send(&pose(1)).unwrap();
    to_b.send_bytes(b"raw").unwrap();
    {
        let event = b.recv().unwrap().unwrap();
        let error = event.get::<Note>().err().expect("it is no Note");
        assert!(matches!(error, EventError::WrongSchema { name: "Note", version: 1, .. }));
        let (expected, found) = (Note::SCHEMA, Pose::SCHEMA);
        assert_eq!(
            error.to_string(),
            format!(
                "expected Note version 1 (schema {expected:#018x}), but the event has schema \
                 {found:#018x}; were both sides built from the same definition?"
            )
        );
        assert!(event.get::<Pose>().is_ok(), "it can still be read as what it is");
    }
    let event = b.recv().unwrap().unwrap();
    let expected = Pose::SCHEMA;
    assert_eq!(
        text(event.get::<Pose>()),
        format!(
            "expected Pose version 1 (schema {expected:#018x}), but the event is raw bytes; \
             use bytes()"
        )
    );
}

#[test]
fn bytes_that_are_no_value_of_their_schema() {
    let domain = Domain::new();
    let (_a, mut to_b, mut b, _to_a) = linked(&domain, LinkOptions::default());
    let mut loan = to_b.loan(3).unwrap().with_schema(Pose::SCHEMA);
    loan.copy_from_slice(b"abc");
    loan.send();
    let mut loan = to_b.loan(64).unwrap().with_schema(Note::SCHEMA);
    loan.fill(0xEE);
    loan.send();
    for name in ["3 bytes that claim to be Pose", "64 bytes that claim to be Note"] {
        let event = b.recv().unwrap().unwrap();
        let error = match event.is::<Pose>() {
            true => event.get::<Pose>().map(drop),
            false => event.get::<Note>().map(drop),
        };
        assert_eq!(text(error), format!("{name} are not a valid value of it"));
    }
}

#[test]
fn an_event_that_can_never_fit() {
    let domain = Domain::new();
    let small = LinkOptions::default().send_capacity(8192);
    let (_a, mut to_b, mut b, _to_a) = linked(&domain, small);
    let expected = |len: usize| {
        format!(
            "a payload of {len} bytes does not fit: this link takes at most 4064 (its ring has \
             8192 bytes); open the link with a larger send capacity"
        )
    };
    assert_eq!(to_b.max_payload(), 4064);
    assert_eq!(text(to_b.try_send(&Wide { bytes: [1; 5000] })), expected(5000));
    assert_eq!(text(to_b.send(&Wide { bytes: [1; 5000] })), expected(5000));
    assert_eq!(text(to_b.send_bytes(&[1; 4065])), expected(4065));
    assert_eq!(text(to_b.try_loan(1 << 40)), expected(1 << 40));
    assert_eq!(text(to_b.batch().send_bytes(&[1; 4065])), expected(4065));
    let error = to_b.try_send(&Wide { bytes: [1; 5000] }).unwrap_err();
    assert_eq!(error, SendError::TooLarge { len: 5000, max: 4064, capacity: 8192 });
    // A value whose length is only known when it has been serialised.
    let long = Note { lines: vec!["x".repeat(10_000)] };
    let said = "a value of Note cannot be serialised into 4064 bytes or fewer";
    assert!(text(to_b.send(&long)).contains(said));
    assert!(text(to_b.batch().send(&long)).contains(said));
    // Nothing of all that was sent, and the link is as it was.
    to_b.send_bytes(&[7; 4064]).unwrap();
    let event = b.recv().unwrap().unwrap();
    assert_eq!((event.sequence(), event.bytes()), (0, &[7; 4064][..]));
}

#[test]
fn a_full_ring() {
    let domain = Domain::new();
    let small = LinkOptions::default().send_capacity(4096);
    let (_a, mut to_b, mut b, _to_a) = linked(&domain, small);
    let error = (0..).find_map(|i| to_b.try_send(&pose(i)).err()).unwrap();
    assert_eq!(error, SendError::Full);
    let said = "the ring to the other hub is full, and it has not made room in time";
    assert_eq!(error.to_string(), said);
    let soon = Duration::from_millis(5);
    assert_eq!(text(to_b.send_timeout(&pose(0), soon)), said);
    assert_eq!(text(to_b.try_send_bytes(b"raw")), said);
    assert_eq!(text(to_b.send_bytes_timeout(b"raw", soon)), said);
    assert_eq!(text(to_b.try_loan(0)), said);
    assert_eq!(text(to_b.loan_timeout(0, soon)), said);
    assert_eq!(text(to_b.batch().try_send(&pose(0))), said);
    while b.try_recv().unwrap().is_some() {}
    to_b.try_send(&pose(0)).expect("room again");
}

#[test]
fn a_hub_that_is_not_there() {
    let domain = Domain::new();
    let mut a = domain.hub("a");
    let _b = domain.hub("b");
    let said = "there is no hub \"nobody\"; known are: a, b".to_owned();
    assert_eq!(refusal(a.link_to("nobody")), (RefusalCode::UnknownHub, said));
    let error = a.wait_for("nobody", Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error}");
    assert_eq!(error.to_string(), "hub nobody to join did not happen within 20ms");
}

#[test]
fn a_name_that_is_taken() {
    let domain = Domain::new();
    let _a = domain.hub("a");
    let (pid, uid) = (std::process::id(), nix::unistd::geteuid());
    let said = format!("the name a is taken by process {pid} of user {uid}; choose another name");
    let result = Hub::builder("a").domain(domain.domain()).connect();
    assert_eq!(refusal(result), (RefusalCode::NameTaken, said));
}

#[test]
fn names_that_hubs_cannot_have() {
    let domain = Domain::new();
    let a = domain.hub("a");
    let letters = "which is made of letters, digits, '.', '_' and '-'";
    let cases = [
        (String::new(), "a hub's name has 1 to 64 bytes, this one has 0".to_owned()),
        ("x".repeat(65), "a hub's name has 1 to 64 bytes, this one has 65".to_owned()),
        ("a b".to_owned(), format!("' ' cannot be in a hub's name, {letters}")),
        ("a/b".to_owned(), format!("'/' cannot be in a hub's name, {letters}")),
        ("hüb".to_owned(), format!("'ü' cannot be in a hub's name, {letters}")),
        ("a\n".to_owned(), format!("'\\n' cannot be in a hub's name, {letters}")),
    ];
    for (name, said) in cases {
        let said = (RefusalCode::InvalidName, said);
        assert_eq!(refusal(Hub::builder(&name).domain(domain.domain()).connect()), said);
        assert_eq!(refusal(a.wait_for(&name, LONG)), said);
    }
    for name in ["x", &"x".repeat(64), "A-z_0.9"] {
        Hub::builder(name).domain(domain.domain()).connect().expect("a possible name");
    }
}

#[test]
fn links_that_are_refused() {
    let domain = Domain::new();
    let (mut a, _to_b, mut b, _to_a) = linked(&domain, LinkOptions::default());
    let said = "a hub cannot link to itself".to_owned();
    assert_eq!(refusal(a.link_to("a")), (RefusalCode::SameHub, said));
    let said = |to| format!("there is a link with {to} already, or one is being opened");
    assert_eq!(refusal(a.link_to("b")), (RefusalCode::AlreadyLinked, said("b")));
    assert_eq!(refusal(b.link_to("a")), (RefusalCode::AlreadyLinked, said("a")));
    let builder = Hub::builder("shy").domain(domain.domain());
    let shy = builder.accept_if(|offer| offer.from.name != "a").connect().unwrap();
    let said = "hub shy does not want this link".to_owned();
    assert_eq!(refusal(a.link_to("shy")), (RefusalCode::Declined, said));
    b.link_to("shy").expect("others are welcome");
    assert_eq!(shy.name(), "shy");
}

#[test]
fn capacities_that_rings_cannot_have() {
    let domain = Domain::new();
    let (mut a, _b) = (domain.hub("a"), domain.hub("b"));
    for capacity in [0, 5000, 2048, 2 << 30, usize::MAX] {
        let why = format!(
            "a capacity of {capacity} bytes is not possible: it must be a power of two from 4096 \
             to 1073741824, and a multiple of the page size"
        );
        let options = LinkOptions::default().send_capacity(capacity);
        let error = a.link_with("b", options).unwrap_err();
        assert!(matches!(error, Error::Segment { .. }), "{error}");
        let said = format!("shared memory for the ring that we write: {why}");
        assert_eq!(error.to_string(), said);
        let options = LinkOptions::default().receive_capacity(capacity);
        let error = a.link_with("b", options).unwrap_err();
        assert!(matches!(error, Error::Segment { .. }), "{error}");
        let said = format!("shared memory for the ring that we ask for: {why}");
        assert_eq!(error.to_string(), said);
    }
    // A possible one, but larger than the other hub lets others make it make.
    let capacity = 2 * limits::ACCEPTED_RING_DEFAULT;
    let options = LinkOptions::default().receive_capacity(capacity);
    let said = format!(
        "hub b accepts rings of at most 268435456 bytes, not {capacity}; see \
         HubBuilder::largest_ring"
    );
    assert_eq!(refusal(a.link_with("b", options)), (RefusalCode::LimitReached, said));
    a.link_to("b").expect("nothing is left of the failures");
}

#[test]
fn a_link_whose_own_hub_is_closed() {
    let domain = Domain::new();
    let (a, mut to_b, mut b, _to_a) = linked(&domain, LinkOptions::default());
    to_b.send(&pose(0)).unwrap();
    drop(a);
    assert!(!to_b.is_open());
    assert_eq!(to_b.send(&pose(1)), Err(SendError::HubClosed));
    assert_eq!(text(to_b.send(&pose(1))), "the own hub is closed");
    assert_eq!(b.recv_timeout(LONG).unwrap().unwrap().sequence(), 0);
    let error = b.recv_timeout(LONG).unwrap_err();
    assert!(matches!(error, RecvError::PeerGone { .. } | RecvError::LinkClosed { .. }), "{error}");
}

#[test]
fn a_link_that_the_other_side_has_closed() {
    let domain = Domain::new();
    let (mut a, to_b, mut b, mut to_a) = linked(&domain, LinkOptions::default());
    let link = to_b.id();
    drop(to_b);
    let error = b.recv_timeout(LONG).unwrap_err();
    assert_eq!(error.to_string(), format!("hub a has closed {link}"));
    // Only its own half: what goes the other way still arrives.
    to_a.send(&pose(5)).unwrap();
    assert_eq!(a.recv_timeout(LONG).unwrap().unwrap().sequence(), 0);
    drop(b);
    roles::eventually("the closed hub is noticed", || !to_a.is_open());
    assert_eq!(to_a.send(&pose(6)), Err(SendError::HubClosed));
}
