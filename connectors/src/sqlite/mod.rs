//! `sqlite`: the tables of a database file, compared with what was captured whenever somebody committed.
//!
//! A pass reads every row of the streams' tables in one snapshot, or, where triggers were asked for, those whose keys a [`change_log`] names, through a
//! connection that only reads; what changed is kept aside ([`spool`]) and handed out once the snapshot is given back and the deletion guard had no question. Files of the database and its WAL
//! are watched as a hint, `PRAGMA data_version` tells whether anybody committed. Keeps promises 6, 10, 11 and 12: a database that is
//! away, locked, damaged or another file now, and a table that is missing, wait in a named state and delete nothing.
//!
//! Fails at open when the log cannot be read; afterwards everything is a [`Condition`].

pub mod change_log;
pub mod database;
mod handing_out;
mod logged_pass;
mod looking;
mod pass;
mod reread;
mod row;
mod source;
mod spool;

use crate::failure::Failure;
use crate::files::guard::{Guard, Held, Judgement, Loss};
use crate::files::index::diff::Outcome;
use crate::files::index::ledger::Ledger;
use crate::files::root::{FileStat, Root, Symlinks};
use crate::files::watch::{Watch, WatchScope};
use crate::source::{Cadence, Condition, SourceStart, Step};
use crate::wake::Wake;
use change_log::ChangeLog;
use database::{Database, Trouble};
use handing_out::{Filled, HandingOut};
use landfall_schemas::event::ChangeBatch;
use pass::{Pass, Progress, Way};
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
    /// How changed rows are found.
    pub capture: SqliteCapture,
}

/// How changed rows are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SqliteCapture {
    /// Every row is read after a commit; nothing is written to the database.
    Scan,
    /// Triggers, made in the database, note which rows were written.
    Triggers {
        /// Every row is read all the same as often as this.
        full_pass: Duration,
    },
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
    change_log: Option<ChangeLog>,
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
        let change_log = match config.capture {
            SqliteCapture::Scan => None,
            SqliteCapture::Triggers { full_pass } => Some(ChangeLog::new(full_pass)),
        };
        Ok(Self {
            config,
            change_log,
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

    /// A change log does not explain what was met: the next pass reads everything.
    fn read_whole_instead(&mut self, pass: Pass) -> Step {
        if let Some(log) = &mut self.change_log {
            log.distrust();
        }
        pass.end(&mut self.ledger, Outcome::Abandoned);
        self.taken = None;
        self.rests_until = None;
        Step::More
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
            Ok(Progress::Doubtful) => {
                database.end();
                self.read_whole_instead(*pass)
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
            let loss = Loss { deletes: table.vanished(&stream.index), of: stream.index.records() };
            if matches!(table.way, Way::Logged(_)) {
                // A revision is named by all its content: what the guard would ask about is read whole.
                if loss.is_suspicious() {
                    return self.read_whole_instead(pass);
                }
                continue;
            }
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
        // Held, it was not taken in: without this a full pass that is due would be due again at once, for as long as nobody decides.
        if let Some(log) = &mut self.change_log {
            log.distrust();
        }
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

    fn finish(&mut self, mut out: HandingOut, batch: &ChangeBatch) -> Step {
        self.taken = Some(out.pass.data_version);
        if let Some(log) = &mut self.change_log {
            log.served(std::mem::take(&mut out.pass.consumed), out.pass.is_whole());
        }
        out.pass.end(&mut self.ledger, Outcome::HandedOut);
        if batch.is_empty() { self.quiet() } else { Step::More }
    }
}
