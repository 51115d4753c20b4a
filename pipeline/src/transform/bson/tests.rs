//! Rows of BSON documents: what stands in each field, what stays in the rest, what is parked.

mod added;
mod expected;
mod keys;
mod property;

use crate::transform::RowPlan;
use ::bson::spec::BinarySubtype;
use ::bson::{Binary, Bson, DateTime, Decimal128, Document, RawDocumentBuf, Timestamp, doc, oid::ObjectId};
use landfall_schemas::ident::Ident;
use landfall_schemas::key::{RecordKey, key_of_bson};
use landfall_schemas::mapping::{
    ColumnMapping, FieldPath, KeyFrom, KeySpec, Nothing, OnDrop, OnError, RecordFormat, Select, StreamMapping,
};
use landfall_schemas::offset::Version;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::RowSet;
use landfall_schemas::stream::{PartitionCount, SourceName, StreamName};
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};
use serde_json::{Value, json};

const VERSION: Version = Version(77);

fn ident(name: &str) -> Ident {
    Ident::new(name).expect("a name")
}

fn column(path: &str, ty: PgType) -> ColumnMapping {
    let from = FieldPath::parse(path).expect("a path");
    ColumnMapping {
        name: ident("c"),
        from: from.into(),
        ty,
        required: false,
        default: None,
        rule: None,
        none: Nothing::Missing,
        added: None,
    }
}

/// What the table keeps beside key, columns and version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Nothing,
    Rest,
    RestAndRaw,
    Doc,
    DocAndRaw,
}

fn mapping(key: Option<PgType>, columns: Vec<ColumnMapping>, beside: Beside) -> StreamMapping {
    let mut roles = vec![(ColumnRole::Key, key.unwrap_or(PgType::Text))];
    roles.extend(columns.iter().enumerate().map(|(n, column)| (ColumnRole::Mapped(n), column.ty)));
    let more: &[(ColumnRole, PgType)] = match beside {
        Beside::Nothing => &[],
        Beside::Rest => &[(ColumnRole::Rest, PgType::Jsonb)],
        Beside::RestAndRaw => &[(ColumnRole::Rest, PgType::Jsonb), (ColumnRole::Raw, PgType::Bytea)],
        Beside::Doc => &[(ColumnRole::Doc, PgType::Jsonb)],
        Beside::DocAndRaw => &[(ColumnRole::Doc, PgType::Jsonb), (ColumnRole::Raw, PgType::Bytea)],
    };
    roles.extend_from_slice(more);
    roles.push((ColumnRole::Version, PgType::Int8));
    let table = roles.iter().enumerate().map(|(n, (role, ty))| TableColumn {
        name: ident(&format!("c{n}")),
        ty: *ty,
        not_null: false,
        role: *role,
    });
    StreamMapping {
        name: StreamName::new("s").expect("a name"),
        source: SourceName::new("s").expect("a name"),
        select: Select::Collection("c".into()),
        filter: None,
        format: RecordFormat::Bson,
        key: KeySpec { from: KeyFrom::Id, column: ident("id"), ty: key },
        partitions: PartitionCount::DEFAULT,
        table: TableShape {
            schema: ident("public"),
            name: ident("t"),
            columns: table.collect(),
            key_columns: 1,
            shared: None,
            indexes: Vec::new(),
            unique: Vec::new(),
        },
        columns,
        on_error: OnError::Park,
        on_drop: OnDrop::Halt,
        evolve: landfall_schemas::mapping::Evolve::default(),
        children: Vec::new(),
    }
}

/// The fields of a row, `None` for NULL.
fn fields(mut row: &[u8]) -> Vec<Option<Vec<u8>>> {
    let mut fields = Vec::new();
    while let Some((length, rest)) = row.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let (field, rest) = rest.split_at(length.max(0) as usize);
        fields.push((length >= 0).then(|| field.to_vec()));
        row = rest;
    }
    fields
}

