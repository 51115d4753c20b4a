//! Opening a change stream: what is asked of the server, and what it is able to do.
//!
//! One stream for the whole database and no filter: a filter belongs to the token, and a changed one would lose the place. Split events
//! and events about structure are asked for where the server knows them, which is tried out once if it refuses.

use super::tail::{Pulled, Refused, Reply, pull};
use crate::failure::FailureClass;
use crate::mongodb::classify::Trouble;
use crate::mongodb::config::{Capture, MongoConfig};
use bson::{Bson, Document, RawDocument, Timestamp, doc};
use mongodb::Client;
use mongodb::options::{ReadConcern, ReadPreference, SelectionCriteria};
use mongodb::raw_batch_cursor::RawBatchCursor;
use std::time::Duration;

/// How long the server waits for a change before it answers that there is none: a stop, a decision and "caught up" wait for it, and each
/// answer costs a round trip.
const AWAIT: Duration = Duration::from_millis(300);

/// Reads that may come back empty before an event of a time that has passed.
const WITNESS_READS: usize = 10;

/// What the server can do besides the plain stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Abilities {
    /// Events about structure, sharding and collections' UUIDs: from 6.0.
    expanded: bool,
    /// Splits events above 16 MB: 6.0.9 and from 7.0.
    split: bool,
}

impl Abilities {
    /// From the best to the least.
    const ALL: [Self; 4] = [
        Self { expanded: true, split: true },
        Self { expanded: true, split: false },
        Self { expanded: false, split: true },
        Self { expanded: false, split: false },
    ];
    /// Before anything was refused.
    pub(super) const BEST: Self = Self::ALL[0];

