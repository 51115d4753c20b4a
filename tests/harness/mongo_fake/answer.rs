//! What the fake answers on its own.

use super::event::failure;
use super::find::{number, select};
use super::log::{Entry, options};
use super::rule::opens_stream;
use super::wire::COMPRESSOR;
use super::{Cursor, Stage, State};
use crate::raw_bson::{RawValue, RawWriter};
use bson::{Binary, Bson, Document, RawBsonRef, RawDocumentBuf, Timestamp, doc, spec::BinarySubtype};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a getMore on a stream waits when the client says nothing, and at most when it does.
const AWAIT: Duration = Duration::from_millis(100);
const MAX_AWAIT: Duration = Duration::from_secs(5);
/// What a server gives first when the client says nothing.
const FIRST_BATCH: usize = 101;
/// Documents of a later batch when the client says nothing.
const NEXT_BATCH: usize = 1_000;

/// The usual answer to a command, on a connection (its port, its number).
pub(super) fn usual(stage: &Stage, body: &Document, at: (u16, usize)) -> RawDocumentBuf {
    let name = body.keys().next().map_or("", String::as_str).to_owned();
    let mut state = stage.state();
    let answer = match name.as_str() {
        "hello" | "isMaster" | "ismaster" => greeting(&state, body, at),
        "authenticate" => doc! { "dbname": "$external", "user": "CN=client", "ok": 1.0 },
        "ping" | "endSessions" | "refreshSessions" | "abortTransaction" | "setFeatureCompatibilityVersion" => {
            doc! { "ok": 1.0 }
        }
        "buildInfo" | "buildinfo" => doc! { "version": "7.0.12", "versionArray": [7, 0, 12, 0], "ok": 1.0 },
        "connectionStatus" => {
            doc! { "authInfo": { "authenticatedUsers": [], "authenticatedUserRoles": [] }, "ok": 1.0 }
        }
        "serverStatus" => doc! { "host": "fake", "version": "7.0.12", "localTime": bson::DateTime::now(), "ok": 1.0 },
        "killCursors" => kill(&mut state, body),
        "listCollections" => {
            return batch(&state, (0, "firstBatch", "$cmd.listCollections"), &listed(&state, body), body);
        }
        "count" => doc! { "n": state.documents(body, "count").len() as i64, "ok": 1.0 },
        "aggregate" if opens_stream(body) => return open_stream(&mut state, body),
        "aggregate" => return aggregate(&state, body),
        "find" => return find(&mut state, body),
        "getMore" => {
            drop(state);
            return more(stage, body);
        }
        _ => failure(59, &[]),
    };
    finish(&state, answer)
}

/// The answer to `hello`: with the first of the client's compressors that is spoken here.
fn greeting(state: &State, body: &Document, at: (u16, usize)) -> Document {
    let mut said = state.shape.hello(at.0, at.1);
    let offered = body.get_array("compression").into_iter().flatten().filter_map(Bson::as_str);
    let spoken: Vec<&str> = offered.filter(|name| *name == COMPRESSOR).collect();
    if !spoken.is_empty() {
        said.insert("compression", spoken);
    }
    said
}

impl State {
    fn documents(&self, body: &Document, field: &str) -> Vec<RawDocumentBuf> {
        let name = body.get_str(field).unwrap_or_default();
        self.collections.get(name).cloned().unwrap_or_default()
    }

    fn open(&mut self, cursor: Cursor) -> i64 {
        self.opened += 1;
        // Far from every other number that a test may see.
        let id = 7_000_000_000 + self.opened;
        self.cursors.insert(id, cursor);
        id
    }
}

/// Adds what every answer of a replica set carries.
fn finish(state: &State, mut answer: Document) -> RawDocumentBuf {
    if state.shape.has_streams() && !answer.contains_key("setName") {
        answer.insert("operationTime", state.log.time());
    }
    RawDocumentBuf::try_from(&answer).expect("a document can be written")
}

fn kill(state: &mut State, body: &Document) -> Document {
    let ids: Vec<i64> = body.get_array("cursors").into_iter().flatten().filter_map(Bson::as_i64).collect();
    ids.iter().for_each(|id| drop(state.cursors.remove(id)));
    doc! { "cursorsKilled": ids, "cursorsNotFound": [], "cursorsAlive": [], "cursorsUnknown": [], "ok": 1.0 }
}

