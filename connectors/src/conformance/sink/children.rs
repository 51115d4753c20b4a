//! The checks of tables below: each record's rows in them are a set, written and taken away with its row.

use super::Rig;
use super::checks::Owned;
use super::fixture::{Batch, StoredBelow, family};
use crate::checkpoints::Phase;
use crate::sink::{ApplyFailure, Ranges, Writer};
use crate::snapshot::KeyRange;
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::rejection::RejectCode;

/// Sizes on both sides of every threshold a sink may have between small and large batches.
const SIZES: [u64; 2] = [1, 600];

fn row(keys: &[&str], note: &str, version: i64) -> StoredBelow {
    (keys.iter().map(|key| (*key).to_owned()).collect(), Some(note.to_owned()), version)
}

/// The rows of one parent.
fn of<'a>(rows: &'a [StoredBelow], parent: &str) -> Vec<&'a StoredBelow> {
    rows.iter().filter(|(keys, ..)| keys[0] == parent).collect()
}

/// Records that only fill a batch, each with a part and a piece.
fn crowd(mut batch: Batch, size: u64, sequence: u64) -> Batch {
    for n in 0..size {
        let id = format!("{n:06}");
        batch = batch.upsert(&id, b"one of many", 1, sequence).below(&["a"], b"part").below(&["a", "1"], b"piece");
    }
    batch
}

pub(super) async fn a_newer_set_takes_the_place_of_an_older_one<R: Rig>(rig: &R) {
    for size in SIZES {
        let mut own = Owned::of(rig, family(&format!("sets_{size}")), BulkLoad::None).await;
        let first = crowd(own.batch(), size, 1)
            .upsert("p", b"parent", 1, 1)
            .below(&["kept"], b"same")
            .below(&["kept", "1"], b"deep")
            .below(&["changed"], b"before")
            .below(&["gone"], b"x")
            .below(&["gone", "1"], b"deep")
            .upsert("q", b"another", 1, 1)
            .below(&["gone"], b"stays")
            .upsert("r", b"deleted", 1, 1)
            .below(&["a"], b"x")
            .below(&["a", "1"], b"y");
        own.must_apply(first.step(0, 0, size + 3, 0)).await;
        let (one, two) = (own.batch().version(1).0, own.batch().version(2).0);
        let second = crowd(own.batch(), size, 2)
            .upsert("p", b"parent", 1, 2)
            .below(&["kept"], b"same")
            .below(&["kept", "1"], b"deep")
            .below(&["changed"], b"after")
            .below(&["new"], b"y")
            .delete("r", 2);
        own.must_apply(second.step(0, size + 3, 2 * size + 5, 0)).await;
        let parts = rig.below(&own.stream, 0).await;
        let expected =
            [row(&["p", "changed"], "after", two), row(&["p", "kept"], "same", one), row(&["p", "new"], "y", two)];
        assert_eq!(of(&parts, "p"), expected.iter().collect::<Vec<_>>(), "a set takes the place of the older set");
        assert_eq!(of(&parts, "q"), [&row(&["q", "gone"], "stays", one)], "another record keeps its rows");
        assert!(of(&parts, "r").is_empty(), "a deleted record takes its rows along");
        let pieces = rig.below(&own.stream, 1).await;
        assert_eq!(
            of(&pieces, "p"),
            [&row(&["p", "kept", "1"], "deep", one)],
            "what lay below a vanished row vanishes"
        );
        assert!(of(&pieces, "r").is_empty());
        assert_eq!((parts.len() as u64, pieces.len() as u64), (size + 4, size + 1));
        let stored = rig.rows(&own.stream).await;
        let parent = stored.iter().find(|row| row.id == "p").expect("the record stands");
        assert_eq!(parent.version, two, "a record whose nested values changed is newer, whatever its own columns say");
        own.must_apply(own.batch().delete("p", 3).step(0, 2 * size + 5, 2 * size + 6, 0)).await;
        assert!(of(&rig.below(&own.stream, 0).await, "p").is_empty());
        assert!(of(&rig.below(&own.stream, 1).await, "p").is_empty());
    }
}

