//! Keys from BSON values: two `_id`s share an encoding exactly when MongoDB holds them for equal.
//!
//! So numbers go by their exact value whatever their type (the double 0.1 is not the decimal 0.1; all not-a-numbers are one,
//! and so are the zeros), a symbol is the string it holds, and documents go by their members in order. What JSON can say is
//! encoded as from JSON.
//!
//! Inside `x:` a value that JSON cannot say stands as its own encoding (`o:…`), a number as `NaN` or `Infinity`; a byte that is not
//! part of UTF-8 text is `\x` and two hex digits. None of these can be read as JSON, so nothing collides.

use super::RecordKey;
use crate::bson::{Decimal128, Elements, Kind, MAX_DEPTH, Value, append_exact, append_hex, append_quoted};
use crate::json::Decimal;
use crate::rejection::RejectCode;
use ::bson::{RawBsonRef, RawDocumentBuf, cstr};
use std::io::Write;
use uuid::Uuid;

impl RecordKey {
    /// Makes the key that a BSON value stands for.
    ///
    /// Errors leave the key empty: `Malformed` and `TooDeep` for documents that cannot be read.
    pub fn set_bson(&mut self, value: RawBsonRef<'_>) -> Result<(), RejectCode> {
        if let Some(value) = Value::of_raw(value) {
            return self.set_bson_value(&value);
        }
        // A database pointer does not show its parts, but it writes them.
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("_id"), value);
        self.set_bson_field(document.as_bytes(), &["_id"])
    }

    /// Makes the key that a decoded value stands for; errors as for [`Self::set_bson`].
    pub fn set_bson_value(&mut self, value: &Value<'_>) -> Result<(), RejectCode> {
        self.0.clear();
        let made = append_value(value, Place::Top, &mut self.0);
        if made.is_err() {
            self.0.clear();
        }
        self.shorten();
        made
    }

    /// Makes the key that stands at a path of a document; `_id`'s path is `["_id"]`. Takes strings that are not UTF-8, which the
    /// driver's reader does not give.
    ///
    /// Errors leave the key empty: `KeyMissing` where nothing stands there, and those of [`Self::set_bson`].
    pub fn set_bson_field<S: AsRef<str>>(&mut self, document: &[u8], path: &[S]) -> Result<(), RejectCode> {
        self.0.clear();
        let mut elements = Elements::of(document, 0).map_err(|fault| fault.code)?;
        let mut parts = path.iter();
        let mut part = parts.next().ok_or(RejectCode::KeyMissing)?;
        loop {
            let found = elements.find(part.as_ref().as_bytes()).map_err(|fault| fault.code)?;
            let element = found.ok_or(RejectCode::KeyMissing)?;
            let Some(next) = parts.next() else { return self.set_bson_value(&element.value()) };
            let inside = if element.kind == Kind::Document { element.elements(document) } else { None };
            (elements, part) = (inside.ok_or(RejectCode::KeyMissing)?, next);
        }
    }
}

/// Where a value stands: strings, numbers and booleans have a tag of their own at the top only.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Inside,
}

/// An array or document that is being written.
struct Open<'a> {
    record: &'a [u8],
    elements: Elements<'a>,
    array: bool,
    first: bool,
}

impl<'a> Open<'a> {
    fn of(record: &'a [u8], array: bool) -> Result<Self, RejectCode> {
        Value::whole_document(record).map_err(|fault| fault.code)?;
        let elements = Elements::of(record, 0).map_err(|fault| fault.code)?;
        Ok(Self { record, elements, array, first: true })
    }
}

fn append_value(value: &Value<'_>, place: Place, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let (bytes, array) = match *value {
        Value::Document(bytes) => (bytes, false),
        Value::Array(bytes) => (bytes, true),
        Value::CodeWithScope(code, scope) => {
            out.extend_from_slice(b"w:");
            append_text(code, out);
            out.push(b',');
            return append_nested(Open::of(scope, false)?, out);
        }
        _ => return append_scalar(value, place, out),
    };
    if place == Place::Top {
        out.extend_from_slice(b"x:");
    }
    append_nested(Open::of(bytes, array)?, out)
}

/// Writes a document and all that it holds.
fn append_nested(top: Open<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let bracket = |array| if array { (b'[', b']') } else { (b'{', b'}') };
    let mut outer: Vec<Open<'_>> = Vec::new();
    let mut open = top;
    out.push(bracket(open.array).0);
    loop {
        let Some(element) = open.elements.next_element().map_err(|fault| fault.code)? else {
            out.push(bracket(open.array).1);
            let Some(next) = outer.pop() else { return Ok(()) };
            open = next;
            continue;
        };
        if !std::mem::take(&mut open.first) {
            out.push(b',');
        }
        if !open.array {
            append_text(element.name, out);
            out.push(b':');
        }
        match element.value() {
            Value::CodeWithScope(code, _) => {
                out.extend_from_slice(b"w:");
                append_text(code, out);
                out.push(b',');
            }
            Value::Document(_) | Value::Array(_) => {}
            value => append_scalar(&value, Place::Inside, out)?,
        }
        if let Some(elements) = element.elements(open.record) {
            if outer.len() + 2 > MAX_DEPTH {
                return Err(RejectCode::TooDeep);
            }
            let inside = Open { record: open.record, elements, array: element.kind == Kind::Array, first: true };
            out.push(bracket(inside.array).0);
            outer.push(std::mem::replace(&mut open, inside));
        }
    }
}

