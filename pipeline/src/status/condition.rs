//! What a stream is doing, as a report says it.

use super::report::Trouble;
use landfall_connectors::source::Condition;
use serde::{Deserialize, Serialize};

/// What a stream is doing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum StreamCondition {
    /// Nothing runs.
    Stopped,
    /// Starting: not admitted by the target yet.
    Starting,
    /// Reading the first revision.
    Copying {
        /// Records handed out.
        records: u64,
        /// Bytes read.
        bytes: u64,
        /// Bytes there are, as far as known.
        total: u64,
    },
    /// Following changes.
    Following,
    /// Goes on by itself once the reason is gone.
    Waiting(Trouble),
    /// The deletion guard holds a revision.
    Held {
        /// Its hash: the name under which it is accepted or refused.
        revision: String,
        /// Records it would delete.
        deletes: u64,
        /// Records there were.
        of: u64,
        /// It was refused; another one is awaited.
        refused: bool,
    },
    /// Needs an operator.
    Halted(Trouble),
}

impl From<&Condition> for StreamCondition {
    fn from(condition: &Condition) -> Self {
        match condition {
            Condition::Copying { records, bytes, total } => {
                Self::Copying { records: *records, bytes: *bytes, total: *total }
            }
            Condition::Following => Self::Following,
            Condition::Waiting { code, detail } => {
                Self::Waiting(Trouble { code: (*code).to_owned(), detail: detail.clone() })
            }
            Condition::Held { revision, deletes, of, refused } => {
                Self::Held { revision: revision.clone(), deletes: *deletes, of: *of, refused: *refused }
            }
            Condition::Halted(failure) => Self::Halted(failure.into()),
        }
    }
}

impl StreamCondition {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Copying { .. } => "copying",
            Self::Following => "following",
            Self::Waiting(_) => "waiting",
            Self::Held { .. } => "held",
            Self::Halted(_) => "halted",
        }
    }

    /// An operator's word is needed before the stream goes on.
    pub fn needs_decision(&self) -> bool {
        matches!(self, Self::Held { refused: false, .. } | Self::Halted(_))
    }
}