fn listed(state: &State, body: &Document) -> Vec<RawDocumentBuf> {
    let wanted = body.get_document("filter").ok().and_then(|filter| filter.get_str("name").ok());
    let names = state.collections.keys().filter(|name| wanted.is_none_or(|wanted| wanted == name.as_str()));
    let entry = |name: &String| {
        let mut bytes = [0x4a; 16];
        name.bytes().take(16).zip(&mut bytes).for_each(|(from, to)| *to = from);
        let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() };
        let entry = doc! {
            "name": name,
            "type": "collection",
            "options": {},
            "info": { "readOnly": false, "uuid": uuid },
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
        };
        RawDocumentBuf::try_from(&entry).expect("a document can be written")
    };
    names.map(entry).collect()
}

fn open_stream(state: &mut State, body: &Document) -> RawDocumentBuf {
    if !state.shape.has_streams() {
        return finish(state, failure(40_573, &[]));
    }
    let place = match state.log.place(&options(body)) {
        Ok(place) => place,
        Err(refused) => return finish(state, refused),
    };
    let id = state.open(Cursor::Stream(place));
    let token = state.log.token_at(place);
    stream_batch((id, "firstBatch"), (&[], &token), state.log.time(), body)
}

/// Everything but change streams: counts, samples and statistics of a collection.
fn aggregate(state: &State, body: &Document) -> RawDocumentBuf {
    let documents = state.documents(body, "aggregate");
    let stages: Vec<&Document> =
        body.get_array("pipeline").into_iter().flatten().filter_map(Bson::as_document).collect();
    let has = |stage: &str| stages.iter().find_map(|document| document.get(stage));
    let counted = |answer: Document| vec![RawDocumentBuf::try_from(&answer).expect("a document can be written")];
    let count = documents.len() as i64;
    let found = if let Some(sample) = has("$sample") {
        let size = number(sample.as_document().and_then(|sample| sample.get("size"))).unwrap_or_default();
        documents.into_iter().take(usize::try_from(size).unwrap_or_default()).collect()
    } else if has("$collStats").is_some() {
        let size: usize = documents.iter().map(|document| document.as_bytes().len()).sum();
        counted(doc! { "count": count, "storageStats": { "count": count, "size": size as i64 } })
    } else if has("$group").and_then(Bson::as_document).is_some_and(|group| group.get_document("_id").is_ok()) {
        kinds(&documents)
    } else if has("$group").is_some() && count > 0 {
        counted(doc! { "_id": 1, "n": count })
    } else if let Some(name) = has("$count").and_then(Bson::as_str) {
        counted(doc! { name: count })
    } else {
        Vec::new()
    };
    batch(state, (0, "firstBatch", body.get_str("aggregate").unwrap_or_default()), &found, body)
}

/// How many documents there are of each kind of `_id`, as `{ $group: { _id: { $type: "$_id" }, count: … } }` says it.
fn kinds(documents: &[RawDocumentBuf]) -> Vec<RawDocumentBuf> {
    let mut counts = std::collections::BTreeMap::new();
    for document in documents {
        let kind = match document.get("_id").ok().flatten() {
            Some(RawBsonRef::Int32(_)) => "int",
            Some(RawBsonRef::Int64(_)) => "long",
            Some(RawBsonRef::Double(_)) => "double",
            Some(RawBsonRef::String(_)) => "string",
            Some(RawBsonRef::ObjectId(_)) => "objectId",
            other => panic!("the fake counts no `_id` like {other:?}"),
        };
        *counts.entry(kind).or_insert(0_i64) += 1;
    }
    let answer = |(kind, count): (&str, i64)| RawDocumentBuf::try_from(&doc! { "_id": kind, "count": count });
    counts.into_iter().map(|counted| answer(counted).expect("a document can be written")).collect()
}

