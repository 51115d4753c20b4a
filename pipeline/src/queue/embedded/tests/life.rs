//! One life of a queue on a faulty disk, beside the model: random steps, all kinds of ends, and the comparison.
//!
//! After every end, however it came, the queue must open again and hold exactly what the model holds: every acknowledged batch,
//! and of the one that was under way all or nothing (promises 1, 4, 18).

use super::*;
use crate::queue::conformance::fixture::{PLENTY, key, plain, read_all};
use crate::queue::embedded::disk::faulty::{Dice, FaultyDisk};
use crate::queue::model::ModelQueue;
use crate::queue::{AppendFailure, FullReason};
use landfall_schemas::event::Op;
use landfall_schemas::hash::RowHash;
use landfall_schemas::offset::OffsetRange;
use landfall_schemas::position::PositionUpdate;
use landfall_schemas::rejection::RejectCode;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nothing is dropped for its age before the clock is moved on.
const AGE_MS: u64 = 10_000;

#[derive(Debug, Default)]
pub(super) struct ManualClock(pub(super) AtomicU64);

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One life (of several processes) of a queue.
pub(super) struct Life {
    pub(super) dice: Dice,
    pub(super) disk: FaultyDisk,
    pub(super) clock: Arc<ManualClock>,
    pub(super) options: QueueOptions,
    pub(super) queue: Option<EmbeddedQueue>,
    id: Option<QueueId>,
    model: ModelQueue,
    streams: Vec<(StreamId, PartitionCount)>,
    applied: BTreeMap<(StreamId, PartitionId), Offset>,
    pins: BTreeMap<String, Sequence>,
    /// The batch whose outcome is unknown.
    under_way: Option<ChangeBatch>,
    pub(super) acknowledged: u64,
}

