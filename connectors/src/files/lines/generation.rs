//! One generation of a file: what is remembered of it, and how that is stored as a position.
//!
//! A generation is the content of a file from its first byte to its last, whatever the names and inodes it passes
//! through. Its slot in the position table is its id; the value, all integers little-endian:
//!
//! ```text
//! 0     version (2)            u8      1 ends behind the paths
//! 1     flags                  u8    1 closed · 2 birth known · 4 gzip
//! 2     serial                 u64   order of first sight inside the source
//! 10    device                 u64
//! 18    inode                  u64
//! 26    birth, ns since 1970   i128
//! 42    stored size            u64
//! 50    offset                 u64   of the content: next byte to hand out
//! 58    lines handed out       u64
//! 66    head: length, hash     u16, u128
//! 84    tail: length, hash     u16, u128   the bytes before the offset
//! 102   base: length, bytes    u16, …      the path it was first seen under, relative to the root
//! …     path: length, bytes    u16, …      the path it was last seen under
//! …     turns                  …           in which it was read (`turns`)
//! ```
//!
//! Keeps promise 6: an unreadable value is an error, never a start from zero.

use crate::files::identity::{Fingerprint, HEAD_BYTES, Inode};
use crate::files::lines::body::Body;
use crate::files::lines::turns::Turns;
use crate::files::root::FileStat;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const VERSION: u8 = 2;
const WITHOUT_TURNS: u8 = 1;
const CLOSED: u8 = 1;
const BIRTH: u8 = 2;
const GZIP: u8 = 4;

/// Where a generation is found in the present listing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Not looked for yet.
    Unknown,
    /// Listed under its path, evidence agrees.
    Listed(FileStat),
    /// No name leads to it in the listing; an open descriptor does.
    Held(FileStat),
    /// Its inode is there and holds something else: truncated or written anew in place.
    Overwritten,
    /// Not found.
    Absent,
}

/// What is known of a generation.
#[derive(Clone, Debug)]
pub(super) struct Generation {
    /// Its id, and its slot in the position table.
    pub slot: Arc<str>,
    /// Order of first sight.
    pub serial: u64,
    /// The path it was first seen under.
    pub base: PathBuf,
    /// The path it was last seen under.
    pub path: PathBuf,
    /// Numbers of the inode that holds it.
    pub inode: Inode,
    /// Stored as gzip.
    pub compressed: bool,
    /// Its beginning.
    pub head: Fingerprint,
    /// The bytes before the offset.
    pub tail: Fingerprint,
    /// Next byte to hand out.
    pub offset: u64,
    /// Lines handed out.
    pub lines: u64,
    /// Stored size when it was last read to its end.
    pub size: u64,
    /// In which turns its lines were handed out.
    pub turns: Turns,
    /// Read to its end, and another generation has taken its place.
    pub closed: bool,
    /// No newline stands between the offset and here (not stored: found again after a restart).
    pub searched: u64,
    /// Where it is.
    pub standing: Standing,
    /// The state its evidence was last checked against.
    pub verified: Option<FileStat>,
    /// The state in which it was last read to its end.
    pub drained: Option<FileStat>,
    /// Passes over an unfinished last line that did not change; of a finished generation, passes in which it was not there.
    pub quiet: u8,
    /// Has changed since its position was last handed out.
    pub touched: bool,
}

impl Generation {
    /// A generation at first sight.
    pub(super) fn first_seen(base: &Path, path: &Path, serial: u64, seen: (&FileStat, Fingerprint)) -> Self {
        let (stat, head) = seen;
        let inode = Inode::of(stat);
        Self {
            slot: slot_name(&inode, serial, head),
            serial,
            base: base.to_owned(),
            path: path.to_owned(),
            inode,
            compressed: super::rotation::is_compressed(path),
            head,
            tail: Fingerprint::EMPTY,
            offset: 0,
            lines: 0,
            size: stat.size,
            turns: Turns::default(),
            closed: false,
            searched: 0,
            standing: Standing::Listed(*stat),
            verified: Some(*stat),
            drained: None,
            quiet: 0,
            touched: true,
        }
    }

