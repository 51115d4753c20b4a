//! Columns that the service added, from BSON: each kind has its type, and what is not given back stays in the rest as well.

use super::{Beside, VERSION, binary, column, date, decimal, fields, ident, json_of, mapping};
use crate::transform::{RowPlan, Watch};
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Bson, Document, RawDocumentBuf, Timestamp, doc};
use landfall_schemas::mapping::{AddedColumn, AddedType, Evolve, RecordFormat, StreamMapping};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::row::RowSet;

fn plain() -> StreamMapping {
    let mapping = mapping(None, vec![column("known", PgType::Text)], Beside::Rest);
    StreamMapping { evolve: Evolve::AddColumn, ..mapping }
}

fn bytes(document: &Document) -> Vec<u8> {
    RawDocumentBuf::try_from(document).expect("a document").into_bytes()
}

fn noticed(value: Bson) -> Option<AddedType> {
    let mut plan = RowPlan::new(&plain());
    plan.watch(Watch::ALL);
    let document = bytes(&doc! { "_id": 1, "v": value });
    let _ = plan.upsert(b"n:1", &document, VERSION, &mut RowSet::default()).expect("a row");
    let found = plan.noticed().fields;
    assert!(found.len() < 2);
    found.first().map(|field| field.ty)
}

/// What a column of a type holds of a value, and whether the rest holds it too.
fn cell(format: RecordFormat, ty: AddedType, value: Bson) -> (bool, bool) {
    let added = [AddedColumn { name: ident("x"), field: "v".into(), ty }];
    let mapping = StreamMapping { format, ..plain() }.widened(&added);
    let mut out = RowSet::default();
    let document = bytes(&doc! { "_id": 1_i64 << 40, "v": value });
    let encoded = RowPlan::new(&mapping).upsert(b"n:1099511627776", &document, VERSION, &mut out);
    let encoded = encoded.expect("nothing is parked").expect("no filter");
    let row = fields(&out.buffer[encoded.fields]);
    (row[3].is_some(), json_of(&row[2]).is_some_and(|rest| rest.get("v").is_some()))
}

#[test]
fn every_kind_asks_for_its_type_and_kinds_without_one_ask_for_nothing() {
    for (value, ty) in [
        (Bson::Boolean(true), Some(AddedType::Boolean)),
        (Bson::Int32(5), Some(AddedType::Bigint)),
        (Bson::Int64(i64::MIN), Some(AddedType::Bigint)),
        (Bson::Double(5.0), Some(AddedType::Numeric)),
        (Bson::Double(f64::NAN), None),
        (decimal("1.50"), Some(AddedType::Numeric)),
        (decimal("-0"), None),
        (decimal("Infinity"), None),
        (Bson::String("x".into()), Some(AddedType::Text)),
        (Bson::ObjectId(ObjectId::new()), Some(AddedType::ObjectId)),
        (date(0), Some(AddedType::TimestampTz)),
        (date(i64::MAX), None),
        (binary(BinarySubtype::Uuid, &[7; 16]), Some(AddedType::Uuid)),
        (binary(BinarySubtype::Generic, &[0, 255]), Some(AddedType::Bytea)),
        (binary(BinarySubtype::Md5, &[0; 16]), None),
        (Bson::Timestamp(Timestamp { time: 1, increment: 2 }), None),
        (Bson::Null, None),
        (Bson::MinKey, None),
        (Bson::Document(doc! { "a": 1 }), Some(AddedType::Jsonb)),
        (Bson::Array(vec![Bson::Null]), Some(AddedType::Jsonb)),
    ] {
        assert_eq!(noticed(value.clone()), ty, "{value}");
    }
}

#[test]
fn a_column_holds_its_own_kind_and_the_rest_whatever_does_not_come_back_as_it_was() {
    let (held, both, left) = ((true, false), (true, true), (false, true));
    for (ty, value, wanted) in [
        (AddedType::Bigint, Bson::Int64(5), held),
        (AddedType::Bigint, Bson::Int32(5), both),
        (AddedType::Bigint, Bson::Double(5.0), left),
        (AddedType::Bigint, Bson::Timestamp(Timestamp { time: 1, increment: 2 }), left),
        (AddedType::Numeric, decimal("1.50"), held),
        (AddedType::Numeric, Bson::Double(1.5), both),
        (AddedType::Numeric, Bson::Int64(5), both),
        (AddedType::Numeric, Bson::Double(f64::INFINITY), left),
        (AddedType::TimestampTz, date(5), held),
        (AddedType::TimestampTz, Bson::String("2024-01-02T03:04:05Z".into()), left),
        (AddedType::TimestampTz, date(i64::MIN), left),
        (AddedType::Text, Bson::String("x".into()), held),
        (AddedType::Text, Bson::ObjectId(ObjectId::new()), left),
        (AddedType::ObjectId, Bson::ObjectId(ObjectId::new()), held),
        (AddedType::ObjectId, Bson::String("65a1b2c3d4e5f60718293a4b".into()), left),
        (AddedType::Uuid, binary(BinarySubtype::Uuid, &[7; 16]), held),
        (AddedType::Uuid, Bson::String("07070707-0707-0707-0707-070707070707".into()), left),
        (AddedType::Bytea, binary(BinarySubtype::Generic, &[1]), held),
        (AddedType::Boolean, Bson::Int32(1), left),
        (AddedType::Jsonb, Bson::String("x".into()), held),
        (AddedType::Jsonb, Bson::Document(doc! { "a": [1, true] }), held),
        (AddedType::Jsonb, Bson::Document(doc! { "a": 5_i64 }), both),
        (AddedType::Jsonb, Bson::MaxKey, left),
        (AddedType::Text, Bson::Null, left),
    ] {
        assert_eq!(cell(RecordFormat::Bson, ty, value.clone()), wanted, "{value} in {ty:?}");
    }
    for (ty, value) in [
        (AddedType::Bigint, Bson::Int64(5)),
        (AddedType::Numeric, Bson::Int64(5)),
        (AddedType::Numeric, Bson::Double(1.5)),
    ] {
        assert_eq!(cell(RecordFormat::Sqlite, ty, value.clone()), held, "SQLite's numbers are of one kind: {value}");
    }
}
