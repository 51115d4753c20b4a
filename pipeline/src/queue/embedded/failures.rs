//! The named states of the queue, and what each tells the operator.
//!
//! Messages name files and byte ranges of the queue's own directory, never content.

use landfall_connectors::failure::{Failure, FailureClass};
use std::fmt::Display;
use std::io;
use std::ops::Range;

/// Bytes that were durable are not what they were.
pub(super) fn damaged(file: &str, range: Range<u64>, what: &str) -> Failure {
    let detail = format!(
        "{file}, bytes {}..{}: {what}. These bytes were durable and have changed since: check the disk, then restore the queue \
         directory as a whole or start a new one with a resync; nothing was cut or skipped",
        range.start, range.end
    );
    Failure::new(FailureClass::Halt, "queue_damaged", detail)
}

/// Files of the directory do not belong together.
pub(super) fn incomplete(what: impl Display) -> Failure {
    let detail = format!(
        "{what}. The queue directory is not whole: put the missing file back, or move the directory away and start a new one with a resync"
    );
    Failure::new(FailureClass::Halt, "queue_damaged", detail)
}

/// A reader asks for what is gone.
pub(super) fn history_trimmed(what: impl Display, earliest: u64) -> Failure {
    let detail = format!(
        "{what} lies before {earliest}, the earliest the queue still holds: resync the stream, or start over from a checkpoint that is still held"
    );
    Failure::new(FailureClass::Halt, "history_trimmed", detail)
}

/// A reader asks for what never was: an older copy of the queue stands here.
pub(super) fn behind(what: impl Display, end: u64) -> Failure {
    let detail = format!(
        "{what} lies past {end}, the end of the queue: the queue directory is older than what was made from it (restored from a \
         copy?); put the newer one back or resync"
    );
    Failure::new(FailureClass::Halt, "queue_behind", detail)
}

/// The disk does not give bytes back.
pub(super) fn unreadable(file: &str, error: &io::Error) -> Failure {
    Failure::new(FailureClass::Transient, "queue_unreadable", format!("cannot read {file}: {error}"))
}

/// At open, nothing goes away by itself.
pub(super) fn unusable(what: &str, error: &io::Error) -> Failure {
    let detail = format!("cannot {what} in the queue directory: {error}");
    Failure::new(FailureClass::Halt, "queue_unusable", detail)
}

/// A sync failed: what it should have covered is unknown (promise 18).
pub(super) fn sync_failed(file: &str, error: &io::Error) -> Failure {
    let detail = format!(
        "syncing {file} failed: {error}. What it should have made durable is unknown; the process must start anew and recover from the disk"
    );
    Failure::new(FailureClass::Fatal, "sync_failed", detail)
}

/// A write failed for another reason than a full disk, or could not be taken back.
pub(super) fn write_failed(file: &str, error: &io::Error) -> Failure {
    let detail = format!("writing {file} failed: {error}. The process must start anew and recover from the disk");
    Failure::new(FailureClass::Fatal, "write_failed", detail)
}

/// The caller broke the contract.
pub(super) fn misuse(code: &'static str, what: impl Display) -> Failure {
    Failure::new(FailureClass::Fatal, code, what.to_string())
}

/// The file system has no room (or the user's share of it is used up).
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
