//! `streams`: one stream, one table.

use super::child;
use super::column::{self, WrittenColumn};
use super::discriminator;
use super::evolve;
use super::key::{self, Landing};
use super::mongo;
use super::pipeline::{SourceKind, SourceSpec};
use super::place::Place;
use super::section::{At, Reading, Section, shown};
use super::table_layout::{self, Body, RawBytes, column_name};
use super::template::{self, NamePattern};
use super::tree::{Entry, Node, Value};
use landfall_schemas::expression::Expression;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::path::unescape;
use landfall_schemas::mapping::{ChildMapping, OnDrop, OnError, Select, StreamMapping};
use landfall_schemas::stream::{PartitionCount, StreamName};
use std::time::Duration;

/// A stream and the places that checks across streams need.
#[derive(Clone, Debug)]
pub struct WrittenStream {
    /// The stream.
    pub mapping: StreamMapping,
    /// How old a dead letter of it may become.
    pub max_parked_age: Option<Duration>,
    /// It is a pattern: a stream for every collection that matches.
    pub pattern: Option<NamePattern>,
    /// Its columns as written.
    pub columns: Vec<At<WrittenColumn>>,
    /// Those of tables below it that refer to others.
    pub below: Vec<(Ident, At<WrittenColumn>)>,
    /// Where its name stands.
    pub at: Place,
    /// Where `select` stands (else the name).
    pub select_at: Place,
    /// Where `table` stands (else the name).
    pub table_at: Place,
    /// `rest: false` drops fields.
    pub drops: Option<Place>,
}

/// What a stream is read against.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// The sources.
    pub sources: &'a [At<SourceSpec>],
    /// Names of all sources as written, readable or not.
    pub source_names: &'a [&'a str],
    /// Schema of the tables.
    pub schema: &'a Ident,
}

/// All streams.
pub fn streams(root: &mut Section<'_>, setting: Setting<'_>, reading: &mut Reading<'_>) -> Vec<WrittenStream> {
    let Some(node) = root.need("streams", "streams: { users: { source: store, key: id } }", reading) else {
        return Vec::new();
    };
    let Value::Map(entries) = &node.value else {
        reading.problems.add(node.at, "streams must be a mapping from names to streams", "`users: { source: … }`");
        return Vec::new();
    };
    if entries.is_empty() {
        reading.problems.add(node.at, "there is no stream", "at least one: `users: { source: store, key: id }`");
    }
    entries.iter().filter_map(|entry| stream(entry, setting, reading)).collect()
}

