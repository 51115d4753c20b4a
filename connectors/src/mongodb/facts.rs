//! What can be known of a MongoDB source before anything is copied: who answers, what may be done, what the collections are.
//!
//! Asks and changes nothing; tells what it saw and leaves the judgement to the caller. Fails only where nothing can be said (no
//! member answers, a log-in is refused); a single question that is refused is an `Unknown` of its own.

use super::classify::{classify, server_code};
use super::client::connect;
use super::collection::{CollectionFacts, collections};
use super::config::{Capture, MongoConfig};
use super::reach::{Reach, ServerKind, reach};
use super::rights::Rights;
use crate::failure::Failure;
use bson::{Document, Timestamp, doc};
use mongodb::{Client, Database};
use std::time::Duration;

/// How long one question may take.
const QUESTION_LIMIT: Duration = Duration::from_secs(10);

/// How far the change stream can be opened as it is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamFacts {
    /// With [`StreamFacts::expanded`] and [`StreamFacts::split`] as they are: why not, else.
    pub opens: Result<(), Failure>,
    /// Events of drops, renames and created collections carry their details.
    pub expanded: bool,
    /// Changes over 16 MB come in pieces.
    pub split: bool,
}

/// The source's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFacts {
    /// It reaches back this far.
    Reaches(Duration),
    /// Our user may not read it.
    Denied,
    /// Not there to be read (routers), or not understood.
    Unknown,
}

/// What a sharded collection is split by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShardKey {
    /// The collection.
    pub collection: String,
    /// Names of the key's fields.
    pub fields: Vec<String>,
}

/// What was seen.
#[derive(Clone, PartialEq, Debug)]
pub struct MongoFacts {
    /// Who answers.
    pub reach: Reach,
    /// Version of the server.
    pub version: String,
    /// Our user.
    pub rights: Rights,
    /// The collections asked for that are there.
    pub collections: Vec<CollectionFacts>,
    /// The list of collections was refused: `collections` says nothing.
    pub list_refused: bool,
    /// Those of them that are sharded; `None`: not known.
    pub sharded: Option<Vec<ShardKey>>,
    /// The change stream.
    pub stream: StreamFacts,
    /// The log.
    pub log: LogFacts,
}

/// Who answers, or all that can be known.
#[derive(Clone, PartialEq, Debug)]
pub enum Seen {
    /// Members answer, yet the driver finds none to work with, or they are no replica set.
    Unusable(Reach, Option<Failure>),
    /// Everything.
    Whole(Box<MongoFacts>),
}

