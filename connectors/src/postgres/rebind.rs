//! A stream is bound to another queue: its state directory was lost, and an operator accepted that.
//!
//! Keeps promises 2 (one transaction), 8 (versions of the new queue stand above all before), 17 (under the owner's nonce) and
//! 20 (counters begin at 0 with the offsets they count). Rows are not touched: the source hands everything out anew, and what
//! it no longer holds is looked for afterwards (`resync` in `landfall.streams` says that this is still to be done). A death
//! between any two statements leaves the stream as it was; called again it does what is left.

use super::apply::{commit, roll_back};
use super::checkpoint::lock_generations;
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::decisions::{RECORD, VOID};
use super::target::{PostgresTarget, Target};
use super::wire::Link;
use super::{bulk, keys, schema};
use crate::checkpoints::{Leftovers, QueueId, Rebinding};
use crate::failure::{Failure, FailureClass};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::Generation;
use landfall_schemas::stream::StreamName;
use serde_json::json;
use tokio_postgres::{Client, Error};
use uuid::Uuid;

const LOCK: &str = "SELECT phase, queue_id FROM landfall.streams WHERE pipeline = $1 AND stream = $2 FOR UPDATE";
/// A commit of the owner before holds these rows until it has ended.
const LOCK_CHECKPOINTS: &str = "SELECT COALESCE(pg_catalog.sum(next_offset), 0)::int8 FROM (SELECT next_offset \
    FROM landfall.checkpoints WHERE pipeline = $1 AND stream = $2 ORDER BY partition FOR UPDATE) AS held";
const CLAIM: &str = "UPDATE landfall.streams SET owner_nonce = $3 WHERE pipeline = $1 AND stream = $2";
const BIND: &str = "UPDATE landfall.streams SET owner_nonce = $3, queue_id = $4, resync = $5 \
    WHERE pipeline = $1 AND stream = $2";
const BEGIN_ANEW: &str = "UPDATE landfall.checkpoints SET owner_nonce = $3, queue_id = $4, next_offset = 0, applied = 0, \
    superseded = 0, filtered = 0, dead_lettered = 0, discarded = 0, updated_at = pg_catalog.now() WHERE pipeline = $1 AND stream = $2";
const SUPERSEDE: &str = "UPDATE landfall.dead_letters SET state = 'superseded', settled_at = pg_catalog.now() \
    WHERE pipeline = $1 AND stream = $2 AND state IN ('parked', 'behind')";
const GENERATIONS: &str = "SELECT COALESCE(pg_catalog.max(generation), 0)::int4, \
    COALESCE(pg_catalog.max(generation) FILTER (WHERE queue_id = $3), 0)::int4 \
    FROM landfall.generations WHERE pipeline = $1 AND source = $2";
/// A queue that was there before: what it writes from now on stands above what was written in between.
const RAISE: &str = "INSERT INTO landfall.generations (pipeline, source, queue_id, generation) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (pipeline, source, queue_id) DO UPDATE SET generation = excluded.generation";

/// What the transaction found.
enum Found {
    /// To be committed.
    Bound,
    /// Bound to this queue before.
    Already,
    /// Owned now, but its heap has no key yet: to be built first.
    Bulk,
    Refused(Failure),
}

const COMPARED: &str =
    "UPDATE landfall.streams SET resync = false WHERE pipeline = $1 AND stream = $2 AND queue_id = $3";

impl PostgresTarget {
    /// What vanished from the source before this queue was found and is durable in it. Repeatable.
    pub async fn resynchronised(&self, stream: &StreamName, queue: QueueId) -> Result<(), Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let work = async {
            client.batch_execute(BEGIN).await?;
            client.execute(COMPARED, &[&target.pipeline, &stream.as_str(), &queue.0]).await
        };
        driver.drive(limit, work).await.map_err(|error| classify(&error, "note what was compared"))?;
        commit(&mut link, limit).await.map_err(|error| classify_commit(&error))
    }
}

