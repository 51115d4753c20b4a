//! What the last comparison of each stream has shown, for whoever watches the service: `STATE/verify/last.json`.
//!
//! A few numbers a stream. Replaced whole; a run over some streams leaves what is known of the others. Nothing is decided by it: one that is lost
//! or cannot be written costs metrics until the next comparison.

use super::report::VerifyReport;
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
}

impl LastComparison {
    /// As it stands in a state directory; empty when nothing does.
    pub fn read(state_dir: &Path) -> Self {
        let found = fs::read(state_dir.join("verify").join(FILE)).ok();
        found.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
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
        let shown = Shown { differences, through_ms: stream.verified_through_ms };
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
        assert_eq!(last.streams["a"], Shown { differences: 1, through_ms: Some(5) });
        assert_eq!(last.streams["b"], Shown { differences: 3, through_ms: Some(5) });
    }
}
