//! What operators decided, kept in the target: words on held revisions and halted states, and the history of it all.
//!
//! They outlive the process and its state directory. A decision names its subject (the hash of a held revision): it can
//! never be taken for one about something else (promise 12). Each is written with its entry in the history.

use super::classify::{classify, classify_commit};
use super::connect::BEGIN;
use super::target::PostgresTarget;
use super::wire::Link;
use super::{apply, schema};
use crate::checkpoints::Word;
use crate::failure::{Failure, FailureClass};
use landfall_schemas::stream::StreamName;
use std::collections::BTreeMap;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row};

/// An operator's word about something held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// Let it pass.
    Accept,
    /// Keep holding it.
    Refuse,
}

const DECIDE: &str = "INSERT INTO landfall.decisions (pipeline, stream, subject, accept, actor) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (pipeline, stream, subject) DO UPDATE \
    SET accept = excluded.accept, actor = excluded.actor, decided_at = pg_catalog.now()";
/// Takes a decision away. It stays in the history.
pub(crate) const VOID: &str = "DELETE FROM landfall.decisions WHERE pipeline = $1 AND stream = $2 AND subject = $3";
const TAKE: &str = "DELETE FROM landfall.decisions WHERE pipeline = $1 AND stream = $2 AND subject = $3 \
    RETURNING accept, actor";
const DECISIONS: &str = "SELECT subject, accept FROM landfall.decisions WHERE pipeline = $1 AND stream = $2";
pub(crate) const RECORD: &str = "INSERT INTO landfall.history (pipeline, stream, event, actor, evidence) \
    VALUES ($1, $2, $3, $4, $5)";

impl PostgresTarget {
    /// Stores a decision about `subject` (a revision's hash) of a stream.
    pub async fn decide(
        &self,
        stream: &StreamName,
        subject: &str,
        decision: Decision,
        actor: &str,
    ) -> Result<(), Failure> {
        let accept = decision == Decision::Accept;
        let event = if accept { "accepted" } else { "refused" };
        let evidence = serde_json::json!({ "subject": subject });
        let pipeline = self.inner.pipeline.as_str();
        self.write(
            (DECIDE, &[&pipeline, &stream.as_str(), &subject, &accept, &actor]),
            &[&pipeline, &Some(stream.as_str()), &event, &actor, &evidence],
        )
        .await
    }

    /// The decisions about a stream, by subject.
    pub async fn decisions(&self, stream: &StreamName) -> Result<BTreeMap<String, Decision>, Failure> {
        let rows = self.read_rows(DECISIONS, &[&self.inner.pipeline, &stream.as_str()]).await?;
        let decision = |row: &Row| -> Result<_, Error> {
            let accept = row.try_get::<_, bool>(1)?;
            Ok((row.try_get(0)?, if accept { Decision::Accept } else { Decision::Refuse }))
        };
        rows.iter().map(decision).collect::<Result<_, _>>().map_err(|error| unreadable(&error))
    }

    /// Takes the word on a halted state, if one is stored: it is good once. If the answer to the commit is lost, so is the word,
    /// and the stream waits for another one.
    pub(crate) async fn take(&self, stream: &StreamName, subject: &str) -> Result<Option<Word>, Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let work = async {
            client.batch_execute(BEGIN).await?;
            client.query(TAKE, &[&self.inner.pipeline, &stream.as_str(), &subject]).await
        };
        let rows = driver.drive(limit, work).await.map_err(|error| classify(&error, "take a word"))?;
        apply::commit(&mut link, limit).await.map_err(|error| classify_commit(&error))?;
        let word = |row: &Row| -> Result<_, Error> {
            Ok(Word { subject: subject.to_owned(), accept: row.try_get(0)?, actor: row.try_get(1)? })
        };
        rows.first().map(word).transpose().map_err(|error| unreadable(&error))
    }

    /// One change and its entry in the history, in one transaction.
    async fn write(
        &self,
        (sql, parameters): (&str, &[&(dyn ToSql + Sync)]),
        history: &[&(dyn ToSql + Sync)],
    ) -> Result<(), Failure> {
        let limit = self.inner.connector.exchange_limit();
        let mut link = self.inner.connector.connect().await?;
        schema::require(&mut link, limit).await?;
        let Link { client, driver, .. } = &mut link;
        let work = async {
            client.batch_execute(BEGIN).await?;
            client.execute(sql, parameters).await?;
            client.execute(RECORD, history).await
        };
        driver.drive(limit, work).await.map_err(|error| classify(&error, "store a decision"))?;
        apply::commit(&mut link, limit).await.map_err(|error| classify_commit(&error))
    }

    /// What our own tables say. Over a connection that is kept from question to question: a service asks every second or two.
    pub(crate) async fn read_rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Failure> {
        let kept = self.inner.kept().take().filter(|link| !link.is_closed());
        // One that stood for a while may be gone without having said so: the question is put again, to a new one.
        if let Some(link) = kept
            && let Ok(rows) = self.ask(link, sql, parameters).await
        {
            return Ok(rows);
        }
        let mut link = Box::new(self.inner.connector.connect().await?);
        schema::require(&mut link, self.inner.connector.exchange_limit()).await?;
        self.ask(link, sql, parameters).await
    }

    async fn ask(
        &self,
        mut link: Box<Link>,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let Link { client, driver, .. } = &mut *link;
        let asking = driver.drive(self.inner.connector.exchange_limit(), query(client, sql, parameters));
        let rows = asking.await.map_err(|error| classify(&error, "read decisions"))?;
        *self.inner.kept() = Some(link);
        Ok(rows)
    }
}

async fn query(client: &Client, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
    client.query(sql, parameters).await
}

/// A column is not of the type our own schema gives it.
pub(crate) fn unreadable(_: &Error) -> Failure {
    let detail = "a table of schema landfall is not as its migrations made it; restore it";
    Failure::new(FailureClass::Halt, "schema_drift", detail)
}
