//! Opening a queue: what is there, what of it counts, and what is cut.
//!
//! Keeps promises 1 and 18. The rules:
//!
//! - The name, the watermark and every segment from the watermark's first to the newest must be there and belong together.
//! - Segments before the watermark's first are leftovers of a trim: removed. A newest segment that the watermark does not name and that
//!   holds no frame was half made: removed.
//! - The newest segment is read whole. A frame that is not whole is a torn tail, and cut before anything else is written, unless
//!   something proves that it was durable: the watermark, or the header of any valid frame before or behind it. Then
//!   it is damage: the queue is not opened, the range is named, nothing is changed.
//! - What lies between the last proof and the end may only be in the page cache, also after a sync that failed: it is
//!   written again, with the same bytes, and synced, before it counts.

use super::cache::{FrameCache, Hints, OpenSegments};
use super::catalog::{Catalog, SegmentEntry};
use super::disk::{Disk, DiskFile, TEMPORARY, write_all};
use super::failures;
use super::frame::Seal;
use super::gate::Gate;
use super::index;
use super::log::Log;
use super::options::QueueOptions;
use super::replay::{Replay, TailEnd};
use super::segment::{self, HeaderFault, SegmentHeader};
use super::streams::StreamTable;
use super::tail::{SYNC_SECONDS, Tail};
use super::watermark::{Mark, Watermark};
use super::window::Window;
use super::{identity, watermark};
use crate::metrics::Histogram;
use crate::queue::clock::Clock;
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::Sequence;
use landfall_schemas::position::PositionTable;
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};

/// What one call reads when the tail is checked or written again.
const CHUNK: usize = 256 * 1024;

/// Opens the queue on `disk`, making it if nothing is there.
pub(super) fn open(disk: Arc<dyn Disk>, options: QueueOptions, clock: Arc<dyn Clock>) -> Result<Log, Failure> {
    let numbers = list_segments(&*disk)?;
    let (id, mut watermark) = load_names(&*disk, !numbers.is_empty())?;
    let mut numbers = drop_leftovers(&*disk, id, &mut watermark, numbers)?;
    if numbers.is_empty() && watermark.mark().segment < watermark.mark().first {
        make_first(&*disk, id, &mut watermark)?;
        numbers.push(watermark.mark().first);
    }
    check_present(watermark.mark(), &numbers)?;
    let (mut entries, header, file) = read_chain(&*disk, id, &numbers)?;
    let mark = watermark.mark();
    let table = header.read_positions(&*file).map_err(|fault| header_failure(header.number, 0, fault))?;
    let replay = replay_newest(&file, &header, (id, mark), table)?;
    let newest_ms = replay.newest_ms;
    if let Some(last) = entries.back_mut() {
        last.len = replay.end;
        last.newest_ms = newest_ms;
    }
    let tail = Tail {
        number: header.number,
        file,
        seal: Seal::new(id, header.number),
        header_len: header.len,
        position: replay.end,
        next: replay.sequence,
        cells: replay.cells.clone(),
        newest_ms,
        marked_ms: newest_ms,
    };
    // Also when it says so already: what was read of it may only be in the page cache.
    watermark.set(Mark {
        first: mark.first,
        segment: header.number,
        position: replay.end,
        sequence: replay.sequence,
    })?;
    Ok(assemble(Parts { disk, id, options, clock }, (tail, watermark), entries, (header.streams, replay)))
}

struct Parts {
    disk: Arc<dyn Disk>,
    id: QueueId,
    options: QueueOptions,
    clock: Arc<dyn Clock>,
}

fn assemble(
    parts: Parts,
    writing: (Tail, Watermark),
    segments: VecDeque<SegmentEntry>,
    state: (StreamTable, Replay),
) -> Log {
    let (streams, replay) = state;
    let (tail, watermark) = writing;
    let end = replay.sequence;
    let catalog = Catalog {
        segments,
        applied: vec![0; streams.cells()],
        streams: Arc::new(streams),
        cells: replay.cells,
        positions: replay.positions,
        end,
        index: replay.index,
        pins: BTreeMap::new(),
        broken: None,
    };
    Log {
        syncs: Histogram::new(SYNC_SECONDS),
        disk: parts.disk,
        id: parts.id,
        options: parts.options,
        clock: parts.clock,
        catalog: RwLock::new(catalog),
        tail: Mutex::new(tail),
        watermark: Mutex::new(watermark),
        gate: Gate::default(),
        frames: FrameCache::default(),
        open: OpenSegments::default(),
        hints: Hints::new(),
        read_until: AtomicU64::new(0),
        durable: tokio::sync::watch::Sender::new(end),
    }
}

