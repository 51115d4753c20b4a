//! Change events, tokens and errors as a server of version 7 writes them, built to be bent: every builder gives a plain document.

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, RawDocumentBuf, Timestamp, doc};

/// When the fake's history begins, in seconds: 2023-11-14.
pub const EPOCH: u32 = 1_700_000_000;

/// A resume token of the shape that real servers give: `82`, the time, and what follows it.
pub fn token(seconds: u32, increment: u32) -> Document {
    doc! { "_data": format!("82{seconds:08X}{increment:08X}2B022C0100296E5A1004") }
}

/// A high-water-mark token: of a time and of no event.
pub fn mark(seconds: u32, increment: u32) -> Document {
    doc! { "_data": format!("82{seconds:08X}{increment:08X}2B0429296E1404") }
}

/// An event of `operation` on `database.collection`, `at` seconds after [`EPOCH`]: token, times, namespace. Everything else is added by
/// the caller.
pub fn bare(operation: &str, namespace: (&str, &str), at: u32) -> Document {
    let seconds = EPOCH + at;
    doc! {
        "_id": token(seconds, 1),
        "operationType": operation,
        "clusterTime": Timestamp { time: seconds, increment: 1 },
        "wallTime": DateTime::from_millis(i64::from(seconds) * 1_000),
        "ns": { "db": namespace.0, "coll": namespace.1 },
    }
}

/// A document was inserted.
pub fn insert(namespace: (&str, &str), document: Document, at: u32) -> RawDocumentBuf {
    with_document("insert", namespace, document, at)
}

/// A document was replaced.
pub fn replace(namespace: (&str, &str), document: Document, at: u32) -> RawDocumentBuf {
    with_document("replace", namespace, document, at)
}

/// A document was updated; `looked_up` is what the look-up found, `None` when it was gone by then.
pub fn update(namespace: (&str, &str), id: impl Into<Bson>, looked_up: Option<Document>, at: u32) -> RawDocumentBuf {
    let mut event = bare("update", namespace, at);
    event.insert("documentKey", doc! { "_id": id.into() });
    event.insert("updateDescription", doc! { "updatedFields": {}, "removedFields": [], "truncatedArrays": [] });
    event.insert("fullDocument", looked_up.map_or(Bson::Null, Bson::Document));
    raw(&event)
}

/// A document was deleted.
pub fn delete(namespace: (&str, &str), id: impl Into<Bson>, at: u32) -> RawDocumentBuf {
    let mut event = bare("delete", namespace, at);
    event.insert("documentKey", doc! { "_id": id.into() });
    raw(&event)
}

/// The collection was dropped.
pub fn drop_collection(namespace: (&str, &str), at: u32) -> RawDocumentBuf {
    raw(&bare("drop", namespace, at))
}

/// The collection was renamed.
pub fn rename(namespace: (&str, &str), to: &str, at: u32) -> RawDocumentBuf {
    let mut event = bare("rename", namespace, at);
    event.insert("to", doc! { "db": namespace.0, "coll": to });
    raw(&event)
}

/// The database was dropped.
pub fn drop_database(database: &str, at: u32) -> RawDocumentBuf {
    let mut event = bare("dropDatabase", (database, ""), at);
    event.insert("ns", doc! { "db": database });
    raw(&event)
}

/// The stream ends; put an [`super::Entry::End`] behind it.
pub fn invalidate(at: u32) -> RawDocumentBuf {
    let mut event = bare("invalidate", ("", ""), at);
    event.remove("ns");
    raw(&event)
}

/// An event cut into fragments at its top-level fields, each with a token of its own, as `$changeStreamSplitLargeEvent` does. `parts` are
/// the fields of each fragment.
pub fn split(event: &Document, parts: &[Document]) -> Vec<RawDocumentBuf> {
    let seconds = event.get_timestamp("clusterTime").map_or(EPOCH, |time| time.time);
    let of = i32::try_from(parts.len()).expect("few fragments");
    let fragment = |(number, part): (usize, &Document)| {
        let number = i32::try_from(number).expect("few fragments") + 1;
        let mut fragment = doc! { "_id": token(seconds, 100 + number.cast_unsigned()) };
        fragment.insert("splitEvent", doc! { "fragment": number, "of": of });
        fragment.extend(part.clone());
        raw(&fragment)
    };
    parts.iter().enumerate().map(fragment).collect()
}

/// Any document as bytes.
pub fn raw(event: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(event).expect("a document can be written")
}

/// An error as a server answers it.
pub fn failure(code: i32, labels: &[&str]) -> Document {
    let mut body = doc! { "ok": 0.0, "errmsg": "scripted", "code": code, "codeName": code_name(code) };
    if !labels.is_empty() {
        body.insert("errorLabels", labels.to_vec());
    }
    body
}

/// An error with which a primary steps down: clients look for another one.
pub fn stepdown(code: i32, labels: &[&str]) -> Document {
    let mut body = failure(code, labels);
    let process = ObjectId::from_bytes([7; 12]);
    body.insert("topologyVersion", doc! { "processId": process, "counter": 9_i64 });
    body
}

/// What servers call a code; programs must not rely on it.
fn code_name(code: i32) -> &'static str {
    match code {
        13 => "Unauthorized",
        18 => "AuthenticationFailed",
        43 => "CursorNotFound",
        47 => "NoMatchingDocument",
        59 => "CommandNotFound",
        91 => "ShutdownInProgress",
        136 => "CappedPositionLost",
        175 => "QueryPlanKilled",
        189 => "PrimarySteppedDown",
        222 => "CloseChangeStream",
        237 => "CursorKilled",
        260 => "InvalidResumeToken",
        262 => "ExceededTimeLimit",
        280 => "ChangeStreamFatalError",
        286 => "ChangeStreamHistoryLost",
        391 => "ReauthenticationRequired",
        10_107 => "NotWritablePrimary",
        10_334 => "BSONObjectTooLarge",
        11_600 => "InterruptedAtShutdown",
        11_602 => "InterruptedDueToReplStateChange",
        _ => "Location",
    }
}

fn with_document(operation: &str, namespace: (&str, &str), document: Document, at: u32) -> RawDocumentBuf {
    let mut event = bare(operation, namespace, at);
    event.insert("documentKey", doc! { "_id": document.get("_id").cloned().unwrap_or(Bson::Null) });
    event.insert("fullDocument", document);
    raw(&event)
}
