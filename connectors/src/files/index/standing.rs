//! Where a stream stands, as the queue keeps it beside the positions: what no index could say after it was lost.
//!
//! ```text
//! slot:   stream/<name>
//! value:  0         1          2              10
//!         ┌─────────┬──────────┬──────────────┐
//!         │ version │ complete │ accepted u64 │
//!         └─────────┴──────────┴──────────────┘
//! ```
//!
//! Little endian. Does not decide when it is sent: the [`ledger`](super::ledger) does, with the changes that make it true
//! (promise 1). Never fails: a value that cannot be read counts as none.

use super::FirstRevision;
use crate::source::SourceStream;
use landfall_schemas::position::{PositionTable, PositionUpdate};

/// Version of the slot value.
const SLOT_VERSION: u8 = 1;

/// What the queue keeps of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Whether the first revision is complete.
    pub first: FirstRevision,
    /// How many held revisions were accepted and handed out so far: an acceptance is good for one.
    pub accepted: u64,
}

impl Standing {
    /// What the queue kept of a stream; `None`: nothing of it was captured, or another version wrote it.
    pub(super) fn stored(stream: &SourceStream, positions: &PositionTable) -> Option<Self> {
        positions.get(&slot_name(stream)).and_then(Self::read)
    }

    /// As the queue is to keep it.
    pub(super) fn update(self, stream: &SourceStream) -> PositionUpdate {
        PositionUpdate { slot: slot_name(stream), value: Some(self.write()) }
    }

    fn read(value: &[u8]) -> Option<Self> {
        let (&[version, complete], accepted) = value.split_first_chunk::<2>()?;
        let accepted = u64::from_le_bytes(accepted.try_into().ok()?);
        let first = if complete == 1 { FirstRevision::Complete } else { FirstRevision::Open };
        (version == SLOT_VERSION).then_some(Self { first, accepted })
    }

    fn write(self) -> Box<[u8]> {
        let mut value = vec![SLOT_VERSION, u8::from(self.first == FirstRevision::Complete)];
        value.extend_from_slice(&self.accepted.to_le_bytes());
        value.into()
    }
}

fn slot_name(stream: &SourceStream) -> Box<[u8]> {
    format!("stream/{}", stream.name).into_bytes().into()
}
