//! Waiting: spin, back off, block, spin and then block.
//!
//! # The doorbell
//!
//! A hub has one doorbell: a word in its cursor segment that says whether it sleeps, and a pipe
//! whose read end it sleeps on. Writers look at the word after each commit, and write a byte into
//! the pipe if it says so.
//!
//! ```text
//!   reader                                   writer
//!   poll all rings: nothing
//!   word = odd number ("asleep")             commit the record
//!   heavy fence                              light fence
//!   poll all rings: nothing                  word odd, and not the one last rung for?
//!   sleep on the pipe                          write one byte
//!   after some milliseconds, once: a
//!   thread executes the global fence
//!   and rings (`confirm`)
//!   poll all rings: nothing
//!   sleep on the pipe
//! ```
//!
//! One of the two sees the other's store, because the fences order both sides (`sync`): the heavy
//! one nearly always, the global one in any case. After it there is no timer left. The word
//! counts up: an odd value is one period of sleep, for which each writer rings once. The byte
//! stays in the pipe until the reader takes it, so a ring is not lost if the reader is stopped or
//! interrupted in between.
//!
//! A pipe, because its write end can do nothing but ring: with an eventfd a hostile peer could
//! take counts away, or fill it. Peers open the write end anew, so that the non-blocking flag is
//! their own, and the pipe's mode allows nobody to open it for reading.

mod bell;
mod confirm;
mod parking;
mod ring;
mod sleep;
mod strategy;
#[cfg(test)]
mod tests;

pub use bell::{Bell, Ringer, Woken};
pub(crate) use parking::{Parking, start_once};
pub(crate) use ring::ring;
pub(crate) use sleep::Sleeps;
pub use strategy::Wait;
pub(crate) use strategy::{Step, Waiter};
