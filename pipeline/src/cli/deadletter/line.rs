//! A dead letter as text and as JSON. Stable JSON: fields are added, never renamed; `key` and `payload` only where they were fetched.

use crate::assemble::StoredLetter;
use crate::status::measure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Why, and where in the record.
pub(super) fn reason(letter: &StoredLetter) -> String {
    let mut text = letter.code.clone();
    if !letter.path.is_empty() {
        let _ = write!(text, " at {}", letter.path);
    }
    match (letter.expected.as_str(), letter.found.as_str()) {
        ("", "") => {}
        (expected, "") => text.push_str(&format!(" ({expected} expected)")),
        ("", found) => text.push_str(&format!(" ({found} found)")),
        (expected, found) => text.push_str(&format!(" ({expected} expected, {found} found)")),
    }
    if let Some(sqlstate) = &letter.sqlstate {
        let _ = write!(text, " [{sqlstate}]");
    }
    text
}

/// Where it stands in the source.
pub(super) fn origin(letter: &StoredLetter) -> String {
    format!("{} at {}", letter.place, letter.place_at)
}

/// The key, where it was fetched: text as it is, bytes in base64.
pub(super) fn key(letter: &StoredLetter) -> Option<String> {
    letter.key.as_deref().map(|key| std::str::from_utf8(key).map_or_else(|_| STANDARD.encode(key), str::to_owned))
}

/// Everything, a line each.
pub(super) fn all(letter: &StoredLetter) -> String {
    let mut lines = vec![
        ("letter", letter.id.to_string()),
        ("stream", letter.stream.clone()),
        ("state", letter.state.clone()),
        ("reason", reason(letter)),
        ("change", letter.op.clone()),
        ("source", origin(letter)),
        ("event", format!("partition {}, offset {}", letter.event.0, letter.event.1)),
        ("parked", letter.parked_at.clone()),
        ("behind it", letter.behind.to_string()),
        ("payload", measure::bytes(letter.payload_bytes.unsigned_abs())),
    ];
    if let Some(at) = letter.byte_at {
        lines.push(("byte of the record", at.to_string()));
    }
    if let Some(key) = key(letter) {
        lines.push(("key", key));
    }
    if let Some(payload) = &letter.payload {
        let text = std::str::from_utf8(payload).map_or_else(|_| STANDARD.encode(payload), str::to_owned);
        lines.push(("record", text));
    }
    lines.into_iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// As JSON.
pub(in crate::cli) fn json(letter: &StoredLetter) -> Value {
    let mut value = json!({
        "id": letter.id,
        "stream": letter.stream,
        "state": letter.state,
        "code": letter.code,
        "path": letter.path,
        "expected": letter.expected,
        "found": letter.found,
        "byte_at": letter.byte_at,
        "sqlstate": letter.sqlstate,
        "place": letter.place,
        "at": letter.place_at,
        "partition": letter.event.0,
        "offset": letter.event.1,
        "op": letter.op,
        "age_seconds": letter.age_seconds,
        "parked_at": letter.parked_at,
        "payload_bytes": letter.payload_bytes,
        "behind": letter.behind,
    });
    if let Some(key) = key(letter) {
        value["key"] = key.into();
    }
    match letter.payload.as_deref().map(|payload| (std::str::from_utf8(payload), payload)) {
        Some((Ok(text), _)) => value["payload"] = text.into(),
        Some((Err(_), bytes)) => value["payload_base64"] = STANDARD.encode(bytes).into(),
        None => {}
    }
    value
}
