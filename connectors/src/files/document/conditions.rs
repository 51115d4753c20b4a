//! What the streams of a document are doing, in words an operator can act on. No keys, no values.

use super::reading::StreamPass;
use crate::failure::{Failure, FailureClass};
use crate::files::index::FirstRevision;
use crate::files::index::ledger::StreamLedger;
use crate::files::root::OpenError;
use crate::files::split::Shape;
use crate::source::Condition;
use landfall_schemas::mapping::Select;

/// Of a stream before anything is known of its file.
pub(super) fn halted_or_following(lost: Option<&Failure>) -> Condition {
    lost.map_or(Condition::Following, |failure| Condition::Halted(failure.clone()))
}

/// Why a file could not be opened: code, and what it is.
pub(super) fn unopened(error: &OpenError) -> (&'static str, String) {
    match error {
        OpenError::Missing => ("missing", "is not there".to_owned()),
        OpenError::Skipped(reason) => (reason.name(), format!("is not read ({})", reason.name())),
        OpenError::Unreadable(errno) => ("unreadable", format!("cannot be read: {errno}")),
    }
}

/// Of a stream whose revision is held because of another one.
pub(super) fn held_along(path: &str) -> Condition {
    let detail = format!(
        "the revision of {path} is held, whole, because another of its streams lost much of its records: accept or refuse \
         it there"
    );
    Condition::Waiting { code: "revision_held", detail }
}

/// Of a stream in a revision that parsed.
pub(super) fn of_stream(ledger: &StreamLedger, pass: &StreamPass, path: &str) -> Condition {
    if ledger.lost.is_some() {
        return halted_or_following(ledger.lost.as_ref());
    }
    match (pass.taken, pass.unproven_at) {
        (true, None) => Condition::Following,
        (true, Some(at)) => {
            let detail = format!(
                "{path}, byte {at}: a record over 16 MiB whose key stands too far behind; what may be gone is not deleted \
                 while it is there"
            );
            Condition::Waiting { code: "too_large", detail }
        }
        (false, _) => not_taken(ledger, pass, path),
    }
}

fn not_taken(ledger: &StreamLedger, pass: &StreamPass, path: &str) -> Condition {
    let name = &ledger.stream.name;
    let pointer = match &ledger.stream.select {
        Select::Whole => "the whole document".to_owned(),
        Select::Pointer(tokens) => format!("/{}", tokens.join("/")),
        Select::Collection(name) => name.clone(),
    };
    let what = match pass.shape {
        None => "is not there",
        Some(Shape::Scalar) => "is neither an array nor an object",
        Some(Shape::Array | Shape::Map) => {
            let detail = format!(
                "{path}: stream {name} selects {pointer}, whose records need a key of their own: write which field tells \
                 them apart, for example `key: id`"
            );
            return Condition::Halted(Failure::new(FailureClass::Halt, "key_missing", detail));
        }
    };
    let detail = format!(
        "{path}: {pointer}, selected by stream {name}, {what}; its records are kept until it is an array or object again"
    );
    Condition::Waiting { code: "not_a_container", detail }
}

/// With the progress (bytes, records, bytes in all) of a first revision laid over.
pub(super) fn copying(stream: &StreamLedger, condition: &Condition, progress: Option<(u64, u64, u64)>) -> Condition {
    match progress {
        Some((bytes, records, total))
            if stream.standing.first == FirstRevision::Open && *condition == Condition::Following =>
        {
            Condition::Copying { records, bytes, total }
        }
        _ => condition.clone(),
    }
}
