//! `json_document`: a whole JSON file, rewritten in place or replaced, as a source of changes.
//!
//! A revision is taken in two passes ([`reading`], [`handing_out`]): nothing of it is handed out before all of it parsed,
//! the file stood still, and the deletion guard had no question. Keeps promises 6, 10, 11 and 12: what is missing, empty,
//! unreadable, half-written or not a container waits in a named state and deletes nothing. Does not make anything durable
//! and does not parse beyond finding keys.
//!
//! Fails at open when two streams select overlapping parts or the log cannot be read; afterwards everything is a
//! [`Condition`].

mod conditions;
mod fingerprint;
mod handing_out;
mod reading;
mod reread;
mod source;
#[cfg(test)]
mod tests;

use crate::failure::{Failure, FailureClass};
use crate::files::guard::{Guard, Held, Judgement, Loss};
use crate::files::index::FirstRevision;
use crate::files::index::diff::Outcome;
use crate::files::index::ledger::Ledger;
use crate::files::look::Look;
use crate::files::root::{FileStat, Root, Symlinks};
use crate::files::split::{Progress, Selection, SplitError, Splitter};
use crate::files::watch::{Watch, WatchScope};
use crate::source::{Cadence, Condition, SourceStart, SourceStream, Step};
use crate::wake::Wake;
use conditions::{halted_or_following, held_along, of_stream, unopened};
use fingerprint::{Fingerprint, Stored};
use handing_out::{Filled, HandingOut};
use landfall_schemas::event::ChangeBatch;
use landfall_schemas::mapping::Select;
use reading::{Found, Reading};
pub use reread::DocumentReread;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// After a look that found the file half-written or moving, the next one waits this long: a writer is given room, and
/// nobody notices.
const PACE: Duration = Duration::from_millis(10);

/// Where the document is.
#[derive(Clone, Debug)]
pub struct DocumentConfig {
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
    Reading(Box<Reading>),
    HandingOut(Box<HandingOut>),
}

/// Which fingerprint the queue holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Noted {
    /// The one of an earlier run.
    Stored,
    /// This one.
    Sent(Fingerprint),
}

/// A JSON file as a source.
#[derive(Debug)]
pub struct DocumentSource {
    config: DocumentConfig,
    root: Option<Root>,
    watch: Watch,
    wake: Wake,
    ledger: Ledger,
    guards: Vec<Guard>,
    splitter: Option<Splitter>,
    selection: Selection,
    streams: u64,
    stored: Option<Stored>,
    /// The fingerprint that stands in the queue: to be forgotten before a new revision is handed out.
    noted: Option<Noted>,
    look: Option<Look>,
    unripe: bool,
    conditions: Vec<Condition>,
    state: State,
}

/// The parts of the document that the streams are.
fn selection(streams: &[SourceStream]) -> Result<Selection, Failure> {
    let pointer = |stream: &SourceStream| match &stream.select {
        Select::Whole => Ok(Vec::new()),
        Select::Pointer(tokens) => Ok(tokens.clone()),
        Select::Collection(_) => Err(Failure::new(FailureClass::Halt, "select_shape", "a document has no collections")),
    };
    let pointers: Vec<Vec<String>> = streams.iter().map(pointer).collect::<Result<_, _>>()?;
    Selection::new(&pointers).map_err(|overlap| Failure::new(FailureClass::Halt, "select_overlap", overlap.to_string()))
}

impl DocumentSource {
    /// Opens the source; the file need not be there.
    pub fn open(config: DocumentConfig, start: SourceStart) -> Result<Self, Failure> {
        let selection = selection(&start.streams)?;
        let ledger = Ledger::open(&start)?;
        let directory = config.file.parent().map_or(config.root.clone(), |below| config.root.join(below));
        let watch = Watch::new(&directory, WatchScope::Directory, start.wake.clone(), config.cadence);
        let streams = xxh3_64(format!("{:?}", start.streams).as_bytes());
        let conditions = ledger.streams.iter().map(|stream| halted_or_following(stream.lost.as_ref())).collect();
        Ok(Self {
            config,
            root: None,
            watch,
            wake: start.wake,
            guards: ledger.streams.iter().map(|_| Guard::default()).collect(),
            ledger,
            splitter: None,
            selection,
            streams,
            stored: Fingerprint::stored(&start.positions),
            noted: None,
            look: None,
            unripe: false,
            conditions,
            state: State::Idle,
        })
    }

