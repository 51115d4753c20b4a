//! The suite of queues, on a real disk.

use landfall_pipeline::queue::Queue;
use landfall_pipeline::queue::clock::SystemClock;
use landfall_pipeline::queue::conformance::suite;
use landfall_pipeline::queue::embedded::{EmbeddedQueue, QueueOptions};
use landfall_tests::run_dir;
use std::sync::Arc;

#[test]
fn the_embedded_queue_passes_the_suite_of_queues() {
    suite(&|retention| {
        let folder = run_dir::fresh("queue");
        Arc::new(EmbeddedQueue::open(&folder, QueueOptions::new(retention), Arc::new(SystemClock)).unwrap())
            as Arc<dyn Queue>
    });
}
