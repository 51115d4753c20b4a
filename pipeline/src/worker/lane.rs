//! A lane: some partitions of one stream, applied in order, the next batch prepared while the present one commits.

use super::apply::{Applier, Outcome};
use super::prepare::{Barrier, Prepared, Preparer, Stop};
use crate::queue::{Cursor, Queue, ReadLimit};
use landfall_connectors::checkpoints::{Checkpoints, Phase};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::{Ranges, Sink};
use landfall_schemas::offset::Offset;
use landfall_schemas::stream::PartitionId;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Events per batch while following: more does not help PostgreSQL and multiplies the tail of the latency.
const LIVE_EVENTS: usize = 2_000;
/// Events per batch while filling a bare heap: a transaction of 5,000 costs the server a sixth more a row than one of 20,000.
const BULK_EVENTS: usize = 20_000;
/// Record bytes per batch: bounds a lane's memory at two batches of this size, and their rows.
const BATCH_BYTES: usize = 4 << 20;
/// The same while filling a bare heap.
const BULK_BYTES: usize = 8 << 20;
/// How long an idle lane sleeps when nothing wakes it: only a guard, the queue's end is watched.
const IDLE: Duration = Duration::from_secs(10);

/// Why a lane ended.
#[derive(Debug)]
pub(super) enum LaneEnd {
    /// The service stops.
    Stopped,
    /// The bare heap has got all it can take.
    BulkOver,
    /// Everything before a barrier is applied; where each of the lane's partitions stands.
    Barrier(Barrier, Vec<(PartitionId, Offset)>),
    /// Be admitted anew.
    Readmit,
    /// The stream halts.
    Halted(Failure),
}

pub(super) struct Lane<T: Sink> {
    pub(super) applier: Arc<Applier<T>>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) preparer: Option<Preparer>,
    pub(super) cursor: Cursor,
    pub(super) phase: Phase,
    /// Cancelled when any lane of the stream has ended: the others end at their next batch.
    pub(super) together: CancellationToken,
    /// Cancelled when draining may go on no longer.
    pub(super) deadline: CancellationToken,
}

