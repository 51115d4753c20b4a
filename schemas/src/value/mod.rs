//! A JSON value as a field of PostgreSQL's binary protocol: exact, or rejected.
//!
//! ```text
//! field  = length i32 be | bytes      length −1: NULL
//! ```
//!
//! | type | takes | bytes |
//! |---|---|---|
//! | `text` | string without U+0000 | UTF-8 |
//! | `boolean` | boolean | 1 or 0 |
//! | `smallint` `integer` `bigint` | number that is an integer in range (`5.0` and `5e0` are 5) | big endian |
//! | `real` `double precision` | number that is the shortest decimal of its nearest float, or equal to it; `-0` too | IEEE 754 |
//! | `numeric` | number within PostgreSQL's range; within `(p, s)` where given | see [`numeric`] |
//! | `date` `time` `timestamp` `timestamptz` | ISO 8601 string, see [`time`] | days, or microseconds |
//! | `uuid` | string of 36 characters, either case | 16 bytes |
//! | `bytea` | string, Base64 (RFC 4648 §4, padded) | the bytes |
//! | `jsonb` | anything that `jsonb` keeps, see [`StorableCheck`] | version 1, then the text as it stands |
//! | `objectid` | string of 24 lower-case hex digits | as `text` |
//! | `type[]` | array of values of that type, nulls too, none nested | see [`array`] |
//!
//! `null` is NULL for every type. Keeps promises 13 and 14: a value that its type would change or refuse is a
//! [`Rejection`], with the column's type and the kind found, never the value.

pub mod numeric;
pub mod rule;
pub mod time;

mod array;
mod from_bson;
mod number;
mod octets;
mod show;

#[cfg(test)]
mod tests;

use array::{ArrayField, elements_of};
pub use from_bson::{gives_back, gives_back_by_value, put_bson};
pub use octets::is_object_id;
pub use show::show;

use crate::json::{Checked, Items, Kind, Member, RawString, StorableCheck};
use crate::pgtype::{ElementType, PgType};
use crate::rejection::{RejectCode, Rejection};

/// A value that is neither nested nor null, read from JSON or from a key.
#[derive(Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// A string, unescaped.
    Text(&'a str),
    /// A number's JSON text.
    Number(&'a [u8]),
    /// A boolean.
    Bool(bool),
}

impl std::fmt::Debug for Scalar<'_> {
    /// Its kind only: it is a value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.kind().name())
    }
}

impl Scalar<'_> {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::String,
            Self::Number(_) => Kind::Number,
            Self::Bool(_) => Kind::Bool,
        }
    }
}

/// Encodes fields and keeps its scratch memory from one to the next.
#[derive(Debug, Default)]
pub struct Encoder {
    text: Vec<u8>,
    check: StorableCheck,
}

impl Encoder {
    /// The check it holds, for callers that look at whole records first.
    pub fn check(&mut self) -> &mut StorableCheck {
        &mut self.check
    }

    /// The members of the record that was checked last: see [`StorableCheck::members`].
    pub fn members<'a>(&'a self, record: &'a [u8]) -> impl Iterator<Item = Member<'a>> + 'a {
        self.check.members(record)
    }

    /// Appends the field for a value inside a record that was checked so far: see [`field`](Self::field).
    pub fn field_of(&mut self, checked: Checked, ty: PgType, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        if checked == Checked::Storable && ty == PgType::Jsonb && raw != b"null" {
            put_jsonb(raw, out);
            return Ok(());
        }
        self.field(ty, raw, out)
    }

    /// Appends the field for a JSON value, given as raw text without white space around it. The text has been checked to be
    /// JSON (unchecked text gives a rejection or nonsense, never a panic).
    ///
    /// On error `out` is as before; path and offset of the rejection are relative to the value.
    pub fn field(&mut self, ty: PgType, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        if ty == PgType::Jsonb && raw != b"null" {
            self.check.check_storable(raw)?;
            put_jsonb(raw, out);
            return Ok(());
        }
        match raw.first().and_then(|first| Kind::of(*first)) {
            Some(Kind::String) => {
                let string = RawString::of_value(raw).ok_or_else(|| misfit(RejectCode::Malformed, ty, Kind::String))?;
                let text = string.decode(&mut self.text).map_err(|code| misfit(code, ty, Kind::String))?;
                put_scalar(ty, Scalar::Text(text), out)
            }
            Some(Kind::Number) => put_scalar(ty, Scalar::Number(raw), out),
            Some(Kind::Bool) => put_scalar(ty, Scalar::Bool(raw == b"true"), out),
            Some(Kind::Null) => {
                put_null(out);
                Ok(())
            }
            Some(Kind::Array) => match elements_of(ty) {
                Some(element) => self.array(element, raw, out),
                None => Err(misfit(RejectCode::ColumnType, ty, Kind::Array)),
            },
            Some(kind) => Err(misfit(RejectCode::ColumnType, ty, kind)),
            None => Err(Rejection::new(RejectCode::Malformed, "", "JSON", "something else")),
        }
    }
}

