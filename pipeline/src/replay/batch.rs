//! One transaction of a replay: rows with the guard that lets an event be written over itself, and the compare of the checkpoints that stand
//! meanwhile (promise 3).
//!
//! A commit whose answer was lost is repeated, for it changes nothing the second time; only where it parks something it is looked for first
//! (promise 9).

use crate::assemble::Target;
use crate::queue::{ReadBatch, StoredEvent};
use crate::supervise::reaction::{Reaction, reaction};
use crate::worker::{AtRest, dead_letter, sort_by_key};
use landfall_connectors::checkpoints::{Checkpoint, Checkpoints, Phase};
use landfall_connectors::deadletter::DeadLetter;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use landfall_connectors::settlement::{Settlement, StandingStep};
use landfall_connectors::sink::{ApplyFailure, Guard, Sink, SinkBatch, Writer};
use landfall_schemas::mapping::OnError;
use landfall_schemas::rejection::{RejectCode, Rejection};
use std::collections::HashSet;
use std::sync::Arc;
use uuid::Uuid;

/// Transactions that are written side by side: each has half of the partitions.
pub(super) const SIDES: usize = 2;
/// Tries of one transaction: the stream rests meanwhile.
const TRIES: u32 = 5;

/// A transaction of a turn.
pub(super) struct Batch {
    pub(super) sink: SinkBatch,
    pub(super) events: Arc<ReadBatch>,
    pub(super) came: Came,
}

/// What a transaction came to.
#[derive(Clone, Copy, Default)]
pub(super) struct Came {
    pub(super) passed: u64,
    pub(super) replayed: u64,
    pub(super) behind_letters: u64,
    pub(super) refused: u64,
}

/// Streams that halt for what they cannot map halt a replay too.
pub(super) fn may_be_parked(reason: &Rejection, rest: &AtRest) -> Result<(), Failure> {
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
pub(super) async fn commit(
    target: &Target,
    rest: &AtRest,
    (writer, mut batch): (&mut <Target as Sink>::Writer, Batch),
) -> Result<Came, Failure> {
    if batch.is_empty() {
        return Ok(batch.came);
    }
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

/// Both to their end: a failure of one does not drop the other in the middle of its commit.
pub(super) async fn both(
    one: impl Future<Output = Result<Came, Failure>>,
    other: impl Future<Output = Result<Came, Failure>>,
) -> Result<Came, Failure> {
    let (one, other) = tokio::join!(one, other);
    let (one, other) = (one?, other?);
    Ok(Came {
        passed: one.passed + other.passed,
        replayed: one.replayed + other.replayed,
        behind_letters: one.behind_letters + other.behind_letters,
        refused: one.refused + other.refused,
    })
}

impl Batch {
    pub(super) fn of(events: &Arc<ReadBatch>) -> Self {
        let sink = SinkBatch { guard: Guard::NotOlder, ..SinkBatch::default() };
        Self { sink, events: Arc::clone(events), came: Came::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sink.rows.rows.is_empty() && self.sink.dead.is_empty()
    }

    /// Nothing more comes in: sorts the rows and names the partitions that stand.
    pub(super) fn close(&mut self, rest: &AtRest) {
        sort_by_key(&mut self.sink.rows);
        self.sink.settlement = Some(standing_still(&self.sink, rest));
    }

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
