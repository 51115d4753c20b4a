//! What values of BSON ask for of columns that the service adds, and what such columns take of them.
//!
//! A column takes values of its own kind that it holds exactly. What it does not give back in its very type stays in the rest as well, as for
//! every column; kinds without a type (regular expressions, timestamps, the ends of the order, infinities) stay there alone.

use landfall_schemas::bson::{Decimal128, Element, Value, Writer};
use landfall_schemas::mapping::AddedType;
use landfall_schemas::value::put_bson;

/// The subtype of a UUID whose byte order is known.
const UUID: u8 = 4;

/// The type that holds a value; `None`: null, and kinds that no type holds.
pub(super) fn kind_of(value: &Value<'_>) -> Option<AddedType> {
    let kind = match *value {
        Value::Bool(_) => AddedType::Boolean,
        Value::Int32(_) | Value::Int64(_) => AddedType::Bigint,
        Value::Double(number) if number.is_finite() => AddedType::Numeric,
        Value::Decimal128(Decimal128::Finite { .. }) => AddedType::Numeric,
        Value::String(_) => AddedType::Text,
        Value::ObjectId(_) => AddedType::ObjectId,
        Value::Date(_) => AddedType::TimestampTz,
        Value::Binary(UUID, bytes) if bytes.len() == 16 => AddedType::Uuid,
        Value::Binary(0, _) => AddedType::Bytea,
        Value::Document(_) | Value::Array(_) => return Some(AddedType::Jsonb),
        _ => return None,
    };
    // Far dates, and numbers beyond `numeric`, have no exact form.
    put_bson(kind.ty(), value, &mut Vec::new()).is_ok().then_some(kind)
}

/// Whether a column takes a value of this kind exactly; `relaxed` writes what `jsonb` would hold.
pub(super) fn takes(
    ty: AddedType,
    kind: AddedType,
    (record, element, relaxed): (&[u8], &Element<'_>, &Writer<'_>),
) -> bool {
    ty.takes(kind) && (ty != AddedType::Jsonb || relaxed.value(record, element, &mut Vec::new()).is_ok())
}
