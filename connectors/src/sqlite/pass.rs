//! One pass over the tables: the rows of one snapshot, all of them or those a change log names, compared with what was captured; nothing is handed
//! out yet.

use super::change_log::Consumed;
use super::database::{After, Database, SeenRow, Table, Trouble};
use super::logged_pass::LoggedPass;
use super::row::put_document;
use super::spool::Spool;
use crate::files::index::diff::{Diff, Outcome, Verdict};
use crate::files::index::ledger::Ledger;
use crate::files::index::{FileIndex, SlotId};
use crate::files::split::TOO_LARGE_HEAD;
use landfall_schemas::bson;
use landfall_schemas::hash::RowHash;
use landfall_schemas::json::MAX_RECORD_BYTES;
use landfall_schemas::key::{RecordKey, key_of_bson};
use landfall_schemas::mapping::{KeyFrom, KeySpec};
use landfall_schemas::rejection::RejectCode;
use rusqlite::types::ValueRef;
use std::path::Path;
use std::time::Instant;

/// A row that is to be handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) reject: Option<RejectCode>,
    pub(super) slot: SlotId,
    /// For a duplicate: the slot of the row that stands.
    pub(super) first: Option<SlotId>,
    /// Its number in the table's order, from 1; of a row that a log named, its rowid.
    pub(super) number: u64,
    pub(super) at: u64,
    pub(super) length: u32,
    pub(super) hash: RowHash,
}

/// How a table is read.
#[derive(Debug)]
pub(super) enum Way {
    /// Every row of it.
    Whole,
    /// The rows whose keys its change log names.
    Logged(LoggedPass),
}

/// One table in this pass.
#[derive(Debug)]
pub(super) struct TablePass {
    pub(super) diff: Diff,
    /// `None`: it is not read, and keeps its rows.
    pub(super) table: Option<Table>,
    pub(super) way: Way,
    pub(super) rows: u64,
    pub(super) pending: Vec<Pending>,
    pub(super) duplicates: Vec<Pending>,
}

/// A pass under way.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) began: Instant,
    /// Of the snapshot that is read.
    pub(super) data_version: i64,
    pub(super) tables: Vec<TablePass>,
    pub(super) spool: Spool,
    /// Rows in all, as far as they were counted.
    pub(super) expected: u64,
    /// What of the change logs stands in this snapshot.
    pub(super) consumed: Vec<Consumed>,
    at: usize,
    after: After,
}

/// How far a step came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    More,
    End,
    /// A change log does not explain what was met: every table is to be read whole.
    Doubtful,
}

/// A table that is going to be read, if it is, and how.
pub(super) type Chosen = Option<(Table, Way)>;

impl Pass {
    pub(super) fn new(ledger: &Ledger, data_version: i64, tables: Vec<Chosen>, expected: u64) -> Self {
        let pass = |(at, chosen): (usize, Chosen)| {
            let index = &ledger.streams[at].index;
            let (table, way) = chosen.map_or((None, Way::Whole), |(table, way)| (Some(table), way));
            let diff = match way {
                Way::Whole => Diff::new(index),
                Way::Logged(_) => Diff::of_some(index),
            };
            TablePass { diff, table, way, rows: 0, pending: Vec::new(), duplicates: Vec::new() }
        };
        let tables = tables.into_iter().enumerate().map(pass).collect();
        let began = Instant::now();
        let (spool, consumed) = (Spool::default(), Vec::new());
        Self { began, data_version, tables, spool, expected, consumed, at: 0, after: None }
    }

    /// When it began, if every table of it is read whole.
    pub(super) fn is_whole(&self) -> Option<Instant> {
        self.tables.iter().all(|table| matches!(table.way, Way::Whole)).then_some(self.began)
    }

    /// Rows seen so far.
    pub(super) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// Reads one chunk.
    pub(super) fn advance(
        &mut self,
        database: &Database,
        ledger: &mut Ledger,
        directory: &Path,
    ) -> Result<Progress, Trouble> {
        let Some(pass) = self.tables.get_mut(self.at) else { return Ok(Progress::End) };
        let Some(table) = pass.table.clone() else {
            self.at += 1;
            return Ok(Progress::More);
        };
        let way = std::mem::replace(&mut pass.way, Way::Whole);
        let mut comparing = Comparing {
            pass,
            spool: &mut self.spool,
            ledger,
            at: self.at,
            directory,
            key: RecordKey::default(),
            spooled: Ok(()),
        };
        let progress = match way {
            Way::Whole => {
                self.after = database.chunk(&table, &self.after, &mut |row| comparing.row(row))?;
                if self.after.is_some() { Progress::More } else { Progress::End }
            }
            Way::Logged(mut logged) => {
                let progress = logged.advance(database, &table, &mut comparing)?;
                comparing.pass.way = Way::Logged(logged);
                progress
            }
        };
        comparing.spooled.map_err(|error| Trouble {
            code: "spool_unwritable",
            detail: format!("changed rows cannot be kept in the state directory: {}; make room", error.kind()),
        })?;
        if progress == Progress::End {
            self.at += 1;
            return Ok(Progress::More);
        }
        Ok(progress)
    }

