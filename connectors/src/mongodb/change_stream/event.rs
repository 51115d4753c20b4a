//! A change event as its server sent it, taken apart in one pass over its top-level fields.
//!
//! Nothing is copied and nothing below the fields that are needed is looked at, so a document with bytes that are not UTF-8, or
//! with repeated fields, goes through as it is. The order of fields is not a contract and none is relied on; unknown fields
//! are passed over. A split event is the fields of all its fragments together.
//!
//! Fails with `malformed_event` (halt): an event that cannot be understood is never skipped (promise 6).

use crate::failure::{Failure, FailureClass};
use bson::{DateTime, RawBsonRef, RawDocument, Timestamp};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind<'a> {
    Insert,
    Update,
    Replace,
    Delete,
    Drop,
    Rename,
    DropDatabase,
    /// A collection with documents of its own was made.
    Create,
    Invalidate,
    /// The shard key of a collection was set or changed: its events name documents by other fields from here on.
    Sharding,
    /// Known, and no change of any document.
    Structure,
    /// Not known to this version.
    Unknown(&'a str),
}

impl<'a> Kind<'a> {
    fn of(name: &'a str) -> Self {
        match name {
            "insert" => Self::Insert,
            "update" => Self::Update,
            "replace" => Self::Replace,
            "delete" => Self::Delete,
            "drop" => Self::Drop,
            "rename" => Self::Rename,
            "dropDatabase" => Self::DropDatabase,
            "invalidate" => Self::Invalidate,
            "shardCollection" | "reshardCollection" | "refineCollectionShardKey" => Self::Sharding,
            "create" => Self::Create,
            "createIndexes"
            | "dropIndexes"
            | "modify"
            | "startIndexBuild"
            | "abortIndexBuild"
            | "migrateChunkToNewShard"
            | "migrateLastChunkFromShard"
            | "movePrimary"
            | "endOfTransaction" => Self::Structure,
            other => Self::Unknown(other),
        }
    }
}

/// A collection, or a whole database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Namespace<'a> {
    pub(super) database: &'a str,
    pub(super) collection: Option<&'a str>,
}

/// The state of the document behind a change.
#[derive(Clone, Copy, Debug)]
pub(super) enum Image<'a> {
    /// Not sent, or sent as null.
    None,
    Document(&'a RawDocument),
}

/// One part of an event that was too large for one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fragment {
    /// From 1.
    pub(super) number: i32,
    pub(super) of: i32,
}

/// A change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) token: &'a RawDocument,
    pub(super) kind: Kind<'a>,
    pub(super) cluster_time: Timestamp,
    pub(super) wall_time: Option<DateTime>,
    pub(super) namespace: Option<Namespace<'a>>,
    pub(super) to: Option<Namespace<'a>>,
    pub(super) document_key: Option<&'a RawDocument>,
    pub(super) image: Image<'a>,
    /// For `Sharding`: the collection's shard key from here on.
    pub(super) shard_key: Option<&'a RawDocument>,
}

/// The fields as they were found.
#[derive(Default)]
struct Fields<'a> {
    token: Option<&'a RawDocument>,
    kind: Option<&'a str>,
    cluster_time: Option<Timestamp>,
    wall_time: Option<DateTime>,
    namespace: Option<Namespace<'a>>,
    to: Option<Namespace<'a>>,
    document_key: Option<&'a RawDocument>,
    image: Option<&'a RawDocument>,
    description: Option<&'a RawDocument>,
}