fn row_of(mapping: &StreamMapping, record: &[u8]) -> Result<Vec<Option<Vec<u8>>>, Rejection> {
    let mut key = RecordKey::default();
    if key_of_bson(&mapping.key, record, &mut key).is_err() {
        key.string("unreadable");
    }
    let mut out = RowSet { buffer: b"before".to_vec(), ..RowSet::default() };
    let done = RowPlan::new(mapping).upsert(key.as_bytes(), record, VERSION, &mut out);
    if done.is_err() {
        assert_eq!(out.buffer, b"before", "an error leaves nothing behind");
    }
    done.map(|_| fields(&out.buffer[6..]))
}

fn row(mapping: &StreamMapping, document: &Document) -> Result<Vec<Option<Vec<u8>>>, Rejection> {
    row_of(mapping, RawDocumentBuf::try_from(document).expect("a document").as_bytes())
}

fn json_of(field: &Option<Vec<u8>>) -> Option<Value> {
    field.as_ref().map(|bytes| {
        assert_eq!(bytes[0], 1, "version of jsonb");
        serde_json::from_slice(&bytes[1..]).expect("JSON")
    })
}

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse::<Decimal128>().expect("a decimal"))
}

fn binary(subtype: BinarySubtype, bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype, bytes: bytes.to_vec() })
}

fn date(millis: i64) -> Bson {
    Bson::DateTime(DateTime::from_millis(millis))
}

/// The column's bytes, or why not; and whether the rest keeps the value as well.
fn cell(ty: PgType, value: Bson) -> Result<(Vec<u8>, bool), RejectCode> {
    let fields = row(&mapping(None, vec![column("v", ty)], Beside::Rest), &doc! { "_id": 1, "v": value })
        .map_err(|rejection| rejection.code)?;
    Ok((fields[1].clone().expect("no NULL"), fields[2].is_some()))
}

fn taken(bytes: impl AsRef<[u8]>) -> Result<(Vec<u8>, bool), RejectCode> {
    Ok((bytes.as_ref().to_vec(), false))
}

fn kept(bytes: impl AsRef<[u8]>) -> Result<(Vec<u8>, bool), RejectCode> {
    Ok((bytes.as_ref().to_vec(), true))
}

#[test]
fn numbers_are_exact_or_parked() {
    let range = Err(RejectCode::NumberRange);
    let cases = [
        (PgType::Int4, Bson::Int32(i32::MIN), taken(i32::MIN.to_be_bytes())),
        (PgType::Int2, Bson::Int32(40_000), range.clone()),
        (PgType::Int4, Bson::Int64(7), kept(7_i32.to_be_bytes())),
        (PgType::Int4, Bson::Int64(1 << 31), range.clone()),
        (PgType::Int8, Bson::Int64(i64::MAX), taken(i64::MAX.to_be_bytes())),
        (PgType::Int8, Bson::Int32(7), kept(7_i64.to_be_bytes())),
        (PgType::Int8, Bson::Double(7.0), kept(7_i64.to_be_bytes())),
        (PgType::Int8, Bson::Double(7.5), range.clone()),
        (PgType::Int8, Bson::Double(-0.0), range.clone()),
        (PgType::Int8, Bson::Double(f64::NAN), range.clone()),
        (PgType::Int8, Bson::Double(9_223_372_036_854_775_808.0), range.clone()),
        (PgType::Int8, Bson::Double(-9_223_372_036_854_775_808.0), kept(i64::MIN.to_be_bytes())),
        (PgType::Int8, decimal("7.00"), kept(7_i64.to_be_bytes())),
        (PgType::Int8, decimal("7E+2"), kept(700_i64.to_be_bytes())),
        (PgType::Int8, decimal("NaN"), range.clone()),
        (PgType::Int8, Bson::Timestamp(Timestamp { time: 2, increment: 3 }), kept((2_i64 << 32 | 3).to_be_bytes())),
        (PgType::Int8, Bson::Timestamp(Timestamp { time: u32::MAX, increment: 0 }), range.clone()),
        (PgType::Float8, Bson::Double(-0.0), taken((-0.0_f64).to_be_bytes())),
        (PgType::Float8, Bson::Double(5e-324), taken(5e-324_f64.to_be_bytes())),
        (PgType::Float8, Bson::Double(f64::INFINITY), taken(f64::INFINITY.to_be_bytes())),
        (PgType::Float8, Bson::Int64(1 << 60), kept(((1_u64 << 60) as f64).to_be_bytes())),
        (PgType::Float8, Bson::Int64((1 << 53) + 1), range.clone()),
        (PgType::Float8, Bson::Int64(i64::MAX), range.clone()),
        (PgType::Float8, Bson::Int64(i64::MIN), kept((i64::MIN as f64).to_be_bytes())),
        (PgType::Float8, decimal("0.1"), kept(0.1_f64.to_be_bytes())),
        (PgType::Float8, decimal("0.10000000000000000000000001"), range.clone()),
        (PgType::Float4, Bson::Double(0.5), taken(0.5_f32.to_be_bytes())),
        (PgType::Float4, Bson::Double(0.1), range.clone()),
        (PgType::Float4, Bson::Int32((1 << 24) + 1), range),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(cell(ty, value.clone()), expected, "{value:?} as {ty}");
    }
}

