//! Dates and times from ISO 8601 text, as PostgreSQL's days and microseconds since 2000-01-01.
//!
//! ```text
//! date       = year '-' MM '-' DD            year: four digits, or a sign and four to seven (JavaScript writes six)
//! time       = HH ':' MM [':' SS ['.' fraction]]
//! timestamp  = date ('T' | ' ') time         letters in either case
//! timestamptz= timestamp offset              'Z', or '+' or '-' and HH, HHMM or HH:MM
//! ```
//!
//! Written by hand because PostgreSQL's years (4713 BC to 294276 AD) go far past those of calendar libraries; tested against
//! one inside its range. The calendar is the proleptic Gregorian with a year 0 (1 BC), as in ISO 8601 and PostgreSQL.
//!
//! `ColumnType`: not of this form, or no such day. `TimeRange`: PostgreSQL cannot hold it exactly: out of range, digits below
//! the microsecond, a leap second, or 24:00 with a date. A `timestamp` with an offset is `ColumnType`: PostgreSQL would drop
//! the offset in silence.

use crate::rejection::RejectCode;

const DAY: i128 = 86_400_000_000;
const DAY_MILLIS: i64 = 86_400_000;
/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;
/// First date: 4714-11-24 BC (Julian day 0).
const FIRST_DAY: i64 = -2_451_545;
/// After the last date, 5874897-12-31.
const END_DAY: i64 = 2_145_031_949;
/// First timestamp: 4714-11-24 00:00:00 BC.
const FIRST_MICRO: i64 = -211_813_488_000_000_000;
/// After the last timestamp: 294277-01-01 00:00:00.
const END_MICRO: i64 = 9_223_371_331_200_000_000;

/// Appends a `date`: days, i32.
pub(super) fn put_date(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let mut reader = Reader(text.as_bytes());
    let days = reader.date()?;
    reader.end()?;
    if !(FIRST_DAY..END_DAY).contains(&days) {
        return Err(RejectCode::TimeRange);
    }
    out.extend_from_slice(&(days as i32).to_be_bytes());
    Ok(())
}

/// Appends the `date` of an instant, if it is midnight in UTC.
pub(super) fn put_date_of(millis: i64, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let days = millis.div_euclid(DAY_MILLIS) - EPOCH_DAYS;
    if millis.rem_euclid(DAY_MILLIS) != 0 || !(FIRST_DAY..END_DAY).contains(&days) {
        return Err(RejectCode::TimeRange);
    }
    out.extend_from_slice(&(days as i32).to_be_bytes());
    Ok(())
}

/// Appends the `timestamptz` of an instant, or its `timestamp` in UTC.
pub(super) fn put_instant(millis: i64, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    put_micros(i128::from(millis) * 1_000 - i128::from(EPOCH_DAYS) * DAY, out)
}

/// Appends a `time`: microseconds, i64.
pub(super) fn put_time(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let mut reader = Reader(text.as_bytes());
    let micros = reader.time()?;
    reader.end()?;
    out.extend_from_slice(&micros.to_be_bytes());
    Ok(())
}

/// Appends a `timestamp`: microseconds, i64.
pub(super) fn put_timestamp(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let mut reader = Reader(text.as_bytes());
    let micros = reader.timestamp()?;
    reader.end()?;
    put_micros(micros, out)
}

/// Appends a `timestamptz`: microseconds in UTC, i64.
pub(super) fn put_timestamptz(text: &str, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let mut reader = Reader(text.as_bytes());
    let micros = reader.timestamp()?;
    let offset = reader.offset()?;
    reader.end()?;
    put_micros(micros - i128::from(offset), out)
}

fn put_micros(micros: i128, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    match i64::try_from(micros) {
        Ok(micros) if (FIRST_MICRO..END_MICRO).contains(&micros) => {
            out.extend_from_slice(&micros.to_be_bytes());
            Ok(())
        }
        _ => Err(RejectCode::TimeRange),
    }
}

/// Appends the `timestamp` or `timestamptz` of microseconds since 1970.
pub(super) fn put_micros_since_1970(micros: i128, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    put_micros(micros - i128::from(EPOCH_DAYS) * DAY, out)
}

/// Appends the `date` of microseconds since 1970, if they are a midnight.
pub(super) fn put_midnight_since_1970(micros: i128, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let days = i64::try_from(micros.div_euclid(DAY)).map_err(|_| RejectCode::TimeRange)? - EPOCH_DAYS;
    if micros.rem_euclid(DAY) != 0 || !(FIRST_DAY..END_DAY).contains(&days) {
        return Err(RejectCode::TimeRange);
    }
    out.extend_from_slice(&(days as i32).to_be_bytes());
    Ok(())
}

