//! Log lines carry values under the names of one list, and every name of the list is used.

use crate::sources::{SourceFile, all, none};
use landfall_pipeline::log_fields::LOG_FIELDS;
use std::collections::BTreeSet;

/// What begins a log line or a span.
const MACROS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "event"];

/// The names of fields in a file, with the line each stands in.
fn fields(file: &SourceFile) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in file.text.match_indices("tracing::") {
        let rest = &file.text[at + "tracing::".len()..];
        let word: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let is_span = word.ends_with("span");
        let Some(body) = rest[word.len()..].strip_prefix("!(") else { continue };
        if !is_span && !MACROS.contains(&word.as_str()) {
            continue;
        }
        let line = file.text[..at].lines().count();
        found.extend(names(body).into_iter().map(|name| (name, line)));
    }
    found
}

/// The names in what stands behind an opening parenthesis: all arguments before the text and, in a span, behind it.
fn names(body: &str) -> Vec<String> {
    let mut names = Vec::new();
    for argument in arguments(body) {
        // A log line's text is its last argument but for what is put into it.
        if argument.starts_with('"') {
            break;
        }
        let name = argument.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']);
        // A level or a target is no field.
        if !name.contains(':') {
            names.push(name.to_owned());
        }
    }
    names
}

/// Splits at the commas of the outermost level, up to the closing parenthesis.
fn arguments(body: &str) -> Vec<String> {
    let (mut out, mut now, mut depth) = (Vec::new(), String::new(), 0_u32);
    let (mut quoted, mut escaped) = (false, false);
    for c in body.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted && depth > 0 => depth -= 1,
            ')' if !quoted => break,
            ',' if !quoted && depth == 0 => {
                out.push(std::mem::take(&mut now).trim().to_owned());
                continue;
            }
            _ => {}
        }
        now.push(c);
    }
    out.push(now.trim().to_owned());
    out.retain(|argument| !argument.is_empty());
    out
}

fn product() -> Vec<SourceFile> {
    let rooms = ["schemas/src/", "connectors/src/", "pipeline/src/"];
    all().into_iter().filter(|file| file.is_rust() && rooms.iter().any(|room| file.path.starts_with(room))).collect()
}

#[test]
fn every_field_of_the_log_is_on_the_list_and_every_name_of_the_list_is_used() {
    let listed: BTreeSet<&str> = LOG_FIELDS.iter().map(|(name, _)| *name).collect();
    let (mut unlisted, mut used) = (Vec::new(), BTreeSet::new());
    for file in product() {
        for (name, line) in fields(&file) {
            if !listed.contains(name.as_str()) {
                unlisted.push(format!("{}:{line}: {name}", file.path));
            }
            used.insert(name);
        }
    }
    none("fields of the log are named in pipeline/src/log_fields.rs", &unlisted);
    let unused: Vec<String> = listed.into_iter().filter(|name| !used.contains(*name)).map(str::to_owned).collect();
    none("names in pipeline/src/log_fields.rs are used", &unused);
}

#[test]
fn log_lines_are_written_where_they_can_be_looked_at() {
    // An imported macro or an attribute would be looked past.
    let words =
        ["use tracing::", concat!("#[", "instrument"), concat!("tracing::", "instrument"), concat!("log", "::info!")];
    let mut hidden = Vec::new();
    for file in product() {
        for (number, line) in file.text.lines().enumerate() {
            hidden.extend(
                words
                    .iter()
                    .filter(|word| line.contains(**word))
                    .map(|word| format!("{}:{}: {word}", file.path, number + 1)),
            );
        }
    }
    none("log lines begin with tracing::", &hidden);
}

#[test]
fn fields_are_found_in_every_way_they_are_written() {
    let text = "tracing::info!(stream = %self.name(a, \"b,)\"), keys, code = failure.code, \"x {}, y = {}\", a, b);\n\
                tracing::warn!(%actor, ?reason, \"{}\", x);tracing::debug!(\"none, here = {z}\"); tracing::error!(error_code = 1);";
    let file = SourceFile { path: "a.rs".to_owned(), text: text.to_owned() };
    let names: Vec<String> = fields(&file).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["stream", "keys", "code", "actor", "reason", "error_code"]);
}