    /// The state in which it stands, if it can be read.
    pub(super) fn stat(&self) -> Option<FileStat> {
        match self.standing {
            Standing::Listed(stat) | Standing::Held(stat) => Some(stat),
            _ => None,
        }
    }

    /// Nothing more is expected of it: read to its end, or nothing was ever in it.
    pub(super) fn is_finished(&self) -> bool {
        self.closed || (self.offset == 0 && self.head.len == 0)
    }

    /// There may be more of it than was handed out.
    pub(super) fn has_work(&self) -> bool {
        self.stat().is_some_and(|stat| self.drained != Some(stat))
    }

    /// Whether `body` holds this generation: size, head, and the bytes before the offset (promise 6).
    pub(super) fn agrees(&self, body: &mut Body, stat: &FileStat) -> io::Result<bool> {
        if !self.compressed && stat.size < self.offset {
            return Ok(false);
        }
        if !self.head_agrees(body)? {
            return Ok(false);
        }
        // A finished gzip file of the same inode and size is not decompressed again only to look at its end.
        let finished = self.compressed && self.closed && stat.size == self.size;
        if finished {
            return Ok(true);
        }
        let len = usize::from(self.tail.len);
        let tail = body.stretch(self.offset - len as u64, len)?;
        Ok(tail.len() == len && self.tail.begins(&tail))
    }

    /// Whether `body` begins like this generation.
    pub(super) fn head_agrees(&self, body: &mut Body) -> io::Result<bool> {
        let head = body.stretch(0, usize::from(self.head.len))?;
        Ok(self.head.begins(&head))
    }

    /// Takes a longer head once there is one: the more of it, the surer.
    pub(super) fn lengthen_head(&mut self, body: &mut Body, stat: &FileStat) -> io::Result<()> {
        if usize::from(self.head.len) >= HEAD_BYTES || stat.size <= u64::from(self.head.len) {
            return Ok(());
        }
        let bytes = body.stretch(0, HEAD_BYTES)?;
        let head = Fingerprint::of(&bytes);
        // What no longer begins as it did is another content, whose head is not ours.
        if head.len > self.head.len && self.head.begins(&bytes) {
            self.head = head;
            self.touched = true;
        }
        Ok(())
    }

    /// The stored form.
    pub(super) fn encode(&self) -> Box<[u8]> {
        let mut out = Vec::with_capacity(160);
        let flags = u8::from(self.closed) * CLOSED
            + u8::from(self.inode.birth_ns.is_some()) * BIRTH
            + u8::from(self.compressed) * GZIP;
        out.extend([VERSION, flags]);
        for number in [self.serial, self.inode.dev, self.inode.ino] {
            out.extend(number.to_le_bytes());
        }
        out.extend(self.inode.birth_ns.unwrap_or(0).to_le_bytes());
        for number in [self.size, self.offset, self.lines] {
            out.extend(number.to_le_bytes());
        }
        for print in [self.head, self.tail] {
            out.extend(print.len.to_le_bytes());
            out.extend(print.hash.to_le_bytes());
        }
        for path in [&self.base, &self.path] {
            let bytes = path.as_os_str().as_bytes();
            // Linux paths end at 4,096 bytes.
            let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            out.extend(len.to_le_bytes());
            out.extend(&bytes[..usize::from(len)]);
        }
        self.turns.encode(&mut out);
        out.into()
    }

    /// From a slot and its value; `None` if they are not ours.
    pub(super) fn decode(slot: &[u8], value: &[u8]) -> Option<Self> {
        let slot: Arc<str> = std::str::from_utf8(slot).ok()?.into();
        let mut value = Fields(value);
        let [version, flags] = value.take()?;
        if version != VERSION && version != WITHOUT_TURNS {
            return None;
        }
        let (serial, dev, ino) = (value.u64()?, value.u64()?, value.u64()?);
        let birth_ns = Some(i128::from_le_bytes(value.take()?)).filter(|_| flags & BIRTH != 0);
        let (size, offset, lines) = (value.u64()?, value.u64()?, value.u64()?);
        let (head, tail) = (value.print()?, value.print()?);
        let (base, path) = (value.path()?, value.path()?);
        let turns = if version == WITHOUT_TURNS { Turns::uncounted() } else { Turns::decode(&mut value.0)? };
        let sound = value.0.is_empty() && u64::from(tail.len) <= offset;
        sound.then_some(Self {
            slot,
            serial,
            base,
            path,
            inode: Inode { dev, ino, birth_ns },
            compressed: flags & GZIP != 0,
            head,
            tail,
            offset,
            lines,
            size,
            turns,
            closed: flags & CLOSED != 0,
            searched: 0,
            standing: Standing::Unknown,
            verified: None,
            drained: None,
            quiet: 0,
            touched: false,
        })
    }
}

