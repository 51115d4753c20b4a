//! Writing one file of a base.

use super::{FRAME, HEAD, NAME, unusable};
use landfall_connectors::failure::Failure;
use landfall_schemas::rejection::RejectCode;
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file of a base while it is written.
#[derive(Debug)]
pub(super) struct BaseFile {
    file: BufWriter<File>,
    content: Vec<u8>,
    stored: Vec<u8>,
    records: u64,
}

impl BaseFile {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = BufWriter::new(file.map_err(|error| unusable(&error))?);
        file.write_all(&NAME).map_err(|error| unusable(&error))?;
        Ok(Self { file, content: Vec::with_capacity(FRAME), stored: Vec::new(), records: 0 })
    }

    /// Forgets what was added.
    pub(super) fn restart(&mut self) -> Result<(), Failure> {
        (self.records, self.content) = (0, Vec::with_capacity(FRAME));
        let start = NAME.len() as u64;
        let emptied = self.file.seek(SeekFrom::Start(start)).and_then(|_| self.file.get_ref().set_len(start));
        emptied.map_err(|error| unusable(&error))
    }

    /// Adds a record, or what could not become one.
    pub(super) fn add(&mut self, key: &[u8], record: Result<&[u8], RejectCode>) -> Result<(), Failure> {
        let (kind, record) = match record {
            Ok(record) => (0, record),
            Err(code) => (code as u16, &[][..]),
        };
        self.content.extend_from_slice(&kind.to_le_bytes());
        self.content.extend_from_slice(&(key.len() as u32).to_le_bytes());
        self.content.extend_from_slice(&(record.len() as u32).to_le_bytes());
        self.content.extend_from_slice(key);
        self.content.extend_from_slice(record);
        self.records += 1;
        if self.content.len() >= FRAME { self.frame() } else { Ok(()) }
    }

    fn frame(&mut self) -> Result<(), Failure> {
        self.stored.resize(lz4_flex::block::get_maximum_output_size(self.content.len()), 0);
        let length = lz4_flex::block::compress_into(&self.content, &mut self.stored).unwrap_or_default();
        self.write(self.content.len(), length)?;
        self.content.clear();
        Ok(())
    }

    fn write(&mut self, content: usize, length: usize) -> Result<(), Failure> {
        let stored = &self.stored[..length];
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&(content as u32).to_le_bytes());
        head[4..8].copy_from_slice(&(length as u32).to_le_bytes());
        head[8..].copy_from_slice(&crc32fast::hash(stored).to_le_bytes());
        self.file.write_all(&head).and_then(|()| self.file.write_all(stored)).map_err(|error| unusable(&error))
    }

    /// Ends the file; it is durable when this returns.
    pub(super) fn finish(mut self) -> Result<u64, Failure> {
        if !self.content.is_empty() {
            self.frame()?;
        }
        self.stored.clear();
        self.stored.extend_from_slice(&self.records.to_le_bytes());
        self.write(0, size_of::<u64>())?;
        let file = self.file.into_inner().map_err(|error| unusable(error.error()))?;
        file.sync_all().map_err(|error| unusable(&error))?;
        Ok(self.records)
    }
}
