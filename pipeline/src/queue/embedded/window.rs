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
            // What follows is asked for next: a little of it comes along.
            self.buffer.resize((count + self.chunk / 4).max(self.chunk).min(ahead), 0);
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

    /// Fills the first `count` bytes of `into` from `position`: from the window as far as it reaches, the rest straight from the file.
    /// What `into` has room for behind them is read along and becomes the window. `false` when the file ends before.
    pub(super) fn copy(&mut self, position: u64, count: usize, into: &mut [u8]) -> io::Result<bool> {
        let held = self.held(position, 0).map_or(&[][..], |skip| &self.buffer[skip..]);
        if held.len() >= count {
            into[..count].copy_from_slice(&held[..count]);
            return Ok(true);
        }
        let ahead = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
        let until = into.len().min(ahead);
        if until < count {
            return Ok(false);
        }
        let (front, rest) = into[..until].split_at_mut(held.len());
        front.copy_from_slice(held);
        let read = front.len() + read_full(&*self.file, rest, position + front.len() as u64)?;
        if read < count {
            return Ok(false);
        }
        self.buffer.clear();
        self.buffer.extend_from_slice(&into[count..read]);
        self.at = position + count as u64;
        Ok(true)
    }

    fn held(&self, position: u64, count: usize) -> Option<usize> {
        let skip = usize::try_from(position.checked_sub(self.at)?).ok()?;
        (skip.checked_add(count)? <= self.buffer.len()).then_some(skip)
    }
}
