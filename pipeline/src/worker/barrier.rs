//! Barriers: what happens once every partition of a stream has arrived at one.
//!
//! Owns the decision and the one transaction that lets all partitions pass together (promise 4). Owns no copying (`copy`). A crash
//! before that transaction means that the lanes arrive again and the same is done again: copies go on where their ranges stand.

use super::apply::{Applier, Attempt, Outcome};
use super::copy::{CopyEnd, copy};
use super::copy_batch::CopyOrigin;
use super::copy_source::CopySource;
use super::prepare::Barrier;
use crate::traces::Name;
use landfall_connectors::checkpoints::{Checkpoint, Checkpoints, Counts, Phase, Word};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::{Advance, Ranges, Sink, SinkBatch, Writer};
use landfall_schemas::event::Op;
use landfall_schemas::mapping::{OnDrop, StreamMapping};
use landfall_schemas::offset::{Offset, OffsetRange, Sequence, Version};
use landfall_schemas::stream::PartitionId;
use std::sync::Arc;

/// Code of the state in which a stream waits for a word about its rows.
pub(super) const COLLECTION_GONE: &str = "collection_gone";

/// A barrier that every partition of the stream has arrived at.
pub(super) struct Arrival {
    pub(super) op: Op,
    pub(super) how: String,
    /// Version of the barrier: everything before it is older, everything after it is newer.
    pub(super) version: Version,
    /// Where each partition stands: right before it.
    pub(super) at: Vec<(PartitionId, Offset)>,
}

/// Puts together what the lanes say; `None` when they do not stand at one barrier.
pub(super) fn arrival<T: Sink>(
    applier: &Applier<T>,
    lanes: Vec<(Barrier, Vec<(PartitionId, Offset)>)>,
) -> Option<Arrival> {
    let first = lanes.iter().map(|(barrier, _)| barrier).min_by_key(|barrier| barrier.sequence)?.clone();
    let mut at: Vec<(PartitionId, Offset)> = lanes.into_iter().flat_map(|(_, at)| at).collect();
    at.sort_unstable();
    Some(Arrival { op: first.op, how: first.how, version: applier.generation.version(first.sequence), at })
}

/// What stands for the history of a stream before its first checkpoint: it is loaded once, into an empty table.
#[derive(Clone, Debug)]
pub struct Base {
    /// Where it is read.
    pub source: CopySource,
    /// Its rows count as captured with this sequence: before every event behind the places.
    pub before: Sequence,
    /// Where each partition begins behind it.
    pub places: Vec<(PartitionId, Offset)>,
}

impl Base {
    /// Some partition does not stand behind it yet.
    pub(super) fn is_due(&self, checkpoints: &[Checkpoint]) -> bool {
        let begins = |partition| self.places.iter().find(|(known, _)| *known == partition).map(|(_, at)| *at);
        checkpoints.iter().any(|known| begins(known.partition).is_some_and(|at| known.next < at))
    }
}

/// Whether the stream goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Passed {
    /// Behind the barrier, or to be tried again: be admitted anew.
    Again,
    /// The service stops.
    Stopped,
}

/// Does what the barrier asks for and lets all partitions pass.
pub(super) async fn pass<T: Sink + Checkpoints + Ranges + 'static>(
    applier: &Arc<Applier<T>>,
    source: Option<&CopySource>,
    phase: Phase,
    (arrival, word): (Arrival, Option<&Word>),
) -> Result<Passed, Failure> {
    let sweep = match arrival.op {
        Op::Gone => match rows_of_a_gone_collection(applier, &arrival, word)? {
            OnDrop::Delete => Some(arrival.version),
            OnDrop::Keep | OnDrop::Halt => None,
        },
        _ => {
            let Some(source) = source else {
                let detail = "the queue asks for a copy of a source that cannot be read again";
                return Err(Failure::new(FailureClass::Fatal, "no_snapshot", detail));
            };
            let origin = CopyOrigin { version: arrival.version, barrier: arrival.at.clone() };
            if let Some(ended) = copied(applier, source, phase, origin).await? {
                return Ok(ended);
            }
            // Rows that the copy has not seen are older than the barrier: they are gone from the source.
            (phase == Phase::Live).then_some(arrival.version)
        }
    };
    let over = arrival.at.into_iter().map(|(partition, at)| (partition, OffsetRange { from: at, until: at.plus(1) }));
    passed(applier, over, sweep).await
}