impl<'a> Event<'a> {
    /// Reads an event that came in `parts` messages, usually one; its token is that of the last.
    pub(super) fn read(parts: impl IntoIterator<Item = &'a RawDocument>) -> Result<Self, Failure> {
        let mut fields = Fields::default();
        for part in parts {
            fields.take(part)?;
        }
        let kind = match Kind::of(fields.kind.ok_or_else(|| malformed("it has no operationType"))?) {
            Kind::Create if makes_no_collection(fields.description) => Kind::Structure,
            kind => kind,
        };
        Ok(Self {
            token: fields.token.ok_or_else(|| malformed("it has no _id"))?,
            kind,
            cluster_time: fields.cluster_time.ok_or_else(|| malformed("it has no clusterTime"))?,
            wall_time: fields.wall_time,
            namespace: fields.namespace,
            to: fields.to,
            document_key: fields.document_key,
            image: fields.image.map_or(Image::None, Image::Document),
            shard_key: if kind == Kind::Sharding { shard_key(fields.description) } else { None },
        })
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, part: &'a RawDocument) -> Result<(), Failure> {
        for element in part.iter_elements() {
            let element = element.map_err(|_| malformed("it is not BSON"))?;
            let name = element.key().as_str();
            let wanted = matches!(
                name,
                "_id"
                    | "operationType"
                    | "clusterTime"
                    | "wallTime"
                    | "ns"
                    | "to"
                    | "documentKey"
                    | "fullDocument"
                    | "operationDescription"
            );
            if !wanted {
                continue;
            }
            let value = element.value().map_err(|_| malformed("a field of it is not BSON"))?;
            match name {
                "_id" => self.token = Some(document(value, "its _id is not a document")?),
                "operationType" => {
                    self.kind = Some(value.as_str().ok_or_else(|| malformed("its operationType is not a string"))?)
                }
                "clusterTime" => self.cluster_time = value.as_timestamp(),
                "wallTime" => self.wall_time = value.as_datetime(),
                "ns" => self.namespace = Some(namespace(value)?),
                "to" => self.to = Some(namespace(value)?),
                "documentKey" => self.document_key = Some(document(value, "its documentKey is not a document")?),
                "fullDocument" if value == RawBsonRef::Null => {}
                "fullDocument" => self.image = Some(document(value, "its fullDocument is not a document")?),
                _ => self.description = value.as_document(),
            }
        }
        Ok(())
    }
}

fn document<'a>(value: RawBsonRef<'a>, otherwise: &str) -> Result<&'a RawDocument, Failure> {
    value.as_document().ok_or_else(|| malformed(otherwise))
}

fn namespace(value: RawBsonRef<'_>) -> Result<Namespace<'_>, Failure> {
    let value = document(value, "its namespace is not a document")?;
    let database = value.get_str("db").map_err(|_| malformed("its namespace has no db"))?;
    Ok(Namespace { database, collection: value.get_str("coll").ok() })
}

/// `shardKey`, as the three kinds of sharding events have it. The old one is called otherwise.
fn shard_key(description: Option<&RawDocument>) -> Option<&RawDocument> {
    description?.get_document("shardKey").ok()
}

/// A `create` of a view or of a time series: neither has changes of its own.
fn makes_no_collection(description: Option<&RawDocument>) -> bool {
    let has = |field| description.is_some_and(|found| matches!(found.get(field), Ok(Some(_))));
    has("viewOn") || has("timeseries")
}

/// Which fragment a message is, if it is one.
pub(super) fn fragment(message: &RawDocument) -> Result<Option<Fragment>, Failure> {
    let Some(split) = message.get("splitEvent").map_err(|_| malformed("it is not BSON"))? else { return Ok(None) };
    let split = document(split, "its splitEvent is not a document")?;
    match (split.get_i32("fragment"), split.get_i32("of")) {
        (Ok(number), Ok(of)) if 1 <= number && number <= of => Ok(Some(Fragment { number, of })),
        _ => Err(malformed("its splitEvent does not count")),
    }
}

/// The stop of an event that cannot be understood.
pub(super) fn malformed(why: &str) -> Failure {
    Failure::new(
        FailureClass::Halt,
        "malformed_event",
        format!(
            "the source sent a change that cannot be understood: {why}. Nothing behind it is captured; accepting starts anew \
             behind it and copies every collection of this source again"
        ),
    )
}
