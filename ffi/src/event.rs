//! Events that have been taken, until they are released.

use crate::codes::Code;
use crate::fault::Fault;
use crate::memory::{In, Out, Place, Plain, zeros};
use crate::objects::{KIND_EVENT, Lent, Stored};
use crate::table::{Handle, Using, enter_lent};
use crate::types::{EventDetails, EventView, PairView, view};
use ephapse::event::{ExtensionView, Timestamp};
use ephapse::{Envelope, Received};
use std::ptr;
use std::time::Duration;

/// How long to wait: nanoseconds, of C's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeout(i64);

/// The same, to be matched where it is used.
pub(crate) enum Until {
    Now,
    After(Duration),
    Never,
}

impl Timeout {
    pub(crate) const NOW: Self = Self(0);

    /// Nanoseconds; -1 for ever.
    #[inline(always)]
    pub(crate) fn of(ns: i64) -> Result<Self, Fault> {
        match ns {
            -1.. => Ok(Self(ns)),
            _ => Err(Fault::invalid("a time-out is negative, and not EPH_FOREVER")),
        }
    }

    #[inline(always)]
    pub(crate) fn until(self) -> Until {
        match self.0 {
            ..0 => Until::Never,
            0 => Until::Now,
            1.. => Until::After(Duration::from_nanos(self.0.unsigned_abs())),
        }
    }
}

/// Shows C an event from a link.
#[inline(always)]
pub(crate) fn show_received(event: &Received<'_>, handle: u64, place: Place<EventView>) {
    let (data, source) = (event.bytes(), event.from());
    place.set(EventView {
        data: data.as_ptr(),
        len: data.len(),
        subject: ptr::null(),
        subject_len: 0,
        source: source.as_ptr(),
        source_len: source.len(),
        sequence: event.sequence(),
        schema: event.schema(),
        link: event.link().number(),
        handle,
    });
}

/// Shows C an event from a subscription.
#[inline(always)]
pub(crate) fn show_envelope(event: &Envelope<'_>, handle: u64, place: Place<EventView>) {
    let (data, subject, source) = (event.bytes(), event.subject(), event.source());
    place.set(EventView {
        data: data.as_ptr(),
        len: data.len(),
        subject: subject.as_ptr(),
        subject_len: subject.len(),
        source: source.as_ptr(),
        source_len: source.len(),
        sequence: event.sequence(),
        schema: event.schema(),
        link: 0,
        handle,
    });
}

/// The event of a view, by `f`.
pub(crate) fn with_event<R>(
    event: &In<EventView>,
    f: impl FnOnce(&Lent) -> Result<R, Fault>,
) -> Result<R, Fault> {
    let [event] = event.slice(1, "event")? else { return Err(Code::Invalid.into()) };
    let mut borrowed = enter_lent(event.handle, KIND_EVENT)?;
    match borrowed.get() {
        Some(lent @ (Lent::Envelope(_) | Lent::Received(_))) => f(lent),
        _ => Err(Code::Handle.into()),
    }
}

/// What gives events, after giving back the one that is in the struct, if one is: mostly its own last
/// one.
#[inline(always)]
pub(crate) fn after_release<T: Stored>(
    from: Handle<T>,
    event: Out<EventView>,
) -> Result<Using<T>, Fault> {
    let last = event.peek("event")?.map_or(0, |event| event.handle);
    if let Some(using) = from.enter_after(last) {
        return Ok(using);
    }
    release(event, KIND_EVENT, "event", |event| event.handle)?;
    from.enter()
}

fn extension(event: &Lent) -> Option<ExtensionView<'_>> {
    match event {
        Lent::Envelope(event) => event.extension(),
        Lent::Received(event) => event.extension(),
        _ => None,
    }
}

entries! {
    fn eph_event_release(event: Out<EventView>) {
        release(event, KIND_EVENT, "event", |event| event.handle)
    }

    fn eph_event_details(event: In<EventView>, details: Out<EventDetails>) {
        let found = with_event(&event, |event| Ok(details_of(event)))?;
        details.fill_sized(&found, "details")
    }

    fn eph_event_metadata(event: In<EventView>, index: usize, pair: Out<PairView>) {
        let place = pair.clear("pair")?;
        let found = with_event(&event, |event| {
            let pair = extension(event).and_then(|it| it.metadata().nth(index));
            let (name, value) =
                pair.ok_or_else(|| Fault::invalid(format!("there is no metadata of index {index}")))?;
            let ((name, name_len), (value, value_len)) = (view(Some(name)), view(Some(value)));
            Ok(PairView { name, name_len, value, value_len })
        })?;
        place.set(found);
        Ok(())
    }

    fn eph_event_check(event: In<EventView>, schema: u64, len: usize) {
        let [event] = event.slice(1, "event")? else { return Err(Code::Invalid.into()) };
        let is_it = event.schema == schema && event.len == len;
        if is_it { Ok(()) } else { Err(another(event, schema, len)) }
    }
}

/// Gives back what a struct of C's stands for, and clears the struct. Nothing for NULL and for one
/// that is cleared.
#[inline(always)]
pub(crate) fn release<T: Plain>(
    lent: Out<T>,
    kind: u64,
    what: &'static str,
    handle: impl FnOnce(&T) -> u64,
) -> Result<(), Fault> {
    let Some(view) = lent.peek(what)? else { return Ok(()) };
    let handle = handle(&view);
    if handle != 0 {
        enter_lent(handle, kind)?.give_back(Lent::end);
        lent.clear(what)?;
    }
    Ok(())
}

/// Why an event is not what was expected.
#[cold]
fn another(event: &EventView, schema: u64, len: usize) -> Fault {
    if event.schema != schema {
        let found = event.schema;
        let why = format!("the event has schema {found:#018x}, and {schema:#018x} was expected");
        return Fault::new(Code::Schema, why);
    }
    let found = event.len;
    let why = format!("the payload has {found} bytes, and a value of the type {len}");
    Fault::new(Code::Payload, why)
}

fn details_of(event: &Lent) -> EventDetails {
    let mut details: EventDetails = zeros();
    let ns = |at: Option<Timestamp>| at.map_or(0, Timestamp::monotonic_ns);
    match event {
        Lent::Envelope(event) => {
            details.source_id = event.source_id();
            details.timestamp_ns = ns(event.timestamp());
            details.in_place = u8::from(event.is_in_place());
        }
        Lent::Received(event) => details.timestamp_ns = ns(event.timestamp()),
        _ => {}
    }
    let Some(extension) = extension(event) else { return details };
    details.destination = extension.destination().unwrap_or(0);
    details.correlation = extension.correlation().unwrap_or(0);
    details.deadline_ns = extension.deadline().map_or(0, deadline_ns);
    (details.reply_subject, details.reply_subject_len) = view(extension.reply_subject());
    details.attempts = extension.attempts();
    details.priority = extension.priority();
    details.metadata_count = extension.metadata().count() as u32;
    details
}

/// A deadline is mostly in the future, which timestamps do not count.
fn deadline_ns(deadline: Timestamp) -> u64 {
    let now = Timestamp::now();
    now.monotonic_ns() + deadline.since(now) - now.since(deadline)
}
