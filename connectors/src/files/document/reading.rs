//! The first pass over a revision: split, hash, compare; nothing is handed out and nothing changes in the index.
//!
//! Records that are not as captured are checked to be JSON and noted with their place; small ones are kept, up to
//! [`KEPT_BYTES`]. Keeps promise 10: what follows is only allowed when the whole document parsed and the file stood still
//! from open to end.

use crate::files::index::SlotId;
use crate::files::index::diff::{Diff, Outcome, Verdict};
use crate::files::index::ledger::Ledger;
use crate::files::root::FileStat;
use crate::files::split::{Body, Name, NotJson, Origin, Progress, RecordSink, Shape, SplitError, Splitter};
use landfall_schemas::hash::RowHash;
use landfall_schemas::json::{self, check_syntax};
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::{KeyFrom, KeySpec};
use landfall_schemas::rejection::RejectCode;
use std::fs::File;
use std::time::Instant;

/// Changed records kept in memory between the passes: most revisions change less, and then need no second reading.
const KEPT_BYTES: usize = 8 << 20;
/// Bytes read in one step, so that a step of a large document stays short.
const STEP_BYTES: u64 = 16 << 20;

/// Room is made for at most this many times the records seen: what lies ahead may be of another kind.
const FURTHEST: u128 = 16;

/// A record that is to be handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub stream: u16,
    /// `None`: an upsert.
    pub reject: Option<RejectCode>,
    /// Where in the kept bytes; `None`: to be read again.
    pub kept: Option<u32>,
    pub slot: SlotId,
    /// For a duplicate: the slot of the record that stands.
    pub first: Option<SlotId>,
    pub at: u64,
    pub len: u64,
    pub hash: RowHash,
}

/// One stream in this revision.
#[derive(Debug)]
pub(super) struct StreamPass {
    pub diff: Diff,
    pub shape: Option<Shape>,
    /// Its records are taken: the pointer leads to a container whose keys are known, and the index is there.
    pub taken: bool,
    /// A record too large to find its key: what seems to be gone may be that one.
    pub unproven_at: Option<u64>,
}

/// What the first pass found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub streams: Vec<StreamPass>,
    pub pending: Vec<Pending>,
    pub duplicates: Vec<Pending>,
    pub kept: Vec<u8>,
}

impl Found {
    pub(super) fn new(ledger: &Ledger) -> Self {
        let pass = |stream: &crate::files::index::ledger::StreamLedger| StreamPass {
            diff: Diff::new(&stream.index),
            shape: None,
            taken: false,
            unproven_at: None,
        };
        Self { streams: ledger.streams.iter().map(pass).collect(), ..Self::default() }
    }

    /// Ends all comparisons.
    pub(super) fn end(self, ledger: &mut Ledger, outcome: Outcome) {
        for (pass, stream) in self.streams.into_iter().zip(&mut ledger.streams) {
            let outcome = if pass.taken { outcome } else { Outcome::Abandoned };
            pass.diff.end(&mut stream.index, outcome);
        }
    }
}

/// The first pass under way.
#[derive(Debug)]
pub(super) struct Reading {
    pub file: File,
    pub stat: FileStat,
    pub began: Instant,
    pub found: Found,
    pub splitter: Splitter,
    key: RecordKey,
}

impl Reading {
    pub(super) fn new(file: File, stat: FileStat, ledger: &Ledger, mut splitter: Splitter) -> Self {
        splitter.restart();
        let found = Found::new(ledger);
        Self { file, stat, began: Instant::now(), found, splitter, key: RecordKey::default() }
    }

    /// Reads on for a while.
    pub(super) fn advance(&mut self, ledger: &mut Ledger) -> Result<Progress, SplitError> {
        let until = self.splitter.position() + STEP_BYTES;
        let mut sink = Comparing { ledger, found: &mut self.found, key: &mut self.key };
        while self.splitter.position() < until {
            if self.splitter.advance(&mut self.file, &mut sink)? == Progress::End {
                return Ok(Progress::End);
            }
        }
        self.make_room(ledger);
        Ok(Progress::More)
    }

    /// Makes room in the index for what the rest of the file holds, if its records go on as they were so far. Where several streams
    /// share a file, how much of the rest is whose is not known.
    fn make_room(&self, ledger: &mut Ledger) {
        if let ([pass], [stream]) = (&self.found.streams[..], &mut ledger.streams[..]) {
            let (records, read) = (u128::from(pass.diff.records()), u128::from(self.splitter.position().max(1)));
            let expected = (records * u128::from(self.stat.size) / read).min(records * FURTHEST);
            stream.index.expect(usize::try_from(expected).unwrap_or_default());
        }
    }
}

struct Comparing<'a> {
    ledger: &'a mut Ledger,
    found: &'a mut Found,
    key: &'a mut RecordKey,
}

impl RecordSink for Comparing<'_> {
    fn container(&mut self, stream: usize, shape: Shape) {
        let ledger = &self.ledger.streams[stream];
        let pass = &mut self.found.streams[stream];
        pass.shape = Some(shape);
        pass.taken = ledger.lost.is_none() && holds_records(&ledger.stream.key, shape);
    }

    fn known(&mut self, origin: Origin<'_>, window: &[u8]) -> Option<usize> {
        let (ledger, pass) = (&self.ledger.streams[origin.stream], &mut self.found.streams[origin.stream]);
        if !pass.taken {
            return None;
        }
        let name = key_name(&ledger.stream.key, origin.name).ok()?;
        pass.diff.guess(&ledger.index, name, window)
    }

    fn record(&mut self, origin: Origin<'_>, body: Body<'_>) -> Result<(), NotJson> {
        match body {
            Body::Whole(raw) if !self.found.streams[origin.stream].taken => checked(origin, raw),
            Body::Whole(raw) => self.whole(origin, raw),
            Body::TooLarge { .. } if !self.found.streams[origin.stream].taken => Ok(()),
            Body::TooLarge { head, len, hash } => {
                self.too_large(origin, head, (hash, len));
                Ok(())
            }
        }
    }
}

