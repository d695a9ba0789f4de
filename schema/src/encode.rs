//! JSON written as a payload of a flat type.

use crate::EventType;
use crate::layout::{Field, Fields, Kind, Scalar, Type, Variant};
use serde_json::{Map, Value};
use thiserror::Error;

/// Why a value is not one of the type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place} is {found}; expected {expected}")]
pub struct EncodeError {
    /// Which part of the value.
    pub place: String,
    /// What it should be.
    pub expected: String,
    /// What it is, in JSON, as far as it is short.
    pub found: String,
}

impl EventType {
    /// The payload that is this value: what [`decode`](Self::decode) makes of it again.
    ///
    /// # Errors
    ///
    /// [`EncodeError`]: it is not a value of the type, or the type is not flat.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, EncodeError> {
        let mut payload = vec![0; self.layout.size];
        encode(&self.layout, value, &mut payload, self.name())?;
        Ok(payload)
    }
}

fn wrong<T>(place: &str, expected: &str, value: &Value) -> Result<T, EncodeError> {
    let mut found = value.to_string();
    if found.chars().count() > 60 {
        found = found.chars().take(60).chain(['…']).collect();
    }
    Err(EncodeError { place: place.to_owned(), expected: expected.to_owned(), found })
}

/// `out` begins where the value does.
fn encode(ty: &Type, value: &Value, out: &mut [u8], place: &str) -> Result<(), EncodeError> {
    match (&ty.kind, value) {
        (Kind::Scalar(scalar), value) => encode_scalar(*scalar, value, out, place),
        (Kind::Tuple(parts), Value::Null) if parts.is_empty() => Ok(()),
        (Kind::Tuple(parts), value) => encode_list(parts, value, out, place),
        (Kind::Array(of, len), Value::Array(values)) if values.len() == *len => {
            for (index, value) in values.iter().enumerate() {
                encode(of, value, &mut out[index * of.size..], &format!("{place}[{index}]"))?;
            }
            Ok(())
        }
        (Kind::Array(_, len), value) => wrong(place, &format!("a list of {len}"), value),
        (Kind::Option(_), Value::Null) => Ok(()),
        (Kind::Option(inner), value) => {
            out[0] = 1;
            encode(&inner.ty, value, &mut out[inner.offset..], place)
        }
        (Kind::Struct(_, fields), value) => encode_fields(fields, value, out, place),
        (Kind::Enum(_, variants), value) => encode_variant(variants, value, out, place),
        (_, value) => wrong(place, &format!("a flat type, and {ty} points to something"), value),
    }
}

fn encode_scalar(
    scalar: Scalar,
    value: &Value,
    out: &mut [u8],
    place: &str,
) -> Result<(), EncodeError> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_i128(),
        // What is too long for a number in JSON.
        Value::String(text) if scalar.size() == 16 => text.parse().ok(),
        _ => None,
    };
    let expected = || format!("{scalar}");
    match (scalar, value) {
        (Scalar::Bool, Value::Bool(on)) => out[0] = u8::from(*on),
        (Scalar::Char, Value::String(text)) if text.chars().count() == 1 => {
            let letter = text.chars().next().map_or(0, u32::from);
            out[..4].copy_from_slice(&letter.to_le_bytes());
        }
        // Not a number and infinite have no name in JSON.
        (Scalar::Float(size), Value::Number(_) | Value::Null) => {
            let number = value.as_f64().unwrap_or(f64::NAN);
            match size {
                4 => out[..4].copy_from_slice(&(number as f32).to_le_bytes()),
                _ => out[..8].copy_from_slice(&number.to_le_bytes()),
            }
        }
        (Scalar::Unsigned(16), Value::String(text)) => match text.parse::<u128>() {
            Ok(number) => out[..16].copy_from_slice(&number.to_le_bytes()),
            Err(_) => return wrong(place, &expected(), value),
        },
        (Scalar::Unsigned(size) | Scalar::Signed(size), value) => {
            let bits = 8 * size as u32;
            let fits = |number: &i128| match scalar {
                Scalar::Unsigned(16) => *number >= 0,
                Scalar::Unsigned(_) => *number >= 0 && *number >> bits == 0,
                _ => matches!(*number >> (bits - 1), 0 | -1),
            };
            match number(value).filter(fits) {
                Some(number) => out[..size].copy_from_slice(&number.to_le_bytes()[..size]),
                None => return wrong(place, &expected(), value),
            }
        }
        (_, value) => return wrong(place, &expected(), value),
    }
    Ok(())
}

fn encode_list(
    parts: &[Field],
    value: &Value,
    out: &mut [u8],
    place: &str,
) -> Result<(), EncodeError> {
    match value {
        Value::Array(values) if values.len() == parts.len() => {
            for (index, (part, value)) in parts.iter().zip(values).enumerate() {
                encode(&part.ty, value, &mut out[part.offset..], &format!("{place}[{index}]"))?;
            }
            Ok(())
        }
        value => wrong(place, &format!("a list of {}", parts.len()), value),
    }
}

fn encode_fields(
    fields: &Fields,
    value: &Value,
    out: &mut [u8],
    place: &str,
) -> Result<(), EncodeError> {
    match (fields, value) {
        (Fields::None, Value::Null) => Ok(()),
        (Fields::None, value) => wrong(place, "null", value),
        (Fields::Unnamed(parts), value) => match &parts[..] {
            [only] => encode(&only.ty, value, &mut out[only.offset..], place),
            parts => encode_list(parts, value, out, place),
        },
        (Fields::Named(fields), Value::Object(values)) => encode_named(fields, values, out, place),
        (Fields::Named(_), value) => wrong(place, "an object", value),
    }
}

fn encode_named(
    fields: &[Field],
    values: &Map<String, Value>,
    out: &mut [u8],
    place: &str,
) -> Result<(), EncodeError> {
    let names = || fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ");
    for (name, value) in values {
        if !fields.iter().any(|field| field.name == *name) {
            return wrong(&format!("{place}.{name}"), &format!("only {}", names()), value);
        }
    }
    for field in fields {
        let place = format!("{place}.{}", field.name);
        let Some(value) = values.get(&field.name) else {
            let (expected, found) = (field.ty.to_string(), "missing".to_owned());
            return Err(EncodeError { place, expected, found });
        };
        encode(&field.ty, value, &mut out[field.offset..], &place)?;
    }
    Ok(())
}

fn encode_variant(
    variants: &[Variant],
    value: &Value,
    out: &mut [u8],
    place: &str,
) -> Result<(), EncodeError> {
    let named = |name: &str| variants.iter().find(|variant| variant.name == name);
    let (variant, inner) = match value {
        Value::String(name) => (named(name), &Value::Null),
        Value::Object(values) if values.len() == 1 => match values.iter().next() {
            Some((name, inner)) => (named(name), inner),
            None => (None, value),
        },
        value => (None, value),
    };
    let Some(variant) = variant else {
        let names: Vec<_> = variants.iter().map(|variant| variant.name.as_str()).collect();
        return wrong(place, &format!("one of {}", names.join(", ")), value);
    };
    out[0] = variant.tag;
    encode_fields(&variant.fields, inner, out, &format!("{place}.{}", variant.name))
}
