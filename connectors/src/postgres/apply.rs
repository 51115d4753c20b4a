//! The writer: one batch, one transaction.
//!
//! Keeps promises 2, 3, 8, 9. What travels together:
//!
//! ```text
//! small batch:  BEGIN · MERGE from arrays · dead letters · retractions · compare-and-set   │ COMMIT
//! large batch:  BEGIN · COPY opened   │ rows · MERGE from stage · … · compare-and-set       │ COMMIT
//! bulk:         BEGIN · COPY opened   │ rows · dead letters · … · compare-and-set           │ COMMIT
//! ```
//!
//! A bar is a round trip. `COMMIT` is sent only after every answer before it was good and the compare-and-set changed
//! exactly as many rows as there are steps. Cancel-safe: the connection is taken out of the writer for the length of an
//! exchange, so a dropped future drops the connection, and with it the transaction, unless `COMMIT` was on its way; the
//! caller settles that by reading the checkpoint.

use super::advance::Claim;
use super::classify::{classify, classify_commit, living_sqlstate, may_be_a_row};
use super::statement::Equal;
use super::tail::Tail;
use super::target::Target;
use super::wire::{Link, WireError};
use super::write::{plan, write};
use super::{bulk, drift, refused};
use crate::checkpoints::{OwnerNonce, Phase};
use crate::failure::{Failure, FailureClass};
use crate::sink::{Applied, ApplyFailure, Guard, SinkBatch, Writer};
use landfall_schemas::mapping::StreamMapping;
use std::sync::Arc;
use std::time::Duration;

/// A connection that writes batches.
#[derive(Debug)]
pub struct PostgresWriter {
    target: Arc<Target>,
    link: Option<Box<Link>>,
}

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// One `MERGE`.
    Merge,
    /// `INSERT … ON CONFLICT` and `DELETE`: before PostgreSQL 15, and when a foreign writer's insert raced with the merge.
    OnConflict,
    /// `COPY` into the heap.
    Heap,
}

/// How the rows of one attempt are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Writing {
    pub(crate) way: Way,
    pub(crate) equal: Equal,
}

impl Writing {
    fn first(phase: Phase, server_version: u32, batch: &SinkBatch) -> Self {
        let way = match phase {
            Phase::Bulk => Way::Heap,
            Phase::Live if server_version >= 15_00_00 => Way::Merge,
            Phase::Live => Way::OnConflict,
        };
        let equal = match (&batch.range, batch.guard) {
            (Some(_), _) => Equal::Stamped,
            (None, Guard::Newer) => Equal::Kept,
            (None, Guard::NotOlder) => Equal::Rewritten,
        };
        Self { way, equal }
    }
}

impl PostgresWriter {
    pub(crate) fn new(target: Arc<Target>) -> Self {
        Self { target, link: None }
    }

    /// The connection, or a new one.
    async fn link(&mut self) -> Result<Box<Link>, Failure> {
        match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => Ok(link),
            None => Ok(Box::new(self.target.connector.connect().await?)),
        }
    }
}

/// The parts of a writer's work that need no writer; `Target` is what they share.
impl Target {
    /// One attempt at a batch, one way.
    async fn attempt(
        &self,
        link: &mut Link,
        (stream, nonce, writing): (&StreamMapping, OwnerNonce, Writing),
        batch: &SinkBatch,
    ) -> Result<(), Attempt> {
        let limit = self.connector.exchange_limit();
        let all = (&batch.rows, batch.rows.rows.as_slice());
        let plan = plan(link, limit, stream, (all, writing)).await.map_err(Attempt::Server)?;
        let tail = Tail::prepare(link, limit, stream, batch).await.map_err(Attempt::Server)?;
        let claim = Claim { pipeline: &self.pipeline, stream: stream.name.as_str(), nonce };
        fail::fail_point!("sink::before_begin");
        link.at_rest = false;
        let Link { client, driver, .. } = &mut *link;
        let work = Box::pin(write(client, stream, &plan, all, tail.run(client, claim)));
        // Sweeping a table takes as long as it takes; liveness of the server is watched by keepalives.
        let limit_of_work = if batch.sweep.is_some() { bulk::BUILD_LIMIT } else { limit };
        let changed = driver.drive(limit_of_work, work).await;
        if changed.map_err(Attempt::Server)? != tail.expected() {
            return Err(Attempt::Moved);
        }
        fail::fail_point!("sink::before_commit");
        commit(link, limit).await.map_err(Attempt::Commit)?;
        #[cfg(feature = "mutants")]
        super::mutant::move_in_second_transaction(link, limit, &tail.steps, claim).await.map_err(Attempt::Commit)?;
        fail::fail_point!("sink::after_commit");
        Ok(())
    }

