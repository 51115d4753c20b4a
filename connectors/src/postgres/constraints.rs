//! Building the constraints that a mapping declares, once the streams are quiet: what is against them is counted first and named.
//!
//! Each statement runs by itself under the connection's lock timeout, so that nobody queues behind a look at all rows. What was built by
//! an earlier try stands; a try that was cut off is gone on with.

use super::classify::classify;
use super::target::PostgresTarget;
use super::wire::Link;
use crate::failure::Failure;
use landfall_schemas::ddl::Constraint;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::{Client, Error};

const STANDING: &str = "SELECT c.conname::text FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class r ON r.oid = c.conrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE n.nspname = $1 AND r.relname = $2 AND c.convalidated";
const HALF_BUILT: &str = "SELECT c.conname::text FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_class r ON r.oid = c.conrelid \
    JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace WHERE n.nspname = $1 AND r.relname = $2 AND NOT c.convalidated \
    UNION ALL SELECT x.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
    JOIN pg_catalog.pg_class r ON r.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
    WHERE n.nspname = $1 AND r.relname = $2 AND NOT i.indisvalid";
const NUMBER: &str = "INSERT INTO landfall.target_migrations (pipeline, number, statements, actor) \
    SELECT $1, COALESCE(pg_catalog.max(number), 0) + 1, $2, $3 FROM landfall.target_migrations WHERE pipeline = $1";

/// No look at all rows takes longer.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Our connections write in transactions that say so; these statements must stand outside of any.
const OPEN: &str = "SET statement_timeout = 0; SET default_transaction_read_only = off";

/// A constraint, and what of it is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Examined {
    /// Which.
    pub constraint: Constraint,
    /// It stands and is valid: nothing is to be done.
    pub stands: bool,
    /// An earlier try was cut off: a foreign key whose rows were not looked at, or an invalid index.
    pub half_built: bool,
    /// Rows against it: orphans, or values that stand more than once.
    pub violations: u64,
}

impl PostgresTarget {
    /// What stands of the constraints, and what is against those that do not. Writes nothing.
    pub async fn examine(&self, wanted: &[Constraint]) -> Result<Vec<Examined>, Failure> {
        let target = &*self.inner;
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        let mut seen = Vec::with_capacity(wanted.len());
        for constraint in wanted {
            let looked = driver.drive(target.connector.exchange_limit(), Box::pin(examine(client, constraint))).await;
            seen.push(looked.map_err(|error| classify(&error, "look at constraints"))?);
        }
        Ok(seen)
    }

    /// Builds those that do not stand and that nothing is against; gives the statements that were run.
    pub async fn build_constraints(&self, seen: &[Examined], actor: &str) -> Result<Vec<String>, Failure> {
        let target = &*self.inner;
        let limit = target.connector.exchange_limit();
        let mut link = target.connector.connect().await?;
        let Link { client, driver, .. } = &mut link;
        // A look at all rows of a large table takes longer than any statement of ours.
        let unbounded = driver.drive(limit, client.batch_execute(OPEN)).await;
        unbounded.map_err(|error| classify(&error, "build a constraint"))?;
        let mut run = Vec::new();
        for one in seen.iter().filter(|one| !one.stands && one.violations == 0) {
            let statements = if one.half_built { one.constraint.go_on() } else { one.constraint.build() };
            for statement in statements {
                let done = driver.drive(LONGEST, client.batch_execute(&statement)).await;
                done.map_err(|error| classify(&error, "build a constraint"))?;
                run.push(statement);
            }
        }
        if !run.is_empty() {
            let numbered = async { client.execute(NUMBER, &[&target.pipeline, &run, &actor]).await };
            driver.drive(limit, numbered).await.map_err(|error| classify(&error, "build a constraint"))?;
        }
        Ok(run)
    }
}

async fn examine(client: &Client, constraint: &Constraint) -> Result<Examined, Error> {
    let (schema, table) = (constraint.table.schema.as_str(), constraint.table.name.as_str());
    let names = async |sql: &str| -> Result<BTreeSet<String>, Error> {
        client.query(sql, &[&schema, &table]).await?.iter().map(|row| row.try_get(0)).collect()
    };
    let stands = names(STANDING).await?.contains(constraint.name.as_str());
    let half_built = names(HALF_BUILT).await?.contains(constraint.name.as_str());
    let violations =
        if stands { 0 } else { client.query_one(&constraint.violations(), &[]).await?.try_get::<_, i64>(0)? };
    Ok(Examined { constraint: constraint.clone(), stands, half_built, violations: violations.cast_unsigned() })
}
