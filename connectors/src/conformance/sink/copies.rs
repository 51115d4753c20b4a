//! The checks of copies: ranges that move with their rows, and what a copy over live rows leaves and sweeps.

use super::Rig;
use super::checks::{Owned, failure, versions};
use crate::checkpoints::{Checkpoints, OwnerNonce, Phase};
use crate::failure::FailureClass;
use crate::sink::{CopyVersion, RangeState, Ranges, Sink};
use crate::snapshot::KeyRange;
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::rejection::RejectCode;
use uuid::Uuid;

fn halves() -> [KeyRange; 2] {
    let middle: Option<Box<[u8]>> = Some(b"m".as_slice().into());
    [KeyRange { after: None, upto: middle.clone() }, KeyRange { after: middle, upto: None }]
}

async fn stored<T: Sink + Ranges>(own: &Owned<T>, copy: CopyVersion) -> Vec<RangeState> {
    own.target.ranges(&own.stream.name, copy).await.expect("ranges can be read")
}

pub(super) async fn a_range_moves_with_its_rows_and_once<R: Rig>(rig: &R) {
    for (phase, bulk) in [(Phase::Bulk, BulkLoad::Expected), (Phase::Live, BulkLoad::None)] {
        let mut own = Owned::new(rig, &format!("range_{phase:?}").to_lowercase(), bulk).await;
        let copy = own.batch().version(7);
        assert!(stored(&own, copy).await.is_empty(), "nothing is planned yet");
        own.target.plan(&own.stream.name, own.nonce, (copy, &halves())).await.expect("an owner plans");
        let first = own.batch().upsert("a", b"a", 1, 7).range((copy, 0), None, Some(b"a"), (1, 0));
        own.must_apply(first).await;
        let again = own.batch().upsert("a2", b"a", 1, 7).range((copy, 0), None, Some(b"a"), (1, 0));
        assert_eq!(failure(own.apply(again).await).class, FailureClass::Fenced, "a step is taken once");
        assert_eq!(rig.rows(&own.stream).await.len(), 1, "a range that did not move wrote nothing");
        let rest = own.batch().upsert("b", b"b", 2, 7).dead("c", RejectCode::ColumnType, 7);
        own.must_apply(rest.range((copy, 0), Some(b"a"), None, (3, 1))).await;
        let after = own.batch().upsert("d", b"d", 2, 7).range((copy, 0), None, None, (4, 1));
        assert_eq!(failure(own.apply(after).await).class, FailureClass::Fenced, "a finished range takes nothing more");
        let ranges = stored(&own, copy).await;
        assert_eq!((ranges[0].done, ranges[0].counts.copied, ranges[0].counts.parked), (true, 2, 1));
        assert_eq!(ranges[0].cohorts.0.get("string"), Some(&3));
        assert_eq!((ranges[1].done, ranges[1].reached.is_none(), &ranges[1].range), (false, true, &halves()[1]));
        assert_eq!(rig.rows(&own.stream).await.len(), 2);
        assert_eq!(rig.waiting(&own.stream).await.len(), 1);
        assert_eq!(own.next(0).await, 0, "a range moves no checkpoint");
    }
}

pub(super) async fn a_plan_that_is_there_stands_and_a_replaced_owner_plans_nothing<R: Rig>(rig: &R) {
    let mut own = Owned::new(rig, "planned", BulkLoad::Expected).await;
    let copy = own.batch().version(1);
    own.target.plan(&own.stream.name, own.nonce, (copy, &halves())).await.expect("an owner plans");
    own.target.plan(&own.stream.name, own.nonce, (copy, &[KeyRange::default()])).await.expect("and may plan again");
    assert_eq!(stored(&own, copy).await.len(), 2, "the plan that was there stands");
    let newer = OwnerNonce(Uuid::new_v4());
    own.target.admit(&own.stream, own.queue, newer).await.expect("the same process may admit anew");
    let step = own.batch().upsert("a", b"zombie", 1, 1).range((copy, 0), None, Some(b"a"), (1, 0));
    assert_eq!(failure(own.apply(step).await).class, FailureClass::Fenced);
    let other = own.batch().version(2);
    let planned = own.target.plan(&own.stream.name, own.nonce, (other, &halves())).await;
    assert_eq!(planned.expect_err("a zombie plans nothing").class, FailureClass::Fenced);
    own.nonce = newer;
    let step = own.batch().upsert("a", b"a", 1, 1).range((copy, 0), None, Some(b"a"), (1, 0));
    own.must_apply(step).await;
    assert_eq!(rig.rows(&own.stream).await.len(), 1, "the newer owner goes on where the older one stood");
}

pub(super) async fn a_copy_over_live_rows_leaves_newer_ones_and_sweeps_what_it_has_not_seen<R: Rig>(rig: &R) {
    for size in [1, 600] {
        let mut own = Owned::new(rig, &format!("recopied_{size}"), BulkLoad::None).await;
        let mut before = own.batch().upsert("gone", b"old", 1, 1).upsert("newer", b"live", 1, 90).dead(
            "bad",
            RejectCode::ColumnType,
            2,
        );
        for n in 0..size {
            before = before.upsert(&format!("{n:06}"), b"same", 1, 1);
        }
        own.must_apply(before.step(0, 0, size + 3, 1)).await;
        let copy = own.batch().version(50);
        own.target.plan(&own.stream.name, own.nonce, (copy, &[KeyRange::default()])).await.expect("an owner plans");
        let mut rows = own.batch().upsert("newer", b"stale", 1, 50).range((copy, 0), None, None, (size + 1, 0));
        for n in 0..size {
            rows = rows.upsert(&format!("{n:06}"), b"same", 1, 50);
        }
        own.must_apply(rows).await;
        let sweep = own.batch().sweep(50).step(1, 0, 1, 0);
        own.must_apply(sweep).await;
        let stored = rig.rows(&own.stream).await;
        assert_eq!(stored.len() as u64, size + 1, "what the copy has not seen is gone, all else stands");
        assert_eq!(versions(&stored)[0], ("000000", copy.0), "an equal row takes the version of the copy");
        let newer = stored.iter().find(|row| row.id == "newer").expect("a newer row stands");
        assert_eq!(newer.name.as_deref(), Some("live"), "a copy overwrites nothing newer");
        assert!(rig.waiting(&own.stream).await.is_empty(), "dead letters from before the barrier are settled");
        assert_eq!(own.next(1).await, 1);
    }
}
