//! The sources: there, readable, of the shape the streams expect, with keys in their first records.
//!
//! Looks at beginnings, never at all of a store, and reads through the same confined lookups as the sources do. Values are
//! never shown: only counts, kinds and places.

use super::finding::Finding;
use super::round_trip;
use crate::config::{SourceKind, SourceSpec};
use landfall_connectors::files::lines::LinesFormat;
use landfall_connectors::files::pattern::Pattern;
use landfall_connectors::files::root::{Listing, OpenError, Root};
use landfall_schemas::mapping::{FieldPath, KeyFrom, Select, StreamMapping};
use serde_json::Value;
use std::io::Read;
use std::path::Path;

/// Most bytes of one file that are looked at.
const MOST_BYTES: u64 = 64 << 20;
/// Most records whose keys are looked for.
const MOST_RECORDS: usize = 100;
/// Most records whose rows are made and read back.
const MOST_SAMPLES: usize = 10_000;
/// Bytes of a log that are looked at: its first lines.
const LINES_BYTES: u64 = 1 << 20;

pub(super) fn look(source: &SourceSpec, streams: &[&StreamMapping]) -> Vec<Finding> {
    let name = source.name.as_str();
    let Some(dir) = source.kind.dir() else { return Vec::new() };
    let root = match Root::open(dir, source.symlinks) {
        Ok(root) => root,
        Err(error) => {
            let advice = match error.code() {
                "missing" => "is the store mounted, and is the path relative to the configuration file?",
                "unreadable" => "give this user the right to read and enter the directory",
                _ => "a Linux kernel of 5.6 or later, and a sandbox that lets openat2 through",
            };
            return vec![Finding::fail(name, error.code(), error.to_string()).suggest(advice)];
        }
    };
    match &source.kind {
        SourceKind::Document { file, .. } => document(name, &root, file, streams),
        SourceKind::Lines { pattern, format, .. } => lines(name, &root, (pattern, format), streams),
        SourceKind::Directory { pattern, .. } => directory(name, &root, pattern, streams),
        SourceKind::Sqlite { file, capture, .. } => super::sqlite::look(name, &root, (file, *capture), streams),
        SourceKind::Mongo { .. } => Vec::new(),
    }
}

fn read(name: &str, root: &Root, file: &Path, most: u64) -> Result<(Vec<u8>, u64), Finding> {
    let shown = root.path().join(file);
    let shown = shown.display();
    let refused =
        |code, what: String| Finding::fail(name, code, what).suggest("the path of a regular file this user may read");
    let (handle, stat) = root.open_file(file).map_err(|error| match error {
        OpenError::Missing => refused("missing", format!("{shown} is not there")),
        OpenError::Skipped(reason) => refused(reason.name(), format!("{shown} is not read: {}", reason.name())),
        OpenError::Unreadable(errno) => refused("unreadable", format!("{shown} cannot be read: {errno}")),
    })?;
    let mut bytes = Vec::new();
    let read = handle.take(most).read_to_end(&mut bytes);
    read.map_err(|error| refused("unreadable", format!("{shown} cannot be read: {}", error.kind())))?;
    Ok((bytes, stat.size))
}

fn document(name: &str, root: &Root, file: &Path, streams: &[&StreamMapping]) -> Vec<Finding> {
    let (bytes, size) = match read(name, root, file, MOST_BYTES) {
        Ok(read) => read,
        Err(finding) => return vec![finding],
    };
    let path = root.path().join(file);
    if size > MOST_BYTES {
        let message = format!("{} has {} and was not looked into", path.display(), crate::status::measure::bytes(size));
        return vec![Finding::pass(name, "store_large", message)];
    }
    let value: Value = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(error) => {
            let message = format!("{} is not JSON at line {} column {}", path.display(), error.line(), error.column());
            let advice = "if the file is being written just now, check again; landfall waits for a whole revision";
            return vec![Finding::fail(name, "unparsable", message).suggest(advice)];
        }
    };
    let mut findings = vec![Finding::pass(name, "store_readable", format!("{} is {}", path.display(), shape(&value)))];
    for stream in streams {
        findings.push(selected(stream, &value));
        let samples = round_trip::samples(&bytes, &stream.select, MOST_SAMPLES);
        if !samples.is_empty() {
            findings.extend(round_trip::look(stream, &samples));
        }
    }
    findings
}

