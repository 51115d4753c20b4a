//! `_id` as its bytes say it, and the mark that is made of it.
//!
//! ```text
//! mark = length i32 | kind u8 | 00 | value | 00        the BSON document {"": _id}
//! ```
//!
//! Marks are stored with the progress of a copy. They are the exact bytes of the `_id`, duplicate members and strings that are not
//! UTF-8 included: a place of the order that was decoded and encoded again could be another place. Nothing here can fail but for
//! bytes that are not BSON, which answer `None`.

use crate::snapshot::Mark;
use bson::{RawDocument, RawDocumentBuf};

/// Bytes of a document's length.
const LENGTH: usize = 4;
/// Ends a document, and a name.
const NUL: u8 = 0;

/// The `_id` of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id<'a> {
    kind: u8,
    value: &'a [u8],
}

impl std::fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Id").field("kind", &self.kind_name()).finish_non_exhaustive()
    }
}

impl<'a> Id<'a> {
    /// The first element named `name`.
    fn named(name: &str, document: &'a RawDocument) -> Option<Self> {
        let bytes = document.as_bytes();
        let mut at = LENGTH;
        for element in document.iter_elements() {
            let element = element.ok()?;
            let value = at + 1 + element.key().as_str().len() + 1;
            let end = value + element.size();
            if element.key().as_str() == name {
                return Some(Self { kind: *bytes.get(at)?, value: bytes.get(value..end)? });
            }
            at = end;
        }
        None
    }

    /// The `_id` of `document`.
    pub(crate) fn of(document: &'a RawDocument) -> Option<Self> {
        Self::named("_id", document)
    }

    /// The `_id` that a mark holds.
    pub(crate) fn of_mark(mark: &'a [u8]) -> Option<Self> {
        Self::named("", RawDocument::from_bytes(mark).ok()?)
    }

    /// As a mark.
    pub(crate) fn mark(self) -> Mark {
        self.under("").into_boxed_slice()
    }

    /// `{$literal: _id}`: an expression that is this value, whatever it looks like.
    pub(crate) fn literal(self) -> Option<RawDocumentBuf> {
        RawDocumentBuf::from_bytes(self.under("$literal")).ok()
    }

    /// `{$gt: self, $lte: upto}`, as a plain filter has it.
    pub(crate) fn plain_bounds(self, upto: Option<Self>) -> Option<RawDocumentBuf> {
        let members = [("$gt", Some(self)), ("$lte", upto)];
        let members: Vec<_> = members.into_iter().filter_map(|(name, id)| Some((name, id?))).collect();
        RawDocumentBuf::from_bytes(document(&members)).ok()
    }

    fn under(self, name: &str) -> Vec<u8> {
        document(&[(name, self)])
    }

    /// The kinds that the order does not keep apart from this one, where there are several or the kind is a usual one.
    pub(crate) fn bracket(self) -> Option<Bracket> {
        match self.kind {
            0x01 | 0x10 | 0x12 | 0x13 => Some(Bracket::Number),
            0x02 | 0x0E => Some(Bracket::String),
            0x07 => Some(Bracket::ObjectId),
            _ => None,
        }
    }

    /// Whether a plain `$gt` and `$lte` of it see its whole bracket. Not so for NaN, and nobody needs the rest.
    pub(crate) fn bounds_plainly(self) -> bool {
        matches!(self.kind, 0x02 | 0x07 | 0x10 | 0x12)
    }

    /// The kind of the value, as the server's `$type` names it.
    pub(crate) fn kind_name(self) -> &'static str {
        match self.kind {
            0x01 => "double",
            0x02 => "string",
            0x03 => "object",
            0x04 => "array",
            0x05 => "binData",
            0x06 => "undefined",
            0x07 => "objectId",
            0x08 => "bool",
            0x09 => "date",
            0x0A => "null",
            0x0B => "regex",
            0x0C => "dbPointer",
            0x0D => "javascript",
            0x0E => "symbol",
            0x0F => "javascriptWithScope",
            0x10 => "int",
            0x11 => "timestamp",
            0x12 => "long",
            0x13 => "decimal",
            0x7F => "maxKey",
            0xFF => "minKey",
            _ => "unknown",
        }
    }
}

/// Kinds of values among which comparisons are by value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Bracket {
    Number,
    String,
    ObjectId,
}

fn document(members: &[(&str, Id<'_>)]) -> Vec<u8> {
    let inside: usize = members.iter().map(|(name, id)| 1 + name.len() + 1 + id.value.len()).sum();
    let length = LENGTH + inside + 1;
    let mut out = Vec::with_capacity(length);
    // A document has at most 16 MB.
    out.extend_from_slice(&(length as i32).to_le_bytes());
    for (name, id) in members {
        out.push(id.kind);
        out.extend_from_slice(name.as_bytes());
        out.push(NUL);
        out.extend_from_slice(id.value);
    }
    out.push(NUL);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Bson, doc, oid::ObjectId};

    fn ids() -> Vec<Bson> {
        vec![
            Bson::Null,
            Bson::MinKey,
            Bson::MaxKey,
            Bson::Double(f64::NAN),
            Bson::Int32(-5),
            Bson::Int64(1 << 60),
            Bson::String("5".into()),
            Bson::String(String::new()),
            Bson::Boolean(true),
            Bson::ObjectId(ObjectId::from_bytes([7; 12])),
            Bson::DateTime(bson::DateTime::from_millis(-1)),
            Bson::Document(doc! {"": {"$literal": 1}, "$oid": "x"}),
            Bson::Binary(bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![0; 16] }),
            Bson::Timestamp(bson::Timestamp { time: 1, increment: 2 }),
        ]
    }

    #[test]
    fn a_mark_is_the_id_and_nothing_else_wherever_it_stands_in_the_document() {
        for id in ids() {
            for document in [doc! {"_id": id.clone(), "a": 1}, doc! {"a": [1, {"_id": 0}], "é": "x", "_id": id.clone()}]
            {
                let raw = RawDocumentBuf::try_from(&document).unwrap();
                let found = Id::of(&raw).unwrap();
                let expected = RawDocumentBuf::try_from(&doc! {"": id.clone()}).unwrap();
                assert_eq!(&*found.mark(), expected.as_bytes(), "{id:?}");
                assert_eq!(Id::of_mark(&found.mark()), Some(found));
                let literal = RawDocumentBuf::try_from(&doc! {"$literal": id.clone()}).unwrap();
                assert_eq!(found.literal().unwrap(), literal);
            }
        }
    }

    #[test]
    fn a_string_that_is_not_text_keeps_its_bytes() {
        let raw = RawDocumentBuf::from_bytes(b"\x11\x00\x00\x00\x02_id\x00\x03\x00\x00\x00\xff\xfe\x00\x00".to_vec())
            .unwrap();
        let id = Id::of(&raw).unwrap();
        assert_eq!(id.kind_name(), "string");
        assert_eq!(id.value, b"\x03\x00\x00\x00\xff\xfe\x00");
        assert_eq!(Id::of_mark(&id.mark()), Some(id));
    }

    #[test]
    fn what_is_not_a_mark_is_none() {
        assert_eq!(Id::of_mark(b""), None);
        assert_eq!(Id::of_mark(b"\x05\x00\x00\x00\x00"), None);
        assert_eq!(Id::of(&RawDocumentBuf::new()), None);
    }
}
