//! Committing one prepared batch, whatever it takes: retry, settle, shrink, park, or give the lane back.
//!
//! Keeps promise 9: after a commit whose answer was lost nothing is repeated before the checkpoint has been read on a new
//! connection. The reaction to each class of failure is `supervise::reaction`'s.

use super::brake::Brake;
use super::evolution::Evolution;
use super::progress::{StreamProgress, StreamState};
use super::traced;
use super::writers::WriterPool;
use crate::queue::Queue;
use crate::queue::clock::Clock;
use crate::supervise::reaction::{Reaction, reaction};
use crate::traces::{Name, OpenSpan, Tracer};
use landfall_connectors::checkpoints::{Checkpoints, Counts, OwnerNonce, Phase};
use landfall_connectors::failure::Failure;
use landfall_connectors::retry::Pace;
use landfall_connectors::sink::{Applied, ApplyFailure, RangeStep, Ranges, Sink, SinkBatch, Writer};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{Generation, Offset, OffsetRange};
use landfall_schemas::row::RowOp;
use landfall_schemas::stream::{PartitionId, StreamId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long an exchange with the target may go on after the deadline of a stop: a batch takes tens of milliseconds.
const ABANDON: Duration = Duration::from_secs(5);

/// Something that is committed as one batch.
pub(super) trait Attempt: Send {
    /// What its span is called.
    fn name(&self) -> Name {
        Name::Apply
    }

    /// What is committed.
    fn batch(&self) -> &SinkBatch;

    /// Takes refused rows (indexes into the batch's rows, with SQLSTATE) out and parks them in their place.
    fn park_refused(&mut self, mapping: &StreamMapping, refused: &[(usize, String)]);

    /// Events or records in it: what a throttle counts.
    fn events(&self) -> u64;

    /// When its events were appended, Unix ms, and how many at a time, in their order; records of a copy were not.
    fn appended(&self) -> Vec<(u64, u64)> {
        Vec::new()
    }
}

/// What became of a batch.
pub(super) enum Outcome {
    /// Committed; rows were parked that had not been expected to be.
    Committed { parked_more: bool },
    /// Prepare it again, smaller.
    Shrink,
    /// The checkpoint is not where it was: be admitted anew.
    Readmit,
    /// The stream halts.
    Halt(Failure),
    /// The service stops before the target came back.
    Stopped,
}

/// What all lanes of a stream share for committing.
pub(super) struct Applier<T: Sink> {
    pub(super) target: Arc<T>,
    pub(super) writers: Arc<WriterPool<T::Writer>>,
    pub(super) mapping: Arc<StreamMapping>,
    pub(super) stream: StreamId,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) owner: OwnerNonce,
    pub(super) generation: Generation,
    pub(super) progress: Arc<StreamProgress>,
    pub(super) stop: CancellationToken,
    pub(super) deadline: CancellationToken,
    pub(super) brake: Arc<Brake>,
    pub(super) evolution: Arc<Evolution>,
    /// For showing lag only (promise 19).
    pub(super) clock: Arc<dyn Clock>,
    /// Cancelled when the stream's lanes shall end: what waits behind a brake is prepared anew.
    pub(super) together: CancellationToken,
    pub(super) tracer: Tracer,
}

