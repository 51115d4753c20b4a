//! From an event to changes of our streams.
//!
//! Owns which collection is which stream and what each kind of event means for it. The document is copied once, into the batch.
//!
//! | event | change |
//! |---|---|
//! | insert, replace, update with its document | `Upsert` |
//! | update whose looked-up document is gone again | `Touched`: a delete, drop or insert follows |
//! | delete | `Delete` |
//! | drop, rename away, the database dropped | `Gone` |
//! | rename to | `Gone` unless it was already, then `SnapshotBegin` |
//! | created | a stream, where a pattern wants the collection; else nothing |
//! | a shard key other than `_id` set or changed | `Gone`, then `SnapshotBegin`: the same documents go by other keys from here on |
//! | of another collection | counted |
//! | of a kind not known here | counted by kind |
//!
//! The first event of a collection that no stream takes yet, and that a pattern wants, makes a stream of it: registered in the queue first,
//! then begun (`SnapshotBegin`), then its event. So nothing of it is ever counted as another's.
//!
//! The key is `_id`. Where documents are named by more than that (`_id` alone is not unique across shards), it is the whole
//! `documentKey`. A key that cannot be encoded makes a `Reject` (promise 13).
//!
//! Fails, and halts, for events that lack what their kind must have (`malformed_event`) and for a post-image that is missing
//! where images are captured (`images_missing`).

use super::event::{Event, Image, Kind, Namespace, malformed};
use super::{collection, position};
use crate::failure::Failure;
use crate::mongodb::classify::Trouble;
use crate::mongodb::config::Capture;
use crate::source::Registrar;
use bson::{RawBsonRef, RawDocument, Timestamp};
use landfall_schemas::event::{ChangeBatch, Op, Place};
use landfall_schemas::key::RecordKey;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::StreamId;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Most kinds that are counted apart: names come from the server, and memory is ours.
const MOST_KINDS: usize = 64;

/// A stream and its collection.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) id: StreamId,
    pub(super) collection: String,
    /// `database.collection`, as people know it.
    pub(super) place: String,
    /// Its collection was dropped and nothing of it was seen since: the drop of its database is no news.
    gone: bool,
    /// Its place in the batch being filled.
    at: Option<u32>,
}

impl Taken {
    fn new(database: &str, id: StreamId, collection: String) -> Self {
        let place = format!("{database}.{collection}");
        Self { id, collection, place, gone: false, at: None }
    }
}

/// Turns events into changes.
pub(super) struct Taking {
    database: String,
    capture: Capture,
    /// Sorted by collection.
    streams: Vec<Taken>,
    /// Who makes streams of collections that a pattern wants.
    registrar: Option<Arc<dyn Registrar>>,
    key: RecordKey,
    /// Changes of collections that no stream takes.
    pub(super) ignored: u64,
    /// Changes of unknown kinds.
    pub(super) unknown: BTreeMap<Box<str>, u64>,
}

impl Taking {
    pub(super) fn new(database: &str, capture: Capture, streams: impl IntoIterator<Item = (StreamId, String)>) -> Self {
        let mut streams: Vec<_> = streams.into_iter().map(|(id, name)| Taken::new(database, id, name)).collect();
        streams.sort_by(|a, b| a.collection.cmp(&b.collection));
        Self {
            database: database.to_owned(),
            capture,
            streams,
            registrar: None,
            key: RecordKey::default(),
            ignored: 0,
            unknown: BTreeMap::new(),
        }
    }

    /// With somebody who makes streams of collections that are found.
    pub(super) fn growing(mut self, registrar: Option<Arc<dyn Registrar>>) -> Self {
        self.registrar = registrar;
        self
    }

    /// Whether streams may be found while it runs.
    pub(super) fn grows(&self) -> bool {
        self.registrar.is_some()
    }

