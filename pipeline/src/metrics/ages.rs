//! How old the oldest event of each stream is that is not applied.
//!
//! The time stands in the queue and nowhere else, so that the age is right after a restart too. It is read now and then, one event a stream that
//! is behind, and seldomer where a look takes longer: the queue is there for its readers. Before a stream is admitted nobody knows what of the retained
//! events is applied, and the oldest counts; when it is admitted it is looked at again, or a service would not be ready for a second after each start.

use crate::queue::clock::{Clock, SystemClock};
use crate::queue::{Cursor, ReadLimit};
use crate::service::Service;
use crate::streams::RunningStream;
use landfall_connectors::failure::Failure;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks …
const LOOK: Duration = Duration::from_secs(1);
/// … and at least so many times what one took.
const SHARE: u32 = 50;
/// Between two questions whether a stream was admitted meanwhile; nothing is read for it.
const GLANCE: Duration = Duration::from_millis(50);
/// One event is enough.
const ONE: ReadLimit = ReadLimit { events: 1, bytes: 1 };

/// When the oldest event was captured that is not applied, by stream; Unix milliseconds.
#[derive(Debug, Default)]
pub struct Ages(Mutex<BTreeMap<String, u64>>);

impl Ages {
    /// Age of the oldest event of a stream, seconds; 0 when all are applied.
    pub fn seconds(&self, stream: &str) -> f64 {
        let captured = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(stream).copied();
        captured.map_or(0.0, |captured| SystemClock.now_ms().saturating_sub(captured) as f64 / 1_000.0)
    }

    fn note(&self, seen: BTreeMap<String, u64>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }
}

/// Looks until the service stops.
pub(crate) async fn look_after(service: Arc<Service>, ages: Arc<Ages>) -> Result<(), Failure> {
    let stop = service.supervisor.stop().clone();
    let looking = async {
        loop {
            let began = Instant::now();
            let looked = Arc::clone(&service);
            // Those that were not admitted before the look began: what it says of them holds until they are.
            let waiting: Vec<_> = service.streams.all().into_iter().filter(|stream| !is_admitted(stream)).collect();
            // It may touch the disk. A panic in it leaves what was seen before.
            if let Ok(seen) = tokio::task::spawn_blocking(move || look(&looked)).await {
                ages.note(seen);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK.max(began.elapsed() * SHARE)) => {}
                () = admitted(&waiting) => {}
            }
        }
    };
    tokio::select! {
        () = looking => {}
        () = stop.cancelled() => {}
    }
    Ok(())
}

/// Waits until one of these is admitted; for good where there is none.
async fn admitted(waiting: &[Arc<RunningStream>]) {
    if waiting.is_empty() {
        std::future::pending::<()>().await;
    }
    while !waiting.iter().any(|stream| is_admitted(stream)) {
        tokio::time::sleep(GLANCE).await;
    }
}

/// Whether its checkpoints are known.
fn is_admitted(stream: &RunningStream) -> bool {
    !stream.progress.view().checkpoints.is_empty()
}

fn look(service: &Service) -> BTreeMap<String, u64> {
    let streams = service.streams.all();
    let named = |stream: &Arc<RunningStream>| Some((stream.mapping.name.to_string(), oldest(service, stream)?));
    streams.iter().filter_map(named).collect()
}

/// When the oldest event of a stream was captured, unless all are applied. A queue that cannot be read says so where it is read for good.
fn oldest(service: &Service, stream: &RunningStream) -> Option<u64> {
    let queue = &service.sources[stream.source].queue;
    let mut next: Vec<_> =
        stream.progress.view().checkpoints.iter().map(|known| (known.partition, known.next)).collect();
    if next.is_empty() {
        // Not admitted yet: whatever is retained may be waiting.
        next = stream.mapping.partitions.all().map(|one| (one, queue.offsets(stream.id, one).start)).collect();
    }
    next.sort_unstable_by_key(|(partition, _)| *partition);
    next.retain(|(partition, next)| queue.offsets(stream.id, *partition).end > *next);
    if next.is_empty() {
        return None;
    }
    let batch = queue.read(&Cursor { stream: stream.id, next }, ONE).ok()?;
    batch.events.first().map(|event| batch.appended_ms(event))
}
