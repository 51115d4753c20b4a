//! The copy of a collection: ranges of `_id`, read in chunks.
//!
//! Order is the server's order of `_id` over all its kinds (numbers before strings before documents …), so that a collection of
//! mixed kinds loses none. A chunk begins behind the last `_id` of the chunk before, whoever read that and when; a cursor that stands there
//! still is read on (see [`walk`]), but nothing depends on it. Every read is of the majority and not before capture began (see [`command`]).
//!
//! A collection whose default collation is not the plain one is one range: its order is the collation's, in filter, sort and index
//! alike, and it is a total one, because the index of `_id` is unique under the same collation; but the server passes over what was
//! read before whenever a cursor is opened. Slower, and right.
//!
//! [`Snapshot::cohorts`] counts what is there when it is asked, behind the same time as all reads: documents that came or went since
//! they were passed make it differ from what was read by as much, so a kind that was read while nothing changed must agree exactly, and a
//! kind that holds documents of which none was read, without any captured insert of it, was lost. A collection that is not there is empty.
//! Which chunk is next is the caller's: kept here are the time capture began, the usual size of a document, and open cursors.
//!
//! Fails with `collection_kind` (halt) for views and time series, `mark_invalid` (fatal) for marks that are not ours, `chunk_slow`
//! (too much) when the server gives a chunk up for its time limit, else as [`super::classify`] says.

mod bounds;
mod by_id;
mod command;
pub(crate) mod id;
mod reached;
mod walk;

use super::classify::classify;
use super::collection::collections;
use super::config::MongoConfig;
use crate::failure::{Failure, FailureClass};
use crate::snapshot::{Chunk, ChunkLimit, Cohorts, KeyRange, Mark, Snapshot};
use crate::source::SourceStream;
use bson::{Document, RawDocument, RawDocumentBuf, Timestamp, doc};
use command::Target;
use futures_util::future::BoxFuture;
use id::Id;
use landfall_schemas::event::Place;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::Select;
use landfall_schemas::stream::StreamId;
use mongodb::error::Error;
use mongodb::options::{ReadPreference, SelectionCriteria};
use reached::Reached;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::OnceCell;
use walk::Walks;

/// How long the server may work for one cursor: seconds are usual; a collection with a collation passes over much.
const CHUNK_LIMIT: Duration = Duration::from_secs(120);
/// How long a count of a whole collection may take: an index of a billion entries, read once.
const COUNT_LIMIT: Duration = Duration::from_secs(3_600);
/// `_id`s drawn for each range: enough for ranges of nearly one size, few enough for a random cursor.
const SAMPLE_PER_RANGE: usize = 20;
/// Most ranges: beyond this they are not read side by side anyway.
const MOST_RANGES: usize = 256;
/// Documents asked for while nothing is known of their size.
const FIRST_CHUNK: usize = 500;
/// Most bytes of a document that cannot be a record: what a dead letter shows of it.
const REJECT_BYTES: usize = 64 * 1024;

/// The collections of one database, as copies of them are read.
#[derive(Debug)]
pub struct MongoSnapshot {
    config: MongoConfig,
    /// Connected with the first question: a source that is not there yet is waited for by whoever asks.
    reached: OnceCell<Reached>,
    not_before: Option<Timestamp>,
    streams: RwLock<Vec<Arc<Copied>>>,
}

/// A stream, and what its chunks taught.
#[derive(Debug)]
struct Copied {
    id: StreamId,
    collection: String,
    place: String,
    /// Reads show this time or a later one: the stream's capture began before it.
    floor: Mutex<Option<Timestamp>>,
    /// Bytes of an average document; 0: not known.
    usual_size: AtomicUsize,
    walks: Walks,
}

impl MongoSnapshot {
    /// Copies of `streams`, through a client of their own: they must not take the connections that a change stream needs. Connects
    /// to nothing yet.
    pub fn new(config: MongoConfig, streams: &[SourceStream]) -> Self {
        let snapshot = Self { config, reached: OnceCell::new(), not_before: None, streams: RwLock::default() };
        streams.iter().for_each(|stream| snapshot.add(stream));
        snapshot
    }

