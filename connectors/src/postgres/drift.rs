//! A table that is no longer as its stream maps it: somebody changed it by hand while rows flow.
//!
//! Asked at admission, and before PostgreSQL's refusal of a batch is blamed on rows: a column that was narrowed or made `NOT NULL`
//! would otherwise park good records one by one. Says every difference at once, in the words of `schema plan`.

use super::classify::classify;
use super::ddl::{WantedStream, read, wanted};
use super::target::Target;
use super::wire::Link;
use crate::failure::{Failure, FailureClass};
use landfall_schemas::ddl::{BulkLoad, Plan, StepKind, plan};
use landfall_schemas::mapping::StreamMapping;
use tokio_postgres::{Client, Error};

/// Code of the halted state.
pub(crate) const SCHEMA_DRIFT: &str = "schema_drift";

/// Compares the stream's tables with its mapping, inside or outside of a transaction.
pub(crate) async fn of(client: &Client, pipeline: &str, stream: &StreamMapping) -> Result<Option<Failure>, Error> {
    // A registered stream says itself whether it is in bulk.
    let wanted = wanted(&[WantedStream { mapping: stream, bulk: BulkLoad::None }]);
    let plan = plan(pipeline, &wanted, &read(client, &wanted).await?);
    Ok(named(stream, &plan))
}

/// The same on a connection of the writer's, between transactions.
pub(crate) async fn find(target: &Target, link: &mut Link, stream: &StreamMapping) -> Result<(), Failure> {
    let limit = target.connector.exchange_limit();
    let Link { client, driver, .. } = &mut *link;
    let compared = driver.drive(limit, Box::pin(of(client, &target.pipeline, stream))).await;
    match compared.map_err(|error| classify(&error, "compare a table with its mapping"))? {
        None => Ok(()),
        Some(drift) => Err(drift),
    }
}

fn named(stream: &StreamMapping, plan: &Plan) -> Option<Failure> {
    let mut differences: Vec<String> = plan.refusals.iter().map(ToString::to_string).collect();
    // An index that is missing makes nothing wrong.
    let missing = plan.steps.iter().filter(|step| step.kind < StepKind::CreateIndex);
    differences.extend(missing.map(|step| format!("{} is missing", step.object)));
    if differences.is_empty() {
        return None;
    }
    let detail = format!(
        "the target is not as stream {} maps it: {}. Nothing is written and nothing parked until it is; put it back (`landfall schema \
         plan` shows the difference, `landfall schema apply` adds what is missing) and the stream goes on by itself",
        stream.name,
        differences.join("; ")
    );
    Some(Failure::new(FailureClass::Halt, SCHEMA_DRIFT, detail))
}
