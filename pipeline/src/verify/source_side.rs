//! The source's side: every record as a second reading meets it, through the mapping, as rows and their hashes.

use super::fingerprint::{Fingerprints, KeptKey, Places, RecordId, Sum};
use super::progress::{Counted, Progress};
use super::record_state::PERHAPS;
use super::sample::Sample;
use super::spill::{Entry, Kind, Spill, Spilled};
use crate::transform::RowPlan;
use landfall_connectors::failure::{Failure, FailureClass};
use landfall_connectors::reread::{NOT_JSON, Part, Repeats, Said, Seen, Taker};
use landfall_schemas::mapping::{RecordFormat, StreamMapping};
use landfall_schemas::offset::Version;
use landfall_schemas::rejection::RejectCode;
use landfall_schemas::row::RowSet;
use std::path::PathBuf;
use std::sync::Arc;

/// What no source says; left out of every comparison.
const NO_VERSION: Version = Version(0);

/// One stream's mapping, and what it makes of records.
#[derive(Debug)]
pub(super) struct Lens {
    plan: RowPlan,
    prints: Fingerprints,
    rows: RowSet,
    /// The row in the stream's own table of the record viewed last; empty when it has none.
    own: std::ops::Range<usize>,
    /// Its records stand in a document that was not looked into.
    of_document: bool,
}

/// A record through the mapping.
#[derive(Clone, Debug)]
pub(super) struct Viewed {
    pub(super) record: RecordId,
    pub(super) kind: Kind,
    pub(super) sum: Sum,
    pub(super) key: KeptKey,
}

/// How places are told, by what repeated keys mean: only lines have files of their own.
pub(super) fn places(repeats: Repeats) -> Places {
    match repeats {
        Repeats::FirstStands => Places::Whole,
        Repeats::LastStands => Places::WithoutGeneration,
    }
}

fn is_no_json(code: RejectCode) -> bool {
    matches!(code, RejectCode::Malformed | RejectCode::InvalidUtf8)
}

/// The chain of a key, marked where capture has read it only perhaps.
pub(super) fn marked(seen: &Seen<'_>) -> u16 {
    seen.chain | if seen.part == Part::Perhaps { PERHAPS } else { 0 }
}

impl Lens {
    pub(super) fn new(stream: &StreamMapping, places: Places) -> Self {
        let (plan, prints) = (RowPlan::new(stream), Fingerprints::of(stream, places));
        let of_document = places == Places::Whole && stream.format == RecordFormat::Json;
        Self { plan, prints, rows: RowSet::default(), own: 0..0, of_document }
    }

    /// What is said of a key, as rows. A record of a whole document that is no JSON is an error: see [`NOT_JSON`]. Rows stay until the next call: see [`Lens::rows`].
    pub(super) fn view(&mut self, key: &[u8], said: Said<'_>) -> Result<Viewed, Failure> {
        self.rows.clear();
        self.own = 0..0;
        let kind = match said {
            Said::Record(record) => match self.plan.upsert(key, record, NO_VERSION, &mut self.rows) {
                Ok(Some(encoded)) => {
                    self.own = encoded.fields;
                    return Ok(self.sum());
                }
                Ok(None) => Kind::Gone,
                Err(rejection) if self.of_document && is_no_json(rejection.code) => {
                    return Err(Failure::new(FailureClass::Transient, NOT_JSON, "a record is not JSON"));
                }
                Err(_) => Kind::Unmappable,
            },
            Said::Deleted => Kind::Gone,
            Said::Rejected(_) => Kind::Unmappable,
            Said::Unreadable => Kind::Unreadable,
        };
        let (record, key) = self.record(key);
        self.rows.clear();
        Ok(Viewed { record, kind, sum: Sum::default(), key })
    }

    fn sum(&mut self) -> Viewed {
        let print = self.prints.row(0, &self.rows.buffer[self.own.clone()]);
        let (record, key) = (print.record, KeptKey::Field(print.key.into()));
        let mut sum = Sum { hash: print.hash, rows: 1 };
        for child in &self.rows.children {
            let print = self.prints.row(usize::from(child.table) + 1, &self.rows.buffer[child.fields.clone()]);
            sum.add(Sum { hash: print.hash, rows: 1 });
        }
        Viewed { record, kind: Kind::Rows, sum, key }
    }

