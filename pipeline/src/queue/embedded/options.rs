//! How a queue is opened.

use super::encode::Compression;
use crate::queue::Retention;

/// Largest segment: keeps what an index counts in 32 bits.
const MAX_SEGMENT: u64 = 1 << 30;
/// Smallest, for tests of rolling.
const MIN_SEGMENT: u64 = 256;

/// How a queue is opened.
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions {
    /// What may go, and the cap.
    pub retention: Retention,
    /// A segment that reaches this many bytes is closed; 256 B to 1 GiB.
    pub segment_bytes: u64,
    /// Whether bodies are compressed.
    pub compression: Compression,
}

impl QueueOptions {
    /// Small enough to drop in good time and to scan at open, large enough that rolling costs nothing.
    pub const SEGMENT_BYTES: u64 = 64 << 20;

    /// The usual segment size and compression.
    pub fn new(retention: Retention) -> Self {
        Self { retention, segment_bytes: usual_segment(), compression: Compression::default() }
    }

    pub(super) fn segment_limit(&self) -> u64 {
        self.segment_bytes.clamp(MIN_SEGMENT, MAX_SEGMENT)
    }
}

#[cfg(not(feature = "failpoints"))]
fn usual_segment() -> u64 {
    QueueOptions::SEGMENT_BYTES
}

/// Kill tests roll and drop segments within a round: `LANDFALL_SEGMENT_BYTES`, with kill points switched on only.
#[cfg(feature = "failpoints")]
fn usual_segment() -> u64 {
    let asked = std::env::var("LANDFALL_SEGMENT_BYTES").ok().and_then(|bytes| bytes.parse().ok());
    asked.unwrap_or(QueueOptions::SEGMENT_BYTES)
}
