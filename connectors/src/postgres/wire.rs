//! One connection and its driver, held together.
//!
//! tokio-postgres splits a connection into a client and a future that moves the bytes. Both live here, and every exchange
//! polls them side by side under a deadline, so no task is started and nothing runs on behind the caller's back. A
//! [`Link`] whose exchange was cancelled or ran out of time is in an unknown protocol state: the owner takes it out of
//! its slot first and puts it back only after the exchange came to an end, so dropping the future drops the connection.

use super::statement::Prepared;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tokio_postgres::{Client, Error};

/// Why an exchange brought no answer.
#[derive(Debug)]
pub(crate) enum WireError {
    /// The server's error, or the connection's end.
    Postgres(Error),
    /// No answer within the deadline; the connection must be discarded.
    TimedOut,
}

/// tokio-postgres's half that moves the bytes.
type Moving = dyn Future<Output = Result<(), Error>> + Send;

/// The future that moves a connection's bytes.
pub(crate) struct Driver {
    /// `None` once the connection has ended: dropping it closes the channels on which requests wait for answers.
    future: Option<Pin<Box<Moving>>>,
    cause: Option<Error>,
}

impl Driver {
    pub(crate) fn new(future: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Self { future: Some(Box::pin(future)), cause: None }
    }

    /// Polls `work` and the connection together until `work` is done or `limit` has passed.
    pub(crate) async fn drive<T>(
        &mut self,
        limit: Duration,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, WireError> {
        let mut work = pin!(work);
        let both = poll_fn(|cx| {
            // The work first: what it asks for is then sent in the same turn, in the order it was asked.
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            if let Some(future) = &mut self.future
                && let Poll::Ready(end) = future.as_mut().poll(cx)
            {
                self.future = None;
                self.cause = end.err();
                // Whatever waits for an answer hears now that none will come.
                return work.as_mut().poll(cx);
            }
            Poll::Pending
        });
        match tokio::time::timeout(limit, both).await {
            Err(_) => Err(WireError::TimedOut),
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) if error.is_closed() => Err(WireError::Postgres(self.cause.take().unwrap_or(error))),
            Ok(Err(error)) => Err(WireError::Postgres(error)),
        }
    }
}

/// A connection with what is prepared on it.
pub(crate) struct Link {
    pub(crate) client: Client,
    pub(crate) driver: Driver,
    /// `server_version_num`.
    pub(crate) server_version: u32,
    /// Statements and stages that exist on this connection.
    pub(crate) prepared: Prepared,
    /// Known to stand between two transactions: only then may the connection be used again.
    pub(crate) at_rest: bool,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("server_version", &self.server_version).finish_non_exhaustive()
    }
}

impl Link {
    /// Whether the connection has ended, as far as is known without asking.
    pub(crate) fn is_closed(&self) -> bool {
        self.driver.future.is_none() || self.client.is_closed()
    }
}
