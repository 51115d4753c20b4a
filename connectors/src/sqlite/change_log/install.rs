//! Writing to the database: triggers and logs made, those that are not wanted any more dropped, what has served deleted.
//!
//! Each in one transaction of its own, on a connection that is closed again; a writer that holds the lock is waited for briefly.

use super::Consumed;
use super::shape::{Made, PREFIX, TableLog};
use crate::sqlite::database::{Database, Trouble, quoted};
use rusqlite::{Connection, Error, OpenFlags, TransactionBehavior, params};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a writer is waited for: capturing waits as long.
const BUSY: Duration = Duration::from_millis(500);
/// Rows deleted in one transaction: the product waits for it.
const TRIM_ROWS: u32 = 20_000;

/// Makes the schema hold the logs of `wanted` and their triggers, and nothing else of ours. Writes only where something differs.
pub(super) fn install(database: &Database, path: &Path, wanted: &[Arc<TableLog>]) -> Result<(), Trouble> {
    let made: Vec<Vec<Made>> = wanted.iter().map(|log| log.made()).collect();
    let there = database.named(PREFIX)?;
    let is_there = |one: &Made| there.iter().any(|(_, name, sql)| *name == one.name && *sql == one.sql);
    let whole: usize = made.iter().map(Vec::len).sum();
    if there.len() == whole && made.iter().flatten().all(is_there) {
        return Ok(());
    }
    let written = write(path).and_then(|mut connection| {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Triggers first: a table's own go with it, those of ours stand on the product's.
        for kind in ["trigger", "table"] {
            for (_, name, _) in there.iter().filter(|(found, _, _)| found == kind) {
                transaction.execute_batch(&format!("DROP {kind} IF EXISTS {}", quoted(name)))?;
            }
        }
        for one in made.iter().flatten() {
            transaction.execute_batch(&one.sql)?;
        }
        transaction.commit()
    });
    written.map_err(|error| Trouble::of(&error))
}

/// Deletes what has served; what is left of `consumed` is for the next time.
pub(super) fn trim(path: &Path, consumed: &mut Vec<Consumed>) -> Result<(), Trouble> {
    let trimmed = write(path).and_then(|mut connection| {
        while let Some(Consumed { log, until }) = consumed.first() {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let log = quoted(log);
            let sql =
                format!("DELETE FROM {log} WHERE seq IN (SELECT seq FROM {log} WHERE seq <= ?1 ORDER BY seq LIMIT ?2)");
            let deleted = transaction.execute(&sql, params![until, TRIM_ROWS])?;
            transaction.commit()?;
            if deleted == TRIM_ROWS as usize {
                break;
            }
            consumed.remove(0);
        }
        Ok(())
    });
    trimmed.map_err(|error| Trouble::of(&error))
}

fn write(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}
