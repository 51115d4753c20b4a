//! `deploy/docs/configuration.md`: every key of the configuration, from the published schema and in its order. Set LANDFALL_BLESS=1 to write
//! it anew. Defaults and examples of the schema are values that the schema itself takes.

use super::schema::{repository, schema};
use crate::cli::golden;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt::{self, Write as _};

const OPENING: &str = "# Configuration

<!-- Written by a test from schemas/landfall.schema.json; LANDFALL_BLESS=1 writes it anew. -->

Every key of `landfall.yaml`. Unknown keys are errors; all problems are told at once, with line and column. The file is YAML, and JSON is YAML.
Paths are relative to the directory of the file. `${NAME}` inside a text is an environment variable, put in after the file was read;
`$${` is `${` itself. Secrets may be given as `file:PATH`. Editors check and complete the file with
`# yaml-language-server: $schema=…/schemas/landfall.schema.json` in its first line. What the keys of a mapping do is told in
[Mapping](mapping.md).

In paths, words in capitals stand for names of your own. A default of — means: the key may be left out, and the meaning says what follows.

";

/// Where each section of the schema stands in a configuration.
const PLACES: [(&str, &str); 29] = [
    ("target", "target"),
    ("health", "target.health"),
    ("health_query", "target.health.query"),
    ("state", "state"),
    ("queue", "queue"),
    ("retention", "queue.retention"),
    ("http", "http"),
    ("http_tls", "http.tls"),
    ("hook", "hooks.N"),
    ("traces", "traces"),
    ("source_json_document", "sources.SOURCE"),
    ("source_json_lines", "sources.SOURCE"),
    ("source_json_directory", "sources.SOURCE"),
    ("source_mongodb", "sources.SOURCE"),
    ("source_sqlite", "sources.SOURCE"),
    ("operation", "sources.SOURCE.operation"),
    ("tls", "sources.SOURCE.tls"),
    ("snapshot", "sources.SOURCE.snapshot"),
    ("stream", "streams.STREAM"),
    ("stream_key_in_long", "streams.STREAM.key"),
    ("discriminator_in_long", "streams.STREAM.discriminator"),
    ("column_in_long", "streams.STREAM.columns.COLUMN"),
    ("parse_in_long", "streams.STREAM.columns.COLUMN.parse"),
    ("money", "streams.STREAM.columns.COLUMN.parse.money"),
    ("child", "streams.STREAM.children.CHILD"),
    ("element_key_in_long", "streams.STREAM.children.CHILD.key"),
    ("member_key", "streams.STREAM.children.CHILD.key"),
    ("value_in_long", "streams.STREAM.children.CHILD.value"),
    ("", ""),
];
/// Told by their kinds, one by one.
const ELSEWHERE: [&str; 2] = ["source", "source_of_any_kind"];

