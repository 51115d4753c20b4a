//! Whether the target answers, asked now and then: streams that have nothing to write would not notice for hours that it is gone. While batches
//! are committed nothing is asked: they are the answer.

use crate::assemble::Target;
use crate::service::Service;
use crate::status::Trouble;
use crate::streams::RunningStream;
use crate::worker::StreamState;
use landfall_connectors::failure::Failure;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two questions, and for how long a commit is the answer; with [`PATIENCE`] behind them less than the 5 s in which readiness follows.
const BEAT: Duration = Duration::from_millis(1_500);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What the last question came to.
#[derive(Debug, Default)]
pub struct Pulse(Mutex<Option<Trouble>>);

impl Pulse {
    /// Why the target did not answer, if it did not.
    pub fn trouble(&self) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Asks until the service stops.
pub(super) async fn look_after(service: Arc<Service>, target: Arc<Target>) -> Result<(), Failure> {
    let asking = async {
        loop {
            let asked = match is_proven(&service) {
                true => Ok(Ok(BTreeMap::new())),
                false => tokio::time::timeout(PATIENCE, target.controls()).await,
            };
            let trouble = match asked {
                Ok(Ok(_)) => None,
                Ok(Err(failure)) => Some(Trouble::from(&failure)),
                Err(_) => Some(Trouble {
                    code: "target_unreachable".to_owned(),
                    detail: "the target did not answer in time".to_owned(),
                }),
            };
            *service.pulse.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
            tokio::time::sleep(BEAT).await;
        }
    };
    tokio::select! {
        () = asking => {}
        () = service.supervisor.stop().cancelled() => {}
    }
    Ok(())
}

/// Whether some stream has committed a batch since about the last question.
fn is_proven(service: &Service) -> bool {
    let committed = |stream: &Arc<RunningStream>| {
        let view = stream.progress.view();
        let lately = view.lag_seen.is_some_and(|seen| seen.elapsed() < BEAT);
        lately && matches!(view.state, StreamState::Applying(_))
    };
    service.streams.all().iter().any(committed)
}
