//! Metrics for Prometheus.
//!
//! Gauges are read at scrape from the facts that `status` is made of, so that the two cannot tell different stories; counters and histograms are
//! kept where things happen, in atomics ([`StreamMeters`], the queue's sync, the pool of writers). Labels are names of the configuration or
//! fixed words and never keys or documents, and at most [`MOST_STREAMS`] streams are labelled: the number of series is bounded whatever the
//! stores hold. Owns no threshold: what is too much is said by alert rules.

mod ages;
mod facts;
mod histogram;
mod meters;
mod process;
mod requests;
mod series;
mod sheet;
#[cfg(test)]
mod tests;
mod text;
mod told;

pub use ages::Ages;
pub(crate) use ages::look_after as look_after_ages;
pub use facts::Facts;
pub use histogram::{Histogram, Seen};
pub use meters::StreamMeters;
pub use requests::Requests;
pub use text::TextFormat;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

/// Most streams that have series of their own; of those beyond, `status` tells.
pub const MOST_STREAMS: usize = 1_100;

/// Everything that is told of this process.
#[derive(Debug)]
pub struct Metrics {
    ours: Registry,
    process: Registry,
}

impl Metrics {
    /// Of these facts.
    pub fn new(facts: Facts) -> Self {
        let mut ours = Registry::with_prefix("landfall");
        ours.register_collector(Box::new(facts));
        let mut process = Registry::default();
        process.register_collector(Box::new(process::Process));
        Self { ours, process }
    }

    /// The text of now.
    pub fn text(&self, format: TextFormat) -> String {
        let mut out = String::new();
        // Writing into a text cannot fail, and no collector of ours does.
        let written = encode_registry(&mut out, &self.ours)
            .and_then(|()| encode_registry(&mut out, &self.process))
            .and_then(|()| encode_eof(&mut out));
        debug_assert!(written.is_ok(), "a family was written wrongly");
        format.of(out)
    }
}
