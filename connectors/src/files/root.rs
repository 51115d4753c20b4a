//! Confined reading: a directory held open, and files opened beneath it only.
//!
//! Owns every path lookup of the file sources. Names are resolved by the kernel (`openat2`, `RESOLVE_BENEATH`), so
//! neither `..`, nor an absolute link, nor a link swapped in between check and open leads out; symbolic links are refused
//! unless the configuration allows those that stay inside. Only regular files are handed out: FIFOs, sockets and devices
//! are skipped with a reason and never block.
//!
//! Keeps promise 12: what could not be listed is said ([`Listing::unreadable`], [`ReadError`]) and never looks empty. Does
//! not watch, does not parse. Fails with [`RootError`] where the kernel has no `openat2` (before Linux 5.6).

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Directory levels a listing goes down: far past any real store, and a bound on link loops.
pub const MAX_DEPTH: usize = 32;
/// Files one listing returns: bounds its memory (about 200 bytes a file).
pub const MAX_FILES: usize = 2_000_000;
/// How often a lookup is tried again when a concurrent rename makes the kernel ask for it.
const LOOKUP_RETRIES: usize = 64;

/// Whether symbolic links are followed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Symlinks {
    /// Never: a link is skipped with a reason.
    #[default]
    Refuse,
    /// While they stay beneath the root; the others are skipped with a reason.
    Beneath,
}

/// What is known of a file without reading it. Times are nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileStat {
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last write.
    pub mtime_ns: i128,
    /// Last change of the inode.
    pub ctime_ns: i128,
    /// When the inode was made, where the file system tells.
    pub birth_ns: Option<i128>,
    /// Names it has; 0: deleted, only open descriptors keep it.
    pub nlink: u32,
}

impl FileStat {
    /// Of an open file.
    pub fn of(file: impl AsFd) -> Result<Self, Errno> {
        stat_at(file, "", AtFlags::EMPTY_PATH).map(|(stat, _)| stat)
    }

    /// The same inode, as far as numbers tell (they are reused: compare the birth and content as well).
    pub fn same_inode(&self, other: &Self) -> bool {
        (self.dev, self.ino, self.birth_ns) == (other.dev, other.ino, other.birth_ns)
    }
}

/// Why something is not read, for good or until it changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SkipReason {
    /// A symbolic link where links are refused, or a loop of them.
    Symlink,
    /// A link that leads out of the root, or nowhere.
    Outside,
    /// A FIFO, socket, device, or a directory where a file is wanted.
    NotRegular,
    /// Below [`MAX_DEPTH`].
    TooDeep,
}

impl SkipReason {
    /// Stable name, for status and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Symlink => "symlink",
            Self::Outside => "outside_root",
            Self::NotRegular => "not_a_regular_file",
            Self::TooDeep => "too_deep",
        }
    }
}

/// Something that stands under the root and is not read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Skipped {
    /// Relative to the root.
    pub path: PathBuf,
    /// Why.
    pub reason: SkipReason,
}

/// A path that could not be read; says nothing of what stands there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {errno}", path = path.display())]
pub struct ReadError {
    /// Relative to the root (empty: the root itself).
    pub path: PathBuf,
    /// What the system said.
    pub errno: Errno,
}

impl ReadError {
    /// `missing` when nothing stands at the path, else `unreadable`.
    pub fn code(&self) -> &'static str {
        code_of(self.errno)
    }
}

/// Why a root could not be opened.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RootError {
    /// The kernel (or a sandbox around us) has no `openat2`: nothing is read without confinement.
    #[error(
        "openat2 is not available here (Linux 5.6 or newer is needed): files cannot be read confined to their directory"
    )]
    Unconfined,
    /// The directory cannot be opened.
    #[error("{path}: {errno}", path = path.display())]
    Unreadable {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        errno: Errno,
    },
}

impl RootError {
    /// `openat2_unavailable`, `missing` or `unreadable`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unconfined => "openat2_unavailable",
            Self::Unreadable { errno, .. } => code_of(*errno),
        }
    }
}

fn code_of(errno: Errno) -> &'static str {
    match errno {
        Errno::NOENT | Errno::NOTDIR => "missing",
        _ => "unreadable",
    }
}

/// Why a file was not opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Nothing stands at the path.
    Missing,
    /// Something that is not read.
    Skipped(SkipReason),
    /// The system refused.
    Unreadable(Errno),
}

/// One regular file of a listing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Relative to the root.
    pub path: PathBuf,
    /// As it stood when it was listed.
    pub stat: FileStat,
}

/// What stands under a root. Only a complete listing proves absence.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Regular files, sorted by path.
    pub files: Vec<Listed>,
    /// What is not read, and why.
    pub skipped: Vec<Skipped>,
    /// What could not be looked into: below these nothing is known.
    pub unreadable: Vec<ReadError>,
}

