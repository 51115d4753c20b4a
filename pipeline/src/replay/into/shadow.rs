//! A schema beside the live one while it is followed: its streams, and what of the queues must stay for them.

use super::aside::Aside;
use super::kept::{Begun, BegunStream, beside_name};
use crate::assemble::{self, Target};
use crate::config::Pipeline;
use crate::queue::clock::SystemClock;
use crate::queue::{Cursor, Queue, ReadLimit};
use crate::replay::base_copy::{self, BaseSnapshot};
use crate::service::Service;
use crate::streams::{Ears, Origin, RunningStream};
use crate::traces::Tracer;
use crate::worker::{self, Base, CopyPace, CopySource, StreamState, StreamWorker, WriterPool};
use landfall_connectors::checkpoints::{Leftovers, OwnerNonce};
use landfall_connectors::control::Control;
use landfall_connectors::failure::Failure;
use landfall_connectors::sink::Sink;
use landfall_schemas::ident::Ident;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::offset::{Offset, Sequence};
use landfall_schemas::stream::{PartitionId, StreamId};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A schema beside the live one.
pub(crate) struct Shadow {
    pub(crate) schema: Ident,
    /// Its configuration, as one that runs by itself.
    pub(crate) next: Pipeline,
    /// Where it is written to, under its own name.
    pub(crate) target: Arc<Target>,
    pub(crate) owner: OwnerNonce,
    pub(super) begun: Begun,
    /// In the order of the service's.
    pub(crate) streams: Vec<Arc<RunningStream>>,
    stop: CancellationToken,
    workers: TaskTracker,
}

/// All of them.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct Shadows(Mutex<Vec<Arc<Shadow>>>);

impl Shadows {
    /// Those there are now.
    pub(crate) fn all(&self) -> Vec<Arc<Shadow>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one of a schema.
    pub(crate) fn find(&self, schema: &str) -> Option<Arc<Shadow>> {
        self.all().into_iter().find(|shadow| shadow.schema.as_str() == schema)
    }

    pub(super) fn add(&self, shadow: Arc<Shadow>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(shadow);
    }

    pub(super) fn remove(&self, schema: &Ident) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|shadow| shadow.schema != *schema);
    }
}

/// The name of a schema's pin in the queues.
pub(super) fn pin_name(schema: &Ident) -> String {
    format!("into {schema}")
}

/// The first sequence that a stream needs which stands at these places.
pub(super) fn needs(
    queue: &dyn Queue,
    stream: StreamId,
    places: &[(PartitionId, Offset)],
) -> Result<Sequence, Failure> {
    // Before the look: an event that is appended during it stands behind.
    let end = queue.sequences().end;
    let cursor = Cursor { stream, next: places.to_vec() };
    let next = queue.read(&cursor, ReadLimit { events: 1, bytes: 1 })?;
    Ok(next.events.first().map_or(end, |event| event.sequence.min(end)))
}

impl Shadow {
    /// Starts the workers of a schema.
    pub(super) fn launch(
        service: &Service,
        (state_dir, live): (&Path, &str),
        (schema, next, begun): (Ident, Pipeline, Begun),
    ) -> Result<Arc<Self>, Failure> {
        let beside = next.into_schema(&schema);
        debug_assert_eq!(beside.name, beside_name(live, &schema), "named after the pipeline it is beside");
        let target = Arc::new(assemble::target(&beside)?);
        let running = service.streams.all();
        let ours = running.iter().filter(|stream| begun.streams.contains_key(stream.mapping.name.as_str()));
        let enlisted: Vec<_> = ours
            .filter_map(|stream| {
                let mapping = beside.stream(stream.mapping.name.as_str())?;
                let place = (stream.source, stream.id);
                // Its tables stand on the same server.
                Some(RunningStream::enlist(mapping, Origin::Entry, place, &service.health))
            })
            .collect();
        let shadow = Arc::new(Self {
            schema,
            next,
            owner: OwnerNonce(Uuid::new_v4()),
            begun,
            streams: enlisted.iter().map(|(stream, _)| Arc::clone(stream)).collect(),
            stop: service.drain.child_token(),
            workers: TaskTracker::new(),
            target: Arc::clone(&target),
        });
        let writers = WriterPool::new((0..target.max_connections()).map(|_| target.writer()).collect());
        for (stream, ears) in enlisted {
            let worker = shadow.worker(service, state_dir, (&stream, ears), &writers)?;
            let ended = shadow.workers.track_future(async move {
                // What ends a worker here ends nothing of the live ones: it is said and stands.
                if let Err(failure) = worker::run(worker).await {
                    tracing::error!(stream = %stream.mapping.name, table = %stream.mapping.table.qualified(), code = failure.code, "{}", failure.detail);
                    stream.progress.state(StreamState::Halted(failure));
                }
                Ok(())
            });
            service.supervisor.task("worker beside", ended);
        }
        shadow.workers.close();
        Ok(shadow)
    }

