//! A source driven by hand: opened as capture opens it, with a real queue behind it, but no thread and no watch in the clock.

use crate::queue_load;
use crate::users_pipeline::{self, Source as Store};
use landfall_connectors::source::{Source, SourceStart, SourceStream, Step};
use landfall_connectors::wake::Wake;
use landfall_pipeline::config::Pipeline;
use landfall_pipeline::queue::Queue;
use landfall_pipeline::queue::embedded::{Compression, EmbeddedQueue};
use landfall_pipeline::queue::history::QueueHistory;
use landfall_schemas::event::ChangeBatch;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The users pipeline as the product reads it. Nobody connects: its URL is never used.
pub fn pipeline(folder: &Path, store: Store) -> Pipeline {
    users_pipeline::write(folder, "postgres://nobody@127.0.0.1/none", store).read()
}

/// A queue in `folder`, and what a source of the users stream is opened with.
pub fn start(folder: &Path, pipeline: &Pipeline) -> (Arc<EmbeddedQueue>, SourceStart) {
    let (queue, stream) = queue_load::open(&folder.join("queue"), Compression::Lz4);
    let queue = Arc::new(queue);
    let mapping = &pipeline.streams[0];
    let streams = vec![SourceStream {
        id: stream,
        name: mapping.name.clone(),
        select: mapping.select.clone(),
        key: mapping.key.clone(),
        partitions: mapping.partitions,
    }];
    let state_dir = folder.join("index");
    fs::create_dir_all(&state_dir).expect("a bench's own folder is writable");
    let history = Arc::new(QueueHistory(Arc::clone(&queue) as Arc<dyn Queue>));
    let start = SourceStart {
        streams,
        positions: queue.positions(),
        history,
        state_dir,
        wake: Wake::default(),
        registrar: None,
    };
    (queue, start)
}

/// Takes everything that stands in the source.
pub fn until_caught_up(source: &mut impl Source) -> Vec<ChangeBatch> {
    let mut batches = Vec::new();
    loop {
        let mut batch = ChangeBatch::default();
        let step = source.next(&mut batch).expect("the bench's own store can be read");
        if !batch.is_empty() {
            batches.push(batch);
        }
        match step {
            Step::More => {}
            Step::CaughtUp => return batches,
            Step::Blocked => panic!("the store is whole: {:?}", source.conditions()),
        }
    }
}

/// Takes everything and keeps nothing; gives how many changes there were.
pub fn count(source: &mut impl Source) -> u64 {
    let (mut batch, mut changes) = (ChangeBatch::default(), 0);
    loop {
        batch.clear();
        let step = source.next(&mut batch).expect("the bench's own store can be read");
        changes += batch.changes().len() as u64;
        match step {
            Step::More => {}
            Step::CaughtUp => return changes,
            Step::Blocked => panic!("the store is whole: {:?}", source.conditions()),
        }
    }
}
