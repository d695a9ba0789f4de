//! What the bits of a handle mean.
//!
//! ```text
//!   63 61 60          32 31  28 27        12 11   8 7      0
//!   ┌─────┬─────────────┬──────┬────────────┬──────┬────────┐
//!   │ 111 │ number      │ 0    │ slot       │ kind │ 0      │
//!   └─────┴─────────────┴──────┴────────────┴──────┴────────┘
//! ```
//!
//! The number counts what has been in the slot, or what that has lent. It begins anew after 2^29: a
//! handle that is used so many numbers after its time is not found out.

/// No address that a program can have begins like this.
const MARK: u64 = 7 << 61;
/// The lowest bit of the number, which is the highest part but for the mark.
const ONE: u64 = 1 << 32;
const KIND: u64 = 0xF << 8;
const SLOT_BITS: u32 = 16;
/// What is 0 in every handle.
const ZEROS: u64 = 0xF << 28 | 0xFF;

/// Slots that handles can name.
pub(super) const SLOTS: usize = 1 << SLOT_BITS;

/// The first handle of a slot; of no kind yet.
pub(super) fn first(slot: usize) -> u64 {
    MARK | (slot as u64) << 12
}

/// The handle with the next number.
#[inline(always)]
pub(super) fn following(handle: u64) -> u64 {
    // What the highest number carries into the mark is what it has there already.
    handle.wrapping_add(ONE) | MARK
}

pub(super) fn of_kind(handle: u64, kind: u64) -> u64 {
    (handle & !KIND) | kind << 8
}

pub(super) fn kind_of(handle: u64) -> u64 {
    (handle & KIND) >> 8
}

/// Below [`SLOTS`], whatever it is the slot of.
#[inline(always)]
pub(super) fn slot_of(handle: u64) -> usize {
    (handle >> 12) as usize % SLOTS
}

/// Whether it can be one.
pub(super) fn is_handle(number: u64) -> bool {
    number & MARK == MARK && number & ZEROS == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_was_put_in() {
        for slot in [0, 1, SLOTS - 1] {
            let mut handle = of_kind(first(slot), 14);
            for _ in 0..3 {
                assert!(is_handle(handle));
                assert_eq!((slot_of(handle), kind_of(handle)), (slot, 14));
                for bit in (0..8).chain(28..32).chain(61..64) {
                    assert!(!is_handle(handle ^ 1 << bit));
                }
                let next = following(handle);
                assert_ne!(next, handle);
                handle = next;
            }
            assert_eq!(kind_of(of_kind(handle, 3)), 3);
        }
    }

    #[test]
    fn numbers_begin_anew() {
        let last = of_kind(first(7) | (ONE - 1) << 32 & !MARK, 5);
        assert_eq!(following(last), of_kind(first(7), 5));
        assert_eq!(following(following(last)), of_kind(first(7), 5) + ONE);
    }
}
