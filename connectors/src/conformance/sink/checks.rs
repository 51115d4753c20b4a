//! The checks, one promise each.

use super::Rig;
use super::fixture::{Batch, PARTITIONS, Stored, mapping};
use crate::checkpoints::{Admission, Checkpoints, Counts, OwnerNonce, Phase, QueueId};
use crate::failure::{Failure, FailureClass};
use crate::sink::{Applied, ApplyFailure, Sink, SinkBatch, Writer};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::hash::KeyHash;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::Offset;
use landfall_schemas::rejection::RejectCode;
use std::time::Duration;
use uuid::Uuid;

/// Sizes on both sides of every threshold a sink may have between small and large batches.
const SIZES: [u64; 3] = [1, 100, 2_000];

/// Far less than any deadline of a statement, far more than a cut connection takes to be seen.
const SOON: Duration = Duration::from_secs(10);

/// A stream that is owned, and a writer.
pub(super) struct Owned<T: Sink> {
    pub(super) stream: StreamMapping,
    pub(super) target: T,
    pub(super) writer: T::Writer,
    pub(super) nonce: OwnerNonce,
    pub(super) queue: QueueId,
    pub(super) admission: Admission,
}

impl<T: Sink + Checkpoints> Owned<T> {
    pub(super) async fn new<R: Rig<Target = T>>(rig: &R, name: &str, bulk: BulkLoad) -> Self {
        Self::of(rig, mapping(name), bulk).await
    }

    pub(super) async fn of<R: Rig<Target = T>>(rig: &R, stream: StreamMapping, bulk: BulkLoad) -> Self {
        rig.prepare(&stream, bulk).await;
        let target = rig.process().await;
        let (queue, nonce) = (QueueId(Uuid::new_v4()), OwnerNonce(Uuid::new_v4()));
        let admission = target.admit(&stream, queue, nonce).await.expect("a fresh stream admits its first owner");
        let writer = target.writer();
        Self { stream, target, writer, nonce, queue, admission }
    }

    pub(super) fn batch(&self) -> Batch {
        Batch::new(self.admission.generation)
    }

    pub(super) async fn apply(&mut self, batch: Batch) -> Result<Applied, ApplyFailure> {
        let batch: SinkBatch = batch.done();
        self.writer.apply(&self.stream, (self.nonce, self.admission.phase), &batch).await
    }

    pub(super) async fn must_apply(&mut self, batch: Batch) {
        let _: Applied = self.apply(batch).await.expect("a good batch is applied");
    }

    pub(super) async fn next(&self, partition: usize) -> u64 {
        self.target.read(&self.stream.name, true).await.expect("checkpoints can be read")[partition].next.0
    }
}

pub(super) fn failure(result: Result<Applied, ApplyFailure>) -> Failure {
    match result {
        Err(ApplyFailure::Failed(failure)) => failure,
        other => panic!("expected a failure, found {other:?}"),
    }
}

pub(super) fn versions(rows: &[Stored]) -> Vec<(&str, i64)> {
    rows.iter().map(|row| (row.id.as_str(), row.version)).collect()
}

pub(super) async fn rows_dead_letters_and_checkpoint_commit_together<R: Rig>(rig: &R) {
    for size in SIZES {
        let mut own = Owned::new(rig, &format!("together_{size}"), BulkLoad::None).await;
        assert_eq!(own.admission.checkpoints.len(), usize::from(PARTITIONS));
        let mut batch = own.batch();
        for n in 0..size {
            batch = batch.upsert(&format!("{n:06}"), "née".as_bytes(), -1, n);
        }
        own.must_apply(batch.dead("x", RejectCode::ColumnType, size).step(0, 0, size + 1, 1)).await;
        let rows = rig.rows(&own.stream).await;
        assert_eq!(rows.len() as u64, size);
        assert_eq!((rows[0].name.as_deref(), rows[0].amount), (Some("née"), Some(-1)));
        assert_eq!(rig.waiting(&own.stream).await, [(b"x".to_vec(), "column_type".to_owned())]);
        let checkpoint = own.target.read(&own.stream.name, false).await.expect("readable")[0];
        assert_eq!(checkpoint.next, Offset(size + 1));
        assert_eq!(checkpoint.counts, Counts { applied: size, dead_lettered: 1, ..Counts::default() });
        let again = own.target.admit(&own.stream, own.queue, own.nonce).await.expect("readmission");
        assert!(again.parked.contains(&KeyHash::of(b"x")), "a dead letter blocks its key at the next start");
    }
}

