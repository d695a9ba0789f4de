//! Numbered events, and the account of what a subscription has seen of them.
//!
//! The histories in one process use it, and those of many processes in `tests/`: it knows nothing
//! but what the crate shows to everybody.

use ephapse::rkyv::{Archive, Serialize};
use ephapse::{Envelope, Event, Path, RecvError, SendError, Sent};
use std::collections::BTreeMap;

/// Subjects on which a publisher publishes.
pub(crate) const PARTS: usize = 2;

/// Places in a domain: publishers at the same place, one after the other or at once, share their
/// subjects.
pub(crate) const PLACES: u64 = 6;

pub(crate) fn hub_name(publisher: u64) -> String {
    format!("h{publisher}")
}

pub(crate) fn subject(publisher: u64, part: usize) -> String {
    format!("h.{}.{part}", publisher % PLACES)
}

/// Whether a publisher waits for who stands still for as long as it takes; every other one does.
pub(crate) fn is_patient(publisher: u64) -> bool {
    publisher.is_multiple_of(2)
}

#[derive(Event, Archive, Serialize)]
pub(crate) struct Numbered {
    publisher: u64,
    part: u64,
    /// Its number on its subject; the first is 0.
    number: u64,
    /// The sequence number of the event before it on its subject.
    before: u64,
    filling: Vec<u8>,
}

fn filling(publisher: u64, number: u64) -> u8 {
    (publisher * 31 + number) as u8
}

/// What has been published on one subject.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Part {
    /// Events that it was begun to send, and those that were sent.
    pub(crate) begun: u64,
    pub(crate) sent: u64,
    /// The sequence number of the last one that was sent.
    pub(crate) last: u64,
}

/// What all have published.
pub(crate) type Totals = BTreeMap<u64, [Part; PARTS]>;

/// What one publisher has published.
pub(crate) struct Ledger {
    pub(crate) publisher: u64,
    pub(crate) parts: [Part; PARTS],
    /// The sequence number of its next event.
    sequence: u64,
}

impl Ledger {
    pub(crate) fn new(publisher: u64) -> Self {
        Self { publisher, parts: Default::default(), sequence: 1 }
    }

    /// The next event on one of the subjects.
    pub(crate) fn next(&mut self, part: usize, len: usize) -> Numbered {
        let Part { begun, sent, last } = &mut self.parts[part];
        *begun = *sent + 1;
        Numbered {
            publisher: self.publisher,
            part: part as u64,
            number: *sent,
            before: *last,
            filling: vec![filling(self.publisher, *sent); len],
        }
    }

    /// What has become of it: `false` if it has to be sent again.
    pub(crate) fn sent(
        &mut self,
        part: usize,
        result: Result<Sent, SendError>,
    ) -> Result<Option<Path>, String> {
        let path = match result {
            Ok(sent) => sent.path,
            Err(SendError::Full) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        // One that was for nobody has no number. Who wanted it cannot have been told of its loss.
        let Part { sent, last, .. } = &mut self.parts[part];
        *last = self.sequence;
        *sent += 1;
        self.sequence += u64::from(path != Path::Nobody);
        Ok(Some(path))
    }
}

/// What a subscription wants: the subjects of one place or of all, one of them or all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) place: Option<u64>,
    pub(crate) part: Option<usize>,
}

impl Wanted {
    pub(crate) fn pattern(self) -> String {
        let place = self.place.map_or("*".to_owned(), |place| place.to_string());
        let part = self.part.map_or("*".to_owned(), |part| part.to_string());
        format!("h.{place}.{part}")
    }

    fn covers(self, publisher: u64, part: usize) -> bool {
        self.place.is_none_or(|place| place == publisher % PLACES)
            && self.part.is_none_or(|wanted| wanted == part)
    }
}

/// The event that is expected next on a subject.
#[derive(Debug, Clone, Copy, Default)]
struct Next {
    number: u64,
    /// Earlier ones would be right too: they were on their way when the subscription began.
    or_earlier: bool,
}

/// What has been seen of one publisher.
#[derive(Debug, Default)]
struct Seen {
    next: [Next; PARTS],
    /// The highest sequence number that was seen, or said to be missed.
    reached: u64,
    /// The highest that was said to be missed.
    told: u64,
}

/// What a subscription has seen.
#[derive(Debug)]
pub(crate) struct Account {
    wanted: Wanted,
    gating: bool,
    of: BTreeMap<u64, Seen>,
    pub(crate) events: u64,
    pub(crate) missed: u64,
}

