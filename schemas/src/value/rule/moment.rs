//! Points in time read from counts, ISO 8601 and patterns, as `timestamptz`, `timestamp` or `date`.
//!
//! Exact to the microsecond or refused. A `timestamp` holds what the text says when it tells no offset and none is given, else the same
//! moment in UTC; a `date` holds a moment that is a midnight so.

use super::Unfit;
use crate::mapping::{EpochUnit, Offset};
use crate::pgtype::PgType;
use crate::rejection::RejectCode;
use crate::value::time;

const SECOND: i128 = 1_000_000;
/// More digits than the widest moment has.
const MOST_DIGITS: usize = 40;

/// A moment, or a time of day on a date whose offset nobody tells.
pub(super) struct Moment {
    /// Since 1970-01-01.
    micros: i128,
    /// It is in UTC.
    placed: bool,
}

impl Moment {
    /// A JSON number of units.
    pub(super) fn since_1970(number: &[u8], unit: EpochUnit) -> Result<Self, RejectCode> {
        let power = match unit {
            EpochUnit::Seconds => 6,
            EpochUnit::Millis => 3,
            EpochUnit::Micros => 0,
        };
        Ok(Self { micros: scaled(number, power)?, placed: true })
    }

    pub(super) fn of_iso(text: &str, zone: Option<Offset>) -> Result<Self, RejectCode> {
        let (micros, placed) = time::moment(text)?;
        Ok(Self { micros, placed }.within(zone))
    }

    pub(super) fn of_pattern(text: &str, (pattern, zone): (&str, Option<Offset>)) -> Result<Self, RejectCode> {
        let read = jiff::fmt::strtime::parse(pattern, text).map_err(|_| RejectCode::ColumnType)?;
        let at = match read.to_datetime() {
            Ok(at) => at,
            Err(_) => read.to_date().map_err(|_| RejectCode::ColumnType)?.to_datetime(jiff::civil::Time::midnight()),
        };
        let utc = jiff::tz::TimeZone::UTC;
        let civil = at.to_zoned(utc).map_err(|_| RejectCode::TimeRange)?.timestamp();
        if civil.subsec_nanosecond() % 1_000 != 0 {
            return Err(RejectCode::TimeRange);
        }
        let micros = i128::from(civil.as_microsecond());
        Ok(match read.offset() {
            Some(offset) => Self { micros: micros - i128::from(offset.seconds()) * SECOND, placed: true },
            None => Self { micros, placed: false }.within(zone),
        })
    }

    /// Placed by `zone`, where its text does not say.
    fn within(self, zone: Option<Offset>) -> Self {
        match (self.placed, zone) {
            (false, Some(Offset(east))) => Self { micros: self.micros - i128::from(east) * SECOND, placed: true },
            _ => self,
        }
    }

    /// Appends the field.
    pub(super) fn put(&self, ty: PgType, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        let put = match ty {
            PgType::TimestampTz if !self.placed => Err(RejectCode::ColumnType),
            PgType::TimestampTz | PgType::Timestamp => time::put_micros_since_1970(self.micros, out),
            PgType::Date => time::put_midnight_since_1970(self.micros, out),
            _ => Err(RejectCode::ColumnType),
        };
        if let Err(code) = put {
            out.truncate(start);
            return Err(code.into());
        }
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

/// `number` × 10^`power`, if that is an integer.
fn scaled(number: &[u8], power: i32) -> Result<i128, RejectCode> {
    let (negative, number) = match number.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, number),
    };
    let text = std::str::from_utf8(number).map_err(|_| RejectCode::ColumnType)?;
    let (digits, exponent) = match text.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().map_err(|_| RejectCode::TimeRange)?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = [whole, fraction].concat();
    let significant = all.trim_end_matches('0');
    let zeros = (all.len() - significant.len()) as i32;
    let significant = significant.trim_start_matches('0');
    let power = exponent.checked_add(power + zeros - fraction.len() as i32).ok_or(RejectCode::TimeRange)?;
    if significant.is_empty() {
        return Ok(0);
    }
    if significant.len() > MOST_DIGITS || !(0..30).contains(&power) {
        return Err(RejectCode::TimeRange);
    }
    let value: i128 = significant.parse().map_err(|_| RejectCode::TimeRange)?;
    let value = value.checked_mul(10_i128.pow(power.unsigned_abs())).ok_or(RejectCode::TimeRange)?;
    Ok(if negative { -value } else { value })
}

/// What is wrong with a pattern, found by writing a moment with it and reading that back.
pub fn pattern_fault(pattern: &str) -> Option<&'static str> {
    let at = jiff::civil::date(2026, 11, 25).at(13, 14, 15, 0);
    let Ok(at) = at.to_zoned(jiff::tz::TimeZone::UTC) else { return None };
    let Ok(written) = jiff::fmt::strtime::format(pattern, &at) else {
        return Some("it has a directive that is not known");
    };
    match jiff::fmt::strtime::parse(pattern, &written) {
        Err(_) => Some("what it writes it cannot read"),
        Ok(read) if read.to_date().is_err() => Some("it tells no date"),
        Ok(_) => None,
    }
}
