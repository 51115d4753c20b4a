//! `sqlite`: the tables of a database file, compared with what was captured whenever somebody committed.
//!
//! A pass reads every row of the streams' tables in one snapshot, through a connection that only reads; what changed is kept aside
//! ([`spool`]) and handed out once the snapshot is given back and the deletion guard had no question. Files of the database and its WAL
//! are watched as a hint, `PRAGMA data_version` tells whether anybody committed. Keeps promises 6, 10, 11 and 12: a database that is
//! away, locked, damaged or another file now, and a table that is missing, wait in a named state and delete nothing.
//!
//! Fails at open when the log cannot be read; afterwards everything is a [`Condition`].

pub mod database;
mod handing_out;
mod pass;
mod reread;
mod row;
mod source;
mod spool;

use crate::failure::{Failure, FailureClass};
use crate::files::guard::{Guard, Held, Judgement, Loss};
use crate::files::index::diff::Outcome;
use crate::files::index::ledger::Ledger;
use crate::files::root::{FileStat, OpenError, Root, Symlinks};
use crate::files::watch::{Watch, WatchScope};
use crate::source::{Cadence, Condition, SourceStart, SourceStream, Step};
use crate::wake::Wake;
use database::{Database, Table, Trouble};
use handing_out::{Filled, HandingOut};
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::mapping::{KeyFrom, Select};
use pass::{Pass, Progress};
pub use reread::SqliteReread;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two looks: commits of a writer whose files are mapped may cause no event, and asking for the version costs nothing.
const PACE: Duration = Duration::from_millis(200);
/// Passes take at most this part of the time: a large database that is written to all the time is not read without end.
const REST_FACTOR: u32 = 3;
/// Longest rest between two passes.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// Where the database is.
#[derive(Clone, Debug)]
pub struct SqliteConfig {
    /// The directory it stands in.
    pub root: PathBuf,
    /// Its path relative to that.
    pub file: PathBuf,
    /// How often it is looked at without a hint.
    pub cadence: Cadence,
    /// Whether it may be a symbolic link.
    pub symlinks: Symlinks,
}

#[derive(Debug)]
enum State {
    Idle,
    Reading(Box<Pass>),
    HandingOut(Box<HandingOut>),
}

/// An open database, and which file it was opened as.
#[derive(Debug)]
struct Opened {
    database: Database,
    stat: FileStat,
}

/// A SQLite database as a source.
#[derive(Debug)]
pub struct SqliteSource {
    config: SqliteConfig,
    root: Option<Root>,
    opened: Option<Opened>,
    watch: Watch,
    wake: Wake,
    directory: PathBuf,
    ledger: Ledger,
    guards: Vec<Guard>,
    conditions: Vec<Condition>,
    /// The snapshot that was taken in last.
    taken: Option<i64>,
    /// Not before this moment is it read again.
    rests_until: Option<Instant>,
    state: State,
}

impl SqliteSource {
    /// Opens the source; the file need not be there.
    pub fn open(config: SqliteConfig, start: SourceStart) -> Result<Self, Failure> {
        let ledger = Ledger::open(&start)?;
        let directory = config.file.parent().map_or(config.root.clone(), |below| config.root.join(below));
        let watch = Watch::new(&directory, WatchScope::Directory, start.wake.clone(), config.cadence);
        let following =
            |lost: Option<&Failure>| lost.map_or(Condition::Following, |lost| Condition::Halted(lost.clone()));
        let conditions = ledger.streams.iter().map(|stream| following(stream.lost.as_ref())).collect();
        Ok(Self {
            config,
            root: None,
            opened: None,
            watch,
            wake: start.wake,
            directory: start.state_dir,
            guards: ledger.streams.iter().map(|_| Guard::default()).collect(),
            ledger,
            conditions,
            taken: None,
            rests_until: None,
            state: State::Idle,
        })
    }

    fn path(&self) -> PathBuf {
        self.config.root.join(&self.config.file)
    }

    fn quiet(&self) -> Step {
        let calm = self.conditions.iter().all(|condition| *condition == Condition::Following);
        if calm { Step::CaughtUp } else { Step::Blocked }
    }

    /// Nothing can be read: every stream waits.
    fn trouble(&mut self, Trouble { code, detail }: Trouble) -> Step {
        self.opened = None;
        let detail = format!("{}: {detail}; nothing is deleted meanwhile", self.path().display());
        for (at, stream) in self.ledger.streams.iter().enumerate() {
            if stream.lost.is_none() {
                self.conditions[at] = Condition::Waiting { code, detail: detail.clone() };
            }
        }
        self.quiet()
    }

