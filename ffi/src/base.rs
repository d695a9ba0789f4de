//! Versions, messages, schemas.

use crate::codes::Code;
use crate::described;
use crate::fault::{self, Fault};
use crate::memory::{In, Out};
use ephapse::event::schema::schema_id;
use std::ffi::{c_char, c_int};

/// `EPH_ABI` of the header.
const ABI: u32 = 0;

/// Refuses programs that were compiled for another ABI.
pub(crate) fn check_abi(abi: u32) -> Result<(), Fault> {
    if abi == ABI { Ok(()) } else { Err(Code::Abi.into()) }
}

/// `EPH_VERSION`
fn version() -> u32 {
    let part = |text: &str| text.parse::<u32>().unwrap_or(0);
    let (major, minor) = (env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"));
    part(major) << 16 | part(minor) << 8 | part(env!("CARGO_PKG_VERSION_PATCH"))
}

entries! {
    fn eph_version() -> u32, 0; { version() }

    fn eph_abi() -> u32, u32::MAX; { ABI }
}

entries! {
    fn eph_strerror(code: c_int) -> *const c_char, std::ptr::null(); {
        match Code::of(code) {
            Some(code) => code.text().as_ptr(),
            None if code == 0 => c"all is well".as_ptr(),
            None => c"not an error of this library".as_ptr(),
        }
    }

    fn eph_last_error_message() -> *const c_char, std::ptr::null(); { fault::message() }

    fn eph_last_missed() -> u64, 0; { fault::numbers().missed }

    fn eph_last_link() -> u64, 0; { fault::numbers().link }
}

entries! {
    fn eph_schema(
        name: In<u8>,
        name_len: usize,
        version: u32,
        layout: In<u8>,
        layout_len: usize,
        schema: Out<u64>,
    ) {
        let schema = schema.clear("schema")?;
        let name = name.text(name_len, "the name")?;
        let layout = layout.text(layout_len, "the layout")?;
        if has_stray_blank(layout) {
            return Err(Fault::invalid("a layout has no white space but the blank after `enum`"));
        }
        let id = schema_id(name, version, layout);
        if id == ephapse::event::RAW_SCHEMA {
            return Err(Fault::invalid("this schema hashes to 0; change the version"));
        }
        described::remember(id, name, version, layout);
        schema.set(id);
        Ok(())
    }
}

/// Whether there is white space in a layout that is not the blank behind the word `enum`.
fn has_stray_blank(layout: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    layout.match_indices(char::is_whitespace).any(|(at, blank)| {
        let before = layout[..at].strip_suffix("enum");
        blank != " " || before.is_none_or(|before| before.ends_with(part_of_name))
    })
}
