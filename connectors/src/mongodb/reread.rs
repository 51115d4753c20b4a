//! Collections read a second time: one cursor after the other over each, in the order of `_id`, majority reads.
//!
//! A collection is no snapshot: what changes while it is read may be seen in its old or its new state, and whoever compares has to look
//! again. Through a client of its own, closed at the end.

use super::named::candidates;
use super::{MongoConfig, MongoSnapshot};
use crate::failure::Failure;
use crate::reread::{Part, Repeats, Reread, Said, Seen, Taker};
use crate::snapshot::{Chunk, ChunkLimit, KeyRange, Snapshot};
use crate::source::SourceStream;
use landfall_schemas::event::Op;
use landfall_schemas::rejection::RejectCode;
use tokio::runtime::Handle;

/// Of one chunk: bounds the memory of the reading.
const CHUNK: ChunkLimit = ChunkLimit { records: 5_000, bytes: 4 << 20 };

/// Collections to be read a second time.
#[derive(Debug)]
pub struct MongoReread {
    snapshot: MongoSnapshot,
    streams: Vec<SourceStream>,
    runtime: Handle,
}

impl MongoReread {
    /// For these collections; connects to nothing yet. The runtime does the waiting, so reading must not run on one of its tasks.
    pub fn new(config: MongoConfig, streams: Vec<SourceStream>, runtime: Handle) -> Self {
        Self { snapshot: MongoSnapshot::new(config, &streams), streams, runtime }
    }

    fn collection(&self, at: usize, taker: &mut dyn Taker) -> Result<(), Failure> {
        let stream = self.streams[at].id;
        let (mut range, mut chunk) = (KeyRange::default(), Chunk::default());
        loop {
            self.runtime.block_on(self.snapshot.read(stream, &range, CHUNK, &mut chunk))?;
            say(&chunk, at, taker)?;
            match chunk.next.take() {
                None => return Ok(()),
                Some(mark) => range.after = Some(mark),
            }
            chunk.records.clear();
        }
    }
}

/// Says what a chunk holds.
fn say(chunk: &Chunk, stream: usize, taker: &mut dyn Taker) -> Result<(), Failure> {
    for change in chunk.records.changes() {
        let said = match change.op {
            Op::Upsert => Said::Record(chunk.records.bytes(&change.payload)),
            _ => Said::Rejected(change.reject.unwrap_or(RejectCode::Malformed)),
        };
        let key = chunk.records.bytes(&change.key);
        taker.take(&Seen { stream, key, said, chain: 0, part: Part::Sure })?;
    }
    Ok(())
}

impl Reread for MongoReread {
    fn repeats(&self) -> Repeats {
        Repeats::FirstStands
    }

    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure> {
        for at in 0..self.streams.len() {
            // The present time of the source, asked again for each reading.
            self.runtime.block_on(self.snapshot.ranges(self.streams[at].id, 1))?;
            self.collection(at, taker)?;
        }
        Ok(vec![None; self.streams.len()])
    }

    fn read_of(&mut self, at: usize, keys: &[Vec<u8>], taker: &mut dyn Taker) -> Result<bool, Failure> {
        let mut ids = Vec::new();
        if !keys.iter().all(|key| candidates(key, &mut ids)) {
            return Ok(false);
        }
        let mut chunk = Chunk::default();
        self.runtime.block_on(self.snapshot.by_id(self.streams[at].id, &ids, &mut chunk))?;
        say(&chunk, at, taker)?;
        Ok(true)
    }

    fn farewell(&mut self) {
        self.runtime.block_on(self.snapshot.farewell());
    }
}
