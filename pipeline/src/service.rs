//! The running service: captures, workers, housekeeping, and how it ends.
//!
//! Owns the order of start and stop, nothing of what the parts do. Stopping: capture ends first (what was read becomes
//! durable), workers drain what is queued until [`DRAIN`], then end between two batches; so SIGTERM is answered within
//! [`DRAIN`] plus one batch.

use crate::capture::CaptureHandle;
pub use crate::discovery::LeftOut;
use crate::doubt::NOT_COMPARED;
use crate::health::Health;
use crate::hooks::Desks;
use crate::http::{Door, Pulse};
use crate::letterbox::Letterbox;
use crate::queue::Queue;
use crate::replay::Replays;
use crate::replay::cut::Held;
use crate::replay::into::{Shadows, Succession};
use crate::streams::{RunningStream, Streams};
use crate::supervise::Supervisor;
use crate::traces::Traces;
use crate::verify::news::Comparisons;
use crate::worker::{CopySource, StreamProgressView, StreamState};
use landfall_connectors::checkpoints::{Leftovers, Word};
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::source::{Condition, Decision, Ruling};
use landfall_schemas::ddl::BulkLoad;
use landfall_schemas::offset::Offset;
use landfall_schemas::stream::{PartitionId, SourceName, StreamId};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How long workers may go on applying what is queued after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(10);
/// Between two looks at whether everything is applied.
const LOOK: Duration = Duration::from_millis(20);
/// A source must stay blocked this long before `--until-caught-up` gives up on it: half-written files heal sooner.
const BLOCKED_GRACE: Duration = Duration::from_secs(5);
/// Between two trims; each also renews the watermark that proves what is durable.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// One source, running.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct RunningSource {
    /// Its name.
    pub name: SourceName,
    /// Its kind, as in the configuration.
    pub kind: &'static str,
    /// Whether the tables of its streams are first filled in bulk.
    pub bulk: BulkLoad,
    /// What finds, after a lost queue, the rows whose records vanished.
    pub leftovers: Leftovers,
    /// Its queue.
    pub queue: Arc<dyn Queue>,
    /// Its capture.
    pub capture: CaptureHandle,
    /// Where its streams are copied from, if it can be read again.
    pub copy: Option<CopySource>,
    /// Collections that a pattern wants and that cannot be streams.
    pub left_out: Arc<LeftOut>,
}

/// Everything that runs.
#[expect(missing_debug_implementations, reason = "parts hold connections and threads, not values")]
pub struct Service {
    /// Sources.
    pub sources: Vec<RunningSource>,
    /// Streams; more may come while it runs.
    pub streams: Arc<Streams>,
    /// What waits in the target because it could not become a row.
    pub letterbox: Letterbox,
    /// Replays between two turns.
    pub replays: Replays,
    /// Schemas beside the live one that are followed.
    pub shadows: Shadows,
    /// What the service becomes when it ends for that.
    pub(crate) succession: Succession,
    /// Tasks and threads.
    pub supervisor: Supervisor,
    /// Cancelled when workers shall finish what is queued and end.
    pub drain: CancellationToken,
    /// Cancelled when workers shall end between two batches.
    pub deadline: CancellationToken,
    /// When it started.
    pub started: Instant,
    /// Where HTTP is answered.
    pub door: Door,
    /// Whether the target answers.
    pub pulse: Pulse,
    /// Whether the target suffers.
    pub health: Arc<Health>,
    /// What comparisons have shown.
    pub comparisons: Arc<Comparisons>,
    /// Who is told what happens.
    pub hooks: Desks,
    /// Spans of batches, for a collector.
    pub traces: Traces,
}

/// What a service that was waited for has come to.
#[derive(Debug)]
pub enum Verdict {
    /// Stopped as asked, or caught up.
    Done,
    /// Something needs an operator: stream and state.
    NeedsDecision(Vec<(String, String)>),
}

/// Whether everything captured has been applied.
enum Arrival {
    NotYet,
    Arrived,
    Blocked,
}

