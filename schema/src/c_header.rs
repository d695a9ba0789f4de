//! The header for a program in C or C++ that exchanges events of a type.

use crate::EventType;
use crate::c_names::{Scope, c_name};
use crate::layout::{Field, Kind, Scalar, Type, Variant};
use core::fmt::Write as _;
use std::collections::HashMap;
use thiserror::Error;

/// Why a type cannot be a struct in C.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotInC {
    /// It points to something.
    #[error(
        "{place} is `{part}`, which points to bytes elsewhere in the payload: a C struct cannot \
         hold it; in Rust, make the type flat (an array of a fixed length, say)"
    )]
    Pointer {
        /// The field, with those that it is in.
        place: String,
        /// Its layout.
        part: String,
    },
    /// It has no bytes, and still its place matters.
    #[error("{place} is `{part}`, which has no bytes but an alignment: C cannot say that")]
    Empty {
        /// The field, with those that it is in.
        place: String,
        /// Its layout.
        part: String,
    },
}

impl EventType {
    /// The header: the type as a C struct whose size and offsets the compiler checks, and what
    /// `eph_schema` takes.
    ///
    /// # Errors
    ///
    /// [`NotInC`].
    pub fn c_header(&self) -> Result<String, NotInC> {
        supported(&self.layout, &self.name)?;
        let prefix = c_name(&self.name);
        let mut writer = Writer { prefix: prefix.clone(), ..Writer::default() };
        if self.layout.size > 0 {
            writer.root(&self.layout);
        }
        let (name, version, id) = (&self.name, self.version, self.id);
        let (macros, size) = (prefix.to_uppercase(), self.layout.size);
        let guard = format!("EPHAPSE_SCHEMA_{macros}_{version}_H");
        let wide = if writer.types.contains("128_t ") { WIDE } else { "" };
        let body = match size {
            0 => "\n/* It has no bytes: send it with length 0. */\n".to_owned(),
            _ => format!(
                "\n/* Clear it before it is filled: the gaps between fields are sent, too. */\n{}\n{}",
                writer.types.trim_start(),
                writer.asserts
            ),
        };
        Ok(format!(
            "/* The event {comment}, version {version}: {size} bytes. Made from its layout text by\n   \
             Ephapse; changes belong into the type in Rust. */\n\
             #ifndef {guard}\n#define {guard}\n\n\
             #include <stddef.h>\n#include <stdint.h>\n{ASSERT}\n\
             /* What eph_schema() takes, and what it computes from it. */\n\
             #define {macros}_NAME {}\n\
             #define {macros}_VERSION {version}u\n\
             #define {macros}_LAYOUT {}\n\
             #define {macros}_SCHEMA UINT64_C({id:#018x})\n{wide}{body}\n#endif\n",
            quoted(name),
            quoted(&self.layout.to_string()),
            comment = commented(name),
        ))
    }
}

/// What stops the compiler, in C99, C11 and C++.
const ASSERT: &str = "
#ifndef EPHAPSE_ASSERT
#ifdef __cplusplus
#define EPHAPSE_ASSERT static_assert
#else
#define EPHAPSE_ASSERT __extension__ _Static_assert
#endif
#endif
";

/// Numbers that C has under no common name.
const WIDE: &str = "
#ifndef EPHAPSE_WIDE_NUMBERS
#define EPHAPSE_WIDE_NUMBERS
__extension__ typedef unsigned __int128 eph_u128_t;
__extension__ typedef __int128 eph_i128_t;
#endif
";

/// Whether C can hold it; `place` is what to call it.
fn supported(ty: &Type, place: &str) -> Result<(), NotInC> {
    let all = |fields: &[Field], place: &str| {
        let each = |field: &Field| supported(&field.ty, &format!("{place}.{}", field.name));
        fields.iter().try_for_each(each)
    };
    match &ty.kind {
        _ if ty.size == 0 && ty.align > 1 => {
            Err(NotInC::Empty { place: place.to_owned(), part: ty.to_string() })
        }
        Kind::Scalar(_) => Ok(()),
        Kind::Tuple(fields) => all(fields, place),
        Kind::Array(of, _) => supported(of, &format!("{place}[]")),
        Kind::Option(value) => supported(&value.ty, place),
        Kind::Struct(_, fields) => all(fields.all(), place),
        Kind::Enum(_, variants) => {
            variants.iter().try_for_each(|v| all(v.fields.all(), &format!("{place}.{}", v.name)))
        }
        _ => Err(NotInC::Pointer { place: place.to_owned(), part: ty.to_string() }),
    }
}