    /// Ends all comparisons.
    pub(super) fn end(self, ledger: &mut Ledger, outcome: Outcome) {
        for (pass, stream) in self.tables.into_iter().zip(&mut ledger.streams) {
            // Rows that a log named say nothing about the table's order.
            let whole = pass.table.is_some() && matches!(pass.way, Way::Whole);
            let outcome = if whole { outcome } else { Outcome::Abandoned };
            pass.diff.end(&mut stream.index, outcome);
        }
    }
}

impl TablePass {
    /// Captured rows that the table does not hold any more.
    pub(super) fn vanished(&self, index: &FileIndex) -> u64 {
        match &self.way {
            Way::Whole => self.diff.vanished(index),
            Way::Logged(logged) => logged.vanished(&self.diff, index),
        }
    }

    /// The next of them from slot `from` on.
    pub(super) fn next_vanished(&self, index: &FileIndex, from: u32) -> Option<SlotId> {
        match &self.way {
            Way::Whole => self.diff.next_vanished(index, from),
            Way::Logged(logged) => logged.next_vanished(&self.diff, index, from),
        }
    }
}

/// Rows of one table being compared.
pub(super) struct Comparing<'a> {
    pub(super) pass: &'a mut TablePass,
    spool: &'a mut Spool,
    pub(super) ledger: &'a mut Ledger,
    pub(super) at: usize,
    directory: &'a Path,
    pub(super) key: RecordKey,
    spooled: std::io::Result<()>,
}

impl Comparing<'_> {
    /// The next row of a table that is read whole.
    fn row(&mut self, seen: SeenRow<'_>) {
        let ordinal = self.pass.rows + 1;
        self.compare(seen, ordinal);
    }

    /// A row that a log named: no number but its rowid tells where it stands.
    pub(super) fn named(&mut self, seen: SeenRow<'_>) {
        let rowid = seen.rowid.unwrap_or_default().cast_unsigned();
        self.compare(seen, rowid);
    }

    fn compare(&mut self, seen: SeenRow<'_>, number: u64) {
        let row = seen.document;
        self.pass.rows += 1;
        let stream = &mut self.ledger.streams[self.at];
        let made = key_of_row(&stream.stream.key, &seen, &mut self.key);
        let hash = RowHash::of(row);
        let verdict = match made {
            Ok(()) => self.pass.diff.take_by_key(&mut stream.index, &self.key, (hash, row.len() as u32)),
            Err(_) => self.pass.diff.take_nameless(&mut stream.index, &mut self.key, (hash, row.len() as u32)),
        };
        if verdict == Verdict::Unchanged || self.spooled.is_err() {
            return;
        }
        // As of every source: what is longer is parked with its head.
        let too_large = row.len() > MAX_RECORD_BYTES;
        let kept = if too_large { &row[..TOO_LARGE_HEAD] } else { row };
        let at = match self.spool.put(kept, self.directory) {
            Ok(at) => at,
            Err(error) => {
                self.spooled = Err(error);
                return;
            }
        };
        let length = kept.len() as u32;
        let reject = made.err().or(too_large.then_some(RejectCode::TooLarge));
        let pending = Pending { reject, slot: SlotId(0), first: None, number, at, length, hash };
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Changed(slot) => self.pass.pending.push(Pending { slot, ..pending }),
            Verdict::Duplicate { group, first } => {
                let reject = Some(RejectCode::DuplicateKey);
                self.pass.duplicates.push(Pending { slot: group, first: Some(first), reject, ..pending });
            }
        }
    }
}

/// Makes the key of a row, as its stream wants it.
pub(super) fn key_of_row(spec: &KeySpec, seen: &SeenRow<'_>, key: &mut RecordKey) -> Result<(), RejectCode> {
    let SeenRow { rowid, columns, document } = *seen;
    match &spec.from {
        KeyFrom::Name => match rowid {
            Some(rowid) => key.set_json(rowid.to_string().as_bytes()),
            None => Err(RejectCode::KeyMissing),
        },
        KeyFrom::Composite(names) => {
            let mut parts = Vec::new();
            for name in names {
                let found = columns.iter().find(|(column, _)| *column == &**name);
                let (column, value) = found.ok_or(RejectCode::KeyMissing)?;
                if *value == ValueRef::Null {
                    return Err(RejectCode::KeyMissing);
                }
                parts.push((*column, *value));
            }
            let mut together = Vec::new();
            put_document(parts.into_iter(), &mut together);
            key.set_bson_value(&bson::Value::Document(&together))
        }
        // NULLs of a key column are not one another: SQLite lets a primary key have many.
        KeyFrom::Field(path)
            if path.parts().len() == 1
                && columns.iter().any(|(name, value)| *name == path.last() && *value == ValueRef::Null) =>
        {
            Err(RejectCode::KeyMissing)
        }
        _ => key_of_bson(spec, document, key),
    }
}
