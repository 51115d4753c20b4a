//! The embedded queue: a directory, no server, a segment log of our own.
//!
//! ```text
//! queue-id                     identity.rs    the name of this life of the queue
//! watermark                    watermark.rs   how far it is known to be durable, and which segment comes first
//! 00000000000000000012.seg     segment.rs     header, then frames (frame.rs) with events (body.rs)
//! 00000000000000000012.idx     index.rs       sparse index of a closed segment; can be built anew
//! ```
//!
//! Appending: the appending thread encodes (`encode`, into `buffers`), waits at the `gate`, and one of those waiting stamps, writes and syncs for
//! all (`tail`), starting new segments as needed (`roll`). Reading: `read` finds the frame by `cache` or `index` and
//! walks on by `scan`. Opening: `recovery` and `replay`. Dropping: `retention`. What readers see is the `catalog`.
//!
//! Does not lock the directory: the holder of the state directory's [`StateLock`](super::lock::StateLock) opens queues inside it.
//! Fails with the named states of `failures`.

mod body;
mod buffers;
mod cache;
mod catalog;
pub mod disk;
mod encode;
mod failures;
mod frame;
mod gate;
mod identity;
mod index;
mod log;
mod options;
mod positions;
mod read;
mod recovery;
mod replay;
mod retention;
mod roll;
mod scan;
mod segment;
mod streams;
mod tail;
#[cfg(test)]
mod tests;
mod watermark;
mod window;
mod wire;

pub use encode::Compression;
pub use options::QueueOptions;

use super::clock::Clock;
use super::{AppendFailure, Cursor, Durable, FullReason, Queue, ReadBatch, ReadLimit, Usage};
use crate::metrics::Seen;
use disk::Disk;
use disk::real::RealDisk;
use encode::Means;
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::Applied;
use landfall_connectors::source::Recorded;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use log::Log;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use streams::StreamTable;

/// The queue of one source in one directory.
///
/// Dropping it saves the watermark; so does [`EmbeddedQueue::close`], which also says whether that worked. Neither is needed for
/// what was appended to stay.
#[derive(Debug)]
pub struct EmbeddedQueue {
    log: Log,
}

impl EmbeddedQueue {
    /// Opens the queue in `dir`, making it (0700) if nothing is there. Cuts a torn tail; `Halt`/`queue_damaged` on damage and
    /// on missing or foreign files, `Halt`/`queue_unusable` when the disk refuses.
    pub fn open(dir: &Path, options: QueueOptions, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        let disk = RealDisk::open(dir).map_err(|error| failures::unusable("open files", &error))?;
        Self::open_on(Arc::new(disk), options, clock)
    }

    /// The same on any disk.
    pub fn open_on(disk: Arc<dyn Disk>, options: QueueOptions, clock: Arc<dyn Clock>) -> Result<Self, Failure> {
        recovery::open(disk, options, clock).map(|log| Self { log })
    }

    /// Registers several streams at the price of one; see [`Queue::register`].
    pub fn register_all(&self, streams: &[(StreamName, PartitionCount)]) -> Result<Vec<StreamId>, Failure> {
        let mut tail = self.log.tail();
        let had = {
            let catalog = self.log.catalog();
            catalog.usable()?;
            catalog.streams.clone()
        };
        let mut table = (*had).clone();
        let mut numbers = Vec::with_capacity(streams.len());
        for (name, partitions) in streams {
            let number = match table.find(name, *partitions)? {
                Some(number) => number,
                None => table.add(name.clone(), *partitions)?,
            };
            numbers.push(number);
        }
        if table.entries().len() > had.entries().len() {
            self.log.roll(&mut tail, Some(table)).map_err(without_room)?;
        }
        Ok(numbers)
    }

