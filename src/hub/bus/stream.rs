//! Subscriptions in tokio, without a thread: the runtime waits for the doorbell.

use super::envelope::Envelope;
use super::message::Message;
use super::subscription::Subscription;
use crate::error::Error;
use crate::hub::receive::RecvError;
use futures_core::Stream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A subscription whose events are awaited. Dropping it ends the subscription.
///
/// As a [`Stream`] it gives copies ([`Message`]); [`recv`](Self::recv) gives what is in the ring.
#[derive(Debug)]
pub struct AsyncSubscription {
    inner: AsyncFd<Subscription>,
}

impl Subscription {
    /// Has the tokio runtime wait for its events.
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] if the runtime cannot watch one more descriptor.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime that has I/O enabled.
    #[allow(unsafe_code)]
    pub fn into_async(self) -> Result<AsyncSubscription, Error> {
        // SAFETY: the doorbell's descriptor is opened with the subscription and closed when it is
        // dropped; in between `as_raw_fd` gives that one.
        let inner = unsafe { AsyncFd::register_with_interest(self, Interest::READABLE) };
        let inner = inner.map_err(|error| Error::io("watching a doorbell")(error.into()))?;
        Ok(AsyncSubscription { inner })
    }
}

impl AsyncSubscription {
    /// The next event; `None` only when its hub has been closed or dropped.
    ///
    /// Cancel-safe: an event that was not returned is not lost.
    ///
    /// # Errors
    ///
    /// As [`Subscription::try_recv`].
    pub async fn recv(&mut self) -> Result<Option<Envelope<'_>>, RecvError> {
        std::future::poll_fn(|context| self.poll_ready(context)).await?;
        self.inner.get_mut().try_recv()
    }

    /// The subscription itself.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut Subscription {
        self.inner.get_mut()
    }

    /// Ready when there is something to receive, or will never be.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), RecvError>> {
        loop {
            if !self.inner.get_mut().arm() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.inner.poll_read_ready(context)) {
                Ok(mut guard) => guard.clear_ready(),
                Err(error) => {
                    tracing::error!(%error, "the runtime cannot watch a doorbell");
                    return Poll::Ready(Ok(()));
                }
            }
            // Whoever rang: take the bytes, and look again.
            self.inner.get_mut().rung();
        }
    }
}

impl Stream for AsyncSubscription {
    type Item = Result<Message, RecvError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            ready!(this.poll_ready(context))?;
            let subscription = this.inner.get_mut();
            let message = subscription.try_recv().map(|event| event.map(|e| e.to_message()));
            match message.transpose() {
                None if subscription.is_closed() => return Poll::Ready(None),
                None => {}
                some => return Poll::Ready(some),
            }
        }
    }
}
