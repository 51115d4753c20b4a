//! What a run leaves on disk, so that the next one goes on: `STATE/verify/run.json` and the spills beside it.
//!
//! A side of a stream is remembered once its spill is complete; the file is replaced whole (temp, sync, rename, sync of the directory). Spills
//! are not synced: what a power cut took of one shows by its checksums and is refused (`verify_damaged`, `--fresh`). Killed anywhere, the next run reads again what was not complete. Sides of another
//! mapping, source or program are not gone on with. One run at a time: the directory has a lock of its own, and never the service's.

use super::spill::{Spilled, disk};
use crate::queue::lock::{LockRefused, StateLock};
use landfall_connectors::failure::{Failure, FailureClass};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FILE: &str = "run.json";
const TEMPORARY: &str = "run.json.new";

/// A side of a stream that was read.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct SidePart {
    pub(super) started_ms: u64,
    pub(super) ended_ms: u64,
    pub(super) spilled: Spilled,
    /// Keys met in the source, or events applied in the target.
    pub(super) events: u64,
    /// Keys met in files that capture has read only perhaps.
    pub(super) perhaps: u64,
    /// Lives of the source's queue, of the target's side.
    pub(super) generations: u64,
}

/// What is known of a stream.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct StreamPart {
    /// Everything that decides what its sides are.
    pub(super) identity: String,
    pub(super) source: Option<SidePart>,
    pub(super) target: Option<SidePart>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Remembered {
    /// Of the program that wrote it.
    version: String,
    started_ms: u64,
    streams: BTreeMap<String, StreamPart>,
}

/// The directory of runs, held.
#[derive(Debug)]
pub(super) struct RunState {
    directory: PathBuf,
    remembered: Remembered,
    /// Something of an earlier run is gone on with.
    pub(super) resumed: bool,
    _lock: StateLock,
}

impl RunState {
    /// Opens it; `now_ms` is when a run begins that has nothing to go on with. Fails with `other_owner` while another run holds it.
    pub(super) fn open(state_dir: &Path, now_ms: u64) -> Result<Self, Failure> {
        let directory = state_dir.join("verify");
        let lock = StateLock::acquire(&directory).map_err(|refused| match refused {
            LockRefused::Failed(failure) => failure,
            LockRefused::AlreadyHeld => {
                let detail = "another `landfall verify` of this state directory runs; wait for it";
                Failure::new(FailureClass::Fenced, "other_owner", detail)
            }
        })?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let found = fs::read(directory.join(FILE)).ok();
        // One that cannot be read is none: everything is read again.
        let found: Option<Remembered> = found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let found = found.filter(|found| found.version == version && !found.streams.is_empty());
        let resumed = found.is_some();
        let remembered = found.unwrap_or(Remembered { version, started_ms: now_ms, ..Remembered::default() });
        Ok(Self { directory, remembered, resumed, _lock: lock })
    }

    /// Forgets everything of an earlier run.
    pub(super) fn forget(&mut self, now_ms: u64) -> Result<(), Failure> {
        self.remembered.streams.clear();
        self.remembered.started_ms = now_ms;
        self.resumed = false;
        self.clear()
    }

    /// When the run began.
    pub(super) fn started_ms(&self) -> u64 {
        self.remembered.started_ms
    }

    /// The part of a stream, begun anew when it is of another identity.
    pub(super) fn stream(&mut self, name: &str, identity: &str) -> &mut StreamPart {
        let part = self.remembered.streams.entry(name.to_owned()).or_default();
        if part.identity != identity {
            *part = StreamPart { identity: identity.to_owned(), ..StreamPart::default() };
        }
        part
    }

    /// Of a stream that was asked for before.
    pub(super) fn part(&self, name: &str) -> Option<&StreamPart> {
        self.remembered.streams.get(name)
    }

    /// Where a side is spilled.
    pub(super) fn spill(&self, stream: &str, side: &str) -> PathBuf {
        self.directory.join(format!("{stream}.{side}"))
    }

    /// Makes what is known durable.
    pub(super) fn save(&self) -> Result<(), Failure> {
        self.write().map_err(|error| disk(&error))
    }

    fn write(&self) -> io::Result<()> {
        let (file, temporary) = (self.directory.join(FILE), self.directory.join(TEMPORARY));
        let mut made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        serde_json::to_writer(&mut made, &self.remembered)?;
        made.flush()?;
        made.sync_all()?;
        fail::fail_point!("verify::before_rename");
        fs::rename(&temporary, &file)?;
        File::open(&self.directory)?.sync_all()
    }

    /// Ends a run that told all of these streams, out of so many. What was lost is read by the next run, and the other sides of those streams are
    /// kept for it; the next run reads the others as they stand then.
    pub(super) fn end(&mut self, told: &[String], of: usize) -> Result<(), Failure> {
        if told.len() == of {
            return self.clear();
        }
        self.remembered.streams.retain(|name, _| !told.contains(name));
        self.save()
    }

    /// Takes everything away: the run is over. What stands in the directory beside the lock is ours.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        let clear = || -> io::Result<()> {
            match fs::remove_file(self.directory.join(FILE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            for entry in fs::read_dir(&self.directory)? {
                let path = entry?.path();
                let ours = path.extension().is_some_and(|side| side == "source" || side == "target");
                if ours || path.ends_with(TEMPORARY) {
                    fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        clear().map_err(|error| disk(&error))
    }
}
