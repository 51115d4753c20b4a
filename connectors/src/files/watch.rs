//! Watch events, as hints: a bell that rings when a watched directory may have changed.
//!
//! Owns the watch of one directory (or tree) and the pace of scans. Where watching is impossible (network file system,
//! watch limit, missing directory) it polls, and [`Watch::state`] says so; a directory that vanished and came back is
//! watched again. Keeps promise 11: no event is trusted or counted on, each only ends a wait; losing all of them costs
//! latency, at most [`Cadence::rescan`]. Does not scan. Never fails.

use crate::source::{Cadence, Noticing};
use crate::wake::{Wake, Woken};
use notify::{Config, ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often a watch that failed for another reason than a missing directory is tried again: a tree of 100,000
/// directories is not walked on each poll.
const RETRY: Duration = Duration::from_secs(30);

/// What is watched.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WatchScope {
    /// One directory.
    Directory,
    /// A directory and all below.
    Tree,
}

/// Why there is only polling.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PollReason {
    /// The directory is not there.
    Missing,
    /// A network or user-space file system, where changes made elsewhere cause no event.
    NetworkFileSystem,
    /// The system's limit of watches is reached (`fs.inotify.max_user_watches` or `max_user_instances`).
    WatchLimit,
    /// Anything else.
    Failed,
}

impl PollReason {
    /// Stable name, for status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NetworkFileSystem => "network_file_system",
            Self::WatchLimit => "watch_limit",
            Self::Failed => "watch_failed",
        }
    }
}

/// How changes are noticed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum WatchState {
    /// By events, and by a scan every [`Cadence::rescan`].
    Watching,
    /// By a scan every [`Cadence::poll`].
    Polling(PollReason),
}

impl From<WatchState> for Noticing {
    fn from(state: WatchState) -> Self {
        match state {
            WatchState::Watching => Self::Events,
            WatchState::Polling(reason) => Self::Polling { because: reason.name() },
        }
    }
}

/// The watch of one directory.
#[derive(Debug)]
pub struct Watch {
    dir: PathBuf,
    scope: WatchScope,
    wake: Wake,
    cadence: Cadence,
    watching: Option<Watching>,
    state: WatchState,
    retry_at: Option<Instant>,
}

/// A live watch and the directory it was set on: the path may lead to another one later.
#[derive(Debug)]
struct Watching {
    inode: (u64, u64),
    /// Dropped, the watch ends.
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches `dir`, ringing `wake`; or polls. Set it *before* the first scan, so that nothing falls in between.
    pub fn new(dir: &Path, scope: WatchScope, wake: Wake, cadence: Cadence) -> Self {
        let state = WatchState::Polling(PollReason::Missing);
        let mut watch = Self { dir: dir.to_owned(), scope, wake, cadence, watching: None, state, retry_at: None };
        watch.refresh();
        watch
    }

    /// How changes are noticed just now.
    pub fn state(&self) -> WatchState {
        self.state
    }

    /// Blocks until something may have changed: an event, a ring from elsewhere, or the time of the next scan.
    pub fn wait(&mut self) -> Woken {
        self.wait_at_most(Duration::MAX)
    }

    /// Like [`Watch::wait`], and no longer than `most`: for a source that knows something is unfinished.
    pub fn wait_at_most(&mut self, most: Duration) -> Woken {
        self.refresh();
        let pace = match self.state {
            WatchState::Watching => self.cadence.rescan,
            WatchState::Polling(_) => self.cadence.poll.min(self.cadence.rescan),
        };
        let woken = self.wake.wait(pace.min(most));
        self.refresh();
        woken
    }

    /// Sets the watch again if its directory is another one now, or if it could not be set before. Called by `wait`.
    fn refresh(&mut self) {
        let inode =
            std::fs::metadata(&self.dir).ok().filter(std::fs::Metadata::is_dir).map(|dir| (dir.dev(), dir.ino()));
        let Some(inode) = inode else {
            self.watching = None;
            self.retry_at = None;
            self.state = WatchState::Polling(PollReason::Missing);
            return;
        };
        if self.watching.as_ref().is_some_and(|watching| watching.inode == inode) {
            return;
        }
        let now = Instant::now();
        if self.watching.is_none() && self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        match self.set(inode) {
            Ok(watching) => {
                self.watching = Some(watching);
                self.retry_at = None;
                self.state = WatchState::Watching;
                // What happened before the watch stood is found by a scan.
                self.wake.ring();
            }
            Err(reason) => {
                self.watching = None;
                self.retry_at = Some(now + RETRY);
                self.state = WatchState::Polling(reason);
            }
        }
    }

