//! What Extended JSON must say of a document, made from the driver's own conversion of each leaf and from the rules written
//! down for what the driver does not know: it shares no code with what it judges.
//!
//! The documents are made with marks that [`spoil`] turns into what the driver cannot make: text that is not UTF-8, and members
//! named twice.

use ::bson::{Bson, Document, RawDocumentBuf};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Becomes bytes that are not UTF-8.
pub(super) const BROKEN: &str = "\u{7f}BAD\u{7f}";
/// Two names that become one.
pub(super) const TWICE: [&str; 2] = ["dupA", "dupB"];

const TYPES: [&str; 17] = [
    "$oid",
    "$symbol",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$code",
    "$scope",
    "$timestamp",
    "$regularExpression",
    "$dbPointer",
    "$date",
    "$undefined",
    "$minKey",
    "$maxKey",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Canonical,
    Relaxed,
}

/// The bytes of a document, its marks replaced.
pub(super) fn spoil(document: &Document) -> Vec<u8> {
    let mut bytes = RawDocumentBuf::try_from(document).expect("a document").into_bytes();
    let swaps: [(&[u8], &[u8]); 3] =
        [(BROKEN.as_bytes(), b"\xffBAD\xff"), (b"dupA\0", b"dupX\0"), (b"dupB\0", b"dupX\0")];
    for (from, to) in swaps {
        for at in 0..bytes.len().saturating_sub(from.len() - 1) {
            if bytes[at..].starts_with(from) {
                bytes[at..at + to.len()].copy_from_slice(to);
            }
        }
    }
    bytes
}

fn spoiled(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (n, part) in text.split(BROKEN).enumerate() {
        if n > 0 {
            bytes.extend_from_slice(b"\xffBAD\xff");
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn named(name: &str) -> String {
    match name {
        "dupA" | "dupB" => "dupX".into(),
        name if name.contains(BROKEN) || name.starts_with("$landfall") => {
            format!("$landfall:{}", STANDARD.encode(spoiled(name)))
        }
        name => name.into(),
    }
}

fn text(text: &str) -> Value {
    if text.contains(BROKEN) || text.contains('\0') {
        json!({"$landfall": {"bytes": STANDARD.encode(spoiled(text))}})
    } else {
        text.into()
    }
}

pub(super) fn document(document: &Document, told: Told) -> Value {
    let members: Map<String, Value> =
        document.iter().map(|(name, member)| (named(name), value(member, told))).collect();
    if document.keys().any(|name| TYPES.contains(&name.as_str())) {
        json!({"$landfall": {"document": members}})
    } else {
        Value::Object(members)
    }
}

pub(super) fn value(of: &Bson, told: Told) -> Value {
    match of {
        Bson::String(of) => text(of),
        Bson::Symbol(of) => json!({"$symbol": text(of)}),
        Bson::JavaScriptCode(of) => json!({"$code": text(of)}),
        Bson::JavaScriptCodeWithScope(of) => json!({"$code": text(&of.code), "$scope": document(&of.scope, told)}),
        Bson::Document(of) => document(of, told),
        Bson::Array(of) => of.iter().map(|element| value(element, told)).collect(),
        Bson::Double(of) if *of == 0.0 && of.is_sign_negative() => json!({"$numberDouble": "-0.0"}),
        // Where the driver strays: it clamps dates past the year 9999, and writes the smallest doubles plainly in both forms.
        Bson::DateTime(of) if !(0..253_402_300_800_000).contains(&of.timestamp_millis()) => {
            json!({"$date": {"$numberLong": of.timestamp_millis().to_string()}})
        }
        Bson::Double(of) if of.is_subnormal() && told == Told::Canonical => json!({"$numberDouble": of.to_string()}),
        leaf => match told {
            Told::Canonical => leaf.clone().into_canonical_extjson(),
            Told::Relaxed => leaf.clone().into_relaxed_extjson(),
        },
    }
}

/// Whether `jsonb` alone could not hold it.
pub(super) fn is_unstorable(of: &Bson) -> bool {
    let bad = |text: &str| text.contains(BROKEN) || text.contains('\0');
    let bad_document = |of: &Document| {
        TWICE.iter().all(|name| of.contains_key(name))
            || of.iter().any(|(name, member)| name.contains(BROKEN) || is_unstorable(member))
    };
    match of {
        Bson::String(of) | Bson::Symbol(of) | Bson::JavaScriptCode(of) => bad(of),
        Bson::JavaScriptCodeWithScope(of) => bad(&of.code) || bad_document(&of.scope),
        Bson::Document(of) => bad_document(of),
        Bson::Array(of) => of.iter().any(is_unstorable),
        _ => false,
    }
}

/// Equality of texts that may spell one date or one double in two ways. `serde_json` reads doubles to within a unit or two of
/// the last place.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    // The driver drops the zeros behind a fraction.
    let dates = |a: &str, b: &str| {
        let short = |text: &str| text.trim_end_matches('Z').trim_end_matches('0').to_owned();
        a.contains('.') && b.contains('.') && short(a) == short(b)
    };
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => match (x.as_i64(), y.as_i64()) {
            (Some(x), Some(y)) => x == y,
            (None, None) => {
                let (x, y) = (x.as_f64().expect("a number"), y.as_f64().expect("a number"));
                x == y || x.to_bits().abs_diff(y.to_bits()) <= 2
            }
            _ => false,
        },
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(name, left)| match (name.as_str(), left, b.get(name)) {
                    (_, _, None) => false,
                    ("$date", Value::String(x), Some(Value::String(y))) => x == y || dates(x, y),
                    ("$numberDouble", Value::String(x), Some(Value::String(y))) => {
                        x == y || x.parse::<f64>().map(f64::to_bits) == y.parse::<f64>().map(f64::to_bits)
                    }
                    (_, left, Some(right)) => same(left, right),
                })
        }
        (a, b) => a == b,
    }
}
