//! The layout texts of events, for programs that have not been built with their types: parsed,
//! printed for people and as C, and payloads decoded by them.
//!
//! What the texts say, and which bytes they describe, is told in [`ephapse::event::schema`].
//!
//! ```
//! use ephapse_schema::EventType;
//!
//! let text = "Pose{stamp_ns:u64,position:[f32;2],label:option<u8>}";
//! let pose = EventType::parse("robot.Pose", 2, text).unwrap();
//! assert_eq!(pose.layout().size, 24);
//! let payload = [7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64, 1, 9, 0, 0, 0, 0, 0, 0];
//! let fields = pose.decode(&payload).unwrap();
//! assert_eq!(fields.to_string(), r#"{"stamp_ns":7,"position":[1.0,2.0],"label":9}"#);
//! ```
//!
//! A build script of a program that has the type writes the header for those in C:
//!
//! ```
//! # use ephapse::Event;
//! # #[derive(Event, rkyv::Archive, rkyv::Serialize)]
//! # struct Pose { x: f64 }
//! let header = ephapse_schema::EventType::of::<Pose>().unwrap().c_header().unwrap();
//! assert!(header.contains("double x;"));
//! ```

// Under the model checker the library has no event types.
#![cfg(not(ephapse_model))]
#![deny(unsafe_code)]

mod c_header;
mod c_names;
mod decode;
mod encode;
mod layout;
mod parse;
mod print;

pub use crate::c_header::NotInC;
pub use crate::decode::{DecodeError, VALUES_MAX};
pub use crate::encode::EncodeError;
pub use crate::layout::{Field, Fields, Kind, Scalar, Type, Variant};
pub use crate::parse::ParseError;

use ephapse::Event;
use ephapse::event::schema::schema_id;

/// An event type, known by its description alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventType {
    name: String,
    version: u32,
    id: u64,
    layout: Type,
}

impl EventType {
    /// The type that these describe.
    ///
    /// # Errors
    ///
    /// [`ParseError`]: the text is none, or holds a part that was given by hand, of which only its
    /// author knows the bytes.
    pub fn parse(name: &str, version: u32, text: &str) -> Result<Self, ParseError> {
        let id = schema_id(name, version, text);
        Ok(Self { name: name.to_owned(), version, id, layout: text.parse()? })
    }

    /// The description of a type that this program has.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn of<T: Event>() -> Result<Self, ParseError> {
        Self::parse(T::NAME, T::VERSION, T::LAYOUT.as_str())
    }

    /// The event's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The schema id that its events carry.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What it is made of.
    #[must_use]
    pub fn layout(&self) -> &Type {
        &self.layout
    }
}