    /// One more stream can be copied from here on.
    pub fn add(&self, stream: &SourceStream) {
        let copied = Arc::new(Copied::of(&self.config.database, stream));
        self.streams.write().unwrap_or_else(PoisonError::into_inner).push(copied);
    }

    /// Reads no state older than `time` (of the token that capture began with), whatever the primary says its time is.
    #[must_use]
    pub fn not_before(mut self, time: Timestamp) -> Self {
        self.not_before = Some(time);
        self
    }

    fn copied(&self, stream: StreamId) -> Result<Arc<Copied>, Failure> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.iter().find(|copied| copied.id == stream).cloned().ok_or_else(|| {
            Failure::new(
                FailureClass::Fatal,
                "stream_unknown",
                "a copy was asked of a stream that this source does not have",
            )
        })
    }

    async fn reached(&self) -> Result<&Reached, Failure> {
        self.reached.get_or_try_init(|| Reached::by(&self.config)).await
    }

    /// The time that a stream's reads are not before, asked of the primary once for each copy.
    async fn floor(&self, copied: &Copied) -> Result<Option<Timestamp>, Failure> {
        let known = *copied.floor.lock().unwrap_or_else(|broken| broken.into_inner());
        match known {
            Some(floor) => Ok(Some(floor)),
            None => self.new_floor(copied).await,
        }
    }

    async fn new_floor(&self, copied: &Copied) -> Result<Option<Timestamp>, Failure> {
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        let reached = self.reached().await?;
        let reply = reached.database.run_command(doc! { "ping": 1 }).selection_criteria(primary).await;
        let reply = reply.map_err(|error| classify(&error, "asking the source for its time"))?;
        let found = time_of(&reply).max(self.not_before);
        *copied.floor.lock().unwrap_or_else(|broken| broken.into_inner()) = found;
        Ok(found)
    }

    async fn split(&self, stream: StreamId, parts: usize) -> Result<Vec<KeyRange>, Failure> {
        let copied = self.copied(stream)?;
        let floor = self.new_floor(&copied).await?;
        let reached = self.reached().await?;
        let found = collections(&reached.database, Some(&copied.collection)).await?;
        let Some(facts) = found.first() else { return Ok(vec![KeyRange::default()]) };
        facts.copyable()?;
        let parts = parts.min(MOST_RANGES);
        if parts <= 1 || facts.collation.is_some() {
            return Ok(vec![KeyRange::default()]);
        }
        let size = u32::try_from(parts * SAMPLE_PER_RANGE).unwrap_or(u32::MAX);
        let target = Target { collection: &copied.collection, floor };
        let failed = |error: Error| classify(&error, "sampling the keys of a collection");
        let mut cursor = reached.cursor(command::sample(target, size, CHUNK_LIMIT), size).await.map_err(failed)?;
        let mut sample = Vec::with_capacity(parts * SAMPLE_PER_RANGE);
        while cursor.advance().await.map_err(failed)? {
            sample.extend(Id::of(cursor.current()).map(Id::mark));
        }
        Ok(bounds::ranges(&sample, parts))
    }

    async fn count(&self, stream: StreamId) -> Result<Cohorts, Failure> {
        let copied = self.copied(stream)?;
        let target = Target { collection: &copied.collection, floor: self.floor(&copied).await? };
        let failed = |error: Error| classify(&error, "counting a collection by the kinds of its keys");
        // As many groups as there are kinds: one batch.
        let mut cursor =
            self.reached().await?.cursor(command::cohorts(target, COUNT_LIMIT), 100).await.map_err(failed)?;
        let mut cohorts = Cohorts::default();
        while cursor.advance().await.map_err(failed)? {
            let group = cursor.current();
            let count = group.get_i64("count").or_else(|_| group.get_i32("count").map(i64::from)).unwrap_or(0);
            let kind = group.get_str("_id").unwrap_or("unknown");
            cohorts.0.insert(kind.into(), u64::try_from(count).unwrap_or(0));
        }
        Ok(cohorts)
    }

    async fn about(&self, stream: StreamId) -> Result<u64, Failure> {
        let copied = self.copied(stream)?;
        let reached = self.reached().await?;
        let collection = reached.database.collection::<RawDocumentBuf>(&copied.collection);
        let count = collection.estimated_document_count().selection_criteria(reached.selection.clone());
        count.await.map_err(|error| classify(&error, "estimating the size of a collection"))
    }
}

