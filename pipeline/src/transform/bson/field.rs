//! A mapped column: from the value that a path leads to, or from the default.

use crate::transform::column::{Field, NULL};
use landfall_schemas::bson::{Element, Fault, Kind, Writer, reject};
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::value::rule::Ruler;
use landfall_schemas::value::{Encoder, put_bson, put_null};
use std::ops::Range;

/// Where an element stands in a document.
#[derive(Clone, Debug)]
pub(in crate::transform) struct Slot {
    at: usize,
    kind: Kind,
    body: Range<usize>,
}

impl Slot {
    pub(super) fn of(element: &Element<'_>) -> Self {
        let body = element.start..element.start + element.body.len();
        Self { at: element.at, kind: element.kind, body }
    }

    /// Where its value begins.
    pub(super) fn start(&self) -> usize {
        self.body.start
    }

    /// The element again, without its name.
    pub(super) fn element<'a>(&self, record: &'a [u8]) -> Element<'a> {
        let body = &record[self.body.clone()];
        Element { at: self.at, kind: self.kind, name: b"", start: self.body.start, body }
    }
}

/// Appends the field of a value that was found.
pub(super) fn put_field(
    field: &Field,
    record: &[u8],
    element: &Element<'_>,
    (writer, (encoder, ruler)): (&Writer<'_>, (&mut Encoder, &mut Ruler)),
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let at = element.start as u64;
    if element.kind == Kind::Null {
        if field.required {
            return Err(missing(field, "null").at(element.start as u64));
        }
        put_null(out);
        return Ok(());
    }
    let start = out.len();
    if let Some(rule) = &field.rule
        && let Some(put) = ruler.put_bson((rule, field.ty), &element.value(), encoder, out)
    {
        put.map_err(|inner| Rejection { path: field.pointer.clone(), ..inner }.at(at))?;
        // A rule may make NULL of a value that is there.
        let is_null = out[start..] == NULL;
        return if field.required && is_null { Err(missing(field, "empty text").at(at)) } else { Ok(()) };
    }
    if field.ty == PgType::Jsonb {
        let put = put_jsonb_text(out, |out| writer.value(record, element, out));
        return put.map_err(|fault| reject(record, fault));
    }
    put_bson(field.ty, &element.value(), out).map_err(|inner| {
        Rejection { path: format!("{}{}", field.pointer, inner.path).into(), ..inner }.at(element.start as u64)
    })
}

/// Appends the field of a value that is missing.
pub(super) fn put_default(field: &Field, encoder: &mut Encoder, out: &mut Vec<u8>) -> Result<(), Rejection> {
    match field.default.as_deref().map(str::as_bytes) {
        Some(b"null") if field.required => Err(missing(field, "null")),
        Some(raw) => encoder.field(field.ty, raw, out).map_err(|inner| Rejection {
            path: field.pointer.clone(),
            at: None,
            ..inner
        }),
        None if field.required => Err(missing(field, "nothing")),
        None => {
            put_null(out);
            Ok(())
        }
    }
}

fn missing(field: &Field, found: &str) -> Rejection {
    Rejection::new(RejectCode::RequiredMissing, &field.pointer, &field.ty.config_name(), found)
}

/// Appends a `jsonb` field whose text `write` appends. On error `out` holds a part of it.
pub(super) fn put_jsonb_text(
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, 1]);
    write(out)?;
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}
