//! What may be said in `#[event(…)]`, and what in `#[rkyv(…)]` makes a layout unknowable.
//!
//! Mistakes are gathered, not returned at the first, so that one run of the compiler shows them
//! all. Mistakes inside `#[rkyv(…)]` are left to rkyv, which reads the same attributes.

use proc_macro2::TokenTree;
use syn::{
    Attribute, Error, Ident, LitInt, LitStr, Meta, Path, Token, Type, Variant,
    meta::ParseNestedMeta, parenthesized, parse::Parse as _, parse_quote,
};

use crate::expand::Derive;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), Err)
    }
}

/// `#[event(…)]` on a type.
#[derive(Default)]
pub(crate) struct TypeAttributes {
    name: Option<LitStr>,
    version: Option<u32>,
    crate_path: Option<Path>,
}

impl TypeAttributes {
    pub(crate) fn read(attrs: &[Attribute], derive: Derive, errors: &mut Errors) -> Self {
        let mut this = Self::default();
        each_key(attrs, errors, |meta| {
            if meta.path.is_ident("crate") {
                let path = meta.value()?.parse::<LitStr>()?;
                return set(meta, &mut this.crate_path, path.parse_with(Path::parse_mod_style)?);
            }
            let (name, version) = (meta.path.is_ident("name"), meta.path.is_ident("version"));
            if !name && !version {
                return Err(meta.error(
                    "unknown key: on a type, `event` takes `name = \"…\"`, `version = …` and \
                     `crate = \"…\"`",
                ));
            }
            if derive == Derive::Schema {
                return Err(meta.error(
                    "only events have a name and a version: use `#[derive(Event)]`, or leave \
                     this out",
                ));
            }
            if name {
                let name = meta.value()?.parse::<LitStr>()?;
                return set(meta, &mut this.name, checked_text(name)?);
            }
            let version = meta.value()?.parse::<LitInt>()?;
            let number = version.base10_parse().map_err(|_| {
                Error::new_spanned(version, "a version is a number from 0 to 4294967295")
            })?;
            set(meta, &mut this.version, number)
        });
        refuse_rkyv_on_type(attrs, errors);
        this
    }

    /// The event's name: the one given, or that of the type.
    pub(crate) fn name_or(&self, type_name: &str) -> String {
        self.name.as_ref().map_or_else(|| type_name.to_owned(), LitStr::value)
    }

    /// The event's version, 1 unless given.
    pub(crate) fn version(&self) -> u32 {
        self.version.unwrap_or(1)
    }

    /// Where the crate `ephapse` is.
    pub(crate) fn crate_path(&self) -> Path {
        self.crate_path.clone().unwrap_or_else(|| parse_quote! { ::ephapse })
    }
}

/// `#[event(…)]` on a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    /// The layout text, where the type is not to be asked.
    pub(crate) layout: Option<LitStr>,
    /// Whether a field with such a text holds no relative pointer.
    pub(crate) flat: bool,
}

impl FieldAttributes {
    pub(crate) fn read(attrs: &[Attribute], errors: &mut Errors) -> Self {
        let mut this = Self::default();
        let mut flat = None;
        each_key(attrs, errors, |meta| {
            if meta.path.is_ident("layout") {
                let text = meta.value()?.parse::<LitStr>()?;
                set(meta, &mut this.layout, checked_text(text)?)
            } else if meta.path.is_ident("flat") {
                set(meta, &mut flat, meta.path.clone())
            } else {
                Err(meta
                    .error("unknown key: on a field, `event` takes `layout = \"…\"` and `flat`"))
            }
        });
        this.flat = flat.is_some();
        if let (Some(path), None) = (flat, &this.layout) {
            errors.push(Error::new_spanned(
                path,
                "`flat` says something about a layout text that is given: add `layout = \"…\"`",
            ));
        }
        if this.layout.is_none() {
            each_rkyv_key(attrs, |meta| {
                if meta.path.is_ident("with") {
                    errors.push(meta.error(
                        "`with` changes the archived form, so the layout cannot be told from the \
                         type: add `#[event(layout = \"…\")]` to this field",
                    ));
                }
                skip_value(meta)
            });
        }
        this
    }
}

/// Refuses `#[event(…)]` on a variant, where it would mean nothing.
pub(crate) fn refuse_on_variant(variant: &Variant, errors: &mut Errors) {
    for attr in variant.attrs.iter().filter(|attr| attr.path().is_ident("event")) {
        errors.push(Error::new_spanned(
            attr,
            "`event` attributes go on the type or on a field, not on a variant",
        ));
    }
}

/// Refuses what makes the archived form of the whole type something else than the type's own.
fn refuse_rkyv_on_type(attrs: &[Attribute], errors: &mut Errors) {
    each_rkyv_key(attrs, |meta| {
        if meta.path.is_ident("as") {
            errors.push(meta.error(
                "`as` makes another type the archived form, so the layout cannot be told from \
                 this one: use the other type as event, or give `#[event(layout = \"…\")]` to the \
                 fields that hold this one",
            ));
        }
        if meta.path.is_ident("attr") {
            let inner;
            parenthesized!(inner in meta.input);
            for attr in inner.parse_terminated(Meta::parse, Token![,])? {
                if attr.path().is_ident("repr") {
                    errors.push(Error::new_spanned(
                        attr,
                        "`repr` on the archived form changes its layout, which must be the one \
                         that follows from the fields",
                    ));
                }
            }
            return Ok(());
        }
        skip_value(meta)
    });
}

/// Calls `read` for each key in the `#[event(…)]` attributes.
fn each_key(
    attrs: &[Attribute],
    errors: &mut Errors,
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<(), Error>,
) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("event")) {
        let parsed = attr.parse_nested_meta(|meta| {
            read(&meta).or_else(|error| {
                errors.push(error);
                skip_to_comma(&meta)
            })
        });
        if let Err(error) = parsed {
            errors.push(error);
        }
    }
}

/// Calls `read` for each key in the `#[rkyv(…)]` attributes, as far as they can be parsed.
fn each_rkyv_key(
    attrs: &[Attribute],
    mut read: impl FnMut(&ParseNestedMeta<'_>) -> Result<(), Error>,
) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("rkyv")) {
        // What does not parse here does not parse in rkyv's derive, which says so.
        let _ = attr.parse_nested_meta(|meta| read(&meta));
    }
}

/// Steps over the value of a key of rkyv's: `= Type`, `(…)` or nothing.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    if meta.input.parse::<Option<Token![=]>>()?.is_some() {
        meta.input.parse::<Type>()?; // may hold commas between angle brackets
    }
    skip_to_comma(meta)
}

fn skip_to_comma(meta: &ParseNestedMeta<'_>) -> Result<(), Error> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn set<T>(meta: &ParseNestedMeta<'_>, slot: &mut Option<T>, value: T) -> Result<(), Error> {
    if slot.is_some() {
        let key = meta.path.get_ident().map_or_else(String::new, Ident::to_string);
        return Err(meta.error(format!("`{key}` is given twice")));
    }
    *slot = Some(value);
    Ok(())
}

/// Takes a text that a C program can spell: not empty, no zero byte, nothing invisible.
fn checked_text(text: LitStr) -> Result<LitStr, Error> {
    let value = text.value();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(Error::new_spanned(
            text,
            "this text is hashed into the schema id: it may not be empty or hold control \
             characters",
        ));
    }
    Ok(text)
}
