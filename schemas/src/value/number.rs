//! Integers and floats from the text of a number.

use crate::json::Decimal;
use crate::pgtype::PgType;
use crate::rejection::RejectCode;
use std::io::Write;

/// Decimals of so many digits survive the way through a float and back (DBL_DIG, FLT_DIG), inside its normal range.
const FLOAT8_DIGITS: usize = 15;
const FLOAT4_DIGITS: usize = 6;
/// Powers of ten that lie safely inside the normal range.
const FLOAT8_POWERS: std::ops::Range<i64> = -300..300;
const FLOAT4_POWERS: std::ops::Range<i64> = -36..38;

/// Integers of any spelling: `5`, `5.0`, `50e-1`. `-0` has a sign that they cannot hold.
pub(super) fn put_integer(ty: PgType, text: &[u8], out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let value = match plain_integer(text) {
        Some(value) => value,
        None => {
            let number = Decimal::parse(text)?;
            let exact = number.integer().filter(|_| !number.is_negative_zero());
            exact.and_then(|value| i64::try_from(value).ok()).ok_or(RejectCode::NumberRange)?
        }
    };
    let range = |_| RejectCode::NumberRange;
    match ty {
        PgType::Int2 => out.extend_from_slice(&i16::try_from(value).map_err(range)?.to_be_bytes()),
        PgType::Int4 => out.extend_from_slice(&i32::try_from(value).map_err(range)?.to_be_bytes()),
        _ => out.extend_from_slice(&value.to_be_bytes()),
    }
    Ok(())
}

/// The common spelling, at most 18 digits.
fn plain_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) || (negative && digits == b"0") {
        return None;
    }
    let value = digits.iter().fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

/// A `double precision`, if the float stands for this very number: its shortest decimal is equal to it.
pub(super) fn put_float8(text: &[u8], out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let float: f64 = parse(text)?;
    let number = Decimal::parse(text)?;
    let sure = number.digit_count() <= FLOAT8_DIGITS && FLOAT8_POWERS.contains(&number.magnitude());
    let exact = sure || (float.is_finite() && is_shortest(&number, format_args!("{float:e}")));
    if !exact {
        return Err(RejectCode::NumberRange);
    }
    out.extend_from_slice(&float.to_be_bytes());
    Ok(())
}

/// Likewise a `real`.
pub(super) fn put_float4(text: &[u8], out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let float: f32 = parse(text)?;
    let number = Decimal::parse(text)?;
    let sure = number.digit_count() <= FLOAT4_DIGITS && FLOAT4_POWERS.contains(&number.magnitude());
    let exact = sure || (float.is_finite() && is_shortest(&number, format_args!("{float:e}")));
    if !exact {
        return Err(RejectCode::NumberRange);
    }
    out.extend_from_slice(&float.to_be_bytes());
    Ok(())
}

fn parse<F: std::str::FromStr>(text: &[u8]) -> Result<F, RejectCode> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(RejectCode::Malformed)
}

/// Whether `shortest`, a float printed as the shortest decimal that reads back as it, is the number of the text.
fn is_shortest(number: &Decimal<'_>, shortest: std::fmt::Arguments<'_>) -> bool {
    // A float's shortest form has at most 17 digits, a sign, a point and an exponent of four characters.
    let mut buffer = [0_u8; 40];
    let mut left: &mut [u8] = &mut buffer;
    if left.write_fmt(shortest).is_err() {
        return false;
    }
    let unused = left.len();
    let printed = &buffer[..buffer.len() - unused];
    Decimal::parse(printed).is_ok_and(|printed| printed.equals(number))
}
