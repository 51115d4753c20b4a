//! What the last comparison of each stream has shown, for whoever watches the service: `STATE/verify/last.json`.
//!
//! A few numbers a stream. Replaced whole; a run over some streams leaves what is known of the others. Nothing is decided by it: one that is lost
//! or cannot be written costs metrics until the next comparison.

use super::report::{Verdict, VerifyReport};
use crate::status::ComparedReport;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const FILE: &str = "last.json";
const TEMPORARY: &str = "last.json.new";

/// What was shown last, by stream.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LastComparison {
    /// By stream.
    pub streams: BTreeMap<String, Shown>,
}

/// Of one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Shown {
    /// Records that were missing, extra or different.
    pub differences: u64,
    /// What the source held at this time was covered; Unix milliseconds.
    pub through_ms: Option<u64>,
    /// What it all came to; `None`: written by a version that did not say.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// When the comparison ended; Unix milliseconds.
    #[serde(default)]
    pub at_ms: u64,
}

impl Shown {
    /// As `status` has it.
    pub(crate) fn report(&self) -> Option<ComparedReport> {
        let verdict = match self.verdict? {
            Verdict::Equal => "equal",
            Verdict::Unknown => "unknown",
            Verdict::Different => "different",
        };
        let (differences, at_ms, through_ms) = (self.differences, self.at_ms, self.through_ms);
        Some(ComparedReport { verdict: verdict.to_owned(), differences, at_ms, through_ms })
    }
}

impl LastComparison {
    /// As it stands in a state directory; empty when nothing does.
    pub fn read(state_dir: &Path) -> Self {
        let found = fs::read(state_dir.join("verify").join(FILE)).ok();
        found.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Of the file, if there is one.
    pub(super) fn metadata(state_dir: &Path) -> Option<fs::Metadata> {
        fs::metadata(state_dir.join("verify").join(FILE)).ok()
    }

    fn write(&self, state_dir: &Path) -> io::Result<()> {
        let directory = state_dir.join("verify");
        let temporary = directory.join(TEMPORARY);
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        serde_json::to_writer(&made, self)?;
        fs::rename(&temporary, directory.join(FILE))
    }
}

/// Remembers what a run has shown. Call while it holds the directory.
pub(super) fn remember(state_dir: &Path, report: &VerifyReport) {
    let mut last = LastComparison::read(state_dir);
    for stream in &report.streams {
        let tallies = &stream.tallies;
        let differences = tallies.missing + tallies.extra + tallies.different;
        let (through_ms, verdict) = (stream.verified_through_ms, Some(stream.verdict));
        let shown = Shown { differences, through_ms, verdict, at_ms: report.ended_ms };
        last.streams.insert(stream.stream.clone(), shown);
    }
    if let Err(error) = last.write(state_dir) {
        tracing::debug!("what was shown cannot be remembered: {}", error.kind());
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{StreamResult, Tallies};
    use super::*;

    #[test]
    fn a_run_over_one_stream_leaves_what_is_known_of_the_other() {
        let state = crate::config::tests::scratch("last-comparison");
        assert_eq!(LastComparison::read(&state), LastComparison::default());
        fs::create_dir(state.join("verify")).expect("a directory");
        let of = |stream: &str, missing: u64| StreamResult {
            stream: stream.to_owned(),
            tallies: Tallies { missing, extra: 1, suspect: 7, ..Tallies::default() },
            verified_through_ms: Some(5),
            ..StreamResult::default()
        };
        remember(&state, &VerifyReport::default().of(vec![of("a", 1), of("b", 2)]));
        remember(&state, &VerifyReport::default().of(vec![of("a", 0)]));
        let last = LastComparison::read(&state);
        let shown = |differences| Shown {
            differences,
            through_ms: Some(5),
            verdict: Some(Verdict::Unknown),
            ..Shown::default()
        };
        assert_eq!(last.streams["a"], shown(1));
        assert_eq!(last.streams["b"], shown(3));
    }
}
