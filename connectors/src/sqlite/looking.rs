//! Looking whether anybody committed: the file reached, its triggers seen to, a snapshot begun, and each table's way chosen.
//!
//! What stands in the way is a [`Trouble`] of the whole database or a condition of one stream; either deletes nothing.

use super::database::{Database, Table, Trouble};
use super::pass::{Chosen, Pass, Way};
use super::{Opened, SqliteConfig, SqliteSource};
use crate::failure::{Failure, FailureClass};
use crate::files::root::{OpenError, Root};
use crate::source::{Condition, SourceStream};
use landfall_schemas::mapping::{KeyFrom, Select};

impl SqliteSource {
    /// Nobody committed since the snapshot that was taken in last.
    pub(super) fn is_current(&self) -> bool {
        let standing = self.opened.as_ref().and_then(|opened| opened.database.data_version().ok());
        standing.is_none() || standing == self.taken
    }

    /// A pass over a new snapshot; `None`: the one that was taken in stands.
    pub(super) fn changed(&mut self) -> Result<Option<Pass>, Trouble> {
        self.reach()?;
        let path = self.path();
        let Some(Opened { database, .. }) = &self.opened else { return Ok(None) };
        if let Some(log) = &mut self.change_log {
            if self.ledger.is_settled() {
                log.trim(&path);
            }
            if log.is_due() {
                self.taken = None;
            }
        }
        if self.taken == Some(database.data_version()?) {
            return Ok(None);
        }
        if let Some(log) = &mut self.change_log {
            log.prepare(database, &path, &self.ledger)?;
        }
        database.begin()?;
        let pass = self.begin_pass();
        if let (Err(_), Some(Opened { database, .. })) = (&pass, &self.opened) {
            database.end();
        }
        pass
    }

    /// A pass over the snapshot at hand, which may be newer than what was asked before it began.
    fn begin_pass(&mut self) -> Result<Option<Pass>, Trouble> {
        let Some(Opened { database, .. }) = &self.opened else { return Ok(None) };
        let (version, schema) = (database.data_version()?, database.schema_version()?);
        let (mut tables, mut expected): (Vec<Chosen>, u64) = (Vec::new(), 0);
        for (at, stream) in self.ledger.streams.iter().enumerate() {
            let table = match &stream.stream.select {
                Select::Collection(name) => database.table(name)?,
                Select::Whole | Select::Pointer(_) => None,
            };
            self.conditions[at] = condition(&stream.stream, stream.lost.as_ref(), table.as_ref(), &self.config);
            let Some(table) = table.filter(|_| self.conditions[at] == Condition::Following) else {
                tables.push(None);
                continue;
            };
            let way = match &self.change_log {
                None => Way::Whole,
                Some(log) => log.way(database, (at, stream), &table, schema)?,
            };
            if matches!(way, Way::Whole) {
                expected += database.count(&table)?;
            }
            tables.push(Some((table, way)));
        }
        let mut pass = Pass::new(&self.ledger, version, tables, expected);
        if let Some(log) = &self.change_log {
            pass.consumed = log.standing(database, schema)?;
        }
        Ok(Some(pass))
    }

    /// The file, open, and still the one by its name.
    fn reach(&mut self) -> Result<(), Trouble> {
        if self.root.as_ref().is_none_or(|root| !root.is_current()) {
            self.opened = None;
            let root = Root::open(&self.config.root, self.config.symlinks);
            self.root = Some(root.map_err(|error| Trouble { code: error.code(), detail: error.to_string() })?);
        }
        let found = self.root.as_ref().map(|root| root.stat_file(&self.config.file));
        let stat = match found {
            Some(Ok(stat)) => stat,
            Some(Err(error)) => {
                self.forget();
                return Err(away(&error));
            }
            None => return Ok(()),
        };
        if self.opened.as_ref().is_some_and(|opened| opened.stat.same_inode(&stat)) {
            return Ok(());
        }
        self.forget();
        self.opened = Some(Opened { database: Database::open(&self.path())?, stat });
        Ok(())
    }

    /// Nothing is known of the file by that name.
    fn forget(&mut self) {
        self.taken = None;
        if let Some(log) = &mut self.change_log {
            log.forget();
        }
    }
}

pub(super) fn away(error: &OpenError) -> Trouble {
    let (code, detail) = match error {
        OpenError::Missing => ("missing", "it is not there".to_owned()),
        OpenError::Skipped(reason) => (reason.name(), format!("it is not read ({})", reason.name())),
        OpenError::Unreadable(errno) => ("unreadable", format!("it cannot be read: {errno}")),
    };
    Trouble { code, detail }
}

/// What a stream does, its table being as it is.
fn condition(stream: &SourceStream, lost: Option<&Failure>, table: Option<&Table>, config: &SqliteConfig) -> Condition {
    if let Some(lost) = lost {
        return Condition::Halted(lost.clone());
    }
    let (file, name) = (config.file.display(), &stream.name);
    let Some(table) = table else {
        let detail = format!(
            "{file} has no table of the name that stream {name} selects; its rows are kept until there is one again"
        );
        return Condition::Waiting { code: "table_missing", detail };
    };
    let missing = match &stream.key.from {
        KeyFrom::Field(path) => path.parts().first().filter(|part| !table.columns.contains(part)).cloned(),
        KeyFrom::Composite(names) => {
            names.iter().find(|name| !table.columns.iter().any(|column| **column == ***name)).map(ToString::to_string)
        }
        KeyFrom::Name if table.rowid.is_none() => Some("rowid".to_owned()),
        _ => None,
    };
    match missing {
        None => Condition::Following,
        Some(column) => {
            let detail =
                format!("{file}: table {} of stream {name} has no column {column}, which is its key", table.name);
            Condition::Halted(Failure::new(FailureClass::Halt, "key_missing", detail))
        }
    }
}
