//! Messages there and back, and everything that is not one.

use super::*;

fn hello() -> ToSupervisor {
    ToSupervisor::Hello { name: "camera".to_owned(), resume: 0 }
}

#[test]
fn a_message_comes_out_as_it_went_in() {
    let terms = Terms { capacity: 65536, position_slot: 7, bell_slot: 1 };
    let from = HubInfo { name: "a".to_owned(), id: 9, pid: 3, uid: 0, links: 2 };
    let offer = ToHub::Offer { link: 5, from, terms, wanted: 4096 };
    let bytes = encode(&offer).unwrap();
    assert_eq!(decode::<ToHub>(&bytes), Ok(offer));
    assert_eq!(decode::<ToSupervisor>(&encode(&hello()).unwrap()), Ok(hello()));
}

#[test]
fn a_message_may_lie_at_any_address() {
    let message = encode(&hello()).unwrap();
    for shift in 0..16 {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(&message);
        assert_eq!(decode::<ToSupervisor>(&bytes[shift..]), Ok(hello()));
    }
}

#[test]
fn what_is_not_a_message_is_refused() {
    let good = encode(&hello()).unwrap();
    assert_eq!(decode::<ToSupervisor>(b""), Err(ProtocolError::Garbage { len: 0 }));
    assert_eq!(decode::<ToSupervisor>(&[7; 40]), Err(ProtocolError::Garbage { len: 40 }));
    let wrong_direction = decode::<ToHub>(&good);
    assert!(matches!(wrong_direction, Err(ProtocolError::Invalid { kind: 1, .. })));
    for len in PREAMBLE_BYTES..good.len() {
        assert!(decode::<ToSupervisor>(&good[..len]).is_err(), "cut to {len} bytes");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(decode::<ToSupervisor>(&longer).is_err());
}

#[test]
fn another_version_is_named() {
    let mut other = encode(&hello()).unwrap();
    other[4..6].copy_from_slice(&9u16.to_le_bytes());
    let error = decode::<ToSupervisor>(&other).unwrap_err();
    let expected = ProtocolError::WrongVersion { expected: PROTOCOL_VERSION, found: 9 };
    assert_eq!(error, expected);
    let text =
        format!("the other side speaks protocol version 9, this one version {PROTOCOL_VERSION}");
    assert_eq!(error.to_string(), text);
}

#[test]
fn the_longest_messages_fit() {
    let name = "n".repeat(crate::limits::NAME_MAX);
    let hub = HubInfo { name, id: u64::MAX, pid: 0, uid: 0, links: 0 };
    let hubs = vec![hub; crate::limits::HUBS_PER_PAGE];
    assert!(encode(&ToHub::Hubs { request: 1, hubs, more: true }).is_some());
    let reason = clean_reason(&"é".repeat(10_000));
    assert!(reason.len() <= crate::limits::REASON_MAX);
    let code = RefusalCode::Failed;
    assert!(encode(&ToHub::Refused { request: 1, code, reason }).is_some());
}

#[test]
fn the_longest_messages_of_the_bus_fit() {
    use crate::limits::{
        NAME_MAX, PATTERNS_MAX, SUBJECT_MAX, SUBJECTS_PER_PAGE, SUBSCRIPTIONS_PER_HUB_MAX,
    };
    let text = "s".repeat(SUBJECT_MAX);
    let edge = Edge { source: u64::MAX, reader: u64::MAX, subscription: u32::MAX };
    let source = HubInfo { name: "n".repeat(NAME_MAX), id: u64::MAX, pid: 0, uid: 0, links: 0 };
    let subjects = vec![Subject { id: u32::MAX, name: text.clone() }; SUBJECTS_PER_PAGE];
    assert!(encode(&ToHub::Follow { edge, source, capacity: 0, subjects }).is_some());
    let subject = SubjectInfo { subject: text.clone(), id: 1, publishers: 1, subscriptions: 1 };
    let subjects = vec![subject; SUBJECTS_PER_PAGE];
    assert!(encode(&ToHub::SubjectList { request: 1, subjects, more: true }).is_some());
    let (request, subscription, gating, bell_slot) = (1, 1, true, 1);
    let patterns = vec![text; PATTERNS_MAX];
    let subscribe = ToSupervisor::Subscribe { request, subscription, patterns, gating, bell_slot };
    assert!(encode(&subscribe).is_some());
    let slots = vec![LaneSlot { subscription, slot: 1 }; SUBSCRIPTIONS_PER_HUB_MAX];
    assert!(encode(&ToSupervisor::LaneReaders { link: 1, slots }).is_some());
}

#[test]
fn names_are_checked() {
    for good in ["a", "camera.left-2_x", &"n".repeat(64)] {
        assert_eq!(check_name(good), Ok(()));
    }
    for bad in ["", "a b", "é", "a/b", "a\n", &"n".repeat(65)] {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
}
