//! Column types as people write them, and whether a default fits one.

use landfall_schemas::pgtype::{ElementType, PgType};
use serde_json::Value;
use std::str::FromStr;

/// PostgreSQL's bounds.
const MAX_PRECISION: u16 = 1_000;

/// Parses a type. The error is what to write instead.
pub fn parse(text: &str) -> Result<PgType, &'static str> {
    let folded = text.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(element) = folded.strip_suffix("[]") {
        let advice = "`TYPE[]` of a plain type; `jsonb` for arrays of objects or arrays";
        return ElementType::of(parse(element.trim_end())?).map(PgType::Array).ok_or(advice);
    }
    Ok(match folded.as_str() {
        "text" => PgType::Text,
        "boolean" | "bool" => PgType::Bool,
        "smallint" | "int2" => PgType::Int2,
        "integer" | "int" | "int4" => PgType::Int4,
        "bigint" | "int8" => PgType::Int8,
        "real" | "float4" => PgType::Float4,
        "double precision" | "float8" => PgType::Float8,
        "numeric" | "decimal" => PgType::Numeric(None),
        "date" => PgType::Date,
        "time" | "time without time zone" => PgType::Time,
        "timestamp" | "timestamp without time zone" => PgType::Timestamp,
        "timestamptz" | "timestamp with time zone" => PgType::TimestampTz,
        "uuid" => PgType::Uuid,
        "bytea" => PgType::Bytea,
        "jsonb" => PgType::Jsonb,
        "objectid" => PgType::ObjectId,
        "json" => return Err("`jsonb`"),
        "string" | "str" | "varchar" | "char" | "character varying" => return Err("`text`"),
        "serial" | "bigserial" | "number" | "long" => return Err("`bigint`, or `numeric` for numbers with a fraction"),
        "float" | "double" => return Err("`double precision`"),
        "datetime" => return Err("`timestamptz`"),
        "object" | "array" => return Err("`jsonb`, or `text[]` for an array of single values"),
        "timetz" | "time with time zone" => return Err("`time`, or `timestamptz` with its date"),
        other => return other_type(other),
    })
}

fn other_type(text: &str) -> Result<PgType, &'static str> {
    if text.starts_with("varchar") || text.starts_with("char") {
        return Err("`text` (PostgreSQL stores both alike, and a length would park records)");
    }
    let numeric = text.strip_prefix("numeric").or_else(|| text.strip_prefix("decimal"));
    if let Some(inner) = numeric.and_then(|rest| rest.trim().strip_prefix('(')).and_then(|rest| rest.strip_suffix(')'))
    {
        let mut parts = inner.split(',').map(|part| part.trim().parse::<u16>().ok());
        let precision = parts.next().flatten();
        let scale = parts.next().unwrap_or(Some(0));
        return match (precision, scale, parts.next()) {
            (Some(precision @ 1..=MAX_PRECISION), Some(scale), None) if scale <= precision => {
                Ok(PgType::Numeric(Some((precision, scale))))
            }
            _ => Err("`numeric(precision, scale)` with 1 ≤ precision ≤ 1000 and scale ≤ precision"),
        };
    }
    Err(
        "text, boolean, smallint, integer, bigint, real, double precision, numeric, numeric(p,s), date, time, timestamp, \
         timestamptz, uuid, bytea, jsonb, objectid, or an array like text[]",
    )
}

/// Whether a value of this type can tell records apart, exactly and for good.
pub fn fits_a_key(ty: PgType) -> bool {
    match ty {
        PgType::Text | PgType::Int2 | PgType::Int4 | PgType::Int8 | PgType::Numeric(None) | PgType::Uuid => true,
        PgType::Date | PgType::Timestamp | PgType::TimestampTz | PgType::ObjectId => true,
        // Rounded or cut values would make two records one; documents are no keys; two values are too few.
        PgType::Numeric(Some(_)) | PgType::Float4 | PgType::Float8 | PgType::Bool | PgType::Time => false,
        PgType::Bytea | PgType::Jsonb | PgType::Array(_) => false,
    }
}