    /// Takes a stream out: its events hold nothing back any more. Durable when it returns. A stream registered by the same name
    /// later gets a new number and starts at offset 0.
    pub fn unregister(&self, stream: StreamId) -> Result<(), Failure> {
        let mut tail = self.log.tail();
        let mut table = {
            let catalog = self.log.catalog();
            catalog.usable()?;
            StreamTable::clone(&catalog.streams)
        };
        table.remove(stream)?;
        self.log.roll(&mut tail, Some(table)).map_err(without_room)
    }

    /// Streams that are registered, with their partition counts.
    pub fn streams(&self) -> Vec<(StreamId, StreamName, PartitionCount)> {
        let streams = self.log.catalog().streams.clone();
        let numbered = streams.entries().iter().enumerate().filter(|(_, entry)| !entry.removed);
        numbered.map(|(index, entry)| (StreamId(index as u16), entry.name.clone(), entry.partitions)).collect()
    }

    /// Saves the watermark, so that the next open proves everything.
    pub fn close(&self) -> Result<(), Failure> {
        let mut tail = self.log.tail();
        self.log.catalog().usable()?;
        self.log.mark_now(&mut tail)
    }
}

impl Drop for EmbeddedQueue {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Err(failure) = self.close() {
            tracing::warn!(code = failure.code, detail = %failure.detail, "the queue was closed without its watermark");
        }
    }
}

fn without_room(failure: AppendFailure) -> Failure {
    match failure {
        AppendFailure::Failed(failure) => failure,
        AppendFailure::Full(FullReason::Cap | FullReason::Disk) => {
            Failure::new(FailureClass::Transient, "queue_full", "no room on the disk of the queue to start a segment")
        }
    }
}

impl Queue for EmbeddedQueue {
    fn id(&self) -> QueueId {
        self.log.id
    }

    fn register(&self, stream: &StreamName, partitions: PartitionCount) -> Result<StreamId, Failure> {
        let numbers = self.register_all(&[(stream.clone(), partitions)])?;
        Ok(numbers[0])
    }

    fn append(&self, batch: &ChangeBatch) -> Result<Durable, AppendFailure> {
        let (streams, end) = {
            let catalog = self.log.catalog();
            catalog.usable().map_err(AppendFailure::Failed)?;
            (catalog.streams.clone(), catalog.end)
        };
        if batch.is_empty() {
            return Ok(Durable { from: end, until: end });
        }
        let means = Means { compression: self.log.options.compression, buffers: &self.log.frames.buffers };
        let encoded = encode::encode(batch, &streams, means).map_err(AppendFailure::Failed)?;
        self.log.gate.pass(encoded, &|group| self.log.commit(group))
    }

    fn positions(&self) -> PositionTable {
        self.log.catalog().positions.clone()
    }

    fn sequences(&self) -> Range<Sequence> {
        let catalog = self.log.catalog();
        catalog.first().base..catalog.end
    }

    fn offsets(&self, stream: StreamId, partition: PartitionId) -> Range<Offset> {
        self.log.catalog().offsets(stream, partition).unwrap_or_default()
    }

    fn read(&self, cursor: &Cursor, limit: ReadLimit) -> Result<ReadBatch, Failure> {
        self.log.read(cursor, limit)
    }

    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        self.log.visit(from, visit)
    }

    fn applied(&self, stream: StreamId, applied: &Applied) {
        self.log.note_applied(stream, &applied.advances);
    }

    fn pin(&self, name: &str, from: Option<Sequence>) {
        self.log.pin(name, from);
    }

    fn trim(&self) -> Result<(), Failure> {
        self.log.trim()
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<Sequence> {
        self.log.durable.subscribe()
    }

    fn usage(&self) -> Usage {
        let catalog = self.log.catalog();
        let events = catalog.end.0 - catalog.first().base.0;
        let (bytes, segments) = (catalog.bytes(), catalog.segments.len() as u64);
        drop(catalog);
        Usage { bytes, segments, events, disk: self.log.disk_room() }
    }

    fn syncs(&self) -> Option<Seen> {
        Some(self.log.syncs.seen())
    }
}
