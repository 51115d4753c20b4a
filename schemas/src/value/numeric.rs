//! PostgreSQL's binary `numeric`, straight from decimal text.
//!
//! ```text
//! digits i16 | weight i16 | sign u16 | scale u16 | digit i16 *        all big endian
//! ```
//!
//! A digit is 0..9999. The number is the sum of digit[n] × 10000^(weight − n); `sign` is 0 or 0x4000. Leading and trailing
//! zero digits are left out, so zero has none. `scale` is the number of decimals shown: those of the text (`1.50` keeps
//! two), or those of the column's `(precision, scale)`.

use crate::json::{Decimal, check_number};
use crate::rejection::RejectCode;

const NEGATIVE: u16 = 0x4000;
const NOT_A_NUMBER: u16 = 0xc000;
const INFINITE: u16 = 0xd000;
const NEGATIVE_INFINITE: u16 = 0xf000;

/// Appends what is no finite number, without a length. `NumberRange` for an infinity where precision and scale are given: they
/// cannot hold one.
pub fn put_non_finite(limit: Option<(u16, u16)>, value: f64, out: &mut Vec<u8>) -> Result<(), RejectCode> {
    let sign = match value {
        f64::INFINITY => INFINITE,
        f64::NEG_INFINITY => NEGATIVE_INFINITE,
        _ => NOT_A_NUMBER,
    };
    if value.is_infinite() && limit.is_some() {
        return Err(RejectCode::NumberRange);
    }
    for word in [0, 0, sign, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    Ok(())
}

/// Appends the number, without a length. `NumberRange` where PostgreSQL would refuse, round, or lose the sign of `-0`.
pub fn put_numeric(limit: Option<(u16, u16)>, text: &[u8], out: &mut Vec<u8>) -> Result<(), RejectCode> {
    check_number(text)?;
    let number = Decimal::parse(text)?;
    if let Some((precision, scale)) = limit
        && !number.is_zero()
        && (number.low() < -i64::from(scale) || number.magnitude() > i64::from(precision) - i64::from(scale))
    {
        return Err(RejectCode::NumberRange);
    }
    let scale = limit.map_or(number.scale() as u16, |(_, scale)| scale);
    let magnitude = if number.is_zero() { 0 } else { number.magnitude() };
    // The first digit group ends at a multiple of four places from the point; the front of it may be empty places.
    let weight = if number.is_zero() { 0 } else { (magnitude - 1).div_euclid(4) };
    let empty = ((weight + 1) * 4 - magnitude) as usize;
    let groups = if number.is_zero() { 0 } else { (empty + number.digit_count()).div_ceil(4) };
    out.extend_from_slice(&(groups as i16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&(if number.is_negative() { NEGATIVE } else { 0 }).to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    let mut group = 0_i16;
    let mut places = empty;
    for digit in number.digits() {
        group = group * 10 + i16::from(digit - b'0');
        places += 1;
        if places.is_multiple_of(4) {
            out.extend_from_slice(&group.to_be_bytes());
            group = 0;
        }
    }
    if !places.is_multiple_of(4) && groups > 0 {
        let missing = 4 - places % 4;
        out.extend_from_slice(&(group * 10_i16.pow(missing as u32)).to_be_bytes());
    }
    Ok(())
}

/// The number as PostgreSQL prints it; `None`: these bytes are no number.
pub(super) fn text_of(bytes: &[u8]) -> Option<String> {
    let (head, digits) = bytes.split_at_checked(8)?;
    let word = |at: usize| Some(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?));
    let (weight, sign, scale) = (word(2)?.cast_signed(), word(4)?, usize::from(word(6)?));
    let name = match sign {
        NOT_A_NUMBER => Some("NaN"),
        INFINITE => Some("Infinity"),
        NEGATIVE_INFINITE => Some("-Infinity"),
        _ => None,
    };
    if let Some(name) = name {
        return Some(name.to_owned());
    }
    let groups: Vec<u16> = digits.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let group = |at: i32| usize::try_from(at).ok().and_then(|at| groups.get(at)).copied().unwrap_or(0);
    let weight = i32::from(weight);
    let mut text = String::from(if sign == NEGATIVE { "-" } else { "" });
    let whole: String = (0..=weight).map(|at| format!("{:04}", group(at))).collect();
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let places = i32::try_from(scale.div_ceil(4)).ok()?;
        let fraction: String = (weight + 1..=weight + places).map(|at| format!("{:04}", group(at))).collect();
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Some(text)
}
