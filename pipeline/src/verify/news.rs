//! What comparisons have shown, as the service sees it: `verify` is another process, and leaves its verdicts in the state directory, and how
//! far it is.
//!
//! Looks whether the file was replaced, and reads it then. One that cannot be read is as none: the next comparison writes it anew.

use super::last::LastComparison;
use super::under_way::UnderWay;
use crate::status::{ComparedReport, ComparingReport, ComparisonReport};
use landfall_connectors::failure::Failure;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two looks: a comparison takes longer.
const LOOK: Duration = Duration::from_secs(1);

/// The verdicts that were seen last.
#[derive(Debug, Default)]
pub struct Comparisons(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// Which file it was: it is replaced whole, so another one has another of these.
    file: Option<(u64, i64, i64)>,
    last: LastComparison,
    under_way: Option<UnderWay>,
}

impl Comparisons {
    /// Of a stream.
    pub(crate) fn of(&self, stream: &str) -> Option<ComparedReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).last.streams.get(stream)?.report()
    }

    /// The run under way, as it was seen last.
    pub(crate) fn under_way(&self) -> Option<ComparisonReport> {
        Some(self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way.as_ref()?.run.clone())
    }

    /// How far it is with a stream; `None` where it does not compare it.
    pub(crate) fn comparing(&self, stream: &str) -> Option<ComparingReport> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).under_way.as_ref()?.streams.get(stream).cloned()
    }

    /// Looks now.
    pub(crate) fn look(&self, state_dir: &Path) {
        let file = LastComparison::metadata(state_dir).map(|found| name_of(&found));
        let under_way = UnderWay::read(state_dir);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.under_way = under_way;
        if seen.file != file {
            (seen.file, seen.last) = (file, LastComparison::read(state_dir));
        }
    }
}

fn name_of(found: &Metadata) -> (u64, i64, i64) {
    (found.ino(), found.mtime(), found.mtime_nsec())
}

/// Looks until the service stops.
pub(crate) async fn look_after(
    comparisons: Arc<Comparisons>,
    state_dir: PathBuf,
    stop: CancellationToken,
) -> Result<(), Failure> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
        let (comparisons, state_dir) = (Arc::clone(&comparisons), state_dir.clone());
        // A disk that hangs holds up this look and no worker.
        let _ = tokio::task::spawn_blocking(move || comparisons.look(&state_dir)).await;
    }
}
