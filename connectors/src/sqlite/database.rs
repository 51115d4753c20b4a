//! The database file: opened to be read and nothing else, asked what its tables are, read in chunks of one snapshot.

use super::row::put_document;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Row, params_from_iter};
use std::path::Path;
use std::time::Duration;

/// How long SQLite itself waits for a writer that holds a lock.
const BUSY: Duration = Duration::from_millis(1_000);
/// Rows of one chunk, and bytes after which it ends early.
pub(super) const CHUNK_ROWS: usize = 5_000;
const CHUNK_BYTES: usize = 4 << 20;

/// Why the database cannot be read just now; nothing is deleted meanwhile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// Stable name.
    pub code: &'static str,
    /// What it is and what to do.
    pub detail: String,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        let code = error.sqlite_error_code();
        let (code, detail) = match code {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
                "locked",
                "its writer holds a lock; a writer in WAL mode (PRAGMA journal_mode=WAL) never keeps readers out",
            ),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                ("corrupt", "SQLite says that it is damaged or no database; restore it")
            }
            Some(ErrorCode::CannotOpen) => {
                ("unreadable", "SQLite cannot open it; in WAL mode a reader needs the files -wal and -shm beside it")
            }
            Some(ErrorCode::ReadOnly) => (
                "needs_recovery",
                "its writer died in the middle; open it once with the product so that it is recovered",
            ),
            Some(ErrorCode::PermissionDenied) => ("unreadable", "give this user the right to read it"),
            Some(ErrorCode::OutOfMemory | ErrorCode::SystemIoFailure) => ("unreadable", "reading it failed"),
            _ => ("unreadable", "SQLite refused a read"),
        };
        Self { code, detail: detail.to_owned() }
    }
}

/// A table, as far as reading it needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Columns of its primary key, in order.
    pub key: Vec<String>,
    /// How a rowid is asked for; `None`: it has none (`WITHOUT ROWID`).
    pub rowid: Option<&'static str>,
}

/// A connection that only reads.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
}

/// A row being read.
#[derive(Clone, Copy, Debug)]
pub struct SeenRow<'a> {
    /// Its rowid, if its table has them.
    pub rowid: Option<i64>,
    /// Its columns, in order.
    pub columns: &'a [(&'a str, ValueRef<'a>)],
    /// The same as a BSON document.
    pub document: &'a [u8],
}

/// Where the next chunk of a table begins: behind these values of its order.
pub type After = Option<Vec<Value>>;

