//! Looking how the server fares: standbys, sessions of others, and a query of the user's, over one connection that is kept between looks.
//!
//! Owns the questions and their bounds: every look is a read-only transaction with a short time limit of its own. Owns no limit that is passed and
//! nothing that follows. What the role may not see is told as an error and never as a good number: PostgreSQL shows NULL where a right is
//! missing. Cancel-safe: a look that is dropped costs its connection.

use super::classify::classify;
use super::target::{PostgresTarget, Target};
use super::wire::{Link, WireError};
use crate::failure::{Failure, FailureClass};
use crate::health::{Measure, Reading};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, Row};

/// How long the server may work on one question, ms: a look that weighs on the server is no cure.
const STATEMENT_MS: u64 = 1_000;
/// How long one question may take, the network included.
const PATIENCE: Duration = Duration::from_secs(3);

/// Read only, and back to what the role's own sessions have: the user wrote the query in one of those.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = ";
const AS_THE_ROLE: &str = "; SET LOCAL search_path TO DEFAULT; SET LOCAL row_security TO DEFAULT; \
    SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT; SET LOCAL enable_seqscan TO DEFAULT; \
    SET LOCAL enable_material TO DEFAULT; SET LOCAL plan_cache_mode TO DEFAULT; SET LOCAL TimeZone TO DEFAULT";

/// Sessions of any pipeline's are not others'. A session without a lock it waits for has another kind of event, or none.
const FIGURES: &str = "SELECT pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'), r.lag, r.bytes, a.locks, a.active FROM \
    (SELECT pg_catalog.max(EXTRACT(epoch FROM replay_lag))::float8 AS lag, \
            pg_catalog.max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), replay_lsn))::float8 AS bytes \
     FROM pg_catalog.pg_stat_replication) r, \
    (SELECT (pg_catalog.count(*) FILTER (WHERE wait_event_type = 'Lock' AND datname = pg_catalog.current_database()))::float8 AS locks, \
            (pg_catalog.count(*) FILTER (WHERE state = 'active'))::float8 AS active \
     FROM pg_catalog.pg_stat_activity \
     WHERE backend_type = 'client backend' AND COALESCE(application_name, '') NOT LIKE 'landfall/%') a";

/// Asks one server, again and again.
pub struct HealthProbe {
    target: Arc<Target>,
    link: Option<Box<Link>>,
    figures: Vec<Measure>,
    query: Option<String>,
}

impl std::fmt::Debug for HealthProbe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthProbe").field("figures", &self.figures).finish_non_exhaustive()
    }
}

impl PostgresTarget {
    /// A probe for these measures; connects to nothing yet.
    pub fn health_probe(&self, measures: &[Measure], query: Option<&str>) -> HealthProbe {
        let elsewhere = [Measure::CommitTime, Measure::Query];
        let figures = measures.iter().copied().filter(|measure| !elsewhere.contains(measure)).collect();
        let query = query.map(|sql| format!("SELECT (\n{sql}\n)::pg_catalog.float8"));
        HealthProbe { target: Arc::clone(&self.inner), link: None, figures, query }
    }
}

impl HealthProbe {
    /// Whether there is anything to ask the server.
    pub fn asks(&self) -> bool {
        !self.figures.is_empty() || self.query.is_some()
    }

    /// One look. An error: the server did not answer at all; what could not be read of an answer stands in its reading.
    pub async fn look(&mut self) -> Result<Vec<Reading>, Failure> {
        let mut link = match self.link.take().filter(|link| !link.is_closed()) {
            Some(link) => link,
            None => Box::new(self.target.connector.connect().await?),
        };
        let mut readings = Vec::with_capacity(self.figures.len() + 1);
        if !self.figures.is_empty() {
            let row = asked(&mut link, "", FIGURES).await?;
            let figure = |measure: &Measure| Reading { measure: *measure, value: figure(*measure, &row) };
            readings.extend(self.figures.iter().map(figure));
        }
        if let Some(sql) = &self.query {
            let row = asked(&mut link, AS_THE_ROLE, sql).await?;
            readings.push(Reading { measure: Measure::Query, value: number(row) });
        }
        self.link = Some(link);
        Ok(readings)
    }
}

