//! Types as text: the layout text again, as Rust would declare them, as JSON.

use crate::EventType;
use crate::layout::{Field, Fields, Kind, Type, Variant};
use core::fmt::{self, Display, Write as _};
use serde_json::{Map, Value, json};

/// The layout text.
impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.fmt(f),
            Kind::Tuple(parts) if parts.len() == 1 => write!(f, "({},)", parts[0].ty),
            Kind::Tuple(parts) => unnamed(parts, f),
            Kind::Array(of, len) => write!(f, "[{of};{len}]"),
            Kind::Option(value) => write!(f, "option<{}>", value.ty),
            Kind::Struct(name, fields) => write!(f, "{name}{fields}"),
            Kind::Enum(name, variants) => {
                write!(f, "enum {name}{{")?;
                for (at, variant) in variants.iter().enumerate() {
                    write!(f, "{}{variant}", if at == 0 { "" } else { "," })?;
                }
                f.write_char('}')
            }
            Kind::String => f.write_str("string"),
            Kind::Vec(of) => write!(f, "vec<{of}>"),
            Kind::Box(of) => write!(f, "box<{of}>"),
            Kind::BoxedText => f.write_str("box<str>"),
            Kind::BoxedSlice(of) => write!(f, "box<[{of}]>"),
        }
    }
}

impl Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fields::None => Ok(()),
            Fields::Unnamed(parts) => unnamed(parts, f),
            Fields::Named(fields) => {
                f.write_char('{')?;
                for (at, field) in fields.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{}", field.name, field.ty)?;
                }
                f.write_char('}')
            }
        }
    }
}

impl Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, self.fields)?;
        if self.tag_given { write!(f, "={}", self.tag) } else { Ok(()) }
    }
}

fn unnamed(parts: &[Field], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_char('(')?;
    for (at, part) in parts.iter().enumerate() {
        write!(f, "{}{}", if at == 0 { "" } else { "," }, part.ty)?;
    }
    f.write_char(')')
}

impl EventType {
    /// The type and those inside of it, as Rust would declare them.
    #[must_use]
    pub fn rust(&self) -> String {
        let mut declared = Vec::new();
        declare(&self.layout, &mut declared);
        let (last, others) = declared.split_last().map_or(("", &[][..]), |(l, o)| (l, o));
        let mut text: String = others.iter().map(|one| format!("{one}\n\n")).collect();
        let size = self.layout.size;
        let _ = match self.layout.is_flat() {
            true => write!(text, "// schema {:#018x}, {size} bytes", self.id),
            false => {
                write!(text, "// schema {:#018x}, {size} bytes and what they point to", self.id)
            }
        };
        let (name, version) = (&self.name, self.version);
        let _ = write!(text, "\n#[event(name = {name:?}, version = {version})]\n{last}");
        text
    }

    /// Name, version, schema, size and fields with their places.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "schema": format!("{:016x}", self.id),
            "flat": self.layout.is_flat(),
            "layout": self.layout.to_string(),
            "type": describe(&self.layout),
        })
    }
}

/// Adds the structs and enums in a type, and then itself, each once.
fn declare(ty: &Type, declared: &mut Vec<String>) {
    let text = match &ty.kind {
        Kind::Scalar(_) | Kind::String | Kind::BoxedText => return,
        Kind::Tuple(fields) => return fields.iter().for_each(|f| declare(&f.ty, declared)),
        Kind::Array(of, _) | Kind::Vec(of) | Kind::Box(of) | Kind::BoxedSlice(of) => {
            return declare(of, declared);
        }
        Kind::Option(value) => return declare(&value.ty, declared),
        Kind::Struct(name, fields) => {
            fields.all().iter().for_each(|field| declare(&field.ty, declared));
            let end = if matches!(fields, Fields::Named(_)) { "" } else { ";" };
            format!("struct {name}{}{end}", rust_fields(fields, ""))
        }
        Kind::Enum(name, variants) => {
            let mut text = format!("enum {name} {{\n");
            for variant in variants {
                variant.fields.all().iter().for_each(|field| declare(&field.ty, declared));
                let tag =
                    if variant.tag_given { format!(" = {}", variant.tag) } else { String::new() };
                let fields = rust_fields(&variant.fields, "    ");
                let _ = writeln!(text, "    {}{fields}{tag},", variant.name);
            }
            text + "}"
        }
    };
    if !declared.contains(&text) {
        declared.push(text);
    }
}

