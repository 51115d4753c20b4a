//! `sources`: what each one is and how often it looks by itself.

use super::mongo;
use super::permission::Warning;
use super::pipeline::{SourceKind, SourceSpec};
use super::reference::resolve;
use super::section::{At, Reading, Section, advice};
use super::tree::{Entry, Node, Value};
use landfall_connectors::files::lines::LinesFormat;
use landfall_connectors::files::pattern::{InvalidPattern, Pattern};
use landfall_connectors::files::root::Symlinks;
use landfall_connectors::source::Cadence;
use landfall_connectors::sqlite::SqliteCapture;
use landfall_schemas::mapping::FieldPath;
use landfall_schemas::stream::SourceName;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

const KINDS: [&str; 5] = ["json_document", "json_lines", "json_directory", "mongodb", "sqlite"];
/// Shorter and a quiet source would burn a core.
const MIN_INTERVAL: Duration = Duration::from_millis(10);
/// Longer and a lost watch event would go unnoticed for a day.
const MAX_INTERVAL: Duration = Duration::from_secs(86_400);
/// How often a SQLite source with triggers reads everything all the same.
const FULL_PASS: Duration = Duration::from_secs(86_400);
const FULL_PASS_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
/// Most operation words.
const MAX_WORDS: usize = 64;

/// All sources, each with its place.
pub fn sources(
    root: &mut Section<'_>,
    pipeline: &str,
    secrets: &mut Vec<Warning>,
    reading: &mut Reading<'_>,
) -> Vec<At<SourceSpec>> {
    let example = "sources: { store: { kind: json_document, path: data/db.json } }";
    let Some(node) = root.need("sources", example, reading) else {
        return Vec::new();
    };
    let Value::Map(entries) = &node.value else {
        reading.problems.add(
            node.at,
            "sources must be a mapping from names to sources",
            "`store: { kind: …, path: … }`",
        );
        return Vec::new();
    };
    let mut read = |entry: &Entry| source(entry, pipeline, secrets, reading).map(|value| At { value, at: entry.at });
    entries.iter().filter_map(&mut read).collect()
}

fn source(entry: &Entry, pipeline: &str, secrets: &mut Vec<Warning>, reading: &mut Reading<'_>) -> Option<SourceSpec> {
    let name = SourceName::new(&entry.key);
    let name =
        name.map_err(|error| reading.problems.add(entry.at, "this is not a name for a source", error.to_string())).ok();
    let mut section = Section::open(&entry.node, &format!("sources.{}", super::section::shown(&entry.key)), reading)?;
    let kind = section.need("kind", "kind: json_document", reading).and_then(|node| reading.text(node, "kind"))?;
    let found = match kind.value.as_str() {
        "json_document" => one_file(&mut section, "json_document", "path: data/db.json", reading)
            .map(|(dir, file)| SourceKind::Document { dir, file }),
        "json_lines" => lines(&mut section, reading),
        "json_directory" => directory(&mut section, reading),
        "mongodb" => mongo::mongo(&mut section, pipeline, secrets, reading),
        "sqlite" => sqlite(&mut section, reading),
        other => {
            reading.problems.add(kind.at, "unknown kind of source", advice(other, &KINDS));
            return None;
        }
    };
    let cadence = match kind.value.as_str() {
        "mongodb" => Some(Cadence::default()),
        _ => cadence(&mut section, reading),
    };
    if let Some(node) = section.get("follow_symlinks")
        && reading.flag(node, "follow_symlinks") == Some(true)
    {
        let what = "links are followed with another key";
        reading.problems.add(node.at, what, "`symlinks: follow`");
    }
    let symlinks = symlinks(&mut section, reading);
    if section.get("key").is_some() {
        let at = section.key_place("key");
        reading.problems.add(at, "the key belongs to the stream, not to the source", "`key: …` under streams");
    }
    section.close(reading);
    Some(SourceSpec { name: name?, kind: found?, cadence: cadence?, symlinks: symlinks? })
}

