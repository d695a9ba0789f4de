//! Payloads: Rust values into the ring, and out of it again.

use super::{Event, PAYLOAD_ALIGN, RAW_SCHEMA};
use rkyv::api::low::{LowSerializer, LowValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Failure, Strategy};
use rkyv::ser::Serializer;
use rkyv::ser::allocator::SubAllocator;
use rkyv::ser::writer::{Buffer, Positional};
use rkyv::validation::Validator;
use rkyv::validation::archive::ArchiveValidator;
use rkyv::{Place, Portable, Serialize};
use std::mem::MaybeUninit;
use thiserror::Error;

/// What rkyv must be able to do with an event. Implemented for every type that derives
/// `rkyv::Archive` and `rkyv::Serialize` and has no shared pointers.
pub trait Archive:
    rkyv::Archive<Archived: Portable + for<'a> CheckBytes<LowValidator<'a, Failure>>>
    + for<'a> Serialize<LowSerializer<Buffer<'a>, SubAllocator<'a>, Failure>>
{
}

impl<T> Archive for T where
    T: rkyv::Archive<Archived: Portable + for<'a> CheckBytes<LowValidator<'a, Failure>>>
        + for<'a> Serialize<LowSerializer<Buffer<'a>, SubAllocator<'a>, Failure>>
{
}

/// Why a payload cannot be read as the type that was asked for. The event can still be read as
/// another type, or as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventError {
    /// It is another type, or another version of it.
    #[error(
        "expected {name} version {version} (schema {expected:#018x}), but the event {}",
        describe(*found)
    )]
    WrongSchema {
        /// The name of the type that was asked for.
        name: &'static str,
        /// Its version.
        version: u32,
        /// Its schema.
        expected: u64,
        /// The event's schema.
        found: u64,
    },
    /// The bytes are not a value of the type.
    #[error("{len} bytes that claim to be {name} are not a valid value of it")]
    Invalid {
        /// The name of the type.
        name: &'static str,
        /// Bytes of the payload.
        len: usize,
    },
}

fn describe(schema: u64) -> String {
    if schema == RAW_SCHEMA {
        return "is raw bytes; use bytes()".to_owned();
    }
    format!("has schema {schema:#018x}; were both sides built from the same definition?")
}

/// The payload as a value, after checking schema and every byte that matters.
///
/// # Errors
///
/// [`EventError`].
#[inline]
pub fn check<T: Event>(schema: u64, payload: &[u8]) -> Result<&T::Archived, EventError> {
    if schema != T::SCHEMA {
        let (name, version, expected) = (T::NAME, T::VERSION, T::SCHEMA);
        return Err(EventError::WrongSchema { name, version, expected, found: schema });
    }
    let value = if T::FLAT {
        check_flat::<T>(payload)
    } else {
        rkyv::api::low::access::<T::Archived, Failure>(payload).ok()
    };
    value.ok_or(EventError::Invalid { name: T::NAME, len: payload.len() })
}

/// A flat value is all of its payload, and has nothing to follow.
#[inline(always)]
fn check_flat<T: Event>(payload: &[u8]) -> Option<&T::Archived> {
    let root = payload.as_ptr().cast::<T::Archived>();
    if payload.len() != size_of::<T::Archived>() || !root.is_aligned() {
        return None;
    }
    let mut validator = Validator::new(ArchiveValidator::new(payload), ());
    let context = Strategy::<_, Failure>::wrap(&mut validator);
    // SAFETY: aligned, and as many initialised bytes as the type has.
    unsafe { T::Archived::check_bytes(root, context) }.ok()?;
    // SAFETY: as above, and the bytes have just been found to be a valid value.
    Some(unsafe { &*root })
}

/// Puts values into loaned memory.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    /// Where rkyv keeps what it has to remember while it serialises values with pointers. Grows
    /// with the first events and is kept, so that later ones allocate nothing.
    scratch: Vec<MaybeUninit<u8>>,
    /// The longest payload with pointers so far: how much to loan for the next.
    longest: usize,
}

/// The first guess for a payload whose length is not known from its type.
const FIRST_LOAN: usize = 256;

impl Encoder {
    /// How many bytes to loan for a value. Exact for flat types; a guess for others, which
    /// [`more`](Self::more) corrects.
    #[inline(always)]
    pub(crate) fn loan_for<T: Event>(&self) -> usize {
        const {
            assert!(align_of::<T::Archived>() <= PAYLOAD_ALIGN, "events are aligned to 32 bytes");
        }
        if T::FLAT { size_of::<T::Archived>() } else { self.longest.max(FIRST_LOAN) }
    }

    /// The next guess after a value did not fit `tried` bytes, or into the scratch space; `None`
    /// if there can be no more than that.
    #[cold]
    pub(crate) fn more(&mut self, tried: usize, max: usize) -> Option<usize> {
        let scratch = (self.scratch.len() * 2).clamp(FIRST_LOAN, max.max(FIRST_LOAN));
        let enough = tried >= max && scratch == self.scratch.len();
        self.scratch.resize(scratch, MaybeUninit::uninit());
        (!enough).then(|| (tried * 2).min(max))
    }

    /// Serialises `value` to the start of `place`, and says how long it is; `None` if it does not
    /// fit. A flat type is resolved in its place, without a serialiser's bookkeeping.
    #[inline(always)]
    pub(crate) fn encode<T: Event>(&mut self, value: &T, place: &mut [u8]) -> Option<usize> {
        if T::FLAT { encode_flat(value, place) } else { self.encode_nested(value, place) }
    }

    fn encode_nested<T: Event>(&mut self, value: &T, place: &mut [u8]) -> Option<usize> {
        let scratch = SubAllocator::new(&mut self.scratch);
        let mut serializer = Serializer::new(Buffer::from(place), scratch, ());
        rkyv::api::serialize_using::<_, Failure>(value, &mut serializer).ok()?;
        let len = <_ as Positional>::pos(&serializer);
        // Forgets slowly, so that one long value does not make all later ones ask for its room.
        self.longest = len.max(self.longest - self.longest / 64);
        Some(len)
    }
}

#[inline(always)]
fn encode_flat<T: Event>(value: &T, place: &mut [u8]) -> Option<usize> {
    let len = size_of::<T::Archived>();
    let place = place.get_mut(..len)?;
    let root = place.as_mut_ptr().cast::<T::Archived>();
    debug_assert!(root.is_aligned());
    // A flat type writes nothing before its root and allocates nothing.
    let nothing = Buffer::from(&mut [] as &mut [u8]);
    let mut serializer = Serializer::new(nothing, SubAllocator::new(&mut []), ());
    let resolver = value.serialize(Strategy::<_, Failure>::wrap(&mut serializer)).ok()?;
    // SAFETY: `root` points to `len` writable, initialised bytes, aligned as payloads are
    // (`loan_for` asserts that this is enough); a flat type has no pointers, so that it does not
    // matter at which position it is resolved.
    let root = unsafe { Place::new_unchecked(0, root) };
    value.resolve(resolver, root);
    Some(len)
}
