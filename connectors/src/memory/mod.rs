//! A target in memory: sink and checkpoints with the same promises as PostgreSQL's, and scripted faults.
//!
//! For tests and simulations. It decodes nothing but what its guards need: rows are kept as encoded fields by encoded key.
//! A fault script holds what befalls the next batches, *applied, but the answer was lost* included.

mod added;
mod fault;
mod state;

pub use fault::Fault;
pub use state::{MemoryDeadLetter, MemoryRow};

use crate::checkpoints::{Admission, Checkpoint, Checkpoints, OwnerNonce, Phase, QueueId, Rebinding, Word};
use crate::evolve::{Evolves, Widened};
use crate::failure::{Failure, FailureClass};
use crate::sink::{Applied, ApplyFailure, CopyVersion, RangeState, Ranges, Sink, SinkBatch, Writer};
use crate::snapshot::KeyRange;
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::mapping::{AddedColumn, NewField, StreamMapping};
use landfall_schemas::stream::StreamName;
use state::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One process's view of a target in memory. Clones belong to the same process; [`MemoryTarget::another_process`] does not.
#[derive(Clone, Debug)]
pub struct MemoryTarget {
    state: Arc<Mutex<State>>,
    /// Lives as long as the process: what the owner's lock is tied to.
    process: Arc<()>,
}

impl Default for MemoryTarget {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryTarget {
    /// An empty target.
    pub fn new() -> Self {
        Self { state: Arc::default(), process: Arc::new(()) }
    }

    /// The same target, seen from another process.
    #[must_use]
    pub fn another_process(&self) -> Self {
        Self { state: Arc::clone(&self.state), process: Arc::new(()) }
    }

    /// Makes the table of a stream and registers it.
    pub fn prepare(&self, stream: &StreamMapping, bulk: BulkLoad) {
        self.state().prepare(stream, bulk);
    }

    /// Adds to the script: each batch that reaches the target takes one entry.
    pub fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().script.extend(faults);
    }

    /// The rows of a stream's table, by encoded key.
    pub fn rows(&self, stream: &StreamName) -> Vec<MemoryRow> {
        self.state().rows(stream)
    }

    /// The rows of a table below, by its number and their encoded keys.
    pub fn rows_below(&self, stream: &StreamName, table: u16) -> Vec<MemoryRow> {
        self.state().rows_below(stream, table)
    }

    /// The columns added to a stream's table.
    pub fn added(&self, stream: &StreamName) -> Vec<AddedColumn> {
        self.state().added(stream)
    }

    /// The dead letters of a stream, in the order they were written.
    pub fn dead_letters(&self, stream: &StreamName) -> Vec<MemoryDeadLetter> {
        self.state().dead_letters(stream)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in a test's assertion leaves whole state behind: each change is made at once.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpoints for MemoryTarget {
    async fn admit(&self, stream: &StreamMapping, queue: QueueId, nonce: OwnerNonce) -> Result<Admission, Failure> {
        self.state().admit(&self.process, stream, (queue, nonce))
    }

    async fn read(&self, stream: &StreamName, _settle: bool) -> Result<Vec<Checkpoint>, Failure> {
        Ok(self.state().checkpoints(stream))
    }

    /// Nobody changes tables here.
    async fn fits(&self, _stream: &StreamMapping) -> Result<(), Failure> {
        Ok(())
    }

    /// Nobody stores words here.
    async fn take_word(&self, _stream: &StreamName, _subject: &str) -> Result<Option<Word>, Failure> {
        Ok(None)
    }

    async fn rebind(&self, stream: &StreamMapping, rebinding: Rebinding<'_>) -> Result<(), Failure> {
        self.state().rebind(stream, rebinding)
    }
}

impl Evolves for MemoryTarget {
    async fn widen(&self, stream: &StreamMapping, owner: OwnerNonce, fields: &[NewField]) -> Result<Widened, Failure> {
        self.state().widen(stream, owner, fields)
    }
}

impl Ranges for MemoryTarget {
    async fn ranges(&self, stream: &StreamName, copy: CopyVersion) -> Result<Vec<RangeState>, Failure> {
        Ok(self.state().ranges(stream, copy))
    }

    async fn plan(
        &self,
        stream: &StreamName,
        owner: OwnerNonce,
        copy: (CopyVersion, &[KeyRange]),
    ) -> Result<(), Failure> {
        self.state().plan(stream, owner, copy)
    }
}

impl Sink for MemoryTarget {
    type Writer = MemoryWriter;

    fn writer(&self) -> MemoryWriter {
        MemoryWriter { target: self.clone() }
    }
}

/// Writes into a [`MemoryTarget`].
#[derive(Debug)]
pub struct MemoryWriter {
    target: MemoryTarget,
}

impl Writer for MemoryWriter {
    async fn apply(
        &mut self,
        stream: &StreamMapping,
        (nonce, phase): (OwnerNonce, Phase),
        batch: &SinkBatch,
    ) -> Result<Applied, ApplyFailure> {
        let mut state = self.target.state();
        let fault = state.script.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::None => state.apply(stream, (nonce, phase), batch),
            Fault::Fail(failure) => Err(failure.into()),
            Fault::CommitLost => Err(unknown().into()),
            Fault::AnswerLost => {
                let _: Applied = state.apply(stream, (nonce, phase), batch)?;
                Err(unknown().into())
            }
            Fault::Refuse(index, sqlstate) => Err(ApplyFailure::Refused(vec![(index, sqlstate)])),
        }
    }

    async fn finish_bulk(&mut self, stream: &StreamMapping, owner: OwnerNonce) -> Result<(), Failure> {
        self.target.state().finish_bulk(stream, owner)
    }
}

fn unknown() -> Failure {
    Failure::new(FailureClass::Unknown, "commit_unknown", "scripted: the answer to the commit was lost")
}
