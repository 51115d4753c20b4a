//! `json_lines`: append-only NDJSON, one file or many by glob, followed through every kind of rotation.
//!
//! Owns the [`Source`] over lines. Each line goes to each stream of the source: one source normally feeds one stream, and
//! several streams see the same lines under keys of their own. Lines are ordinary events from the first one on; deletes
//! come from operations in lines only, never from a vanished file (promise 12). Keeps promises 6, 10, 11, 12, 13 as told in
//! the parts: [`survey`](self) finds generations, `pass` reads them, `generation` is what is remembered.
//!
//! How it fails: a missing or unreadable file or directory is [`Condition::Waiting`] and mends itself; a file whose rest
//! cannot be found is [`Condition::Halted`] with [`FILE_SHRANK`], until an operator accepts that or the rest comes back.

mod arrival;
mod body;
mod generation;
mod ledger;
mod likeness;
mod listing;
mod operation;
mod order;
mod pass;
mod reader;
mod reread;
mod retrace;
mod rotation;
mod survey;
mod turns;
mod walk;

pub use operation::LinesFormat;
pub use reader::{MAX_LINE_BYTES, OVERLONG_HEAD_BYTES};
pub use reread::LinesReread;
pub use retrace::LinesRetrace;
pub use survey::FILE_SHRANK;

use crate::failure::{Failure, FailureClass};
use crate::files::pattern::Pattern;
use crate::files::root::{Root, RootError, Symlinks};
use crate::files::watch::{Watch, WatchScope};
use crate::source::{Cadence, Condition, Decision, Noticing, Source, SourceStart, Step};
use crate::wake::Woken;
use body::OpenBodies;
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::mapping::{KeyFrom, Select};
use landfall_schemas::offset::Sequence;
use landfall_schemas::stream::StreamId;
use ledger::{Ledger, Trouble};
use listing::View;
use operation::Interpreter;
use pass::{Pass, Reading};
use reader::Reader;
use std::path::PathBuf;
use survey::{Copies, Survey};

/// Passes in a row over files that change under their hands before the source waits a little.
const STALE_PASSES: u8 = 3;

/// A checked `json_lines` source of the configuration.
#[derive(Clone, Debug)]
pub struct LinesConfig {
    /// The directory without any glob; from [`Pattern::split`], made absolute against the configuration file's.
    pub dir: PathBuf,
    /// Which files under it.
    pub pattern: Pattern,
    /// Whether symbolic links are followed.
    pub symlinks: Symlinks,
    /// How a line is understood.
    pub format: LinesFormat,
    /// The pace of scans.
    pub cadence: Cadence,
}

/// Where the source stands between calls of `next`.
#[derive(Debug)]
enum State {
    /// The next call surveys.
    Idle,
    /// Reading what the survey found.
    Reading(Pass, Root),
}

/// The source.
#[derive(Debug)]
pub struct LinesSource {
    config: LinesConfig,
    interpreter: Interpreter,
    ledger: Ledger,
    bodies: OpenBodies,
    copies: Copies,
    reader: Reader,
    state: State,
    watch: Watch,
    /// The whole source cannot read just now.
    trouble: Option<Trouble>,
    /// Passes in a row that found a file changed under their hands.
    stale: u8,
    /// A wait has ended since the last survey.
    waited: bool,
    later: bool,
}

impl LinesSource {
    /// Opens the source at the positions the queue kept. A missing directory is no failure: it is waited for. Fails with
    /// `position_unreadable`, or `invalid_stream` for a stream that lines cannot feed.
    pub fn open(config: LinesConfig, start: SourceStart) -> Result<Self, Failure> {
        for stream in &start.streams {
            let fits = stream.select == Select::Whole && !matches!(stream.key.from, KeyFrom::Name | KeyFrom::Stem);
            if !fits {
                let detail =
                    format!("stream {}: lines have no `select`, and a key is a field or `position`", stream.name);
                return Err(Failure::new(FailureClass::Halt, "invalid_stream", detail));
            }
        }
        let scope = if config.pattern.depth() == Some(1) { WatchScope::Directory } else { WatchScope::Tree };
        let watch = Watch::new(&config.dir, scope, start.wake, config.cadence);
        Ok(Self {
            interpreter: Interpreter::new(config.format.clone(), start.streams),
            ledger: Ledger::load(&start.positions)?,
            bodies: OpenBodies::default(),
            copies: Copies::default(),
            reader: Reader::default(),
            state: State::Idle,
            watch,
            trouble: None,
            stale: 0,
            waited: false,
            later: false,
            config,
        })
    }

    /// Lists the root: the first part of a step that finds the source idle.
    fn list(&mut self) -> Result<(Root, View), Trouble> {
        self.later = std::mem::take(&mut self.waited);
        self.reader.leave();
        let root = Root::open(&self.config.dir, self.config.symlinks).map_err(|error| root_trouble(&error))?;
        let view = View::take(&root, &self.config.pattern, &self.ledger)
            .map_err(|error| Trouble::Waiting(error.code(), format!("{}: {}", root.path().display(), error.errno)))?;
        Ok((root, view))
    }

