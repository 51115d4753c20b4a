//! How far a run under way is, for whoever watches the service: `STATE/verify/progress.json`, beside a lock that says whether the run lives.
//!
//! A run is a process of its own. It replaces the file some times a second and holds `progress.lock` all the while; the kernel lifts the lock however the
//! process ends, so that what a killed run left is never shown as under way. A reader looks with a shared lock that it drops at once; a run that meets
//! it takes its own at the next tick. Nothing is decided by it: a file that cannot be written costs the sight of this run.

use super::progress::Progress;
use crate::status::{ComparingReport, ComparisonReport, PACE};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILE: &str = "progress.json";
const TEMPORARY: &str = "progress.json.new";
const LOCK: &str = "progress.lock";
/// Between two writings: a run of a few seconds is seen as well.
const TICK: Duration = Duration::from_millis(250);
/// Before this share is read a forecast says more about the start than about the rest.
const LEAST: f64 = 0.01;

/// A run under way.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct UnderWay {
    /// The whole of it.
    pub(super) run: ComparisonReport,
    /// Its streams.
    pub(super) streams: BTreeMap<String, ComparingReport>,
}

impl UnderWay {
    /// The run that lives now, as it said last.
    pub(super) fn read(state_dir: &Path) -> Option<Self> {
        let directory = state_dir.join("verify");
        let lock = File::open(directory.join(LOCK)).ok()?;
        match flock(&lock, FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => serde_json::from_slice(&fs::read(directory.join(FILE)).ok()?).ok(),
            _ => None,
        }
    }
}

/// Tells of a run until it is dropped, and takes the file away then.
#[derive(Debug)]
pub(super) struct Telling {
    directory: PathBuf,
    started_ms: u64,
    began: Instant,
    /// What an earlier run had read already, once it is known.
    resumed_at: Option<f64>,
    held: Option<File>,
}

impl Telling {
    /// Of a run that holds the directory.
    pub(super) fn of(state_dir: &Path, started_ms: u64) -> Self {
        let directory = state_dir.join("verify");
        Self { directory, started_ms, began: Instant::now(), resumed_at: None, held: None }
    }

    /// Tells, again and again.
    pub(super) async fn tell(&mut self, progress: &Progress) -> Infallible {
        let mut said = false;
        loop {
            let told = self.write(progress);
            if let Err(error) = &told
                && !std::mem::replace(&mut said, true)
            {
                tracing::debug!("how far the comparison is cannot be told: {}", error.kind());
            }
            tokio::time::sleep(TICK).await;
        }
    }

    fn write(&mut self, progress: &Progress) -> io::Result<()> {
        let shown = self.shown(progress);
        let temporary = self.directory.join(TEMPORARY);
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        serde_json::to_writer(&made, &shown)?;
        fs::rename(&temporary, self.directory.join(FILE))?;
        if self.held.is_none() {
            let path = self.directory.join(LOCK);
            let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            self.held = Some(lock);
        }
        Ok(())
    }

    fn shown(&mut self, progress: &Progress) -> UnderWay {
        let streams = progress.streams();
        let streams = streams.iter().map(|stream| (stream.stream().to_owned(), stream.report()));
        let ratio = progress.ratio();
        let from = *self.resumed_at.get_or_insert(ratio.unwrap_or(0.0));
        let eta_seconds = ratio.and_then(|ratio| left(from, ratio, self.began.elapsed()));
        let eta_method = PACE.to_owned();
        let run = ComparisonReport { started_ms: self.started_ms, ratio, eta_seconds, eta_method };
        UnderWay { run, streams: streams.collect() }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        // While the lock is still held: a file that stays would be read as the next run's.
        let _ = fs::remove_file(self.directory.join(FILE));
    }
}

/// Seconds until everything is read, at the pace since this process began with `from` of it read.
fn left(from: f64, ratio: f64, elapsed: Duration) -> Option<f64> {
    let done = ratio - from;
    (done >= LEAST && ratio < 1.0).then(|| elapsed.as_secs_f64() * (1.0 - ratio) / done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_takes_as_long_as_the_pace_of_this_process_says() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(0.0, 0.009, minute), None, "before 1 %");
        assert_eq!(left(0.0, 0.5, minute), Some(60.0));
        assert_eq!(left(0.5, 0.75, minute), Some(60.0), "what an earlier run read took no time of this one");
        assert_eq!(left(0.0, 1.0, minute), None, "what is looked at again is not foreseen");
    }

    #[test]
    fn a_run_is_seen_while_it_lives_and_not_by_what_it_left() {
        let state = crate::config::tests::scratch("under-way");
        fs::create_dir(state.join("verify")).expect("a directory");
        assert_eq!(UnderWay::read(&state), None, "nothing ran yet");
        let progress = Progress::default();
        progress.of("users").expect((10, 10));
        let mut telling = Telling::of(&state, 7);
        telling.write(&progress).expect("it is told");
        let seen = UnderWay::read(&state).expect("it runs");
        assert_eq!((seen.run.started_ms, seen.run.ratio), (7, Some(0.0)));
        assert_eq!(seen.streams["users"].expected_records, 10);
        let left = fs::read(state.join("verify").join(FILE)).expect("the file");
        drop(telling);
        fs::write(state.join("verify").join(FILE), left).expect("as a killed run leaves it");
        assert_eq!(UnderWay::read(&state), None, "the lock went with the process");
    }
}