/// Whether the JSON text `default` is a value of `ty`.
pub fn default_fits(default: &str, ty: PgType) -> bool {
    let Ok(value) = serde_json::from_str::<Value>(default) else { return false };
    let text = value.as_str();
    match ty {
        PgType::Text => text.is_some_and(|text| !text.contains('\0')),
        PgType::Bool => value.is_boolean(),
        PgType::Int2 => value.as_i64().is_some_and(|n| i16::try_from(n).is_ok()),
        PgType::Int4 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        PgType::Int8 => value.as_i64().is_some(),
        PgType::Float4 | PgType::Float8 => value.is_number(),
        PgType::Numeric(limits) => value.is_number() && within(default, limits),
        PgType::Date => text.is_some_and(|text| jiff::civil::Date::from_str(text).is_ok()),
        PgType::Time => text.is_some_and(|text| jiff::civil::Time::from_str(text).is_ok()),
        PgType::Timestamp => text.is_some_and(|text| jiff::civil::DateTime::from_str(text).is_ok()),
        PgType::TimestampTz => text.is_some_and(|text| jiff::Timestamp::from_str(text).is_ok()),
        PgType::Uuid => text.is_some_and(|text| uuid::Uuid::try_parse(text).is_ok()),
        // No default of bytes: what encoding would it be in?
        PgType::Bytea => false,
        PgType::Jsonb => true,
        PgType::Array(element) => value.as_array().is_some_and(|items| {
            items.iter().all(|item| item.is_null() || default_fits(&item.to_string(), element.ty()))
        }),
        PgType::ObjectId => text.is_some_and(landfall_schemas::value::is_object_id),
    }
}

/// Whether a plain decimal has no more digits than `numeric(p,s)` holds without rounding.
fn within(text: &str, limits: Option<(u16, u16)>) -> bool {
    let Some((precision, scale)) = limits else { return true };
    let (whole, fraction) = text.trim_start_matches('-').split_once('.').unwrap_or((text.trim_start_matches('-'), ""));
    let plain = whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    let whole = whole.trim_start_matches('0');
    plain && fraction.len() <= usize::from(scale) && whole.len() <= usize::from(precision - scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_their_postgresql_spellings() {
        for (text, ty) in [
            ("TEXT", PgType::Text),
            ("double  precision", PgType::Float8),
            ("numeric(12, 2)", PgType::Numeric(Some((12, 2)))),
            ("decimal(5)", PgType::Numeric(Some((5, 0)))),
            ("timestamp with time zone", PgType::TimestampTz),
            ("ObjectId", PgType::ObjectId),
        ] {
            assert_eq!(parse(text), Ok(ty), "{text}");
        }
        for bad in ["string", "varchar(20)", "numeric(0,0)", "numeric(3,4)", "numeric(1,2,3)", "numeric(", "money", ""]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_default_must_fit_its_column_exactly() {
        for (default, ty, fits) in [
            ("\"x\"", PgType::Text, true),
            ("5", PgType::Text, false),
            ("32768", PgType::Int2, false),
            ("1.5", PgType::Int4, false),
            ("1.25", PgType::Numeric(Some((3, 2))), true),
            ("1.255", PgType::Numeric(Some((3, 2))), false),
            ("12.5", PgType::Numeric(Some((3, 2))), false),
            ("\"2026-02-30\"", PgType::Date, false),
            ("\"2026-02-28T10:00:00Z\"", PgType::TimestampTz, true),
            ("\"2026-02-28T10:00:00\"", PgType::TimestampTz, false),
            ("[]", PgType::Jsonb, true),
            ("\"00\"", PgType::Bytea, false),
            ("\"65f0c1d2e3a4b5c6d7e8f901\"", PgType::ObjectId, true),
            ("\"65F0C1D2E3A4B5C6D7E8F901\"", PgType::ObjectId, false),
        ] {
            assert_eq!(default_fits(default, ty), fits, "{default} as {ty}");
        }
    }
}
