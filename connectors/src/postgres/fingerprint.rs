//! The fingerprint of a mapping: SHA-256 over everything that decides which bytes a record becomes.
//!
//! Stored with the stream; a mapping with another fingerprint is refused until an operator decides (invariant: a changed
//! mapping never writes over rows of the old one unseen). Its input is spelled out here, part by part and with lengths, so
//! that it does not move when a derive or a field's name does. `on_error` is not part of it: it changes no row.

use landfall_schemas::mapping::{
    ChildMapping, ChildShape, ColumnFrom, ColumnMapping, ElementKey, EpochUnit, KeyFrom, Normalizer, Nothing, Offset,
    Otherwise, Parse, RecordFormat, Select, SourceField, StreamMapping, ValueRule,
};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::table::TableShape;
use sha2::{Digest, Sha256};
use std::fmt::Display;

/// Version of this spelling.
const SPELLING: &str = "landfall mapping 1";

/// The fingerprint of `stream`.
pub fn of(stream: &StreamMapping) -> [u8; 32] {
    let mut hash = Spelled(Sha256::new());
    hash.part(SPELLING);
    hash.part(&stream.name).part(&stream.source).part(stream.partitions.get());
    match &stream.select {
        Select::Whole => hash.part("whole"),
        Select::Pointer(tokens) => {
            hash.part("pointer").part(tokens.len());
            tokens.iter().fold(&mut hash, |hash, token| hash.part(token))
        }
        Select::Collection(name) => hash.part("collection").part(name),
    };
    hash.part(match stream.format {
        RecordFormat::Json => "json",
        RecordFormat::Bson => "bson",
        RecordFormat::Sqlite => "sqlite",
    });
    match &stream.key.from {
        KeyFrom::Field(path) => hash.part("field").part(path),
        KeyFrom::Name => hash.part("name"),
        KeyFrom::Stem => hash.part("stem"),
        KeyFrom::Position => hash.part("position"),
        KeyFrom::Id => hash.part("_id"),
        KeyFrom::Composite(names) => names.iter().fold(hash.part("composite"), |hash, name| hash.part(name)),
    };
    hash.part(&stream.key.column).part(stream.key.ty.map_or_else(|| "tagged".to_owned(), PgType::config_name));
    spell_table(&mut hash, &stream.table, &stream.columns);
    // Streams without filter or tables below are spelled as before there were any.
    if let Some(filter) = &stream.filter {
        hash.part("filter").part(filter.text());
    }
    stream.children.iter().for_each(|child| spell_child(&mut hash, child));
    hash.0.finalize().into()
}

fn spell_table(hash: &mut Spelled, table: &TableShape, columns: &[ColumnMapping]) {
    hash.part(&table.schema).part(&table.name).part(table.key_columns);
    // Tables of one stream are spelled as before there were others.
    if let Some(value) = &table.shared {
        hash.part("shared").part(value);
    }
    hash.part(table.columns.len());
    for column in &table.columns {
        hash.part(&column.name)
            .part(column.ty.config_name())
            .part(column.not_null)
            .part(format_args!("{:?}", column.role));
    }
    hash.part(columns.len());
    for column in columns {
        hash.part(&column.name);
        match &column.from {
            ColumnFrom::Field(path) => hash.part(path),
            ColumnFrom::Computed(expression) => hash.part("computed").part(expression.text()),
        };
        hash.part(column.ty.config_name()).part(column.required);
        match &column.default {
            Some(default) => hash.part("default").part(default),
            None => hash.part("none"),
        };
        if column.none == Nothing::Null {
            hash.part("none is null");
        }
        // Columns without a rule are spelled as before there were rules.
        if let Some(rule) = &column.rule {
            spell(hash, rule);
        }
    }
}

fn spell_child(hash: &mut Spelled, child: &ChildMapping) {
    let from = child.from.as_ref().map_or_else(String::new, ToString::to_string);
    hash.part("child").part(from).part(format_args!("{:?}", child.element));
    match &child.shape {
        ChildShape::Array(ElementKey::Field(path, ty)) => {
            hash.part("field").part(path).part(ty.map_or_else(|| "tagged".to_owned(), PgType::config_name))
        }
        ChildShape::Array(ElementKey::Position) => hash.part("position"),
        ChildShape::Map => hash.part("map"),
        ChildShape::Object => hash.part("object"),
    };
    if child.none == Nothing::Empty {
        hash.part("none is empty");
    }
    spell_table(hash, &child.table, &child.columns);
    hash.part(child.children.len());
    child.children.iter().for_each(|child| spell_child(hash, child));
}

fn spell(hash: &mut Spelled, rule: &ValueRule) {
    hash.part("rule").part(rule.normalize.len());
    for step in &rule.normalize {
        hash.part(match step {
            Normalizer::Trim => "trim",
            Normalizer::CollapseSpace => "collapse_space",
            Normalizer::Lower => "lower",
            Normalizer::Upper => "upper",
            Normalizer::Nfc => "nfc",
            Normalizer::EmptyToNull => "empty_to_null",
        });
    }
    if let Some(list) = &rule.values {
        hash.part("values").part(list.listed.len());
        list.listed.iter().fold(&mut *hash, |hash, (spelling, stored)| hash.part(spelling).part(stored));
        hash.part(list.otherwise == Otherwise::Pass);
    }
    match &rule.parse {
        None => hash.part("as it is"),
        Some(Parse::Epoch(EpochUnit::Seconds)) => hash.part("epoch_s"),
        Some(Parse::Epoch(EpochUnit::Millis)) => hash.part("epoch_ms"),
        Some(Parse::Epoch(EpochUnit::Micros)) => hash.part("epoch_us"),
        Some(Parse::Iso(zone)) => hash.part("iso").part(east(*zone)),
        Some(Parse::Pattern(pattern, zone)) => hash.part("pattern").part(pattern).part(east(*zone)),
        Some(Parse::Number) => hash.part("number"),
        Some(Parse::Money(marks)) => {
            let group = marks.group.map_or_else(String::new, String::from);
            hash.part("money").part(marks.decimal).part(group)
        }
        Some(Parse::Text) => hash.part("text"),
    };
    hash.part(rule.source == SourceField::Kept);
}

fn east(zone: Option<Offset>) -> String {
    zone.map_or_else(|| "none".to_owned(), |Offset(seconds)| seconds.to_string())
}

struct Spelled(Sha256);

impl Spelled {
    fn part(&mut self, part: impl Display) -> &mut Self {
        let text = part.to_string();
        self.0.update((text.len() as u64).to_be_bytes());
        self.0.update(text.as_bytes());
        self
    }
}
