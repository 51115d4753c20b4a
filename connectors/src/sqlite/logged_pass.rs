//! A pass over the rows that a table's change log names: what their keys hold in the snapshot, compared with what was captured.
//!
//! A key that holds nothing has vanished. Anything that a log of unique keys does not explain (a key that is NULL, or text that is not UTF-8) makes the
//! pass doubtful, and the table is read whole instead.

use super::change_log::shape::{Cell, KeyCells, TableLog};
use super::database::{Database, SeenRow, Table, Trouble};
use super::pass::{Comparing, Progress, key_of_row};
use super::row::put_document;
use crate::files::index::diff::Diff;
use crate::files::index::{Class, FileIndex, Kind, SlotId};
use rusqlite::types::{Value, ValueRef};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How far a log has been read.
#[derive(Debug)]
pub(super) struct LoggedPass {
    log: Arc<TableLog>,
    key: KeyCells,
    after: i64,
    /// The newest row of the log in the snapshot.
    until: i64,
    /// Slots of keys that hold nothing.
    vanished: BTreeSet<u32>,
}

impl LoggedPass {
    pub(super) fn new(log: Arc<TableLog>, key: KeyCells, until: i64) -> Self {
        Self { log, key, after: 0, until, vanished: BTreeSet::new() }
    }

    /// Reads one chunk of the log, and the rows it names.
    pub(super) fn advance(
        &mut self,
        database: &Database,
        table: &Table,
        comparing: &mut Comparing<'_>,
    ) -> Result<Progress, Trouble> {
        let noted = database.logged(&self.log.name(), &self.log.columns(), (self.after, self.until))?;
        let Some(noted) = noted else { return Ok(Progress::Doubtful) };
        let Some((last, _)) = noted.last() else { return Ok(Progress::End) };
        self.after = *last;
        let by: Vec<String> = self.key.iter().map(|cell| self.log.cells[*cell].sql()).collect();
        for (_, cells) in &noted {
            let key: Vec<&Value> = self.key.iter().map(|cell| &cells[*cell]).collect();
            if key.contains(&&Value::Null) || !self.find_slot(&key, comparing) {
                return Ok(Progress::Doubtful);
            }
            let slot = comparing.ledger.streams[comparing.at].index.find(comparing.key.as_bytes(), Class::Record);
            if slot.is_some_and(|slot| comparing.pass.diff.is_seen(slot)) {
                continue;
            }
            // Equal by the column's collation is not yet the same key; and a key may stand under another spelling (5 and 5.0), named in its turn.
            let mut held = false;
            let found = database.find(table, &by, &key, &mut |seen| {
                held = self.holds(&key, seen);
                if held {
                    comparing.named(seen);
                }
            })?;
            if !(found && held)
                && let Some(slot) = slot
            {
                self.vanished.insert(slot.0);
            }
        }
        Ok(Progress::More)
    }

    /// Makes the encoded key of a log's cells; `false`: they make none.
    fn find_slot(&self, key: &[&Value], comparing: &mut Comparing<'_>) -> bool {
        let (mut rowid, mut columns) = (None, Vec::new());
        for (cell, value) in self.key.iter().zip(key) {
            match (&self.log.cells[*cell], value) {
                (Cell::Rowid(_), Value::Integer(number)) => rowid = Some(*number),
                (Cell::Rowid(_), _) => return false,
                (Cell::Column(name), value) => columns.push((name.as_str(), ValueRef::from(*value))),
            }
        }
        let mut document = Vec::new();
        put_document(columns.iter().copied(), &mut document);
        let seen = SeenRow { rowid, columns: &columns, document: &document };
        key_of_row(&comparing.ledger.streams[comparing.at].stream.key, &seen, &mut comparing.key).is_ok()
    }

    /// Whether a row holds exactly these values as its key.
    fn holds(&self, key: &[&Value], seen: SeenRow<'_>) -> bool {
        self.key.iter().zip(key).all(|(cell, value)| match &self.log.cells[*cell] {
            Cell::Rowid(_) => seen.rowid.map(Value::Integer).as_ref() == Some(*value),
            Cell::Column(name) => {
                let found = seen.columns.iter().find(|(column, _)| column == name);
                found.is_some_and(|(_, found)| *found == ValueRef::from(*value))
            }
        })
    }

    /// Whether the slot still holds what was captured, and no row of another spelling took it.
    fn is_gone(diff: &Diff, index: &FileIndex, slot: SlotId) -> bool {
        matches!(index.kind(slot), Kind::Live | Kind::Rejected) && !diff.is_seen(slot)
    }

    pub(super) fn vanished(&self, diff: &Diff, index: &FileIndex) -> u64 {
        let gone = |slot: &&u32| Self::is_gone(diff, index, SlotId(**slot)) && index.counts(SlotId(**slot));
        self.vanished.iter().filter(gone).count() as u64
    }

    pub(super) fn next_vanished(&self, diff: &Diff, index: &FileIndex, from: u32) -> Option<SlotId> {
        self.vanished.range(from..).map(|slot| SlotId(*slot)).find(|slot| Self::is_gone(diff, index, *slot))
    }
}
