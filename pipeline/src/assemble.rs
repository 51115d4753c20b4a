//! The one place that names concrete edges: from a validated configuration to a running [`Service`].
//!
//! Owns the order of construction: lock, queues, sources, captures, workers. Nothing is written anywhere before the state
//! directory's lock is held (promise 17).

mod reread;

use reread::rereading;
pub(crate) use reread::{reread, retrace};

use crate::capture;
use crate::config::{Pipeline, SnapshotPace, SourceKind, SourceSpec};
use crate::discovery::{self, Discovery, LeftOut};
use crate::health::Health;
use crate::hooks::Desks;
use crate::http::{Door, Pulse};
use crate::launch::Launcher;
use crate::letterbox::Letterbox;
use crate::queue::Queue;
use crate::queue::clock::SystemClock;
use crate::queue::embedded::{EmbeddedQueue, QueueOptions};
use crate::queue::history::QueueHistory;
use crate::queue::lock::{LockRefused, StateLock};
use crate::replay::into::{Shadows, Succession};
use crate::replay::{self, Replays};
use crate::service::{RunningSource, Service};
use crate::streams::{Enlisted, Origin, RunningStream};
use crate::supervise::Supervisor;
use crate::traces::Traces;
use crate::worker::{CopyPace, CopySource, PoolMeter, WriterPool};
use landfall_connectors::checkpoints::{Leftovers, OwnerNonce};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::files::directory::{DirectoryConfig, DirectorySource};
use landfall_connectors::files::document::{DocumentConfig, DocumentSource};
use landfall_connectors::files::lines::{LinesConfig, LinesSource};
use landfall_connectors::mongodb::{MongoConfig, MongoSnapshot, MongoSource};
use landfall_connectors::sink::Sink;
use landfall_connectors::source::{Registrar, Source, SourceStart, SourceStream};
use landfall_connectors::sqlite::{SqliteConfig, SqliteSource};
use landfall_connectors::wake::Wake;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::stream::{SourceName, StreamId, StreamName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Sender};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use landfall_connectors::postgres::status::StreamStatus;
pub(crate) use landfall_connectors::postgres::{Applied, Cut, Side, Standing, fingerprint};
pub use landfall_connectors::postgres::{Decision, PostgresTarget as Target};
pub(crate) use landfall_connectors::postgres::{
    LetterChoice, LetterReader, LetterValues, PAGE, PAGE_WITH_VALUES, Reach, StoredLetter,
};
pub(crate) use landfall_connectors::postgres::{MappingChange, WantedStream};

/// A service and what must outlive it.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct Assembled {
    /// The service.
    pub service: Arc<Service>,
    /// Its target.
    pub target: Arc<Target>,
    /// How busy its writers are.
    pub pool: Arc<PoolMeter>,
    lock: StateLock,
}

impl Assembled {
    /// Closes what copies were read through, and gives the state directory back. Only after the service has ended.
    pub async fn release(self) {
        for copy in self.service.sources.iter().filter_map(|source| source.copy.as_ref()) {
            copy.snapshot.farewell().await;
        }
        drop(self.lock);
    }
}

