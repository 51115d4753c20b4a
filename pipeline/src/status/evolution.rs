//! What a status report says of columns that the service adds.

use super::measure::count;
use super::report::Trouble;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// Fields that no column took, where the service adds columns.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EvolutionReport {
    /// Columns added so far.
    pub columns: u64,
    /// Values that did not fit them and stayed in the rest, since the service started.
    pub misfits: u64,
    /// Why further fields get no columns for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting: Option<Trouble>,
}

impl EvolutionReport {
    /// There is something to say.
    pub fn says_something(&self) -> bool {
        *self != Self::default()
    }

    /// A block for people.
    pub(super) fn text(&self, stream: &str) -> String {
        let columns = if self.columns == 1 { "column" } else { "columns" };
        let mut text = format!("{stream}: {} {columns} added by the service", count(self.columns));
        if self.misfits > 0 {
            let _ = write!(text, "; {} values did not fit them and are in the rest", count(self.misfits));
        }
        text.push('\n');
        if let Some(why) = &self.resting {
            let _ = writeln!(text, "  new fields stay in the rest: {}\n  {}", why.code, why.detail);
        }
        text
    }
}
