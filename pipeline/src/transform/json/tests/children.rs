//! Rows of tables below: document → rows → document is exact, and what parks a record.

use super::{VERSION, fields};
use crate::transform::RowPlan;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::row::RowSet;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// Tables below, in their order: tasks 0, steps 1, roles 2, tags 3, profile 4, beside 5.
const CONFIG: &str = r#"
name: nested
target: { url: "postgres://nobody@127.0.0.1/none" }
state: { dir: ./state }
sources: { store: { kind: json_document, path: projects.json } }
streams:
  projects:
    source: store
    key: { type: text, name: id }
    columns: { name: text }
    children:
      tasks:
        key: { from: id, type: text }
        order: place
        columns: { title: text, owner: { from: who.name, type: text } }
        children:
          steps: { columns: { label: text } }
          roles: { shape: map, key: { name: who }, columns: { role: text } }
      tags: { value: jsonb }
      profile: { shape: object, columns: { colour: text, deep: { from: a.b, type: jsonb } } }
      beside: { shape: object, from: /, columns: { note: jsonb } }
"#;

/// Read once: the cases of a property share it.
static MAPPING: LazyLock<StreamMapping> = LazyLock::new(mapping);

fn mapping() -> StreamMapping {
    let folder = std::env::temp_dir().join(format!(
        "landfall-children-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let file = folder.join("landfall.yaml");
    std::fs::write(&file, CONFIG).expect("a temporary file");
    let pipeline = crate::config::load(&file, &|_| None).expect("a good configuration");
    std::fs::remove_dir_all(&folder).expect("the folder is ours");
    pipeline.streams[0].clone()
}

type Fields = Vec<Option<Vec<u8>>>;

/// Rows of tables below, each with its table's number.
type Below = Vec<(u16, Fields)>;

fn rows_of(mapping: &StreamMapping, record: &Value) -> Result<(Fields, Below), (RejectCode, String)> {
    let mut set = RowSet::default();
    let record = record.to_string();
    let done = RowPlan::new(mapping).upsert(b"s:p", record.as_bytes(), VERSION, &mut set);
    let encoded = done.map_err(|rejection| {
        assert!(set.buffer.is_empty() && set.children.is_empty(), "an error leaves nothing behind");
        (rejection.code, rejection.path.to_string())
    })?;
    let encoded = encoded.expect("no filter");
    assert_eq!(encoded.children, 0..set.children.len() as u32);
    let below = set.children.iter().map(|row| (row.table, fields(&set.buffer[row.fields.clone()])));
    Ok((fields(&set.buffer[encoded.fields.clone()]), below.collect()))
}

fn text(field: &Option<Vec<u8>>) -> Option<String> {
    field.as_ref().map(|bytes| String::from_utf8(bytes.clone()).expect("text"))
}

fn document(field: &Option<Vec<u8>>) -> Option<Value> {
    field.as_ref().map(|bytes| serde_json::from_slice(&bytes[1..]).expect("JSON behind the version byte"))
}

fn place(field: &Option<Vec<u8>>) -> i32 {
    i32::from_be_bytes(field.as_deref().and_then(|bytes| bytes.try_into().ok()).expect("an integer"))
}

fn object(rest: &Option<Vec<u8>>) -> Map<String, Value> {
    match document(rest) {
        Some(Value::Object(members)) => members,
        None => Map::new(),
        Some(other) => panic!("a rest is an object, not {other}"),
    }
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        assert!(members.insert(name.to_owned(), value).is_none(), "{name} stands in a column and in the rest");
    }
}

/// The rows of one parent in one table: those whose first fields are its keys.
fn below<'r>(rows: &'r [(u16, Fields)], table: u16, keys: &[Option<Vec<u8>>]) -> Vec<&'r Fields> {
    let of_parent = rows.iter().filter(|(number, row)| *number == table && row.starts_with(keys));
    of_parent.map(|(_, row)| row).collect()
}

/// The document again, from its rows alone.
fn back(root: &Fields, rows: &[(u16, Fields)]) -> Value {
    let keys = &root[..1];
    let mut out = object(&root[2]);
    put(&mut out, "name", text(&root[1]).map(Value::String));
    let tags: Vec<Value> = below(rows, 3, keys).iter().map(|row| document(&row[2]).unwrap_or(Value::Null)).collect();
    put(&mut out, "tags", (!tags.is_empty()).then_some(Value::Array(tags)));
    if let [profile] = below(rows, 4, keys)[..] {
        let mut members = match out.remove("profile") {
            Some(Value::Object(left)) => left,
            _ => Map::new(),
        };
        put(&mut members, "colour", text(&profile[1]).map(Value::String));
        if let Some(deep) = document(&profile[2]) {
            let Value::Object(a) = members.entry("a").or_insert_with(|| json!({})) else { panic!("a is an object") };
            put(a, "b", Some(deep));
        }
        put(&mut out, "profile", Some(Value::Object(members)));
    }
    let [beside] = below(rows, 5, keys)[..] else { panic!("one row beside") };
    put(&mut out, "note", document(&beside[1]));
    let mut tasks: Vec<(i32, Value)> =
        below(rows, 0, keys).into_iter().map(|row| (place(&row[2]), task(row, rows))).collect();
    tasks.sort_by_key(|(place, _)| *place);
    let tasks: Vec<Value> = tasks.into_iter().map(|(_, task)| task).collect();
    put(&mut out, "tasks", (!tasks.is_empty()).then_some(Value::Array(tasks)));
    Value::Object(out)
}