fn stream(entry: &Entry, setting: Setting<'_>, reading: &mut Reading<'_>) -> Option<WrittenStream> {
    let name = StreamName::new(&entry.key);
    if let Err(error) = &name {
        reading.problems.add(entry.at, "this is not a name for a stream", error.to_string());
    }
    let path = format!("streams.{}", shown(&entry.key));
    let mut section = Section::open(&entry.node, &path, reading)?;
    let source = source(&mut section, setting, reading);
    let kind = source.map(|source| &source.kind);
    let select = select(section.get("select"), kind, entry, reading);
    let has_children = section.has("children");
    let columns = section.get("columns").map(|node| column::columns(node, &path, has_children, reading));
    let landing = if columns.is_some() { Landing::Mapped } else { Landing::Whole };
    let filter = filter(section.get("filter"), reading);
    let key_node = section.get("key");
    // An unknown source was reported; what its keys may be is then unknown too.
    let key = (kind.is_some() || key_node.is_some()).then(|| key::key(key_node, kind, landing, entry.at, reading));
    let rest = rest(section.get("rest"), landing, entry.at, reading);
    let pattern = pattern(select.as_ref(), kind);
    let told = (entry.key.as_str(), select.as_ref(), pattern.as_ref());
    let discriminator = discriminator::read(section.get("discriminator"), told, reading);
    let table = table(&mut section, entry, pattern.as_ref(), reading);
    let on_error = on_error(section.get("on_error"), reading);
    let max_parked_age = parked_age(section.get("max_parked_age"), reading);
    let partitions = partitions(section.get("partitions"), reading);
    let evolve = evolve::read(section.get("evolve"), landing, reading);
    let raw = raw(&mut section, kind, landing, reading);
    let on_drop = on_drop(&mut section, kind, reading);
    let children_node = section.get("children");
    let (index_node, unique_node) = (section.get("indexes"), section.get("unique"));
    let (select_at, table_at) = (place(&section, "select", entry.at), place(&section, "table", entry.at));
    section.close(reading);

    let columns = settled(columns.unwrap_or_default(), kind);
    let plain: Vec<_> = columns.iter().map(|column| At { value: &column.value.column, at: column.at }).collect();
    let (key, rest) = (key.flatten()?, rest?);
    let drops = matches!(rest, Rest::Dropped(_)).then_some(rest.at());
    let body = match landing {
        Landing::Whole => Body::Landing,
        Landing::Mapped => Body::Mapped { columns: &plain, rest: rest.column() },
    };
    let keys = (discriminator?, &key);
    let mut table = table_layout::table((setting.schema.clone(), table?), keys, &body, raw?, reading)?;
    (table.indexes, table.unique) = table_layout::lists((index_node, unique_node), &table, reading)?;
    let above = child::Above::of(&table, kind?.format());
    let (children, below) = below(children_node, (&above, &path), (landing, &pattern), reading)?;
    let evolve = evolve?.beside(&table, reading)?;
    let mapping = StreamMapping {
        name: name.ok()?,
        source: source?.name.clone(),
        select: select?,
        filter: filter?,
        format: kind?.format(),
        key: key.value,
        partitions: partitions?,
        table,
        columns: columns.iter().map(|column| column.value.column.clone()).collect(),
        children,
        on_error: on_error?,
        on_drop: on_drop?,
        evolve,
    };
    Some(WrittenStream { mapping, max_parked_age, pattern, columns, below, at: entry.at, select_at, table_at, drops })
}

/// The tables of a pattern are named as its collections, unless they share one.
fn table(
    section: &mut Section<'_>,
    entry: &Entry,
    pattern: Option<&NamePattern>,
    reading: &mut Reading<'_>,
) -> Option<Ident> {
    match pattern {
        Some(pattern) if !section.has("discriminator") => template::table(section.get("table"), pattern, reading),
        _ => table_name(section.get("table"), entry, reading),
    }
}

/// Collections of MongoDB are named by patterns too.
fn pattern(select: Option<&Select>, kind: Option<&SourceKind>) -> Option<NamePattern> {
    match (select, kind) {
        (Some(Select::Collection(name)), Some(SourceKind::Mongo { .. })) => NamePattern::of(name),
        _ => None,
    }
}

/// Rows of a table have all its columns: NULL means null there.
fn settled(mut columns: Vec<At<WrittenColumn>>, kind: Option<&SourceKind>) -> Vec<At<WrittenColumn>> {
    if let Some(SourceKind::Sqlite { .. }) = kind {
        columns.iter_mut().for_each(|column| column.value.column.null_stands_for_null());
    }
    columns
}

fn filter(node: Option<&Node>, reading: &mut Reading<'_>) -> Option<Option<Expression>> {
    node.map_or(Some(None), |node| column::expression(node, "filter", reading).map(Some))
}

/// Columns of tables below that refer to others.
type Referring = Vec<(Ident, At<WrittenColumn>)>;

/// The tables below the stream's own.
fn below(
    node: Option<&Node>,
    (above, path): (&child::Above, &str),
    (landing, pattern): (Landing, &Option<NamePattern>),
    reading: &mut Reading<'_>,
) -> Option<(Vec<ChildMapping>, Referring)> {
    let Some(node) = node else { return Some(Default::default()) };
    if landing == Landing::Whole {
        let what = "a stream without columns keeps the whole record in `doc`";
        reading.problems.add(node.at, what, "`columns` beside `children`");
        return None;
    }
    if pattern.is_some() {
        let what = "the tables of a pattern have no tables below them in this version";
        reading.problems.add(node.at, what, "a stream for each collection, or no `children`");
        return None;
    }
    let mut referring = Vec::new();
    let children = child::children(node, path, (above, &mut referring), reading)?;
    Some((children, referring))
}