    /// The rows of the record viewed last, with the numbers of their tables.
    pub(super) fn rows(&self) -> Vec<(usize, Vec<u8>)> {
        if self.own.is_empty() {
            return Vec::new();
        }
        let below = self.rows.children.iter();
        let below = below.map(|child| (usize::from(child.table) + 1, self.rows.buffer[child.fields.clone()].to_vec()));
        std::iter::once((0, self.rows.buffer[self.own.clone()].to_vec())).chain(below).collect()
    }

    /// The record of an encoded key.
    pub(super) fn record(&mut self, key: &[u8]) -> (RecordId, KeptKey) {
        self.rows.clear();
        match self.plan.delete(key, NO_VERSION, &mut self.rows) {
            Ok(encoded) => self.prints.record(&self.rows.buffer[encoded.fields]),
            Err(_) => self.prints.odd_record(key),
        }
    }

    pub(super) fn prints(&mut self) -> &mut Fingerprints {
        &mut self.prints
    }
}

/// Takes a whole reading into spills, one for each stream.
#[derive(Debug)]
pub(super) struct SourceSide {
    streams: Vec<OneStream>,
    sample: Sample,
    stored: Vec<u8>,
}

#[derive(Debug)]
struct OneStream {
    lens: Lens,
    spill: Spill,
    counted: Arc<Counted>,
    /// Keys met, and of them those that capture has read only perhaps.
    seen: u64,
    perhaps: u64,
}

/// A stream's side when all was read.
#[derive(Debug)]
pub(super) struct ReadSource {
    pub(super) spilled: Spilled,
    /// Keys met: of lines, as many as there are lines that capture has read surely, and perhaps.
    pub(super) seen: (u64, u64),
}

impl SourceSide {
    /// Spills into `directory`, one file a stream.
    pub(super) fn create(
        streams: &[&StreamMapping],
        repeats: Repeats,
        files: &[PathBuf],
        (sample, progress): (Sample, &Progress),
    ) -> Result<Self, Failure> {
        let make = |(stream, file): (&&StreamMapping, &PathBuf)| {
            let spill = Spill::create(file, streams.len())?;
            let counted = progress.of(stream.name.as_str());
            counted.begins();
            Ok(OneStream { lens: Lens::new(stream, places(repeats)), spill, counted, seen: 0, perhaps: 0 })
        };
        let streams = streams.iter().zip(files).map(make).collect::<Result<_, Failure>>()?;
        Ok(Self { streams, sample, stored: Vec::new() })
    }

    /// Ends all spills.
    pub(super) fn finish(self) -> Result<Vec<ReadSource>, Failure> {
        let end = |stream: OneStream| {
            let seen = (stream.seen - stream.perhaps, stream.perhaps);
            Ok(ReadSource { spilled: stream.spill.finish()?, seen })
        };
        self.streams.into_iter().map(end).collect()
    }
}

impl Taker for SourceSide {
    fn restart(&mut self) -> Result<(), Failure> {
        for stream in &mut self.streams {
            (stream.seen, stream.perhaps) = (0, 0);
            stream.counted.begins();
            stream.spill.restart()?;
        }
        Ok(())
    }

    fn take(&mut self, seen: &Seen<'_>) -> Result<(), Failure> {
        let stream = &mut self.streams[seen.stream];
        stream.seen += 1;
        stream.perhaps += u64::from(seen.part == Part::Perhaps);
        stream.counted.record();
        if self.sample != Sample::All && !self.sample.takes(stream.lens.record(seen.key).0) {
            return Ok(());
        }
        let viewed = stream.lens.view(seen.key, seen.said)?;
        self.stored.clear();
        viewed.key.store(&mut self.stored);
        // In order within a chain; how chains were interleaved nobody knows.
        let order = u64::from(marked(seen)) << 48 | stream.seen;
        let (record, sum, kind) = (viewed.record, viewed.sum, viewed.kind);
        stream.spill.add(&Entry { record, sum, order, kind, key: &self.stored })
    }
}
