//! A SQLite source: can it be read, are the tables and key columns there, does its writer keep readers out, can its changes be logged?

use super::finding::Finding;
use landfall_connectors::files::root::Root;
use landfall_connectors::sqlite::SqliteCapture;
use landfall_connectors::sqlite::change_log::{shape, why_whole};
use landfall_connectors::sqlite::database::{Database, Table, Trouble};
use landfall_schemas::mapping::{KeyFrom, Select, StreamMapping};
use std::path::Path;

pub(super) fn look(
    name: &str,
    root: &Root,
    (file, capture): (&Path, SqliteCapture),
    streams: &[&StreamMapping],
) -> Vec<Finding> {
    let path = root.path().join(file);
    if let Err(error) = root.stat_file(file) {
        let message = format!("{} cannot be read: {error:?}", path.display());
        return vec![Finding::fail(name, "missing", message).suggest("the path of a SQLite file this user may read")];
    }
    let seen = Database::open(&path).and_then(|database| {
        let mut findings = vec![mode(name, &path, &database.journal_mode()?)];
        if capture == SqliteCapture::Scan {
            findings.extend(left_behind(name, &database)?);
        }
        for stream in streams {
            let Select::Collection(selects) = &stream.select else { continue };
            let table = database.table(selects)?;
            if let (SqliteCapture::Triggers { .. }, Some(table)) = (capture, &table) {
                findings.extend(logged(stream, table, &database)?);
            }
            findings.push(selected(stream, selects, table, &database)?);
        }
        Ok(findings)
    });
    seen.unwrap_or_else(|Trouble { code, detail }| {
        vec![
            Finding::fail(name, code, format!("{}: {detail}", path.display()))
                .suggest("landfall waits for it; nothing is lost"),
        ]
    })
}

fn mode(name: &str, path: &Path, mode: &str) -> Finding {
    let message = format!("{} can be read, journal mode {mode}", path.display());
    if mode == "wal" {
        return Finding::pass(name, "store_readable", message);
    }
    Finding::warn(name, "journal_mode", message).suggest(
        "PRAGMA journal_mode=WAL in the product: in other modes a commit waits while a table is read, and reading waits for commits",
    )
}

/// Triggers of an earlier configuration go on filling a log that nobody reads.
fn left_behind(name: &str, database: &Database) -> Result<Option<Finding>, Trouble> {
    let there = database.named(shape::PREFIX)?;
    let drops: Vec<String> = there.iter().map(|(kind, name, _)| format!("DROP {kind} \"{name}\";")).collect();
    if drops.is_empty() {
        return Ok(None);
    }
    let message = "the database still has the change log of `capture: triggers`, which nobody reads now";
    Ok(Some(Finding::warn(name, "change_log_left", message.to_owned()).suggest(drops.join(" "))))
}

fn logged(stream: &StreamMapping, table: &Table, database: &Database) -> Result<Option<Finding>, Trouble> {
    let Some(why) = why_whole(database, table, &stream.key)? else { return Ok(None) };
    let message =
        format!("table {} is read whole after every commit, in spite of `capture: triggers`: {why}", table.name);
    let advice = "a key that is the table's primary key or a plain UNIQUE index, and no unique index over expressions";
    Ok(Some(Finding::warn(stream.name.as_str(), "change_log_impossible", message).suggest(advice)))
}

fn selected(stream: &StreamMapping, name: &str, table: Option<Table>, database: &Database) -> Result<Finding, Trouble> {
    let of = stream.name.as_str();
    let Some(table) = table else {
        let message = format!("there is no table {name}, or it is a view");
        return Ok(Finding::fail(of, "table_missing", message).suggest("the name of a table in `select`"));
    };
    let has = |column: &str| table.columns.iter().any(|known| known == column);
    let missing = match &stream.key.from {
        KeyFrom::Field(path) => path.parts().first().filter(|part| !has(part)).cloned(),
        KeyFrom::Composite(names) => names.iter().find(|name| !has(name)).map(ToString::to_string),
        KeyFrom::Name if table.rowid.is_none() => Some("rowid".to_owned()),
        _ => None,
    };
    if let Some(column) = missing {
        let message = format!("table {name} has no column {column}");
        return Ok(
            Finding::fail(of, "key_missing", message).suggest(format!("its primary key is ({})", table.key.join(", ")))
        );
    }
    let unknown =
        stream.columns.iter().filter_map(|column| column.from.field()?.parts().first()).find(|part| !has(part));
    if let Some(column) = unknown {
        let message = format!("table {name} has no column {column}: it would be missing in every row");
        return Ok(Finding::warn(of, "column_missing", message).suggest("a column of the table in `from`"));
    }
    let alone = matches!(&stream.key.from, KeyFrom::Name) && table.key.is_empty();
    if alone {
        let message = format!("table {name} has no primary key: VACUUM may give its rows other rowids");
        return Ok(Finding::warn(of, "rowid_unstable", message).suggest("a primary key in the product"));
    }
    Ok(Finding::pass(of, "records_seen", format!("table {name}: {} rows", database.count(&table)?)))
}