fn find(state: &mut State, body: &Document) -> RawDocumentBuf {
    let mut left = select(&state.documents(body, "find"), body);
    let first = take(&mut left, (number(body.get("batchSize")), FIRST_BATCH), state.largest_batch);
    let one_batch = body.get_bool("singleBatch").unwrap_or_default();
    let id = if left.is_empty() || one_batch { 0 } else { state.open(Cursor::Documents(left)) };
    batch(state, (id, "firstBatch", body.get_str("find").unwrap_or_default()), &first, body)
}

/// As many as were asked for (or are usual), but no more than the server likes to send at once.
fn take(
    left: &mut VecDeque<RawDocumentBuf>,
    (asked, usual): (Option<i64>, usize),
    largest: usize,
) -> Vec<RawDocumentBuf> {
    let size = asked.and_then(|size| usize::try_from(size).ok()).unwrap_or(usual).min(largest);
    left.drain(..size.min(left.len())).collect()
}

fn more(stage: &Stage, body: &Document) -> RawDocumentBuf {
    let id = number(body.get("getMore")).unwrap_or_default();
    let wanted = number(body.get("maxTimeMS")).and_then(|wait| u64::try_from(wait).ok());
    let until = Instant::now() + wanted.map_or(AWAIT, Duration::from_millis).min(MAX_AWAIT);
    let mut state = stage.state();
    loop {
        let largest = state.largest_batch;
        let place = match state.cursors.get_mut(&id) {
            None => return finish(&state, failure(43, &["ResumableChangeStreamError"])),
            Some(Cursor::Documents(left)) => {
                let next = take(left, (number(body.get("batchSize")), NEXT_BATCH), largest);
                let open = if left.is_empty() { 0 } else { id };
                if open == 0 {
                    state.cursors.remove(&id);
                }
                return batch(&state, (open, "nextBatch", body.get_str("collection").unwrap_or_default()), &next, body);
            }
            Some(Cursor::Stream(place)) => *place,
        };
        if let Some(found) = state.log.batch(place) {
            let open = if found.ended { 0 } else { id };
            if found.ended {
                // A cursor is closed once: whoever comes back from there goes on.
                state.log.entries[found.next - 1] = Entry::Break;
                state.cursors.remove(&id);
            } else {
                state.cursors.insert(id, Cursor::Stream(found.next));
            }
            return stream_batch((open, "nextBatch"), (&found.events, &found.token), state.log.time(), body);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || state.closed {
            let token = state.log.token_at(place);
            return stream_batch((id, "nextBatch"), (&[], &token), state.log.time(), body);
        }
        state = stage.changed.wait_timeout(state, left).expect("no panic holds the state").0;
    }
}

/// A batch of a stream: its events as the bytes they were scripted as, and the token behind it.
fn stream_batch(
    cursor: (i64, &str),
    batch: (&[RawDocumentBuf], &Document),
    time: Timestamp,
    body: &Document,
) -> RawDocumentBuf {
    let token = RawDocumentBuf::try_from(batch.1).expect("a document can be written");
    let values: Vec<RawValue> = batch.0.iter().map(RawValue::document).collect();
    let inner = RawWriter::default()
        .with(cursor.1, &RawValue::array(&values))
        .with("postBatchResumeToken", &RawValue::document(&token))
        .with("id", &RawValue::int64(cursor.0))
        .with("ns", &RawValue::string(&namespace(body, "$cmd.aggregate")))
        .finish();
    whole(&inner, time)
}

fn batch(state: &State, cursor: (i64, &str, &str), documents: &[RawDocumentBuf], body: &Document) -> RawDocumentBuf {
    let values: Vec<RawValue> = documents.iter().map(RawValue::document).collect();
    let inner = RawWriter::default()
        .with("id", &RawValue::int64(cursor.0))
        .with("ns", &RawValue::string(&namespace(body, cursor.2)))
        .with(cursor.1, &RawValue::array(&values))
        .finish();
    whole(&inner, state.log.time())
}

fn whole(cursor: &RawDocumentBuf, time: Timestamp) -> RawDocumentBuf {
    RawWriter::default()
        .with("cursor", &RawValue::document(cursor))
        .with("ok", &RawValue::double(1.0))
        .with("operationTime", &RawValue::timestamp(time.time, time.increment))
        .finish()
}

fn namespace(body: &Document, collection: &str) -> String {
    format!("{}.{collection}", body.get_str("$db").unwrap_or("test"))
}
