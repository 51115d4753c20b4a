//! For tests: a queue in memory, and what a target would hold after applying it.

use crate::failure::{Failure, FailureClass};
use crate::source::{History, Recorded, Source, SourceStart, SourceStream, Step};
use crate::wake::Wake;
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::hash::RowHash;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::{FieldPath, KeyFrom, KeySpec, Select};
use landfall_schemas::offset::Sequence;
use landfall_schemas::position::PositionTable;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{PartitionCount, StreamId, StreamName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

pub(crate) const PARTITIONS: u16 = 4;

#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) sequence: Sequence,
    pub(crate) stream: StreamId,
    pub(crate) op: Op,
    pub(crate) snapshot: bool,
    pub(crate) key: String,
    pub(crate) payload: String,
    pub(crate) row_hash: Option<RowHash>,
    pub(crate) reject: Option<RejectCode>,
    pub(crate) place: String,
    pub(crate) at: u64,
}

#[derive(Debug, Default)]
struct Inner {
    events: Vec<Kept>,
    earliest: u64,
    end: u64,
    positions: PositionTable,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Log(Mutex<Inner>);

impl History for Log {
    fn earliest(&self) -> Sequence {
        Sequence(self.0.lock().unwrap().earliest)
    }

    fn end(&self) -> Sequence {
        Sequence(self.0.lock().unwrap().end)
    }

    fn visit(&self, from: Sequence, visit: &mut dyn FnMut(Recorded<'_>)) -> Result<(), Failure> {
        let inner = self.0.lock().unwrap();
        if from.0 < inner.earliest {
            return Err(Failure::new(FailureClass::Halt, "history_trimmed", ""));
        }
        for event in inner.events.iter().filter(|event| event.sequence >= from && event.sequence.0 >= inner.earliest) {
            let Kept { sequence, stream, op, snapshot, row_hash, reject, .. } = *event;
            visit(Recorded { sequence, stream, op, snapshot, key: event.key.as_bytes(), row_hash, reject });
        }
        Ok(())
    }
}

/// What a target would hold of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) rows: BTreeMap<String, String>,
    pub(crate) dead: BTreeMap<String, Vec<(RejectCode, String)>>,
    pub(crate) copied: bool,
}

impl Log {
    pub(crate) fn append(&self, batch: &ChangeBatch) -> Sequence {
        let mut inner = self.0.lock().unwrap();
        for change in batch.changes() {
            let text = |range| String::from_utf8_lossy(batch.bytes(range)).into_owned();
            let sequence = Sequence(inner.end);
            inner.end += if change.op.is_for_every_partition() { u64::from(PARTITIONS) } else { 1 };
            inner.events.push(Kept {
                sequence,
                stream: change.stream,
                op: change.op,
                snapshot: change.snapshot,
                key: text(&change.key),
                payload: text(&change.payload),
                row_hash: change.row_hash,
                reject: change.reject,
                place: batch.places()[change.place as usize].to_string(),
                at: change.at,
            });
        }
        for update in batch.positions() {
            inner.positions.apply(update);
        }
        Sequence(inner.end)
    }

    pub(crate) fn events(&self) -> Vec<Kept> {
        self.0.lock().unwrap().events.clone()
    }

    pub(crate) fn positions(&self) -> PositionTable {
        self.0.lock().unwrap().positions.clone()
    }

    pub(crate) fn trim(&self, earliest: Sequence) {
        self.0.lock().unwrap().earliest = earliest.0;
    }

    /// Applies everything, and checks what a snapshot mark promises.
    pub(crate) fn target(&self, stream: u16) -> Target {
        let mut target = Target::default();
        let mut captured = BTreeSet::new();
        for event in self.events().into_iter().filter(|event| event.stream == StreamId(stream)) {
            assert!(!event.snapshot || !target.copied, "a snapshot mark behind the end of the first revision");
            let first = captured.insert(event.key.clone());
            assert!(
                !event.snapshot || first || event.reject == Some(RejectCode::DuplicateKey),
                "{} marked twice",
                event.key
            );
            match event.op {
                Op::Upsert => drop(target.rows.insert(event.key, event.payload)),
                Op::Delete => {
                    assert!(target.rows.remove(&event.key).is_some() || target.dead.remove(&event.key).is_some())
                }
                Op::Reject => {
                    target.dead.entry(event.key).or_default().push((event.reject.unwrap(), event.payload));
                }
                Op::Retract => assert!(target.dead.remove(&event.key).is_some(), "nothing to retract"),
                Op::SnapshotBegin | Op::Gone | Op::Touched => {}
                Op::SnapshotEnd => {
                    assert!(!std::mem::replace(&mut target.copied, true), "a second end of the first revision");
                }
            }
        }
        target
    }
}

pub(crate) fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("landfall-files-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("state")).unwrap();
    std::fs::create_dir_all(dir.join("store")).unwrap();
    dir
}

/// The shared test data beside the checkout. Without it nothing is proven, so the test fails.
pub(crate) fn shared_data(part: &str) -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("LANDFALL_SHARED_DATA").map_or_else(beside, PathBuf::from);
    let path = root.join(part);
    assert!(path.exists(), "not tested: {} is not there; name the folder in LANDFALL_SHARED_DATA", path.display());
    path
}

pub(crate) fn stream(id: u16, select: &str, key: KeyFrom) -> SourceStream {
    let select = match select.strip_prefix('/') {
        None => Select::Whole,
        Some(pointer) => Select::Pointer(pointer.split('/').map(str::to_owned).collect()),
    };
    let key = KeySpec { from: key, column: Ident::new("key").unwrap(), ty: None };
    let partitions = PartitionCount::new(PARTITIONS).unwrap();
    SourceStream { id: StreamId(id), name: StreamName::new(&format!("s{id}")).unwrap(), select, key, partitions }
}

pub(crate) fn field(path: &str) -> KeyFrom {
    KeyFrom::Field(FieldPath::parse(path).unwrap())
}

pub(crate) fn start(dir: &Path, log: &Arc<Log>, streams: &[SourceStream]) -> SourceStart {
    SourceStart {
        streams: streams.to_vec(),
        positions: log.positions(),
        history: log.clone(),
        state_dir: dir.join("state"),
        wake: Wake::default(),
        registrar: None,
    }
}

/// Runs a source until it has nothing more at hand; every batch becomes durable at once.
pub(crate) fn settle(source: &mut impl Source, log: &Log) -> Step {
    settle_at_most(source, log, usize::MAX).unwrap()
}

/// The same, and stops after so many batches: then `None`.
pub(crate) fn settle_at_most(source: &mut impl Source, log: &Log, batches: usize) -> Option<Step> {
    let mut batch = ChangeBatch::default();
    let mut appended = 0;
    while appended < batches {
        batch.clear();
        let step = source.next(&mut batch).unwrap();
        if !batch.is_empty() {
            let until = log.append(&batch);
            source.durable(until).unwrap();
            appended += 1;
        }
        if step != Step::More {
            return Some(step);
        }
    }
    None
}

/// Ends a source as a kill would: what it saves while it is dropped is undone.
pub(crate) fn kill(dir: &Path, source: impl Source) {
    let state = dir.join("state");
    let files = || std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().path());
    let before: Vec<_> = files().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    drop(source);
    files().for_each(|path| std::fs::remove_file(path).unwrap());
    for (path, content) in before {
        std::fs::write(path, content).unwrap();
    }
}
