//! A buffered look at a file: a moving window of bytes.

use super::disk::{DiskFile, read_full};
use std::io;
use std::sync::Arc;

/// The bytes of a file around where somebody reads.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn DiskFile>,
    /// What one call fetches at least.
    chunk: usize,
    /// Nothing past this is looked at.
    len: u64,
    buffer: Vec<u8>,
    at: u64,
}

impl Window {
    pub(super) fn new(file: Arc<dyn DiskFile>, len: u64, chunk: usize) -> Self {
        Self { file, chunk, len, buffer: Vec::new(), at: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// `count` bytes at `position`; `None` when they do not all lie before the end.
    pub(super) fn bytes(&mut self, position: u64, count: usize) -> io::Result<Option<&[u8]>> {
        let Some(skip) = self.held(position, count) else {
            let ahead = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
            if count > ahead {
                return Ok(None);
            }
            self.buffer.resize(count.max(self.chunk).min(ahead), 0);
            self.at = position;
            match read_full(&*self.file, &mut self.buffer, position) {
                Ok(read) => self.buffer.truncate(read),
                Err(error) => {
                    self.buffer.clear();
                    return Err(error);
                }
            }
            return Ok(self.buffer.get(..count));
        };
        Ok(self.buffer.get(skip..skip + count))
    }

    /// Fills `into` from `position`: from the window as far as it reaches, the rest straight from the file. `false` when the file
    /// ends before.
    pub(super) fn copy(&self, position: u64, into: &mut [u8]) -> io::Result<bool> {
        let held = self.held(position, 0).map_or(&[][..], |skip| &self.buffer[skip..]);
        let held = &held[..held.len().min(into.len())];
        let (front, rest) = into.split_at_mut(held.len());
        front.copy_from_slice(held);
        Ok(read_full(&*self.file, rest, position + held.len() as u64)? == rest.len())
    }

    fn held(&self, position: u64, count: usize) -> Option<usize> {
        let skip = usize::try_from(position.checked_sub(self.at)?).ok()?;
        (skip.checked_add(count)? <= self.buffer.len()).then_some(skip)
    }
}
