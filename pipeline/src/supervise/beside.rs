//! Blocking work on a thread beside a future, for commands that have no service around them.

use landfall_connectors::failure::{Failure, FailureClass};
use std::future::Future;

/// Runs `blocking` on a thread and `work` here, both to their end. A panic of the thread is a failure.
pub(crate) async fn beside<B: Send + 'static, W>(
    name: &'static str,
    blocking: impl FnOnce() -> Result<B, Failure> + Send + 'static,
    work: impl Future<Output = W>,
) -> (Result<B, Failure>, W) {
    let thread = tokio::task::spawn_blocking(blocking);
    let (joined, done) = tokio::join!(thread, work);
    let outcome = joined.unwrap_or_else(|_| {
        Err(Failure::new(FailureClass::Fatal, "task_panicked", format!("the thread `{name}` panicked")))
    });
    (outcome, done)
}
