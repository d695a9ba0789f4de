//! What is sent: a value of an event type, or bytes ([`RawEvent`](super::raw::RawEvent)).

use crate::event::{Encoder, Event};

/// Something that can be put into a record.
pub(crate) trait Content {
    fn schema(&self) -> u64;

    /// For errors.
    fn name(&self) -> &'static str;

    /// Bytes to loan for it: exact, or a guess that [`Encoder::more`] corrects.
    fn loan(&self, encoder: &Encoder) -> usize;

    /// Writes it; `None` if the place is too short.
    fn fill(&self, encoder: &mut Encoder, place: &mut [u8]) -> Option<usize>;
}

/// A value.
pub(crate) struct Typed<'a, T>(pub &'a T);

impl<T: Event> Content for Typed<'_, T> {
    #[inline(always)]
    fn schema(&self) -> u64 {
        T::SCHEMA
    }

    fn name(&self) -> &'static str {
        T::NAME
    }

    #[inline(always)]
    fn loan(&self, encoder: &Encoder) -> usize {
        encoder.loan_for::<T>()
    }

    #[inline(always)]
    fn fill(&self, encoder: &mut Encoder, place: &mut [u8]) -> Option<usize> {
        encoder.encode(self.0, place)
    }
}