    /// Takes a listing in; the world may have moved on since.
    fn take_in(&mut self, listing: Result<(Root, View), Trouble>) {
        match listing.and_then(|(root, view)| self.conclude(root, view)) {
            Ok(reading) => (self.trouble, self.state) = (None, reading),
            Err(trouble) => (self.trouble, self.state) = (Some(trouble), State::Idle),
        }
    }

    /// Finds every generation in a listing.
    fn conclude(&mut self, root: Root, view: View) -> Result<State, Trouble> {
        let nothing = view.files.is_empty() && view.unreadable.is_empty();
        let skipped =
            view.skipped.first().map(|skip| format!(" ({} is not read: {})", skip.path.display(), skip.reason.name()));
        let mut survey = Survey {
            root: &root,
            pattern: &self.config.pattern,
            view,
            ledger: &mut self.ledger,
            bodies: &mut self.bodies,
            copies: &mut self.copies,
            later: self.later,
            arrivals: Vec::new(),
        };
        survey.run();
        let pass = Pass::plan(&self.ledger);
        if nothing && pass.is_over() {
            let skipped = skipped.unwrap_or_default();
            let detail = format!("no file in {} matches; waiting for one{skipped}", self.config.dir.display());
            return Err(Trouble::Waiting("missing", detail));
        }
        Ok(State::Reading(pass, root))
    }

    /// Reads what was found, from where the last batch ended.
    fn read_on(&mut self, batch: &mut ChangeBatch) -> Step {
        let State::Reading(pass, root) = &mut self.state else {
            self.ledger.save(batch, None);
            return if batch.is_empty() { Step::Blocked } else { Step::More };
        };
        let mut reading = Reading {
            root,
            reader: &mut self.reader,
            bodies: &mut self.bodies,
            interpreter: &mut self.interpreter,
            later: self.later,
        };
        pass.read(&mut self.ledger, batch, &mut reading);
        fail::fail_point!("lines::after_position");
        if !batch.is_empty() || !pass.is_over() || self.ledger.unsaved {
            return Step::More;
        }
        self.stale = if pass.stale { self.stale.saturating_add(1) } else { 0 };
        self.state = State::Idle;
        match self.stale {
            0 if self.troubles().next().is_none() => Step::CaughtUp,
            1..STALE_PASSES => Step::More,
            _ => Step::Blocked,
        }
    }

    fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.trouble.iter().chain(self.ledger.lineages.values().filter_map(|lineage| lineage.trouble.as_ref()))
    }

    fn condition(&self) -> Condition {
        // What needs an operator first.
        let worst = self.troubles().min_by_key(|trouble| !matches!(trouble, Trouble::Lost(_)));
        match worst.cloned() {
            Some(Trouble::Lost(failure)) => Condition::Halted(failure),
            Some(Trouble::Waiting(code, detail)) => Condition::Waiting { code, detail },
            None => Condition::Following,
        }
    }
}

impl Source for LinesSource {
    fn next(&mut self, batch: &mut ChangeBatch) -> Result<Step, Failure> {
        if matches!(self.state, State::Idle) {
            let listing = self.list();
            self.take_in(listing);
        }
        Ok(self.read_on(batch))
    }

    fn wait(&mut self) -> Woken {
        self.waited = true;
        // What waits for others to finish their work is looked at again soon.
        if self.stale > 0 || self.troubles().any(|trouble| matches!(trouble, Trouble::Waiting(..))) {
            self.watch.wait_at_most(self.config.cadence.poll)
        } else {
            self.watch.wait()
        }
    }

    fn durable(&mut self, _until: Sequence) -> Result<(), Failure> {
        // Positions travel with the changes; nothing here waits for their durability.
        Ok(())
    }

    fn needs_from(&self) -> Option<Sequence> {
        None
    }

    fn noticing(&self) -> Option<Noticing> {
        Some(self.watch.state().into())
    }

    fn conditions(&self) -> Vec<(StreamId, Condition)> {
        let condition = self.condition();
        self.interpreter.streams().iter().map(|stream| (stream.id, condition.clone())).collect()
    }

    fn adopt(&mut self, _stream: StreamId, _keys: Vec<Vec<u8>>) -> bool {
        false
    }

    fn decide(&mut self, decision: &Decision) -> bool {
        let ours = self.interpreter.streams().iter().any(|stream| stream.id == decision.stream);
        let halted = self.troubles().any(|trouble| matches!(trouble, Trouble::Lost(_)));
        if !ours || !halted || decision.subject != FILE_SHRANK {
            return false;
        }
        if decision.accepts() {
            self.ledger.accept_losses();
            self.reader.leave();
            self.state = State::Idle;
        }
        true
    }
}

fn root_trouble(error: &RootError) -> Trouble {
    match error {
        RootError::Unconfined => {
            Trouble::Lost(Failure::new(FailureClass::Halt, "openat2_unavailable", error.to_string()))
        }
        RootError::Unreadable { .. } => Trouble::Waiting(error.code(), error.to_string()),
    }
}

#[cfg(test)]
mod tests;