/// Loads what stands for the history of a stream before its checkpoints, and lets every partition begin behind it.
pub(super) async fn begin<T: Sink + Checkpoints + Ranges + 'static>(
    applier: &Arc<Applier<T>>,
    base: &Base,
    phase: Phase,
) -> Result<Passed, Failure> {
    let origin = CopyOrigin { version: applier.generation.version(base.before), barrier: base.places.clone() };
    if let Some(ended) = copied(applier, &base.source, phase, origin).await? {
        return Ok(ended);
    }
    let begun = base.places.iter().filter(|(_, at)| *at > Offset(0));
    let over = begun.map(|(partition, at)| (*partition, OffsetRange { from: Offset(0), until: *at }));
    passed(applier, over, None).await
}

/// Copies the stream and, after a first load, builds key and indexes; `None`: all of it stands.
async fn copied<T: Sink + Checkpoints + Ranges + 'static>(
    applier: &Arc<Applier<T>>,
    source: &CopySource,
    phase: Phase,
    origin: CopyOrigin,
) -> Result<Option<Passed>, Failure> {
    match copy(applier, source, phase, origin).await? {
        CopyEnd::Complete => {}
        CopyEnd::Again => return Ok(Some(Passed::Again)),
        CopyEnd::Stopped => return Ok(Some(Passed::Stopped)),
    }
    if phase == Phase::Bulk {
        tracing::info!(stream = %applier.mapping.name, "copied: building key and indexes");
        let mut writer = applier.writers.borrow().await;
        writer.get().finish_bulk(&applier.mapping, applier.owner).await?;
    }
    Ok(None)
}

/// The one transaction in which all partitions pass.
async fn passed<T: Sink + Checkpoints + Ranges + 'static>(
    applier: &Applier<T>,
    over: impl Iterator<Item = (PartitionId, OffsetRange)>,
    sweep: Option<Version>,
) -> Result<Passed, Failure> {
    fail::fail_point!("barrier::before_pass");
    let mut passing = Passing { batch: step_over(over, sweep) };
    match applier.apply(&mut passing, Phase::Live).await {
        Outcome::Committed { .. } | Outcome::Readmit => Ok(Passed::Again),
        Outcome::Stopped => Ok(Passed::Stopped),
        Outcome::Halt(failure) => Err(failure),
        Outcome::Shrink => {
            let detail = "PostgreSQL cancelled the sweep behind a barrier; it is tried again";
            Err(Failure::new(FailureClass::Transient, "statement_timeout", detail))
        }
    }
}

/// What becomes of the rows: as the mapping says, or as an operator says.
fn rows_of_a_gone_collection<T: Sink>(
    applier: &Applier<T>,
    arrival: &Arrival,
    word: Option<&Word>,
) -> Result<OnDrop, Failure> {
    let name = &applier.mapping.name;
    if applier.mapping.on_drop != OnDrop::Halt {
        tracing::warn!(stream = %name, policy = ?applier.mapping.on_drop, "the collection is gone: {}", arrival.how);
        return Ok(applier.mapping.on_drop);
    }
    if let Some(word) = word.filter(|word| word.subject == COLLECTION_GONE) {
        tracing::warn!(stream = %name, actor = word.actor, accept = word.accept, "the collection is gone: {}", arrival.how);
        return Ok(if word.accept { OnDrop::Delete } else { OnDrop::Keep });
    }
    let detail = format!(
        "the collection of stream {name} is gone from the source ({}) and on_drop says halt; `landfall accept {name} {COLLECTION_GONE}` \
         deletes its rows and goes on, `landfall refuse {name} {COLLECTION_GONE}` keeps them and goes on",
        arrival.how
    );
    Err(Failure::new(FailureClass::Halt, COLLECTION_GONE, detail))
}

fn step_over(over: impl Iterator<Item = (PartitionId, OffsetRange)>, sweep: Option<Version>) -> SinkBatch {
    let step = |(partition, range): (PartitionId, OffsetRange)| Advance {
        partition,
        range,
        counts: Counts { superseded: range.len(), ..Counts::default() },
    };
    SinkBatch { advances: over.map(step).collect(), sweep, ..SinkBatch::default() }
}

/// The transaction that lets all partitions pass.
struct Passing {
    batch: SinkBatch,
}

impl Attempt for Passing {
    fn name(&self) -> Name {
        Name::Barrier
    }

    fn batch(&self) -> &SinkBatch {
        &self.batch
    }

    fn events(&self) -> u64 {
        0
    }

    fn park_refused(&mut self, _mapping: &StreamMapping, refused: &[(usize, String)]) {
        debug_assert!(refused.is_empty(), "a barrier writes no rows");
    }
}
