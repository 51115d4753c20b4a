//! Applied until: admission, and reading the checkpoints.
//!
//! Keeps promises 3, 9, 17. An owner is admitted in one transaction that locks the stream's row and its checkpoints (so a
//! commit of the owner before has ended), binds them to the new nonce, and reads everything the owner starts from. An
//! admission that finds another queue or another mapping changes nothing and says what the operator can choose.

use super::added;
use super::apply::{commit, roll_back};
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::decisions::VOID;
use super::drift;
use super::fingerprint;
use super::rebind;
use super::schema::{self, SchemaState};
use super::target::{PostgresTarget, Target};
use super::wire::{Link, WireError};
use crate::checkpoints::{Admission, Checkpoint, Checkpoints, Counts, OwnerNonce, Phase, QueueId, Rebinding, Word};
use crate::failure::{Failure, FailureClass};
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{Generation, Offset};
use landfall_schemas::stream::{PartitionId, StreamName};
use std::collections::HashSet;
use std::time::Duration;
use tokio_postgres::{Client, Error, Row};
use uuid::Uuid;

/// How long an owner that was just killed may hold the advisory lock: the server notices its closed socket at once, a
/// loaded machine a little later.
const OWNER_GRACE: Duration = Duration::from_secs(3);
/// How often the lock is tried meanwhile.
const OWNER_POLL: Duration = Duration::from_millis(100);

const STREAM: &str = "SELECT phase, mapping_hash, queue_id, partitions, resync FROM landfall.streams \
    WHERE pipeline = $1 AND stream = $2 FOR UPDATE";
const PROGRESS: &str = "SELECT partition, next_offset, applied, superseded, filtered, dead_lettered, discarded \
    FROM landfall.checkpoints WHERE pipeline = $1 AND stream = $2 ORDER BY partition";
const CREATE: &str = "INSERT INTO landfall.checkpoints (pipeline, stream, partition, owner_nonce, queue_id) \
    SELECT $1, $2, p, $3, $4 FROM pg_catalog.generate_series(0, $5::int4 - 1) AS p ON CONFLICT DO NOTHING";
const CLAIM: &str =
    "UPDATE landfall.checkpoints SET owner_nonce = $3, queue_id = $4 WHERE pipeline = $1 AND stream = $2";
/// A copy under way is taken over too: a step of the owner before has ended, or finds another nonce.
const CLAIM_RANGES: &str =
    "UPDATE landfall.ranges SET owner_nonce = $3 WHERE pipeline = $1 AND stream = $2 AND NOT done";
const OWN: &str = "UPDATE landfall.streams SET owner_nonce = $3, queue_id = $4, admitted_at = pg_catalog.now() \
    WHERE pipeline = $1 AND stream = $2";
/// Generations of a source are given out one by one: the lock is on the pair, to the end of the transaction.
const GENERATION_LOCK: &str = "SELECT pg_catalog.pg_advisory_xact_lock($1)";
const GENERATION: &str =
    "SELECT generation FROM landfall.generations WHERE pipeline = $1 AND source = $2 AND queue_id = $3";
const NEXT_GENERATION: &str = "SELECT COALESCE(pg_catalog.max(generation), 0)::int4 + 1 \
    FROM landfall.generations WHERE pipeline = $1 AND source = $2";
const ALLOCATE: &str =
    "INSERT INTO landfall.generations (pipeline, source, queue_id, generation) VALUES ($1, $2, $3, $4)";
const PARKED: &str = "SELECT DISTINCT key FROM landfall.dead_letters \
    WHERE pipeline = $1 AND stream = $2 AND blocks AND state IN ('parked', 'behind')";

/// What the admitting transaction found.
enum Found {
    Admitted(Admission),
    Refused(Failure),
}

impl Checkpoints for PostgresTarget {
    async fn admit(&self, stream: &StreamMapping, queue: QueueId, nonce: OwnerNonce) -> Result<Admission, Failure> {
        let target = &*self.inner;
        hold_ownership(target).await?;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let admitting = Box::pin(admit(client, &target.pipeline, stream, (queue, nonce)));
        match driver.drive(limit, admitting).await.map_err(|error| classify(&error, "admit"))? {
            // A lost answer is harmless: nothing was done under the nonce, and admission can be repeated.
            Found::Admitted(admission) => match commit(&mut link, limit).await {
                Ok(()) => Ok(admission),
                Err(error) => Err(repeatable(classify_commit(&error))),
            },
            Found::Refused(failure) => {
                roll_back(&mut link, limit).await.map_err(|error| classify(&error, "admit"))?;
                Err(failure)
            }
        }
    }