impl<T: Sink + Checkpoints + Ranges + 'static> Lane<T> {
    /// Runs until something ends it; tells the stream's other lanes, unless they shall arrive at the same barrier.
    pub(super) async fn run(mut self) -> LaneEnd {
        let end = self.work().await;
        if !matches!(end, LaneEnd::Barrier(..)) {
            self.together.cancel();
        }
        end
    }

    async fn work(&mut self) -> LaneEnd {
        let mut limit = self.full_limit();
        let mut ahead: Option<Prepared> = None;
        let mut moved = self.queue.watch();
        loop {
            if self.together.is_cancelled() {
                return if self.phase == Phase::Bulk { LaneEnd::BulkOver } else { LaneEnd::Stopped };
            }
            if self.deadline.is_cancelled() {
                return LaneEnd::Stopped;
            }
            moved.borrow_and_update();
            limit.events = limit.events.min(self.full_limit().events);
            let mut prepared = match ahead.take() {
                Some(prepared) => prepared,
                // Appends wake the lanes of all streams of a source: most of them have nothing to read.
                None if !self.has_more() => Prepared::nothing(&self.cursor, self.applier.generation),
                None => match self.prepare(self.cursor.clone(), limit).await {
                    Ok(prepared) => prepared,
                    Err(failure) => return LaneEnd::Halted(failure),
                },
            };
            if prepared.waits {
                self.applier.released().await;
                return LaneEnd::Readmit;
            }
            if prepared.is_empty() {
                match prepared.stop {
                    Some(Stop::BulkOver) => return LaneEnd::BulkOver,
                    Some(Stop::Barrier(barrier)) => return LaneEnd::Barrier(barrier, self.cursor.next.clone()),
                    None => {}
                }
                if self.applier.stop.is_cancelled() {
                    return LaneEnd::Stopped;
                }
                tokio::select! {
                    _ = moved.changed() => {}
                    () = self.together.cancelled() => {}
                    () = self.applier.stop.cancelled() => {}
                    () = tokio::time::sleep(IDLE) => {}
                }
                continue;
            }
            let (outcome, next) = self.commit(&mut prepared, limit).await;
            match self.after(outcome, (prepared, next), &mut limit) {
                Ok(next) => ahead = next,
                Err(end) => return end,
            }
        }
    }

    /// Commits `prepared` and, when there is a backlog, prepares the next batch meanwhile.
    async fn commit(
        &mut self,
        prepared: &mut Prepared,
        limit: ReadLimit,
    ) -> (Outcome, Option<Result<Prepared, Failure>>) {
        let ahead = prepared.more && prepared.stop.is_none();
        let after = prepared.after.clone();
        let applier = Arc::clone(&self.applier);
        let phase = self.phase;
        let prepare = async {
            match ahead {
                true => Some(self.prepare(after, limit).await),
                false => None,
            }
        };
        tokio::join!(applier.apply(prepared, phase), prepare)
    }

    /// What a commit's outcome means for the lane; the batch prepared meanwhile is kept only if nothing changed under it.
    fn after(
        &mut self,
        outcome: Outcome,
        batches: (Prepared, Option<Result<Prepared, Failure>>),
        limit: &mut ReadLimit,
    ) -> Result<Option<Prepared>, LaneEnd> {
        let (done, next) = batches;
        let full = self.full_limit();
        match outcome {
            Outcome::Committed { parked_more } => {
                self.cursor = done.after;
                limit.events = (limit.events * 2).min(full.events);
                if !parked_more {
                    return next.transpose().map_err(LaneEnd::Halted);
                }
                self.discard(next);
                self.preparer_mut().remember(&done.tainted);
                Ok(None)
            }
            Outcome::Shrink => {
                self.discard(next);
                self.preparer_mut().forget(&done.tainted);
                limit.events = (done.events.events.len() / 2).max(1);
                Ok(None)
            }
            Outcome::Readmit => Err(LaneEnd::Readmit),
            Outcome::Halt(failure) => Err(LaneEnd::Halted(failure)),
            Outcome::Stopped => Err(LaneEnd::Stopped),
        }
    }

    /// Whether the queue holds anything for this lane.
    fn has_more(&self) -> bool {
        let stream = self.cursor.stream;
        self.cursor.next.iter().any(|(partition, next)| self.queue.offsets(stream, *partition).end > *next)
    }

    fn discard(&mut self, next: Option<Result<Prepared, Failure>>) {
        if let Some(Ok(next)) = next {
            self.preparer_mut().forget(&next.tainted);
        }
    }

    fn preparer_mut(&mut self) -> &mut Preparer {
        self.preparer.as_mut().expect("the preparer is away only while `prepare` runs")
    }

    fn full_limit(&self) -> ReadLimit {
        let (events, bytes) = match self.phase {
            Phase::Bulk => (BULK_EVENTS, BULK_BYTES),
            Phase::Live => (LIVE_EVENTS, BATCH_BYTES),
        };
        ReadLimit { events: self.applier.brake.at_most(events), bytes }
    }

    /// Reads and prepares on the blocking pool: it parses, and it may touch the disk.
    async fn prepare(&mut self, cursor: Cursor, limit: ReadLimit) -> Result<Prepared, Failure> {
        let mut preparer = self.preparer.take().expect("one `prepare` at a time");
        let queue = Arc::clone(&self.queue);
        let phase = self.phase;
        let work = move || {
            let prepared = queue.read(&cursor, limit).and_then(|events| {
                fail::fail_point!("worker::after_read");
                let more = events.events.len() >= limit.events;
                let mut prepared = preparer.prepare(&cursor, events, phase)?;
                prepared.more = more;
                fail::fail_point!("worker::after_transform");
                Ok(prepared)
            });
            (preparer, prepared)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((preparer, prepared)) => {
                self.preparer = Some(preparer);
                prepared
            }
            Err(_) => Err(Failure::new(FailureClass::Fatal, "task_panicked", "preparing a batch panicked")),
        }
    }
}
