//! Where a stream is copied from: shared by all streams of a source, so that copies side by side stay within its bounds.

use super::copy::CopyPace;
use super::progress::StreamProgress;
use landfall_connectors::snapshot::Snapshot;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// Where a stream is copied from, and how fast.
#[derive(Clone)]
pub struct CopySource {
    /// The source.
    pub snapshot: Arc<dyn Snapshot>,
    /// Ranges of one stream read side by side.
    pub readers: usize,
    /// What all streams of the source share: bounds the memory of copies.
    pub permits: Arc<Semaphore>,
    /// How fast.
    pub pace: CopyPace,
    /// The streams of the source: a copy waits for those that are live and lag.
    pub siblings: Vec<Arc<StreamProgress>>,
}

impl std::fmt::Debug for CopySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CopySource").field("readers", &self.readers).field("pace", &self.pace).finish_non_exhaustive()
    }
}

impl CopySource {
    /// Whether some live stream lags more than the pace allows.
    pub(super) fn lags(&self) -> bool {
        let Some(most) = self.pace.max_lag else { return false };
        let now = Instant::now();
        self.siblings.iter().any(|sibling| sibling.view().lags(most, now))
    }
}
