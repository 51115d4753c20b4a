//! The suite of queues, run on the model and on the embedded queue over several disks.

use super::*;
use crate::queue::clock::SystemClock;
use crate::queue::embedded::disk::faulty::FaultyDisk;
use crate::queue::embedded::{Compression, EmbeddedQueue, QueueOptions};
use crate::queue::model::ModelQueue;

#[test]
fn the_model_conforms() {
    suite(&|retention| Arc::new(ModelQueue::new(retention, Arc::new(SystemClock))));
}

#[test]
fn the_embedded_queue_conforms_whatever_its_segments_and_compression() {
    for segment_bytes in [256, 2_000, 64 << 20] {
        for compression in [Compression::Lz4, Compression::Off] {
            suite(&|retention| {
                let options = QueueOptions { segment_bytes, compression, ..QueueOptions::new(retention) };
                let disk = Arc::new(FaultyDisk::default());
                Arc::new(EmbeddedQueue::open_on(disk, options, Arc::new(SystemClock)).unwrap())
            });
        }
    }
}

#[test]
fn the_embedded_queue_conforms_on_a_disk_that_interrupts_and_moves_few_bytes() {
    suite(&|retention| {
        let options = QueueOptions { segment_bytes: 4_000, ..QueueOptions::new(retention) };
        let disk = FaultyDisk::default();
        disk.be_stubborn();
        Arc::new(EmbeddedQueue::open_on(Arc::new(disk), options, Arc::new(SystemClock)).unwrap())
    });
}

#[test]
fn the_embedded_queue_conforms_on_the_disk_of_this_machine() {
    let dirs = std::sync::Mutex::new(Vec::new());
    suite(&|retention| {
        let dir = std::env::temp_dir().join(format!("landfall-queue-{}", uuid::Uuid::new_v4()));
        dirs.lock().unwrap().push(dir.clone());
        let options = QueueOptions { segment_bytes: 4_000, ..QueueOptions::new(retention) };
        Arc::new(EmbeddedQueue::open(&dir, options, Arc::new(SystemClock)).unwrap())
    });
    for dir in dirs.into_inner().unwrap() {
        std::fs::remove_dir_all(dir).unwrap();
    }
}
