//! A base as something that can be copied from: one range a stream, in the order of its file.
//!
//! A place in it is the frame and the number of the record there, so a copy that was cut off goes on behind its last chunk.

use super::{HEAD, MOST, NAME, damaged, file, unusable};
use futures_util::future::BoxFuture;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::snapshot::{Chunk, ChunkLimit, Cohorts, KeyRange, Snapshot};
use landfall_schemas::event::{ChangeBatch, Place};
use landfall_schemas::key::RecordKey;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::stream::{StreamId, StreamName};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What records are counted as.
const KIND: &str = "record";
/// The frame that tells the count: its head and eight bytes.
const LAST: u64 = HEAD as u64 + 8;

/// Reads a base.
#[derive(Debug)]
pub(crate) struct BaseSnapshot {
    files: BTreeMap<u16, PathBuf>,
}

impl BaseSnapshot {
    /// Of these streams in a base.
    pub(crate) fn open(
        directory: &Path,
        streams: impl IntoIterator<Item = (StreamId, StreamName)>,
    ) -> Result<Self, Failure> {
        let files: BTreeMap<u16, PathBuf> =
            streams.into_iter().map(|(id, name)| (id.0, file(directory, &name))).collect();
        for path in files.values() {
            File::open(path).map_err(|error| unusable(&error))?;
        }
        Ok(Self { files })
    }

    fn path(&self, stream: StreamId) -> Result<PathBuf, Failure> {
        let unknown =
            || Failure::new(FailureClass::Fatal, "base_unusable", "a base was asked for a stream it does not hold");
        self.files.get(&stream.0).cloned().ok_or_else(unknown)
    }

    async fn count(&self, stream: StreamId) -> Result<u64, Failure> {
        let path = self.path(stream)?;
        on_a_thread(move || Reading::open(&path)?.count()).await
    }
}

impl Snapshot for BaseSnapshot {
    fn ranges(&self, _stream: StreamId, _parts: usize) -> BoxFuture<'_, Result<Vec<KeyRange>, Failure>> {
        Box::pin(std::future::ready(Ok(vec![KeyRange::default()])))
    }

    fn read<'a>(
        &'a self,
        stream: StreamId,
        range: &'a KeyRange,
        limit: ChunkLimit,
        chunk: &'a mut Chunk,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let (path, after) = (self.path(stream)?, range.after.clone());
            *chunk = on_a_thread(move || chunk_of(&path, stream, after.as_deref(), limit)).await?;
            Ok(())
        })
    }

    fn cohorts(&self, stream: StreamId) -> BoxFuture<'_, Result<Cohorts, Failure>> {
        Box::pin(async move { Ok(Cohorts([(KIND.into(), self.count(stream).await?)].into_iter().collect())) })
    }

    fn estimate(&self, stream: StreamId) -> BoxFuture<'_, Result<u64, Failure>> {
        Box::pin(self.count(stream))
    }

    fn is_exact(&self) -> bool {
        true
    }
}

async fn on_a_thread<O: Send + 'static>(
    work: impl FnOnce() -> Result<O, Failure> + Send + 'static,
) -> Result<O, Failure> {
    let panicked = |_| Failure::new(FailureClass::Fatal, "task_panicked", "reading a base panicked");
    tokio::task::spawn_blocking(work).await.map_err(panicked)?
}

fn chunk_of(path: &Path, stream: StreamId, after: Option<&[u8]>, limit: ChunkLimit) -> Result<Chunk, Failure> {
    let mut reading = Reading::open(path)?;
    let (at, mut skip) = match after {
        None => (NAME.len() as u64, 0),
        Some(mark) => place(mark)?,
    };
    reading.go_to(at)?;
    let (mut chunk, mut bytes) = (Chunk::default(), 0);
    let place = Place { index: chunk.records.place("base"), at: 0 };
    let mut key = RecordKey::default();
    loop {
        let frame = reading.at;
        if !reading.frame()? {
            return Ok(chunk);
        }
        let mut rest = reading.content.as_slice();
        let mut number = 0_u32;
        while !rest.is_empty() {
            let record = record(&mut rest)?;
            if number >= skip {
                let full = chunk.records.changes().len() >= limit.records || bytes + record.bytes() > limit.bytes;
                if full && !chunk.records.is_empty() {
                    chunk.next = Some(mark(frame, number));
                    return Ok(chunk);
                }
                bytes += record.bytes();
                add(&mut chunk.records, (stream, &mut key), &record, place)?;
                chunk.cohorts.count(KIND);
            }
            number += 1;
        }
        skip = 0;
    }
}

