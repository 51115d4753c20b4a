//! The one JSON shape of `-o json`: `{command, ok, summary, result, error}`.
//!
//! `error` is null unless the command itself failed: a finding (a difference, a halted stream) has `ok: false`, an exit code of its
//! own and no error.

use super::exit::Exit;
use super::failure::CliFailure;
use serde::Serialize;
use serde_json::Value;

/// What a command that did its work has to say.
#[derive(Debug)]
pub(super) struct Finished {
    /// Exit code.
    pub(super) exit: Exit,
    /// One sentence for people.
    pub(super) summary: String,
    /// For stdout as text; may be empty.
    pub(super) text: String,
    /// For stdout as JSON.
    pub(super) result: Value,
}

impl Finished {
    /// Done, with one sentence.
    pub(super) fn done(summary: impl Into<String>) -> Self {
        Self { exit: Exit::Done, summary: summary.into(), text: String::new(), result: Value::Null }
    }
}

#[derive(Debug, Serialize)]
struct Envelope<'a> {
    command: &'static str,
    ok: bool,
    summary: &'a str,
    result: &'a Value,
    error: Option<ErrorPart<'a>>,
}

#[derive(Debug, Serialize)]
struct ErrorPart<'a> {
    code: &'a str,
    message: &'a str,
    suggestion: Option<&'a str>,
    caused_by: &'a [String],
}

/// The envelope as one line.
pub(super) fn line(command: &'static str, outcome: &Result<Finished, CliFailure>) -> String {
    let envelope = match outcome {
        Ok(finished) => Envelope {
            command,
            ok: finished.exit == Exit::Done,
            summary: &finished.summary,
            result: &finished.result,
            error: None,
        },
        Err(failure) => Envelope {
            command,
            ok: false,
            summary: &failure.message,
            result: &failure.result,
            error: Some(ErrorPart {
                code: &failure.code,
                message: &failure.message,
                suggestion: failure.suggestion.as_deref(),
                caused_by: &failure.caused_by,
            }),
        },
    };
    // Strings and plain values only: serialising them cannot fail.
    serde_json::to_string(&envelope).unwrap_or_default() + "\n"
}
