//! Starting a new segment.
//!
//! The order makes every crash point harmless: the old segment is durable already; the new file is made, written and synced; its
//! name is synced; the watermark names it; only then does it take frames. A newest segment that the watermark does not name
//! and that holds no frames was half made, and recovery removes it.

use super::catalog::SegmentEntry;
use super::disk::{DiskFile, write_all};
use super::failures;
use super::frame::Seal;
use super::index::{self, SparseIndex};
use super::log::Log;
use super::segment::{self, SegmentHeader};
use super::streams::StreamTable;
use super::tail::Tail;
use super::watermark::Mark;
use crate::queue::{AppendFailure, FullReason};
use landfall_connectors::failure::Failure;
use std::io;
use std::sync::Arc;

impl Log {
    /// Closes the newest segment and starts another, with `streams` if the table changed.
    pub(super) fn roll(&self, tail: &mut Tail, streams: Option<StreamTable>) -> Result<(), AppendFailure> {
        fail::fail_point!("queue::before_roll");
        let (mut header, bytes) = self.next_header(tail, streams).map_err(AppendFailure::Failed)?;
        let index_len = self.save_index(tail.number);
        let name = segment::file_name(header.number);
        let file = match self.make_segment(&name, &bytes) {
            Ok(file) => file,
            Err(error) => {
                // Best effort: recovery removes what stays behind, and the next attempt makes it anew.
                let _ = self.disk.unlink(&name);
                return Err(refusal(&name, &error));
            }
        };
        let synced = file.sync().map_err(|error| failures::sync_failed(&name, &error));
        self.or_break(synced)?;
        fail::fail_point!("queue::after_create_segment");
        let synced = self.disk.sync_dir().map_err(|error| failures::sync_failed("the queue directory", &error));
        self.or_break(synced)?;
        let marked = {
            let mut watermark = self.watermark();
            let first = watermark.mark().first;
            watermark.set(Mark { first, segment: header.number, position: header.len, sequence: tail.next })
        };
        if !self.or_break(marked)? {
            let _ = self.disk.unlink(&name);
            return Err(AppendFailure::Full(FullReason::Disk));
        }
        self.enter(tail, &mut header, file, index_len);
        fail::fail_point!("queue::after_roll");
        Ok(())
    }

    fn next_header(&self, tail: &Tail, streams: Option<StreamTable>) -> Result<(SegmentHeader, Vec<u8>), Failure> {
        let catalog = self.catalog();
        let streams = streams.unwrap_or_else(|| StreamTable::clone(&catalog.streams));
        let mut cells = tail.cells.clone();
        cells.resize(streams.cells(), 0);
        let mut header = SegmentHeader {
            number: tail.number + 1,
            base: tail.next,
            previous_len: tail.position,
            newest_ms: tail.newest_ms,
            streams,
            cells,
            len: 0,
        };
        let bytes = header.encode(self.id, &catalog.positions)?;
        Ok((header, bytes))
    }

    fn make_segment(&self, name: &str, bytes: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.create(name)?;
        write_all(&*file, &[bytes], 0)?;
        Ok(file)
    }

    /// Writes the index of the newest segment beside it and gives its length; it can be built anew, so it may fail.
    fn save_index(&self, number: u64) -> u64 {
        let bytes = self.catalog().index.encode(self.id, number);
        let name = index::file_name(number);
        let written = self.disk.create(&name).and_then(|file| write_all(&*file, &[&bytes], 0));
        if written.is_err() {
            let _ = self.disk.unlink(&name);
            return 0;
        }
        bytes.len() as u64
    }

    /// Makes the new segment the one that takes writes.
    fn enter(&self, tail: &mut Tail, header: &mut SegmentHeader, file: Arc<dyn DiskFile>, index_len: u64) {
        let streams = std::mem::take(&mut header.streams);
        tail.number = header.number;
        tail.file = file;
        tail.seal = Seal::new(self.id, header.number);
        tail.header_len = header.len;
        tail.position = header.len;
        tail.marked_ms = tail.newest_ms;
        tail.cells.clone_from(&header.cells);
        let mut catalog = self.catalog_mut();
        if let Some(closed) = catalog.segments.back_mut() {
            closed.index_len = index_len;
        }
        catalog.segments.push_back(SegmentEntry {
            number: header.number,
            base: header.base,
            cells: header.cells.as_slice().into(),
            header_len: header.len,
            len: header.len,
            index_len: 0,
            newest_ms: header.newest_ms,
        });
        catalog.index = SparseIndex::new(header.cells.len());
        catalog.applied.resize(header.cells.len(), 0);
        catalog.cells.clone_from(&header.cells);
        catalog.streams = Arc::new(streams);
    }

    /// Breaks the queue on a failed sync.
    fn or_break<T>(&self, synced: Result<T, Failure>) -> Result<T, AppendFailure> {
        synced.map_err(|failure| AppendFailure::Failed(self.break_with(failure)))
    }
}

fn refusal(name: &str, error: &io::Error) -> AppendFailure {
    if failures::is_full(error) {
        AppendFailure::Full(FullReason::Disk)
    } else {
        AppendFailure::Failed(failures::unreadable(name, error))
    }
}
