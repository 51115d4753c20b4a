//! Columns that the service added: what they take, what they leave, and what is noticed for new ones.

use super::{Beside, VERSION, column, fields, ident, mapping};
use crate::transform::{RowPlan, Watch};
use landfall_schemas::mapping::{AddedColumn, AddedType, Evolve, NewField, StreamMapping};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::row::RowSet;
use landfall_schemas::value::show;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn plain() -> StreamMapping {
    let mapping = mapping(("id", None), vec![column("o.a", PgType::Text)], Beside::Rest);
    StreamMapping { evolve: Evolve::AddColumn, ..mapping }
}

fn added(columns: &[(&str, AddedType)]) -> Vec<AddedColumn> {
    let one = |(n, (field, ty)): (usize, &(&str, AddedType))| AddedColumn {
        name: ident(&format!("x{n}")),
        field: (*field).into(),
        ty: *ty,
    };
    columns.iter().enumerate().map(one).collect()
}

/// The fields of a record's row.
fn row(plan: &mut RowPlan, record: &str) -> Vec<Option<Vec<u8>>> {
    let mut out = RowSet::default();
    let encoded = plan.upsert(b"n:1", record.as_bytes(), VERSION, &mut out);
    let encoded = encoded.expect("no record is parked for what nobody declared").expect("no filter");
    fields(&out.buffer[encoded.fields])
}

fn rest(row: &[Option<Vec<u8>>], place: usize) -> Option<&str> {
    row[place].as_ref().map(|bytes| std::str::from_utf8(&bytes[1..]).expect("text"))
}

#[test]
fn nothing_is_noticed_that_nobody_watches_for_and_nothing_that_is_declared() {
    let mut plan = RowPlan::new(&plain());
    let record = r#"{"id":1,"o":{"a":"x","new":1},"n":5,"e\u0301":"t","null":null,"odd":-0.0e0,"nul\u0000":1}"#;
    let _ = plan.upsert(b"n:1", record.as_bytes(), VERSION, &mut RowSet::default());
    assert!(plan.noticed().fields.is_empty());
    plan.watch(Watch { numbers: true, ..Watch::OFF });
    let _ = plan.upsert(b"n:1", record.as_bytes(), VERSION, &mut RowSet::default());
    assert!(plan.noticed().fields.is_empty());
    plan.watch(Watch::ALL);
    let _ = plan.upsert(b"n:1", record.as_bytes(), VERSION, &mut RowSet::default());
    let field = |name: &str, ty| NewField { name: name.into(), ty };
    assert_eq!(plan.noticed().fields, [field("n", AddedType::Bigint), field("e\u{301}", AddedType::Text)]);
    assert!(plan.noticed().fields.is_empty(), "told once");
}

#[test]
fn a_column_takes_what_fits_and_leaves_what_does_not_in_the_rest() {
    let columns = [
        ("n", AddedType::Bigint),
        ("m", AddedType::Numeric),
        ("t", AddedType::Text),
        ("b", AddedType::Boolean),
        ("j", AddedType::Jsonb),
    ];
    let mapping = plain().widened(&added(&columns));
    // Key, o.a, rest, then the added ones and the version.
    assert_eq!(mapping.table.columns.len(), 4 + columns.len());
    let mut plan = RowPlan::new(&mapping);
    plan.watch(Watch::ALL);
    let fits = row(&mut plan, r#"{"id":1,"n":-7,"m":7,"t":"x","b":true,"j":[1, {"o":null}]}"#);
    assert_eq!(rest(&fits, 2), None);
    assert!(fits[3..8].iter().all(Option::is_some));
    let left = row(&mut plan, r#"{"id":1,"n":"7","m":"7","t":7,"b":0,"j":"any"}"#);
    assert_eq!(rest(&left, 2), Some(r#"{"n":"7","m":"7","t":7,"b":0}"#));
    assert!(left[3..7].iter().all(Option::is_none) && left[7].is_some(), "jsonb holds every kind");
    let nulls = row(&mut plan, r#"{"id":1,"n":null,"m":null,"t":null,"b":null,"j":null}"#);
    assert_eq!(rest(&nulls, 2), Some(r#"{"n":null,"m":null,"t":null,"b":null,"j":null}"#));
    let noticed = plan.noticed();
    assert!(noticed.fields.is_empty() && noticed.misfits == 4, "{noticed:?}");
    let wider = row(&mut plan, r#"{"id":1,"n":7.0,"m":7.0}"#);
    assert_eq!(rest(&wider, 2), Some(r#"{"n":7.0}"#), "seven in a bigint would come back as 7");
    assert_eq!(plan.noticed().fields, [NewField { name: "n".into(), ty: AddedType::Numeric }]);
}

#[test]
fn what_the_configuration_declares_is_not_the_service_s() {
    let columns = added(&[("o", AddedType::Jsonb), ("id", AddedType::Bigint), ("new", AddedType::Text)]);
    let wide = plain().widened(&columns);
    assert_eq!(wide.columns.len(), 2);
    assert_eq!((wide.columns[1].added, wide.table.columns[3].name.as_str()), (Some(AddedType::Text), "x2"));
    assert_eq!(StreamMapping { evolve: Evolve::Rest, ..plain() }.widened(&columns).columns.len(), 1);
    let named = AddedColumn { name: ident("C1"), field: "new".into(), ty: AddedType::Text };
    assert!(!plain().keeps(&named), "the table's c1 is the configuration's");
    let mut indexed = plain();
    indexed.table.indexes = vec![vec![1, 3]];
    assert_eq!(indexed.widened(&columns).table.indexes, [[1, 4]], "an index of the version stays one of the version");
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1_000_i32..1_000).prop_map(|n| json!(f64::from(n) / 4.0)),
        "[a-z0-9\"\\\\é]{0,6}".prop_map(Value::from),
        Just(json!([1, { "a": null }])),
        Just(json!({ "deep": { "er": [true] } })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Promise 14, whatever type a column was given: columns and rest are the record, and no record is parked. The way back is `show`'s,
    /// which the way there does not use.
    #[test]
    fn added_columns_and_the_rest_give_the_document_back(
        record in prop::collection::btree_map("[a-f]", value(), 0..7),
        types in prop::collection::btree_map("[a-f]", 0_usize..5, 0..7),
    ) {
        let kinds = [AddedType::Boolean, AddedType::Bigint, AddedType::Numeric, AddedType::Text, AddedType::Jsonb];
        let columns: Vec<(&str, AddedType)> = types.iter().map(|(field, ty)| (field.as_str(), kinds[*ty])).collect();
        let mut plan = RowPlan::new(&plain().widened(&added(&columns)));
        let mut document: Map<String, Value> = record.into_iter().collect();
        document.insert("id".into(), json!(1));
        let row = row(&mut plan, &Value::Object(document.clone()).to_string());
        let mut back = match rest(&row, 2) {
            Some(text) => serde_json::from_str::<Map<String, Value>>(text).expect("JSON"),
            None => Map::new(),
        };
        for ((field, ty), bytes) in columns.iter().zip(&row[3..]) {
            let Some(bytes) = bytes else { continue };
            let shown = show(ty.ty(), Some(bytes));
            let value = match (ty, shown) {
                (AddedType::Numeric, Value::String(text)) => serde_json::from_str(&text).expect("a number"),
                (_, shown) => shown,
            };
            prop_assert!(back.insert((*field).to_owned(), value).is_none(), "{} stands twice", field);
        }
        back.insert("id".into(), json!(1));
        prop_assert_eq!(Value::Object(back), Value::Object(document));
    }
}
