//! What the fuzz target `protocol` needs of the control protocol, which is not public.
//!
//! Compiled only with `--cfg ephapse_fuzz`, which `cargo xtask fuzz` sets.

use crate::limits::MESSAGE_MAX;
use crate::protocol::{
    Edge, HubInfo, LaneSlot, Message, News, ProtocolError, RefusalCode, Subject, SubjectInfo,
    Terms, ToHub, ToSupervisor, decode, encode,
};
use core::fmt::Debug;

/// The version that the preamble of a message has.
pub const VERSION: u16 = crate::protocol::PROTOCOL_VERSION;

/// Decodes bytes from anywhere as a message to the supervisor and as one to a hub.
///
/// # Panics
///
/// If a message that was understood is another one after a second passage.
pub fn decode_both(bytes: &[u8]) -> [Result<(), ProtocolError>; 2] {
    [decode_one::<ToSupervisor>(bytes), decode_one::<ToHub>(bytes)]
}

/// Makes a message in each direction out of any bytes, encodes and decodes it.
///
/// # Panics
///
/// If what comes out is not what went in.
pub fn round_trip(bytes: &[u8]) {
    pass(&to_supervisor(&mut Source(bytes)));
    pass(&to_hub(&mut Source(bytes)));
}

fn decode_one<M: Message + Debug + PartialEq>(bytes: &[u8]) -> Result<(), ProtocolError> {
    let message: M = decode(bytes)?;
    pass(&message);
    Ok(())
}

fn pass<M: Message + Debug + PartialEq>(message: &M) {
    let Some(bytes) = encode(message) else {
        return; // longer than messages may be
    };
    assert!(bytes.len() <= MESSAGE_MAX);
    assert_eq!(decode::<M>(&bytes).as_ref(), Ok(message));
    // What lacks its end is never taken for the whole.
    assert!(decode::<M>(&bytes[..bytes.len() - 1]).is_err());
}

/// Bytes from which values are taken; zeros when they are used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn number(&mut self) -> u64 {
        let (bytes, rest) = self.0.split_at(self.0.len().min(8));
        self.0 = rest;
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    /// Up to 39 bytes as a text.
    fn text(&mut self) -> String {
        let len = usize::from(self.byte() % 40).min(self.0.len());
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn terms(&mut self) -> Terms {
        let (position_slot, bell_slot) = (self.number() as u32, self.number() as u32);
        Terms { capacity: self.number(), position_slot, bell_slot }
    }

    fn hub(&mut self) -> HubInfo {
        let (id, pid, uid) = (self.number(), self.number() as u32, self.number() as u32);
        HubInfo { name: self.text(), id, pid, uid, links: u32::from(self.byte()) }
    }

    fn code(&mut self) -> RefusalCode {
        use RefusalCode::*;
        let all = [
            InvalidName,
            InvalidSubject,
            NameTaken,
            UnknownHub,
            SameHub,
            AlreadyLinked,
            Declined,
            HubGone,
            LimitReached,
            Failed,
        ];
        all[usize::from(self.byte()) % all.len()]
    }

    fn edge(&mut self) -> Edge {
        let (source, reader) = (self.number(), self.number());
        Edge { source, reader, subscription: self.number() as u32 }
    }

    /// As many as the next byte says.
    fn many<T>(&mut self, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte()).map(|_| one(self)).collect()
    }

    fn slots(&mut self) -> Vec<LaneSlot> {
        self.many(|from| {
            let (subscription, slot) = (from.number() as u32, u32::from(from.byte()));
            LaneSlot { subscription, slot }
        })
    }

    fn subject(&mut self) -> Subject {
        Subject { id: self.number() as u32, name: self.text() }
    }

    fn subject_info(&mut self) -> SubjectInfo {
        let (subject, id) = (self.text(), self.number() as u32);
        let (publishers, subscriptions) = (u32::from(self.byte()), u32::from(self.byte()));
        SubjectInfo { subject, id, publishers, subscriptions }
    }

    fn news(&mut self) -> News {
        let link = self.number();
        match self.byte() % 4 {
            0 => News::Joined(self.hub()),
            1 => News::Left(self.hub()),
            2 => News::Linked { link, opener: self.hub(), acceptor: self.hub() },
            _ => News::Unlinked { link, opener: self.hub(), acceptor: self.hub() },
        }
    }
}

