//! What `status` shows of the target: phases, checkpoints, dead letters by reason. Reads only, owns nothing.

use super::added;
use super::checkpoint::{checkpoint, phase};
use super::classify::classify;
use super::schema::{self, SchemaState};
use super::target::PostgresTarget;
use super::wire::Link;
use crate::checkpoints::{Checkpoint, Phase};
use crate::failure::Failure;
use std::collections::BTreeMap;
use std::time::SystemTime;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

/// One stream as the target knows it.
#[derive(Clone, Debug)]
pub struct StreamStatus {
    /// Its name.
    pub stream: String,
    /// Its source.
    pub source: String,
    /// `schema.table`.
    pub table: String,
    /// Bulk or live.
    pub phase: Phase,
    /// The queue its checkpoints count in, once it was admitted.
    pub queue: Option<Uuid>,
    /// Checkpoints, by partition.
    pub checkpoints: Vec<Checkpoint>,
    /// When the last batch was applied, by the server's clock.
    pub applied_at: Option<SystemTime>,
    /// Waiting dead letters (parked and behind), by code.
    pub waiting: BTreeMap<String, u64>,
    /// Columns that the service added.
    pub added: u64,
}

const STREAMS: &str = "SELECT stream, source, target_schema || '.' || target_table, phase, queue_id \
    FROM landfall.streams WHERE pipeline = $1 ORDER BY stream";
/// Older than this build, schema `landfall` may not have the last count.
const CHECKPOINTS: &str = "SELECT partition, next_offset, applied, superseded, filtered, dead_lettered, \
      COALESCE((pg_catalog.to_jsonb(c) ->> 'discarded')::int8, 0), stream, updated_at \
    FROM landfall.checkpoints c WHERE pipeline = $1 ORDER BY stream, partition";
const ADDED: &str =
    "SELECT stream, pg_catalog.count(*) FROM landfall.added_columns WHERE pipeline = $1 GROUP BY stream";
const WAITING: &str = "SELECT stream, code, pg_catalog.count(*) FROM landfall.dead_letters \
    WHERE pipeline = $1 AND state IN ('parked', 'behind') GROUP BY stream, code";

impl PostgresTarget {
    /// All streams of this pipeline. Empty before the first `schema apply`.
    pub async fn status(&self) -> Result<Vec<StreamStatus>, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        if schema::state(&mut link, limit).await? == SchemaState::Absent {
            return Ok(Vec::new());
        }
        let Link { client, driver, .. } = &mut link;
        let read = Box::pin(read(client, &target.pipeline));
        driver.drive(limit, read).await.map_err(|error| classify(&error, "read status"))
    }
}

/// One snapshot for all three queries, so that counters and dead letters agree.
async fn read(client: &Client, pipeline: &str) -> Result<Vec<StreamStatus>, Error> {
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let mut streams = BTreeMap::new();
    for row in client.query(STREAMS, &[&pipeline]).await? {
        let stream: String = row.try_get(0)?;
        let status = StreamStatus {
            stream: stream.clone(),
            source: row.try_get(1)?,
            table: row.try_get(2)?,
            phase: phase(row.try_get(3)?),
            queue: row.try_get(4)?,
            checkpoints: Vec::new(),
            applied_at: None,
            waiting: BTreeMap::new(),
            added: 0,
        };
        streams.insert(stream, status);
    }
    for row in client.query(CHECKPOINTS, &[&pipeline]).await? {
        let Some(status) = streams.get_mut(row.try_get::<_, &str>(7)?) else { continue };
        status.checkpoints.push(checkpoint(&row)?);
        status.applied_at = status.applied_at.max(Some(row.try_get(8)?));
    }
    for row in client.query(WAITING, &[&pipeline]).await? {
        let Some(status) = streams.get_mut(row.try_get::<_, &str>(0)?) else { continue };
        status.waiting.insert(row.try_get(1)?, row.try_get::<_, i64>(2)?.unsigned_abs());
    }
    // Older than this build, schema `landfall` may not have the table.
    if client.query_one(added::PRESENT, &[]).await?.try_get(0)? {
        for row in client.query(ADDED, &[&pipeline]).await? {
            let Some(status) = streams.get_mut(row.try_get::<_, &str>(0)?) else { continue };
            status.added = row.try_get::<_, i64>(1)?.unsigned_abs();
        }
    }
    client.batch_execute("COMMIT").await?;
    Ok(streams.into_values().collect())
}
