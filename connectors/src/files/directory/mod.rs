//! `json_directory`: a directory of JSON files, one record each, as a source of changes.
//!
//! Each look lists the directory, reads only files whose numbers changed, compares all keys with the index, and asks the
//! deletion guard before anything is handed out. Keeps promises 10, 11 and 12: a vanished file is a delete only when the
//! listing was complete; a file that is half-written or not JSON waits by itself, keeps its record, and the others go on.
//!
//! Memory: the index, and about 300 bytes a file. One source is one stream. Fails at open when more is asked; afterwards
//! everything is a [`Condition`].

mod catalog;
mod pass;
mod reread;
mod source;
#[cfg(test)]
mod tests;

use crate::failure::{Failure, FailureClass};
use crate::files::guard::{Guard, Judgement, Loss};
use crate::files::index::Class;
use crate::files::index::diff::Outcome;
use crate::files::index::ledger::Ledger;
use crate::files::pattern::Pattern;
use crate::files::root::{Listing, Root, Symlinks};
use crate::files::watch::{Watch, WatchScope};
use crate::source::{Cadence, Condition, SourceStart, Step};
use crate::wake::Wake;
use catalog::{Content, Reader, name_key};
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::key::RecordKey;
use landfall_schemas::mapping::Select;
use pass::{Absence, Catalog, Compared, Filled, Reading};
pub use reread::DirectoryReread;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Which files are meant.
#[derive(Clone, Debug)]
pub struct DirectoryConfig {
    /// The directory.
    pub root: PathBuf,
    /// Which files below it.
    pub glob: Pattern,
    /// How often it is listed without a hint.
    pub cadence: Cadence,
    /// Whether symbolic links are followed.
    pub symlinks: Symlinks,
}

#[derive(Debug)]
enum State {
    Idle,
    Reading(Box<Reading>),
    HandingOut(Box<Compared>),
}

/// A directory as a source.
#[derive(Debug)]
pub struct DirectorySource {
    config: DirectoryConfig,
    root: Option<Root>,
    watch: Watch,
    wake: Wake,
    ledger: Ledger,
    guard: Guard,
    catalog: Catalog,
    reader: Reader,
    /// Keys of what stands there and is not read (links, FIFOs), as far as known: not gone.
    hidden: BTreeMap<PathBuf, Box<[u8]>>,
    /// The last look left something undone.
    dirty: bool,
    /// Files that changed while they were looked at, and how often in a row there were any.
    unsteady: u64,
    unsteady_looks: u32,
    due_at: Option<Instant>,
    listing_problem: Option<(&'static str, String)>,
    condition: Condition,
    total: u64,
    state: State,
}

impl DirectorySource {
    /// Opens the source; the directory need not be there.
    pub fn open(config: DirectoryConfig, start: SourceStart) -> Result<Self, Failure> {
        let [stream] = start.streams.as_slice() else {
            return Err(unsupported("a directory is one stream: give each stream a source with a glob of its own"));
        };
        if stream.select != Select::Whole {
            return Err(unsupported("a file of a directory is one record: leave `select` out"));
        }
        let ledger = Ledger::open(&start)?;
        let scope = if config.glob.depth() == Some(1) { WatchScope::Directory } else { WatchScope::Tree };
        let watch = Watch::new(&config.root, scope, start.wake.clone(), config.cadence);
        let condition = ledger.streams[0].lost.clone().map_or(Condition::Following, Condition::Halted);
        Ok(Self {
            config,
            root: None,
            watch,
            wake: start.wake,
            ledger,
            guard: Guard::default(),
            catalog: Catalog::new(),
            reader: Reader::default(),
            hidden: BTreeMap::new(),
            dirty: true,
            unsteady: 0,
            unsteady_looks: 0,
            due_at: None,
            listing_problem: None,
            condition,
            total: 0,
            state: State::Idle,
        })
    }

    fn quiet(&self) -> Step {
        if self.condition == Condition::Following { Step::CaughtUp } else { Step::Blocked }
    }

