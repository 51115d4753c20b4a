//! What is attached to a pipeline and reported with it: hooks, and what comparisons have shown.

use super::report::Trouble;
use serde::{Deserialize, Serialize};

/// One hook.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HookReport {
    /// Its place in the configuration, from 1.
    pub hook: u64,
    /// `run` or `post`.
    pub kind: String,
    /// What it is told of.
    pub on: Vec<String>,
    /// Events it was told and took.
    pub told: u64,
    /// Events that were given up: it could not be told of them.
    pub failed: u64,
    /// Events that were dropped untold, because too many waited for it.
    pub dropped: u64,
    /// Events that wait for it.
    pub waiting: u64,
    /// Nothing was told since the last trouble.
    pub failing: bool,
    /// The last trouble with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

impl HookReport {
    /// As a block for people, while there is trouble.
    pub(super) fn text(&self) -> Option<String> {
        let trouble = self.trouble.as_ref().filter(|_| self.failing)?;
        let counts = format!("{} told, {} given up, {} dropped", self.told, self.failed, self.dropped);
        Some(format!("hook {} ({}): {}\n  {} ({counts})\n", self.hook, self.kind, trouble.code, trouble.detail))
    }
}

/// What the last comparison of a stream has shown.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ComparedReport {
    /// `equal`, `different` or `unknown`.
    pub verdict: String,
    /// Records that were missing, extra or different.
    pub differences: u64,
    /// When it ended; Unix milliseconds.
    pub at_ms: u64,
    /// What the source held at this time was covered; Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through_ms: Option<u64>,
}