/// The fingerprint of a mapping, in hex.
pub(crate) fn mapping_hash(stream: &StreamMapping) -> String {
    fingerprint::of(stream).iter().map(|byte| format!("{byte:02x}")).collect()
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
    let launcher = Launcher {
        target: Arc::clone(&target),
        writers: WriterPool::new((0..target.max_connections()).map(|_| target.writer()).collect()),
        owner: OwnerNonce(Uuid::new_v4()),
        making: Arc::new(Semaphore::new(1)),
    };
    let supervisor = Supervisor::default();
    let mut service = Service {
        sources: Vec::new(),
        streams: Arc::default(),
        letterbox: Letterbox::default(),
        replays: Replays::default(),
        shadows: Shadows::default(),
        succession: Succession::default(),
        traces: Traces::start(pipeline.traces.as_ref(), &pipeline.name, &supervisor),
        supervisor,
        drain: CancellationToken::new(),
        deadline: CancellationToken::new(),
        started: Instant::now(),
        door: Door::default(),
        pulse: Pulse::default(),
        health: Arc::new(Health::new(&pipeline.target.health)),
        comparisons: Arc::default(),
        hooks: Desks::of(&pipeline.hooks),
    };
    let (found, finds) = mpsc::channel(discovery::MOST);
    let growth = Growth { pipeline: Arc::new(pipeline.clone()), found };
    // Every stream there is has its name and its table before any is found.
    let mut enlisted = Vec::new();
    let mut queues = Vec::new();
    for (at, spec) in pipeline.sources.iter().enumerate() {
        let queue = Arc::new(open_queue(pipeline, &spec.name)?);
        // Named checkpoints are read later: until then nothing is trimmed.
        replay::cut::hold(&*queue);
        replay::into::hold(pipeline, &*queue);
        enlisted.extend(enlist(pipeline, (spec, at), &queue, &service)?);
        queues.push(queue);
    }
    for (spec, queue) in pipeline.sources.iter().zip(queues) {
        start_source(&growth, spec, queue, &mut service)?;
    }
    service.keep_house();
    let service = Arc::new(service);
    enlisted.into_iter().for_each(|stream| launcher.launch(&service, stream));
    let pool = Arc::clone(launcher.writers.meter());
    service.supervisor.task("found streams", launcher.attend(Arc::clone(&service), finds));
    Ok(Assembled { service, target, pool, lock })
}

/// What streams that are found while the service runs are made with.
struct Growth {
    pipeline: Arc<Pipeline>,
    found: Sender<Enlisted>,
}

/// Registers the streams of a source in its queue: those of the configuration, and those that patterns made earlier.
fn enlist(
    pipeline: &Pipeline,
    (spec, at): (&SourceSpec, usize),
    queue: &EmbeddedQueue,
    service: &Service,
) -> Result<Vec<Enlisted>, Failure> {
    let mut mappings: Vec<_> = pipeline.streams_of(&spec.name).cloned().map(|one| (one, Origin::Entry)).collect();
    mappings.extend(made_by_patterns(pipeline, spec, queue).into_iter().map(|one| (one, Origin::Pattern)));
    // One roll of the log for all of them.
    let wanted: Vec<_> = mappings.iter().map(|(mapping, _)| (mapping.name.clone(), mapping.partitions)).collect();
    let ids = queue.register_all(&wanted)?;
    let enlist = |((mapping, origin), id)| RunningStream::enlist(mapping, origin, (at, id), &service.health);
    let enlisted: Vec<Enlisted> = mappings.into_iter().zip(ids).map(enlist).collect();
    service.streams.grow(|_| Ok(enlisted.iter().map(|(stream, _)| Arc::clone(stream)).collect()))?;
    Ok(enlisted)
}

/// The streams that a source's queue knows and that patterns of the configuration make; in the order in which they came.
pub(crate) fn made_by_patterns(pipeline: &Pipeline, spec: &SourceSpec, queue: &EmbeddedQueue) -> Vec<StreamMapping> {
    let is_entry = |name: &StreamName| pipeline.streams.iter().any(|stream| stream.name == *name);
    let names = queue.streams().into_iter().map(|(_, name, _)| name).filter(|name| !is_entry(name));
    let made = names.filter_map(|name| pipeline.stream(name.as_str()));
    made.filter(|mapping| mapping.source == spec.name).collect()
}

/// The directory of a source's queue.
pub fn queue_dir(state: &Path, source: &SourceName) -> PathBuf {
    state.join("queue").join(source.as_str())
}

/// Opens the queue of a source: for running, or (under the state lock) for `status`.
pub fn open_queue(pipeline: &Pipeline, source: &SourceName) -> Result<EmbeddedQueue, Failure> {
    let options = QueueOptions::new(pipeline.retention);
    EmbeddedQueue::open(&queue_dir(&pipeline.state_dir, source), options, Arc::new(SystemClock))
}