fn append_scalar(value: &Value<'_>, place: Place, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    // Writing to a Vec cannot fail.
    match (*value, place) {
        (Value::String(text) | Value::Symbol(text), Place::Top) => append_top_string(text, out),
        (Value::String(text) | Value::Symbol(text), Place::Inside) => append_text(text, out),
        (Value::Double(_) | Value::Int32(_) | Value::Int64(_) | Value::Decimal128(_), place) => {
            if place == Place::Top {
                out.extend_from_slice(b"n:");
            }
            return append_number(value, out);
        }
        (Value::Bool(true), Place::Top) => out.extend_from_slice(b"T:"),
        (Value::Bool(false), Place::Top) => out.extend_from_slice(b"F:"),
        (Value::Bool(value), Place::Inside) => out.extend_from_slice(if value { b"true" } else { b"false" }),
        (Value::Null, Place::Top) => out.extend_from_slice(b"z:"),
        (Value::Null, Place::Inside) => out.extend_from_slice(b"null"),
        (Value::ObjectId(id), _) => {
            out.extend_from_slice(b"o:");
            append_hex(&id, out);
        }
        (Value::Binary(subtype, bytes), _) => append_binary(subtype, bytes, out),
        (Value::Date(millis), _) => {
            let _ = write!(out, "d:{millis}");
        }
        (Value::Timestamp(seconds, increment), _) => {
            let _ = write!(out, "t:{seconds}.{increment}");
        }
        (Value::MinKey, _) => out.extend_from_slice(b"m:"),
        (Value::MaxKey, _) => out.extend_from_slice(b"M:"),
        (Value::Undefined, _) => out.extend_from_slice(b"v:"),
        (Value::Regex(pattern, options), _) => {
            out.extend_from_slice(b"r:");
            append_text(pattern, out);
            out.push(b',');
            append_text(options, out);
        }
        (Value::DbPointer(namespace, id), _) => {
            out.extend_from_slice(b"D:");
            append_text(namespace, out);
            out.push(b',');
            append_hex(&id, out);
        }
        (Value::Code(text), _) => {
            out.extend_from_slice(b"c:");
            append_text(text, out);
        }
        // Written by the callers.
        (Value::Document(_) | Value::Array(_) | Value::CodeWithScope(..), _) => {}
    }
    Ok(())
}

fn append_binary(subtype: u8, bytes: &[u8], out: &mut Vec<u8>) {
    match (subtype, <[u8; 16]>::try_from(bytes)) {
        (4, Ok(uuid)) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "u:{}", Uuid::from_bytes(uuid));
        }
        _ => {
            out.extend_from_slice(b"b:");
            append_hex(&[subtype], out);
            append_hex(bytes, out);
        }
    }
}

/// The normal form that all numbers of this value share.
fn append_number(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let mut text = Vec::new();
    match *value {
        // An integer's text is its normal form.
        Value::Int32(value) => text.extend_from_slice(value.to_string().as_bytes()),
        Value::Int64(value) => text.extend_from_slice(value.to_string().as_bytes()),
        Value::Double(value) if value.is_finite() => append_exact(value, &mut text),
        Value::Double(value) => return append_non_finite(value, out),
        Value::Decimal128(Decimal128::NotANumber) => return append_non_finite(f64::NAN, out),
        Value::Decimal128(Decimal128::Infinite { negative }) => {
            return append_non_finite(if negative { f64::NEG_INFINITY } else { f64::INFINITY }, out);
        }
        Value::Decimal128(decimal) => {
            decimal.append_number(&mut text);
        }
        _ => return Err(RejectCode::Malformed),
    }
    Decimal::parse(&text)?.append_normal(out)
}

fn append_non_finite(value: f64, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    out.extend_from_slice(match value {
        f64::INFINITY => b"Infinity",
        f64::NEG_INFINITY => b"-Infinity",
        _ => b"NaN",
    });
    Ok(())
}

/// A string at the top: escaped as from JSON, and bytes that are not UTF-8 as `\x` and their hex.
fn append_top_string(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"s:");
    for chunk in text.utf8_chunks() {
        let mut valid = chunk.valid().as_bytes();
        while let Some(at) = memchr::memchr2(0, b'\\', valid) {
            out.extend_from_slice(&valid[..at]);
            out.extend_from_slice(if valid[at] == 0 { br"\0" } else { br"\\" });
            valid = &valid[at + 1..];
        }
        out.extend_from_slice(valid);
        append_invalid(chunk.invalid(), out);
    }
}

/// A string inside something: quoted as canonical JSON, and bytes that are not UTF-8 as `\x` and their hex.
fn append_text(text: &[u8], out: &mut Vec<u8>) {
    if std::str::from_utf8(text).is_ok() {
        return append_quoted(text, out);
    }
    let mut inner = Vec::new();
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        inner.clear();
        append_quoted(chunk.valid().as_bytes(), &mut inner);
        out.extend_from_slice(&inner[1..inner.len() - 1]);
        append_invalid(chunk.invalid(), out);
    }
    out.push(b'"');
}

fn append_invalid(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(br"\x");
        append_hex(&[*byte], out);
    }
}
