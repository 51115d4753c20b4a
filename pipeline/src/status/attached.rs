//! What is attached to a pipeline and reported with it: hooks, what comparisons have shown, and how far one is.

use super::measure::span;
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
    /// When it took an event last; Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_told_ms: Option<u64>,
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

/// A comparison under way.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ComparisonReport {
    /// When it began, or the run that it goes on with; Unix milliseconds.
    pub started_ms: u64,
    /// How much of both sides was read, 0 to 1; `None` while the size of a table is not known.
    pub ratio: Option<f64>,
    /// Seconds until everything is read; `None` before 1 %, and once it is: what is looked at again then is not foreseen.
    pub eta_seconds: Option<f64>,
    /// How it is foreseen: `mean_pace`, the mean since the process that compares began.
    pub eta_method: String,
}

impl ComparisonReport {
    /// As a block for people.
    pub(super) fn text(&self) -> String {
        let share = self.ratio.map_or_else(String::new, |ratio| format!(", {:.0} % read", (ratio * 100.0).floor()));
        let left =
            self.eta_seconds.map_or_else(String::new, |eta| format!(", about {} left", span((eta * 1_000.0) as u64)));
        format!("a comparison is under way{share}{left}\n")
    }
}

/// What a comparison under way does with a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is read once others are.
    #[default]
    Waiting,
    /// Its sides are read.
    Reading,
    /// Both sides are read; what differs is looked at again.
    LookingAgain,
    /// It is compared.
    Done,
}

/// How far a comparison under way is with a stream.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ComparingReport {
    /// What is done with it.
    pub stage: Stage,
    /// Records read of its source.
    pub records: u64,
    /// Rows read of its tables.
    pub rows: u64,
    /// About how many records there are, by the rows of its own table; 0: not known.
    pub expected_records: u64,
    /// About how many rows its tables have; 0: not known.
    pub expected_rows: u64,
    /// Records that are looked at again.
    pub suspects: u64,
    /// How much of both sides was read, 0 to 1; `None` while the size is not known.
    pub ratio: Option<f64>,
}
