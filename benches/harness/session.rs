//! A connection to the bench's own server: a blocking one, whose bytes move only while somebody waits for an answer.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Error, NoTls};

type Wire = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// One connection.
pub struct Session {
    runtime: Runtime,
    client: Client,
    wire: Wire,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects; `None` while the server does not answer.
    pub fn try_open(url: &str) -> Option<Self> {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime needs only memory");
        let (client, wire) = runtime.block_on(tokio_postgres::connect(url, NoTls)).ok()?;
        Some(Self { runtime, client, wire: Box::pin(wire) })
    }

    /// Connects to a server that is known to answer.
    pub fn open(url: &str) -> Self {
        Self::try_open(url).expect("the bench's own server answers")
    }

    /// Runs `work` to its end on this connection.
    pub fn run<T>(&mut self, work: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> T {
        let Self { runtime, client, wire } = self;
        let done = runtime.block_on(async {
            let mut work = pin!(work(client));
            poll_fn(|cx| {
                if let Poll::Ready(done) = work.as_mut().poll(cx) {
                    return Poll::Ready(done);
                }
                if wire.as_mut().poll(cx).is_ready() {
                    // The connection has ended: the work hears of it at its next poll.
                    return work.as_mut().poll(cx);
                }
                Poll::Pending
            })
            .await
        });
        done.unwrap_or_else(|error| panic!("the bench's own statements are right: {error:?}"))
    }

    /// Statements without parameters.
    pub fn execute(&mut self, sql: &str) {
        self.run(async |client| client.batch_execute(sql).await);
    }

    /// The one number a query gives.
    pub fn number(&mut self, sql: &str) -> i64 {
        self.run(async |client| client.query_one(sql, &[]).await?.try_get(0))
    }

    /// Bytes of WAL written since the cluster was made.
    pub fn wal_position(&mut self) -> u64 {
        self.number("SELECT (pg_current_wal_lsn() - '0/0')::int8").unsigned_abs()
    }

    /// Everything dirty goes to disk, so that the next run starts right after a checkpoint: each first change of a page
    /// then logs the whole page, on both sides alike.
    pub fn checkpoint(&mut self) {
        self.execute("CHECKPOINT");
    }
}
