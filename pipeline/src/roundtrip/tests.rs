//! Ten thousand pairs of a generated mapping and a generated document: what became rows comes back as the mapping's guarantee says,
//! or better.

use super::{Fidelity, Outcome, Trip, guarantees};
use landfall_schemas::mapping::StreamMapping;
use serde_json::{Map, Value, json};

/// Numbers from a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.roll(items.len() as u64) as usize]
    }
}

/// Fields that documents have and mappings may name, hard ones among them.
const FIELDS: [&str; 9] = ["a", "b", "c", "d", "e", "sp ace", "sla/sh", "til~de", "ünïcode"];
const TYPES: [&str; 14] = [
    "text",
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "double precision",
    "numeric",
    "numeric(12,3)",
    "date",
    "timestamptz",
    "uuid",
    "jsonb",
    "integer[]",
    "text[]",
];

/// A scalar as documents spell it; often one that `ty` takes.
fn scalar(dice: &mut Dice, ty: &str) -> &'static str {
    let fitting: &[&str] = match ty.trim_end_matches("[]") {
        "text" => &[r#""""#, r#""x""#, r#""née \u00e9 \ud83d\ude00""#, r#""tab\there""#, r#""\\N""#],
        "boolean" => &["true", "false"],
        "smallint" | "integer" | "bigint" => &["0", "7", "-1", "5.0", "3e2", "32767"],
        "double precision" => &["0.1", "-0", "1e300", "2.50", "1e-7"],
        "numeric" | "numeric(12,3)" => &["1", "1.50", "-3.125", "1e2", "0.001"],
        "date" => &[r#""2024-02-29""#],
        "timestamptz" => &[r#""2024-01-02T03:04:05+02:00""#, r#""2024-01-02T03:04:05.25Z""#],
        "uuid" => &[r#""6F9619FF-8B86-D011-B42D-00C04FC964FF""#, r#""6f9619ff-8b86-d011-b42d-00c04fc964ff""#],
        _ => &[r#"{"deep":{"er":[1,2.0,{"x":null}]}}"#, "[]", "{}", r#"[1,[2]]"#, "9007199254740993"],
    };
    if dice.one_in(12) {
        return dice.of(&[
            "null",
            "17",
            "1.25",
            r#""word""#,
            "true",
            "[]",
            "{}",
            r#"{"k":1}"#,
            "123456789012345678901234567890",
        ]);
    }
    dice.of(fitting)
}

/// A value of a column of this type.
fn value(dice: &mut Dice, ty: &str) -> String {
    if ty.ends_with("[]") && !dice.one_in(10) {
        let items: Vec<&str> = (0..dice.roll(4)).map(|_| scalar(dice, ty)).collect();
        return format!("[{}]", items.join(","));
    }
    scalar(dice, ty).to_owned()
}

/// A column of a mapping, and what it takes.
struct Column {
    path: Vec<&'static str>,
    ty: &'static str,
}

/// A table with what its values are made of.
struct Table {
    columns: Vec<Column>,
    children: Vec<Child>,
}

struct Child {
    name: &'static str,
    kind: &'static str,
    /// Of one value, for lists of values.
    value: &'static str,
    table: Table,
}

fn pointer(path: &[&str]) -> String {
    path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect()
}

fn column(dice: &mut Dice, path: &[&str], ty: &str) -> Value {
    let mut column = json!({ "from": pointer(path), "type": ty });
    if dice.one_in(8) && ty == "text" {
        column["normalize"] = json!(["lower"]);
        column["keep"] = json!(dice.one_in(2));
    } else if dice.one_in(10) && ty == "integer" {
        column["default"] = json!(3);
    } else if dice.one_in(4) {
        column["none"] = json!("null");
    }
    column
}

fn table(dice: &mut Dice, depth: u64, names: &mut u32) -> (Table, Map<String, Value>) {
    let (mut spec, mut columns, mut taken) = (Map::new(), Map::new(), Vec::new());
    let mut free: Vec<&'static str> = FIELDS.to_vec();
    for _ in 0..=dice.roll(5) {
        let first = free.remove(dice.roll(free.len() as u64) as usize);
        let path = if dice.one_in(3) { vec![first, dice.of(&["in", "a"])] } else { vec![first] };
        let ty = dice.of(&TYPES);
        *names += 1;
        columns.insert(format!("col{names}"), column(dice, &path, ty));
        taken.push(Column { path, ty });
    }
    spec.insert("columns".to_owned(), Value::Object(columns));
    spec.insert("rest".to_owned(), if dice.one_in(6) { json!(false) } else { json!("extra") });
    let (mut children, mut below) = (Vec::new(), Map::new());
    for _ in 0..if depth == 0 { 0 } else { dice.roll(3) } {
        let from = free.remove(dice.roll(free.len() as u64) as usize);
        *names += 1;
        let (child, spec) = child(dice, from, depth - 1, names);
        below.insert(format!("kid{names}"), Value::Object(spec));
        children.push(child);
    }
    if !below.is_empty() {
        spec.insert("children".to_owned(), Value::Object(below));
    }
    (Table { columns: taken, children }, spec)
}

fn child(dice: &mut Dice, from: &'static str, depth: u64, names: &mut u32) -> (Child, Map<String, Value>) {
    let kind = dice.of(&["keyed", "ordered", "placed", "map", "object", "values"]);
    let value = dice.of(&["text", "integer", "numeric"]);
    let (table, mut spec) = table(dice, depth, names);
    match kind {
        "keyed" => drop(spec.insert("key".to_owned(), json!("id"))),
        "ordered" => spec.extend([("key".to_owned(), json!("id")), ("order".to_owned(), json!("place"))]),
        "map" => drop(spec.insert("shape".to_owned(), json!("map"))),
        "object" => {
            spec.remove("rest");
            spec.insert("shape".to_owned(), json!("object"));
        }
        "values" => spec = Map::from_iter([("value".to_owned(), json!(value))]),
        _ => {}
    }
    if dice.one_in(3) && kind != "object" {
        spec.insert("none".to_owned(), json!("empty"));
    }
    spec.insert("from".to_owned(), json!(pointer(&[from])));
    (Child { name: from, kind, value, table }, spec)
}

/// A document for a table, now and then with more in it, or less, than the mapping knows.
fn document(dice: &mut Dice, table: &Table) -> Value {
    let mut members = Map::new();
    for column in &table.columns {
        if dice.one_in(6) {
            continue;
        }
        let value = raw(&value(dice, column.ty));
        match column.path[..] {
            [name] => drop(members.insert(name.to_owned(), value)),
            [outer, inner] => {
                let mut object = Map::from_iter([(inner.to_owned(), value)]);
                if dice.one_in(3) {
                    object.insert("beside".to_owned(), raw(scalar(dice, "numeric")));
                }
                members.insert(outer.to_owned(), Value::Object(object));
            }
            _ => {}
        }
    }
    for child in &table.children {
        if dice.one_in(6) {
            continue;
        }
        let value = if dice.one_in(8) { raw(dice.of(&["null", "[]", "{}"])) } else { nested(dice, child) };
        members.insert(child.name.to_owned(), value);
    }
    if dice.one_in(3) {
        members.insert("unmapped".to_owned(), raw(scalar(dice, dice_type(members.len()))));
    }
    Value::Object(members)
}

fn dice_type(number: usize) -> &'static str {
    TYPES[number % TYPES.len()]
}

fn nested(dice: &mut Dice, child: &Child) -> Value {
    let count = dice.roll(4);
    match child.kind {
        "object" => document(dice, &child.table),
        "map" => (0..count).map(|n| (format!("m/{n}"), document(dice, &child.table))).collect::<Map<_, _>>().into(),
        "values" => (0..count).map(|_| raw(scalar(dice, child.value))).collect(),
        _ => (0..count)
            .map(|n| {
                let mut element = document(dice, &child.table);
                element["id"] = if n == 1 { json!("1") } else { json!(9 - n) };
                element
            })
            .collect(),
    }
}

/// A value whose numbers keep their spelling: a text that stands for raw JSON until the document is written.
fn raw(json: &str) -> Value {
    Value::String(format!("\u{1}{json}\u{1}"))
}

/// The document's text, raw values in their places.
fn written(document: &Value, out: &mut String) {
    match document {
        Value::String(text) if text.starts_with('\u{1}') => out.push_str(text.trim_matches('\u{1}')),
        Value::Array(items) => {
            out.push('[');
            for (number, item) in items.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { "," });
                written(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (number, (name, value)) in members.iter().enumerate() {
                out.push_str(if number == 0 { "" } else { "," });
                out.push_str(&json!(name).to_string());
                out.push(':');
                written(value, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// As the configuration makes it.
fn mapping(folder: &std::path::Path, spec: &Map<String, Value>) -> StreamMapping {
    let mut stream = spec.clone();
    stream.extend([("source".to_owned(), json!("s")), ("key".to_owned(), json!("id"))]);
    let config = json!({
        "name": "pairs",
        "target": { "url": "postgres://nobody@127.0.0.1/none" },
        "sources": { "s": { "kind": "json_document", "path": "db.json" } },
        "streams": { "t": stream },
    });
    let file = folder.join("landfall.yaml");
    std::fs::write(&file, config.to_string()).expect("a temporary file");
    crate::config::load(&file, &|_| None).unwrap_or_else(|error| panic!("{config}: {error}")).streams[0].clone()
}

/// What is promised of a place: by its own guarantee, or by that of what it lies in.
fn promised(known: &[super::Guarantee], pointer: &str) -> Fidelity {
    let mut at = pointer;
    loop {
        if let Some(found) = known.iter().find(|one| one.pointer == at) {
            return found.fidelity;
        }
        match at.rfind('/') {
            Some(end) => at = &at[..end],
            None => return Fidelity::Exact,
        }
    }
}

#[derive(Default, Debug)]
struct Tally {
    parked: u32,
    same: u32,
    by_value: u32,
    lossy: u32,
}

#[test]
fn ten_thousand_pairs_come_back_as_promised_or_better() {
    let folder = std::env::temp_dir().join(format!("landfall-pairs-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let mut tally = Tally::default();
    for seed in 0..1_000 {
        let mut dice = Dice(seed);
        let (table, spec) = table(&mut dice, 2, &mut 0);
        let mapping = mapping(&folder, &spec);
        let known = guarantees(&mapping);
        let mut trip = Trip::new(&mapping);
        for number in 0..10 {
            let mut made = document(&mut dice, &table);
            made["id"] = json!(number);
            let mut text = String::new();
            written(&made, &mut text);
            let differences = match trip.of(text.as_bytes(), None) {
                Outcome::Parked(_) | Outcome::LeftOut => {
                    tally.parked += 1;
                    continue;
                }
                Outcome::Back(differences) => differences,
            };
            let worst = differences.iter().map(|one| one.fidelity).min().unwrap_or(Fidelity::Exact);
            match worst {
                Fidelity::Exact => tally.same += 1,
                Fidelity::ByValue => tally.by_value += 1,
                Fidelity::Lossy => tally.lossy += 1,
            }
            for one in differences {
                let promised = promised(&known, &one.pointer);
                let spec = Value::Object(spec.clone());
                assert!(
                    one.fidelity >= promised,
                    "seed {seed}: {one:?}, promised {promised:?}\n{spec}\n{text}\n{known:#?}"
                );
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
    // Each kind is there often enough to mean something.
    let enough = tally.parked > 500 && tally.same > 500 && tally.by_value > 500 && tally.lossy > 500;
    assert!(enough, "{tally:?}");
}
