//! Events that are raw bytes, of any size.

use ephapse::{Batch, Link, Received, SendError};

use super::Traffic;
use super::blocks::word_of;

const WORD: usize = size_of::<u64>();

/// Raw events of one size, written in place where that is possible.
#[derive(Debug)]
pub(in crate::bench) struct Raw {
    pub(super) size: usize,
    /// Where an event is put together that is not written in place.
    pub(super) scratch: Vec<u8>,
}

impl Raw {
    pub(in crate::bench) fn new(size: usize) -> Raw {
        Raw { size, scratch: vec![0; size] }
    }
}

pub(super) fn fill(bytes: &mut [u8], number: u64) {
    let (words, rest) = bytes.as_chunks_mut::<WORD>();
    for (index, word) in words.iter_mut().enumerate() {
        *word = word_of(number, index).to_le_bytes();
    }
    rest.copy_from_slice(&word_of(number, words.len()).to_le_bytes()[..rest.len()]);
}

/// Whether the bytes are those of a question, each turned over by `mask`. Without a branch in
/// between, so that it can go by vectors.
pub(super) fn is(bytes: &[u8], size: usize, number: u64, mask: u64) -> bool {
    let expected = |index| word_of(number, index) ^ mask;
    let (words, rest) = bytes.as_chunks::<WORD>();
    let difference =
        |(index, word): (usize, &[u8; WORD])| u64::from_le_bytes(*word) ^ expected(index);
    let different = words.iter().enumerate().map(difference).fold(0, |all, one| all | one);
    bytes.len() == size
        && different == 0
        && *rest == expected(words.len()).to_le_bytes()[..rest.len()]
}

impl Traffic for Raw {
    fn ask(&mut self, link: &mut Link, number: u64) -> Result<(), SendError> {
        let mut loan = link.loan(self.size)?;
        fill(&mut loan, number);
        loan.send();
        Ok(())
    }

    fn add(&mut self, batch: &mut Batch<'_>, number: u64) -> Result<(), SendError> {
        fill(&mut self.scratch, number);
        batch.send_bytes(&self.scratch)
    }

    fn answer(
        &mut self,
        link: &mut Link,
        question: &Received<'_>,
        number: u64,
    ) -> Result<bool, SendError> {
        let question = question.bytes();
        let mut loan = link.loan(question.len())?;
        for (answer, question) in loan.iter_mut().zip(question) {
            *answer = !question;
        }
        loan.send();
        Ok(is(question, self.size, number, 0))
    }

    fn is_question(&self, event: &Received<'_>, number: u64) -> bool {
        is(event.bytes(), self.size, number, 0)
    }

    fn is_answer(&self, event: &Received<'_>, number: u64) -> bool {
        is(event.bytes(), self.size, number, u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts() {
        for size in [8, 9, 100, 1001] {
            let mut bytes = vec![0; size];
            fill(&mut bytes, 77);
            assert!(is(&bytes, size, 77, 0));
            assert!(!is(&bytes, size, 78, 0) && !is(&bytes, size + 1, 77, 0));
            for index in 0..size {
                bytes[index] ^= 4;
                assert!(!is(&bytes, size, 77, 0), "byte {index} of {size}");
                bytes[index] ^= 4;
            }
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
            assert!(is(&bytes, size, 77, u64::MAX));
        }
    }
}
