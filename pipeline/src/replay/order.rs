//! What is asked for, and how far it is; both travel over the control socket.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where a replay begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    /// The first event that is still there.
    Earliest,
    /// The first event captured at this time or later, Unix milliseconds.
    Time(u64),
    /// A named checkpoint.
    Name(String),
}

/// A replay of one stream.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Its name: turns of one order go on with each other.
    pub act: Uuid,
    /// The stream.
    pub stream: String,
    /// Where it begins.
    pub from: From,
    /// Say what would be read, and write nothing.
    pub dry_run: bool,
    /// Who says so, for the history.
    pub actor: String,
}

/// How far a replay is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Standing {
    /// Events to be passed: those in the range, as often as there are slices.
    pub total: u64,
    /// Of them passed.
    pub passed: u64,
    /// Keys whose last event was offered to the target again.
    pub replayed: u64,
    /// Keys left alone because they wait behind a dead letter.
    pub behind_letters: u64,
    /// Keys that the mapping of now, or PostgreSQL, refuses: parked now.
    pub refused: u64,
    /// Rows last written before the range: they are as they were.
    pub rows_before: u64,
    /// Nothing is left to do.
    pub finished: bool,
}