/// A row, or the server's word on the question; `None`: the question has parameters, which nobody fills in.
type Given = Result<Option<Row>, Error>;

/// What is asked in a transaction of its own. The outer error ends the connection.
async fn asked(link: &mut Link, settings: &str, sql: &str) -> Result<Given, Failure> {
    let Link { client, driver, .. } = link;
    let silent = |error: WireError| classify(&error, "look at the target's health");
    let begin = format!("{BEGIN}{STATEMENT_MS}{settings}");
    driver.drive(PATIENCE, client.batch_execute(&begin)).await.map_err(silent)?;
    let given = match driver.drive(PATIENCE, ask(client, sql)).await {
        Ok(given) => Ok(given),
        Err(WireError::Postgres(error)) if error.as_db_error().is_some() => Err(error),
        Err(error) => return Err(silent(error)),
    };
    driver.drive(PATIENCE, client.batch_execute("ROLLBACK")).await.map_err(silent)?;
    Ok(given)
}

/// The extended protocol takes one statement: what stands behind a semicolon is refused.
async fn ask(client: &Client, sql: &str) -> Result<Option<Row>, Error> {
    let statement = client.prepare(sql).await?;
    if !statement.params().is_empty() {
        return Ok(None);
    }
    client.query_one(&statement, &[]).await.map(Some)
}

fn figure(measure: Measure, given: &Given) -> Result<Option<f64>, Failure> {
    let row = match given {
        Ok(Some(row)) => row,
        Ok(None) => return Err(unreadable("the statistics of the server cannot be asked for".to_owned())),
        Err(error) => return Err(unreadable(format!("the statistics of the server {}", refused(error)))),
    };
    let column = match measure {
        Measure::StandbyLag => 1,
        Measure::StandbyLagBytes => 2,
        Measure::LockWaits => 3,
        Measure::ActiveSessions => 4,
        Measure::CommitTime | Measure::Query => return Ok(None),
    };
    let foreign = |_| unreadable("the statistics of the server are not of the kind they should be".to_owned());
    if !row.try_get::<_, bool>(0).map_err(foreign)? {
        let detail = "the role may not see sessions and standbys of others: GRANT pg_monitor TO it (pg_read_all_stats is enough)";
        return Err(unreadable(detail.to_owned()));
    }
    row.try_get(column).map_err(foreign)
}

fn number(given: Given) -> Result<Option<f64>, Failure> {
    let row = match given {
        Ok(Some(row)) => row,
        Ok(None) => {
            return Err(unreadable("target.health.query has parameters ($1), and nothing fills them in".to_owned()));
        }
        Err(error) => return Err(unreadable(format!("target.health.query {}", refused(&error)))),
    };
    let value = row.try_get::<_, Option<f64>>(0).ok().flatten().filter(|value| value.is_finite());
    let none = || unreadable("target.health.query gives no number (no row, NULL, or one without end)".to_owned());
    value.map(Some).ok_or_else(none)
}

/// Why the server refuses a question; its own words may repeat values and are left out.
fn refused(error: &Error) -> String {
    let state = error.code().map_or("XX000", SqlState::code);
    let why = match state {
        "57014" => "takes longer than 1 s",
        "21000" => "gives more than one row",
        "25006" => "writes, and is asked in a read-only transaction",
        "42501" => "needs a privilege that the role lacks",
        "42601" => "is not one SELECT of one column",
        "42846" | "22P02" | "22003" => "gives something that is no number",
        _ => "is refused by PostgreSQL",
    };
    format!("{why} (SQLSTATE {state})")
}

fn unreadable(detail: String) -> Failure {
    Failure::new(FailureClass::Transient, "health_unreadable", detail)
}
