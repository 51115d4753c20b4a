//! A replay under way, turn by turn.
//!
//! Owns which events are written, and in what order they are read. Two transactions are written side by side while the next two are prepared;
//! how they are committed is `batch`'s.

use super::batch::{Batch, Came, SIDES, both, commit, may_be_parked};
use super::compaction::{GivenUp, Latest, Places, advance, is_a_change, is_before, short_of};
use super::order::Standing;
use crate::assemble::Target;
use crate::queue::{Cursor, Queue, ReadBatch, ReadLimit, StoredEvent};
use crate::transform::RowPlan;
use crate::worker::{AtRest, dead_letter};
use landfall_connectors::checkpoints::Phase;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::Sink;
use landfall_schemas::event::Op;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::offset::{Generation, Version};
use landfall_schemas::rejection::Rejection;
use landfall_schemas::row::{Row, RowOp};
use landfall_schemas::stream::StreamId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Events of a range that one pass keeps the keys of: at most 64 MB.
pub(super) const SLICE: u64 = 1 << 20;
/// Events read for one transaction: as many as a first load takes, since most of them are no last ones.
const READ: ReadLimit = ReadLimit { events: 10_000, bytes: 8 << 20 };
/// How long the stream rests for one turn: its live changes wait no longer.
const TURN: Duration = Duration::from_millis(400);

/// A replay under way.
pub(crate) struct Replay {
    queue: Arc<dyn Queue>,
    start: Cursor,
    /// Where the stream stood when it began: what comes behind is live.
    goal: Places,
    reached: Places,
    latest: Latest,
    slice: (u32, u32),
    given_up: GivenUp,
    standing: Standing,
    /// Of this turn: where the stream stands, and the mapping of now.
    until: Places,
    plan: Option<RowPlan>,
    generation: Option<Generation>,
}

impl Replay {
    /// Of this stream's events from `start` to `goal`.
    pub(crate) fn new(
        (queue, stream): (Arc<dyn Queue>, StreamId),
        (start, goal): (Places, Places),
        given_up: GivenUp,
    ) -> Self {
        let from = |partition| start.iter().find(|(known, _)| *known == partition).map(|(_, from)| *from);
        let events =
            goal.iter().map(|(partition, end)| end.0.saturating_sub(from(*partition).unwrap_or(*end).0)).sum::<u64>();
        let slices = u32::try_from(events.div_ceil(SLICE).max(1)).unwrap_or(u32::MAX);
        let start = Cursor { stream, next: start };
        Self {
            queue,
            reached: start.next.clone(),
            latest: Latest::new(start.clone(), (0, slices)),
            start,
            until: goal.clone(),
            goal,
            slice: (0, slices),
            given_up,
            standing: Standing { total: events * u64::from(slices), ..Standing::default() },
            plan: None,
            generation: None,
        }
    }

    /// How far it is.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Version of the first event in the range; above all where there is none, so that every row was written before it.
    pub(crate) fn first_version(&self) -> Version {
        let first = self.generation.zip(self.latest.first);
        first.map_or(Version(i64::MAX), |(generation, first)| generation.version(first))
    }

    /// Reads what is known to be applied, before the stream is asked to rest. Blocking.
    pub(crate) fn look_ahead(&mut self) -> Result<(), Failure> {
        self.latest.extend(&*self.queue, &self.until, &self.given_up)
    }

    /// One turn, while the stream rests.
    pub(crate) async fn turn(mut self, target: Arc<Target>, rest: AtRest) -> Result<Self, Failure> {
        if rest.phase == Phase::Bulk {
            let detail = "the table is being filled for the first time; try again when it is";
            return Err(Failure::new(FailureClass::Transient, "first_load", detail));
        }
        let rest = Arc::new(rest);
        self.until = rest.checkpoints.iter().map(|known| (known.partition, known.next)).collect();
        self.plan = Some(RowPlan::new(&rest.mapping));
        self.generation = Some(rest.generation);
        let mut writers = [target.writer(), target.writer()];
        let began = Instant::now();
        let (back, looked) = blocking(self, Self::look_ahead).await?;
        self = back;
        looked?;
        let mut ahead: Option<Option<[Batch; SIDES]>> = None;
        loop {
            let next = match ahead.take() {
                Some(next) => next,
                None => {
                    let (back, next) = blocking(self, preparing(&rest)).await?;
                    self = back;
                    next?
                }
            };
            let Some([one, other]) = next else { break };
            let [first, second] = &mut writers;
            let written = both(commit(&target, &rest, (first, one)), commit(&target, &rest, (second, other)));
            let committing = Box::pin(written);
            if began.elapsed() >= TURN {
                let came = committing.await?;
                self.count(came);
                break;
            }
            // What comes next are other keys: it is prepared meanwhile.
            let (came, prepared) = tokio::join!(committing, blocking(self, preparing(&rest)));
            let (back, next) = prepared?;
            self = back;
            self.count(came?);
            ahead = Some(next?);
        }
        Ok(self)
    }