impl<T: Sink + Checkpoints + Ranges + 'static> Applier<T> {
    pub(super) async fn apply(&self, prepared: &mut impl Attempt, phase: Phase) -> Outcome {
        tokio::select! {
            () = self.brake.release(prepared.events()) => {}
            // What waits behind a brake is applied after the next start.
            () = self.stopped_behind_the_brake() => return Outcome::Stopped,
            () = self.together.cancelled() => return Outcome::Readmit,
            () = self.deadline.cancelled() => return Outcome::Stopped,
        }
        let mut span = self.tracer.begin(prepared.name());
        let outcome = self.settled(prepared, phase, &mut span).await;
        if span.is_sampled() {
            traced::describe(&mut span, (&self.mapping, phase), (prepared, &outcome));
            span.end();
        }
        outcome
    }

    /// Tries until it is known what became of the batch.
    async fn settled(&self, prepared: &mut impl Attempt, phase: Phase, span: &mut OpenSpan) -> Outcome {
        let mut backoff = Pace::new();
        let mut parked_more = false;
        let mut tries = 0;
        loop {
            tries += 1;
            let attempt = unless_abandoned(&self.deadline, async {
                let mut writer = self.writers.borrow().await;
                let began = Instant::now();
                let done = writer.get().apply(&self.mapping, (self.owner, phase), prepared.batch()).await;
                (done, began.elapsed())
            });
            let Some((attempt, took)) = attempt.await else { return Outcome::Stopped };
            traced::tried(span, tries, took);
            self.progress.meters().exchanged(took);
            self.brake.exchanged(took);
            let failure = match attempt {
                Ok(applied) => {
                    self.progress.meters().committed(prepared.events(), took);
                    self.committed(prepared, phase, &applied);
                    return Outcome::Committed { parked_more };
                }
                Err(ApplyFailure::Refused(rows)) => {
                    tracing::warn!(stream = %self.mapping.name, rows = rows.len(), trace_id = span.trace_id(), "rows refused by the target are parked");
                    prepared.park_refused(&self.mapping, &rows);
                    parked_more = true;
                    continue;
                }
                Err(ApplyFailure::Failed(failure)) => failure,
            };
            tracing::warn!(stream = %self.mapping.name, code = failure.code, trace_id = span.trace_id(), "{}", failure.detail);
            span.say("landfall.code", failure.code);
            self.progress.state(StreamState::Waiting(phase, failure.clone()));
            match reaction(failure.class) {
                Reaction::Retry => {
                    if self.pause(&mut backoff).await {
                        return Outcome::Stopped;
                    }
                }
                Reaction::Settle => match self.settle(prepared.batch(), span).await {
                    Some(Settled::Applied(applied)) => {
                        self.committed(prepared, phase, &applied);
                        return Outcome::Committed { parked_more };
                    }
                    Some(Settled::NotApplied) => {}
                    Some(Settled::Elsewhere) => return Outcome::Readmit,
                    None => return Outcome::Stopped,
                },
                Reaction::Shrink => return Outcome::Shrink,
                Reaction::Readmit => return Outcome::Readmit,
                Reaction::HaltStream | Reaction::StopProcess => return Outcome::Halt(failure),
            }
        }
    }

    /// Waits until the target may be touched at all, or the service stops: a paused stream's table is not altered either.
    pub(super) async fn released(&self) {
        tokio::select! {
            () = self.brake.release(0) => {}
            () = self.stop.cancelled() => {}
            () = self.deadline.cancelled() => {}
        }
    }

    /// Ends when the service stops while nothing may be committed.
    async fn stopped_behind_the_brake(&self) {
        self.stop.cancelled().await;
        if !self.brake.holds() {
            // Throttled only: drained until the deadline.
            std::future::pending().await
        }
    }

    /// Waits before the next try; `true` when the service stops meanwhile.
    async fn pause(&self, backoff: &mut Pace) -> bool {
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => false,
            () = self.stop.cancelled() => true,
        }
    }

    /// Reads what the batch moves until it can be read, and compares. `None`: the service stops.
    async fn settle(&self, batch: &SinkBatch, span: &OpenSpan) -> Option<Settled> {
        let mut backoff = Pace::new();
        loop {
            let read = async {
                match &batch.range {
                    Some(step) => self.settle_range(step).await,
                    None => self.settle_steps(batch).await,
                }
            };
            match unless_abandoned(&self.deadline, read).await? {
                Ok(settled) => return Some(settled),
                Err(failure) => {
                    tracing::warn!(stream = %self.mapping.name, code = failure.code, trace_id = span.trace_id(), "settling: {}", failure.detail);
                    if self.pause(&mut backoff).await {
                        return None;
                    }
                }
            }
        }
    }

    async fn settle_steps(&self, batch: &SinkBatch) -> Result<Settled, Failure> {
        let checkpoints = self.target.read(&self.mapping.name, true).await?;
        let stands = |at: fn(OffsetRange) -> Offset| {
            batch.advances.iter().all(|advance| {
                checkpoints.iter().any(|known| known.partition == advance.partition && known.next == at(advance.range))
            })
        };
        Ok(if stands(|range| range.until) {
            let advances = batch.advances.iter().map(|advance| (advance.partition, advance.range)).collect();
            Settled::Applied(Applied { advances })
        } else if stands(|range| range.from) {
            Settled::NotApplied
        } else {
            Settled::Elsewhere
        })
    }

    async fn settle_range(&self, step: &RangeStep) -> Result<Settled, Failure> {
        let ranges = self.target.ranges(&self.mapping.name, step.copy).await?;
        let known = ranges.iter().find(|range| range.number == step.number);
        Ok(match known {
            Some(range) if range.reached == step.to && range.done == step.to.is_none() => {
                Settled::Applied(Applied { advances: Vec::new() })
            }
            Some(range) if range.reached == step.from && !range.done => Settled::NotApplied,
            _ => Settled::Elsewhere,
        })
    }

    fn committed(&self, prepared: &impl Attempt, phase: Phase, applied: &Applied) {
        let batch = prepared.batch();
        let deletes = batch.rows.rows.iter().filter(|row| row.op == RowOp::Delete).count() as u64;
        self.progress.meters().wrote(batch.rows.rows.len() as u64 - deletes, deletes);
        if batch.advances.is_empty() {
            return;
        }
        self.queue.applied(self.stream, applied);
        let steps: Vec<(PartitionId, OffsetRange, Counts)> =
            batch.advances.iter().map(|advance| (advance.partition, advance.range, advance.counts)).collect();
        let now = self.clock.now_ms();
        let mut lag = None;
        for (appended, events) in prepared.appended() {
            let age = now.saturating_sub(appended);
            self.progress.meters().latency.observe(age as f64 / 1_000.0, events);
            lag = Some(age);
        }
        self.progress.committed(phase, &steps, lag);
    }
}

/// Runs `work`, but no longer than [`ABANDON`] after the deadline: a target that hangs must not keep a stopping process. Whatever
/// was under way is dropped with its connection, and the next start reads what became of it.
pub(super) async fn unless_abandoned<O>(deadline: &CancellationToken, work: impl Future<Output = O>) -> Option<O> {
    let abandoned = async {
        deadline.cancelled().await;
        tokio::time::sleep(ABANDON).await;
    };
    tokio::select! {
        done = work => Some(done),
        () = abandoned => None,
    }
}

/// What the checkpoints say about a commit whose answer was lost.
enum Settled {
    Applied(Applied),
    NotApplied,
    Elsewhere,
}
