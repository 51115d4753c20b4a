//! Tasks, threads and how they end.
//!
//! Owns every task and thread of the service: they are started here and nowhere else, and one that ends with an error or
//! a panic stops the whole service (P9: never go on without a part). What a failure *means* is `reaction`'s; when to stop
//! is decided by whoever holds the [`Supervisor`].

pub(crate) mod beside;
pub mod reaction;
pub mod signals;

use crate::supervise::reaction::{Reaction, reaction};
use landfall_connectors::failure::{Failure, FailureClass};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Starts tasks, remembers the first failure, and spreads the word to stop. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    tracker: TaskTracker,
    stop: CancellationToken,
    first: Arc<Mutex<Option<Failure>>>,
}

impl Supervisor {
    /// The token every task watches: cancelled means finish what is in hand and return.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a task. An error ends the service; so does a panic.
    pub fn task(&self, name: &'static str, work: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        let this = self.clone();
        self.tracker.spawn(async move {
            // A panicking task poisons nothing we still use: the service stops.
            let outcome = match futures_util::FutureExt::catch_unwind(AssertUnwindSafe(work)).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    Err(Failure::new(FailureClass::Fatal, "task_panicked", format!("the task `{name}` panicked")))
                }
            };
            this.ended(name, outcome);
        });
    }

    /// Starts a blocking thread; same rules.
    pub fn thread(&self, name: &'static str, work: impl FnOnce() -> Result<(), Failure> + Send + 'static) {
        let this = self.clone();
        self.tracker.spawn_blocking(move || {
            let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
                Err(Failure::new(FailureClass::Fatal, "task_panicked", format!("the thread `{name}` panicked")))
            });
            this.ended(name, outcome);
        });
    }

    fn ended(&self, name: &'static str, outcome: Result<(), Failure>) {
        let Err(failure) = outcome else { return };
        tracing::error!(task = name, code = failure.code, "{}", failure.detail);
        debug_assert!(reaction(failure.class) != Reaction::Retry, "tasks retry by themselves");
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(failure);
        drop(first);
        self.stop.cancel();
    }

    /// The failure that stopped the service, if one did.
    pub fn failure(&self) -> Option<Failure> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until every task has ended. Call after the stop token is cancelled.
    pub async fn ended_all(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_one_task_stops_the_service_and_is_named() {
        let supervisor = Supervisor::default();
        supervisor.task("doomed", async { panic!("boom") });
        supervisor.stop().cancelled().await;
        supervisor.ended_all().await;
        assert_eq!(supervisor.failure().map(|failure| failure.code), Some("task_panicked"));
    }

    #[tokio::test]
    async fn a_task_that_ends_well_stops_nothing() {
        let supervisor = Supervisor::default();
        supervisor.task("done", async { Ok(()) });
        supervisor.ended_all().await;
        assert!(!supervisor.stop().is_cancelled());
    }
}