/// Numbers of all segment files, in order; removes what was not finished.
fn list_segments(disk: &dyn Disk) -> Result<Vec<u64>, Failure> {
    // An earlier process may have ended between a change of names and its sync, or by a failed one.
    disk.sync_dir().map_err(|error| failures::sync_failed("the queue directory", &error))?;
    let names = disk.list().map_err(|error| failures::unusable("list files", &error))?;
    for name in names.iter().filter(|name| name.ends_with(TEMPORARY)) {
        disk.unlink(name).map_err(|error| failures::unusable("remove an unfinished file", &error))?;
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The name and the watermark, made when nothing is there yet.
fn load_names(disk: &dyn Disk, has_segments: bool) -> Result<(QueueId, Watermark), Failure> {
    let has_watermark = watermark::exists(disk)?;
    let id = match identity::load(disk)? {
        Some(id) => id,
        None if has_segments || has_watermark => return Err(failures::incomplete("queue-id is missing")),
        None => identity::create(disk)?,
    };
    let watermark = match Watermark::load(disk, id)? {
        Some(watermark) => watermark,
        None if has_segments => return Err(failures::incomplete("the watermark is missing")),
        None => Watermark::create(disk, id, Mark { first: 1, segment: 0, position: 0, sequence: Sequence(0) })?,
    };
    Ok((id, watermark))
}

/// Removes segments that a trim had given up, and a newest one that was half made.
fn drop_leftovers(
    disk: &dyn Disk,
    id: QueueId,
    watermark: &mut Watermark,
    numbers: Vec<u64>,
) -> Result<Vec<u64>, Failure> {
    let mark = watermark.mark();
    let (mut gone, mut kept): (Vec<u64>, Vec<u64>) = numbers.into_iter().partition(|number| *number < mark.first);
    if let Some(&newest) = kept.last().filter(|newest| **newest > mark.segment)
        && is_half_made(disk, id, newest)?
    {
        kept.pop();
        gone.push(newest);
    }
    if gone.iter().any(|number| *number < mark.first) && !watermark.set_both(mark)? {
        // What was read of it may only be in the page cache: nothing is unlinked on its word before it is durable.
        return Err(failures::unusable("write the watermark", &ErrorKind::StorageFull.into()));
    }
    for number in &gone {
        for name in [index::file_name(*number), segment::file_name(*number)] {
            match disk.unlink(&name) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(failures::unusable("remove a leftover segment", &error));
                }
                _ => {}
            }
        }
    }
    if !gone.is_empty() {
        disk.sync_dir().map_err(|error| failures::sync_failed("the queue directory", &error))?;
    }
    Ok(kept)
}

fn is_half_made(disk: &dyn Disk, id: QueueId, number: u64) -> Result<bool, Failure> {
    let file = open_segment(disk, number)?;
    match SegmentHeader::read(&*file, id, number) {
        Ok(header) => Ok(size_of(&*file)? == header.len),
        Err(HeaderFault::Bad(_)) => Ok(true),
        Err(fault) => Err(header_failure(number, 0, fault)),
    }
}

/// Makes the first segment of a new queue.
fn make_first(disk: &dyn Disk, id: QueueId, watermark: &mut Watermark) -> Result<(), Failure> {
    let number = watermark.mark().first;
    let mut header = SegmentHeader {
        number,
        base: Sequence(0),
        previous_len: 0,
        newest_ms: 0,
        streams: StreamTable::default(),
        cells: Vec::new(),
        len: 0,
    };
    let bytes = header.encode(id, &PositionTable::default())?;
    let name = segment::file_name(number);
    let file = disk.create(&name).map_err(|error| failures::unusable("make a segment", &error))?;
    write_all(&*file, &[&bytes], 0).map_err(|error| failures::unusable("write a segment", &error))?;
    file.sync().map_err(|error| failures::sync_failed(&name, &error))?;
    disk.sync_dir().map_err(|error| failures::sync_failed("the queue directory", &error))?;
    watermark.set(Mark { first: number, segment: number, position: header.len, sequence: Sequence(0) })?;
    Ok(())
}

fn check_present(mark: Mark, numbers: &[u64]) -> Result<(), Failure> {
    let newest = numbers.last().copied().unwrap_or(0).max(mark.segment);
    for number in mark.first..=newest {
        if numbers.binary_search(&number).is_err() {
            return Err(failures::incomplete(format_args!("{} is missing", segment::file_name(number))));
        }
    }
    Ok(())
}

/// All segments, and the header and file of the newest.
type Chain = (VecDeque<SegmentEntry>, SegmentHeader, Arc<dyn DiskFile>);

