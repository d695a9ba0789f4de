//! The structs of the header. A test compares their sizes and offsets with what C makes of it.
//!
//! # Safety
//!
//! [`Plain`] is unsafe to implement. All are `repr(C)`, made of numbers, arrays of numbers and
//! pointers, with explicit padding.

#![allow(unsafe_code)]

use crate::memory::{In, Plain};
use std::ffi::c_void;
use std::ptr;

macro_rules! structs {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        #[repr(C)]

        pub(crate) struct $name { $(pub $field: $type),* }

        // SAFETY: see the top of the file.
        unsafe impl Plain for $name {}
    )*

        /// Size and alignment of each struct, and the offsets of its members, as the test
        /// below has C print them for the header's.
        #[cfg(test)]
        fn layouts() -> Vec<String> {
            vec![$({
                let mut line =
                    format!("{} {} {}", stringify!($name), size_of::<$name>(), align_of::<$name>());
                $(line += &format!(" {}={}", stringify!($field), std::mem::offset_of!($name, $field));)*
                line
            },)*]
        }
    };
}

/// The longest name of a hub, and a zero, in whole words.
pub(crate) const NAME_BYTES: usize = 72;
/// The longest subject, and a zero.
pub(crate) const SUBJECT_BYTES: usize = 256;
/// The longest label of a counter, and a zero, in whole words.
pub(crate) const LABEL_BYTES: usize = 56;

structs! {
    /// `eph_hub_options_t`
    HubOptions {
        size: usize,
        directory: In<u8>,
        directory_len: usize,
        wait: i32,
        timestamps: i32,
        spin_ns: i64,
        embedded_supervisor: i32,
        payloads: i32,
        largest_ring: u64,
        broadcast_capacity: u64,
        patience_ns: i64,
        links_for: i32,
        reserved: i32,
    }

    /// `eph_link_options_t`
    LinkOptions {
        size: usize,
        send_capacity: u64,
        receive_capacity: u64,
        timeout_ns: i64,
        huge_pages: i32,
        reserved: i32,
    }

    /// `eph_subscription_options_t`
    SubscriptionOptions {
        size: usize,
        flow: i32,
        wait: i32,
        spin_ns: i64,
    }

    /// `eph_pair_t`
    Pair {
        name: In<u8>,
        name_len: usize,
        value: In<u8>,
        value_len: usize,
    }

    /// `eph_pair_t` as a result.
    PairView {
        name: *const u8,
        name_len: usize,
        value: *const u8,
        value_len: usize,
    }

    /// `eph_extension_t`
    Extension {
        size: usize,
        reply_subject: In<u8>,
        reply_subject_len: usize,
        metadata: In<Pair>,
        metadata_count: usize,
        correlation: u64,
        deadline_ns: i64,
        attempts: u32,
        priority: u8,
        reserved: [u8; 3],
    }

    /// `eph_event_t`
    EventView {
        data: *const u8,
        len: usize,
        subject: *const u8,
        subject_len: usize,
        source: *const u8,
        source_len: usize,
        sequence: u64,
        schema: u64,
        link: u64,
        handle: u64,
    }

    /// `eph_event_details_t`
    EventDetails {
        size: usize,
        source_id: u64,
        destination: u64,
        correlation: u64,
        timestamp_ns: u64,
        deadline_ns: u64,
        reply_subject: *const u8,
        reply_subject_len: usize,
        attempts: u32,
        metadata_count: u32,
        priority: u8,
        in_place: u8,
        reserved: [u8; 6],
    }

    /// `eph_loan_t`
    LoanView {
        data: *mut u8,
        len: usize,
        handle: u64,
    }

    /// `eph_sent_t`
    Sent {
        path: u32,
        receivers: u32,
    }

    /// `eph_hub_info_t`
    HubInfo {
        name: [u8; NAME_BYTES],
        id: u64,
        pid: u32,
        uid: u32,
        links: u32,
        reserved: u32,
    }

    /// `eph_link_info_t`
    LinkInfo {
        opener: [u8; NAME_BYTES],
        acceptor: [u8; NAME_BYTES],
        id: u64,
    }

    /// `eph_subject_info_t`
    SubjectInfo {
        subject: [u8; SUBJECT_BYTES],
        id: u32,
        publishers: u32,
        subscriptions: u32,
        reserved: u32,
    }

    /// `eph_counter_t`
    Counter {
        label: [u8; LABEL_BYTES],
        value: u64,
    }

    /// `eph_link_state_t`
    LinkState {
        size: usize,
        peer: [u8; NAME_BYTES],
        id: u64,
        capacity: u64,
        max_payload: u64,
        is_open: i32,
        reserved: i32,
    }
}

/// A text in an array, with a zero behind it.
pub(crate) fn array<const N: usize>(text: &str) -> [u8; N] {
    let mut array = [0; N];
    let len = text.len().min(N - 1);
    array[..len].copy_from_slice(&text.as_bytes()[..len]);
    array
}

/// Where a text begins, and how long it is; NULL if there is none.
#[inline]
pub(crate) fn view(text: Option<&str>) -> (*const u8, usize) {
    text.map_or((ptr::null(), 0), |text| (text.as_ptr(), text.len()))
}

/// `eph_event_fn`
pub(crate) type EventFn = extern "C" fn(user: crate::memory::User, event: *mut EventView);
/// `eph_drop_fn`
pub(crate) type DropFn = extern "C" fn(user: crate::memory::User);
/// `eph_write_fn`
pub(crate) type WriteFn = extern "C" fn(user: crate::memory::User, data: *mut c_void, len: usize);

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    /// The names that the structs have in C.
    fn c_name(name: &str) -> String {
        let name = name.trim_end_matches("View");
        let words = name.chars().map(|c| match c.is_uppercase() {
            true => format!("_{}", c.to_lowercase()),
            false => c.to_string(),
        });
        format!("eph{}_t", words.collect::<String>())
    }

    /// A program in C that prints what `layouts` gives for the header's structs.
    fn program() -> String {
        let mut program = "#include <ephapse.h>\n#include <stdio.h>\nint main(void) {\n".to_owned();
        for line in layouts() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default();
            let c = c_name(name);
            let align = format!("offsetof(struct {{ char before; {c} it; }}, it)");
            program += &format!("printf(\"{name} %zu %zu\", sizeof({c}), {align});\n");
            for word in words.skip(2) {
                let field = word.split_once('=').map_or("", |(field, _)| field);
                program += &format!("printf(\" {field}=%zu\", offsetof({c}, {field}));\n");
            }
            program += "puts(\"\");\n";
        }
        program + "return 0;\n}\n"
    }

    #[test]
    fn structs_are_as_in_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let (source, binary) = (dir.path().join("layout.c"), dir.path().join("layout"));
        std::fs::write(&source, program()).unwrap();
        let mut compiler = Command::new("cc");
        compiler.arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("include"));
        assert!(compiler.arg("-o").arg(&binary).arg(&source).status().unwrap().success());
        let output = Command::new(&binary).output().unwrap();
        let found: Vec<_> =
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
        assert_eq!(found, layouts());
        assert_eq!(found.len(), 15);
    }
}
