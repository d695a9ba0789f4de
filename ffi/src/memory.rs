//! The pointers of C. All that is read or written through one is here.
//!
//! # Safety
//!
//! A value of [`In`] or [`Out`] comes from a caller in C, and from nowhere else: they have no
//! constructor, and the functions of the header take them as their arguments. What such a pointer
//! must point to the header says, and the caller has promised to keep to it. What can be seen from
//! the pointer alone is checked: that it is not NULL, and aligned. Nothing is kept: what is read
//! lives as long as the argument, which is as long as the call.

#![allow(unsafe_code)]

use crate::codes::Code;
use crate::fault::Fault;
use std::ffi::c_void;

/// A struct of the header, or a number.
///
/// # Safety
///
/// It is `repr(C)` or `repr(transparent)` and has no padding, and every value of its bytes is one
/// of it; zeros are the default.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: numbers.
unsafe impl Plain for u8 {}
// SAFETY: a number.
unsafe impl Plain for i32 {}
// SAFETY: a number.
unsafe impl Plain for u32 {}
// SAFETY: a number.
unsafe impl Plain for u64 {}
// SAFETY: a number.
unsafe impl Plain for usize {}

/// A default: all zeros.
pub(crate) fn zeros<T: Plain>() -> T {
    // SAFETY: that is a value of a plain type.
    unsafe { std::mem::zeroed() }
}

/// What the caller lets us read during the call.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct In<T>(*const T);

/// Where the caller wants a result.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T);

/// Passed on to the caller's own functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct User(*mut c_void);

// SAFETY: it is never looked at; the header says on which threads it is passed on.
unsafe impl Send for User {}
// SAFETY: as above: all that is done with it is to copy it.
unsafe impl Sync for User {}

#[inline(always)]
fn check<T>(pointer: *const T, what: &'static str) -> Result<(), Fault> {
    if !pointer.is_null() && pointer.is_aligned() {
        return Ok(());
    }
    Err(impossible(pointer.is_null(), align_of::<T>(), what))
}

/// Why a pointer cannot be used.
#[cold]
fn impossible(is_null: bool, align: usize, what: &'static str) -> Fault {
    Fault::invalid(match is_null {
        true => format!("{what} is NULL"),
        false => format!("{what} is not aligned to {align} bytes"),
    })
}

impl<T: Plain> In<T> {
    /// `len` of them; NULL is allowed for none.
    #[inline(always)]
    pub(crate) fn slice(&self, len: usize, what: &'static str) -> Result<&[T], Fault> {
        if len == 0 {
            return Ok(&[]);
        }
        check(self.0, what)?;
        if len > isize::MAX as usize / size_of::<T>() {
            return Err(too_long(what));
        }
        // SAFETY: neither NULL nor misaligned, and of a length that can be; the caller has promised
        // the rest, for the time of the call.
        Ok(unsafe { std::slice::from_raw_parts(self.0, len) })
    }
}

#[cold]
fn too_long(what: &'static str) -> Fault {
    Fault::invalid(format!("{what} is longer than all memory"))
}

impl In<u8> {
    /// `len` bytes of UTF-8.
    pub(crate) fn text(&self, len: usize, what: &'static str) -> Result<&str, Fault> {
        let bytes = self.slice(len, what)?;
        std::str::from_utf8(bytes).map_err(|_| Fault::invalid(format!("{what} is not UTF-8")))
    }
}

impl<T: Plain> In<T> {
    /// A struct that begins with its size, as the caller knows it; NULL for the default. What the
    /// caller does not know is as if it were 0, and what we do not know must be.
    pub(crate) fn sized(&self, what: &'static str) -> Result<T, Fault> {
        let mut ours = zeros::<T>();
        if self.0.is_null() {
            return Ok(ours);
        }
        check(self.0, what)?;
        // SAFETY: structs that are read this way begin with their size.
        let size = unsafe { self.0.cast::<usize>().read() };
        if size < size_of::<usize>() || size > SIZE_MAX {
            let why = format!("{what} says that it has {size} bytes: was it initialised?");
            return Err(Fault::invalid(why));
        }
        let theirs = self.0.cast::<u8>();
        for at in size_of::<T>()..size {
            // SAFETY: inside of the caller's struct, as it says itself.
            let byte = unsafe { theirs.add(at) };
            // SAFETY: as above.
            if unsafe { byte.read() } != 0 {
                let why = "an option is set that this version of the library does not know";
                return Err(Fault::new(Code::Abi, why));
            }
        }
        let known = size.min(size_of::<T>());
        // SAFETY: inside of both structs, which do not overlap; a plain type takes any bytes.
        unsafe { std::ptr::copy_nonoverlapping(theirs, (&raw mut ours).cast::<u8>(), known) };
        Ok(ours)
    }
}

