//! How a hook fared: counts, and the last trouble.

use super::Outcome;
use crate::status::{HookReport, Trouble};

/// Counts since the service started.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    told: u64,
    last_told_ms: Option<u64>,
    failed: u64,
    dropped: u64,
    failing: bool,
    /// Events are being dropped, and it was said.
    behind: bool,
    trouble: Option<Trouble>,
}

impl Tally {
    /// Notes what telling came to, at a time in Unix milliseconds.
    pub(super) fn settle(&mut self, told: &Outcome, now_ms: u64) {
        match told {
            Ok(_) => {
                self.told += 1;
                self.last_told_ms = Some(now_ms);
                (self.failing, self.behind) = (false, false);
            }
            Err(trouble) => {
                self.failed += 1;
                self.failing = true;
                self.trouble = Some(trouble.clone());
            }
        }
    }

    /// An event was dropped untold; whether that is news.
    pub(super) fn drop_one(&mut self) -> bool {
        self.dropped += 1;
        self.failing = true;
        let detail = "events came faster than it takes them: the oldest were dropped untold".to_owned();
        self.trouble = Some(Trouble { code: "hook_behind".to_owned(), detail });
        !std::mem::replace(&mut self.behind, true)
    }

    pub(super) fn report(&self) -> HookReport {
        HookReport {
            told: self.told,
            last_told_ms: self.last_told_ms,
            failed: self.failed,
            dropped: self.dropped,
            failing: self.failing,
            trouble: self.trouble.clone(),
            ..HookReport::default()
        }
    }
}