/// The members of an object in the order of the text.
struct Ordered(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Ordered;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ordered, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Ordered(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

impl Ordered {
    fn of(text: &str) -> Self {
        serde_json::from_str(text).expect("an object")
    }

    fn member(&self, name: &str) -> Option<Self> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, raw)| Self::of(raw.get()))
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// The schema, and its text for the order of things.
struct Book {
    schema: Value,
    order: Ordered,
}

impl Book {
    fn open() -> Self {
        let text = std::fs::read_to_string(repository().join("schemas/landfall.schema.json")).expect("the schema");
        Self { schema: schema(), order: Ordered::of(&text) }
    }

    fn section(&self, name: &str) -> &Value {
        if name.is_empty() { &self.schema } else { &self.schema["$defs"][name] }
    }

    /// Names of the sections that have keys, as the schema has them; the top is the empty name.
    fn sections(&self) -> Vec<String> {
        let defined = self.order.member("$defs").expect("definitions").names();
        let with_keys = defined.into_iter().filter(|name| self.section(name)["properties"].is_object());
        std::iter::once(String::new()).chain(with_keys).collect()
    }

    /// Keys of a section in the order of the schema.
    fn keys(&self, section: &str) -> Vec<String> {
        let top = || Ordered(self.order.0.iter().map(|(name, raw)| (name.clone(), raw.clone())).collect());
        let found = if section.is_empty() {
            Some(top())
        } else {
            self.order.member("$defs").and_then(|all| all.member(section))
        };
        found.and_then(|found| found.member("properties")).expect("keys").names()
    }

    /// What may stand for a key, in words.
    fn kind(&self, node: &Value) -> String {
        if let Some(name) = node["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
            return self.defined(name);
        }
        if let Some(words) = node["enum"].as_array() {
            let words = words.iter().filter(|word| !word.is_null()).map(|word| format!("`{}`", bare(word)));
            return words.collect::<Vec<_>>().join(", ");
        }
        if let Some(choices) = node["anyOf"].as_array() {
            let mut kinds: Vec<String> = Vec::new();
            for kind in choices.iter().filter(|choice| !refers(choice)).map(|choice| self.kind(choice)) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
            return kinds.join(", or ");
        }
        if !node["const"].is_null() {
            return format!("`{}`", bare(&node["const"]));
        }
        match (node["type"].as_str(), node["minimum"].as_u64(), node["maximum"].as_u64()) {
            (Some("string"), ..) => "text".to_owned(),
            (Some("integer"), Some(least), Some(most)) => format!("{least} to {most}"),
            (Some("array"), ..) => "list".to_owned(),
            (Some("object"), ..) => "map".to_owned(),
            (Some(kind), ..) => kind.to_owned(),
            (None, ..) => "a value".to_owned(),
        }
    }

    /// A definition by name: a section and a kind of value are linked, what is small is told.
    fn defined(&self, name: &str) -> String {
        let node = &self.schema["$defs"][name];
        if node["properties"].is_object() && !ELSEWHERE.contains(&name) {
            return format!("[{}](#{})", name.replace('_', " "), anchor(name));
        }
        format!("[{}](#kinds-of-values)", name.replace('_', " "))
    }

    fn example(&self, node: &Value) -> Option<Value> {
        let constant = Some(&node["const"]).filter(|value| !value.is_null());
        node["examples"].get(0).or(constant).cloned()
    }

    fn table(&self, section: &str, place: &str) -> String {
        let mut out = String::from("| key | type | default | meaning | example |\n|---|---|---|---|---|\n");
        let node = self.section(section);
        let required: Vec<&str> = node["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for key in self.keys(section) {
            let property = &node["properties"][&key];
            let path = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            let default = match (&property["default"], required.contains(&key.as_str())) {
                (_, true) => "required".to_owned(),
                (Value::Null, false) => "—".to_owned(),
                (value, false) => format!("`{}`", yaml(value)),
            };
            let meaning = property["description"].as_str().expect("every key is described");
            let example =
                self.example(property).map_or("see there".to_owned(), |value| format!("`{key}: {}`", yaml(&value)));
            let cells = [format!("`{path}`"), self.kind(property), default, meaning.to_owned(), example];
            let _ = writeln!(out, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
        out
    }

    /// Definitions without keys of their own.
    fn values(&self) -> String {
        let mut out = String::from("## Kinds of values\n\n| kind | what it is |\n|---|---|\n");
        for name in self.order.member("$defs").expect("definitions").names() {
            let node = self.section(&name);
            if !node["properties"].is_object() || ELSEWHERE.contains(&name.as_str()) {
                let words = node["anyOf"].as_array().into_iter().flatten().find(|choice| choice["enum"].is_array());
                let words = words.map(|choice| format!(" {}", self.kind(choice))).unwrap_or_default();
                let text = node["description"].as_str().expect("every definition is described");
                let _ = writeln!(out, "| {} | {}{words} |", name.replace('_', " "), text.replace('|', "\\|"));
            }
        }
        out
    }

    fn page(&self) -> String {
        let mut out = OPENING.to_owned();
        for section in self.sections().iter().filter(|name| !ELSEWHERE.contains(&name.as_str())) {
            let place = PLACES.iter().find(|(name, _)| name == section).map(|(_, place)| *place);
            let place = place.unwrap_or_else(|| panic!("where does `{section}` stand? PLACES does not say"));
            let heading = if section.is_empty() { "The file".to_owned() } else { section.replace('_', " ") };
            let text = self.section(section)["description"].as_str().expect("every section is described");
            let _ = write!(out, "## {heading}\n\n{text}\n\n{}\n", self.table(section, place));
        }
        out + &self.values()
    }
}

fn refers(node: &Value) -> bool {
    node["$ref"].as_str() == Some("#/$defs/reference")
}

fn anchor(name: &str) -> String {
    name.replace('_', "-")
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value as YAML on one line.
fn yaml(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c)) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{}: {}", yaml(&json!(name)), yaml(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[test]
fn the_book_tells_every_key_of_the_schema() {
    golden::check_in_repository("deploy/docs/configuration.md", &Book::open().page());
}

#[test]
fn defaults_and_examples_are_values_that_the_schema_takes() {
    let book = Book::open();
    let mut seen = 0;
    for section in book.sections() {
        for (key, node) in book.section(&section)["properties"].as_object().expect("keys") {
            let whole = json!({ "$defs": book.schema["$defs"], "allOf": [node] });
            let validator = jsonschema::draft202012::new(&whole).expect("a part of the schema is one");
            let examples = node["examples"].as_array().into_iter().flatten();
            for value in examples.chain(Some(&node["default"]).filter(|value| !value.is_null())) {
                assert!(validator.is_valid(value), "{section}.{key}: {value}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "the schema has examples: {seen}");
}

/// Where a description tells a default, the keyword tells the same.
#[test]
fn descriptions_and_defaults_agree() {
    let book = Book::open();
    for section in book.sections() {
        for (key, node) in book.section(&section)["properties"].as_object().expect("keys") {
            let Some(default) = node.get("default") else { continue };
            let text = node["description"].as_str().unwrap_or_default();
            let word = if default.is_object() { ".landfall".to_owned() } else { bare(default) };
            assert!(text.contains(&word), "{section}.{key}: the default {word} is not told: {text}");
        }
    }
}
