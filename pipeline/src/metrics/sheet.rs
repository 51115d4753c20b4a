//! Families of samples on their way into a text: names, help, labels, values.

use super::histogram::Seen;
use prometheus_client::encoding::{CounterValueEncoder, GaugeValueEncoder};
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet};
use prometheus_client::metrics::MetricType;
use std::fmt;

/// Label names and values.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// A number that is written as exactly as it is known.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Value {
    Whole(u64),
    Signed(i64),
    Real(f64),
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Whole(u64::from(yes))
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => EncodeGaugeValue::encode(value, encoder),
            Self::Signed(value) => EncodeGaugeValue::encode(value, encoder),
            Self::Real(value) => EncodeGaugeValue::encode(value, encoder),
        }
    }
}

impl EncodeCounterValue for Value {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => EncodeCounterValue::encode(value, encoder),
            Self::Signed(value) => EncodeCounterValue::encode(&(*value as f64), encoder),
            Self::Real(value) => EncodeCounterValue::encode(value, encoder),
        }
    }
}

/// What is written to.
pub(super) struct Sheet<'e>(DescriptorEncoder<'e>);

impl<'e> Sheet<'e> {
    pub(super) fn new(encoder: DescriptorEncoder<'e>) -> Self {
        Self(encoder)
    }

    /// A family of gauges. A family without samples is left out.
    pub(super) fn gauge(&mut self, name: &str, help: &str, samples: &[(Labels<'_>, Value)]) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => family.encode_gauge(value)?,
                false => family.encode_family(&labels.as_slice())?.encode_gauge(value)?,
            }
        }
        Ok(())
    }

    /// A family of counters; `name` without the `_total` that their samples end with.
    pub(super) fn counter(&mut self, name: &str, help: &str, samples: &[(Labels<'_>, Value)]) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in samples {
            match labels.is_empty() {
                true => family.encode_counter::<NoLabelSet, _, f64>(value, None)?,
                false => {
                    family.encode_family(&labels.as_slice())?.encode_counter::<NoLabelSet, _, f64>(value, None)?;
                }
            }
        }
        Ok(())
    }

    /// A family of histograms.
    pub(super) fn histogram(&mut self, name: &str, help: &str, samples: &[(Labels<'_>, Seen)]) -> fmt::Result {
        if samples.is_empty() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, seen) in samples {
            let (sum, count) = (seen.sum, seen.count());
            match labels.is_empty() {
                true => family.encode_histogram::<NoLabelSet>(sum, count, &seen.buckets, None)?,
                false => family.encode_family(&labels.as_slice())?.encode_histogram::<NoLabelSet>(
                    sum,
                    count,
                    &seen.buckets,
                    None,
                )?,
            }
        }
        Ok(())
    }
}
