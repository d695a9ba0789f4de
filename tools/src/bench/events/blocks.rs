//! Events of other sizes: nothing but words.

use ephapse::Event;
use rkyv::rend::u64_le;
use rkyv::{Archive, Serialize};

use super::Probe;

/// The word at an index of a question.
#[inline(always)]
pub(super) fn word_of(number: u64, index: usize) -> u64 {
    number.wrapping_add(index as u64)
}

/// Whether all words are as expected. Without a branch in between, so that it can go by vectors.
#[inline(always)]
fn all(words: &[u64_le], expected: impl Fn(usize) -> u64) -> bool {
    let difference = |(index, word): (usize, &u64_le)| word.to_native() ^ expected(index);
    words.iter().enumerate().map(difference).fold(0, |all, one| all | one) == 0
}

macro_rules! blocks {
    ($($name:ident $archived:ident $bytes:literal)*) => {$(
        /// Words only.
        #[derive(Event, Archive, Serialize)]
        pub(in crate::bench) struct $name {
            words: [u64; $bytes / 8],
        }

        const _: () = assert!(size_of::<$archived>() == $bytes);

        impl Probe for $name {
            #[inline(always)]
            fn question(number: u64) -> $name {
                $name { words: std::array::from_fn(|index| word_of(number, index)) }
            }

            #[inline(always)]
            fn answer(question: &$archived) -> $name {
                $name { words: std::array::from_fn(|index| !question.words[index].to_native()) }
            }

            #[inline(always)]
            fn is_question(archived: &$archived, number: u64) -> bool {
                all(&archived.words, |index| word_of(number, index))
            }

            #[inline(always)]
            fn is_answer(archived: &$archived, number: u64) -> bool {
                all(&archived.words, |index| !word_of(number, index))
            }
        }
    )*};
}

blocks! {
    Block8 ArchivedBlock8 8
    Block16 ArchivedBlock16 16
    Block64 ArchivedBlock64 64
    Block128 ArchivedBlock128 128
    Block256 ArchivedBlock256 256
    Block512 ArchivedBlock512 512
    Block1024 ArchivedBlock1024 1024
    Block2048 ArchivedBlock2048 2048
    Block4096 ArchivedBlock4096 4096
    Block8192 ArchivedBlock8192 8192
    Block16384 ArchivedBlock16384 16384
    Block32768 ArchivedBlock32768 32768
    Block65536 ArchivedBlock65536 65536
}
