//! The elements of a document, one after the other, each checked to stay inside its document.
//!
//! ```text
//! document = length i32 le | element* | 00            length counts all of it
//! element  = kind u8 | name 00 | value                the value's size follows from its kind
//! ```

use super::value::Value;
use super::{Fault, Kind};

/// Smallest document: length and terminator.
const SMALLEST: usize = 5;

/// One element. Its name is whatever bytes stand there; in arrays it means nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Offset of its kind byte in the record.
    pub at: usize,
    /// Its kind.
    pub kind: Kind,
    /// Its name, perhaps not UTF-8.
    pub name: &'a [u8],
    /// Offset of its value in the record.
    pub start: usize,
    /// Its value's bytes.
    pub body: &'a [u8],
}

impl std::fmt::Debug for Element<'_> {
    /// Its kind and place only: the rest is a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Element").field("at", &self.at).field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<'a> Element<'a> {
    /// Its value, decoded.
    pub fn value(&self) -> Value<'a> {
        Value::read(self.kind, self.body)
    }

    /// The elements of the document, array or scope that it holds; `record` is what its offsets count from.
    pub fn elements(&self, record: &'a [u8]) -> Option<Elements<'a>> {
        let start = match self.kind {
            Kind::Document | Kind::Array => self.start,
            Kind::CodeWithScope => self.start + 8 + size(self.body, 4)?,
            _ => return None,
        };
        Elements::of(record, start).ok()
    }
}

/// A document being read. Ends after the first fault.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    record: &'a [u8],
    at: usize,
    /// Offset of the terminator.
    end: usize,
}

impl std::fmt::Debug for Elements<'_> {
    /// Its place only: the rest is values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Elements({}..{})", self.at, self.end)
    }
}

impl<'a> Elements<'a> {
    /// The document that starts at `start` of `record`. `Malformed` if its length or its terminator is wrong.
    pub fn of(record: &'a [u8], start: usize) -> Result<Self, Fault> {
        let end = document_end(record, start, record.len())?;
        Ok(Self { record, at: start + 4, end: end - 1 })
    }

    /// Where the reading stands, and where the document's terminator.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.at, self.end)
    }

    /// Goes on at a place.
    pub(super) fn resume(record: &'a [u8], at: usize, end: usize) -> Self {
        Self { record, at, end }
    }

    /// Behind the document.
    pub(super) fn behind(&self) -> usize {
        self.end + 1
    }

    /// The next element; `None` behind the last.
    pub fn next_element(&mut self) -> Result<Option<Element<'a>>, Fault> {
        if self.at >= self.end {
            return Ok(None);
        }
        let at = self.at;
        let kind = Kind::of(self.record[at]).ok_or(Fault::malformed(at))?;
        let name_end = cstring_end(self.record, at + 1, self.end).ok_or(Fault::malformed(at + 1))?;
        let start = name_end + 1;
        let end = value_end(kind, self.record, start, self.end)?;
        self.at = end;
        let (name, body) = (&self.record[at + 1..name_end], &self.record[start..end]);
        Ok(Some(Element { at, kind, name, start, body }))
    }

    /// The member of this name; the last where there are several. `Malformed` as far as it had to read.
    pub fn find(mut self, name: &[u8]) -> Result<Option<Element<'a>>, Fault> {
        let mut found = None;
        while let Some(element) = self.next_element()? {
            if element.name == name {
                found = Some(element);
            }
        }
        Ok(found)
    }
}

/// Offset of the zero that ends the text at `at`, before `end`.
fn cstring_end(record: &[u8], at: usize, end: usize) -> Option<usize> {
    Some(at + memchr::memchr(0, record.get(at..end)?)?)
}

/// The length that stands at `at`, if it is none below zero.
pub(super) fn size(record: &[u8], at: usize) -> Option<usize> {
    let bytes = record.get(at..)?.first_chunk::<4>()?;
    usize::try_from(i32::from_le_bytes(*bytes)).ok()
}

/// Behind the value of `kind` that starts at `at`; all of it must lie before `end`.
fn value_end(kind: Kind, record: &[u8], at: usize, end: usize) -> Result<usize, Fault> {
    let fixed = |size: usize| {
        let behind = at + size;
        if behind <= end { Ok(behind) } else { Err(Fault::malformed(at)) }
    };
    match kind {
        Kind::Undefined | Kind::Null | Kind::MinKey | Kind::MaxKey => Ok(at),
        Kind::Int32 => fixed(4),
        Kind::Double | Kind::Date | Kind::Timestamp | Kind::Int64 => fixed(8),
        Kind::ObjectId => fixed(12),
        Kind::Decimal128 => fixed(16),
        Kind::Bool => {
            let behind = fixed(1)?;
            if record[at] <= 1 { Ok(behind) } else { Err(Fault::malformed(at)) }
        }
        Kind::String | Kind::Code | Kind::Symbol => string_end(record, at, end),
        Kind::Document | Kind::Array => document_end(record, at, end),
        Kind::Binary => binary_end(record, at, end),
        Kind::Regex => {
            let pattern = cstring_end(record, at, end).ok_or(Fault::malformed(at))?;
            let options = cstring_end(record, pattern + 1, end).ok_or(Fault::malformed(pattern + 1))?;
            Ok(options + 1)
        }
        Kind::DbPointer => {
            let behind = string_end(record, at, end)? + 12;
            if behind <= end { Ok(behind) } else { Err(Fault::malformed(at)) }
        }
        Kind::CodeWithScope => {
            let behind = size(record, at).and_then(|size| at.checked_add(size)).ok_or(Fault::malformed(at))?;
            if behind > end {
                return Err(Fault::malformed(at));
            }
            let scope = string_end(record, at + 4, behind)?;
            let scope_end = document_end(record, scope, behind)?;
            if scope_end == behind { Ok(behind) } else { Err(Fault::malformed(scope)) }
        }
    }
}

/// A string counts its terminator, and so is never of length zero.
fn string_end(record: &[u8], at: usize, end: usize) -> Result<usize, Fault> {
    let behind = size(record, at).and_then(|size| (at + 4).checked_add(size)).ok_or(Fault::malformed(at))?;
    let whole = behind > at + 4 && behind <= end && record[behind - 1] == 0;
    if whole { Ok(behind) } else { Err(Fault::malformed(at)) }
}

fn document_end(record: &[u8], at: usize, end: usize) -> Result<usize, Fault> {
    let length = size(record, at).ok_or(Fault::malformed(at))?;
    let behind = at.checked_add(length).ok_or(Fault::malformed(at))?;
    let whole = length >= SMALLEST && behind <= end && record[behind - 1] == 0;
    if whole { Ok(behind) } else { Err(Fault::malformed(at)) }
}

/// The old subtype 2 repeats its length inside.
fn binary_end(record: &[u8], at: usize, end: usize) -> Result<usize, Fault> {
    let length = size(record, at).ok_or(Fault::malformed(at))?;
    let behind = (at + 5).checked_add(length).ok_or(Fault::malformed(at))?;
    if behind > end {
        return Err(Fault::malformed(at));
    }
    let repeated = record[at + 4] != 2 || size(record, at + 5).is_some_and(|inner| inner + 4 == length);
    if repeated { Ok(behind) } else { Err(Fault::malformed(at + 5)) }
}