impl Database {
    /// Opens the file. It must be there.
    pub fn open(path: &Path) -> Result<Self, Trouble> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| Trouble::of(&error))?;
        let database = Self { connection };
        database.connection.busy_timeout(BUSY).map_err(|error| Trouble::of(&error))?;
        database.run("PRAGMA query_only = true")?;
        Ok(database)
    }

    /// A number that is another one after every commit of others.
    pub fn data_version(&self) -> Result<i64, Trouble> {
        self.ask("PRAGMA data_version")
    }

    /// Begins to read one snapshot.
    pub fn begin(&self) -> Result<(), Trouble> {
        self.run("BEGIN")?;
        // The snapshot is taken with the first read.
        let first = self.ask::<i64>("SELECT count(*) FROM sqlite_schema");
        if first.is_err() {
            self.end();
        }
        first.map(|_| ())
    }

    /// Ends it. Without one this does nothing.
    pub fn end(&self) {
        if !self.connection.is_autocommit() {
            // A reader has nothing to lose: a snapshot that cannot be given back ends with the connection.
            let _ = self.run("ROLLBACK");
        }
    }

    /// `wal`, `delete`, …
    pub fn journal_mode(&self) -> Result<String, Trouble> {
        self.ask("PRAGMA journal_mode")
    }

    /// Names of its tables, without those of SQLite's own.
    pub fn tables(&self) -> Result<Vec<String>, Trouble> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                   AND name NOT LIKE '\\_landfall\\_%' ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name";
        let mut statement = self.connection.prepare(sql).map_err(|error| Trouble::of(&error))?;
        let names = statement.query_map([], |row| row.get(0)).and_then(Iterator::collect);
        names.map_err(|error| Trouble::of(&error))
    }

    /// How many rows a table has.
    pub fn count(&self, table: &Table) -> Result<u64, Trouble> {
        let sql = format!("SELECT count(*) FROM {}", quoted(&table.name));
        self.ask::<i64>(&sql).map(i64::cast_unsigned)
    }

    /// The greatest rowid of a table that has them; 0 without rows.
    pub fn newest(&self, table: &Table) -> Result<i64, Trouble> {
        let Some(rowid) = table.rowid else { return Ok(0) };
        self.ask(&format!("SELECT coalesce(max({rowid}), 0) FROM {}", quoted(&table.name)))
    }

    /// A table by its name; `None`: there is none, or it is a view.
    pub fn table(&self, name: &str) -> Result<Option<Table>, Trouble> {
        let failed = |error: Error| Trouble::of(&error);
        let sql = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1 AND type = 'table'";
        let mut found = self.connection.prepare(sql).map_err(failed)?;
        let mut rows = found.query([name]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let without_rowid: bool = row.get(0).map_err(failed)?;
        // Hidden columns are those of virtual tables; generated ones can be read.
        let sql = "SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";
        let mut statement = self.connection.prepare(sql).map_err(failed)?;
        let listed = statement.query_map([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
        let listed: Vec<(String, i64)> = listed.and_then(Iterator::collect).map_err(failed)?;
        let mut key: Vec<(i64, String)> =
            listed.iter().filter(|(_, place)| *place > 0).map(|(name, place)| (*place, name.clone())).collect();
        key.sort();
        let columns: Vec<String> = listed.into_iter().map(|(name, _)| name).collect();
        let free = |word: &&str| !columns.iter().any(|column| column.eq_ignore_ascii_case(word));
        let rowid = if without_rowid { None } else { ["rowid", "_rowid_", "oid"].into_iter().find(free) };
        let key = key.into_iter().map(|(_, name)| name).collect();
        Ok(Some(Table { name: name.to_owned(), columns, key, rowid }))
    }

    /// Reads on behind `after`, in the order of the table: `take` gets each row. Gives
    /// where the next chunk begins; `None`: the table is through.
    pub fn chunk(&self, table: &Table, after: &After, take: &mut dyn FnMut(SeenRow<'_>)) -> Result<After, Trouble> {
        let failed = |error: Error| Trouble::of(&error);
        let order = table.order();
        let mut statement = self.connection.prepare_cached(&table.select(&order, after.is_some())).map_err(failed)?;
        let bound = after.as_deref().unwrap_or_default();
        let mut rows = statement.query(params_from_iter(bound)).map_err(failed)?;
        let (mut document, mut bytes, mut count) = (Vec::new(), 0, 0);
        while let Some(row) = rows.next().map_err(failed)? {
            let place = |at: usize| row.get_ref(at).map_err(failed);
            let first = order.len();
            table.show(row, first, &mut document, take)?;
            bytes += document.len();
            count += 1;
            if bytes >= CHUNK_BYTES || count == CHUNK_ROWS {
                let next = (0..first).map(|at| place(at).map(Value::try_from)).collect::<Result<Vec<_>, _>>()?;
                let next = next.into_iter().collect::<Result<Vec<_>, _>>();
                return next.map(Some).map_err(|_| Trouble {
                    code: "unreadable",
                    detail: format!("a key of table {} is text that is not UTF-8", table.name),
                });
            }
        }
        Ok(None)
    }

    fn run(&self, sql: &str) -> Result<(), Trouble> {
        self.connection.execute_batch(sql).map_err(|error| Trouble::of(&error))
    }

    pub(super) fn ask<T: rusqlite::types::FromSql>(&self, sql: &str) -> Result<T, Trouble> {
        self.connection.query_row(sql, [], |row| row.get(0)).map_err(|error| Trouble::of(&error))
    }
}

impl Table {
    /// What its rows are read by: a unique order that an index gives.
    pub(super) fn order(&self) -> Vec<String> {
        match self.rowid {
            Some(rowid) => vec![rowid.to_owned()],
            None => self.key.iter().map(|name| quoted(name)).collect(),
        }
    }

    fn select(&self, order: &[String], goes_on: bool) -> String {
        let by = order.join(", ");
        let marks = vec!["?"; order.len()].join(", ");
        let behind = if goes_on { format!(" WHERE ({by}) > ({marks})") } else { String::new() };
        format!("{}{behind} ORDER BY {by} LIMIT {CHUNK_ROWS}", self.select_rows(order))
    }

    /// Asks for the cells of the order, then for the columns.
    pub(super) fn select_rows(&self, order: &[String]) -> String {
        let columns: Vec<String> = self.columns.iter().map(|name| quoted(name)).collect();
        format!("SELECT {}, {} FROM {}", order.join(", "), columns.join(", "), quoted(&self.name))
    }

    /// Shows a row to `take`, and makes its `document`; its columns stand behind the `first` cells.
    pub(super) fn show(
        &self,
        row: &Row<'_>,
        first: usize,
        document: &mut Vec<u8>,
        take: &mut dyn FnMut(SeenRow<'_>),
    ) -> Result<(), Trouble> {
        let place = |at: usize| row.get_ref(at).map_err(|error| Trouble::of(&error));
        let rowid = match self.rowid {
            Some(_) => place(0)?.as_i64().ok(),
            None => None,
        };
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, name) in self.columns.iter().enumerate() {
            columns.push((name.as_str(), place(first + at)?));
        }
        document.clear();
        put_document(columns.iter().copied(), document);
        take(SeenRow { rowid, columns: &columns, document });
        Ok(())
    }
}

/// A name in SQLite's own quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