impl Encoder {
    /// Its nesting is one level: elements are never arrays.
    fn array(&mut self, element: ElementType, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        let (start, malformed) = (out.len(), || Rejection::new(RejectCode::Malformed, "", "JSON", "something else"));
        let mut field = ArrayField::open(element, out);
        let mut items = Items::of(raw, 0).ok_or_else(malformed)?;
        let put = loop {
            match items.next_item() {
                Ok(Some((range, _))) => {
                    let put = field.element(out, |out| self.field(element.ty(), &raw[range], out));
                    if put.is_err() {
                        break put;
                    }
                }
                Ok(None) => break Ok(()),
                Err(_) => break Err(malformed()),
            }
        };
        match put {
            Ok(()) => field.close(out),
            Err(_) => out.truncate(start),
        }
        put
    }
}

/// Appends the field for a scalar of any type but `jsonb` (which needs the raw text and so rejects). On error `out` is as
/// before.
pub fn put_scalar(ty: PgType, value: Scalar<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    let put = match (ty, value) {
        (PgType::Text, Scalar::Text(text)) => octets::put_text(text, out),
        (PgType::ObjectId, Scalar::Text(text)) => octets::put_object_id(text, out),
        (PgType::Uuid, Scalar::Text(text)) => octets::put_uuid(text, out),
        (PgType::Bytea, Scalar::Text(text)) => octets::put_base64(text, out),
        (PgType::Bool, Scalar::Bool(value)) => {
            out.push(u8::from(value));
            Ok(())
        }
        (PgType::Int2 | PgType::Int4 | PgType::Int8, Scalar::Number(text)) => number::put_integer(ty, text, out),
        (PgType::Float4, Scalar::Number(text)) => number::put_float4(text, out),
        (PgType::Float8, Scalar::Number(text)) => number::put_float8(text, out),
        (PgType::Numeric(limit), Scalar::Number(text)) => numeric::put_numeric(limit, text, out),
        (PgType::Date, Scalar::Text(text)) => time::put_date(text, out),
        (PgType::Time, Scalar::Text(text)) => time::put_time(text, out),
        (PgType::Timestamp, Scalar::Text(text)) => time::put_timestamp(text, out),
        (PgType::TimestampTz, Scalar::Text(text)) => time::put_timestamptz(text, out),
        _ => Err(RejectCode::ColumnType),
    };
    if let Err(code) = put {
        out.truncate(start);
        return Err(misfit(code, ty, value.kind()));
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// Appends NULL.
pub fn put_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// Appends a `bigint`.
pub fn put_int8(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&8_i32.to_be_bytes());
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends text that is known to be UTF-8 without U+0000.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a `jsonb` from text that has been checked to be storable.
pub fn put_jsonb(raw: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(raw.len() as i32 + 1).to_be_bytes());
    out.push(1);
    out.extend_from_slice(raw);
}

/// A rejection at the value itself.
fn misfit(code: RejectCode, ty: PgType, found: Kind) -> Rejection {
    let found = match code {
        RejectCode::NumberRange => "number that it cannot hold exactly",
        RejectCode::TimeRange => "time that it cannot hold exactly",
        RejectCode::NulCharacter => "string with U+0000",
        RejectCode::LoneSurrogate => "string with half a surrogate pair",
        RejectCode::ColumnType if found == Kind::String && takes_text(ty) => "string of another form",
        _ => found.name(),
    };
    let expected = match ty {
        PgType::Date => "date (YYYY-MM-DD)".into(),
        PgType::Time => "time (HH:MM:SS)".into(),
        PgType::Timestamp => "timestamp (YYYY-MM-DDTHH:MM:SS, no offset)".into(),
        PgType::TimestampTz => "timestamptz (YYYY-MM-DDTHH:MM:SS with Z or an offset)".into(),
        PgType::Bytea => "bytea (Base64)".into(),
        PgType::ObjectId => "objectid (24 lower-case hex digits)".into(),
        ty => ty.config_name(),
    };
    Rejection::new(code, "", &expected, found).at(0)
}

fn takes_text(ty: PgType) -> bool {
    matches!(
        ty,
        PgType::Date
            | PgType::Time
            | PgType::Timestamp
            | PgType::TimestampTz
            | PgType::Uuid
            | PgType::Bytea
            | PgType::Text
            | PgType::ObjectId
    )
}
