//! Ephapse
#![deny(unsafe_code)]
extern crate self as ephapse;
#[cfg(not(ephapse_model))]
mod domain;
#[cfg(not(ephapse_model))]
mod error;
#[cfg(not(ephapse_model))]
pub mod event;
#[cfg(not(ephapse_model))]
mod hub;
pub mod limits;
#[cfg(not(ephapse_model))]
mod protocol;
pub mod ring;
#[cfg(not(ephapse_model))]
pub mod segment;
#[cfg(not(ephapse_model))]
mod supervisor;
mod sync;
#[cfg(not(ephapse_model))]
pub mod wait;
pub use domain::Domain;
pub use ephapse_derive::{Event, Schema};
pub use error::Error;
pub use event::{Event, EventError, Timestamp, schema::Schema};
pub use hub::*;
pub use protocol::{HubInfo, ProtocolError, RefusalCode};
pub use rkyv;
pub use supervisor::{Stopper, Supervisor};
pub use wait::Wait;
