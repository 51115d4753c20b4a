//! Streams found while the service runs: collections that a pattern of the configuration wants.
//!
//! Owns which collection becomes a stream and which is left out, and the registration in the queue, which is durable before capture
//! hands out anything of it. Whoever starts workers hears of each new stream. A stream that the queue knows is there again at the next
//! start: the configuration's patterns say from its name what it is.
//!
//! What is left out (no name for a stream or a table, a table that another stream has, one too many) is said once in the log and stands in
//! `status`. Fails as the queue does.

use crate::assemble::source_stream;
use crate::config::{Pipeline, Template};
use crate::health::Health;
use crate::queue::embedded::EmbeddedQueue;
use crate::streams::{Enlisted, Origin, RunningStream, Streams};
use landfall_connectors::failure::Failure;
use landfall_connectors::source::{Registrar, SourceStream};
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::stream::SourceName;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::Sender;

/// Most streams that patterns make: each has a table and a worker, and names come from data.
pub(crate) const MOST: usize = 1_000;
/// Most left-out collections that are named; names come from data, and nobody reads more.
const MOST_NAMED: usize = 100;

/// Collections that a pattern wants and that cannot be streams, with the reason of each.
#[derive(Debug, Default)]
pub struct LeftOut(Mutex<BTreeMap<String, String>>);

impl LeftOut {
    /// Name and reason of each.
    pub fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn holds(&self, collection: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(collection)
    }

    fn note(&self, collection: &str, why: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < MOST_NAMED {
            tracing::warn!(code = "collection_left_out", collection = ?collection, "a pattern wants it, and it is left out: {why}");
            all.insert(collection.to_owned(), why);
        }
    }
}

/// Makes streams of the collections of one source.
pub(crate) struct Discovery {
    pub(crate) pipeline: Arc<Pipeline>,
    /// The source, and its place among the service's.
    pub(crate) source: (SourceName, usize),
    pub(crate) queue: Arc<EmbeddedQueue>,
    /// Of the whole service: a table is one stream's, or shared.
    pub(crate) streams: Arc<Streams>,
    /// Tells where copies are read of one more stream.
    pub(crate) copies: Box<dyn Fn(&SourceStream) + Send + Sync>,
    /// Who starts workers.
    pub(crate) found: Sender<Enlisted>,
    pub(crate) left_out: Arc<LeftOut>,
    /// Of the target that its streams write to.
    pub(crate) health: Arc<Health>,
}

impl Discovery {
    /// What a collection becomes beside the streams there are; `None`: it is left out.
    fn fit(&self, template: &Template, collection: &str, others: &[&StreamMapping]) -> Option<StreamMapping> {
        let fitted = template.stream(collection).and_then(|mapping| {
            let same_name = |other: &&&StreamMapping| other.name == mapping.name;
            let table = mapping.table.name.as_str().to_lowercase();
            let same_table = |other: &&&StreamMapping| {
                other.table.name.as_str().to_lowercase() == table && !other.table.is_shared_with(&mapping.table)
            };
            if others.iter().any(|other| same_name(&other)) {
                return Err(format!("there is a stream {} already", mapping.name));
            }
            match others.iter().find(same_table) {
                Some(other) => Err(format!("stream {} writes to table {}", other.name, other.table.name)),
                None => Ok(mapping),
            }
        });
        fitted.map_err(|why| self.left_out.note(collection, why)).ok()
    }

    /// The mappings of the collections that become streams now.
    fn wanted(&self, collections: &[&str], running: &[Arc<RunningStream>]) -> Vec<StreamMapping> {
        let mut from_patterns = running.iter().filter(|stream| stream.origin == Origin::Pattern).count();
        let mut made: Vec<StreamMapping> = Vec::new();
        for collection in collections {
            let Some(template) = self.pipeline.template_of(&self.source.0, collection) else { continue };
            if self.left_out.holds(collection) {
                continue;
            }
            if from_patterns >= MOST {
                self.left_out.note(collection, format!("patterns make {MOST} streams at most"));
                continue;
            }
            // Entries of the configuration come first, those of sources that are not open yet too.
            let entries = self.pipeline.streams.iter();
            let others: Vec<_> = entries.chain(running.iter().map(|stream| &*stream.mapping)).chain(&made).collect();
            let Some(mapping) = self.fit(template, collection, &others) else { continue };
            made.push(mapping);
            from_patterns += 1;
        }
        made
    }
}

impl Registrar for Discovery {
    fn register(&self, collections: &[&str]) -> Result<Vec<SourceStream>, Failure> {
        let mut enlisted: Vec<Enlisted> = Vec::new();
        if !collections.iter().any(|name| self.pipeline.template_of(&self.source.0, name).is_some()) {
            return Ok(Vec::new());
        }
        self.streams.grow(|running| {
            let wanted = self.wanted(collections, running);
            let names: Vec<_> = wanted.iter().map(|mapping| (mapping.name.clone(), mapping.partitions)).collect();
            // One roll of the log for all of them.
            let ids = self.queue.register_all(&names)?;
            fail::fail_point!("discovery::after_register");
            let enlist =
                |(mapping, id)| RunningStream::enlist(mapping, Origin::Pattern, (self.source.1, id), &self.health);
            enlisted = wanted.into_iter().zip(ids).map(enlist).collect();
            Ok(enlisted.iter().map(|(stream, _)| Arc::clone(stream)).collect())
        })?;
        let streams: Vec<_> = enlisted.iter().map(|(stream, _)| source_stream(stream.id, &stream.mapping)).collect();
        for (stream, enlisted) in streams.iter().zip(enlisted) {
            (self.copies)(stream);
            // The channel has room for all that there can be; it is closed when the service ends, and the next one knows the stream.
            let _ = self.found.try_send(enlisted);
        }
        Ok(streams)
    }
}