    fn set(&self, inode: (u64, u64)) -> Result<Watching, PollReason> {
        if is_remote(&self.dir) {
            return Err(PollReason::NetworkFileSystem);
        }
        let wake = self.wake.clone();
        let ring = move |event: notify::Result<notify::Event>| {
            // Opening a file for reading is an event too: ringing for it would make each scan cause the next one.
            // Errors and overflows do ring.
            if !matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_))) {
                wake.ring();
            }
        };
        let config = Config::default().with_follow_symlinks(false);
        let mut watcher = RecommendedWatcher::new(ring, config).map_err(|error| reason(&error))?;
        let mode = match self.scope {
            WatchScope::Directory => RecursiveMode::NonRecursive,
            WatchScope::Tree => RecursiveMode::Recursive,
        };
        watcher.watch(&self.dir, mode).map_err(|error| reason(&error))?;
        Ok(Watching { inode, _watcher: watcher })
    }
}

fn reason(error: &notify::Error) -> PollReason {
    /// Too many inotify instances of this user or descriptors of this process; no room for watches.
    const LIMITS: [i32; 3] = [24, 23, 28];
    match &error.kind {
        ErrorKind::MaxFilesWatch => PollReason::WatchLimit,
        ErrorKind::PathNotFound => PollReason::Missing,
        ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => PollReason::Missing,
        ErrorKind::Io(io) if io.raw_os_error().is_some_and(|code| LIMITS.contains(&code)) => PollReason::WatchLimit,
        _ => PollReason::Failed,
    }
}

/// File systems on which another host, or a process behind FUSE, changes files without an event here (`statfs(2)`).
fn is_remote(dir: &Path) -> bool {
    const REMOTE: [i64; 13] = [
        0x6969,      // NFS
        0x517b,      // SMB
        0xfe53_4d42, // SMB2
        0xff53_4d42, // CIFS
        0x6573_5546, // FUSE, virtiofs
        0x0102_1997, // 9P
        0x00c3_6400, // Ceph
        0x5346_414f, // OpenAFS
        0x6b41_4653, // AFS
        0x7375_7245, // Coda
        0x0bd0_0bd0, // Lustre
        0x4750_4653, // GPFS
        0x7461_636f, // OCFS2
    ];
    rustix::fs::statfs(dir).is_ok_and(|found| REMOTE.contains(&found.f_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Far longer than an event takes, far shorter than `SLOW.rescan`.
    const SOON: Duration = Duration::from_secs(10);
    const SLOW: Cadence = Cadence { rescan: Duration::from_secs(300), poll: Duration::from_millis(20) };

    fn scratch(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("landfall-watch-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn settle(watch: &mut Watch) {
        while watch.wait_at_most(Duration::from_millis(100)) == Woken::Rung {}
    }

    #[test]
    fn a_change_in_the_directory_ends_the_wait() {
        let dir = scratch("change");
        let mut watch = Watch::new(&dir, WatchScope::Directory, Wake::default(), SLOW);
        assert_eq!(watch.state(), WatchState::Watching);
        settle(&mut watch);
        std::fs::write(dir.join("a"), "x").unwrap();
        assert_eq!(watch.wait_at_most(SOON), Woken::Rung);
    }

    #[test]
    fn a_change_deep_in_a_tree_ends_the_wait() {
        let dir = scratch("tree");
        std::fs::create_dir_all(dir.join("b/c")).unwrap();
        let mut watch = Watch::new(&dir, WatchScope::Tree, Wake::default(), SLOW);
        settle(&mut watch);
        std::fs::write(dir.join("b/c/a"), "x").unwrap();
        assert_eq!(watch.wait_at_most(SOON), Woken::Rung);
    }

    #[test]
    fn reading_a_file_does_not_ring() {
        let dir = scratch("read");
        std::fs::write(dir.join("a"), "x").unwrap();
        let mut watch = Watch::new(&dir, WatchScope::Directory, Wake::default(), SLOW);
        settle(&mut watch);
        std::fs::read(dir.join("a")).unwrap();
        assert_eq!(watch.wait_at_most(Duration::from_millis(200)), Woken::TimedOut);
    }

    #[test]
    fn a_directory_that_came_back_is_watched_again() {
        let dir = scratch("back");
        let mut watch = Watch::new(&dir, WatchScope::Directory, Wake::default(), SLOW);
        std::fs::remove_dir_all(&dir).unwrap();
        settle(&mut watch);
        assert_eq!(watch.state(), WatchState::Polling(PollReason::Missing));
        std::fs::create_dir_all(&dir).unwrap();
        let deadline = Instant::now() + SOON;
        while watch.state() != WatchState::Watching {
            watch.wait_at_most(Duration::from_millis(20));
            assert!(Instant::now() < deadline, "the directory was not watched again");
        }
        settle(&mut watch);
        std::fs::write(dir.join("a"), "x").unwrap();
        assert_eq!(watch.wait_at_most(SOON), Woken::Rung);
    }

    #[test]
    fn a_missing_directory_is_polled() {
        let dir = scratch("poll").join("not/there");
        let mut watch = Watch::new(&dir, WatchScope::Tree, Wake::default(), SLOW);
        assert_eq!(watch.state(), WatchState::Polling(PollReason::Missing));
        let start = Instant::now();
        assert_eq!(watch.wait(), Woken::TimedOut);
        assert!(start.elapsed() < SOON);
    }
}
