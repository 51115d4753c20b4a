//! A replay under way, turn by turn.
//!
//! Owns what a turn writes and how it is committed: rows with the guard that lets an event be written over itself, and the compare of the
//! checkpoints that stand meanwhile (promise 3). A commit whose answer was lost is repeated, for it changes nothing the second time; only
//! where it parks something it is looked for first (promise 9).

use super::compaction::{GivenUp, Latest, Places, advance, is_a_change, is_before, short_of};
use super::order::Standing;
use crate::assemble::Target;
use crate::queue::{Cursor, Queue, ReadBatch, ReadLimit, StoredEvent};
use crate::supervise::reaction::{Reaction, reaction};
use crate::transform::RowPlan;
use crate::worker::{AtRest, dead_letter, sort_by_key};
use landfall_connectors::checkpoints::{Checkpoint, Checkpoints, Phase};
use landfall_connectors::deadletter::DeadLetter;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use landfall_connectors::settlement::{Settlement, StandingStep};
use landfall_connectors::sink::{ApplyFailure, Guard, Sink, SinkBatch, Writer};
use landfall_schemas::event::Op;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::OnError;
use landfall_schemas::offset::{Generation, Version};
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::{Row, RowOp};
use landfall_schemas::stream::StreamId;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Events of a range that one pass keeps the keys of: at most 64 MB.
pub(super) const SLICE: u64 = 1 << 20;
/// Events read for one transaction: as many as a first load takes, since most of them are no last ones.
const READ: ReadLimit = ReadLimit { events: 10_000, bytes: 8 << 20 };
/// How long the stream rests for one turn: its live changes wait no longer.
const TURN: Duration = Duration::from_millis(400);
/// Tries of one transaction: the stream rests meanwhile.
const TRIES: u32 = 5;

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

/// A transaction of a turn.
struct Batch {
    sink: SinkBatch,
    events: ReadBatch,
    came: Came,
}

