//! Streams over whose changes a gap was passed: the target remembers that a comparison still has to find what they left.
//!
//! Written before the source hears of it, for all streams of a source in one transaction and with its entry in the history, so that no death
//! in between loses the doubt (promise 6). [`PostgresTarget::resynchronised`] ends it.

use super::apply;
use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::decisions::RECORD;
use super::schema;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::failure::Failure;
use landfall_schemas::stream::StreamName;
use serde_json::json;
use tokio_postgres::{Client, Error};

const DOUBT: &str = "UPDATE landfall.streams SET resync = true WHERE pipeline = $1 AND stream = $2";

impl PostgresTarget {
    /// Notes that changes of these streams passed unseen: what they halted in, and whose word it was to go on.
    pub async fn doubt(&self, streams: &[StreamName], subject: &str, actor: &str) -> Result<(), Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let work = Box::pin(write(client, (&self.inner.pipeline, streams), (subject, actor)));
        driver.drive(limit, work).await.map_err(|error| classify(&error, "note a doubt"))?;
        apply::commit(&mut link, limit).await.map_err(|error| classify_commit(&error))
    }
}

async fn write(
    client: &Client,
    (pipeline, streams): (&str, &[StreamName]),
    (subject, actor): (&str, &str),
) -> Result<(), Error> {
    let evidence = json!({ "subject": subject });
    client.batch_execute(BEGIN).await?;
    for stream in streams.iter().map(StreamName::as_str) {
        client.execute(DOUBT, &[&pipeline, &stream]).await?;
        client.execute(RECORD, &[&pipeline, &Some(stream), &"went_on", &actor, &evidence]).await?;
    }
    Ok(())
}
