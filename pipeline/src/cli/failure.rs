//! A failed command, as people and programs are told.

use super::exit::Exit;
use crate::config::ConfigError;
use crate::control::ControlError;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::postgres::InvalidTarget;
use serde_json::{Value, json};
use std::fmt;

/// What failed, why, and what to do about it.
#[derive(Debug)]
pub(super) struct CliFailure {
    /// Exit code.
    pub(super) exit: Exit,
    /// Stable name.
    pub(super) code: Box<str>,
    /// What happened and where.
    pub(super) message: String,
    /// What to do.
    pub(super) suggestion: Option<Box<str>>,
    /// What lay below it, outermost first.
    pub(super) caused_by: Vec<String>,
    /// Details for `-o json`.
    pub(super) result: Box<Value>,
    /// What people read instead of the message, where it is longer than a sentence.
    pub(super) shown: Box<str>,
}

impl CliFailure {
    pub(super) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code: code.into(),
            message: message.into(),
            suggestion: None,
            caused_by: Vec::new(),
            result: Box::new(Value::Null),
            shown: Box::default(),
        }
    }

    #[must_use]
    pub(super) fn suggest(mut self, what: impl Into<String>) -> Self {
        self.suggestion = Some(what.into().into_boxed_str());
        self
    }

    /// With what lay below.
    #[must_use]
    pub(super) fn caused_by(mut self, cause: &impl fmt::Display) -> Self {
        self.caused_by.push(cause.to_string());
        self
    }
}

impl fmt::Display for CliFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Problems of a configuration come with places and carets of their own.
        if self.shown.is_empty() {
            writeln!(f, "error: {} [{}]", self.message.trim_end(), self.code)?;
        } else {
            f.write_str(&self.shown)?;
        }
        for cause in &self.caused_by {
            writeln!(f, "  caused by: {cause}")?;
        }
        match &self.suggestion {
            Some(suggestion) => writeln!(f, "  → {suggestion}"),
            None => Ok(()),
        }
    }
}

impl From<Failure> for CliFailure {
    fn from(failure: Failure) -> Self {
        let exit = match (failure.class, failure.code) {
            (_, "other_owner") => Exit::OtherOwner,
            (FailureClass::Halt, _) => Exit::NeedsDecision,
            (FailureClass::Transient | FailureClass::TooMuch | FailureClass::Unknown, _) => Exit::Failed,
            (FailureClass::Fenced | FailureClass::Fatal, _) => Exit::Failed,
        };
        Self::new(exit, failure.code, failure.detail)
    }
}

impl From<ConfigError> for CliFailure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Invalid(problems) => {
                let count = problems.len();
                let noun = if count == 1 { "problem" } else { "problems" };
                let message = format!("{} has {count} {noun}", problems.file());
                let mut failure = Self::new(Exit::Usage, "config_invalid", message);
                failure.shown = problems.to_string().into_boxed_str();
                *failure.result = json!({ "problems": problems.reports() });
                failure.suggest(format!("mend the {count} {noun} above; nothing was started"))
            }
            ConfigError::Unreadable { .. } => Self::new(Exit::Usage, "config_unreadable", error.to_string())
                .suggest("name the configuration with -c FILE or LANDFALL_CONFIG"),
            ConfigError::TooLarge(_) => Self::new(Exit::Usage, "config_too_large", error.to_string())
                .suggest("a configuration has at most 1 MiB: is this the right file?"),
            ConfigError::NotText { .. } => {
                Self::new(Exit::Usage, "config_not_text", error.to_string()).suggest("save the file as UTF-8")
            }
        }
    }
}

impl From<InvalidTarget> for CliFailure {
    fn from(error: InvalidTarget) -> Self {
        Self::new(Exit::Usage, "target_invalid", format!("target.url cannot be used: {error}"))
    }
}

impl From<ControlError> for CliFailure {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Refused(refused) => Self::new(Exit::Failed, &refused.code, refused.detail),
            ControlError::Io(_) | ControlError::Foreign => {
                Self::new(Exit::Failed, "control_failed", "the running service did not answer")
                    .caused_by(&error)
                    .suggest("look at its log; a service of another version does not understand this one")
            }
        }
    }
}
