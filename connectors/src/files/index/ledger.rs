//! What was handed out, stream by stream: the only place where an index changes, and where it is saved and loaded.
//!
//! Keeps promise 1 on the side of the source: an index is saved only when all it holds is durable in the queue, so that
//! it never knows more than the log; and promise 6: an index that is lost and cannot be built again from the whole log
//! halts its stream (`index_lost`) instead of reading everything anew over live data.
//!
//! Sequences are counted from [`History::end`](crate::source::History::end): one a change, and one a partition for the
//! end of a first revision.

use super::standing::Standing;
use super::{Class, FileIndex, FirstRevision, Kind, SlotId, is_synthetic, store};
use crate::failure::{Failure, FailureClass};
use crate::source::{Recorded, SourceStart, SourceStream};
use landfall_schemas::event::{ChangeBatch, Op, Place};
use landfall_schemas::hash::RowHash;
use landfall_schemas::key::RecordKey;
use landfall_schemas::offset::Sequence;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::StreamId;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Changes after which an index is saved, at least; and at least this part of its records.
const SAVE_CHANGES: u64 = 1_000;
const SAVE_PART: u64 = 4;
/// Log bytes after which an index is saved even if little of it changed, so that it does not hold the log.
const SAVE_LOG_BYTES: u64 = 16 << 20;
/// And the time after which.
const SAVE_AFTER: Duration = Duration::from_secs(60);
/// How long saving is not tried again after it failed.
const SAVE_RETRY: Duration = Duration::from_secs(10);
/// What an event takes in the log besides key and payload, roughly.
const EVENT_BYTES: u64 = 64;

/// One stream, and what was captured of it.
#[derive(Debug)]
pub struct StreamLedger {
    /// What the source was told of it.
    pub stream: SourceStream,
    /// Its index.
    pub index: FileIndex,
    /// Where its first revision stands.
    pub standing: Standing,
    /// Its index is lost: it is not read.
    pub lost: Option<Failure>,
    begun: bool,
    path: PathBuf,
    indexed_until: Sequence,
    file_bytes: u64,
    changes: u64,
    log_bytes: u64,
    saved_at: Instant,
}

/// All streams of a source.
#[derive(Debug)]
pub struct Ledger {
    /// In the order of [`SourceStart::streams`].
    pub streams: Vec<StreamLedger>,
    handed: Sequence,
    durable: Sequence,
    key: RecordKey,
    save_not_before: Option<Instant>,
}

impl Ledger {
    /// Loads the indexes and rolls them forward. Fails when the log cannot be read.
    pub fn open(start: &SourceStart) -> Result<Self, Failure> {
        let (earliest, end) = (start.history.earliest(), start.history.end());
        let mut streams = Vec::with_capacity(start.streams.len());
        for stream in &start.streams {
            streams.push(StreamLedger::open(stream, start, (earliest, end)));
        }
        let wanted = streams.iter().filter(|stream| stream.lost.is_none()).map(|stream| stream.indexed_until);
        if let Some(from) = wanted.min().filter(|from| *from < end) {
            start.history.visit(from, &mut |recorded| {
                if let Some(stream) = streams.iter_mut().find(|stream| stream.stream.id == recorded.stream) {
                    stream.roll_forward(&recorded);
                }
            })?;
        }
        Ok(Self { streams, handed: end, durable: end, key: RecordKey::default(), save_not_before: None })
    }

    /// Takes the keys of a stream's table: in place of a lost index, or those that an index begun anew does not know. They are
    /// records of unknown content: whatever the file holds under them differs, and what it does not hold is gone. `false` for
    /// another stream. A first revision that was not complete stays so: it still ends, once, with the pass that completes it;
    /// adopted keys are no first sight in it, so that a heap never gets them twice.
    pub fn adopt(&mut self, stream: StreamId, keys: &[Vec<u8>]) -> bool {
        let Some(ledger) = self.streams.iter_mut().find(|ledger| ledger.stream.id == stream) else { return false };
        if ledger.lost.take().is_some() {
            ledger.index = FileIndex::default();
            ledger.begun = false;
            ledger.indexed_until = self.durable;
        }
        for key in keys {
            ledger.changes += u64::from(ledger.adopt_key(key));
        }
        true
    }

