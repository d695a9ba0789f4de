//! What the bits of handles and of the states of slots mean.
//!
//! ```text
//!   handle   63  60 59            32 31        12 11   8 7      0
//!            ┌─────┬────────────────┬────────────┬──────┬────────┐
//!            │ 0xE │ number         │ slot       │ kind │ 0      │
//!            └─────┴────────────────┴────────────┴──────┴────────┘
//!   state    63            36 35             8 7    4 3     0
//!            ┌───────────────┬────────────────┬──────┬────────┐
//!            │ generation    │ times lent     │ kind │ stage  │
//!            └───────────────┴────────────────┴──────┴────────┘
//! ```
//!
//! The number of a handle is a generation, or the count of what was lent. Both begin anew after 2^28:
//! a handle that is used so many generations after it was freed is not found out.

const MARK: u64 = 0xE;
const NUMBER_MASK: u64 = (1 << 28) - 1;
const SLOT_MASK: u64 = (1 << 20) - 1;

/// Nothing is in the slot.
pub(super) const FREE: u64 = 0;
/// Nobody uses what is in it.
pub(super) const IDLE: u64 = 1;
/// Somebody does.
pub(super) const BUSY: u64 = 2;
/// A part of it is lent.
pub(super) const LENT: u64 = 3;

#[inline(always)]
pub(super) fn state(generation: u64, times_lent: u64, kind: u64, stage: u64) -> u64 {
    generation << 36 | times_lent << 8 | kind << 4 | stage
}

#[inline(always)]
pub(super) fn generation_of(state: u64) -> u64 {
    state >> 36
}

#[inline(always)]
pub(super) fn times_lent(state: u64) -> u64 {
    (state >> 8) & NUMBER_MASK
}

#[inline(always)]
pub(super) fn kind_of(state: u64) -> u64 {
    (state >> 4) & 0xF
}

#[inline(always)]
pub(super) fn stage_of(state: u64) -> u64 {
    state & 0xF
}

#[inline(always)]
pub(super) fn with_stage(state: u64, stage: u64) -> u64 {
    (state & !0xF) | stage
}

/// The generation after this one, or the count.
#[inline(always)]
pub(super) fn following(number: u64) -> u64 {
    (number + 1) & NUMBER_MASK
}

#[inline(always)]
pub(super) fn handle(number: u64, slot: usize, kind: u64) -> u64 {
    MARK << 60 | number << 32 | (slot as u64) << 12 | kind << 8
}

/// The number, kind and slot of what may be a handle.
#[inline(always)]
pub(super) fn parts(handle: u64) -> Option<(u64, u64, usize)> {
    let slot = (handle >> 12) & SLOT_MASK;
    let fits = handle >> 60 == MARK && handle & 0xFF == 0;
    fits.then_some(((handle >> 32) & NUMBER_MASK, (handle >> 8) & 0xF, slot as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_was_put_in() {
        for number in [0, 1, NUMBER_MASK] {
            for slot in [0, 1, SLOT_MASK as usize] {
                let handle = handle(number, slot, 14);
                assert_eq!(parts(handle), Some((number, 14, slot)));
                for bit in (0..8).chain(60..64) {
                    assert_eq!(parts(handle ^ 1 << bit), None);
                }
            }
            let state = state(number, NUMBER_MASK - number, 9, LENT);
            assert_eq!((generation_of(state), times_lent(state)), (number, NUMBER_MASK - number));
            assert_eq!((kind_of(state), stage_of(state)), (9, LENT));
            assert_eq!(stage_of(with_stage(state, BUSY)), BUSY);
        }
        assert_eq!((following(0), following(NUMBER_MASK)), (1, 0));
    }
}
