//! Where edges and verbs are put together. PLACEHOLDER: the seam that the command line calls, until the service stands.

use crate::config::Pipeline;
use crate::status::StatusReport;
use landfall_connectors::failure::{Failure, FailureClass};
use std::sync::Arc;
use tokio::sync::watch;

/// When a run ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunUntil {
    /// Never: SIGTERM or SIGINT ends it.
    Stopped,
    /// When everything that stood in the sources has been applied.
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
    /// Stopped as asked, or caught up.
    Done,
    /// Something needs an operator: stream and state.
    NeedsDecision(Vec<(String, String)>),
    /// Another process owns the state directory or a stream.
    OtherOwner(String),
    /// A second signal ended it at once.
    Interrupted,
    /// The service failed.
    Failed(Failure),
}

/// Runs the service and publishes what it does, about once a second.
pub async fn run_service(
    _pipeline: Pipeline,
    _options: RunOptions,
    _publish: watch::Sender<Arc<StatusReport>>,
) -> RunOutcome {
    RunOutcome::Failed(Failure::new(FailureClass::Fatal, "not_assembled", "this build has no service yet"))
}

/// The status of a pipeline that no service runs for: takes the state lock, reads queues and target.
pub async fn offline_status(_pipeline: &Pipeline) -> Result<StatusReport, Failure> {
    Err(Failure::new(FailureClass::Fatal, "not_assembled", "this build reads no status without a service yet"))
}
