//! The contract of a source: it hands out changes in order, with the positions behind them.
//!
//! A source runs on a thread of its own and blocks as it likes. It owns no durability: it hands out a batch, the capture
//! loop makes it durable in the queue, and only then does [`Source::durable`] tell the source (promise 1). After a
//! restart it is opened with the position table and history that the queue kept, and must go on without gap or repeat
//! from there. It never starts from "now" over a lost position (promise 6): it reports [`Condition::Halted`].

use crate::contact::Contact;
use crate::failure::Failure;
use crate::wake::{Wake, Woken};
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::hash::RowHash;
use landfall_schemas::mapping::{KeySpec, Select};
use landfall_schemas::offset::Sequence;
use landfall_schemas::position::PositionTable;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a source is told of one of its streams.
#[derive(Clone, Debug)]
pub struct SourceStream {
    /// Its number in this source's queue.
    pub id: StreamId,
    /// Its name.
    pub name: StreamName,
    /// Which part of the source it is.
    pub select: Select,
    /// How its keys are found.
    pub key: KeySpec,
    /// How many partitions it has: the end of its first revision takes that many sequences.
    pub partitions: PartitionCount,
}

/// What a source is opened with.
#[derive(Clone)]
pub struct SourceStart {
    /// Its streams.
    pub streams: Vec<SourceStream>,
    /// Captured until: what the queue kept.
    pub positions: PositionTable,
    /// What the queue still holds, for rolling file indexes forward.
    pub history: Arc<dyn History>,
    /// A directory of this source's own inside the state directory, for file indexes. Exists, mode 0700.
    pub state_dir: PathBuf,
    /// The bell that ends its waits.
    pub wake: Wake,
    /// Who makes streams of what is found while the source runs; `None`: its streams are the ones above, for good.
    pub registrar: Option<Arc<dyn Registrar>>,
}

/// Makes streams of parts of a source that are found while it runs: collections that a pattern wants.
pub trait Registrar: Send + Sync {
    /// Makes streams of those of the named collections that become some. Each is in the queue, durably, when this returns: only then
    /// may an event of it be handed out. A name that is a stream already, or that nothing wants, is left out; names may be given
    /// again. A `Transient` failure is worth another try with the same names; nothing was made then.
    fn register(&self, collections: &[&str]) -> Result<Vec<SourceStream>, Failure>;
}

impl std::fmt::Debug for SourceStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceStart")
            .field("streams", &self.streams)
            .field("state_dir", &self.state_dir)
            .finish_non_exhaustive()
    }
}

/// An event as the queue recorded it, without its payload.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Its number.
    pub sequence: Sequence,
    /// Its stream.
    pub stream: StreamId,
    /// What it did.
    pub op: Op,
    /// Whether it was marked as part of the first revision.
    pub snapshot: bool,
    /// Encoded key.
    pub key: &'a [u8],
    /// Row hash, where one was given.
    pub row_hash: Option<RowHash>,
    /// For `Reject`: why. Tells a duplicate from a reject in the place of its key's record.
    pub reject: Option<RejectCode>,
}

/// What the queue remembers of a source's events.
pub trait History: Send + Sync {
    /// First sequence still held.
    fn earliest(&self) -> Sequence;
    /// One past the last durable sequence.
    fn end(&self) -> Sequence;
    /// Visits every held event from `from` on, in order. `from` below [`History::earliest`] is a `Halt` failure.
    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure>;
}

/// Whether there is more at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The batch holds something, or there is more: call again at once.
    More,
    /// Everything that stood in the source when this pass began has been handed out, and nothing is waiting or held.
    CaughtUp,
    /// Handed out what can be; some stream is waiting, held or halted (see [`Source::conditions`]).
    Blocked,
}

/// What a stream is doing, as its source sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Handing out the first revision: records so far, and bytes read of bytes there.
    Copying {
        /// Records handed out.
        records: u64,
        /// Bytes read so far.
        bytes: u64,
        /// Bytes in all, as far as known.
        total: u64,
    },
    /// Following changes.
    Following,
    /// Cannot read on yet, will go on by itself: not ready.
    Waiting {
        /// Stable name of the reason, e.g. `unparsable`, `missing`, `unreadable`.
        code: &'static str,
        /// What, where (file and byte offset), and what to do.
        detail: String,
    },
    /// The deletion guard holds a revision (promise 12): accept or refuse it by its hash.
    Held {
        /// Hash of the held revision in hex: the name under which it is accepted or refused.
        revision: String,
        /// Records that would be deleted.
        deletes: u64,
        /// Records there were.
        of: u64,
        /// An operator refused this revision; another one is awaited.
        refused: bool,
    },
    /// Needs an operator: position lost, shrunk without explanation, index lost, …
    Halted(Failure),
}

