//! The queue as somebody reads it who is not the one it is trimmed for.

use crate::queue::{AppendFailure, Cursor, Durable, Queue, ReadBatch, ReadLimit, Usage};
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::sink::Applied;
use landfall_connectors::source::Recorded;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::position::PositionTable;
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use std::ops::Range;
use std::sync::Arc;

/// Reads a queue and says nothing to it: what is applied beside the live tables lets no event go.
pub(super) struct Aside(pub(super) Arc<dyn Queue>);

fn read_only() -> Failure {
    Failure::new(
        FailureClass::Fatal,
        "queue_read_only",
        "a reader beside the live one cannot write to the queue; report this",
    )
}

impl Queue for Aside {
    fn id(&self) -> QueueId {
        self.0.id()
    }

    fn register(&self, _stream: &StreamName, _partitions: PartitionCount) -> Result<StreamId, Failure> {
        Err(read_only())
    }

    fn append(&self, _batch: &ChangeBatch) -> Result<Durable, AppendFailure> {
        Err(AppendFailure::Failed(read_only()))
    }

    fn positions(&self) -> PositionTable {
        self.0.positions()
    }

    fn sequences(&self) -> Range<Sequence> {
        self.0.sequences()
    }

    fn offsets(&self, stream: StreamId, partition: PartitionId) -> Range<Offset> {
        self.0.offsets(stream, partition)
    }

    fn read(&self, cursor: &Cursor, limit: ReadLimit) -> Result<ReadBatch, Failure> {
        self.0.read(cursor, limit)
    }

    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        self.0.visit(from, visit)
    }

    fn applied(&self, _stream: StreamId, _applied: &Applied) {}

    fn pin(&self, name: &str, from: Option<Sequence>) {
        self.0.pin(name, from);
    }

    fn trim(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn watch(&self) -> tokio::sync::watch::Receiver<Sequence> {
        self.0.watch()
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}
