//! A column's rule applied to a value: see [`crate::mapping::ValueRule`].
//!
//! Owns the way from a scalar to a field where the column has a rule. Exact or rejected like every other value (promise 13): an amount or a
//! time that the column would round is refused. Reads no clock and no locale (promise 19).
//!
//! Errors: `ColumnType` for what is not of the form that the rule reads, `ValueNotListed` for a spelling that is not on its list, and what
//! the column's type refuses.

mod moment;
mod money;
mod normalize;

#[cfg(test)]
mod tests;

use super::{Encoder, put_null};
use crate::bson::{Value, append_exact, append_quoted, append_shortest};
use crate::json::{Kind, RawString, check_syntax};
use crate::mapping::{Otherwise, Parse, ValueRule};
use crate::pgtype::PgType;
use crate::rejection::{RejectCode, Rejection};
use moment::Moment;
pub use moment::pattern_fault;

/// Doubles that are integers up to here are spelled as such.
const EXACT_INTEGER: f64 = 9_007_199_254_740_992.0;

/// The scratch memory of rules.
#[derive(Debug, Default)]
pub struct Ruler {
    text: Vec<u8>,
    json: Vec<u8>,
}

/// What a value is after the first two steps.
enum Stage<'a> {
    /// A string, unescaped.
    Text(&'a str),
    /// A number or boolean, as JSON writes it.
    Plain(&'a [u8]),
    /// What a list stores for it.
    Listed(&'a str),
}

impl Ruler {
    /// Appends the field that `rule` makes of a JSON value (without white space around it; checked to be JSON). On error `out` is
    /// as before, path and offset are relative to the value.
    pub fn put(
        &mut self,
        (rule, ty): (&ValueRule, PgType),
        raw: &[u8],
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejection> {
        let Self { text, json } = self;
        let Some(kind) = raw.first().and_then(|first| Kind::of(*first)) else {
            return Err(Rejection::new(RejectCode::Malformed, "", "JSON", "something else"));
        };
        let misfit = |code| misfit(code, rule, ty, kind);
        let stage = match kind {
            Kind::Null => {
                put_null(out);
                return Ok(());
            }
            Kind::String => {
                let string = RawString::of_value(raw).ok_or_else(|| misfit(RejectCode::Malformed))?;
                let found = string.decode(text).map_err(misfit)?;
                match normalize::all(&rule.normalize, found, json) {
                    Some(found) => Stage::Text(found),
                    None => {
                        put_null(out);
                        return Ok(());
                    }
                }
            }
            Kind::Number | Kind::Bool => Stage::Plain(raw),
            Kind::Array | Kind::Object => return Err(misfit(RejectCode::ColumnType)),
        };
        let stage = listed(rule, stage).ok_or_else(|| misfit(RejectCode::ValueNotListed))?;
        write(rule, ty, &stage, (encoder, out)).map_err(|failed| match failed {
            Unfit::Form(code) => misfit(code),
            Unfit::Column(rejection) => rejection,
        })
    }
}

impl Ruler {
    /// The same for a BSON value: strings, numbers and booleans. `None`: of another kind, which no rule is about.
    pub fn put_bson(
        &mut self,
        column: (&ValueRule, PgType),
        value: &Value<'_>,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Option<Result<(), Rejection>> {
        let mut raw = Vec::new();
        match *value {
            Value::String(text) if std::str::from_utf8(text).is_ok() => append_quoted(text, &mut raw),
            Value::String(_) => return Some(Err(misfit(RejectCode::InvalidUtf8, column.0, column.1, Kind::String))),
            Value::Bool(value) => raw.extend_from_slice(if value { b"true" } else { b"false" }),
            Value::Int32(value) => raw.extend_from_slice(value.to_string().as_bytes()),
            Value::Int64(value) => raw.extend_from_slice(value.to_string().as_bytes()),
            // 5.0 is spelled 5, as from JavaScript.
            Value::Double(value) if value.fract() == 0.0 && value.abs() <= EXACT_INTEGER => {
                append_exact(value, &mut raw)
            }
            Value::Double(value) if value.is_finite() => append_shortest(value, &mut raw),
            Value::Decimal128(value) if value.append_number(&mut raw) => {}
            _ => return None,
        }
        Some(self.put(column, &raw, encoder, out))
    }
}

/// Looks a spelling up; `None` when it must be on the list and is not.
fn listed<'a>(rule: &'a ValueRule, stage: Stage<'a>) -> Option<Stage<'a>> {
    let Some(list) = &rule.values else { return Some(stage) };
    let spelling = match &stage {
        Stage::Text(text) => text,
        Stage::Plain(raw) => std::str::from_utf8(raw).unwrap_or_default(),
        Stage::Listed(_) => return Some(stage),
    };
    match (list.listed.get(spelling), list.otherwise) {
        (Some(stored), _) => Some(Stage::Listed(stored)),
        (None, Otherwise::Pass) => Some(stage),
        (None, Otherwise::Park) => None,
    }
}

/// Why a value became no field.
enum Unfit {
    /// The rule does not read it.
    Form(RejectCode),
    /// The column does not take what the rule read.
    Column(Rejection),
}

impl From<RejectCode> for Unfit {
    fn from(code: RejectCode) -> Self {
        Self::Form(code)
    }
}

fn write(
    rule: &ValueRule,
    ty: PgType,
    stage: &Stage<'_>,
    (encoder, out): (&mut Encoder, &mut Vec<u8>),
) -> Result<(), Unfit> {
    let mut json = Vec::new();
    let mut field = |raw: &[u8], out: &mut Vec<u8>| encoder.field(ty, raw, out).map_err(Unfit::Column);
    match (&rule.parse, stage) {
        (_, Stage::Listed(stored)) => field(stored.as_bytes(), out),
        (None, Stage::Plain(raw)) => field(raw, out),
        (None, Stage::Text(text)) => {
            append_quoted(text.as_bytes(), &mut json);
            field(&json, out)
        }
        (Some(Parse::Text), Stage::Text(text)) => {
            append_quoted(text.as_bytes(), &mut json);
            field(&json, out)
        }
        (Some(Parse::Text), Stage::Plain(raw)) => {
            append_quoted(raw, &mut json);
            field(&json, out)
        }
        (Some(Parse::Number), stage) => {
            let number = number_of(stage)?;
            field(number, out)
        }
        (Some(Parse::Money(marks)), Stage::Text(text)) => {
            let number = money::amount(text, *marks).ok_or(RejectCode::ColumnType)?;
            field(number.as_bytes(), out)
        }
        (Some(Parse::Money(_)), stage) => {
            let number = number_of(stage)?;
            field(number, out)
        }
        (Some(Parse::Epoch(unit)), stage) => Moment::since_1970(number_of(stage)?, *unit)?.put(ty, out),
        (Some(Parse::Iso(zone)), Stage::Text(text)) => Moment::of_iso(text, *zone)?.put(ty, out),
        (Some(Parse::Pattern(pattern, zone)), Stage::Text(text)) => {
            Moment::of_pattern(text, (pattern, *zone))?.put(ty, out)
        }
        (Some(Parse::Iso(_) | Parse::Pattern(..)), Stage::Plain(_)) => Err(RejectCode::ColumnType.into()),
    }
}

/// A number, or the text of one exactly as JSON writes numbers.
fn number_of<'a>(stage: &Stage<'a>) -> Result<&'a [u8], RejectCode> {
    let text = match stage {
        Stage::Text(text) => text.as_bytes(),
        Stage::Plain(raw) => raw,
        Stage::Listed(stored) => stored.as_bytes(),
    };
    let begins = text.first().and_then(|first| Kind::of(*first)) == Some(Kind::Number);
    let is_number = begins && text.last().is_some_and(u8::is_ascii_digit) && check_syntax(text).is_ok();
    if is_number { Ok(text) } else { Err(RejectCode::ColumnType) }
}

/// A rejection at the value itself: which form was wanted and which kind was found.
fn misfit(code: RejectCode, rule: &ValueRule, ty: PgType, found: Kind) -> Rejection {
    let found = match code {
        RejectCode::NulCharacter => "string with U+0000",
        RejectCode::LoneSurrogate => "string with half a surrogate pair",
        RejectCode::TimeRange => "time that it cannot hold exactly",
        RejectCode::NumberRange => "number that it cannot hold exactly",
        RejectCode::ColumnType if found == Kind::String => "string of another form",
        RejectCode::ValueNotListed => "another value",
        _ => found.name(),
    };
    let expected = match (&rule.parse, code) {
        (_, RejectCode::ValueNotListed) => "a value that `values` lists".to_owned(),
        (None, _) => "string, number or boolean".to_owned(),
        (Some(Parse::Epoch(_)), _) => format!("{ty} as a number since 1970"),
        (Some(Parse::Iso(None)), _) => format!("{ty} in ISO 8601"),
        (Some(Parse::Iso(Some(_))), _) => format!("{ty} in ISO 8601, with or without an offset"),
        (Some(Parse::Pattern(pattern, _)), _) => format!("{ty} as {pattern}"),
        (Some(Parse::Number), _) => format!("{ty} as the text of a number"),
        (Some(Parse::Money(_)), _) => format!("{ty} as an amount of money"),
        (Some(Parse::Text), _) => "string, number or boolean".to_owned(),
    };
    Rejection::new(code, "", &expected, found).at(0)
}
