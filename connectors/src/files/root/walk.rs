//! One listing under way: down the directories, each opened beneath the root.

use super::{FileStat, Listed, Listing, MAX_DEPTH, MAX_FILES, ReadError, Root, SkipReason, Skipped, Symlinks, stat_at};
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// [`Root::list`].
pub(super) fn list(
    root: &Root,
    depth: Option<usize>,
    wanted: &mut dyn FnMut(&Path) -> bool,
) -> Result<Listing, ReadError> {
    let limit = depth.unwrap_or(MAX_DEPTH).min(MAX_DEPTH);
    let mut walk = Walk {
        root,
        limit,
        asked: depth,
        wanted,
        found: Listing::default(),
        todo: Vec::new(),
        links: Vec::new(),
        visited: HashSet::new(),
    };
    walk.directory(&PathBuf::new(), 1)?;
    // Linked directories last: what can be reached without a link is listed under its own name.
    while let Some((path, level)) = walk.todo.pop().or_else(|| walk.links.pop()) {
        match walk.directory(&path, level) {
            Ok(()) => {}
            // Gone between its listing and its opening: an absence, not an error.
            Err(ReadError { errno: Errno::NOENT, .. }) => {}
            Err(error) if error.errno == Errno::NOSPC => return Err(error),
            Err(error) => walk.found.unreadable.push(error),
        }
    }
    let mut found = walk.found;
    found.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// One listing under way.
struct Walk<'a> {
    root: &'a Root,
    limit: usize,
    asked: Option<usize>,
    wanted: &'a mut dyn FnMut(&Path) -> bool,
    found: Listing,
    todo: Vec<(PathBuf, usize)>,
    links: Vec<(PathBuf, usize)>,
    /// Directories listed, by device and inode, where links are followed: loops of links end here.
    visited: HashSet<(u64, u64)>,
}

impl Walk<'_> {
    fn directory(&mut self, path: &Path, level: usize) -> Result<(), ReadError> {
        let failed = |errno| ReadError { path: path.to_owned(), errno };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = self.root.lookup(path, flags).map_err(failed)?;
        if self.root.follow == Symlinks::Beneath {
            let stat = FileStat::of(&opened).map_err(failed)?;
            if !self.visited.insert((stat.dev, stat.ino)) {
                self.skip(path.to_owned(), SkipReason::Symlink);
                return Ok(());
            }
        }
        let mut dir = Dir::new(opened).map_err(failed)?;
        while let Some(entry) = dir.read() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let relative = path.join(OsStr::from_bytes(name));
            self.entry(dir.fd().map_err(failed)?, relative, (entry.file_type(), level))?;
        }
        Ok(())
    }

    fn entry(&mut self, dir: impl AsFd, relative: PathBuf, known: (FileType, usize)) -> Result<(), ReadError> {
        let (listed_kind, level) = known;
        if listed_kind == FileType::RegularFile && !(self.wanted)(&relative) {
            return Ok(());
        }
        if listed_kind == FileType::Directory {
            self.descend(relative, level);
            return Ok(());
        }
        let name = relative.file_name().unwrap_or_default();
        match stat_at(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok((_, FileType::Directory)) => self.descend(relative, level),
            Ok((_, FileType::Symlink)) => self.link(relative, level),
            Ok((stat, FileType::RegularFile)) => return self.file(relative, (stat, listed_kind)),
            Ok(_) => self.skip(relative, SkipReason::NotRegular),
            Err(Errno::NOENT) => {}
            Err(errno) => self.found.unreadable.push(ReadError { path: relative, errno }),
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf, seen: (FileStat, FileType)) -> Result<(), ReadError> {
        let (stat, listed_kind) = seen;
        // File systems that do not tell the kind in the directory: only now is it known to be a file.
        if listed_kind != FileType::RegularFile && !(self.wanted)(&path) {
            return Ok(());
        }
        if self.found.files.len() >= MAX_FILES {
            return Err(ReadError { path, errno: Errno::NOSPC });
        }
        self.found.files.push(Listed { path, stat });
        Ok(())
    }

    /// A link: its target decides, and only the kernel says whether that is inside.
    fn link(&mut self, path: PathBuf, level: usize) {
        if self.root.follow == Symlinks::Refuse {
            if (self.wanted)(&path) {
                self.skip(path, SkipReason::Symlink);
            }
            return;
        }
        let looked = self.root.lookup(&path, OFlags::PATH | OFlags::CLOEXEC);
        match looked.and_then(|target| stat_at(target, "", AtFlags::EMPTY_PATH)) {
            Ok((_, FileType::Directory)) if level < self.limit => self.links.push((path, level + 1)),
            Ok((_, FileType::Directory)) => self.descend(path, level),
            Ok((stat, FileType::RegularFile)) if (self.wanted)(&path) => self.found.files.push(Listed { path, stat }),
            Ok((_, FileType::RegularFile)) => {}
            Ok(_) => self.skip(path, SkipReason::NotRegular),
            Err(Errno::LOOP) => self.skip(path, SkipReason::Symlink),
            Err(Errno::XDEV | Errno::NOENT) => self.skip(path, SkipReason::Outside),
            Err(errno) => self.found.unreadable.push(ReadError { path, errno }),
        }
    }

    fn descend(&mut self, path: PathBuf, level: usize) {
        if level < self.limit {
            self.todo.push((path, level + 1));
        } else if self.asked.is_none_or(|asked| asked > MAX_DEPTH) {
            self.skip(path, SkipReason::TooDeep);
        }
    }

    /// The first of them suffice for people: the list of oddities stays bounded.
    fn skip(&mut self, path: PathBuf, reason: SkipReason) {
        const MAX_SKIPPED: usize = 1_000;
        if self.found.skipped.len() < MAX_SKIPPED {
            self.found.skipped.push(Skipped { path, reason });
        }
    }
}