/// Hex of a hash over all that tells generations apart; the serial does where nothing else would.
fn slot_name(inode: &Inode, serial: u64, head: Fingerprint) -> Arc<str> {
    let mut text = Vec::with_capacity(64);
    for number in [inode.dev, inode.ino, serial] {
        text.extend(number.to_le_bytes());
    }
    text.extend(inode.birth_ns.unwrap_or(0).to_le_bytes());
    text.extend(head.hash.to_le_bytes());
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&text)).into()
}

/// Takes fields off the front.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn print(&mut self) -> Option<Fingerprint> {
        let len = u16::from_le_bytes(self.take()?);
        Some(Fingerprint { len, hash: u128::from_le_bytes(self.take()?) })
    }

    fn path(&mut self) -> Option<PathBuf> {
        let len = usize::from(u16::from_le_bytes(self.take()?));
        let (path, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(PathBuf::from(OsStr::from_bytes(path)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat() -> FileStat {
        FileStat { dev: 1, ino: 2, size: 30, mtime_ns: 4, ctime_ns: 5, birth_ns: Some(-6), nlink: 1 }
    }

    #[test]
    fn a_position_survives_its_stored_form() {
        let path = Path::new(OsStr::from_bytes(b"d/\xff.1"));
        let head = Fingerprint::of(b"head");
        let mut made = Generation::first_seen(Path::new("d/x"), path, 7, (&stat(), head));
        made.offset = 20;
        made.lines = 3;
        made.tail = Fingerprint::of(b"tail");
        made.closed = true;
        made.turns.taken_up(0, 3);
        made.turns.taken_up(10, 9);
        let value = made.encode();
        let read = Generation::decode(made.slot.as_bytes(), &value).unwrap();
        assert_eq!(read.encode(), value);
        assert_eq!((read.slot, read.path, read.base), (made.slot, made.path, made.base));
        assert_eq!((read.offset, read.lines, read.closed, read.inode), (20, 3, true, made.inode));
        assert_eq!(read.turns, made.turns);
    }

    #[test]
    fn a_position_without_turns_is_read() {
        let mut value =
            Generation::first_seen(Path::new("x"), Path::new("x"), 0, (&stat(), Fingerprint::EMPTY)).encode().to_vec();
        assert_eq!(value.pop(), Some(0), "no turns yet");
        value[0] = WITHOUT_TURNS;
        assert_eq!(Generation::decode(b"x", &value).unwrap().turns, Turns::uncounted());
    }

    #[test]
    fn a_cut_or_foreign_value_is_refused() {
        let value = Generation::first_seen(Path::new("x"), Path::new("x"), 0, (&stat(), Fingerprint::EMPTY)).encode();
        for len in 0..value.len() {
            assert!(Generation::decode(b"x", &value[..len]).is_none(), "{len} bytes");
        }
        let mut foreign = value.to_vec();
        foreign[0] = 9;
        assert!(Generation::decode(b"x", &foreign).is_none());
    }

    #[test]
    fn generations_that_share_an_inode_have_names_of_their_own() {
        let name = |serial, head: &[u8]| slot_name(&Inode::of(&stat()), serial, Fingerprint::of(head));
        assert_ne!(name(1, b"a"), name(2, b"a"));
        assert_ne!(name(1, b"a"), name(1, b"b"));
        assert_eq!(name(1, b"a"), name(1, b"a"));
    }
}
