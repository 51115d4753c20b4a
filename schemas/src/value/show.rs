//! A field of the binary protocol as JSON again, for people who compare rows: what `value` encoded, read back.

use super::numeric;
use crate::pgtype::PgType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// 2000-01-01, where PostgreSQL's days and microseconds begin.
const EPOCH: Date = jiff::civil::date(2000, 1, 1);

/// The value of a field's bytes; `None`: NULL. Numbers that a JSON reader would round are given as text, dates and times as ISO
/// 8601, bytes as Base64. What cannot be read is shown as such.
pub fn show(ty: PgType, field: Option<&[u8]>) -> Value {
    let Some(bytes) = field else { return Value::Null };
    shown(ty, bytes).unwrap_or_else(|| Value::String(format!("({} bytes that are no {ty})", bytes.len())))
}

fn shown(ty: PgType, bytes: &[u8]) -> Option<Value> {
    let text = |text: String| Some(Value::String(text));
    Some(match ty {
        PgType::Text | PgType::ObjectId => Value::String(String::from_utf8(bytes.to_vec()).ok()?),
        PgType::Bool => Value::Bool(bytes == [1]),
        PgType::Int2 => i16::from_be_bytes(bytes.try_into().ok()?).into(),
        PgType::Int4 => i32::from_be_bytes(bytes.try_into().ok()?).into(),
        PgType::Int8 => int8(bytes)?.into(),
        PgType::Float4 => float(f64::from(f32::from_be_bytes(bytes.try_into().ok()?))),
        PgType::Float8 => float(f64::from_be_bytes(bytes.try_into().ok()?)),
        PgType::Numeric(_) => Value::String(numeric::text_of(bytes)?),
        PgType::Date => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            return match EPOCH.checked_add(SignedDuration::from_hours(i64::from(days) * 24)) {
                Ok(date) => text(date.to_string()),
                Err(_) => text(format!("{days} days from 2000-01-01")),
            };
        }
        PgType::Time => {
            let time = Time::midnight().checked_add(SignedDuration::from_micros(int8(bytes)?)).ok()?;
            Value::String(time.to_string())
        }
        PgType::Timestamp | PgType::TimestampTz => {
            let micros = int8(bytes)?;
            let since_1970 = micros.checked_add(946_684_800_000_000)?;
            let Ok(moment) = Timestamp::from_microsecond(since_1970) else {
                return text(format!("{micros} µs from 2000-01-01"));
            };
            let shown = moment.to_string();
            let zoned = ty == PgType::TimestampTz;
            Value::String(if zoned { shown } else { shown.trim_end_matches('Z').to_owned() })
        }
        PgType::Uuid => Value::String(uuid::Uuid::from_slice(bytes).ok()?.to_string()),
        PgType::Bytea => Value::String(STANDARD.encode(bytes)),
        PgType::Jsonb => serde_json::from_slice(bytes.strip_prefix(&[1])?).ok()?,
        PgType::Array(element) => {
            let mut items = Vec::new();
            let mut rest = bytes.get(12..)?;
            if !rest.is_empty() {
                rest = rest.get(8..)?;
            }
            while let Some((length, after)) = rest.split_first_chunk::<4>() {
                let length = i32::from_be_bytes(*length);
                let size = usize::try_from(length).unwrap_or(0);
                items.push(show(element.ty(), (length >= 0).then(|| after.get(..size)).flatten()));
                rest = after.get(size..)?;
            }
            Value::Array(items)
        }
    })
}

fn int8(bytes: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(bytes.try_into().ok()?))
}

fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::super::Encoder;
    use super::*;
    use crate::pgtype::ElementType;
    use serde_json::json;

    #[test]
    fn what_was_encoded_is_shown_again() {
        let array = |ty| PgType::Array(ElementType::of(ty).expect("a plain type"));
        for (ty, json, expected) in [
            (PgType::Text, r#""née""#, json!("née")),
            (PgType::Bool, "true", json!(true)),
            (PgType::Int8, "-9223372036854775808", json!(i64::MIN)),
            (PgType::Float8, "0.1", json!(0.1)),
            (PgType::Numeric(None), "-1234567890123456789.0125", json!("-1234567890123456789.0125")),
            (PgType::Numeric(Some((12, 2))), "5", json!("5.00")),
            (PgType::Numeric(None), "0.00001", json!("0.00001")),
            (PgType::Numeric(None), "100000000", json!("100000000")),
            (PgType::Numeric(None), "0", json!("0")),
            (PgType::Date, r#""1999-12-31""#, json!("1999-12-31")),
            (PgType::Time, r#""23:59:59.5""#, json!("23:59:59.5")),
            (PgType::Timestamp, r#""2026-11-26T01:02:03.25""#, json!("2026-11-26T01:02:03.25")),
            (PgType::TimestampTz, r#""2026-11-26T01:02:03+01:00""#, json!("2026-11-26T00:02:03Z")),
            (PgType::Bytea, r#""AP8=""#, json!("AP8=")),
            (PgType::Jsonb, r#"{"a":[1,null]}"#, json!({ "a": [1, null] })),
            (array(PgType::Int4), "[1,null,3]", json!([1, null, 3])),
            (array(PgType::Text), "[]", json!([])),
            (PgType::Text, "null", json!(null)),
        ] {
            let mut out = Vec::new();
            Encoder::default().field(ty, json.as_bytes(), &mut out).unwrap();
            let length = i32::from_be_bytes(out[..4].try_into().unwrap());
            assert_eq!(show(ty, (length >= 0).then(|| &out[4..])), expected, "{json} as {ty}");
        }
        assert!(show(PgType::Int4, Some(&[1])).as_str().unwrap().contains("1 bytes"));
    }
}
