//! A BSON value as a field of PostgreSQL's binary protocol: exact, or rejected.
//!
//! | type | takes | gives back |
//! |---|---|---|
//! | `text` | string: UTF-8 without U+0000 | string |
//! | `objectid` | ObjectId | ObjectId |
//! | `boolean` | bool | bool |
//! | `smallint` `integer` | int, long, double, decimal: an integer in range, not `-0` | int |
//! | `bigint` | the same; a timestamp as seconds × 2³² + counter | long |
//! | `real` `double precision` | double (all of them; `real` where no digit is lost), int and long that are exact in it, decimal as JSON numbers | double |
//! | `numeric` | int, long, decimal; double by the shortest text that reads back as it; NaN; the infinities without `(p, s)` | decimal in a cohort that `numeric` shows |
//! | `date` | date at midnight in UTC; string as from JSON | date |
//! | `timestamp` | date, as UTC; string as from JSON | date |
//! | `timestamptz` | date; string as from JSON | date |
//! | `time` | string as from JSON | nothing |
//! | `uuid` | binary of subtype 4; string as from JSON | binary |
//! | `bytea` | binary | binary of subtype 0 |
//! | `type[]` | array of values of that type, nulls too, none nested | array whose elements it gives back |
//!
//! A double goes into `numeric` by its shortest text because that text and the double determine each other: 19.99 stays 19.99. What a
//! column takes but does not give back in its very type stays in the rest as well (promise 14). `jsonb` is not written
//! here: it needs the record. `null` is NULL for every type. Keeps promise 13: never clamped, rounded or guessed.

use super::array::ArrayField;
use super::{number, numeric, octets, put_null, time};
use crate::bson::{Decimal128, Elements, Value, append_hex, append_shortest};
use crate::pgtype::{ElementType, PgType};
use crate::rejection::{RejectCode, Rejection};

/// The subtype of a UUID whose byte order is known.
const UUID: u8 = 4;
/// Integers up to here are exact in a `double precision` and in a `real`.
const FLOAT8_INTEGER: u64 = 1 << 53;
const FLOAT4_INTEGER: u64 = 1 << 24;

