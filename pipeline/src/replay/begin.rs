//! Where a replay of a stream begins, and what it needs to know beforehand.

use super::compaction::Places;
use super::order::From;
use super::turn::Replay;
use super::{GivenUp, cut};
use crate::assemble::Target;
use crate::control::Refused;
use crate::queue::{Cursor, Queue, ReadLimit};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::stream::StreamId;
use std::sync::Arc;

/// Events read at once while looking for a time.
const READ: ReadLimit = ReadLimit { events: 20_000, bytes: 8 << 20 };

/// A stream over its queue.
pub(crate) struct Over {
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) stream: StreamId,
    pub(crate) mapping: Arc<StreamMapping>,
    /// Where it stands.
    pub(crate) goal: Places,
}

/// The replay from `from` to where the stream stands, its first events read.
pub(crate) async fn begin(target: &Target, over: Over, from: &From) -> Result<Replay, Refused> {
    let refused = |failure: Failure| Refused::new(failure.code, failure.detail);
    let named = match from {
        From::Name(name) => Some(cut::places(target, name, (&over.mapping.name, &*over.queue)).await?),
        From::Earliest | From::Time(_) => None,
    };
    let given_up: GivenUp = target.given_up(&over.mapping.name).await.map_err(refused)?;
    let from = from.clone();
    let work = move || {
        let mut start = match (named, from) {
            (Some(places), _) => places,
            (None, From::Time(at)) => since(&over, at)?,
            (None, _) => earliest(&over),
        };
        for (partition, at) in &mut start {
            let held = over.queue.offsets(over.stream, *partition).start;
            let goal = over.goal.iter().find(|(known, _)| known == partition).map_or(*at, |(_, goal)| *goal);
            if *at < held {
                let detail = "events behind that place are not in the queue any more; replay from a later one, or make a new copy";
                return Err(Failure::new(FailureClass::Halt, "history_trimmed", detail));
            }
            *at = (*at).min(goal);
        }
        let mut replay = Replay::new((over.queue, over.stream), (start, over.goal), given_up);
        replay.look_ahead()?;
        Ok(replay)
    };
    let looked = tokio::task::spawn_blocking(work).await;
    let panicked = |_| Refused::new("task_panicked", "looking for the beginning of a replay panicked");
    looked.map_err(panicked)?.map_err(refused)
}

fn earliest(over: &Over) -> Places {
    let start = |partition| (partition, over.queue.offsets(over.stream, partition).start);
    over.mapping.partitions.all().map(start).collect()
}

/// The first event of each partition that was captured at a time or later.
fn since(over: &Over, at: u64) -> Result<Places, Failure> {
    let mut cursor = Cursor { stream: over.stream, next: earliest(over) };
    loop {
        let batch = over.queue.read(&cursor, READ)?;
        let Some(first) = batch.events.iter().position(|event| batch.appended_ms(event) >= at) else {
            if batch.events.is_empty() {
                return Ok(cursor.next);
            }
            cursor.advance(&batch);
            continue;
        };
        // Appends are in the order of time, but for a clock that was set back: then a little more is replayed.
        let mut batch = batch;
        batch.keep_first(first);
        cursor.advance(&batch);
        return Ok(cursor.next);
    }
}
