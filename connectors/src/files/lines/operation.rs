//! What a line says: a record to write, or an operation of its own.
//!
//! Owns the formats and the way from the bytes of one line to changes in the batch, one per stream. Looks only as far as
//! the operation and the key need; the worker checks the whole record once. Keeps promise 13: what cannot become a change
//! is handed out as a reject, with its place and a bounded head.

use crate::source::SourceStream;
use landfall_schemas::event::{ChangeBatch, Op, Place};
use landfall_schemas::json::{self, RawString};
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::{FieldPath, KeyFrom};
use landfall_schemas::rejection::RejectCode;

/// Most payload bytes of a rejected line, but for `too_large`: enough to mend a line by hand.
const REJECT_BYTES: usize = 64 << 10;

/// How lines are understood.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum LinesFormat {
    /// A line is a record.
    #[default]
    Record,
    /// A line names its operation in a field.
    Operation {
        /// Where the operation stands; a string, or any other scalar compared by its text.
        field: FieldPath,
        /// Values that delete.
        delete: Vec<String>,
        /// Values that write.
        upsert: Vec<String>,
        /// Where the record stands; none: the line itself. A delete without a record takes its key from the line.
        record: Option<FieldPath>,
    },
    /// Debezium's envelope, bare or under `payload`: `op` c, r, u with `after`, d with `before`.
    Debezium,
}

/// Paths of the Debezium envelope.
#[derive(Debug)]
struct Envelope {
    payload: FieldPath,
    op: FieldPath,
    before: FieldPath,
    after: FieldPath,
}

/// A line understood: what to do, and the text that holds record and key.
#[derive(Clone, Copy)]
struct Understood<'a> {
    op: Op,
    record: &'a [u8],
}

/// Turns lines into changes.
#[derive(Debug)]
pub(super) struct Interpreter {
    format: LinesFormat,
    streams: Vec<SourceStream>,
    envelope: Envelope,
    key: RecordKey,
}

impl Interpreter {
    /// For these streams: each line goes to each of them.
    pub(super) fn new(format: LinesFormat, streams: Vec<SourceStream>) -> Self {
        let path = |name: &str| FieldPath::parse(name).expect("a plain name is a path");
        let envelope =
            Envelope { payload: path("payload"), op: path("op"), before: path("before"), after: path("after") };
        Self { format, streams, envelope, key: RecordKey::default() }
    }

    /// The streams.
    pub(super) fn streams(&self) -> &[SourceStream] {
        &self.streams
    }

    /// Hands out one terminated line, without its line end. A blank line is nothing.
    pub(super) fn line(&mut self, batch: &mut ChangeBatch, line: &[u8], origin: (&str, Place)) {
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        if std::str::from_utf8(line).is_err() {
            return self.reject(batch, (line, RejectCode::InvalidUtf8), origin);
        }
        match self.understand(line) {
            Ok(understood) => {
                for stream in 0..self.streams.len() {
                    self.change(batch, stream, (line, understood, origin));
                }
            }
            Err(RejectCode::UnknownOperation) => self.unknown(batch, line, origin),
            Err(code) => self.reject(batch, (line, code), origin),
        }
    }

    /// Hands out the unterminated last line of a closed generation: only here is the whole of it checked, since it may
    /// have been cut.
    pub(super) fn last_line(&mut self, batch: &mut ChangeBatch, line: &[u8], origin: (&str, Place)) {
        match json::check_syntax(line) {
            Err(error) if !line.iter().all(u8::is_ascii_whitespace) => self.reject(batch, (line, error.code), origin),
            _ => self.line(batch, line, origin),
        }
    }

    /// Hands out what could not become a change, under the key of its place.
    pub(super) fn reject(&mut self, batch: &mut ChangeBatch, what: (&[u8], RejectCode), origin: (&str, Place)) {
        let (raw, code) = what;
        let (slot, place) = origin;
        let raw = &raw[..raw.len().min(REJECT_BYTES)];
        self.key.place(slot, place.at);
        for stream in &self.streams {
            batch.reject(stream.id, &self.key, (raw, None, code), place);
        }
    }

