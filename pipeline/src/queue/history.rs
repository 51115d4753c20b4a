//! What the queue remembers, in the form a source asks for it.

use super::Queue;
use landfall_connectors::failure::Failure;
use landfall_connectors::source::{History, Recorded};
use landfall_schemas::offset::Sequence;
use std::sync::Arc;

/// A queue as the [`History`] of its source.
#[derive(Clone)]
pub struct QueueHistory(pub Arc<dyn Queue>);

impl std::fmt::Debug for QueueHistory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("QueueHistory").field(&self.0.id()).finish()
    }
}

impl History for QueueHistory {
    fn earliest(&self) -> Sequence {
        self.0.sequences().start
    }

    fn end(&self) -> Sequence {
        self.0.sequences().end
    }

    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        self.0.visit(from, visit)
    }
}