    async fn read(&self, stream: &StreamName, settle: bool) -> Result<Vec<Checkpoint>, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        if schema::state(&mut link, limit).await? == SchemaState::Absent {
            return Ok(Vec::new());
        }
        let Link { client, driver, .. } = &mut link;
        let read = read(client, (&target.pipeline, stream.as_str()), settle);
        driver.drive(limit, read).await.map_err(|error| classify(&error, "read checkpoints"))
    }

    async fn fits(&self, stream: &StreamMapping) -> Result<(), Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let added = driver.drive(limit, Box::pin(added::read(client, &self.inner.pipeline, stream))).await;
        let added = added.map_err(|error| classify(&error, "read added columns"))?;
        drift::find(&self.inner, &mut link, &stream.widened(&added)).await
    }

    async fn take_word(&self, stream: &StreamName, subject: &str) -> Result<Option<Word>, Failure> {
        self.take(stream, subject).await
    }

    async fn rebind(&self, stream: &StreamMapping, rebinding: Rebinding<'_>) -> Result<(), Failure> {
        hold_ownership(&self.inner).await?;
        rebind::rebind(&self.inner, stream, rebinding).await.map_err(repeatable)
    }
}

/// Reads under the row lock when settling: a commit on its way holds that lock until it has ended, one way or the other.
async fn read(client: &Client, (pipeline, stream): (&str, &str), settle: bool) -> Result<Vec<Checkpoint>, Error> {
    if !settle {
        let rows = client.query(PROGRESS, &[&pipeline, &stream]).await?;
        return rows.iter().map(checkpoint).collect();
    }
    client.batch_execute(BEGIN).await?;
    let rows = client.query(&format!("{PROGRESS} FOR UPDATE"), &[&pipeline, &stream]).await?;
    let checkpoints = rows.iter().map(checkpoint).collect::<Result<_, _>>()?;
    client.batch_execute("ROLLBACK").await?;
    Ok(checkpoints)
}

async fn admit(
    client: &Client,
    pipeline: &str,
    stream: &StreamMapping,
    (queue, nonce): (QueueId, OwnerNonce),
) -> Result<Found, Error> {
    let name = stream.name.as_str();
    client.batch_execute(BEGIN).await?;
    let Some(row) = client.query_opt(STREAM, &[&pipeline, &name]).await? else {
        return Ok(Found::Refused(schema::missing(name)));
    };
    let locked = client.query(&format!("{PROGRESS} FOR UPDATE"), &[&pipeline, &name]).await?;
    let before = locked.iter().map(checkpoint).collect::<Result<Vec<_>, _>>()?;
    if let Some(failure) = objection(&row, stream, queue, &before)? {
        return Ok(Found::Refused(failure));
    }
    let added = added::read(client, pipeline, stream).await?;
    if added::are_left(stream, &added) {
        return Ok(Found::Refused(mapping_changed(stream)));
    }
    if let Some(failure) = drift::of(client, pipeline, &stream.widened(&added)).await? {
        return Ok(Found::Refused(failure));
    }
    let Some(generation) = generation(client, (pipeline, stream.source.as_str()), queue).await? else {
        let detail = "this source has used up its 32767 generations; start the stream over into a new table";
        return Ok(Found::Refused(Failure::new(FailureClass::Halt, "generations_exhausted", detail)));
    };
    let partitions = i32::from(stream.partitions.get());
    client.execute(CREATE, &[&pipeline, &name, &nonce.0, &queue.0, &partitions]).await?;
    client.execute(CLAIM, &[&pipeline, &name, &nonce.0, &queue.0]).await?;
    client.execute(CLAIM_RANGES, &[&pipeline, &name, &nonce.0]).await?;
    client.execute(OWN, &[&pipeline, &name, &nonce.0, &queue.0]).await?;
    // The queue is the right one: a word on its loss would be about a loss to come.
    client.execute(VOID, &[&pipeline, &name, &"queue_changed"]).await?;
    let rows = client.query(PROGRESS, &[&pipeline, &name]).await?;
    let parked = client.query(PARKED, &[&pipeline, &name]).await?;
    Ok(Found::Admitted(Admission {
        generation,
        phase: phase(row.try_get(0)?),
        checkpoints: rows.iter().map(checkpoint).collect::<Result<_, _>>()?,
        parked: parked.iter().map(|row| Ok(KeyHash::of(row.try_get(0)?))).collect::<Result<HashSet<_>, Error>>()?,
        resync: row.try_get(4)?,
        added,
    }))
}

fn mapping_changed(stream: &StreamMapping) -> Failure {
    let detail = format!(
        "the mapping of stream {} is not the one its rows were written with; put the old mapping back, or run \
         `landfall schema plan` to see what changes and `landfall schema apply` to accept it",
        stream.name
    );
    Failure::new(FailureClass::Halt, "mapping_changed", detail)
}