pub(super) async fn a_wrong_offset_in_one_partition_writes_nothing<R: Rig>(rig: &R) {
    for size in SIZES {
        let mut own = Owned::new(rig, &format!("offset_{size}"), BulkLoad::None).await;
        let mut batch = own.batch().step(0, 0, size, 0).step(1, 1, 2, 0);
        for n in 0..size {
            batch = batch.upsert(&format!("{n:06}"), b"a", 1, n);
        }
        let fenced = failure(own.apply(batch.dead("x", RejectCode::ColumnType, 0)).await);
        assert_eq!(fenced.class, FailureClass::Fenced);
        assert!(rig.rows(&own.stream).await.is_empty(), "no row without its checkpoint");
        assert!(rig.waiting(&own.stream).await.is_empty(), "no dead letter without its checkpoint");
        assert_eq!(own.next(0).await, 0, "all partitions move, or none");
        let batch = own.batch().upsert("a", b"a", 1, 0).step(0, 0, 1, 0);
        own.must_apply(batch).await;
    }
}

pub(super) async fn an_owner_that_was_replaced_writes_nothing<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "replaced", BulkLoad::None).await;
    let batch = own.batch().upsert("a", b"old", 1, 0).step(0, 0, 1, 0);
    own.must_apply(batch).await;
    let newer = OwnerNonce(Uuid::new_v4());
    own.target.admit(&own.stream, own.queue, newer).await.expect("the same process may admit anew");
    let batch = own.batch().upsert("a", b"zombie", 2, 1).step(0, 1, 2, 0);
    assert_eq!(failure(own.apply(batch).await).class, FailureClass::Fenced);
    assert_eq!(rig.rows(&own.stream).await[0].name.as_deref(), Some("old"));
    let finish = own.writer.finish_bulk(&own.stream, own.nonce).await;
    assert_eq!(finish.expect_err("a zombie ends no bulk load").class, FailureClass::Fenced);
}

pub(super) async fn an_older_version_neither_overwrites_nor_deletes<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "older", BulkLoad::None).await;
    let batch = own.batch().upsert("a", b"new", 1, 10).upsert("b", b"new", 1, 10).step(0, 0, 2, 0);
    own.must_apply(batch).await;
    let batch = own.batch().upsert("a", b"older", 2, 9).delete("b", 9).step(0, 2, 4, 0);
    own.must_apply(batch).await;
    let rows = rig.rows(&own.stream).await;
    assert_eq!(rows.len(), 2, "an older delete deletes nothing");
    assert!(rows.iter().all(|row| row.name.as_deref() == Some("new")), "an older upsert writes nothing");
    let batch = own.batch().upsert("a", b"newer", 3, 11).delete("b", 11).delete("c", 11).step(0, 4, 7, 0);
    own.must_apply(batch).await;
    let rows = rig.rows(&own.stream).await;
    assert_eq!(versions(&rows), [("a", own.batch().version(11).0)]);
}

pub(super) async fn an_equal_row_is_not_written_again<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "equal", BulkLoad::None).await;
    let batch = own.batch().upsert("a", b"same", 1, 1).upsert("b", b"same", 1, 1).step(0, 0, 2, 0);
    own.must_apply(batch).await;
    let batch = own.batch().upsert("a", b"same", 1, 2).upsert("b", b"other", 1, 2).step(0, 2, 4, 0);
    own.must_apply(batch).await;
    let (first, second) = (own.batch().version(1).0, own.batch().version(2).0);
    assert_eq!(versions(&rig.rows(&own.stream).await), [("a", first), ("b", second)]);
}

