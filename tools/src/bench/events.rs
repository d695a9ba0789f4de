//! The events that are sent: every byte follows from a number, and every byte is checked.
//!
//! The *question* with number n is built from n; the *answer* to it is built from what the
//! question says, field by field; and both can be compared with what n says that they must be.

mod blocks;
mod bus;
mod raw;
mod sample;

use std::marker::PhantomData;

use ephapse::{Batch, Event, Link, Received, SendError};

pub(super) use self::blocks::{
    Block8, Block16, Block64, Block128, Block256, Block512, Block1024, Block2048, Block4096,
    Block8192, Block16384, Block32768, Block65536,
};
pub(super) use self::bus::BusTraffic;
pub(super) use self::raw::Raw;
pub(super) use self::sample::Sample;

/// A type that is sent as an event.
pub(super) trait Probe: Event + 'static {
    /// The question with this number.
    fn question(number: u64) -> Self;

    /// The answer, built from all that the question says.
    fn answer(question: &Self::Archived) -> Self;

    /// Whether this is the question with this number.
    fn is_question(archived: &Self::Archived, number: u64) -> bool;

    /// Whether this is the answer to the question with this number.
    fn is_answer(archived: &Self::Archived, number: u64) -> bool;
}

/// How questions and answers are sent, typed or raw.
pub(super) trait Traffic: 'static {
    /// Sends a question.
    fn ask(&mut self, link: &mut Link, number: u64) -> Result<(), SendError>;

    /// Adds a question to a batch.
    fn add(&mut self, batch: &mut Batch<'_>, number: u64) -> Result<(), SendError>;

    /// Answers a question, and says whether it was the one with this number.
    fn answer(
        &mut self,
        link: &mut Link,
        question: &Received<'_>,
        number: u64,
    ) -> Result<bool, SendError>;

    /// Whether this is the question with this number.
    fn is_question(&self, event: &Received<'_>, number: u64) -> bool;

    /// Whether this is the answer to the question with this number.
    fn is_answer(&self, event: &Received<'_>, number: u64) -> bool;
}

/// Traffic of one type.
#[derive(Debug)]
pub(super) struct Typed<T>(PhantomData<T>);

impl<T> Typed<T> {
    pub(super) fn new() -> Typed<T> {
        Typed(PhantomData)
    }
}

impl<T: Probe> Traffic for Typed<T> {
    #[inline(always)]
    fn ask(&mut self, link: &mut Link, number: u64) -> Result<(), SendError> {
        link.send(&T::question(number))
    }

    #[inline(always)]
    fn add(&mut self, batch: &mut Batch<'_>, number: u64) -> Result<(), SendError> {
        batch.send(&T::question(number))
    }

    #[inline(always)]
    fn answer(
        &mut self,
        link: &mut Link,
        question: &Received<'_>,
        number: u64,
    ) -> Result<bool, SendError> {
        let Ok(question) = question.get::<T>() else {
            // An answer that is none: the other side must not wait for ever, and counts it.
            return link.send(&T::question(number)).map(|()| false);
        };
        link.send(&T::answer(question))?;
        Ok(T::is_question(question, number))
    }

    #[inline(always)]
    fn is_question(&self, event: &Received<'_>, number: u64) -> bool {
        event.get::<T>().is_ok_and(|event| T::is_question(event, number))
    }

    #[inline(always)]
    fn is_answer(&self, event: &Received<'_>, number: u64) -> bool {
        event.get::<T>().is_ok_and(|event| T::is_answer(event, number))
    }
}

/// Whether events of this size are typed.
pub(super) fn is_typed(size: usize) -> bool {
    size.is_power_of_two() && (8..=65536).contains(&size)
}

/// Evaluates `$body` with `$traffic` bound to the traffic for events of `$size` bytes.
macro_rules! with_traffic {
    ($size:expr, $traffic:ident => $body:expr) => {{
        use $crate::bench::events::*;
        macro_rules! typed {
            ($event:ty) => {{
                let $traffic = Typed::<$event>::new();
                $body
            }};
        }
        match $size {
            8 => typed!(Block8),
            16 => typed!(Block16),
            32 => typed!(Sample),
            64 => typed!(Block64),
            128 => typed!(Block128),
            256 => typed!(Block256),
            512 => typed!(Block512),
            1024 => typed!(Block1024),
            2048 => typed!(Block2048),
            4096 => typed!(Block4096),
            8192 => typed!(Block8192),
            16384 => typed!(Block16384),
            32768 => typed!(Block32768),
            65536 => typed!(Block65536),
            size => {
                let $traffic = Raw::new(size);
                $body
            }
        }
    }};
}
pub(super) use with_traffic;
