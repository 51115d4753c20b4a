//! One point of a check.

use serde::Serialize;
use std::fmt;

/// How a point came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Level {
    Pass,
    Warn,
    Fail,
}

/// One point.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Finding {
    /// `config`, `state`, `target`, or the name of a source or stream.
    pub(in crate::cli) subject: String,
    /// Stable name.
    pub(in crate::cli) code: &'static str,
    /// How it came out.
    pub(in crate::cli) level: Level,
    /// What was seen.
    pub(in crate::cli) message: String,
    /// What to do.
    pub(in crate::cli) suggestion: Option<String>,
}

impl Finding {
    pub(in crate::cli) fn pass(subject: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { subject: subject.to_owned(), code, level: Level::Pass, message: message.into(), suggestion: None }
    }

    pub(in crate::cli) fn warn(subject: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Warn, ..Self::pass(subject, code, message) }
    }

    pub(in crate::cli) fn fail(subject: &str, code: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::pass(subject, code, message) }
    }

    #[must_use]
    pub(in crate::cli) fn suggest(mut self, what: impl Into<String>) -> Self {
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
