//! A type as a tree, with the size, alignment and offsets of its archived form.

use crate::parse::ParseError;
use core::fmt;

/// Bytes of the largest type: the largest payload is half of the largest ring, this is far above.
const SIZE_MAX: usize = 1 << 30;

/// A type, and what its archived form takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Type {
    /// What it is.
    pub kind: Kind,
    /// Bytes of its archived form, without what that points to.
    pub size: usize,
    /// What its place is a multiple of.
    pub align: usize,
}

/// What a type is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A number, a truth value or a character.
    Scalar(Scalar),
    /// `()`, `(A,)`, `(A,B)`.
    Tuple(Vec<Field>),
    /// `[T;3]`.
    Array(Box<Type>, usize),
    /// `option<T>`; the field is the value that there may be.
    Option(Box<Field>),
    /// `Pose{x:f64}`, `Pair(u8,u8)`, `Unit`.
    Struct(String, Fields),
    /// `enum Mode{Idle,Run(u32)}`.
    Enum(String, Vec<Variant>),
    /// `string`.
    String,
    /// `vec<T>`.
    Vec(Box<Type>),
    /// `box<T>`.
    Box(Box<Type>),
    /// `box<str>`.
    BoxedText,
    /// `box<[T]>`.
    BoxedSlice(Box<Type>),
}

/// What has no parts. All are little-endian, and aligned to their size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// A byte that is 0 or 1.
    Bool,
    /// Four bytes that are a Unicode scalar value.
    Char,
    /// So many bytes.
    Unsigned(usize),
    /// So many bytes, in two's complement.
    Signed(usize),
    /// So many bytes, as in IEEE 754.
    Float(usize),
}

/// A part of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name; `_0` and so on, if it has none.
    pub name: String,
    /// Where it begins, from the beginning of the whole.
    pub offset: usize,
    /// What it is.
    pub ty: Type,
}

/// The parts of a struct or a variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fields {
    /// `Unit`.
    None,
    /// `Pose{x:f64}`.
    Named(Vec<Field>),
    /// `Pair(u8,u8)`.
    Unnamed(Vec<Field>),
}

/// One of the things that an enum may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// The first byte of the enum when it is this.
    pub tag: u8,
    /// Whether the tag stands in the text, and is not simply the next.
    pub tag_given: bool,
    /// Its parts; they lie behind the tag.
    pub fields: Fields,
}

/// Fields with their types, before it is known where they lie.
pub(crate) type Unplaced = Vec<(String, Type)>;

/// How fields are written.
pub(crate) type Style = fn(Vec<Field>) -> Fields;

impl Fields {
    /// The fields, however they are written.
    #[must_use]
    pub fn all(&self) -> &[Field] {
        match self {
            Fields::None => &[],
            Fields::Named(fields) | Fields::Unnamed(fields) => fields,
        }
    }
}

impl Scalar {
    /// Bytes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Scalar::Bool => 1,
            Scalar::Char => 4,
            Scalar::Unsigned(size) | Scalar::Signed(size) | Scalar::Float(size) => size,
        }
    }

    /// The one with this name.
    pub(crate) fn named(name: &str) -> Option<Scalar> {
        let all = [1, 2, 4, 8, 16].into_iter();
        let numbers = all.flat_map(|size| [Scalar::Unsigned(size), Scalar::Signed(size)]);
        let others = [Scalar::Bool, Scalar::Char, Scalar::Float(4), Scalar::Float(8)];
        others.into_iter().chain(numbers).find(|scalar| scalar.to_string() == name)
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, size) = match self {
            Scalar::Bool => return f.write_str("bool"),
            Scalar::Char => return f.write_str("char"),
            Scalar::Unsigned(size) => ('u', size),
            Scalar::Signed(size) => ('i', size),
            Scalar::Float(size) => ('f', size),
        };
        write!(f, "{letter}{}", size * 8)
    }
}

impl Type {
    fn new(kind: Kind, size: usize, align: usize) -> Result<Type, ParseError> {
        if size > SIZE_MAX {
            return Err(ParseError::TooLarge { max: SIZE_MAX });
        }
        Ok(Type { kind, size, align })
    }

    pub(crate) fn scalar(scalar: Scalar) -> Type {
        Type { kind: Kind::Scalar(scalar), size: scalar.size(), align: scalar.size() }
    }

    /// What is a relative pointer, or a pointer and a length (or a short text in their place).
    pub(crate) fn pointer(kind: Kind) -> Type {
        let size = if matches!(kind, Kind::Box(_)) { 4 } else { 8 };
        Type { kind, size, align: 4 }
    }

    pub(crate) fn array(of: Type, len: usize) -> Result<Type, ParseError> {
        let size = of.size.checked_mul(len).ok_or(ParseError::TooLarge { max: SIZE_MAX })?;
        let align = of.align;
        Type::new(Kind::Array(Box::new(of), len), size, align)
    }

    pub(crate) fn tuple(parts: Vec<Type>) -> Result<Type, ParseError> {
        let (fields, size, align) = place(number(parts), 0)?;
        Type::new(Kind::Tuple(fields), size, align)
    }

    pub(crate) fn option(of: Type) -> Result<Type, ParseError> {
        let (mut fields, size, align) = place(vec![("value".to_owned(), of)], 1)?;
        Type::new(Kind::Option(Box::new(fields.remove(0))), size, align)
    }

    pub(crate) fn structure(
        name: String,
        fields: Unplaced,
        style: Style,
    ) -> Result<Type, ParseError> {
        let (fields, size, align) = place(fields, 0)?;
        Type::new(Kind::Struct(name, style(fields)), size, align)
    }

    /// An enum of variants, of which each has been placed behind a tag.
    pub(crate) fn enumeration(name: String, variants: Vec<Variant>) -> Result<Type, ParseError> {
        let fields = || variants.iter().flat_map(|variant| variant.fields.all());
        let align = fields().map(|field| field.ty.align).max().unwrap_or(1);
        let end = fields().map(|field| field.offset + field.ty.size).max().unwrap_or(1);
        Type::new(Kind::Enum(name, variants), end.next_multiple_of(align), align)
    }

    /// Whether it holds no relative pointer, so that it has the bytes of a C struct.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        match &self.kind {
            Kind::Scalar(_) => true,
            Kind::Tuple(fields) => fields.iter().all(|field| field.ty.is_flat()),
            Kind::Array(of, _) => of.is_flat(),
            Kind::Option(value) => value.ty.is_flat(),
            Kind::Struct(_, fields) => fields.all().iter().all(|field| field.ty.is_flat()),
            Kind::Enum(_, variants) => variants
                .iter()
                .all(|variant| variant.fields.all().iter().all(|field| field.ty.is_flat())),
            _ => false,
        }
    }
}

/// Names for fields that have none.
pub(crate) fn number(parts: Vec<Type>) -> Unplaced {
    parts.into_iter().enumerate().map(|(at, ty)| (format!("_{at}"), ty)).collect()
}

/// Puts fields one after the other as C does, from an offset on; with the size and the alignment of
/// the whole.
pub(crate) fn place(
    fields: Unplaced,
    start: usize,
) -> Result<(Vec<Field>, usize, usize), ParseError> {
    let (mut end, mut align) = (start, 1);
    let mut placed = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        let offset = end.next_multiple_of(ty.align);
        (end, align) = (offset + ty.size, align.max(ty.align));
        if end > SIZE_MAX {
            return Err(ParseError::TooLarge { max: SIZE_MAX });
        }
        placed.push(Field { name, offset, ty });
    }
    Ok((placed, end.next_multiple_of(align), align))
}
