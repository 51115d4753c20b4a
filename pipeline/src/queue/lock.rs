//! The lock on a state directory: one process works in it, for as long as it lives (promise 17).
//!
//! It is an advisory `flock` on `<state>/lock`, not a file holding a process number: the kernel lifts it when the process ends,
//! however it ends, so it is never stale. The file is left in place. Network file systems are refused, since their locks
//! and their syncs do not hold what the queue needs.

use landfall_connectors::failure::{Failure, FailureClass};
use rustix::fs::{FlockOperation, NFS_SUPER_MAGIC};
use rustix::io::Errno;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// Name of the lock file.
const LOCK_FILE: &str = "lock";

/// Held for the life of this value.
#[derive(Debug)]
#[must_use]
pub struct StateLock {
    _held: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockRefused {
    /// Another process holds it (exit code 5).
    #[error("another process works in this state directory")]
    AlreadyHeld,
    /// The directory cannot be used.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl StateLock {
    /// Takes the lock in `state`, making the directory (0700) when it is missing. Never waits. Changes nothing inside the directory
    /// when another process holds the lock.
    pub fn acquire(state: &Path) -> Result<Self, LockRefused> {
        DirBuilder::new().recursive(true).mode(0o700).create(state).map_err(|e| unusable(state, "make", &e))?;
        refuse_foreign(state)?;
        let path = state.join(LOCK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .map_err(|e| unusable(state, "open the lock in", &e))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _held: file }),
            Err(Errno::WOULDBLOCK) => Err(LockRefused::AlreadyHeld),
            Err(errno) => Err(unusable(state, "lock", &errno.into())),
        }
    }
}

fn refuse_foreign(state: &Path) -> Result<(), LockRefused> {
    let directory = File::open(state).map_err(|e| unusable(state, "open", &e))?;
    let meta = directory.metadata().map_err(|e| unusable(state, "look at", &e))?;
    let owner = rustix::process::geteuid().as_raw();
    if meta.uid() != owner {
        let detail = format!(
            "the state directory {} belongs to user {}, this process runs as user {owner}: run as its owner or change the owner",
            state.display(),
            meta.uid()
        );
        return Err(Failure::new(FailureClass::Halt, "state_dir_foreign", detail).into());
    }
    let system =
        rustix::fs::fstatfs(&directory).map_err(|e| unusable(state, "look at the file system of", &e.into()))?;
    if system.f_type == NFS_SUPER_MAGIC {
        let detail = format!(
            "the state directory {} is on NFS, where neither locks nor syncs can be relied on: use a local file system",
            state.display()
        );
        return Err(Failure::new(FailureClass::Halt, "state_dir_network", detail).into());
    }
    Ok(())
}

fn unusable(state: &Path, what: &str, error: &std::io::Error) -> LockRefused {
    let detail = format!("cannot {what} the state directory {}: {error}", state.display());
    Failure::new(FailureClass::Halt, "state_dir_unusable", detail).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_holder_is_refused_until_the_first_lets_go() {
        let state = std::env::temp_dir().join(format!("landfall-lock-{}", uuid::Uuid::new_v4()));
        let first = StateLock::acquire(&state).unwrap();
        assert!(matches!(StateLock::acquire(&state), Err(LockRefused::AlreadyHeld)));
        drop(first);
        drop(StateLock::acquire(&state).unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join(LOCK_FILE)), 0o600);
        std::fs::remove_dir_all(&state).unwrap();
    }
}