fn add(
    records: &mut ChangeBatch,
    (stream, key): (StreamId, &mut RecordKey),
    record: &Record<'_>,
    place: Place,
) -> Result<(), Failure> {
    key.set_encoded(record.key);
    if record.kind == 0 {
        records.upsert(stream, key, (record.payload, None), place);
    } else {
        let code = RejectCode::from_u16(record.kind).ok_or_else(damaged)?;
        records.reject(stream, key, (record.payload, None, code), place);
    }
    Ok(())
}

fn mark(frame: u64, number: u32) -> Box<[u8]> {
    [frame.to_le_bytes().as_slice(), number.to_le_bytes().as_slice()].concat().into()
}

fn place(mark: &[u8]) -> Result<(u64, u32), Failure> {
    let (frame, number) = mark.split_at_checked(8).ok_or_else(damaged)?;
    let number = number.try_into().map_err(|_| damaged())?;
    Ok((u64::from_le_bytes(frame.try_into().map_err(|_| damaged())?), u32::from_le_bytes(number)))
}

/// A record of a file.
pub(super) struct Record<'a> {
    /// 0, or why it is none.
    pub(super) kind: u16,
    pub(super) key: &'a [u8],
    pub(super) payload: &'a [u8],
}

/// The records of one frame.
pub(super) struct Records<'a>(&'a [u8]);

impl<'a> Records<'a> {
    /// The next one.
    pub(super) fn next(&mut self) -> Result<Option<Record<'a>>, Failure> {
        if self.0.is_empty() { Ok(None) } else { record(&mut self.0).map(Some) }
    }
}

impl Record<'_> {
    fn bytes(&self) -> usize {
        self.key.len() + self.payload.len()
    }
}

/// Cuts the next record off.
fn record<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, Failure> {
    let (head, behind) = rest.split_first_chunk::<10>().ok_or_else(damaged)?;
    let length = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let (key, behind) = behind.split_at_checked(length(2)).ok_or_else(damaged)?;
    let (payload, behind) = behind.split_at_checked(length(6)).ok_or_else(damaged)?;
    *rest = behind;
    Ok(Record { kind: u16::from_le_bytes([head[0], head[1]]), key, payload })
}

/// A file that is read.
pub(super) struct Reading {
    file: BufReader<File>,
    at: u64,
    content: Vec<u8>,
    stored: Vec<u8>,
}

impl Reading {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let mut file = BufReader::new(File::open(path).map_err(|error| unusable(&error))?);
        let mut name = [0; NAME.len()];
        file.read_exact(&mut name).map_err(|_| damaged())?;
        if name != NAME {
            return Err(damaged());
        }
        Ok(Self { file, at: NAME.len() as u64, content: Vec::new(), stored: Vec::new() })
    }

    fn go_to(&mut self, at: u64) -> Result<(), Failure> {
        self.file.seek(SeekFrom::Start(at)).map_err(|error| unusable(&error))?;
        self.at = at;
        Ok(())
    }

    /// How many records there are.
    fn count(&mut self) -> Result<u64, Failure> {
        let end = self.file.seek(SeekFrom::End(0)).map_err(|error| unusable(&error))?;
        self.go_to(end.checked_sub(LAST).ok_or_else(damaged)?)?;
        if self.frame()? {
            return Err(damaged());
        }
        Ok(u64::from_le_bytes(self.stored.as_slice().try_into().map_err(|_| damaged())?))
    }

    /// The records of the next frame; `None`: there are no more, and the file is whole.
    pub(super) fn records(&mut self) -> Result<Option<Records<'_>>, Failure> {
        Ok(if self.frame()? { Some(Records(&self.content)) } else { None })
    }

    /// Reads the next frame; `false`: it is the last one, and the file is whole.
    fn frame(&mut self) -> Result<bool, Failure> {
        let mut head = [0; HEAD];
        self.file.read_exact(&mut head).map_err(|_| damaged())?;
        let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let (content, length) = (word(0) as usize, word(4) as usize);
        if content > MOST || length > lz4_flex::block::get_maximum_output_size(MOST) {
            return Err(damaged());
        }
        self.stored.resize(length, 0);
        self.file.read_exact(&mut self.stored).map_err(|_| damaged())?;
        if crc32fast::hash(&self.stored) != word(8) {
            return Err(damaged());
        }
        self.at += (HEAD + length) as u64;
        if content == 0 {
            return Ok(false);
        }
        self.content.resize(content, 0);
        match lz4_flex::block::decompress_into(&self.stored, &mut self.content) {
            Ok(whole) if whole == content => Ok(true),
            _ => Err(damaged()),
        }
    }
}