/// Looks at the source for the sake of the collections whose names are `wanted`.
pub async fn look(config: &MongoConfig, wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Seen, Failure> {
    let reach = reach(config).await?;
    if matches!(reach.kind, None | Some(ServerKind::Standalone)) {
        return Ok(Seen::Unusable(reach, None));
    }
    let client = connect(config).await?;
    let seen = match version(&client.database("admin")).await {
        Err(failure) => Seen::Unusable(reach, Some(failure)),
        Ok(version) => Seen::Whole(Box::new(facts(&client, config, wanted, (reach, version)).await?)),
    };
    client.shutdown().await;
    Ok(seen)
}

async fn facts(
    client: &Client,
    config: &MongoConfig,
    wanted: &(dyn Fn(&str) -> bool + Sync),
    (reach, version): (Reach, String),
) -> Result<MongoFacts, Failure> {
    let database = client.database(&config.database);
    let rights = Rights::of(&database).await?;
    let listed = collections(&database, None).await;
    let router = reach.kind == Some(ServerKind::Router);
    let list_refused = listed.is_err();
    let found: Vec<_> = listed.unwrap_or_default().into_iter().filter(|found| wanted(&found.name)).collect();
    let sharded = if router { sharded(client, config, &found).await } else { Some(Vec::new()) };
    Ok(MongoFacts {
        version,
        rights,
        list_refused,
        collections: found,
        sharded,
        stream: stream(&database, config.capture).await,
        log: if router { LogFacts::Unknown } else { log(client).await },
        reach,
    })
}

async fn version(admin: &Database) -> Result<String, Failure> {
    let info = admin.run_command(doc! { "buildInfo": 1 }).await;
    let info = info.map_err(|error| classify(&error, "asking for the version"))?;
    Ok(info.get_str("version").unwrap_or("unknown").to_owned())
}

/// Opens the change stream as capture would, with less where the server does not know the more.
async fn stream(database: &Database, capture: Capture) -> StreamFacts {
    let mut refused = None;
    for (expanded, split) in [(true, true), (true, false), (false, true), (false, false)] {
        match opened(database, opening(capture, expanded, split)).await {
            Ok(()) => return StreamFacts { opens: Ok(()), expanded, split },
            // Unknown to this server, or not allowed by it: it may open with less.
            Err(error) if matches!(server_code(&error), Some(9 | 40324 | 40415 | 303 | 304 | 238 | 115)) => {
                refused = Some(classify(&error, "opening the change stream"));
            }
            Err(error) => {
                return StreamFacts { opens: Err(classify(&error, "opening the change stream")), expanded, split };
            }
        }
    }
    StreamFacts { opens: refused.map_or(Ok(()), Err), expanded: false, split: false }
}

/// The command that opens a change stream; nothing is read from it.
fn opening(capture: Capture, expanded: bool, split: bool) -> Document {
    let full = match capture {
        Capture::Lookup => "updateLookup",
        Capture::Images => "required",
    };
    let mut options = doc! { "fullDocument": full };
    if expanded {
        options.insert("showExpandedEvents", true);
    }
    let mut stages = vec![doc! { "$changeStream": options }];
    if split {
        stages.push(doc! { "$changeStreamSplitLargeEvent": {} });
    }
    let concern = doc! { "level": "majority" };
    doc! { "aggregate": 1, "pipeline": stages, "cursor": { "batchSize": 0 }, "readConcern": concern, "maxTimeMS": limit() }
}

fn limit() -> i64 {
    i64::try_from(QUESTION_LIMIT.as_millis()).unwrap_or(i64::MAX)
}

async fn opened(database: &Database, command: Document) -> Result<(), mongodb::error::Error> {
    // Dropping the cursor closes the stream.
    database.run_cursor_command(command).await.map(drop)
}

/// How far the log reaches back from now, by the log's own times.
async fn log(client: &Client) -> LogFacts {
    let command = doc! {
        "find": "oplog.rs", "sort": { "$natural": 1 }, "limit": 1, "singleBatch": true, "projection": { "ts": 1 },
        "maxTimeMS": limit(),
    };
    let found = match client.database("local").run_command(command).await {
        Ok(reply) => reply,
        Err(error) if server_code(&error) == Some(13) => return LogFacts::Denied,
        Err(_) => return LogFacts::Unknown,
    };
    let oldest = found.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")).ok();
    let oldest = oldest.and_then(|batch| batch.first()?.as_document()?.get_timestamp("ts").ok());
    match (oldest, found.get_timestamp("operationTime").ok()) {
        (Some(oldest), Some(now)) => LogFacts::Reaches(between(oldest, now)),
        _ => LogFacts::Unknown,
    }
}

fn between(oldest: Timestamp, now: Timestamp) -> Duration {
    Duration::from_secs(u64::from(now.time.saturating_sub(oldest.time)))
}

/// The shard keys of `wanted`, from the cluster's catalogue.
async fn sharded(client: &Client, config: &MongoConfig, wanted: &[CollectionFacts]) -> Option<Vec<ShardKey>> {
    let names: Vec<_> = wanted.iter().map(|found| format!("{}.{}", config.database, found.name)).collect();
    let command = doc! {
        "find": "collections", "filter": { "_id": { "$in": names } }, "singleBatch": true,
        "batchSize": i64::try_from(wanted.len()).unwrap_or(i64::MAX).max(1), "maxTimeMS": limit(),
    };
    let found = client.database("config").run_command(command).await.ok()?;
    let batch = found.get_document("cursor").ok()?.get_array("firstBatch").ok()?;
    let key = |entry: &Document| {
        let (_, collection) = entry.get_str("_id").ok()?.split_once('.')?;
        let fields = entry.get_document("key").ok()?.keys().cloned().collect();
        Some(ShardKey { collection: collection.to_owned(), fields })
    };
    Some(batch.iter().filter_map(|entry| key(entry.as_document()?)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_opened_as_capture_wants_it() {
        let whole = opening(Capture::Images, true, true);
        let stages = whole.get_array("pipeline").unwrap();
        let first = doc! {"$changeStream": {"fullDocument": "required", "showExpandedEvents": true}};
        assert_eq!(stages[0].as_document(), Some(&first));
        assert_eq!(stages[1].as_document(), Some(&doc! {"$changeStreamSplitLargeEvent": {}}));
        assert_eq!(opening(Capture::Lookup, false, false).get_array("pipeline").unwrap().len(), 1);
    }

    #[test]
    fn the_log_reaches_from_its_oldest_entry_to_now() {
        let at = |time| Timestamp { time, increment: 1 };
        assert_eq!(between(at(100), at(3_700)), Duration::from_secs(3_600));
        assert_eq!(between(at(5), at(4)), Duration::ZERO);
    }
}
