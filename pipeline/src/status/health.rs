//! The target's health as a report shows it: each limit, what was seen last, whether it holds writing back, and why it cannot be told.

use super::measure::{bytes, span};
use super::report::Trouble;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Limits of the target's health, in the order of the configuration's page.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct HealthReport {
    /// Each limit that is set.
    pub measures: Vec<MeasureReport>,
}

/// One limit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct MeasureReport {
    /// `standby_lag`, …: its key in the configuration.
    pub measure: String,
    /// The limit: seconds, bytes, sessions, or the number of the query.
    pub limit: f64,
    /// What was seen last; `None`: nothing was to be measured, or it cannot be read.
    pub value: Option<f64>,
    /// It holds writing back.
    pub holds: bool,
    /// For how long it has, in this process.
    pub held_seconds: f64,
    /// All that in one sentence.
    #[serde(default)]
    pub words: String,
    /// Why it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

impl HealthReport {
    /// What holds, in the order of the limits.
    pub fn reasons(&self) -> Vec<String> {
        self.measures.iter().filter(|one| one.holds).map(|one| one.measure.clone()).collect()
    }

    /// A block for what holds, and one for what cannot be read.
    pub fn text(&self) -> Vec<String> {
        let mut blocks = Vec::new();
        let holding: Vec<_> = self.measures.iter().filter(|one| one.holds).collect();
        if !holding.is_empty() {
            let mut block = format!("throttled by the target's health: {}\n", self.reasons().join(", "));
            for one in holding {
                let _ = writeln!(block, "  {}", one.sentence());
            }
            block.push_str("  Capture goes on; nothing is applied meanwhile, and it goes on by itself.\n");
            blocks.push(block + "  → landfall throttle STREAM --target-health ignore\n");
        }
        let blind = self.measures.iter().filter(|one| one.trouble.is_some() && !one.holds);
        blocks.extend(blind.map(|one| format!("target health: {}\n", one.sentence())));
        blocks
    }
}

impl MeasureReport {
    /// With its sentence.
    #[must_use]
    pub fn in_words(mut self) -> Self {
        self.words = self.sentence();
        self
    }

    /// In one sentence: what was seen, and the limit.
    pub fn sentence(&self) -> String {
        let (what, limit) = (self.what(), self.shown(self.limit));
        if let Some(trouble) = &self.trouble {
            let then = if self.holds { "; what it held stays held until it can be" } else { "; it holds nothing back" };
            return format!("{} cannot be read ({}: {}){then}", self.measure, trouble.code, trouble.detail);
        }
        let Some(value) = self.value else { return format!("{what}: nothing to measure (limit {limit})") };
        let again = if self.holds && value <= self.limit { ", within it again for less than 3 looks" } else { "" };
        format!("{what}: {} (limit {limit}{again})", self.shown(value))
    }

    fn what(&self) -> &str {
        match self.measure.as_str() {
            "standby_lag" => "the longest replay lag of a standby",
            "standby_lag_bytes" => "the most WAL that a standby has yet to replay",
            "lock_waits" => "sessions of others that wait for a lock",
            "active_sessions" => "sessions of others at work",
            "commit_time" => "the longest time that a batch was with the target",
            "query" => "what target.health.query gives",
            other => other,
        }
    }

    fn shown(&self, value: f64) -> String {
        match self.measure.as_str() {
            "standby_lag" | "commit_time" => span((value.max(0.0) * 1_000.0) as u64),
            "standby_lag_bytes" => bytes(value.max(0.0) as u64),
            _ => value.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(measure: &str, limit: f64, value: Option<f64>, holds: bool) -> MeasureReport {
        MeasureReport {
            measure: measure.to_owned(),
            limit,
            value,
            holds,
            held_seconds: 0.0,
            words: String::new(),
            trouble: None,
        }
    }

    #[test]
    fn words_have_the_units_of_what_they_measure() {
        let words = |one: MeasureReport| one.sentence();
        assert_eq!(
            words(seen("standby_lag", 30.0, Some(45.25), true)),
            "the longest replay lag of a standby: 45.2s (limit 30.0s)"
        );
        assert!(words(seen("standby_lag_bytes", 1_073_741_824.0, Some(2e9), true)).contains("1.9 GiB (limit 1.0 GiB)"));
        assert!(words(seen("lock_waits", 5.0, Some(7.0), true)).ends_with(": 7 (limit 5)"));
        assert!(words(seen("query", 0.5, Some(0.25), true)).contains("0.25 (limit 0.5, within it again"));
        assert!(words(seen("standby_lag", 30.0, None, false)).contains("nothing to measure"));
    }

    #[test]
    fn what_cannot_be_read_says_whether_it_holds() {
        let trouble = Some(Trouble { code: "health_unreadable".into(), detail: "the role may not".into() });
        let blind = MeasureReport { trouble, ..seen("lock_waits", 5.0, None, false) };
        let report = |holds: bool| HealthReport { measures: vec![MeasureReport { holds, ..blind.clone() }] };
        let free = report(false).text();
        assert_eq!(
            free,
            ["target health: lock_waits cannot be read (health_unreadable: the role may not); it holds nothing back\n"]
        );
        let held = report(true).text();
        assert!(held.len() == 1 && held[0].contains("stays held") && held[0].contains("throttled by"), "{held:?}");
    }
}