/// Appends the field for a value of any type but `jsonb`. On error `out` is as before; path and offset are the caller's to
/// fill in.
pub fn put_bson(ty: PgType, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    if *value == Value::Null {
        put_null(out);
        return Ok(());
    }
    if let (PgType::Array(element), Value::Array(bytes)) = (ty, value) {
        return put_array(element, bytes, out);
    }
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    if let Err(code) = put(ty, value, out) {
        out.truncate(start);
        return Err(misfit(code, ty, value));
    }
    let length = (out.len() - start - 4) as i32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn put_array(element: ElementType, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Rejection> {
    let (start, mut field) = (out.len(), ArrayField::open(element, out));
    let malformed = || Rejection::new(RejectCode::Malformed, "", "an array", "something else");
    let put = Elements::of(bytes, 0).map_err(|_| malformed()).and_then(|mut elements| {
        while let Some(value) = elements.next_element().map_err(|_| malformed())? {
            field.element(out, |out| put_bson(element.ty(), &value.value(), out))?;
        }
        Ok(())
    });
    match put {
        Ok(()) => field.close(out),
        Err(_) => out.truncate(start),
    }
    put
}

fn put(ty: PgType, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    match (ty, *value) {
        (PgType::Text, Value::String(text)) => octets::put_text(utf8(text)?, out),
        (PgType::ObjectId, Value::ObjectId(id)) => {
            append_hex(&id, out);
            Ok(())
        }
        (PgType::Bool, Value::Bool(value)) => {
            out.push(u8::from(value));
            Ok(())
        }
        (PgType::Int2 | PgType::Int4 | PgType::Int8, _) => put_integer(ty, value, out),
        (PgType::Float4 | PgType::Float8, _) => put_float(ty, value, out),
        (PgType::Numeric(limit), _) => put_numeric(limit, value, out),
        (PgType::Date, Value::Date(millis)) => time::put_date_of(millis, out),
        (PgType::Timestamp | PgType::TimestampTz, Value::Date(millis)) => time::put_instant(millis, out),
        (PgType::Date, Value::String(text)) => time::put_date(utf8(text)?, out),
        (PgType::Time, Value::String(text)) => time::put_time(utf8(text)?, out),
        (PgType::Timestamp, Value::String(text)) => time::put_timestamp(utf8(text)?, out),
        (PgType::TimestampTz, Value::String(text)) => time::put_timestamptz(utf8(text)?, out),
        (PgType::Uuid, Value::String(text)) => octets::put_uuid(utf8(text)?, out),
        (PgType::Uuid, Value::Binary(UUID, bytes)) if bytes.len() == 16 => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        (PgType::Bytea, Value::Binary(_, bytes)) => {
            out.extend_from_slice(bytes);
            Ok(())
        }
        _ => Err(RejectCode::ColumnType),
    }
}

fn utf8(text: &[u8]) -> Result<&str, RejectCode> {
    std::str::from_utf8(text).map_err(|_| RejectCode::InvalidUtf8)
}

fn put_integer(ty: PgType, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let whole = match *value {
        Value::Int32(value) => i64::from(value),
        Value::Int64(value) => value,
        Value::Timestamp(seconds, increment) if ty == PgType::Int8 => {
            i64::try_from(u64::from(seconds) << 32 | u64::from(increment)).map_err(|_| RejectCode::NumberRange)?
        }
        Value::Double(value) => integer_of(value)?,
        Value::Decimal128(decimal) => return number::put_integer(ty, &text_of(&decimal)?, out),
        _ => return Err(RejectCode::ColumnType),
    };
    let range = |_| RejectCode::NumberRange;
    match ty {
        PgType::Int2 => out.extend_from_slice(&i16::try_from(whole).map_err(range)?.to_be_bytes()),
        PgType::Int4 => out.extend_from_slice(&i32::try_from(whole).map_err(range)?.to_be_bytes()),
        _ => out.extend_from_slice(&whole.to_be_bytes()),
    }
    Ok(())
}

/// A double that is an integer of 64 bits; `-0` has a sign that integers cannot hold.
fn integer_of(value: f64) -> Result<i64, RejectCode> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    let exact = value.fract() == 0.0 && (-END..END).contains(&value) && !(value == 0.0 && value.is_sign_negative());
    if exact { Ok(value as i64) } else { Err(RejectCode::NumberRange) }
}

fn text_of(decimal: &Decimal128) -> Result<Vec<u8>, RejectCode> {
    let mut text = Vec::new();
    if decimal.append_number(&mut text) { Ok(text) } else { Err(RejectCode::NumberRange) }
}

fn put_float(ty: PgType, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let double = match *value {
        Value::Double(value) => value,
        Value::Int32(value) => exact_in(ty, i64::from(value))?,
        Value::Int64(value) => exact_in(ty, value)?,
        Value::Decimal128(Decimal128::NotANumber) => f64::NAN,
        Value::Decimal128(Decimal128::Infinite { negative }) => {
            f64::INFINITY.copysign(if negative { -1.0 } else { 1.0 })
        }
        Value::Decimal128(decimal) => {
            let text = text_of(&decimal)?;
            return if ty == PgType::Float4 { number::put_float4(&text, out) } else { number::put_float8(&text, out) };
        }
        _ => return Err(RejectCode::ColumnType),
    };
    if ty == PgType::Float8 {
        out.extend_from_slice(&double.to_be_bytes());
        return Ok(());
    }
    let float = double as f32;
    if !double.is_nan() && f64::from(float) != double {
        return Err(RejectCode::NumberRange);
    }
    out.extend_from_slice(&float.to_be_bytes());
    Ok(())
}

/// An integer as a float of `ty`, if it is one: what is odd of it must fit the mantissa.
fn exact_in(ty: PgType, value: i64) -> Result<f64, RejectCode> {
    let odd = value.unsigned_abs().checked_shr(value.trailing_zeros()).unwrap_or(0);
    let limit = if ty == PgType::Float4 { FLOAT4_INTEGER } else { FLOAT8_INTEGER };
    if odd <= limit { Ok(value as f64) } else { Err(RejectCode::NumberRange) }
}

fn put_numeric(limit: Option<(u16, u16)>, value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let non_finite = match *value {
        Value::Double(value) => (!value.is_finite()).then_some(value),
        Value::Decimal128(Decimal128::NotANumber) => Some(f64::NAN),
        Value::Decimal128(Decimal128::Infinite { negative }) => {
            Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY })
        }
        _ => None,
    };
    if let Some(value) = non_finite {
        return numeric::put_non_finite(limit, value, out);
    }
    let mut text = Vec::new();
    match *value {
        Value::Int32(value) => text.extend_from_slice(value.to_string().as_bytes()),
        Value::Int64(value) => text.extend_from_slice(value.to_string().as_bytes()),
        Value::Double(value) => append_shortest(value, &mut text),
        Value::Decimal128(decimal) => text = text_of(&decimal)?,
        _ => return Err(RejectCode::ColumnType),
    }
    numeric::put_numeric(limit, &text, out)
}