fn on_error(node: Option<&Node>, reading: &mut Reading<'_>) -> Option<OnError> {
    node.map_or(Some(OnError::Park), |node| {
        reading.choice(node, "on_error", &[("park", OnError::Park), ("halt", OnError::Halt)])
    })
}

/// How old a dead letter may become: a second at least; it is looked at every few seconds.
fn parked_age(node: Option<&Node>, reading: &mut Reading<'_>) -> Option<Duration> {
    const LEAST: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(3_650 * 86_400);
    reading.duration(node?, "max_parked_age", LEAST..=MOST)
}

fn partitions(node: Option<&Node>, reading: &mut Reading<'_>) -> Option<PartitionCount> {
    node.map_or(Some(PartitionCount::DEFAULT), |node| {
        let count = reading.number(node, "partitions", 1..=256)?;
        PartitionCount::new(u16::try_from(count).ok()?)
    })
}

/// `raw`: on by default where the whole document lands, because `jsonb` alone is not exact.
fn raw(
    section: &mut Section<'_>,
    kind: Option<&SourceKind>,
    landing: Landing,
    reading: &mut Reading<'_>,
) -> Option<RawBytes> {
    let node = section.get("raw");
    match (node, kind) {
        (None, Some(SourceKind::Mongo { .. })) if landing == Landing::Whole => Some(RawBytes::Kept),
        (None, _) => Some(RawBytes::Left),
        (Some(node), Some(SourceKind::Mongo { .. }) | None) => match reading.flag(node, "raw")? {
            true => Some(RawBytes::Kept),
            false => Some(RawBytes::Left),
        },
        (Some(_), Some(kind)) => {
            let what = format!("raw keeps the exact BSON beside a row, and the records of a {} are JSON", kind.name());
            reading.problems.add(section.key_place("raw"), what, "no `raw`");
            None
        }
    }
}

/// `on_drop`: only databases have something to drop.
fn on_drop(section: &mut Section<'_>, kind: Option<&SourceKind>, reading: &mut Reading<'_>) -> Option<OnDrop> {
    let Some(node) = section.get("on_drop") else { return Some(OnDrop::default()) };
    let of_files = kind.filter(|kind| !matches!(kind, SourceKind::Mongo { .. }));
    if let Some(kind) = of_files {
        let what =
            format!("on_drop is for collections: what vanishes from a {} is held by the deletion guard", kind.name());
        reading.problems.add(section.key_place("on_drop"), what, "no `on_drop`");
        return None;
    }
    let words = [("halt", OnDrop::Halt), ("delete", OnDrop::Delete), ("keep", OnDrop::Keep)];
    reading.choice(node, "on_drop", &words)
}

fn place(section: &Section<'_>, key: &str, otherwise: Place) -> Place {
    let at = section.key_place(key);
    if at == section.at { otherwise } else { at }
}

fn source<'a>(section: &mut Section<'_>, setting: Setting<'a>, reading: &mut Reading<'_>) -> Option<&'a SourceSpec> {
    let node = section.need("source", "source: store", reading)?;
    let word = reading.text(node, "source")?;
    let found = setting.sources.iter().find(|source| source.value.name.as_str() == word.value);
    if found.is_none() && !setting.source_names.contains(&word.value.as_str()) {
        let what = format!("there is no source `{}`", shown(&word.value));
        let names: Vec<_> = setting.source_names.to_vec();
        let instead =
            if names.is_empty() { "a source of `sources`".to_owned() } else { nearest_source(&word.value, &names) };
        reading.problems.add(word.at, what, instead);
    }
    found.map(|source| &source.value)
}

