//! A stream whose file index is lost, or begun anew over rows of an earlier queue, gets the keys of its table.
//!
//! Waits until everything the queue holds of the stream is applied, so that the table says what was captured; then reads its keys
//! and offers them to the source. What the file no longer holds is deleted under the guard; what it holds and no index knows is
//! written again (and found equal). Nothing is asked of an operator here: no row is touched that does not differ. After another
//! queue was accepted, the target remembers that this is still to be done until what was found is durable in the queue; so a
//! death at any point repeats it.

use crate::assemble::Target;
use crate::service::Service;
use crate::streams::RunningStream;
use crate::worker::StreamState;
use landfall_connectors::checkpoints::{Leftovers, Phase};
use landfall_connectors::failure::Failure;
use landfall_connectors::source::Condition;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks for a lost index, and between two offers.
const LOOK: Duration = Duration::from_millis(500);

/// Looks after lost indexes until the service stops, whatever the target is doing then.
pub(crate) async fn look_after(service: Arc<Service>, target: Arc<Target>) -> Result<(), Failure> {
    let looking = async {
        loop {
            for stream in &service.streams.all() {
                if let Err(failure) = look_at(&service, &target, stream).await {
                    tracing::warn!(stream = %stream.mapping.name, code = failure.code, "{}", failure.detail);
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = looking => {}
        () = service.supervisor.stop().cancelled() => {}
    }
    Ok(())
}

async fn look_at(service: &Service, target: &Target, stream: &RunningStream) -> Result<(), Failure> {
    let source = &service.sources[stream.source];
    if source.leftovers == Leftovers::Kept {
        // It looks for nothing by itself: a comparison does (`doubt`).
        return Ok(());
    }
    let capture = &source.capture;
    let report = capture.report();
    let resync = stream.progress.view().resync.is_some();
    if resync && report.compared.contains(&stream.id) {
        target.resynchronised(&stream.mapping.name, service.sources[stream.source].queue.id()).await?;
        stream.progress.resynchronised();
        return Ok(());
    }
    let wanted = is_lost(service, stream) || (resync && !report.adopted.contains(&stream.id));
    if wanted && !report.offered.contains(&stream.id) && is_drained(service, stream) {
        capture.adopt(stream.id, target.keys(&stream.mapping).await?);
    }
    Ok(())
}

fn is_lost(service: &Service, stream: &RunningStream) -> bool {
    let conditions = service.sources[stream.source].capture.report().conditions;
    conditions.iter().any(|(id, condition)| {
        *id == stream.id && matches!(condition, Condition::Halted(failure) if failure.code == "index_lost")
    })
}

/// Everything captured of the stream stands in its table, key and all.
fn is_drained(service: &Service, stream: &RunningStream) -> bool {
    let view = stream.progress.view();
    let queue = &service.sources[stream.source].queue;
    let applied = |known: &landfall_connectors::checkpoints::Checkpoint| {
        known.next >= queue.offsets(stream.id, known.partition).end
    };
    matches!(view.state, StreamState::Applying(Phase::Live | Phase::Bulk))
        && !view.checkpoints.is_empty()
        && view.checkpoints.iter().all(applied)
}
