//! Dead letters taken up again: read in the order of their events, and settled in the transaction of the rows they become.
//!
//! A settlement names every letter it ends and every partition whose counts it changes; each must stand as it was read, or the transaction is
//! rolled back (promise 3). Letters keep their payload when they are settled: what was given up can be looked at later.

use super::advance::Claim;
use super::decisions::{RECORD, unreadable};
use super::target::PostgresTarget;
use super::wire::{Link, WireError};
use super::write::prepare;
use crate::failure::Failure;
use crate::settlement::{Ending, Renewed, Settlement};
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::stream::{PartitionId, StreamName};
use serde_json::json;
use std::collections::HashSet;
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};
use uuid::Uuid;

/// Counts of partitions that stand still. Parameters: pipeline, stream, nonce, then one array each.
const STEP: &str = "UPDATE landfall.checkpoints AS c \
    SET applied = c.applied + a.applied - a.parked, superseded = c.superseded + a.superseded, filtered = c.filtered + a.filtered, \
        discarded = c.discarded + a.discarded, dead_lettered = c.dead_lettered - a.ended + a.parked, updated_at = pg_catalog.now() \
    FROM unnest($4::int4[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], $9::int8[], $10::int8[], $11::int8[]) \
      AS a (part, at, applied, superseded, filtered, discarded, ended, parked) \
    WHERE c.pipeline = $1 AND c.stream = $2 AND c.partition = a.part AND c.owner_nonce = $3 AND c.next_offset = a.at \
      AND c.dead_lettered >= a.ended AND c.applied >= a.parked";
/// Letters that end. Parameters: pipeline, stream, act, numbers, states.
const END: &str = "UPDATE landfall.dead_letters AS d SET state = e.state, settled_at = pg_catalog.now(), act = $3 \
    FROM unnest($4::int8[], $5::text[]) AS e (id, state) \
    WHERE d.pipeline = $1 AND d.stream = $2 AND d.id = e.id AND d.state IN ('parked', 'behind')";
/// Letters that wait on for another reason. Parameters: pipeline, stream, act, numbers, then one array per column.
const RENEW: &str = "UPDATE landfall.dead_letters AS d \
    SET state = 'parked', act = $3, code = r.code, path = r.path, expected = r.expected, found = r.found, byte_at = r.byte_at, \
        sqlstate = r.sqlstate, blocks = r.blocks \
    FROM unnest($4::int8[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int8[], $10::text[], $11::bool[]) \
      AS r (id, code, path, expected, found, byte_at, sqlstate, blocks) \
    WHERE d.pipeline = $1 AND d.stream = $2 AND d.id = r.id AND d.state IN ('parked', 'behind')";
const PARKED: &str = "SELECT stream, code, pg_catalog.count(*), \
      pg_catalog.max(pg_catalog.date_part('epoch', pg_catalog.now() - created_at))::int8 \
    FROM landfall.dead_letters WHERE pipeline = $1 AND state IN ('parked', 'behind') GROUP BY stream, code";
const IS_PARKED: &str = "SELECT FROM landfall.dead_letters \
    WHERE pipeline = $1 AND stream = $2 AND partition = $3 AND event_offset = $4 AND state IN ('parked', 'behind') LIMIT 1";
const GIVEN_UP: &str = "SELECT partition, event_offset, version FROM landfall.dead_letters \
    WHERE pipeline = $1 AND stream = $2 AND state = 'discarded'";
const ACTED: &str = "SELECT EXISTS (SELECT FROM landfall.dead_letters WHERE id = $2 AND act = $1)";

/// A settlement with its statements.
pub(crate) struct Settling<'a> {
    settlement: &'a Settlement,
    step: Statement,
    end: Statement,
    renew: Statement,
    record: Statement,
}

impl<'a> Settling<'a> {
    pub(crate) async fn prepare(
        link: &mut Link,
        limit: Duration,
        settlement: &'a Settlement,
    ) -> Result<Self, WireError> {
        Ok(Self {
            settlement,
            step: prepare(link, limit, STEP).await?,
            end: prepare(link, limit, END).await?,
            renew: prepare(link, limit, RENEW).await?,
            record: prepare(link, limit, RECORD).await?,
        })
    }

    /// How many partitions and letters must stand as they were read.
    pub(crate) fn expected(&self) -> u64 {
        let Settlement { ended, renewed, steps, .. } = self.settlement;
        (ended.len() + renewed.len() + steps.len()) as u64
    }

    /// Settles; gives how many partitions and letters stood as expected.
    pub(crate) async fn run(&self, client: &Client, claim: Claim<'_>) -> Result<u64, Error> {
        let stood = self.step(client, claim).await? + self.end(client, claim).await?;
        let renewed = self.renew(client, claim).await?;
        let Settlement { act, actor, reason, ended, .. } = self.settlement;
        let ended_so = |ending| ended.iter().filter(|one| one.ending == ending).count();
        let Some(event) = self.settlement.event else { return Ok(stood + renewed) };
        let discarded = ended_so(Ending::Discarded);
        let evidence = json!({ "act": act, "reason": reason, "applied": ended_so(Ending::Applied), "discarded": discarded,
            "superseded": ended_so(Ending::Superseded), "filtered": ended_so(Ending::Filtered), "still_parked": renewed });
        client.execute(&self.record, &[&claim.pipeline, &Some(claim.stream), &event, actor, &evidence]).await?;
        Ok(stood + renewed)
    }