impl Copied {
    fn of(database: &str, stream: &SourceStream) -> Self {
        let collection = match &stream.select {
            Select::Collection(name) => name.clone(),
            Select::Whole | Select::Pointer(_) => stream.name.as_str().to_owned(),
        };
        let place = format!("{database}.{collection}");
        Self {
            id: stream.id,
            place,
            collection,
            floor: Mutex::new(None),
            usual_size: AtomicUsize::new(0),
            walks: Walks::default(),
        }
    }

    /// How many documents a chunk asks for: as many as probably fill its bytes.
    fn records(&self, limit: ChunkLimit) -> u32 {
        let fitting = match self.usual_size.load(Ordering::Relaxed) {
            0 => FIRST_CHUNK,
            size => limit.bytes / size + 1,
        };
        u32::try_from(fitting.min(limit.records).max(1)).unwrap_or(u32::MAX)
    }

    fn learn(&self, records: u32, bytes: usize) {
        if let Some(usual) = bytes.checked_div(records as usize) {
            self.usual_size.store(usual.max(1), Ordering::Relaxed);
        }
    }
}

/// The latest time a reply names: of the operation, and of the cluster as far as anybody told this client.
fn time_of(reply: &Document) -> Option<Timestamp> {
    let operation = reply.get_timestamp("operationTime").ok();
    let cluster = reply.get_document("$clusterTime").and_then(|found| found.get_timestamp("clusterTime")).ok();
    operation.max(cluster)
}

/// A chunk while it is filled.
struct Reading<'a> {
    stream: StreamId,
    place: Place,
    source: &'a str,
    chunk: &'a mut Chunk,
    key: RecordKey,
    /// The last document taken.
    last: Option<Mark>,
    records: u32,
    bytes: usize,
}

impl<'a> Reading<'a> {
    fn new(copied: &'a Copied, chunk: &'a mut Chunk) -> Self {
        let place = Place { index: chunk.records.place(&copied.place), at: 0 };
        Self {
            stream: copied.id,
            place,
            source: &copied.place,
            chunk,
            key: RecordKey::default(),
            last: None,
            records: 0,
            bytes: 0,
        }
    }

    /// Adds a document.
    fn take(&mut self, document: &RawDocument) -> Result<(), Failure> {
        let bytes = document.as_bytes();
        // Servers give every stored document an `_id`; without one there is no place to go on from.
        let id = Id::of(document).ok_or_else(|| {
            let detail = format!("{} holds a document whose _id cannot be read: validate the collection", self.source);
            Failure::new(FailureClass::Halt, "document_unreadable", detail)
        })?;
        self.chunk.cohorts.count(id.kind_name());
        let mark = id.mark();
        let records = &mut self.chunk.records;
        match self.key.set_bson_field(bytes, &["_id"]) {
            Ok(()) => records.upsert(self.stream, &self.key, (bytes, None), self.place).snapshot = true,
            Err(code) => {
                let named = xxhash_rust::xxh3::xxh3_64(&mark);
                self.key.place(self.source, named);
                let head = &bytes[..bytes.len().min(REJECT_BYTES)];
                records.reject(self.stream, &self.key, (head, None, code), self.place).snapshot = true;
            }
        }
        self.records += 1;
        self.bytes += bytes.len();
        self.last = Some(mark);
        Ok(())
    }
}