fn task(row: &Fields, rows: &[(u16, Fields)]) -> Value {
    let mut out = object(&row[5]);
    put(&mut out, "id", text(&row[1]).map(Value::String));
    put(&mut out, "title", text(&row[3]).map(Value::String));
    if let Some(owner) = text(&row[4]) {
        let Value::Object(who) = out.entry("who").or_insert_with(|| json!({})) else { panic!("who is an object") };
        put(who, "name", Some(Value::String(owner)));
    }
    let mut steps: Vec<(i32, Value)> = Vec::new();
    for step in below(rows, 1, &row[..2]) {
        let mut members = object(&step[4]);
        put(&mut members, "label", text(&step[3]).map(Value::String));
        steps.push((place(&step[2]), Value::Object(members)));
    }
    assert!(steps.iter().zip(0..).all(|((place, _), n)| *place == n), "places are counted from 0");
    let steps: Vec<Value> = steps.into_iter().map(|(_, step)| step).collect();
    put(&mut out, "steps", (!steps.is_empty()).then_some(Value::Array(steps)));
    let mut roles = Map::new();
    for role in below(rows, 2, &row[..2]) {
        let mut members = object(&role[4]);
        put(&mut members, "role", text(&role[3]).map(Value::String));
        put(&mut roles, &text(&role[2]).expect("a name"), Some(Value::Object(members)));
    }
    put(&mut out, "roles", (!roles.is_empty()).then_some(Value::Object(roles)));
    Value::Object(out)
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c\"\\\\/~é ]{0,4}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{1}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text or null: what a column of text takes, and what it leaves.
fn words() -> impl Strategy<Value = Value> {
    prop_oneof![3 => "[a-z\"\\\\ é]{0,6}".prop_map(Value::from), 1 => Just(Value::Null)]
}

/// An object with some of these members and perhaps one that no column knows.
fn members(known: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let known: Vec<_> =
        known.into_iter().map(|(name, value)| prop::option::of(value).prop_map(move |v| (name, v))).collect();
    let unknown = prop::option::of(any_value());
    let made = (known, unknown).prop_map(|(known, unknown)| {
        let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let unknown = unknown.map(|value| ("other/~".to_owned(), value));
        Value::Object(known.chain(unknown).collect())
    });
    made.boxed()
}

/// A list or map that may also be empty or null.
fn perhaps(full: BoxedStrategy<Value>, empty: Value) -> BoxedStrategy<Value> {
    prop_oneof![4 => full, 1 => Just(empty), 1 => Just(Value::Null)].boxed()
}

fn record() -> impl Strategy<Value = Value> {
    let list =
        |of: BoxedStrategy<Value>| perhaps(prop::collection::vec(of, 1..4).prop_map(Value::from).boxed(), json!([]));
    let step = members(vec![("label", words().boxed())]);
    let role = members(vec![("role", words().boxed())]);
    let roles = prop::collection::btree_map("[a-b/~\\*]{0,2}", role, 1..3);
    let roles = perhaps(roles.prop_map(|map| Value::Object(map.into_iter().collect())).boxed(), json!({}));
    let who = members(vec![("name", words().boxed())]);
    let task = members(vec![("title", words().boxed()), ("who", who), ("steps", list(step)), ("roles", roles)]);
    let tasks = list(task).prop_map(|mut tasks| {
        for (number, task) in tasks.as_array_mut().into_iter().flatten().enumerate() {
            task["id"] = json!(format!("t{}", number * 7 % 5));
        }
        tasks
    });
    let a = members(vec![("b", any_value().boxed())]);
    let profile = members(vec![("colour", words().boxed()), ("a", a)]);
    let profile = perhaps(profile, json!({}));
    members(vec![
        ("name", words().boxed()),
        ("tasks", tasks.boxed()),
        ("tags", list(any_value().boxed())),
        ("profile", profile),
        ("note", any_value().boxed()),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn documents_come_back_from_their_rows_exactly(record in record()) {
        let (root, rows) = rows_of(&MAPPING, &record).expect("every value fits");
        prop_assert_eq!(back(&root, &rows), record);
    }
}

#[test]
fn what_a_table_below_cannot_be_made_of_is_told_with_its_place() {
    let parked = |record: Value| rows_of(&MAPPING, &record).map(drop).expect_err("it cannot be mapped");
    assert_eq!(parked(json!({ "tasks": {} })), (RejectCode::ChildShape, "/tasks".to_owned()));
    assert_eq!(parked(json!({ "tasks": [[]] })), (RejectCode::ChildShape, "/tasks/0".to_owned()));
    assert_eq!(parked(json!({ "tasks": [{ "id": "a" }, {}] })), (RejectCode::KeyMissing, "/tasks/1/id".to_owned()));
    assert_eq!(parked(json!({ "tasks": [{ "id": 5 }] })), (RejectCode::KeyType, "/tasks/0/id".to_owned()));
    let twice = json!({ "tasks": [{ "id": "a" }, { "id": "b" }, { "id": "a" }] });
    assert_eq!(parked(twice), (RejectCode::DuplicateChild, "/tasks/2/id".to_owned()));
    let deep = json!({ "tasks": [{ "id": "a", "roles": { "somebody": { "role": [1] } } }] });
    assert_eq!(parked(deep), (RejectCode::ColumnType, "/tasks/0/roles/*/role".to_owned()));
    assert_eq!(
        parked(json!({ "tasks": [{ "id": "a", "steps": 1 }] })),
        (RejectCode::ChildShape, "/tasks/0/steps".to_owned())
    );
    assert_eq!(parked(json!({ "profile": "red" })), (RejectCode::ChildShape, "/profile".to_owned()));
    assert_eq!(parked(json!({ "profile": { "colour": 1 } })), (RejectCode::ColumnType, "/profile/colour".to_owned()));
}
