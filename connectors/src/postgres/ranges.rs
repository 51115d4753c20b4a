//! The ranges of copies: planned under the owner's nonce, ticked off in the transaction that wrote them.
//!
//! Keeps promise 2 (a range moves exactly with its rows), 3 (its step names nonce and expected place and must change one row) and
//! 17: admission takes the ranges over with the checkpoints, so a step of the owner before has ended or finds nothing.

use super::advance::Claim;
use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::checkpoints::OwnerNonce;
use crate::failure::{Failure, FailureClass};
use crate::sink::{CopyVersion, RangeCounts, RangeState, RangeStep, Ranges};
use crate::snapshot::{Cohorts, KeyRange, Mark};
use landfall_schemas::stream::StreamName;
use std::collections::BTreeMap;
use tokio_postgres::types::{Json, ToSql};
use tokio_postgres::{Client, Error, Row, Statement};

/// Moves a range. Parameters: pipeline, stream, nonce, copy, number, from, to, done, cohorts, copied, parked,
/// filtered.
const STEP: &str = "UPDATE landfall.ranges SET reached = $7, done = $8, cohorts = $9, copied = $10, parked = $11, \
      filtered = $12, updated_at = pg_catalog.now() \
    WHERE pipeline = $1 AND stream = $2 AND owner_nonce = $3 AND copy = $4 AND number = $5 \
      AND reached IS NOT DISTINCT FROM $6 AND NOT done";

/// Under the row locks: a step still on its way has ended before the answer, which is what settles an unknown commit.
const LIST: &str = "SELECT number, after_mark, upto_mark, reached, done, cohorts, copied, parked, filtered \
    FROM landfall.ranges WHERE pipeline = $1 AND stream = $2 AND copy = $3 ORDER BY number FOR UPDATE";

const OWNED: &str =
    "SELECT true FROM landfall.streams WHERE pipeline = $1 AND stream = $2 AND owner_nonce = $3 FOR UPDATE";

const PLANNED: &str = "SELECT EXISTS (SELECT FROM landfall.ranges WHERE pipeline = $1 AND stream = $2 AND copy = $3)";

const PLAN: &str = "INSERT INTO landfall.ranges (pipeline, stream, copy, number, owner_nonce, after_mark, upto_mark) \
    SELECT $1, $2, $3, r.place - 1, $4, r.after_mark, r.upto_mark \
    FROM unnest($5::bytea[], $6::bytea[]) WITH ORDINALITY AS r (after_mark, upto_mark, place)";

/// The parameters of one step.
pub(crate) struct RangeMove<'a> {
    step: &'a RangeStep,
}

impl<'a> RangeMove<'a> {
    pub(crate) const SQL: &'static str = STEP;

    pub(crate) fn new(step: &'a RangeStep) -> Self {
        Self { step }
    }

    pub(crate) async fn run(&self, client: &Client, statement: &Statement, claim: Claim<'_>) -> Result<u64, Error> {
        let step = self.step;
        let number = step.number.cast_signed();
        let counts = &step.counts;
        let [copied, parked, filtered] = [counts.copied, counts.parked, counts.filtered].map(u64::cast_signed);
        let done = step.to.is_none();
        let parameters: [&(dyn ToSql + Sync); 12] = [
            &claim.pipeline,
            &claim.stream,
            &claim.nonce.0,
            &step.copy.0,
            &number,
            &step.from.as_deref(),
            &step.to.as_deref(),
            &done,
            &Json(&step.cohorts.0),
            &copied,
            &parked,
            &filtered,
        ];
        client.execute(statement, &parameters).await
    }
}

impl Ranges for PostgresTarget {
    async fn ranges(&self, stream: &StreamName, copy: CopyVersion) -> Result<Vec<RangeState>, Failure> {
        let target = &*self.inner;
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let read = async {
            client.batch_execute(BEGIN).await?;
            let rows = client.query(LIST, &[&target.pipeline, &stream.as_str(), &copy.0]).await?;
            client.batch_execute("ROLLBACK").await?;
            rows.iter().map(state).collect::<Result<Vec<_>, Error>>()
        };
        driver.drive(target.connector.exchange_limit(), read).await.map_err(|error| classify(&error, "read ranges"))
    }

    async fn plan(
        &self,
        stream: &StreamName,
        owner: OwnerNonce,
        (copy, ranges): (CopyVersion, &[KeyRange]),
    ) -> Result<(), Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let claim = Claim { pipeline: &target.pipeline, stream: stream.as_str(), nonce: owner };
        let owned = driver.drive(limit, plan(client, claim, copy, ranges)).await;
        if owned.map_err(|error| classify(&error, "plan ranges"))? {
            return match commit(&mut link, limit).await {
                Ok(()) => Ok(()),
                // A plan that is there stands: planning can be repeated whatever became of this one.
                Err(error) => {
                    let failure = classify_commit(&error);
                    let repeatable = failure.class == FailureClass::Unknown;
                    Err(if repeatable { Failure { class: FailureClass::Transient, ..failure } } else { failure })
                }
            };
        }
        roll_back(&mut link, limit).await.map_err(|error| classify(&error, "plan ranges"))?;
        let detail = "another owner was admitted to the stream; nothing was planned";
        Err(Failure::new(FailureClass::Fenced, "other_owner", detail))
    }
}

/// `false`: this owner was replaced.
async fn plan(client: &Client, claim: Claim<'_>, copy: CopyVersion, ranges: &[KeyRange]) -> Result<bool, Error> {
    client.batch_execute(BEGIN).await?;
    if client.query_opt(OWNED, &[&claim.pipeline, &claim.stream, &claim.nonce.0]).await?.is_none() {
        return Ok(false);
    }
    let planned = client.query_one(PLANNED, &[&claim.pipeline, &claim.stream, &copy.0]).await?;
    if planned.try_get(0)? {
        return Ok(true);
    }
    let end = |of: fn(&KeyRange) -> &Option<Mark>| ranges.iter().map(|range| of(range).as_deref()).collect::<Vec<_>>();
    let (after, upto) = (end(|range| &range.after), end(|range| &range.upto));
    client.execute(PLAN, &[&claim.pipeline, &claim.stream, &copy.0, &claim.nonce.0, &after, &upto]).await?;
    Ok(true)
}

fn state(row: &Row) -> Result<RangeState, Error> {
    let mark = |n: usize| row.try_get::<_, Option<Vec<u8>>>(n).map(|mark| mark.map(Vec::into_boxed_slice));
    let count = |n: usize| row.try_get::<_, i64>(n).map(i64::cast_unsigned);
    let cohorts: Json<BTreeMap<Box<str>, u64>> = row.try_get(5)?;
    Ok(RangeState {
        number: row.try_get::<_, i32>(0)?.cast_unsigned(),
        range: KeyRange { after: mark(1)?, upto: mark(2)? },
        reached: mark(3)?,
        done: row.try_get(4)?,
        cohorts: Cohorts(cohorts.0),
        counts: RangeCounts { copied: count(6)?, parked: count(7)?, filtered: count(8)? },
    })
}
