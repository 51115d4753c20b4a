//! The checks of tables that grow: what is added is remembered, filled, and added once, by the owner alone.

use super::Rig;
use super::checks::Owned;
use super::fixture::mapping;
use crate::checkpoints::{Checkpoints, OwnerNonce};
use crate::evolve::{Evolves, MOST_ADDED, Widened};
use crate::failure::FailureClass;
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::mapping::{AddedType, Evolve, NewField, StreamMapping};
use uuid::Uuid;

fn growing(name: &str) -> StreamMapping {
    StreamMapping { evolve: Evolve::AddColumn, ..mapping(name) }
}

fn field(name: &str, ty: AddedType) -> NewField {
    NewField { name: name.into(), ty }
}

pub(super) async fn an_added_column_is_remembered_and_filled<R: Rig>(rig: &R) {
    for bulk in [BulkLoad::None, BulkLoad::Expected] {
        let stream = growing(&format!("grown_{bulk:?}").to_lowercase());
        let mut own = Owned::of(rig, stream, bulk).await;
        assert!(own.admission.added.is_empty());
        let batch = own.batch().upsert("a", b"before", 1, 1).step(0, 0, 1, 0);
        own.must_apply(batch).await;
        let wanted =
            [field("Shade Of", AddedType::Text), field("name", AddedType::Text), field("NAME", AddedType::Text)];
        let done = own.target.widen(&own.stream, own.nonce, &wanted).await.expect("an owner adds columns");
        assert_eq!(done, Widened { added: 2, ..Widened::default() }, "what is declared is not new");
        let again = own.target.widen(&own.stream, own.nonce, &wanted).await.expect("and may ask again");
        assert_eq!(again, Widened::default(), "an answer that was lost makes no second column");
        own.admission = own.target.admit(&own.stream, own.queue, own.nonce).await.expect("readmission");
        let added = own.admission.added.clone();
        let names: Vec<&str> = added.iter().map(|column| column.name.as_str()).collect();
        assert_eq!((names, &*added[1].field), (vec!["shade_of", "name_2"], "NAME"));
        let config = own.stream.clone();
        own.stream = config.widened(&added);
        let batch = own.batch().upsert("b", b"after", 2, 2).with(Some(b"dark")).with(None).step(0, 1, 2, 0);
        own.must_apply(batch).await;
        assert_eq!(rig.texts(&config, "shade_of").await, [None, Some("dark".to_owned())]);
        if bulk == BulkLoad::None {
            let batch = own.batch().upsert("a", b"before", 1, 3).with(None).with(None).step(0, 2, 3, 0);
            own.must_apply(batch).await;
            let rows = rig.rows(&config).await;
            assert_eq!(rows[0].version, own.batch().version(1).0, "a row that has nothing in it is not written again");
        }
    }
}

pub(super) async fn whoever_was_replaced_adds_nothing<R: Rig>(rig: &R) {
    let own = Owned::of(rig, growing("grown_replaced"), BulkLoad::None).await;
    let newer = OwnerNonce(Uuid::new_v4());
    own.target.admit(&own.stream, own.queue, newer).await.expect("the same process may admit anew");
    let refused = own.target.widen(&own.stream, own.nonce, &[field("late", AddedType::Text)]).await;
    assert_eq!(refused.expect_err("a zombie adds no column").class, FailureClass::Fenced);
    let admitted = own.target.admit(&own.stream, own.queue, newer).await.expect("readmission");
    assert!(admitted.added.is_empty());
}

pub(super) async fn whole_numbers_become_wider_once_and_a_table_has_a_bound<R: Rig>(rig: &R) {
    let own = Owned::of(rig, growing("grown_full"), BulkLoad::None).await;
    let many: Vec<NewField> = (0..1_700).map(|n| field(&format!("f{n}"), AddedType::Bigint)).collect();
    let done = own.target.widen(&own.stream, own.nonce, &many).await.expect("as many as there is room for");
    assert_eq!(done, Widened { added: MOST_ADDED, left: 1_700 - MOST_ADDED, ..Widened::default() });
    let wanted = [field("f0", AddedType::Numeric), field("f1", AddedType::Text), field("late", AddedType::Text)];
    let done = own.target.widen(&own.stream, own.nonce, &wanted).await.expect("wider ones need no room");
    assert_eq!(done, Widened { wider: 1, left: 1, ..Widened::default() });
    let added = own.target.admit(&own.stream, own.queue, own.nonce).await.expect("readmission").added;
    assert_eq!((added.len(), added[0].ty, added[1].ty), (MOST_ADDED, AddedType::Numeric, AddedType::Bigint));
}
