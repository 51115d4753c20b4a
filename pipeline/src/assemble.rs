//! The one place that names concrete edges: from a validated configuration to a running [`Service`].
//!
//! Owns the order of construction: lock, queues, sources, captures, workers. Nothing is written anywhere before the state
//! directory's lock is held (promise 17).

use crate::capture;
use crate::config::{Pipeline, SnapshotPace, SourceKind, SourceSpec};
use crate::queue::Queue;
use crate::queue::clock::SystemClock;
use crate::queue::embedded::{EmbeddedQueue, QueueOptions};
use crate::queue::history::QueueHistory;
use crate::queue::lock::{LockRefused, StateLock};
use crate::service::{RunningSource, RunningStream, Service};
use crate::supervise::Supervisor;
use crate::worker::{self, Brake, CopyPace, CopySource, StreamProgress, StreamWorker, Words, WriterPool};
use landfall_connectors::checkpoints::{Leftovers, OwnerNonce};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::files::directory::{DirectoryConfig, DirectorySource};
use landfall_connectors::files::document::{DocumentConfig, DocumentSource};
use landfall_connectors::files::lines::{LinesConfig, LinesSource};
use landfall_connectors::mongodb::{self, MongoConfig, MongoSnapshot, MongoSource};
use landfall_connectors::sink::Sink;
use landfall_connectors::source::{Source, SourceStart, SourceStream};
use landfall_connectors::wake::Wake;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::stream::SourceName;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use landfall_connectors::postgres::status::StreamStatus;
pub use landfall_connectors::postgres::{Decision, PostgresTarget as Target};

/// A service and what must outlive it.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct Assembled {
    /// The service.
    pub service: Arc<Service>,
    /// Its target.
    pub target: Arc<Target>,
    lock: StateLock,
}

impl Assembled {
    /// Gives the state directory back. Only after the service has ended.
    pub fn release(self) {
        drop(self.lock);
    }
}

/// The target of a configuration; connects to nothing yet.
pub fn target(pipeline: &Pipeline) -> Result<Target, Failure> {
    Target::new(&pipeline.target.connection(), &pipeline.name)
        .map_err(|error| Failure::new(FailureClass::Halt, "target_invalid", format!("target: {error}")))
}

/// Builds and starts everything.
pub async fn start(pipeline: &Pipeline) -> Result<Assembled, LockRefused> {
    let lock = StateLock::acquire(&pipeline.state_dir)?;
    let target = Arc::new(target(pipeline)?);
    let writers = WriterPool::new((0..target.max_connections()).map(|_| target.writer()).collect());
    let supervisor = Supervisor::default();
    let (drain, deadline) = (CancellationToken::new(), CancellationToken::new());
    let mut service = Service {
        sources: Vec::new(),
        streams: Vec::new(),
        supervisor: supervisor.clone(),
        drain: drain.clone(),
        deadline: deadline.clone(),
        started: Instant::now(),
    };
    let mut words = Vec::new();
    for spec in &pipeline.sources {
        let listening = start_source(pipeline, spec, &mut service).await?;
        words.extend(listening.into_iter().map(|words| (words, leftovers(&spec.kind))));
    }
    let owner = OwnerNonce(Uuid::new_v4());
    for (stream, (words, leftovers)) in service.streams.iter().zip(words) {
        let worker = StreamWorker {
            target: Arc::clone(&target),
            writers: Arc::clone(&writers),
            mapping: Arc::clone(&stream.mapping),
            stream: stream.id,
            queue: Arc::clone(&service.sources[stream.source].queue),
            leftovers,
            words,
            owner,
            brake: Arc::clone(&stream.brake),
            progress: Arc::clone(&stream.progress),
            stop: drain.clone(),
            deadline: deadline.clone(),
            clock: Arc::new(SystemClock),
            copy: copy_source(&service, stream),
        };
        supervisor.task("stream worker", worker::run(worker));
    }
    service.keep_house();
    Ok(Assembled { service: Arc::new(service), target, lock })
}

/// Where a stream is copied from, with the streams it must wait for.
fn copy_source(service: &Service, stream: &RunningStream) -> Option<CopySource> {
    let copy = service.sources[stream.source].copy.clone()?;
    let siblings = service.streams.iter().filter(|other| other.source == stream.source);
    Some(CopySource { siblings: siblings.map(|other| Arc::clone(&other.progress)).collect(), ..copy })
}

/// The directory of a source's queue.
pub fn queue_dir(state: &Path, source: &SourceName) -> PathBuf {
    state.join("queue").join(source.as_str())
}

/// Opens the queue of a source: for running, or (under the state lock) for `status`.
pub fn open_queue(pipeline: &Pipeline, source: &SourceName) -> Result<Arc<EmbeddedQueue>, Failure> {
    let options = QueueOptions::new(pipeline.retention);
    let queue = EmbeddedQueue::open(&queue_dir(&pipeline.state_dir, source), options, Arc::new(SystemClock))?;
    Ok(Arc::new(queue))
}

