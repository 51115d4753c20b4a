//! Rows: what stands in each field, and that document → row → document is exact.

mod added;
mod children;

use crate::transform::RowPlan;
use landfall_schemas::ident::Ident;
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::{
    ColumnMapping, FieldPath, KeyFrom, KeySpec, Nothing, OnDrop, OnError, RecordFormat, Select, StreamMapping,
};
use landfall_schemas::offset::Version;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::RowSet;
use landfall_schemas::stream::{PartitionCount, SourceName, StreamName};
use landfall_schemas::table::{ColumnRole, TableColumn, TableShape};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

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

fn table(roles: &[(ColumnRole, PgType)]) -> TableShape {
    let columns = roles.iter().enumerate().map(|(n, (role, ty))| TableColumn {
        name: ident(&format!("c{n}")),
        ty: *ty,
        not_null: false,
        role: *role,
    });
    TableShape {
        schema: ident("public"),
        name: ident("t"),
        columns: columns.collect(),
        key_columns: 1,
        shared: None,
        indexes: Vec::new(),
        unique: Vec::new(),
    }
}

/// What the table keeps beside the mapped columns.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Rest,
    Nothing,
}

fn mapping(key: (&str, Option<PgType>), columns: Vec<ColumnMapping>, beside: Beside) -> StreamMapping {
    let mut roles = vec![(ColumnRole::Key, key.1.unwrap_or(PgType::Text))];
    roles.extend(columns.iter().enumerate().map(|(n, column)| (ColumnRole::Mapped(n), column.ty)));
    if columns.is_empty() {
        roles.push((ColumnRole::Doc, PgType::Jsonb));
    } else if beside == Beside::Rest {
        roles.push((ColumnRole::Rest, PgType::Jsonb));
    }
    roles.push((ColumnRole::Version, PgType::Int8));
    StreamMapping {
        name: StreamName::new("s").expect("a name"),
        source: SourceName::new("s").expect("a name"),
        select: Select::Whole,
        filter: None,
        format: RecordFormat::Json,
        key: KeySpec { from: KeyFrom::Field(FieldPath::parse(key.0).expect("a path")), column: ident("id"), ty: key.1 },
        partitions: PartitionCount::DEFAULT,
        table: table(&roles),
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

fn row(mapping: &StreamMapping, record: &str) -> Result<Vec<Option<Vec<u8>>>, Rejection> {
    let mut key = RecordKey::default();
    key_of(&mapping.key, record.as_bytes(), None, &mut key).expect("a key");
    row_of(mapping, key.as_bytes(), record)
}

fn row_of(mapping: &StreamMapping, key: &[u8], record: &str) -> Result<Vec<Option<Vec<u8>>>, Rejection> {
    let mut out = RowSet { buffer: b"before".to_vec(), ..RowSet::default() };
    let done = RowPlan::new(mapping).upsert(key, record.as_bytes(), VERSION, &mut out);
    if done.is_err() {
        assert_eq!(out.buffer, b"before", "an error leaves nothing behind");
    }
    done.map(|_| fields(&out.buffer[6..]))
}

/// The rest field as text, without its version byte.
fn rest(mapping: &StreamMapping, record: &str) -> Option<String> {
    let fields = row(mapping, record).expect("a row");
    let rest = fields[fields.len() - 2].clone();
    rest.map(|bytes| String::from_utf8(bytes[1..].to_vec()).expect("text"))
}

fn text(bytes: &str) -> Option<Vec<u8>> {
    Some(bytes.as_bytes().to_vec())
}

#[test]
fn a_landing_row_is_key_record_and_version() {
    let mapping = mapping(("id", None), vec![], Beside::Nothing);
    let record = r#"{ "id": 5.0, "a": [1, 2.50] }"#;
    let fields = row(&mapping, record).expect("a row");
    assert_eq!(fields, [text("n:5"), text(&format!("\u{1}{record}")), Some(77_i64.to_be_bytes().to_vec())]);
    let whole = row_of(&mapping, b"s:k", "[1]").expect("any value lands");
    assert_eq!(whole[1], text("\u{1}[1]"));
    for (record, code) in [
        (r#"{"id":1,"a":"\u0000"}"#, RejectCode::NulCharacter),
        (r#"{"id":1,"id":2}"#, RejectCode::DuplicateMember),
        (r#"{"id":1"#, RejectCode::Malformed),
    ] {
        assert_eq!(row_of(&mapping, b"n:1", record).expect_err(record).code, code);
    }
}

#[test]
fn columns_take_their_values_wherever_the_members_stand() {
    let columns = vec![column("name", PgType::Text), column("owner.id", PgType::Int8), column("at", PgType::Date)];
    let mapping = mapping(("id", None), columns, Beside::Rest);
    let expected = [
        text("s:k"),
        text("née"),
        Some(7_i64.to_be_bytes().to_vec()),
        Some(1_i32.to_be_bytes().to_vec()),
        text("\u{1}{\"owner\":{\"x\":[1 , 2]},\"extra\":1.50}"),
        Some(77_i64.to_be_bytes().to_vec()),
    ];
    for record in [
        r#"{"id":"k","name":"née","owner":{"x":[1 , 2],"id":7},"at":"2000-01-02","extra":1.50}"#,
        r#" { "at" : "2000-01-02" , "owner" : { "id" : 7.0 , "x" : [1 , 2] } , "extra" : 1.50 , "n\u0061me" : "n\u00e9e", "id" : "k" } "#,
    ] {
        assert_eq!(row(&mapping, record).expect("a row"), expected, "{record}");
    }
}

#[test]
fn the_rest_keeps_null_apart_from_missing_and_empty_apart_from_taken() {
    let columns = vec![column("a", PgType::Text), column("o.b", PgType::Text), column("o.p.c", PgType::Text)];
    let mapping = mapping(("id", None), columns, Beside::Rest);
    let cases = [
        (r#"{"id":"k","a":"x"}"#, None),
        (r#"{"id":"k","a":null}"#, Some(r#"{"a":null}"#)),
        (r#"{"id":"k","o":{"b":"x"}}"#, None),
        (r#"{"id":"k","o":{"b":"x","p":{"c":"y"}}}"#, None),
        (r#"{"id":"k","o":{"b":"x","p":{"c":"y","d":0}}}"#, Some(r#"{"o":{"p":{"d":0}}}"#)),
        (r#"{"id":"k","o":{"b":null,"p":{"c":"y"}}}"#, Some(r#"{"o":{"b":null}}"#)),
        (r#"{"id":"k","o":{}}"#, Some(r#"{"o":{}}"#)),
        (r#"{"id":"k","o":{ }, "z":1}"#, Some(r#"{"o":{ },"z":1}"#)),
        (r#"{"id":"k","o":{"p":{}}}"#, Some(r#"{"o":{"p":{}}}"#)),
        (r#"{"id":"k","o":{"b":"x","p":{}}}"#, Some(r#"{"o":{"p":{}}}"#)),
        (r#"{"id":"k","o":null}"#, Some(r#"{"o":null}"#)),
        (r#"{"id":"k","o":[{"b":1}]}"#, Some(r#"{"o":[{"b":1}]}"#)),
        (r#"{"id":"k","q\u0041":"\u00e9"}"#, Some(r#"{"q\u0041":"\u00e9"}"#)),
    ];
    for (record, expected) in cases {
        assert_eq!(rest(&mapping, record).as_deref(), expected, "{record}");
    }
}

#[test]
fn the_key_field_leaves_the_rest_only_when_its_column_gives_it_back() {
    let long = "k".repeat(2_000);
    let cases = [
        (None, r#""k""#.to_owned(), None),
        (None, r#""\u006b\\""#.to_owned(), None),
        (None, "5".to_owned(), None),
        (None, "5.0".to_owned(), Some("5.0".to_owned())),
        (None, "-0".to_owned(), Some("reject".to_owned())),
        (None, "true".to_owned(), None),
        (None, "[1]".to_owned(), Some("[1]".to_owned())),
        (None, format!("\"{long}\""), Some(format!("\"{long}\""))),
        (Some(PgType::Int8), "5".to_owned(), None),
        (Some(PgType::Int8), "5e0".to_owned(), Some("5e0".to_owned())),
        (Some(PgType::Text), r#""5""#.to_owned(), None),
        (Some(PgType::Uuid), r#""00112233-4455-6677-8899-aabbccddeeff""#.to_owned(), None),
        (
            Some(PgType::Uuid),
            r#""00112233-4455-6677-8899-AABBCCDDEEFF""#.to_owned(),
            Some(r#""00112233-4455-6677-8899-AABBCCDDEEFF""#.to_owned()),
        ),
        (
            Some(PgType::TimestampTz),
            r#""2024-01-01T00:00:00Z""#.to_owned(),
            Some(r#""2024-01-01T00:00:00Z""#.to_owned()),
        ),
    ];
    for (ty, id, kept) in cases {
        let mapping = mapping(("id", ty), vec![column("a", PgType::Text)], Beside::Rest);
        let record = format!("{{\"id\":{id}}}");
        if kept.as_deref() == Some("reject") {
            assert_eq!(row(&mapping, &record).expect_err("-0 in the rest").code, RejectCode::NumberRange);
        } else {
            assert_eq!(rest(&mapping, &record), kept.map(|raw| format!("{{\"id\":{raw}}}")), "{record}");
        }
    }
}

#[test]
fn typed_keys_are_decoded_and_other_types_are_parked() {
    let key = |ty, encoded: &str| {
        let mapping = mapping(("id", Some(ty)), vec![column("a", PgType::Text)], Beside::Nothing);
        row_of(&mapping, encoded.as_bytes(), "{}").map(|fields| fields[0].clone().expect("a key"))
    };
    assert_eq!(key(PgType::Int8, "n:5"), Ok(5_i64.to_be_bytes().to_vec()));
    assert_eq!(key(PgType::Text, r"s:a\\b"), Ok(br"a\b".to_vec()));
    assert_eq!(key(PgType::Bool, "T:"), Ok(vec![1]));
    assert_eq!(key(PgType::Uuid, "s:00112233-4455-6677-8899-aabbccddeeff").map(|bytes| bytes.len()), Ok(16));
    let cases = [
        (PgType::Int8, "s:5", RejectCode::KeyType, "string"),
        (PgType::Int4, "n:5000000000", RejectCode::KeyType, "number"),
        (PgType::Int8, "n:0.5", RejectCode::KeyType, "number"),
        (PgType::Text, "n:5", RejectCode::KeyType, "number"),
        (PgType::Text, "x:[]", RejectCode::KeyType, "array or object"),
        (PgType::Text, "h:00", RejectCode::KeyType, "key over 1024 bytes"),
        (PgType::Text, r"s:\0", RejectCode::NulCharacter, "string"),
        (PgType::Uuid, "s:secret", RejectCode::KeyType, "string"),
    ];
    for (ty, encoded, code, found) in cases {
        let rejection = key(ty, encoded).expect_err(encoded);
        assert_eq!((rejection.code, &*rejection.path, &*rejection.found), (code, "id", found), "{encoded}");
        assert!(!rejection.to_string().contains("secret"));
    }
}

#[test]
fn required_default_and_null_are_told_apart() {
    let mut columns = vec![column("a", PgType::Int4), column("o.b", PgType::Text)];
    columns[0].required = true;
    columns[1].default = Some("\"none\"".into());
    let mapping = mapping(("id", None), columns, Beside::Rest);
    let fields = row(&mapping, r#"{"id":1,"a":5}"#).expect("a row");
    assert_eq!((fields[1].clone(), fields[2].clone()), (Some(5_i32.to_be_bytes().to_vec()), text("none")));
    let fields = row(&mapping, r#"{"id":1,"a":5,"o":{"b":null}}"#).expect("a row");
    assert_eq!((fields[2].clone(), fields[3].clone()), (None, text("\u{1}{\"o\":{\"b\":null}}")));
    for (record, found, at) in [(r#"{"id":1}"#, "nothing", None), (r#"{"id":1,"a":null}"#, "null", Some(12))] {
        let rejection = row(&mapping, record).expect_err(record);
        assert_eq!(
            (rejection.code, &*rejection.path, &*rejection.expected, &*rejection.found, rejection.at),
            (RejectCode::RequiredMissing, "/a", "integer", found, at)
        );
    }
}

#[test]
fn a_rejection_names_path_and_offset_in_the_record() {
    let columns = vec![column("o.n", PgType::Int2), column("j", PgType::Jsonb)];
    let mapping = mapping(("id", None), columns, Beside::Rest);
    let reject = |record: &str| row_of(&mapping, b"n:1", record).expect_err(record);
    let wrong = reject(r#"{"id":1,"o":{"n":"secret"}}"#);
    assert_eq!((wrong.code, &*wrong.path, wrong.at), (RejectCode::ColumnType, "/o/n", Some(17)));
    assert!(!wrong.to_string().contains("secret"));
    let inside = reject(r#"{"id":1,"j":{"x":[0,-0]}}"#);
    assert_eq!((inside.code, &*inside.path, inside.at), (RejectCode::NumberRange, "/j/x/1", Some(20)));
    let left = reject(r#"{"id":1,"left":["\ud800"]}"#);
    assert_eq!((left.code, &*left.path), (RejectCode::LoneSurrogate, "/left/0"));
    let twice = reject(r#"{"id":1,"o":{"n":1,"\u006e":2}}"#);
    assert_eq!((twice.code, &*twice.path, twice.at), (RejectCode::DuplicateMember, "/o/n", Some(19)));
    for (record, found) in [("[1]", "array"), (" null", "null"), ("\"x\"", "string")] {
        let rejection = reject(record);
        assert_eq!((rejection.code, &*rejection.found), (RejectCode::NotAnObject, found));
    }
}

#[test]
fn without_a_rest_column_what_is_not_mapped_is_dropped_unseen() {
    let mapping = mapping(("id", None), vec![column("f", PgType::Float8)], Beside::Nothing);
    let fields = row(&mapping, r#"{"id":1,"f":-0.0,"x":"\u0000","y":-0}"#).expect("a row");
    assert_eq!(fields[1..], [Some((-0.0_f64).to_be_bytes().to_vec()), Some(77_i64.to_be_bytes().to_vec())]);
}

#[test]
fn a_delete_has_key_and_version_only() {
    let mapping = mapping(("id", Some(PgType::Int4)), vec![column("a", PgType::Text)], Beside::Rest);
    let mut plan = RowPlan::new(&mapping);
    let mut out = RowSet::default();
    let _ = plan.delete(b"n:9", VERSION, &mut out).expect("a row");
    let expected = [Some(9_i32.to_be_bytes().to_vec()), None, None, Some(77_i64.to_be_bytes().to_vec())];
    assert_eq!(fields(&out.buffer), expected);
    let before = out.buffer.clone();
    assert_eq!(plan.delete(b"s:9", VERSION, &mut out).expect_err("a string").code, RejectCode::KeyType);
    assert_eq!(out.buffer, before);
}

#[test]
fn a_plan_forgets_one_record_before_the_next() {
    let mapping = mapping(("id", None), vec![column("a", PgType::Text)], Beside::Rest);
    let mut plan = RowPlan::new(&mapping);
    let mut fresh = RowSet::default();
    let _ = RowPlan::new(&mapping).upsert(b"n:2", br#"{"id":2}"#, VERSION, &mut fresh).expect("a row");
    for before in [r#"{"id":1,"a":"x","left":[1]}"#, r#"{"id":1,"a":5,"left":1}"#, r#"{"id":1,"#] {
        let _ = plan.upsert(b"n:1", before.as_bytes(), VERSION, &mut RowSet::default());
        let mut out = RowSet::default();
        let _ = plan.upsert(b"n:2", br#"{"id":2}"#, VERSION, &mut out).expect("a row");
        assert_eq!(out.buffer, fresh.buffer, "after {before}");
    }
}

fn small_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn record() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::btree_map("[a-d]", small_value(), 0..5).prop_map(|map| map.into_iter().collect())
}

/// Puts `value` at a path, making the objects on the way.
fn put(into: &mut Value, path: &[String], value: Value) {
    let mut at = into;
    for part in path {
        if !at.is_object() {
            *at = json!({});
        }
        at = at.as_object_mut().expect("an object").entry(part.clone()).or_insert(Value::Null);
    }
    *at = value;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// Promise 14, with `jsonb` columns so that every value has a place. The way back shares no code with the way there.
    #[test]
    fn a_row_gives_its_document_back(
        mut record in record(),
        paths in prop::collection::vec(prop::collection::vec("[a-d]", 1..4), 0..5),
        id in prop_oneof![any::<i32>().prop_map(Value::from), "[k\\\\é\"]{0,4}".prop_map(Value::from), Just(json!(1.5)), Just(json!([1]))],
        pretty in any::<bool>(),
    ) {
        record.insert("id".into(), id.clone());
        let document = Value::Object(record);
        let text = if pretty { serde_json::to_string_pretty(&document) } else { serde_json::to_string(&document) }.expect("prints");
        // One column at a path that never exists keeps the mapping from being a landing one.
        let pointers: Vec<String> = paths.iter().map(|path| path.join(".")).chain(["never".to_owned()]).collect();
        let columns = pointers.iter().map(|path| column(path, PgType::Jsonb)).collect();
        let fields = row(&mapping(("id", None), columns, Beside::Rest), &text).expect("a row");

        let parse = |field: &Option<Vec<u8>>| field.as_ref().map(|bytes| serde_json::from_slice::<Value>(&bytes[1..]).expect("JSON"));
        let mut back = parse(&fields[fields.len() - 2]).unwrap_or_else(|| json!({}));
        let mut found: Vec<(&String, Value)> = pointers.iter().zip(&fields[1..]).filter_map(|(path, field)| Some((path, parse(field)?))).collect();
        found.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        for (path, value) in found {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            put(&mut back, &path, value);
        }
        if back.get("id").is_none() {
            put(&mut back, &["id".to_owned()], id);
        }
        prop_assert_eq!(back, document);
    }

    #[test]
    fn no_record_makes_a_plan_panic(text in "[\\[\\]{},:\"\\\\abid0-9.eE -]{0,30}", key in "[snxTF]:[a-z0-9\\\\]{0,4}") {
        let columns = vec![column("a.b", PgType::Text), column("a", PgType::Jsonb), column("b", PgType::Int4)];
        let _ = row_of(&mapping(("id", None), columns, Beside::Rest), key.as_bytes(), &text);
        let _ = row_of(&mapping(("id", None), vec![], Beside::Nothing), key.as_bytes(), &text);
    }
}