    /// Looks whether anybody committed, and begins a pass if so.
    fn look(&mut self) -> Step {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            // A commit that waits for the rest to end is not caught up with.
            return if self.is_current() { self.quiet() } else { Step::Blocked };
        }
        match self.changed() {
            Ok(None) => self.quiet(),
            Ok(Some(pass)) => {
                self.state = State::Reading(Box::new(pass));
                Step::More
            }
            Err(trouble) => self.trouble(trouble),
        }
    }

    /// Nobody committed since the snapshot that was taken in last.
    fn is_current(&self) -> bool {
        let standing = self.opened.as_ref().and_then(|opened| opened.database.data_version().ok());
        standing.is_none() || standing == self.taken
    }

    /// A pass over a new snapshot; `None`: the one that was taken in stands.
    fn changed(&mut self) -> Result<Option<Pass>, Trouble> {
        self.reach()?;
        let Some(Opened { database, .. }) = &self.opened else { return Ok(None) };
        let standing = database.data_version()?;
        if self.taken == Some(standing) {
            return Ok(None);
        }
        database.begin()?;
        // The snapshot may be newer than what was asked before it began.
        let begun = database.data_version().and_then(|version| Ok((version, tables(database, &self.ledger)?)));
        match begun {
            Ok((version, (tables, expected))) => {
                for (at, stream) in self.ledger.streams.iter().enumerate() {
                    self.conditions[at] =
                        condition(&stream.stream, stream.lost.as_ref(), tables[at].as_ref(), &self.config);
                }
                let read =
                    |(at, table): (usize, Option<Table>)| table.filter(|_| self.conditions[at] == Condition::Following);
                let tables = tables.into_iter().enumerate().map(read).collect();
                Ok(Some(Pass::new(&self.ledger, version, tables, expected)))
            }
            Err(trouble) => {
                database.end();
                Err(trouble)
            }
        }
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
                self.taken = None;
                return Err(away(&error));
            }
            None => return Ok(()),
        };
        if self.opened.as_ref().is_some_and(|opened| opened.stat.same_inode(&stat)) {
            return Ok(());
        }
        self.taken = None;
        self.opened = Some(Opened { database: Database::open(&self.path())?, stat });
        Ok(())
    }

    fn read_on(&mut self, mut pass: Box<Pass>, batch: &mut ChangeBatch) -> Step {
        let Some(Opened { database, .. }) = &self.opened else { return self.quiet() };
        match pass.advance(database, &mut self.ledger, &self.directory) {
            Ok(Progress::More) => {
                self.state = State::Reading(pass);
                Step::More
            }
            Ok(Progress::End) => {
                database.end();
                fail::fail_point!("sqlite::after_pass");
                let rest = (pass.began.elapsed() * REST_FACTOR).min(LONGEST_REST);
                self.rests_until = Some(Instant::now() + rest);
                self.judge(*pass, batch)
            }
            Err(trouble) => {
                database.end();
                pass.end(&mut self.ledger, Outcome::Abandoned);
                self.trouble(trouble)
            }
        }
    }

    /// Asks the guards, before anything is handed out.
    fn judge(&mut self, pass: Pass, batch: &mut ChangeBatch) -> Step {
        let mut accepted = vec![false; self.guards.len()];
        let mut held: Vec<Option<Held>> = vec![None; self.guards.len()];
        for (at, table) in pass.tables.iter().enumerate().filter(|(_, table)| table.table.is_some()) {
            let stream = &self.ledger.streams[at];
            let loss = Loss { deletes: table.diff.vanished(&stream.index), of: stream.index.records() };
            match self.guards[at].judge(table.diff.digest(), stream.standing.accepted, loss) {
                Judgement::Pass => {}
                Judgement::Accepted => accepted[at] = true,
                Judgement::Hold(hold) => held[at] = Some(hold),
            }
        }
        if held.iter().any(Option::is_some) {
            return self.hold(pass, held);
        }
        let file = self.config.file.display().to_string();
        let out = HandingOut::new(pass, &self.ledger, accepted, &file);
        if out.is_empty(&self.ledger) {
            return self.finish(out, batch);
        }
        self.state = State::HandingOut(Box::new(out));
        Step::More
    }

    /// A revision is held whole: its tables were written together.
    fn hold(&mut self, pass: Pass, held: Vec<Option<Held>>) -> Step {
        let along = format!(
            "the state of {} is held, whole, because another of its tables lost much of its rows: accept or refuse it there",
            self.path().display()
        );
        for (at, held) in held.into_iter().enumerate() {
            match held {
                Some(held) => self.conditions[at] = held.condition(),
                None if self.conditions[at] == Condition::Following => {
                    self.conditions[at] = Condition::Waiting { code: "revision_held", detail: along.clone() };
                }
                None => {}
            }
        }
        self.taken = Some(pass.data_version);
        pass.end(&mut self.ledger, Outcome::Abandoned);
        Step::Blocked
    }

    fn hand_out(&mut self, mut out: Box<HandingOut>, batch: &mut ChangeBatch) -> Step {
        match out.fill(&mut self.ledger, batch) {
            Filled::Batch => {
                self.state = State::HandingOut(out);
                Step::More
            }
            Filled::All => self.finish(*out, batch),
            Filled::Broken => {
                out.pass.end(&mut self.ledger, Outcome::Abandoned);
                let detail = "what was kept aside in the state directory cannot be read again".to_owned();
                self.trouble(Trouble { code: "spool_unreadable", detail })
            }
        }
    }

    fn finish(&mut self, out: HandingOut, batch: &ChangeBatch) -> Step {
        self.taken = Some(out.pass.data_version);
        out.pass.end(&mut self.ledger, Outcome::HandedOut);
        if batch.is_empty() { self.quiet() } else { Step::More }
    }
}

fn away(error: &OpenError) -> Trouble {
    let (code, detail) = match error {
        OpenError::Missing => ("missing", "it is not there".to_owned()),
        OpenError::Skipped(reason) => (reason.name(), format!("it is not read ({})", reason.name())),
        OpenError::Unreadable(errno) => ("unreadable", format!("it cannot be read: {errno}")),
    };
    Trouble { code, detail }
}

/// The streams' tables, and how many rows the unread ones have.
fn tables(database: &Database, ledger: &Ledger) -> Result<(Vec<Option<Table>>, u64), Trouble> {
    let (mut tables, mut rows) = (Vec::new(), 0);
    for stream in &ledger.streams {
        let table = match &stream.stream.select {
            Select::Collection(name) => database.table(name)?,
            Select::Whole | Select::Pointer(_) => None,
        };
        if let Some(table) = &table {
            rows += database.count(table)?;
        }
        tables.push(table);
    }
    Ok((tables, rows))
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
