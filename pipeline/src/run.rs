//! A run of the service from start to end: signals, the control socket, stored decisions, and what the process says at the end.

use crate::assemble::{self, Assembled, Decision, Target};
use crate::config::Pipeline;
use crate::control::server::{Decide, GoOn, SetControl};
use crate::control::{ControlClient, ControlHandler, ControlSocket, Refused, serve};
use crate::doubt;
use crate::letterbox;
use crate::overview::Overview;
use crate::queue::lock::LockRefused;
use crate::redress::{Done, Order, redress};
use crate::resync;
use crate::service::{Service, Verdict};
use crate::status::{StatusReport, StreamCondition};
use crate::supervise::signals::Signals;
use landfall_connectors::checkpoints::Word;
use landfall_connectors::control::Change;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use landfall_schemas::stream::StreamName;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Between two published reports.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// How long a lock that no service answers for is waited for: a look at a stopped pipeline takes less.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries for the lock.
const LOCK_RETRY: Duration = Duration::from_millis(50);

/// When a run ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunUntil {
    /// Until told to stop.
    Stopped,
    /// Until everything that stood in the sources is applied.
    CaughtUp,
}

/// What `run` was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunOptions {
    /// When to end.
    pub until: RunUntil,
}

/// How a run ended.
#[derive(Debug)]
pub enum RunOutcome {
    /// As asked.
    Done,
    /// Streams need an operator: name and state of each.
    NeedsDecision(Vec<(String, String)>),
    /// Another process owns the state directory or the streams.
    OtherOwner(String),
    /// It failed.
    Failed(Failure),
    /// A second signal: nothing more was waited for.
    Interrupted,
}

/// Runs `pipeline`. Publishes a report four times a second while anybody listens.
pub async fn run_service(
    pipeline: &Pipeline,
    options: RunOptions,
    publish: watch::Sender<Arc<StatusReport>>,
) -> RunOutcome {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => {
            let detail = format!("signal handlers cannot be installed: {}", error.kind());
            return RunOutcome::Failed(Failure::new(FailureClass::Fatal, "signals", detail));
        }
    };
    let assembled = match start(pipeline).await {
        Ok(assembled) => assembled,
        Err(LockRefused::AlreadyHeld) => {
            let detail = format!("another process works in the state directory {}", pipeline.state_dir.display());
            return RunOutcome::OtherOwner(detail);
        }
        Err(LockRefused::Failed(failure)) => return RunOutcome::Failed(failure),
    };
    let reports = publish.clone();
    let overview = Overview::new(Arc::clone(&assembled.service), &pipeline.name);
    let socket = attend(pipeline, &assembled, publish);
    let outcome = wait(&assembled.service, options.until, &mut signals).await;
    let ended = tokio::select! {
        () = assembled.service.stop() => ended(&assembled.service, outcome),
        () = signals.next() => RunOutcome::Interrupted,
    };
    // What the command line says at the end is how it ended, not how it was a moment before.
    reports.send_replace(Arc::new(overview.report()));
    if let Ok(socket) = socket {
        socket.remove();
    }
    assembled.release().await;
    ended
}

/// Starts the service. A command that looks at a stopped pipeline holds the lock for a moment: it is waited for, a service is not.
async fn start(pipeline: &Pipeline) -> Result<Assembled, LockRefused> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match assemble::start(pipeline).await {
            Err(LockRefused::AlreadyHeld) if Instant::now() < until => {
                if matches!(ControlClient::connect(&pipeline.state_dir).await, Ok(Some(_))) {
                    return Err(LockRefused::AlreadyHeld);
                }
                tokio::time::sleep(LOCK_RETRY).await;
            }
            started => return started,
        }
    }
}

