//! Families of metrics as OpenMetrics text.

use std::fmt;

use anyhow::{Context, Result};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::watch::latency::Buckets;

/// Names and values of labels.
pub(super) type Labels = Vec<(&'static str, String)>;

/// What one series is at.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Counter(u64),
    Gauge(f64),
    Histogram(Buckets),
    /// Its labels say all.
    Info(Labels),
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct Family {
    /// Without unit and `_total`, which the encoder adds.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<Unit>,
    pub(super) series: Vec<(Labels, Value)>,
}

impl Family {
    fn kind(&self) -> MetricType {
        match self.series.first() {
            Some((_, Value::Gauge(_))) => MetricType::Gauge,
            Some((_, Value::Histogram(_))) => MetricType::Histogram,
            Some((_, Value::Info(_))) => MetricType::Info,
            Some((_, Value::Counter(_))) | None => MetricType::Counter,
        }
    }
}

/// What is encoded at one scrape.
#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.0.iter().filter(|family| !family.series.is_empty()) {
            let Family { name, help, unit, .. } = family;
            let mut metric = encoder.encode_descriptor(name, help, unit.as_ref(), family.kind())?;
            for (labels, value) in &family.series {
                if labels.is_empty() {
                    put(&mut metric, value)?;
                } else {
                    put(&mut metric.encode_family(labels)?, value)?;
                }
            }
        }
        Ok(())
    }
}

fn put(metric: &mut MetricEncoder<'_>, value: &Value) -> fmt::Result {
    match value {
        Value::Counter(count) => metric.encode_counter::<NoLabelSet, _, f64>(count, None),
        Value::Gauge(value) => metric.encode_gauge(value),
        Value::Info(labels) => metric.encode_info(labels),
        Value::Histogram(buckets) => {
            let count = buckets.counts.iter().map(|(_, count)| count).sum();
            let to_seconds = |(ns, count): &(f64, u64)| (ns / 1e9, *count);
            let mut counts: Vec<(f64, u64)> = buckets.counts.iter().map(to_seconds).collect();
            counts.push((f64::INFINITY, 0));
            metric.encode_histogram::<NoLabelSet>(buckets.sum_ns / 1e9, count, &counts, None)
        }
    }
}

/// The text, whose end is marked.
pub(super) fn encode(families: Vec<Family>) -> Result<String> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)
        .context("cannot write the metrics as text")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_form() {
        let labels = || vec![("hub", "a\"b\\c\nd".to_owned())];
        let buckets = Buckets { sum_ns: 3000.0, counts: vec![(1000.0, 1), (2000.0, 1)] };
        let family = |name, unit, value| {
            let series = vec![(labels(), value)];
            Family { name, help: "Help.", unit, series }
        };
        let text = encode(vec![
            family("x_sent", Some(Unit::Bytes), Value::Counter(7)),
            family("x_links", None, Value::Gauge(2.0)),
            family("x_latency", Some(Unit::Seconds), Value::Histogram(buckets)),
            Family { name: "x", help: "Help.", unit: None, series: vec![] },
        ]);
        let expected = "\
# HELP x_sent_bytes Help.
# TYPE x_sent_bytes counter
# UNIT x_sent_bytes bytes
x_sent_bytes_total{LABELS} 7
# HELP x_links Help.
# TYPE x_links gauge
x_links{LABELS} 2.0
# HELP x_latency_seconds Help.
# TYPE x_latency_seconds histogram
# UNIT x_latency_seconds seconds
x_latency_seconds_sum{LABELS} 0.000003
x_latency_seconds_count{LABELS} 2
x_latency_seconds_bucket{le=\"0.000001\",LABELS} 1
x_latency_seconds_bucket{le=\"0.000002\",LABELS} 2
x_latency_seconds_bucket{le=\"+Inf\",LABELS} 2
# EOF
";
        let labels = r#"hub="a\"b\\c\nd""#;
        assert_eq!(text.expect("text"), expected.replace("LABELS", labels));
    }
}
