//! The layout of a payload type as text, and the 64-bit schema id that every event carries.
//!
//! Two programs may read one another's events in place only if they agree on every byte of the
//! payload. Each type therefore has a canonical text of its layout, built at compile time, with
//! nested types spelled out in full:
//!
//! ```text
//! Pose{stamp_ns:u64,position:[f64;3],heading:f32}
//! ```
//!
//! The schema id is a hash of that text, of the event's name and of its version ([`schema_id`]).
//! So a field that is renamed, retyped, moved, added or dropped, at any depth, makes another
//! schema, and a reader built from the older source refuses the event instead of misreading it.
//! A program in C needs no Rust to take part: it hashes the same text.
//!
//! ```
//! use ephapse::{Event, Schema, event::schema::schema_id};
//!
//! #[derive(ephapse::Event, rkyv::Archive, rkyv::Serialize)]
//! #[event(name = "robot.Pose", version = 2)]
//! struct Pose {
//!     stamp_ns: u64,
//!     position: [f64; 3],
//!     heading: f32,
//! }
//!
//! let text = "Pose{stamp_ns:u64,position:[f64;3],heading:f32}";
//! assert_eq!(Pose::LAYOUT.as_str(), text);
//! assert_eq!(Pose::SCHEMA, schema_id("robot.Pose", 2, text));
//! ```
//!
//! Hubs describe what they publish ([`counters::schemas`](crate::counters::schemas)); the crate
//! `ephapse-schema` reads the text, prints it as a C header (also in build scripts), and decodes payloads
//! by it, and so does the command `ephapse schema`.
//!
//! # The text
//!
//! | type | text |
//! |---|---|
//! | `bool`, `char`, `u8` to `u128`, `i8` to `i128`, `f32`, `f64` | its Rust name |
//! | `()`, `(A,)`, `(A, B)` | `()`, `(A,)`, `(A,B)` |
//! | `[T; 3]`, `Option<T>` | `[T;3]`, `option<T>` |
//! | `String`, `Vec<T>`, `Box<T>` | `string`, `vec<T>`, `box<T>` |
//! | `str`, `[T]` (inside a box) | `str`, `[T]` |
//! | a struct | `Pose{x:f64,y:f64}`, `Pair(u8,u8)`, `Unit` |
//! | an enum | `enum Mode{Idle,Run(u32),Go{x:u8}}`, `enum Code{Ok=1,Bad=7}` |
//!
//! There is no white space but the blank after `enum`. Generic types are spelled with their own
//! name alone; what their parameters are shows in their fields.
//!
//! A type that contains itself has no such text (the compiler reports a cycle), nor have types of
//! other crates: `#[event(layout = "…")]` gives the field a text by hand, which must then change
//! whenever the bytes do. Begin it with a small letter if it is a name (`duration`): tools then know that
//! they do not know its bytes, while `Duration` would be a struct without fields.
//!
//! # The bytes
//!
//! The text describes the archived form that rkyv's own derive makes: structs are `repr(C)`, enums
//! `repr(u8)`, numbers little-endian and aligned to their size. A type that is [`Schema::FLAT`]
//! therefore has the bytes of the C struct with the same fixed-width fields; an option or enum is
//! a `uint8_t` tag followed by the fields of its variant, all in one C struct.

use core::fmt;

/// Bytes of the longest layout text. Above a hundred fields with names of ordinary length; being
/// small keeps the compiler quick, because every type on the way to an event builds its own.
pub use crate::limits::LAYOUT_TEXT_MAX;

/// What the layout texts are about, the first thing that is hashed: how this crate writes layouts,
/// and the rkyv format (little-endian, 32-bit relative pointers). Another format makes every
/// schema another one.
pub const FORMAT_TAG: &str = "ephapse-1/rkyv-0.8-le-p32";

const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Computes the schema id of an event type from its name, version and layout text.
///
/// The id is the 64-bit FNV-1a hash of these bytes, one after the other: [`FORMAT_TAG`], a zero
/// byte, `name`, a zero byte, `version` as four bytes with the lowest first, `layout`. In C:
///
/// ```c
/// static uint64_t fnv1a(uint64_t hash, const void *bytes, size_t len) {
///     for (const uint8_t *b = bytes; len-- > 0; b++) hash = (hash ^ *b) * 0x100000001b3u;
///     return hash;
/// }
/// uint64_t schema_id(const char *name, uint32_t version, const char *layout) {
///     const char tag[] = "ephapse-1/rkyv-0.8-le-p32";           /* hashed with its zero byte */
///     uint8_t v[4] = {version, version >> 8, version >> 16, version >> 24};
///     uint64_t hash = fnv1a(0xcbf29ce484222325u, tag, sizeof tag);
///     hash = fnv1a(hash, name, strlen(name) + 1);               /* and so is the name */
///     return fnv1a(fnv1a(hash, v, 4), layout, strlen(layout));
/// }
/// ```
///
/// FNV-1a is not made to resist someone who looks for collisions. Nothing rests on that: a payload
/// is validated whatever its schema id says.
#[must_use]
pub const fn schema_id(name: &str, version: u32, layout: &str) -> u64 {
    let hash = fnv1a(FNV_OFFSET_BASIS, FORMAT_TAG.as_bytes());
    let hash = fnv1a(fnv1a(hash, &[0]), name.as_bytes());
    let hash = fnv1a(fnv1a(hash, &[0]), &version.to_le_bytes());
    fnv1a(hash, layout.as_bytes())
}

