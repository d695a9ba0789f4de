//! A ring of a source, until it is known where to begin, and then.

use super::Trouble;
use crate::hub::state::SlotGuard;
use crate::ring::{Fencing, JOINING, LEFT, Position};
use crate::segment::RingMemory;
use core::sync::atomic::Ordering;

/// A ring to be read, before and after it is settled where to begin.
#[derive(Debug)]
pub(crate) enum Port<R> {
    /// There is none, or no longer.
    Shut,
    /// The writer says where, in a word of its own, before it writes anything for us.
    Waiting {
        memory: RingMemory,
        /// Where we say how far we have read.
        cursor: Position,
        slot: SlotGuard,
        start: Option<Position>,
        fencing: Fencing,
    },
    /// With the slot that is given back when it is shut.
    Open(R, #[allow(dead_code)] Option<SlotGuard>),
}

type Beginning = (RingMemory, Position, SlotGuard, u64, Fencing);

/// All that it takes to read a ring, once its writer has said where to begin.
pub(super) fn begin<R>(port: &mut Port<R>) -> Result<Option<Beginning>, Trouble> {
    let Port::Waiting { start: Some(word), .. } = port else { return Ok(None) };
    // SYNC(start): pairs with the release in `Outlet::admit`; what lies before was written.
    let start = word.word().load(Ordering::Acquire);
    // Left: the writer has heard that our hub is gone, and there is nothing more to come.
    if start == JOINING || start == LEFT {
        return Ok(None);
    }
    if !start.is_multiple_of(64) || start >= 1 << 63 {
        return Err(Trouble::Corrupt(format!("reading is to begin at {start}")));
    }
    let Port::Waiting { memory, cursor, slot, fencing, .. } = std::mem::replace(port, Port::Shut)
    else {
        return Ok(None); // not reached: it was looked at above
    };
    Ok(Some((memory, cursor, slot, start, fencing)))
}