    fn wait_for(&mut self, code: &'static str, detail: String) -> Step {
        self.condition = Condition::Waiting { code, detail };
        // What it was before is not what it will be found to be.
        self.dirty = true;
        Step::Blocked
    }

    /// Lists the directory, and begins to read what may have changed.
    fn look(&mut self) -> Step {
        if self.ledger.streams[0].lost.is_some() {
            return Step::Blocked;
        }
        let listing = match self.list() {
            Ok(listing) => listing,
            Err((code, detail)) => return self.wait_for(code, detail),
        };
        let problem = listing.unreadable.first().map(|error| {
            let more = listing.unreadable.len() - 1;
            let detail =
                format!("{}: {error} (and {more} more); nothing is deleted until all can be listed", self.path());
            (error.code(), detail)
        });
        let solved = self.listing_problem.is_some() && problem.is_none();
        self.listing_problem = problem;
        let absence = if listing.is_complete() { Absence::Proven } else { Absence::Unproven };
        let gone = self.drop_gone(&listing, absence);
        let due = self.due_at.is_some_and(|at| at <= Instant::now());
        let changed = |path: &Path, stat| {
            let known = self.catalog.get(path);
            known.is_none_or(|entry| {
                entry.look.stat != stat || (due && entry.look.due_in().is_some_and(|wait| wait.is_zero()))
            })
        };
        let todo: Vec<PathBuf> =
            listing.files.iter().filter(|file| changed(&file.path, file.stat)).map(|file| file.path.clone()).collect();
        if todo.is_empty() && !gone && !solved && !self.dirty {
            return self.quiet();
        }
        self.total = listing.files.iter().map(|file| file.stat.size).sum();
        self.unsteady = 0;
        self.state = State::Reading(Box::new(Reading::new(todo, absence)));
        Step::More
    }

    fn path(&self) -> String {
        self.config.root.display().to_string()
    }

    fn list(&mut self) -> Result<Listing, (&'static str, String)> {
        let path = self.path();
        let away = |code, error: &dyn std::fmt::Display| {
            (code, format!("{path}: {error}; nothing is deleted while it cannot be listed"))
        };
        if self.root.as_ref().is_none_or(|root| !root.is_current()) {
            self.root = None;
            let root =
                Root::open(&self.config.root, self.config.symlinks).map_err(|error| away(error.code(), &error))?;
            self.root = Some(root);
        }
        let Some(root) = &self.root else { return Err(("missing", path.clone())) };
        let glob = &self.config.glob;
        let listed = root.list(glob.depth(), &mut |path| glob.matches(path));
        let listing = listed.map_err(|error| away(error.code(), &error))?;
        if !root.is_current() {
            return Err(away("missing", &"it was replaced or moved while it was listed"));
        }
        Ok(listing)
    }

    /// Forgets files that are no longer there; `true` when that changes what the directory says.
    fn drop_gone(&mut self, listing: &Listing, absence: Absence) -> bool {
        let spec = &self.ledger.streams[0].stream.key;
        let mut key = RecordKey::default();
        let mut hidden = BTreeMap::new();
        for skipped in listing.skipped.iter().filter(|skipped| self.config.glob.matches(&skipped.path)) {
            let known = || self.catalog.get(&*skipped.path).and_then(|entry| entry.content.key().map(Box::from));
            let before = || self.hidden.get(&skipped.path).cloned();
            if let Some(key) = name_key(spec, &skipped.path, &mut key).or_else(known).or_else(before) {
                hidden.insert(skipped.path.clone(), key);
            }
        }
        let moved = hidden != self.hidden;
        self.hidden = hidden;
        if absence == Absence::Unproven {
            return moved;
        }
        let there: HashSet<&Path> = listing.files.iter().map(|file| &*file.path).collect();
        let before = self.catalog.len();
        self.catalog.retain(|path, _| there.contains(&**path));
        moved || self.catalog.len() != before
    }