pub(super) async fn a_replay_changes_no_row<R: Rig>(rig: &R) {
    for size in SIZES {
        let mut own = Owned::new(rig, &format!("replay_{size}"), BulkLoad::None).await;
        let batch = |own: &Owned<R::Target>, from: u64| {
            let mut batch = own.batch().delete("gone", 1).step(2, from, from + size + 1, 0);
            for n in 0..size {
                batch = batch.upsert(&format!("{n:06}"), b"a", n.cast_signed(), n + 2);
            }
            batch
        };
        let first = batch(&own, 0);
        own.must_apply(first).await;
        let rows = rig.rows(&own.stream).await;
        let again = batch(&own, size + 1);
        own.must_apply(again).await;
        assert_eq!(rig.rows(&own.stream).await, rows);
        assert_eq!(own.next(2).await, 2 * (size + 1));
    }
}

pub(super) async fn refused_rows_are_named_and_nothing_is_written<R: Rig>(rig: &R) {
    for (size, bulk) in [(10, BulkLoad::None), (2_000, BulkLoad::None), (500, BulkLoad::Expected)] {
        let mut own = Owned::new(rig, &format!("refused_{size}"), bulk).await;
        let bad = [3, size / 2, size - 1];
        let mut batch = own.batch().step(0, 0, size, 0);
        for n in 0..size {
            let name: &[u8] = if bad.contains(&n) { b"\xff\xfe" } else { b"good" };
            batch = batch.upsert(&format!("{n:06}"), name, 1, n);
        }
        match own.apply(batch).await {
            Err(ApplyFailure::Refused(rows)) => {
                let expected: Vec<_> = bad.iter().map(|n| (*n as usize, "22021".to_owned())).collect();
                assert_eq!(rows, expected, "exactly the bad rows are named, each with its SQLSTATE");
            }
            other => panic!("bad rows are refused, not {other:?}"),
        }
        assert!(rig.rows(&own.stream).await.is_empty(), "nothing is written with a refused row in the batch");
        let mut rest = own.batch().step(0, 0, size, 3);
        for n in (0..size).filter(|n| !bad.contains(n)) {
            rest = rest.upsert(&format!("{n:06}"), b"good", 1, n);
        }
        for n in bad {
            rest = rest.dead(&format!("{n:06}"), RejectCode::Refused, n);
        }
        own.must_apply(rest).await;
        assert_eq!(rig.rows(&own.stream).await.len() as u64, size - 3);
        assert_eq!(rig.waiting(&own.stream).await.len(), 3);
    }
}

pub(super) async fn a_retraction_settles_only_what_does_not_block<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "retracted", BulkLoad::None).await;
    let batch = own.batch().dead("double", RejectCode::DuplicateKey, 0).dead("broken", RejectCode::ColumnType, 1);
    own.must_apply(batch.step(0, 0, 2, 2)).await;
    let batch = own.batch().retract("double").retract("broken").step(0, 2, 4, 0);
    own.must_apply(batch).await;
    assert_eq!(rig.waiting(&own.stream).await, [(b"broken".to_vec(), "column_type".to_owned())]);
    let parked = own.target.admit(&own.stream, own.queue, own.nonce).await.expect("readmission").parked;
    assert_eq!(parked.len(), 1, "a duplicate does not hold its key back");
}

