//! Whether a file that was read may be believed to stand still while its numbers (size, inode, times) do.
//!
//! They may stay equal across a rewrite within one tick of the file system's clock: a file that was read within [`RACY`] of
//! its last change is read once more later. Reads nothing itself. Never fails.

use super::root::FileStat;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Coarser than the clock ticks of every file system we meet (FAT has two seconds).
pub const RACY: Duration = Duration::from_secs(2);

/// The last look that came to an end, whatever the end was.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The file as it stood.
    pub stat: FileStat,
    /// When it began.
    pub began: Instant,
    /// It is believed to stand still while its numbers do.
    pub settled: bool,
}

impl Look {
    /// A look that began at `began`, after `before`.
    pub fn new(stat: FileStat, began: Instant, before: Option<&Self>) -> Self {
        let again = before.is_some_and(|before| before.stat == stat && began.duration_since(before.began) >= RACY);
        Self { stat, began, settled: again || is_old(&stat, began.elapsed()) }
    }

    /// How long until the file is to be read again although its numbers stand still.
    pub fn due_in(&self) -> Option<Duration> {
        (!self.settled).then(|| RACY.saturating_sub(self.began.elapsed()))
    }
}

/// By the wall clock, the last change was [`RACY`] before the look began. A clock that runs wrong costs one more reading.
fn is_old(stat: &FileStat, since_began: Duration) -> bool {
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return false };
    let began = now.saturating_sub(since_began).as_nanos() as i128;
    began - stat.ctime_ns.max(stat.mtime_ns) >= RACY.as_nanos() as i128
}
