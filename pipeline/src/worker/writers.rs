//! The writers that all streams share: about one per core of the server, lent out one batch at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded pool of writers.
#[derive(Debug)]
pub struct WriterPool<W> {
    idle: Mutex<Vec<W>>,
    permits: Arc<Semaphore>,
    meter: Arc<PoolMeter>,
}

/// How busy a pool is, for whoever shows it.
#[derive(Debug)]
pub struct PoolMeter {
    size: usize,
    lent: AtomicUsize,
    waiting: AtomicUsize,
}

/// A pool at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolSeen {
    /// Writers there are.
    pub size: u64,
    /// Writers that nobody uses.
    pub idle: u64,
    /// Batches that wait for one.
    pub waiting: u64,
}

impl PoolMeter {
    /// The pool now.
    pub fn seen(&self) -> PoolSeen {
        let (lent, waiting) = (self.lent.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed));
        PoolSeen { size: self.size as u64, idle: self.size.saturating_sub(lent) as u64, waiting: waiting as u64 }
    }
}

/// Stands in a counter as long as it lives.
struct Stands<'a>(&'a AtomicUsize);

impl<'a> Stands<'a> {
    fn in_line(counter: &'a AtomicUsize) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Stands<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W> WriterPool<W> {
    /// A pool of these writers.
    pub fn new(writers: Vec<W>) -> Arc<Self> {
        let size = writers.len();
        let meter = Arc::new(PoolMeter { size, lent: AtomicUsize::new(0), waiting: AtomicUsize::new(0) });
        Arc::new(Self { idle: Mutex::new(writers), permits: Arc::new(Semaphore::new(size)), meter })
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.meter.size
    }

    /// How busy it is.
    pub fn meter(&self) -> &Arc<PoolMeter> {
        &self.meter
    }

    /// Borrows one; waits in turn. Cancel-safe.
    pub async fn borrow(self: &Arc<Self>) -> Lent<W> {
        let waits = Stands::in_line(&self.meter.waiting);
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        drop(waits);
        self.meter.lent.fetch_add(1, Ordering::Relaxed);
        // The last one back goes out first: its statements are prepared and its caches warm.
        let writer = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Lent { writer, pool: Arc::clone(self), _permit: permit }
    }
}

/// A borrowed writer; goes back when dropped.
#[derive(Debug)]
pub struct Lent<W> {
    writer: Option<W>,
    pool: Arc<WriterPool<W>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<W> Lent<W> {
    /// The writer.
    pub fn get(&mut self) -> &mut W {
        self.writer.as_mut().expect("a permit stands for a writer in the pool until the loan ends")
    }
}

impl<W> Drop for Lent<W> {
    fn drop(&mut self) {
        self.pool.meter.lent.fetch_sub(1, Ordering::Relaxed);
        if let Some(writer) = self.writer.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
        }
    }
}
