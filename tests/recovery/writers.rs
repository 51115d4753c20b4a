//! Three programs that never stop writing to their stores, until they are asked to hold still for a look.

use landfall_tests::directory_store::DirectoryStore;
use landfall_tests::document_store::DocumentStore;
use landfall_tests::lines_store::LinesStore;
use landfall_tests::seed::Seed;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// The writers. They stop when dropped.
#[derive(Debug)]
pub(crate) struct Writers {
    gate: Arc<RwLock<()>>,
    stop: Arc<AtomicBool>,
    edits: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts a thread per store.
    pub(crate) fn start(
        mut document: DocumentStore,
        mut lines: LinesStore,
        mut files: DirectoryStore,
        mut seed: Seed,
    ) -> Self {
        let mut writers = Self {
            gate: Arc::new(RwLock::new(())),
            stop: Arc::new(AtomicBool::new(false)),
            edits: Arc::new(AtomicU64::new(0)),
            threads: Vec::new(),
        };
        writers.spawn(seed.fork(), (30, 120), move || document.live());
        writers.spawn(seed.fork(), (20, 80), move || lines.live());
        writers.spawn(seed.fork(), (20, 80), move || files.live());
        writers
    }

    fn spawn(&mut self, mut seed: Seed, pause_ms: (u64, u64), mut edit: impl FnMut() + Send + 'static) {
        let (gate, stop, edits) = (Arc::clone(&self.gate), Arc::clone(&self.stop), Arc::clone(&self.edits));
        self.threads.push(std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let writing = gate.read().expect("no writer panics");
                edit();
                drop(writing);
                edits.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(seed.range(pause_ms.0, pause_ms.1)));
            }
        }));
    }

    /// All stores are whole and stay as they are while the guard lives.
    pub(crate) fn hold_still(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().expect("no writer panics")
    }

    /// Edits made so far.
    pub(crate) fn edits(&self) -> u64 {
        self.edits.load(Ordering::SeqCst)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.drain(..) {
            // A writer's panic has failed the test already where it held the gate.
            let _ = thread.join();
        }
    }
}
