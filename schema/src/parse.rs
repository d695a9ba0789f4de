//! Layout texts read.

use crate::layout::{Fields, Kind, Scalar, Style, Type, Unplaced, Variant, number, place};
use core::str::FromStr;
use ephapse::limits::LAYOUT_TEXT_MAX;
use std::collections::HashSet;
use thiserror::Error;

/// How deep types may be inside of one another.
const DEPTH_MAX: usize = 64;

/// Why a text is not the layout of a type of which all bytes are known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Something else stands where something must stand.
    #[error("expected {expected} at byte {at} of the layout, found {}", found(.rest))]
    Unexpected {
        /// What may stand there.
        expected: &'static str,
        /// From the beginning of the text.
        at: usize,
        /// What follows there.
        rest: String,
    },
    /// Names of types begin with a capital letter; what does not was given by hand.
    #[error(
        "nothing is known of `{name}` but its name: it was given by hand, with \
         #[event(layout = \"…\")]"
    )]
    Unknown {
        /// What was found.
        name: String,
    },
    /// A type inside of which it is named again.
    #[error("`{name}` holds itself, which has no layout of a known size")]
    Recursive {
        /// The type.
        name: String,
    },
    /// Two fields or variants are called the same.
    #[error("`{name}` occurs twice in the same type")]
    Twice {
        /// What they are called, or their tag.
        name: String,
    },
    /// Nobody writes types like this.
    #[error("types are nested more than {max} deep")]
    TooDeep {
        /// How deep they may be.
        max: usize,
    },
    /// No payload could hold it.
    #[error("the type is larger than {max} bytes")]
    TooLarge {
        /// How large it may be.
        max: usize,
    },
    /// No type has such a text.
    #[error("a layout has {max} bytes at most, this has {len}")]
    TooLong {
        /// How long it is.
        len: usize,
        /// How long it may be.
        max: usize,
    },
}

fn found(rest: &str) -> String {
    if rest.is_empty() { "its end".to_owned() } else { format!("`{rest}`") }
}

impl FromStr for Type {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Type, ParseError> {
        if text.len() > LAYOUT_TEXT_MAX {
            return Err(ParseError::TooLong { len: text.len(), max: LAYOUT_TEXT_MAX });
        }
        let mut parser = Parser { text, at: 0, within: Vec::new(), depth: 0 };
        let ty = parser.ty()?;
        if parser.rest().is_empty() { Ok(ty) } else { Err(parser.unexpected("the end")) }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// The structs and enums that are being read.
    within: Vec<&'a str>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn unexpected(&self, expected: &'static str) -> ParseError {
        let rest = self.rest().chars().take(16).collect();
        ParseError::Unexpected { expected, at: self.at, rest }
    }

    /// Steps over `mark`, if it stands here.
    fn take(&mut self, mark: &str) -> bool {
        let here = self.rest().starts_with(mark);
        self.at += if here { mark.len() } else { 0 };
        here
    }

    fn expect(&mut self, mark: &'static str) -> Result<(), ParseError> {
        if self.take(mark) { Ok(()) } else { Err(self.unexpected(mark)) }
    }

    fn name(&mut self, expected: &'static str) -> Result<&'a str, ParseError> {
        let rest = self.rest();
        let ends = |c: char| "{}()[]<>,:;= ".contains(c) || c.is_control();
        let name = &rest[..rest.find(ends).unwrap_or(rest.len())];
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(self.unexpected(expected));
        }
        self.at += name.len();
        Ok(name)
    }

