//! Named checkpoints: consistent cuts of what is applied, kept in the target.
//!
//! A cut is read and stored in one statement, so that all its streams stand as one moment saw them. What it needs of the queues is theirs.

use super::apply;
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::decisions::{RECORD, unreadable};
use super::schema;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::checkpoints::QueueId;
use crate::failure::Failure;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{Offset, Version};
use landfall_schemas::stream::{PartitionId, StreamName};
use serde_json::json;
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

/// `ON CONFLICT` never acts: a name is taken for all its streams at once, and the first row refuses.
const CUT: &str = "INSERT INTO landfall.named_checkpoints (pipeline, name, stream, partition, source, queue_id, next_offset, actor) \
    SELECT c.pipeline, $2, c.stream, c.partition, s.source, c.queue_id, c.next_offset, $4 \
    FROM landfall.checkpoints c JOIN landfall.streams s USING (pipeline, stream) \
    WHERE c.pipeline = $1 AND c.stream = ANY ($3) AND s.phase = 'live' \
      AND NOT EXISTS (SELECT FROM landfall.named_checkpoints n WHERE n.pipeline = $1 AND n.name = $2)";
const CUTS: &str = "SELECT name, stream, source, queue_id, partition, next_offset, actor, \
      pg_catalog.to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') \
    FROM landfall.named_checkpoints WHERE pipeline = $1 ORDER BY created_at, name, stream, partition";
const DELETE: &str = "DELETE FROM landfall.named_checkpoints WHERE pipeline = $1 AND name = $2";

/// One stream of a named checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CutStream {
    /// Its source.
    pub source: String,
    /// The queue its offsets count in.
    pub queue: QueueId,
    /// Where each partition stood.
    pub places: Vec<(PartitionId, Offset)>,
}

/// A named checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Its name.
    pub name: String,
    /// Who made it.
    pub actor: String,
    /// When, RFC 3339.
    pub created: String,
    /// Its streams, by name.
    pub streams: BTreeMap<String, CutStream>,
}

impl PostgresTarget {
    /// Makes a cut of these streams; how many partitions it holds. 0: the name is taken, or none of the streams is live.
    pub async fn cut(&self, name: &str, streams: &[StreamName], actor: &str) -> Result<u64, Failure> {
        let names: Vec<&str> = streams.iter().map(StreamName::as_str).collect();
        let pipeline = self.inner.pipeline.as_str();
        let evidence = json!({ "name": name, "streams": names });
        self.record(
            (CUT, &[&pipeline, &name, &names, &actor]),
            &[&pipeline, &None::<&str>, &"checkpoint_created", &actor, &evidence],
        )
        .await
    }

    /// Deletes a cut; how many partitions it held.
    pub async fn forget_cut(&self, name: &str, actor: &str) -> Result<u64, Failure> {
        let pipeline = self.inner.pipeline.as_str();
        let evidence = json!({ "name": name });
        self.record(
            (DELETE, &[&pipeline, &name]),
            &[&pipeline, &None::<&str>, &"checkpoint_deleted", &actor, &evidence],
        )
        .await
    }

    /// The cuts of this pipeline, oldest first.
    pub async fn cuts(&self) -> Result<Vec<Cut>, Failure> {
        let rows = self.read_rows(CUTS, &[&self.inner.pipeline]).await?;
        let mut cuts: Vec<Cut> = Vec::new();
        for row in &rows {
            add(&mut cuts, row).map_err(|error| unreadable(&error))?;
        }
        Ok(cuts)
    }

    /// Writes who replayed what, and what came of it.
    pub async fn replayed(
        &self,
        stream: &StreamName,
        actor: &str,
        evidence: &serde_json::Value,
    ) -> Result<(), Failure> {
        let pipeline = self.inner.pipeline.as_str();
        self.record(("SELECT", &[]), &[&pipeline, &Some(stream.as_str()), &"replayed", &actor, evidence])
            .await
            .map(drop)
    }

    /// Writes into the history what was done beside the live tables, and what came of it.
    pub async fn note(&self, event: &str, actor: &str, evidence: &serde_json::Value) -> Result<(), Failure> {
        let pipeline = self.inner.pipeline.as_str();
        self.record(("SELECT", &[]), &[&pipeline, &None::<&str>, &event, &actor, evidence]).await.map(drop)
    }

    /// Rows of a stream that were last written before a version.
    pub async fn rows_before(&self, stream: &StreamMapping, version: Version) -> Result<u64, Failure> {
        let shape = &stream.table;
        let sql = format!(
            "SELECT pg_catalog.count(*) FROM {} AS t WHERE t.{} < $1{}",
            shape.qualified(),
            super::statement::version(shape).quoted(),
            super::statement::own_rows(shape)
        );
        let rows = self.read_rows(&sql, &[&version.0]).await?;
        let count = rows.first().map_or(Ok(0), |row| row.try_get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|error| unreadable(&error))
    }

    /// One change and, where it changed anything, its entry in the history.
    async fn record(
        &self,
        (sql, parameters): (&str, &[&(dyn ToSql + Sync)]),
        history: &[&(dyn ToSql + Sync)],
    ) -> Result<u64, Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let work = Box::pin(change(client, (sql, parameters), history));
        let changed = driver.drive(limit, work).await.map_err(|error| classify(&error, "store a checkpoint"))?;
        apply::commit(&mut link, limit).await.map_err(|error| classify_commit(&error))?;
        Ok(changed)
    }
}

async fn change(
    client: &Client,
    (sql, parameters): (&str, &[&(dyn ToSql + Sync)]),
    history: &[&(dyn ToSql + Sync)],
) -> Result<u64, Error> {
    client.batch_execute(BEGIN).await?;
    let changed = client.execute(sql, parameters).await?;
    if changed > 0 {
        client.execute(RECORD, history).await?;
    }
    Ok(changed)
}

fn add(cuts: &mut Vec<Cut>, row: &Row) -> Result<(), Error> {
    let name: String = row.try_get(0)?;
    if cuts.last().is_none_or(|last| last.name != name) {
        cuts.push(Cut { name, actor: row.try_get(6)?, created: row.try_get(7)?, streams: BTreeMap::new() });
    }
    let Some(cut) = cuts.last_mut() else { return Ok(()) };
    let (source, queue) = (row.try_get(2)?, QueueId(row.try_get(3)?));
    let stream = cut.streams.entry(row.try_get(1)?).or_insert_with(|| CutStream { source, queue, places: Vec::new() });
    let (partition, next): (i32, i64) = (row.try_get(4)?, row.try_get(5)?);
    stream.places.push((PartitionId(partition as u16), Offset(next.cast_unsigned())));
    Ok(())
}