/// Microseconds since 1970 that a date, a date and time, or both with an offset tell; and whether an offset was told.
pub(super) fn moment(text: &str) -> Result<(i128, bool), RejectCode> {
    let mut reader = Reader(text.as_bytes());
    let days = i128::from(reader.date()? + EPOCH_DAYS);
    if reader.end().is_ok() {
        return Ok((days * DAY, false));
    }
    let mut reader = Reader(text.as_bytes());
    let micros = reader.timestamp()? + i128::from(EPOCH_DAYS) * DAY;
    if reader.end().is_ok() {
        return Ok((micros, false));
    }
    let offset = reader.offset()?;
    reader.end()?;
    Ok((micros - i128::from(offset), true))
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn end(&self) -> Result<(), RejectCode> {
        if self.0.is_empty() { Ok(()) } else { Err(RejectCode::ColumnType) }
    }

    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| self.0 = rest)?;
        Some(*first)
    }

    fn expect(&mut self, wanted: &[u8]) -> Result<u8, RejectCode> {
        self.take(wanted).ok_or(RejectCode::ColumnType)
    }

    /// Exactly `width` digits.
    fn digits(&mut self, width: usize) -> Result<i64, RejectCode> {
        let (digits, rest) = self.0.split_at_checked(width).ok_or(RejectCode::ColumnType)?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(RejectCode::ColumnType);
        }
        self.0 = rest;
        Ok(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    fn leading_digits(&self) -> usize {
        self.0.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn year(&mut self) -> Result<i64, RejectCode> {
        let sign = self.take(b"+-");
        let width = self.leading_digits();
        let fits = if sign.is_some() { (4..=7).contains(&width) } else { width == 4 };
        if !fits {
            return Err(RejectCode::ColumnType);
        }
        let year = self.digits(width)?;
        match sign {
            // There is one year zero, and it has no minus.
            Some(b'-') if year == 0 => Err(RejectCode::ColumnType),
            Some(b'-') => Ok(-year),
            _ => Ok(year),
        }
    }

    /// Days since 2000-01-01.
    fn date(&mut self) -> Result<i64, RejectCode> {
        let year = self.year()?;
        self.expect(b"-")?;
        let month = self.digits(2)?;
        self.expect(b"-")?;
        let day = self.digits(2)?;
        if !(1..=12).contains(&month) || day < 1 || day > days_of(year, month) {
            return Err(RejectCode::ColumnType);
        }
        Ok(days_since_1970(year, month, day) - EPOCH_DAYS)
    }

    /// Microseconds since midnight, at most 24:00:00.
    fn time(&mut self) -> Result<i64, RejectCode> {
        let hour = self.digits(2)?;
        self.expect(b":")?;
        let minute = self.digits(2)?;
        let (second, micro) = match self.take(b":") {
            Some(_) => (self.digits(2)?, self.fraction()?),
            None => (0, 0),
        };
        if hour > 24 || minute > 59 || second > 60 {
            return Err(RejectCode::ColumnType);
        }
        let micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micro;
        if second == 60 || i128::from(micros) > DAY { Err(RejectCode::TimeRange) } else { Ok(micros) }
    }

    fn fraction(&mut self) -> Result<i64, RejectCode> {
        if self.take(b".").is_none() {
            return Ok(0);
        }
        let width = self.leading_digits();
        if width == 0 {
            return Err(RejectCode::ColumnType);
        }
        let kept = width.min(6);
        let micros = self.digits(kept)? * 10_i64.pow(6 - kept as u32);
        let (below, rest) = self.0.split_at(width - kept);
        self.0 = rest;
        if below.iter().all(|digit| *digit == b'0') { Ok(micros) } else { Err(RejectCode::TimeRange) }
    }

    fn timestamp(&mut self) -> Result<i128, RejectCode> {
        let days = self.date()?;
        self.expect(b"Tt ")?;
        let micros = i128::from(self.time()?);
        if micros == DAY { Err(RejectCode::TimeRange) } else { Ok(i128::from(days) * DAY + micros) }
    }

    /// Microseconds east of UTC.
    fn offset(&mut self) -> Result<i64, RejectCode> {
        let sign = match self.expect(b"Zz+-")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Ok(0),
        };
        let hours = self.digits(2)?;
        let colon = self.take(b":").is_some();
        let minutes = if colon || !self.0.is_empty() { self.digits(2)? } else { 0 };
        if hours > 23 || minutes > 59 {
            return Err(RejectCode::ColumnType);
        }
        Ok(sign * (hours * 60 + minutes) * 60_000_000)
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant, "chrono-compatible low-level date algorithms": years from March, eras of 400 years.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
