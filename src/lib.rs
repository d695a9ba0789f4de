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
pub use ephapse_derive::{Event, Schema};
pub use rkyv;

#[cfg(not(ephapse_model))]
pub use {
    domain::Domain,
    error::Error,
    event::{Event, EventError, Timestamp, schema::Schema},
    hub::{
        Batch, Closer, Hub, HubBuilder, Link, LinkId, LinkOffer, LinkOptions, Loan, Payloads,
        Received, RecvError, SendError,
    },
    protocol::{HubInfo, ProtocolError, RefusalCode},
    supervisor::{Stopper, Supervisor},
    wait::Wait,
};