/// What finds, after a lost queue, the rows whose records vanished: sources with an index compare it with the table.
fn leftovers(kind: &SourceKind) -> Leftovers {
    match kind {
        SourceKind::Document { .. } | SourceKind::Directory { .. } => Leftovers::Compared,
        // A copy sweeps what it has not seen; lines never say what is gone.
        SourceKind::Lines { .. } | SourceKind::Mongo { .. } => Leftovers::Kept,
    }
}

/// Starts a source; what the workers of its streams will listen to, in their order.
async fn start_source(pipeline: &Pipeline, spec: &SourceSpec, service: &mut Service) -> Result<Vec<Words>, Failure> {
    let queue = open_queue(pipeline, &spec.name)?;
    let at = service.sources.len();
    let mappings: Vec<&StreamMapping> = pipeline.streams_of(&spec.name).collect();
    // One roll of the log for all of them.
    let wanted: Vec<_> = mappings.iter().map(|mapping| (mapping.name.clone(), mapping.partitions)).collect();
    let ids = queue.register_all(&wanted)?;
    let queue: Arc<dyn Queue> = queue;
    let streams = mappings.iter().zip(&ids).map(|(mapping, id)| source_stream(*id, mapping)).collect();
    let mut listening = Vec::with_capacity(ids.len());
    for (mapping, id) in mappings.into_iter().zip(ids) {
        let progress = Arc::new(StreamProgress::default());
        let (speaker, words) = worker::words();
        let brake = Arc::new(Brake::new(Arc::new(SystemClock)));
        listening.push(words);
        let mapping = Arc::new(mapping.clone());
        service.streams.push(RunningStream { mapping, id, source: at, progress, speaker, brake });
    }
    let wake = Wake::default();
    let state_dir = pipeline.state_dir.join("index").join(spec.name.as_str());
    make_private(&state_dir)?;
    let history = Arc::new(QueueHistory(Arc::clone(&queue)));
    let start = SourceStart { streams, positions: queue.positions(), history, state_dir, wake: wake.clone() };
    let Opened { source, copy } = open_source(spec, start).await?;
    let capture = capture::start(&service.supervisor, source, Arc::clone(&queue), wake);
    service.sources.push(RunningSource { name: spec.name.clone(), kind: spec.kind.name(), queue, capture, copy });
    Ok(listening)
}

fn source_stream(id: landfall_schemas::stream::StreamId, mapping: &StreamMapping) -> SourceStream {
    SourceStream {
        id,
        name: mapping.name.clone(),
        select: mapping.select.clone(),
        key: mapping.key.clone(),
        partitions: mapping.partitions,
    }
}

fn make_private(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        Failure::new(
            FailureClass::Halt,
            "state_dir_unusable",
            format!("cannot make {}: {}", dir.display(), error.kind()),
        )
    })
}

/// A source, and what of it can be read again.
struct Opened {
    source: Box<dyn Source>,
    copy: Option<CopySource>,
}

async fn open_source(spec: &SourceSpec, start: SourceStart) -> Result<Opened, Failure> {
    let (symlinks, cadence) = (spec.symlinks, spec.cadence);
    let source: Box<dyn Source> = match spec.kind.clone() {
        SourceKind::Document { dir: root, file } => {
            Box::new(DocumentSource::open(DocumentConfig { root, file, cadence, symlinks }, start)?)
        }
        SourceKind::Directory { dir: root, pattern: glob } => {
            Box::new(DirectorySource::open(DirectoryConfig { root, glob, cadence, symlinks }, start)?)
        }
        SourceKind::Lines { dir, pattern, format } => {
            Box::new(LinesSource::open(LinesConfig { dir, pattern, symlinks, format, cadence }, start)?)
        }
        SourceKind::Mongo { config, pace } => return open_mongo(*config, pace, start).await,
    };
    Ok(Opened { source, copy: None })
}

/// Two clients: copies must not take the connections that the change stream needs.
async fn open_mongo(config: MongoConfig, pace: SnapshotPace, start: SourceStart) -> Result<Opened, Failure> {
    let client = mongodb::client::connect(&config).await?;
    let snapshot = Arc::new(MongoSnapshot::new(&client, &config, &start.streams));
    let readers = usize::from(pace.readers.get());
    // The rate is of all readers together; each keeps its share.
    let share = |rows: u64| u32::try_from(rows / readers as u64).unwrap_or(u32::MAX).max(1);
    let copy = CopySource {
        snapshot,
        readers,
        permits: Arc::new(Semaphore::new(readers)),
        pace: CopyPace { rows_per_second: pace.rows_per_second.map(share), max_lag: Some(pace.max_lag) },
        siblings: Vec::new(),
    };
    let source = Box::new(MongoSource::new(config, start, Handle::current())?);
    Ok(Opened { source, copy: Some(copy) })
}