    /// Makes streams of those of the collections that a pattern wants and that no stream takes yet; their copies are to be begun.
    pub(super) fn meet(&mut self, collections: &[&str]) -> Result<Vec<StreamId>, Failure> {
        let Some(registrar) = &self.registrar else { return Ok(Vec::new()) };
        let known = |name: &str| self.streams.binary_search_by(|stream| stream.collection.as_str().cmp(name)).is_ok();
        let unknown: Vec<&str> = collections.iter().copied().filter(|name| !known(name)).collect();
        let mut met = Vec::new();
        for stream in registrar.register(&unknown)? {
            let (id, name) = collection(&stream)?;
            tracing::info!(stream = %stream.name, "a collection that the pattern wants: it is a stream now");
            let at = self.streams.partition_point(|known| known.collection <= name);
            self.streams.insert(at, Taken::new(&self.database, id, name));
            met.push(id);
        }
        Ok(met)
    }

    /// The collection of an event, if no stream takes it and a pattern wants it, becomes a stream whose copy begins here; `true` then.
    fn met(&mut self, named: Option<Namespace<'_>>, at: Timestamp, batch: &mut ChangeBatch) -> Result<bool, Failure> {
        let Some(Namespace { database, collection: Some(collection) }) = named else { return Ok(false) };
        if !self.grows() || database != self.database || !self.of(named).is_empty() {
            return Ok(false);
        }
        let met = self.meet(&[collection])?;
        met.iter().for_each(|stream| self.begin(*stream, at, batch));
        Ok(!met.is_empty())
    }

    /// Begins the copy of a stream and marks it as begun, in the same batch.
    pub(super) fn begin(&mut self, stream: StreamId, at: Timestamp, batch: &mut ChangeBatch) {
        let Some(index) = self.streams.iter().position(|known| known.id == stream) else { return };
        self.begin_copy(index, at, batch);
        batch.reached(position::begun(stream, &self.streams[index].place));
    }

    pub(super) fn streams(&self) -> &[Taken] {
        &self.streams
    }

    /// To be called for each batch before anything is put into it.
    pub(super) fn begin_batch(&mut self) {
        self.streams.iter_mut().for_each(|stream| stream.at = None);
    }

    /// Begins the copy of a stream: everything that changed from here on follows.
    fn begin_copy(&mut self, index: usize, at: Timestamp, batch: &mut ChangeBatch) {
        let place = self.place(index, at, batch);
        batch.control(self.streams[index].id, Op::SnapshotBegin, &RecordKey::default(), place);
    }

    /// Puts what the event means into the batch.
    pub(super) fn take(&mut self, event: &Event<'_>, batch: &mut ChangeBatch) -> Result<(), Failure> {
        match event.kind {
            Kind::Insert | Kind::Update | Kind::Replace | Kind::Delete => self.document(event, batch)?,
            Kind::Drop => {
                let streams = self.of(event.namespace);
                self.gone(streams, "the collection was dropped", event, batch);
            }
            Kind::DropDatabase => {
                for index in 0..self.streams.len() {
                    if !self.streams[index].gone {
                        self.gone(index..index + 1, "the database was dropped", event, batch);
                    }
                }
            }
            Kind::Rename => self.renamed(event, batch)?,
            Kind::Sharding => {
                if event.shard_key.is_none_or(names_more_than_id) {
                    let streams = self.of(event.namespace);
                    let how = "the shard key of the collection was set or changed, so its documents go by other keys";
                    self.replaced(streams, how, event, batch);
                }
            }
            Kind::Create => drop(self.met(event.namespace, event.cluster_time, batch)?),
            Kind::Invalidate | Kind::Structure => {}
            Kind::Unknown(kind) => self.count_unknown(kind),
        }
        Ok(())
    }

    fn count_unknown(&mut self, kind: &str) {
        let kind = if self.unknown.len() < MOST_KINDS || self.unknown.contains_key(kind) { kind } else { "other" };
        *self.unknown.entry(kind.into()).or_default() += 1;
    }

    /// The streams of a collection.
    fn of(&self, namespace: Option<Namespace<'_>>) -> Range<usize> {
        let Some(Namespace { database, collection: Some(collection) }) = namespace else { return 0..0 };
        if database != self.database {
            return 0..0;
        }
        let from = self.streams.partition_point(|stream| stream.collection.as_str() < collection);
        let same = self.streams[from..].iter().take_while(|stream| stream.collection == collection).count();
        from..from + same
    }