fn rust_fields(fields: &Fields, indent: &str) -> String {
    let types = |fields: &[Field]| -> Vec<_> { fields.iter().map(|f| rust_name(&f.ty)).collect() };
    match fields {
        Fields::None => String::new(),
        Fields::Unnamed(fields) => format!("({})", types(fields).join(", ")),
        Fields::Named(fields) => {
            let line =
                |field: &Field| format!("{indent}    {}: {},\n", field.name, rust_name(&field.ty));
            format!(" {{\n{}{indent}}}", fields.iter().map(line).collect::<String>())
        }
    }
}

fn rust_name(ty: &Type) -> String {
    match &ty.kind {
        Kind::Scalar(scalar) => scalar.to_string(),
        Kind::Tuple(parts) => {
            let names: Vec<_> = parts.iter().map(|part| rust_name(&part.ty)).collect();
            format!("({}{})", names.join(", "), if parts.len() == 1 { "," } else { "" })
        }
        Kind::Array(of, len) => format!("[{}; {len}]", rust_name(of)),
        Kind::Option(value) => format!("Option<{}>", rust_name(&value.ty)),
        Kind::Struct(name, _) | Kind::Enum(name, _) => name.clone(),
        Kind::String => "String".to_owned(),
        Kind::Vec(of) => format!("Vec<{}>", rust_name(of)),
        Kind::Box(of) => format!("Box<{}>", rust_name(of)),
        Kind::BoxedText => "Box<str>".to_owned(),
        Kind::BoxedSlice(of) => format!("Box<[{}]>", rust_name(of)),
    }
}

/// A type in JSON: `kind`, `size`, `align`, and what it is made of.
fn describe(ty: &Type) -> Value {
    let (kind, more) = match &ty.kind {
        Kind::Scalar(scalar) => return sized(&scalar.to_string(), ty, json!({})),
        Kind::Tuple(parts) => ("tuple", json!({ "fields": described(parts) })),
        Kind::Array(of, len) => ("array", json!({ "of": describe(of), "len": len })),
        Kind::Option(value) => ("option", json!({ "fields": described(&[(**value).clone()]) })),
        Kind::Struct(name, fields) => {
            ("struct", json!({ "name": name, "fields": described(fields.all()) }))
        }
        Kind::Enum(name, variants) => {
            let variant = |v: &Variant| json!({ "name": v.name, "tag": v.tag, "fields": described(v.fields.all()) });
            let variants: Vec<_> = variants.iter().map(variant).collect();
            ("enum", json!({ "name": name, "variants": variants }))
        }
        Kind::String => ("string", json!({})),
        Kind::Vec(of) => ("vec", json!({ "of": describe(of) })),
        Kind::Box(of) => ("box", json!({ "of": describe(of) })),
        Kind::BoxedText => ("box<str>", json!({})),
        Kind::BoxedSlice(of) => ("box<[T]>", json!({ "of": describe(of) })),
    };
    sized(kind, ty, more)
}

fn sized(kind: &str, ty: &Type, more: Value) -> Value {
    let mut all = Map::new();
    all.insert("kind".to_owned(), kind.into());
    all.insert("size".to_owned(), ty.size.into());
    all.insert("align".to_owned(), ty.align.into());
    if let Value::Object(more) = more {
        all.extend(more);
    }
    Value::Object(all)
}

fn described(fields: &[Field]) -> Vec<Value> {
    let one = |field: &Field| json!({ "name": field.name, "offset": field.offset, "type": describe(&field.ty) });
    fields.iter().map(one).collect()
}