fn selected(stream: &StreamMapping, document: &Value) -> Finding {
    let name = stream.name.as_str();
    let found = match &stream.select {
        Select::Whole => Some(document),
        Select::Pointer(tokens) => tokens.iter().try_fold(document, |value, token| match value {
            Value::Object(members) => members.get(token),
            Value::Array(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        }),
        Select::Collection(_) => None,
    };
    match found {
        None => Finding::fail(name, "select_missing", "nothing stands at `select`")
            .suggest("the JSON pointer of an array or map of records"),
        Some(Value::Array(_)) if stream.key.from == KeyFrom::Name => {
            Finding::fail(name, "key_missing", "an array of records has no names that could be keys")
                .suggest("key: FIELD")
        }
        Some(Value::Array(items)) => records(name, &stream.key.from, items.len(), items.iter()),
        Some(Value::Object(members)) => records(name, &stream.key.from, members.len(), members.values()),
        Some(other) => Finding::fail(name, "select_shape", format!("`select` leads to {}", shape(other)))
            .suggest("the JSON pointer of an array or map of records"),
    }
}

fn records<'v>(stream: &str, key: &KeyFrom, total: usize, records: impl Iterator<Item = &'v Value>) -> Finding {
    let seen: Vec<_> = records.take(MOST_RECORDS).collect();
    let strangers = seen.iter().filter(|record| !record.is_object()).count();
    let keyless = match key {
        KeyFrom::Field(path) => seen.iter().filter(|record| !has(record, path)).count(),
        KeyFrom::Name | KeyFrom::Stem | KeyFrom::Position | KeyFrom::Id | KeyFrom::Composite(_) => 0,
    };
    let first = seen.len();
    if keyless > 0 {
        let message = format!("{keyless} of the first {first} records have no key: they would be parked");
        return Finding::fail(stream, "key_missing", message).suggest("the field that every record has, in `key`");
    }
    if strangers > 0 {
        let message = format!("{strangers} of the first {first} records are not objects");
        return Finding::warn(stream, "not_an_object", message)
            .suggest("what cannot be mapped is parked: is `select` right?");
    }
    if first == 0 {
        return Finding::warn(stream, "no_records", "there is no record yet").suggest("is `select` right?");
    }
    Finding::pass(stream, "records_seen", format!("records: {total}, the first {first} have their keys"))
}

/// Whether a record has a value that can be a key.
fn has(record: &Value, path: &FieldPath) -> bool {
    let found = path.parts().iter().try_fold(record, |value, part| value.as_object()?.get(part));
    found.is_some_and(|value| !value.is_null())
}

fn list(name: &str, root: &Root, pattern: &Pattern) -> Result<Listing, Finding> {
    root.list(pattern.depth(), &mut |path| pattern.matches(path)).map_err(|error| {
        Finding::fail(name, error.code(), format!("{} cannot be listed: {}", root.path().display(), error.errno))
            .suggest("give this user the right to read and enter the directory")
    })
}

fn listed(name: &str, root: &Root, listing: &Listing) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = listing.files.len();
    let message = format!("{}: files that match: {count}", root.path().display());
    findings.push(if count == 0 {
        Finding::warn(name, "no_files", message).suggest("files that come later are read; is the glob right?")
    } else {
        Finding::pass(name, "files_seen", message)
    });
    if let Some(first) = listing.skipped.first() {
        let message = format!(
            "{} matching names are not read, the first: {} ({})",
            listing.skipped.len(),
            first.path.display(),
            first.reason.name()
        );
        findings.push(
            Finding::warn(name, "files_skipped", message).suggest("only regular files beneath the directory are read"),
        );
    }
    if let Some(first) = listing.unreadable.first() {
        let message =
            format!("{} places cannot be looked into, the first: {}", listing.unreadable.len(), first.path.display());
        findings.push(
            Finding::fail(name, "unreadable", message).suggest("give this user the right to read and enter them"),
        );
    }
    findings
}

fn lines(
    name: &str,
    root: &Root,
    (pattern, format): (&Pattern, &LinesFormat),
    streams: &[&StreamMapping],
) -> Vec<Finding> {
    let listing = match list(name, root, pattern) {
        Ok(listing) => listing,
        Err(finding) => return vec![finding],
    };
    let mut findings = listed(name, root, &listing);
    let plain = listing.files.iter().find(|file| file.path.extension().is_none_or(|extension| extension != "gz"));
    if let Some(file) = plain {
        match read(name, root, &file.path, LINES_BYTES) {
            Ok((bytes, _)) => {
                findings.push(first_lines(name, &file.path, &bytes, streams));
                if matches!(format, LinesFormat::Record) {
                    findings.extend(streams.iter().flat_map(|stream| lines_back(stream, &bytes)));
                }
            }
            Err(finding) => findings.push(finding),
        }
    }
    findings
}