fn nearest_source(word: &str, names: &[&str]) -> String {
    match super::section::nearest(word, names) {
        Some(name) => format!("`{name}`"),
        None => format!("one of {}", names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ")),
    }
}

fn select(node: Option<&Node>, kind: Option<&SourceKind>, stream: &Entry, reading: &mut Reading<'_>) -> Option<Select> {
    if let Some(SourceKind::Mongo { .. }) = kind {
        return mongo::collection(node, stream, reading);
    }
    if let Some(SourceKind::Sqlite { .. }) = kind {
        let name = node.map_or_else(|| Some(stream.key.clone()), |node| Some(reading.text(node, "select")?.value));
        return name.map(Select::Collection);
    }
    let Some(node) = node else {
        return Some(Select::Whole);
    };
    let text = reading.text(node, "select")?;
    if let Some(kind @ (SourceKind::Lines { .. } | SourceKind::Directory { .. })) = kind {
        let what = format!("a {} has nothing to select: each of its records is whole", kind.name());
        reading.problems.add(text.at, what, "no `select`");
        return None;
    }
    let pointer = text.value.strip_prefix('/').map(|rest| rest.split('/').map(unescape).collect::<Result<Vec<_>, _>>());
    match pointer {
        Some(Ok(tokens)) => Some(Select::Pointer(tokens)),
        _ => {
            let instead = format!("`/{}` (a JSON pointer: ~1 for /, ~0 for ~)", shown(&text.value).replace('.', "/"));
            reading.problems.add(text.at, "select must be a JSON pointer", instead);
            None
        }
    }
}

fn table_name(node: Option<&Node>, entry: &Entry, reading: &mut Reading<'_>) -> Option<Ident> {
    let (name, at) = match node {
        None => (entry.key.clone(), entry.at),
        Some(node) => {
            let text = reading.text(node, "table")?;
            (text.value, text.at)
        }
    };
    if name.contains('.') {
        let what = format!(
            "`{}` cannot be a table: a dot separates schema and table, and the schema is target.schema",
            shown(&name)
        );
        reading.problems.add(at, what, "`table: NAME` without a dot");
        return None;
    }
    let ident = Ident::new(&name);
    ident
        .map_err(|error| {
            let what = format!("`{}` cannot be a table: {error}", shown(&name));
            reading.problems.add(at, what, "`table: NAME` with another name");
        })
        .ok()
}

enum Rest {
    Column(At<Ident>),
    Dropped(Place),
    Landing(Place),
}

impl Rest {
    fn at(&self) -> Place {
        match self {
            Self::Column(column) => column.at,
            Self::Dropped(at) | Self::Landing(at) => *at,
        }
    }

    fn column(&self) -> Option<At<Ident>> {
        match self {
            Self::Column(column) => Some(column.clone()),
            Self::Dropped(_) | Self::Landing(_) => None,
        }
    }
}

fn rest(node: Option<&Node>, landing: Landing, stream: Place, reading: &mut Reading<'_>) -> Option<Rest> {
    let default = |at: Place, reading: &mut Reading<'_>| {
        column_name("rest", at, reading).map(|value| Rest::Column(At { value, at }))
    };
    match (node, landing) {
        (None, Landing::Whole) => Some(Rest::Landing(stream)),
        (None, Landing::Mapped) => default(stream, reading),
        (Some(node), Landing::Whole) => {
            let what = "a stream without columns keeps the whole record in `doc`: there is no rest";
            reading.problems.add(node.at, what, "`columns`, or no `rest`");
            None
        }
        (Some(node), Landing::Mapped) => match &node.value {
            Value::Scalar { text, plain: true } if text == "false" => Some(Rest::Dropped(node.at)),
            Value::Scalar { text, plain: true } if text == "true" => default(node.at, reading),
            _ => {
                let name = reading.text(node, "rest")?;
                column_name(&name.value, name.at, reading).map(|value| Rest::Column(At { value, at: name.at }))
            }
        },
    }
}