impl Life {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let retention = Retention {
            age: Duration::from_millis(AGE_MS),
            bytes: 1_000 + dice.throw(8_000),
            floor: Duration::from_millis(AGE_MS / 10),
            max_bytes: [1 << 40, 12_000][usize::from(dice.throw(4) == 0)],
            disk_reserve: Some([0, 3_000][usize::from(dice.throw(4) == 0)]),
        };
        let options = QueueOptions {
            segment_bytes: [256, 1_000, 5_000, 1 << 20][dice.throw(4) as usize],
            compression: [Compression::Lz4, Compression::Off][dice.throw(2) as usize],
            retention,
        };
        let clock = Arc::new(ManualClock::default());
        let endless = Retention { max_bytes: u64::MAX, ..retention };
        let model = ModelQueue::new(endless, clock.clone());
        let mut life = Self {
            dice,
            disk: FaultyDisk::default(),
            clock,
            options,
            queue: None,
            id: None,
            model,
            streams: Vec::new(),
            applied: BTreeMap::new(),
            pins: BTreeMap::new(),
            under_way: None,
            acknowledged: 0,
        };
        life.open();
        life
    }

    fn queue(&self) -> &EmbeddedQueue {
        self.queue.as_ref().expect("open between steps")
    }

    /// Opens, perhaps losing power while at it, and compares everything.
    pub(super) fn open(&mut self) {
        loop {
            if self.dice.throw(3) == 0 {
                self.disk.stop_after(self.dice.throw(8));
            }
            match EmbeddedQueue::open_on(Arc::new(self.disk.clone()), self.options, self.clock.clone()) {
                Ok(queue) => {
                    self.disk.stop_after(u64::MAX);
                    self.queue = Some(queue);
                    break;
                }
                Err(failure) => assert!(!self.disk.has_power(), "refused without need: {failure}"),
            }
            self.disk = self.disk.power_cut(&mut self.dice);
        }
        let id = self.queue().id();
        assert!(self.id.is_none_or(|known| known == id) || self.model.sequences().end.0 == 0);
        self.id = Some(id);
        self.settle();
        for (stream, partition) in self.applied.keys().copied().collect::<Vec<_>>() {
            self.tell_applied(stream, partition);
        }
        for (name, from) in &self.pins {
            self.queue().pin(name, Some(*from));
        }
        self.compare_all();
    }

    /// The batch that was under way is there as a whole or not at all.
    fn settle(&mut self) {
        let Some(batch) = self.under_way.take() else { return };
        let (real, model) = (self.queue(), &self.model);
        if real.sequences().end != model.sequences().end || real.positions() != model.positions() {
            let durable = model.append(&batch).expect("the model has no cap");
            assert_eq!(durable.until, real.sequences().end, "a batch is there as a whole or not at all");
        }
    }

    fn compare_all(&mut self) {
        self.follow_trim();
        let (real, model) = (self.queue(), &self.model);
        assert_eq!(real.sequences(), model.sequences());
        assert_eq!(real.positions(), model.positions());
        let limit = ReadLimit { events: 1 + self.dice.clone().throw(40) as usize, bytes: 1 << 20 };
        for &(stream, partitions) in &self.streams {
            let next = partitions.all().map(|p| (p, real.offsets(stream, p).start)).collect();
            let cursor = Cursor { stream, next };
            let read = read_all(real, cursor.clone(), limit).expect("what is held can be read");
            assert_eq!(read, read_all(model, cursor, PLENTY).expect("the model reads"));
        }
        assert_eq!(visited(real, real.sequences().start), visited(model, model.sequences().start));
    }

    /// Whatever was dropped was applied and unpinned.
    fn follow_trim(&mut self) {
        let first = self.queue().sequences().start;
        if first == self.model.sequences().start {
            return;
        }
        assert!(self.pins.values().all(|pin| *pin >= first), "a pin was passed");
        self.model.drop_before(first);
        for &(stream, partitions) in &self.streams {
            for partition in partitions.all() {
                let applied = self.applied.get(&(stream, partition)).copied().unwrap_or_default();
                let held = self.queue().offsets(stream, partition);
                assert_eq!(held, self.model.offsets(stream, partition));
                assert!(held.start <= applied, "an unapplied event was dropped");
            }
        }
    }

    pub(super) fn step(&mut self) {
        if !self.disk.has_power() {
            return self.end(End::Power);
        }
        match self.dice.throw(24) {
            0..=9 => self.append(),
            10 => self.register(),
            11..=12 => self.apply(),
            13..=14 => self.trim(),
            15 => self.pin(),
            16..=18 => self.read(),
            19 => self.end(End::Close),
            20 => self.end(End::Process),
            21 => self.end(End::Power),
            22 => self.fail_somehow(),
            _ => {
                self.clock.0.fetch_add(self.dice.throw(3) * AGE_MS / 2, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn append(&mut self) {
        if self.streams.is_empty() {
            return self.register();
        }
        let batch = self.batch();
        match self.queue().append(&batch) {
            Ok(durable) => {
                let model = self.model.append(&batch).expect("the model has no cap");
                assert_eq!(durable, model);
                self.acknowledged += durable.until.0 - durable.from.0;
            }
            Err(AppendFailure::Full(FullReason::Cap)) => assert!(self.options.retention.max_bytes < 1 << 40),
            Err(AppendFailure::Full(FullReason::Disk)) => {}
            Err(AppendFailure::Failed(_)) => {
                self.under_way = Some(batch);
                return self.die();
            }
        }
        self.follow_trim();
        assert_eq!(self.queue().sequences(), self.model.sequences());
    }

    fn batch(&mut self) -> ChangeBatch {
        let mut batch = ChangeBatch::default();
        let dice = &mut self.dice;
        for _ in 0..dice.throw(25) {
            let stream = self.streams[dice.throw(self.streams.len() as u64) as usize].0;
            let index = batch.place(["a.json", "dir/b.json"][dice.throw(2) as usize]);
            let place = Place { index, at: dice.throw(1 << 40) };
            let key = key(dice.throw(50));
            let raw = vec![b'a' + dice.throw(20) as u8; dice.throw(80) as usize];
            match dice.throw(12) {
                0 => batch.delete(stream, &key, place),
                1 => batch.reject(stream, &key, (&raw, None, RejectCode::Malformed), place),
                2 => batch.control(stream, Op::SnapshotEnd, &RecordKey::default(), place),
                _ => batch.upsert(stream, &key, (&raw, Some(RowHash::of(&raw))), place),
            };
        }
        for _ in 0..dice.throw(3) {
            let value = (dice.throw(4) > 0).then(|| vec![dice.throw(256) as u8; dice.throw(30) as usize].into());
            batch.reached(PositionUpdate { slot: vec![dice.throw(5) as u8].into(), value });
        }
        batch
    }

    pub(super) fn register(&mut self) {
        let number = self.streams.len();
        if number >= 4 {
            return;
        }
        let name = StreamName::new(&format!("s{number}")).unwrap();
        let partitions = PartitionCount::new([1, 4, 16, 3][number]).unwrap();
        match self.queue().register(&name, partitions) {
            Ok(stream) => {
                assert_eq!(self.model.register(&name, partitions).unwrap(), stream);
                self.streams.push((stream, partitions));
            }
            Err(failure) if failure.code == "queue_full" => {}
            Err(_) => self.die(),
        }
    }

    pub(super) fn apply(&mut self) {
        for (stream, partitions) in self.streams.clone() {
            for partition in partitions.all() {
                let end = self.queue().offsets(stream, partition).end;
                let applied = self.applied.entry((stream, partition)).or_default();
                let step = self.dice.throw(end.0 - applied.0 + 1);
                *applied = if self.dice.throw(2) == 0 { end } else { applied.plus(step) };
                self.tell_applied(stream, partition);
            }
        }
    }

    fn tell_applied(&self, stream: StreamId, partition: PartitionId) {
        let until = self.applied[&(stream, partition)];
        let advances = vec![(partition, OffsetRange { from: Offset(0), until })];
        self.queue().applied(stream, &Applied { advances });
    }

    pub(super) fn trim(&mut self) {
        match self.queue().trim() {
            Err(failure) if failure.code != "queue_full" => self.die(),
            _ => self.follow_trim(),
        }
    }

    fn pin(&mut self) {
        let held = self.queue().sequences();
        let from = Sequence(held.start.0 + self.dice.throw(held.end.0 - held.start.0 + 1));
        let name = ["index", "checkpoint"][self.dice.throw(2) as usize].to_owned();
        let from = (self.dice.throw(3) > 0).then_some(from);
        self.queue().pin(&name, from);
        self.pins.remove(&name);
        self.pins.extend(from.map(|from| (name, from)));
    }

    fn read(&mut self) {
        if self.streams.is_empty() {
            return;
        }
        let dice = &mut self.dice;
        let real = self.queue.as_ref().expect("open between steps");
        let (stream, partitions) = self.streams[dice.throw(self.streams.len() as u64) as usize];
        let mut next = Vec::new();
        for partition in partitions.all() {
            if dice.throw(3) == 0 {
                continue;
            }
            let held = real.offsets(stream, partition);
            next.push((partition, held.start.plus(dice.throw(held.end.0 - held.start.0 + 1))));
        }
        let limit = ReadLimit { events: dice.throw(30) as usize, bytes: dice.throw(600) as usize };
        let mut cursor = Cursor { stream, next };
        for _ in 0..3 {
            let batch = real.read(&cursor, limit).expect("what is held can be read");
            let model = self.model.read(&cursor, limit).expect("the model reads");
            assert_eq!(plain(&batch), plain(&model));
            cursor.advance(&batch);
        }
    }

    /// Something goes wrong soon.
    fn fail_somehow(&mut self) {
        match self.dice.throw(4) {
            0 => self.disk.fail_sync_after(self.dice.throw(4)),
            1 => self.disk.limit_room(Some(self.dice.throw(1_500))),
            2 => self.disk.limit_room(None),
            _ => self.disk.stop_after(self.dice.throw(12)),
        }
    }

    /// Something went wrong: nothing works until the queue is opened anew.
    fn die(&mut self) {
        if self.disk.has_power() {
            let again = self.queue().append(&ChangeBatch::default());
            assert!(matches!(again, Err(AppendFailure::Failed(_))), "a broken queue takes nothing more");
            assert!(self.queue().trim().is_err());
        }
        let end = if self.disk.has_power() && self.dice.throw(2) == 0 { End::Process } else { End::Power };
        self.end(end);
    }

    pub(super) fn end(&mut self, end: End) {
        let queue = self.queue.take().expect("open between steps");
        match end {
            End::Close => {
                let had_power = self.disk.has_power();
                let closed = queue.close();
                assert!(closed.is_ok() || !had_power || !self.disk.has_power() || closed.is_err_and(is_sync));
                self.disk = self.disk.process_end();
            }
            End::Process => self.disk = self.disk.process_end(),
            End::Power => self.disk = self.disk.power_cut(&mut self.dice),
        }
        // Its disk is gone, so that what it does while being dropped reaches nobody.
        drop(queue);
        self.open();
    }
}

fn is_sync(failure: Failure) -> bool {
    failure.code == "sync_failed"
}

pub(super) enum End {
    Close,
    Process,
    Power,
}

type Seen = (Sequence, StreamId, Op, Vec<u8>, Option<RowHash>);

fn visited(queue: &dyn Queue, from: Sequence) -> Vec<Seen> {
    let mut seen = Vec::new();
    let visited = queue.visit(from, &mut |event| {
        seen.push((event.sequence, event.stream, event.op, event.key.to_vec(), event.row_hash));
    });
    visited.expect("what is held can be visited");
    seen
}