/// Sign word, digit groups, weight and scale of a `numeric`.
fn numeric(weight: i16, sign: u16, scale: u16, groups: &[i16]) -> Vec<u8> {
    let head = [(groups.len() as i16).to_be_bytes(), weight.to_be_bytes(), sign.to_be_bytes(), scale.to_be_bytes()];
    head.into_iter().chain(groups.iter().map(|group| group.to_be_bytes())).flatten().collect()
}

#[test]
fn numeric_keeps_the_value_and_the_rest_what_it_does_not_show() {
    let money = PgType::Numeric(Some((6, 2)));
    let any = PgType::Numeric(None);
    let range = Err(RejectCode::NumberRange);
    let cases = [
        (any, decimal("1.50"), taken(numeric(0, 0, 2, &[1, 5_000]))),
        (any, decimal("1E+3"), kept(numeric(0, 0, 0, &[1_000]))),
        (any, decimal("-12345"), taken(numeric(1, 0x4000, 0, &[1, 2_345]))),
        (any, decimal("-0"), range.clone()),
        (any, decimal("0.00"), taken(numeric(0, 0, 2, &[]))),
        (any, decimal("NaN"), taken(numeric(0, 0xc000, 0, &[]))),
        (any, decimal("-Infinity"), taken(numeric(0, 0xf000, 0, &[]))),
        (any, Bson::Double(f64::INFINITY), kept(numeric(0, 0xd000, 0, &[]))),
        (any, Bson::Double(f64::NAN), kept(numeric(0, 0xc000, 0, &[]))),
        (any, Bson::Double(19.99), kept(numeric(0, 0, 2, &[19, 9_900]))),
        (any, Bson::Int64(70_000), kept(numeric(1, 0, 0, &[7]))),
        (money, decimal("1.50"), taken(numeric(0, 0, 2, &[1, 5_000]))),
        (money, decimal("1.5"), kept(numeric(0, 0, 2, &[1, 5_000]))),
        (money, decimal("1.505"), range.clone()),
        (money, decimal("10000"), range.clone()),
        (money, decimal("Infinity"), range),
        (money, Bson::Double(0.1), kept(numeric(-1, 0, 2, &[1_000]))),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(cell(ty, value.clone()), expected, "{value:?} as {ty}");
    }
    let widest = cell(any, decimal("9.999999999999999999999999999999999E+6144")).expect("fits");
    assert_eq!((widest.0.len(), widest.1), (8 + 2 * 10, true));
    assert!(cell(any, decimal("1E-6176")).is_ok_and(|(bytes, kept)| bytes[6..8] == 6_176_u16.to_be_bytes() && !kept));
}