impl Snapshot for MongoSnapshot {
    fn ranges(&self, stream: StreamId, parts: usize) -> BoxFuture<'_, Result<Vec<KeyRange>, Failure>> {
        Box::pin(self.split(stream, parts))
    }

    fn read<'a>(
        &'a self,
        stream: StreamId,
        range: &'a KeyRange,
        limit: ChunkLimit,
        chunk: &'a mut Chunk,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.fill(stream, range, limit, chunk))
    }

    fn cohorts(&self, stream: StreamId) -> BoxFuture<'_, Result<Cohorts, Failure>> {
        Box::pin(self.count(stream))
    }

    fn estimate(&self, stream: StreamId) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(self.about(stream))
    }

    fn farewell(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(reached) = self.reached.get() {
                reached.farewell().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_schemas::event::Op;
    use landfall_schemas::rejection::RejectCode;

    fn copied() -> Copied {
        let (collection, place) = ("c".to_owned(), "d.c".to_owned());
        Copied {
            id: StreamId(0),
            collection,
            place,
            floor: Mutex::new(None),
            usual_size: AtomicUsize::new(0),
            walks: Walks::default(),
        }
    }

    #[test]
    fn a_chunk_asks_for_as_many_documents_as_probably_fill_it() {
        let copied = copied();
        let limit = ChunkLimit { records: 2_000, bytes: 1 << 20 };
        assert_eq!(copied.records(limit), FIRST_CHUNK as u32);
        assert_eq!(copied.records(ChunkLimit { records: 3, ..limit }), 3);
        copied.learn(0, 0);
        copied.learn(10, 10 << 20);
        assert_eq!(copied.records(limit), 2, "one that fits, one that passes the limit");
        copied.learn(10, 1_000);
        assert_eq!(copied.records(limit), 2_000);
        assert_eq!(copied.records(ChunkLimit { records: 0, bytes: 0 }), 1, "one record is always read");
    }

    #[test]
    fn a_document_becomes_an_upsert_of_its_own_bytes() {
        let copied = copied();
        let mut chunk = Chunk::default();
        let raw = RawDocumentBuf::try_from(&doc! {"_id": 5_i64, "a": "x"}).unwrap();
        let mut reading = Reading::new(&copied, &mut chunk);
        reading.take(&raw).unwrap();
        let mark = reading.last.unwrap();
        let change = &chunk.records.changes()[0];
        assert!(change.snapshot);
        assert_eq!(chunk.records.bytes(&change.payload), raw.as_bytes());
        assert_eq!(chunk.records.bytes(&change.key), b"n:5");
        assert_eq!(&*chunk.records.places()[change.place as usize], "d.c");
        assert_eq!(Id::of_mark(&mark), Id::of(&raw));
        assert_eq!(chunk.cohorts.0, [("long".into(), 1)].into());
    }

    #[test]
    fn a_document_whose_key_cannot_be_read_is_a_reject() {
        let copied = copied();
        let mut chunk = Chunk::default();
        // {"_id": {"": <a double cut short>}}
        let bytes = b"\x12\x00\x00\x00\x03_id\x00\x08\x00\x00\x00\x01\x00\x01\x00\x00".to_vec();
        let raw = RawDocumentBuf::from_bytes(bytes).unwrap();
        let mut reading = Reading::new(&copied, &mut chunk);
        reading.take(&raw).unwrap();
        let mark = reading.last.unwrap();
        assert_eq!(Id::of_mark(&mark), Id::of(&raw));
        let change = &chunk.records.changes()[0];
        assert_eq!((change.op, change.snapshot), (Op::Reject, true));
        assert_eq!(change.reject, Some(RejectCode::Malformed));
    }

    #[test]
    fn a_document_without_an_id_stops_the_copy() {
        let copied = copied();
        let raw = RawDocumentBuf::try_from(&doc! {"a": "x"}).unwrap();
        let failure = Reading::new(&copied, &mut Chunk::default()).take(&raw).unwrap_err();
        assert_eq!((failure.class, failure.code), (FailureClass::Halt, "document_unreadable"));
    }

    #[test]
    fn the_latest_time_of_a_reply_counts() {
        let at = |time| Timestamp { time, increment: 0 };
        assert_eq!(time_of(&doc! {"ok": 1}), None);
        assert_eq!(time_of(&doc! {"operationTime": at(3), "$clusterTime": {"clusterTime": at(4)}}), Some(at(4)));
        assert_eq!(time_of(&doc! {"operationTime": at(3)}), Some(at(3)));
    }
}