    fn number(&mut self) -> Result<usize, ParseError> {
        let rest = self.rest();
        let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        let plain = digits == "0" || !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| plain);
        let number = number.ok_or_else(|| self.unexpected("a number"))?;
        self.at += digits.len();
        Ok(number)
    }

    fn ty(&mut self) -> Result<Type, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::TooDeep { max: DEPTH_MAX });
        }
        let ty = if self.take("(") {
            self.tuple()
        } else if self.take("[") {
            let of = self.ty()?;
            self.array(of)
        } else if self.take("enum ") {
            self.enumeration()
        } else {
            self.named()
        }?;
        self.depth -= 1;
        Ok(ty)
    }

    fn tuple(&mut self) -> Result<Type, ParseError> {
        if self.take(")") {
            return Type::tuple(Vec::new());
        }
        let mut parts = vec![self.ty()?];
        if self.take(",)") {
            return Type::tuple(parts);
        }
        while parts.len() < 2 || !self.take(")") {
            self.expect(",")?;
            parts.push(self.ty()?);
        }
        Type::tuple(parts)
    }

    /// What begins with a name.
    fn named(&mut self) -> Result<Type, ParseError> {
        let name = self.name("a type")?;
        match self.rest().chars().next() {
            Some('<') => return self.generic(name),
            Some('{' | '(') => {}
            _ if name == "string" => return Ok(Type::pointer(Kind::String)),
            _ => {
                if let Some(scalar) = Scalar::named(name) {
                    return Ok(Type::scalar(scalar));
                }
                if self.within.contains(&name) {
                    return Err(ParseError::Recursive { name: name.to_owned() });
                }
                if !name.starts_with(char::is_uppercase) {
                    return Err(ParseError::Unknown { name: name.to_owned() });
                }
            }
        }
        self.within.push(name);
        let (fields, style) = self.fields()?;
        self.within.pop();
        Type::structure(name.to_owned(), fields, style)
    }

    fn generic(&mut self, name: &str) -> Result<Type, ParseError> {
        let start = self.at - name.len();
        self.expect("<")?;
        let ty = match name {
            "option" => Type::option(self.ty()?)?,
            "vec" => Type::pointer(Kind::Vec(Box::new(self.ty()?))),
            "box" if self.take("str>") => return Ok(Type::pointer(Kind::BoxedText)),
            "box" => self.boxed()?,
            _ => {
                self.at = start;
                return Err(self.unexpected("option, vec or box"));
            }
        };
        self.expect(">").map(|()| ty)
    }

    /// A slice looks like an array until its length is missing.
    fn boxed(&mut self) -> Result<Type, ParseError> {
        if !self.take("[") {
            return Ok(Type::pointer(Kind::Box(Box::new(self.ty()?))));
        }
        let of = self.ty()?;
        if self.take("]") {
            return Ok(Type::pointer(Kind::BoxedSlice(Box::new(of))));
        }
        Ok(Type::pointer(Kind::Box(Box::new(self.array(of)?))))
    }

    /// What follows the type of an array's elements.
    fn array(&mut self, of: Type) -> Result<Type, ParseError> {
        self.expect(";")?;
        let array = Type::array(of, self.number()?)?;
        self.expect("]").map(|()| array)
    }

    /// The fields of a struct or a variant whose name has just been read.
    fn fields(&mut self) -> Result<(Unplaced, Style), ParseError> {
        if self.take("(") {
            let mut parts = Vec::new();
            while !self.take(")") {
                if !parts.is_empty() {
                    self.expect(",")?;
                }
                parts.push(self.ty()?);
            }
            return Ok((number(parts), Fields::Unnamed));
        }
        if !self.take("{") {
            return Ok((Vec::new(), |_| Fields::None));
        }
        let (mut fields, mut names) = (Unplaced::new(), HashSet::new());
        while !self.take("}") {
            if !fields.is_empty() {
                self.expect(",")?;
            }
            let name = self.name("a field")?;
            if !names.insert(name) {
                return Err(ParseError::Twice { name: name.to_owned() });
            }
            self.expect(":")?;
            fields.push((name.to_owned(), self.ty()?));
        }
        Ok((fields, Fields::Named))
    }

    fn enumeration(&mut self) -> Result<Type, ParseError> {
        let name = self.name("the name of an enum")?;
        self.within.push(name);
        self.expect("{")?;
        let (mut variants, mut names) = (Vec::new(), HashSet::new());
        let (mut tags, mut next) = (HashSet::new(), 0);
        loop {
            let name = self.name("a variant")?;
            let (fields, style) = self.fields()?;
            let fields = style(place(fields, 1)?.0);
            let tag_given = self.take("=");
            let tag = if tag_given { self.number()? } else { next };
            let tag = u8::try_from(tag).map_err(|_| self.unexpected("a tag below 256"))?;
            if !names.insert(name) || !tags.insert(tag) {
                return Err(ParseError::Twice { name: name.to_owned() });
            }
            next = usize::from(tag) + 1;
            variants.push(Variant { name: name.to_owned(), tag, tag_given, fields });
            if self.take("}") {
                break;
            }
            self.expect(",")?;
        }
        self.within.pop();
        Type::enumeration(name.to_owned(), variants)
    }
}