#[test]
fn dates_are_exact_or_parked_and_never_clamped() {
    let micros = |millis: i64| ((millis - 946_684_800_000) * 1_000).to_be_bytes();
    let range = Err(RejectCode::TimeRange);
    // 4714-11-24 BC and 294276-12-31, PostgreSQL's ends; one millisecond past them.
    let (first, last) = (-210_866_803_200_000, 9_224_318_015_999_999);
    for ty in [PgType::TimestampTz, PgType::Timestamp] {
        assert_eq!(cell(ty, date(0)), taken(micros(0)));
        assert_eq!(cell(ty, date(first)), taken(micros(first)));
        assert_eq!(cell(ty, date(last)), taken(micros(last)));
        for outside in [first - 1, last + 1, i64::MIN, i64::MAX] {
            assert_eq!(cell(ty, date(outside)), range, "{outside}");
        }
    }
    assert_eq!(cell(PgType::Date, date(946_771_200_000)), taken(1_i32.to_be_bytes()));
    assert_eq!(cell(PgType::Date, date(946_771_200_001)), range);
    assert_eq!(cell(PgType::TimestampTz, "2000-01-01T00:00:01Z".into()), kept(1_000_000_i64.to_be_bytes()));
    assert_eq!(cell(PgType::TimestampTz, "yesterday".into()), Err(RejectCode::ColumnType));
    let stamp = Bson::Timestamp(Timestamp { time: 1, increment: 1 });
    assert_eq!(cell(PgType::TimestampTz, stamp), Err(RejectCode::ColumnType), "a timestamp is no date");
}

#[test]
fn text_ids_and_bytes_take_their_own_type() {
    let id = ObjectId::parse_str("65f0c1d2e3a4b5c6d7e8f901").expect("an id");
    let wrong = Err(RejectCode::ColumnType);
    let uuid = [7; 16];
    let cases = [
        (PgType::Text, "née".into(), taken("née")),
        (PgType::Text, "a\0b".into(), Err(RejectCode::NulCharacter)),
        (PgType::Text, Bson::Symbol("s".into()), wrong.clone()),
        (PgType::Text, Bson::ObjectId(id), wrong.clone()),
        (PgType::ObjectId, Bson::ObjectId(id), taken("65f0c1d2e3a4b5c6d7e8f901")),
        (PgType::ObjectId, "65f0c1d2e3a4b5c6d7e8f901".into(), wrong.clone()),
        (PgType::Bool, true.into(), taken([1])),
        (PgType::Bool, 1.into(), wrong.clone()),
        (PgType::Uuid, binary(BinarySubtype::Uuid, &uuid), taken(uuid)),
        (PgType::Uuid, binary(BinarySubtype::UuidOld, &uuid), wrong.clone()),
        (PgType::Uuid, binary(BinarySubtype::Uuid, &[7; 15]), wrong.clone()),
        (PgType::Uuid, "07070707-0707-0707-0707-070707070707".into(), kept(uuid)),
        (PgType::Bytea, binary(BinarySubtype::Generic, &[]), taken([])),
        (PgType::Bytea, binary(BinarySubtype::BinaryOld, &[1, 2]), kept([1, 2])),
        (PgType::Bytea, "AQI=".into(), wrong.clone()),
        (PgType::Text, Bson::Undefined, wrong.clone()),
        (PgType::Int4, Bson::MinKey, wrong),
    ];
    for (ty, value, expected) in cases {
        assert_eq!(cell(ty, value.clone()), expected, "{value:?} as {ty:?}");
    }
}

#[test]
fn jsonb_columns_read_like_json_and_the_rest_keeps_what_that_loses() {
    let one = |value: Bson| {
        let fields =
            row(&mapping(None, vec![column("v", PgType::Jsonb)], Beside::Rest), &doc! { "_id": 1, "v": value });
        fields.map(|fields| (json_of(&fields[1]).expect("a value"), json_of(&fields[2])))
    };
    let plain = doc! { "n": [1, 2.5, "x"], "l": 5_000_000_000_i64, "b": true };
    assert_eq!(one(plain.into()), Ok((json!({"n": [1, 2.5, "x"], "l": 5_000_000_000_i64, "b": true}), None)));
    let small = one(Bson::Array(vec![Bson::Document(doc! { "l": 5_i64 })])).expect("a row");
    assert_eq!(small, (json!([{"l": 5}]), Some(json!({"v": [{"l": {"$numberLong": "5"}}]}))));
    assert_eq!(one(Bson::MaxKey), Ok((json!({"$maxKey": 1}), None)));
    assert_eq!(one(Bson::Array(vec![])), Ok((json!([]), None)), "an empty array is not NULL");
}