/// Reads all headers and checks that each segment goes on where the one before ends.
fn read_chain(disk: &dyn Disk, id: QueueId, numbers: &[u64]) -> Result<Chain, Failure> {
    let mut entries: VecDeque<SegmentEntry> = VecDeque::new();
    let mut newest = None;
    for &number in numbers {
        let file = open_segment(disk, number)?;
        let size = size_of(&*file)?;
        let header = SegmentHeader::read(&*file, id, number).map_err(|fault| header_failure(number, size, fault))?;
        if let Some(before) = entries.back_mut() {
            check_link(before, &header)?;
            before.newest_ms = header.newest_ms;
        }
        let index_len = disk.open(&index::file_name(number)).and_then(|file| file.size()).unwrap_or(0);
        entries.push_back(SegmentEntry {
            number,
            base: header.base,
            cells: header.cells.as_slice().into(),
            header_len: header.len,
            len: size,
            index_len,
            newest_ms: header.newest_ms,
        });
        newest = Some((header, file));
    }
    let (header, file) = newest.ok_or_else(|| failures::incomplete("no segment is there"))?;
    Ok((entries, header, file))
}

fn check_link(before: &SegmentEntry, header: &SegmentHeader) -> Result<(), Failure> {
    let name = segment::file_name(before.number);
    if before.len != header.previous_len {
        let range = before.len.min(header.previous_len)..before.len.max(header.previous_len);
        return Err(failures::damaged(&name, range, "the segment has another length than when it was closed"));
    }
    let grows = before.cells.iter().zip(&header.cells).all(|(had, has)| had <= has);
    if header.base < before.base || before.cells.len() > header.cells.len() || !grows {
        return Err(failures::damaged(&name, 0..before.len, "the segment after it does not go on from it"));
    }
    Ok(())
}

/// Finds the end of the newest segment, cuts a torn tail and makes what is not proven durable.
fn replay_newest(
    file: &Arc<dyn DiskFile>,
    header: &SegmentHeader,
    known: (QueueId, Mark),
    table: PositionTable,
) -> Result<Replay, Failure> {
    let (id, mark) = known;
    let name = segment::file_name(header.number);
    let size = size_of(&**file)?;
    let marked = if mark.segment == header.number { mark.position } else { 0 };
    if size < marked {
        return Err(failures::damaged(&name, size..marked, "the segment is shorter than what was durable of it"));
    }
    let window = Window::new(file.clone(), size, CHUNK);
    let mut replay = Replay::new(header, Seal::new(id, header.number), table, window);
    let ended = replay.run().map_err(|error| failures::unusable("read the newest segment", &error))?;
    let proven = marked.max(replay.proven);
    if let TailEnd::Broken { at, resumes, proves } = ended {
        if proven.max(proves) > replay.end {
            let what = "a frame is not whole, though it was durable";
            return Err(failures::damaged(&name, at..resumes.unwrap_or(size), what));
        }
        fail::fail_point!("queue::recovery_before_cut");
        tracing::info!(segment = %name, from = replay.end, until = size, "cut a torn tail: it was never acknowledged");
        file.truncate(replay.end).map_err(|error| failures::unusable("cut a torn tail", &error))?;
        file.sync().map_err(|error| failures::sync_failed(&name, &error))?;
        fail::fail_point!("queue::recovery_after_cut");
    }
    if marked < replay.end {
        write_again(&**file, &name, proven..replay.end)?;
    }
    Ok(replay)
}

/// Writes bytes over themselves and syncs: after a failed sync the page cache may hold what the disk does not.
fn write_again(file: &dyn DiskFile, name: &str, range: std::ops::Range<u64>) -> Result<(), Failure> {
    fail::fail_point!("queue::recovery_rewrite");
    let mut position = range.start;
    let mut buffer = Vec::new();
    while position < range.end {
        let count = usize::try_from(range.end - position).map_or(CHUNK, |left| left.min(CHUNK));
        buffer.resize(count, 0);
        let read = super::disk::read_full(file, &mut buffer, position);
        let read = read.map_err(|error| failures::unusable("read the newest segment", &error))?;
        let written = write_all(file, &[&buffer[..read]], position);
        written.map_err(|error| failures::unusable("write the tail again", &error))?;
        if read == 0 {
            break;
        }
        position += read as u64;
    }
    file.sync().map_err(|error| failures::sync_failed(name, &error))
}

fn open_segment(disk: &dyn Disk, number: u64) -> Result<Arc<dyn DiskFile>, Failure> {
    disk.open(&segment::file_name(number)).map_err(|error| failures::unusable("open a segment", &error))
}

fn size_of(file: &dyn DiskFile) -> Result<u64, Failure> {
    file.size().map_err(|error| failures::unusable("look at a segment", &error))
}

fn header_failure(number: u64, size: u64, fault: HeaderFault) -> Failure {
    match fault {
        HeaderFault::Io(error) => failures::unusable("read a segment header", &error),
        HeaderFault::Bad(what) => failures::damaged(&segment::file_name(number), 0..size, what),
    }
}
