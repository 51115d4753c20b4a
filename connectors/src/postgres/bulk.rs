//! The end of a bulk load: key and indexes are built over the filled heap, and the stream goes live, in one transaction.
//!
//! Keeps promise 2 (a stream is live exactly when its key exists) and 17 (under the owner's nonce). Idempotent: a stream
//! that is live already is left alone, so an unknown commit is settled by calling again.

use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::target::Target;
use super::wire::{Link, WireError};
use crate::checkpoints::OwnerNonce;
use crate::failure::{Failure, FailureClass};
use landfall_schemas::ddl;
use landfall_schemas::mapping::StreamMapping;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// How long building the indexes may take: a billion rows on a slow disk. Liveness of the server is watched by keepalives.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(12 * 3600);

/// Sorting memory for the build, unless the role has more: a gigabyte is what a small server can spare once.
const BUILD_MEMORY: &str = "SET LOCAL statement_timeout = 0; SET LOCAL enable_seqscan = on; \
    SELECT pg_catalog.set_config('maintenance_work_mem', '512MB', true) \
    WHERE pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) < 536870912";

const LOCK: &str = "SELECT phase, owner_nonce FROM landfall.streams WHERE pipeline = $1 AND stream = $2 FOR UPDATE";

const GO_LIVE: &str =
    "UPDATE landfall.streams SET phase = 'live' WHERE pipeline = $1 AND stream = $2 AND owner_nonce = $3";

const HAS_KEY: &str = "SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint c \
    JOIN pg_catalog.pg_class r ON r.oid = c.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
    WHERE n.nspname = $1 AND r.relname = $2 AND c.contype = 'p')";

/// What the transaction found.
enum Found {
    AlreadyLive,
    Built,
    OtherOwner,
}

/// Builds and goes live.
pub(crate) async fn finish(
    link: &mut Link,
    target: &Target,
    stream: &StreamMapping,
    owner: OwnerNonce,
) -> Result<(), Failure> {
    fail::fail_point!("sink::before_finish_bulk");
    let claim = (target.pipeline.as_str(), stream.name.as_str());
    let Link { client, driver, .. } = &mut *link;
    let built = driver.drive(BUILD_LIMIT, build(client, stream, claim, owner)).await;
    let limit = target.connector.exchange_limit();
    match built.map_err(|error| classify_build(&error))? {
        Found::Built => commit(link, limit).await.map_err(|error| repeatable(classify_commit(&error)))?,
        Found::AlreadyLive => roll_back(link, limit).await.map_err(|error| classify(&error, "finish bulk"))?,
        Found::OtherOwner => {
            let detail = "another owner was admitted to the stream; nothing was built";
            return Err(Failure::new(FailureClass::Fenced, "other_owner", detail));
        }
    }
    fail::fail_point!("sink::after_finish_bulk");
    Ok(())
}

async fn build(
    client: &Client,
    mapping: &StreamMapping,
    (pipeline, stream): (&str, &str),
    owner: OwnerNonce,
) -> Result<Found, Error> {
    client.batch_execute(BEGIN).await?;
    let Some(row) = client.query_opt(LOCK, &[&pipeline, &stream]).await? else { return Ok(Found::OtherOwner) };
    if row.try_get::<_, Option<uuid::Uuid>>(1)? != Some(owner.0) {
        return Ok(Found::OtherOwner);
    }
    if row.try_get::<_, &str>(0)? == "live" {
        return Ok(Found::AlreadyLive);
    }
    client.batch_execute(BUILD_MEMORY).await?;
    for shape in std::iter::once(&mapping.table).chain(mapping.child_tables().map(|child| &child.table)) {
        let name = (&shape.schema.as_str(), &shape.name.as_str());
        let has_key: bool = client.query_one(HAS_KEY, &[name.0, name.1]).await?.try_get(0)?;
        if !has_key {
            client.batch_execute(&ddl::add_key(shape)).await?;
        }
        for columns in &shape.indexes {
            client.batch_execute(&ddl::create_index(shape, columns)).await?;
        }
        client.batch_execute(&ddl::analyze(shape)).await?;
    }
    client.execute(GO_LIVE, &[&pipeline, &stream, &owner.0]).await?;
    Ok(Found::Built)
}

/// A duplicate found while the key is built: the source's keys are not keys of the target.
fn classify_build(error: &WireError) -> Failure {
    let failure = classify(error, "build key and indexes");
    if failure.code == "unique_violation" {
        let detail = "the copied rows hold one key twice: two keys of the source are one in the target's key type; mend \
                      the mapping's key";
        return Failure::new(FailureClass::Halt, "key_collision", detail);
    }
    failure
}

/// The outcome need not be known: the call can be made again.
fn repeatable(failure: Failure) -> Failure {
    match failure.class {
        FailureClass::Unknown => Failure::new(FailureClass::Transient, "target_unreachable", failure.detail),
        _ => failure,
    }
}