fn to_supervisor(from: &mut Source<'_>) -> ToSupervisor {
    let request = from.number() as u32;
    let link = from.number();
    match from.byte() % 24 {
        0 => ToSupervisor::Hello { name: from.text(), resume: link },
        1 => ToSupervisor::List { request, after: link },
        2 => ToSupervisor::WaitFor { request, name: from.text() },
        3 => ToSupervisor::Cancel { request },
        4 => {
            let (to, terms) = (from.text(), from.terms());
            ToSupervisor::Link { request, to, terms, wanted: link }
        }
        5 => ToSupervisor::Accept { link, terms: from.terms() },
        6 => ToSupervisor::Decline { link, code: from.code(), reason: from.text() },
        7 => ToSupervisor::Attached { link },
        8 => ToSupervisor::Close { link, reason: from.text() },
        9 => ToSupervisor::Leave,
        23 => {
            let (peer, opened) = (from.number(), request.is_multiple_of(2));
            ToSupervisor::Held { link, peer, opened }
        }
        other => for_bus(other, request, link, from),
    }
}

fn for_bus(which: u8, request: u32, link: u64, from: &mut Source<'_>) -> ToSupervisor {
    match which {
        10 => ToSupervisor::Broadcast { capacity: link },
        11 => ToSupervisor::Declare { request, subject: from.text(), known: link as u32 },
        12 => ToSupervisor::Subscribe {
            request,
            subscription: link as u32,
            patterns: from.many(Source::text),
            gating: request.is_multiple_of(2),
            bell_slot: from.number() as u32,
        },
        13 => ToSupervisor::Unsubscribe { subscription: request },
        14 => ToSupervisor::Following { edge: from.edge(), position_slot: request },
        15 => ToSupervisor::Listening { edge: from.edge(), start_slot: request },
        16 => ToSupervisor::Unable { edge: from.edge(), reason: from.text() },
        17 => ToSupervisor::Lane { link, capacity: from.number() },
        18 => ToSupervisor::LaneReaders { link, slots: from.slots() },
        19 => ToSupervisor::LaneStarts { link, slots: from.slots() },
        20 => ToSupervisor::Attend { wanted: request.is_multiple_of(2) },
        21 => ToSupervisor::Subjects { request, after: from.text() },
        _ => ToSupervisor::Links { request, after: from.number() },
    }
}

fn to_hub(from: &mut Source<'_>) -> ToHub {
    let request = from.number() as u32;
    let link = from.number();
    match from.byte() % 19 {
        0 => ToHub::Welcome { id: link },
        1 => ToHub::Refused { request, code: from.code(), reason: from.text() },
        2 => {
            let hubs = from.many(Source::hub);
            ToHub::Hubs { request, hubs, more: link.is_multiple_of(2) }
        }
        3 => ToHub::Present { request, hub: from.hub() },
        4 => {
            let (hub, terms) = (from.hub(), from.terms());
            ToHub::Offer { link, from: hub, terms, wanted: u64::from(request) }
        }
        5 => ToHub::Established { request, link, with: from.hub(), terms: from.terms() },
        6 => ToHub::Opened { link },
        7 => ToHub::Closed { link, gone: request.is_multiple_of(2), reason: from.text() },
        other => of_bus(other, request, link, from),
    }
}

fn of_bus(which: u8, request: u32, link: u64, from: &mut Source<'_>) -> ToHub {
    match which {
        8 => ToHub::Declared { request, id: link as u32 },
        9 => ToHub::Subscribed { request },
        10 => ToHub::Follow {
            edge: from.edge(),
            source: from.hub(),
            capacity: link,
            subjects: from.many(Source::subject),
        },
        11 => ToHub::Listen {
            edge: from.edge(),
            reader: from.hub(),
            gating: link.is_multiple_of(2),
            position_slot: request,
            bell_slot: link as u32,
            subjects: from.many(|from| from.number() as u32),
        },
        12 => ToHub::Begin { edge: from.edge(), start_slot: request },
        13 => ToHub::EdgeOver { edge: from.edge(), gone: request.is_multiple_of(2) },
        14 => ToHub::Lane { link, capacity: from.number() },
        15 => ToHub::LaneReaders { link, slots: from.slots() },
        16 => ToHub::LaneStarts { link, slots: from.slots() },
        17 => ToHub::News(from.news()),
        _ => {
            let subjects = from.many(Source::subject_info);
            ToHub::SubjectList { request, subjects, more: link.is_multiple_of(2) }
        }
    }
}