/// What the rows of the first whole lines give back.
fn lines_back(stream: &StreamMapping, bytes: &[u8]) -> Vec<Finding> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let whole = memchr::memrchr(b'\n', bytes).map_or(&bytes[..0], |end| &bytes[..end]);
    let lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let lines = round_trip::spread(lines.collect(), MOST_SAMPLES);
    let samples: Vec<_> = lines.map(|(number, text)| round_trip::Sample { number, text, name: None }).collect();
    if samples.is_empty() { Vec::new() } else { round_trip::look(stream, &samples) }
}

fn first_lines(name: &str, file: &Path, bytes: &[u8], streams: &[&StreamMapping]) -> Finding {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    // What stands behind the last line end is not a line yet.
    let whole = memchr::memrchr(b'\n', bytes).map_or(&bytes[..0], |end| &bytes[..end]);
    let texts: Vec<_> =
        whole.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(MOST_RECORDS).collect();
    let broken = texts.iter().position(|line| serde_json::from_slice::<serde::de::IgnoredAny>(line).is_err());
    if let Some(at) = broken {
        let message = format!("{}: record {} is not JSON: it would be parked", file.display(), at + 1);
        return Finding::warn(name, "malformed", message).suggest("one JSON value a line; is this file NDJSON?");
    }
    let plain = streams.iter().find_map(|stream| match &stream.key.from {
        KeyFrom::Field(path) => Some(path),
        _ => None,
    });
    let values: Vec<Value> = texts.iter().filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let keyed = |value: &Value, path: &FieldPath| {
        // Envelopes carry the record further in; where exactly is the source's business.
        has(value, path)
            || value.as_object().is_some_and(|members| {
                members.values().any(|inner| {
                    has(inner, path)
                        || inner.as_object().is_some_and(|inner| inner.values().any(|value| has(value, path)))
                })
            })
    };
    let keyless = plain.map_or(0, |path| values.iter().filter(|value| !keyed(value, path)).count());
    if keyless > 0 {
        let message = format!(
            "{}: {keyless} of the first {} lines have no key: they would be parked",
            file.display(),
            values.len()
        );
        return Finding::warn(name, "key_missing", message)
            .suggest("the field that every line has, in `key`, or `key: position`");
    }
    Finding::pass(name, "lines_seen", format!("{}: the first {} lines are JSON", file.display(), values.len()))
}

fn directory(name: &str, root: &Root, pattern: &Pattern, streams: &[&StreamMapping]) -> Vec<Finding> {
    let listing = match list(name, root, pattern) {
        Ok(listing) => listing,
        Err(finding) => return vec![finding],
    };
    let mut findings = listed(name, root, &listing);
    let (mut values, mut texts) = (Vec::new(), Vec::new());
    for (_, file) in round_trip::spread(listing.files.iter().collect(), MOST_RECORDS) {
        match read(name, root, &file.path, LINES_BYTES) {
            Ok((bytes, size)) if size <= LINES_BYTES => match serde_json::from_slice::<Value>(&bytes) {
                Ok(value) => {
                    values.push(value);
                    texts.push((bytes, file.path.with_extension("").to_string_lossy().into_owned()));
                }
                Err(_) => {
                    let message = format!("{} is not JSON", file.path.display());
                    findings.push(
                        Finding::warn(name, "unparsable", message).suggest("landfall waits until the file is whole"),
                    );
                }
            },
            Ok(_) => {}
            Err(finding) => findings.push(finding),
        }
    }
    let total = listing.files.len();
    for stream in streams {
        findings.push(records(stream.name.as_str(), &stream.key.from, total, values.iter()));
        let mut samples = Vec::with_capacity(texts.len());
        for (at, (text, name)) in texts.iter().enumerate() {
            samples.push(round_trip::Sample { number: at + 1, text, name: Some(name.clone()) });
        }
        if !samples.is_empty() {
            findings.extend(round_trip::look(stream, &samples));
        }
    }
    findings
}

fn shape(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(members) => format!("a map of {}", members.len()),
        Value::String(_) => "a string".to_owned(),
        Value::Number(_) => "a number".to_owned(),
        Value::Bool(_) => "true or false".to_owned(),
        Value::Null => "null".to_owned(),
    }
}