impl Listing {
    /// Every directory was listed and every file looked at: what is not in `files` is not there.
    pub fn is_complete(&self) -> bool {
        self.unreadable.is_empty()
    }
}

/// A directory held open. It goes on meaning the same directory after a rename; [`Root::is_current`] tells.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
    path: PathBuf,
    follow: Symlinks,
}

impl Root {
    /// Opens `dir` (a path of the configuration, so links on the way to it are followed).
    pub fn open(dir: &Path, follow: Symlinks) -> Result<Self, RootError> {
        let unreadable = |errno| RootError::Unreadable { path: dir.to_owned(), errno };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(dir, flags, Mode::empty()).map_err(unreadable)?;
        let probe = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(&opened, ".", probe, Mode::empty(), ResolveFlags::BENEATH) {
            Ok(_) => Ok(Self { dir: opened, path: dir.to_owned(), follow }),
            // Old container sandboxes answer EPERM to calls they do not know.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => Err(RootError::Unconfined),
            Err(errno) => Err(unreadable(errno)),
        }
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path still leads to this very directory: it was not replaced, unmounted or moved away.
    pub fn is_current(&self) -> bool {
        let held = FileStat::of(&self.dir);
        let there = stat_at(rustix::fs::CWD, self.path.as_os_str(), AtFlags::empty());
        matches!((held, there), (Ok(held), Ok((there, _))) if held.same_inode(&there))
    }

    /// Device and inode of the directory.
    pub fn stat(&self) -> Result<FileStat, ReadError> {
        FileStat::of(&self.dir).map_err(|errno| ReadError { path: PathBuf::new(), errno })
    }

    /// Opens a regular file for reading. Never blocks on what is not one.
    pub fn open_file(&self, relative: &Path) -> Result<(File, FileStat), OpenError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = self.lookup(relative, flags).map_err(|errno| self.refused(errno))?;
        let (stat, kind) = stat_at(&file, "", AtFlags::EMPTY_PATH).map_err(OpenError::Unreadable)?;
        if kind == FileType::RegularFile {
            Ok((File::from(file), stat))
        } else {
            Err(OpenError::Skipped(SkipReason::NotRegular))
        }
    }

    /// Looks at a regular file without opening it for reading.
    pub fn stat_file(&self, relative: &Path) -> Result<FileStat, OpenError> {
        let file = self.lookup(relative, OFlags::PATH | OFlags::CLOEXEC).map_err(|errno| self.refused(errno))?;
        let (stat, kind) = stat_at(&file, "", AtFlags::EMPTY_PATH).map_err(OpenError::Unreadable)?;
        if kind == FileType::RegularFile { Ok(stat) } else { Err(OpenError::Skipped(SkipReason::NotRegular)) }
    }

    /// Lists the regular files that `wanted` (asked with the relative path), at most `depth` levels down (1: the root
    /// alone; `None`: [`MAX_DEPTH`]). An error means the root itself could not be listed, or holds more than [`MAX_FILES`].
    pub fn list(&self, depth: Option<usize>, wanted: &mut dyn FnMut(&Path) -> bool) -> Result<Listing, ReadError> {
        walk::list(self, depth, wanted)
    }

    fn refused(&self, errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR => OpenError::Missing,
            Errno::LOOP => OpenError::Skipped(SkipReason::Symlink),
            Errno::XDEV => OpenError::Skipped(SkipReason::Outside),
            // Opening a socket, or a device without a driver.
            Errno::NXIO | Errno::NODEV | Errno::ISDIR => OpenError::Skipped(SkipReason::NotRegular),
            errno => OpenError::Unreadable(errno),
        }
    }

    fn lookup(&self, relative: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        if self.follow == Symlinks::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let mut outcome = Err(Errno::AGAIN);
        for _ in 0..LOOKUP_RETRIES {
            outcome = rustix::fs::openat2(&self.dir, relative, flags, Mode::empty(), resolve);
            if !matches!(outcome, Err(Errno::AGAIN | Errno::INTR)) {
                break;
            }
        }
        outcome
    }
}

fn stat_at(dir: impl AsFd, name: impl rustix::path::Arg, flags: AtFlags) -> Result<(FileStat, FileType), Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let found = rustix::fs::statx(dir, name, flags, wanted)?;
    let nanos = |time: rustix::fs::StatxTimestamp| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    let has_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
    let stat = FileStat {
        dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        size: found.stx_size,
        mtime_ns: nanos(found.stx_mtime),
        ctime_ns: nanos(found.stx_ctime),
        birth_ns: has_birth.then(|| nanos(found.stx_btime)),
        nlink: found.stx_nlink,
    };
    Ok((stat, FileType::from_raw_mode(u32::from(found.stx_mode))))
}

mod walk;

#[cfg(test)]
mod tests;
