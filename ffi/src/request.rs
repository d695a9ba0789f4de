//! Events for one hub: emit, request, reply.

use crate::codes::Code;
use crate::described::describe;
use crate::directory::duration;
use crate::event::{show_envelope, with_event};
use crate::memory::{In, Out};
use crate::objects::{Answer, Lent};
use crate::publisher::{extension_of, sent_of};
use crate::table::{Handle, insert};
use crate::types::{EventView, Extension, Sent};
use ephapse::{Hub, RawEvent};

entries! {
    fn eph_emit_to(
        hub: Handle<Hub>,
        to: In<u8>,
        to_len: usize,
        subject: In<u8>,
        subject_len: usize,
        schema: u64,
        data: In<u8>,
        len: usize,
        extension: In<Extension>,
        sent: Out<Sent>,
    ) {
        let place = sent.clear_if_wanted("sent")?;
        let (to, subject) = (to.text(to_len, "the name")?, subject.text(subject_len, "the subject")?);
        let extension = extension_of(&extension)?.unwrap_or_default();
        let event = RawEvent::bytes(schema, data.slice(len, "data")?).extension(&extension);
        let hub = hub.enter()?;
        describe(&hub, schema);
        let result = hub.emit_raw_to(to, subject, &event)?;
        place.into_iter().for_each(|place| place.set(sent_of(result)));
        Ok(())
    }

    fn eph_request(
        hub: Handle<Hub>,
        subject: In<u8>,
        subject_len: usize,
        schema: u64,
        data: In<u8>,
        len: usize,
        timeout_ns: i64,
        reply: Out<EventView>,
    ) {
        let place = reply.clear("reply")?;
        let subject = subject.text(subject_len, "the subject")?;
        let request = RawEvent::bytes(schema, data.slice(len, "data")?);
        let timeout = duration(timeout_ns)?;
        let mut hub = hub.enter()?;
        describe(&hub, schema);
        let reply = hub.request_raw(subject, &request, timeout)?;
        drop(hub);
        // In a place of its own, which goes when the event is released.
        let (answer, lending) = insert(Answer(reply))?.enter()?.lend();
        let event = answer.0.envelope();
        show_envelope(&event, lending.handle, place);
        lending.out(Lent::Envelope(event))
    }

    fn eph_reply(
        hub: Handle<Hub>,
        request: In<EventView>,
        schema: u64,
        data: In<u8>,
        len: usize,
        sent: Out<Sent>,
    ) {
        let place = sent.clear_if_wanted("sent")?;
        let reply = RawEvent::bytes(schema, data.slice(len, "data")?);
        let using = hub.enter()?;
        describe(&using, schema);
        let result = with_event(&request, |request| match request {
            Lent::Envelope(request) => Ok(using.reply_raw(request, &reply)?),
            _ => Err(Code::NotARequest.into()),
        })?;
        place.into_iter().for_each(|place| place.set(sent_of(result)));
        Ok(())
    }
}