/// Text as a literal: ASCII stays as it is, other bytes become octal, which ends after three digits.
fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => literal.extend(['\\', char::from(byte)]),
            b' '..=b'~' if byte != b'?' => literal.push(char::from(byte)),
            _ => {
                let _ = write!(literal, "\\{byte:03o}");
            }
        }
    }
    literal + "\""
}

/// Text that does not end a comment.
fn commented(text: &str) -> String {
    text.replace("*/", "* /").replace("/*", "/ *")
}

/// A name in the enum of one type, and what stands before a field's value.
const TAG: &str = "tag";

#[derive(Default)]
struct Writer {
    prefix: String,
    /// Names of the whole program.
    globals: Scope,
    /// Types that have been declared, by their layout text.
    known: HashMap<String, String>,
    types: String,
    asserts: String,
}

impl Writer {
    /// The type itself, which has the event's name.
    fn root(&mut self, ty: &Type) {
        let name = self.globals.take(&format!("{}_t", self.prefix));
        if matches!(ty.kind, Kind::Struct(..) | Kind::Enum(..)) {
            self.known.insert(ty.to_string(), name.clone());
            // The names of the types inside are found behind the event's own.
            self.declare(ty, &name);
        } else {
            let declared = self.declarator(ty, &name, "");
            let _ = write!(self.types, "\ntypedef {declared};\n");
            self.assert_size(&name, ty);
            self.assert_parts(&name, ty);
        }
    }

    /// The name of a struct or an enum, which is declared if it is new.
    fn name_of(&mut self, ty: &Type, name: &str) -> String {
        let text = ty.to_string();
        if let Some(known) = self.known.get(&text) {
            return known.clone();
        }
        let name = self.globals.take(&format!("{}_{name}_t", self.prefix));
        self.known.insert(text, name.clone());
        self.declare(ty, &name);
        name
    }

    fn declare(&mut self, ty: &Type, name: &str) {
        match &ty.kind {
            Kind::Struct(_, fields) => {
                let members = self.members(fields.all(), &mut Scope::default(), "    ");
                let _ = write!(self.types, "\ntypedef struct {name} {{\n{members}}} {name};\n");
            }
            Kind::Enum(_, variants) => self.declare_enum(ty, variants, name),
            _ => {}
        }
        self.assert_size(name, ty);
        self.assert_parts(name, ty);
    }

    fn declare_enum(&mut self, ty: &Type, variants: &[Variant], name: &str) {
        let stem = name.strip_suffix("_t").unwrap_or(name);
        let mut constants = String::new();
        for variant in variants {
            let constant = self.globals.take(&format!("{stem}_{}", variant.name));
            let _ = writeln!(constants, "    {constant} = {},", variant.tag);
        }
        let declared = if ty.size == 1 {
            format!("typedef uint8_t {name}; /* one of these: */\nenum {{\n{constants}}};\n")
        } else {
            let mut members = String::new();
            let mut scope = Scope::default();
            let _ = writeln!(members, "    uint8_t {}; /* which it is: */", scope.take(TAG));
            for variant in variants.iter().filter(|variant| has_bytes(variant.fields.all())) {
                let mut inner = Scope::default();
                let tag = inner.take(TAG);
                let fields = self.members(variant.fields.all(), &mut inner, "        ");
                let name = scope.take(&variant.name);
                let _ = write!(
                    members,
                    "    struct {{\n        uint8_t {tag};\n{fields}    }} {name};\n"
                );
            }
            format!(
                "typedef union {name} {{\n{members}}} {name};\nenum {{ /* its tags */\n{constants}}};\n"
            )
        };
        let _ = write!(self.types, "\n{declared}");
    }

    fn members(&mut self, fields: &[Field], scope: &mut Scope, indent: &str) -> String {
        let mut text = String::new();
        for field in fields {
            if field.ty.size == 0 {
                let about = commented(&format!("{}: {}", field.name, field.ty));
                let _ = writeln!(text, "{indent}/* {about}, which has no bytes */");
                continue;
            }
            let name = scope.take(&field.name);
            let declared = self.declarator(&field.ty, &name, indent);
            let _ = writeln!(text, "{indent}{declared};{}", remark(&field.ty));
        }
        text
    }

