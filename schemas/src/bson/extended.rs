//! Extended JSON, canonical or relaxed, written without recursion and without a tree.
//!
//! It follows MongoDB's Extended JSON (v2), with these rules of our own, so that one text stands for one value and `jsonb` can
//! hold it:
//!
//! | what | is written |
//! |---|---|
//! | a string that is not UTF-8 or holds U+0000 | `{"$landfall":{"bytes":"<Base64>"}}`, or refused |
//! | a name that is not UTF-8, or begins with `$landfall` | the name `$landfall:<Base64>`; the former may be refused |
//! | a document with a member named as Extended JSON names its types (`$oid`, `$date`, …) | `{"$landfall":{"document":{…}}}` |
//! | `-0.0` | `{"$numberDouble":"-0.0"}` in both forms: `jsonb` would drop the sign |
//! | a relaxed double | always with a point or an exponent below 2⁶⁴, so that it is told from an integer |
//! | a member that a later one of its name supersedes | nothing |
//!
//! What even the canonical form cannot tell: the order of members in `jsonb`, and the payload of a not-a-number.

use super::date::append_iso;
use super::element::{Element, Elements};
use super::quoted::{append_hex, append_quoted};
use super::value::Value;
use super::{Fault, Kind, Scan, append_shortest};
use crate::rejection::RejectCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::Write;

/// Which of the two forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Every type is told: `{"$numberInt":"5"}`.
    Canonical,
    /// Numbers and dates read as JSON has them: `5`, `{"$date":"2020-01-01T00:00:00Z"}`.
    Relaxed,
}

/// What becomes of text that `jsonb` cannot hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unstorable {
    /// It is written as its bytes.
    Wrap,
    /// It is a fault: `InvalidUtf8` or `NulCharacter`.
    Refuse,
}

/// Names by which Extended JSON knows its types.
const TYPE_NAMES: [&[u8]; 17] = [
    b"$oid",
    b"$symbol",
    b"$numberInt",
    b"$numberLong",
    b"$numberDouble",
    b"$numberDecimal",
    b"$binary",
    b"$uuid",
    b"$code",
    b"$scope",
    b"$timestamp",
    b"$regularExpression",
    b"$dbPointer",
    b"$date",
    b"$undefined",
    b"$minKey",
    b"$maxKey",
];
/// The name by which our own wrappings are known.
const OURS: &[u8] = b"$landfall";
/// From here on an integer fits no `i64`, so a double needs no point to be told from one.
const PAST_INTEGERS: f64 = 18_446_744_073_709_551_616.0;
/// From here on the shortest text of a double has an exponent.
const EXPONENT_FROM: f64 = 1e16;

/// Writes values of one record.
#[derive(Debug)]
pub struct Writer<'a> {
    /// Which form.
    pub form: Form,
    /// What becomes of unstorable text.
    pub unstorable: Unstorable,
    /// What the scan of the record found.
    pub scan: &'a Scan,
}

/// A document or array that is being written.
struct Open<'a> {
    elements: Elements<'a>,
    kind: Kind,
    first: bool,
    close: &'static str,
}