    /// Forgets the content of records whose rows are in doubt: the next pass finds them changed, or gone. `false` where nothing is known
    /// of the stream. A death before that pass undoes it, and whoever doubted will doubt again.
    pub fn doubt(&mut self, stream: StreamId, keys: &[Vec<u8>]) -> bool {
        let known = self.streams.iter_mut().find(|ledger| ledger.stream.id == stream && ledger.lost.is_none());
        let Some(ledger) = known else { return false };
        for key in keys {
            StreamLedger::replay_record(&mut ledger.index, key, (Kind::Live, RowHash(0)));
            ledger.changes += 1;
        }
        true
    }

    /// The lowest sequence that a saved index has not taken in.
    pub fn needs_from(&self) -> Option<Sequence> {
        let kept = self.streams.iter().filter(|stream| stream.lost.is_none());
        kept.map(|stream| stream.indexed_until).min()
    }

    /// Everything handed out is durable.
    pub fn is_settled(&self) -> bool {
        self.durable == self.handed
    }

    /// All changes below `until` are durable.
    pub fn durable(&mut self, until: Sequence) {
        self.durable = self.durable.max(until);
    }

    /// Writes the stream's slot with the batch, once before its first change.
    fn begin(&mut self, batch: &mut ChangeBatch, at: usize) {
        if !std::mem::replace(&mut self.streams[at].begun, true) {
            self.note_standing(batch, at);
        }
    }

    /// Sends where the stream stands along with the batch.
    pub fn note_standing(&self, batch: &mut ChangeBatch, at: usize) {
        let ledger = &self.streams[at];
        batch.reached(ledger.standing.update(&ledger.stream));
    }

    fn count(&mut self, at: usize, bytes: usize) {
        self.handed = self.handed.plus(1);
        self.streams[at].changes += 1;
        for stream in &mut self.streams {
            stream.log_bytes += EVENT_BYTES + bytes as u64;
        }
    }

    /// Hands out a record under its slot.
    pub fn upsert(&mut self, batch: &mut ChangeBatch, at: usize, row: (SlotId, &[u8], RowHash), place: Place) {
        let (slot, raw, hash) = row;
        self.begin(batch, at);
        let ledger = &mut self.streams[at];
        self.key.set_encoded(ledger.index.key(slot));
        let marked = ledger.standing.first == FirstRevision::Open && ledger.index.kind(slot) == Kind::New;
        batch.upsert(ledger.stream.id, &self.key, (raw, Some(hash)), place).snapshot = marked;
        ledger.index.set(slot, Kind::Live, hash);
        ledger.index.set_len(slot, raw.len() as u32);
        self.count(at, raw.len());
    }

    /// Hands out a reject under its slot: of a record, or of one more duplicate.
    pub fn reject(
        &mut self,
        batch: &mut ChangeBatch,
        at: usize,
        row: (SlotId, &[u8], RowHash, RejectCode),
        place: Place,
    ) {
        let (slot, raw, hash, code) = row;
        self.begin(batch, at);
        let ledger = &mut self.streams[at];
        self.key.set_encoded(ledger.index.key(slot));
        let marked = ledger.standing.first == FirstRevision::Open && ledger.index.kind(slot) == Kind::New;
        batch.reject(ledger.stream.id, &self.key, (raw, Some(hash), code), place).snapshot = marked;
        match code {
            RejectCode::DuplicateKey => ledger.index.add_duplicate(slot, hash),
            _ => {
                ledger.index.set(slot, Kind::Rejected, hash);
                ledger.index.set_len(slot, 0);
            }
        }
        self.count(at, raw.len());
    }

