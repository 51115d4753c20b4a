//! The key's column: from the encoded key, and whether it gives the key's field back.

use crate::transform::column::KeyColumn;
use landfall_schemas::json::RawString;
use landfall_schemas::key::KeyView;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::value::{Scalar, put_bytes, put_scalar};

impl KeyColumn {
    /// Appends the key: its encoding as text, or its value if the column is typed.
    pub(super) fn put(&self, key: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
        let Some(ty) = self.ty else {
            put_bytes(key, out);
            return Ok(());
        };
        let view = KeyView::of(key);
        let put = match &view {
            Some(KeyView::Text(text)) => put_scalar(ty, Scalar::Text(text), out),
            Some(KeyView::Number(text)) => put_scalar(ty, Scalar::Number(text.as_bytes()), out),
            Some(KeyView::Bool(value)) => put_scalar(ty, Scalar::Bool(*value), out),
            _ => Err(self.reject(RejectCode::KeyType, ty)),
        };
        put.map_err(|inner| {
            let code = if inner.code == RejectCode::NulCharacter { inner.code } else { RejectCode::KeyType };
            let found = view.as_ref().map_or("no key", KeyView::kind_name);
            Rejection { found: found.into(), ..self.reject(code, ty) }
        })
    }

    fn reject(&self, code: RejectCode, ty: PgType) -> Rejection {
        Rejection::new(code, &self.name, &ty.to_string(), "something else")
    }
}

/// Whether the key's column gives back the very value `raw` of the key's field, so that the rest need not keep it. Where the
/// type has several spellings of one value (times, floats, numbers not in normal form) it does not.
pub(super) fn key_gives_back(ty: Option<PgType>, key: &[u8], raw: &[u8]) -> bool {
    match (KeyView::of(key), ty) {
        (Some(KeyView::Text(text)), None | Some(PgType::Text | PgType::ObjectId)) => {
            RawString::of_value(raw).is_some_and(|string| string.is(&text))
        }
        (Some(KeyView::Text(text)), Some(PgType::Uuid)) => {
            let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
            lower && RawString::of_value(raw).is_some_and(|string| string.is(&text))
        }
        (
            Some(KeyView::Number(text)),
            None | Some(PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Numeric(None)),
        ) => text.as_bytes() == raw,
        (Some(KeyView::Bool(value)), None | Some(PgType::Bool)) => raw == if value { &b"true"[..] } else { b"false" },
        _ => false,
    }
}
