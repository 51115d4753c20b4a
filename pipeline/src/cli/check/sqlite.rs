//! A SQLite source: can it be read, are the tables and key columns there, does its writer keep readers out?

use super::finding::Finding;
use landfall_connectors::files::root::Root;
use landfall_connectors::sqlite::database::{Database, Table, Trouble};
use landfall_schemas::mapping::{KeyFrom, Select, StreamMapping};
use std::path::Path;

pub(super) fn look(name: &str, root: &Root, file: &Path, streams: &[&StreamMapping]) -> Vec<Finding> {
    let path = root.path().join(file);
    if let Err(error) = root.stat_file(file) {
        let message = format!("{} cannot be read: {error:?}", path.display());
        return vec![Finding::fail(name, "missing", message).suggest("the path of a SQLite file this user may read")];
    }
    let seen = Database::open(&path).and_then(|database| {
        let mut findings = vec![mode(name, &path, &database.journal_mode()?)];
        for stream in streams {
            let Select::Collection(table) = &stream.select else { continue };
            findings.push(selected(stream, table, database.table(table)?, &database)?);
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