    fn change(&mut self, batch: &mut ChangeBatch, stream: usize, what: (&[u8], Understood<'_>, (&str, Place))) {
        let (line, Understood { op, record }, (slot, place)) = what;
        let stream = &self.streams[stream];
        let key = if stream.key.from == KeyFrom::Position {
            self.key.place(slot, place.at);
            Ok(())
        } else {
            key_of(&stream.key, record, None, &mut self.key)
        };
        match key {
            Ok(()) if op == Op::Delete => {
                batch.delete(stream.id, &self.key, place);
            }
            Ok(()) => {
                batch.upsert(stream.id, &self.key, (record, None), place);
            }
            Err(code) => {
                // No key may only mean that this is no JSON at all.
                let code = match code {
                    RejectCode::KeyMissing => json::check_syntax(line).map_or_else(|error| error.code, |()| code),
                    code => code,
                };
                self.key.place(slot, place.at);
                let raw = &line[..line.len().min(REJECT_BYTES)];
                batch.reject(stream.id, &self.key, (raw, None, code), place);
            }
        }
    }

    /// An operation nobody knows. Under the record's key where that can be read, so that later changes of it wait behind.
    fn unknown(&mut self, batch: &mut ChangeBatch, line: &[u8], origin: (&str, Place)) {
        let (slot, place) = origin;
        let record = self.any_record(line).unwrap_or(line);
        let raw = &line[..line.len().min(REJECT_BYTES)];
        for stream in &self.streams {
            let keyed =
                stream.key.from != KeyFrom::Position && key_of(&stream.key, record, None, &mut self.key).is_ok();
            if !keyed {
                self.key.place(slot, place.at);
            }
            batch.reject(stream.id, &self.key, (raw, None, RejectCode::UnknownOperation), place);
        }
    }

    fn any_record<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        match &self.format {
            LinesFormat::Record => None,
            LinesFormat::Operation { record, .. } => present(line, record.as_ref()?).ok()?,
            LinesFormat::Debezium => {
                let body = present(line, &self.envelope.payload).ok()?.unwrap_or(line);
                let after = present(body, &self.envelope.after).ok()?;
                after.or_else(|| present(body, &self.envelope.before).ok()?)
            }
        }
    }

    fn understand<'a>(&self, line: &'a [u8]) -> Result<Understood<'a>, RejectCode> {
        match &self.format {
            LinesFormat::Record => Ok(Understood { op: Op::Upsert, record: line }),
            LinesFormat::Operation { field, delete, upsert, record } => {
                let op = json::field(line, field).map_err(|error| error.code)?;
                let op = op.ok_or_else(|| no_operation(line))?;
                let found = match record {
                    Some(path) => present(line, path)?,
                    None => Some(line),
                };
                if delete.iter().any(|value| says(op, value)) {
                    Ok(Understood { op: Op::Delete, record: found.unwrap_or(line) })
                } else if upsert.iter().any(|value| says(op, value)) {
                    let record = found.ok_or(RejectCode::NotAnObject)?;
                    Ok(Understood { op: Op::Upsert, record })
                } else {
                    Err(RejectCode::UnknownOperation)
                }
            }
            LinesFormat::Debezium => self.debezium(line),
        }
    }

    fn debezium<'a>(&self, line: &'a [u8]) -> Result<Understood<'a>, RejectCode> {
        let body = present(line, &self.envelope.payload)?.unwrap_or(line);
        let op = json::field(body, &self.envelope.op).map_err(|error| error.code)?;
        let op = op.ok_or_else(|| no_operation(line))?;
        let (op, image) = match op {
            br#""c""# | br#""r""# | br#""u""# => (Op::Upsert, &self.envelope.after),
            br#""d""# => (Op::Delete, &self.envelope.before),
            _ => return Err(RejectCode::UnknownOperation),
        };
        let record = present(body, image)?.ok_or(RejectCode::NotAnObject)?;
        Ok(Understood { op, record })
    }
}

/// A line without an operation: of another kind, or no JSON at all.
fn no_operation(line: &[u8]) -> RejectCode {
    json::check_syntax(line).map_or_else(|error| error.code, |()| RejectCode::UnknownOperation)
}

/// The value at `path`, unless it is missing or null.
fn present<'a>(text: &'a [u8], path: &FieldPath) -> Result<Option<&'a [u8]>, RejectCode> {
    let found = json::field(text, path).map_err(|error| error.code)?;
    Ok(found.filter(|value| *value != b"null"))
}

/// A string that says `text`, or another scalar written so.
fn says(value: &[u8], text: &str) -> bool {
    RawString::of_value(value).map_or(value == text.as_bytes(), |string| string.is(text))
}

#[cfg(test)]
mod tests;
