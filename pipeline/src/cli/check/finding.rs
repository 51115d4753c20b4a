//! One point of a check.

use serde::Serialize;
use std::fmt;

/// How a point came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    Pass,
    Warn,
    Fail,
}

/// One point.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    /// `config`, `state`, `target`, or the name of a source or stream.
    pub(super) subject: String,
    /// Stable name.
    pub(super) code: &'static str,
    /// How it came out.
    pub(super) level: Level,
    /// What was seen.
    pub(super) message: String,
    /// What to do.
    pub(super) suggestion: Option<String>,
}

impl Finding {
    pub(super) fn pass(subject: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), code, level: Level::Pass, message: message.into(), suggestion: None }
    }

    pub(super) fn warn(subject: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Warn, ..Self::pass(subject, code, message) }
    }

    pub(super) fn fail(subject: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::pass(subject, code, message) }
    }

    #[must_use]
    pub(super) fn suggest(mut self, what: impl Into<String>) -> Self {
        self.suggestion = Some(what.into());
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Pass => "pass",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        writeln!(f, "{level}  {}: {}", self.subject, self.message)?;
        match &self.suggestion {
            Some(suggestion) => writeln!(f, "      → {suggestion}"),
            None => Ok(()),
        }
    }
}
