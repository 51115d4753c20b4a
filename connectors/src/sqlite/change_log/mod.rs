//! The change log inside the database: triggers of ours note which keys were written, so that a pass reads those rows alone.
//!
//! The log is a hint of where to look and never the truth: what a key holds is read in the snapshot and compared with what was captured, as in a
//! whole pass. So a log read twice changes nothing, and its rows are deleted only when everything they led to is durable in the queue.
//! Whole passes stay: the first one, one whenever the triggers were made anew, the schema moved (`VACUUM` may give rows other rowids, and moves it
//! too) or a log is nearly as long as its table, and one from time to time.
//!
//! This is the only place that writes to a source. It makes and drops nothing but what is called `_landfall_…`. Fails softly: where it
//! may not write, every pass is a whole one.

pub mod asking;
mod install;
pub mod shape;

use super::database::{Database, Table, Trouble};
use super::logged_pass::LoggedPass;
use super::pass::Way;
use crate::files::index::FirstRevision;
use crate::files::index::ledger::{Ledger, StreamLedger};
use landfall_schemas::mapping::{KeySpec, Select};
use shape::{StreamLog, TableLog};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A log of so many rows is always worth more than a whole pass.
const SHORT: u64 = 10_000;
/// The part of a table's rows that its log may have; with more, the whole table is read.
const PART: u64 = 4;

/// Why a table with this key would be read whole in spite of triggers; `None`: its log tells every change.
pub fn why_whole(database: &Database, table: &Table, key: &KeySpec) -> Result<Option<String>, Trouble> {
    Ok(shape::key_cells(key, table, &database.unique_keys(table)?).err())
}

/// A log and up to where it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Consumed {
    pub(super) log: String,
    pub(super) until: i64,
}

/// The logs of all tables of a source.
#[derive(Debug)]
pub(super) struct ChangeLog {
    full_pass: Duration,
    /// Per stream: the log of its table and where its key stands in there. `None`: its table is always read whole.
    streams: Vec<Option<StreamLog>>,
    /// The schema's version that the triggers were seen in.
    seen_in: Option<i64>,
    /// When the last whole pass began behind which the log is complete.
    whole_at: Option<Instant>,
    /// Read, and to be deleted once what it led to is durable.
    consumed: Vec<Consumed>,
    complained: bool,
}

impl ChangeLog {
    pub(super) fn new(full_pass: Duration) -> Self {
        Self { full_pass, streams: Vec::new(), seen_in: None, whole_at: None, consumed: Vec::new(), complained: false }
    }

    /// A whole pass is due though nobody committed.
    pub(super) fn is_due(&self) -> bool {
        self.whole_at.is_some_and(|at| at.elapsed() >= self.full_pass)
    }

    /// The next pass is a whole one: something was met that the log does not explain.
    pub(super) fn distrust(&mut self) {
        self.whole_at = None;
    }

    /// Another file stands by the name: nothing is known of its triggers.
    pub(super) fn forget(&mut self) {
        self.distrust();
        self.seen_in = None;
        self.consumed.clear();
    }

    /// Makes sure, before a snapshot is taken, that the triggers are there and as they should be.
    pub(super) fn prepare(&mut self, database: &Database, path: &Path, ledger: &Ledger) -> Result<(), Trouble> {
        let version = database.schema_version()?;
        if self.seen_in == Some(version) {
            return Ok(());
        }
        self.distrust();
        self.seen_in = None;
        self.streams = shape::logs(database, ledger)?;
        let mut wanted: Vec<Arc<TableLog>> = Vec::new();
        for (log, _) in self.streams.iter().flatten() {
            if wanted.iter().all(|known| known.table != log.table) {
                wanted.push(Arc::clone(log));
            }
        }
        match install::install(database, path, &wanted) {
            Ok(()) => self.seen_in = Some(database.schema_version()?),
            Err(trouble) => self.complain(path, &trouble),
        }
        Ok(())
    }

    /// How a stream's table is read in the snapshot at hand, whose schema has this version.
    pub(super) fn way(
        &self,
        database: &Database,
        (at, stream): (usize, &StreamLedger),
        table: &Table,
        version: i64,
    ) -> Result<Way, Trouble> {
        let Some((log, key)) = self.streams.get(at).and_then(Option::as_ref) else { return Ok(Way::Whole) };
        let trusted = self.seen_in == Some(version) && self.whole_at.is_some() && !self.is_due();
        if !trusted || stream.standing.first == FirstRevision::Open || log.table != table.name {
            return Ok(Way::Whole);
        }
        let most = SHORT.max(stream.index.records() / PART);
        if database.has_more_than(&log.name(), most)? {
            return Ok(Way::Whole);
        }
        let until = database.last_logged(&log.name())?;
        Ok(Way::Logged(LoggedPass::new(Arc::clone(log), key.clone(), until)))
    }

    /// Up to where the logs stand in the snapshot at hand.
    pub(super) fn standing(&self, database: &Database, version: i64) -> Result<Vec<Consumed>, Trouble> {
        let mut standing: Vec<Consumed> = Vec::new();
        if self.seen_in != Some(version) {
            return Ok(standing);
        }
        for (log, _) in self.streams.iter().flatten() {
            let log = log.name();
            if standing.iter().all(|known| known.log != log) {
                let until = database.last_logged(&log)?;
                standing.push(Consumed { log, until });
            }
        }
        Ok(standing)
    }

    /// A pass was handed out: its part of the logs has served. `whole`: when it began, if every table was read whole.
    pub(super) fn served(&mut self, consumed: Vec<Consumed>, whole: Option<Instant>) {
        if whole.is_some() && !consumed.is_empty() {
            self.whole_at = whole;
        }
        for new in consumed.into_iter().filter(|consumed| consumed.until > 0) {
            self.consumed.retain(|known| known.log != new.log);
            self.consumed.push(new);
        }
    }

    /// Deletes what has served; everything it led to is durable. A writer at work comes first: then it is tried again later.
    pub(super) fn trim(&mut self, path: &Path) {
        if self.consumed.is_empty() {
            return;
        }
        match install::trim(path, &mut self.consumed) {
            Ok(()) | Err(Trouble { code: "locked", .. }) => {}
            Err(trouble) => self.complain(path, &trouble),
        }
    }

    fn complain(&mut self, path: &Path, trouble: &Trouble) {
        if !std::mem::replace(&mut self.complained, true) {
            let (code, detail) = (trouble.code, &trouble.detail);
            tracing::warn!(
                code = "change_log_unwritable",
                "{}: the change log cannot be written ({code}: {detail}); its tables are read whole after every commit until it can",
                path.display()
            );
        }
    }
}

/// The table that a stream selects.
fn selected(stream: &StreamLedger) -> Option<&str> {
    match &stream.stream.select {
        Select::Collection(name) => Some(name),
        Select::Whole | Select::Pointer(_) => None,
    }
}
