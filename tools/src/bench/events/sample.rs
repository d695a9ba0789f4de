//! The event of one cache line: 32 bytes, as a sensor would send them.

use ephapse::Event;
use rkyv::{Archive, Serialize};

use super::Probe;

/// Eight fields of different types, one of which can be invalid.
#[derive(Event, Archive, Serialize)]
#[event(name = "bench.Sample")]
pub(in crate::bench) struct Sample {
    number: u64,
    value: f64,
    weight: f32,
    code: u32,
    offset: i32,
    channel: u16,
    level: u8,
    urgent: bool,
}

const _: () = assert!(size_of::<ArchivedSample>() == 32);

impl Sample {
    /// What the answer to this must be.
    #[inline(always)]
    fn answered(self) -> Sample {
        Sample {
            number: self.number,
            value: -self.value,
            weight: self.weight + 1.0,
            code: !self.code,
            offset: self.offset.wrapping_neg(),
            channel: self.channel.rotate_left(1),
            level: self.level ^ 0x55,
            urgent: !self.urgent,
        }
    }
}

impl ArchivedSample {
    /// Reads every field.
    #[inline(always)]
    fn read(&self) -> Sample {
        Sample {
            number: self.number.to_native(),
            value: self.value.to_native(),
            weight: self.weight.to_native(),
            code: self.code.to_native(),
            offset: self.offset.to_native(),
            channel: self.channel.to_native(),
            level: self.level,
            urgent: self.urgent,
        }
    }

    /// Compares every field, without a branch in between.
    #[inline(always)]
    fn is(&self, expected: &Sample) -> bool {
        let found = self.read();
        (found.number == expected.number)
            & (found.value == expected.value)
            & (found.weight == expected.weight)
            & (found.code == expected.code)
            & (found.offset == expected.offset)
            & (found.channel == expected.channel)
            & (found.level == expected.level)
            & (found.urgent == expected.urgent)
    }
}

impl Probe for Sample {
    #[inline(always)]
    fn question(number: u64) -> Sample {
        Sample {
            number,
            value: f64::from(number as u32) * 0.5,
            weight: f32::from(number as u16),
            code: (number as u32).rotate_left(7),
            offset: (number >> 3) as i32,
            channel: number as u16,
            level: number as u8,
            urgent: number.is_multiple_of(2),
        }
    }

    #[inline(always)]
    fn answer(question: &ArchivedSample) -> Sample {
        question.read().answered()
    }

    #[inline(always)]
    fn is_question(archived: &ArchivedSample, number: u64) -> bool {
        archived.is(&Sample::question(number))
    }

    #[inline(always)]
    fn is_answer(archived: &ArchivedSample, number: u64) -> bool {
        archived.is(&Sample::question(number).answered())
    }
}