    async fn apply_on(
        &self,
        link: &mut Link,
        (stream, nonce, phase): (&StreamMapping, OwnerNonce, Phase),
        batch: &SinkBatch,
    ) -> Result<(), ApplyFailure> {
        let mut writing = Writing::first(phase, link.server_version, batch);
        loop {
            let failed = match self.attempt(link, (stream, nonce, writing), batch).await {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            match failed {
                Attempt::Commit(error) => return Err(classify_commit(&error).into()),
                Attempt::Moved => {
                    self.roll_back(link).await?;
                    return Err(moved().into());
                }
                Attempt::Server(error) => {
                    let failure = classify(&error, "apply");
                    let Some(state) = living_sqlstate(&error).map(str::to_owned) else { return Err(failure.into()) };
                    self.roll_back(link).await?;
                    if state == "23505" && writing.way == Way::Merge {
                        writing.way = Way::OnConflict;
                        continue;
                    }
                    if may_be_a_row(&state) || failure.code == drift::SCHEMA_DRIFT {
                        drift::find(self, link, stream).await?;
                    }
                    if !may_be_a_row(&state) || batch.rows.rows.is_empty() {
                        return Err(failure.into());
                    }
                    let limit = self.connector.exchange_limit();
                    return Err(refused::find(link, limit, (stream, writing), &batch.rows).await);
                }
            }
        }
    }

    async fn roll_back(&self, link: &mut Link) -> Result<(), Failure> {
        roll_back(link, self.connector.exchange_limit()).await.map_err(|error| classify(&error, "roll back"))
    }
}

/// Why an attempt came to nothing.
enum Attempt {
    /// Before `COMMIT` was sent: nothing is written.
    Server(WireError),
    /// `COMMIT` was sent.
    Commit(WireError),
    /// The compare-and-set did not find the checkpoints where they were left.
    Moved,
}

fn moved() -> Failure {
    Failure::new(
        FailureClass::Fenced,
        "checkpoint_moved",
        "the checkpoint is not where this owner left it, or another owner was admitted; nothing was written",
    )
}

impl Writer for PostgresWriter {
    async fn apply(
        &mut self,
        stream: &StreamMapping,
        (nonce, phase): (OwnerNonce, Phase),
        batch: &SinkBatch,
    ) -> Result<Applied, ApplyFailure> {
        if batch.advances.is_empty() && batch.range.is_none() && batch.settlement.is_none() {
            // Without a step there is nothing to compare: such a transaction would not be fenced.
            return Err(Failure::new(
                FailureClass::Fatal,
                "batch_without_step",
                "a batch advances no partition and no range",
            )
            .into());
        }
        let mut link = self.link().await?;
        let result = Box::pin(self.target.apply_on(&mut link, (stream, nonce, phase), batch)).await;
        if link.at_rest {
            self.link = Some(link);
        }
        result.map(|()| Applied { advances: batch.advances.iter().map(|a| (a.partition, a.range)).collect() })
    }

    async fn finish_bulk(&mut self, stream: &StreamMapping, owner: OwnerNonce) -> Result<(), Failure> {
        // The session's raised limits end with the connection.
        let mut link = Box::new(self.target.connector.connect().await?);
        Box::pin(bulk::finish(&mut link, &self.target, stream, owner)).await
    }
}

/// Commits. After this was called the outcome is known only from its answer.
pub(crate) async fn commit(link: &mut Link, limit: Duration) -> Result<(), WireError> {
    let Link { client, driver, .. } = &mut *link;
    driver.drive(limit, client.batch_execute("COMMIT")).await?;
    link.at_rest = true;
    Ok(())
}

/// Ends a transaction without effect.
pub(crate) async fn roll_back(link: &mut Link, limit: Duration) -> Result<(), WireError> {
    let Link { client, driver, .. } = &mut *link;
    driver.drive(limit, client.batch_execute("ROLLBACK")).await?;
    link.at_rest = true;
    Ok(())
}
