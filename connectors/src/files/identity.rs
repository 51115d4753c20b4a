//! What makes a file the file it was: numbers of its inode, and fingerprints of its content.
//!
//! Numbers alone prove nothing (an inode is reused at once, a file is truncated in place), so they are believed only
//! together with content. Owns no file. Part of promise 6: a place in a file counts only where all evidence agrees.

use crate::files::root::FileStat;
use xxhash_rust::xxh3::xxh3_128;

/// Longest fingerprint of a file's beginning.
pub const HEAD_BYTES: usize = 1_024;
/// Longest fingerprint of the bytes before an offset.
pub const TAIL_BYTES: usize = 256;

/// Numbers of an inode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Inode {
    /// Device.
    pub dev: u64,
    /// Inode on that device.
    pub ino: u64,
    /// When it was made, where the file system tells.
    pub birth_ns: Option<i128>,
}

impl Inode {
    /// Of a file that was looked at.
    pub fn of(stat: &FileStat) -> Self {
        Self { dev: stat.dev, ino: stat.ino, birth_ns: stat.birth_ns }
    }

    /// May be the same inode; content has to confirm it. Device numbers of some file systems (NFS, overlay, device mapper)
    /// change at a reboot: a birth time to the nanosecond stands in for one.
    pub fn may_be(&self, other: &Self) -> bool {
        self.ino == other.ino
            && self.birth_ns == other.birth_ns
            && (self.dev == other.dev || self.birth_ns.is_some_and(|birth| birth != 0))
    }
}

/// Length and hash of a stretch of bytes. The empty one agrees with everything.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint {
    /// Bytes it covers.
    pub len: u16,
    /// XXH3-128 of them.
    pub hash: u128,
}

impl Fingerprint {
    /// Covers nothing.
    pub const EMPTY: Self = Self { len: 0, hash: 0 };

    /// Of `bytes`, at most 65,535 of them.
    pub fn of(bytes: &[u8]) -> Self {
        match u16::try_from(bytes.len()) {
            Ok(0) => Self::EMPTY,
            Ok(len) => Self { len, hash: xxh3_128(bytes) },
            Err(_) => Self { len: u16::MAX, hash: xxh3_128(&bytes[..usize::from(u16::MAX)]) },
        }
    }

    /// `bytes` start with what it covers.
    pub fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..usize::from(self.len)).is_some_and(|covered| Self::of(covered) == *self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_knows_its_bytes_and_only_those() {
        let print = Fingerprint::of(b"abc");
        assert!(print.begins(b"abc"));
        assert!(print.begins(b"abcd"));
        assert!(!print.begins(b"ab"));
        assert!(!print.begins(b"abx"));
        assert!(Fingerprint::EMPTY.begins(b""));
    }

    #[test]
    fn an_inode_born_at_another_time_is_another_one() {
        let old = Inode { dev: 1, ino: 2, birth_ns: Some(3) };
        assert!(old.may_be(&Inode { dev: 9, ..old }), "device numbers may change at a reboot");
        assert!(!old.may_be(&Inode { birth_ns: Some(4), ..old }));
        assert!(!old.may_be(&Inode { ino: 5, ..old }));
        let unborn = Inode { birth_ns: None, ..old };
        assert!(!unborn.may_be(&Inode { dev: 9, ..unborn }), "without a birth time the device must agree");
    }
}
