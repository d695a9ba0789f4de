//! Payloads read by their layout.
//!
//! Payloads and layouts may come from hostile programs: every place is looked up with its bounds
//! checked, and how much is made of a payload is limited, whatever it says.

use crate::EventType;
use crate::layout::{Field, Fields, Kind, Scalar, Type};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// Values that are made of one payload at most: it is for people to look at, and a payload of a
/// megabyte can say that it has thousands of millions.
pub const VALUES_MAX: usize = 1 << 16;

/// Why bytes are no value of a type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A flat type has one length.
    #[error("the type has {expected} bytes, the payload has {found}")]
    WrongLength {
        /// Bytes of the type.
        expected: usize,
        /// Bytes of the payload.
        found: usize,
    },
    /// Something lies outside of the payload.
    #[error("{what} at {at} lies outside of the {len} bytes of the payload")]
    Outside {
        /// What should be there.
        what: &'static str,
        /// Where, from the beginning of the payload.
        at: i64,
        /// Bytes of the payload.
        len: usize,
    },
    /// Something lies where it cannot.
    #[error("byte {at} is not a multiple of {align}")]
    Misaligned {
        /// Where, from the beginning of the payload.
        at: usize,
        /// What it must be a multiple of.
        align: usize,
    },
    /// Bytes that the type cannot have.
    #[error("{found:#x} at byte {at} is no {what}")]
    Invalid {
        /// What should be there.
        what: &'static str,
        /// Where, from the beginning of the payload.
        at: usize,
        /// What is there.
        found: u32,
    },
    /// A text is not UTF-8.
    #[error("the text at byte {at} is not UTF-8")]
    NotText {
        /// Where, from the beginning of the payload.
        at: usize,
    },
    /// More than anybody would look at, or than there can be.
    #[error("the payload holds more than {max} values, or its texts overlap")]
    TooMuch {
        /// How many there may be.
        max: usize,
    },
}

impl EventType {
    /// The value that a payload is, as serde would write it.
    ///
    /// What JSON cannot say is said as near to it as possible: numbers above 64 bits are text, not
    /// a number and infinite are `null`.
    ///
    /// # Errors
    ///
    /// [`DecodeError`]: the payload is not a value of the type, or larger than is of any use.
    pub fn decode(&self, payload: &[u8]) -> Result<Value, DecodeError> {
        let (ty, found) = (&self.layout, payload.len());
        if found < ty.size || (found > ty.size && ty.is_flat()) {
            return Err(DecodeError::WrongLength { expected: ty.size, found });
        }
        let (values, text) = (VALUES_MAX, found);
        Decoder { payload, values, text }.value(ty, found - ty.size)
    }
}

struct Decoder<'a> {
    payload: &'a [u8],
    /// How many values there may still be, and how many bytes of text: no byte is part of two.
    values: usize,
    text: usize,
}

