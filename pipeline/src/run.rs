//! A run of the service from start to end: signals, the control socket, stored decisions, and what the process says at the end.

use crate::assemble::{self, Assembled, Decision, Target};
use crate::config::Pipeline;
use crate::control::{ControlClient, ControlSocket, serve};
use crate::handler::Handler;
use crate::health;
use crate::hooks::{self, Announcer};
use crate::http;
use crate::letterbox;
use crate::log_dial::LogDial;
use crate::notify_systemd;
use crate::overview::Overview;
use crate::queue::lock::LockRefused;
use crate::replay::{cut, into};
use crate::resync;
use crate::service::{Service, Verdict};
use crate::status::StatusReport;
use crate::supervise::signals::Signals;
use crate::timeline::{self, Timeline};
use crate::verify::news;
use landfall_connectors::checkpoints::Word;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::retry::Pace;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

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
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// When to end.
    pub until: RunUntil,
    /// What turns the level of the log.
    pub log: LogDial,
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
    let ending = CancellationToken::new();
    // One process to its manager, however many lives the service in it has.
    let manager = notify_systemd::Manager::named(&|name| std::env::var_os(name));
    let telling = notify_systemd::tell(manager, publish.subscribe(), ending.clone());
    let lives = async {
        let mut pipeline = Arc::new(pipeline.clone());
        loop {
            match Box::pin(life(&pipeline, (options.clone(), &mut signals), (publish.clone(), &ending))).await {
                (RunOutcome::Done, Some(next)) => {
                    tracing::info!("the service begins anew with the mapping that is live now");
                    pipeline = Arc::new(next);
                }
                (ended, _) => return ended,
            }
        }
    };
    tokio::select! {
        ended = lives => ended,
        never = async { let _ = telling.await; std::future::pending::<Infallible>().await } => match never {},
    }
}

/// One life of the service: how it ended, and what it shall become.
async fn life(
    pipeline: &Arc<Pipeline>,
    (options, signals): (RunOptions, &mut Signals),
    (publish, ending): (watch::Sender<Arc<StatusReport>>, &CancellationToken),
) -> (RunOutcome, Option<Pipeline>) {
    let assembled = match start(pipeline).await {
        Ok(assembled) => assembled,
        Err(LockRefused::AlreadyHeld) => {
            let detail = format!("another process works in the state directory {}", pipeline.state_dir.display());
            return (RunOutcome::OtherOwner(detail), None);
        }
        Err(LockRefused::Failed(failure)) => return (RunOutcome::Failed(failure), None),
    };
    let reports = publish.clone();
    let overview = Overview::new(Arc::clone(&assembled.service), &pipeline.name);
    let socket = attend(pipeline, &assembled, publish, options.log);
    let outcome = wait(&assembled.service, options.until, signals).await;
    if !assembled.service.succession.is_called() {
        ending.cancel();
    }
    // What was waited for is seen by those who are told of it.
    reports.send_replace(Arc::new(overview.report()));
    let ended = tokio::select! {
        () = assembled.service.stop() => ended(&assembled.service, outcome),
        () = signals.next() => RunOutcome::Interrupted,
    };
    // What the command line says at the end is how it ended, not how it was a moment before.
    reports.send_replace(Arc::new(overview.report()));
    if let Ok(socket) = socket {
        socket.remove();
    }
    let next = assembled.service.succession.take();
    assembled.release().await;
    (ended, next)
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
        () = service.succession.called() => Verdict::Done,
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
    pipeline: &Arc<Pipeline>,
    assembled: &Assembled,
    publish: watch::Sender<Arc<StatusReport>>,
    log: LogDial,
) -> Result<ControlSocket, std::io::Error> {
    let service = &assembled.service;
    let overview = Arc::new(Overview::new(Arc::clone(service), &pipeline.name));
    let handler = Arc::new(Handler {
        pipeline: Arc::clone(pipeline),
        overview: Arc::clone(&overview),
        service: Arc::clone(service),
        target: Arc::clone(&assembled.target),
        log,
    });
    let stop = service.supervisor.stop().clone();
    let timeline = Arc::new(Timeline::watching(service.hooks.headroom()));
    http::attend(pipeline, assembled, &handler, publish.subscribe(), Arc::clone(&timeline));
    attend_happenings(pipeline, service, publish.subscribe(), timeline);
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
    service.supervisor.task("named checkpoints", recall_cuts(Arc::clone(service), Arc::clone(&assembled.target)));
    let letters = letterbox::look_after(Arc::clone(service), Arc::clone(&assembled.target), (**pipeline).clone());
    service.supervisor.task("dead letters", letters);
    let limits = pipeline.target.health.clone();
    let health = health::look_after(Arc::clone(service), Arc::clone(&assembled.target), limits);
    service.supervisor.task("target health", health);
    let beside = into::recall(Arc::clone(service), Arc::clone(pipeline), Arc::clone(&assembled.target));
    service.supervisor.task("schemas beside", beside);
    let socket = ControlSocket::of(&pipeline.state_dir)?;
    match socket.listen() {
        Ok(listener) => service.supervisor.task("control socket", async move {
            if let Err(error) = serve(&listener, &*handler, &stop).await {
                tracing::error!("the control socket ended: {}", error.kind());
            }
            Ok(())
        }),
        // The data path does not depend on it: say so and go on.
        Err(error) => tracing::error!("no control socket at {}: {}", socket.path().display(), error.kind()),
    }
    Ok(socket)
}

/// Starts what looks for things that happen, and what tells of them.
fn attend_happenings(
    pipeline: &Pipeline,
    service: &Arc<Service>,
    reports: watch::Receiver<Arc<StatusReport>>,
    timeline: Arc<Timeline>,
) {
    let (supervisor, stop) = (&service.supervisor, service.supervisor.stop());
    // Verdicts of before are known before anything is compared with them.
    service.comparisons.look(&pipeline.state_dir);
    let comparisons = news::look_after(Arc::clone(&service.comparisons), pipeline.state_dir.clone(), stop.clone());
    supervisor.task("comparisons", comparisons);
    let desks = service.hooks.clone();
    let announcer = Announcer::new(pipeline, service, reports.clone());
    desks.all().for_each(|desk| supervisor.task("hook", hooks::attend(desk, stop.clone())));
    let looking = timeline::look_after(timeline, reports, stop.clone(), move |entries| announcer.tell(entries));
    supervisor.task("timeline", async move {
        let looked = looking.await;
        desks.close();
        looked
    });
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

/// Has the queues keep what the named checkpoints need, once the target has told them: until then nothing is trimmed.
async fn recall_cuts(service: Arc<Service>, target: Arc<Target>) -> Result<(), Failure> {
    let recalled = async {
        let mut pace = Pace::new();
        while let Err(failure) = cut::recall(&target, &service.held()).await {
            tracing::debug!(code = failure.code, "named checkpoints cannot be read yet");
            tokio::time::sleep(pace.next_wait()).await;
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
