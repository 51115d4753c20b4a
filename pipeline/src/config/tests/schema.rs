//! The published JSON Schema (`schemas/landfall.schema.json`) says what the reader says: the same keys in every section, and every good
//! configuration is valid by it.

use super::validate;
use jsonschema::Validator;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// No section knows this key.
const UNKNOWN: &str = "zzzzzzzz";
/// What stands around the sections that a test does not look at.
const HEAD: &str = "name: x\ntarget: { url: \"postgres://localhost/x\" }\nstate: { dir: ./s }\n";
const STORE: &str = "sources: { s: { kind: json_document, path: a.json } }\n";

/// A definition of the schema, a configuration with a hole (`HOLE`) where one more key fits into that section, and keys that the reader
/// knows only to refuse them.
type Section = (&'static str, &'static str, &'static [&'static str]);

const REFUSED_IN_SOURCES: [&str; 2] = ["follow_symlinks", "key"];

const SECTIONS: [Section; 27] = [
    ("target", "name: x\ntarget: { url: \"postgres://localhost/x\" HOLE }\nstate: { dir: ./s }\nSTORE STREAM", &[]),
    (
        "health",
        "name: x\ntarget: { url: \"postgres://localhost/x\", health: { lock_waits: 1 HOLE } }\nstate: { dir: ./s }\nSTORE STREAM",
        &[],
    ),
    (
        "health_query",
        "name: x\ntarget: { url: \"postgres://localhost/x\", health: { query: { sql: SELECT 1, limit: 1 HOLE } } }\nstate: { dir: ./s }\nSTORE STREAM",
        &[],
    ),
    ("state", "name: x\ntarget: { url: \"postgres://localhost/x\" }\nstate: { dir: ./s HOLE }\nSTORE STREAM", &[]),
    ("queue", "HEAD queue: { max_bytes: 1GiB HOLE }\nSTORE STREAM", &[]),
    ("retention", "HEAD queue: { retention: { age: 1d HOLE } }\nSTORE STREAM", &[]),
    ("http", "HEAD http: { listen: 127.0.0.1:1 HOLE }\nSTORE STREAM", &[]),
    ("http_tls", "HEAD http: { listen: 127.0.0.1:1, tls: { cert: a, key: b HOLE } }\nSTORE STREAM", &[]),
    ("hook", "HEAD hooks: [{ on: [halted], post: \"https://h/\" HOLE }]\nSTORE STREAM", &[]),
    ("traces", "HEAD traces: { endpoint: \"https://h/\" HOLE }\nSTORE STREAM", &[]),
    (
        "source_json_document",
        "HEAD sources: { s: { kind: json_document, path: a.json HOLE } }\nSTREAM",
        &REFUSED_IN_SOURCES,
    ),
    ("source_json_lines", "HEAD sources: { s: { kind: json_lines, path: a.json HOLE } }\nSTREAM", &REFUSED_IN_SOURCES),
    (
        "source_json_directory",
        "HEAD sources: { s: { kind: json_directory, path: a HOLE } }\nSTREAM",
        &REFUSED_IN_SOURCES,
    ),
    (
        "source_mongodb",
        "HEAD sources: { s: { kind: mongodb, uri: \"mongodb://h/\", database: d HOLE } }\nSTREAM",
        &["follow_symlinks", "key", "path", "poll", "rescan"],
    ),
    ("source_sqlite", "HEAD sources: { s: { kind: sqlite, path: a.db HOLE } }\nSTREAM", &REFUSED_IN_SOURCES),
    (
        "operation",
        "HEAD sources: { s: { kind: json_lines, path: a, operation: { from: op, delete: d, upsert: u HOLE } } }\nSTREAM",
        &[],
    ),
    (
        "snapshot",
        "HEAD sources: { s: { kind: mongodb, uri: \"mongodb://h/\", database: d, snapshot: { readers: 1 HOLE } } }\nSTREAM",
        &[],
    ),
    ("stream", "HEAD STORE streams: { t: { source: s, key: id, columns: { a: text } HOLE } }", &[]),
    ("stream_key_in_long", "HEAD STORE streams: { t: { source: s, key: { from: id HOLE } } }", &[]),
    (
        "discriminator_in_long",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: text }, discriminator: { column: c HOLE } } }",
        &[],
    ),
    (
        "column_in_long",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: { type: text HOLE } } } }",
        &["transform"],
    ),
    (
        "parse_in_long",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: { type: date, parse: { pattern: \"%Y\" HOLE } } } } }",
        &[],
    ),
    (
        "money",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: { type: numeric, parse: { money: { decimal: \",\" HOLE } } } } } }",
        &[],
    ),
    (
        "child",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: text }, children: { c: { columns: { b: text } HOLE } } } }",
        &[],
    ),
    (
        "element_key_in_long",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: text }, children: { c: { key: { from: x HOLE }, columns: { b: text } } } } }",
        &[],
    ),
    (
        "member_key",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: text }, children: { c: { shape: map, key: { name: who HOLE }, columns: { b: text } } } } }",
        &[],
    ),
    (
        "value_in_long",
        "HEAD STORE streams: { t: { source: s, key: id, columns: { a: text }, children: { c: { value: { type: text HOLE } } } } }",
        &[],
    ),
];

pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(super) fn schema() -> Value {
    let text = std::fs::read_to_string(repository().join("schemas/landfall.schema.json")).expect("the schema");
    serde_json::from_str(&text).expect("the schema is JSON")
}

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).expect("the schema is one")
}

fn with(template: &str, hole: &str) -> String {
    let stream = "streams: { t: { source: s, key: id } }\n";
    let text = template.replace("HEAD ", HEAD).replace("STORE ", STORE).replace("STREAM", stream);
    text.replace(" HOLE", hole)
}

fn valid(validator: &Validator, yaml: &str) -> Result<(), String> {
    let value: Value = serde_saphyr::from_str(yaml).map_err(|error| error.to_string())?;
    let faults: Vec<String> =
        validator.iter_errors(&value).map(|fault| format!("{}: {fault}", fault.instance_path)).collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("; ")) }
}

/// The keys that the reader would rather have seen.
fn known(yaml: &str) -> BTreeSet<String> {
    let problems = validate(yaml).expect_err("an unknown key is a problem").reports();
    let asked = format!("unknown key `{UNKNOWN}`");
    let report = problems.iter().find(|report| report.problem.starts_with(&asked));
    let report = report.unwrap_or_else(|| panic!("{yaml}\nis not asked about its unknown key: {problems:?}"));
    let instead =
        report.instead.as_deref().and_then(|instead| instead.strip_prefix("one of ")).expect("a list of keys");
    instead.split(", ").map(str::to_owned).collect()
}

#[test]
fn every_section_has_the_keys_that_the_reader_knows() {
    let (schema, validator) = (schema(), validator());
    for (name, template, refused) in SECTIONS {
        let section = &schema["$defs"][name];
        let published: BTreeSet<String> =
            section["properties"].as_object().unwrap_or_else(|| panic!("{name}")).keys().cloned().collect();
        let slip = with(template, &format!(", {UNKNOWN}: 1"));
        let mut read = known(&slip);
        refused.iter().for_each(|word| assert!(read.remove(*word), "{name}: {word} is not even refused"));
        assert_eq!(published, read, "{name}");
        assert!(valid(&validator, &slip).is_err(), "{name}: an unknown key is no fault");
        let good = with(template, "");
        valid(&validator, &good).unwrap_or_else(|faults| panic!("{name}: {faults}\n{good}"));
    }
    let top = known(&format!("{}{UNKNOWN}: 1\n", with("HEAD STORE STREAM", "")));
    let published: BTreeSet<String> = schema["properties"].as_object().expect("keys").keys().cloned().collect();
    assert_eq!(published, top);
}

#[test]
fn columns_are_added_beside_a_rest_and_in_a_table_of_one_s_own_by_both() {
    let validator = validator();
    let stream =
        |more: &str| format!("{HEAD}{STORE}streams: {{ t: {{ source: s, key: id, evolve: add_column{more} }} }}\n");
    for (more, good) in [
        (", columns: { a: text }", true),
        (", columns: { a: text }, rest: extra", true),
        ("", false),
        (", columns: { a: text }, rest: false", false),
        (", columns: { a: text }, discriminator: kind", false),
    ] {
        let text = stream(more);
        assert_eq!(valid(&validator, &text).is_ok(), good, "{text}");
        assert_eq!(validate(&text).is_ok(), good, "{text}");
    }
}

#[test]
fn every_good_configuration_is_valid_by_it() {
    let validator = validator();
    let examples = std::fs::read_dir(repository().join("schemas/examples")).expect("examples");
    let mut seen = 0;
    for example in examples.map(|entry| entry.expect("an entry").path().join("landfall.yaml")) {
        let text = std::fs::read_to_string(&example).unwrap_or_else(|error| panic!("{}: {error}", example.display()));
        valid(&validator, &text).unwrap_or_else(|faults| panic!("{}: {faults}", example.display()));
        seen += 1;
    }
    assert!(seen >= 4, "the examples are there");
    valid(&validator, super::accepted::FULL).unwrap_or_else(|faults| panic!("{faults}"));
}
