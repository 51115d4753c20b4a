//! What no value stands for: missing, null and empty stay three, whichever of them needs no word in the rest.

use super::RowPlan;
use bson::RawDocumentBuf;
use landfall_schemas::mapping::{FieldPath, RecordFormat, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::row::RowSet;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

const VERSION: Version = Version(7);

/// The stream of a source: `a` and `o.b` say null by NULL, `l` says empty by no row.
fn mapping(source: &str, key: &str) -> StreamMapping {
    let folder = std::env::temp_dir().join(format!("landfall-nothing-{}-{source:.5}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let file = folder.join("landfall.yaml");
    let text = format!(
        "name: nothing\ntarget: {{ url: \"postgres://nobody@127.0.0.1/none\" }}\nsources: {{ s: {{ {source} }} }}\n\
         streams:\n  t:\n    source: s\n    {key}\n    columns: {{ a: {{ type: integer, none: \"null\" }}, b: {{ from: o.b, type: integer, \
         none: \"null\" }}, c: integer }}\n    children: {{ l: {{ value: integer, none: empty }}, m: {{ value: integer }} }}\n"
    );
    std::fs::write(&file, text).expect("a temporary file");
    let pipeline = crate::config::load(&file, &|_| None).unwrap_or_else(|error| panic!("{error}"));
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    pipeline.streams[0].clone()
}

/// A record's row, and those below it with their tables' numbers.
type Rows = (Vec<u8>, Vec<(u16, Vec<u8>)>);

/// Everything that the rows of a record hold.
fn rows(plan: &mut RowPlan, key: &[u8], record: &[u8]) -> Result<Rows, Rejection> {
    let mut set = RowSet::default();
    let encoded = plan.upsert(key, record, VERSION, &mut set)?.expect("no filter");
    let below = set.children.iter().map(|row| (row.table, set.buffer[row.fields.clone()].to_vec())).collect();
    Ok((set.buffer[encoded.fields].to_vec(), below))
}

/// Documents in which every field is missing, null, empty or there, in all ways at once.
fn documents() -> Vec<Value> {
    let scalar = [None, Some(Value::Null), Some(json!(5))];
    let inner = [
        None,
        Some(Value::Null),
        Some(json!({})),
        Some(json!({ "b": null })),
        Some(json!({ "b": 5 })),
        Some(json!({ "x": 1 })),
    ];
    let list = [None, Some(Value::Null), Some(json!([])), Some(json!([1]))];
    let mut all = Vec::new();
    for a in &scalar {
        for o in &inner {
            for c in &scalar {
                for l in &list {
                    for m in &list {
                        let mut document = Map::new();
                        for (name, value) in [("a", a), ("o", o), ("c", c), ("l", l), ("m", m)] {
                            if let Some(value) = value {
                                document.insert(name.to_owned(), value.clone());
                            }
                        }
                        all.push(Value::Object(document));
                    }
                }
            }
        }
    }
    all
}

fn rest(row: &[u8]) -> String {
    String::from_utf8_lossy(row).into_owned()
}

#[test]
fn no_two_json_records_become_the_same_rows() {
    let mut plan = RowPlan::new(&mapping("kind: json_document, path: x.json", "key: { type: text, name: k }"));
    let mut known = HashMap::new();
    for document in documents() {
        let found = rows(&mut plan, b"s:k", document.to_string().as_bytes()).expect("it fits");
        let earlier = known.insert(found, document.clone());
        assert_eq!(earlier, None, "and {document}");
    }
    let common = json!({ "a": null, "o": { "b": null }, "l": [] });
    let (row, _) = rows(&mut plan, b"s:k", common.to_string().as_bytes()).expect("it fits");
    assert!(!rest(&row).contains('{'), "what no value stands for needs no word: {}", rest(&row));
    let (row, _) = rows(&mut plan, b"s:k", b"{}").expect("it fits");
    assert!(rest(&row).contains(r#"{"$landfall.missing":["/a","/o","/l"]}"#), "{}", rest(&row));
}

#[test]
fn no_two_bson_documents_become_the_same_rows() {
    let source = "kind: mongodb, uri: \"mongodb://localhost\", database: d";
    let mut plan = RowPlan::new(&mapping(source, "key: { type: integer, name: k }"));
    let mut known = HashMap::new();
    for document in documents() {
        let mut bson = bson::Document::from_iter([("_id".to_owned(), bson::Bson::Int32(1))]);
        let fields = bson::serialize_to_document(&document).expect("a document");
        // Small integers as MongoDB's drivers store them.
        bson.extend(fields.into_iter().map(|(name, value)| (name, narrowed(value))));
        let bytes = RawDocumentBuf::try_from(&bson).expect("a document");
        let found = rows(&mut plan, b"n:1", bytes.as_bytes()).expect("it fits");
        let earlier = known.insert(found, document.clone());
        assert_eq!(earlier, None, "and {document}");
    }
}

fn narrowed(value: bson::Bson) -> bson::Bson {
    use bson::Bson;
    match value {
        Bson::Int64(number) => i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32),
        Bson::Array(items) => Bson::Array(items.into_iter().map(narrowed).collect()),
        Bson::Document(members) => {
            Bson::Document(members.into_iter().map(|(name, value)| (name, narrowed(value))).collect())
        }
        other => other,
    }
}

#[test]
fn a_record_that_really_has_our_word_for_missing_is_parked() {
    let mut plan = RowPlan::new(&mapping("kind: json_document, path: x.json", "key: { type: text, name: k }"));
    let record = json!({ "$landfall.missing": ["/a"], "a": 1, "o": {}, "l": [1] });
    let found =
        rows(&mut plan, b"s:k", record.to_string().as_bytes()).expect_err("it would read back as another record");
    assert_eq!((found.code, &*found.path), (RejectCode::DuplicateMember, "/$landfall.missing"));
}

#[test]
fn a_stream_that_wants_to_know_of_new_fields_stops_at_them_and_at_nothing_else() {
    for (source, key) in [
        ("kind: json_document, path: db.json", "key: { from: id, type: integer }"),
        ("kind: mongodb, uri: \"mongodb://127.0.0.1/\", database: d", "key: { type: integer }"),
    ] {
        let mut mapping = mapping(source, &format!("{key}\n    evolve: halt"));
        let try_on = |record: Value| {
            let mut plan = RowPlan::new(&mapping);
            match mapping.format {
                RecordFormat::Json => rows(&mut plan, b"n:1", record.to_string().as_bytes()),
                _ => rows(&mut plan, b"n:1", &bytes_of(&record)),
            }
        };
        let id = if key.contains("id") { "id" } else { "_id" };
        for known in [
            json!({ id: 1 }),
            json!({ id: 1, "a": null, "o": { "b": 1 }, "c": 2, "l": [1], "m": [] }),
            json!({ id: 1, "o": {} , "m": null }),
        ] {
            try_on(known).unwrap_or_else(|found| panic!("{source}: {found}"));
        }
        for (new, path) in
            [(json!({ id: 1, "x/y": 1 }), "/x~1y"), (json!({ id: 1, "o": { "b": 1, "new": null } }), "/o/new")]
        {
            let found = try_on(new).expect_err("a new field");
            assert_eq!((found.code, &*found.path), (RejectCode::NewField, path), "{source}");
        }
        mapping.columns[1].from = FieldPath::parse("o").expect("a path").into();
        mapping.columns[1].ty = PgType::Jsonb;
        mapping.table.columns[2].ty = PgType::Jsonb;
        let mut plan = RowPlan::new(&mapping);
        let whole = json!({ id: 1, "o": { "b": 1, "new": null } });
        let held = match mapping.format {
            RecordFormat::Json => rows(&mut plan, b"n:1", whole.to_string().as_bytes()),
            _ => rows(&mut plan, b"n:1", &bytes_of(&whole)),
        };
        assert!(held.is_ok(), "a column holds all of the object: {held:?}");
    }
}

fn bytes_of(record: &Value) -> Vec<u8> {
    let document = bson::Bson::try_from(record.clone()).expect("JSON is BSON");
    bson::serialize_to_vec(document.as_document().expect("an object")).expect("a document")
}
