//! The entry to every function: no panic leaves it, and its error is kept for the caller to ask.
//!
//! # Safety
//!
//! `no_mangle` is unsafe because two functions could have one name. All of ours begin with `eph_`,
//! and nobody else's should.

use crate::fault::Fault;
use std::any::Any;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Declares functions of the header. Their bodies give a `Result`, which C sees as 0 or a number of
/// the ledger; or, with `->` and a value for the case of a panic, whatever they give.
macro_rules! entries {
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $body:block)*) => {$(
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: $type),*) -> std::ffi::c_int {
            crate::abi::call(move || $body)
        }
    )*};
    ($($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty, $panicked:expr; $body:block)*) => {$(
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: $type),*) -> $result {
            crate::abi::value(move || $body).unwrap_or($panicked)
        }
    )*};
}

/// Calls what must not unwind into C. Its arguments are handles and pointers; what a handle stands
/// for may have been left in the middle of something, but never in a state that is unsound.
#[inline(always)]
pub(crate) fn call(body: impl FnOnce() -> Result<(), Fault>) -> c_int {
    let code = || match body() {
        Ok(()) => 0,
        Err(fault) => fault.keep(),
    };
    catch_unwind(AssertUnwindSafe(code)).unwrap_or_else(panicked)
}

/// The same for functions that give a value.
pub(crate) fn value<R>(body: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(body)).map_err(panicked).ok()
}

#[cold]
#[inline(never)]
fn panicked(panic: Box<dyn Any + Send>) -> c_int {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Fault::internal(text.unwrap_or("a panic without a message")).keep()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::Code;
    use crate::fault::message;

    #[test]
    #[allow(unsafe_code)]
    fn a_panic_is_an_error() {
        assert_eq!(call(|| Ok(())), 0);
        assert_eq!(call(|| Err(Code::Full.into())), Code::Full as i32);
        assert_eq!(call(|| panic!("number {}", 7)), Code::Internal as i32);
        // SAFETY: a message is a C string that is valid until the next error.
        let text = unsafe { std::ffi::CStr::from_ptr(message()) };
        assert_eq!(text, c"number 7");
        assert_eq!(value(|| 1), Some(1));
        assert_eq!(value(|| -> u8 { panic!("no message") }), None);
    }
}