/// Waits for what ends the run.
async fn wait(service: &Service, until: RunUntil, signals: &mut Signals) -> Verdict {
    let arrived = async {
        match until {
            RunUntil::CaughtUp => service.caught_up().await,
            RunUntil::Stopped => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = arrived => outcome,
        () = signals.next() => {
            tracing::info!("stopping: finishing what is in hand");
            Verdict::Done
        }
        // A part failed: its failure is what the process ends with.
        () = service.supervisor.stop().cancelled() => Verdict::Done,
    }
}

fn ended(service: &Service, verdict: Verdict) -> RunOutcome {
    match (service.supervisor.failure(), verdict) {
        (Some(failure), _) if failure.code == "other_owner" => RunOutcome::OtherOwner(failure.detail),
        (Some(failure), _) => RunOutcome::Failed(failure),
        (None, Verdict::NeedsDecision(streams)) => RunOutcome::NeedsDecision(streams),
        (None, Verdict::Done) => RunOutcome::Done,
    }
}

/// Starts what looks after a running service: reports, control socket, stored decisions.
fn attend(
    pipeline: &Pipeline,
    assembled: &Assembled,
    publish: watch::Sender<Arc<StatusReport>>,
) -> Result<ControlSocket, std::io::Error> {
    let service = &assembled.service;
    let overview = Arc::new(Overview::new(Arc::clone(service), &pipeline.name));
    let handler = Handler {
        pipeline: pipeline.name.clone(),
        overview: Arc::clone(&overview),
        service: Arc::clone(service),
        target: Arc::clone(&assembled.target),
        state_dir: pipeline.state_dir.clone(),
    };
    let stop = service.supervisor.stop().clone();
    let reports = stop.clone();
    service.supervisor.task("reports", async move {
        loop {
            publish.send_replace(Arc::new(overview.report()));
            tokio::select! {
                () = reports.cancelled() => return Ok(()),
                () = tokio::time::sleep(PUBLISH_EVERY) => {}
            }
        }
    });
    service.supervisor.task("stored decisions", recall(Arc::clone(service), Arc::clone(&assembled.target)));
    service.supervisor.task("lost indexes", resync::look_after(Arc::clone(service), Arc::clone(&assembled.target)));
    let letters = letterbox::look_after(Arc::clone(service), Arc::clone(&assembled.target), pipeline.clone());
    service.supervisor.task("dead letters", letters);
    let socket = ControlSocket::of(&pipeline.state_dir)?;
    match socket.listen() {
        Ok(listener) => service.supervisor.task("control socket", async move {
            if let Err(error) = serve(&listener, &handler, &stop).await {
                tracing::error!("the control socket ended: {}", error.kind());
            }
            Ok(())
        }),
        // The data path does not depend on it: say so and go on.
        Err(error) => tracing::error!("no control socket at {}: {}", socket.path().display(), error.kind()),
    }
    Ok(socket)
}

/// Hands the decisions that the target keeps to the sources, once the target can be read. Ends with the service, whatever the target
/// is doing.
async fn recall(service: Arc<Service>, target: Arc<Target>) -> Result<(), Failure> {
    let recalled = async {
        recall_controls(&service, &target).await;
        for stream in &service.streams.all() {
            let mut pace = Pace::new();
            loop {
                match target.decisions(&stream.mapping.name).await {
                    Ok(decisions) => {
                        for (subject, decision) in
                            decisions.into_iter().filter(|(subject, _)| names_a_revision(subject))
                        {
                            let accept = decision == Decision::Accept;
                            let word = Word { subject, accept, actor: String::new() };
                            service.decide(stream.mapping.name.as_str(), word);
                        }
                        break;
                    }
                    Err(failure) => tracing::debug!(code = failure.code, "stored decisions cannot be read yet"),
                }
                tokio::time::sleep(pace.next_wait()).await;
            }
        }
    };
    tokio::select! {
        () = recalled => {}
        () = service.supervisor.stop().cancelled() => {}
    }
    Ok(())
}

/// Sets every stream's brake as the target keeps it: until then nothing is applied.
async fn recall_controls(service: &Service, target: &Target) {
    let mut pace = Pace::new();
    loop {
        match target.controls().await {
            Ok(mut controls) => {
                for stream in &service.streams.all() {
                    stream.brake.set(controls.remove(stream.mapping.name.as_str()).unwrap_or_default());
                }
                return;
            }
            // Workers say what is wrong with the target.
            Err(failure) => tracing::debug!(code = failure.code, "pause and throttle cannot be read yet"),
        }
        tokio::time::sleep(pace.next_wait()).await;
    }
}

/// Whether a decision is about one revision for ever. A word on a halted state is good once: the worker that halted in it takes
/// it away as it reads it; said again at a later start it would accept a loss nobody looked at.
pub(crate) fn names_a_revision(subject: &str) -> bool {
    subject.len() == 32 && subject.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Answers the control socket.
struct Handler {
    pipeline: String,
    overview: Arc<Overview>,
    service: Arc<Service>,
    target: Arc<Target>,
    state_dir: std::path::PathBuf,
}

impl Handler {
    /// Whether a stream is held or halted by this name now.
    fn stands(&self, stream: &str, subject: &str) -> Result<(), Refused> {
        let report = self.overview.report();
        let Some(stream) = report.streams.iter().find(|known| known.name == stream) else {
            return Err(Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them"));
        };
        let stands = match &stream.condition {
            StreamCondition::Held { revision, .. } => revision == subject,
            StreamCondition::Halted(trouble) => trouble.code == subject,
            _ => false,
        };
        let detail = "nothing by this name is held or halted in the stream now; `landfall status` shows what is";
        if stands { Ok(()) } else { Err(Refused::new("nothing_held", detail)) }
    }
}

impl ControlHandler for Handler {
    fn pipeline(&self) -> &str {
        &self.pipeline
    }

    async fn status(&self) -> StatusReport {
        self.overview.report()
    }

    async fn go_on(&self, order: GoOn) -> Result<(), Refused> {
        self.stands(&order.stream, &order.subject)?;
        doubt::go_on(&self.service, &self.target, (&order.stream, order.subject, &order.actor)).await
    }

    async fn redress(&self, order: Order, after: i64) -> Result<Done, Refused> {
        let unknown = || Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them");
        let found = self.service.streams.find(&order.stream).ok_or_else(unknown)?;
        let target = Arc::clone(&self.target);
        let done = found.desk.ask(move |rest| redress(target, rest, order, after)).await;
        self.service.letterbox.look_again();
        done.map_err(|failure| Refused::new(failure.code, failure.detail))
    }

    async fn shown(&self, streams: Vec<(String, String)>) -> Result<(), Refused> {
        doubt::settle(&self.service, &self.target, streams).await
    }

    async fn decide(&self, decide: Decide) -> Result<(), Refused> {
        self.stands(&decide.stream, &decide.subject)?;
        let unusable = |_| Refused::new("unknown_stream", "no stream has this name");
        let name = StreamName::new(&decide.stream).map_err(unusable)?;
        let word = if decide.accept { Decision::Accept } else { Decision::Refuse };
        self.target
            .decide(&name, &decide.subject, word, &decide.actor)
            .await
            .map_err(|failure| Refused::new(failure.code, &failure.detail))?;
        let Decide { stream, subject, accept, actor } = decide;
        self.service.decide(&stream, Word { subject, accept, actor });
        Ok(())
    }

    async fn repair(&self, stream: String) -> Result<u64, Refused> {
        let found = self.service.streams.find(&stream);
        let found = found
            .ok_or_else(|| Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them"))?;
        let keys = crate::verify::keys_to_repair(&self.state_dir, &stream);
        let keys = keys.map_err(|failure| Refused::new(failure.code, failure.detail))?;
        let count = keys.len() as u64;
        self.service.sources[found.source].capture.doubt(found.id, keys);
        Ok(count)
    }

    async fn mark(&self, streams: Vec<String>) -> Result<Vec<(String, u64)>, Refused> {
        crate::mark::mark(&self.service, streams).await
    }

    async fn control(&self, wanted: SetControl) -> Result<(), Refused> {
        let known = |name: &String| self.service.streams.find(name);
        let streams: Option<Vec<_>> = wanted.streams.iter().map(known).collect();
        let Some(streams) = streams else {
            return Err(Refused::new("unknown_stream", "no stream has this name; `landfall status` lists them"));
        };
        let names: Vec<_> = streams.iter().map(|stream| stream.mapping.name.clone()).collect();
        let (change, said) = (Change::from(wanted.change), (wanted.actor.as_str(), wanted.reason.as_str()));
        self.target
            .control(&names, change, said)
            .await
            .map_err(|failure| Refused::new(failure.code, &failure.detail))?;
        for stream in streams {
            // Not read yet: what is read is what was just stored.
            if let Some(control) = stream.brake.control() {
                stream.brake.set(control.after(change, said));
            }
        }
        Ok(())
    }
}
