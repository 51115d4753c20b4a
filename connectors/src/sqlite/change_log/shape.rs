//! What is logged of a table, and as which SQL: decided from its keys, executed elsewhere.
//!
//! A stream's table can be logged when its key finds one row at most, by an index. Of each written row its key is noted, before and after; and of
//! each row that an `INSERT OR REPLACE` or `UPDATE OR REPLACE` would put out of the way, since such a row goes without a delete trigger.

use super::asking::UniqueKey;
use super::selected;
use crate::files::index::ledger::Ledger;
use crate::sqlite::database::{Database, Table, Trouble, quoted};
use landfall_schemas::mapping::{KeyFrom, KeySpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What everything of ours in a source is called by.
pub const PREFIX: &str = "_landfall_";
/// Collations that every SQLite has: an index by another one could not be asked.
const COLLATIONS: [&str; 3] = ["BINARY", "NOCASE", "RTRIM"];

/// One thing noted of a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cell {
    /// Its rowid, by the word that asks for it.
    Rowid(&'static str),
    /// A column.
    Column(String),
}

impl Cell {
    /// How it is asked for.
    pub(crate) fn sql(&self) -> String {
        match self {
            Self::Rowid(word) => (*word).to_owned(),
            Self::Column(name) => quoted(name),
        }
    }
}

/// Where a stream's key stands in the log's cells.
pub(crate) type KeyCells = Vec<usize>;

/// The log of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TableLog {
    pub(crate) table: String,
    pub(crate) cells: Vec<Cell>,
    rowid: Option<&'static str>,
    unique: Vec<UniqueKey>,
}

/// The log of a stream's table, and where the stream's key stands in it.
pub(super) type StreamLog = (Arc<TableLog>, KeyCells);

/// Something that stands in the database's schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Made {
    pub(super) name: String,
    pub(super) sql: String,
}

/// The logs of the streams that can have one, in the order of the ledger's.
pub(super) fn logs(database: &Database, ledger: &Ledger) -> Result<Vec<Option<StreamLog>>, Trouble> {
    let mut cells: BTreeMap<String, (Table, Vec<UniqueKey>, Vec<Cell>)> = BTreeMap::new();
    let mut keys = Vec::new();
    for stream in &ledger.streams {
        let found = match selected(stream) {
            Some(name) => database.table(name)?,
            None => None,
        };
        let Some(table) = found else {
            keys.push(None);
            continue;
        };
        let unique = database.unique_keys(&table)?;
        let Ok(key) = key_cells(&stream.stream.key, &table, &unique) else {
            keys.push(None);
            continue;
        };
        let entry = cells.entry(table.name.clone()).or_insert_with(|| (table.clone(), unique, Vec::new()));
        let mut places = Vec::new();
        for cell in key {
            let known = entry.2.iter().position(|known| *known == cell);
            places.push(known.unwrap_or(entry.2.len()));
            if known.is_none() {
                entry.2.push(cell);
            }
        }
        keys.push(Some((table.name, places)));
    }
    let logs: BTreeMap<String, Arc<TableLog>> = cells
        .into_iter()
        .map(|(name, (table, unique, cells))| {
            (name, Arc::new(TableLog { table: table.name, cells, rowid: table.rowid, unique }))
        })
        .collect();
    Ok(keys.into_iter().map(|key| key.and_then(|(name, places)| Some((logs.get(&name)?.clone(), places)))).collect())
}

/// What makes a stream's key; or why its table cannot be logged.
pub(crate) fn key_cells(key: &KeySpec, table: &Table, unique: &[UniqueKey]) -> Result<Vec<Cell>, String> {
    let names: Vec<String> = match &key.from {
        KeyFrom::Name => {
            let rowid = table.rowid.ok_or_else(|| "it has no rowid".to_owned())?;
            return foreign(unique).map_or(Ok(vec![Cell::Rowid(rowid)]), Err);
        }
        KeyFrom::Field(path) if path.parts().len() == 1 => vec![path.last().to_owned()],
        KeyFrom::Composite(names) => names.iter().map(|name| name.to_string()).collect(),
        _ => return Err("its key is no column".to_owned()),
    };
    if let Some(why) = foreign(unique) {
        return Err(why);
    }
    let inside = |unique: &UniqueKey| {
        !unique.columns.is_empty() && unique.columns.iter().all(|(column, _)| names.contains(column))
    };
    if !unique.iter().any(inside) {
        return Err(format!("no unique index finds a row by ({})", names.join(", ")));
    }
    Ok(names.into_iter().map(Cell::Column).collect())
}

/// Why not every row that a REPLACE puts out of the way could be noted.
fn foreign(unique: &[UniqueKey]) -> Option<String> {
    unique.iter().find_map(|key| {
        if key.columns.is_empty() {
            return Some("a unique index of it is partial, or over expressions or generated columns".to_owned());
        }
        let odd = key.columns.iter().find(|(_, collation)| !COLLATIONS.contains(&collation.to_uppercase().as_str()));
        odd.map(|_| "a unique index of it has a collation of the product's own".to_owned())
    })
}

impl TableLog {
    /// The name of the log's table, and what its triggers' names begin with.
    pub(crate) fn name(&self) -> String {
        format!("{PREFIX}{}", self.table)
    }

    /// The log's columns, one a cell.
    pub(crate) fn columns(&self) -> Vec<String> {
        (0..self.cells.len()).map(|at| format!("k{at}")).collect()
    }

    /// The log's table, then its triggers, as they stand in `sqlite_schema`.
    pub(super) fn made(&self) -> Vec<Made> {
        let (log, table) = (quoted(&self.name()), quoted(&self.table));
        let columns = self.columns().join(", ");
        let row =
            |row: &str| self.cells.iter().map(|cell| format!("{row}.{}", cell.sql())).collect::<Vec<_>>().join(", ");
        let note = |what: String| format!("INSERT INTO {log} ({columns}) {what};");
        // Columns without a type keep values as they are.
        let mut made =
            vec![Made { name: self.name(), sql: format!("CREATE TABLE {log} (seq INTEGER PRIMARY KEY, {columns})") }];
        let mut trigger = |when: &str, body: String| {
            let name = format!("{} {}", self.name(), when.to_lowercase());
            let sql = format!("CREATE TRIGGER {} {when} ON {table} BEGIN {body} END", quoted(&name));
            made.push(Made { name, sql });
        };
        trigger("AFTER INSERT", note(format!("VALUES ({})", row("NEW"))));
        trigger("AFTER UPDATE", note(format!("VALUES ({}), ({})", row("OLD"), row("NEW"))));
        trigger("AFTER DELETE", note(format!("VALUES ({})", row("OLD"))));
        for (when, other) in [("BEFORE INSERT", None), ("BEFORE UPDATE", self.rowid)] {
            let other = other.map_or(String::new(), |rowid| format!(" AND t.{rowid} <> OLD.{rowid}"));
            let mut notes = Vec::new();
            for key in &self.unique {
                let same = key.columns.iter().map(|(column, collation)| {
                    let column = quoted(column);
                    format!("t.{column} = NEW.{column} COLLATE {}", quoted(collation))
                });
                let same = same.collect::<Vec<_>>().join(" AND ");
                notes.push(note(format!("SELECT {} FROM {table} AS t WHERE {same}{other}", row("t"))));
            }
            if !notes.is_empty() {
                trigger(when, notes.join(" "));
            }
        }
        made
    }
}