impl<'a> Decoder<'a> {
    fn bytes(&self, what: &'static str, at: usize, len: usize) -> Result<&'a [u8], DecodeError> {
        let bytes = at.checked_add(len).and_then(|end| self.payload.get(at..end));
        bytes.ok_or(DecodeError::Outside { what, at: at as i64, len: self.payload.len() })
    }

    fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes("a field", at, N)?);
        Ok(array)
    }

    fn count(&mut self) -> Result<(), DecodeError> {
        self.values = self.values.checked_sub(1).ok_or(DecodeError::TooMuch { max: VALUES_MAX })?;
        Ok(())
    }

    fn value(&mut self, ty: &Type, at: usize) -> Result<Value, DecodeError> {
        self.count()?;
        if !at.is_multiple_of(ty.align) {
            return Err(DecodeError::Misaligned { at, align: ty.align });
        }
        match &ty.kind {
            Kind::Scalar(scalar) => self.scalar(*scalar, at),
            Kind::Tuple(parts) if parts.is_empty() => Ok(Value::Null),
            Kind::Tuple(parts) => self.list(parts, at),
            Kind::Array(of, len) => self.slice(of, at, *len),
            Kind::Option(value) => match self.array::<1>(at)? {
                [0] => Ok(Value::Null),
                [1] => self.value(&value.ty, at + value.offset),
                [tag] => Err(DecodeError::Invalid { what: "option", at, found: tag.into() }),
            },
            Kind::Struct(_, fields) => self.fields(fields, at),
            Kind::Enum(_, variants) => {
                let [tag] = self.array(at)?;
                let variant = variants.iter().find(|variant| variant.tag == tag);
                let found = tag.into();
                let variant = variant.ok_or(DecodeError::Invalid { what: "variant", at, found })?;
                let name = variant.name.clone();
                if matches!(variant.fields, Fields::None) {
                    return Ok(name.into());
                }
                let value = self.fields(&variant.fields, at)?;
                Ok(Value::Object(Map::from_iter([(name, value)])))
            }
            Kind::String => self.string(at),
            Kind::BoxedText => {
                let (start, len) = self.pointer_and_len(at)?;
                self.text(start, len)
            }
            Kind::Vec(of) | Kind::BoxedSlice(of) => {
                let (start, len) = self.pointer_and_len(at)?;
                self.slice(of, start, len)
            }
            Kind::Box(of) => {
                let start = self.follow(at, at)?;
                self.value(of, start)
            }
        }
    }

    fn scalar(&self, scalar: Scalar, at: usize) -> Result<Value, DecodeError> {
        let float = |number: f64| Number::from_f64(number).map_or(Value::Null, Value::Number);
        Ok(match scalar {
            Scalar::Bool => match self.array(at)? {
                [0] => false.into(),
                [1] => true.into(),
                [byte] => {
                    return Err(DecodeError::Invalid { what: "bool", at, found: byte.into() });
                }
            },
            Scalar::Char => {
                let found = u32::from_le_bytes(self.array(at)?);
                let invalid = DecodeError::Invalid { what: "character", at, found };
                char::from_u32(found).ok_or(invalid)?.to_string().into()
            }
            Scalar::Float(4) => {
                let number = f32::from_le_bytes(self.array(at)?);
                // The shortest that is the same number: 0.1, and not 0.10000000149011612.
                number.to_string().parse().map_or(Value::Null, float)
            }
            Scalar::Float(_) => float(f64::from_le_bytes(self.array(at)?)),
            Scalar::Unsigned(16) => {
                let number = u128::from_le_bytes(self.array(at)?);
                u64::try_from(number).map_or_else(|_| number.to_string().into(), Value::from)
            }
            Scalar::Signed(16) => {
                let number = i128::from_le_bytes(self.array(at)?);
                match (u64::try_from(number), i64::try_from(number)) {
                    (Ok(number), _) => number.into(),
                    (_, Ok(number)) => number.into(),
                    _ => number.to_string().into(),
                }
            }
            Scalar::Unsigned(size) => self.word(at, size, 0)?.into(),
            Scalar::Signed(size) => {
                let negative = self.bytes("a field", at, size)?.last().is_some_and(|b| *b > 127);
                (self.word(at, size, if negative { 0xff } else { 0 })? as i64).into()
            }
        })
    }

    /// Up to eight bytes, and others above them.
    fn word(&self, at: usize, size: usize, above: u8) -> Result<u64, DecodeError> {
        let mut word = [above; 8];
        word[..size].copy_from_slice(self.bytes("a field", at, size)?);
        Ok(u64::from_le_bytes(word))
    }

    fn fields(&mut self, fields: &Fields, at: usize) -> Result<Value, DecodeError> {
        match fields {
            Fields::None => Ok(Value::Null),
            Fields::Unnamed(parts) => match &parts[..] {
                [only] => self.value(&only.ty, at + only.offset),
                parts => self.list(parts, at),
            },
            Fields::Named(fields) => {
                let mut map = Map::new();
                for field in fields {
                    let value = self.value(&field.ty, at + field.offset)?;
                    map.insert(field.name.clone(), value);
                }
                Ok(Value::Object(map))
            }
        }
    }

    fn list(&mut self, parts: &[Field], at: usize) -> Result<Value, DecodeError> {
        parts.iter().map(|part| self.value(&part.ty, at + part.offset)).collect()
    }

    fn slice(&mut self, of: &Type, at: usize, len: usize) -> Result<Value, DecodeError> {
        if len > self.values {
            return Err(DecodeError::TooMuch { max: VALUES_MAX });
        }
        // At most `VALUES_MAX` times the largest type: it does not overflow.
        self.bytes("a list", at, of.size.saturating_mul(len))?;
        (0..len).map(|index| self.value(of, at + index * of.size)).collect()
    }

    /// A pointer, and behind it how much is there.
    fn pointer_and_len(&self, at: usize) -> Result<(usize, usize), DecodeError> {
        let len = u32::from_le_bytes(self.array(at + 4)?) as usize;
        Ok((self.follow(at, at)?, len))
    }

    /// Where the pointer at `pointer` points to, which counts from `base`.
    fn follow(&self, pointer: usize, base: usize) -> Result<usize, DecodeError> {
        let at = base as i64 + i64::from(i32::from_le_bytes(self.array(pointer)?));
        let len = self.payload.len();
        let inside = usize::try_from(at).ok().filter(|at| *at <= len);
        inside.ok_or(DecodeError::Outside { what: "what is pointed to", at, len })
    }

    /// Up to eight bytes in place, ended by 0xff; or a length with a mark in it, and a pointer.
    fn string(&mut self, at: usize) -> Result<Value, DecodeError> {
        let bytes = self.array::<8>(at)?;
        if bytes[0] & 0xc0 != 0x80 {
            let len = bytes.iter().position(|byte| *byte == 0xff).unwrap_or(bytes.len());
            return self.text(at, len);
        }
        let [a, b, c, d, ..] = bytes;
        let word = u32::from_le_bytes([a, b, c, d]);
        let len = (word & 0x3f) | ((word & !0xff) >> 2);
        let start = self.follow(at + 4, at)?;
        self.text(start, len as usize)
    }

    fn text(&mut self, at: usize, len: usize) -> Result<Value, DecodeError> {
        let text = self.bytes("a text", at, len)?;
        self.text = self.text.checked_sub(len).ok_or(DecodeError::TooMuch { max: VALUES_MAX })?;
        let text = str::from_utf8(text).map_err(|_| DecodeError::NotText { at })?;
        Ok(text.into())
    }
}