/// What finds, after a lost queue, the rows whose records vanished: sources with an index compare it with the table.
fn leftovers(kind: &SourceKind) -> Leftovers {
    match kind {
        SourceKind::Document { .. } | SourceKind::Directory { .. } | SourceKind::Sqlite { .. } => Leftovers::Compared,
        // A copy sweeps what it has not seen; lines never say what is gone.
        SourceKind::Lines { .. } | SourceKind::Mongo { .. } => Leftovers::Kept,
    }
}

/// Starts a source and its capture.
fn start_source(
    growth: &Growth,
    spec: &SourceSpec,
    queue: Arc<EmbeddedQueue>,
    service: &mut Service,
) -> Result<(), Failure> {
    let (pipeline, at) = (&growth.pipeline, service.sources.len());
    let running = service.streams.all();
    let ours = running.iter().filter(|stream| stream.source == at);
    let streams = ours.map(|stream| source_stream(stream.id, &stream.mapping)).collect();
    let wake = Wake::default();
    let state_dir = pipeline.state_dir.join("index").join(spec.name.as_str());
    make_private(&state_dir)?;
    let history = Arc::new(QueueHistory(Arc::clone(&queue) as Arc<dyn Queue>));
    let positions = queue.positions();
    let start = SourceStart { streams, positions, history, state_dir, wake: wake.clone(), registrar: None };
    let left_out = Arc::new(LeftOut::default());
    let discovery = |snapshot: Arc<MongoSnapshot>| Discovery {
        pipeline: Arc::clone(pipeline),
        source: (spec.name.clone(), at),
        queue: Arc::clone(&queue),
        streams: Arc::clone(&service.streams),
        copies: Box::new(move |stream| snapshot.add(stream)),
        found: growth.found.clone(),
        left_out: Arc::clone(&left_out),
        health: Arc::clone(&service.health),
    };
    let Opened { source, copy } = match spec.kind.clone() {
        SourceKind::Mongo { config, pace } => {
            let grows = pipeline.templates.iter().any(|template| template.common.source == spec.name);
            open_mongo(*config, pace, start, grows.then_some(discovery))?
        }
        _ => open_files(spec, start)?,
    };
    let queue: Arc<dyn Queue> = queue;
    let traced = (service.traces.tracer(), spec.name.to_string());
    let rereading = rereading((spec.clone(), at), Arc::clone(&queue), Arc::clone(&service.streams));
    let capture = capture::start_with(&service.supervisor, source, (Arc::clone(&queue), wake), traced, Some(rereading));
    service.sources.push(RunningSource {
        name: spec.name.clone(),
        kind: spec.kind.name(),
        bulk: spec.kind.bulk(),
        leftovers: leftovers(&spec.kind),
        queue,
        capture,
        copy,
        left_out,
    });
    Ok(())
}

pub(crate) fn source_stream(id: StreamId, mapping: &StreamMapping) -> SourceStream {
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

fn open_files(spec: &SourceSpec, start: SourceStart) -> Result<Opened, Failure> {
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
        SourceKind::Sqlite { dir: root, file, capture } => {
            Box::new(SqliteSource::open(SqliteConfig { root, file, cadence, symlinks, capture }, start)?)
        }
        SourceKind::Mongo { .. } => {
            return Err(Failure::new(FailureClass::Fatal, "source_kind", "a MongoDB source is no source of files"));
        }
    };
    Ok(Opened { source, copy: None })
}

/// Connects to nothing: a source that cannot be reached, or whose hosts DNS does not tell, is waited for by its streams.
fn open_mongo(
    config: MongoConfig,
    pace: SnapshotPace,
    mut start: SourceStart,
    discovery: Option<impl FnOnce(Arc<MongoSnapshot>) -> Discovery>,
) -> Result<Opened, Failure> {
    let snapshot = Arc::new(MongoSnapshot::new(config.clone(), &start.streams));
    start.registrar = discovery.map(|discovery| Arc::new(discovery(Arc::clone(&snapshot))) as Arc<dyn Registrar>);
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
