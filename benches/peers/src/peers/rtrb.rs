//! rtrb: a ring between two threads of one process.

use std::mem::MaybeUninit;

use anyhow::Result;
use rtrb::{Consumer, Producer, RingBuffer};

use super::{locked_version, meeting::Meeting};
use crate::message::Message;
use crate::peer::{Mode, Peer, Setup, System, Wait, spin_for_room, spin_to_hear};
use crate::serve::serve;

/// Two rings of bytes, one each way.
pub(crate) const SYSTEM: System = System {
    name: "rtrb",
    about: "two rings of bytes; messages written and read in place through its chunks",
    ours: false,
    in_process: true,
    modes: &[Mode { wait: Wait::Spin, helpers: 0 }],
    version: || locked_version("rtrb"),
    serve: Some(serve::<Rings>),
    daemon: None,
};

/// As many bytes as the ring of a link has at least.
const CAPACITY: usize = 1 << 16;

/// Messages of the greatest length for which there is room.
const ROOM: usize = 4;

static MEETING: Meeting<Rings> = Meeting::new();

struct Rings {
    out: Producer<u8>,
    back: Consumer<u8>,
    /// For messages that go round the end of the ring.
    scratch: Vec<u8>,
}

impl Peer for Rings {
    fn connect(setup: &Setup) -> Result<Rings> {
        MEETING.meet(setup.side, || {
            let capacity = (ROOM * setup.longest).max(CAPACITY);
            let ((to_b, from_a), (to_a, from_b)) =
                (RingBuffer::new(capacity), RingBuffer::new(capacity));
            let scratch = || vec![0; setup.longest];
            (
                Rings { out: to_b, back: from_b, scratch: scratch() },
                Rings { out: to_a, back: from_a, scratch: scratch() },
            )
        })
    }

    #[inline(always)]
    fn send(&mut self, message: Message) -> Result<()> {
        spin_for_room(|| {
            let Ok(mut chunk) = self.out.write_chunk_uninit(message.len()) else {
                return Ok(false);
            };
            let (first, second) = chunk.as_mut_slices();
            if second.is_empty() {
                message.write_new(first);
            } else {
                let scratch = &mut self.scratch[..message.len()];
                message.write(scratch);
                let (start, end) = scratch.split_at(first.len());
                copy(start, first);
                copy(end, second);
            }
            commit(chunk);
            Ok(true)
        })
    }

    #[inline(always)]
    fn receive(&mut self, len: usize, mut read: impl FnMut(&[u8])) -> Result<bool> {
        spin_to_hear(|| {
            let Ok(chunk) = self.back.read_chunk(len) else {
                return Ok(false);
            };
            let (first, second) = chunk.as_slices();
            if second.is_empty() {
                read(first);
            } else {
                let (start, end) = self.scratch[..len].split_at_mut(first.len());
                start.copy_from_slice(first);
                end.copy_from_slice(second);
                read(&self.scratch[..len]);
            }
            chunk.commit_all();
            Ok(true)
        })
    }
}

fn copy(from: &[u8], to: &mut [MaybeUninit<u8>]) {
    to.write_copy_of_slice(from);
}

/// Publishes a chunk that has been written in full.
#[allow(unsafe_code)]
#[inline(always)]
fn commit(chunk: rtrb::chunks::WriteChunkUninit<'_, u8>) {
    // SAFETY: the only caller has written both of its slices from end to end, or panicked.
    unsafe { chunk.commit_all() }
}