/// Whether what a pointer leads to is made of records whose keys can be known.
pub(super) fn holds_records(spec: &KeySpec, shape: Shape) -> bool {
    match shape {
        Shape::Array => matches!(spec.from, KeyFrom::Field(_)),
        Shape::Map => matches!(spec.from, KeyFrom::Field(_) | KeyFrom::Name),
        Shape::Scalar => false,
    }
}

fn checked(origin: Origin<'_>, raw: &[u8]) -> Result<(), NotJson> {
    check_syntax(raw).map_err(|error| {
        let what = if error.code == RejectCode::InvalidUtf8 { "not UTF-8" } else { "not JSON inside a record" };
        NotJson { at: origin.at + error.at as u64, what }
    })
}

/// The name, where the key comes from it; an error where it should and is no text.
pub(super) fn key_name<'a>(spec: &KeySpec, name: Name<'a>) -> Result<Option<&'a str>, RejectCode> {
    match (&spec.from, name) {
        (KeyFrom::Name, Name::Text(text)) => Ok(Some(text)),
        (KeyFrom::Name, Name::Broken) => Err(RejectCode::LoneSurrogate),
        _ => Ok(None),
    }
}

impl Comparing<'_> {
    fn whole(&mut self, origin: Origin<'_>, raw: &[u8]) -> Result<(), NotJson> {
        let ledger = &mut self.ledger.streams[origin.stream];
        let diff = &mut self.found.streams[origin.stream].diff;
        let row = (RowHash::of(raw), raw.len() as u32);
        let spec = &ledger.stream.key;
        let name = key_name(spec, origin.name);
        if let Ok(name) = name
            && diff.take_by_hash(&mut ledger.index, name, row)
        {
            return Ok(());
        }
        let by_field = matches!(spec.from, KeyFrom::Field(_));
        let made = match name {
            Ok(_) if by_field && raw.first() != Some(&b'{') => Err(RejectCode::NotAnObject),
            Ok(name) => key_of(spec, raw, name, self.key),
            Err(code) => Err(code),
        };
        let verdict = match made {
            Ok(()) => diff.take_by_key(&mut ledger.index, self.key, row),
            Err(_) => diff.take_nameless(&mut ledger.index, self.key, row),
        };
        if verdict == Verdict::Unchanged {
            return Ok(());
        }
        checked(origin, raw)?;
        let kept = self.keep(raw);
        self.note(verdict, Pending { reject: made.err(), kept, ..pending(origin, row.0, raw.len() as u64) });
        Ok(())
    }

    fn too_large(&mut self, origin: Origin<'_>, head: &[u8], row: (RowHash, u64)) {
        let (hash, len) = row;
        let ledger = &mut self.ledger.streams[origin.stream];
        let pass = &mut self.found.streams[origin.stream];
        let made = match key_name(&ledger.stream.key, origin.name) {
            Ok(name) if head_holds_key(&ledger.stream.key, head) => key_of(&ledger.stream.key, head, name, self.key),
            _ => Err(RejectCode::KeyMissing),
        };
        // Its length does not fit the index: it is never guessed, always looked for.
        let row = (hash, 0);
        let verdict = match made {
            Ok(()) => pass.diff.take_by_key(&mut ledger.index, self.key, row),
            Err(_) => {
                pass.unproven_at.get_or_insert(origin.at);
                pass.diff.take_nameless(&mut ledger.index, self.key, row)
            }
        };
        let reject = Some(RejectCode::TooLarge);
        self.note(verdict, Pending { reject, ..pending(origin, hash, len) });
    }

    fn keep(&mut self, raw: &[u8]) -> Option<u32> {
        let start = self.found.kept.len();
        if start + raw.len() > KEPT_BYTES {
            return None;
        }
        self.found.kept.extend_from_slice(raw);
        Some(start as u32)
    }

    fn note(&mut self, verdict: Verdict, pending: Pending) {
        match verdict {
            Verdict::Unchanged => {}
            Verdict::Changed(slot) => self.found.pending.push(Pending { slot, ..pending }),
            Verdict::Duplicate { group, first } => {
                let reject = Some(RejectCode::DuplicateKey);
                self.found.duplicates.push(Pending { slot: group, first: Some(first), reject, ..pending });
            }
        }
    }
}

fn pending(origin: Origin<'_>, hash: RowHash, len: u64) -> Pending {
    let stream = origin.stream as u16;
    Pending { stream, reject: None, kept: None, slot: SlotId(0), first: None, at: origin.at, len, hash }
}

/// Whether a key found in the head of a record stands there whole.
pub(super) fn head_holds_key(spec: &KeySpec, head: &[u8]) -> bool {
    match &spec.from {
        KeyFrom::Field(path) => {
            let found = json::field(head, path).ok().flatten();
            found.is_some_and(|value| value.as_ptr_range().end < head.as_ptr_range().end)
        }
        _ => true,
    }
}
