//! Writes the layout text and the `impl`s.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Data, DataEnum, DeriveInput, Error, Expr, Fields, Generics, Path, Type, ext::IdentExt as _,
    parse_quote_spanned, spanned::Spanned as _,
};

use crate::attributes::{Errors, FieldAttributes, TypeAttributes, refuse_on_variant};

/// Which of the two macros is at work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Derive {
    Event,
    Schema,
}

/// Turns a type's source into its `impl`s, or into compile errors.
pub(crate) fn expand(derive: Derive, input: TokenStream) -> TokenStream {
    syn::parse2(input)
        .and_then(|input| implement(derive, &input))
        .unwrap_or_else(Error::into_compile_error)
}

fn implement(derive: Derive, input: &DeriveInput) -> Result<TokenStream, Error> {
    let mut errors = Errors::default();
    let attributes = TypeAttributes::read(&input.attrs, derive, &mut errors);
    let krate = attributes.crate_path();
    let name = input.ident.unraw().to_string();

    if derive == Derive::Event && !input.generics.params.is_empty() {
        errors.push(Error::new_spanned(
            &input.generics.params,
            "an event is one type with one layout, so it has no generic parameters: derive \
             `Schema` here, and `Event` on a struct that holds this type with its parameters \
             filled in",
        ));
    }
    let mut text = LayoutText::new(krate.clone());
    match &input.data {
        Data::Struct(data) => {
            text.text(&name);
            text.fields(&data.fields, &mut errors);
        }
        Data::Enum(data) => {
            text.text(&format!("enum {name}"));
            text.variants(data, &mut errors);
        }
        Data::Union(data) => errors.push(Error::new(
            data.union_token.span,
            "a union does not say which of its fields it holds, so no reader could check it: use \
             an enum",
        )),
    }
    errors.finish()?;

    let generics = bounded(&input.generics, &krate);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let ident = &input.ident;
    let (layout, flat) = text.finish();
    let mut output = quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Schema for #ident #type_generics #where_clause {
            const LAYOUT: #krate::event::schema::Layout = #layout;
            const FLAT: ::core::primitive::bool = #flat;
        }
    };
    if derive == Derive::Event {
        let event_name = attributes.name_or(&name);
        let version = attributes.version();
        output.extend(quote! {
            #[automatically_derived]
            impl #krate::Event for #ident {
                const NAME: &'static ::core::primitive::str = #event_name;
                const VERSION: ::core::primitive::u32 = #version;
            }
        });
    }
    Ok(output)
}

/// Adds `T: Schema` to every type parameter.
fn bounded(generics: &Generics, krate: &Path) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        let span = in_expansion(parameter.ident.span());
        parameter.bounds.push(parse_quote_spanned! { span=> #krate::Schema });
    }
    generics
}

/// The place of `span`, marked as written by a macro: errors point at the user's code, and lints
/// about style leave it alone.
fn in_expansion(span: Span) -> Span {
    Span::call_site().located_at(span)
}

/// A layout text in the making: the calls on `Layout` that build it.
struct LayoutText {
    krate: Path,
    calls: TokenStream,
    /// Text that is not in `calls` yet, so that neighbours become one call.
    pending: String,
    /// What must hold for the type to be flat.
    flat: Vec<TokenStream>,
}

impl LayoutText {
    fn new(krate: Path) -> Self {
        let calls = quote! { #krate::event::schema::Layout::new() };
        Self { krate, calls, pending: String::new(), flat: Vec::new() }
    }

    fn text(&mut self, text: &str) {
        self.pending.push_str(text);
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let text = core::mem::take(&mut self.pending);
            self.calls.extend(quote! { .text(#text) });
        }
    }

    fn field_type(&mut self, ty: &Type) {
        self.flush();
        let krate = &self.krate;
        let span = in_expansion(ty.span());
        self.calls.extend(quote_spanned! { span=> .append(&<#ty as #krate::Schema>::LAYOUT) });
        self.flat.push(quote_spanned! { span=> <#ty as #krate::Schema>::FLAT });
    }

    /// Adds the value of a variant's tag, which the archived form keeps in one byte.
    fn tag(&mut self, value: &Expr) {
        self.flush();
        let span = in_expansion(value.span());
        self.calls.extend(quote_spanned! { span=>
            .number({
                const TAG: ::core::primitive::u8 = #value;
                TAG as ::core::primitive::usize
            })
        });
    }

    fn fields(&mut self, fields: &Fields, errors: &mut Errors) {
        let (open, close) = match fields {
            Fields::Named(_) => ("{", "}"),
            Fields::Unnamed(_) => ("(", ")"),
            Fields::Unit => return,
        };
        self.text(open);
        for (i, field) in fields.iter().enumerate() {
            if i > 0 {
                self.text(",");
            }
            if let Some(ident) = &field.ident {
                self.text(&format!("{}:", ident.unraw()));
            }
            let attributes = FieldAttributes::read(&field.attrs, errors);
            match attributes.layout {
                None => self.field_type(&field.ty),
                Some(layout) => {
                    self.text(&layout.value());
                    if !attributes.flat {
                        self.flat.push(quote! { false });
                    }
                }
            }
        }
        self.text(close);
    }

    fn variants(&mut self, data: &DataEnum, errors: &mut Errors) {
        self.text("{");
        for (i, variant) in data.variants.iter().enumerate() {
            if i > 0 {
                self.text(",");
            }
            refuse_on_variant(variant, errors);
            self.text(&variant.ident.unraw().to_string());
            self.fields(&variant.fields, errors);
            if let Some((_, value)) = &variant.discriminant {
                self.text("=");
                self.tag(value);
            }
        }
        self.text("}");
    }

    /// Gives the expressions for `LAYOUT` and `FLAT`.
    fn finish(mut self) -> (TokenStream, TokenStream) {
        self.flush();
        let flat = self.flat;
        let flat = if flat.is_empty() {
            quote! { true }
        } else {
            quote! { #(#flat)&&* }
        };
        (self.calls, flat)
    }
}