/// Why this stream cannot be owned as it is.
fn objection(
    row: &Row,
    stream: &StreamMapping,
    queue: QueueId,
    before: &[Checkpoint],
) -> Result<Option<Failure>, Error> {
    let (hash, owned): (&[u8], Option<Uuid>) = (row.try_get(1)?, row.try_get(2)?);
    let partitions: i32 = row.try_get(3)?;
    if hash != fingerprint::of(stream) || partitions != i32::from(stream.partitions.get()) {
        return Ok(Some(mapping_changed(stream)));
    }
    let started = before.iter().any(|checkpoint| checkpoint.next > Offset(0));
    if let Some(owned) = owned
        && owned != queue.0
        && started
    {
        let detail = format!(
            "the checkpoint of stream {name} counts in queue {owned}, but the state directory holds queue {}; put the state \
             directory of queue {owned} back, or let the source be read anew over the rows that stand, in this queue: \
             `landfall accept {name} queue_changed`; nothing is touched before that",
            queue.0,
            name = stream.name,
        );
        return Ok(Some(Failure::new(FailureClass::Halt, "queue_changed", detail)));
    }
    Ok(None)
}

/// The generation bound to this queue, given out now if it has none.
async fn generation(
    client: &Client,
    (pipeline, source): (&str, &str),
    queue: QueueId,
) -> Result<Option<Generation>, Error> {
    lock_generations(client, (pipeline, source)).await?;
    if let Some(row) = client.query_opt(GENERATION, &[&pipeline, &source, &queue.0]).await? {
        return Ok(u16::try_from(row.try_get::<_, i16>(0)?).ok().and_then(Generation::new));
    }
    let next: i32 = client.query_one(NEXT_GENERATION, &[&pipeline, &source]).await?.try_get(0)?;
    let Some(generation) = u16::try_from(next).ok().and_then(Generation::new) else { return Ok(None) };
    client.execute(ALLOCATE, &[&pipeline, &source, &queue.0, &generation.get().cast_signed()]).await?;
    Ok(Some(generation))
}

/// Nobody else gives out generations of this source until the transaction ends.
pub(crate) async fn lock_generations(client: &Client, (pipeline, source): (&str, &str)) -> Result<(), Error> {
    let lock = xxhash_rust::xxh3::xxh3_64(format!("landfall generation\0{pipeline}\0{source}").as_bytes());
    client.execute(GENERATION_LOCK, &[&lock.cast_signed()]).await.map(drop)
}

pub(crate) fn checkpoint(row: &Row) -> Result<Checkpoint, Error> {
    let count = |n: usize| row.try_get::<_, i64>(n).map(i64::cast_unsigned);
    Ok(Checkpoint {
        partition: PartitionId(row.try_get::<_, i32>(0)? as u16),
        next: Offset(count(1)?),
        counts: Counts {
            applied: count(2)?,
            superseded: count(3)?,
            filtered: count(4)?,
            dead_lettered: count(5)?,
            discarded: count(6)?,
        },
    })
}

pub(crate) fn phase(name: &str) -> Phase {
    if name == "bulk" { Phase::Bulk } else { Phase::Live }
}

/// Takes the pipeline's advisory lock, or makes sure that it is still held.
async fn hold_ownership(target: &Target) -> Result<(), Failure> {
    let limit = target.connector.exchange_limit();
    let mut slot = target.owner.lock().await;
    if let Some(mut link) = slot.take() {
        let Link { client, driver, .. } = &mut *link;
        if driver.drive(limit, client.simple_query("")).await.is_ok() {
            *slot = Some(link);
            return Ok(());
        }
    }
    let key = xxhash_rust::xxh3::xxh3_64(format!("landfall owner\0{}", target.pipeline).as_bytes()).cast_signed();
    let mut link = Box::new(target.connector.connect().await?);
    let deadline = tokio::time::Instant::now() + OWNER_GRACE;
    while !try_lock(&mut link, limit, key).await.map_err(|error| classify(&error, "take ownership"))? {
        if tokio::time::Instant::now() >= deadline {
            let detail = format!("another process runs pipeline {} on this target", target.pipeline);
            return Err(Failure::new(FailureClass::Fenced, "other_owner", detail));
        }
        tokio::time::sleep(OWNER_POLL).await;
    }
    *slot = Some(link);
    Ok(())
}

async fn try_lock(link: &mut Link, limit: Duration, key: i64) -> Result<bool, WireError> {
    let Link { client, driver, .. } = link;
    let work = async { client.query_one("SELECT pg_catalog.pg_try_advisory_lock($1)", &[&key]).await?.try_get(0) };
    driver.drive(limit, work).await
}

pub(crate) fn repeatable(failure: Failure) -> Failure {
    match failure.class {
        FailureClass::Unknown => Failure::new(FailureClass::Transient, "target_unreachable", failure.detail),
        _ => failure,
    }
}