    fn count(&mut self, came: Came) {
        let standing = &mut self.standing;
        standing.passed += came.passed;
        standing.replayed += came.replayed;
        standing.behind_letters += came.behind_letters;
        standing.refused += came.refused;
    }

    /// The next events with something to write; `None`: there are no more.
    fn prepare(&mut self, rest: &AtRest) -> Result<Option<[Batch; SIDES]>, Failure> {
        let mut passed = 0;
        loop {
            let next = short_of(&self.reached, &self.goal);
            if next.is_empty() {
                if self.slice.0 + 1 >= self.slice.1 {
                    self.standing.passed += passed;
                    self.standing.finished = true;
                    return Ok(None);
                }
                self.next_slice()?;
                continue;
            }
            let events = self.queue.read(&Cursor { stream: self.start.stream, next }, READ)?;
            if events.events.is_empty() {
                let detail = "events of the range are not there any more; replay from a later place";
                return Err(Failure::new(FailureClass::Halt, "history_trimmed", detail));
            }
            let events = Arc::new(events);
            let mut batches = [(); SIDES].map(|()| Batch::of(&events));
            let goal = self.goal.clone();
            for event in events.events.iter().filter(|event| is_before(event, &goal)) {
                let batch = &mut batches[usize::from(event.partition.0) % SIDES];
                batch.came.passed += 1;
                self.one((&events, event), rest, batch)?;
            }
            advance(&mut self.reached, &events.next, &self.goal);
            if batches.iter().all(Batch::is_empty) {
                for batch in &batches {
                    passed += batch.came.passed;
                    self.standing.behind_letters += batch.came.behind_letters;
                }
                continue;
            }
            batches[0].came.passed += passed;
            batches.iter_mut().for_each(|batch| batch.close(rest));
            return Ok(Some(batches));
        }
    }

    fn next_slice(&mut self) -> Result<(), Failure> {
        self.slice.0 += 1;
        self.latest = Latest::new(self.start.clone(), self.slice);
        self.reached.clone_from(&self.start.next);
        self.look_ahead()
    }

    fn one(
        &mut self,
        (events, event): (&ReadBatch, &StoredEvent),
        rest: &AtRest,
        batch: &mut Batch,
    ) -> Result<(), Failure> {
        if !is_a_change(event) {
            return Ok(());
        }
        let hash = KeyHash::of(events.bytes(event, &event.key));
        if !self.latest.is_last(hash, event) {
            return Ok(());
        }
        if rest.parked.contains(&hash) {
            batch.came.behind_letters += 1;
            return Ok(());
        }
        match self.row((events, event), rest, batch) {
            Ok(row) => {
                batch.came.replayed += 1;
                batch.sink.rows.rows.push(row);
            }
            Err(reason) => {
                may_be_parked(&reason, rest)?;
                batch.came.refused += 1;
                batch.sink.dead.push(dead_letter(events, event, rest.generation, reason));
            }
        }
        Ok(())
    }

    fn row(
        &mut self,
        (events, event): (&ReadBatch, &StoredEvent),
        rest: &AtRest,
        batch: &mut Batch,
    ) -> Result<Row, Rejection> {
        let plan = self.plan.get_or_insert_with(|| RowPlan::new(&rest.mapping));
        let (key, version) = (events.bytes(event, &event.key), rest.generation.version(event.sequence));
        let set = &mut batch.sink.rows;
        let put = match event.op {
            Op::Upsert => plan.upsert(key, events.bytes(event, &event.payload), version, set)?,
            _ => None,
        };
        let (op, encoded) = match put {
            Some(encoded) => (RowOp::Upsert, encoded),
            None => (RowOp::Delete, plan.delete(key, version, set)?),
        };
        let (fields, children) = (encoded.fields, encoded.children);
        Ok(Row { op, fields, children, version, partition: event.partition, offset: event.offset })
    }
}

/// Runs `work` on the blocking pool: it parses, and it may touch the disk.
async fn blocking<R: Send + 'static>(
    mut replay: Replay,
    work: impl FnOnce(&mut Replay) -> R + Send + 'static,
) -> Result<(Replay, R), Failure> {
    let work = move || {
        let done = work(&mut replay);
        (replay, done)
    };
    let panicked = |_| Failure::new(FailureClass::Fatal, "task_panicked", "preparing a replay panicked");
    tokio::task::spawn_blocking(work).await.map_err(panicked)
}

fn preparing(
    rest: &Arc<AtRest>,
) -> impl FnOnce(&mut Replay) -> Result<Option<[Batch; SIDES]>, Failure> + Send + 'static {
    let rest = Arc::clone(rest);
    move |replay| replay.prepare(&rest)
}