/// How a source notices changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Noticing {
    /// By events, and by looking now and then.
    Events,
    /// By looking again and again, since there can be no events.
    Polling {
        /// Stable name of the reason, e.g. `network_file_system`.
        because: &'static str,
    },
}

/// What a source that has a log of its own says about it, for status and warnings.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SourceGauges {
    /// Seconds of log between its oldest entry and where capture stands, if the source tells.
    pub headroom_seconds: Option<f64>,
    /// Seconds until capture falls off the log at the present trend; `None`: not in sight, or unknown.
    pub seconds_to_loss: Option<f64>,
    /// Seconds between the source's newest change and what is captured.
    pub read_lag_seconds: Option<f64>,
    /// Changes of collections that no stream takes.
    pub ignored: u64,
    /// Changes of a kind that this version does not know, by kind.
    pub unknown: std::collections::BTreeMap<Box<str>, u64>,
    /// Times the log was opened anew after an error.
    pub reopened: u64,
}

/// An operator's word on a held revision or a halted stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Which stream.
    pub stream: StreamId,
    /// The held revision's hash, or the code of the halted state.
    pub subject: String,
    /// What is said of it.
    pub ruling: Ruling,
}

/// What an operator says of something held or halted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ruling {
    /// Stay.
    Refuse,
    /// Go on: deletions included, and by a new copy where the place in the source's log is lost.
    Accept,
    /// Go on from now, and copy nothing: what changed in between is found by comparing. For a lost place only.
    Compare,
}

impl Decision {
    /// It lets a held revision pass, or a halted stream go on as it says itself that it would.
    pub fn accepts(&self) -> bool {
        self.ruling == Ruling::Accept
    }
}

/// What became of a doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// The next pass hands out what stands under the keys, and deletes what does not.
    Taken,
    /// Something is under way: ask again.
    NotNow,
    /// This source keeps nothing of keys that it could forget.
    Unable,
}

/// A source of changes.
pub trait Source: Send {
    /// Fills `batch` with the next changes; never blocks for longer than one read. The batch is handed in empty.
    ///
    /// Sequences are given in hand-out order, so a source may count them: the first change of the first batch after open
    /// has the sequence `history.end()`.
    fn next(&mut self, batch: &mut ChangeBatch) -> Result<Step, Failure>;

    /// Blocks until something may have changed, at most for the source's own scan interval.
    fn wait(&mut self) -> Woken;

    /// All changes with a sequence below `until` are durable in the queue. Called between calls of `next`.
    fn durable(&mut self, until: Sequence) -> Result<(), Failure>;

    /// Trimming must not pass this sequence: what a persisted view (file index) has not taken in yet. `None`: no such view.
    fn needs_from(&self) -> Option<Sequence>;

    /// What each stream is doing.
    fn conditions(&self) -> Vec<(StreamId, Condition)>;

    /// How it notices changes; `None` for sources that are told of them.
    fn noticing(&self) -> Option<Noticing> {
        None
    }

    /// Who knows whether it can be reached while it is asking; `None` for sources that are at hand.
    fn contact(&self) -> Option<Contact> {
        None
    }

    /// What it knows of its log; `None` for sources that have none.
    fn gauges(&self) -> Option<SourceGauges> {
        None
    }

    /// These encoded keys stand in the table of a stream, whose queue is drained. Its index was lost (`Halted`, `index_lost`),
    /// or was begun anew over rows it does not know: keys that it lacks are taken as records of unknown content, so that the
    /// next pass writes what is there and deletes, under the guard, what is not. `false` when they cannot be taken now (the
    /// offer is made again), or when the source keeps no index.
    fn adopt(&mut self, stream: StreamId, keys: Vec<Vec<u8>>) -> bool;

    /// The rows of these encoded keys are found to differ from what the source holds: forget what is known of them, so that the next
    /// pass hands them out again.
    fn doubt(&mut self, _stream: StreamId, _keys: &[Vec<u8>]) -> Doubt {
        Doubt::Unable
    }

    /// Takes an operator's decision; `false` when nothing by that name is held here.
    fn decide(&mut self, decision: &Decision) -> bool;
}

/// How often sources scan by themselves, and how long they let things settle.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// Full scan without any hint: the truth behind promise 11.
    pub rescan: Duration,
    /// Poll interval where watching is impossible.
    pub poll: Duration,
}

impl Default for Cadence {
    fn default() -> Self {
        Self { rescan: Duration::from_secs(30), poll: Duration::from_millis(500) }
    }
}