/// Binds; see [`Checkpoints::rebind`](crate::checkpoints::Checkpoints::rebind). The caller holds the pipeline's lock.
pub(crate) async fn rebind(target: &Target, stream: &StreamMapping, to: Rebinding<'_>) -> Result<(), Failure> {
    if to.leftovers == Leftovers::Compared {
        keys::are_readable(stream)?;
    }
    let limit = target.connector.exchange_limit();
    loop {
        let mut link = Box::new(target.connector.connect().await?);
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut *link;
        let binding = Box::pin(bind(client, &target.pipeline, stream, to));
        match driver.drive(limit, binding).await.map_err(|error| classify(&error, "bind to a queue"))? {
            Found::Bound => return commit(&mut link, limit).await.map_err(|error| classify_commit(&error)),
            Found::Bulk => {
                commit(&mut link, limit).await.map_err(|error| classify_commit(&error))?;
                bulk::finish(&mut link, target, stream, to.owner).await?;
            }
            found @ (Found::Already | Found::Refused(_)) => {
                roll_back(&mut link, limit).await.map_err(|error| classify(&error, "bind to a queue"))?;
                return if let Found::Refused(failure) = found { Err(failure) } else { Ok(()) };
            }
        }
    }
}

async fn bind(client: &Client, pipeline: &str, stream: &StreamMapping, to: Rebinding<'_>) -> Result<Found, Error> {
    let name = stream.name.as_str();
    client.batch_execute(BEGIN).await?;
    let Some(row) = client.query_opt(LOCK, &[&pipeline, &name]).await? else {
        return Ok(Found::Refused(schema::missing(name)));
    };
    let bound: Option<Uuid> = row.try_get(1)?;
    if bound == Some(to.queue.0) {
        return Ok(Found::Already);
    }
    let applied: i64 = client.query_one(LOCK_CHECKPOINTS, &[&pipeline, &name]).await?.try_get(0)?;
    if row.try_get::<_, &str>(0)? == "bulk" {
        client.execute(CLAIM, &[&pipeline, &name, &to.owner.0]).await?;
        return Ok(Found::Bulk);
    }
    if let Some(refused) = raise(client, (pipeline, stream.source.as_str()), to.queue.0).await? {
        return Ok(Found::Refused(refused));
    }
    client.execute(BEGIN_ANEW, &[&pipeline, &name, &to.owner.0, &to.queue.0]).await?;
    let compared = to.leftovers == Leftovers::Compared;
    let superseded = if compared { client.execute(SUPERSEDE, &[&pipeline, &name]).await? } else { 0 };
    client.execute(BIND, &[&pipeline, &name, &to.owner.0, &to.queue.0, &compared]).await?;
    client.execute(VOID, &[&pipeline, &name, &"queue_changed"]).await?;
    let evidence = json!({ "from_queue": bound, "to_queue": to.queue.0, "events_accounted": applied,
        "dead_letters_superseded": superseded });
    client.execute(RECORD, &[&pipeline, &Some(name), &"rebound", &to.actor, &evidence]).await?;
    Ok(Found::Bound)
}

/// Makes the queue's generation the highest of its source. Streams of the source that count in this queue already go on with
/// the lower one until they are admitted again: no two streams write one row.
async fn raise(client: &Client, source: (&str, &str), queue: Uuid) -> Result<Option<Failure>, Error> {
    lock_generations(client, source).await?;
    let row = client.query_one(GENERATIONS, &[&source.0, &source.1, &queue]).await?;
    let (highest, ours): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    if ours == highest && ours > 0 {
        return Ok(None);
    }
    let Some(next) = u16::try_from(highest + 1).ok().and_then(Generation::new) else {
        let detail = "this source has used up its 32767 generations; start the stream over into a new table";
        return Ok(Some(Failure::new(FailureClass::Halt, "generations_exhausted", detail)));
    };
    client.execute(RAISE, &[&source.0, &source.1, &queue, &next.get().cast_signed()]).await?;
    Ok(None)
}
