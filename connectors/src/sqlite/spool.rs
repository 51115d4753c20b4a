//! Changed rows between the two passes: in memory while they are few, else in a file without a name.
//!
//! So the database is read once and its snapshot given back at once, however much changed.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// Bytes kept in memory.
const MOST_IN_MEMORY: usize = 8 << 20;

/// Bytes one behind the other.
#[derive(Debug, Default)]
pub(super) struct Spool {
    memory: Vec<u8>,
    /// What stands before `memory`.
    file: Option<File>,
    spilled: u64,
}

impl Spool {
    /// Appends; gives where they stand.
    pub(super) fn put(&mut self, bytes: &[u8], directory: &Path) -> io::Result<u64> {
        if self.memory.len() + bytes.len() > MOST_IN_MEMORY && !self.memory.is_empty() {
            self.spill(directory)?;
        }
        let at = self.spilled + self.memory.len() as u64;
        self.memory.extend_from_slice(bytes);
        Ok(at)
    }

    /// `length` bytes from `at` on.
    pub(super) fn read<'a>(&'a self, at: u64, length: usize, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        if let Some(from) = at.checked_sub(self.spilled) {
            let from = from as usize;
            return self.memory.get(from..from + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into());
        }
        buffer.resize(length, 0);
        let file = self.file.as_ref().ok_or(io::ErrorKind::UnexpectedEof)?;
        file.read_exact_at(buffer, at)?;
        Ok(buffer)
    }

    fn spill(&mut self, directory: &Path) -> io::Result<()> {
        if self.file.is_none() {
            let path = directory.join("changed.spool");
            // Of a run before, if any.
            let _ = std::fs::remove_file(&path);
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
            std::fs::remove_file(&path)?;
            self.file = Some(file);
        }
        if let Some(file) = &self.file {
            file.write_all_at(&self.memory, self.spilled)?;
        }
        self.spilled += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read_again_from_memory_and_from_the_file() {
        let directory = std::env::temp_dir();
        let (mut spool, mut buffer) = (Spool::default(), Vec::new());
        let piece = |n: u64| vec![(n % 251) as u8; 100_000 + n as usize];
        let places: Vec<u64> = (0..200).map(|n| spool.put(&piece(n), &directory).unwrap()).collect();
        assert!(spool.spilled > 0, "some were spilled");
        for (n, at) in places.into_iter().enumerate() {
            let wanted = piece(n as u64);
            assert_eq!(spool.read(at, wanted.len(), &mut buffer).unwrap(), wanted);
        }
        assert!(spool.read(1 << 40, 1, &mut buffer).is_err());
    }
}