/// Continues a 64-bit FNV-1a hash. <http://www.isthe.com/chongo/tech/comp/fnv/>
const fn fnv1a(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(FNV_PRIME);
        i += 1;
    }
    hash
}

/// The canonical text of a type's layout, built at compile time.
///
/// The `derive` macros write the calls; by hand it reads
/// `Layout::new().text("Pair(").append(&u8::LAYOUT).text(",").append(&u8::LAYOUT).text(")")`.
///
/// A text longer than [`LAYOUT_TEXT_MAX`] bytes stops the compiler with a message that says so
/// (or panics, if it is built at run time).
#[derive(Clone)]
pub struct Layout {
    bytes: [u8; LAYOUT_TEXT_MAX],
    len: usize,
}

impl Layout {
    /// Starts an empty text.
    #[must_use]
    pub const fn new() -> Layout {
        Layout { bytes: [0; LAYOUT_TEXT_MAX], len: 0 }
    }

    /// Adds `text` as it is.
    ///
    /// # Panics
    ///
    /// When the whole would be longer than [`LAYOUT_TEXT_MAX`] bytes.
    #[must_use]
    pub const fn text(self, text: &str) -> Layout {
        self.extend(text.as_bytes())
    }

    /// Adds `number` in decimal.
    ///
    /// # Panics
    ///
    /// When the whole would be longer than [`LAYOUT_TEXT_MAX`] bytes.
    #[must_use]
    pub const fn number(self, number: usize) -> Layout {
        let mut digits = [0; 20]; // u64::MAX has twenty
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.extend(digits.split_at(start).1)
    }

    /// Adds the text of another type, such as a field's.
    ///
    /// # Panics
    ///
    /// When the whole would be longer than [`LAYOUT_TEXT_MAX`] bytes.
    #[must_use]
    pub const fn append(self, other: &Layout) -> Layout {
        self.extend(other.bytes.split_at(other.len).0)
    }

    /// Gives the text.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        match core::str::from_utf8(self.bytes.split_at(self.len).0) {
            Ok(text) => text,
            Err(_) => panic!("a layout text is made of whole strings"),
        }
    }

    /// Computes the schema id of an event type that has this layout: [`schema_id`] of `name`,
    /// `version` and the text.
    #[must_use]
    pub const fn hash(&self, name: &str, version: u32) -> u64 {
        schema_id(name, version, self.as_str())
    }

    const fn extend(mut self, bytes: &[u8]) -> Layout {
        assert!(
            bytes.len() <= LAYOUT_TEXT_MAX - self.len,
            "the layout text of this type is longer than LAYOUT_TEXT_MAX: use fewer fields, or \
             give those with long types a short text of their own by #[event(layout = \"...\")]"
        );
        let free = self.bytes.split_at_mut(self.len).1;
        free.split_at_mut(bytes.len()).0.copy_from_slice(bytes);
        self.len += bytes.len();
        self
    }
}

impl Default for Layout {
    fn default() -> Layout {
        Layout::new()
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Layout({self})")
    }
}

/// A type whose archived form can be described in a text: what events are made of.
///
/// Derive it for your own structs and enums (`#[derive(ephapse::Schema)]`; `ephapse::Event` derives
/// it too). References are not schemas, and neither are `usize` and `isize`, whose size differs
/// between machines:
///
/// ```compile_fail,E0277
/// #[derive(ephapse::Schema)]
/// struct Span {
///     len: usize, // say u32 or u64
/// }
/// ```
///
/// Nothing unsafe rests on an implementation. A wrong text costs what the schema id is there to
/// give: readers take bytes of another layout for their own, as far as validation lets them.
#[diagnostic::on_unimplemented(
    message = "the layout of `{Self}` is not known, so it cannot be part of an event",
    label = "this type does not implement `ephapse::Schema`",
    note = "instead of `usize` and `isize` take types of one size everywhere, such as `u64`",
    note = "for your own types: `#[derive(ephapse::Schema)]`",
    note = "for types of other crates: `#[event(layout = \"...\")]` on the field"
)]
pub trait Schema {
    /// The canonical text of the archived form.
    const LAYOUT: Layout;

    /// Whether the archived form holds no relative pointers, so that it can be written in its
    /// final place without anything before it.
    const FLAT: bool;
}

macro_rules! primitives {
    ($($ty:ident)*) => {$(
        impl Schema for $ty {
            const LAYOUT: Layout = Layout::new().text(stringify!($ty));
            const FLAT: bool = true;
        }
    )*};
}

primitives! { bool char u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f32 f64 }