/// Links are refused unless the configuration says otherwise, and one that leads out of the store's directory even then.
fn symlinks(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Symlinks> {
    let ways = [("refuse", Symlinks::Refuse), ("follow", Symlinks::Beneath)];
    section.get("symlinks").map_or(Some(Symlinks::Refuse), |node| reading.choice(node, "symlinks", &ways))
}

fn cadence(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Cadence> {
    let standard = Cadence::default();
    let rescan = section
        .get("rescan")
        .map_or(Some(standard.rescan), |node| reading.duration(node, "rescan", MIN_INTERVAL..=MAX_INTERVAL));
    let poll = section
        .get("poll")
        .map_or(Some(standard.poll), |node| reading.duration(node, "poll", MIN_INTERVAL..=MAX_INTERVAL));
    Some(Cadence { rescan: rescan?, poll: poll? })
}

fn path(section: &mut Section<'_>, example: &str, reading: &mut Reading<'_>) -> Option<At<String>> {
    let node = section.need("path", example, reading)?;
    let path = reading.text(node, "path")?;
    if path.value.contains('\0') {
        reading.problems.add(path.at, "a path may not hold U+0000", "another path");
        return None;
    }
    Some(path)
}

/// The directory and the name of the one file that a source is.
fn one_file(
    section: &mut Section<'_>,
    kind: &str,
    example: &str,
    reading: &mut Reading<'_>,
) -> Option<(PathBuf, PathBuf)> {
    let path = path(section, example, reading)?;
    let whole = resolve(&path.value, &reading.surroundings.base);
    let (Some(dir), Some(file), false) =
        (whole.parent(), whole.file_name(), path.value.ends_with(['/', '.']) || path.value.contains(['*', '?']))
    else {
        reading.problems.add(path.at, format!("a {kind} is exactly one file"), "the path of one file");
        return None;
    };
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    Some((dir.to_path_buf(), PathBuf::from(file)))
}

fn sqlite(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<SourceKind> {
    let file = one_file(section, "sqlite", "path: data/app.db", reading);
    let triggers = SqliteCapture::Triggers { full_pass: FULL_PASS };
    let ways = [("scan", SqliteCapture::Scan), ("triggers", triggers)];
    let capture =
        section.get("capture").map_or(Some(SqliteCapture::Scan), |node| reading.choice(node, "capture", &ways));
    let full_pass =
        section.get("full_pass").map(|node| (node.at, reading.duration(node, "full_pass", FULL_PASS_RANGE)));
    let capture = match (capture?, full_pass) {
        (SqliteCapture::Triggers { .. }, Some((_, full_pass))) => SqliteCapture::Triggers { full_pass: full_pass? },
        (SqliteCapture::Scan, Some((at, _))) => {
            let what = "full_pass says how often everything is read in spite of triggers, and there are none";
            reading.problems.add(at, what, "`capture: triggers` beside it, or no `full_pass`");
            return None;
        }
        (capture, None) => capture,
    };
    let (dir, file) = file?;
    Some(SourceKind::Sqlite { dir, file, capture })
}

fn lines(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<SourceKind> {
    let path = path(section, "path: \"logs/*.ndjson\"", reading);
    let envelope = section.get("envelope").map(|node| {
        reading.choice(node, "envelope", &[("none", LinesFormat::Record), ("debezium", LinesFormat::Debezium)])
    });
    let envelope_at = section.key_place("envelope");
    let operation = section.get("operation").map(|node| operation(node, reading));
    let envelope = match (envelope, operation) {
        (None, None) => Some(LinesFormat::Record),
        (Some(word), None) => word,
        (None, Some(operation)) => operation,
        (Some(word), Some(operation)) => {
            if matches!(word, Some(LinesFormat::Debezium)) {
                let what = "envelope: debezium says already where the operation stands";
                reading.problems.add(envelope_at, what, "either `envelope` or `operation`");
            }
            operation
        }
    };
    let path = path?;
    match Pattern::split(&path.value) {
        Ok((dir, pattern)) => {
            let dir = resolve_dir(&dir, reading);
            Some(SourceKind::Lines { dir, pattern, format: envelope? })
        }
        Err(error) => {
            refuse_pattern(&path, &error, reading);
            None
        }
    }
}

fn resolve_dir(dir: &Path, reading: &Reading<'_>) -> PathBuf {
    let base = &reading.surroundings.base;
    if dir == Path::new(".") { base.clone() } else { base.join(dir.strip_prefix(".").unwrap_or(dir)) }
}

fn refuse_pattern(text: &At<String>, error: &InvalidPattern, reading: &mut Reading<'_>) {
    let (what, instead) = match error {
        InvalidPattern::Empty => ("a path of json_lines ends in a file name or a glob", "`logs/*.ndjson`"),
        InvalidPattern::Parent => ("a glob stays below its directory", "a glob without `..`, like `**/*.json`"),
        InvalidPattern::Syntax(_) => ("this is not a glob", "`*`, `?`, `**`, `[a-z]` and `{a,b}` only in pairs"),
    };
    reading.problems.add(text.at, what, instead);
}

fn operation(node: &Node, reading: &mut Reading<'_>) -> Option<LinesFormat> {
    let mut section = Section::open(node, "operation", reading)?;
    let from = section.need("from", "from: op", reading).and_then(|node| field(node, reading));
    let delete = section.need("delete", "delete: [delete]", reading).and_then(|node| words(node, "delete", reading));
    let upsert =
        section.need("upsert", "upsert: [insert, update]", reading).and_then(|node| words(node, "upsert", reading));
    let upsert_at = section.key_place("upsert");
    let record = section.get("record").map(|node| field(node, reading));
    section.close(reading);
    let (delete, upsert) = (delete?, upsert?);
    if let Some(both) = delete.iter().find(|word| upsert.contains(word)) {
        let what = format!("`{}` stands in delete and in upsert", super::section::shown(both));
        reading.problems.add(upsert_at, what, "each word once");
        return None;
    }
    let record = match record {
        None => None,
        Some(found) => Some(found?),
    };
    Some(LinesFormat::Operation { field: from?, delete, upsert, record })
}

/// A path to a field.
pub fn field(node: &Node, reading: &mut Reading<'_>) -> Option<FieldPath> {
    let text = reading.text(node, "a field")?;
    match FieldPath::parse(&text.value) {
        Ok(path) => Some(path),
        Err(_) => {
            let advice = "`name.name`, or `/name/name` where names hold dots (~1 for /, ~0 for ~)";
            reading.problems.add(text.at, "this is not a path to a field", advice);
            None
        }
    }
}

/// One word, or a list of them.
fn words(node: &Node, what: &str, reading: &mut Reading<'_>) -> Option<Vec<String>> {
    if matches!(node.value, Value::Scalar { .. }) {
        return Some(vec![reading.text(node, what)?.value]);
    }
    let items = reading.list(node, what)?;
    if items.is_empty() || items.len() > MAX_WORDS {
        reading.problems.add(node.at, format!("{what} needs 1 to {MAX_WORDS} words"), "`[delete, d]`");
        return None;
    }
    let found: Vec<_> = items.iter().map(|item| reading.text(item, what).map(|text| text.value)).collect();
    found.into_iter().collect()
}

fn directory(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<SourceKind> {
    let path = path(section, "path: uploads", reading);
    let glob = match section.get("glob") {
        None => Some(At { value: "**/*.json".to_owned(), at: section.at }),
        Some(node) => reading.text(node, "glob"),
    };
    let (path, glob) = (path?, glob?);
    let pattern = Pattern::new(&glob.value).map_err(|error| refuse_pattern(&glob, &error, reading)).ok();
    if path.value.contains(['*', '?']) {
        let what = "the path of a json_directory is one directory";
        reading.problems.add(path.at, what, "the directory here, the glob in `glob`");
        return None;
    }
    Some(SourceKind::Directory { dir: resolve(&path.value, &reading.surroundings.base), pattern: pattern? })
}