impl Writer<'_> {
    /// Appends the whole record, a document that has been scanned.
    pub fn record(&self, record: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let elements = Elements::of(record, 0)?;
        let close = self.open_document(elements, out);
        self.run(record, Open { elements, kind: Kind::Document, first: true, close }, out)
    }

    /// Appends the value of an element of the record.
    pub fn value(&self, record: &[u8], element: &Element<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.begin(record, element, out)? {
            Some(open) => self.run(record, open, out),
            None => Ok(()),
        }
    }

    /// Appends a member's name and the colon.
    pub fn name(&self, element: &Element<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let name = element.name;
        let ours = name.starts_with(OURS);
        if ours || std::str::from_utf8(name).is_err() {
            if !ours && self.unstorable == Unstorable::Refuse {
                return Err(Fault { at: element.at, code: RejectCode::InvalidUtf8 });
            }
            out.push(b'"');
            out.extend_from_slice(OURS);
            out.push(b':');
            append_base64(name, out);
            out.push(b'"');
        } else {
            append_quoted(name, out);
        }
        out.push(b':');
        Ok(())
    }

    /// Opens a document for its members; what closes it.
    pub fn open_document(&self, mut elements: Elements<'_>, out: &mut Vec<u8>) -> &'static str {
        if self.scan.has_dollar() {
            while let Ok(Some(element)) = elements.next_element() {
                if TYPE_NAMES.contains(&element.name) {
                    out.extend_from_slice(br#"{"$landfall":{"document":{"#);
                    return "}}}";
                }
            }
        }
        out.push(b'{');
        "}"
    }

    /// Whether a member counts: no later one has its name.
    pub fn counts(&self, element: &Element<'_>) -> bool {
        let superseded = self.scan.superseded();
        superseded.is_empty() || superseded.binary_search(&(element.at as u32)).is_err()
    }

    fn run<'a>(&self, record: &'a [u8], first: Open<'a>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut outer: Vec<Open<'a>> = Vec::new();
        let mut open = first;
        loop {
            let Some(element) = open.elements.next_element()? else {
                out.extend_from_slice(open.close.as_bytes());
                let Some(next) = outer.pop() else { return Ok(()) };
                open = next;
                continue;
            };
            if open.kind != Kind::Array && !self.counts(&element) {
                continue;
            }
            if !std::mem::take(&mut open.first) {
                out.push(b',');
            }
            if open.kind != Kind::Array {
                self.name(&element, out)?;
            }
            if let Some(inside) = self.begin(record, &element, out)? {
                outer.push(std::mem::replace(&mut open, inside));
            }
        }
    }

    /// Appends a value, or opens it.
    fn begin<'a>(&self, record: &'a [u8], element: &Element<'_>, out: &mut Vec<u8>) -> Result<Option<Open<'a>>, Fault> {
        let inside = match element.kind {
            Kind::Document => Elements::of(record, element.start)?,
            Kind::Array => {
                out.push(b'[');
                let elements = Elements::of(record, element.start)?;
                return Ok(Some(Open { elements, kind: Kind::Array, first: true, close: "]" }));
            }
            Kind::CodeWithScope => {
                let Value::CodeWithScope(code, scope) = element.value() else { return Ok(None) };
                out.extend_from_slice(br#"{"$code":"#);
                self.string(element, code, out)?;
                out.extend_from_slice(br#","$scope":"#);
                Elements::of(record, element.start + element.body.len() - scope.len())?
            }
            _ => {
                self.scalar(element, out)?;
                return Ok(None);
            }
        };
        let close = match (self.open_document(inside, out), element.kind) {
            (close, Kind::Document) => close,
            ("}", _) => "}}",
            _ => "}}}}",
        };
        Ok(Some(Open { elements: inside, kind: Kind::Document, first: true, close }))
    }

    fn scalar(&self, element: &Element<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        // Writing to a Vec cannot fail.
        match element.value() {
            Value::String(text) => return self.string(element, text, out),
            Value::Double(value) => self.double(value, out),
            Value::Int32(value) => self.integer("$numberInt", i64::from(value), out),
            Value::Int64(value) => self.integer("$numberLong", value, out),
            Value::Bool(value) => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Null => out.extend_from_slice(b"null"),
            Value::ObjectId(id) => append_object_id(&id, out),
            Value::Date(millis) => self.date(millis, out),
            Value::Decimal128(value) => {
                out.extend_from_slice(br#"{"$numberDecimal":""#);
                value.append_text(out);
                out.extend_from_slice(b"\"}");
            }
            Value::Timestamp(seconds, increment) => {
                let _ = write!(out, r#"{{"$timestamp":{{"t":{seconds},"i":{increment}}}}}"#);
            }
            Value::Binary(subtype, bytes) => {
                out.extend_from_slice(br#"{"$binary":{"base64":""#);
                append_base64(bytes, out);
                let _ = write!(out, r#"","subType":"{subtype:02x}"}}}}"#);
            }
            Value::Undefined => out.extend_from_slice(br#"{"$undefined":true}"#),
            Value::MinKey => out.extend_from_slice(br#"{"$minKey":1}"#),
            Value::MaxKey => out.extend_from_slice(br#"{"$maxKey":1}"#),
            Value::Regex(pattern, options) => {
                out.extend_from_slice(br#"{"$regularExpression":{"pattern":"#);
                self.string(element, pattern, out)?;
                out.extend_from_slice(br#","options":"#);
                self.string(element, options, out)?;
                out.extend_from_slice(b"}}");
            }
            Value::DbPointer(namespace, id) => {
                out.extend_from_slice(br#"{"$dbPointer":{"$ref":"#);
                self.string(element, namespace, out)?;
                out.extend_from_slice(br#","$id":"#);
                append_object_id(&id, out);
                out.extend_from_slice(b"}}");
            }
            Value::Code(text) => return self.told("$code", element, text, out),
            Value::Symbol(text) => return self.told("$symbol", element, text, out),
            // Opened, not written.
            Value::Document(_) | Value::Array(_) | Value::CodeWithScope(..) => {}
        }
        Ok(())
    }

    fn told(&self, name: &str, element: &Element<'_>, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{{\"{name}\":");
        self.string(element, text, out)?;
        out.push(b'}');
        Ok(())
    }

    fn string(&self, element: &Element<'_>, text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let code = if std::str::from_utf8(text).is_err() {
            RejectCode::InvalidUtf8
        } else if memchr::memchr(0, text).is_some() {
            RejectCode::NulCharacter
        } else {
            append_quoted(text, out);
            return Ok(());
        };
        if self.unstorable == Unstorable::Refuse {
            return Err(Fault { at: element.at, code });
        }
        out.extend_from_slice(br#"{"$landfall":{"bytes":""#);
        append_base64(text, out);
        out.extend_from_slice(b"\"}}");
        Ok(())
    }

    fn integer(&self, name: &str, value: i64, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = match self.form {
            Form::Canonical => write!(out, r#"{{"{name}":"{value}"}}"#),
            Form::Relaxed => write!(out, "{value}"),
        };
    }

    fn double(&self, value: f64, out: &mut Vec<u8>) {
        let plain = value.is_finite() && (value != 0.0 || value.is_sign_positive());
        // Writing to a Vec cannot fail.
        match (self.form, plain) {
            (Form::Relaxed, true) if (EXPONENT_FROM..PAST_INTEGERS).contains(&value.abs()) => {
                let _ = write!(out, "{value:.1}");
            }
            (Form::Relaxed, true) => append_shortest(value, out),
            _ => {
                out.extend_from_slice(br#"{"$numberDouble":""#);
                out.extend_from_slice(match value {
                    f64::INFINITY => b"Infinity",
                    f64::NEG_INFINITY => b"-Infinity",
                    _ => b"",
                });
                if !value.is_infinite() {
                    append_shortest(value, out);
                }
                out.extend_from_slice(b"\"}");
            }
        }
    }

    fn date(&self, millis: i64, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"$date":"#);
        let start = out.len();
        out.push(b'"');
        if self.form == Form::Relaxed && append_iso(millis, out) {
            out.extend_from_slice(b"\"}");
            return;
        }
        out.truncate(start);
        // Writing to a Vec cannot fail.
        let _ = write!(out, r#"{{"$numberLong":"{millis}"}}}}"#);
    }
}

fn append_object_id(id: &[u8; 12], out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"$oid":""#);
    append_hex(id, out);
    out.extend_from_slice(b"\"}");
}

fn append_base64(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Four characters for each three bytes begun; a record's bytes keep this far from overflow.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
    out.truncate(start + written);
}
