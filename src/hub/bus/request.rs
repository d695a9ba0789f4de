//! Requests and replies.
//!
//! All replies of a domain have one subject, and each is addressed to the hub that asked; so a
//! service declares one subject, however many ask.

use super::content::{Content, Typed};
use super::envelope::Envelope;
use super::message::Message;
use super::options::{Flow, SubscriptionOptions};
use super::publisher::Sent;
use super::raw::RawEvent;
use super::subscription::Subscription;
use crate::error::Error;
use crate::event::{self, Event, EventError, Extension, RAW_SCHEMA, Timestamp};
use crate::hub::Hub;
use crate::hub::receive::RecvError;
use std::time::{Duration, Instant};
use thiserror::Error;

/// The subject of replies that were asked for with [`Hub::request`].
pub const REPLY_SUBJECT: &str = "ephapse.reply";

/// Why there is no reply.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Nobody has subscribed to the subject; said at once.
    #[error("nobody answers requests on {subject}: no hub has subscribed to it")]
    NoResponders {
        /// The subject.
        subject: String,
    },
    /// Nobody has replied in time. Whether the request was acted on is not known.
    #[error("no reply to a request on {subject} within {timeout:?}")]
    TimedOut {
        /// The subject.
        subject: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// The request could not be sent, or its reply not received.
    #[error(transparent)]
    Failed(#[from] Error),
    /// The reply could not be received.
    #[error(transparent)]
    Receive(#[from] RecvError),
}

/// The answer to a request: a copy.
#[derive(Debug, Clone)]
pub struct Reply(Message);

impl Reply {
    /// All that there is to know of it.
    #[must_use]
    pub fn envelope(&self) -> Envelope<'_> {
        self.0.envelope()
    }

    /// The hub that replied.
    #[must_use]
    pub fn source(&self) -> &str {
        self.0.envelope().source()
    }

    /// The hash of its type; [`RAW_SCHEMA`](crate::event::RAW_SCHEMA) for raw bytes.
    #[must_use]
    pub fn schema(&self) -> u64 {
        self.0.envelope().schema()
    }

    /// The payload as bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The payload as a `T`.
    ///
    /// # Errors
    ///
    /// [`EventError`]; it can still be read otherwise.
    pub fn get<T: Event>(&self) -> Result<&T::Archived, EventError> {
        event::check::<T>(self.schema(), self.bytes())
    }
}

/// What a hub needs to ask.
#[derive(Debug, Default)]
pub(crate) struct Asking {
    /// Where replies come in; made with the first request.
    replies: Option<Subscription>,
    /// The number of the last request.
    last: u64,
}

impl Hub {
    /// Sends a request to all who subscribe to its subject, and waits for the first reply.
    ///
    /// # Errors
    ///
    /// [`RequestError`]. A reply that comes later is passed over.
    pub fn request<T: Event>(
        &mut self,
        subject: &str,
        request: &T,
        timeout: Duration,
    ) -> Result<Reply, RequestError> {
        self.describe_type::<T>();
        self.ask(subject, &Typed(request), Extension::new(), timeout)
    }

    /// As [`request`](Self::request), with raw bytes as an event of schema [`RAW_SCHEMA`].
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn request_bytes(
        &mut self,
        subject: &str,
        request: &[u8],
        timeout: Duration,
    ) -> Result<Reply, RequestError> {
        self.ask(subject, &RawEvent::bytes(RAW_SCHEMA, request), Extension::new(), timeout)
    }

    pub(super) fn ask<C: Content>(
        &mut self,
        subject: &str,
        content: &C,
        mut extension: Extension,
        timeout: Duration,
    ) -> Result<Reply, RequestError> {
        let deadline = crate::hub::after(timeout);
        let row = self.row_for(subject)?;
        if self.asking.replies.is_none() {
            // Nobody must wait for a hub that has asked once and then does something else.
            let options = SubscriptionOptions::default().flow(Flow::DropOldest);
            self.asking.replies = Some(self.subscribe_with([REPLY_SUBJECT], options)?);
        }
        self.asking.last += 1;
        let correlation = self.asking.last;
        extension.set_correlation(correlation);
        extension.set_deadline(Some(Timestamp::after(timeout)));
        // It is short enough.
        let _ = extension.set_reply_subject(REPLY_SUBJECT);
        if self.emit(row, content, &extension, 0)?.receivers == 0 {
            return Err(RequestError::NoResponders { subject: subject.to_owned() });
        }
        self.await_reply(correlation, deadline)
            .transpose()
            .unwrap_or_else(|| Err(RequestError::TimedOut { subject: subject.to_owned(), timeout }))
    }

    fn await_reply(
        &mut self,
        correlation: u64,
        deadline: Option<Instant>,
    ) -> Result<Option<Reply>, RequestError> {
        let Some(replies) = &mut self.asking.replies else { return Ok(None) };
        loop {
            let left =
                deadline.map_or(Duration::MAX, |by| by.saturating_duration_since(Instant::now()));
            let reply = match replies.recv_timeout(left) {
                Ok(Some(reply)) => reply,
                Ok(None) => return Ok(None),
                // Of other replies, perhaps; ours may still come.
                Err(RecvError::Lagged { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            if reply.correlation() == Some(correlation) {
                return Ok(Some(Reply(reply.to_message())));
            }
        }
    }

    /// Replies to a request that a subscription has received.
    ///
    /// # Errors
    ///
    /// [`Error::NotARequest`] if it expects no reply; as [`emit_to`](Self::emit_to). What is
    /// returned says whether the hub that asked is still there to receive it.
    pub fn reply<T: Event>(&self, request: &Envelope<'_>, reply: &T) -> Result<Sent, Error> {
        self.describe_type::<T>();
        self.answer(request, &Typed(reply), Extension::new())
    }

    /// As [`reply`](Self::reply), with raw bytes as an event of schema [`RAW_SCHEMA`], and with an
    /// extension, of which correlation and destination are those of the request.
    ///
    /// # Errors
    ///
    /// As [`reply`](Self::reply).
    pub fn reply_bytes(
        &self,
        request: &Envelope<'_>,
        reply: &[u8],
        extension: Extension,
    ) -> Result<Sent, Error> {
        self.answer(request, &RawEvent::bytes(RAW_SCHEMA, reply), extension)
    }

    pub(super) fn answer<C: Content>(
        &self,
        request: &Envelope<'_>,
        content: &C,
        mut extension: Extension,
    ) -> Result<Sent, Error> {
        let (Some(subject), Some(correlation)) = (request.reply_subject(), request.correlation())
        else {
            return Err(Error::NotARequest { subject: request.subject().to_owned() });
        };
        let row = self.row_for(subject)?;
        extension.set_correlation(correlation);
        extension.set_destination(request.source_id());
        self.emit(row, content, &extension, request.source_id())
    }
}
