//! A log of interval histograms, as HdrHistogram's own programs write and read it: version 2,
//! compressed, in nanoseconds, tagged with the name of the series.

use std::time::{Duration, SystemTime};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

use crate::{Error, Interval, Series};

/// The log of a run that began at `start`, with these lines as comments at its beginning. A series
/// without intervals is one interval.
///
/// # Errors
/// When a histogram cannot be written.
pub fn write(series: &[Series], start: SystemTime, comments: &[String]) -> Result<String, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Histogram(error.to_string());
    let mut builder = IntervalLogWriterBuilder::new();
    for comment in comments.iter().flat_map(|comment| comment.lines()) {
        builder.add_comment(&format!(" {comment}"));
    }
    builder.add_comment(" values in nanoseconds");
    // Times of intervals count from here.
    builder.with_start_time(start).with_base_time(start);
    let (mut bytes, mut serializer) = (Vec::new(), V2DeflateSerializer::new());
    {
        let begun = builder.begin_log_with(&mut bytes, &mut serializer);
        let mut writer = begun.map_err(|error| failed(&error))?;
        for (number, interval) in in_order(series) {
            let tag = tag(&series[number].name);
            let histogram = interval.times.in_ns();
            let (start, length) = (interval.start, interval.length);
            let written = writer.write_histogram(&histogram, start, length, Tag::new(&tag));
            written.map_err(|error| failed(&error))?;
        }
    }
    String::from_utf8(bytes).map_err(|error| failed(&error))
}

/// The intervals of all series by the time at which they began.
fn in_order(series: &[Series]) -> Vec<(usize, Interval)> {
    let mut all = Vec::new();
    for (number, one) in series.iter().enumerate() {
        if one.intervals.is_empty() {
            let whole = Interval {
                start: Duration::ZERO,
                length: Duration::ZERO,
                times: one.times.clone(),
            };
            all.push((number, whole));
        }
        all.extend(one.intervals.iter().map(|interval| (number, interval.clone())));
    }
    all.sort_by_key(|(_, interval)| interval.start);
    all
}

/// A name as a tag, in which some characters are not allowed.
fn tag(name: &str) -> String {
    name.replace([',', ' ', '\r', '\n'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Times;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn times(ns: impl Iterator<Item = u32>) -> Times {
        let mut times = Times::new();
        ns.for_each(|ns| times.record_ns(f64::from(ns)));
        times
    }

    #[test]
    fn a_log_is_read_back() {
        let interval = |second: u32, last: u32| Interval {
            start: Duration::from_secs(second.into()),
            length: Duration::from_secs(1),
            times: times(1..=last),
        };
        let series = [
            Series::of_intervals("10k, slow", vec![interval(0, 100), interval(2, 3000)]),
            Series::of_intervals("1M", vec![interval(1, 500)]),
            Series::new("whole", times(7..=7)),
        ];
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let log = write(&series, start, &["two\nlines".to_owned()]).unwrap();
        assert!(log.starts_with("# two\n# lines\n"), "{log}");
        let (mut found, mut starts) = (Vec::new(), 0);
        for entry in IntervalLogIterator::new(log.as_bytes()) {
            match entry.unwrap() {
                LogEntry::StartTime(time) => {
                    assert_eq!(time.as_secs(), 1_700_000_000);
                    starts += 1;
                }
                LogEntry::BaseTime(_) => {}
                LogEntry::Interval(interval) => {
                    use base64::Engine;
                    let bytes = base64::engine::general_purpose::STANDARD
                        .decode(interval.encoded_histogram())
                        .unwrap();
                    let histogram: Histogram<u64> =
                        Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
                    let tag = interval.tag().unwrap().as_str().to_owned();
                    found.push((tag, interval.start_timestamp().as_secs(), histogram.len()));
                }
            }
        }
        let expected =
            [("10k__slow", 0, 100), ("whole", 0, 1), ("1M", 1, 500), ("10k__slow", 2, 3000)];
        let expected = expected.map(|(tag, start, count)| (tag.to_owned(), start, count));
        assert_eq!((found, starts), (expected.to_vec(), 1));
    }
}
