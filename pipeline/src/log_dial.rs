//! The level of this process's log, which can be turned while it runs.
//!
//! Owns the words for levels and which parts of the program they are for; not where the log goes. Libraries stay at warnings whatever is said:
//! they speak of what they carry, and no payload shall reach a log by way of them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What failed.
    Error,
    /// And what will.
    Warn,
    /// And what happens.
    Info,
    /// And why.
    Debug,
    /// And how.
    Trace,
}

impl LogLevel {
    /// The filter for it.
    pub fn filter(self) -> String {
        let ours = match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        };
        format!("warn,landfall_pipeline={ours},landfall_connectors={ours},landfall_schemas={ours}")
    }
}

/// Turns the level.
type Turn = dyn Fn(LogLevel) -> bool + Send + Sync;

/// Whoever holds it may turn the level. One that turns nothing is the default: a log that somebody else set up.
#[derive(Clone, Default)]
pub struct LogDial(Option<Arc<Turn>>);

impl fmt::Debug for LogDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogDial").field(&self.0.is_some()).finish()
    }
}

impl LogDial {
    /// One that does this; `turn` says whether it worked.
    pub fn new(turn: impl Fn(LogLevel) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(turn)))
    }

    /// Sets the level; `false`: it cannot be set here.
    pub fn turn(&self, level: LogLevel) -> bool {
        self.0.as_ref().is_some_and(|turn| turn(level))
    }
}
