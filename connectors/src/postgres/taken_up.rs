//! Letters read to be taken up: heads by their numbers, and what waits under a key in the order of its events.
//!
//! Over one connection for as long as the reader lives: an order reads a key at a time, and there may be a hundred thousand.

use super::classify::classify;
use super::letters::LetterChoice;
use super::schema;
use super::target::PostgresTarget;
use super::wire::{Link, WireError};
use super::write::prepare;
use crate::deadletter::ParkedOp;
use crate::failure::Failure;
use crate::settlement::Waiting;
use landfall_schemas::offset::{Offset, Version};
use landfall_schemas::stream::{PartitionId, StreamName};
use std::time::Duration;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row};
use uuid::Uuid;

/// A letter with the version of a copy was parked by it: no event has a barrier's version.
const WAITING: &str = "d.id, d.partition, d.event_offset, d.version, d.op, d.blocks, d.key, EXISTS (SELECT FROM landfall.ranges r \
    WHERE r.pipeline = d.pipeline AND r.stream = d.stream AND r.copy = d.version)";

/// Reads letters of one pipeline.
#[expect(missing_debug_implementations, reason = "holds a connection, not a value")]
pub struct LetterReader {
    pipeline: String,
    link: Link,
    limit: Duration,
}

impl PostgresTarget {
    /// Connects.
    pub async fn letter_reader(&self) -> Result<LetterReader, Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        Ok(LetterReader { pipeline: self.inner.pipeline.as_str().to_owned(), link, limit })
    }
}

impl LetterReader {
    /// Heads of a stream behind number `after`, by number, without their payloads: what is to be taken up, key by key. Not those that `act` has
    /// touched: they have had their turn.
    pub async fn heads(
        &mut self,
        stream: &StreamName,
        (choice, only, act): (&LetterChoice, Option<i64>, Uuid),
        (after, most): (i64, u32),
    ) -> Result<Vec<Waiting>, Failure> {
        let sql = format!(
            "SELECT {WAITING}, ''::bytea FROM landfall.dead_letters d \
             WHERE d.pipeline = $1 AND d.stream = $2 AND d.id > $3 AND d.state = 'parked' AND ($4::text IS NULL OR d.code = $4) \
             AND ($5::int8 IS NULL OR d.created_at <= pg_catalog.now() - $5 * interval '1 millisecond') \
             AND ($6::int8 IS NULL OR d.id = $6) AND d.act IS DISTINCT FROM $7 ORDER BY d.id LIMIT {most}"
        );
        let (pipeline, age) = (self.pipeline.clone(), choice.age());
        self.read(&sql, &[&pipeline, &stream.as_str(), &after, &choice.code, &age, &only, &act]).await
    }

    /// What waits under a key, in the order of its events, from `from` on.
    pub async fn line_up(
        &mut self,
        stream: &StreamName,
        key: &[u8],
        (from, most): (Offset, u32),
    ) -> Result<Vec<Waiting>, Failure> {
        let sql = format!(
            "SELECT {WAITING}, d.payload FROM landfall.dead_letters d \
             WHERE d.pipeline = $1 AND d.stream = $2 AND d.key = $3 AND d.event_offset >= $4 \
             AND (d.state = 'behind' OR d.state = 'parked' AND d.blocks) ORDER BY d.event_offset LIMIT {most}"
        );
        let pipeline = self.pipeline.clone();
        self.read(&sql, &[&pipeline, &stream.as_str(), &key, &from.0.cast_signed()]).await
    }

    async fn read(&mut self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Waiting>, Failure> {
        let failed = |error: WireError| classify(&error, "read dead letters");
        let statement = prepare(&mut self.link, self.limit, sql).await.map_err(failed)?;
        let Link { client, driver, .. } = &mut self.link;
        let asked = async { client.query(&statement, parameters).await?.iter().map(waiting).collect() };
        driver.drive(self.limit, asked).await.map_err(failed)
    }
}

fn waiting(row: &Row) -> Result<Waiting, Error> {
    Ok(Waiting {
        id: row.try_get(0)?,
        partition: PartitionId(row.try_get::<_, i32>(1)? as u16),
        offset: Offset(row.try_get::<_, i64>(2)?.cast_unsigned()),
        version: Version(row.try_get(3)?),
        op: match row.try_get::<_, &str>(4)? {
            "upsert" => ParkedOp::Upsert,
            "delete" => ParkedOp::Delete,
            _ => ParkedOp::Reject,
        },
        blocks: row.try_get(5)?,
        key: row.try_get(6)?,
        of_copy: row.try_get(7)?,
        payload: row.try_get(8)?,
    })
}
