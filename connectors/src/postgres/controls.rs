//! Pause, throttle and heeding of streams, kept in the target: they outlive the process and its state directory.
//!
//! Owns what is stored and who said it, not what it does to a running stream. Each change is written with its entry in the
//! history, for all its streams in one transaction.

use super::apply;
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::decisions::{RECORD, unreadable};
use super::schema;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::control::{Change, Control, Heeding};
use crate::failure::Failure;
use landfall_schemas::stream::StreamName;
use serde_json::json;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use tokio_postgres::{Client, Error, Row};

const CHANGE: &str = "INSERT INTO landfall.controls AS c (pipeline, stream, paused, rows_per_second, actor, reason, ignores_health) \
    VALUES ($1, $2, COALESCE($3::bool, false), $4::int8, $6, $7, COALESCE($8::bool, false)) ON CONFLICT (pipeline, stream) DO UPDATE \
    SET paused = COALESCE($3::bool, c.paused), \
        rows_per_second = CASE WHEN $5::bool THEN excluded.rows_per_second ELSE c.rows_per_second END, \
        ignores_health = COALESCE($8::bool, c.ignores_health), \
        actor = excluded.actor, reason = excluded.reason, changed_at = pg_catalog.now()";
/// Older than this build, schema `landfall` may not have the last column.
const CONTROLS: &str = "SELECT stream, paused, rows_per_second, actor, reason, \
      COALESCE((pg_catalog.to_jsonb(c) ->> 'ignores_health')::bool, false) \
    FROM landfall.controls c WHERE pipeline = $1";

impl PostgresTarget {
    /// Changes the control of these streams.
    pub async fn control(
        &self,
        streams: &[StreamName],
        change: Change,
        (actor, reason): (&str, &str),
    ) -> Result<(), Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let work = Box::pin(write(client, (&self.inner.pipeline, streams), change, (actor, reason)));
        driver.drive(limit, work).await.map_err(|error| classify(&error, "store a control"))?;
        apply::commit(&mut link, limit).await.map_err(|error| classify_commit(&error))
    }

    /// The controls of this pipeline's streams; a stream that is not there has none.
    pub async fn controls(&self) -> Result<BTreeMap<String, Control>, Failure> {
        let rows = self.read_rows(CONTROLS, &[&self.inner.pipeline]).await?;
        let control = |row: &Row| -> Result<_, Error> {
            let rate = row.try_get::<_, Option<i64>>(2)?.map(i64::unsigned_abs).and_then(NonZeroU64::new);
            let control = Control {
                paused: row.try_get(1)?,
                rows_per_second: rate,
                actor: row.try_get(3)?,
                reason: row.try_get(4)?,
                ignores_health: row.try_get(5)?,
            };
            Ok((row.try_get(0)?, control))
        };
        rows.iter().map(control).collect::<Result<_, _>>().map_err(|error| unreadable(&error))
    }
}

async fn write(
    client: &Client,
    (pipeline, streams): (&str, &[StreamName]),
    change: Change,
    (actor, reason): (&str, &str),
) -> Result<(), Error> {
    let (event, paused, ignores) = match change {
        Change::Pause => ("paused", Some(true), None),
        Change::Resume => ("resumed", Some(false), None),
        Change::Throttle(_) => ("throttled", None, None),
        Change::TargetHealth(Heeding::Ignore) => ("health_ignored", None, Some(true)),
        Change::TargetHealth(Heeding::Heed) => ("health_heeded", None, Some(false)),
    };
    let (rate, throttles) = match change {
        Change::Throttle(rate) => (rate.map(|rate| i64::try_from(rate.get()).unwrap_or(i64::MAX)), true),
        Change::Pause | Change::Resume | Change::TargetHealth(_) => (None, false),
    };
    let evidence = json!({ "rows_per_second": rate, "reason": reason });
    client.batch_execute(BEGIN).await?;
    for stream in streams.iter().map(StreamName::as_str) {
        client.execute(CHANGE, &[&pipeline, &stream, &paused, &rate, &throttles, &actor, &reason, &ignores]).await?;
        client.execute(RECORD, &[&pipeline, &Some(stream), &event, &actor, &evidence]).await?;
    }
    Ok(())
}
