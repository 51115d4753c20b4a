//! The copy of a stream from its source: ranges planned once, read side by side in short chunks, each ticked off with its rows.
//!
//! Owns the order: plan, ranges, comparison of cohorts. Owns neither what a chunk becomes (`copy_batch`) nor how it is committed
//! (`apply`). Keeps promise 7's first half: a copy is complete only when every range is, when read = copied + parked + filtered, and when the source's
//! own count of each kind of key agrees with what was read, give or take what was captured since (`cohorts`). A stop or a crash costs
//! one chunk per reader.

use super::apply::{Applier, Outcome, unless_abandoned};
use super::cohorts;
use super::copy_batch::{CopyBatch, CopyOrigin};
use super::copy_source::CopySource;
use super::progress::{CopyProgress, StreamState};
use crate::transform::RowPlan;
use futures_util::stream::{self, StreamExt};
use landfall_connectors::checkpoints::{Checkpoints, Phase};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use landfall_connectors::sink::{RangeState, Ranges, Sink};
use landfall_connectors::snapshot::{Chunk, ChunkLimit, KeyRange};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records per chunk: as in a bulk batch from the queue, more does not help PostgreSQL.
const CHUNK_RECORDS: usize = 5_000;
/// Bytes of records per chunk: bounds a reader's memory at two chunks and their rows.
const CHUNK_BYTES: usize = 4 << 20;
/// A range is worth its bookkeeping from about this many records on.
const RANGE_RECORDS: u64 = 50_000;
/// More ranges than this bring nothing to a handful of readers.
const MOST_RANGES: usize = 64;
/// Between two looks at whether a throttled copy may go on.
const THROTTLE_LOOK: Duration = Duration::from_millis(100);

/// How fast a copy may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CopyPace {
    /// Most records a second and reader.
    pub rows_per_second: Option<u32>,
    /// A copy waits while the live streams of its source lag more than this behind.
    pub max_lag: Option<Duration>,
}

/// How a copy ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CopyEnd {
    /// Everything is in the table.
    Complete,
    /// Be admitted anew, and go on.
    Again,
    /// The service stops.
    Stopped,
}

/// Copies the stream under the version of its barrier.
pub(super) async fn copy<T: Sink + Checkpoints + Ranges + 'static>(
    applier: &Arc<Applier<T>>,
    source: &CopySource,
    phase: Phase,
    origin: CopyOrigin,
) -> Result<CopyEnd, Failure> {
    let copying = Copying { applier, source, phase, origin };
    let Some(ranges) = copying.planned().await? else { return Ok(CopyEnd::Stopped) };
    let records = ranges.iter().map(|range| range.counts.read()).sum();
    let estimate = copying.asking(|| source.snapshot.estimate(applier.stream)).await?.unwrap_or_default();
    let exact = source.snapshot.is_exact();
    applier.progress.copy(Some(CopyProgress { records, estimate: estimate.max(records), exact }));
    let ended = copying.ranges(ranges).await;
    let ended = match ended {
        Ok(CopyEnd::Complete) => copying.compared().await,
        other => other,
    };
    applier.progress.copy(None);
    ended
}

/// A copy under way.
pub(super) struct Copying<'a, T: Sink> {
    pub(super) applier: &'a Arc<Applier<T>>,
    pub(super) source: &'a CopySource,
    pub(super) phase: Phase,
    pub(super) origin: CopyOrigin,
}

impl<T: Sink + Checkpoints + Ranges + 'static> Copying<'_, T> {
    /// The ranges of this copy, planned now if they are not yet. `None`: the service stops.
    async fn planned(&self) -> Result<Option<Vec<RangeState>>, Failure> {
        let (name, version) = (&self.applier.mapping.name, self.origin.version);
        let known = self.applier.target.ranges(name, version).await?;
        if !known.is_empty() {
            return Ok(Some(known));
        }
        let (snapshot, stream) = (&self.source.snapshot, self.applier.stream);
        let Some(estimate) = self.asking(|| snapshot.estimate(stream)).await? else { return Ok(None) };
        let parts = usize::try_from(estimate / RANGE_RECORDS).unwrap_or(MOST_RANGES).clamp(1, MOST_RANGES);
        let Some(ranges) = self.asking(|| snapshot.ranges(stream, parts)).await? else { return Ok(None) };
        fail::fail_point!("copy::before_plan");
        self.applier.target.plan(name, self.applier.owner, (version, &ranges)).await?;
        self.applier.target.ranges(name, version).await.map(Some)
    }

