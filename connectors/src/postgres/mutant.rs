//! A seeded bug for the kill suite: compiled in only with the feature `mutants`, switched on by `LANDFALL_MUTANT`.
//!
//! `second_transaction` commits rows and counters first and moves `next_offset` in a transaction of its own. A kill between
//! the two applies a batch twice; rows cannot show it, the counters can: `next_offset` is no longer their sum.

use super::advance::{Claim, Steps};
use super::apply::commit;
use super::connect::BEGIN;
use super::wire::{Link, WireError};
use super::write::prepare;
use std::time::Duration;

const MOVE: &str = "next_offset = a.until, ";

fn is_on() -> bool {
    std::env::var_os("LANDFALL_MUTANT").is_some_and(|mutant| mutant == "second_transaction")
}

/// The statement of the first transaction: counts, but stays.
pub(crate) fn first_statement(sql: &str) -> String {
    if is_on() { sql.replacen(MOVE, "", 1) } else { sql.to_owned() }
}

/// The second transaction: moves, but does not count.
pub(crate) async fn move_in_second_transaction(
    link: &mut Link,
    limit: Duration,
    steps: &Steps,
    claim: Claim<'_>,
) -> Result<(), WireError> {
    if !is_on() {
        return Ok(());
    }
    let sql =
        ["applied", "superseded", "filtered", "dead_lettered"].iter().fold(Steps::SQL.to_owned(), |sql, counter| {
            sql.replacen(&format!("c.{counter} + a.{counter}"), &format!("c.{counter}"), 1)
        });
    let statement = prepare(link, limit, sql).await?;
    let Link { client, driver, .. } = &mut *link;
    driver.drive(limit, client.batch_execute(BEGIN)).await?;
    driver.drive(limit, steps.run(client, &statement, claim)).await?;
    commit(link, limit).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mutant_finds_what_it_takes_out() {
        assert!(Steps::SQL.contains(MOVE));
        assert!(Steps::SQL.contains("c.dead_lettered + a.dead_lettered"));
    }
}
