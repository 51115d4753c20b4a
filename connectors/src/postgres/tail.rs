//! What commits with the rows: checkpoints, ranges, dead letters, retractions, settlements, and the sweep behind a barrier.
//!
//! Owns the order in which they are asked for and what they must have moved; their parameters are `advance`'s and `ranges`'. Keeps
//! promises 2 and 3: a transaction whose tail did not move exactly what it names is rolled back by the writer.

use super::advance::{Burial, Claim, Retraction, Steps};

use super::ranges::RangeMove;
use super::settle::Settling;
use super::statement::{SWEEP_DEAD, Verb, sql};
use super::wire::{Link, WireError};
use super::write::prepare;
use crate::sink::SinkBatch;
use futures_util::future::join;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::Version;
use std::time::Duration;
use tokio_postgres::{Client, Error, Statement};

/// What commits with the rows, prepared.
pub(crate) struct Tail<'a> {
    pub(crate) steps: Steps,
    advance: Statement,
    burial: Option<(Burial<'a>, Statement)>,
    retraction: Option<(Retraction<'a>, Statement)>,
    range: Option<(RangeMove<'a>, Statement)>,
    sweep: Option<Sweep>,
    settling: Option<Settling<'a>>,
}

/// Deletes what a barrier ends.
struct Sweep {
    older_than: Version,
    /// Of the stream's own table and those below it.
    rows: Vec<Statement>,
    dead: Statement,
}

impl Sweep {
    async fn run(&self, client: &Client, claim: Claim<'_>) -> Result<(), Error> {
        client.batch_execute("SET LOCAL statement_timeout = 0").await?;
        for rows in &self.rows {
            client.execute(rows, &[&self.older_than.0]).await?;
        }
        client.execute(&self.dead, &[&claim.pipeline, &claim.stream, &self.older_than.0]).await?;
        Ok(())
    }
}

impl<'a> Tail<'a> {
    pub(crate) async fn prepare(
        link: &mut Link,
        limit: Duration,
        stream: &StreamMapping,
        batch: &'a SinkBatch,
    ) -> Result<Self, WireError> {
        let burial = if batch.dead.is_empty() {
            None
        } else {
            Some((Burial::new(&batch.dead), prepare(link, limit, Burial::SQL).await?))
        };
        let retraction = if batch.retracted.is_empty() {
            None
        } else {
            Some((Retraction::new(&batch.retracted), prepare(link, limit, Retraction::SQL).await?))
        };
        #[cfg(not(feature = "mutants"))]
        let advance = prepare(link, limit, Steps::SQL).await?;
        #[cfg(feature = "mutants")]
        let advance = prepare(link, limit, super::mutant::first_statement(Steps::SQL)).await?;
        let range = match &batch.range {
            Some(step) => Some((RangeMove::new(step), prepare(link, limit, RangeMove::SQL).await?)),
            None => None,
        };
        let sweep = match batch.sweep {
            Some(older_than) => {
                let mut rows = vec![prepare(link, limit, sql(&stream.table, Verb::Sweep, "")).await?];
                for child in stream.child_tables() {
                    rows.push(prepare(link, limit, sql(&child.table, Verb::Sweep, "")).await?);
                }
                Some(Sweep { older_than, rows, dead: prepare(link, limit, SWEEP_DEAD).await? })
            }
            None => None,
        };
        let settling = match &batch.settlement {
            Some(settlement) => Some(Settling::prepare(link, limit, settlement).await?),
            None => None,
        };
        Ok(Self { steps: Steps::new(batch), advance, burial, retraction, range, sweep, settling })
    }

    /// How many checkpoints, ranges and letters must move.
    pub(crate) fn expected(&self) -> u64 {
        let settled = self.settling.as_ref().map_or(0, Settling::expected);
        self.steps.expected() + u64::from(self.range.is_some()) + settled
    }

    /// Runs it; each statement is on its way before the first answer is waited for. Gives the checkpoints, ranges and letters that moved.
    pub(crate) async fn run(&self, client: &Client, claim: Claim<'_>) -> Result<u64, Error> {
        // A sweep is rare and takes long: it goes first, and what it deletes is older than anything written with it.
        if let Some(sweep) = &self.sweep {
            sweep.run(client, claim).await?;
        }
        let settled = match &self.settling {
            Some(settling) => settling.run(client, claim).await?,
            None => 0,
        };
        let bury = async {
            match &self.burial {
                Some((burial, statement)) => burial.run(client, statement, claim).await,
                None => Ok(0),
            }
        };
        let retract = async {
            match &self.retraction {
                Some((retraction, statement)) => retraction.run(client, statement, claim).await,
                None => Ok(0),
            }
        };
        let advance = async {
            fail::fail_point!("sink::before_checkpoint");
            match self.steps.expected() {
                0 => Ok(0),
                _ => self.steps.run(client, &self.advance, claim).await,
            }
        };
        let tick = async {
            match &self.range {
                Some((range, statement)) => range.run(client, statement, claim).await,
                None => Ok(0),
            }
        };
        let (buried, (retracted, (advanced, ticked))) = join(bury, join(retract, join(advance, tick))).await;
        buried?;
        retracted?;
        Ok(advanced? + ticked? + settled)
    }
}