    /// Asks the source until it answers. `None`: the service stops.
    pub(super) async fn asking<'f, O>(
        &self,
        ask: impl Fn() -> futures_util::future::BoxFuture<'f, Result<O, Failure>>,
    ) -> Result<Option<O>, Failure> {
        let mut pace = Pace::new();
        loop {
            let Some(answer) = unless_abandoned(&self.applier.deadline, ask()).await else { return Ok(None) };
            match answer {
                Ok(answer) => return Ok(Some(answer)),
                Err(failure) if failure.class == FailureClass::Transient => {
                    if self.waited(failure, &mut pace).await {
                        return Ok(None);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits before the source is asked again; `true` when the service stops meanwhile.
    async fn waited(&self, failure: Failure, pace: &mut Pace) -> bool {
        tracing::warn!(stream = %self.applier.mapping.name, code = failure.code, "{}", failure.detail);
        self.applier.progress.state(StreamState::Waiting(self.phase, failure));
        tokio::select! {
            () = tokio::time::sleep(pace.next_wait()) => false,
            () = self.applier.stop.cancelled() => true,
        }
    }

    /// Reads all ranges that are not done, as many at a time as the source's readers allow.
    async fn ranges(&self, ranges: Vec<RangeState>) -> Result<CopyEnd, Failure> {
        let open: Vec<RangeState> = ranges.into_iter().filter(|range| !range.done).collect();
        let mut reading =
            stream::iter(open).map(|range| self.range(range)).buffer_unordered(self.source.readers.max(1));
        let mut ended = CopyEnd::Complete;
        while let Some(end) = reading.next().await {
            match end? {
                CopyEnd::Complete => {}
                other => ended = other,
            }
        }
        Ok(ended)
    }

    /// Reads one range to its end: the next chunk is read while the present one is written.
    async fn range(&self, mut range: RangeState) -> Result<CopyEnd, Failure> {
        let _permit = self.source.permits.acquire().await;
        let mut plan = Some(RowPlan::new(&self.applier.mapping));
        let mut records = CHUNK_RECORDS;
        let mut ahead = None;
        loop {
            if self.applier.stop.is_cancelled() {
                return Ok(CopyEnd::Stopped);
            }
            if self.applier.evolution.has_found() {
                return Ok(CopyEnd::Again);
            }
            let began = Instant::now();
            let chunk = match ahead.take() {
                Some(chunk) => chunk,
                None => self.chunk(rest(&range, range.reached.clone()), records).await?,
            };
            let Some(chunk) = chunk else { return Ok(CopyEnd::Stopped) };
            let (read, next) = (chunk.records.changes().len(), chunk.next.clone());
            let mut batch = self.prepare(&mut plan, &range, chunk).await?;
            if self.applier.evolution.takes(std::mem::take(&mut batch.noticed)) {
                self.applier.released().await;
                return Ok(CopyEnd::Again);
            }
            fail::fail_point!("copy::before_chunk");
            let following = async {
                match next {
                    Some(next) => Some(self.chunk(rest(&range, Some(next)), records).await),
                    None => None,
                }
            };
            let (outcome, fetched) = tokio::join!(self.applier.apply(&mut batch, self.phase), following);
            match outcome {
                Outcome::Committed { .. } => {}
                Outcome::Shrink => {
                    records = (read / 2).max(1);
                    continue;
                }
                Outcome::Readmit => return Ok(CopyEnd::Again),
                Outcome::Stopped => return Ok(CopyEnd::Stopped),
                Outcome::Halt(failure) => return Err(failure),
            }
            fail::fail_point!("copy::after_chunk");
            range = batch.state_after(&range);
            self.applier.progress.copied(self.phase, read as u64);
            if range.done {
                return Ok(CopyEnd::Complete);
            }
            ahead = fetched.transpose()?;
            self.throttled(read, began).await;
        }
    }

    async fn chunk(&self, range: KeyRange, records: usize) -> Result<Option<Chunk>, Failure> {
        let limit = ChunkLimit { records, bytes: CHUNK_BYTES };
        let mut pace = Pace::new();
        loop {
            let mut chunk = Chunk::default();
            let read = self.source.snapshot.read(self.applier.stream, &range, limit, &mut chunk);
            match unless_abandoned(&self.applier.deadline, read).await {
                None => return Ok(None),
                Some(Ok(())) => return Ok(Some(chunk)),
                Some(Err(failure)) if failure.class == FailureClass::Transient => {
                    if self.waited(failure, &mut pace).await {
                        return Ok(None);
                    }
                }
                Some(Err(failure)) => return Err(failure),
            }
        }
    }

    /// Maps a chunk on the blocking pool.
    async fn prepare(
        &self,
        plan: &mut Option<RowPlan>,
        range: &RangeState,
        chunk: Chunk,
    ) -> Result<CopyBatch, Failure> {
        let mut mine = plan.take().expect("one chunk of a range is prepared at a time");
        let (mapping, origin, range) = (Arc::clone(&self.applier.mapping), self.origin.clone(), range.clone());
        mine.watch(self.applier.evolution.watch());
        let work = move || {
            let batch = CopyBatch::prepare(&mut mine, &mapping, &origin, &range, chunk);
            (mine, batch)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok((mine, batch)) => {
                *plan = Some(mine);
                batch
            }
            Err(_) => Err(Failure::new(FailureClass::Fatal, "task_panicked", "preparing a chunk panicked")),
        }
    }

    /// Waits as the copy's pace asks for; no longer than until the service stops.
    async fn throttled(&self, read: usize, began: Instant) {
        if let Some(rate) = self.source.pace.rows_per_second {
            let due = Duration::from_secs_f64(read as f64 / f64::from(rate.max(1)));
            tokio::select! {
                () = tokio::time::sleep(due.saturating_sub(began.elapsed())) => {}
                () = self.applier.stop.cancelled() => {}
            }
        }
        while self.source.lags() && !self.applier.stop.is_cancelled() {
            tokio::time::sleep(THROTTLE_LOOK).await;
        }
    }

    /// Whether what was read is what the source counts.
    async fn compared(&self) -> Result<CopyEnd, Failure> {
        let ranges = self.applier.target.ranges(&self.applier.mapping.name, self.origin.version).await?;
        if ranges.iter().any(|range| !range.done) {
            return Ok(CopyEnd::Again);
        }
        cohorts::compare(self, &ranges).await
    }
}

/// What is left of a range behind a mark.
fn rest(range: &RangeState, reached: Option<landfall_connectors::snapshot::Mark>) -> KeyRange {
    KeyRange { after: reached.or_else(|| range.range.after.clone()), upto: range.range.upto.clone() }
}
