//! The parts of an open queue, and who may touch what.
//!
//! Locks, in the order in which they are taken: the gate's line (never held while another is taken), the tail (whoever writes),
//! the watermark, the catalog (short, never held over a disk call).

use super::cache::{FrameCache, Hints, OpenSegments};
use super::catalog::Catalog;
use super::disk::Disk;
use super::gate::Gate;
use super::options::QueueOptions;
use super::tail::Tail;
use super::watermark::Watermark;
use crate::metrics::Histogram;
use crate::queue::clock::Clock;
use landfall_connectors::checkpoints::QueueId;
use landfall_connectors::failure::Failure;
use landfall_schemas::offset::Sequence;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// An open queue.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) id: QueueId,
    pub(super) options: QueueOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) catalog: RwLock<Catalog>,
    pub(super) tail: Mutex<Tail>,
    pub(super) watermark: Mutex<Watermark>,
    pub(super) gate: Gate,
    pub(super) frames: FrameCache,
    pub(super) open: OpenSegments,
    pub(super) hints: Hints,
    /// Where somebody read last: the tail is kept in memory only while somebody reads near it.
    pub(super) read_until: AtomicU64,
    pub(super) durable: tokio::sync::watch::Sender<Sequence>,
    /// How long syncs of groups took, in seconds.
    pub(super) syncs: Histogram,
}

impl Log {
    pub(super) fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().expect("nobody panics while changing the catalog")
    }

    pub(super) fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().expect("nobody panics while changing the catalog")
    }

    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().expect("a panic while writing ends the process")
    }

    pub(super) fn watermark(&self) -> MutexGuard<'_, Watermark> {
        self.watermark.lock().expect("a panic while writing the watermark ends the process")
    }

    /// Makes every later call fail with `failure` (promise 18).
    pub(super) fn break_with(&self, failure: Failure) -> Failure {
        tracing::error!(code = failure.code, detail = %failure.detail, "the queue takes no more work in this process");
        self.catalog_mut().broken.get_or_insert(failure).clone()
    }
}