/// Longer than any struct of the header will ever be.
const SIZE_MAX: usize = 4096;

impl<T: Plain> Out<T> {
    /// Clears it, so that nobody uses what was there if the call fails.
    #[inline(always)]
    pub(crate) fn clear(self, what: &'static str) -> Result<Place<T>, Fault> {
        check(self.0, what)?;
        let place = Place(self.0);
        place.set(zeros());
        Ok(place)
    }

    /// The same; nothing if the caller does not want it.
    #[inline]
    pub(crate) fn clear_if_wanted(self, what: &'static str) -> Result<Option<Place<T>>, Fault> {
        if self.0.is_null() { Ok(None) } else { self.clear(what).map(Some) }
    }

    /// Has `fill` put something there, and clears it if that fails, so that nobody uses what was
    /// there before.
    #[inline(always)]
    pub(crate) fn filled_by(
        self,
        what: &'static str,
        fill: impl FnOnce(Place<T>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        check(self.0, what)?;
        let failure = Clear(Place(self.0));
        fill(failure.0)?;
        std::mem::forget(failure);
        Ok(())
    }

    /// What the caller has left there; nothing for NULL.
    #[inline(always)]
    pub(crate) fn peek(self, what: &'static str) -> Result<Option<T>, Fault> {
        if self.0.is_null() {
            return Ok(None);
        }
        check(self.0, what)?;
        // SAFETY: neither NULL nor misaligned; the caller has promised that there is one.
        Ok(Some(unsafe { self.0.read() }))
    }

    /// A struct that begins with its size, of which the part is filled in that the caller knows.
    pub(crate) fn fill_sized(self, value: &T, what: &'static str) -> Result<(), Fault> {
        check(self.0, what)?;
        // SAFETY: structs that are written this way begin with their size.
        let size = unsafe { self.0.cast::<usize>().read() };
        if size < size_of::<usize>() || size > SIZE_MAX {
            let why = format!("{what} says that it has {size} bytes: was it initialised?");
            return Err(Fault::invalid(why));
        }
        let rest = size.min(size_of::<T>()) - size_of::<usize>();
        // SAFETY: the caller's struct is longer than its first member.
        let to = unsafe { self.0.cast::<usize>().add(1) };
        // SAFETY: so is ours.
        let from = unsafe { std::ptr::from_ref(value).cast::<usize>().add(1) };
        // SAFETY: inside of both structs, which do not overlap; any bytes are a value of it.
        unsafe { std::ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), rest) };
        Ok(())
    }

    /// Puts as many of these as there is room for into an array.
    pub(crate) fn fill(self, room: usize, from: &[T], what: &'static str) -> Result<(), Fault> {
        let len = room.min(from.len());
        if len == 0 {
            return Ok(());
        }
        check(self.0, what)?;
        // SAFETY: there is room for so many, as the caller has promised; ours is no part of it.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), self.0, len) };
        Ok(())
    }
}

/// A checked [`Out`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<T>(*mut T);

impl<T: Plain> Place<T> {
    /// One of our own, which must outlive this.
    pub(crate) fn of(value: &mut T) -> Self {
        Self(value)
    }

    #[inline]
    pub(crate) fn set(self, value: T) {
        // SAFETY: neither NULL nor misaligned; the caller has promised that there is room.
        unsafe { self.0.write(value) };
    }
}

/// Clears what is not filled after all.
struct Clear<T: Plain>(Place<T>);

impl<T: Plain> Drop for Clear<T> {
    fn drop(&mut self) {
        self.0.set(zeros());
    }
}