    fn path(&self) -> String {
        self.config.root.join(&self.config.file).display().to_string()
    }

    /// Nothing to do for now.
    fn quiet(&self) -> Step {
        let calm = self.conditions.iter().all(|condition| *condition == Condition::Following);
        if calm { Step::CaughtUp } else { Step::Blocked }
    }

    fn set_all(&mut self, condition: &Condition) {
        for (at, stream) in self.ledger.streams.iter().enumerate() {
            if stream.lost.is_none() {
                self.conditions[at] = condition.clone();
            }
        }
    }

    fn wait_all(&mut self, code: &'static str, detail: String) -> Step {
        self.set_all(&Condition::Waiting { code, detail });
        self.quiet()
    }

    /// Looks at the file, and begins to read it if it may have changed.
    fn look(&mut self) -> Step {
        if self.root.as_ref().is_none_or(|root| !root.is_current()) {
            self.root = match Root::open(&self.config.root, self.config.symlinks) {
                Ok(root) => Some(root),
                Err(error) => {
                    self.look = None;
                    return self.wait_all(error.code(), format!("{error}; nothing is deleted while it is away"));
                }
            };
        }
        let opened = self.root.as_ref().map(|root| root.open_file(&self.config.file));
        let path = self.path();
        let (file, stat) = match opened {
            Some(Ok((_, stat))) if stat.size == 0 => {
                self.look = None;
                return self.wait_all(
                    "empty",
                    format!("{path} is empty (0 bytes): write a JSON document; nothing is deleted"),
                );
            }
            Some(Ok(opened)) => opened,
            Some(Err(error)) => {
                self.look = None;
                let (code, what) = unopened(&error);
                return self.wait_all(code, format!("{path} {what}; nothing is deleted while it is away"));
            }
            None => return self.quiet(),
        };
        if self.stands_still(&stat) {
            return self.quiet();
        }
        let splitter = self.splitter.take().unwrap_or_else(|| Splitter::new(self.selection.clone()));
        self.state = State::Reading(Box::new(Reading::new(file, stat, &self.ledger, splitter)));
        Step::More
    }

    /// The file is as it was when it was read last.
    fn stands_still(&mut self, stat: &FileStat) -> bool {
        if let Some(look) = &self.look {
            return look.stat == *stat && look.due_in().is_none_or(|due| !due.is_zero());
        }
        let Some(stored) = self.stored.take() else { return false };
        let complete = self
            .ledger
            .streams
            .iter()
            .all(|stream| stream.lost.is_none() && stream.standing.first == FirstRevision::Complete);
        // It stands in the queue: what is handed out next makes it untrue.
        self.noted = Some(Noted::Stored);
        let still = complete && stored.covers(stat, self.streams);
        if still {
            self.look = Some(Look { stat: *stat, began: Instant::now(), settled: true });
            self.set_all(&Condition::Following);
        }
        still
    }

    fn read_on(&mut self, mut reading: Box<Reading>, batch: &mut ChangeBatch) -> Step {
        match reading.advance(&mut self.ledger) {
            Ok(Progress::More) => {
                self.state = State::Reading(reading);
                return Step::More;
            }
            Ok(Progress::End) => {}
            Err(error) => return self.unparsed(*reading, error),
        }
        fail::fail_point!("document::after_pass1");
        let Reading { file, stat, began, found, splitter, .. } = *reading;
        self.splitter = Some(splitter);
        if !self.stood_still(&file, &stat) {
            return self.moved(found);
        }
        self.look = Some(Look::new(stat, began, self.look.as_ref()));
        self.unripe = false;
        self.judge(HandingOut::new((file, stat), found, &self.ledger), batch)
    }

    fn stood_still(&self, file: &std::fs::File, stat: &FileStat) -> bool {
        let named = self.root.as_ref().and_then(|root| root.stat_file(&self.config.file).ok());
        FileStat::of(file).is_ok_and(|now| now == *stat) && named.is_some_and(|now| now == *stat)
    }

    /// The file changed while it was read: soon again.
    fn moved(&mut self, found: Found) -> Step {
        found.end(&mut self.ledger, Outcome::Abandoned);
        self.look = None;
        self.unripe = true;
        if !self.wake.is_stopping() {
            std::thread::sleep(PACE);
        }
        Step::More
    }