    /// Hands out that what a slot holds is gone: a delete, or a retraction of rejects that no row can have.
    pub fn vanish(&mut self, batch: &mut ChangeBatch, at: usize, slot: SlotId, place: Place) {
        let ledger = &mut self.streams[at];
        self.key.set_encoded(ledger.index.key(slot));
        if ledger.index.counts(slot) {
            batch.delete(ledger.stream.id, &self.key, place);
            ledger.index.bury(slot, ledger.standing.first);
        } else {
            batch.control(ledger.stream.id, Op::Retract, &self.key, place);
            match ledger.index.kind(slot) {
                Kind::Duplicate => ledger.index.remove(slot),
                _ => ledger.index.bury(slot, ledger.standing.first),
            }
        }
        self.count(at, 0);
    }

    /// Retracts a key's duplicates before those of the new revision.
    pub fn retract_group(&mut self, batch: &mut ChangeBatch, at: usize, group: SlotId, place: Place) {
        let ledger = &mut self.streams[at];
        self.key.set_encoded(ledger.index.key(group));
        batch.control(ledger.stream.id, Op::Retract, &self.key, place);
        ledger.index.clear_duplicates(group);
        self.count(at, 0);
    }

    /// The first revision is complete.
    pub fn end_first(&mut self, batch: &mut ChangeBatch, at: usize, place: Place) {
        let ledger = &mut self.streams[at];
        batch.control(ledger.stream.id, Op::SnapshotEnd, &RecordKey::default(), place);
        ledger.standing.first = FirstRevision::Complete;
        ledger.index.forget_gone();
        ledger.begun = true;
        self.handed = self.handed.plus(u64::from(ledger.stream.partitions.get()));
        self.note_standing(batch, at);
    }

    /// Saves the indexes of which enough changed, or that hold the log. Only between passes. A failure is logged and tried
    /// again later: an old index costs only a longer way forward.
    pub fn save_due(&mut self) {
        if self.save_not_before.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let until = self.durable;
        let saved = self.save(|stream| stream.is_due(until));
        self.save_not_before = saved.err().map(|failure| {
            tracing::warn!(code = failure.code, "{}", failure.detail);
            Instant::now() + SAVE_RETRY
        });
    }

    /// Saves all that changed: the source closes, and the next start has less to roll forward.
    pub fn close(&mut self) {
        if let Err(failure) = self.save(|stream| stream.changes > 0) {
            tracing::warn!(code = failure.code, "{}", failure.detail);
        }
    }

    /// Never while something handed out is not durable: an index would know more than the log.
    fn save(&mut self, wanted: impl Fn(&StreamLedger) -> bool) -> Result<(), Failure> {
        if !self.is_settled() {
            return Ok(());
        }
        let until = self.durable;
        for stream in self.streams.iter_mut().filter(|stream| stream.lost.is_none() && wanted(stream)) {
            stream.save(until)?;
        }
        Ok(())
    }
}

impl StreamLedger {
    fn open(stream: &SourceStream, start: &SourceStart, held: (Sequence, Sequence)) -> Self {
        let (earliest, end) = held;
        let path = start.state_dir.join(format!("{}.index", stream.name));
        let known = Standing::stored(stream, &start.positions);
        let loaded = store::load(&path);
        let mut lost = None;
        let (index, indexed_until, file_bytes) = match loaded {
            Ok((index, until, bytes)) if (earliest..=end).contains(&until) => (index, until, bytes),
            other => {
                // Never anything captured: nothing can be lost.
                let nothing = known.is_none() && matches!(other, Err(store::LoadError::Missing));
                if !nothing && earliest > Sequence(0) {
                    lost = Some(index_lost(stream, &other));
                }
                (FileIndex::default(), earliest, 0)
            }
        };
        let standing = known.unwrap_or(Standing { first: FirstRevision::Open, accepted: 0 });
        let saved_at = Instant::now();
        Self {
            stream: stream.clone(),
            index,
            standing,
            lost,
            begun: known.is_some(),
            path,
            indexed_until,
            file_bytes,
            changes: 0,
            log_bytes: 0,
            saved_at,
        }
    }

