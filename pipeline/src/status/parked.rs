//! What of a stream waits because it could not become a row.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Dead letters that wait.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ParkedReport {
    /// How many, by the code of their reason; `behind`: later changes of parked keys.
    pub by_code: BTreeMap<String, u64>,
    /// Age of the oldest, in seconds.
    pub oldest_seconds: u64,
}

impl ParkedReport {
    /// `column_type 2, behind 5; the oldest for 3 h`, for people.
    pub(super) fn text(&self) -> String {
        let parts: Vec<String> =
            self.by_code.iter().map(|(code, letters)| format!("{code} {}", super::measure::count(*letters))).collect();
        format!(
            "{}; the oldest for {}",
            parts.join(", "),
            super::measure::span(self.oldest_seconds.saturating_mul(1_000))
        )
    }
}
