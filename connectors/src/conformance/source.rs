//! The suite of [`Source`]: what every source does whatever its store is.
//!
//! The suite edits a store through [`Store`], plays the queue with one of its own ([`PlainQueue`]), ends and reopens the
//! source at each durable point, and compares what came out with what was put in. It checks promise 1 (positions cover
//! handed-out changes only), 7 (nothing missing, nothing extra), 8 (order per key), and the contract's bounds and waits. It
//! knows nothing of files, rotation or revisions: those have tests of their own.

mod plain_queue;

pub use plain_queue::PlainQueue;

use crate::failure::Failure;
use crate::source::{Source, SourceStart, SourceStream, Step};
use crate::wake::{Wake, Woken};
use landfall_schemas::event::{ChangeBatch, Op};
use landfall_schemas::position::PositionTable;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest a source may take to hand out what stands in its store.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest a wait may go on once somebody rang.
const PROMPTLY: Duration = Duration::from_secs(5);

/// A store with one stream, edited as its users would. A record is an object with the members `id` (its key) and `v`, both
/// whole numbers.
pub trait Store {
    /// The source under test.
    type Source: Source;

    /// Opens the source as after a start of the process. Its waits should be short.
    fn open(&self, start: SourceStart) -> Result<Self::Source, Failure>;

    /// The stream.
    fn stream(&self) -> SourceStream;

    /// Where the source may keep its own files.
    fn state_dir(&self) -> PathBuf;

    /// Writes a record; several at once where the store can.
    fn put(&mut self, records: &[(u64, u64)]);

    /// Deletes a record; `false`, and nothing done, in a store without deletes.
    fn remove(&mut self, id: u64) -> bool;

    /// `id` and `v` of a record as the source hands it out: JSON, unless the store says otherwise.
    fn read(payload: &[u8]) -> Option<(u64, u64)> {
        let record: serde_json::Value = serde_json::from_slice(payload).ok()?;
        Some((record["id"].as_u64()?, record["v"].as_u64()?))
    }
}

/// Runs every check, each on a store of its own that `make` gives by name.
pub fn all<S: Store>(make: impl Fn(&str) -> S) {
    hands_out_all_that_is_written(make("all"));
    resumes_at_each_durable_point(make("resume"));
    hands_out_again_what_was_not_made_durable(make("again"));
    gives_nothing_while_nothing_changes(make("quiet"));
    keeps_batches_bounded(make("bounded"));
    ends_its_wait_when_rung(make("rung"));
}

/// A source at work: its store, the queue, and what the queue's content amounts to.
struct Trial<S: Store> {
    store: S,
    queue: Arc<PlainQueue>,
    wake: Wake,
    source: S::Source,
    /// What the store holds.
    written: BTreeMap<u64, u64>,
}

impl<S: Store> Trial<S> {
    fn new(store: S) -> Self {
        let queue = Arc::new(PlainQueue::default());
        let wake = Wake::default();
        let source = open(&store, &queue, &wake);
        Self { store, queue, wake, source, written: BTreeMap::new() }
    }

    fn put(&mut self, records: &[(u64, u64)]) {
        self.store.put(records);
        self.written.extend(records.iter().copied());
    }

    fn remove(&mut self, id: u64) {
        if self.store.remove(id) {
            self.written.remove(&id);
        }
    }

    /// The process dies and comes back.
    fn reopen(&mut self) {
        self.wake = Wake::default();
        self.source = open(&self.store, &self.queue, &self.wake);
    }

    /// One batch; whether it is kept is for the caller to say.
    fn step(&mut self) -> (ChangeBatch, Step) {
        let mut batch = ChangeBatch::default();
        let step = self.source.next(&mut batch).unwrap_or_else(|failure| panic!("next failed: {failure}"));
        assert!(step == Step::More || batch.is_empty(), "a source that has nothing more hands out an empty batch");
        (batch, step)
    }

    fn keep(&mut self, batch: &ChangeBatch) {
        let until = self.queue.append(batch);
        self.source.durable(until).unwrap_or_else(|failure| panic!("durable failed: {failure}"));
        let needed = self.source.needs_from().unwrap_or(until);
        assert!(needed <= until, "a source cannot need what is not durable yet");
    }

    /// Until everything has been handed out; `kept` is asked for each batch, and a batch not kept ends the process.
    fn catch_up(&mut self, mut kept: impl FnMut(&ChangeBatch) -> Kept) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the source never caught up: {:?}", self.source.conditions());
            let (batch, step) = self.step();
            match step {
                Step::CaughtUp => return,
                Step::Blocked => {
                    self.source.wait();
                }
                // More to read, nothing to keep yet: not a point at which anything could be durable.
                Step::More if batch.is_empty() => {}
                Step::More => match kept(&batch) {
                    Kept::Yes => self.keep(&batch),
                    Kept::AndReopen => {
                        self.keep(&batch);
                        self.reopen();
                    }
                    Kept::No => self.reopen(),
                },
            }
        }
    }

    /// What the queue holds amounts to what the store holds, without a change that changes nothing.
    fn check(&self, when: &str) {
        let state = self.queue.replay(S::read);
        assert!(state.repeats.is_empty(), "{when}: handed out twice: sequences {:?}", state.repeats);
        let missing: Vec<_> = self.written.iter().filter(|(id, v)| state.rows.get(id) != Some(v)).take(5).collect();
        let extra: Vec<_> = state.rows.keys().filter(|id| !self.written.contains_key(id)).take(5).collect();
        assert!(missing.is_empty() && extra.is_empty(), "{when}: missing or stale {missing:?}, extra {extra:?}");
    }
}

