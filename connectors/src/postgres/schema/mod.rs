//! Landfall's own schema in the target: numbered migrations, applied under a lock, refusing a newer version.
//!
//! Owns the tables of schema `landfall`; the mapped tables belong to `ddl`. A migration once released is never edited.

use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::wire::{Link, WireError};
use crate::failure::{Failure, FailureClass};
use std::time::Duration;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// All migrations, in order; their numbers are their places, from 1.
const MIGRATIONS: [&str; 11] = [
    include_str!("0001_state.sql"),
    include_str!("0002_ranges.sql"),
    include_str!("0003_children.sql"),
    include_str!("0004_filtered.sql"),
    include_str!("0005_shared.sql"),
    include_str!("0006_columns.sql"),
    include_str!("0007_added_columns.sql"),
    include_str!("0008_settled_letters.sql"),
    include_str!("0009_named_checkpoints.sql"),
    include_str!("0010_exchanged_pipelines.sql"),
    include_str!("0011_ignored_health.sql"),
];

/// What this build reads and writes.
pub(crate) const VERSION: i32 = MIGRATIONS.len() as i32;

/// One migrator at a time in a database; the number is an arbitrary constant of ours.
const LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock(7308613718217482240)";
/// Looked at first: `IF NOT EXISTS` asks for the right to create schemas even when the schema is there.
const HAS_SCHEMA: &str = "SELECT pg_catalog.to_regnamespace('landfall') IS NOT NULL";
const FIRST: &str = "\
    CREATE TABLE IF NOT EXISTS landfall.migrations \
    (version int4 PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT pg_catalog.now())";
const PRESENT: &str = "SELECT pg_catalog.to_regclass('landfall.migrations') IS NOT NULL";
const STORED: &str = "SELECT pg_catalog.max(version) FROM landfall.migrations";

/// Which version stands in the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SchemaState {
    /// None.
    Absent,
    /// An older one, or ours.
    Version(i32),
}

/// Reads the version; a newer one than ours is refused.
pub(crate) async fn state(link: &mut Link, limit: Duration) -> Result<SchemaState, Failure> {
    let Link { client, driver, .. } = link;
    let read = driver.drive(limit, stored(client)).await.map_err(|error| classify(&error, "read schema landfall"))?;
    accept(read)
}

async fn stored(client: &Client) -> Result<Option<i32>, tokio_postgres::Error> {
    if !client.query_one(PRESENT, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    client.query_one(STORED, &[]).await?.try_get(0)
}

fn accept(stored: Option<i32>) -> Result<SchemaState, Failure> {
    match stored {
        None => Ok(SchemaState::Absent),
        Some(version) if version > VERSION => {
            let detail =
                format!("schema landfall has version {version}, this build knows {VERSION}: run the newer build");
            Err(Failure::new(FailureClass::Halt, "schema_newer", detail))
        }
        Some(version) => Ok(SchemaState::Version(version)),
    }
}

/// Fails unless the schema is there in our version.
pub(crate) async fn require(link: &mut Link, limit: Duration) -> Result<(), Failure> {
    match state(link, limit).await? {
        SchemaState::Version(VERSION) => Ok(()),
        SchemaState::Version(_) => Err(Failure::new(
            FailureClass::Halt,
            "schema_missing",
            "schema landfall is older than this build: run `landfall schema apply`",
        )),
        SchemaState::Absent => Err(Failure::new(
            FailureClass::Halt,
            "schema_missing",
            "the target holds no schema landfall: run `landfall schema apply`",
        )),
    }
}

/// The stream has no row yet.
pub(crate) fn missing(stream: &str) -> Failure {
    let detail = format!("stream {stream} is not known to the target: run `landfall schema apply`");
    Failure::new(FailureClass::Halt, "schema_missing", detail)
}

/// Brings the schema to our version, in one transaction. Does nothing when it is there.
pub(crate) async fn migrate(link: &mut Link, limit: Duration) -> Result<(), Failure> {
    if state(link, limit).await? == SchemaState::Version(VERSION) {
        return Ok(());
    }
    let Link { client, driver, .. } = &mut *link;
    let work = Box::pin(async {
        client.batch_execute(BEGIN).await?;
        client.query_one(LOCK, &[]).await?;
        if !client.query_one(HAS_SCHEMA, &[]).await?.try_get::<_, bool>(0)? {
            client.batch_execute("CREATE SCHEMA landfall").await?;
        }
        client.batch_execute(FIRST).await?;
        let stored = client.query_one(STORED, &[]).await?.try_get::<_, Option<i32>>(0)?;
        for (version, text) in (1..).zip(MIGRATIONS).skip(stored.unwrap_or(0).unsigned_abs() as usize) {
            client.batch_execute(text).await?;
            client.execute("INSERT INTO landfall.migrations (version) VALUES ($1)", &[&version]).await?;
        }
        Ok(stored)
    });
    let stored = driver.drive(limit, work).await.map_err(|error| forbidden(&error))?;
    if let Err(newer) = accept(stored) {
        roll_back(link, limit).await.map_err(|error| classify(&error, "migrate schema landfall"))?;
        return Err(newer);
    }
    commit(link, limit).await.map_err(|error| classify_commit(&error))
}

/// The usual reason: the role may not create a schema.
fn forbidden(error: &WireError) -> Failure {
    if let WireError::Postgres(error) = error
        && error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
    {
        let detail = "the role may not create schema landfall: GRANT CREATE ON DATABASE … TO it, or create the schema for \
                      it with AUTHORIZATION";
        return Failure::new(FailureClass::Halt, "permission_denied", detail);
    }
    classify(error, "migrate schema landfall")
}
