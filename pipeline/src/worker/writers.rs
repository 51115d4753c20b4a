//! The writers that all streams share: about one per core of the server, lent out one batch at a time.

use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A bounded pool of writers.
#[derive(Debug)]
pub struct WriterPool<W> {
    idle: Mutex<Vec<W>>,
    permits: Arc<Semaphore>,
    size: usize,
}

impl<W> WriterPool<W> {
    /// A pool of these writers.
    pub fn new(writers: Vec<W>) -> Arc<Self> {
        let size = writers.len();
        Arc::new(Self { idle: Mutex::new(writers), permits: Arc::new(Semaphore::new(size)), size })
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Borrows one; waits in turn. Cancel-safe.
    pub async fn borrow(self: &Arc<Self>) -> Lent<W> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
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
        if let Some(writer) = self.writer.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(writer);
        }
    }
}
