//! A stream whose file index is lost gets the keys of its table in its place.
//!
//! Waits until everything the queue holds of the stream is applied, so that the table says what was captured; then reads its keys
//! and offers them to the source. What the file still holds is written again (and found equal), what it no longer holds is deleted
//! under the guard. Nothing is asked of an operator: no row is touched that does not differ.

use crate::assemble::Target;
use crate::service::{RunningStream, Service};
use crate::worker::StreamState;
use landfall_connectors::checkpoints::Phase;
use landfall_connectors::failure::Failure;
use landfall_connectors::source::Condition;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks for a lost index, and between two offers.
const LOOK: Duration = Duration::from_millis(500);

/// Looks after lost indexes until the service stops.
pub(crate) async fn look_after(service: Arc<Service>, target: Arc<Target>) -> Result<(), Failure> {
    loop {
        for stream in service.streams.iter().filter(|stream| is_lost(&service, stream) && is_drained(&service, stream))
        {
            match target.keys(&stream.mapping).await {
                Ok(keys) => service.sources[stream.source].capture.adopt(stream.id, keys),
                Err(failure) => {
                    tracing::warn!(stream = %stream.mapping.name, code = failure.code, "{}", failure.detail)
                }
            }
        }
        tokio::select! {
            () = service.supervisor.stop().cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
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
