//! Publishers: copying, writing in place, loans.

use crate::described::describe;
use crate::event::{Timeout, Until};
use crate::fault::Fault;
use crate::memory::{In, Out, User};
use crate::objects::{Lent, Publisher};
use crate::table::{Handle, insert};
use crate::types::{self, LoanView, Sent, WriteFn};
use ephapse::event::{Extension, Timestamp};
use ephapse::limits::RING_CAPACITY_MAX;
use ephapse::rkyv::util::AlignedVec;
use ephapse::{Hub, Path, RawEvent, RawPublisher, SendError};
use std::time::Duration;

entries! {
    fn eph_publisher_open(
        hub: Handle<Hub>,
        subject: In<u8>,
        subject_len: usize,
        schema: u64,
        publisher: Out<Handle<Publisher>>,
    ) {
        let place = publisher.clear("publisher")?;
        let subject = subject.text(subject_len, "the subject")?;
        let hub = hub.enter()?;
        let publisher = hub.raw_publisher(subject)?;
        describe(&hub, schema);
        drop(hub);
        place.set(insert(Publisher { publisher, schema, draft: AlignedVec::new() })?);
        Ok(())
    }

    fn eph_publisher_free(publisher: Handle<Publisher>) { publisher.free() }

    fn eph_publisher_receivers(publisher: Handle<Publisher>, receivers: Out<u32>) {
        let place = receivers.clear("receivers")?;
        place.set(publisher.enter()?.publisher.receivers());
        Ok(())
    }

    fn eph_publish(
        publisher: Handle<Publisher>,
        data: In<u8>,
        len: usize,
        timeout_ns: i64,
        sent: Out<Sent>,
    ) {
        let place = sent.clear_if_wanted("sent")?;
        let (timeout, bytes) = (Timeout::of(timeout_ns)?, data.slice(len, "data")?);
        let mut using = publisher.enter()?;
        let event = RawEvent::bytes(using.schema, bytes);
        let result = send(&mut using.publisher, &event, timeout)?;
        place.into_iter().for_each(|place| place.set(sent_of(result)));
        Ok(())
    }

    fn eph_publish_with(
        publisher: Handle<Publisher>,
        data: In<u8>,
        len: usize,
        extension: In<types::Extension>,
        timeout_ns: i64,
        sent: Out<Sent>,
    ) {
        let place = sent.clear_if_wanted("sent")?;
        let (timeout, bytes) = (Timeout::of(timeout_ns)?, data.slice(len, "data")?);
        let extension = extension_of(&extension)?.unwrap_or_default();
        let mut using = publisher.enter()?;
        let event = RawEvent::bytes(using.schema, bytes).extension(&extension);
        let result = send(&mut using.publisher, &event, timeout)?;
        place.into_iter().for_each(|place| place.set(sent_of(result)));
        Ok(())
    }

    fn eph_publish_written(
        publisher: Handle<Publisher>,
        len: usize,
        write: Option<WriteFn>,
        user: User,
        timeout_ns: i64,
        sent: Out<Sent>,
    ) {
        let place = sent.clear_if_wanted("sent")?;
        let timeout = Timeout::of(timeout_ns)?;
        let write = write.ok_or_else(|| Fault::invalid("write is NULL"))?;
        let mut using = publisher.enter()?;
        let fill = |place: &mut [u8]| write(user, place.as_mut_ptr().cast(), place.len());
        let event = RawEvent::written(using.schema, len, &fill);
        let result = send(&mut using.publisher, &event, timeout)?;
        place.into_iter().for_each(|place| place.set(sent_of(result)));
        Ok(())
    }

    fn eph_publisher_loan(publisher: Handle<Publisher>, len: usize, loan: Out<LoanView>) {
        let place = loan.clear("loan")?;
        let (publisher, lending) = publisher.enter()?.lend();
        if len > RING_CAPACITY_MAX / 2 {
            return Err(too_long(len));
        }
        if publisher.draft.len() < len {
            publisher.draft.resize(len, 0);
        }
        let data = publisher.draft.as_mut_ptr();
        place.set(LoanView { data, len, handle: lending.handle });
        lending.out(Lent::Draft(publisher, len))
    }
}

fn too_long(len: usize) -> Fault {
    let (max, capacity) = (RING_CAPACITY_MAX / 2 - 32, RING_CAPACITY_MAX);
    SendError::TooLargeToPublish { len, max, capacity }.into()
}

/// Sends what has been written into a draft.
pub(crate) fn send_draft(
    publisher: &mut Publisher,
    len: usize,
    timeout: Timeout,
) -> Result<Sent, Fault> {
    let Publisher { publisher, schema, draft } = publisher;
    let event = RawEvent::bytes(*schema, &draft[..len]);
    Ok(sent_of(send(publisher, &event, timeout)?))
}

#[inline(always)]
fn send(
    publisher: &mut RawPublisher,
    event: &RawEvent<'_>,
    timeout: Timeout,
) -> Result<ephapse::Sent, SendError> {
    match timeout.until() {
        Until::Now => publisher.try_send(event),
        Until::After(time) => publisher.send_timeout(event, time),
        Until::Never => publisher.send(event),
    }
}

/// `EPH_PATH_…` and how many.
#[inline(always)]
pub(crate) fn sent_of(sent: ephapse::Sent) -> Sent {
    let path = match sent.path {
        Path::Links => 1,
        Path::Broadcast => 2,
        _ => 0,
    };
    Sent { path, receivers: sent.receivers }
}

/// What is to be sent beside a payload; nothing for NULL.
pub(crate) fn extension_of(wanted: &In<types::Extension>) -> Result<Option<Extension>, Fault> {
    let wanted = wanted.sized("extension")?;
    if wanted.size == 0 {
        return Ok(None);
    }
    let mut extension = Extension::new();
    extension.set_priority(wanted.priority);
    extension.set_attempts(wanted.attempts);
    extension.set_correlation(wanted.correlation);
    match wanted.deadline_ns {
        0 => {}
        1.. => {
            let time = Duration::from_nanos(wanted.deadline_ns.unsigned_abs());
            extension.set_deadline(Some(Timestamp::after(time)));
        }
        _ => return Err(Fault::invalid("deadline_ns is negative")),
    }
    let reply = wanted.reply_subject.text(wanted.reply_subject_len, "reply_subject")?;
    if !reply.is_empty() {
        extension.set_reply_subject(reply)?;
    }
    for pair in wanted.metadata.slice(wanted.metadata_count, "metadata")? {
        let name = pair.name.text(pair.name_len, "a name of metadata")?;
        let value = pair.value.text(pair.value_len, "a value of metadata")?;
        extension.add_metadata(name, value)?;
    }
    Ok(Some(extension))
}