pub(super) async fn an_unknown_commit_is_settled_by_reading<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "unknown", BulkLoad::None).await;
    let batch = own.batch().upsert("warm", b"up", 0, 0).step(0, 0, 1, 0);
    own.must_apply(batch).await;
    rig.lose_next_answer().await;
    let batch = own.batch().upsert("a", b"a", 1, 1).step(0, 1, 2, 0);
    let lost = tokio::time::timeout(SOON, own.apply(batch)).await.expect("a cut connection is noticed at once");
    assert_eq!(failure(lost).class, FailureClass::Unknown);
    assert_eq!(own.next(0).await, 2, "the checkpoint says that the commit stands");
    assert_eq!(rig.rows(&own.stream).await.len(), 2);
    let batch = own.batch().upsert("a", b"b", 1, 2).step(0, 2, 3, 0);
    own.must_apply(batch).await;
}

pub(super) async fn a_bulk_load_ends_live_and_ends_once<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "bulk", BulkLoad::Expected).await;
    assert_eq!(own.admission.phase, Phase::Bulk);
    let mut batch = own.batch().step(0, 0, 1_000, 0);
    for n in 0..1_000 {
        batch = batch.upsert(&format!("{n:06}"), b"bulk", 1, n);
    }
    own.must_apply(batch).await;
    own.writer.finish_bulk(&own.stream, own.nonce).await.expect("the bulk load ends");
    own.writer.finish_bulk(&own.stream, own.nonce).await.expect("and can be ended again");
    own.admission = own.target.admit(&own.stream, own.queue, own.nonce).await.expect("readmission");
    assert_eq!(own.admission.phase, Phase::Live);
    let batch = own.batch().upsert("000001", b"live", 2, 1_000).delete("000002", 1_001).step(0, 1_000, 1_002, 0);
    own.must_apply(batch).await;
    let rows = rig.rows(&own.stream).await;
    assert_eq!(rows.len(), 999);
    assert_eq!(rows[1].name.as_deref(), Some("live"));
}

pub(super) async fn a_generation_is_bound_to_its_queue<R: Rig>(rig: &R) {
    let own = Owned::new(rig, "generation", BulkLoad::None).await;
    let first = own.admission.generation;
    let other = QueueId(Uuid::new_v4());
    let second = own.target.admit(&own.stream, other, own.nonce).await.expect("nothing is applied yet").generation;
    assert!(second > first, "another queue gets a later generation");
    let again = own.target.admit(&own.stream, own.queue, own.nonce).await.expect("and back").generation;
    assert_eq!(again, first, "a queue keeps its generation");
}

pub(super) async fn another_queue_or_mapping_halts<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "halts", BulkLoad::None).await;
    let batch = own.batch().upsert("a", b"a", 1, 0).step(1, 0, 1, 0);
    own.must_apply(batch).await;
    let halts = |result: Result<Admission, Failure>| {
        let failure = result.expect_err("this must not be admitted");
        assert_eq!(failure.class, FailureClass::Halt);
        failure.code
    };
    let other = QueueId(Uuid::new_v4());
    assert_eq!(halts(own.target.admit(&own.stream, other, own.nonce).await), "queue_changed");
    let mut changed = own.stream.clone();
    changed.columns[0].required = true;
    assert_eq!(halts(own.target.admit(&changed, own.queue, own.nonce).await), "mapping_changed");
    assert_eq!(halts(own.target.admit(&mapping("never_made"), own.queue, own.nonce).await), "schema_missing");
    let batch = own.batch().upsert("a", b"b", 1, 1).step(1, 1, 2, 0);
    own.must_apply(batch).await;
}

pub(super) async fn a_second_process_is_told_of_the_first<R: Rig>(rig: &R) {
    let own = Owned::new(rig, "second_process", BulkLoad::None).await;
    let second = rig.process().await;
    let refused = second.admit(&own.stream, own.queue, OwnerNonce(Uuid::new_v4())).await;
    let refused = refused.expect_err("two processes cannot own one pipeline");
    assert_eq!((refused.class, refused.code), (FailureClass::Fenced, "other_owner"));
    let (stream, queue) = (own.stream.clone(), own.queue);
    drop(own);
    let admitted = second.admit(&stream, queue, OwnerNonce(Uuid::new_v4())).await;
    admitted.expect("once the first is gone, the second is admitted");
}