/// What becomes of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    /// It is made durable.
    Yes,
    /// It is made durable, and the process dies.
    AndReopen,
    /// The process dies before it is durable.
    No,
}

fn open<S: Store>(store: &S, queue: &Arc<PlainQueue>, wake: &Wake) -> S::Source {
    let start = SourceStart {
        streams: vec![store.stream()],
        positions: queue.positions(),
        history: Arc::clone(queue) as Arc<_>,
        state_dir: store.state_dir(),
        wake: wake.clone(),
        registrar: None,
    };
    store.open(start).unwrap_or_else(|failure| panic!("open failed: {failure}"))
}

fn records(ids: std::ops::Range<u64>, v: u64) -> Vec<(u64, u64)> {
    ids.map(|id| (id, v)).collect()
}

fn hands_out_all_that_is_written<S: Store>(store: S) {
    let mut trial = Trial::new(store);
    trial.put(&records(0..2_500, 1));
    trial.catch_up(|_| Kept::Yes);
    trial.check("after the first records");
    trial.put(&records(10..20, 2));
    trial.put(&records(3_000..3_010, 1));
    trial.remove(5);
    trial.catch_up(|_| Kept::Yes);
    trial.check("after changes");
}

fn resumes_at_each_durable_point<S: Store>(store: S) {
    let mut trial = Trial::new(store);
    for round in 1..6 {
        trial.put(&records(0..1_500 + 300 * round, round));
        trial.remove(round);
        if round == 3 {
            trial.reopen();
        }
        trial.catch_up(|_| Kept::AndReopen);
        trial.check("after starting anew behind each batch");
    }
}

fn hands_out_again_what_was_not_made_durable<S: Store>(store: S) {
    let mut trial = Trial::new(store);
    for round in 1..6u64 {
        trial.put(&records(0..2_200, round));
        trial.remove(round);
        let mut turn = round;
        trial.catch_up(|_| {
            turn += 1;
            match turn % 3 {
                0 => Kept::No,
                1 => Kept::Yes,
                _ => Kept::AndReopen,
            }
        });
        trial.check("after batches were lost with the process");
    }
}

fn gives_nothing_while_nothing_changes<S: Store>(store: S) {
    let mut trial = Trial::new(store);
    trial.put(&records(0..50, 1));
    trial.catch_up(|_| Kept::Yes);
    let end = trial.queue.end_sequence();
    for _ in 0..3 {
        trial.source.wait();
        trial.catch_up(|_| Kept::Yes);
    }
    trial.reopen();
    trial.catch_up(|_| Kept::Yes);
    assert_eq!(trial.queue.end_sequence(), end, "a store at rest causes no change, across a restart neither");
}

fn keeps_batches_bounded<S: Store>(store: S) {
    let mut trial = Trial::new(store);
    trial.put(&records(0..5_000, 1));
    trial.catch_up(|batch| {
        let changes = batch.changes();
        assert!(changes.len() <= ChangeBatch::MAX_CHANGES, "a batch of {} changes", changes.len());
        let bytes: usize = changes.iter().map(|change| change.key.len() + change.payload.len()).sum();
        let slack = 64 << 10;
        assert!(changes.len() == 1 || bytes <= ChangeBatch::SOFT_BYTES + slack, "a batch of {bytes} bytes");
        for update in batch.positions() {
            let value = update.value.as_ref().map_or(0, |value| value.len());
            let fits = update.slot.len() <= PositionTable::MAX_SLOT && value <= PositionTable::MAX_VALUE;
            assert!(fits, "a position of {} and {value} bytes", update.slot.len());
        }
        assert!(
            changes.iter().all(|change| change.op != Op::Delete || change.payload.is_empty()),
            "a delete has no payload"
        );
        Kept::Yes
    });
    trial.check("after bounded batches");
}

fn ends_its_wait_when_rung<S: Store>(store: S) {
    let mut trial = Trial::new(store);
    trial.put(&records(0..5, 1));
    trial.catch_up(|_| Kept::Yes);
    let before = Instant::now();
    trial.wake.ring();
    trial.source.wait();
    assert!(before.elapsed() < PROMPTLY, "a ring ends the wait");
    let before = Instant::now();
    trial.wake.stop();
    assert_eq!(trial.source.wait(), Woken::Stopping, "a stop ends the wait and is told");
    assert!(before.elapsed() < PROMPTLY, "a stop ends the wait at once");
}
