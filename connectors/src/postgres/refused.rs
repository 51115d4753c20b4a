//! Which rows PostgreSQL refuses.
//!
//! Keeps promise 13: when a batch is refused, its rows are halved and tried again, each try rolled back, until single rows
//! stand alone with their SQLSTATE. Nothing is written here. Which row it was is never read out of a message.

use super::apply::{Writing, roll_back};
use super::classify::{classify, living_sqlstate, may_be_a_row};
use super::wire::{Link, WireError};
use super::write::{plan, write};
use crate::failure::{Failure, FailureClass};
use crate::sink::ApplyFailure;
use landfall_schemas::mapping::StreamMapping;
use landfall_schemas::row::{Row, RowSet};
use std::ops::Range;
use std::time::Duration;

/// Most tries for one batch: finds eight rows in ten thousand, and at least one in any batch. What is left over is found
/// when the rest is applied again.
const MOST_PROBES: usize = 256;

/// Looks for the rows. Called between transactions; leaves the connection between transactions unless it fails.
pub(crate) async fn find(
    link: &mut Link,
    limit: Duration,
    (stream, writing): (&StreamMapping, Writing),
    set: &RowSet,
) -> ApplyFailure {
    let mut found = Vec::new();
    // Known to be refused as a whole (the batch itself), or not known yet; the first half is looked at first.
    let mut open: Vec<Range<usize>> = Vec::new();
    open.push(0..set.rows.len());
    for _ in 0..MOST_PROBES {
        let Some(range) = open.pop() else { break };
        match probe(link, limit, (stream, writing), (set, &set.rows[range.clone()])).await {
            Ok(None) => {}
            Ok(Some(state)) if range.len() == 1 => found.push((range.start, state)),
            Ok(Some(_)) => {
                let middle = range.start + range.len() / 2;
                open.push(middle..range.end);
                open.push(range.start..middle);
            }
            Err(failure) => return failure.into(),
        }
    }
    if found.is_empty() {
        let detail = "PostgreSQL refuses these rows together but none of them alone: a constraint or trigger of the \
                      target looks at several rows";
        return Failure::new(FailureClass::Halt, "refused_together", detail).into();
    }
    found.sort_unstable();
    ApplyFailure::Refused(found)
}

/// Writes some rows and rolls back: `Some(SQLSTATE)` when PostgreSQL refuses them.
async fn probe(
    link: &mut Link,
    limit: Duration,
    (stream, writing): (&StreamMapping, Writing),
    (set, rows): (&RowSet, &[Row]),
) -> Result<Option<String>, Failure> {
    link.at_rest = false;
    let outcome = match plan(link, limit, stream, ((set, rows), writing)).await {
        Ok(plan) => {
            let Link { client, driver, .. } = &mut *link;
            driver.drive(limit, Box::pin(write(client, stream, &plan, (set, rows), async { Ok(()) }))).await
        }
        Err(error) => Err(error),
    };
    let state = match &outcome {
        Ok(()) => None,
        Err(error) => match living_sqlstate(error) {
            Some(state) if may_be_a_row(state) => Some(state.to_owned()),
            _ => return Err(abandon(link, limit, error).await),
        },
    };
    roll_back(link, limit).await.map_err(|error| classify(&error, "roll back a probe"))?;
    Ok(state)
}

/// Another failure came between: the search ends with it.
async fn abandon(link: &mut Link, limit: Duration, error: &WireError) -> Failure {
    let failure = classify(error, "look for refused rows");
    match roll_back(link, limit).await {
        Ok(()) => failure,
        Err(error) => classify(&error, "roll back a probe"),
    }
}
