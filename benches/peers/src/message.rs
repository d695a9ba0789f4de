//! What is sent: every byte follows from a number, and every byte is checked.
//!
//! Word i of the *question* with number n is n + i; the last question of a phase has the highest
//! bit of n set. The *answer* is the same with every bit turned over. So a receiver that knows
//! which number is next knows every byte, and finds what is lost, repeated, old or damaged.

use std::mem::MaybeUninit;

const WORD: usize = size_of::<u64>();

/// Marks the last message of a phase.
const LAST: u64 = 1 << 63;

/// The shortest message.
pub(crate) const SHORTEST: usize = 2 * WORD;

/// A question or an answer, before its bytes are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    first: u64,
    mask: u64,
    len: usize,
    damaged: bool,
}

/// What a receiver has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The number that the message says that it has.
    pub(crate) number: u64,
    /// No more will come in this phase.
    pub(crate) last: bool,
    /// Length and all bytes are what that number says.
    pub(crate) right: bool,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From side A to side B.
    Question,
    /// The other way.
    Answer,
}

impl Kind {
    fn mask(self) -> u64 {
        match self {
            Kind::Question => 0,
            Kind::Answer => u64::MAX,
        }
    }
}

impl Message {
    /// Of `len` bytes, a multiple of eight.
    #[inline(always)]
    pub(crate) fn new(kind: Kind, number: u64, last: bool, len: usize) -> Message {
        let first = if last { number | LAST } else { number };
        Message { first, mask: kind.mask(), len, damaged: false }
    }

    /// With one bit in its last byte turned over, for tests of the check.
    #[inline(always)]
    pub(crate) fn damaged_if(self, damaged: bool) -> Message {
        Message { damaged, ..self }
    }

    /// Bytes.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline(always)]
    fn word(&self, index: usize) -> [u8; WORD] {
        (self.first.wrapping_add(index as u64) ^ self.mask).to_le_bytes()
    }

    /// Writes all of it.
    ///
    /// # Panics
    /// When there is not exactly the room that it takes.
    #[inline]
    pub(crate) fn write(&self, bytes: &mut [u8]) {
        assert!(bytes.len() == self.len, "room for {} bytes, not {}", bytes.len(), self.len);
        for (index, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().enumerate() {
            *word = self.word(index);
        }
        if self.damaged {
            bytes[self.len - 1] ^= 1;
        }
    }

    /// As [`write`](Message::write), where nothing has been written before.
    #[allow(dead_code, reason = "for systems that lend memory that is new, if any is built")]
    #[inline]
    pub(crate) fn write_new<'a>(&self, bytes: &'a mut [MaybeUninit<u8>]) -> &'a mut [u8] {
        assert!(bytes.len() == self.len, "room for {} bytes, not {}", bytes.len(), self.len);
        for (index, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().enumerate() {
            word.write_copy_of_slice(&self.word(index));
        }
        let bytes = written(bytes);
        if self.damaged {
            bytes[self.len - 1] ^= 1;
        }
        bytes
    }
}

/// Bytes that have all just been written by [`Message::write_new`]: lengths are multiples of
/// eight, so the words leave none out.
#[allow(unsafe_code)]
#[inline(always)]
fn written(bytes: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    assert!(bytes.len() % WORD == 0);
    // SAFETY: the only caller has written every word, and by the assertion there is no rest.
    unsafe { bytes.assume_init_mut() }
}

/// Looks at all bytes of a message that should have `len`. Without a branch between words, so
/// that it can go by vectors.
#[inline]
pub(crate) fn check(bytes: &[u8], kind: Kind, len: usize) -> Seen {
    let mask = kind.mask();
    let (words, rest) = bytes.as_chunks::<WORD>();
    let Some(first) = words.first().map(|word| u64::from_le_bytes(*word) ^ mask) else {
        return Seen { number: 0, last: false, right: false };
    };
    let difference = |(index, word): (usize, &[u8; WORD])| {
        u64::from_le_bytes(*word) ^ mask ^ first.wrapping_add(index as u64)
    };
    let different = words.iter().enumerate().map(difference).fold(0, |all, one| all | one);
    let right = bytes.len() == len && rest.is_empty() && different == 0;
    Seen { number: first & !LAST, last: first & LAST != 0, right }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for len in [16, 64, 1000] {
            for (kind, other) in [(Kind::Question, Kind::Answer), (Kind::Answer, Kind::Question)] {
                let mut bytes = vec![0; len];
                Message::new(kind, 77, true, len).write(&mut bytes);
                assert_eq!(check(&bytes, kind, len), Seen { number: 77, last: true, right: true });
                assert!(!check(&bytes, kind, len + 8).right, "its length counts");
                assert!(check(&bytes, other, len).number != 77, "its kind counts");
                for index in 0..len {
                    bytes[index] ^= 4;
                    assert!(!check(&bytes, kind, len).right, "byte {index} of {len}");
                    bytes[index] ^= 4;
                }
            }
        }
    }

    #[test]
    fn new_memory_gets_the_same_bytes() {
        let message = Message::new(Kind::Answer, 5, false, 64).damaged_if(true);
        let (mut old, mut new) = ([0; 64], [MaybeUninit::uninit(); 64]);
        message.write(&mut old);
        assert_eq!(message.write_new(&mut new), old);
        assert!(!check(&old, Kind::Answer, 64).right, "the damage shows");
    }
}
