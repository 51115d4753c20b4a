//! What may go, and dropping it.
//!
//! Keeps promise 5. Only whole segments go, oldest first, and only when every event in them is applied, unpinned and older than
//! the floor; then past the age or beyond the bytes of the retention, or when the cap or the reserve of the disk is reached. The watermark names the new
//! first segment, durably, before the first unlink: a crash between leaves files that the next open removes, never a hole.

use super::catalog::Catalog;
use super::failures;
use super::index;
use super::log::Log;
use super::segment;
use super::tail::Tail;
use crate::queue::AppendFailure;
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::{OffsetRange, Sequence};
use landfall_schemas::stream::{PartitionId, StreamId};
use std::io::ErrorKind;
use std::time::Duration;

/// Bytes that room is wanted for under a limit; 0: for no more than what is held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) bytes: u64,
    pub(super) limit: u64,
}

impl Log {
    /// Drops what retention allows.
    pub(super) fn trim(&self) -> Result<(), Failure> {
        let mut tail = self.tail();
        self.catalog().usable()?;
        self.mark_now(&mut tail)?;
        // What is held beyond the reserve of the disk goes as well: nobody may append for hours, and the disk is short all the while.
        let need = Need { bytes: 0, limit: self.limit(1).0 };
        // First what needs no room: on a full disk this is what makes some.
        self.drop_segments(need)?;
        let rolled = self.roll_if_spent(&mut tail, need).map_err(super::without_room)?;
        if rolled { self.drop_segments(need) } else { Ok(()) }
    }

    /// Drops what may go so that what is needed fits, as far as possible.
    pub(super) fn make_room(&self, tail: &mut Tail, need: Need) -> Result<(), AppendFailure> {
        self.drop_segments(need).map_err(AppendFailure::Failed)?;
        let rolled = self.roll_if_spent(tail, need)?;
        if rolled { self.drop_segments(need).map_err(AppendFailure::Failed) } else { Ok(()) }
    }

    /// The newest segment cannot be dropped while it takes writes: closes it when nothing else is left and nothing holds it; says
    /// whether it did.
    fn roll_if_spent(&self, tail: &mut Tail, need: Need) -> Result<bool, AppendFailure> {
        if tail.position == tail.header_len {
            return Ok(false);
        }
        let now = self.clock.now_ms();
        let spent = {
            let catalog = self.catalog();
            let all = catalog.segments.len();
            self.droppable(&catalog, now, need) + 1 == all
                && self.is_free(&catalog, all - 1, now)
                && self.is_outside(&catalog, all - 1, (now, catalog.newest().len), need)
        };
        if spent {
            self.roll(tail, None)?;
        }
        Ok(spent)
    }

    /// How many of the oldest segments may go.
    fn droppable(&self, catalog: &Catalog, now: u64, need: Need) -> usize {
        let mut bytes = catalog.bytes();
        let mut count = 0;
        for (index, segment) in catalog.segments.iter().enumerate().take(catalog.segments.len() - 1) {
            let empty = catalog.segments[index + 1].base == segment.base;
            let free = empty || self.is_free(catalog, index, now);
            if !free || !(empty || self.is_outside(catalog, index, (now, bytes), need)) {
                break;
            }
            bytes -= segment.len + segment.index_len;
            count += 1;
        }
        count
    }

    /// Applied, unpinned, past the floor.
    fn is_free(&self, catalog: &Catalog, index: usize, now: u64) -> bool {
        let segment = &catalog.segments[index];
        let (until, cells) = match catalog.segments.get(index + 1) {
            Some(next) => (next.base, &next.cells[..]),
            None => (catalog.end, &catalog.cells[..]),
        };
        let unpinned = catalog.pins.values().all(|from| *from >= until);
        let past_floor = now.saturating_sub(segment.newest_ms) >= millis(self.options.retention.floor);
        unpinned && past_floor && is_applied(catalog, cells)
    }

    /// Outside the retention's age or bytes, or in the way of what needs room. `at`: the time, and the bytes held from here on.
    fn is_outside(&self, catalog: &Catalog, index: usize, at: (u64, u64), need: Need) -> bool {
        let retention = &self.options.retention;
        let (now, bytes) = at;
        let old = now.saturating_sub(catalog.segments[index].newest_ms) >= millis(retention.age);
        let pressed = bytes.saturating_add(need.bytes) > need.limit;
        old || bytes > retention.bytes || pressed
    }

    fn drop_segments(&self, need: Need) -> Result<(), Failure> {
        let mut watermark = self.watermark();
        let (numbers, first) = {
            let catalog = self.catalog();
            let count = self.droppable(&catalog, self.clock.now_ms(), need);
            let numbers: Vec<u64> = catalog.segments.iter().take(count).map(|segment| segment.number).collect();
            (numbers, catalog.segments[count].number)
        };
        if numbers.is_empty() {
            return Ok(());
        }
        let mark = super::watermark::Mark { first, ..watermark.mark() };
        if !watermark.set_both(mark).map_err(|failure| self.break_with(failure))? {
            return Ok(());
        }
        self.catalog_mut().segments.retain(|segment| segment.number >= first);
        self.open.close_before(first);
        for number in numbers {
            fail::fail_point!("queue::before_unlink");
            for name in [index::file_name(number), segment::file_name(number)] {
                match self.disk.unlink(&name) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        return Err(failures::unreadable(&name, &error));
                    }
                    _ => {}
                }
            }
            fail::fail_point!("queue::after_unlink");
        }
        let synced = self.disk.sync_dir().map_err(|error| failures::sync_failed("the queue directory", &error));
        synced.map_err(|failure| self.break_with(failure))
    }

    /// Notes what is applied. The last word counts, also when it goes back: a target that lost commits needs the events again.
    pub(super) fn note_applied(&self, stream: StreamId, advances: &[(PartitionId, OffsetRange)]) {
        let mut catalog = self.catalog_mut();
        let streams = catalog.streams.clone();
        for (partition, range) in advances {
            if let Some(cell) = streams.cell(stream, *partition) {
                catalog.applied[cell] = range.until.0;
            }
        }
    }

    /// Sets or lifts a pin.
    pub(super) fn pin(&self, name: &str, from: Option<Sequence>) {
        let mut catalog = self.catalog_mut();
        match from {
            Some(from) => catalog.pins.insert(name.to_owned(), from),
            None => catalog.pins.remove(name),
        };
    }
}

/// Every event before `cells` of a stream that still exists is applied.
fn is_applied(catalog: &Catalog, cells: &[u64]) -> bool {
    catalog
        .streams
        .entries()
        .iter()
        .filter(|entry| !entry.removed)
        .all(|entry| entry.cell_range().all(|cell| catalog.applied[cell] >= cells.get(cell).copied().unwrap_or(0)))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
