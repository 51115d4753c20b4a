//! The proposal as a `landfall.yaml` that people read, with what was seen beside every line.
//!
//! Texts are written as JSON strings, which YAML reads as they stand; comments hold no line breaks.

use super::propose::{Child, Column, Table};
use super::{Proposed, SourceText, StreamKey};
use std::fmt::Write as _;

/// Column at which comments begin.
const COMMENTS: usize = 72;

/// The whole file.
pub(super) fn file(name: &str, sources: &[SourceText], streams: &[Proposed], notes: &[String]) -> String {
    let mut out = String::from(
        "# Proposed by `landfall init`: read it through, mend what you know better, then\n\
         #   landfall check && landfall schema apply && landfall run\n\
         # Beside each column: in how many of the records it stood, as what, within which bounds.\n",
    );
    for note in notes {
        let _ = writeln!(out, "# {}", one_line(note));
    }
    let _ = writeln!(out, "\nname: {}", text(name));
    out.push_str("target:\n  url: \"${DATABASE_URL}\"\n\nsources:\n");
    for source in sources {
        let _ = writeln!(out, "  {}: {{ {} }}", text(&source.name), source.fields);
    }
    out.push_str("\nstreams:\n");
    for stream in streams {
        self::stream(stream, &mut out);
    }
    out
}

fn stream(stream: &Proposed, out: &mut String) {
    let _ = writeln!(out, "  # {}", one_line(&stream.note));
    let _ = writeln!(out, "  {}:", text(&stream.name));
    let _ = writeln!(out, "    source: {}", text(&stream.source));
    if let Some(select) = &stream.select {
        let _ = writeln!(out, "    select: {}", text(select));
    }
    match &stream.key {
        StreamKey::Omitted => {}
        StreamKey::Position => out.push_str("    key: position\n"),
        StreamKey::Composite(names) => {
            let names: Vec<_> = names.iter().map(|name| text(name)).collect();
            let _ = writeln!(out, "    key: [{}]", names.join(", "));
        }
        StreamKey::Of { from, ty, column } => {
            let mut parts = Vec::new();
            parts.extend(from.as_ref().map(|from| format!("from: {}", text(from))));
            parts.extend(ty.map(|ty| format!("type: {}", text(&ty.config_name()))));
            parts.push(format!("name: {}", text(column)));
            let _ = writeln!(out, "    key: {{ {} }}", parts.join(", "));
        }
    }
    if stream.name != stream.table_name {
        let _ = writeln!(out, "    table: {}", text(&stream.table_name));
    }
    if stream.table.columns.is_empty() && stream.table.children.is_empty() {
        out.push_str("    # nothing to make columns of: whole records land in `doc`\n\n");
        return;
    }
    table(&stream.table, 4, out);
    out.push('\n');
}

fn table(table: &Table, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    if table.columns.is_empty() {
        let _ = writeln!(out, "{pad}columns: {{}}");
    } else {
        let _ = writeln!(out, "{pad}columns:");
    }
    for column in &table.columns {
        let line = format!("{pad}  {}: {}", text(&column.name), definition(column));
        commented(&line, &column.note, out);
    }
    for (path, share) in &table.left {
        let _ =
            writeln!(out, "{pad}  # {} stays in the rest: in {:.2} % of the records", one_line(path), share * 100.0);
    }
    if !table.children.is_empty() {
        let _ = writeln!(out, "{pad}children:");
    }
    for child in &table.children {
        self::child(child, indent + 2, out);
    }
}

fn definition(column: &Column) -> String {
    let ty = column.ty.config_name();
    let ty = if ty.contains([',', '[', '(']) { text(&ty) } else { ty };
    match (column.from == column.name, column.none_is_null) {
        (true, false) => ty,
        (true, true) => format!("{{ type: {ty}, none: null }}").replace("none: null", "none: \"null\""),
        (false, false) => format!("{{ from: {}, type: {ty} }}", text(&column.from)),
        (false, true) => format!("{{ from: {}, type: {ty}, none: \"null\" }}", text(&column.from)),
    }
}

fn child(child: &Child, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let _ = writeln!(out, "{pad}# {}", one_line(&child.note));
    let _ = writeln!(out, "{pad}{}:", text(&child.name));
    if child.from != child.name {
        let _ = writeln!(out, "{pad}  from: {}", text(&child.from));
    }
    if let Some(names) = &child.names {
        let _ = writeln!(out, "{pad}  shape: map\n{pad}  key: {{ name: {} }}", text(names));
    }
    if let Some((from, ty, column)) = &child.key {
        let fields = format!("from: {}, type: {}, name: {}", text(from), ty.config_name(), text(column));
        let _ = writeln!(out, "{pad}  key: {{ {fields} }}");
    }
    if child.none_is_empty {
        let _ = writeln!(out, "{pad}  none: empty");
    }
    table(&child.table, indent + 2, out);
}

fn commented(line: &str, note: &str, out: &mut String) {
    let gap = COMMENTS.saturating_sub(line.chars().count()).max(2);
    let _ = writeln!(out, "{line}{}# {}", " ".repeat(gap), one_line(note));
}

/// As a JSON string, where a plain word will not do.
pub(super) fn text(word: &str) -> String {
    let plain = word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && !matches!(word, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if plain { word.to_owned() } else { serde_json::Value::String(word.to_owned()).to_string() }
}

fn one_line(note: &str) -> String {
    note.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .collect()
}
