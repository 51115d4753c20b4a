//! The key's column: from the encoded key, and whether it gives the key's field back.

use crate::transform::column::KeyColumn;
use landfall_schemas::bson::Value;
use landfall_schemas::key::KeyView;
use landfall_schemas::pgtype::PgType;
use landfall_schemas::rejection::{RejectCode, Rejection};
use landfall_schemas::value::numeric::put_non_finite;
use landfall_schemas::value::{Scalar, put_bson, put_bytes, put_scalar};

/// The subtype of a UUID whose byte order is known.
const UUID: u8 = 4;

/// Appends the key: its encoding as text, or its value if the column is typed. A typed column takes one BSON type (numbers
/// are one), so that no two keys become one row.
pub(super) fn put_key(column: &KeyColumn, key: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
    let Some(ty) = column.ty else {
        put_bytes(key, out);
        return Ok(());
    };
    let view = KeyView::of(key);
    let put = view.as_ref().map_or(Err(RejectCode::KeyType), |view| put_typed(ty, view, out));
    put.map_err(|code| {
        let found = view.as_ref().map_or("no key", KeyView::kind_name);
        Rejection::new(code, &column.name, &ty.config_name(), found)
    })
}

fn put_typed(ty: PgType, view: &KeyView<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let put = match (ty, view) {
        (PgType::Numeric(limit), KeyView::Number(text @ ("NaN" | "Infinity" | "-Infinity"))) => {
            // Four words of two bytes.
            out.extend_from_slice(&8_i32.to_be_bytes());
            let value = text.parse().map_err(|_| RejectCode::KeyType)?;
            return put_non_finite(limit, value, out).map_err(|_| RejectCode::KeyType);
        }
        (PgType::Text, KeyView::Text(text)) => put_scalar(ty, Scalar::Text(text), out),
        (PgType::Text, KeyView::Octets(_)) => return Err(RejectCode::InvalidUtf8),
        (PgType::ObjectId, KeyView::ObjectId(hex)) => put_scalar(ty, Scalar::Text(hex), out),
        (PgType::Uuid, KeyView::Uuid(uuid)) => put_scalar(ty, Scalar::Text(uuid), out),
        (PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Numeric(_), KeyView::Number(text)) => {
            put_scalar(ty, Scalar::Number(text.as_bytes()), out)
        }
        (PgType::Bool, KeyView::Bool(value)) => put_scalar(ty, Scalar::Bool(*value), out),
        (PgType::Date | PgType::Timestamp | PgType::TimestampTz, KeyView::Date(millis)) => {
            put_bson(ty, &Value::Date(*millis), out)
        }
        _ => return Err(RejectCode::KeyType),
    };
    put.map_err(|inner| match inner.code {
        code @ (RejectCode::NulCharacter | RejectCode::TimeRange) => code,
        _ => RejectCode::KeyType,
    })
}

/// Whether the key's column gives back the very value of the key's field, its type included, so that the rest need not keep
/// it. An integer in a tagged key is read back as an int if it fits one and else as a long.
pub(super) fn key_gives_back(ty: Option<PgType>, key: &[u8], value: &Value<'_>) -> bool {
    if key.starts_with(b"h:") {
        return false;
    }
    match (ty, *value) {
        (None, Value::Int64(value)) => i32::try_from(value).is_err(),
        (
            None,
            Value::String(_)
            | Value::ObjectId(_)
            | Value::Int32(_)
            | Value::Bool(_)
            | Value::Null
            | Value::Binary(..)
            | Value::Date(_)
            | Value::Timestamp(..)
            | Value::MinKey
            | Value::MaxKey,
        ) => true,
        (Some(PgType::Text), Value::String(_))
        | (Some(PgType::ObjectId), Value::ObjectId(_))
        | (Some(PgType::Uuid), Value::Binary(UUID, _))
        | (Some(PgType::Int2 | PgType::Int4), Value::Int32(_))
        | (Some(PgType::Int8), Value::Int64(_))
        | (Some(PgType::Bool), Value::Bool(_))
        | (Some(PgType::Date | PgType::Timestamp | PgType::TimestampTz), Value::Date(_)) => true,
        _ => false,
    }
}