    /// `uint64_t name[3]`.
    fn declarator(&mut self, ty: &Type, name: &str, indent: &str) -> String {
        let deeper = format!("{indent}    ");
        let own = match &ty.kind {
            Kind::Array(of, len) => {
                return self.declarator(of, &format!("{name}[{len}]"), indent);
            }
            Kind::Scalar(scalar) => c_scalar(*scalar).to_owned(),
            Kind::Struct(own, _) | Kind::Enum(own, _) => self.name_of(ty, own),
            Kind::Tuple(parts) => {
                let members = self.members(parts, &mut Scope::default(), &deeper);
                format!("struct {{\n{members}{indent}}}")
            }
            Kind::Option(value) => {
                let value = core::slice::from_ref(&**value);
                let members = self.members(value, &mut Scope::default(), &deeper);
                format!(
                    "struct {{\n{deeper}uint8_t some; /* 0: no value, 1: this one */\n\
                     {members}{indent}}}"
                )
            }
            // `supported` has refused them.
            Kind::String | Kind::Vec(_) | Kind::Box(_) | Kind::BoxedText | Kind::BoxedSlice(_) => {
                format!("struct {{ uint32_t pointer[{}]; }}", ty.size / 4)
            }
        };
        // The dimensions of arrays of arrays come in the order of the brackets.
        format!("{own} {name}")
    }

    fn assert_size(&mut self, name: &str, ty: &Type) {
        let size = ty.size;
        let _ = writeln!(
            self.asserts,
            "EPHAPSE_ASSERT(sizeof({name}) == {size}, \"{name} has {size} bytes\");"
        );
    }

    /// Where the parts of a type lie, also those that have no type of their own in C.
    fn assert_parts(&mut self, name: &str, ty: &Type) {
        let plain = Scope::default();
        match &ty.kind {
            Kind::Struct(_, fields) => self.assert_fields(name, fields.all(), plain, "", 0),
            Kind::Enum(_, variants) if ty.size > 1 => {
                let mut scope = Scope::default();
                scope.take(TAG);
                for variant in variants.iter().filter(|variant| has_bytes(variant.fields.all())) {
                    let mut inner = Scope::default();
                    inner.take(TAG);
                    let path = format!("{}.", scope.take(&variant.name));
                    self.assert_fields(name, variant.fields.all(), inner, &path, 0);
                }
            }
            Kind::Tuple(parts) => self.assert_fields(name, parts, plain, "", 0),
            Kind::Option(value) => {
                self.assert_fields(name, core::slice::from_ref(value), plain, "", 0);
            }
            _ => {}
        }
    }

    fn assert_fields(
        &mut self,
        name: &str,
        fields: &[Field],
        mut scope: Scope,
        path: &str,
        base: usize,
    ) {
        for field in fields.iter().filter(|field| field.ty.size > 0) {
            let member = format!("{path}{}", scope.take(&field.name));
            let offset = base + field.offset;
            let _ = writeln!(
                self.asserts,
                "EPHAPSE_ASSERT(offsetof({name}, {member}) == {offset}, \"{member} is at {offset}\");"
            );
            match &field.ty.kind {
                Kind::Tuple(parts) => {
                    let path = format!("{member}.");
                    self.assert_fields(name, parts, Scope::default(), &path, offset);
                }
                Kind::Option(value) => {
                    let (path, value) = (format!("{member}."), core::slice::from_ref(&**value));
                    self.assert_fields(name, value, Scope::default(), &path, offset);
                }
                _ => {}
            }
        }
    }
}

fn has_bytes(fields: &[Field]) -> bool {
    fields.iter().any(|field| field.ty.size > 0)
}

/// What C's type does not say.
fn remark(ty: &Type) -> &'static str {
    match &ty.kind {
        Kind::Scalar(Scalar::Bool) => " /* 0 or 1 */",
        Kind::Scalar(Scalar::Char) => " /* a Unicode scalar value */",
        Kind::Array(of, _) => remark(of),
        _ => "",
    }
}

fn c_scalar(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool | Scalar::Unsigned(1) => "uint8_t",
        Scalar::Char | Scalar::Unsigned(4) => "uint32_t",
        Scalar::Unsigned(2) => "uint16_t",
        Scalar::Unsigned(8) => "uint64_t",
        Scalar::Unsigned(_) => "eph_u128_t",
        Scalar::Signed(1) => "int8_t",
        Scalar::Signed(2) => "int16_t",
        Scalar::Signed(4) => "int32_t",
        Scalar::Signed(8) => "int64_t",
        Scalar::Signed(_) => "eph_i128_t",
        Scalar::Float(4) => "float",
        Scalar::Float(_) => "double",
    }
}
