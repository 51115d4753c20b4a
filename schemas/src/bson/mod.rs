//! BSON as it stands in a source: checked, searched and cut into slices, never turned into a tree.
//!
//! | file | owns |
//! |---|---|
//! | `element` | lengths and bounds: one element after the other |
//! | `value` | a value decoded |
//! | `decimal`, `double`, `date` | exact texts of numbers and dates |
//! | `scan` | the one pass that a record must survive: structure, depth, members named twice |
//! | `extended` | Extended JSON, canonical or relaxed, that is never longer than its rules need and gives every value one text |
//! | `exactness` | what the relaxed form loses |
//! | `pointer` | from an offset to a path, for people |
//!
//! Our own, because strings must be taken byte by byte (a source may hold text that is not UTF-8), because offsets and duplicate
//! members matter, and because nothing may recurse: input nested a thousand deep is only refused. It is tested against the
//! `bson` crate.
//!
//! Keeps promise 13 (what cannot be stored is told apart before PostgreSQL sees it) and 14 (nothing is lost on the way).
//! Failure is a [`Fault`]: a stable code and a byte offset, never a value. Nothing here panics on malformed input.

mod date;
mod decimal;
mod double;
mod element;
mod exactness;
mod extended;
mod pointer;
mod quoted;
mod scan;
mod value;

#[cfg(test)]
mod tests;

pub use decimal::Decimal128;
pub use double::{append_exact, append_shortest};
pub use element::{Element, Elements};
pub use exactness::relaxed_gives_back;
pub use extended::{Form, Unstorable, Writer};
pub use pointer::pointer_at;
pub use scan::{Scan, reject};
pub use value::Value;

pub(crate) use quoted::{append_hex, append_quoted};

use crate::rejection::RejectCode;

/// Where and why bytes are not what they must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{code} at byte {at}")]
pub struct Fault {
    /// Byte offset from the start of the record.
    pub at: usize,
    /// Why.
    pub code: RejectCode,
}

impl Fault {
    pub(crate) fn malformed(at: usize) -> Self {
        Self { at, code: RejectCode::Malformed }
    }
}

/// Deepest nesting, the document itself counted: that of JSON records.
pub const MAX_DEPTH: usize = crate::json::MAX_DEPTH;

/// Most members of one document: bounds the memory and the work of finding members named twice (1.6 MB). Arrays have no such
/// bound.
pub const MAX_MEMBERS: usize = 100_000;

/// The type of a value, by its byte in the format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// 64-bit float.
    Double = 0x01,
    /// Text.
    String = 0x02,
    /// Embedded document.
    Document = 0x03,
    /// Array.
    Array = 0x04,
    /// Bytes with a subtype.
    Binary = 0x05,
    /// Deprecated.
    Undefined = 0x06,
    /// Twelve bytes.
    ObjectId = 0x07,
    /// Boolean.
    Bool = 0x08,
    /// Milliseconds since 1970, UTC.
    Date = 0x09,
    /// Null.
    Null = 0x0a,
    /// Pattern and options.
    Regex = 0x0b,
    /// Deprecated.
    DbPointer = 0x0c,
    /// JavaScript.
    Code = 0x0d,
    /// Deprecated.
    Symbol = 0x0e,
    /// JavaScript with its variables.
    CodeWithScope = 0x0f,
    /// 32-bit integer.
    Int32 = 0x10,
    /// Seconds and a counter; not a date.
    Timestamp = 0x11,
    /// 64-bit integer.
    Int64 = 0x12,
    /// 34 decimal digits.
    Decimal128 = 0x13,
    /// Below everything.
    MinKey = 0xff,
    /// Above everything.
    MaxKey = 0x7f,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Double,
        Self::String,
        Self::Document,
        Self::Array,
        Self::Binary,
        Self::Undefined,
        Self::ObjectId,
        Self::Bool,
        Self::Date,
        Self::Null,
        Self::Regex,
        Self::DbPointer,
        Self::Code,
        Self::Symbol,
        Self::CodeWithScope,
        Self::Int32,
        Self::Timestamp,
        Self::Int64,
        Self::Decimal128,
        Self::MinKey,
        Self::MaxKey,
    ];

    /// The kind a byte stands for.
    pub fn of(byte: u8) -> Option<Self> {
        match byte {
            0x01..=0x13 => Some(Self::ALL[usize::from(byte) - 1]),
            0xff => Some(Self::MinKey),
            0x7f => Some(Self::MaxKey),
            _ => None,
        }
    }

    /// MongoDB's name of it, as `$type` takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::String => "string",
            Self::Document => "object",
            Self::Array => "array",
            Self::Binary => "binData",
            Self::Undefined => "undefined",
            Self::ObjectId => "objectId",
            Self::Bool => "bool",
            Self::Date => "date",
            Self::Null => "null",
            Self::Regex => "regex",
            Self::DbPointer => "dbPointer",
            Self::Code => "javascript",
            Self::Symbol => "symbol",
            Self::CodeWithScope => "javascriptWithScope",
            Self::Int32 => "int",
            Self::Timestamp => "timestamp",
            Self::Int64 => "long",
            Self::Decimal128 => "decimal",
            Self::MinKey => "minKey",
            Self::MaxKey => "maxKey",
        }
    }
}

/// MongoDB's name for the type of a value, as `$type` takes it: cohorts are counted under it.
pub fn bson_kind_name(value: ::bson::RawBsonRef<'_>) -> &'static str {
    Kind::of(value.element_type() as u8).map_or("unknown", Kind::name)
}