#[test]
fn missing_null_required_and_default_are_told_apart() {
    let mut columns = vec![column("a", PgType::Int4), column("o.b", PgType::Text)];
    columns[0].required = true;
    columns[1].default = Some("\"none\"".into());
    let mapping = mapping(None, columns, Beside::Rest);
    let fields = row(&mapping, &doc! { "_id": 1, "a": 5 }).expect("a row");
    assert_eq!((fields[2].clone(), fields[3].clone()), (Some(b"none".to_vec()), None));
    let fields = row(&mapping, &doc! { "_id": 1, "a": 5, "o": { "b": Bson::Null, "c": 1 } }).expect("a row");
    assert_eq!(
        (fields[2].clone(), json_of(&fields[3])),
        (None, Some(json!({"o": {"b": null, "c": {"$numberInt": "1"}}})))
    );
    let fields = row(&mapping, &doc! { "_id": 1, "a": 5, "o": { "b": "x", "c": 1 } }).expect("a row");
    assert_eq!(json_of(&fields[3]), Some(json!({"o": {"c": {"$numberInt": "1"}}})));
    for document in [doc! { "_id": 1 }, doc! { "_id": 1, "a": Bson::Null }] {
        let rejection = row(&mapping, &document).expect_err("required");
        assert_eq!((rejection.code, &*rejection.path), (RejectCode::RequiredMissing, "/a"));
    }
}

#[test]
fn what_jsonb_cannot_hold_is_parked_without_exact_bytes_and_wrapped_beside_them() {
    let record = |document: &Document| RawDocumentBuf::try_from(document).expect("a document").into_bytes();
    let mut broken = record(&doc! { "_id": 1, "x": { "n~m": "a\u{7f}" } });
    for byte in broken.iter_mut().filter(|byte| **byte == 0x7f) {
        *byte = 0xff;
    }
    let mut twice = record(&doc! { "_id": 1, "x": { "a": 1, "b": 2 } });
    let at = twice.windows(2).rposition(|pair| pair == b"b\0").expect("the name");
    twice[at] = b'a';
    let cases = [
        (
            record(&doc! { "_id": 1, "x": ["\0"] }),
            RejectCode::NulCharacter,
            "/x/0",
            json!([{"$landfall": {"bytes": "AA=="}}]),
        ),
        (broken, RejectCode::InvalidUtf8, "/x/n~0m", json!({"n~m": {"$landfall": {"bytes": "Yf8="}}})),
        (twice, RejectCode::DuplicateMember, "/x/a", json!({"a": 2})),
    ];
    for (record, code, path, wrapped) in cases {
        for beside in [Beside::Doc, Beside::Rest] {
            let rejection = row_of(&mapping(None, vec![], beside), &record).expect_err("parked");
            assert_eq!((rejection.code, &*rejection.path), (code, path));
        }
        let fields = row_of(&mapping(None, vec![], Beside::DocAndRaw), &record).expect("a row");
        assert_eq!(json_of(&fields[1]).expect("a doc")["x"], wrapped);
        assert_eq!(fields[2].as_ref(), Some(&record));
    }
    // Dropped unseen, as from JSON: no column wants it.
    let nul = record(&doc! { "_id": 1, "x": "\0", "a": "y" });
    assert!(row_of(&mapping(None, vec![column("a", PgType::Text)], Beside::Nothing), &nul).is_ok());
    assert_eq!(
        row_of(&mapping(None, vec![], Beside::DocAndRaw), b"\x05\0\0\0").map_err(|r| r.code),
        Err(RejectCode::Malformed)
    );
}

#[test]
fn of_members_named_twice_the_last_counts_for_columns_and_rest_too() {
    let inner = doc! { "_id": 1, "dupA": { "b": "first", "d": 1 }, "dupB": { "c": 2 } };
    let record = expected::spoil(&inner);
    let columns = vec![column("dupX.b", PgType::Text), column("dupX.c", PgType::Int4)];
    let fields = row_of(&mapping(None, columns, Beside::RestAndRaw), &record).expect("a row");
    assert_eq!((&fields[1], &fields[2], &fields[3]), (&None, &Some(2_i32.to_be_bytes().to_vec()), &None));
}
