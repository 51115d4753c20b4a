//! What each file of the directory was when it was read last.
//!
//! A file is read whole, or not at all: between open and end its numbers must stand still (promise 10). One that is
//! half-written, not JSON or unreadable waits by itself and keeps the key it had.

use crate::files::look::Look;
use crate::files::root::{FileStat, OpenError, Root};
use landfall_schemas::hash::RowHash;
use landfall_schemas::json::{MAX_RECORD_BYTES, check_syntax};
use landfall_schemas::key::{RecordKey, key_of};
use landfall_schemas::mapping::{KeyFrom, KeySpec};
use landfall_schemas::rejection::RejectCode;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;
use xxhash_rust::xxh3::Xxh3;

/// One file, read.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub look: Look,
    pub content: Content,
}

/// What a file holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// A record, or what is rejected in its place.
    Record {
        /// Encoded; `None`: no key can be read.
        key: Option<Box<[u8]>>,
        hash: RowHash,
        len: u32,
        /// Byte offset of the value.
        at: u64,
        reject: Option<RejectCode>,
    },
    /// Nothing that can be taken yet; the key it had, as far as known.
    Waiting { key: Option<Box<[u8]>>, code: &'static str, what: String },
}

impl Content {
    pub(super) fn key(&self) -> Option<&[u8]> {
        match self {
            Self::Record { key, .. } | Self::Waiting { key, .. } => key.as_deref(),
        }
    }
}

/// Why a file could not be looked at now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unsteady {
    /// It is gone since it was listed.
    Gone,
    /// It changed while it was read.
    Moved,
}

/// Reads files, one after the other, into one buffer.
#[derive(Debug, Default)]
pub(super) struct Reader {
    buffer: Vec<u8>,
    key: RecordKey,
}

impl Reader {
    /// Reads a file; the record's bytes are in the answer's range of [`Reader::bytes`].
    pub(super) fn read(
        &mut self,
        root: &Root,
        path: &Path,
        spec: &KeySpec,
        before: Option<&Entry>,
    ) -> Result<(Entry, Range<usize>), Unsteady> {
        let began = Instant::now();
        let (mut file, stat) = match root.open_file(path) {
            Ok(opened) => opened,
            Err(OpenError::Missing) => return Err(Unsteady::Gone),
            // It was a regular file when it was listed.
            Err(OpenError::Skipped(_)) => return Err(Unsteady::Moved),
            Err(OpenError::Unreadable(errno)) => {
                let stat = root.stat_file(path).map_err(|_| Unsteady::Moved)?;
                let content = self.waiting(spec, path, before, ("unreadable", format!("cannot be read: {errno}")));
                // Never settled: permissions may come back without the numbers telling.
                return Ok((Entry { look: Look { stat, began, settled: false }, content }, 0..0));
            }
        };
        self.buffer.clear();
        let most = MAX_RECORD_BYTES as u64 + 1;
        let outcome = file.by_ref().take(most).read_to_end(&mut self.buffer);
        if !FileStat::of(&file).is_ok_and(|now| now == stat) {
            return Err(Unsteady::Moved);
        }
        let look = Look::new(stat, began, before.map(|before| &before.look));
        let (content, range) = match outcome {
            Err(error) => (self.waiting(spec, path, before, ("unreadable", format!("cannot be read: {error}"))), 0..0),
            Ok(_) => self.content(path, spec, before, stat.size),
        };
        Ok((Entry { look, content }, range))
    }

    /// The bytes read last.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    fn content(&mut self, path: &Path, spec: &KeySpec, before: Option<&Entry>, size: u64) -> (Content, Range<usize>) {
        if self.buffer.len() > MAX_RECORD_BYTES {
            return self.too_large(path, spec, size);
        }
        let range = value_range(&self.buffer);
        let raw = &self.buffer[range.clone()];
        if let Err(error) = check_syntax(raw) {
            let what = match error.code {
                _ if raw.is_empty() => "is empty".to_owned(),
                RejectCode::InvalidUtf8 => format!("byte {}: not UTF-8", range.start + error.at),
                _ => format!("byte {}: not JSON", range.start + error.at),
            };
            return (self.waiting(spec, path, before, ("unparsable", what)), 0..0);
        }
        let by_field = matches!(spec.from, KeyFrom::Field(_));
        let made = if by_field && raw.first() != Some(&b'{') {
            Err(RejectCode::NotAnObject)
        } else {
            key_of(spec, raw, name_of(spec, path).as_deref(), &mut self.key)
        };
        let content = Content::Record {
            key: made.is_ok().then(|| self.key.as_bytes().into()),
            hash: RowHash::of(raw),
            len: raw.len() as u32,
            at: range.start as u64,
            reject: made.err(),
        };
        (content, range)
    }

    /// Hashed by its head and size: a sparse file of a terabyte is not read to its end.
    fn too_large(&mut self, path: &Path, spec: &KeySpec, size: u64) -> (Content, Range<usize>) {
        let head = 0..crate::files::split::TOO_LARGE_HEAD;
        let mut hash = Xxh3::new();
        hash.update(&self.buffer);
        hash.update(&size.to_le_bytes());
        let made = key_of(spec, &self.buffer, name_of(spec, path).as_deref(), &mut self.key);
        let content = Content::Record {
            key: made.is_ok().then(|| self.key.as_bytes().into()),
            hash: RowHash(hash.digest128()),
            len: 0,
            at: 0,
            reject: Some(RejectCode::TooLarge),
        };
        (content, head)
    }

    fn waiting(&mut self, spec: &KeySpec, path: &Path, before: Option<&Entry>, why: (&'static str, String)) -> Content {
        let named = name_key(spec, path, &mut self.key);
        let key = named.or_else(|| before.and_then(|before| before.content.key().map(Into::into)));
        Content::Waiting { key, code: why.0, what: why.1 }
    }
}

/// Without byte order mark and white space around.
fn value_range(bytes: &[u8]) -> Range<usize> {
    let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let from = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let start = bytes[from..].iter().position(|byte| !space(byte)).map_or(bytes.len(), |at| from + at);
    let end = bytes[start..].iter().rposition(|byte| !space(byte)).map_or(start, |at| start + at + 1);
    start..end
}

/// What the file is called, where the key comes from its name: a path that is not UTF-8 is no name.
fn name_of(spec: &KeySpec, path: &Path) -> Option<String> {
    match spec.from {
        KeyFrom::Name => path.with_extension("").to_str().map(str::to_owned),
        KeyFrom::Stem => path.file_stem()?.to_str().map(str::to_owned),
        KeyFrom::Field(_) | KeyFrom::Position | KeyFrom::Id | KeyFrom::Composite(_) => None,
    }
}

/// The key that the name alone gives.
pub(super) fn name_key(spec: &KeySpec, path: &Path, key: &mut RecordKey) -> Option<Box<[u8]>> {
    let name = name_of(spec, path)?;
    key_of(spec, b"", Some(&name), key).ok()?;
    Some(key.as_bytes().into())
}
