//! `#[derive(Event)]` and `#[derive(Schema)]` for the crate `ephapse`, which re-exports both.
//!
//! A schema id is only worth something if the layout text behind it cannot drift from the type.
//! So these macros write the text from the type's own source, and refuse whatever they cannot see
//! through (an archived form that is not the type's own) instead of guessing.
//!
//! `Event` goes on the types that are sent, and implements `Schema` too; `Schema` goes on the
//! types that events are made of. Both stand beside `rkyv::Archive` and `rkyv::Serialize`.
//!
//! | attribute | on | meaning |
//! |---|---|---|
//! | `#[event(name = "robot.Pose")]` | an `Event` | its name in the schema id; otherwise the type's own |
//! | `#[event(version = 2)]` | an `Event` | its version, a `u32`; otherwise 1 |
//! | `#[event(crate = "bus::ephapse")]` | either | where the crate is, if not at `::ephapse` |
//! | `#[event(layout = "unix_ns")]` | a field | its layout text, for types that have no `Schema` and fields with `#[rkyv(with = …)]`; change it whenever the bytes change |
//! | `#[event(layout = "unix_ns", flat)]` | a field | the same, and the archived field holds no relative pointer |
//!
//! A field whose text is given is not looked at, so a type that contains itself can be described
//! as well: `#[event(layout = "option<box<Node>>")] next: Option<Box<Node>>`.
//!
//! Modules, in reading order: `attributes` (what may be said, and what is refused), `expand` (the
//! layout text and the `impl`s).

mod attributes;
mod expand;
#[cfg(test)]
mod tests;

use expand::Derive;
use proc_macro::TokenStream;

/// Implements `ephapse::Event`, and with it `ephapse::Schema`, for a struct or enum without
/// generic parameters. The crate docs list the attributes.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    expand::expand(Derive::Event, input.into()).into()
}

/// Implements `ephapse::Schema` for a struct or enum whose fields implement it; type parameters
/// must implement it too. The crate docs list the attributes.
#[proc_macro_derive(Schema, attributes(event))]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    expand::expand(Derive::Schema, input.into()).into()
}
