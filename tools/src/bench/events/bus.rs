//! The same events, published and subscribed to.

use ephapse::{Envelope, Event, Publisher, SendError, Sent};

use super::raw::{fill, is};
use super::{Probe, Raw, Typed};
use crate::bus::Bytes;

/// How questions and answers are published, typed or raw.
pub(in crate::bench) trait BusTraffic: 'static {
    /// What publishers are for.
    type Event: Event + 'static;

    /// Publishes a question.
    fn ask(&mut self, to: &mut Publisher<Self::Event>, number: u64) -> Result<Sent, SendError>;

    /// Answers a question, and says whether it was the one with this number.
    fn answer(
        &mut self,
        to: &mut Publisher<Self::Event>,
        question: &Envelope<'_>,
        number: u64,
    ) -> Result<bool, SendError>;

    /// Whether this is the question with this number.
    fn is_question(&self, event: &Envelope<'_>, number: u64) -> bool;

    /// Whether this is the answer to the question with this number.
    fn is_answer(&self, event: &Envelope<'_>, number: u64) -> bool;
}

impl<T: Probe> BusTraffic for Typed<T> {
    type Event = T;

    #[inline(always)]
    fn ask(&mut self, to: &mut Publisher<T>, number: u64) -> Result<Sent, SendError> {
        to.send(&T::question(number))
    }

    #[inline(always)]
    fn answer(
        &mut self,
        to: &mut Publisher<T>,
        question: &Envelope<'_>,
        number: u64,
    ) -> Result<bool, SendError> {
        let Ok(question) = question.get::<T>() else {
            // An answer that is none: the other side must not wait for ever, and counts it.
            return to.send(&T::question(number)).map(|_| false);
        };
        to.send(&T::answer(question))?;
        Ok(T::is_question(question, number))
    }

    #[inline(always)]
    fn is_question(&self, event: &Envelope<'_>, number: u64) -> bool {
        event.get::<T>().is_ok_and(|event| T::is_question(event, number))
    }

    #[inline(always)]
    fn is_answer(&self, event: &Envelope<'_>, number: u64) -> bool {
        event.get::<T>().is_ok_and(|event| T::is_answer(event, number))
    }
}

impl BusTraffic for Raw {
    type Event = Bytes;

    fn ask(&mut self, to: &mut Publisher<Bytes>, number: u64) -> Result<Sent, SendError> {
        fill(&mut self.scratch, number);
        to.send_bytes(&self.scratch)
    }

    fn answer(
        &mut self,
        to: &mut Publisher<Bytes>,
        question: &Envelope<'_>,
        number: u64,
    ) -> Result<bool, SendError> {
        let question = question.bytes();
        self.scratch.clear();
        self.scratch.extend(question.iter().map(|byte| !byte));
        to.send_bytes(&self.scratch)?;
        Ok(is(question, self.size, number, 0))
    }

    fn is_question(&self, event: &Envelope<'_>, number: u64) -> bool {
        is(event.bytes(), self.size, number, 0)
    }

    fn is_answer(&self, event: &Envelope<'_>, number: u64) -> bool {
        is(event.bytes(), self.size, number, u64::MAX)
    }
}