    async fn step(&self, client: &Client, claim: Claim<'_>) -> Result<u64, Error> {
        let of = self.settlement;
        let parts: Vec<i32> = of.steps.iter().map(|step| i32::from(step.partition.0)).collect();
        let at: Vec<i64> = of.steps.iter().map(|step| step.at.0.cast_signed()).collect();
        let count = |ending| -> Vec<i64> {
            of.steps.iter().map(|step| of.count(step.partition, ending).cast_signed()).collect()
        };
        let ended: Vec<i64> = of.steps.iter().map(|step| of.ended_of(step.partition).cast_signed()).collect();
        let (applied, superseded) = (count(Ending::Applied), count(Ending::Superseded));
        let (filtered, discarded) = (count(Ending::Filtered), count(Ending::Discarded));
        let parked: Vec<i64> = of.steps.iter().map(|step| step.parked.cast_signed()).collect();
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &claim.pipeline,
            &claim.stream,
            &claim.nonce.0,
            &parts,
            &at,
            &applied,
            &superseded,
            &filtered,
            &discarded,
            &ended,
            &parked,
        ];
        client.execute(&self.step, &parameters).await
    }

    async fn end(&self, client: &Client, claim: Claim<'_>) -> Result<u64, Error> {
        let ended = &self.settlement.ended;
        if ended.is_empty() {
            return Ok(0);
        }
        let ids: Vec<i64> = ended.iter().map(|one| one.id).collect();
        let states: Vec<&str> = ended.iter().map(|one| state(one.ending)).collect();
        client.execute(&self.end, &[&claim.pipeline, &claim.stream, &self.settlement.act, &ids, &states]).await
    }

    async fn renew(&self, client: &Client, claim: Claim<'_>) -> Result<u64, Error> {
        let of = &self.settlement.renewed;
        if of.is_empty() {
            return Ok(0);
        }
        let ids: Vec<i64> = of.iter().map(|one| one.id).collect();
        let codes: Vec<&str> = of.iter().map(|one| one.reason.code.name()).collect();
        let text = |part: fn(&Renewed) -> &str| -> Vec<String> {
            of.iter().map(|one| part(one).replace('\0', "\\u0000")).collect()
        };
        let (paths, expected) = (text(|one| &one.reason.path), text(|one| &one.reason.expected));
        let found = text(|one| &one.reason.found);
        let bytes: Vec<Option<i64>> = of.iter().map(|one| one.reason.at.map(u64::cast_signed)).collect();
        let states: Vec<Option<&str>> = of.iter().map(|one| one.sqlstate.as_deref()).collect();
        let blocks: Vec<bool> = of.iter().map(|one| one.reason.code.blocks_key()).collect();
        let parameters: [&(dyn ToSql + Sync); 11] = [
            &claim.pipeline,
            &claim.stream,
            &self.settlement.act,
            &ids,
            &codes,
            &paths,
            &expected,
            &found,
            &bytes,
            &states,
            &blocks,
        ];
        client.execute(&self.renew, &parameters).await
    }
}

fn state(ending: Ending) -> &'static str {
    match ending {
        Ending::Applied | Ending::Filtered => "retried",
        Ending::Superseded => "superseded",
        Ending::Discarded => "discarded",
    }
}

impl PostgresTarget {
    /// What waits of each stream, by the code of its reason: stream, code, how many, and seconds since the oldest was parked.
    pub async fn parked(&self) -> Result<Vec<(String, String, u64, u64)>, Failure> {
        let rows = self.read_rows(PARKED, &[&self.inner.pipeline]).await?;
        let read = |row: &Row| -> Result<_, Error> {
            let (letters, age): (i64, i64) = (row.try_get(2)?, row.try_get(3)?);
            Ok((row.try_get(0)?, row.try_get(1)?, letters.unsigned_abs(), age.max(0).unsigned_abs()))
        };
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| unreadable(&error))
    }

    /// Whether the change with this place waits as a dead letter.
    pub async fn is_parked(
        &self,
        stream: &StreamName,
        (partition, offset): (PartitionId, Offset),
    ) -> Result<bool, Failure> {
        let (partition, offset) = (i32::from(partition.0), offset.0.cast_signed());
        let pipeline = self.inner.pipeline.as_str();
        let rows = self.read_rows(IS_PARKED, &[&pipeline, &stream.as_str(), &partition, &offset]).await?;
        Ok(!rows.is_empty())
    }

    /// The places of the changes of a stream that operators gave up. The sequence tells a place of another queue apart.
    pub async fn given_up(&self, stream: &StreamName) -> Result<HashSet<(PartitionId, Offset, Sequence)>, Failure> {
        let pipeline = self.inner.pipeline.as_str();
        let rows = self.read_rows(GIVEN_UP, &[&pipeline, &stream.as_str()]).await?;
        let place = |row: &Row| -> Result<_, Error> {
            let (partition, offset, version): (i32, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let sequence = Sequence(version.cast_unsigned() & (Sequence::LIMIT - 1));
            Ok((PartitionId(partition as u16), Offset(offset.cast_unsigned()), sequence))
        };
        rows.iter().map(place).collect::<Result<_, _>>().map_err(|error| unreadable(&error))
    }

    /// Whether a settlement took place, by a letter that it touched: no act touches a letter twice.
    pub async fn acted(&self, act: Uuid, letter: i64) -> Result<bool, Failure> {
        let rows = self.read_rows(ACTED, &[&act, &letter]).await?;
        Ok(rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)))
    }
}