    /// As a position's fingerprint has it.
    pub(super) fn spell(self, capture: Capture) -> String {
        let images = match capture {
            Capture::Lookup => "lookup",
            Capture::Images => "images",
        };
        let with = |able: bool, what| if able { what } else { "" };
        format!("{images}{}{}", with(self.expanded, "+expanded"), with(self.split, "+split"))
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Begin<'a> {
    /// Here and now.
    Now,
    /// Behind this token.
    Behind(&'a RawDocument),
    /// Behind the token of an invalidation.
    BehindInvalidation(&'a RawDocument),
    /// With everything of this time.
    At(Timestamp),
}

/// Opens the stream; its first reply is there at once and is usually empty.
pub(super) async fn open(
    client: &Client,
    config: &MongoConfig,
    abilities: Abilities,
    begin: Begin<'_>,
) -> Result<(RawBatchCursor, Reply), Refused> {
    let doing = "opening the change stream";
    let pipeline = pipeline(config.capture, abilities, begin)
        .ok_or_else(|| Refused::because(Trouble::TokenNotMatched, doing, None))?;
    let database = client.database(&config.database);
    let mut aggregate = database
        .aggregate(pipeline)
        // Events come with the reads: the opening only says where the stream stands.
        .batch_size(0)
        .max_await_time(AWAIT)
        .read_concern(ReadConcern::majority());
    if let Some(read_from) = config.read_from {
        aggregate = aggregate.selection_criteria(read_from.criteria());
    }
    let mut cursor = aggregate.batch().await.map_err(|error| Refused::by(&error, doing))?;
    match pull(&mut cursor).await? {
        Pulled::Reply(reply) => Ok((cursor, reply)),
        Pulled::Ended => Err(Refused::because(Trouble::ReplyInvalid, doing, None)),
    }
}

/// `None`: the token is not a document that the driver can send.
fn pipeline(capture: Capture, abilities: Abilities, begin: Begin<'_>) -> Option<Vec<Document>> {
    let image = match capture {
        Capture::Lookup => "updateLookup",
        // Not `required`: that would end the stream for collections nobody takes. A missing image of one that is taken halts.
        Capture::Images => "whenAvailable",
    };
    let mut stage = doc! { "fullDocument": image };
    match begin {
        Begin::Now => {}
        Begin::Behind(token) => drop(stage.insert("resumeAfter", owned(token)?)),
        Begin::BehindInvalidation(token) => drop(stage.insert("startAfter", owned(token)?)),
        Begin::At(time) => drop(stage.insert("startAtOperationTime", time)),
    }
    if abilities.expanded {
        stage.insert("showExpandedEvents", true);
    }
    let mut stages = vec![doc! { "$changeStream": stage }];
    if abilities.split {
        stages.push(doc! { "$changeStreamSplitLargeEvent": {} });
    }
    Some(stages)
}

fn owned(token: &RawDocument) -> Option<Bson> {
    Document::try_from(token).ok().map(Bson::Document)
}

/// Whether a log still holds an event that was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Witness {
    /// It holds an event of that time.
    Found,
    /// It reaches further and does not.
    Missing,
    /// It does not reach that time yet, as far as the server said.
    NotYet,
    /// It cannot be asked: the time is before its beginning.
    Unknown,
}

/// Looks for the event of a time. A source that was restored and written to again has reached the time, but not the event; its
/// token may then be answered by silence.
pub(super) async fn witness(
    client: &Client,
    config: &MongoConfig,
    abilities: Abilities,
    time: Timestamp,
) -> Result<Witness, Refused> {
    let mut cursor = match open(client, config, abilities, Begin::At(time)).await {
        Ok((cursor, _)) => cursor,
        Err(refused) => return unknown(refused),
    };
    for _ in 0..WITNESS_READS {
        let reply = match pull(&mut cursor).await {
            Ok(Pulled::Reply(reply)) => reply,
            Ok(Pulled::Ended) => return Ok(Witness::Unknown),
            Err(refused) => return unknown(refused),
        };
        if let Some(event) = reply.peek() {
            let found = event
                .get_timestamp("clusterTime")
                .map_or(Witness::Unknown, |first| if first == time { Witness::Found } else { Witness::Missing });
            return Ok(found);
        }
    }
    Ok(Witness::NotYet)
}

/// What only says that the time is not there to be asked for is no error.
fn unknown(refused: Refused) -> Result<Witness, Refused> {
    match refused.trouble.class() {
        FailureClass::Transient => Err(refused),
        _ => Ok(Witness::Unknown),
    }
}

/// Finds out what the server can do, by opening streams that are closed again.
pub(super) async fn probe(client: &Client, config: &MongoConfig) -> Result<Abilities, Refused> {
    let mut last = None;
    for abilities in Abilities::ALL {
        match open(client, config, abilities, Begin::Now).await {
            Ok(_) => return Ok(abilities),
            Err(refused) if refused.trouble == Trouble::OptionRefused => last = Some(refused),
            Err(refused) => return Err(refused),
        }
    }
    Err(last.unwrap_or_else(|| Refused::because(Trouble::OptionRefused, "opening the change stream", None)))
}

/// What a server says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    /// Its replica set; `None` behind a router.
    pub(super) set: Option<String>,
    /// It takes writes and is no router: nothing majority-committed is missing in it.
    pub(super) primary: bool,
    /// It is a router, whose time says nothing of its shards'.
    pub(super) router: bool,
    /// The time of its newest operation.
    pub(super) operation_time: Option<Timestamp>,
}

/// Asks the primary, or the one member a direct connection leads to.
pub(super) async fn standing(client: &Client) -> Result<Standing, Refused> {
    let reply = client
        .database("admin")
        .run_command(doc! { "hello": 1 })
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .await
        .map_err(|error| Refused::by(&error, "asking the source who it is"))?;
    let router = reply.get_str("msg").is_ok_and(|message| message == "isdbgrid");
    Ok(Standing {
        set: reply.get_str("setName").ok().map(str::to_owned),
        primary: !router && reply.get_bool("isWritablePrimary").unwrap_or(false),
        router,
        operation_time: reply.get_timestamp("operationTime").ok(),
    })
}
