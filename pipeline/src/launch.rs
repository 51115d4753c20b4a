//! Starting the worker of a stream, at the start of the service or later.
//!
//! Owns what comes before a worker of a stream that a pattern made: its table is made and registered, as `landfall schema apply` would,
//! and its brake is set as the target keeps it. When that is refused the stream halts and says so, and it is tried again, since the command
//! that mends it says nothing to the service. Owns nothing of what a worker does.

use crate::assemble::{MappingChange, Target, WantedStream};
use crate::queue::clock::SystemClock;
use crate::service::Service;
use crate::streams::{Enlisted, Origin, RunningStream};
use crate::supervise::reaction::{Reaction, reaction};
use crate::worker::{self, CopySource, StreamState, StreamWorker, WriterPool};
use landfall_connectors::checkpoints::OwnerNonce;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use landfall_connectors::sink::Sink;
use landfall_schemas::ddl::BulkLoad;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Receiver;

/// Who the target's history says made the table.
const ACTOR: &str = "landfall run";
/// Between two tries of what the target refuses: somebody has to do something first.
const REFUSED_WAIT: Duration = Duration::from_secs(5);

/// What all workers are given.
pub(crate) struct Launcher {
    pub(crate) target: Arc<Target>,
    pub(crate) writers: Arc<WriterPool<<Target as Sink>::Writer>>,
    pub(crate) owner: OwnerNonce,
    /// Tables are made one by one: a thousand new collections must not take a thousand connections.
    pub(crate) making: Arc<Semaphore>,
}

impl Launcher {
    /// Starts the worker of a stream.
    pub(crate) fn launch(&self, service: &Service, (stream, ears): Enlisted) {
        let source = &service.sources[stream.source];
        let worker = StreamWorker {
            target: Arc::clone(&self.target),
            writers: Arc::clone(&self.writers),
            mapping: Arc::clone(&stream.mapping),
            stream: stream.id,
            queue: Arc::clone(&source.queue),
            leftovers: source.leftovers,
            words: ears.words,
            errands: ears.errands,
            owner: self.owner,
            brake: Arc::clone(&stream.brake),
            progress: Arc::clone(&stream.progress),
            stop: service.drain.clone(),
            deadline: service.deadline.clone(),
            clock: Arc::new(SystemClock),
            copy: copy_source(service, &stream),
            base: None,
            tracer: service.traces.tracer(),
        };
        let table = NewTable { target: Arc::clone(&self.target), making: Arc::clone(&self.making), bulk: source.bulk };
        service.supervisor.task("stream worker", async move {
            if stream.origin == Origin::Pattern {
                let stop = worker.stop.clone();
                tokio::select! {
                    () = table.make(&stream) => {}
                    () = stop.cancelled() => return Ok(()),
                }
            }
            worker::run(worker).await
        });
    }

    /// Starts the workers of streams that are found, until the service stops.
    pub(crate) async fn attend(self, service: Arc<Service>, mut found: Receiver<Enlisted>) -> Result<(), Failure> {
        let launching = async {
            while let Some(enlisted) = found.recv().await {
                self.launch(&service, enlisted);
            }
        };
        tokio::select! {
            () = launching => {}
            () = service.supervisor.stop().cancelled() => {}
        }
        Ok(())
    }
}

/// Where a stream is copied from, with the streams it must wait for.
fn copy_source(service: &Service, stream: &RunningStream) -> Option<CopySource> {
    let copy = service.sources[stream.source].copy.clone()?;
    let all = service.streams.all();
    let siblings = all.iter().filter(|other| other.source == stream.source);
    Some(CopySource { siblings: siblings.map(|other| Arc::clone(&other.progress)).collect(), ..copy })
}

/// The table of a stream that a pattern made.
struct NewTable {
    target: Arc<Target>,
    making: Arc<Semaphore>,
    bulk: BulkLoad,
}

impl NewTable {
    /// Returns when the table stands. Safe to cancel: what is not committed is not there.
    async fn make(&self, stream: &RunningStream) {
        let mut pace = Pace::new();
        let mut told = None;
        loop {
            let Err(failure) = self.try_make(stream).await else { return };
            let wait = if reaction(failure.class) == Reaction::Retry {
                stream.progress.state(StreamState::Starting(Some(failure)));
                pace.next_wait()
            } else {
                let failure = refused(stream, &failure);
                if told.replace(failure.code) != Some(failure.code) {
                    tracing::error!(stream = %stream.mapping.name, code = failure.code, "{}", failure.detail);
                }
                stream.progress.state(StreamState::Halted(failure));
                REFUSED_WAIT
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_make(&self, stream: &RunningStream) -> Result<(), Failure> {
        let _turn = self.making.acquire().await;
        let wanted = [WantedStream { mapping: &stream.mapping, bulk: self.bulk }];
        let plan = Box::pin(self.target.schema_apply(&wanted, MappingChange::Refuse, ACTOR)).await?;
        if !plan.steps.is_empty() {
            tracing::info!(stream = %stream.mapping.name, table = %stream.mapping.table.name, "its table was made");
        }
        if stream.brake.control().is_none() {
            let mut controls = self.target.controls().await?;
            stream.brake.set(controls.remove(stream.mapping.name.as_str()).unwrap_or_default());
        }
        Ok(())
    }
}

/// The halt of a stream whose table the service may not make.
fn refused(stream: &RunningStream, failure: &Failure) -> Failure {
    let command = match failure.code {
        "mapping_changed" => "landfall schema apply --accept-mapping-change",
        _ => "landfall schema apply",
    };
    let detail = format!(
        "the table {} of a collection that a pattern found cannot be made: {}. Run `{command}` as a role that may; the stream goes on \
         by itself then",
        stream.mapping.table.name, failure.detail
    );
    Failure::new(FailureClass::Halt, failure.code, detail)
}