pub(super) async fn an_older_set_changes_nothing<R: Rig>(rig: &R) {
    for size in SIZES {
        let mut own = Owned::of(rig, family(&format!("old_sets_{size}")), BulkLoad::None).await;
        let newer =
            crowd(own.batch(), size, 9).upsert("p", b"parent", 1, 9).below(&["a"], b"new").below(&["b"], b"new");
        own.must_apply(newer.step(0, 0, size + 1, 0)).await;
        let before = (rig.below(&own.stream, 0).await, rig.below(&own.stream, 1).await);
        let older = own.batch().upsert("p", b"parent", 1, 5).below(&["b"], b"old").below(&["z"], b"old");
        let mut batch = older;
        for n in 0..size {
            batch = batch.upsert(&format!("{n:06}"), b"one of many", 1, 5);
        }
        own.must_apply(batch.step(0, size + 1, 2 * size + 2, 0)).await;
        own.must_apply(own.batch().delete("p", 6).step(0, 2 * size + 2, 2 * size + 3, 0)).await;
        let after = (rig.below(&own.stream, 0).await, rig.below(&own.stream, 1).await);
        assert_eq!(before, after, "an older set neither writes nor takes away");
    }
}

pub(super) async fn a_refused_row_below_names_its_record<R: Rig>(rig: &R) {
    for (size, bulk) in [(3, BulkLoad::None), (600, BulkLoad::None), (600, BulkLoad::Expected)] {
        let name = format!("refused_below_{size}_{bulk:?}").to_lowercase();
        let mut own = Owned::of(rig, family(&name), bulk).await;
        let mut batch = own.batch();
        for n in 0..size {
            let note: &[u8] = if n == size / 2 { b"\xff" } else { b"good" };
            batch = batch.upsert(&format!("{n:06}"), b"x", 1, n).below(&["a"], b"good").below(&["a", "1"], note);
        }
        match own.apply(batch.step(0, 0, size, 0)).await {
            Err(ApplyFailure::Refused(rows)) => assert_eq!(rows, [(size as usize / 2, "22021".to_owned())]),
            other => panic!("a bad row below is refused, not {other:?}"),
        }
        assert!(rig.below(&own.stream, 0).await.is_empty(), "nothing is written with a refused row in the batch");
        let dead = own.batch().dead("x", RejectCode::Refused, 0).step(0, 0, 1, 1);
        own.must_apply(dead).await;
    }
}

pub(super) async fn a_bulk_load_fills_the_tables_below<R: Rig>(rig: &R) {
    let mut own = Owned::of(rig, family("bulk_below"), BulkLoad::Expected).await;
    let first = crowd(own.batch(), 300, 1).step(0, 0, 300, 0);
    own.must_apply(first).await;
    let (stream, nonce) = (own.stream.clone(), own.nonce);
    own.writer.finish_bulk(&stream, nonce).await.expect("the load ends");
    own.admission.phase = Phase::Live;
    let next = own.batch().upsert("000007", b"one of many", 1, 2).below(&["b"], b"other").step(0, 300, 301, 0);
    own.must_apply(next).await;
    let parts = rig.below(&own.stream, 0).await;
    assert_eq!(parts.len(), 300);
    assert_eq!(of(&parts, "000007")[0].0, ["000007", "b"]);
    assert_eq!(rig.below(&own.stream, 1).await.len(), 299);
}

pub(super) async fn a_copy_stamps_and_sweeps_the_tables_below<R: Rig>(rig: &R) {
    for size in SIZES {
        let mut own = Owned::of(rig, family(&format!("recopied_below_{size}")), BulkLoad::None).await;
        let before =
            crowd(own.batch(), size, 1).upsert("gone", b"x", 1, 1).below(&["a"], b"x").below(&["a", "1"], b"x");
        own.must_apply(before.step(0, 0, size + 1, 0)).await;
        let copy = own.batch().version(50);
        own.target.plan(&own.stream.name, own.nonce, (copy, &[KeyRange::default()])).await.expect("an owner plans");
        let again = crowd(own.batch(), size, 50).range((copy, 0), None, None, (size, 0));
        own.must_apply(again).await;
        own.must_apply(own.batch().sweep(50).step(1, 0, 1, 0)).await;
        for table in [0, 1] {
            let rows = rig.below(&own.stream, table).await;
            assert_eq!(rows.len() as u64, size, "what the copy has not seen is gone, all else stands");
            assert!(rows.iter().all(|(.., version)| *version == copy.0), "an equal row takes the version of the copy");
        }
    }
}