    fn unparsed(&mut self, reading: Reading, error: SplitError) -> Step {
        let Reading { file, stat, began, found, splitter, .. } = reading;
        self.splitter = Some(splitter);
        if !self.stood_still(&file, &stat) {
            return self.moved(found);
        }
        found.end(&mut self.ledger, Outcome::Abandoned);
        self.unripe = true;
        let path = self.path();
        match error {
            SplitError::NotJson(error) => {
                self.look = Some(Look::new(stat, began, self.look.as_ref()));
                let advice =
                    "the last complete revision stands; it goes on when the file is whole, valid JSON in UTF-8";
                self.wait_all("unparsable", format!("{path}, {error}; {advice}"))
            }
            SplitError::Read(error) => {
                self.look = None;
                self.wait_all(
                    "unreadable",
                    format!("{path} cannot be read: {error}; nothing is deleted while it is away"),
                )
            }
        }
    }

    /// Asks the guards, before anything is handed out.
    fn judge(&mut self, out: HandingOut, batch: &mut ChangeBatch) -> Step {
        let path = self.path();
        let mut accepted = vec![false; self.guards.len()];
        let mut held: Vec<Option<Held>> = vec![None; self.guards.len()];
        for (at, pass) in out.found.streams.iter().enumerate() {
            self.conditions[at] = of_stream(&self.ledger.streams[at], pass, &path);
            if !pass.taken || pass.unproven_at.is_some() {
                continue;
            }
            let stream = &self.ledger.streams[at];
            let loss = Loss { deletes: pass.diff.vanished(&stream.index), of: stream.index.records() };
            match self.guards[at].judge(pass.diff.digest(), stream.standing.accepted, loss) {
                Judgement::Pass => {}
                Judgement::Accepted => accepted[at] = true,
                Judgement::Hold(hold) => held[at] = Some(hold),
            }
        }
        if held.iter().any(Option::is_some) {
            return self.hold(out, held);
        }
        let place = self.config.file.display().to_string();
        let out = out.named(&place, accepted);
        if out.is_empty(&self.ledger) {
            return self.finish(out, batch);
        }
        self.state = State::HandingOut(Box::new(out));
        Step::More
    }

    fn hold(&mut self, out: HandingOut, held: Vec<Option<Held>>) -> Step {
        for (at, held) in held.into_iter().enumerate() {
            match held {
                Some(held) => self.conditions[at] = held.condition(),
                None if self.conditions[at] == Condition::Following => {
                    self.conditions[at] = held_along(&self.path());
                }
                None => {}
            }
        }
        out.end(&mut self.ledger, Outcome::Abandoned);
        Step::Blocked
    }

    fn hand_out(&mut self, mut out: Box<HandingOut>, batch: &mut ChangeBatch) -> Step {
        if self.noted.take().is_some() {
            batch.reached(Fingerprint::forget());
        }
        match out.fill(&mut self.ledger, batch) {
            Filled::Batch => {
                self.state = State::HandingOut(out);
                Step::More
            }
            Filled::All => self.finish(*out, batch),
            Filled::Torn => {
                out.end(&mut self.ledger, Outcome::Abandoned);
                self.look = None;
                self.unripe = true;
                Step::More
            }
        }
    }

    /// The revision is through: what it was is noted, if every stream took it.
    fn finish(&mut self, out: HandingOut, batch: &mut ChangeBatch) -> Step {
        let mut digests = Vec::new();
        for pass in &out.found.streams {
            digests.extend_from_slice(&pass.diff.digest().to_le_bytes());
        }
        let look = self.look;
        out.end(&mut self.ledger, Outcome::HandedOut);
        if let Some(look) = look.filter(|_| self.conditions.iter().all(|condition| *condition == Condition::Following))
        {
            let print = Fingerprint {
                stat: look.stat,
                settled: look.settled,
                streams: self.streams,
                digest: xxh3_128(&digests),
            };
            if self.noted != Some(Noted::Sent(print)) {
                batch.reached(print.update());
                self.noted = Some(Noted::Sent(print));
            }
        }
        if batch.is_empty() { self.quiet() } else { Step::More }
    }

    fn save(&mut self) {
        if matches!(self.state, State::Idle) {
            self.ledger.save_due();
        }
    }
}