    fn document(&mut self, event: &Event<'_>, batch: &mut ChangeBatch) -> Result<(), Failure> {
        if event.namespace.is_none_or(|namespace| namespace.collection.is_none()) {
            return Err(malformed("it names no collection"));
        }
        self.met(event.namespace, event.cluster_time, batch)?;
        let streams = self.of(event.namespace);
        if streams.is_empty() {
            self.ignored += 1;
            return Ok(());
        }
        let named_by = event.document_key.ok_or_else(|| malformed("it has no documentKey"))?;
        let document = self.state(event)?;
        let key = set_key(named_by, &mut self.key);
        for index in streams {
            self.streams[index].gone = false;
            let place = self.place(index, event.cluster_time, batch);
            let id = self.streams[index].id;
            if let Err(code) = key {
                self.key.place(&self.streams[index].place, place.at);
                let raw = document.unwrap_or(named_by);
                batch.reject(id, &self.key, (raw.as_bytes(), None, code), place);
                continue;
            }
            match (event.kind, document) {
                (Kind::Delete, _) => batch.delete(id, &self.key, place),
                (_, Some(document)) => batch.upsert(id, &self.key, (document.as_bytes(), None), place),
                (_, None) => batch.control(id, Op::Touched, &self.key, place),
            };
        }
        Ok(())
    }

    /// The document behind a change, where there is one.
    fn state<'a>(&self, event: &Event<'a>) -> Result<Option<&'a RawDocument>, Failure> {
        match (event.kind, event.image) {
            (Kind::Delete, _) => Ok(None),
            (_, Image::Document(document)) => Ok(Some(document)),
            (Kind::Update, Image::None) if self.capture == Capture::Lookup => Ok(None),
            (Kind::Update, Image::None) => Err(Trouble::ImagesMissing.failure("reading changes", None)),
            (_, Image::None) => Err(malformed("it has no fullDocument")),
        }
    }

    fn renamed(&mut self, event: &Event<'_>, batch: &mut ChangeBatch) -> Result<(), Failure> {
        let to = event.to.ok_or_else(|| malformed("it is a rename to nowhere"))?;
        let how = format!("the collection was renamed to {}.{}", to.database, to.collection.unwrap_or_default());
        let from = self.of(event.namespace);
        self.gone(from, &how, event, batch);
        if self.met(Some(to), event.cluster_time, batch)? {
            return Ok(());
        }
        let into = self.of(Some(to));
        self.replaced(into, "another collection was renamed to it", event, batch);
        Ok(())
    }

    fn gone(&mut self, streams: Range<usize>, how: &str, event: &Event<'_>, batch: &mut ChangeBatch) {
        for index in streams {
            let place = self.place(index, event.cluster_time, batch);
            self.streams[index].gone = true;
            batch.gone(self.streams[index].id, how, place);
        }
    }

    /// What was there is gone, and what is there now has a history that did not pass here.
    fn replaced(&mut self, streams: Range<usize>, how: &str, event: &Event<'_>, batch: &mut ChangeBatch) {
        for index in streams {
            if !self.streams[index].gone {
                self.gone(index..index + 1, how, event, batch);
            }
            self.streams[index].gone = false;
            self.begin_copy(index, event.cluster_time, batch);
        }
    }

    /// The place of an event: its collection, and its time as seconds (high half) and counter.
    fn place(&mut self, index: usize, time: Timestamp, batch: &mut ChangeBatch) -> Place {
        let stream = &mut self.streams[index];
        let place = *stream.at.get_or_insert_with(|| batch.place(&stream.place));
        Place { index: place, at: u64::from(time.time) << 32 | u64::from(time.increment) }
    }
}

/// The key that a `documentKey` names: the value of `_id` where that is all it has, else all of it.
fn set_key(named_by: &RawDocument, key: &mut RecordKey) -> Result<(), RejectCode> {
    if names_more_than_id(named_by) {
        key.set_bson(RawBsonRef::Document(named_by))
    } else {
        key.set_bson_field(named_by.as_bytes(), &["_id"])
    }
}

/// Whether a document has a field besides `_id`.
fn names_more_than_id(document: &RawDocument) -> bool {
    document.iter_elements().any(|element| element.is_ok_and(|element| element.key().as_str() != "_id"))
}
