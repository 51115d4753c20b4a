//! The streams of a queue and where each of their partitions stands in a flat table of offsets.
//!
//! A stream's number is its index here: streams are only ever added, and one that was removed keeps its place. So the table of
//! an older segment is a prefix of the table of a newer one, and a *cell* (stream, partition) has one index for ever.

use super::failures;
use super::wire::Walk;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::stream::{PartitionCount, PartitionId, StreamId, StreamName};
use std::ops::Range;

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct StreamEntry {
    pub(super) name: StreamName,
    pub(super) partitions: PartitionCount,
    /// Index of the cell of partition 0.
    pub(super) first_cell: usize,
    /// Taken out: its events hold nothing back.
    pub(super) removed: bool,
}

impl StreamEntry {
    /// Its cells.
    pub(super) fn cell_range(&self) -> Range<usize> {
        self.first_cell..self.first_cell + usize::from(self.partitions.get())
    }
}

/// All streams ever registered.
#[derive(Clone, Debug, Default)]
pub(super) struct StreamTable {
    entries: Vec<StreamEntry>,
    cells: usize,
}

impl StreamTable {
    /// How many cells there are.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    pub(super) fn entries(&self) -> &[StreamEntry] {
        &self.entries
    }

    pub(super) fn get(&self, stream: StreamId) -> Option<&StreamEntry> {
        self.entries.get(usize::from(stream.0))
    }

    /// The partition count and first cell of a stream that takes events.
    pub(super) fn open(&self, stream: StreamId) -> Result<(PartitionCount, usize), Failure> {
        match self.get(stream) {
            Some(entry) if !entry.removed => Ok((entry.partitions, entry.first_cell)),
            _ => Err(unknown(stream)),
        }
    }

    /// Index of the cell of a partition.
    pub(super) fn cell(&self, stream: StreamId, partition: PartitionId) -> Option<usize> {
        let entry = self.get(stream)?;
        (partition.0 < entry.partitions.get()).then(|| entry.first_cell + usize::from(partition.0))
    }

    /// The number of the stream by this name, if it is registered with this count; a failure with another count.
    pub(super) fn find(&self, name: &StreamName, partitions: PartitionCount) -> Result<Option<StreamId>, Failure> {
        let found = self.entries.iter().position(|entry| !entry.removed && entry.name == *name);
        let Some(index) = found else { return Ok(None) };
        let had = self.entries[index].partitions;
        if had != partitions {
            let detail = format!(
                "stream {name} has {} partitions in the queue and {} now: the count is fixed for a stream's life; set it back, \
                 or remove the stream and add it anew",
                had.get(),
                partitions.get()
            );
            return Err(Failure::new(FailureClass::Halt, "partitions_changed", detail));
        }
        Ok(Some(StreamId(index as u16)))
    }

    /// Adds a stream and gives its number.
    pub(super) fn add(&mut self, name: StreamName, partitions: PartitionCount) -> Result<StreamId, Failure> {
        let number = u16::try_from(self.entries.len())
            .map_err(|_| failures::misuse("too_many_streams", "a queue numbers at most 65,536 streams in its life"))?;
        self.entries.push(StreamEntry { name, partitions, first_cell: self.cells, removed: false });
        self.cells += usize::from(partitions.get());
        Ok(StreamId(number))
    }

    /// Takes a stream out.
    pub(super) fn remove(&mut self, stream: StreamId) -> Result<(), Failure> {
        match self.entries.get_mut(usize::from(stream.0)) {
            Some(entry) => {
                entry.removed = true;
                Ok(())
            }
            None => Err(unknown(stream)),
        }
    }

    /// Writes the table with the next offset of each cell: `count u32`, then per stream
    /// `partitions u16 · flags u8 (1 = removed) · name length u8 · name · partitions × next offset u64`.
    pub(super) fn encode(&self, next: &[u64], out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.entries.len() as u32).to_le_bytes());
        for entry in &self.entries {
            let name = entry.name.as_str().as_bytes();
            out.extend_from_slice(&entry.partitions.get().to_le_bytes());
            out.push(u8::from(entry.removed));
            out.push(name.len() as u8);
            out.extend_from_slice(name);
            for offset in &next[entry.cell_range()] {
                out.extend_from_slice(&offset.to_le_bytes());
            }
        }
    }

    /// Reads what [`StreamTable::encode`] wrote; `None` if it is not that.
    pub(super) fn decode(bytes: &[u8]) -> Option<(Self, Vec<u64>)> {
        let mut walk = Walk::new(bytes);
        let mut table = Self::default();
        let mut next = Vec::new();
        for _ in 0..walk.u32()? {
            let partitions = PartitionCount::new(walk.u16()?)?;
            let removed = walk.u8()? == 1;
            let length = usize::from(walk.u8()?);
            let name = StreamName::new(std::str::from_utf8(walk.take(length)?).ok()?).ok()?;
            let stream = table.add(name, partitions).ok()?;
            table.entries[usize::from(stream.0)].removed = removed;
            for _ in partitions.all() {
                next.push(walk.u64()?);
            }
        }
        walk.is_done().then_some((table, next))
    }
}

/// A stream that was never registered here, or was taken out.
pub(super) fn unknown(stream: StreamId) -> Failure {
    failures::misuse("unknown_stream", format_args!("stream number {} is not registered in this queue", stream.0))
}