    fn read_on(&mut self, mut reading: Box<Reading>) -> Step {
        let Some(root) = &self.root else { return Step::More };
        let tools = (root, &mut self.reader);
        if !reading.advance(tools, &self.ledger, &mut self.catalog, &mut self.unsteady) {
            self.state = State::Reading(reading);
            return Step::More;
        }
        let compared = Compared::new(*reading, &self.catalog, &mut self.ledger, self.hidden.values());
        self.judge(compared)
    }

    fn judge(&mut self, mut compared: Compared) -> Step {
        self.due_at =
            self.catalog.values().filter_map(|entry| entry.look.due_in()).min().map(|due| Instant::now() + due);
        self.condition = self.standing();
        if compared.absence == Absence::Proven {
            let stream = &self.ledger.streams[0];
            let loss = Loss { deletes: compared.diff.vanished(&stream.index), of: stream.index.records() };
            match self.guard.judge(compared.diff.digest(), stream.standing.accepted, loss) {
                Judgement::Pass => {}
                Judgement::Accepted => compared.accepted = true,
                Judgement::Hold(held) => {
                    self.condition = held.condition();
                    compared.end(&mut self.ledger, Outcome::Abandoned);
                    self.dirty = self.unsteady > 0;
                    return self.finished();
                }
            }
        }
        self.state = State::HandingOut(Box::new(compared));
        Step::More
    }

    /// What is to be said of the files just read.
    fn standing(&mut self) -> Condition {
        if let Some((code, detail)) = &self.listing_problem {
            return Condition::Waiting { code, detail: detail.clone() };
        }
        let mut waiting = self.catalog.iter().filter_map(|(path, entry)| match &entry.content {
            Content::Waiting { code, what, .. } => Some((path, *code, what)),
            Content::Record { .. } => None,
        });
        if let Some((path, code, what)) = waiting.next() {
            let count = 1 + waiting.count();
            let first = self.config.root.join(path);
            let detail = format!(
                "{count} of {} files wait: {} {what}; their records stand as they were, the other files go on",
                self.catalog.len(),
                first.display()
            );
            return Condition::Waiting { code, detail };
        }
        let index = &mut self.ledger.streams[0].index;
        let hidden = self.hidden.values().filter(|key| index.find(key, Class::Record).is_some()).count();
        if hidden > 0 {
            let detail = format!(
                "{}: {hidden} records' files are links, or no regular files, and are not read; their records stand as they were",
                self.path()
            );
            return Condition::Waiting { code: "not_a_regular_file", detail };
        }
        Condition::Following
    }

    fn hand_out(&mut self, mut compared: Box<Compared>, batch: &mut ChangeBatch) -> Step {
        let Some(root) = &self.root else { return Step::More };
        let tools = (root, &mut self.reader);
        match compared.fill(tools, &mut self.ledger, &mut self.catalog, batch) {
            Filled::Batch => {
                self.state = State::HandingOut(compared);
                Step::More
            }
            Filled::All => {
                self.unsteady += compared.torn;
                self.dirty = self.unsteady > 0;
                compared.end(&mut self.ledger, Outcome::HandedOut);
                let step = self.finished();
                if batch.is_empty() { step } else { Step::More }
            }
        }
    }

    /// A look came to its end.
    fn finished(&mut self) -> Step {
        if self.unsteady == 0 {
            self.unsteady_looks = 0;
        } else {
            self.unsteady_looks += 1;
            if self.condition == Condition::Following {
                let detail = format!("{}: {} files change while they are read; soon again", self.path(), self.unsteady);
                self.condition = Condition::Waiting { code: "changing", detail };
            }
        }
        self.quiet()
    }

    fn save(&mut self) {
        if matches!(self.state, State::Idle) {
            self.ledger.save_due();
        }
    }
}

fn unsupported(detail: &str) -> Failure {
    Failure::new(FailureClass::Halt, "directory_streams", detail)
}