/// Whether a column of `ty` that took this value gives back the very value, its type included, so that the rest need not keep
/// it. `jsonb` is judged by the writer of it, null by nobody: it stays.
pub fn gives_back(ty: PgType, value: &Value<'_>) -> bool {
    match (ty, *value) {
        (PgType::Text, Value::String(_))
        | (PgType::ObjectId, Value::ObjectId(_))
        | (PgType::Bool, Value::Bool(_))
        | (PgType::Int2 | PgType::Int4, Value::Int32(_))
        | (PgType::Int8, Value::Int64(_))
        | (PgType::Float4 | PgType::Float8, Value::Double(_))
        | (PgType::Date | PgType::Timestamp | PgType::TimestampTz, Value::Date(_))
        | (PgType::Uuid, Value::Binary(UUID, _))
        | (PgType::Bytea, Value::Binary(0, _)) => true,
        (PgType::Numeric(_), Value::Decimal128(Decimal128::NotANumber | Decimal128::Infinite { .. })) => true,
        (PgType::Numeric(limit), Value::Decimal128(Decimal128::Finite { negative, coefficient, exponent })) => {
            let shown = limit.map_or(exponent <= 0, |(_, scale)| exponent == -i32::from(scale));
            shown && (coefficient != 0 || !negative)
        }
        (PgType::Array(element), Value::Array(bytes)) => {
            let Ok(mut elements) = Elements::of(bytes, 0) else { return false };
            std::iter::from_fn(|| elements.next_element().transpose()).all(|found| {
                let value = found.map(|element| element.value());
                value.is_ok_and(|value| value == Value::Null || gives_back(element.ty(), &value))
            })
        }
        _ => false,
    }
}

/// The same of a value of SQLite, whose numbers are of one kind: by its value, not by its width.
pub fn gives_back_by_value(ty: PgType, value: &Value<'_>) -> bool {
    let whole = matches!(ty, PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Numeric(_) | PgType::Float8);
    match value {
        Value::Int64(_) => whole,
        Value::Double(_) => matches!(ty, PgType::Numeric(_) | PgType::Float4 | PgType::Float8),
        other => gives_back(ty, other),
    }
}

/// A rejection at the value itself, in words that hold no value.
fn misfit(code: RejectCode, ty: PgType, value: &Value<'_>) -> Rejection {
    let found = match code {
        RejectCode::NumberRange => "number that it cannot hold exactly",
        RejectCode::TimeRange => "date that it cannot hold exactly",
        RejectCode::NulCharacter => "string with U+0000",
        RejectCode::InvalidUtf8 => "string that is not UTF-8",
        _ => value.kind().name(),
    };
    Rejection::new(code, "", &ty.config_name(), found).at(0)
}
