//! What happened lately: what changed from one published report to the next.
//!
//! Owns the one place where transitions are told apart ([`known`]); the timeline that is shown over HTTP and the hooks are both told from there, so
//! that neither says what the other does not know. Looks at reports that are published anyway and slows nothing.

mod entry;
mod known;

pub use entry::{Entry, Level, Occasion, Told};

use crate::queue::clock::{Clock, SystemClock};
use crate::status::StatusReport;
use known::Known;
use landfall_connectors::failure::Failure;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Entries kept: hours of a service that is looked after, minutes of one that is not.
const MOST: usize = 200;

/// The newest entries, and what they were told apart from.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    entries: VecDeque<Entry>,
    known: Known,
}

impl Timeline {
    /// A timeline that also tells when a source's log reaches back less far than one of these.
    pub fn watching(headroom: impl IntoIterator<Item = Duration>) -> Self {
        Self(Mutex::new(Kept { entries: VecDeque::new(), known: Known::watching(headroom) }))
    }

    /// What happened, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entries.iter().cloned().collect()
    }

    /// Compares a report with the one before; what is new.
    pub fn note(&self, report: &StatusReport, now_ms: u64) -> Vec<Entry> {
        if !report.running {
            return Vec::new();
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = jiff::Timestamp::from_millisecond(i64::try_from(now_ms).unwrap_or_default()).unwrap_or_default();
        let fresh = kept.known.compare(report, at.to_string());
        fresh.iter().for_each(|entry| kept.push(entry.clone()));
        fresh
    }
}

impl Kept {
    fn push(&mut self, entry: Entry) {
        // What goes on rising is one thing that happened.
        let same = |last: &&mut Entry| last.code == "parked" && last.code == entry.code && last.stream == entry.stream;
        if let Some(last) = self.entries.back_mut().filter(same) {
            *last = entry;
            return;
        }
        if self.entries.len() == MOST {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}

/// Looks at every report until the service stops, and at the last one then; `tell` hears what is new. A report that another one follows at once may
/// be passed over: what both show is told all the same.
pub(crate) async fn look_after(
    timeline: Arc<Timeline>,
    mut reports: watch::Receiver<Arc<StatusReport>>,
    stop: CancellationToken,
    tell: impl Fn(&[Entry]) + Send,
) -> Result<(), Failure> {
    let mut open = true;
    loop {
        let report = Arc::clone(&reports.borrow_and_update());
        tell(&timeline.note(&report, SystemClock.now_ms()));
        if !open || stop.is_cancelled() {
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => {}
            changed = reports.changed() => open = changed.is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
