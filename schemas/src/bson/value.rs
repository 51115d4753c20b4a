//! A value decoded from its bytes. Strings stay bytes: what they hold is for those to judge who need text.

use super::decimal::Decimal128;
use super::element::size;
use super::{Fault, Kind};
use ::bson::RawBsonRef;

/// A value of any type.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// 64-bit float.
    Double(f64),
    /// Text, perhaps not UTF-8, perhaps with U+0000.
    String(&'a [u8]),
    /// The bytes of a document.
    Document(&'a [u8]),
    /// The bytes of an array.
    Array(&'a [u8]),
    /// Subtype and bytes; those of the old subtype 2 without the length inside.
    Binary(u8, &'a [u8]),
    /// Deprecated.
    Undefined,
    /// Twelve bytes.
    ObjectId([u8; 12]),
    /// Boolean.
    Bool(bool),
    /// Milliseconds since 1970, UTC.
    Date(i64),
    /// Null.
    Null,
    /// Pattern and options.
    Regex(&'a [u8], &'a [u8]),
    /// Deprecated: a namespace and an ObjectId.
    DbPointer(&'a [u8], [u8; 12]),
    /// JavaScript.
    Code(&'a [u8]),
    /// Deprecated.
    Symbol(&'a [u8]),
    /// JavaScript and the bytes of the document of its variables.
    CodeWithScope(&'a [u8], &'a [u8]),
    /// 32-bit integer.
    Int32(i32),
    /// Seconds and a counter.
    Timestamp(u32, u32),
    /// 64-bit integer.
    Int64(i64),
    /// 34 decimal digits.
    Decimal128(Decimal128),
    /// Below everything.
    MinKey,
    /// Above everything.
    MaxKey,
}

impl std::fmt::Debug for Value<'_> {
    /// Its kind only: it is a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().name())
    }
}

impl<'a> Value<'a> {
    /// Decodes the bytes of an element, whose size has been checked; other bytes give some value.
    pub(super) fn read(kind: Kind, body: &'a [u8]) -> Self {
        match kind {
            Kind::Double => Self::Double(f64::from_le_bytes(array(body, 0))),
            Kind::String => Self::String(text(body, 0)),
            Kind::Document => Self::Document(body),
            Kind::Array => Self::Array(body),
            Kind::Binary => {
                let subtype = body.get(4).copied().unwrap_or_default();
                Self::Binary(subtype, body.get(if subtype == 2 { 9 } else { 5 }..).unwrap_or_default())
            }
            Kind::Undefined => Self::Undefined,
            Kind::ObjectId => Self::ObjectId(array(body, 0)),
            Kind::Bool => Self::Bool(body == [1]),
            Kind::Date => Self::Date(i64::from_le_bytes(array(body, 0))),
            Kind::Null => Self::Null,
            Kind::Regex => {
                let mut parts = body.split(|byte| *byte == 0);
                Self::Regex(parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            Kind::DbPointer => Self::DbPointer(text(body, 0), array(body, body.len().saturating_sub(12))),
            Kind::Code => Self::Code(text(body, 0)),
            Kind::Symbol => Self::Symbol(text(body, 0)),
            Kind::CodeWithScope => {
                let code = text(body, 4);
                Self::CodeWithScope(code, body.get(9 + code.len()..).unwrap_or_default())
            }
            Kind::Int32 => Self::Int32(i32::from_le_bytes(array(body, 0))),
            Kind::Timestamp => Self::Timestamp(u32::from_le_bytes(array(body, 4)), u32::from_le_bytes(array(body, 0))),
            Kind::Int64 => Self::Int64(i64::from_le_bytes(array(body, 0))),
            Kind::Decimal128 => Self::Decimal128(Decimal128::of(array(body, 0))),
            Kind::MinKey => Self::MinKey,
            Kind::MaxKey => Self::MaxKey,
        }
    }

    /// The same value as the driver's reader gives it. `None` for a database pointer, whose parts the driver does not show.
    pub(crate) fn of_raw(value: RawBsonRef<'a>) -> Option<Self> {
        Some(match value {
            RawBsonRef::Double(value) => Self::Double(value),
            RawBsonRef::String(text) => Self::String(text.as_bytes()),
            RawBsonRef::Array(array) => Self::Array(array.as_bytes()),
            RawBsonRef::Document(document) => Self::Document(document.as_bytes()),
            RawBsonRef::Boolean(value) => Self::Bool(value),
            RawBsonRef::Null => Self::Null,
            RawBsonRef::RegularExpression(regex) => {
                Self::Regex(regex.pattern.as_str().as_bytes(), regex.options.as_str().as_bytes())
            }
            RawBsonRef::JavaScriptCode(code) => Self::Code(code.as_bytes()),
            RawBsonRef::JavaScriptCodeWithScope(code) => {
                Self::CodeWithScope(code.code.as_bytes(), code.scope.as_bytes())
            }
            RawBsonRef::Int32(value) => Self::Int32(value),
            RawBsonRef::Int64(value) => Self::Int64(value),
            RawBsonRef::Timestamp(stamp) => Self::Timestamp(stamp.time, stamp.increment),
            RawBsonRef::Binary(binary) => Self::Binary(binary.subtype.into(), binary.bytes),
            RawBsonRef::ObjectId(id) => Self::ObjectId(id.bytes()),
            RawBsonRef::DateTime(date) => Self::Date(date.timestamp_millis()),
            RawBsonRef::Symbol(text) => Self::Symbol(text.as_bytes()),
            RawBsonRef::Decimal128(value) => Self::Decimal128(Decimal128::of(value.bytes())),
            RawBsonRef::Undefined => Self::Undefined,
            RawBsonRef::MaxKey => Self::MaxKey,
            RawBsonRef::MinKey => Self::MinKey,
            RawBsonRef::DbPointer(_) => return None,
        })
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Double(_) => Kind::Double,
            Self::String(_) => Kind::String,
            Self::Document(_) => Kind::Document,
            Self::Array(_) => Kind::Array,
            Self::Binary(..) => Kind::Binary,
            Self::Undefined => Kind::Undefined,
            Self::ObjectId(_) => Kind::ObjectId,
            Self::Bool(_) => Kind::Bool,
            Self::Date(_) => Kind::Date,
            Self::Null => Kind::Null,
            Self::Regex(..) => Kind::Regex,
            Self::DbPointer(..) => Kind::DbPointer,
            Self::Code(_) => Kind::Code,
            Self::Symbol(_) => Kind::Symbol,
            Self::CodeWithScope(..) => Kind::CodeWithScope,
            Self::Int32(_) => Kind::Int32,
            Self::Timestamp(..) => Kind::Timestamp,
            Self::Int64(_) => Kind::Int64,
            Self::Decimal128(_) => Kind::Decimal128,
            Self::MinKey => Kind::MinKey,
            Self::MaxKey => Kind::MaxKey,
        }
    }

    /// The bytes of a document that may be a key or a record of its own: its length is its size.
    pub(crate) fn whole_document(bytes: &[u8]) -> Result<(), Fault> {
        if size(bytes, 0) == Some(bytes.len()) { Ok(()) } else { Err(Fault::malformed(0)) }
    }
}

fn array<const N: usize>(body: &[u8], at: usize) -> [u8; N] {
    body.get(at..).and_then(|tail| tail.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// The string whose length stands at `at`, without its terminator.
fn text(body: &[u8], at: usize) -> &[u8] {
    let length = size(body, at).unwrap_or_default();
    body.get(at + 4..(at + 4 + length).saturating_sub(1)).unwrap_or_default()
}
