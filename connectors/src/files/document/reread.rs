//! The document read a second time: split anew, keys found anew, nothing taken from index or fingerprint.
//!
//! Records are not looked into: whoever takes them maps them, and says when one is no JSON. A revision counts when the whole of it parsed and the open file stood still meanwhile; otherwise it is read again, for a while, since a
//! writer in place is a matter of moments. Fails with `missing`, `unreadable`, `unparsable` or `store_moving`.

use super::reading::{head_holds_key, holds_records, key_name};
use super::{DocumentConfig, selection};
use crate::failure::{Failure, FailureClass};
use crate::files::root::{FileStat, OpenError, Root};
use crate::files::split::{Body, NotJson, Origin, Progress, RecordSink, Shape, SplitError, Splitter};
use crate::reread::{NOT_JSON, Nameless, Part, Repeats, Reread, Said, Seen, Taker};
use crate::source::SourceStream;
use landfall_schemas::hash::RowHash;
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::KeyFrom;
use landfall_schemas::rejection::RejectCode;
use std::time::{Duration, Instant};

/// How long a document that is being written is read again before it is given up, and how often at least.
const LONGEST: Duration = Duration::from_secs(10);
const LEAST_ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(50);

/// A JSON file to be read a second time.
#[derive(Debug)]
pub struct DocumentReread {
    config: DocumentConfig,
    streams: Vec<SourceStream>,
    splitter: Splitter,
}

/// Why one reading gave nothing.
enum Ended {
    /// Another one may.
    Torn(Failure),
    Failed(Failure),
}

impl DocumentReread {
    /// For these streams of the document; opens nothing yet. Fails as the source does when two of them overlap.
    pub fn new(config: DocumentConfig, streams: Vec<SourceStream>) -> Result<Self, Failure> {
        let splitter = Splitter::new(selection(&streams)?);
        Ok(Self { config, streams, splitter })
    }

    fn failure(&self, code: &'static str, what: &str) -> Failure {
        let path = self.config.root.join(&self.config.file);
        Failure::new(FailureClass::Transient, code, format!("{}: {what}", path.display()))
    }

    fn once(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Ended> {
        let root = Root::open(&self.config.root, self.config.symlinks)
            .map_err(|error| Ended::Failed(self.failure(error.code(), &error.to_string())))?;
        let (mut file, stat) = root.open_file(&self.config.file).map_err(|error| match error {
            // A file that is replaced by removing it first is away for a moment.
            OpenError::Missing => Ended::Torn(self.failure("missing", "it is not there")),
            OpenError::Skipped(reason) => Ended::Failed(self.failure(reason.name(), "it is not read")),
            OpenError::Unreadable(errno) => Ended::Failed(self.failure("unreadable", &errno.to_string())),
        })?;
        self.splitter.restart();
        let mut sink = Taking {
            streams: &self.streams,
            taker,
            key: RecordKey::default(),
            nameless: self.streams.iter().map(|_| Nameless::default()).collect(),
            shapes: vec![None; self.streams.len()],
            failed: None,
        };
        let outcome = loop {
            match self.splitter.advance(&mut file, &mut sink) {
                Ok(Progress::End) => break Ok(()),
                Ok(Progress::More) => {}
                Err(error) => break Err(error),
            }
        };
        let Taking { shapes, failed, .. } = sink;
        if let Some(failure) = failed {
            let torn = failure.code == NOT_JSON;
            return Err(if torn { Ended::Torn(failure) } else { Ended::Failed(failure) });
        }
        outcome.map_err(|error| match error {
            SplitError::Read(error) => Ended::Failed(self.failure("unreadable", &error.kind().to_string())),
            SplitError::NotJson(what) => Ended::Torn(self.failure("unparsable", &what.to_string())),
        })?;
        if !FileStat::of(&file).is_ok_and(|now| now == stat) {
            return Err(Ended::Torn(self.failure("store_moving", "it changed while it was read")));
        }
        let unread = |(stream, shape): (&SourceStream, Option<Shape>)| match shape {
            Some(shape) if holds_records(&stream.key, shape) => None,
            _ => Some(self.failure(
                "no_container",
                &format!("what stream {} selects is not there, or has no records with keys", stream.name),
            )),
        };
        Ok(self.streams.iter().zip(shapes).map(unread).collect())
    }
}

impl Reread for DocumentReread {
    fn repeats(&self) -> Repeats {
        Repeats::FirstStands
    }

    fn read(&mut self, taker: &mut dyn Taker) -> Result<Vec<Option<Failure>>, Failure> {
        let (began, mut attempt) = (Instant::now(), 1);
        loop {
            match self.once(taker) {
                Ok(read) => return Ok(read),
                Err(Ended::Failed(failure)) => return Err(failure),
                Err(Ended::Torn(failure)) if attempt >= LEAST_ATTEMPTS && began.elapsed() > LONGEST => {
                    return Err(failure);
                }
                Err(Ended::Torn(_)) => {
                    attempt += 1;
                    std::thread::sleep(PAUSE);
                    taker.restart()?;
                }
            }
        }
    }
}

struct Taking<'a> {
    streams: &'a [SourceStream],
    taker: &'a mut dyn Taker,
    key: RecordKey,
    nameless: Vec<Nameless>,
    shapes: Vec<Option<Shape>>,
    /// What the taker said; the walk is then ended as if the text were broken.
    failed: Option<Failure>,
}

impl RecordSink for Taking<'_> {
    fn container(&mut self, stream: usize, shape: Shape) {
        self.shapes[stream] = Some(shape);
    }

    fn known(&mut self, _: Origin<'_>, _: &[u8]) -> Option<usize> {
        None
    }

    fn record(&mut self, origin: Origin<'_>, body: Body<'_>) -> Result<(), NotJson> {
        let spec = &self.streams[origin.stream].key;
        let taken = self.shapes[origin.stream].is_some_and(|shape| holds_records(spec, shape));
        if !taken {
            return Ok(());
        }
        let (raw, too_large) = match body {
            Body::Whole(raw) => (raw, None),
            Body::TooLarge { head, .. } => (head, Some(RejectCode::TooLarge)),
        };
        let by_field = matches!(spec.from, KeyFrom::Field(_));
        let made = match key_name(spec, origin.name) {
            Ok(_) if by_field && raw.first() != Some(&b'{') => Err(RejectCode::NotAnObject),
            Ok(_) if too_large.is_some() && !head_holds_key(spec, raw) => Err(RejectCode::KeyMissing),
            Ok(name) => key_of(spec, raw, name, &mut self.key),
            Err(code) => Err(code),
        };
        if made.is_err() {
            let hash = match body {
                Body::Whole(raw) => RowHash::of(raw),
                Body::TooLarge { hash, .. } => hash,
            };
            self.nameless[origin.stream].name(hash, &mut self.key);
        }
        let said = match made.err().or(too_large) {
            Some(code) => Said::Rejected(code),
            None => Said::Record(raw),
        };
        let seen = Seen { stream: origin.stream, key: self.key.as_bytes(), said, chain: 0, part: Part::Sure };
        self.taker.take(&seen).map_err(|failure| {
            self.failed = Some(failure);
            NotJson { at: origin.at, what: "not taken" }
        })
    }
}