impl Account {
    /// Of a subscription that is there since this much had been published. Where others publish
    /// meanwhile, that is what they had begun; what had been begun before may be seen or not.
    pub(crate) fn since(totals: &Totals, alone: bool, wanted: Wanted, gating: bool) -> Self {
        let next = |part: &Part| Next { number: part.begun, or_earlier: !alone };
        let seen =
            |parts: &[Part; PARTS]| Seen { next: parts.each_ref().map(next), ..Seen::default() };
        let of = totals.iter().map(|(publisher, parts)| (*publisher, seen(parts))).collect();
        Self { wanted, gating, of, events: 0, missed: 0 }
    }

    /// Takes what the subscription has received: `false` if that was nothing.
    pub(crate) fn take(
        &mut self,
        received: Result<Option<Envelope<'_>>, RecvError>,
    ) -> Result<bool, String> {
        match received {
            Ok(None) => return Ok(false),
            Ok(Some(event)) => {
                let value = event.get::<Numbered>().map_err(|error| error.to_string())?;
                let (publisher, number) = (value.publisher.to_native(), value.number.to_native());
                let part = value.part.to_native() as usize;
                let intact = filling(publisher, number);
                let named = event.source() == hub_name(publisher);
                if value.filling.iter().any(|byte| *byte != intact) || !named {
                    return Err(format!("the event {number} of h{publisher} is damaged"));
                }
                if event.subject() != subject(publisher, part) {
                    return Err(format!("{number} of h{publisher} under {}", event.subject()));
                }
                self.saw(publisher, part, number, [value.before.to_native(), event.sequence()])?;
            }
            Err(RecvError::Lagged { hub, missed }) => {
                let publisher = hub.strip_prefix('h').and_then(|key| key.parse().ok());
                self.was_told(publisher.ok_or("a strange name")?, missed)?;
            }
            Err(error) => return Err(error.to_string()),
        }
        Ok(true)
    }

    /// An event, its sequence number, and that of the one before it on its subject.
    pub(crate) fn saw(
        &mut self,
        publisher: u64,
        part: usize,
        number: u64,
        [before, sequence]: [u64; 2],
    ) -> Result<(), String> {
        if !self.wanted.covers(publisher, part) {
            return Err(format!("an event of h{publisher} ({part}) that was not wanted"));
        }
        let seen = self.of.entry(publisher).or_default();
        let Next { number: next, or_earlier } = seen.next[part];
        let event = format!("h{publisher} ({part}): event {number}, sequence number {sequence}");
        if sequence <= seen.reached || (number < next && !or_earlier) {
            return Err(format!("{event}, again or too late: {seen:?}"));
        }
        if number > next && before > seen.told {
            return Err(format!("{event} after {before}, where another was next: {seen:?}"));
        }
        // Of those before its beginning it may see some, which were sent for others.
        let begun = number + 1 >= next;
        seen.next[part] = Next { number: next.max(number + 1), or_earlier: or_earlier && !begun };
        seen.reached = sequence;
        self.events += 1;
        Ok(())
    }

    /// So many events of a publisher, wanted or not, are said to be missed.
    pub(crate) fn was_told(&mut self, publisher: u64, missed: u64) -> Result<(), String> {
        if missed == 0 || (self.gating && is_patient(publisher)) {
            return Err(format!("h{publisher} has overtaken us by {missed}"));
        }
        let seen = self.of.entry(publisher).or_default();
        seen.reached += missed;
        seen.told = seen.reached;
        self.missed += missed;
        Ok(())
    }

    /// What is still to come when this is all that was published.
    pub(crate) fn lacks(&self, totals: &Totals) -> Result<Option<String>, String> {
        let nothing = Seen::default();
        for (publisher, parts) in totals {
            let seen = self.of.get(publisher).unwrap_or(&nothing);
            for (part, Part { begun, sent, last }) in parts.iter().enumerate() {
                let next = seen.next[part].number;
                if next > *begun {
                    return Err(format!("h{publisher} ({part}) has sent {begun}: {seen:?}"));
                }
                let wanted = self.wanted.covers(*publisher, part);
                if wanted && next < *sent && *last > seen.told {
                    let why = format!("h{publisher} ({part}): {sent} events, up to number {last}");
                    return Ok(Some(format!("{why}, and seen was {seen:?}")));
                }
            }
        }
        Ok(None)
    }
}