    fn roll_forward(&mut self, recorded: &Recorded<'_>) {
        if self.lost.is_some() || recorded.sequence < self.indexed_until {
            return;
        }
        let (index, first) = (&mut self.index, self.standing.first);
        let hash = recorded.row_hash.unwrap_or(RowHash(0));
        let duplicate = recorded.reject == Some(RejectCode::DuplicateKey);
        match recorded.op {
            Op::Upsert => Self::replay_record(index, recorded.key, (Kind::Live, hash)),
            Op::Reject if duplicate => {
                let slot = index.find_or_add(recorded.key, Class::Duplicates);
                index.add_duplicate(slot, hash);
            }
            Op::Reject => Self::replay_record(index, recorded.key, (Kind::Rejected, hash)),
            Op::Delete => {
                if let Some(slot) = index.find(recorded.key, Class::Record) {
                    index.bury(slot, first);
                }
            }
            Op::Retract if is_synthetic(recorded.key) => {
                if let Some(slot) = index.find(recorded.key, Class::Record) {
                    index.bury(slot, first);
                }
            }
            Op::Retract => {
                if let Some(slot) = index.find(recorded.key, Class::Duplicates) {
                    index.remove(slot);
                }
            }
            Op::SnapshotEnd | Op::SnapshotBegin | Op::Gone | Op::Touched => return,
        }
        self.changes += 1;
    }

    fn replay_record(index: &mut FileIndex, key: &[u8], state: (Kind, RowHash)) {
        let slot = index.find_or_add(key, Class::Record);
        if index.kind(slot) == Kind::New {
            index.order.push(slot.0);
        }
        if index.hash(slot) != state.1 {
            index.set_len(slot, 0);
        }
        index.set(slot, state.0, state.1);
    }

    /// Whether the key was new.
    fn adopt_key(&mut self, key: &[u8]) -> bool {
        let known = self.index.find(key, Class::Record).map(|slot| self.index.kind(slot));
        let new = matches!(known, None | Some(Kind::New | Kind::Gone));
        if new {
            Self::replay_record(&mut self.index, key, (Kind::Live, RowHash(0)));
        }
        new
    }

    fn is_due(&self, until: Sequence) -> bool {
        if self.lost.is_some() || self.indexed_until >= until {
            return false;
        }
        self.changes >= SAVE_CHANGES.max(self.index.records() / SAVE_PART)
            || self.log_bytes >= SAVE_LOG_BYTES.max(2 * self.file_bytes)
            || (self.changes > 0 && self.saved_at.elapsed() >= SAVE_AFTER)
    }

    fn save(&mut self, until: Sequence) -> Result<(), Failure> {
        let failed = |error: std::io::Error| {
            let detail = format!(
                "the index of stream {} cannot be saved: {error}; free or mend the state directory",
                self.stream.name
            );
            Failure::new(FailureClass::Transient, "index_unsaved", detail)
        };
        fail::fail_point!("document::before_index_write");
        self.file_bytes = store::save(&self.path, &self.index, until).map_err(failed)?;
        fail::fail_point!("document::after_index_write");
        self.indexed_until = until;
        self.changes = 0;
        self.log_bytes = 0;
        self.saved_at = Instant::now();
        Ok(())
    }
}

fn index_lost(stream: &SourceStream, why: &Result<(FileIndex, Sequence, u64), store::LoadError>) -> Failure {
    let why = match why {
        Ok((_, until, _)) => format!("it stands at sequence {}, which the queue does not hold", until.0),
        Err(error) => error.to_string(),
    };
    let detail = format!(
        "the file index of stream {} is lost ({why}) and the queue no longer holds all history to build it from: \
         resynchronise the stream with its table",
        stream.name
    );
    Failure::new(FailureClass::Halt, "index_lost", detail)
}
