//! What is asked for, and what came of it; both travel over the control socket.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// What becomes of the letters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// They are mapped again.
    Retry,
    /// The heads are given up, and what waits behind them is retried.
    Discard,
    /// The heads are given up with everything behind them.
    DiscardAll,
}

/// Which letters of one stream, and what for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Its name: no letter is taken up twice under it.
    pub act: Uuid,
    /// What to do.
    pub verb: Verb,
    /// The stream.
    pub stream: String,
    /// Heads parked for this reason alone, by its code.
    pub code: Option<String>,
    /// Heads at least as old.
    pub older_than: Option<Duration>,
    /// This head alone.
    pub only: Option<i64>,
    /// Say what would become of them, and do nothing.
    pub dry_run: bool,
    /// Who says so.
    pub actor: String,
    /// And why; may be empty.
    pub reason: String,
}

/// Letters by what became of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Became rows, or deleted them.
    pub applied: u64,
    /// Overtaken by a later one of their key.
    pub superseded: u64,
    /// Left out by the stream's filter.
    pub filtered: u64,
    /// Given up.
    pub discarded: u64,
    /// Heads that cannot be mapped still.
    pub still_parked: u64,
    /// Heads that hold no record which could be mapped: the source has to be mended, or they are given up.
    pub not_records: u64,
}

impl Tally {
    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        self.applied += other.applied;
        self.superseded += other.superseded;
        self.filtered += other.filtered;
        self.discarded += other.discarded;
        self.still_parked += other.still_parked;
        self.not_records += other.not_records;
    }

    /// Letters that wait no longer.
    pub fn settled(&self) -> u64 {
        self.applied + self.superseded + self.filtered + self.discarded
    }
}
