//! Keeps the timeline: looks at every report that is published.

use super::timeline::Timeline;
use crate::queue::clock::{Clock, SystemClock};
use crate::status::StatusReport;
use landfall_connectors::failure::Failure;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Looks until the service stops. A report that another one follows at once may be passed over: what both show is told all the same.
pub(super) async fn look_after(
    timeline: Arc<Timeline>,
    mut reports: watch::Receiver<Arc<StatusReport>>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    loop {
        let report = Arc::clone(&reports.borrow_and_update());
        timeline.note(&report, SystemClock.now_ms());
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = reports.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}
