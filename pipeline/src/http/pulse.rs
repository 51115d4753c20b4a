//! Whether the target answers, asked now and then: streams that have nothing to write would not notice for hours that it is gone.

use crate::assemble::Target;
use crate::service::Service;
use crate::status::Trouble;
use landfall_connectors::failure::Failure;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between two questions, and the longest wait for an answer: together they are less than the 5 s in which readiness is to follow.
const BEAT: Duration = Duration::from_secs(2);
/// See [`BEAT`].
const PATIENCE: Duration = Duration::from_secs(2);

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
            let trouble = match tokio::time::timeout(PATIENCE, target.controls()).await {
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