impl Service {
    /// Starts the housekeeping: trimming.
    pub fn keep_house(&self) {
        for source in &self.sources {
            let queue = Arc::clone(&source.queue);
            let stop = self.supervisor.stop().clone();
            self.supervisor.task("trim", async move {
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(TRIM_EVERY) => {}
                    }
                    let queue = Arc::clone(&queue);
                    if let Ok(trimmed) = tokio::task::spawn_blocking(move || queue.trim()).await {
                        trimmed?;
                    }
                }
            });
        }
    }

    /// The sources as far as named checkpoints are concerned.
    pub(crate) fn held(&self) -> Vec<Held> {
        let streams = self.streams.all();
        let of = |at: usize| {
            let ours = streams.iter().filter(move |stream| stream.source == at);
            ours.map(|stream| (stream.mapping.name.clone(), stream.id)).collect()
        };
        let held = |(at, source): (usize, &RunningSource)| Held {
            source: source.name.to_string(),
            queue: Arc::clone(&source.queue),
            streams: of(at),
        };
        self.sources.iter().enumerate().map(held).collect()
    }

    /// Waits until what stood in the sources has been applied, or cannot be without an operator.
    pub async fn caught_up(&self) -> Verdict {
        let mut goal: Option<Vec<Vec<(PartitionId, Offset)>>> = None;
        let mut blocked_since: Option<Instant> = None;
        loop {
            tokio::time::sleep(LOOK).await;
            match self.captured(&mut blocked_since) {
                Arrival::NotYet => goal = None,
                Arrival::Arrived => {
                    let goal = goal.get_or_insert_with(|| self.ends());
                    if self.reached(goal) {
                        return self.verdict();
                    }
                }
                Arrival::Blocked => {
                    if self.reached(&self.ends()) {
                        return self.verdict();
                    }
                }
            }
        }
    }

    /// Whether every source has handed out all it had, at least once.
    fn captured(&self, blocked_since: &mut Option<Instant>) -> Arrival {
        let reports: Vec<_> = self.sources.iter().map(|source| source.capture.report()).collect();
        let open = |report: &&crate::capture::CaptureReport| report.caught_up_passes == 0;
        if reports.iter().any(|report| report.blocked) && reports.iter().filter(open).all(|report| report.blocked) {
            let since = blocked_since.get_or_insert_with(Instant::now);
            return if since.elapsed() >= BLOCKED_GRACE { Arrival::Blocked } else { Arrival::NotYet };
        }
        *blocked_since = None;
        let waits = reports.iter().any(|report| open(&report))
            || self.streams.all().iter().any(|stream| self.is_comparing(stream));
        if waits { Arrival::NotYet } else { Arrival::Arrived }
    }

    /// What vanished before this queue is still being looked for, and nothing stands in the way.
    fn is_comparing(&self, stream: &RunningStream) -> bool {
        let view = stream.progress.view();
        let conditions = self.sources[stream.source].capture.report().conditions;
        let stuck = |(id, condition): &(StreamId, Condition)| *id == stream.id && trouble(condition).is_some();
        let worker_stands = stream.brake.is_paused() || matches!(view.state, StreamState::Halted(_));
        let looks = self.sources[stream.source].leftovers == Leftovers::Compared;
        view.resync.is_some() && looks && !worker_stands && !conditions.iter().any(stuck)
    }

    fn ends(&self) -> Vec<Vec<(PartitionId, Offset)>> {
        let ends = |stream: &Arc<RunningStream>| {
            let queue = &self.sources[stream.source].queue;
            stream
                .mapping
                .partitions
                .all()
                .map(|partition| (partition, queue.offsets(stream.id, partition).end))
                .collect()
        };
        self.streams.all().iter().map(ends).collect()
    }

    fn reached(&self, goal: &[Vec<(PartitionId, Offset)>]) -> bool {
        // Streams that came behind the goal are not part of it.
        let streams = self.streams.all();
        let beside = self.shadows.all();
        streams.iter().zip(goal).all(|(stream, ends)| {
            let twins = beside.iter().flat_map(|shadow| &shadow.streams);
            let twins = twins.filter(|twin| (twin.source, twin.id) == (stream.source, stream.id));
            twins.chain([stream]).all(|one| has_settled(one, ends))
        })
    }

    /// A pause that stands between the stream and what was captured; in words.
    fn pause(&self, stream: &RunningStream) -> Option<String> {
        let control = stream.brake.control().filter(|control| control.paused)?;
        let (view, queue) = (stream.progress.view(), &self.sources[stream.source].queue);
        let behind = |partition| !has_arrived(&view, partition, queue.offsets(stream.id, partition).end);
        let text = format!("paused by {}: `landfall resume {}`", control.actor, stream.mapping.name);
        (view.resync.is_some() || stream.mapping.partitions.all().any(behind)).then_some(text)
    }

    /// Changes passed unseen, and nobody has compared since: what is said of it. Sources that look for themselves say nothing.
    pub(crate) fn doubt(&self, stream: &RunningStream) -> Option<Failure> {
        let looks = self.sources[stream.source].leftovers == Leftovers::Compared;
        stream.progress.view().resync.filter(|_| !looks)?;
        let detail = "changes were lost and nothing was copied anew: what they left differs until `landfall verify --repair` has found and \
             written it";
        Some(Failure::new(FailureClass::Halt, NOT_COMPARED, detail))
    }

    /// What an arrived service says: done, or which streams need an operator.
    fn verdict(&self) -> Verdict {
        let mut needs = Vec::new();
        for stream in &self.streams.all() {
            if let StreamState::Halted(failure) = stream.progress.view().state {
                needs.push((stream.mapping.name.to_string(), failure.to_string()));
            }
            needs.extend(self.pause(stream).map(|text| (stream.mapping.name.to_string(), text)));
            needs.extend(self.doubt(stream).map(|doubt| (stream.mapping.name.to_string(), doubt.to_string())));
            let conditions = self.sources[stream.source].capture.report().conditions;
            for (_, condition) in conditions.into_iter().filter(|(id, _)| *id == stream.id) {
                if let Some(text) = trouble(&condition) {
                    needs.push((stream.mapping.name.to_string(), text));
                }
            }
        }
        if needs.is_empty() { Verdict::Done } else { Verdict::NeedsDecision(needs) }
    }

    /// Hands a word to the worker of the stream, if that is halted in the state it names, else to its capture; `false` for an
    /// unknown stream.
    pub fn decide(&self, stream: &str, word: Word) -> bool {
        let Some(found) = self.streams.find(stream) else { return false };
        match found.progress.view().state {
            StreamState::Halted(failure) if failure.code == word.subject => found.speaker.say(word),
            _ => {
                let ruling = if word.accept { Ruling::Accept } else { Ruling::Refuse };
                let decision = Decision { stream: found.id, subject: word.subject, ruling };
                self.sources[found.source].capture.decide(decision);
            }
        }
        true
    }

    /// Stops everything in order and waits until it has ended.
    pub async fn stop(&self) {
        for source in &self.sources {
            source.capture.stop();
        }
        self.drain.cancel();
        // What is drained is still traced, with the tracers that were handed out.
        self.traces.close();
        let ended = async {
            // Trimming and the control socket watch the supervisor's token; workers watch `drain` and `deadline`.
            self.supervisor.stop().cancel();
            self.supervisor.ended_all().await;
        };
        tokio::pin!(ended);
        tokio::select! {
            () = &mut ended => {}
            () = tokio::time::sleep(DRAIN) => {
                self.deadline.cancel();
                ended.await;
            }
        }
    }
}

/// All of it is applied, or it does not go on by itself.
fn has_settled(stream: &RunningStream, ends: &[(PartitionId, Offset)]) -> bool {
    let view = stream.progress.view();
    let admitted = !view.checkpoints.is_empty();
    let stands = (stream.brake.is_paused() && admitted) || matches!(view.state, StreamState::Halted(_));
    stands || ends.iter().all(|(partition, end)| has_arrived(&view, *partition, *end))
}

fn has_arrived(view: &StreamProgressView, partition: PartitionId, end: Offset) -> bool {
    view.checkpoints.iter().any(|known| known.partition == partition && known.next >= end)
}

/// What is wrong, if a condition is one that stands in the way of being caught up.
fn trouble(condition: &Condition) -> Option<String> {
    match condition {
        Condition::Copying { .. } | Condition::Following => None,
        Condition::Waiting { code, detail } => Some(format!("{code}: {detail}")),
        Condition::Held { revision, deletes, of, refused } => Some(format!(
            "deletion_held: revision {revision} would delete {deletes} of {of} records{}",
            if *refused { " (refused; another revision is awaited)" } else { "" }
        )),
        Condition::Halted(failure) => Some(failure.to_string()),
    }
}
