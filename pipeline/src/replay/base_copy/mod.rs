//! Bases: what the sources held when a checkpoint was made, kept beside it, so that a replay can fill tables that are empty.
//!
//! A base is a second reading of the sources ([`landfall_connectors::reread`]) that began after its cut: each record in it is at least as new as
//! the cut, and everything newer stands behind the cut in the queue. Rows of a base carry a version below every event behind the cut, so the two
//! put together in this order are the store. Of lines it holds the last one of each key: they are gone over as capture has read them
//! ([`landfall_connectors::retrace`]), up to where it stands after the cut.
//!
//! `STATE/base/NAME/STREAM.base`: eight bytes of name, then frames, then a frame without content that tells how many records there are. A frame
//! is the length of its content, the length of what is stored (LZ4), a CRC-32C of that, and it. A record is its kind (0, or why it is none),
//! the lengths of key and record, and both. A base is written beside its place and renamed when it is whole; it is never changed.

mod last_lines;
mod snapshot;
mod take;
mod write;

pub(crate) use snapshot::BaseSnapshot;
pub(crate) use take::{Positions, take};

use landfall_connectors::failure::{Failure, FailureClass};
use landfall_schemas::stream::StreamName;
use std::io;
use std::path::{Path, PathBuf};

/// What a file begins with.
const NAME: [u8; 8] = *b"lf-base1";
/// Bytes in front of a frame's content.
const HEAD: usize = 12;
/// Content of a frame, before it is stored; one record may pass it.
const FRAME: usize = 256 << 10;
/// Most content a frame may say it has: a record has a limit of its own.
const MOST: usize = FRAME + landfall_schemas::json::MAX_RECORD_BYTES + 4_096;

/// Where the base of a checkpoint stands.
pub(crate) fn directory(state_dir: &Path, checkpoint: &str) -> PathBuf {
    state_dir.join("base").join(checkpoint)
}

/// The file of a stream in a base.
fn file(directory: &Path, stream: &StreamName) -> PathBuf {
    directory.join(format!("{stream}.base"))
}

/// Whether a base holds a stream.
pub(crate) fn holds(directory: &Path, stream: &StreamName) -> bool {
    file(directory, stream).exists()
}

/// Bytes on disk; `None`: the checkpoint has no base.
pub(crate) fn size(state_dir: &Path, checkpoint: &str) -> Option<u64> {
    let entries = std::fs::read_dir(directory(state_dir, checkpoint)).ok()?;
    Some(entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum())
}

/// Takes a base away, a half-made one too; that there is none is fine.
pub(crate) fn remove(state_dir: &Path, checkpoint: &str) -> Result<(), Failure> {
    let whole = directory(state_dir, checkpoint);
    for path in [half_made(&whole), whole] {
        match std::fs::remove_dir_all(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&error)),
        }
    }
    Ok(())
}

/// Where a base is written until it is whole. No checkpoint's name has a tilde.
fn half_made(directory: &Path) -> PathBuf {
    directory.with_file_name(format!("{}~", directory.file_name().unwrap_or_default().to_string_lossy()))
}

fn unusable(error: &io::Error) -> Failure {
    let detail = format!("a base in the state directory cannot be used: {}", error.kind());
    Failure::new(FailureClass::Halt, "base_unusable", detail)
}

fn damaged() -> Failure {
    let detail = "a base in the state directory is not as it was written; make another checkpoint with one";
    Failure::new(FailureClass::Halt, "base_damaged", detail)
}

#[cfg(test)]
mod tests {
    use super::write::BaseFile;
    use super::*;
    use landfall_connectors::snapshot::{Chunk, ChunkLimit, KeyRange, Snapshot};
    use landfall_schemas::event::Op;
    use landfall_schemas::rejection::RejectCode;
    use landfall_schemas::stream::StreamId;

    const RECORDS: usize = 5_000;

    fn record(n: usize) -> (Vec<u8>, Vec<u8>) {
        (format!("s:{n}").into_bytes(), format!("{{\"n\":{n},\"t\":\"{}\"}}", "x".repeat(n % 300)).into_bytes())
    }

    /// A base of one stream, and who reads it.
    fn base(name: &str) -> (PathBuf, BaseSnapshot) {
        let directory = crate::config::tests::scratch(name);
        let stream = StreamName::new("things").expect("a name");
        let mut written = BaseFile::create(&file(&directory, &stream)).expect("made");
        written.add(b"s:dropped", Ok(b"{}")).expect("added");
        written.restart().expect("begun anew");
        for n in 0..RECORDS {
            let (key, record) = record(n);
            written.add(&key, Ok(&record)).expect("added");
        }
        written.add(b"p:0:7", Err(RejectCode::KeyMissing)).expect("added");
        written.finish().expect("whole");
        let snapshot = BaseSnapshot::open(&directory, [(StreamId(3), stream)]).expect("opened");
        (directory, snapshot)
    }

    async fn read(snapshot: &BaseSnapshot, records: usize) -> Result<Vec<(Op, Vec<u8>, Vec<u8>)>, Failure> {
        let (mut all, mut range) = (Vec::new(), KeyRange::default());
        loop {
            let mut chunk = Chunk::default();
            snapshot.read(StreamId(3), &range, ChunkLimit { records, bytes: 1 << 20 }, &mut chunk).await?;
            assert!(chunk.records.changes().len() <= records, "the limit holds");
            let bytes = |range| chunk.records.bytes(range).to_vec();
            all.extend(chunk.records.changes().iter().map(|one| (one.op, bytes(&one.key), bytes(&one.payload))));
            match chunk.next {
                Some(next) => range.after = Some(next),
                None => return Ok(all),
            }
        }
    }

    #[tokio::test]
    async fn what_was_written_is_read_in_any_chunks_and_nothing_of_what_was_begun_anew() {
        let (_, snapshot) = base("base_read");
        let whole = read(&snapshot, 100_000).await.expect("read");
        assert_eq!(whole.len(), RECORDS + 1);
        for (n, (op, key, payload)) in whole.iter().take(RECORDS).enumerate() {
            assert_eq!((*op, (key.clone(), payload.clone())), (Op::Upsert, record(n)));
        }
        assert_eq!((whole[RECORDS].0, whole[RECORDS].1.as_slice()), (Op::Reject, b"p:0:7".as_slice()));
        for records in [1, 7, 999] {
            assert_eq!(read(&snapshot, records).await.expect("read"), whole, "{records} at a time");
        }
        assert_eq!(snapshot.estimate(StreamId(3)).await.expect("counted"), RECORDS as u64 + 1);
    }

    #[tokio::test]
    async fn each_damaged_or_missing_byte_is_found_and_nothing_is_called_whole() {
        let (directory, snapshot) = base("base_damaged");
        let path = directory.join("things.base");
        let bytes = std::fs::read(&path).expect("read");
        for at in (8..bytes.len()).step_by(bytes.len() / 97) {
            let mut other = bytes.clone();
            other[at] ^= 0x20;
            std::fs::write(&path, &other).expect("written");
            let failure = read(&snapshot, 1_000).await.expect_err("a damaged byte");
            assert_eq!(failure.code, "base_damaged", "byte {at}");
            std::fs::write(&path, &bytes[..at]).expect("written");
            assert!(read(&snapshot, 1_000).await.is_err(), "cut at {at}");
        }
    }
}