impl Schema for () {
    const LAYOUT: Layout = Layout::new().text("()");
    const FLAT: bool = true;
}

impl<A: Schema> Schema for (A,) {
    const LAYOUT: Layout = Layout::new().text("(").append(&A::LAYOUT).text(",)");
    const FLAT: bool = A::FLAT;
}

macro_rules! tuples {
    ($(($first:ident $($rest:ident)+))*) => {$(
        impl<$first: Schema, $($rest: Schema),+> Schema for ($first, $($rest),+) {
            const LAYOUT: Layout = Layout::new().text("(").append(&$first::LAYOUT)
                $(.text(",").append(&$rest::LAYOUT))+.text(")");
            const FLAT: bool = $first::FLAT $(&& $rest::FLAT)+;
        }
    )*};
}

tuples! {
    (A B)
    (A B C)
    (A B C D)
    (A B C D E)
    (A B C D E F)
    (A B C D E F G)
    (A B C D E F G H)
    (A B C D E F G H I)
    (A B C D E F G H I J)
    (A B C D E F G H I J K)
    (A B C D E F G H I J K L)
}

impl<T: Schema, const N: usize> Schema for [T; N] {
    const LAYOUT: Layout = Layout::new().text("[").append(&T::LAYOUT).text(";").number(N).text("]");
    const FLAT: bool = T::FLAT;
}

impl<T: Schema> Schema for Option<T> {
    const LAYOUT: Layout = Layout::new().text("option<").append(&T::LAYOUT).text(">");
    const FLAT: bool = T::FLAT;
}

impl Schema for String {
    const LAYOUT: Layout = Layout::new().text("string");
    const FLAT: bool = false;
}

impl<T: Schema> Schema for Vec<T> {
    const LAYOUT: Layout = Layout::new().text("vec<").append(&T::LAYOUT).text(">");
    const FLAT: bool = false;
}

impl<T: Schema + ?Sized> Schema for Box<T> {
    const LAYOUT: Layout = Layout::new().text("box<").append(&T::LAYOUT).text(">");
    const FLAT: bool = false;
}

/// Only ever inside a box, which holds the pointer: never flat.
impl Schema for str {
    const LAYOUT: Layout = Layout::new().text("str");
    const FLAT: bool = false;
}

/// Only ever inside a box, which holds the pointer: never flat.
impl<T: Schema> Schema for [T] {
    const LAYOUT: Layout = Layout::new().text("[").append(&T::LAYOUT).text("]");
    const FLAT: bool = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a over one byte string, written without a look at the code above.
    fn fnv1a_plain(bytes: &[u8]) -> u64 {
        bytes.iter().fold(14_695_981_039_346_656_037, |hash, byte| {
            ((hash ^ u64::from(*byte)) as u128 * 1_099_511_628_211 % (1 << 64)) as u64
        })
    }

    #[test]
    fn hash_agrees_with_published_values() {
        for (text, expect) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(FNV_OFFSET_BASIS, text.as_bytes()), expect, "{text:?}");
            assert_eq!(fnv1a_plain(text.as_bytes()), expect, "{text:?}");
        }
    }

    #[test]
    fn schema_id_agrees_with_a_plain_implementation() {
        const AT_COMPILE_TIME: u64 = schema_id("robot.Pose", 2, "Pose{x:f64}");
        let long = "x".repeat(LAYOUT_TEXT_MAX);
        for (name, version, layout) in [
            ("robot.Pose", 2, "Pose{x:f64}"),
            ("", 0, ""),
            ("Ä", u32::MAX, "()"),
            ("n", 0x0102_0304, long.as_str()),
        ] {
            let mut bytes = b"ephapse-1/rkyv-0.8-le-p32\0".to_vec();
            bytes.extend(name.as_bytes());
            bytes.push(0);
            bytes.extend([version as u8, (version >> 8) as u8]);
            bytes.extend([(version >> 16) as u8, (version >> 24) as u8]);
            bytes.extend(layout.as_bytes());
            assert_eq!(schema_id(name, version, layout), fnv1a_plain(&bytes), "{name} {version}");
        }
        assert_eq!(AT_COMPILE_TIME, schema_id("robot.Pose", 2, "Pose{x:f64}"));
    }

    #[test]
    fn layout_is_written_piece_by_piece() {
        let part = Layout::new().text("ä").number(0).number(1_234_567_890);
        let whole = Layout::default().text("<").append(&part).append(&part).text(">");
        assert_eq!(whole.as_str(), "<ä01234567890ä01234567890>");
        assert_eq!(whole.to_string(), whole.as_str());
        assert_eq!(format!("{:?}", Layout::new().number(usize::MAX)), {
            format!("Layout({})", usize::MAX)
        });
    }

    #[test]
    fn layout_takes_exactly_its_maximum() {
        let full = "x".repeat(LAYOUT_TEXT_MAX);
        assert_eq!(Layout::new().text(&full).text("").as_str(), full);
        let over = std::panic::catch_unwind(|| Layout::new().text(&full).text("x"));
        assert!(over.is_err(), "one byte too many was taken");
    }
}