    fn worker(
        &self,
        service: &Service,
        state_dir: &Path,
        (stream, ears): (&Arc<RunningStream>, Ears),
        writers: &Arc<WriterPool<<Target as Sink>::Writer>>,
    ) -> Result<StreamWorker<Target>, Failure> {
        let source = &service.sources[stream.source];
        // Pause and throttle are those of the live tables.
        stream.brake.set(Control::default());
        let siblings = || self.streams.iter().filter(|other| other.source == stream.source);
        let siblings = || siblings().map(|other| Arc::clone(&other.progress)).collect();
        Ok(StreamWorker {
            target: Arc::clone(&self.target),
            writers: Arc::clone(writers),
            mapping: Arc::clone(&stream.mapping),
            stream: stream.id,
            queue: Arc::new(Aside(Arc::clone(&source.queue))),
            leftovers: Leftovers::Kept,
            words: ears.words,
            errands: ears.errands,
            owner: self.owner,
            brake: Arc::clone(&stream.brake),
            progress: Arc::clone(&stream.progress),
            stop: self.stop.clone(),
            deadline: service.deadline.child_token(),
            clock: Arc::new(SystemClock),
            copy: source.copy.clone().map(|copy| CopySource { siblings: siblings(), ..copy }),
            base: self.base(state_dir, (stream.id, &stream.mapping))?,
            // Spans are of the live tables: an event is in one span.
            tracer: Tracer::default(),
        })
    }

    fn base(&self, state_dir: &Path, (id, mapping): (StreamId, &StreamMapping)) -> Result<Option<Base>, Failure> {
        let (Some(begun), Some(checkpoint)) = (self.began(mapping), &self.begun.checkpoint) else { return Ok(None) };
        let Some(before) = begun.before else { return Ok(None) };
        let directory = base_copy::directory(state_dir, checkpoint);
        // Loaded before, and gone with its checkpoint: nobody asks for it again.
        if !base_copy::holds(&directory, &mapping.name) {
            return Ok(None);
        }
        let snapshot = BaseSnapshot::open(&directory, [(id, mapping.name.clone())])?;
        let source = CopySource {
            snapshot: Arc::new(snapshot),
            readers: 1,
            permits: Arc::new(Semaphore::new(1)),
            pace: CopyPace::default(),
            siblings: Vec::new(),
        };
        Ok(Some(Base { source, before: Sequence(before), places: begun.places() }))
    }

    fn began(&self, mapping: &StreamMapping) -> Option<&BegunStream> {
        self.begun.streams.get(mapping.name.as_str())
    }

    /// Where each partition of a stream stands, or will begin.
    fn stands(&self, stream: &RunningStream) -> Vec<(PartitionId, Offset)> {
        let mut places = self.began(&stream.mapping).map(BegunStream::places).unwrap_or_default();
        for known in stream.progress.view().checkpoints {
            if let Some((_, at)) = places.iter_mut().find(|(partition, _)| *partition == known.partition) {
                *at = known.next.max(*at);
            }
        }
        places
    }

    /// Every stream stands behind its base.
    pub(super) fn is_loaded(&self) -> bool {
        self.streams.iter().all(|stream| {
            let (view, begun) = (stream.progress.view(), self.began(&stream.mapping));
            let stands = |(partition, at): (PartitionId, Offset)| {
                view.checkpoints.iter().any(|known| known.partition == partition && known.next >= at)
            };
            begun.is_some_and(|begun| begun.places().into_iter().all(stands))
        })
    }

    /// Has the queues keep what the streams need, and no more. Blocking.
    pub(super) fn pin(&self, service: &Service) -> Result<(), Failure> {
        for (at, source) in service.sources.iter().enumerate() {
            let mut first = None::<Sequence>;
            for stream in self.streams.iter().filter(|stream| stream.source == at) {
                let needs = needs(&*source.queue, stream.id, &self.stands(stream))?;
                first = Some(first.map_or(needs, |first| first.min(needs)));
            }
            source.queue.pin(&pin_name(&self.schema), first);
        }
        Ok(())
    }

    /// Lets everything go that was kept for it.
    pub(super) fn unpin(&self, service: &Service) {
        service.sources.iter().for_each(|source| source.queue.pin(&pin_name(&self.schema), None));
    }

    /// Ends its workers between two batches.
    pub(super) async fn stop(&self) {
        self.stop.cancel();
        self.workers.wait().await;
    }
}