/// What a transaction came to.
#[derive(Clone, Copy, Default)]
struct Came {
    passed: u64,
    replayed: u64,
    behind_letters: u64,
    refused: u64,
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
        let mut writer = target.writer();
        let began = Instant::now();
        let (back, looked) = blocking(self, Self::look_ahead).await?;
        self = back;
        looked?;
        let mut ahead: Option<Option<Batch>> = None;
        loop {
            let next = match ahead.take() {
                Some(next) => next,
                None => {
                    let (back, next) = blocking(self, preparing(&rest)).await?;
                    self = back;
                    next?
                }
            };
            let Some(batch) = next else { break };
            let committing = commit(&target, &rest, (&mut writer, batch));
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
    fn prepare(&mut self, rest: &AtRest) -> Result<Option<Batch>, Failure> {
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
            let mut batch = Batch {
                sink: SinkBatch { guard: Guard::NotOlder, ..SinkBatch::default() },
                events,
                came: Came::default(),
            };
            let events = std::mem::take(&mut batch.events);
            let goal = self.goal.clone();
            for event in events.events.iter().filter(|event| is_before(event, &goal)) {
                batch.came.passed += 1;
                self.one((&events, event), rest, &mut batch)?;
            }
            advance(&mut self.reached, &events.next, &self.goal);
            if batch.sink.rows.rows.is_empty() && batch.sink.dead.is_empty() {
                passed += batch.came.passed;
                self.standing.behind_letters += batch.came.behind_letters;
                continue;
            }
            batch.came.passed += passed;
            batch.events = events;
            sort_by_key(&mut batch.sink.rows);
            batch.sink.settlement = Some(standing_still(&batch.sink, rest));
            return Ok(Some(batch));
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

fn preparing(rest: &Arc<AtRest>) -> impl FnOnce(&mut Replay) -> Result<Option<Batch>, Failure> + Send + 'static {
    let rest = Arc::clone(rest);
    move |replay| replay.prepare(&rest)
}

/// Streams that halt for what they cannot map halt a replay too.
fn may_be_parked(reason: &Rejection, rest: &AtRest) -> Result<(), Failure> {
    if reason.code != RejectCode::NewField && rest.mapping.on_error == OnError::Park {
        return Ok(());
    }
    let detail = format!(
        "a record in the range cannot be mapped ({reason}), and stream {} does not park such records; what was replayed before it stands",
        rest.mapping.name
    );
    Err(Failure::new(FailureClass::Halt, "record_refused", detail))
}

/// The compare of every partition that the batch writes rows of.
fn standing_still(batch: &SinkBatch, rest: &AtRest) -> Settlement {
    let written = |partition| batch.rows.rows.iter().any(|row| row.partition == partition);
    let parked = |partition| batch.dead.iter().filter(|dead| dead.partition == partition).count() as u64;
    let standing = rest.checkpoints.iter();
    let touched = standing.filter(|known| written(known.partition) || parked(known.partition) > 0);
    let step = |known: &Checkpoint| StandingStep {
        partition: known.partition,
        at: known.next,
        parked: parked(known.partition),
    };
    Settlement {
        act: Uuid::nil(),
        event: None,
        actor: String::new(),
        reason: String::new(),
        ended: Vec::new(),
        renewed: Vec::new(),
        steps: touched.map(step).collect(),
    }
}

/// Commits a transaction, whatever the answer.
async fn commit(
    target: &Target,
    rest: &AtRest,
    (writer, mut batch): (&mut <Target as Sink>::Writer, Batch),
) -> Result<Came, Failure> {
    let (mut pace, mut tries) = (Pace::new(), 0);
    loop {
        fail::fail_point!("replay::before_commit");
        let failure = match writer.apply(&rest.mapping, (rest.owner, Phase::Live), &batch.sink).await {
            Ok(_) => {
                fail::fail_point!("replay::after_commit");
                return Ok(batch.came);
            }
            Err(ApplyFailure::Refused(rows)) => {
                batch.park_refused(&rows, rest)?;
                continue;
            }
            Err(ApplyFailure::Failed(failure)) => failure,
        };
        tries += 1;
        match reaction(failure.class) {
            Reaction::Settle if batch.took_place(target, rest).await? => return Ok(batch.came),
            Reaction::Settle | Reaction::Retry if tries < TRIES => tokio::time::sleep(pace.next_wait()).await,
            _ => return Err(failure),
        }
    }
}

impl Batch {
    /// Rows that PostgreSQL refuses are parked in their place.
    fn park_refused(&mut self, refused: &[(usize, String)], rest: &AtRest) -> Result<(), Failure> {
        let gone: HashSet<usize> = refused.iter().map(|(index, _)| *index).collect();
        for (index, sqlstate) in refused {
            let row = &self.sink.rows.rows[*index];
            let from = |event: &&StoredEvent| (event.partition, event.offset) == (row.partition, row.offset);
            let Some(event) = self.events.events.iter().find(from) else { continue };
            let reason = Rejection::new(RejectCode::Refused, "", "a row that PostgreSQL accepts", sqlstate);
            may_be_parked(&reason, rest)?;
            let mut letter = dead_letter(&self.events, event, rest.generation, reason);
            letter.sqlstate = Some(sqlstate.clone());
            self.sink.dead.push(letter);
            self.came.refused += 1;
            self.came.replayed -= 1;
        }
        let mut index = 0;
        self.sink.rows.rows.retain(|_| {
            index += 1;
            !gone.contains(&(index - 1))
        });
        self.sink.settlement = Some(standing_still(&self.sink, rest));
        Ok(())
    }

    /// Whether a commit whose answer was lost took place: behind the lock of its partitions, which one on its way holds. Rows do not matter, for
    /// they are written over themselves; what it parks would be parked twice.
    async fn took_place(&self, target: &Target, rest: &AtRest) -> Result<bool, Failure> {
        let _ = target.read(&rest.mapping.name, true).await?;
        match self.sink.dead.first() {
            Some(DeadLetter { partition, offset, .. }) => {
                target.is_parked(&rest.mapping.name, (*partition, *offset)).await
            }
            None => Ok(false),
        }
    }
}
